"""The ops of normalisation: numbers less their mean, over their deviation, across some axes, then scaled and shifted.

The derivative of ``z = (x - mean) * r`` with ``r = 1 / sqrt(var + eps)`` is the symmetric map
``D(g) = r * (g - mean(g) - z * mean(g * z))`` (Ioffe and Szegedy, "Batch normalization", 2015), an op of its own
here. Where an op is given ``mean`` and ``r``, they are those of its ``x``, known beforehand: its rules are the whole
derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.batch import Attributes, Batch, padded
from tensorlite.declare import elementwise, primitive
from tensorlite.kernels.norm import has_loops
from tensorlite.op import Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.elementwise import rsqrt, square
from tensorlite.ops.joint import jointly
from tensorlite.ops.reduce import NATIVE_ROWS, _mean, _sum, accumulator, count_of, kept_shape
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

Axes = tuple[int, ...]


def _check(x: Any, affine: Sequence[Any]) -> None:
    check_floating(x)
    check_alike(x, **dict(zip(("weight", "bias"), affine, strict=False)))


# --- means and variances ------------------------------------------------------------------------------------------


def _moments_type(x: TensorType, *, axes: Axes) -> tuple[TensorType, TensorType]:
    _check(x, ())
    kept = TensorType(accumulator(x.dtype), kept_shape(x.shape, axes), x.device)
    return kept, kept


def _moments_meaning(x: Tensor, *, axes: Axes) -> tuple[Tensor, Tensor]:
    wide = astype(x, accumulator(x.dtype), copy=False)
    mean = average(wide, axes)
    return mean, average(square(wide - mean), axes)


@primitive("reduce", native_size=NATIVE_ROWS, type=_moments_type, meaning=_moments_meaning,
           samples=[Sample((3, 4), axes=(1,)), Sample((2, 3, 4), axes=(0, 2))])
def _moments(xp: Any, x: Any, *, axes: Axes) -> tuple[Any, Any]:
    """The mean and the variance over axes, which are kept, in a dtype wide enough for sums; without a derivative."""
    _check(x, ())
    x = x.astype(accumulator(x.dtype), copy=False)
    mean, centred = _centred(xp, x, axes)
    return mean, _inner(xp, centred, centred, axes) / x.dtype.type(count_of(x.shape, axes))


def _centred(xp: Any, x: Any, axes: Axes) -> tuple[Any, Any]:
    mean = xp.sum(x, axis=axes, keepdims=True) / x.dtype.type(count_of(x.shape, axes))
    return mean, x - mean


def _inner(xp: Any, a: Any, b: Any, axes: Axes) -> Any:
    """``sum(a * b)`` over axes, which are kept; without the products in memory where the last axes are among them."""
    last = a.ndim
    while last - 1 in axes:
        last -= 1
    if last == a.ndim:
        return xp.sum(a * b, axis=axes, keepdims=True)
    rows = (*a.shape[:last], -1) if a.size else (*a.shape[:last], 0)
    sums = xp.einsum("...i,...i->...", a.reshape(rows), b.reshape(rows)).reshape(*a.shape[:last],
                                                                                 *(1,) * (a.ndim - last))
    return xp.sum(sums, axis=tuple(i for i in axes if i < last), keepdims=True)


def average(x: Tensor, axes: Axes) -> Tensor:
    """The mean over axes, which are kept."""
    return _mean(x, axis=axes, keepdims=True)


def _factor_vjp(g: Tensor, x: Tensor, r: Tensor, axes: Axes) -> Tensor:
    return -g * _factor(x, r, axes=axes) ** 3 * (x - average(x, axes)) * (1 / count_of(x.shape, axes))


# Samples of ops that are given `mean` or `r` are empty: else these would have to be those of `x`, which none can say.
@primitive("reduce", type=lambda x, r, *, axes: r, vjp={"x": _factor_vjp}, meaning=lambda x, r, *, axes: r,
           samples=[Sample((2, 0, 3), (1, 0, 1), axes=(0, 2))])
def _factor(xp: Any, x: Any, r: Any, *, axes: Axes) -> Any:
    """``r`` as a function of ``x``, for derivatives of derivatives."""
    return r.copy()


# --- ops ----------------------------------------------------------------------------------------------------------


def _scaled(x: Any, affine: Sequence[Any]) -> Any:
    """Scales and shifts an array that is ours to write to."""
    if affine:
        x *= affine[0].astype(x.dtype, copy=False)
    if len(affine) > 1:
        x += affine[1].astype(x.dtype, copy=False)
    return x


def _layer_norm_x_vjp(g: tuple[Tensor, ...], x: Tensor, affine: tuple[Tensor, ...], y: tuple[Tensor, ...],
                      axes: Axes) -> Tensor | None:
    _, mean, r = y
    of_out, of_mean, of_r = g
    if affine:
        found = _layer_norm_slope(g, x, affine, 0, y, axes)
    else:
        found = _normalize_backward(of_out, x, mean, r, axes=axes)
    if found is None or {1, 2} <= getattr(g, "missing", frozenset()):
        return found
    return found + astype(of_mean * (1 / count_of(x.shape, axes)) + _factor_vjp(of_r, x, r, axes), x.dtype, copy=False)


def _layer_norm_slope(g: tuple[Tensor, ...], x: Tensor, affine: tuple[Tensor, ...], index: int,
                      y: tuple[Tensor, ...], axes: Axes) -> Tensor | None:
    """The cotangent of ``x``, of the weight or of the bias, which are found together."""
    def compute() -> dict[int, Tensor]:
        dx, *others = _normalize_slopes(g[0], x, *y[1:], _of_rank(affine[0], x.ndim), axes=axes)
        return dict(enumerate((dx, *(_reshape(part, shape=affine[0].shape) for part in others))))
    return jointly(g, index, compute)


def _of_rank(values: Tensor, ndim: int) -> Tensor:
    """Numbers of the last axes, with axes of extent 1 before."""
    return _reshape(values, shape=(1,) * (ndim - values.ndim) + values.shape)


def _layer_norm_type(x: TensorType, *affine: TensorType, axes: Axes, eps: float) -> tuple[TensorType, ...]:
    return x, *_moments_type(x, axes=axes)


def _layer_norm_meaning(x: Tensor, *affine: Tensor, axes: Axes, eps: float) -> tuple[Tensor, ...]:
    wide = astype(x, accumulator(x.dtype), copy=False)
    mean, variance = _moments_meaning(wide, axes=axes)
    r = rsqrt(variance + eps)
    out = (wide - mean) * r
    if affine:
        out = out * astype(affine[0], out.dtype, copy=False)
    if len(affine) > 1:
        out = out + astype(affine[1], out.dtype, copy=False)
    return astype(out, x.dtype, copy=False), mean, r


def affine_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Weights of the batch scale and shift afterwards; the same for all stay with the op."""
    x, *affine = batch.in_front(inputs)
    is_batch = batch.axes[0] is not None
    attributes = {**attributes, "axes": tuple(a + is_batch for a in attributes["axes"])}
    if all(axis is None for axis in batch.axes[1:]):
        found = batch.apply(x, *affine, **attributes)
        return found, 0 if isinstance(found, Tensor) else (0,) * len(found)
    found = batch.apply(x, **attributes)
    out, *others = (found,) if isinstance(found, Tensor) else found
    ready = [w if axis is None else padded(w, x.ndim - is_batch)
             for w, axis in zip(affine, batch.axes[1:], strict=True)]
    out = out * ready[0]
    out = out + ready[1] if len(ready) > 1 else out
    return (out, *others) if others else out, (0, *(0 if is_batch else None for _ in others)) if others else 0


