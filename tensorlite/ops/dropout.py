"""Dropout: zeroing elements or whole channels at random, and making up for it."""

from __future__ import annotations

import warnings
from typing import Any

from tensorlite.declare import PUBLIC, elementwise, functional, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.activation import kept as _kept
from tensorlite.ops.elementwise import greater_equal, multiply, where
from tensorlite.ops.rectifiers import SELU_ALPHA, SELU_SCALE
from tensorlite.tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

#: What SELU tends to for very negative numbers.
LOWER_END = -SELU_ALPHA * SELU_SCALE


@elementwise(accepts="real floating", conditions=("kept",), hidden=True,
             vjp={"x": lambda g, kept, scale: s.where(kept, g * scale, 0)})
def keep_scaled(kept, x, scale):
    """``x * scale`` where it is kept, else 0; no cotangent, however large, comes back from elsewhere."""
    return s.where(kept, x * scale, 0)


@public(method=False)
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
            generator: Any = None) -> Tensor:
    """Zeroes each element with probability ``p`` and divides the others by ``1 - p``; nothing unless ``training``.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014. ``inplace`` rebinds
    the input to the result.

    >>> import tensorlite as tl
    >>> tl.dropout(tl.ones(2), p=0.5, training=False)
    tensor([1., 1.])
    """
    _check_probability("dropout", p)
    return _kept(input, _zeroed(input, input.shape, p, training, generator), inplace)


@functional
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: Any = None) -> Tensor:
    """Zeroes whole channels with probability ``p`` and divides the others by ``1 - p``; nothing unless ``training``.

    input: [batch, channels, length], or without the batch. ``inplace`` rebinds the input to the result. Raises
    `ShapeError` for other numbers of axes. Tompson et al., "Efficient object localization using convolutional
    networks", 2015.

    >>> import tensorlite as tl
    >>> dropout1d(tl.ones((2, 3, 5)), p=1.0).sum()
    tensor(0.)
    """
    _check_probability("dropout1d", p)
    if input.ndim not in (2, 3):
        raise complaint(ShapeError, "dropout1d", f"expects 2 or 3 axes, not {input.ndim}", {"input": input})
    return _kept(input, _zeroed(input, _channels(input, 1), p, training, generator), inplace)


@functional
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: Any = None) -> Tensor:
    """Zeroes whole channels with probability ``p`` and divides the others by ``1 - p``; nothing unless ``training``.

    input: [batch, channels, height, width]. The first two axes say what a channel is, of whatever number of axes: three
    are [batch, channels, length], as in PyTorch, and a warning says so for numbers other than 4. Raises `ShapeError`
    for fewer than 2 axes. See `dropout1d`.

    >>> import tensorlite as tl
    >>> dropout2d(tl.ones((2, 3, 5, 5)), p=1.0).sum()
    tensor(0.)
    """
    _check_probability("dropout2d", p)
    if input.ndim != 4:
        warnings.warn(f"dropout2d: {input.ndim} axes, of which the first two are taken for batch and channels: images "
                      "have 4", stacklevel=3)
    return _kept(input, _zeroed(input, _of_channels("dropout2d", input), p, training, generator), inplace)


@functional
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: Any = None) -> Tensor:
    """Zeroes whole channels with probability ``p`` and divides the others by ``1 - p``; nothing unless ``training``.

    input: [batch, channels, depth, height, width], or without the batch; of other numbers of axes, the first two are
    batch and channels, and a warning says so. Raises `ShapeError` for fewer than 2 axes. See `dropout1d`.

    >>> import tensorlite as tl
    >>> dropout3d(tl.ones((2, 3, 2, 2, 2)), p=1.0).sum()
    tensor(0.)
    """
    _check_probability("dropout3d", p)
    if input.ndim not in (4, 5):
        warnings.warn(f"dropout3d: {input.ndim} axes, of which the first two are taken for batch and channels: volumes "
                      "have 4 or 5", stacklevel=3)
    shape = _channels(input, 3) if input.ndim == 4 else _of_channels("dropout3d", input)
    return _kept(input, _zeroed(input, shape, p, training, generator), inplace)


@functional
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False, *,
                  generator: Any = None) -> Tensor:
    """Puts elements to SELU's lower end with probability ``p``, then brings mean and variance back to 0 and 1.

    Nothing unless ``training``. ``inplace`` rebinds the input to the result. Klambauer et al., "Self-normalizing
    neural networks", 2017.

    >>> import tensorlite as tl
    >>> alpha_dropout(tl.ones(2), p=0.5)
    tensor([1., 1.])
    """
    _check_probability("alpha_dropout", p)
    return _kept(input, _lowered(input, input.shape, p, training, generator), inplace)


@functional
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False, *,
                          generator: Any = None) -> Tensor:
    """Puts whole channels to SELU's lower end with probability ``p``; else as `alpha_dropout`.

    input: [batch, channels, ...]. Raises `ShapeError` for fewer than 2 axes.

    >>> import tensorlite as tl
    >>> feature_alpha_dropout(tl.ones((1, 2)), p=0.5)
    tensor([[1., 1.]])
    """
    _check_probability("feature_alpha_dropout", p)
    shape = _of_channels("feature_alpha_dropout", input) if training else ()
    return _kept(input, _lowered(input, shape, p, training, generator), inplace)


def _check_probability(op: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise complaint(ArgumentError, op, f"p must be between 0 and 1, not {p}")


def _channels(x: Tensor, places: int) -> tuple[int, ...]:
    """The shape of a mask of whole channels, whose places take the last axes."""
    return x.shape[:-places] + (1,) * places


def _of_channels(op: str, x: Tensor) -> tuple[int, ...]:
    """The shape of a mask where the first two axes are batch and channels."""
    if x.ndim < 2:
        raise complaint(ShapeError, op, f"batch and channels are two axes, not {x.ndim}", {"input": x})
    return x.shape[:2] + (1,) * (x.ndim - 2)


def _drawn(shape: tuple[int, ...], p: float, generator: Any) -> Tensor:
    """What is kept: True with probability ``1 - p``."""
    return greater_equal(PUBLIC["rand"](shape, generator=generator), p)


def _zeroed(x: Tensor, shape: tuple[int, ...], p: float, training: bool, generator: Any) -> Tensor:
    """The tensor with elements zeroed by a mask of a shape, and the others scaled up."""
    if not training or p == 0.0:
        return x
    return keep_scaled(_drawn(shape, p, generator), x, 1.0 / (1.0 - p) if p < 1.0 else 0.0)


def _lowered(x: Tensor, shape: tuple[int, ...], p: float, training: bool, generator: Any) -> Tensor:
    """The tensor with elements put to SELU's lower end, scaled and moved to mean 0 and variance 1; all dropped, 0."""
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return multiply(x, 0)
    scale = ((LOWER_END * LOWER_END * p + 1) * (1 - p)) ** -0.5
    return where(_drawn(shape, p, generator), x, LOWER_END) * scale - scale * p * LOWER_END
