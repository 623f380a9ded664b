"""Winograd's transforms as statements: products of a matrix of fractions and named values, pairs taken together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import Let, Load, Scratch, Statement, Store
from tensorlite.kernels.winograd import Matrix, winograd

_FLOAT32 = np.dtype(np.float32)
_FEW = 3
"""Columns that are transformed side by side: a filter's (measured: 5 %); of tiles that is no faster."""


def transform(matrix: Matrix, values: Sequence[str], name: str) -> tuple[list[Statement], list[str]]:
    """Return statements that multiply a matrix and a vector of values, and the names of the results.

    What belongs to points of both signs is taken together, as sums and differences: that is half of the products.
    """
    statements, matrix, values = _fold_columns(matrix, values, name)
    names = [f"{name}_{i}" for i in range(len(matrix))]
    rows = iter(range(len(matrix)))
    for i in rows:
        sign = _mirrored(matrix[i], matrix[i + 1]) if i + 1 < len(matrix) else 0
        if not sign:
            statements.append(Let(names[i], _product(matrix[i], values)))
            continue
        even, odd = _value(f"{name}_even{i}"), _value(f"{name}_odd{i}")
        statements += [
            Let(f"{name}_even{i}", _product(_every_second(matrix[i], 0), values)),
            Let(f"{name}_odd{i}", _product(_every_second(matrix[i], 1), values)),
            Let(names[i], _call("add", even, odd)),
            Let(names[next(rows)], _call("sub", *((even, odd) if sign > 0 else (odd, even)))),
        ]
    return statements, names


def _fold_columns(
    matrix: Matrix, values: Sequence[str], name: str
) -> tuple[list[Statement], Matrix, Sequence[str]]:
    """Replace pairs of columns that differ in the sign of every second element, and their values, by two half empty."""
    statements: list[Statement] = []
    folded, columns, kept = [], list(zip(*matrix, strict=True)), []
    numbers = iter(range(len(columns)))
    for k in numbers:
        column = columns[k]
        if not any(column[1::2]) or columns[k + 1 : k + 2] != [_alternating(column)]:
            folded.append(column)
            kept.append(values[k])
            continue
        one, other = _value(values[k]), _value(values[next(numbers)])
        kept += [f"{name}_sum{k}", f"{name}_difference{k}"]
        statements += [Let(kept[-2], _call("add", one, other)), Let(kept[-1], _call("sub", one, other))]
        folded += [_every_second(column, 0), _every_second(column, 1)]
    return statements, tuple(zip(*folded, strict=True)), kept


def _alternating(row: Sequence[Fraction]) -> tuple[Fraction, ...]:
    return tuple(-x if i % 2 else x for i, x in enumerate(row))


def _every_second(row: Sequence[Fraction], first: int) -> tuple[Fraction, ...]:
    """Return the row with zeros at all other places."""
    return tuple(x if i % 2 == first else Fraction(0) for i, x in enumerate(row))


def _mirrored(row: Sequence[Fraction], other: Sequence[Fraction]) -> int:
    """Return 1 if the second row has the opposite sign at the odd places, -1 if at the even ones, else 0."""
    if not any(row[::2]) or not any(row[1::2]):
        return 0
    return next((sign for sign in (1, -1) if tuple(other) == tuple(sign * x for x in _alternating(row))), 0)


def _product(row: Sequence[Fraction], values: Sequence[str]) -> s.Typed:
    """Return the sum of factors times values, those of 1 first: they need no multiplication."""
    terms = sorted(((x, value) for x, value in zip(row, values, strict=True) if x), key=lambda term: term[0] != 1)
    if not terms:
        return loops.constant(0.0, _FLOAT32)
    (factor, value), *rest = terms
    total = _value(value) if factor == 1 else _call("mul", _value(value), loops.constant(float(factor), _FLOAT32))
    for factor, value in rest:
        if abs(factor) == 1:
            total = _call("add" if factor == 1 else "sub", total, _value(value))
        else:
            total = _call("fma", _value(value), loops.constant(float(factor), _FLOAT32), total)
    return total


def _value(name: str) -> s.Typed:
    return s.Typed("var", (), _FLOAT32, name)


def _call(op: str, *operands: s.Typed) -> s.Typed:
    """Return an operation with its type: there are so many of them that finding it takes a while."""
    return s.Typed(op, operands, _FLOAT32)


@dataclass(frozen=True, slots=True)
class Lanes:
    """The vector loops in which squares are transformed: over ``extent`` elements, of which there are ``most``."""

    name: str
    extent: s.Expr | int
    square: int
    most: int

    def each(self, what: str, *body: Statement) -> loops.For:
        """Return a loop of ``body``."""
        return loops.vector(f"{self.name}_{what}", self.extent, self.square, *body)


Loading = Callable[[str, int, s.Expr, s.Expr], list[Statement]]
"""Names the value at a row, a number, a column and a lane."""
Storing = Callable[[s.Expr, int, s.Expr, s.Expr], list[Statement]]
"""Takes the result at a row, a column, which is a number, and a lane."""


def transform_square(matrix: Matrix, name: str, lanes: Lanes, load: Loading, store: Storing) -> list[Statement]:
    """Return statements for ``matrix @ values @ matrix.T``, first column by column and then row by row.

    All at once would be more values than a machine has registers for, and code that takes long to compile.
    """
    size, count, half = len(matrix), len(matrix[0]), f"{name}_half"
    row, column, given = s.Var(f"{name}_row"), s.Var(f"{name}_column"), [f"{name}_{k}" for k in range(count)]

    def place(i: s.Expr | int, j: s.Expr | int, lane: s.Expr) -> s.Expr:
        return (s.as_expr(i) * count + j) * lanes.most + lane

    lane = s.Var(f"{lanes.name}_down")
    loads = [statement for i, x in enumerate(given) for statement in load(x, i, column, lane)]
    body, found = transform(matrix, given, f"{name}_down")
    keep = [Store(half, place(i, column, lane), s.Var(x)) for i, x in enumerate(found)]
    first = lanes.each("down", *loads, *body, *keep)
    lane, given = s.Var(f"{lanes.name}_across"), [f"{name}_half_{k}" for k in range(count)]
    again = [Load(x, half, place(row, j, lane)) for j, x in enumerate(given)]
    body, found = transform(matrix, given, f"{name}_across")
    stores = [statement for j, x in enumerate(found) for statement in store(row, j, s.Var(x), lane)]
    second = lanes.each("across", *again, *body, *stores)
    columns = loops.unroll if count <= _FEW else loops.serial
    return [
        Scratch(half, _FLOAT32, size * count * lanes.most),
        columns(f"{name}_column", count, first),
        loops.serial(f"{name}_row", size, second),
    ]


def transform_sums(m: int, r: int, lanes: Lanes, store: Storing) -> list[Statement]:
    """Transform the sums of all products, ``sums_plane`` apart, to results: lanes from ``sums_from`` on."""
    size = m + r - 1

    def load(name: str, i: int, j: s.Expr, lane: s.Expr) -> list[Statement]:
        return [Load(name, "sums", s.Var("sums_from") + (j + i * size) * s.Var("sums_plane") + lane)]

    return transform_square(winograd(m, r).output, "y", lanes, load, store)


def in_vectors(name: str, extent: s.Expr | int, square: int, *body: Statement) -> loops.For:
    """Run ``body`` for every whole vector of ``extent`` elements, the last one overlapping: ``<name>_first`` on."""
    first = Let(f"{name}_first", loops.index(s.minimum(s.Var(f"{name}_vector") * square, extent - square)))
    return loops.serial(f"{name}_vector", (extent + (square - 1)) // square, first, *body)
