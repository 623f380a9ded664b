"""Normalisations' derivatives that take loops of their own: all cotangents of rows with weights, in one walk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tensorlite.kernels.cpu.row_stages import contiguous
from tensorlite.kernels.generated import norm_slope_loops
from tensorlite.kernels.generated.fold import carrier
from tensorlite.kernels.norm import has_loops
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_BLOCKS, _FEWEST, _MOST = 64, 8, 64  # blocks to divide among threads, of so many rows
_NANOSECONDS = 0.25  # of one thread for an element


def plan_normalize_slopes(inputs: Sequence[Array], outputs: Sequence[Array], *, axes: tuple[int, ...]) -> Plan | None:
    """The cotangents of ``x``, of the weight and of the bias; inputs are ``g``, ``x``, its mean, its scale, weights."""
    g, x, mean, r, weight = inputs
    wide = carrier(x.dtype)
    if not has_loops(x.dtype, x.shape, weight.shape, axes) or not g.dtype == weight.dtype == x.dtype:
        return None
    if g.shape != x.shape or not mean.dtype == r.dtype == wide or not all(out.is_contiguous for out in outputs):
        return None
    found = contiguous(inputs, len(inputs) + len(outputs))
    if found is None:
        return None
    copies, reads, room = found
    columns = prod(weight.shape)
    rows = x.size // columns
    block = min(_MOST, max(_FEWEST, -(-rows // _BLOCKS)))
    parts = -(-rows // block)
    sums = tuple(len(inputs) + len(outputs) + len(copies) + k for k in range(2))
    name, tasks = x.dtype.name, -(-columns // norm_slope_loops.COLUMNS)
    walk = Stage(f"norm_slopes {name}", lambda: norm_slope_loops.slopes(x.dtype), reads, (5, *sums),
                 pack(parts, rows, block, columns, float(columns)), _NANOSECONDS * x.size)  # fmt: skip
    add = Stage(f"norm_slope_sums {name}", lambda: norm_slope_loops.sums(x.dtype), sums, (6, 7),
                pack(tasks, parts, columns), 0.1 * parts * columns)  # fmt: skip
    return Plan((*copies, walk, add), (*room, *(parts * columns * wide.itemsize,) * 2))


PLANS: dict[str, Callable[..., Plan | None]] = {"normalize_slopes": plan_normalize_slopes}
