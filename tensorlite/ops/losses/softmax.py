"""The cross-entropy of scores with class indices, row by row, and its derivative: one pass over a row each.

Of a row ``x`` with largest score ``m`` the loss is ``log(sum(exp(x - m))) - (x[target] - m)``: no large numbers cancel.
The derivative needs ``lse = m + log(sum(exp(x - m)))`` alone, for the probabilities are ``exp(x - lse)`` (Milakov and
Gimelshein, "Online normalizer calculation for softmax", 2018). Far from 0 an ``lse`` is rounded coarsely, so there is
its ``rest`` beside it: what rounding took away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, leading
from tensorlite.declare import primitive
from tensorlite.op import Integers, Sample
from tensorlite.ops.checks import check_floating
from tensorlite.ops.elementwise import exp, where
from tensorlite.ops.losses.targets import check_classes, check_target, counts, is_known_class, known_classes
from tensorlite.ops.reduce import _sum, accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

#: From this many scores on, kernels are used. They take 1 us where NumPy takes 20, but must be planned for each shape,
#: in the time of 10 such calls.
NATIVE_SCORES = 64

Rows = tuple[Tensor, Tensor, Tensor]


def _wide(x: Tensor) -> Tensor:
    return astype(x, accumulator(x.dtype), copy=False)


def _across(rows: Tensor, axis: int) -> Tensor:
    """Numbers of rows, shaped to meet the scores."""
    return _reshape(rows, shape=(*rows.shape[:axis], 1, *rows.shape[axis:]))


def _summed(x: Tensor, axis: int) -> Tensor:
    return _sum(x, axis=(axis,), keepdims=False, dtype=None)


def _powers(x: Tensor, lse: Tensor, rest: Tensor, axis: int) -> Tensor:
    """The probabilities of classes."""
    return exp((_wide(x) - _across(lse, axis)) - _across(rest, axis))


# --- types --------------------------------------------------------------------------------------------------------


def _type(x: TensorType, target: TensorType, *, axis: int, ignore: int) -> tuple[TensorType, TensorType, TensorType]:
    check_floating(x)
    check_target(x, target, axis)
    wide = TensorType(accumulator(x.dtype), target.shape, x.device)
    return TensorType(x.dtype, target.shape, x.device), wide, wide


def _backward_type(g_: TensorType, x: TensorType, target: TensorType, lse: TensorType, rest: TensorType, *, axis: int,
                   ignore: int) -> TensorType:
    check_floating(x)
    return x


# --- meanings -----------------------------------------------------------------------------------------------------


def _backward_meaning(g_: Tensor, x: Tensor, target: Tensor, lse: Tensor, rest: Tensor, *, axis: int,
                      ignore: int) -> Tensor:
    g = _across(where(counts(target, ignore), _wide(g_), 0), axis)
    here = is_known_class(target, axis, x.shape[axis], ignore)
    return astype(_powers(x, lse, rest, axis) * g - where(here, g, 0), x.dtype, copy=False)


# --- derivatives --------------------------------------------------------------------------------------------------


def _x_vjp(g: Rows, y: Rows, x: Tensor, target: Tensor, axis: int, ignore: int) -> Tensor:
    """That of the loss, and of ``lse`` where something depends on it; ``rest`` is 0 but for rounding."""
    found = _softmax_loss_backward(g[0], x, target, *y[1:], axis=axis, ignore=ignore)
    if 1 in getattr(g, "missing", ()):
        return found
    return found + astype(_powers(x, *y[1:], axis) * _across(g[1], axis), x.dtype, copy=False)


def _flow(g: Tensor, g_: Tensor, x: Tensor, target: Tensor, lse: Tensor, rest: Tensor, axis: int,
          ignore: int) -> Tensor:
    """The cotangent of what the powers are taken of."""
    kept = _across(where(counts(target, ignore), _wide(g_), 0), axis)
    return _wide(g) * kept * _powers(x, lse, rest, axis)


def _g_rule(g: Tensor, g_: Tensor, x: Tensor, target: Tensor, lse: Tensor, rest: Tensor, axis: int,
            ignore: int) -> Tensor:
    here = is_known_class(target, axis, x.shape[axis], ignore)
    sums = _summed(_wide(g) * (_powers(x, lse, rest, axis) - astype(here, lse.dtype)), axis)
    return astype(where(counts(target, ignore), sums, 0), g_.dtype, copy=False)


def _x_rule(g: Tensor, g_: Tensor, x: Tensor, target: Tensor, lse: Tensor, rest: Tensor, axis: int,
            ignore: int) -> Tensor:
    return astype(_flow(g, g_, x, target, lse, rest, axis, ignore), x.dtype, copy=False)


def _lse_rule(g: Tensor, g_: Tensor, x: Tensor, target: Tensor, lse: Tensor, rest: Tensor, axis: int,
              ignore: int) -> Tensor:
    return -_summed(_flow(g, g_, x, target, lse, rest, axis, ignore), axis)


_BACKWARD_RULES: dict[str, Callable[..., Tensor]] = {
    "g_": _g_rule, "x": _x_rule, "lse": _lse_rule, "rest": _lse_rule}

# --- ops ----------------------------------------------------------------------------------------------------------

_SAMPLES = ((Sample((4, 3), Integers((4,), 0, 3), axis=1, ignore=-100), (4,)),
            (Sample((2, 3, 4), Integers((2, 4), 0, 3), axis=1, ignore=1), (2, 4)),
            (Sample((3,), Integers((), 0, 3), axis=0, ignore=-100), ()))


@primitive("index", type=_type, batch=leading, samples=[sample for sample, _ in _SAMPLES],
           vjp={"x": _x_vjp}, native_size=NATIVE_SCORES)
def _softmax_loss(xp: Any, x: Any, target: Any, *, axis: int, ignore: int) -> Any:
    """Each row's loss, 0 where the target is ignored; its ``lse``, and the ``rest`` of that."""
    check_floating(x)
    check_target(x, target, axis)
    valid = check_classes(target, x.shape[axis], ignore)
    wide = x.astype(accumulator(x.dtype), copy=False)
    zero, least = wide.dtype.type(0), wide.dtype.type(-math.inf)
    if not x.size:
        nothing = xp.zeros(target.shape, wide.dtype)
        return nothing.astype(x.dtype), nothing + least, nothing
    peak = xp.max(wide, axis=axis)
    peak = xp.where(peak == least, zero, peak)
    total = xp.log(xp.sum(xp.exp(wide - xp.expand_dims(peak, axis)), axis=axis))
    picked = xp.take_along_axis(wide, xp.expand_dims(xp.where(valid, target, 0), axis), axis).reshape(target.shape)
    loss, lse = xp.where(valid, total - (picked - peak), zero), peak + total
    rest = xp.where(xp.isfinite(lse), (peak - lse) + total, zero)
    return loss.astype(x.dtype, copy=False), xp.asarray(lse), xp.asarray(rest)


