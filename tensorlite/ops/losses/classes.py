"""Losses of scores for classes: the negative log likelihood and the cross-entropy, and the ops that pick classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, leading, looped
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.op import Integers, Sample
from tensorlite.ops.dropout import keep_scaled
from tensorlite.ops.elementwise import not_equal, where
from tensorlite.ops.indexing.scatter import grid
from tensorlite.ops.losses.reduction import check_reduction, reduced
from tensorlite.ops.losses.softmax import _count_classes, _softmax_loss
from tensorlite.ops.losses.targets import check_classes, check_target, is_class, known_classes
from tensorlite.ops.reduce import _sum
from tensorlite.ops.shape import _reshape, astype
from tensorlite.ops.softmax import log_softmax
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, TensorType

__all__ = ["cross_entropy", "nll_loss"]

#: From this many elements on, kernels pick and place.
NATIVE_TARGETS = 64


def _zero(x: Tensor) -> bool | int:
    """The zero that leaves the dtype alone."""
    return 0 if x.dtype != bool else False


def _pick_class_meaning(x: Tensor, target: Tensor, *, axis: int, ignore: int) -> Tensor:
    picked = where(is_class(target, axis, x.shape[axis], ignore), x, _zero(x))
    return _sum(picked, axis=(axis,), keepdims=False, dtype=x.dtype)


def _place_class_meaning(g_: Tensor, target: Tensor, *, axis: int, ignore: int, classes: int) -> Tensor:
    here = is_class(target, axis, classes, ignore)
    return where(here, _reshape(g_, shape=(*g_.shape[:axis], 1, *g_.shape[axis:])), _zero(g_))


def _class_weights_meaning(target: Tensor, *weight: Tensor, ignore: int, classes: int,
                           dtype: np.dtype | None) -> Tensor:
    if weight:
        chosen = where(is_class(target, target.ndim, classes, ignore), weight[0], _zero(weight[0]))
        total = _sum(chosen, axis=(target.ndim,), keepdims=False, dtype=weight[0].dtype)
        return astype(total, dtype or total.dtype, copy=False)
    assert dtype is not None
    return astype(not_equal(known_classes(target, ignore=ignore, classes=classes), ignore), dtype, copy=False)


def _picked_type(x: TensorType, target: TensorType, *, axis: int, ignore: int) -> TensorType:
    check_target(x, target, axis)
    return TensorType(x.dtype, target.shape, x.device)


@primitive("index", type=_picked_type, batch=leading, native_size=NATIVE_TARGETS, meaning=_pick_class_meaning,
           samples=[
    Sample((4, 3), Integers((4,), 0, 3), axis=1, ignore=-100),
    Sample((2, 3, 4), Integers((2, 4), 0, 3), axis=1, ignore=1),
    Sample((3,), Integers((), 0, 3), axis=0, ignore=-100)],
           vjp={"x": lambda g, target, x_shape, axis, ignore: _place_class(
               g, target, axis=axis, ignore=ignore, classes=x_shape[axis])})
def _pick_class(xp: Any, x: Any, target: Any, *, axis: int, ignore: int) -> Any:
    """The number of each target's class along the axis; 0 where the target is ignored."""
    check_target(x, target, axis)
    valid = check_classes(target, x.shape[axis], ignore)
    places = xp.expand_dims(xp.where(valid, target, 0), axis)
    return xp.where(valid, xp.take_along_axis(x, places, axis).reshape(target.shape), x.dtype.type(0))


def _placed_type(g_: TensorType, target: TensorType, *, axis: int, ignore: int, classes: int) -> TensorType:
    return TensorType(g_.dtype, (*g_.shape[:axis], classes, *g_.shape[axis:]), g_.device)


@primitive("index", type=_placed_type, batch=leading, native_size=NATIVE_TARGETS, meaning=_place_class_meaning,
           samples=[
    Sample((4,), Integers((4,), 0, 3), axis=1, ignore=-100, classes=3),
    Sample((2, 4), Integers((2, 4), 0, 3), axis=1, ignore=1, classes=3)],
           vjp={"g_": lambda g, target, axis, ignore: _pick_class(g, target, axis=axis, ignore=ignore)})
