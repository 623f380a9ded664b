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
from tensorlite.kernels.cpu import allocator, norm_stages, prepared, stages
from tensorlite.kernels.generated import elementwise, norm, reduce
from tensorlite.kernels.norm import is_of_rows

Array = npt.NDArray[Any]
Axes = tuple[int, ...]

_FLOAT32 = np.dtype(np.float32)
_MANY_ROWS = 4  # enough to give every thread some
_LONG_ROW = 65536  # elements


def layer_norm(x: Array, *affine: Array, axes: Axes, eps: float) -> Any:
    """Return ``(x - mean) * r * weight + bias`` over the last axes, the mean, and ``r = 1 / sqrt(var + eps)``."""
    if x.size >= _LONG_ROW and _few_long_rows(x, axes):
        same = all(part.dtype == x.dtype for part in affine)
        return _layer_norm_in_steps(x, affine, axes, eps) if same else NotImplemented
    return norm.LAYER_NORM(x, *affine, axes=axes, eps=eps)


def _layer_norm_in_steps(x: Array, affine: tuple[Array, ...], axes: Axes, eps: float) -> Any:
    """Normalise rows that are too few to share: statistics first, then elements, each divided among the threads."""
    found = moments(x, axes=axes)
    if found is NotImplemented:
        return NotImplemented
    mean, variance = found
    r = np.asarray(1 / np.sqrt(variance + variance.dtype.type(eps)))
    out = normalize(x, mean, r, *affine, axes=axes)
    return out if out is NotImplemented else (out, mean, r)


def rms_norm(x: Array, *weight: Array, axes: Axes, eps: float) -> Any:
    """Return ``x / sqrt(mean(x^2) + eps) * weight`` over the last axes."""
    if not _rows(x, axes) or any(part.dtype != x.dtype for part in weight):
        return NotImplemented
    found = norm.rms_norm(x, weight[0] if weight else None, len(axes), eps)
    return found if found is NotImplemented else found[0]


def rms_norm_backward(g_: Array, x: Array, *, axes: Axes, eps: float) -> Any:
    """Return the cotangent of ``x`` from that of the normalised."""
    if not _rows(x, axes) or g_.dtype != x.dtype or g_.shape != x.shape:
        return NotImplemented
    return norm.rms_norm_from_cotangent(g_, x, len(axes), eps)


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


def normalize_backward(g_: Array, x: Array, mean: Array, r: Array, *weight: Array, axes: Axes) -> Any:
    """Return the cotangent of ``x`` from that of the normalised, or of what that is times a weight."""
    if not _fit(g_, x, mean, r) or any(part.dtype != x.dtype for part in weight):
        return NotImplemented
    if _rows(x, axes) and (not weight or weight[0].shape[-len(axes) :] == x.shape[-len(axes) :]):
        mean, r = (np.ascontiguousarray(part).reshape(-1) for part in (mean, r))
        return norm.cotangent_of_rows(g_, x, mean, r, weight[0] if weight else None, len(axes))
    w = weight[0] if weight else np.ones((1,) * x.ndim, x.dtype)
    found = _sums_of_cells(g_, x, mean, r, w, axes)
    return found if found is NotImplemented else _of_cells(g_, x, mean, r, w, axes, found)


def _sums_of_cells(g: Array, x: Array, mean: Array, r: Array, weight: Array, axes: Axes) -> Any:
    """Return the axes of places that have one mean and one weight, and ``sum g z`` and ``sum g`` over each of these."""
    if weight.ndim != x.ndim:
        return NotImplemented
    cells = tuple(a for a in axes if weight.shape[a] == 1)
    found = _cell_sums(g, x, mean, r, cells)
    return found if found is NotImplemented else (cells, found)


