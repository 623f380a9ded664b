"""The loops of elementwise operations: scalar functions over arrays of any strides, broadcast against each other.

The innermost dimension is a vector loop, in which each operand is contiguous (u), repeated (b) or strided (s). A task
is a block of rows by a chunk of columns. An operand whose neighbours lie in the rows' direction is transposed (t): a
tile of it is copied, along its own memory, to scratch memory that is then read across.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Scratch, Statement, Store, index

DType = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The free choices of an elementwise kernel. Results do not depend on them.

    A task covers about ``task`` elements. Columns of strided operands are taken ``tile`` at a time, so that their cache
    lines are still there for the next row; transposed ones are taken in tiles of ``tile`` by ``tile``, in rows of
    ``pitch`` elements. Results of ``streaming`` bytes go past the caches: on Zen 5 that was up to a third slower for
    results of 4 to 16 MB, and made no difference from 32 MB on; other machines save reading them.
    """

    task: int = 8192
    tile: int = 64
    pitch: int = 80  # a multiple of a vector, and of no power of two that would put a column in one set of a cache
    streaming: int = 64 << 20
    vector_bytes: int = 64
    simple: int = 12  # expressions of fewer nodes take two vectors at a time


@dataclass(frozen=True, slots=True)
class Body:
    """What is done at each element: results, by expressions of the operands ``x0``, ``x1``, ... and of named values.

    Values are named in order, each by the operands and the values before it; a result is rounded to its dtype.
    """

    operands: tuple[DType, ...]
    results: tuple[tuple[s.Expr, DType], ...]
    values: tuple[tuple[str, s.Expr], ...] = ()

    @property
    def text(self) -> str:
        """All that a kernel of this body depends on."""
        named = [f"{name}={s.text(expr)}" for name, expr in self.values]
        stored = [f"{s.text(expr)}:{dtype.name}" for expr, dtype in self.results]
        return "; ".join((" ".join(dtype.name for dtype in self.operands), *named, *stored))


@dataclass(frozen=True, slots=True)
class Layout:
    """What a kernel is specialised to: the number of dimensions and, for each array, results last, its letter."""

    rank: int
    inner: str
    streaming: bool = False
    one: bool = False  # there is a single element


DEFAULT = Schedule()


def kernel(
    function: s.Function, dtypes: Sequence[DType], dtype: DType, layout: Layout, schedule: Schedule = DEFAULT
) -> loops.Kernel:
    """Return the loops that compute ``function`` of operands of ``dtypes`` into a result of ``dtype``.

    Raises ``scalar.NoLowering`` where the function has no native form.
    """
    return kernel_of(body_of(function, dtypes, dtype), layout, schedule)


def body_of(function: s.Function, dtypes: Sequence[DType], dtype: DType) -> Body:
    """Return the body with one result."""
    renamed: dict[s.Expr, s.Expr] = {s.Var(name): s.Var(f"x{k}") for k, name in enumerate(function.parameters)}
    return Body(tuple(map(np.dtype, dtypes)), ((s.substitute(function.body, renamed), np.dtype(dtype)),))


def kernel_of(body: Body, layout: Layout, schedule: Schedule = DEFAULT) -> loops.Kernel:
    """Return the loops of a body; its buffers are the operands and then the results. Raises as ``kernel``."""
    write = _Tiles if "t" in layout.inner else _Rows
    writer = write(body, layout, _lanes(body, layout, schedule), schedule)
    buffers = [Buffer(f"a{k}", dtype, exclusive=False) for k, dtype in enumerate(body.operands)]
    alignment = 64 if layout.streaming else 0
    results = [Buffer(name, dtype, writable=True, exclusive=False, alignment=alignment)
               for name, (_, dtype) in zip(writer.results, body.results, strict=True)]  # fmt: skip
    integers = [Parameter(name) for name in (*writer.PARAMETERS, *writer.extents, *writer.all_strides())]
    return loops.build("elementwise", (*buffers, *results, *integers), (writer.task(),))