def _place_class(xp: Any, g_: Any, target: Any, *, axis: int, ignore: int, classes: int) -> Any:
    """The transpose of `pick_class`: zeros but for each target's class."""
    valid = check_classes(target, classes, ignore)
    out = xp.zeros((*g_.shape[:axis], classes, *g_.shape[axis:]), g_.dtype)
    places = xp.expand_dims(xp.where(valid, target, 0), axis)
    out[grid(xp, places, axis)] = xp.expand_dims(xp.where(valid, g_, g_.dtype.type(0)), axis)
    return out


def _weights_type(target: TensorType, *weight: TensorType, ignore: int, classes: int,
                  dtype: np.dtype | None) -> TensorType:
    if weight and weight[0].shape != (classes,):
        raise ShapeError(f"weight must have shape [{classes}], one number for each class")
    return TensorType(dtype or weight[0].dtype, target.shape, target.device)


def _weight_vjp(g: Tensor, target: Tensor, weight: tuple[Tensor, ...], ignore: int, classes: int) -> Tensor:
    """The sum of the cotangents of each class's targets."""
    placed = _place_class(g, target, axis=target.ndim, ignore=ignore, classes=classes)
    total = _sum(placed, axis=tuple(range(target.ndim)), keepdims=False, dtype=None)
    return astype(total, weight[0].dtype, copy=False)


def _weights_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    if batch.axes[1:] in ((), (None,)):
        return batch.apply(*inputs, **attributes), batch.axes[0]
    return looped(batch, inputs, attributes)


@primitive("index", type=_weights_type, batch=_weights_batch, meaning=_class_weights_meaning,
           vjp={"weight": _weight_vjp},
           samples=[Sample(Integers((4,), 0, 3), (3,), ignore=1, classes=3, dtype=None)])
def _class_weights(xp: Any, target: Any, *weight: Any, ignore: int, classes: int, dtype: np.dtype | None) -> Any:
    """What each target counts: its class's weight, in that dtype, or 1 in ``dtype``; and 0 where it is ignored."""
    _weights_type(TensorType(target.dtype, target.shape), *weight, ignore=ignore, classes=classes, dtype=dtype)
    valid = check_classes(target, classes, ignore)
    if not weight:
        return valid.astype(dtype)
    found = weight[0][xp.where(valid, target, 0)]
    return xp.where(valid, found, found.dtype.type(0)).astype(dtype or found.dtype, copy=False)


def class_axis(op: str, x: Tensor) -> int:
    """The axis of classes: the first one of one element, else the second."""
    if x.ndim == 0:
        raise complaint(ShapeError, op, "the input needs an axis of classes", {"input": x})
    return 0 if x.ndim == 1 else 1


@public(method=False, autocast="wide")
def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100,
             reduction: str = "mean") -> Tensor:
    """The negative log likelihood ``-weight[target] * input[target]`` of log probabilities.

    input: [batch, classes, ...] or [classes]; target: integers [batch, ...]; weight: [classes]. The mean is weighed;
    targets equal to ``ignore_index`` do not count. Raises `IndexingError` where a target names no class.

    >>> import tensorlite as tl
    >>> tl.nll_loss(tl.tensor([[-1.0, -2.0], [-3.0, -4.0]]), tl.tensor([0, 1]))
    tensor(2.5)
    """
    axis = class_axis("nll_loss", input)
    loss = -_pick_class(input, target, axis=axis, ignore=ignore_index)
    return counted("nll_loss", loss, target, weight, input.shape[axis], ignore_index, reduction)


def counted(op: str, loss: Tensor, target: Tensor, weight: Tensor | None, classes: int, ignore: int,
            reduction: str) -> Tensor:
    """The losses of targets, each times its class's weight, and reduced: the mean is by these weights."""
    check_reduction(op, reduction)
    if weight is None and reduction != "mean":
        return reduced(op, loss, reduction)
    if weight is None:
        count = _count_classes(target, ignore=ignore, classes=classes, dtype=loss.dtype)
        return reduced(op, loss, "sum") / count
    weights = weights_of(target, weight, classes, ignore, loss.dtype)
    loss = loss * weights
    if reduction == "mean":
        return reduced(op, loss, "sum") / reduced(op, weights, "sum")
    return reduced(op, loss, reduction)


