"""The loops of a reduction, for elements that lie along the rows of memory or across them.

``row``: the innermost dimension is reduced; lanes run along it and are merged at the end. ``column``: it is kept; each lane
reduces a column of its own. The outermost reduced dimension is cut in chunks. A long reduction takes two kernels: the
first stores the state of each chunk (``stage`` "part"), the second merges these states (``stage`` "rest").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.reducers import Accumulator, Pass, Reducer
from tensorlite.kernels.loops import Assign, Buffer, Let, Load, Local, Parameter, Reduce, Statement, Store, index

DType = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to. ``keep`` and ``reduce`` count dimensions; of the kept ones, those outside."""

    way: str  # "row" or "column"
    keep: int
    reduce: int
    unit: bool  # elements of the innermost dimension are neighbours
    lanes: int
    stage: str = "all"  # or "part", or "rest"


def numbers(form: Form) -> list[str]:
    """Return the names of the number parameters, in order."""
    keeps, reduces = range(form.keep), range(form.reduce)
    return [
        *("tasks", "chunk", "chunks"),
        *(f"keep{d}" for d in keeps),
        *(f"keep_stride{d}" for d in keeps),
        *(f"reduce{d}" for d in reduces),
        *(f"reduce_stride{d}" for d in reduces),
        *(("width", "columns", "blocks", "step") if form.way == "column" else ()),
    ]


def kernel(reducer: Reducer, form: Form, dtype: DType, out: DType) -> loops.Kernel:
    """Return the loops that reduce elements of ``dtype`` to results of dtype ``out`` (or to states, or from them)."""
    names = [accumulator.name for accumulator in reducer.state]
    sources, results = [Buffer("source", dtype)], [Buffer("out", out, writable=True)]
    if form.stage == "rest":
        sources = [Buffer(f"from_{a.name}", a.dtype) for a in reducer.state]
        reducer = Reducer((Pass(_taking_in_states(reducer.state)),), reducer.state, reducer.finish)
    if form.stage == "part":
        results = [Buffer(f"to_{a.name}", a.dtype, writable=True) for a in reducer.state]
    writer = _Writer(reducer, form, sources, results, names)
    floats = [Parameter("size", np.dtype(np.float64)), Parameter("correction", np.dtype(np.float64))]
    parameters = (*sources, *results, *(Parameter(name) for name in numbers(form)), *floats)
    return loops.build("reduce", parameters, (writer.task(),))


def _taking_in_states(state: tuple[Accumulator, ...]) -> tuple[Accumulator, ...]:
    """Return accumulators whose elements are states: ``right(name)`` is loaded."""
    return tuple(Accumulator(a.name, a.dtype, a.identity, a.merge, a.merge) for a in state)