@primitive("reduce", native_size=NATIVE_ROWS, type=_layer_norm_type, meaning=_layer_norm_meaning, batch=affine_batch,
           vjp={"x": _layer_norm_x_vjp, "affine": _layer_norm_slope},
           samples=[Sample((3, 4), axes=(1,), eps=1e-5), Sample((3, 4), (4,), (4,), axes=(1,), eps=1e-5),
                    Sample((2, 3, 4), (3, 4), axes=(1, 2), eps=1e-3)])
def _layer_norm(xp: Any, x: Any, *affine: Any, axes: Axes, eps: float) -> tuple[Any, ...]:
    """``(x - mean) * r * weight + bias`` over the last axes, the mean, and ``r = 1 / sqrt(var + eps)``."""
    _check(x, affine)
    wide = x.astype(accumulator(x.dtype), copy=False)
    mean, out = _centred(xp, wide, axes)
    variance = _inner(xp, out, out, axes) / out.dtype.type(count_of(x.shape, axes))
    r = 1 / xp.sqrt(variance + out.dtype.type(eps))
    out *= r
    return _scaled(out, affine).astype(x.dtype, copy=False), mean, r


def _normalize_x_vjp(g: Tensor, x: Tensor, mean: Tensor, r: Tensor, affine: tuple[Tensor, ...],
                     axes: Axes) -> Tensor | None:
    return _normalize_slope(g, x, mean, r, affine, 0, axes) if affine else _normalize_backward(g, x, mean, r, axes=axes)


