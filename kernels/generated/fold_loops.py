"""The loops of a fold, for rows that lie along memory or across it.

``row``: the innermost dimension is reduced; lanes run along it and are merged at the end of each pass. ``column``: it
is kept; each lane has a row of its own, and its accumulators in registers. ``sweep``: the same for folds of one pass
that store nothing per element: memory is read in its order, and accumulators wait in a scratch array.

The outermost reduced dimension is cut in chunks. A long fold takes two kernels: the first stores the state of each
chunk (stage "part"), the second merges these states (stage "rest").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import Fold, Output, Pass, expressions
from tensorlite.kernels.loops import (
    Assign,
    Buffer,
    Let,
    Load,
    Local,
    Parameter,
    Reduce,
    Scratch,
    Statement,
    Store,
    index,
)

DType = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to. ``keep`` and ``reduce`` count dimensions; of the kept ones, those outside.

    ``letters`` says for each array with elements how it runs along the innermost dimension: in unit steps (u), repeated
    (b), or strided (s). A sweep has ``columns`` columns at most.
    """

    way: str  # "row", "column" or "sweep"
    keep: int
    reduce: int
    letters: str
    lanes: int
    columns: int = 0
    stage: str = "all"  # or "part", or "rest"


def arrays(fold: Fold) -> tuple[str, ...]:
    """Return the names of the arrays that are walked by strides, in the order of ``Form.letters``; rows come last."""
    operands = tuple(name for name, _ in fold.operands)
    elements = (output.name for output in fold.outputs if output.value is None)
    return (*operands, *elements, *(name for name, _ in fold.rows))


def parameters(fold: Fold, form: Form) -> list[str]:
    """Return the names of the integer parameters, in order."""
    across = form.way != "row"
    names = ["tasks", "chunk", "chunks"]
    names += [f"keep{d}" for d in range(form.keep)]
    names += [f"reduce{d}" for d in range(form.reduce)]
    names += ["width", "columns", "blocks"] if across else []
    for name in arrays(fold):
        names += [f"{name}_keep{d}" for d in range(form.keep)]
        names += [f"{name}_reduce{d}" for d in range(form.reduce)]
        names += [f"{name}_step"] if across else []
    return names


def kernel(fold: Fold, form: Form) -> loops.Kernel:
    """Return the loops of ``fold``. Its buffers are the operands, the givens, and then what it writes."""
    if form.stage == "part":
        passes = tuple(step for step in fold.passes if step.accumulators)
        fold = replace(fold, passes=passes, outputs=tuple(Output(a.name, a.dtype, s.Var(a.name)) for a in fold.state))
    read = [Buffer(_buffer(name), dtype, exclusive=False) for name, dtype in (*fold.operands, *fold.givens, *fold.rows)]
    written = [Buffer(_buffer(f"to_{o.name}"), o.dtype, writable=True, exclusive=False) for o in fold.outputs]
    integers = [Parameter(name) for name in parameters(fold, form)]
    floats = [Parameter(name, np.dtype(np.float64)) for name in ("size", *fold.numbers)]
    writer = {"row": _Rows, "column": _Columns, "sweep": _Sweeps}[form.way](fold, form)
    return loops.build("fold", (*read, *written, *integers, *floats), (writer.task(),))


def over_states(fold: Fold) -> Fold:
    """Return the fold that merges the states of chunks: its operands are these states."""
    operands = tuple((loops.right(a.name), a.dtype) for a in fold.state)
    state = tuple(replace(a, update=a.merge) for a in fold.state)
    return Fold(operands, (Pass(state),), fold.outputs, state, numbers=fold.numbers)


def _buffer(name: str) -> str:
    return f"{name}_buffer"


_KEPT, _PART, _START, _CHUNK, _CHUNKS = map(s.Var, ("kept", "part", "start", "chunk", "chunks"))
_FIRST_COLUMN, _WIDTH, _LANE = map(s.Var, ("first_column", "width", "lane"))


