"""The loops of a product of bfloat16 matrices by ``dot2``: two terms of each sum at once, summed in float32.

A panel has a pair of the right operand's elements in each lane, from two rows. The left operand's rows lie along
memory, where its pairs are read. An odd k's last term is what the sums start from.
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import PAIR, Schedule
from tensorlite.kernels.loops import If, Let, Load, Statement, Store, index

_ZERO = s.Const(0)
_FLOAT, _BITS = np.dtype(np.float32), np.dtype(np.uint16)


def adjoining(name: str, buffer: str, place: s.Expr) -> list[Statement]:
    """Read two elements that follow each other in memory."""
    return [Load(name, buffer, place, PAIR)]


def apart(distance: s.Expr) -> gemm.Reading:
    """Return the way to read an element, and as its partner the one at that distance."""

    def reading(name: str, buffer: str, place: s.Expr) -> list[Statement]:
        low, high = (s.cast(s.bitcast(s.Var(f"{name}_{which}"), _BITS), PAIR) for which in ("low", "high"))
        both = [Load(f"{name}_low", buffer, place), Load(f"{name}_high", buffer, place + distance)]
        return [*both, Let(name, low | high << 16)]

    return reading


def add_pair(left: str, right: str, total: str) -> s.Typed:
    """Return a sum with two products more."""
    pairs = (s.Typed("var", (), PAIR, name) for name in (left, right))
    return s.Typed("dot2", (s.Typed("var", (), _FLOAT, total), *pairs), _FLOAT)


def blocks(schedule: Schedule, right: str, finish: list[Statement]) -> list[Statement]:
    """Return the product's loops; ``right`` says how the right operand lies (`matmul_loops.Form`)."""
    start, row = s.Var("a_start"), s.Var("a_row")
    left = gemm.Left("a", lambda _, number: ([], start + number * row), lambda p: ([], p * 2), adjoining)
    packed = right == "packed"
    fill = [gemm.clear_panel(schedule, PAIR), *pack_right(schedule, right)]
    panel = gemm.packed_panel(schedule) if packed else gemm.panel(schedule)
    body: list[Statement] = [
        Let("length", index(s.Var("count"))),
        Let("a_start", index(s.Var("a_base") + s.Var("start") * 2)),
        Let("b_start", index(s.Var("b_base") + s.Var("start") * s.Var("b_row") * (1 if packed else 2))),
        *(() if packed else fill),
        gemm.multiply(schedule, left, panel, *finish, add=add_pair, first=s.equal(gemm.BLOCK + s.Var("k") % 2, 0)),
    ]
    return [
        gemm.count_groups(schedule),
        If(s.equal(s.Var("k") % 2, 1), (_last_term(schedule, packed),)),
        *gemm.blocks(s.Var("k") // 2, s.Const(schedule.depth), *body),
    ]


def _last_term(schedule: Schedule, packed: bool) -> loops.For:
    """Start the sums from the products of the last column and the last row."""
    row, lane, last = s.Var("last_row"), s.Var("last_lane"), s.Var("k") - 1
    reads: list[Statement]
    if packed:
        place = s.Var("b_base") + s.Var("k") // 2 * schedule.lanes + lane
        found = s.bitcast(s.Var("last_pair") << 16, _FLOAT)
        reads = [Load("last_pair", "b", place), Let("last_right", found)]
    else:
        reads = gemm.widely("last_right", "b", s.Var("b_base") + last * s.Var("b_row") + lane * s.Var("b_step"))
    store = Store("tile", row * schedule.lanes + lane, s.Var("last_left") * s.Var("last_right"))
    each = gemm.widely("last_left", "a", s.Var("a_base") + last + row * s.Var("a_row"))
    lanes = loops.vector("last_lane", gemm.WIDTH, schedule.square, *reads, store)
    return loops.serial("last_row", gemm.HEIGHT, *each, lanes)


def pack_right(schedule: Schedule, lies: str, top: s.Expr = _ZERO) -> list[Statement]:
    """Fill the panel from a part of the matrix ``b`` that begins at ``b_start``, as `gemm_loops.pack_matrix` does."""
    start, row, step = s.Var("b_start"), s.Var("b_row"), s.Var("b_step")
    if lies == "columns":
        return gemm.pack_columns_read(schedule, "b", lambda p, n: start + p * 2 + n * step, adjoining, PAIR, top)
    across = s.Const(1) if lies == "rows" else step
    return [gemm.pack_rows(schedule, "b", lambda p, n: start + p * row * 2 + n * across, apart(row), top)]


def pack_last(schedule: Schedule, row: s.Expr) -> loops.For:
    """Fill a row of the panel from the last row of ``b`` alone."""
    lane = s.Var("last_lane")
    place = s.Var("b_base") + (s.Var("k") - 1) * s.Var("b_row") + lane * s.Var("b_step")
    alone = s.cast(s.bitcast(s.Var("alone"), _BITS), PAIR)
    store = Store("panel", row * schedule.lanes + lane, alone)
    return loops.vector("last_lane", gemm.WIDTH, schedule.lanes, Load("alone", "b", place), store)
