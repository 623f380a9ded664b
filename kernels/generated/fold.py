"""Folds: passes over the elements of rows that accumulate, name results, and may store something for every element.

Reductions, softmax and the normalisations are folds. A row is what one result is made of: the elements along the
reduced axes. It may lie along memory or across it; the fold does not say (``fold_loops.py`` does), nor into how many
chunks it is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import right

DType: TypeAlias = np.dtype[Any]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class Accumulator:
    """A variable over the elements: ``update`` says its next value from the accumulators and the element.

    ``merge`` says its value for two sets of elements: of the left one under the accumulators' names, of the right one
    under ``right(name)``. All accumulators change at once.
    """

    name: str
    dtype: DType
    identity: bool | int | float
    merge: s.Expr
    update: s.Expr | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """What happens at every element: names for values, updates, stores; and the results that are named afterwards."""

    accumulators: tuple[Accumulator, ...] = ()
    results: tuple[tuple[str, s.Expr], ...] = ()
    values: tuple[tuple[str, s.Expr], ...] = ()
    stores: tuple[tuple[str, s.Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """A buffer that a fold fills; ``value`` is that of the row, where it has one element for each row."""

    name: str
    dtype: DType
    value: s.Expr | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """Passes over elements. ``state``, if there is one, is what chunks of a row leave behind, to be merged.

    Expressions may use the ``operands`` (by name, dtype; one value for each element), ``givens`` (one for each row),
    ``rows`` (the same, of any strides), what passes name, ``position`` (int32, of the element along the axis),
    ``first`` (the first element of the first operand in the chunk), ``count`` and ``size`` (float64, the elements of
    chunk and row), and ``numbers`` (float64).
    """

    operands: tuple[tuple[str, DType], ...]
    passes: tuple[Pass, ...]
    outputs: tuple[Output, ...]
    state: tuple[Accumulator, ...] = ()
    givens: tuple[tuple[str, DType], ...] = ()
    numbers: tuple[str, ...] = ()
    rows: tuple[tuple[str, DType], ...] = ()

    def mentions(self, name: str) -> bool:
        """Tell whether a pass reads ``name``."""
        everything = (expr for step in self.passes for expr in (*expressions(step), *(e for _, e in step.results)))
        return any(name in s.free_variables(expr) for expr in everything)


def expressions(step: Pass) -> tuple[s.Expr, ...]:
    """Return the expressions that a pass evaluates at every element."""
    named = (expr for pairs in (step.values, step.stores) for _, expr in pairs)
    return (*named, *(a.update for a in step.accumulators if a.update is not None))


X, FIRST, COUNT, SIZE, POSITION = map(s.Var, ("x", "first", "count", "size", "position"))


def pair(name: str) -> tuple[s.Expr, s.Expr]:
    """Return an accumulator's left and right copy in a merge."""
    return s.Var(name), s.Var(right(name))


def accumulate(name: str, dtype: DType, identity: Any, function: Callable[..., s.Expr], element: s.Expr) -> Accumulator:
    """Return an accumulator that takes in an element as it takes in another of its kind, by ``function``."""
    left, other = pair(name)
    return Accumulator(name, dtype, identity, function(left, other), function(element, left))


def sum_of(name: str, element: s.Expr, dtype: DType) -> tuple[tuple[Accumulator, ...], s.Expr]:
    """Return the accumulators of a float64 sum, and its value; where ``dtype`` is float64, with compensation."""
    if dtype != FLOAT64:
        return (accumulate(name, FLOAT64, 0.0, s.add, element),), s.Var(name)
    rest = f"{name}_rest"
    (total, other), (lost, other_lost) = pair(name), pair(rest)
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


def carrier(dtype: DType) -> DType:
    """Return the dtype in which elements of ``dtype`` are compared and exponentiated."""
    return FLOAT32 if dtype.itemsize == 2 and dtype.kind in "fV" else dtype
