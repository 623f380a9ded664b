"""softmax and log_softmax along one axis, and their derivatives as ops of their own."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.op import OPS, Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.checks import check_floating
from tensorlite.ops.elementwise import exp, log
from tensorlite.ops.reduce import NATIVE_ROWS, _sum, accumulator
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, dtype_of

__all__ = ["log_softmax", "softmax"]

_SAMPLES = (Sample((3, 5), axis=1), Sample((2, 3, 4), axis=1), Sample((4,), axis=0), Sample((0, 3), axis=1),
            Sample((3, 1), axis=1))
_BACKWARD_SAMPLES = tuple(Sample(*sample.inputs * 2, **sample.attributes) for sample in _SAMPLES)


def _type(x: TensorType, *_: TensorType, axis: int) -> TensorType:
    check_floating(x)
    return x


def _shifted(xp: Any, x: Any, axis: int) -> Any:
    """The numbers less the largest along the axis, in a dtype wide enough for sums."""
    check_floating(x)
    wide = x.astype(accumulator(x.dtype), copy=False)
    return wide if not x.size else wide - xp.max(wide, axis=axis, keepdims=True)


def _total(x: Tensor, axis: int) -> Tensor:
    return _sum(x, axis=(axis,), keepdims=True, dtype=None)


def _wide(x: Tensor) -> Tensor:
    return astype(x, accumulator(x.dtype), copy=False)


def _from_largest(x: Tensor, axis: int) -> Tensor:
    return _wide(x) - apply(OPS["max"], _wide(x), axis=(axis,), keepdims=True)


def _softmax_meaning(x: Tensor, *, axis: int) -> Tensor:
    powers = exp(_from_largest(x, axis))
    return astype(powers / _total(powers, axis), x.dtype, copy=False)


def _softmax_backward_meaning(g_: Tensor, y_: Tensor, *, axis: int) -> Tensor:
    g, y = _wide(g_), _wide(y_)
    return astype(y * (g - _total(g * y, axis)), g_.dtype, copy=False)


def _log_softmax_meaning(x: Tensor, *, axis: int) -> Tensor:
    shifted = _from_largest(x, axis)
    return astype(shifted - log(_total(exp(shifted), axis)), x.dtype, copy=False)


def _log_softmax_backward_meaning(g_: Tensor, y_: Tensor, *, axis: int) -> Tensor:
    g = _wide(g_)
    return astype(g - exp(_wide(y_)) * _total(g, axis), g_.dtype, copy=False)


@primitive("reduce", native_size=NATIVE_ROWS, autocast="wide", type=_type, samples=_SAMPLES, meaning=_softmax_meaning,
           vjp={"x": lambda g, y, axis: _softmax_backward(g, y, axis=axis)})
def _softmax(xp: Any, x: Any, *, axis: int) -> Any:
    out = _shifted(xp, x, axis)
    xp.exp(out, out=out)
    out /= xp.sum(out, axis=axis, keepdims=True)
    return out.astype(x.dtype, copy=False)


@primitive("reduce", native_size=NATIVE_ROWS, type=_type, samples=_BACKWARD_SAMPLES,
           meaning=_softmax_backward_meaning, vjp={
    "g_": lambda g, y_, axis: _softmax_backward(g, y_, axis=axis),
    "y_": lambda g, g_, y_, axis: g * (g_ - _total(g_ * y_, axis)) - g_ * _total(g * y_, axis)})
def _softmax_backward(xp: Any, g_: Any, y_: Any, *, axis: int) -> Any:
    """``y * (g - sum(g * y))``."""
    wide = accumulator(g_.dtype)
    g, y = g_.astype(wide, copy=False), y_.astype(wide, copy=False)
    out = g * y
    out -= y * xp.sum(out, axis=axis, keepdims=True)
    return out.astype(g_.dtype, copy=False)


@primitive("reduce", native_size=NATIVE_ROWS, autocast="wide", type=_type, samples=_SAMPLES,
           meaning=_log_softmax_meaning,
           vjp={"x": lambda g, y, axis: _log_softmax_backward(g, y, axis=axis)})
def _log_softmax(xp: Any, x: Any, *, axis: int) -> Any:
    out = _shifted(xp, x, axis)
    out -= xp.log(xp.sum(xp.exp(out), axis=axis, keepdims=True))
    return out.astype(x.dtype, copy=False)


@primitive("reduce", native_size=NATIVE_ROWS, type=_type, samples=_BACKWARD_SAMPLES,
           meaning=_log_softmax_backward_meaning, vjp={
    "g_": lambda g, y_, axis: g - _total(exp(y_) * g, axis),
    "y_": lambda g, g_, y_, axis: -g * exp(y_) * _total(g_, axis)})
def _log_softmax_backward(xp: Any, g_: Any, y_: Any, *, axis: int) -> Any:
    """``g - exp(y) * sum(g)``."""
    wide = accumulator(g_.dtype)
    out = xp.exp(y_.astype(wide, copy=False))
    out *= xp.sum(g_, axis=axis, keepdims=True, dtype=wide)
    return xp.subtract(g_, out, out=out).astype(g_.dtype, copy=False)


def _prepared(op: str, x: Tensor, axis: int, dtype: Any) -> tuple[Tensor, int]:
    """The tensor in the dtype asked for (a 0-dimensional one keeps its shape) and the axis from the front."""
    if dtype is not None:
        x = astype(x, dtype_of(dtype), copy=False)
    return x, one_axis(op, x, axis)


@public
def softmax(x: Tensor, /, axis: int, *, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along an axis, without overflow; ``dtype`` casts first.

    >>> import tensorlite as tl
    >>> tl.softmax(tl.tensor([0.0, 0.0, 1000.0]), axis=0)
    tensor([0., 0., 1.])
    """
    x, axis = _prepared("softmax", x, axis, dtype)
    return _softmax(x, axis=axis)


@public
def log_softmax(x: Tensor, /, axis: int, *, dtype: Any = None) -> Tensor:
    """``x - log(sum(exp(x)))`` along an axis, without overflow; ``dtype`` casts first.

    >>> import tensorlite as tl
    >>> tl.log_softmax(tl.tensor([0.0, 0.0]), axis=0)
    tensor([-0.6931, -0.6931])
    """
    x, axis = _prepared("log_softmax", x, axis, dtype)
    return _log_softmax(x, axis=axis)
