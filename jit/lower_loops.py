"""Lowering a fused body without contractions: to one elementwise loop, or to one fold where it reduces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.program import Buffer, Place
from tensorlite.jit.space import REDUCTIONS, UNIT, Axes, Space, axes_of, expression, is_relabel, space_of
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.elementwise_loops import Body
from tensorlite.kernels.generated.fold import Accumulator, Fold, Output, Pass
from tensorlite.kernels.generated.fused import plan_body, plan_fold
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.generated.reducers import REDUCTIONS as REDUCERS
from tensorlite.kernels.loops import right
from tensorlite.kernels.stage import Plan

Planned = tuple[Plan, list[Place], frozenset[Buffer]]


@dataclass
class _Reading:
    """The operands that loops read: each value as often as it runs along different axes."""

    places: Mapping[Value, Place]
    extents: tuple[int, ...]
    names: dict[tuple[Value, Axes], str] = field(default_factory=dict)

    def name(self, value: Value, axes: Axes) -> str:
        """The name of a value that runs along these axes."""
        aligned = tuple(a if n != 1 else UNIT for a, n in zip(axes[len(axes) - len(value.shape):], value.shape,
                                                              strict=True))
        return self.names.setdefault((value, aligned), f"x{len(self.names)}")

    def strides(self, value: Value, axes: Axes) -> tuple[int, ...]:
        """One stride for each axis of the space."""
        own = dict(zip(axes, self.places[value].array.strides, strict=True))
        return tuple(own.get(a, 0) for a in range(len(self.extents)))


def plan_loops(body: Graph, places: Mapping[Value, Place], constants: Mapping[Value, Any],
               outputs: Sequence[Place]) -> Planned | None:
    """The plan of a body, the places that it reads, and the buffers that may be overwritten element by element."""
    space = _space(body)
    if space is None:
        return None
    reading = _Reading(places, space.extents)
    expressions = _expressions(body, space, reading, constants)
    if not space.reduced and not any(e.op.name in REDUCTIONS for e in body.equations):
        return _elementwise(body, space, reading, expressions, outputs)
    return _Folding(body, space, reading, expressions, outputs).plan()


def _space(body: Graph) -> Space | None:
    first = next(e for e in body.equations if not is_relabel(e))
    space = space_of(next((e for e in body.equations if e.op.name in REDUCTIONS), first))
    for equation in body.equations:
        axes = space.place(equation)
        if axes is None:
            return None
        space.add(equation, axes)
    return space


@dataclass
class _Named:
    """What an equation computes: an expression of operands and of other equations' names."""

    equation: Equation
    name: str
    value: s.Expr


def _expressions(body: Graph, space: Space, reading: _Reading, constants: Mapping[Value, Any]) -> dict[Value, _Named]:
    """For each value of the body its name and expression; a relabelled value shares those of what it relabels."""
    found: dict[Value, _Named] = {}
    for number, equation in enumerate(body.equations):
        output = equation.outputs[0]
        if is_relabel(equation):
            found[output] = found[next(equation.values)]
            continue
        is_reduction = equation.op.name in REDUCTIONS
        axes = axes_of(next(equation.values).shape) if is_reduction else space.axes[output]
        known: dict[Value, s.Expr] = {}
        for x in equation.values:
            if x in found:
                known[x] = s.Var(found[x].name)
            elif x in constants:
                known[x] = s.cast(s.Const(constants[x]), x.dtype)
            else:
                known[x] = s.Var(reading.name(x, axes))
        value = known[next(equation.values)] if is_reduction else expression(equation, known)
        found[output] = _Named(equation, f"t{number}", value)
    return found


def _elementwise(body: Graph, space: Space, reading: _Reading, found: dict[Value, _Named],
                 outputs: Sequence[Place]) -> Planned:
    values = tuple((named.name, named.value) for named in {id(n): n for n in found.values()}.values())
    results: tuple[tuple[s.Expr, np.dtype], ...] = tuple((s.Var(found[y].name), y.dtype) for y in body.outputs)
    if len(values) == len(results) == 1:
        results, values = ((values[0][1], body.outputs[0].dtype),), ()
    keys = list(reading.names)
    strides = [reading.strides(*key) for key in keys]
    strides += [_own(space.axes[y], place, space) for y, place in zip(body.outputs, outputs, strict=True)]
    plan = plan_body(Body(tuple(x.dtype for x, _ in keys), results, values), space.extents, strides)
    reads = [reading.places[x] for x, _ in keys]
    full = _order(space.extents, strides[len(keys):])
    matched = {place.buffer for place, row in zip(reads, strides, strict=False) if row == full and not place.offset}
    twice = {place.buffer for place, row in zip(reads, strides, strict=False) if row != full or place.offset}
    return plan, reads, frozenset(matched - twice)


