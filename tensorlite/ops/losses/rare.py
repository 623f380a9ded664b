"""Losses for targets that are rare: focal losses, which spare what is easy, and the overlap of regions."""

from __future__ import annotations

from tensorlite.declare import elementwise, functional
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import square
from tensorlite.ops.losses.classes import _pick_class, class_axis, counted
from tensorlite.ops.losses.reduction import check_same_shape, reduced
from tensorlite.ops.losses.targets import NOTHING, is_class
from tensorlite.ops.reduce import _sum
from tensorlite.ops.shape import astype
from tensorlite.ops.softmax import log_softmax
from tensorlite.tensor import Tensor

__all__ = ["dice_loss", "focal_loss", "sigmoid_focal_loss"]


def _wrong(x, target):
    """The probability that a score gives to what the target is not."""
    return target * s.sigmoid(-x) + (1 - target) * s.sigmoid(x)


def _binary(x, target):
    """The binary cross-entropy of ``sigmoid(x)``, without overflow."""
    return s.maximum(x, 0.0) - x * target + s.log1p(s.exp(-s.abs(x)))


def _focal_error_vjp(g, x, target, gamma):
    wrong = _wrong(x, target)
    steepness = gamma * s.pow(wrong, gamma - 1) * s.sigmoid(x) * s.sigmoid(-x) * (1 - 2 * target)
    less_wrong = s.where(s.equal(wrong, 0), 0, _binary(x, target) * steepness)
    return g * (s.pow(wrong, gamma) * (s.sigmoid(x) - target) + less_wrong)


@elementwise(accepts="real floating", hidden=True, domain={"target": (0.1, 0.9), "gamma": (1.0, 3.0)},
             vjp={"x": _focal_error_vjp})
def focal_error(x, target, gamma):
    """The binary cross-entropy of ``sigmoid(x)`` times how wrong that is to the power ``gamma``."""
    return _binary(x, target) * s.pow(_wrong(x, target), gamma)


def _focused_vjp(g, x, gamma):
    wrong = -s.expm1(-x)
    slope = s.pow(wrong, gamma) + x * gamma * s.pow(wrong, gamma - 1) * (1 - wrong)
    return g * s.where(s.equal(x, 0), s.where(s.equal(gamma, 0), 1, 0), slope)


@elementwise(accepts="real floating", hidden=True, domain={"x": (0.2, 3.0), "gamma": (1.0, 3.0)},
             vjp={"x": _focused_vjp})
def focused(x, gamma):
    """The loss ``x = -log(p)`` times ``(1 - p)**gamma``."""
    return x * s.pow(-s.expm1(-x), gamma)


@functional(autocast="wide")
def sigmoid_focal_loss(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0,
                       reduction: str = "none") -> Tensor:
    """``(1 - p)**gamma`` times the binary cross-entropy of scores, ``p`` the probability that they give the target.

    Targets of 1 count ``alpha``, and those of 0 ``1 - alpha``; a negative ``alpha`` weighs nothing. Lin et al., "Focal
    loss for dense object detection", 2017; as in torchvision. Raises `ShapeError` where shapes differ.

    >>> import tensorlite as tl
    >>> sigmoid_focal_loss(tl.tensor([0.0, 0.0]), tl.tensor([1.0, 0.0]), alpha=-1)
    tensor([0.1733, 0.1733])
    """
    op = "sigmoid_focal_loss"
    if alpha > 1:
        raise complaint(ArgumentError, op, f"alpha must be between 0 and 1, or negative for none, not {alpha}")
    check_same_shape(op, inputs, targets)
    loss = focal_error(inputs, targets, gamma)
    return reduced(op, loss if alpha < 0 else loss * ((1 - alpha) + (2 * alpha - 1) * targets), reduction)


@functional(autocast="wide")
def focal_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, *, gamma: float = 2.0,
               ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """``-(1 - p)**gamma * log(p)``, ``p = softmax(input)[target]``: `cross_entropy` that spares what is easy.

    input: [batch, classes, ...] or [classes]; target: integers [batch, ...]; weight: [classes]. The mean is weighed;
    targets equal to ``ignore_index`` do not count. Lin et al., "Focal loss for dense object detection", 2017. Raises
    `IndexingError` where a target names no class.

    >>> import tensorlite as tl
    >>> focal_loss(tl.tensor([[0.0, 0.0], [0.0, 0.0]]), tl.tensor([0, 1]))
    tensor(0.1733)
    """
    if gamma < 0:
        raise complaint(ArgumentError, "focal_loss", f"gamma must be 0 or more, not {gamma}")
    axis = class_axis("focal_loss", input)
    plain = -_pick_class(log_softmax(input, axis=axis), target, axis=axis, ignore=ignore_index)
    loss = focused(plain, gamma)
    return counted("focal_loss", loss, target, weight, input.shape[axis], ignore_index, reduction)


@functional(autocast="wide")
def dice_loss(input: Tensor, target: Tensor, *, smooth: float = 1e-6, reduction: str = "mean") -> Tensor:
    """One minus how far regions overlap, ``2 * sum(p * t) / (sum(p**2) + sum(t**2))``, for each image and class.

    input: probabilities [batch, classes, ...]; target: the same, or integers [batch, ...] that name classes. ``smooth``
    is added above and below, so that two empty regions overlap wholly. What is reduced is [batch, classes]. Milletari
    et al., "V-Net: fully convolutional neural networks for volumetric medical image segmentation", 2016. Raises
    `ShapeError` where shapes do not fit.

    >>> import tensorlite as tl
    >>> dice_loss(tl.tensor([[[1.0, 1.0, 0.0, 0.0]]]), tl.tensor([[[1.0, 0.0, 0.0, 1.0]]]))
    tensor(0.5)
    """
    if input.ndim < 3:
        raise complaint(ShapeError, "dice_loss", "the input must be [batch, classes, ...]: there is no region to sum "
                        "over", {"input": input})
    if target.ndim == input.ndim - 1 and target.dtype.kind in "iu":
        target = astype(is_class(target, 1, input.shape[1], NOTHING), input.dtype)
    check_same_shape("dice_loss", input, target)
    overlap = 2 * _region(input * target) + smooth
    return reduced("dice_loss", 1 - overlap / (_region(square(input)) + _region(square(target)) + smooth), reduction)


def _region(x: Tensor) -> Tensor:
    """The sums over all axes but those of images and classes."""
    return _sum(x, axis=tuple(range(2, x.ndim)), keepdims=False, dtype=None)
