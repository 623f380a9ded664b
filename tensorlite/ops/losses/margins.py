"""Losses that ask for a margin: between the scores of classes, between pairs, and between distances."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tensorlite.declare import elementwise, functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.bounds import clip_low
from tensorlite.ops.distances import pairwise_distance
from tensorlite.ops.elementwise import (
    equal,
    less,
    minimum,
    relu,
    sqrt,
    square,
    where,
)
from tensorlite.ops.losses.classes import _pick_class, weights_of
from tensorlite.ops.losses.reduction import reduced
from tensorlite.ops.losses.targets import NOTHING, is_class, known_classes
from tensorlite.ops.reduce import _sum
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import int64

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]

Distance = Callable[[Tensor, Tensor], Tensor]


# --- pairs --------------------------------------------------------------------------------------------------------


@elementwise(accepts="real floating", hidden=True, domain={"margin": (2.5, 4.0)})
def hinge_error(x, target, margin):
    """``x`` where the target is 1, and what it lacks of the margin where that is -1; of other targets, both."""
    lacking = s.where(margin - x < 0, 0, margin - x)
    return s.where(s.not_equal(target, 1), lacking, 0) + s.where(s.not_equal(target, -1), x, 0)


@functional(autocast="wide")
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """The distance ``input`` where the target is 1, and ``max(0, margin - input)`` where it is -1; they broadcast.

    >>> import tensorlite as tl
    >>> hinge_embedding_loss(tl.tensor([0.25, 0.25]), tl.tensor([1, -1]), reduction="none")
    tensor([0.25, 0.75])
    """
    return reduced("hinge_embedding_loss", hinge_error(input, target, margin), reduction)


@functional(autocast="wide")
def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *,
                        reduction: str = "mean") -> Tensor:
    """``max(0, margin - target * (input1 - input2))``: the first is to be larger where the target is 1, else smaller.

    The three broadcast; raises `ShapeError` where they differ in their number of dimensions.

    >>> import tensorlite as tl
    >>> margin_ranking_loss(tl.tensor([1.0, 1.0]), tl.tensor([3.0, 0.0]), tl.tensor([1, 1]))
    tensor(1.)
    """
    _check_dimensions("margin_ranking_loss", input1=input1, input2=input2, target=target)
    return reduced("margin_ranking_loss", clip_low(margin - target * (input1 - input2), 0.0), reduction)


def _check_dimensions(op: str, **tensors: Tensor) -> None:
    if len({x.ndim for x in tensors.values()}) > 1:
        raise complaint(ShapeError, op, "all must have the same number of dimensions", tensors)


@functional(autocast="wide")
def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *,
                          reduction: str = "mean") -> Tensor:
    """``1 - cos(input1, input2)`` where the target is 1, and ``max(0, cos(input1, input2) - margin)`` where it is -1.

    inputs: [batch, features] and target [batch], or [features] and one number. Raises `ShapeError` for others.

    >>> import tensorlite as tl
    >>> x, y = tl.tensor([[1.0, 0.0], [1.0, 0.0]]), tl.tensor([[0.0, 2.0], [2.0, 0.0]])
    >>> cosine_embedding_loss(x, y, tl.tensor([1, -1]), reduction="none")
    tensor([1., 1.])
    """
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise complaint(ShapeError, "cosine_embedding_loss", "inputs must be [batch, features] with a target of [batch]"
                        ", or [features] with one number", {"input1": input1, "input2": input2, "target": target})
    cosine = _cosine(input1, input2)
    apart = clip_low(cosine - margin, 0.0)
    loss = where(equal(target, 1), 1 - cosine, 0.0) + where(equal(target, -1), apart, 0.0)
    return reduced("cosine_embedding_loss", loss, reduction)


_TINY = float(np.float32(1e-12))  # PyTorch's, what a squared length is more than, so that no length is 0


def _cosine(x1: Tensor, x2: Tensor) -> Tensor:
    """The cosine of the angle between the last axes."""
    return _along_last(x1 * x2) / sqrt((_along_last(square(x1)) + _TINY) * (_along_last(square(x2)) + _TINY))


def _along_last(x: Tensor) -> Tensor:
    return _sum(x, axis=(x.ndim - 1,), keepdims=False, dtype=None)


# --- distances ----------------------------------------------------------------------------------------------------


@functional(autocast="wide")
def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, *, reduction: str = "mean") -> Tensor:
    """``max(0, margin + |anchor - positive| - |anchor - negative|)``, of p-norms along the last axis.

    ``eps`` is added to the differences. With ``swap`` the negative's distance is the smaller of those to the anchor and
    to the positive (Balntas et al., "Learning shallow convolutional feature descriptors with triplet losses", 2016).
    Raises `ShapeError` where the numbers of dimensions differ, and `ArgumentError` for a margin of 0 or less.

    >>> import tensorlite as tl
    >>> triplet_margin_loss(tl.tensor([[0.0, 0.0]]), tl.tensor([[0.0, 3.0]]), tl.tensor([[0.0, 2.0]]), p=1)
    tensor(2.)
    """
    distance = functools.partial(pairwise_distance, p=p, eps=eps)
    return _triplet("triplet_margin_loss", (anchor, positive, negative), distance, margin, swap, reduction)


@functional(autocast="wide")
def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function: Distance | None = None, margin: float = 1.0,
                                      swap: bool = False, reduction: str = "mean") -> Tensor:
    """`triplet_margin_loss` with any distance, a function of two tensors; by default that of Euclid.

    >>> import tensorlite as tl
    >>> x = tl.tensor([[0.0, 0.0]])
    >>> triplet_margin_with_distance_loss(x, x + 3, x + 2, distance_function=lambda x, y: (x - y).abs().max(axis=-1))
    tensor(2.)
    """
    distance = distance_function or pairwise_distance
    return _triplet("triplet_margin_with_distance_loss", (anchor, positive, negative), distance, margin, swap,
                    reduction)


def _triplet(op: str, triplet: tuple[Tensor, Tensor, Tensor], distance: Distance, margin: float, swap: bool,
             reduction: str) -> Tensor:
    anchor, positive, negative = triplet
    if margin <= 0:
        raise complaint(ArgumentError, op, f"margin must be above 0, not {margin}")
    _check_dimensions(op, anchor=anchor, positive=positive, negative=negative)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(op, clip_low(margin + near - far, 0.0), reduction)


# --- classes ------------------------------------------------------------------------------------------------------


@functional(autocast="wide")
def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *,
                      reduction: str = "mean") -> Tensor:
    """``sum(max(0, margin - input[target] + input[i])**p) / classes`` over the other classes ``i``.

    input: [batch, classes] or [classes]; target: integers [batch], or one; weight: [classes], by the target's class;
    ``p`` is 1 or 2. Raises `IndexingError` where a target names no class.

    >>> import tensorlite as tl
    >>> multi_margin_loss(tl.tensor([0.1, 0.2, 0.4, 0.8]), tl.tensor(3))
    tensor(0.325)
    """
    op = "multi_margin_loss"
    if p not in (1, 2):
        raise complaint(ArgumentError, op, f"p must be 1 or 2, not {p}")
    rows, labels = _rows(op, input), _reshape(target, shape=(target.size,))
    if labels.shape != rows.shape[:1] or target.ndim > 1:
        raise complaint(ShapeError, op, f"target must have shape {list(input.shape[:-1])}, the input's without its "
                        "classes", {"input": input, "target": target})
    classes = rows.shape[1]
    right = _reshape(_pick_class(rows, labels, axis=1, ignore=NOTHING), shape=(len(rows), 1))
    lacking = relu(margin - right + rows)
    others = where(is_class(labels, 1, classes, NOTHING), 0.0, lacking if p == 1 else square(lacking))
    loss = _along_last(others) / classes
    if weight is not None:
        loss = loss * weights_of(labels, weight, classes, NOTHING, loss.dtype)
    return reduced(op, _reshape(loss, shape=target.shape), reduction)


def _rows(op: str, input: Tensor) -> Tensor:
    """The scores as [batch, classes]."""
    if input.ndim not in (1, 2) or not input.shape[-1]:
        raise complaint(ShapeError, op, "the input must be [batch, classes] or [classes], with a class at least",
                        {"input": input})
    return _reshape(input, shape=(input.size // input.shape[-1] if input.ndim == 1 else len(input), input.shape[-1]))


@functional(autocast="wide")
def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``sum(max(0, 1 - (input[j] - input[i]))) / classes`` over the labels ``j`` and the classes ``i`` that are none.

    input: [batch, classes] or [classes]; target: integers of that shape, of which those before the first -1 are the
    labels. Raises `IndexingError` where a target is neither a class nor -1, and `ShapeError` where shapes differ.

    >>> import tensorlite as tl
    >>> multilabel_margin_loss(tl.tensor([0.1, 0.2, 0.4, 0.8]), tl.tensor([3, 0, -1, 1]))
    tensor(0.85)
    """
    op = "multilabel_margin_loss"
    rows = _rows(op, input)
    if target.shape != input.shape:
        raise complaint(ShapeError, op, "target must have the input's shape: labels, and -1 after the last one",
                        {"input": input, "target": target})
    if target.dtype.kind not in "iu":
        raise complaint(DTypeError, op, f"target holds labels, which are integers, not {target.dtype.name}",
                        {"target": target}, "cast it: target.to(tl.int64)")
    classes = rows.shape[1]
    times = _times_named(_reshape(astype(target, int64, copy=False), shape=rows.shape), classes)
    label, other = _reshape(rows, shape=(*rows.shape, 1)), _reshape(rows, shape=(len(rows), 1, classes))
    counted = _reshape(times, shape=label.shape) * equal(_reshape(times, shape=other.shape), 0)
    pairs = counted * relu(1 - label + other)
    loss = _sum(pairs, axis=(1, 2), keepdims=False, dtype=None) / classes
    return reduced(op, _reshape(loss, shape=input.shape[:-1]), reduction)


def _times_named(target: Tensor, classes: int) -> Tensor:
    """How often each class is named before a row's first -1."""
    target = known_classes(target, ignore=-1, classes=classes)
    ended = less(target, 0).cumulative_sum(axis=1, dtype=int64)
    here = where(equal(ended, 0), target, -1)
    return _sum(astype(is_class(here, 2, classes, -1), int64), axis=(1,), keepdims=False, dtype=None)