def _of_cells(g: Array, x: Array, mean: Array, r: Array, weight: Array, axes: Axes, found: Any) -> Any:
    """Return the cotangent of ``x``: one map of the elements, with what the sums over cells say."""
    cells, sums = found
    others = tuple(a for a in axes if a not in cells)
    count = mean.dtype.type(prod(x.shape[a] for a in axes))
    w = weight.astype(mean.dtype, copy=False)
    along, across = ((w * part).sum(axis=others, keepdims=True) / count for part in sums)
    parts = (mean, w * r, r * r * along, r * across)
    return elementwise.run(_CELLS[x.itemsize == 2], (g, x, *parts), allocator.empty(x.shape, x.dtype))


def _cell_sums(g: Array, x: Array, mean: Array, r: Array, cells: Axes) -> Any:
    """Return ``sum g z`` and ``sum g`` over axes, which are kept."""
    kept = tuple(1 if a in cells else extent for a, extent in enumerate(x.shape))
    mean, r = (np.ascontiguousarray(np.broadcast_to(part, kept)).reshape(-1) for part in (mean, r))
    found = norm.cell_sums(g, x, mean, r, cells)
    return found if found is NotImplemented else tuple(part.reshape(kept) for part in found)


def normalize_slopes(g_: Array, x: Array, mean: Array, r: Array, weight: Array, *, axes: Axes) -> Any:
    """Return the cotangents of ``x``, of the weight and of the bias of what is normalised and scaled."""
    if not _fit(g_, x, mean, r) or weight.dtype != x.dtype:
        return NotImplemented
    if is_of_rows(x.shape, weight.shape, axes):
        found = _slopes_of_rows(g_, x, mean, r, weight, axes=axes)
        return found if found is not NotImplemented else _slopes_of_few_rows(g_, x, mean, r, weight, axes)
    found = _sums_of_cells(g_, x, mean, r, weight, axes)
    if found is NotImplemented:
        return NotImplemented
    cells, sums = found
    over = tuple(a for a, extent in enumerate(weight.shape) if extent == 1 and a not in cells)
    others = (part.sum(axis=over, keepdims=True).astype(x.dtype, copy=False) for part in sums)
    return (_of_cells(g_, x, mean, r, weight, axes, found), *others)


def _slopes_of_few_rows(g: Array, x: Array, mean: Array, r: Array, weight: Array, axes: Axes) -> Any:
    """The same for rows that are few or long: that of ``x`` first, then the sums over rows."""
    if len(axes) == x.ndim:
        return NotImplemented
    dims, rows = len(axes), x.shape[: x.ndim - len(axes)]
    found = norm.sums_over_rows(g, x, mean.reshape(rows), r.reshape(rows), dims)
    if found is NotImplemented:
        return NotImplemented
    mean, r = (np.ascontiguousarray(part).reshape(-1) for part in (mean, r))
    dx = norm.cotangent_of_rows(g, x, mean, r, weight, dims)
    return (dx, *(part.reshape(weight.shape) for part in found))


def _results(g: Array, x: Array, mean: Array, r: Array, weight: Array, *, axes: Axes) -> list[stages.Array]:
    return [stages.Array.contiguous(x.dtype, shape) for shape in (x.shape, weight.shape, weight.shape)]


_slopes_of_rows = prepared.kernel(norm_stages.plan_normalize_slopes, _results, lambda dtype: 0.0)


def _fit(g: Array, x: Array, mean: Array, r: Array) -> bool:
    wide = _wide(x)
    return g.dtype == x.dtype and g.shape == x.shape and mean.dtype == wide == r.dtype and x.size > 0


KERNELS: dict[str, Callable[..., Any]] = {
    **norm.MAPS,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "rms_norm_backward": rms_norm_backward,
    "moments": moments,
    "normalize": normalize,
    "normalize_backward": normalize_backward,
    "normalize_slopes": normalize_slopes,
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


def _cells(narrow: bool) -> s.Function:
    g, x = (s.cast(s.Var(name), _FLOAT32) if narrow else s.Var(name) for name in "gx")
    value = g * s.Var("scale") - (x - s.Var("mean")) * s.Var("along") - s.Var("across")
    return s.Function(("g", "x", "mean", "scale", "along", "across"), value)


_CELLS = {narrow: _cells(narrow) for narrow in (False, True)}