def _own(axes: Axes, place: Place, space: Space) -> tuple[int, ...]:
    own = {a: stride for a, stride in zip(axes, place.array.strides, strict=True) if a != UNIT}
    return tuple(own.get(a, 0) for a in range(len(space.extents)))


def _order(extents: Sequence[int], results: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The strides of results that are all in one order without gaps; else those of the order of the axes."""
    order = sorted(range(len(extents)), key=lambda a: -results[0][a])
    dense = _contiguous([extents[a] for a in order]) == tuple(results[0][a] for a in order)
    return results[0] if dense and len(set(results)) == 1 else _contiguous(extents)


def _contiguous(extents: Sequence[int]) -> tuple[int, ...]:
    strides, size = [], 1
    for extent in reversed(extents):
        strides.append(size)
        size *= extent
    return tuple(reversed(strides))


class _Folding:
    """Makes the fold of a body: a pass for each level of reductions, and one more for what is left to store."""

    def __init__(self, body: Graph, space: Space, reading: _Reading, found: dict[Value, _Named],
                 outputs: Sequence[Place]) -> None:
        self.body, self.space, self.reading, self.found, self.outputs = body, space, reading, found, outputs
        self.order = list({id(n): n for n in found.values()}.values())
        self.full = [n for n in self.order if not self._is_reduction(n) and not self._is_row(n)]
        self.by_name = {n.name: n for n in self.order}

    def _value(self, named: _Named) -> Value:
        return named.equation.outputs[0]

    def _is_reduction(self, named: _Named) -> bool:
        return named.equation.op.name in REDUCTIONS

    def _is_row(self, named: _Named) -> bool:
        return self.space.is_row(self._value(named))

    def _level(self, named: _Named) -> int:
        return self.space.levels[self._value(named)]

    def plan(self) -> Planned | None:
        stored = dict(zip(self.body.outputs, self.outputs, strict=True))
        elements = [y for y in stored if not self._is_row(self.found[y]) and not self._is_reduction(self.found[y])]
        rows = [y for y in stored if y not in elements]
        levels = max(self._level(n) for n in self.order if self._is_reduction(n))
        operands, rows_read = self._operands()
        if not operands:
            return None
        plain = levels == 1 and not elements and not rows_read
        if plain:
            passes: tuple[Pass, ...] = (self._pass(0, [], inline=True),)
            values = self._inlined()
        else:
            values = {n.name: s.Var(n.name) for n in self.order}
            start = [n for n in self.order if self._is_row(n) and not self._is_reduction(n) and not self._level(n)]
            passes = (*([Pass(results=tuple((n.name, n.value) for n in start))] if start else []),
                      *(self._pass(level, elements) for level in range(levels + 1)))
            passes = tuple(p for p in passes if p.accumulators or p.results or p.stores)
        state = tuple(a for p in passes for a in p.accumulators) if plain else ()
        made = [Output(f"y{k}", y.dtype, s.cast(values[self.found[y].name], y.dtype) if y in rows else None)
                for k, y in enumerate(stored)]
        names = self.reading.names
        fold = Fold(tuple((names[key], key[0].dtype) for key in operands), passes, tuple(made), state,
                    rows=tuple((names[key], key[0].dtype) for key in rows_read))
        strides = [self.reading.strides(*key) for key in operands]
        strides += [_own(self.space.axes[y], stored[y], self.space) for y in elements]
        strides += [self.reading.strides(*key) for key in rows_read]
        axes = [Axis(n, tuple(row[a] for row in strides)) for a, n in enumerate(self.space.extents)]
        plan = plan_fold(fold, [axes[a] for a in self.space.kept], [axes[a] for a in sorted(self.space.reduced)])
        return plan, [self.reading.places[x] for x, _ in (*operands, *rows_read)], self._matched(operands, rows_read)

    def _matched(self, operands: Sequence[tuple[Value, Axes]],
                 rows: Sequence[tuple[Value, Axes]]) -> frozenset[Buffer]:
        """What is read for a row when that row's results are stored: each row is one task's."""
        places, kept = self.reading.places, self.space.kept
        order = _contiguous([self.space.extents[a] for a in kept])
        own = {places[x].buffer for x, axes in rows if not places[x].offset
               and tuple(self.reading.strides(x, axes)[a] for a in kept) == order}
        return frozenset(own) - {places[x].buffer for x, _ in operands}

    def _operands(self) -> tuple[list[tuple[Value, Axes]], list[tuple[Value, Axes]]]:
        """What is read for every element, those that run along most axes first; and what is read for every row."""
        used_by_rows = {name for n in self.order if self._is_row(n) and not self._is_reduction(n)
                        for name in s.free_variables(n.value)}
        operands: list[tuple[Value, Axes]] = []
        rows: list[tuple[Value, Axes]] = []
        for key, name in self.reading.names.items():
            along_reduced = any(a in self.space.reduced for a in key[1])
            (rows if name in used_by_rows or (self.space.kept and not along_reduced) else operands).append(key)
        contiguous = _contiguous(self.space.extents)
        operands.sort(key=lambda key: (self.reading.strides(*key) != contiguous,
                                       -sum(n != 0 for n in self.reading.strides(*key))))
        return (operands, rows) if operands else (rows, [])

    def _pass(self, level: int, elements: Sequence[Value], inline: bool = False) -> Pass:
        """The pass after which rows of ``level + 1`` are known."""
        accumulators: list[Accumulator] = []
        results: list[tuple[str, s.Expr]] = []
        used: set[str] = set()
        for named in self.order:
            if self._is_reduction(named) and self._level(named) == level + 1:
                own, value = _reducer(named)
                accumulators += own
                used.update(v for a in own for v in s.free_variables(s.as_expr(a.update)))
                results.append((named.name, s.cast(value, self._value(named).dtype)))
            elif self._is_row(named) and self._level(named) == level + 1 and not self._is_reduction(named):
                results.append((named.name, named.value))
        stores = [(f"y{k}", s.cast(s.Var(self.found[y].name), y.dtype)) for k, y in enumerate(self.body.outputs)
                  if y in elements and self._level(self.found[y]) == level]
        used.update(v for _, expr in stores for v in s.free_variables(expr))
        values: list[tuple[str, s.Expr]] = []
        for named in reversed(self.full):
            if named.name in used:
                values.append((named.name, named.value))
                used.update(s.free_variables(named.value))
        return Pass(tuple(accumulators), () if inline else tuple(results), tuple(reversed(values)), tuple(stores))

    def _inlined(self) -> dict[str, s.Expr]:
        """Row values as expressions of accumulators alone, for chunks of rows are merged elsewhere."""
        values: dict[str, s.Expr] = {}
        for named in self.order:
            if self._is_reduction(named):
                values[named.name] = s.cast(_reducer(named)[1], self._value(named).dtype)
            elif self._is_row(named):
                known: dict[s.Expr, s.Expr] = {s.Var(name): value for name, value in values.items()}
                values[named.name] = s.substitute(named.value, known)
        return values


def _reducer(named: _Named) -> tuple[list[Accumulator], s.Expr]:
    """The accumulators of a reduction, under names of its own, and its value."""
    x = next(named.equation.values)
    passes, _, value = REDUCERS[named.equation.op.name](np.dtype(x.dtype))
    (step,) = passes
    renamed: dict[s.Expr, s.Expr] = {s.Var("x"): named.value}
    for a in step.accumulators:
        renamed[s.Var(a.name)] = s.Var(f"{named.name}_{a.name}")
        renamed[s.Var(right(a.name))] = s.Var(right(f"{named.name}_{a.name}"))
    own = [Accumulator(f"{named.name}_{a.name}", a.dtype, a.identity, s.substitute(a.merge, renamed),
                       s.substitute(s.as_expr(a.update), renamed)) for a in step.accumulators]
    return own, s.substitute(value, renamed)