class _Writer:
    """What the ways have in common: where elements are, and what is done with one."""

    def __init__(self, fold: Fold, form: Form) -> None:
        self.fold, self.form = fold, form
        self.letters = dict(zip(arrays(fold), form.letters, strict=True))
        self.rows = [name for name, _ in fold.rows]
        self.elements = [name for name in self.letters if name not in self.rows]

    def chunk(self) -> list[Statement]:
        """Name the elements of the outermost reduced dimension that a task takes."""
        length = s.minimum(_CHUNK, s.Var("reduce0") - _START)
        return [Let("start", index(_PART * _CHUNK)), Let("length", index(length))]

    def bases(self, before: dict[str, s.Expr]) -> list[Statement]:
        """Name for each array the index of the first element of row ``kept``; ``before`` is added to it."""
        statements: list[Statement] = []
        rest: s.Expr = _KEPT
        for d in range(self.form.keep - 1, 0, -1):
            statements += [Let(f"rest{d}", index(rest)), Let(f"at{d}", index(s.Var(f"rest{d}") % s.Var(f"keep{d}")))]
            rest = s.Var(f"rest{d}") // s.Var(f"keep{d}")
        if self.form.keep:
            statements.append(Let("at0", index(rest)))
        for name in self.letters:
            base = before.get(name, s.Const(0))
            for d in range(self.form.keep):
                base = base + s.Var(f"at{d}") * s.Var(f"{name}_keep{d}")
            statements.append(Let(f"{name}_base", index(base)))
        return statements

    def count(self) -> list[Statement]:
        """Name the number of elements of a row's chunk, where it is asked for."""
        count: s.Expr = s.Var("length")
        for d in range(1, self.form.reduce):
            count = count * s.Var(f"reduce{d}")
        return [Let("count", s.cast(count, np.float64))] if self.fold.mentions("count") else []

    def first(self, name: str, inner: s.Expr) -> list[Statement]:
        """Load the first element of a row's chunk, where it is asked for."""
        operand = self.fold.operands[0][0]
        place = self.place(operand, [_START, *[s.Const(0)] * (self.form.reduce - 1)], inner)
        return [Load(name, _buffer(operand), place)] if self.fold.mentions("first") else []

    def place(self, name: str, at: Sequence[s.Expr], inner: s.Expr) -> s.Expr:
        """Return the index of an array's element, ``at`` places along the reduced dimensions outside the innermost."""
        letter, stride = self.letters[name], s.Var(self.step(name))
        place: s.Expr = s.Var(f"{name}_base")
        if letter != "b":
            place = place + (inner if letter == "u" else inner * stride)
        for d, r in enumerate(at):
            place = place + r * s.Var(f"{name}_reduce{d}")
        return place

    def step(self, name: str) -> str:
        """Return the name of the stride along the innermost dimension."""
        return f"{name}_step"

    def element(
        self, step: Pass, number: int, at: Sequence[s.Expr], inner: s.Expr, own: Sequence[str] = ()
    ) -> list[Statement]:
        """Return what is done at one element; names get a number, for each may be defined only once.

        ``own`` are the names that have this number already, apart from the elements.
        """
        named = ("position", *self.elements, *(name for name, _ in step.values), *own)
        rename: dict[s.Expr, s.Expr] = {s.Var(name): s.Var(f"{name}_{number}") for name in named}
        used = {name for expr in expressions(step) for name in s.free_variables(expr)}
        places = {name: self.place(name, at, inner) for name in self.elements}
        buffers = {o.name: _buffer(f"to_{o.name}") for o in self.fold.outputs}
        loads = buffers | {name: _buffer(name) for name, _ in self.fold.operands}
        statements: list[Statement] = [
            Load(f"{name}_{number}", loads[name], places[name]) for name in self.elements if name in used
        ]
        if "position" in used:
            position = at[0] if at else inner
            statements.append(Let(f"at_{number}", index(position)))
            statements.append(Let(f"position_{number}", s.cast(s.Var(f"at_{number}"), np.int32)))
        statements += [Let(f"{name}_{number}", s.substitute(value, rename)) for name, value in step.values]
        statements += _updates(step, rename, number)
        return [*statements, *(Store(buffers[n], places[n], s.substitute(value, rename)) for n, value in step.stores)]

    def nest(self, statements: list[Statement], number: int, dimensions: int) -> list[Statement]:
        """Put serial loops over the outermost reduced dimensions around statements."""
        for d in range(dimensions - 1, -1, -1):
            statements = [loops.serial(f"r{d}_{number}", self.extent(d), *statements)]
        return statements

    def outside(self, number: int, dimensions: int) -> list[s.Expr]:
        """Return the places along these dimensions."""
        places = [s.Var(f"r{d}_{number}") for d in range(dimensions)]
        return [_START + place if d == 0 else place for d, place in enumerate(places)]

    def extent(self, d: int) -> s.Expr:
        return s.Var(f"reduce{d}") if d else s.Var("length")

    def givens(self, row: s.Expr, suffix: str = "", lane: s.Expr | None = None) -> list[Statement]:
        """Load what each row has one of."""
        loads: list[Statement] = [Load(f"{name}{suffix}", _buffer(name), row) for name, _ in self.fold.givens]
        return loads + [Load(f"{name}{suffix}", _buffer(name), self.row_place(name, lane)) for name in self.rows]

    def row_place(self, name: str, lane: s.Expr | None) -> s.Expr:
        """Return the index of what a row has one of, in the row of a lane where rows are lanes."""
        base, letter = s.Var(f"{name}_base"), self.letters[name]
        if lane is None or letter == "b":
            return base
        return base + (lane if letter == "u" else lane * s.Var(f"{name}_step"))

    def results(self, row: s.Expr, chunk: s.Expr) -> list[Statement]:
        """Store what each row, or each chunk of one, has one of."""
        place = chunk if self.form.stage == "part" else row
        rows = [output for output in self.fold.outputs if output.value is not None]
        return [Store(_buffer(f"to_{o.name}"), place, s.cast(o.value, o.dtype)) for o in rows]  # type: ignore[arg-type]

    def vector(self, name: str, extent: s.Expr, *body: Statement) -> loops.For:
        """Return a loop over the lanes."""
        return loops.vector(name, extent, self.form.lanes, *body)

    def passes(self) -> list[Statement]:
        statements: list[Statement] = []
        for number, step in enumerate(self.fold.passes):
            statements += [Local(a.name, loops.constant(a.identity, a.dtype)) for a in step.accumulators]
            statements += self.walk(step, number) if expressions(step) else []
            statements += [Let(name, value) for name, value in step.results]
        return statements

    def walk(self, step: Pass, number: int) -> list[Statement]:
        """Return the loops of one pass."""
        raise AssertionError("each way walks in its own way")

    def task(self) -> loops.For:
        """Return all the loops."""
        raise AssertionError("each way has its own tasks")


