"""Running extremes and running sums of exponentials along an axis: cummax, cummin, logcumsumexp."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import primitive, public
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.complex_numbers import real
from tensorlite.ops.cumulative import _before, _linear_scan
from tensorlite.ops.elementwise import exp, isfinite, log, where
from tensorlite.ops.extremes import ordered
from tensorlite.ops.indexing.scatter import _gather
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.results import Running
from tensorlite.ops.shape import _reshape, astype, retype
from tensorlite.ops.sort import comparable
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, DEFAULT_INTEGER, GROUPS


@primitive("opaque", type=lambda x, *, axis, largest: retype(x, dtype=DEFAULT_INTEGER), samples=[
    Sample((2, 4), axis=1, largest=True), Sample((3, 2), axis=0, largest=False), Sample((2, 0), axis=1, largest=True)])
def _running_place(xp: Any, x: Any, *, axis: int, largest: bool) -> Any:
    """Where the extreme of the elements so far is: the last of equal ones, or the last NaN."""
    x = comparable(x)
    best = (xp.maximum if largest else xp.minimum).accumulate(x, axis=axis)
    numbers = xp.arange(x.shape[axis]).reshape((-1, *(1,) * (x.ndim - axis - 1)))
    return xp.maximum.accumulate(xp.where((x == best) | (x != x), numbers, 0), axis=axis)


def with_an_axis(op: str, x: Tensor, axis: int) -> tuple[Tensor, int]:
    """The tensor, a single number as one of one element, and the axis counted from the front."""
    place = one_axis(op, x, axis, x.ndim or 1)
    return (x if x.ndim else _reshape(x, shape=(1,))), place


def _running(op: str, x: Tensor, axis: int, largest: bool) -> Running:
    line, axis = with_an_axis(op, ordered(op, x), axis)
    places = _running_place(line, axis=axis, largest=largest)
    values = _gather(line, places, axis=axis)
    return Running(_reshape(values, shape=x.shape), _reshape(places, shape=x.shape))


@public
def cummax(x: Tensor, /, axis: int) -> Running:
    """The largest of the elements so far along an axis, and where it is: of equal ones the last; NaN from one on.

    The result has the fields ``values`` and ``indices``. Raises `DTypeError` for complex numbers.

    >>> import tensorlite as tl
    >>> tl.cummax(tl.tensor([1, 3, 2, 3]), 0)
    Running(values=tensor([1, 3, 3, 3]), indices=tensor([0, 1, 1, 3]))
    """
    return _running("cummax", x, axis, True)


@public
def cummin(x: Tensor, /, axis: int) -> Running:
    """The smallest of the elements so far along an axis, and where it is: of equal ones the last; NaN from one on.

    The result has the fields ``values`` and ``indices``. Raises `DTypeError` for complex numbers.

    >>> import tensorlite as tl
    >>> tl.cummin(tl.tensor([3, 1, 2, 1]), 0).values
    tensor([3, 1, 1, 1])
    """
    return _running("cummin", x, axis, False)


@public
def logcumsumexp(x: Tensor, /, axis: int) -> Tensor:
    """``log(cumulative_sum(exp(x)))`` along an axis, without overflow.

    It is a linear recurrence whose factors are at most 1: sums are kept relative to the largest element so far. Of
    complex numbers, imaginary parts are between -pi and pi.

    >>> import tensorlite as tl
    >>> tl.logcumsumexp(tl.tensor([1000.0, 1000.0]), 0)
    tensor([1000.    , 1000.6932])
    """
    if x.dtype.kind == "c":
        return _of_complex(x, axis)
    dtype = x.dtype if x.dtype in GROUPS["real floating"] else DEFAULT_FLOAT
    line, axis = with_an_axis("logcumsumexp", astype(x, accumulator(dtype), copy=False), axis)
    if not line.size:
        return astype(line, dtype, copy=False)
    top = cummax(line.detach(), axis).values
    peak = where(isfinite(top), top, 0.0)
    previous = _before(top, axis, 0)
    factor = where(isfinite(previous), exp(_before(peak, axis, 0) - peak), where(previous < 0, 0.0, 1.0))
    total = _linear_scan(factor, exp(line - peak), axis=axis)
    found = where(total > 0, log(where(total > 0, total, 1.0)) + peak, where(total == 0, -float("inf"), total))
    return astype(_reshape(found, shape=x.shape), dtype, copy=False)


def _of_complex(x: Tensor, axis: int) -> Tensor:
    """By the same recurrence, whose factors are of the real parts."""
    line, axis = with_an_axis("logcumsumexp", x, axis)
    if not line.size:
        return x
    top = cummax(real(line.detach()), axis).values
    peak = where(isfinite(top), top, 0.0)
    factor = where(isfinite(_before(top, axis, 0)), exp(_before(peak, axis, 0) - peak), where(
        _before(top, axis, 0) < 0, 0.0, 1.0))
    total = _linear_scan(astype(factor, line.dtype), exp(line - peak), axis=axis)
    return _reshape(log(total) + peak, shape=x.shape)
