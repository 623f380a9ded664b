"""The loops of a fold, for rows that lie along memory or across it.

``row``: the innermost dimension is reduced; lanes run along it and are merged at the end of each pass. ``column``: it is
kept; each lane has a row of its own. The outermost reduced dimension is cut in chunks. A long fold takes two kernels: the
first stores the state of each chunk (stage "part"), the second merges these states (stage "rest").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import Fold, Output, Pass, expressions
from tensorlite.kernels.loops import Assign, Buffer, Let, Load, Local, Parameter, Reduce, Statement, Store, index

DType = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to. ``keep`` and ``reduce`` count dimensions; of the kept ones, those outside.

    ``letters`` says for each array with elements how it runs along the innermost dimension: in unit steps (u), repeated
    (b), or strided (s).
    """

    way: str  # "row" or "column"
    keep: int
    reduce: int
    letters: str
    lanes: int
    stage: str = "all"  # or "part", or "rest"


def arrays(fold: Fold) -> tuple[str, ...]:
    """Return the names of the arrays that have a value for every element, in the order of ``Form.letters``."""
    operands = tuple(name for name, _ in fold.operands)
    return (*operands, *(output.name for output in fold.outputs if output.value is None))


def parameters(fold: Fold, form: Form) -> list[str]:
    """Return the names of the integer parameters, in order."""
    names = ["tasks", "chunk", "chunks"]
    names += [f"keep{d}" for d in range(form.keep)]
    names += [f"reduce{d}" for d in range(form.reduce)]
    if form.way == "column":
        names += ["width", "columns", "blocks"]
    for name in arrays(fold):
        names += [f"{name}_keep{d}" for d in range(form.keep)]
        names += [f"{name}_reduce{d}" for d in range(form.reduce)]
        names += [f"{name}_step"] if form.way == "column" else []
    return names


def kernel(fold: Fold, form: Form) -> loops.Kernel:
    """Return the loops of ``fold``. Its buffers are the operands, the givens, and then what it writes."""
    if form.stage == "part":
        passes = tuple(step for step in fold.passes if step.accumulators)
        fold = replace(fold, passes=passes, outputs=tuple(Output(a.name, a.dtype, s.Var(a.name)) for a in fold.state))
    read = [Buffer(_buffer(name), dtype, exclusive=False) for name, dtype in (*fold.operands, *fold.givens)]
    written = [Buffer(_buffer(f"to_{o.name}"), o.dtype, writable=True, exclusive=False) for o in fold.outputs]
    integers = [Parameter(name) for name in parameters(fold, form)]
    floats = [Parameter(name, np.dtype(np.float64)) for name in ("size", *fold.numbers)]
    return loops.build("fold", (*read, *written, *integers, *floats), (_Writer(fold, form).task(),))


def over_states(fold: Fold) -> Fold:
    """Return the fold that merges the states of chunks: its operands are these states."""
    operands = tuple((loops.right(a.name), a.dtype) for a in fold.state)
    state = tuple(replace(a, update=a.merge) for a in fold.state)
    return Fold(operands, (Pass(state),), fold.outputs, state, numbers=fold.numbers)


def _buffer(name: str) -> str:
    return f"{name}_buffer"