def _normalize_slope(g: Tensor, x: Tensor, mean: Tensor, r: Tensor, affine: tuple[Tensor, ...], index: int,
                     axes: Axes) -> Tensor | None:
    """The cotangent of ``x``, of the weight or of the bias, which are found together."""
    return jointly((g,), index, lambda: dict(zip((0, 3, 4), _normalize_slopes(
        g, x, mean, r, affine[0], axes=axes), strict=True)))


def _normalize_meaning(x: Tensor, mean: Tensor, r: Tensor, *affine: Tensor, axes: Axes) -> Tensor:
    scale = r * affine[0] if affine else r
    out = (astype(x, mean.dtype, copy=False) - mean) * scale
    return astype(out + affine[1] if len(affine) > 1 else out, x.dtype, copy=False)


@primitive("reduce", native_size=NATIVE_ROWS, type=lambda x, mean, r, *affine, axes: x, meaning=_normalize_meaning,
           vjp={"x": _normalize_x_vjp, "affine": _normalize_slope},
           samples=[Sample((2, 0, 3), (1, 0, 1), (1, 0, 1), (1, 0, 1), (1, 0, 1), axes=(0, 2))])
def _normalize(xp: Any, x: Any, mean: Any, r: Any, *affine: Any, axes: Axes) -> Any:
    """``(x - mean) * r * weight + bias``, computed as one product and one sum, with numbers of channels or rows."""
    _check(x, affine)
    scale = r * affine[0] if affine else r
    shift = -mean * scale
    if len(affine) > 1:
        shift = shift + affine[1]
    out = x * scale
    out += shift
    return out.astype(x.dtype, copy=False)


def _backward_x_vjp(g: Tensor, g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, weight: tuple[Tensor, ...],
                    axes: Axes) -> Tensor:
    h = g_ * weight[0] if weight else g_
    z, factor = _normalize(x, mean, r, axes=axes), _factor(x, r, axes=axes)
    left, right = average(g * z, axes), average(h * z, axes)
    spread = average(g * h, axes) - average(g, axes) * average(h, axes) - left * right
    direct = _normalize_backward(-factor * (g * right + h * left), x, mean, r, axes=axes)
    return direct - factor * factor * z * spread


def _backward_g_vjp(g: Tensor, x: Tensor, mean: Tensor, r: Tensor, weight: tuple[Tensor, ...], axes: Axes) -> Tensor:
    found = _normalize_backward(g, x, mean, r, axes=axes)
    return found * weight[0] if weight else found


def _backward_weight_vjp(g: Tensor, g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, axes: Axes) -> Tensor:
    return g_ * _normalize_backward(g, x, mean, r, axes=axes)


def _normalize_backward_meaning(g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, *weight: Tensor, axes: Axes) -> Tensor:
    g, z = astype(g_, r.dtype, copy=False), (astype(x, r.dtype, copy=False) - mean) * r
    g = g * astype(weight[0], r.dtype, copy=False) if weight else g
    return astype((g - average(g, axes) - z * average(g * z, axes)) * r, x.dtype, copy=False)


@primitive("reduce", native_size=NATIVE_ROWS, type=lambda g_, x, mean, r, *weight, axes: x,
           meaning=_normalize_backward_meaning,
           vjp={"g_": _backward_g_vjp, "x": _backward_x_vjp, "weight": _backward_weight_vjp},
           samples=[Sample((2, 0, 3), (2, 0, 3), (1, 0, 1), (1, 0, 1), axes=(0, 2)),
                    Sample((2, 0, 3), (2, 0, 3), (1, 0, 1), (1, 0, 1), (1, 0, 1), axes=(0, 2))])
def _normalize_backward(xp: Any, g_: Any, x: Any, mean: Any, r: Any, *weight: Any, axes: Axes) -> Any:
    """``D(g * weight)``: from the cotangent of ``z * weight`` to that of ``x``."""
    count = r.dtype.type(count_of(x.shape, axes))
    g = g_.astype(r.dtype, copy=False)
    if weight:
        g = g * weight[0].astype(r.dtype, copy=False)
    out = x - mean
    out *= r
    out *= -_inner(xp, g, out, axes) / count
    out += g
    out -= xp.sum(g, axis=axes, keepdims=True) / count
    out *= r
    return out.astype(x.dtype, copy=False)


