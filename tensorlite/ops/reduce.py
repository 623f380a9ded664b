"""Sums and averages over axes: sum, mean, var, std, logsumexp.

`float16` and `bfloat16` are summed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import elementwise, primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.op import OPS, Sample
from tensorlite.ops.axes import reduced_shape, some_axes
from tensorlite.ops.elementwise import equal, exp, isfinite, isinf, log, square, where
from tensorlite.ops.shape import _broadcast_to, _reshape, astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import (
    DEFAULT_FLOAT,
    GROUPS,
    TensorType,
    bfloat16,
    dtype_of,
    float16,
    float32,
    float64,
    sum_dtype,
)

#: From so many elements on a kernel beats the dozen steps that NumPy takes for rows: 4 to 8 us to 6 to 20 (measured).
NATIVE_ROWS = 64

Axis = int | Sequence[int] | None


def kept_shape(shape: Sequence[int], axis: Sequence[int]) -> tuple[int, ...]:
    """The shape of a reduction that keeps its axes."""
    return reduced_shape(shape, axis, True)


def spread(g: Tensor, x_shape: tuple[int, ...], axis: tuple[int, ...]) -> Tensor:
    """Repeats a reduction's result or cotangent over the reduced axes."""
    return _broadcast_to(_reshape(g, shape=kept_shape(x_shape, axis)), shape=x_shape)


def count_of(shape: Sequence[int], axis: Sequence[int]) -> int:
    """How many elements are reduced to one."""
    count = 1
    for a in axis:
        count *= shape[a]
    return count