class _Writer:
    """Writes the loops of one form."""

    def __init__(
        self, reducer: Reducer, form: Form, sources: list[Buffer], results: list[Buffer], state: list[str]
    ) -> None:
        self.reducer, self.form, self.state = reducer, form, state
        self.sources, self.results = sources, results
        self.outer = form.reduce - (form.way == "row")  # reduced dimensions outside the vector loop

    def task(self) -> loops.For:
        task, chunk, chunks, start = map(s.Var, ("task", "chunk", "chunks", "start"))
        return loops.parallel(
            "task",
            s.Var("tasks"),
            Let("part", index(task % chunks)),
            Let("start", index(s.Var("part") * chunk)),
            Let("length", index(s.minimum(chunk, s.Var("reduce0") - start))),
            Let("kept", index(task // chunks)),
            *(self.column_task() if self.form.way == "column" else self.row_task()),
        )

    def row_task(self) -> list[Statement]:
        place = s.Var("kept") * s.Var("chunks") + s.Var("part")
        return [*self.coordinates(s.Var("kept"), s.Const(0)), self.count(), *self.passes(), *self.stores(place)]

    def column_task(self) -> list[Statement]:
        kept, blocks, column, width = map(s.Var, ("kept", "blocks", "column", "width"))
        place = (s.Var("outer") * s.Var("chunks") + s.Var("part")) * width + column + s.Var("lane")
        body = [*self.passes(), *self.stores(place)]
        return [
            Let("outer", index(kept // blocks)),
            Let("column", index(kept % blocks * s.Var("columns"))),
            *self.coordinates(s.Var("outer"), column * self.step()),
            self.count(),
            loops.vector("lane", s.minimum(s.Var("columns"), width - column), self.form.lanes, *body),
        ]

    def step(self) -> s.Expr:
        """Return how far apart elements of the innermost dimension are."""
        if self.form.unit:
            return s.Const(1)
        return s.Var("step") if self.form.way == "column" else s.Var(f"reduce_stride{self.form.reduce - 1}")

    def coordinates(self, rest: s.Expr, base: s.Expr) -> list[Statement]:
        """Return statements that name ``base``, the index of the first element of this task."""
        statements: list[Statement] = []
        for d in range(self.form.keep - 1, 0, -1):
            statements += [Let(f"rest{d}", index(rest)), Let(f"at{d}", index(s.Var(f"rest{d}") % s.Var(f"keep{d}")))]
            rest = s.Var(f"rest{d}") // s.Var(f"keep{d}")
        if self.form.keep:
            statements.append(Let("at0", index(rest)))
        for d in range(self.form.keep):
            base = base + s.Var(f"at{d}") * s.Var(f"keep_stride{d}")
        return [*statements, Let("base", index(base))]

    def count(self) -> Let:
        """Name the number of elements that a task reduces."""
        count: s.Expr = s.Var("length")
        for d in range(1, self.form.reduce):
            count = count * s.Var(f"reduce{d}")
        return Let("count", s.cast(count, np.float64))

    def passes(self) -> list[Statement]:
        statements: list[Statement] = []
        for number, step in enumerate(self.reducer.passes):
            accumulators = step.accumulators
            statements += [Local(a.name, loops.constant(a.identity, a.dtype)) for a in accumulators]
            statements += self.along(step, number) if self.form.way == "row" else self.across(step, number)
            statements += [Let(name, value) for name, value in step.results]
        return statements

    def along(self, step: Pass, number: int) -> list[Statement]:
        """Return a pass whose lanes run along the innermost dimension."""
        i, last = s.Var(f"i{number}"), self.form.reduce - 1
        extent = s.Var(f"reduce{last}") if last else s.Var("length")
        at = i if last else s.Var("start") + i
        body = self.element(step, number, at, at * self.step())
        vector = loops.vector(f"i{number}", extent, self.form.lanes, *body)
        identity = tuple(a.identity for a in step.accumulators)
        merge = tuple(a.merge for a in step.accumulators)
        names = tuple(a.name for a in step.accumulators)
        return [Reduce(names, identity, merge, self.form.lanes, (self.nest(vector, number),))]

    def across(self, step: Pass, number: int) -> list[Statement]:
        """Return a pass in which every lane has a column."""
        first = s.Var(f"r0_{number}")
        body = self.element(step, number, s.Var("start") + first, s.Var("lane") * self.step())
        nested = self.nest(loops.serial(f"r{self.outer - 1}_{number}", self.extent(self.outer - 1), *body), number, 1)
        return [nested]

    def nest(self, statement: Statement, number: int, written: int = 0) -> Statement:
        """Put serial loops over the outer reduced dimensions around ``statement``, but for the ``written`` innermost."""
        for d in range(self.outer - 1 - written, -1, -1):
            statement = loops.serial(f"r{d}_{number}", self.extent(d), statement)
        return statement

    def extent(self, d: int) -> s.Expr:
        return s.Var(f"reduce{d}") if d else s.Var("length")

    def element(self, step: Pass, number: int, position: s.Expr, offset: s.Expr) -> list[Statement]:
        """Return statements that load an element (or a state) and update the accumulators with it."""
        for d in range(self.outer):
            r = s.Var(f"r{d}_{number}")
            offset = offset + (r if d else s.Var("start") + r) * s.Var(f"reduce_stride{d}")
        loaded = [f"x{number}"] if self.form.stage != "rest" else [f"{loops.right(name)}{number}" for name in self.state]
        originals = ["x"] if self.form.stage != "rest" else [loops.right(name) for name in self.state]
        place = s.Var("base") + offset
        loads = [Load(name, buffer.name, place) for name, buffer in zip(loaded, self.sources, strict=True)]
        names = {s.Var(name): s.Var(mine) for name, mine in zip(originals, loaded, strict=True)}
        return [*loads, *self.where(number, position), *self.update(step, names, number)]

    def where(self, number: int, position: s.Expr) -> list[Statement]:
        if self.form.stage == "rest" or not self.reducer.uses_position:
            return []
        return [Let(f"at_{number}", index(position)), Let("position", s.cast(s.Var(f"at_{number}"), np.int32))]

    def update(self, step: Pass, names: dict[s.Expr, s.Expr], number: int) -> list[Statement]:
        updates = {a.name: s.substitute(s.as_expr(a.update), names) for a in step.accumulators}
        if len(updates) == 1:
            return [Assign(name, value) for name, value in updates.items()]
        following = [Let(f"{name}_next{number}", value) for name, value in updates.items()]
        return [*following, *(Assign(name, s.Var(f"{name}_next{number}")) for name in updates)]

    def stores(self, place: s.Expr) -> list[Statement]:
        if self.form.stage == "part":
            return [Store(b.name, place, s.Var(name)) for b, name in zip(self.results, self.state, strict=True)]
        return [Store("out", place, s.cast(self.reducer.finish, self.results[0].dtype))]
