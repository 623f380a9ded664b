"""The reductions, in the scalar language: what is kept of the elements seen so far, and how two such states are merged.

A reduction makes one or more passes over its elements ``x`` (which stay in a cache between passes); a pass updates
accumulators and then names results that later passes use. Long reductions are cut in chunks whose states are merged in a
fixed tree. Sums are taken in float64, those of float64 with a compensation: at least as exact as NumPy's pairwise sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import right
from tensorlite.kernels.scalar.typing import kind

DType: TypeAlias = np.dtype[Any]

FLOAT64 = np.dtype(np.float64)
INT32 = np.dtype(np.int32)
BOOL = np.dtype(np.bool_)


@dataclass(frozen=True, slots=True)
class Accumulator:
    """A variable over the elements: ``update`` says its next value from the accumulators and ``x``.

    ``merge`` says its value for two sets of elements: of the left one under the accumulators' names, of the right one under
    ``right(name)``. All accumulators change at once.
    """

    name: str
    dtype: DType
    identity: bool | int | float
    merge: s.Expr
    update: s.Expr | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """Accumulators that one pass updates, and results that are named after it."""

    accumulators: tuple[Accumulator, ...]
    results: tuple[tuple[str, s.Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Reducer:
    """A reduction. ``state`` names what chunks leave behind, ``finish`` is its value; both may use all that is named.

    Expressions may use ``x``, ``position`` (int32, of x along the axis), ``count`` and ``size`` (float64, the number of
    elements of the chunk and of all) and ``correction`` (float64).
    """

    passes: tuple[Pass, ...]
    state: tuple[Accumulator, ...]
    finish: s.Expr

    @property
    def uses_position(self) -> bool:
        """Tell whether elements are told apart by their position."""
        updates = [accumulator.update for step in self.passes for accumulator in step.accumulators]
        return any(update is not None and "position" in s.free_variables(update) for update in updates)


X, COUNT, SIZE, CORRECTION, POSITION = (s.Var(name) for name in ("x", "count", "size", "correction", "position"))


def _pair(name: str) -> tuple[s.Expr, s.Expr]:
    return s.Var(name), s.Var(right(name))


def _simple(name: str, dtype: DType, identity: Any, function: Callable[[Any, Any], Any], element: s.Expr) -> Accumulator:
    """Return an accumulator that takes in an element as it takes in another of its kind."""
    left, other = _pair(name)
    return Accumulator(name, dtype, identity, function(left, other), function(left, element))


def _sum_of(name: str, element: s.Expr, dtype: DType) -> tuple[tuple[Accumulator, ...], s.Expr]:
    """Return accumulators of a sum of float64, and its value; ``dtype`` is that of the elements before conversion."""
    if dtype != FLOAT64:
        return (_simple(name, FLOAT64, 0.0, s.add, element),), s.Var(name)
    rest = f"{name}_rest"
    (total, other), (lost, other_lost) = _pair(name), _pair(rest)
    accumulators = (
        Accumulator(name, FLOAT64, 0.0, total + other, total + element),
        Accumulator(rest, FLOAT64, 0.0, lost + other_lost + _error(total, other), lost + _error(total, element)),
    )
    # An infinity in the sum leaves NaN in the rest.
    return accumulators, s.where(s.isfinite(total), total + lost, total)


def _error(a: s.Expr, b: s.Expr) -> s.Expr:
    """Return what rounding loses of a + b (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    total = a + b
    shadow = total - a
    return (a - (total - shadow)) + (b - shadow)


def _one_pass(accumulators: tuple[Accumulator, ...], finish: s.Expr) -> Reducer:
    return Reducer((Pass(accumulators),), accumulators, finish)


def _wide(dtype: DType) -> DType:
    """Return the dtype in which sums and products are taken."""
    return {"b": np.dtype(np.int64), "i": np.dtype(np.int64), "u": np.dtype(np.uint64)}.get(kind(dtype), FLOAT64)


def _sum(dtype: DType) -> Reducer:
    wide = _wide(dtype)
    if wide == FLOAT64:
        return _one_pass(*_sum_of("total", s.cast(X, FLOAT64), dtype))
    return _one_pass((_simple("total", wide, 0, s.add, s.cast(X, wide)),), s.Var("total"))


def _prod(dtype: DType) -> Reducer:
    wide = _wide(dtype)
    return _one_pass((_simple("product", wide, wide.type(1).item(), s.multiply, s.cast(X, wide)),), s.Var("product"))


def _mean(dtype: DType) -> Reducer:
    accumulators, total = _sum_of("total", s.cast(X, FLOAT64), dtype)
    return _one_pass(accumulators, total / SIZE)


def _any(dtype: DType) -> Reducer:
    return _one_pass((_simple("found", BOOL, False, s.logical_or, s.cast(X, BOOL)),), s.Var("found"))


def _all(dtype: DType) -> Reducer:
    return _one_pass((_simple("hold", BOOL, True, s.logical_and, s.cast(X, BOOL)),), s.Var("hold"))


def _extreme(dtype: DType, largest: bool) -> bool | int | float:
    """Return the largest or smallest number of a dtype; infinite for floats."""
    if kind(dtype) == "f":
        return math.inf if largest else -math.inf
    if kind(dtype) == "b":
        return largest
    return int(np.iinfo(dtype).max if largest else np.iinfo(dtype).min)


def _carrier(dtype: DType) -> DType:
    return np.dtype(np.float32) if kind(dtype) == "f" and dtype.itemsize == 2 else dtype


def _max(dtype: DType) -> Reducer:
    carrier = _carrier(dtype)
    return _one_pass((_simple("peak", carrier, _extreme(carrier, False), s.maximum, s.cast(X, carrier)),), s.Var("peak"))


def _min(dtype: DType) -> Reducer:
    carrier = _carrier(dtype)
    return _one_pass((_simple("low", carrier, _extreme(carrier, True), s.minimum, s.cast(X, carrier)),), s.Var("low"))


def _arg(beats: Callable[[Any, Any], s.Expr], largest: bool) -> Callable[[DType], Reducer]:
    """Return argmax or argmin: the first of the best elements; the first NaN, if there is one.

    ``beats`` compares. An element as bad as the identity is never taken: if all are, the first one wins.
    """
    nowhere = int(np.iinfo(INT32).max)

    def reducer(dtype: DType) -> Reducer:
        carrier = _carrier(dtype)
        (best, other), (where, other_where) = _pair("best"), _pair("where")
        x = s.cast(X, carrier)
        better, other_better = beats(x, best), beats(other, best)
        tied = s.equal(other, best)
        if kind(dtype) == "f":
            better = s.logical_or(better, s.logical_and(s.isnan(x), s.logical_not(s.isnan(best))))
            other_better = s.logical_or(other_better, s.logical_and(s.isnan(other), s.logical_not(s.isnan(best))))
            tied = s.logical_or(tied, s.logical_and(s.isnan(other), s.isnan(best)))
        taken = s.logical_or(other_better, s.logical_and(tied, other_where < where))
        accumulators = (
            Accumulator("best", carrier, _extreme(carrier, not largest), s.where(taken, other, best), s.where(better, x, best)),
            Accumulator("where", INT32, nowhere, s.where(taken, other_where, where), s.where(better, POSITION, where)),
        )
        return _one_pass(accumulators, s.where(s.equal(where, nowhere), 0, where))

    return reducer


def _moments(dtype: DType) -> tuple[tuple[Pass, ...], tuple[Accumulator, ...]]:
    """Return passes that find mean and sum of squared deviations, and their state with the number of elements.

    States are merged as in Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm, 1979.
    """
    x = s.cast(X, FLOAT64)
    sums, total = _sum_of("total", x, dtype)
    squares, deviation = _sum_of("squares", s.square(x - s.Var("mean")), dtype)
    passes = (Pass(sums, (("number", COUNT), ("mean", total / COUNT))), Pass(squares, (("deviation", deviation),)))
    (n, other_n), (mean, other_mean), (m2, other_m2) = map(_pair, ("number", "mean", "deviation"))
    number = n + other_n
    share = s.where(number > 0, other_n / number, 0.0)
    apart = other_mean - mean
    state = (
        Accumulator("number", FLOAT64, 0.0, number),
        Accumulator("mean", FLOAT64, 0.0, s.where(n > 0, mean + apart * share, other_mean)),
        Accumulator("deviation", FLOAT64, 0.0, m2 + other_m2 + apart * apart * n * share),
    )
    return passes, state


def _var(dtype: DType) -> Reducer:
    # As NumPy: more correction than elements gives infinity or NaN.
    return Reducer(*_moments(dtype), s.Var("deviation") / s.maximum(SIZE - CORRECTION, 0.0))


def _std(dtype: DType) -> Reducer:
    return Reducer(*_moments(dtype), s.sqrt(_var(dtype).finish))


def _logsumexp(dtype: DType) -> Reducer:
    """The logarithm of the sum of exponentials, relative to the largest element."""
    carrier = _carrier(dtype)
    x, shift = s.cast(X, carrier), s.Var("shift")
    peak = _simple("peak", carrier, -math.inf, s.maximum, x)
    total = _simple("total", FLOAT64, 0.0, s.add, s.cast(s.exp(x - shift), FLOAT64))
    passes = (Pass((peak,), (("shift", _finite(s.Var("peak"))),)), Pass((total,)))
    (m, other_m), (sums, other_sums) = _pair("peak"), _pair("total")
    both = s.maximum(m, other_m)
    merged = sums * _factor(m, both) + other_sums * _factor(other_m, both)
    state = (Accumulator("peak", carrier, -math.inf, both), Accumulator("total", FLOAT64, 0.0, merged))
    return Reducer(passes, state, s.cast(_finite(s.Var("peak")), FLOAT64) + s.log(s.Var("total")))


def _finite(peak: s.Expr) -> s.Expr:
    """Return what sums of exponentials are relative to: the peak; 0 where it is infinite, or NaN."""
    return s.where(s.isfinite(peak), peak, 0.0)


def _factor(peak: s.Expr, both: s.Expr) -> s.Expr:
    """Return by what a sum relative to one peak is multiplied to be relative to the larger one."""
    return s.exp(s.where(s.equal(peak, both), 0.0, s.cast(peak, FLOAT64) - s.cast(both, FLOAT64)))


REDUCERS: dict[str, Callable[[DType], Reducer]] = {
    "sum": _sum,
    "prod": _prod,
    "max": _max,
    "min": _min,
    "any": _any,
    "all": _all,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "argmax": _arg(s.greater, largest=True),
    "argmin": _arg(s.less, largest=False),
    "logsumexp": _logsumexp,
}
"""Every reduction, for elements of a dtype."""


def result_dtype(name: str, dtype: DType) -> DType:
    """Return the dtype of a reduction's result where none is asked for."""
    if name in ("any", "all"):
        return BOOL
    if name in ("argmax", "argmin"):
        return np.dtype(np.int64)
    if name in ("sum", "prod"):
        return dtype if kind(dtype) == "f" else _wide(dtype)
    if name in ("max", "min") or kind(dtype) == "f":
        return dtype
    return FLOAT64