def reduce_type(x: TensorType, *, axis: tuple[int, ...], keepdims: bool, **_: Any) -> TensorType:
    """The type of a reduction that keeps the dtype."""
    return retype(x, reduced_shape(x.shape, axis, keepdims))


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype that sums of a dtype are kept in: at least float32."""
    return _ACCUMULATORS.get(dtype, dtype)


_ACCUMULATORS = {float16: float32, bfloat16: float32}


def samples_with(samples: Sequence[Sample], **attributes: Any) -> tuple[Sample, ...]:
    """The same samples with more attributes."""
    return tuple(Sample(*sample.inputs, **{**sample.attributes, **attributes}) for sample in samples)


REDUCE_SAMPLES = (Sample((2, 3, 4), axis=(1,), keepdims=False), Sample((2, 3, 4), axis=(0, 2), keepdims=True),
                  Sample((3, 4), axis=(0, 1), keepdims=False), Sample((5,), axis=(0,), keepdims=True),
                  Sample((), axis=(), keepdims=False))


# --- sum ----------------------------------------------------------------------------------------------------------


@primitive("reduce", autocast="wide",
           type=lambda x, *, axis, keepdims, dtype: retype(x, reduced_shape(x.shape, axis, keepdims), dtype),
           samples=(*samples_with(REDUCE_SAMPLES, dtype=None), Sample((0, 3), axis=(0,), keepdims=False, dtype=None)),
           vjp={"x": lambda g, x_shape, axis: spread(g, x_shape, axis)})
def _sum(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool, dtype: np.dtype | None) -> Any:
    dtype = dtype or x.dtype
    return x.sum(axis=axis, keepdims=keepdims, dtype=accumulator(dtype)).astype(dtype, copy=False)


@public
def sum(x: Tensor, /, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The sum over one, several or all axes; integers are summed in 64 bits.

    >>> import tensorlite as tl
    >>> tl.sum(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    wanted: np.dtype = sum_dtype(x.dtype) if dtype is None else dtype_of(dtype)
    return _sum(x, axis=some_axes("sum", x, axis), keepdims=bool(keepdims), dtype=wanted)


# --- mean, var and std --------------------------------------------------------------------------------------------


@primitive("reduce", type=reduce_type, samples=REDUCE_SAMPLES,
           vjp={"x": lambda g, x_shape, axis: spread(g * (1 / (count_of(x_shape, axis) or 1)), x_shape, axis)})
def _mean(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    total = x.sum(axis=axis, keepdims=keepdims, dtype=accumulator(x.dtype))
    return xp.divide(total, total.dtype.type(count_of(x.shape, axis))).astype(x.dtype, copy=False)


def averaged(op: str, x: Tensor, accepts: str) -> Tensor:
    """What an average is taken of: floats as they are, integers and bools as float64."""
    if x.dtype.kind in "biu":
        return astype(x, float64)
    if x.dtype not in GROUPS[accepts]:
        raise complaint(DTypeError, op, f"takes {accepts} dtypes, not {x.dtype.name}", {"x": x})
    return x


@public
def mean(x: Tensor, /, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """The arithmetic mean over one, several or all axes; of integers, as float32; NaN of no elements.

    ``dtype`` is what ``x`` is cast to first.

    >>> import tensorlite as tl
    >>> tl.mean(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    tensor([1.5, 3.5])
    """
    if dtype is not None and dtype_of(dtype) not in GROUPS["floating"]:
        raise complaint(DTypeError, "mean", f"dtype must be floating or complex, not {dtype_of(dtype).name}", {"x": x})
    x = x if dtype is None else astype(x, dtype_of(dtype), copy=False)
    result = _mean(averaged("mean", x, "floating"), axis=some_axes("mean", x, axis), keepdims=bool(keepdims))
    return result if x.dtype == result.dtype else astype(result, DEFAULT_FLOAT)


def _divisor(shape: Sequence[int], axis: Sequence[int], correction: float) -> float:
    """What the squares' sum is divided by; NaN where the correction leaves no degree of freedom."""
    freedom = count_of(shape, axis) - correction
    return freedom if freedom > 0 else float("nan")


def _variance(op: str, x: Tensor, axis: Axis, keepdims: bool, correction: float) -> Tensor:
    if x.dtype.kind == "c":  # squared distances from the mean are those of both parts
        real, imag = (_variance(op, apply(OPS[part], x), axis, keepdims, correction) for part in ("real", "imag"))
        return apply(OPS["add"], real, imag)
    axes = some_axes(op, x, axis)
    if count_of(x.shape, axes) <= correction:
        correction = float("nan")  # so that kernels need not know what the standard says of this case
    return _var(averaged(op, x, "real floating"), axis=axes, keepdims=bool(keepdims), correction=float(correction))


def _var_vjp(g: Tensor, x: Tensor, axis: tuple[int, ...], correction: float) -> Tensor:
    weight = spread(g * (2 / _divisor(x.shape, axis, correction)), x.shape, axis)
    return weight * (x - _mean(x, axis=axis, keepdims=True))


def _var_meaning(x: Tensor, *, axis: tuple[int, ...], keepdims: bool, correction: float) -> Tensor:
    wide = astype(x, accumulator(x.dtype), copy=False)
    squares = square(wide - _mean(wide, axis=axis, keepdims=True))
    total = _sum(squares, axis=axis, keepdims=keepdims, dtype=None)
    return astype(total / _divisor(x.shape, axis, correction), x.dtype, copy=False)


@primitive("reduce", autocast="wide", type=reduce_type, vjp={"x": _var_vjp}, meaning=_var_meaning,
           samples=(*samples_with(REDUCE_SAMPLES[:4], correction=0.0),
                    Sample((5, 2), axis=(0,), keepdims=True, correction=1.0)))
def _var(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool, correction: float) -> Any:
    wide = x.astype(accumulator(x.dtype), copy=False)
    count = wide.dtype.type(count_of(x.shape, axis))
    centred = wide - xp.divide(wide.sum(axis=axis, keepdims=True), count)
    squares = (centred * centred).sum(axis=axis, keepdims=keepdims)
    return xp.divide(squares, wide.dtype.type(_divisor(x.shape, axis, correction))).astype(x.dtype, copy=False)


#: Corrections that nobody gave: these objects, and not others of the same value.
NO_CORRECTION, ONE_LESS = 0.0, 1.0


def corrected(op: str, x: Tensor, axis: Axis, correction: float, unbiased: bool | None,
              default: float) -> tuple[Axis, float]:
    """The axes and the correction; PyTorch's older spelling of that is ``unbiased``, by place in place of axes too."""
    if isinstance(axis, bool) and unbiased is None:
        axis, unbiased = None, axis
    if unbiased is None:
        return axis, correction
    if correction is not default:
        raise complaint(ArgumentError, op, "unbiased and correction say the same thing: both were given",
                        {"x": x, "unbiased": unbiased, "correction": correction}, "use correction alone")
    if not isinstance(unbiased, bool):
        raise complaint(DTypeError, op, f"unbiased must be a bool, not {type(unbiased).__name__}", {"x": x},
                        "use correction for numbers")
    return axis, float(unbiased)


@public
def var(x: Tensor, /, axis: Axis = None, keepdims: bool = False, *, correction: float = NO_CORRECTION,
        unbiased: bool | None = None) -> Tensor:
    """The variance ``sum((x - mean(x))**2) / (n - correction)`` over one, several or all axes.

    ``correction`` is 0 unless given; 1 gives the unbiased estimate, and so does ``unbiased=True``. NaN where
    ``n <= correction``. Complex numbers vary by
    ``|x - mean(x)|``.

    >>> import tensorlite as tl
    >>> tl.var(tl.tensor([1.0, 2.0, 3.0, 4.0]), correction=1).item()
    1.6666666269302368
    """
    axis, freedom = corrected("var", x, axis, correction, unbiased, NO_CORRECTION)
    result = _variance("var", x, axis, keepdims, freedom)
    return astype(result, DEFAULT_FLOAT) if x.dtype.kind in "biu" else result


@elementwise(accepts="real floating", hidden=True, domain={"x": (0.1, 4.0)},
             vjp={"x": lambda g, y: s.where(s.equal(y, 0), 0, g / (2 * y))})
def deviation(x):
    """The square root of a variance; the derivative at 0 is 0, as of a constant."""
    return s.sqrt(x)


@public
def std(x: Tensor, /, axis: Axis = None, keepdims: bool = False, *, correction: float = NO_CORRECTION,
        unbiased: bool | None = None) -> Tensor:
    """The standard deviation, the square root of `var`; its derivative where that is 0 is 0.

    >>> import tensorlite as tl
    >>> tl.std(tl.tensor([1.0, 3.0]))
    tensor(1.)
    """
    axis, freedom = corrected("std", x, axis, correction, unbiased, NO_CORRECTION)
    result = deviation(_variance("std", x, axis, keepdims, freedom))
    return astype(result, DEFAULT_FLOAT) if x.dtype.kind in "biu" else result


# --- logsumexp ----------------------------------------------------------------------------------------------------


def _logsumexp_vjp(g: Tensor, x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Tensor:
    total = spread(y, x.shape, axis)
    share = where(isinf(total), astype(equal(x, total), x.dtype), exp(x - total))
    return spread(g, x.shape, axis) * share


def _logsumexp_meaning(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    wide = astype(x, accumulator(x.dtype), copy=False)
    peak = apply(OPS["max"], wide, axis=axis, keepdims=True)
    top = where(isfinite(peak), peak, 0.0)
    found = log(_sum(exp(wide - top), axis=axis, keepdims=True, dtype=None)) + top
    return astype(_reshape(found, shape=reduced_shape(x.shape, axis, keepdims)), x.dtype, copy=False)


@primitive("reduce", autocast="wide",
           type=reduce_type, vjp={"x": _logsumexp_vjp}, meaning=_logsumexp_meaning, samples=REDUCE_SAMPLES)
def _logsumexp(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    shape = reduced_shape(x.shape, axis, keepdims)
    if not x.size:
        return xp.full(shape, -np.inf, x.dtype)
    wide = x.astype(accumulator(x.dtype), copy=False)
    top = wide.max(axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, wide.dtype.type(0))
    total = xp.exp(wide - top).sum(axis=axis, keepdims=True)
    return (xp.log(total) + top).reshape(shape).astype(x.dtype, copy=False)


@public
def logsumexp(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over one, several or all axes, without overflow; -inf of no elements.

    >>> import tensorlite as tl
    >>> tl.logsumexp(tl.tensor([1000.0, 1000.0]))
    tensor(1000.6932)
    """
    axes = some_axes("logsumexp", x, axis)
    if x.dtype.kind == "c":
        return _logsumexp_of_complex(x, axes, bool(keepdims))
    x = x if x.dtype in GROUPS["real floating"] else astype(x, DEFAULT_FLOAT)
    return _logsumexp(x, axis=axes, keepdims=bool(keepdims))


def _logsumexp_of_complex(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """Less the largest real part, which keeps exponentials in range and moves no derivative."""
    if not count_of(x.shape, axis):
        return _sum(x, axis=axis, keepdims=keepdims, dtype=None) - np.inf
    peak = apply(OPS["max"], apply(OPS["real"], x.detach()), axis=axis, keepdims=True)
    top = where(isfinite(peak), peak, 0.0)
    found = log(_sum(exp(x - top), axis=axis, keepdims=True, dtype=None)) + top
    return _reshape(found, shape=reduced_shape(x.shape, axis, keepdims))
