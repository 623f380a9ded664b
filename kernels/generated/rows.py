"""The walk over arrays that lie in any way, for kernels that are no scalar function: rows, and columns along each.

Arrays share the extents and have strides of their own, 0 where they are repeated. A task is a block of rows by a chunk
of columns; the last dimension is the columns'. What is done with the columns of a row is the kernel's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.layout import Axis, letters, merge
from tensorlite.kernels.loops import Let, Parameter, Statement, index

TASK = 8192  # elements

_NUMBERS = ("n", "chunk", "chunks", "rows", "block", "tasks")
_TASK, _START, _CHUNK, _CHUNKS, _FIRST, _BLOCK = map(s.Var, ("task", "start", "chunk", "chunks", "first", "block"))


@dataclass(frozen=True, slots=True)
class Rows:
    """What a kernel is specialised to: the dimensions, and by letter how each array runs along the columns.

    ``u`` in unit steps, ``b`` repeated, ``s`` strided. In the body of ``loop``, the columns of a row are ``count``.
    """

    names: tuple[str, ...]
    runs: str
    rank: int

    @property
    def parameters(self) -> list[Parameter]:
        """The number parameters, in the order of ``numbers``."""
        extents = [f"extent{axis}" for axis in range(1, self.rank - 1)]
        return [Parameter(name) for name in (*_NUMBERS, *extents, *(x for n in self.names for x in self._strides(n)))]

    def _strides(self, name: str) -> list[str]:
        inner = [f"{name}_step"] if self.run(name) == "s" else []
        return [f"{name}_start", *(f"{name}_stride{axis}" for axis in range(self.rank - 1)), *inner]

    def run(self, name: str) -> str:
        """Return an array's letter."""
        return self.runs[self.names.index(name)]

    def place(self, name: str, column: s.Expr) -> s.Expr:
        """Return the index of an array's element in a column of the row."""
        base = s.Var(f"{name}_base")
        return {"u": base + column, "b": base, "s": base + column * s.Var(f"{name}_step")}[self.run(name)]

    def loop(self, columns: Iterable[Statement]) -> loops.For:
        """Return the loop over tasks; ``columns`` is done for each row of one."""
        count = s.minimum(_CHUNK, s.Var("n") - _START)
        head = (Let("start", index(_TASK % _CHUNKS * _CHUNK)), Let("count", index(count)))
        bases = [Let(f"{name}_base", index(self._base(name))) for name in self.names]
        if self.rank == 1:
            return loops.parallel("task", s.Var("tasks"), *head, *bases, *columns)
        here = Let("first", index(_TASK // _CHUNKS * _BLOCK))
        height = s.minimum(_BLOCK, s.Var("rows") - _FIRST)
        rows = loops.serial("r", height, *self._coordinates(_FIRST + s.Var("r")), *bases, *columns)
        return loops.parallel("task", s.Var("tasks"), *head, here, rows)

    def _coordinates(self, number: s.Expr) -> list[Statement]:
        statements: list[Statement] = []
        for axis in range(self.rank - 2, 0, -1):
            extent = s.Var(f"extent{axis}")
            statements += [Let(f"row{axis}", index(number)), Let(f"at{axis}", index(s.Var(f"row{axis}") % extent))]
            number = s.Var(f"row{axis}") // extent
        return [*statements, Let("at0", index(number))]

    def _base(self, name: str) -> s.Expr:
        first = {"u": _START, "b": s.Const(0)}.get(self.run(name), _START * s.Var(f"{name}_step"))
        base = s.Var(f"{name}_start") + first
        for axis in range(self.rank - 1):
            base = base + s.Var(f"at{axis}") * s.Var(f"{name}_stride{axis}")
        return base


def walk(names: Sequence[str], axes: Iterable[Axis]) -> tuple[Rows, tuple[Axis, ...]]:
    """Return the walk over arrays along axes, outermost first, and the axes that it has after merging."""
    merged = merge(axes) or (Axis(1, (1,) * len(names)),)
    return Rows(tuple(names), letters(merged[-1]), len(merged)), merged


def numbers(
    rows: Rows, axes: Sequence[Axis], starts: Sequence[int], task: int = TASK, most: int | None = None
) -> list[int]:
    """Return the values of the number parameters: of tasks of about ``task`` elements, at ``most`` so many columns."""
    *outer, inner = axes
    n, height = inner.extent, prod(axis.extent for axis in outer)
    chunk = min(n, most or task)
    chunks = -(-n // chunk)
    block = max(1, min(height, task // chunk))
    values = [n, chunk, chunks, height, block, chunks * -(-height // block), *(axis.extent for axis in outer[1:])]
    for k, name in enumerate(rows.names):
        values += [starts[k], *(axis.strides[k] for axis in outer)]
        values += [inner.strides[k]] if rows.run(name) == "s" else []
    return values