class _Writer:
    """Writes the loops of one form."""

    def __init__(self, fold: Fold, form: Form) -> None:
        self.fold, self.form = fold, form
        self.letters = dict(zip(arrays(fold), form.letters, strict=True))
        self.column = form.way == "column"
        self.outer = form.reduce if self.column else form.reduce - 1  # reduced dimensions outside the vector loop

    def task(self) -> loops.For:
        task, chunk, chunks, kept = map(s.Var, ("task", "chunk", "chunks", "kept"))
        head = (
            Let("part", index(task % chunks)),
            Let("start", index(s.Var("part") * chunk)),
            Let("length", index(s.minimum(chunk, s.Var("reduce0") - s.Var("start")))),
            Let("kept", index(task // chunks)),
        )
        return loops.parallel("task", s.Var("tasks"), *head, *(self.panel() if self.column else self.row()))

    def row(self) -> list[Statement]:
        """Return what is done for one row, or for a chunk of it."""
        row, chunk = s.Var("kept"), s.Var("kept") * s.Var("chunks") + s.Var("part")
        return [*self.coordinates(row), *self.fold_row(row, chunk)]

    def panel(self) -> list[Statement]:
        """Return the loop over neighbouring columns: a row for each lane. Their states are neighbours too."""
        kept, blocks, outer, first, width, lane = map(
            s.Var, ("kept", "blocks", "outer", "first_column", "width", "lane")
        )
        column = first + lane
        row, chunk = outer * width + column, (outer * s.Var("chunks") + s.Var("part")) * width + column
        columns = s.minimum(s.Var("columns"), width - first)
        return [
            Let("outer", index(kept // blocks)),
            Let("first_column", index(kept % blocks * s.Var("columns"))),
            *self.coordinates(outer),
            loops.vector("lane", columns, self.form.lanes, *self.fold_row(row, chunk)),
        ]

    def coordinates(self, rest: s.Expr) -> list[Statement]:
        """Return statements that name for each array the index of the first element of a row."""
        statements: list[Statement] = []
        for d in range(self.form.keep - 1, 0, -1):
            statements += [Let(f"rest{d}", index(rest)), Let(f"at{d}", index(s.Var(f"rest{d}") % s.Var(f"keep{d}")))]
            rest = s.Var(f"rest{d}") // s.Var(f"keep{d}")
        if self.form.keep:
            statements.append(Let("at0", index(rest)))
        for name in self.letters:
            base = s.Var("first_column") * self.step(name) if self.column else s.Const(0)
            for d in range(self.form.keep):
                base = base + s.Var(f"at{d}") * s.Var(f"{name}_keep{d}")
            statements.append(Let(f"{name}_base", index(base)))
        return statements

    def step(self, name: str) -> s.Expr:
        """Return how far apart an array's elements are along the innermost dimension."""
        stride = f"{name}_step" if self.column else f"{name}_reduce{self.form.reduce - 1}"
        return {"u": s.Const(1), "b": s.Const(0), "s": s.Var(stride)}[self.letters[name]]

    def fold_row(self, row: s.Expr, chunk: s.Expr) -> list[Statement]:
        """Return all passes over a row, or over a chunk of it, and the stores of what there is one of."""
        statements: list[Statement] = [Load(name, _buffer(name), row) for name, _ in self.fold.givens]
        if self.fold.mentions("first"):
            statements.append(self.first())
        if self.fold.mentions("count"):
            statements.append(self.count())
        for number, step in enumerate(self.fold.passes):
            statements += [Local(a.name, loops.constant(a.identity, a.dtype)) for a in step.accumulators]
            statements += self.across(step, number) if self.column else self.along(step, number)
            statements += [Let(name, value) for name, value in step.results]
        place = chunk if self.form.stage == "part" else row
        rows = [output for output in self.fold.outputs if output.value is not None]
        return [*statements, *(Store(_buffer(f"to_{o.name}"), place, s.cast(o.value, o.dtype)) for o in rows)]

    def count(self) -> Let:
        """Name the number of elements of a row's chunk."""
        count: s.Expr = s.Var("length")
        for d in range(1, self.form.reduce):
            count = count * s.Var(f"reduce{d}")
        return Let("count", s.cast(count, np.float64))

    def first(self) -> Load:
        """Load the first element of a row's chunk."""
        name = self.fold.operands[0][0]
        place = s.Var(f"{name}_base") + s.Var("start") * s.Var(f"{name}_reduce0")
        return Load("first", _buffer(name), place + s.Var("lane") * self.step(name) if self.column else place)

    def along(self, step: Pass, number: int) -> list[Statement]:
        """Return a pass whose lanes run along the innermost dimension."""
        i, last = s.Var(f"i{number}"), self.form.reduce - 1
        at = i if last else s.Var("start") + i
        body = self.element(step, number, at, at)
        walk = self.nest([loops.vector(f"i{number}", self.extent(last), self.form.lanes, *body)], number)
        if not step.accumulators:
            return walk
        columns = zip(*((a.name, a.identity, a.merge) for a in step.accumulators), strict=True)
        names, identities, merges = map(tuple, columns)
        return [Reduce(names, identities, merges, self.form.lanes, tuple(walk))]

    def across(self, step: Pass, number: int) -> list[Statement]:
        """Return a pass in which every lane has a row."""
        position = s.Var("start") + s.Var(f"r0_{number}")
        return self.nest(self.element(step, number, position, s.Var("lane")), number)

    def nest(self, statements: list[Statement], number: int) -> list[Statement]:
        """Put serial loops over the outer reduced dimensions around statements."""
        for d in range(self.outer - 1, -1, -1):
            statements = [loops.serial(f"r{d}_{number}", self.extent(d), *statements)]
        return statements

    def extent(self, d: int) -> s.Expr:
        return s.Var(f"reduce{d}") if d else s.Var("length")

    def element(self, step: Pass, number: int, position: s.Expr, inner: s.Expr) -> list[Statement]:
        """Return what is done at one element; names get the number of the pass, for each may be defined only once."""
        named = ("position", *self.letters, *(name for name, _ in step.values))
        rename: dict[s.Expr, s.Expr] = {s.Var(name): s.Var(f"{name}_{number}") for name in named}
        used = {name for expr in expressions(step) for name in s.free_variables(expr)}
        places = {name: self.place(name, number, inner) for name in self.letters}
        buffers = {name: _buffer(name) for name, _ in self.fold.operands}
        written = {o.name: _buffer(f"to_{o.name}") for o in self.fold.outputs}
        loaded = [name for name in self.letters if name in used]
        statements: list[Statement] = [
            Load(f"{name}_{number}", buffers.get(name) or written[name], places[name]) for name in loaded
        ]
        if "position" in used:
            statements.append(Let(f"at_{number}", index(position)))
            statements.append(Let(f"position_{number}", s.cast(s.Var(f"at_{number}"), np.int32)))
        statements += [Let(f"{name}_{number}", s.substitute(value, rename)) for name, value in step.values]
        statements += _updates(step, rename, number)
        return [*statements, *(Store(written[n], places[n], s.substitute(value, rename)) for n, value in step.stores)]

    def place(self, name: str, number: int, inner: s.Expr) -> s.Expr:
        """Return the index of an array's element."""
        place = s.Var(f"{name}_base") + inner * self.step(name) if self.letters[name] != "b" else s.Var(f"{name}_base")
        for d in range(self.outer):
            r = s.Var(f"r{d}_{number}")
            place = place + (r if d else s.Var("start") + r) * s.Var(f"{name}_reduce{d}")
        return place


def _updates(step: Pass, rename: dict[s.Expr, s.Expr], number: int) -> list[Statement]:
    """Return the simultaneous changes of a pass' accumulators."""
    updates = {a.name: s.substitute(s.as_expr(a.update), rename) for a in step.accumulators}
    if len(updates) == 1:
        return [Assign(name, value) for name, value in updates.items()]
    following = [Let(f"{name}_next{number}", value) for name, value in updates.items()]
    return [*following, *(Assign(name, s.Var(f"{name}_next{number}")) for name in updates)]