class _Rows(_Writer):
    """Lanes run along the innermost dimension."""

    def task(self) -> loops.For:
        task = s.Var("task")
        head = [Let("kept", index(task // _CHUNKS)), Let("part", index(task % _CHUNKS)), *self.chunk()]
        body = [*self.givens(_KEPT), *self.first("first", _START), *self.count(), *self.passes()]
        stores = self.results(_KEPT, _KEPT * _CHUNKS + _PART)
        return loops.parallel("task", s.Var("tasks"), *head, *self.bases({}), *body, *stores)

    def step(self, name: str) -> str:
        return f"{name}_reduce{self.form.reduce - 1}"

    def first(self, name: str, inner: s.Expr) -> list[Statement]:
        operand = self.fold.operands[0][0]
        place = s.Var(f"{operand}_base") + _START * s.Var(f"{operand}_reduce0")
        return [Load(name, _buffer(operand), place)] if self.fold.mentions("first") else []

    def walk(self, step: Pass, number: int) -> list[Statement]:
        i, outer = s.Var(f"i{number}"), self.form.reduce - 1
        body = self.element(step, number, self.outside(number, outer), i if outer else _START + i)
        walk = self.nest([self.vector(f"i{number}", self.extent(outer), *body)], number, outer)
        if not step.accumulators:
            return walk
        columns = zip(*((a.name, a.identity, a.merge) for a in step.accumulators), strict=True)
        names, identities, merges = map(tuple, columns)
        return [Reduce(names, identities, merges, self.form.lanes, tuple(walk))]


class _Columns(_Writer):
    """Each lane has a row of its own. Panels of the same rows follow each other: their pages and lines are near."""

    def task(self) -> loops.For:
        task, blocks, panel, rows = map(s.Var, ("task", "blocks", "panel", "rows"))
        head = [
            *(Let("panel", index(task % blocks)), Let("rows", index(task // blocks))),
            *(Let("kept", index(rows // _CHUNKS)), Let("part", index(rows % _CHUNKS)), *self.chunk()),
            Let("first_column", index(panel * s.Var("columns"))),
            Let("span", index(s.minimum(s.Var("columns"), _WIDTH - _FIRST_COLUMN))),
        ]
        column = {"u": lambda name: _FIRST_COLUMN, "b": lambda name: s.Const(0),
                  "s": lambda name: _FIRST_COLUMN * s.Var(f"{name}_step")}  # fmt: skip
        bases = self.bases({name: column[letter](name) for name, letter in self.letters.items()})
        return loops.parallel("task", s.Var("tasks"), *head, *bases, *self.panel())

    def row_and_chunk(self, lane: s.Expr) -> tuple[s.Expr, s.Expr]:
        """Return the number of a lane's row, and of its chunk: the chunks of neighbouring columns are neighbours."""
        column = _FIRST_COLUMN + lane
        return _KEPT * _WIDTH + column, (_KEPT * _CHUNKS + _PART) * _WIDTH + column

    def panel(self) -> list[Statement]:
        row, chunk = self.row_and_chunk(_LANE)
        given = self.givens(row, lane=_LANE)
        body = [*given, *self.first("first", _LANE), *self.passes(), *self.results(row, chunk)]
        return [*self.count(), self.vector("lane", s.Var("span"), *body)]

    def walk(self, step: Pass, number: int) -> list[Statement]:
        body = self.element(step, number, self.outside(number, self.form.reduce), _LANE)
        return self.nest(body, number, self.form.reduce)


class _Sweeps(_Columns):
    """Columns whose accumulators wait in a scratch array while memory is read four rows at a time."""

    FOUR = 4

    def panel(self) -> list[Statement]:
        (step,) = self.fold.passes
        last = self.form.reduce - 1
        scratch = [Scratch(f"{a.name}_lanes", a.dtype, self.form.columns) for a in step.accumulators]
        start = [Store(f"{a.name}_lanes", _LANE, loops.constant(a.identity, a.dtype)) for a in step.accumulators]
        quads, rest = s.Var("quads"), s.Var("rest")
        walk: list[Statement] = [
            Let("quads", index(self.extent(last) // self.FOUR)),
            Let("rest", index(self.extent(last) - quads * self.FOUR)),
            loops.serial("q", quads, self.sweep(step, 0, s.Var("q") * self.FOUR, self.FOUR)),
            loops.serial("w", rest, self.sweep(step, 1, quads * self.FOUR + s.Var("w"), 1)),
        ]
        return [
            *scratch,
            loops.vector("lane", s.Var("span"), self.form.lanes, *start),
            *self.count(),
            *self.nest_twice(walk, last),
            self.finish(step),
        ]

    def nest_twice(self, walk: list[Statement], dimensions: int) -> list[Statement]:
        for d in range(dimensions - 1, -1, -1):
            walk = [loops.serial(f"r{d}", self.extent(d), *walk)]
        return walk

    def sweep(self, step: Pass, number: int, row: s.Expr, rows: int) -> loops.For:
        """Return the loop over the columns that takes in ``rows`` rows."""
        lane, last = s.Var(f"lane{number}"), self.form.reduce - 1
        names = [a.name for a in step.accumulators]
        loads = [Load(f"{name}_was{number}", f"{name}_lanes", lane) for name in names]
        locals_ = [Local(f"{name}_{number}", s.Var(f"{name}_was{number}")) for name in names]
        row = row + s.Var(f"u{number}")
        at = [s.Var(f"r{d}") for d in range(last)] + [row]
        at[0] = _START + at[0]
        own = (*names, *(name for name, _ in self.fold.givens), *self.rows, "first")
        body = self.element(step, number, at, lane, own)
        given = [*self.givens(self.row_and_chunk(lane)[0], f"_{number}", lane), *self.first(f"first_{number}", lane)]
        stores = [Store(f"{name}_lanes", lane, s.Var(f"{name}_{number}")) for name in names]
        body = [*loads, *locals_, *given, loops.unroll(f"u{number}", rows, *body), *stores]
        return loops.vector(f"lane{number}", s.Var("span"), self.form.lanes, *body)

    def finish(self, step: Pass) -> loops.For:
        """Return the loop that stores the results of each column."""
        lane = s.Var("lane2")
        loads = [Load(a.name, f"{a.name}_lanes", lane) for a in step.accumulators]
        row, chunk = self.row_and_chunk(lane)
        given = [*self.givens(row, lane=lane), *self.first("first", lane)]
        named = [Let(name, value) for name, value in step.results]
        stores = self.results(row, chunk)
        return loops.vector("lane2", s.Var("span"), self.form.lanes, *loads, *given, *named, *stores)


def _updates(step: Pass, rename: dict[s.Expr, s.Expr], number: int) -> list[Statement]:
    """Return the simultaneous changes of a pass' accumulators."""
    names = {a.name: getattr(rename.get(s.Var(a.name)), "name", a.name) for a in step.accumulators}
    updates = {names[a.name]: s.substitute(s.as_expr(a.update), rename) for a in step.accumulators}
    if len(updates) == 1:
        return [Assign(name, value) for name, value in updates.items()]
    following = [Let(f"{name}_next{number}", value) for name, value in updates.items()]
    return [*following, *(Assign(name, s.Var(f"{name}_next{number}")) for name in updates)]
