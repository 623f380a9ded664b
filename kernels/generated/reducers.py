"""The reductions as folds: what is kept of the elements seen so far, and how two such states are merged.

Sums are taken in float64, those of float64 with a compensation: at least as exact as NumPy's pairwise sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import (
    COUNT,
    FIRST,
    FLOAT64,
    POSITION,
    SIZE,
    Accumulator,
    Fold,
    Output,
    Pass,
    X,
    accumulate,
    carrier,
    pair,
    sum_of,
)
from tensorlite.kernels.scalar.typing import kind

DType: TypeAlias = np.dtype[Any]

INT32 = np.dtype(np.int32)
BOOL = np.dtype(np.bool_)
CORRECTION = s.Var("correction")


_Parts = tuple[tuple[Pass, ...], tuple[Accumulator, ...], s.Expr]  # passes, state, and the value of a row


def reduction(name: str, dtype: DType, out: DType) -> Fold:
    """Return the fold that reduces elements of ``dtype`` to results of dtype ``out``; ``name`` is in ``REDUCTIONS``."""
    passes, state, value = REDUCTIONS[name](dtype)
    return Fold((("x", dtype),), passes, (Output("out", out, value),), state, numbers=("correction",))


def _one_pass(accumulators: tuple[Accumulator, ...], value: s.Expr) -> _Parts:
    return (Pass(accumulators),), accumulators, value


def _wide(dtype: DType) -> DType:
    """Return the dtype in which sums and products are taken."""
    return {"b": np.dtype(np.int64), "i": np.dtype(np.int64), "u": np.dtype(np.uint64)}.get(kind(dtype), FLOAT64)


def _sum(dtype: DType) -> _Parts:
    wide = _wide(dtype)
    if wide == FLOAT64:
        return _one_pass(*sum_of("total", s.cast(X, FLOAT64), dtype))
    return _one_pass((accumulate("total", wide, 0, s.add, s.cast(X, wide)),), s.Var("total"))


def _prod(dtype: DType) -> _Parts:
    wide = _wide(dtype)
    return _one_pass((accumulate("product", wide, wide.type(1).item(), s.multiply, s.cast(X, wide)),), s.Var("product"))


def _mean(dtype: DType) -> _Parts:
    accumulators, total = sum_of("total", s.cast(X, FLOAT64), dtype)
    return _one_pass(accumulators, total / SIZE)


def _any(dtype: DType) -> _Parts:
    return _one_pass((accumulate("found", BOOL, False, s.logical_or, s.cast(X, BOOL)),), s.Var("found"))


def _all(dtype: DType) -> _Parts:
    return _one_pass((accumulate("hold", BOOL, True, s.logical_and, s.cast(X, BOOL)),), s.Var("hold"))


def extreme(dtype: DType, largest: bool) -> bool | int | float:
    """Return the largest or smallest number of a dtype; infinite for floats."""
    if kind(dtype) == "f":
        return math.inf if largest else -math.inf
    if kind(dtype) == "b":
        return largest
    return int(np.iinfo(dtype).max if largest else np.iinfo(dtype).min)


def _max(dtype: DType) -> _Parts:
    wide = carrier(dtype)
    return _one_pass((accumulate("peak", wide, extreme(wide, False), s.maximum, s.cast(X, wide)),), s.Var("peak"))


def _min(dtype: DType) -> _Parts:
    wide = carrier(dtype)
    return _one_pass((accumulate("low", wide, extreme(wide, True), s.minimum, s.cast(X, wide)),), s.Var("low"))


def _arg(beats: Callable[[Any, Any], s.Expr], largest: bool) -> Callable[[DType], _Parts]:
    """Return argmax or argmin: the first of the best elements; the first NaN, if there is one.

    ``beats`` compares. An element as bad as the identity is never taken: if all are, the first one wins.
    """
    nowhere = int(np.iinfo(INT32).max)

    def reducer(dtype: DType) -> _Parts:
        wide = carrier(dtype)
        (best, other), (where, other_where) = pair("best"), pair("where")
        x = s.cast(X, wide)
        better, other_better = beats(x, best), beats(other, best)
        tied = s.equal(other, best)
        if kind(dtype) == "f":
            better = s.logical_or(better, s.logical_and(s.isnan(x), s.logical_not(s.isnan(best))))
            other_better = s.logical_or(other_better, s.logical_and(s.isnan(other), s.logical_not(s.isnan(best))))
            tied = s.logical_or(tied, s.logical_and(s.isnan(other), s.isnan(best)))
        taken = s.logical_or(other_better, s.logical_and(tied, other_where < where))
        accumulators = (
            Accumulator(
                "best", wide, extreme(wide, not largest), s.where(taken, other, best), s.where(better, x, best)
            ),
            Accumulator("where", INT32, nowhere, s.where(taken, other_where, where), s.where(better, POSITION, where)),
        )
        return _one_pass(accumulators, s.where(s.equal(where, nowhere), 0, where))

    return reducer


def moments(dtype: DType) -> tuple[tuple[Pass, ...], tuple[Accumulator, ...]]:
    """Return the pass that finds mean and sum of squared deviations, and their state with the number of elements.

    One pass suffices: sums are of distances from the first element, so that ``squares`` is at most (n + 1) times the
    deviation (Chan, Golub and LeVeque, Algorithms for computing the sample variance, 1983; the merge is theirs too).
    """
    distance = s.cast(X, FLOAT64) - s.cast(FIRST, FLOAT64)
    sums, total = sum_of("total", distance, dtype)
    squares, square = sum_of("squares", s.square(distance), dtype)
    mean = s.Var("distance") / COUNT
    results = (
        ("number", COUNT),
        ("distance", total),
        ("mean", s.cast(FIRST, FLOAT64) + mean),
        ("deviation", s.maximum(square - s.Var("distance") * mean, 0.0)),
    )
    (n, other_n), (mean, other_mean), (m2, other_m2) = map(pair, ("number", "mean", "deviation"))
    number = n + other_n
    share = s.where(number > 0, other_n / number, 0.0)
    apart = other_mean - mean
    state = (
        Accumulator("number", FLOAT64, 0.0, number),
        Accumulator("mean", FLOAT64, 0.0, s.where(n > 0, mean + apart * share, other_mean)),
        Accumulator("deviation", FLOAT64, 0.0, m2 + other_m2 + apart * apart * n * share),
    )
    return (Pass((*sums, *squares), results),), state


def _var(dtype: DType) -> _Parts:
    # As NumPy: more correction than elements gives infinity or NaN.
    return *moments(dtype), s.Var("deviation") / s.maximum(SIZE - CORRECTION, 0.0)


def _std(dtype: DType) -> _Parts:
    passes, state, variance = _var(dtype)
    return passes, state, s.sqrt(variance)


def sum_of_exponentials(dtype: DType) -> tuple[tuple[Pass, ...], tuple[Accumulator, ...]]:
    """Return the passes that find the largest element and the sum of the others' exponentials relative to it."""
    wide = carrier(dtype)
    x = s.cast(X, wide)
    peak = accumulate("peak", wide, -math.inf, s.maximum, x)
    total = accumulate("total", FLOAT64, 0.0, s.add, s.cast(s.exp(x - s.Var("shift")), FLOAT64))
    (m, other_m), (sums, other_sums) = pair("peak"), pair("total")
    both = s.maximum(m, other_m)
    merged = sums * _factor(m, both) + other_sums * _factor(other_m, both)
    state = (Accumulator("peak", wide, -math.inf, both), Accumulator("total", FLOAT64, 0.0, merged))
    shift = s.where(s.equal(s.Var("peak"), -math.inf), 0.0, s.Var("peak"))  # a chunk of nothing but -inf adds nothing
    return (Pass((peak,), (("shift", shift),)), Pass((total,))), state


def _factor(peak: s.Expr, both: s.Expr) -> s.Expr:
    """Return by what a sum relative to one peak is multiplied to be relative to the larger one."""
    return s.exp(s.where(s.equal(peak, both), 0.0, s.cast(peak, FLOAT64) - s.cast(both, FLOAT64)))


def _logsumexp(dtype: DType) -> _Parts:
    """The logarithm of the sum of exponentials; a row of infinities has none relative to its peak, but is its peak."""
    if kind(dtype) != "f":
        raise s.NoLowering(f"logsumexp of {dtype}")
    passes, state = sum_of_exponentials(dtype)
    peak = s.Var("peak")
    return passes, state, s.where(s.isinf(peak), s.cast(peak, FLOAT64), s.cast(peak, FLOAT64) + s.log(s.Var("total")))


REDUCTIONS: dict[str, Callable[[DType], _Parts]] = {
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
