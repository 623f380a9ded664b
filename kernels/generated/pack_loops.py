"""The loops that pack a right operand beforehand: every panel of a matrix, one after the other, each row by row.

A product that takes what was packed reads its panels where they are. A panel has the rows of the matrix, or half as
many where they are paired, and then room for what fills a square. Lanes without a column are never used; what they
have, zeros or the last column, is the same every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated import pair_loops
from tensorlite.kernels.generated.gemm_loops import FIRST_COLUMN, TASK, Schedule
from tensorlite.kernels.loops import Buffer, If, Let, Parameter, Statement, index


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: ``right`` says how the matrix lies, as in `matmul_loops.Form`."""

    schedule: Schedule
    right: str
    elements: str
    paired: bool

    def key(self) -> str:
        """Return what names the kernel."""
        return f"pack {self.schedule} {self.right} {self.elements} {self.paired}"


PARAMETERS = ("tasks", "panels", "blocks", "n", "k", "rows", "b_row", "b_step")


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of one form."""
    packed = gemm.packed_dtype(form.schedule, form.paired)
    buffers = (Buffer("b", np.dtype(form.elements)), Buffer("panel", packed, writable=True))
    return loops.build("pack", (*buffers, *map(Parameter, PARAMETERS)), (_task(form),))


def _task(form: Form) -> loops.For:
    schedule, panel, block = form.schedule, s.Var("panel_number"), s.Var("block")
    terms, start = (s.Var("k") // 2 if form.paired else s.Var("k")), s.Var("start")
    top, length = s.Var("top"), s.minimum(s.Const(schedule.depth), terms - start)
    return loops.parallel(
        "task",
        s.Var("tasks"),
        Let("panel_number", index(TASK // s.Var("blocks"))),
        Let("block", index(TASK % s.Var("blocks"))),
        Let("first_column", index(panel * schedule.lanes)),
        Let("width", index(s.minimum(s.Const(schedule.lanes), s.Var("n") - FIRST_COLUMN))),
        Let("start", index(block * schedule.depth)),
        Let("length", index(length)),
        Let("top", index(panel * s.Var("rows") + start)),
        Let("b_base", index(FIRST_COLUMN * s.Var("b_step"))),
        Let("b_start", index(s.Var("b_base") + start * s.Var("b_row") * (2 if form.paired else 1))),
        gemm.clear_panel(schedule, gemm.packed_dtype(schedule, form.paired), top),
        *(pair_loops.pack_right(schedule, form.right, top) if form.paired else _pack(form, top)),
        *(_pack_last(schedule) if form.paired else ()),
    )


def _pack(form: Form, top: s.Expr) -> list[Statement]:
    return gemm.pack_matrix(form.schedule, form.right, np.dtype(form.elements), top)


def _pack_last(schedule: Schedule) -> list[Statement]:
    """Put the last of an odd number of rows after the others: it has no partner."""
    odd = s.equal(s.Var("k") % 2, 1)
    last = s.equal(s.Var("block"), s.Var("blocks") - 1)
    row = pair_loops.pack_last(schedule, s.Var("top") + gemm.LENGTH)
    return [If(odd, (If(last, (row,)),))]
