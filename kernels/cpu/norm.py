"""Softmax and normalisations under the names and signatures of ops, by the generated kernels.

An op normalises over ``axes``, which its statistics keep; the kernels know rows (the last axes) and channels (all axes
but the second). The answer ``NotImplemented`` leaves the case to the op's own body.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator
from tensorlite.kernels.generated import elementwise, norm, reduce

Array = npt.NDArray[Any]
Axes = tuple[int, ...]

_FLOAT32 = np.dtype(np.float32)
_MANY_ROWS = 4  # enough to give every thread some
_LONG_ROW = 65536  # elements


def softmax(x: Array, *, axis: int) -> Any:
    """Return ``exp(x) / sum(exp(x))`` along an axis."""
    return norm.softmax(x, axis)


def log_softmax(x: Array, *, axis: int) -> Any:
    """Return ``x - log(sum(exp(x)))`` along an axis."""
    return norm.log_softmax(x, axis)


def softmax_backward(g_: Array, y_: Array, *, axis: int) -> Any:
    """Return ``y * (g - sum(g * y))``."""
    return norm.softmax_backward(g_, y_, axis) if g_.dtype == y_.dtype else NotImplemented


def log_softmax_backward(g_: Array, y_: Array, *, axis: int) -> Any:
    """Return ``g - exp(y) * sum(g)``."""
    return norm.log_softmax_backward(g_, y_, axis) if g_.dtype == y_.dtype else NotImplemented


def layer_norm(x: Array, *affine: Array, axes: Axes, eps: float) -> Any:
    """Return ``(x - mean) / sqrt(var + eps) * weight + bias`` over the last axes."""
    if any(part.dtype != x.dtype for part in affine):
        return NotImplemented
    if _few_long_rows(x, axes):
        return _layer_norm_in_steps(x, affine, axes, eps)
    if not _rows(x, axes):
        return NotImplemented
    weight, bias = (*affine, None, None)[:2]
    found = norm.layer_norm(x, weight, bias, len(axes), eps)
    return found if found is NotImplemented else found[0]


def _layer_norm_in_steps(x: Array, affine: tuple[Array, ...], axes: Axes, eps: float) -> Any:
    """Normalise rows that are too few to share: statistics first, then elements, each divided among the threads."""
    found = moments(x, axes=axes)
    if found is NotImplemented:
        return NotImplemented
    mean, variance = found
    return normalize(x, mean, np.asarray(1 / np.sqrt(variance + variance.dtype.type(eps))), *affine, axes=axes)


def moments(x: Array, *, axes: Axes) -> Any:
    """Return the mean and the variance over axes, which are kept, in float32 at least."""
    if x.dtype.kind == "c" or not x.size:
        return NotImplemented
    if _channels(x, axes):
        found = norm.batch_norm_statistics(x)
        shape = tuple(1 if d in axes else extent for d, extent in enumerate(x.shape))
        return found if found is NotImplemented else tuple(part.reshape(shape) for part in found)
    wide = _wide(x)
    found = tuple(reduce.run(name, x, axes, True, wide) for name in ("mean", "var"))
    return NotImplemented if NotImplemented in map(_refusal, found) else found


def normalize(x: Array, mean: Array, r: Array, *affine: Array, axes: Axes) -> Any:
    """Return ``(x - mean) * r * weight + bias``."""
    wide = _wide(x)
    if x.dtype.kind == "c" or mean.dtype != wide or r.dtype != wide:
        return NotImplemented
    parts = [part.astype(wide, copy=False) for part in affine]
    function = _NORMALIZE[len(parts), wide != x.dtype]
    return elementwise.run(function, (x, mean, r, *parts), allocator.empty(x.shape, x.dtype))


def normalize_backward(g_: Array, x: Array, mean: Array, r: Array, *, axes: Axes) -> Any:
    """Return the cotangent of ``x`` from that of the normalised."""
    wide = _wide(x)
    if g_.dtype != x.dtype or g_.shape != x.shape or mean.dtype != wide or r.dtype != wide:
        return NotImplemented
    mean, r = (np.ascontiguousarray(part).reshape(-1) for part in (mean, r))
    if _rows(x, axes):
        found = norm.layer_norm_backward(g_, x, mean, r, None, len(axes))
    elif _channels(x, axes):
        found = norm.batch_norm_backward(g_, x, mean, r, None)
    else:
        return NotImplemented
    return found if found is NotImplemented else found[0]


KERNELS: dict[str, Callable[..., Any]] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmax_backward": softmax_backward,
    "log_softmax_backward": log_softmax_backward,
    "layer_norm": layer_norm,
    "moments": moments,
    "normalize": normalize,
    "normalize_backward": normalize_backward,
}


def _refusal(found: Any) -> Any:
    return NotImplemented if found is NotImplemented else None


def _rows(x: Array, axes: Axes) -> bool:
    return axes == tuple(range(x.ndim - len(axes), x.ndim)) and len(axes) < x.ndim


def _few_long_rows(x: Array, axes: Axes) -> bool:
    rows = prod(x.shape[: x.ndim - len(axes)])
    return axes == tuple(range(x.ndim - len(axes), x.ndim)) and rows < _MANY_ROWS and x.size >= rows * _LONG_ROW > 0


def _channels(x: Array, axes: Axes) -> bool:
    return x.ndim > 1 and axes == (0, *range(2, x.ndim))


def _wide(x: Array) -> np.dtype[Any]:
    return _FLOAT32 if x.itemsize == 2 else x.dtype


def _normalize(parts: int, narrow: bool) -> s.Function:
    x = s.cast(s.Var("x"), _FLOAT32) if narrow else s.Var("x")
    value = (x - s.Var("mean")) * s.Var("r")
    value = value * s.Var("weight") if parts > 0 else value
    value = value + s.Var("bias") if parts > 1 else value
    return s.Function(("x", "mean", "r", *("weight", "bias")[:parts]), value)


_NORMALIZE = {(parts, narrow): _normalize(parts, narrow) for parts in range(3) for narrow in (False, True)}
