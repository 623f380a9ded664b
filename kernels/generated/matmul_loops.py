"""The loops of a product of matrices, or of stacks of them, of any strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated import pair_loops
from tensorlite.kernels.generated.gemm_loops import FIRST_COLUMN, FIRST_ROW, TASK, Epilogue, Schedule
from tensorlite.kernels.loops import Buffer, Let, Parameter, Statement, index

_PACKING = ("rows", "columns", "strided")


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: the dimensions of the stack, and how the right operand lies.

    ``right``: "rows" if its rows lie along memory, "columns" if its columns do, else "strided": it is packed in
    panels. Or it is "packed" already (`pack_loops`), or "straight": read where it is, its rows lying along memory; or
    "dot": the product is one of dot products, of rows of the left operand and columns of the right one that both lie
    along memory. ``elements`` is the operands' dtype: those of 16 bits are widened as they are read or packed, or
    multiplied by ``pairs``; then the left operand's rows lie along memory.
    """

    schedule: Schedule
    epilogue: Epilogue
    stack: int
    right: str
    elements: str
    pairs: bool = False

    @property
    def packed(self) -> np.dtype[Any]:
        """What a panel is made of."""
        return gemm.packed_dtype(self.schedule, self.pairs)

    @property
    def reading(self) -> gemm.Reading:
        """How elements are read."""
        return gemm.plainly if self.elements == self.schedule.dtype else gemm.widely

    def key(self) -> str:
        """Return what names the kernel."""
        how = f"{self.stack} {self.right} {self.elements} {self.pairs}"
        return f"matmul {self.schedule} {how} {self.epilogue.text()}"


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "k", "a_row", "a_step", "b_row", "b_step"]
    names += [f"{name}_{what}" for name in form.epilogue.names for what in ("row", "step")]
    names += [f"stack{d}" for d in range(1, form.stack)]
    return names + [f"{name}_stack{d}" for name in ("a", "b", *form.epilogue.names) for d in range(form.stack)]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of one form."""
    dtype = np.dtype(form.elements)
    right = form.packed if form.right == "packed" else dtype
    buffers = [Buffer("a", dtype), Buffer("b", right), *gemm.outputs(form.epilogue)]
    return loops.build("matmul", (*buffers, *map(Parameter, parameters(form))), (_task(form),))


def _task(form: Form) -> loops.For:
    schedule = form.schedule
    row = FIRST_ROW + s.Var("r")
    places = [s.Var(f"{e}_base") + row * s.Var(f"{e}_row") for e in form.epilogue.names]
    steps = [s.Var(f"{e}_step") for e in form.epilogue.names]
    start = s.Var("r") * schedule.lanes
    to = (s.Var("matrix") * s.Var("m") + row) * s.Var("n") + FIRST_COLUMN
    finish = gemm.store_row(schedule, form.epilogue, gemm.Row("tile", start, gemm.WIDTH, to, places, steps))
    every = loops.serial("r", gemm.HEIGHT, *finish)
    return loops.parallel(
        "task",
        s.Var("tasks"),
        *gemm.scratch(schedule, panel=form.right in _PACKING, packed=form.packed),
        *_where(form),
        *((_dots(form), every) if form.right == "dot" else _blocks(form, finish)),
    )


def _blocks(form: Form, finish: list[Statement]) -> list[Statement]:
    if form.pairs:
        return pair_loops.blocks(form.schedule, form.right, finish)
    start, row = s.Var("b_start"), s.Var("b_row")
    left = gemm.Left(
        "a",
        lambda _, number: ([], s.Var("a_start") + number * s.Var("a_row")),
        lambda p: ([], p * s.Var("a_step")),
        form.reading,
    )
    right = {
        "straight": gemm.Right("b", lambda p: ([], start + p * row), gemm.WIDTH, form.reading),
        "packed": gemm.packed_panel(form.schedule),
    }.get(form.right, gemm.panel(form.schedule))
    fill = [gemm.clear_panel(form.schedule), *gemm.pack_matrix(form.schedule, form.right, np.dtype(form.elements))]
    body = [
        Let("length", index(s.Var("count"))),
        Let("a_start", index(s.Var("a_base") + s.Var("start") * s.Var("a_step"))),
        Let("b_start", index(s.Var("b_base") + s.Var("start") * row)),
        *(fill if form.right in _PACKING else ()),
        gemm.multiply(form.schedule, left, right, *finish, first=s.equal(gemm.BLOCK, 0)),
    ]
    depth = s.Const(form.schedule.depth)
    return [gemm.count_groups(form.schedule), *gemm.blocks(s.Var("k"), depth, *body)]


def _dots(form: Form) -> loops.For:
    """Take four columns at a time, with four rows or with one."""
    columns, group = 4, s.Var("group")
    down = [s.minimum(s.Const(r), gemm.HEIGHT - 1) for r in range(form.schedule.rows)]
    rows = [s.Var("a_base") + row * s.Var("a_row") for row in down]
    across = [s.minimum(group * columns + c, gemm.WIDTH - 1) for c in range(columns)]
    starts = [s.Var("b_base") + column * s.Var("b_step") for column in across]
    body = gemm.dot(form.schedule, rows, starts, s.Var("k"), group, form.reading)
    return loops.serial("group", (gemm.WIDTH + (columns - 1)) // columns, *body)


def _where(form: Form) -> list[Statement]:
    """Name the part of the product that is the task's, and where the operands of that part begin."""
    panels, bands, rest = s.Var("panels"), s.Var("bands"), s.Var("task_rest")
    statements: list[Statement] = [
        Let("first_column", index(TASK % panels * form.schedule.lanes)),
        Let("task_rest", index(TASK // panels)),
        Let("first_row", index(rest % bands * s.Var("band"))),
        Let("matrix", index(rest // bands)),
        Let("height", index(s.minimum(s.Var("band"), s.Var("m") - FIRST_ROW))),
        Let("width", index(s.minimum(s.Const(form.schedule.lanes), s.Var("n") - FIRST_COLUMN))),
    ]
    number: s.Expr = s.Var("matrix")
    for d in range(form.stack - 1, 0, -1):
        extent = s.Var(f"stack{d}")
        statements += [Let(f"stack_rest{d}", index(number)), Let(f"at{d}", index(s.Var(f"stack_rest{d}") % extent))]
        number = s.Var(f"stack_rest{d}") // extent
    if form.stack:
        statements.append(Let("at0", index(number)))
    starts = {"a": FIRST_ROW * s.Var("a_row"), "b": FIRST_COLUMN * s.Var("b_step")}
    starts |= {name: FIRST_COLUMN * s.Var(f"{name}_step") for name in form.epilogue.names}
    for name, start in starts.items():
        for d in range(form.stack):
            start = start + s.Var(f"at{d}") * s.Var(f"{name}_stack{d}")
        statements.append(Let(f"{name}_base", index(start)))
    return statements
