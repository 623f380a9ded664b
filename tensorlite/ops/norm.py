"""Normalisation: numbers less their mean, over their deviation, across some axes, then scaled and shifted.

The derivative of ``z = (x - mean) * r`` with ``r = 1 / sqrt(var + eps)`` is the symmetric map
``D(g) = r * (g - mean(g) - z * mean(g * z))`` (Ioffe and Szegedy, "Batch normalization", 2015), an op of its own
here. Where an op is given ``mean`` and ``r``, they are those of its ``x``, known beforehand: its rules are the whole
derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.batch import Attributes, Batch, padded
from tensorlite.declare import elementwise, primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.elementwise import rsqrt, square
from tensorlite.ops.reduce import _mean, accumulator, count_of, kept_shape
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

__all__ = ["batch_norm", "layer_norm"]

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
    mean = _average(wide, axes)
    return mean, _average(square(wide - mean), axes)


@primitive("reduce", autocast="wide", type=_moments_type, meaning=_moments_meaning,
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


def _known(x: Tensor, axes: Axes, eps: float) -> tuple[Tensor, Tensor]:
    """The mean and ``r`` of a tensor."""
    mean, variance = _moments(x.detach(), axes=axes)
    return mean, rsqrt(variance + eps)


def _average(x: Tensor, axes: Axes) -> Tensor:
    return _mean(x, axis=axes, keepdims=True)


def _factor_vjp(g: Tensor, x: Tensor, r: Tensor, axes: Axes) -> Tensor:
    return -g * _factor(x, r, axes=axes) ** 3 * (x - _average(x, axes)) * (1 / count_of(x.shape, axes))


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


def _layer_norm_x_vjp(g: Tensor, x: Tensor, affine: tuple[Tensor, ...], axes: Axes, eps: float) -> Tensor:
    return _normalize_backward(g * affine[0] if affine else g, x, *_known(x, axes, eps), axes=axes)


def _layer_norm_affine_vjp(g: Tensor, x: Tensor, index: int, axes: Axes, eps: float) -> Tensor:
    return g * _normalize(x, *_known(x, axes, eps), axes=axes) if index == 1 else g


def _layer_norm_meaning(x: Tensor, *affine: Tensor, axes: Axes, eps: float) -> Tensor:
    wide = astype(x, accumulator(x.dtype), copy=False)
    mean, variance = _moments_meaning(wide, axes=axes)
    out = (wide - mean) * rsqrt(variance + eps)
    if affine:
        out = out * astype(affine[0], out.dtype, copy=False)
    if len(affine) > 1:
        out = out + astype(affine[1], out.dtype, copy=False)
    return astype(out, x.dtype, copy=False)


def _layer_norm_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Weights of the batch scale and shift afterwards; the same for all stay with the op."""
    x, *affine = batch.in_front(inputs)
    is_batch = batch.axes[0] is not None
    axes = tuple(a + is_batch for a in attributes["axes"])
    if all(axis is None for axis in batch.axes[1:]):
        return batch.apply(x, *affine, axes=axes, eps=attributes["eps"]), 0
    out = batch.apply(x, axes=axes, eps=attributes["eps"])
    ready = [w if axis is None else padded(w, x.ndim - is_batch)
             for w, axis in zip(affine, batch.axes[1:], strict=True)]
    out = out * ready[0]
    return (out + ready[1] if len(ready) > 1 else out), 0


@primitive("reduce", autocast="wide",
           type=lambda x, *affine, axes, eps: x, meaning=_layer_norm_meaning, batch=_layer_norm_batch,
           vjp={"x": _layer_norm_x_vjp, "affine": _layer_norm_affine_vjp},
           samples=[Sample((3, 4), axes=(1,), eps=1e-5), Sample((3, 4), (4,), (4,), axes=(1,), eps=1e-5),
                    Sample((2, 3, 4), (3, 4), axes=(1, 2), eps=1e-3)])