def _lanes(body: Body, layout: Layout, schedule: Schedule) -> int:
    """Return the width: that of a vector of the widest dtype that occurs, twice where the expressions are short."""
    types = {f"x{k}": dtype for k, dtype in enumerate(body.operands)}
    lowered = []
    for name, expr in body.values:
        lowered.append(s.lower(expr, types))
        types[name] = lowered[-1].dtype
    lowered += [s.lower(s.cast(expr, dtype), types) for expr, dtype in body.results]
    nodes = s.postorder(*lowered)
    lanes = schedule.vector_bytes // max(dtype.itemsize for dtype in (*(n.dtype for n in nodes), *types.values()))
    scattered = bool(set(layout.inner) & {"s", "t"})
    return lanes if len(nodes) >= schedule.simple or scattered else 2 * lanes


_TASK, _START, _COUNT, _I, _R = map(s.Var, ("task", "start", "count", "i", "r"))


class _Rows:
    """Writes the loops of one layout; operand k is ``a{k}``, result k is ``out{k}``. Rows are numbered through."""

    PARAMETERS: tuple[str, ...] = ("n", "chunk", "chunks", "rows", "block", "tasks")

    def __init__(self, body: Body, layout: Layout, lanes: int, schedule: Schedule) -> None:
        self.body, self.layout, self.lanes, self.schedule = body, layout, lanes, schedule
        self.operands = [f"a{k}" for k in range(len(body.operands))]
        self.results = [f"out{k}" for k in range(len(body.results))]
        self.names = [*self.operands, *self.results]
        self.dtypes = dict(zip(self.operands, body.operands, strict=True))
        self.letters = dict(zip(self.names, layout.inner, strict=True))
        self.outer = layout.rank - 1
        self.extents = [f"extent{axis}" for axis in range(1, self.outer)]

    def strides(self, name: str) -> list[str]:
        """Return the stride parameters of an array, outermost first; the innermost only where it is strided."""
        inner = [f"{name}_step"] if self.letters[name] in "st" else []
        return [*(f"{name}_stride{axis}" for axis in range(self.outer)), *inner]

    def all_strides(self) -> list[str]:
        return [stride for name in self.names for stride in self.strides(name)]

    def task(self) -> loops.For:
        chunks, first = s.Var("chunks"), s.Var("first")
        if not self.outer:
            return loops.parallel("task", s.Var("tasks"), *self.chunk(), *self.columns())
        here = Let("first", index(_TASK // chunks * s.Var("block")))
        height = s.minimum(s.Var("block"), s.Var("rows") - first)
        rows = loops.serial("r", height, *self.coordinates(first + _R, self.outer), *self.columns())
        return loops.parallel("task", s.Var("tasks"), *self.chunk(), here, rows)

    def chunk(self) -> list[Statement]:
        """Name the columns of a task."""
        chunk = s.Var("chunk")
        count = s.minimum(chunk, s.Var("n") - _START)
        return [Let("start", index(_TASK % s.Var("chunks") * chunk)), Let("count", index(count))]

    def coordinates(self, number: s.Expr, dimensions: int) -> list[Statement]:
        """Name the coordinates ``at0``, ``at1``, ... of what has that number along the outermost dimensions."""
        statements: list[Statement] = []
        for axis in range(dimensions - 1, 0, -1):
            extent = s.Var(f"extent{axis}")
            statements += [Let(f"row{axis}", index(number)), Let(f"at{axis}", index(s.Var(f"row{axis}") % extent))]
            number = s.Var(f"row{axis}") // extent
        return [*statements, Let("at0", index(number))]

    def columns(self) -> list[Statement]:
        """Return the vector loop over the columns of a row; what is the same in all of them comes before it."""
        bases = [Let(f"{name}_base", index(self.base(name))) for name in self.names if self.letters[name] != "t"]
        statements = [*(self.load(f"x{k}", name) for k, name in enumerate(self.operands)), *self.values()]
        varying = {f"x{k}" for k, name in enumerate(self.operands) if self.letters[name] != "b"}
        before: list[Statement] = []
        within: list[Statement] = []
        for statement in statements:
            assert isinstance(statement, Let | Load)
            if isinstance(statement, Let) and varying.intersection(s.free_variables(statement.value)):  # type: ignore[arg-type]
                varying.add(statement.name)
            (within if statement.name in varying else before).append(statement)
        stores = [
            Store(name, self.place(name), s.cast(expr, dtype), streaming=self.layout.streaming)
            for name, (expr, dtype) in zip(self.results, self.body.results, strict=True)
        ]
        if self.layout.one:
            return [*bases, *before, loops.serial("i", _COUNT, *within, *stores)]
        return [*bases, *before, loops.vector("i", _COUNT, self.lanes, *within, *stores)]

    def values(self) -> list[Let]:
        """Name the values."""
        return [Let(name, expr) for name, expr in self.body.values]

    def load(self, variable: str, name: str) -> Load:
        return Load(variable, name, self.place(name))

    def base(self, name: str) -> s.Expr:
        """Return the index of an array's element in the first column of this row and chunk."""
        total = {"u": _START, "b": s.Const(0)}.get(self.letters[name], _START * s.Var(f"{name}_step"))
        for axis in range(self.outer):
            total = total + s.Var(f"at{axis}") * s.Var(f"{name}_stride{axis}")
        return total

    def place(self, name: str) -> s.Expr:
        base = s.Var(f"{name}_base")
        return {"u": base + _I, "b": base, "s": base + _I * s.Var(f"{name}_step")}[self.letters[name]]


class _Tiles(_Rows):
    """Rows are those of the last outer dimension, along which transposed operands are contiguous; tasks are tiles."""

    PARAMETERS = (*_Rows.PARAMETERS, "blocks")

    def __init__(self, body: Body, layout: Layout, lanes: int, schedule: Schedule) -> None:
        super().__init__(body, layout, lanes, schedule)
        self.extents = self.extents[:-1]  # that of the rows is a parameter of its own

    def task(self) -> loops.For:
        chunks, block, blocks, first = map(s.Var, ("chunks", "block", "blocks", "first"))
        last = s.Var(f"at{self.outer - 1}")
        turned = [name for name in self.names if self.letters[name] == "t"]
        scratch = [
            Scratch(f"{name}_tile", self.dtypes[name], self.schedule.tile * self.schedule.pitch) for name in turned
        ]
        head = [
            *(Let("band", index(_TASK // chunks)), Let("first", index(s.Var("band") % blocks * block))),
            Let("height", index(s.minimum(block, s.Var("rows") - first))),
            *(self.coordinates(s.Var("band") // blocks, self.outer - 1) if self.outer > 1 else ()),
        ]
        fill = [statement for k, name in enumerate(turned) for statement in self.fill(k, name)]
        row = loops.serial("r", s.Var("height"), Let(str(last.name), index(first + _R)), *self.columns())
        return loops.parallel("task", s.Var("tasks"), *scratch, *self.chunk(), *head, *fill, row)

    def fill(self, k: int, name: str) -> list[Statement]:
        """Copy a tile: a row of scratch memory for each column of the result."""
        column, lane = s.Var(f"column{k}"), s.Var(f"lane{k}")
        base = s.Var("first") + _START * s.Var(f"{name}_step")
        for axis in range(self.outer - 1):
            base = base + s.Var(f"at{axis}") * s.Var(f"{name}_stride{axis}")
        load = Load(f"moved{k}", name, s.Var(f"{name}_base") + column * s.Var(f"{name}_step") + lane)
        store = Store(f"{name}_tile", column * self.schedule.pitch + lane, s.Var(f"moved{k}"))
        copy = loops.vector(f"lane{k}", s.Var("height"), self.lanes, load, store)
        return [Let(f"{name}_base", index(base)), loops.serial(f"column{k}", _COUNT, copy)]

    def load(self, variable: str, name: str) -> Load:
        if self.letters[name] != "t":
            return super().load(variable, name)
        return Load(variable, f"{name}_tile", _I * self.schedule.pitch + _R)