@primitive("index", type=_backward_type, batch=leading, meaning=_backward_meaning, vjp=_BACKWARD_RULES, samples=[
    Sample(rows, *sample.inputs, rows, rows, **sample.attributes) for sample, rows in _SAMPLES],
           native_size=NATIVE_SCORES)
def _softmax_loss_backward(xp: Any, g_: Any, x: Any, target: Any, lse: Any, rest: Any, *, axis: int,
                           ignore: int) -> Any:
    """``(exp(x - lse) - [class]) * g``, and 0 where the target is ignored; the others were looked at already."""
    valid = target != ignore
    g, lse, rest = (xp.expand_dims(rows, axis) for rows in (
        xp.where(valid, g_.astype(lse.dtype, copy=False), lse.dtype.type(0)), lse, rest))
    out = x - lse
    out -= rest
    xp.exp(out, out=out)
    out *= g
    classes = xp.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    here = classes == xp.expand_dims(xp.where(valid, target, -1), axis)
    return xp.where(here, out - g, out).astype(x.dtype, copy=False)


def _count_type(target: TensorType, *, ignore: int, classes: int, dtype: np.dtype) -> TensorType:
    return TensorType(dtype, (), target.device)


def _count_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Tensor, int]:
    """One count for each element of the batch."""
    ignore, classes, dtype = (attributes[name] for name in ("ignore", "classes", "dtype"))
    target = known_classes(*batch.in_front(inputs), ignore=ignore, classes=classes)
    kept = astype(counts(target, ignore), dtype)
    axes = tuple(range(1, kept.ndim))
    return (_sum(kept, axis=axes, keepdims=False, dtype=None) if axes else kept), 0


@primitive("index", type=_count_type, batch=_count_batch, native_size=1, samples=[  # NumPy takes 5 us, a kernel 1
    Sample(Integers((4,), 0, 3), ignore=1, classes=3, dtype=np.dtype(np.float32))])
def _count_classes(xp: Any, target: Any, *, ignore: int, classes: int, dtype: np.dtype) -> Any:
    """How many targets name a class and are not ignored."""
    return xp.asarray(xp.count_nonzero(check_classes(target, classes, ignore)), dtype)
