"""Normalisation by the root of the mean square: ``z = x * r`` with ``r = 1 / sqrt(mean(x**2) + eps)``.

The derivative of ``z`` is the symmetric map ``D(g) = r * (g - z * mean(g * z))``, an op of its own here. That of
``mean(h * D(g))`` by ``x`` is ``r**2 * (z * (3 * a * b - mean(g * h)) - b * g - a * h)`` with ``a = mean(g * z)`` and
``b = mean(h * z)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import functional, primitive
from tensorlite.op import Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.elementwise import rsqrt, square
from tensorlite.ops.norms.norm import last_axes
from tensorlite.ops.norms.ops import Axes, affine_batch, average
from tensorlite.ops.reduce import NATIVE_ROWS, accumulator, count_of
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["rms_norm"]

#: By dtype that is computed in, the distance from 1 to the next number.
_EPSILONS = {np.dtype(dtype): float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64)}


def _wide(x: Tensor) -> Tensor:
    return astype(x, accumulator(x.dtype), copy=False)


def _factor(x: Tensor, axes: Axes, eps: float) -> Tensor:
    """``r`` of a tensor that is wide enough for sums."""
    return rsqrt(average(square(x), axes) + eps)


def _meaning(x: Tensor, *weight: Tensor, axes: Axes, eps: float) -> Tensor:
    wide = _wide(x)
    out = wide * _factor(wide, axes, eps)
    return astype(out * _wide(weight[0]) if weight else out, x.dtype, copy=False)


def _x_vjp(g: Tensor, x: Tensor, weight: tuple[Tensor, ...], axes: Axes, eps: float) -> Tensor:
    return _rms_norm_backward(g * weight[0] if weight else g, x, axes=axes, eps=eps)


def _mean_of(xp: Any, x: Any, axes: Axes) -> Any:
    return xp.sum(x, axis=axes, keepdims=True) / x.dtype.type(count_of(x.shape, axes))


def _factor_of(xp: Any, x: Any, axes: Axes, eps: float) -> Any:
    """``r`` of an array that is wide enough for sums."""
    return 1 / xp.sqrt(_mean_of(xp, x * x, axes) + x.dtype.type(eps))


@primitive("reduce", native_size=NATIVE_ROWS, type=lambda x, *weight, axes, eps: x, meaning=_meaning,
           batch=affine_batch,
           vjp={"x": _x_vjp, "weight": lambda g, x, axes, eps: g * _rms_norm(x, axes=axes, eps=eps)},
           samples=[Sample((3, 4), axes=(1,), eps=1e-5), Sample((2, 3, 4), (3, 4), axes=(1, 2), eps=1e-3)])
def _rms_norm(xp: Any, x: Any, *weight: Any, axes: Axes, eps: float) -> Any:
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last axes."""
    check_floating(x)
    check_alike(x, **({"weight": weight[0]} if weight else {}))
    wide = x.astype(accumulator(x.dtype), copy=False)
    out = wide * _factor_of(xp, wide, axes, eps)
    if weight:
        out *= weight[0].astype(out.dtype, copy=False)
    return out.astype(x.dtype, copy=False)


def _backward_meaning(g_: Tensor, x: Tensor, *, axes: Axes, eps: float) -> Tensor:
    g, wide = _wide(g_), _wide(x)
    r = _factor(wide, axes, eps)
    z = wide * r
    return astype((g - z * average(g * z, axes)) * r, x.dtype, copy=False)


def _backward_x_vjp(g: Tensor, g_: Tensor, x: Tensor, axes: Axes, eps: float) -> Tensor:
    r = _factor(x, axes, eps)
    z = x * r
    a, b = average(g_ * z, axes), average(g * z, axes)
    return square(r) * (z * (3 * a * b - average(g_ * g, axes)) - b * g_ - a * g)


@primitive("reduce", native_size=NATIVE_ROWS, type=lambda g_, x, *, axes, eps: x, meaning=_backward_meaning,
           vjp={"g_": lambda g, x, axes, eps: _rms_norm_backward(g, x, axes=axes, eps=eps), "x": _backward_x_vjp},
           samples=[Sample((3, 4), (3, 4), axes=(1,), eps=1e-5),
                    Sample((2, 3, 4), (2, 3, 4), axes=(1, 2), eps=1e-3)])
def _rms_norm_backward(xp: Any, g_: Any, x: Any, *, axes: Axes, eps: float) -> Any:
    """The map ``D``: from the cotangent of ``z`` to that of ``x``."""
    check_floating(x)
    wide = x.astype(accumulator(x.dtype), copy=False)
    g = g_.astype(wide.dtype, copy=False)
    r = _factor_of(xp, wide, axes, eps)
    z = wide * r
    return ((g - z * _mean_of(xp, g * z, axes)) * r).astype(x.dtype, copy=False)


@functional(autocast="wide")
def rms_norm(input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
             eps: float | None = None) -> Tensor:
    """``x / sqrt(mean(x**2) + eps) * weight``, with the mean over the last axes, the ``normalized_shape``.

    Zhang and Sennrich, "Root mean square layer normalization", 2019. weight has ``normalized_shape`` too; ``eps`` is
    by default the distance from 1 to the next number of the dtype that is computed in, float32 or wider. Raises
    `ShapeError` where the input does not end in the shape.

    >>> import tensorlite as tl
    >>> rms_norm(tl.tensor([[1.0, -1.0, 1.0, 1.0]]), (4,), eps=0.0)
    tensor([[ 1., -1.,  1.,  1.]])
    """
    axes = last_axes("rms_norm", input, normalized_shape, weight=weight)
    if input.dtype.kind == "c":  # the mean is of squares, not of magnitudes, as PyTorch has it
        if eps is None:
            eps = float(np.finfo(input.dtype).eps)
        out = input * _factor(input, axes, eps)
        return out if weight is None else out * weight
    if eps is None:
        eps = _EPSILONS.get(accumulator(input.dtype), 0.0)
    return _rms_norm(input, *(() if weight is None else (weight,)), axes=axes, eps=eps)