def _layer_norm(xp: Any, x: Any, *affine: Any, axes: Axes, eps: float) -> Any:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last axes."""
    _check(x, affine)
    wide = x.astype(accumulator(x.dtype), copy=False)
    out = _centred(xp, wide, axes)[1]
    variance = _inner(xp, out, out, axes) / out.dtype.type(count_of(x.shape, axes))
    out /= xp.sqrt(variance + out.dtype.type(eps))
    return _scaled(out, affine).astype(x.dtype, copy=False)


def _normalize_x_vjp(g: Tensor, x: Tensor, mean: Tensor, r: Tensor, affine: tuple[Tensor, ...], axes: Axes) -> Tensor:
    return _normalize_backward(g * affine[0] if affine else g, x, mean, r, axes=axes)


def _normalize_affine_vjp(g: Tensor, x: Tensor, mean: Tensor, r: Tensor, index: int, axes: Axes) -> Tensor:
    return g * _normalize(x, mean, r, axes=axes) if index == 3 else g


def _normalize_meaning(x: Tensor, mean: Tensor, r: Tensor, *affine: Tensor, axes: Axes) -> Tensor:
    scale = r * affine[0] if affine else r
    out = (astype(x, mean.dtype, copy=False) - mean) * scale
    return astype(out + affine[1] if len(affine) > 1 else out, x.dtype, copy=False)


@primitive("reduce", autocast="wide", type=lambda x, mean, r, *affine, axes: x, meaning=_normalize_meaning,
           vjp={"x": _normalize_x_vjp, "affine": _normalize_affine_vjp},
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


def _backward_x_vjp(g: Tensor, g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, axes: Axes) -> Tensor:
    z, factor = _normalize(x, mean, r, axes=axes), _factor(x, r, axes=axes)
    left, right = _average(g * z, axes), _average(g_ * z, axes)
    spread = _average(g * g_, axes) - _average(g, axes) * _average(g_, axes) - left * right
    direct = _normalize_backward(-factor * (g * right + g_ * left), x, mean, r, axes=axes)
    return direct - factor * factor * z * spread


def _backward_g_vjp(g: Tensor, x: Tensor, mean: Tensor, r: Tensor, axes: Axes) -> Tensor:
    return _normalize_backward(g, x, mean, r, axes=axes)


def _normalize_backward_meaning(g_: Tensor, x: Tensor, mean: Tensor, r: Tensor, *, axes: Axes) -> Tensor:
    g, z = astype(g_, r.dtype, copy=False), (astype(x, r.dtype, copy=False) - mean) * r
    return astype((g - _average(g, axes) - z * _average(g * z, axes)) * r, x.dtype, copy=False)


@primitive("reduce", type=lambda g_, x, mean, r, *, axes: x, meaning=_normalize_backward_meaning,
           vjp={"g_": _backward_g_vjp, "x": _backward_x_vjp},
           samples=[Sample((2, 0, 3), (2, 0, 3), (1, 0, 1), (1, 0, 1), axes=(0, 2))])
def _normalize_backward(xp: Any, g_: Any, x: Any, mean: Any, r: Any, *, axes: Axes) -> Any:
    """The map ``D``: from the cotangent of ``z`` to that of ``x``."""
    count = r.dtype.type(count_of(x.shape, axes))
    g = g_.astype(r.dtype, copy=False)
    out = x - mean
    out *= r
    out *= -_inner(xp, g, out, axes) / count
    out += g
    out -= xp.sum(g, axis=axes, keepdims=True) / count
    out *= r
    return out.astype(x.dtype, copy=False)


@elementwise(accepts="real floating", hidden=True)
def scale_shift(x, scale, shift):
    """``x * scale + shift``."""
    return x * scale + shift


# --- what users call ----------------------------------------------------------------------------------------------


@public(method=False)
def layer_norm(input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the moments of the last axes, the ``normalized_shape``.

    Ba et al., "Layer normalization", 2016. weight and bias have ``normalized_shape`` too. Raises `ShapeError` where
    the input does not end in it.

    >>> import tensorlite as tl
    >>> tl.layer_norm(tl.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    named = {"input": input, "weight": weight, "bias": bias}
    if not shape or input.shape[-len(shape):] != shape:
        raise complaint(ShapeError, "layer_norm", f"the input must end in the normalized shape {list(shape)}",
                        {"input": input})
    for name in ("weight", "bias"):
        if named[name] is not None and named[name].shape != shape:  # type: ignore[union-attr]
            raise complaint(ShapeError, "layer_norm", f"{name} must have the normalized shape {list(shape)}",
                            {k: v for k, v in named.items() if v is not None})
    axes = tuple(range(input.ndim - len(shape), input.ndim))
    if weight is None:
        result = _layer_norm(input, axes=axes, eps=eps)
        return result if bias is None else result + bias
    return _layer_norm(input, weight, *(() if bias is None else (bias,)), axes=axes, eps=eps)


def _per_channel(x: Tensor, values: Tensor) -> Tensor:
    """Numbers of channels, shaped to meet a batch."""
    return _reshape(values, shape=(1, values.size, *(1,) * (x.ndim - 2))) if x.ndim > 2 else values


def _check_channels(x: Tensor, **named: Tensor | None) -> None:
    if x.ndim < 2:
        raise complaint(ShapeError, "batch_norm", "the input must be [batch, channels, ...]", {"input": x})
    for name, values in named.items():
        if values is not None and values.shape != (x.shape[1],):
            raise complaint(ShapeError, "batch_norm",
                            f"{name} must have shape [{x.shape[1]}], one number for each channel",
                            {"input": x, name: values})
        if name in ("weight", "bias") and values is not None and values.dtype != x.dtype:
            raise complaint(DTypeError, "batch_norm", f"input is {x.dtype.name}, {name} is {values.dtype.name}",
                            {"input": x, name: values}, f"cast one: input.to(tl.{values.dtype.name})")


def _update(running: Tensor, now: Tensor, momentum: float) -> None:
    """Moves a running statistic towards the present one."""
    now = astype(_reshape(now, shape=running.shape), running.dtype, copy=False)
    running.copy_(running * (1 - momentum) + now * momentum)


@public(method=False)
def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
               bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` for each channel.

    Ioffe and Szegedy, "Batch normalization", 2015. input: [batch, channels, ...]; the others: [channels]. With
    ``training`` the moments are the batch's, and the running ones, where given, move towards them by ``momentum``
    (the variance unbiased); else the running ones are used.

    >>> import tensorlite as tl
    >>> tl.batch_norm(tl.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    _check_channels(input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        return _with_running(input, running_mean, running_var, weight, bias, eps)
    axes = (0, *range(2, input.ndim))
    count = count_of(input.shape, axes)
    if count <= 1:
        raise complaint(ShapeError, "batch_norm", "training needs more than one value for each channel",
                        {"input": input},
                        "use a larger batch, or eval()")
    mean, variance = _moments(input.detach(), axes=axes)
    if running_mean is not None:
        _update(running_mean, mean, momentum)
    if running_var is not None:
        _update(running_var, variance * (count / (count - 1)), momentum)
    affine = () if weight is None else (_per_channel(input, weight),)
    if weight is not None and bias is not None:
        affine = (*affine, _per_channel(input, bias))
    result = _normalize(input, mean, rsqrt(variance + eps), *affine, axes=axes)
    return result + _per_channel(input, bias) if weight is None and bias is not None else result


def _with_running(x: Tensor, mean: Tensor | None, variance: Tensor | None, weight: Tensor | None, bias: Tensor | None,
                  eps: float) -> Tensor:
    if mean is None or variance is None:
        raise complaint(ArgumentError, "batch_norm", "evaluation needs running_mean and running_var", {"input": x},
                        "pass training=True to use the batch's own")
    scale = rsqrt(variance.detach() + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean.detach() * scale
    shift = shift if bias is None else shift + bias
    return scale_shift(x, _per_channel(x, scale), _per_channel(x, shift))
