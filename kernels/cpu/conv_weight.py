"""Plans of the transpose of `conv2d` in its weight: sums over all windows, by tiles, directly, or as products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import direct, winograd
from tensorlite.kernels.cpu.conv_finish import Finish, finish_of
from tensorlite.kernels.cpu.conv_geometry import Images, Padding, Pair, pair, source_of, window_source
from tensorlite.kernels.cpu.matmul import band, fitted
from tensorlite.kernels.cpu.widened import widened
from tensorlite.kernels.generated import conv_weight_loops, gemm_loops
from tensorlite.kernels.generated.conv_parts import MOST_TAPS, Form
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_MACS_PER_NANOSECOND = 100.0
_TURNING = 10.0  # turning a panel, in the time of so many rows of a product (measured)
_LONGEST_LINE = 256


@widened
def plan_conv2d_weight(
    x: Array,
    g: Array,
    outputs: Sequence[Array],
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    epilogue: Sequence[s.Expr] | None = None,
    operands: Sequence[Array] = (),
) -> Plan | None:
    """Plan the transpose of `conv2d` in its weight, whose shape is that of the outputs: sums over all windows."""
    finish, shape = finish_of((x, g), outputs, epilogue, operands), outputs[0].shape
    kernel, counts = pair(shape[2:]), pair(g.shape[2:])
    if finish is None or prod(kernel) > MOST_TAPS:
        return None
    rows = [row for row in map(_flat, finish.operands) if row is not None]
    if len(rows) < len(operands):
        return None
    if groups == 1 and winograd.takes_geometry(kernel, stride, dilation) and winograd.suits_weight(x, g):
        return _winograd_weight(x, g, (padding[0][0], padding[1][0]), finish, rows)
    layer = direct.Layer(
        x, groups, shape[0] // groups, counts, kernel, stride, dilation, (padding[0][0], padding[1][0])
    )
    if direct.suits_weight(layer):
        letters = "".join("ub"[step == 0] for _, step in rows)
        found = direct.weight_stage(layer, g, finish.epilogue(letters), rows, finish.reads, finish.writes)
        if found is not None:
            return Plan((found,))
    if counts[1] > _LONGEST_LINE:
        return None
    source, taps = window_source(x, finish.count, kernel, counts, stride, padding, dilation, (0, 0))
    images, (down, across) = source.images, taps
    turned = source_of(g, 1, finish.count + len(source.scratch), (0, 0), counts)
    g = Array(g.dtype, g.shape, (turned.images.image, turned.images.channel, turned.images.line, 1))
    m, n, lines = prod(shape[1:]), shape[0] // groups, g.shape[0] * counts[0]
    schedule = gemm_loops.schedule(x.dtype, depth=max(_LONGEST_LINE // 2, counts[1]), band=144)
    schedule = fitted(schedule, 2, n)
    form = Form(schedule, finish.epilogue("".join("ub"[step == 0] for _, step in rows)))
    panels = -(-n // schedule.lanes)
    height = band(m, panels * groups, _TURNING, schedule)
    bands = -(-m // height)
    numbers = pack(
        panels * bands * groups, panels, bands, height, m, n, lines, max(1, schedule.depth // max(counts[1], 1)),
        down.count, across.count, *down.numbers, *across.numbers,
        images.base, images.image, images.channel * shape[1], images.channel, images.line, *counts[::-1],
        g.strides[0], g.strides[1] * n, *g.strides[1:3], *Images(1, 0, 0, 0, (0, 0), g.strides[2]).runs(counts),
        *(number for row in rows for number in row),
    )  # fmt: skip
    work = 200.0 + groups * m * n * (lines * counts[1] + 16) / _MACS_PER_NANOSECOND
    reads = (images.number, turned.images.number, *finish.reads)
    stage = Stage(
        form.key("conv2d_weight"), lambda: conv_weight_loops.kernel(form), reads, finish.writes, numbers, work
    )
    return Plan((*source.stages, *turned.stages, stage), (*source.scratch, *turned.scratch))


def _winograd_weight(x: Array, g: Array, border: Pair, finish: Finish, rows: list[tuple[int, int]]) -> Plan:
    """Plan sums over tiles."""
    stages: list[Stage] = []
    scratch: list[int] = []
    sides, bases, numbers = [], [], []
    for number, side in enumerate((x, g)):
        source = source_of(side, number, finish.count + len(scratch), (0, 0), pair(side.shape[2:]), whole=True)
        stages, scratch, images = stages + list(source.stages), scratch + list(source.scratch), source.images
        sides.append(Array(side.dtype, side.shape, (images.image, images.channel, images.line, 1)))
        bases.append(images.base)
        numbers.append(images.number)
    epilogue = finish.epilogue("".join("ub"[step == 0] for _, step in rows))
    stage, sizes = winograd.weight_stage(
        sides[0], sides[1], border, pair(numbers), epilogue, rows, finish.count + len(scratch), finish.reads,
        finish.writes, pair(bases),
    )  # fmt: skip
    return Plan((*stages, stage), (*scratch, *sizes))


def _flat(operand: Array) -> tuple[int, int] | None:
    """Return the strides of an operand seen as a matrix: a filter is a row. None if its places are not evenly apart."""
    inner = Array(operand.dtype, operand.shape[1:], operand.strides[1:])
    if not any(inner.strides):
        return operand.strides[0], 0
    return (operand.strides[0], 1) if inner.is_contiguous else None
