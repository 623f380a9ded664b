"""Multiply tables: where rows of a table are looked up and multiplied, multiply the table and look its rows up.

    before:  v3 = take_rows(v0, v2, axis=0); v4 = linear(v3, v1)
    after:   v3 = linear(v0, v1); v4 = take_rows(v3, v2, axis=0)

A table of a hundred letters is a smaller factor than the two thousand letters of a batch. The same holds of
derivatives: gradients of tokens are added up by row of the table first, and then multiplied. Requires a verified graph;
ensures sums of the same terms, in another order, of tables that have at most half as many rows as are looked up. A row
that nothing names takes part in nothing, finite or not. Tests: tests/jit/test_multiply_tables.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tensorlite.jit.graph import Equation, Graph, Operand, Value
from tensorlite.jit.rewrite import Rewriter, Rule, rewrite

_NARROW = 16
"""Features of a row for fewer of which a product is as cheap as looking up."""


def multiply_tables(graph: Graph) -> Graph:
    """Moves products from looked-up rows to tables."""
    return rewrite(graph, RULES)


@dataclass(frozen=True)
class Rows:
    """Rows of a table, ``places`` [...] saying which: the values [..., features] of a graph."""

    table: Value
    places: Value
    line: str

    @property
    def is_wide(self) -> bool:
        """Whether products of the rows are more work than looking them up."""
        return self.table.shape[1] >= _NARROW


def _rows(state: Rewriter, x: Operand) -> Rows | None:
    """What rows a value consists of, moved by equations that leave each row whole."""
    moves: list[Equation] = []
    while (move := _move(state, x)) is not None:
        moves.append(move)
        x = next(move.values)
    found = state.maker(x, "take_rows")
    if found is None:
        return None
    table, places = found.values
    if table.ndim != 2 or found.attributes["axis"] != 0 or not _is_small(table.shape[0], places):
        return None
    for move in reversed(moves):
        places = _again(state, move, places)
    return Rows(table, places, found.line)


def _is_small(rows: int, places: Value) -> bool:
    """Whether a table of so many rows is less than what is looked up in it."""
    return 0 < 2 * rows <= places.size


def _move(state: Rewriter, x: Operand) -> Equation | None:
    """The equation that makes a value by moving rows, their elements together."""
    for name in ("permute_dims", "reshape"):
        found = state.maker(x, name)
        if found is not None and _keeps_rows(found):
            return found
    return None


def _keeps_rows(move: Equation) -> bool:
    (x,), (out,) = move.values, move.outputs
    if not x.ndim or not out.ndim or not x.size:
        return False
    if "axes" in move.attributes:
        return bool(move.attributes["axes"][-1] == x.ndim - 1)
    return x.shape[-1] == out.shape[-1]


def _again(state: Rewriter, move: Equation, places: Value) -> Value:
    """The move of rows, of their places."""
    if "axes" in move.attributes:
        return state.emit("permute_dims", places, axes=move.attributes["axes"][:-1])
    return state.emit("reshape", places, shape=move.outputs[0].shape[:-1])


def _back(state: Rewriter, move: Equation, places: Value) -> Value:
    """The move of rows, of their places and the other way round."""
    if "axes" in move.attributes:
        return state.emit("permute_dims", places, axes=tuple(map(int, np.argsort(move.attributes["axes"][:-1]))))
    return state.emit("reshape", places, shape=next(move.values).shape[:-1])


def _flat(state: Rewriter, x: Value, features: Sequence[int] = ()) -> Value:
    """A value as one long axis, and its features if it has some."""
    shape = (prod(x.shape[:x.ndim - len(features)]), *features)
    return x if x.shape == shape else state.emit("reshape", x, shape=shape)


def _look_up(state: Rewriter, table: Value, rows: Rows) -> Value:
    return state.emit("take_rows", table, rows.places, line=rows.line, axis=0)


# --- rules --------------------------------------------------------------------------------------------------------


def product_of_rows_is_rows_of_product(state: Rewriter, equation: Equation) -> Value | None:
    """``T[i] @ W = (T @ W)[i]``."""
    if equation.op.name not in ("linear", "matmul") or len(equation.inputs) != 2:
        return None
    x, weight = equation.values
    if weight.ndim != 2 or x.ndim < 2 or (rows := _rows(state, x)) is None or not rows.is_wide:
        return None
    return _look_up(state, state.emit(equation.op.name, rows.table, weight, line=equation.line), rows)


def rows_plus_row_is_rows_of_sum(state: Rewriter, equation: Equation) -> Value | None:
    """``T[i] + b = (T + b)[i]`` for one row ``b``."""
    values = tuple(equation.values)
    if equation.op.name != "add" or len(values) < 2:
        return None
    for x, b in (values, values[::-1]):
        if b.ndim == 1 and x.type == equation.outputs[0].type and (rows := _rows(state, x)) is not None:
            return _look_up(state, state.emit("add", rows.table, b, line=equation.line), rows)
    return None


def product_with_rows_is_product_of_sums_with_table(state: Rewriter, equation: Equation) -> Value | None:
    """``G.T @ T[i] = add_rows(G, i).T @ T``, and its transpose ``T[i].T @ G``: derivatives in weights."""
    if equation.op.name != "matmul":
        return None
    turned, right = equation.values
    left = state.maker(turned, "permute_dims")
    if left is None or right.ndim != 2 or left.attributes["axes"] != (1, 0):
        return None
    (left_rows,) = left.values
    for x, g in ((right, left_rows), (left_rows, right)):
        rows = _rows(state, x)
        if rows is not None and rows.is_wide:
            sums, table = _sums(state, g, rows.places, rows.table.shape[0], equation.line), _named(state, rows)
            first, second = (sums, table) if x is right else (table, sums)
            return state.emit("matmul", state.emit("permute_dims", first, axes=(1, 0)), second, line=equation.line)
    return None


def sums_of_product_are_product_of_sums(state: Rewriter, equation: Equation) -> Value | None:
    """``add_rows(G @ W, i) = add_rows(G, i) @ W``: derivatives in tables."""
    if equation.op.name != "add_rows" or equation.attributes["axis"] != 0:
        return None
    x, places = equation.values
    size = equation.attributes["size"]
    moves: list[Equation] = []
    while (move := _move(state, x)) is not None:
        moves.append(move)
        x = next(move.values)
    product = state.maker(x, "linear") or state.maker(x, "matmul")
    if product is None or len(product.inputs) != 2 or not _is_small(size, places):
        return None
    g, weight = product.values
    if weight.ndim != 2 or g.ndim < 2 or g.shape[-1] < _NARROW or equation.outputs[0].ndim != 2:
        return None
    for move in moves:
        places = _back(state, move, places)
    sums = state.emit(product.op.name, _sums(state, g, places, size, equation.line), weight, line=product.line)
    return _where_named(state, sums, places)


def _sums(state: Rewriter, g: Value, places: Value, size: int, line: str) -> Value:
    """The rows of ``g`` added up by place; spelled alike by all rules, so that it is computed once."""
    rows, places = _flat(state, g, g.shape[-1:]), _flat(state, places)
    return state.emit("add_rows", rows, places, line=line, axis=0, size=size)


def _named(state: Rewriter, rows: Rows) -> Value:
    """The table with zeros in rows that nothing names, which may hold anything."""
    return _where_named(state, rows.table, rows.places)


def _where_named(state: Rewriter, table: Value, places: Value) -> Value:
    """A table with zeros in rows that no place names."""
    ones = state.emit("full", shape=(places.size, 1), fill_value=1, dtype=np.dtype(np.int32))
    counts = state.emit("add_rows", ones, _flat(state, places), axis=0, size=table.shape[0])
    return state.emit("where", state.emit("not_equal", counts, 0), table, 0)


RULES: tuple[Rule, ...] = (
    product_of_rows_is_rows_of_product, rows_plus_row_is_rows_of_sum, product_with_rows_is_product_of_sums_with_table,
    sums_of_product_are_product_of_sums,
)