def _summed_over(shape: Sequence[int], wanted: Sequence[int]) -> Axes:
    """The axes to sum over, so that an extent becomes 1 where that is wanted."""
    return tuple(axis for axis, (n, m) in enumerate(zip(shape, wanted, strict=True)) if m == 1 and n != 1)


def _slopes_type(g_: TensorType, x: TensorType, mean: TensorType, r: TensorType, weight: TensorType, *,
                 axes: Axes) -> tuple[TensorType, ...]:
    weights = TensorType(x.dtype, weight.shape, x.device)
    return x, weights, weights


def _cells(x: Any, weight: Any, axes: Axes) -> tuple[Axes, Axes, Axes]:
    """Axes along which places have the same mean and the same weight, with the mean's others, and with the weight's."""
    cells = tuple(a for a in axes if weight.shape[a] == 1)
    others = _summed_over(x.shape, weight.shape)
    return cells, tuple(a for a in axes if a not in cells), tuple(a for a in others if a not in cells)


def _slopes_meaning(g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, weight: Tensor, *,
                    axes: Axes) -> tuple[Tensor, ...] | None:
    if has_loops(x.dtype, x.shape, weight.shape, axes):
        return None
    g, wide, w = (astype(each, r.dtype, copy=False) for each in (g_, x, weight))
    z = (wide - mean) * r
    cells, of_mean, of_weight = _cells(x, weight, axes)
    along, across = _total(g * z, cells), _total(g, cells)
    share = 1 / count_of(x.shape, axes)
    projection, level = (_total(w * part, of_mean) * share for part in (along, across))
    found = ((g * w - level - z * projection) * r, _total(along, of_weight), _total(across, of_weight))
    return tuple(astype(each, x.dtype, copy=False) for each in found)


def _total(x: Tensor, axes: Axes) -> Tensor:
    """The sum over axes, which are kept."""
    return _sum(x, axis=axes, keepdims=True, dtype=None) if axes else x


def _slopes_g_vjp(g: tuple[Tensor, ...], x: Tensor, mean: Tensor, r: Tensor, weight: Tensor, axes: Axes) -> Tensor:
    of_x, of_weight, of_bias = g
    return (_normalize_backward(of_x, x, mean, r, axes=axes) * weight
            + of_weight * _normalize(x, mean, r, axes=axes) + of_bias)


def _slopes_x_vjp(g: tuple[Tensor, ...], g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, weight: Tensor,
                  axes: Axes) -> Tensor:
    return (_backward_x_vjp(g[0], g_, x, mean, r, (weight,), axes)
            + _normalize_backward(g_, x, mean, r, g[1], axes=axes))


@primitive("reduce", native_size=NATIVE_ROWS, type=_slopes_type, meaning=_slopes_meaning,
           vjp={"g_": _slopes_g_vjp, "x": _slopes_x_vjp,
                "weight": lambda g, g_, x, mean, r, axes: _backward_weight_vjp(g[0], g_, x, mean, r, axes)},
           samples=[Sample((2, 0, 3), (2, 0, 3), (1, 0, 1), (1, 0, 1), (1, 0, 1), axes=(0, 2))])
def _normalize_slopes(xp: Any, g_: Any, x: Any, mean: Any, r: Any, weight: Any, *, axes: Axes) -> Any:
    """The cotangents of ``x``, of the weight and of the bias of ``_normalize``, from that of its result."""
    g, w = (part.astype(r.dtype, copy=False) for part in (g_, weight))
    cells, of_mean, of_weight = _cells(x, weight, axes)
    z = (x - mean) * r
    along = _inner(xp, g, z, cells) if cells else g * z
    across = xp.sum(g, axis=cells, keepdims=True) if cells else g
    share = r.dtype.type(1 / count_of(x.shape, axes)) if x.size else r.dtype.type(0)
    projection, level = (xp.sum(w * part, axis=of_mean, keepdims=True) * share for part in (along, across))
    z *= projection
    found = ((g * w - level - z) * r, *(xp.sum(part, axis=of_weight, keepdims=True) for part in (along, across)))
    return tuple(part.astype(x.dtype, copy=False) for part in found)


@elementwise(accepts="real floating", hidden=True)
def scale_shift(x, scale, shift):
    """``x * scale + shift``."""
    return x * scale + shift