def weights_of(target: Tensor, weight: Tensor | None, classes: int, ignore: int, dtype: np.dtype) -> Tensor:
    """What each target counts, in a dtype."""
    if weight is None:
        return _class_weights(target, ignore=ignore, classes=classes, dtype=dtype)
    return _class_weights(target, astype(weight, dtype, copy=False), ignore=ignore, classes=classes, dtype=None)


def _along(weight: Tensor, x: Tensor, axis: int) -> Tensor:
    """One number for each class, shaped to meet the input."""
    if weight.shape != (x.shape[axis],):
        raise complaint(ShapeError, "cross_entropy",
                        f"weight must have shape [{x.shape[axis]}], one number for each class",
                        {"input": x, "weight": weight})
    return _reshape(weight, shape=(weight.size, *(1,) * (x.ndim - axis - 1)))


def _with_probabilities(x: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float) -> Tensor:
    axis = class_axis("cross_entropy", x)
    if target.shape != x.shape:
        raise complaint(ShapeError, "cross_entropy", "a target of probabilities must have the input's shape",
                        {"input": x, "target": target})
    if smoothing:
        target = target * (1 - smoothing) + smoothing / x.shape[axis]
    scores = target * log_softmax(x, axis=axis)
    if weight is not None:
        scores = scores * _along(weight, x, axis)
    loss = -_sum(scores, axis=(axis,), keepdims=False, dtype=None)
    return reduced("cross_entropy", loss, reduction)


def _smoothed(x: Tensor, target: Tensor, weight: Tensor | None, ignore: int, reduction: str,
              smoothing: float) -> Tensor:
    """The loss against targets that give every class a share of ``smoothing``."""
    axis = class_axis("cross_entropy", x)
    classes = x.shape[axis]
    scores = log_softmax(x, axis=axis)
    weights = weights_of(target, weight, classes, ignore, x.dtype)
    everywhere = scores if weight is None else scores * _along(weight, x, axis)
    loss = -(1 - smoothing) * (_pick_class(scores, target, axis=axis, ignore=ignore) * weights)
    total = _sum(everywhere, axis=(axis,), keepdims=False, dtype=None)
    loss = loss - keep_scaled(not_equal(target, ignore), total, smoothing / classes)
    if reduction == "mean":
        return reduced("cross_entropy", loss, "sum") / reduced("cross_entropy", weights, "sum")
    return reduced("cross_entropy", loss, reduction)


@public(method=False, autocast="wide")
def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100,
                  reduction: str = "mean", label_smoothing: float = 0.0) -> Tensor:
    """``-log(softmax(input)[target])``, the cross-entropy of scores with class indices or probabilities.

    input: [batch, classes, ...] or [classes]; target: integers [batch, ...], or probabilities of the input's shape;
    weight: [classes]. The mean is weighed; targets equal to ``ignore_index`` do not count; ``label_smoothing`` spreads
    that share evenly over all classes. Raises `IndexingError` where a target names no class.

    >>> import tensorlite as tl
    >>> tl.cross_entropy(tl.tensor([[0.0, 0.0], [0.0, 0.0]]), tl.tensor([0, 1]))
    tensor(0.6931)
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise complaint(ArgumentError, "cross_entropy",
                        f"label_smoothing must be between 0 and 1, not {label_smoothing}")
    check_reduction("cross_entropy", reduction)
    if target.dtype in GROUPS["real floating"]:
        if ignore_index >= 0:
            raise complaint(ArgumentError, "cross_entropy", "a target of probabilities has no index to ignore",
                            {"target": target, "ignore_index": ignore_index}, "leave ignore_index out")
        return _with_probabilities(input, target, weight, reduction, label_smoothing)
    if label_smoothing:
        return _smoothed(input, target, weight, ignore_index, reduction, label_smoothing)
    axis = class_axis("cross_entropy", input)
    loss, _, _ = _softmax_loss(input, target, axis=axis, ignore=ignore_index)
    return counted("cross_entropy", loss, target, weight, input.shape[axis], ignore_index, reduction)
