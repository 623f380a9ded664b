"""Plans of convolutions: padding where it is needed, then products of matrices of gathered windows.

``plan_conv2d``, ``plan_conv2d_data`` and ``plan_conv2d_weight`` take epilogues like those of ``matmul.plan``: a scalar
expression for each output, of ``product`` and of operands ``e0``, ``e1``, ... that broadcast to the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import direct, prepared, winograd
from tensorlite.kernels.cpu.conv_geometry import (
    Images,
    Padding,
    Pair,
    Phase,
    Source,
    Taps,
    pair,
    phases_of,
    shares_of,
    source_of,
    window_source,
)
from tensorlite.kernels.cpu.matmul import band, fitted, lowers
from tensorlite.kernels.cpu.prepared import Shape
from tensorlite.kernels.cpu.widened import widened
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import conv_loops, conv_weight_loops, gemm_loops
from tensorlite.kernels.generated.conv_parts import MOST_TAPS, Form
from tensorlite.kernels.generated.gemm_loops import Epilogue, Schedule
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_MACS_PER_NANOSECOND = 100.0
_GATHERING, _TURNING = 10.0, 10.0  # packing a panel, in the time of so many rows of a product (measured)
_LONGEST_LINE = 256
_LETTERS = {1: "u", 0: "b", 2: "2"}  # of steps that kernels know beforehand
_FEW_FILTERS, _FEW_TERMS = 16, 64  # for fewer, filters are rows (measured)
_TURNED_TERMS = 64  # of a task that turns filters
_TURNING_FILTERS = 16.0  # turning a filter, in the time of so many of its sums
_MOST_FILTERS = 516  # in a tile, so that windows are gathered once


@dataclass(frozen=True)
class Finish:
    """The epilogue of a plan, and the arrays that it reads and writes."""

    values: tuple[s.Expr, ...]
    operands: tuple[Array, ...]
    outputs: tuple[Array, ...]

    def epilogue(self, letters: str) -> Epilogue:
        """Return what the loops are specialised to."""
        return Epilogue(
            self.values, tuple(x.dtype.name for x in self.outputs), tuple(x.dtype.name for x in self.operands), letters
        )

    @property
    def reads(self) -> tuple[int, ...]:
        """The numbers of the operands: they come after two inputs."""
        return tuple(range(2, 2 + len(self.operands)))

    @property
    def writes(self) -> tuple[int, ...]:
        """The numbers of the outputs."""
        return tuple(range(2 + len(self.operands), self.count))

    @property
    def count(self) -> int:
        """The number of arrays of the caller."""
        return 2 + len(self.operands) + len(self.outputs)


def _finish(
    inputs: tuple[Array, Array], outputs: Sequence[Array], epilogue: Sequence[s.Expr] | None, operands: Sequence[Array]
) -> Finish | None:
    """Return the epilogue if everything has a native form."""
    dtype, shape = inputs[0].dtype, outputs[0].shape
    plain = all(x.shape == shape and (x.is_contiguous or not x.size) for x in outputs)
    if dtype not in _DTYPES or inputs[1].dtype != dtype or not plain:
        return None
    values = (s.Var("product"),) * len(outputs) if epilogue is None else tuple(epilogue)
    broadcast = tuple(_broadcast(operand, len(shape)) for operand in operands)
    finish = Finish(values, broadcast, tuple(outputs))
    return finish if lowers(finish.epilogue("b" * len(operands)), dtype) else None


def _broadcast(array: Array, ndim: int) -> Array:
    """Return an array of that many dimensions, with strides of 0 where it has one element."""
    missing = ndim - array.ndim
    strides = [0 if n == 1 else stride for n, stride in zip(array.shape, array.strides, strict=True)]
    return Array(array.dtype, (1,) * missing + array.shape, (0,) * missing + tuple(strides))


# The product of filters and windows


@dataclass(frozen=True)
class Windows:
    """A product of filters and windows: ``m`` filters of each of ``groups``, sums over ``depth`` channels and all taps.

    ``pixels`` are those computed of each of ``count`` images; ``filters`` is where the filters are: base, and strides
    of groups, of the result's channels, and of the summed ones. ``places`` says where pixels are in the output and in
    each operand: base, and strides of images, channels, lines and pixels.
    """

    groups: int
    m: int
    depth: int
    count: int
    pixels: Pair
    images: Images
    taps: tuple[Taps, Taps]
    filters: tuple[int, int, int, int]
    places: tuple[tuple[int, ...], ...]


def _fitted(schedule: Schedule, m: int, n: int) -> Schedule:
    """Return the schedule with as many rows and lanes as there is use for, and a tile of many rows."""
    schedule = fitted(schedule, m, n)
    return replace(schedule, band=schedule.rows * (_MOST_FILTERS // schedule.rows) if m > 1 else 1)


def _stretch(run: int, images: Images, schedule: Schedule) -> int:
    """Return how many pixels of a run are copied at once, those beyond its end too; 0 if nothing may be read there."""
    covering = (n * schedule.square for n in (1, 2, 4, 8))
    return next(n for n in covering if n >= min(run, schedule.lanes)) if images.padded else 0


def _stages(
    windows: Windows, count: int, dtype: np.dtype[Any], finish: Finish, scratch: int
) -> tuple[list[Stage], list[int]]:
    """Return the stages that compute a product of filters and windows of some of ``count`` images; the last one does.

    And the sizes of their scratch arrays.
    """
    if _suits_pixels(windows, count, gemm_loops.schedule(dtype)):
        return _by_pixels(windows, dtype, finish, scratch)
    return [_gathering(windows, dtype, finish)], []


def _suits_pixels(windows: Windows, count: int, schedule: Schedule) -> bool:
    """Tell whether pixels should be rows: filters are turned for it, but no windows gathered, and other sums wasted."""
    n, terms = count * prod(windows.pixels), windows.depth * windows.taps[0].count * windows.taps[1].count
    if windows.m < _FEW_FILTERS or terms < _FEW_TERMS or not n:
        return False
    rows = -(-n // schedule.rows) * schedule.rows * -(-windows.m // schedule.lanes) * schedule.lanes
    columns = -(-n // schedule.lanes) * schedule.lanes * windows.m
    return rows * (1 + _TURNING_FILTERS / n) < columns * (1 + _GATHERING / windows.m)


def _form(windows: Windows, schedule: Schedule, finish: Finish, stretch: int = 0) -> Form:
    letters = [_LETTERS.get(place[4], "s") for place in windows.places]
    return Form(schedule, finish.epilogue("".join(letters[1:])), letters[0].replace("b", "s"), stretch)


def _runs(windows: Windows) -> Pair:
    """Return how long runs of pixels are that lie side by side in all results and operands, and how many there are."""
    flat = all(place[3] == windows.pixels[1] * place[4] for place in windows.places)
    return (prod(windows.pixels), 1) if flat else windows.pixels[::-1]


def _work(windows: Windows, taps: int) -> float:
    macs = windows.groups * windows.m * windows.count * prod(windows.pixels) * (windows.depth * taps + 16)
    return 200.0 + macs / _MACS_PER_NANOSECOND


def _gathering(windows: Windows, dtype: np.dtype[Any], finish: Finish) -> Stage:
    """Return the stage that gathers windows: pixels are columns."""
    images, (down, across), pixels = windows.images, windows.taps, windows.pixels
    taps = down.count * across.count
    n, depth = windows.count * prod(pixels), windows.depth if taps else 0
    schedule = _fitted(gemm_loops.schedule(dtype), windows.m, n)
    seen = images.runs(pixels)
    form = _form(windows, schedule, finish, _stretch(seen[0], images, schedule))
    panels = -(-n // schedule.lanes)
    rows = band(windows.m, panels * windows.groups, _GATHERING, schedule)
    bands = -(-windows.m // rows)
    numbers = pack(
        panels * bands * windows.groups, panels, bands, rows, windows.m, n, depth,
        schedule.depth // max(taps, 1), down.count, across.count, *down.numbers, *across.numbers,
        images.base, images.image, images.channel * windows.depth, images.channel, images.line,
        *seen, *windows.filters, down.weight, across.weight, *_runs(windows),
        *(number for place in windows.places for number in place),
    )  # fmt: skip
    reads = (images.number, 1, *finish.reads)
    work = _work(windows, taps)
    return Stage(form.key("conv2d"), lambda: conv_loops.kernel(form), reads, finish.writes, numbers, work)


def _turned(windows: Windows, schedule: Schedule, depth: int, panels: int, scratch: int) -> Stage:
    """Return the stage that turns filters: by squares where the terms of each lie side by side."""
    (down, across), (base, part, row, channel) = windows.taps, windows.filters
    terms, places = depth * down.count * across.count, panels * windows.groups * schedule.lanes
    if across.weight == 1 and down.weight == across.count and channel == down.count * across.count:
        blocks = -(-terms // _TURNED_TERMS)
        tasks = blocks * panels * windows.groups
        numbers = pack(tasks, blocks, _TURNED_TERMS, panels, windows.m, terms, base, part, row)
        build = partial(conv_loops.flat_filter_kernel, schedule)
        return Stage(f"conv2d flat filters {schedule}", build, (1,), (scratch,), numbers, 200.0 + places * terms / 10)
    numbers = pack(
        depth * panels * windows.groups, depth, panels, windows.m, down.count, across.count, *windows.filters,
        down.weight, across.weight,
    )  # fmt: skip
    build = partial(conv_loops.filter_kernel, schedule)
    return Stage(f"conv2d filters {schedule}", build, (1,), (scratch,), numbers, 200.0 + places * terms / 2)


def _by_pixels(
    windows: Windows, dtype: np.dtype[Any], finish: Finish, scratch: int
) -> tuple[list[Stage], list[int]]:
    """Return the stages that turn filters and then multiply windows by them: pixels are rows, filters columns."""
    images, (down, across), pixels = windows.images, windows.taps, windows.pixels
    taps = down.count * across.count
    n, depth = windows.count * prod(pixels), windows.depth if taps else 0
    schedule = fitted(gemm_loops.schedule(dtype), 2, windows.m)
    form = _form(windows, schedule, finish)
    panels = -(-windows.m // schedule.lanes)
    rows = band(n, panels * windows.groups, 0.0, schedule)
    bands = -(-n // rows)
    turned = _turned(windows, schedule, depth, panels, scratch)
    numbers = pack(
        panels * bands * windows.groups, panels, bands, rows, windows.m, n, depth,
        schedule.depth // max(taps, 1), down.count, across.count, *down.numbers, *across.numbers,
        images.base, images.image, images.channel * windows.depth, images.channel, images.line,
        *images.runs(pixels), *_runs(windows), *(number for place in windows.places for number in place),
    )  # fmt: skip
    reads, work = (images.number, scratch, *finish.reads), _work(windows, taps)
    stage = Stage(
        form.key("conv2d pixels"), lambda: conv_loops.pixel_kernel(form), reads, finish.writes, numbers, work
    )
    return [turned, stage], [depth * panels * windows.groups * taps * schedule.lanes * dtype.itemsize]


@widened
def plan_conv2d(
    x: Array,
    weight: Array,
    outputs: Sequence[Array],
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    epilogue: Sequence[s.Expr] | None = None,
    operands: Sequence[Array] = (),
    tile: int | None = None,
    kept: bool = False,
) -> Plan | None:
    """Plan windows of ``x`` times filters: [images, channels, height, width]; None where it has no native form.

    ``tile`` is the extent of Winograd's tiles, 0 for none; without it, what a model of the machine takes is taken.
    Where what is made of filters is ``kept``, it costs nothing.
    """
    finish, kernel = _finish((x, weight), outputs, epilogue, operands), pair(weight.shape[2:])
    if finish is None or prod(kernel) > MOST_TAPS:
        return None
    counts, filters = pair(outputs[0].shape[2:]), weight.shape[0] // groups
    steps = pair(weight.strides[2:])
    if groups == 1 and _takes_tiles(kernel, stride, dilation):
        lying = (0, weight.strides[0], weight.strides[1], *steps)
        found = _winograd(x, filters, counts, (padding[0][0], padding[1][0]), lying, finish, tile, kept)
        if found is not None:
            return found
    if tile:
        return None
    places = _places(finish, (1, 1), (0, 0))
    layer = direct.Layer(
        x, groups, filters, counts, kernel, stride, dilation, (padding[0][0], padding[1][0]),
        (0, filters * weight.strides[0], weight.strides[0], weight.strides[1], *steps), places,
    )  # fmt: skip
    stages, scratch = _direct(layer, finish)
    if stages:
        return Plan(tuple(stages), tuple(scratch))
    number = finish.count

    def windows_of(share: Array, first: int) -> tuple[Source, list[Windows]]:
        source, taps = window_source(share, number, kernel, counts, stride, padding, dilation, steps, first)
        lying = (0, filters * weight.strides[0], weight.strides[0], weight.strides[1])
        one = Windows(groups, filters, weight.shape[1], share.shape[0], counts, source.images, taps, lying, places)
        return source, [one]

    return _by_shares(x, windows_of, finish)


def _by_shares(images: Array, windows_of: Callable[[Array, int], tuple[Source, list[Windows]]], finish: Finish) -> Plan:
    """Plan products of windows, whose images are copied share by share if they are copied."""
    whole, _ = windows_of(images, 0)
    stages: list[Stage] = []
    scratch: list[int] = []
    for first, share in shares_of(images, whole):
        source, every = windows_of(share, first)
        stages += source.stages
        sizes = [*source.scratch]
        for windows in every:
            windows = replace(windows, places=tuple((p[0] + first * p[1], *p[1:]) for p in windows.places))
            made, more = _stages(windows, images.shape[0], images.dtype, finish, finish.count + len(sizes))
            stages, sizes = stages + (made[-1:] if first else made), sizes + more
        scratch = scratch or sizes
    return Plan(tuple(stages), tuple(scratch))


def _direct(layer: direct.Layer, finish: Finish, more: int = 0) -> tuple[list[Stage], list[int]]:
    """Plan a layer of few channels a group by direct sums, if that is faster; ``more`` scratch arrays there are."""
    if not direct.suits(layer):
        return [], []
    letters = "".join(_LETTERS.get(place[4], "s") for place in layer.places[1:])
    dtype, scratch = layer.images.dtype, finish.count + more
    return direct.stages(layer, dtype, finish.epilogue(letters), finish.reads, finish.writes, scratch)


def _winograd(
    x: Array, channels: int, counts: Pair, border: Pair, filters: tuple[int, int, int, int, int], finish: Finish,
    tile: int | None = None, kept: bool = False,
) -> Plan | None:
    """Plan filters of 3 x 3 taps, one step apart, by tiles, if that is faster."""
    layer = winograd.Layer(x, 0, 0, border, channels, counts, filters, kept)
    m = winograd.choose(layer, x.dtype) if tile is None else tile
    if not m or not winograd.takes(layer, x.dtype, m):
        return None
    source = source_of(x, 0, finish.count, (0, 0), pair(x.shape[2:]), whole=True)
    images = source.images
    lying = Array(x.dtype, x.shape, (images.image, images.channel, images.line, 1))
    layer = replace(layer, images=lying, base=images.base, number=images.number)
    places = _places(finish, (1, 1), (0, 0))
    letters = [{1: "u", 0: "b"}.get(place[4], "s") for place in places]
    flat = all(place[3] == counts[1] * place[4] for place in places)
    runs = (prod(counts), 1) if flat else counts[::-1]
    stages, scratch = winograd.stages(
        layer, m, finish.epilogue("".join(letters[1:])), "us"[letters[0] == "s"], list(places), x.dtype,
        finish.count + len(source.scratch), finish.reads, finish.writes, runs,
    )  # fmt: skip
    return Plan((*source.stages, *stages), (*source.scratch, *scratch))


def _places(finish: Finish, stride: Pair, phase: Pair) -> tuple[tuple[int, ...], ...]:
    """Return where the pixels of a phase of a result are, in the output and in the operands."""
    output = Array.contiguous(finish.outputs[0].dtype, finish.outputs[0].shape)
    return tuple(
        (phase[0] * line + phase[1] * step, image, channel, stride[0] * line, stride[1] * step)
        for image, channel, line, step in (array.strides for array in (output, *finish.operands))
    )


# The transpose in the images


@widened
def plan_conv2d_data(
    g: Array,
    weight: Array,
    outputs: Sequence[Array],
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    epilogue: Sequence[s.Expr] | None = None,
    operands: Sequence[Array] = (),
) -> Plan | None:
    """Plan the transpose of `conv2d` in its images, whose size is that of the outputs; each phase is a convolution."""
    finish, kernel = _finish((g, weight), outputs, epilogue, operands), pair(weight.shape[2:])
    if finish is None or prod(kernel) > MOST_TAPS:
        return None
    size, filters = pair(outputs[0].shape[2:]), weight.shape[0] // groups
    if groups == 1 and _takes_tiles(kernel, stride, dilation):
        row, channel, *steps = (weight.strides[axis] for axis in (1, 0, 2, 3))
        last = winograd.R - 1
        lying = (last * sum(steps), row, channel, -steps[0], -steps[1])
        found = _winograd(g, weight.shape[1], size, (last - padding[0][0], last - padding[1][0]), lying, finish)
        if found is not None:
            return found
    down, across = (phases_of(size[i], kernel[i], stride[i], padding[i][0], dilation[i]) for i in (0, 1))
    parts = [(y, x, _places(finish, stride, (y.start, x.start))) for y in down for x in across]
    directly = [_direct(_phase(g, weight, groups, y, x, places), finish, k) for k, (y, x, places) in enumerate(parts)]
    if all(stages for stages, _ in directly):
        sizes = [sum(size) for _, size in directly]  # one for each, if it has none
        return Plan(tuple(stage for stages, _ in directly for stage in stages), tuple(sizes) if any(sizes) else ())
    top, left = (-min((p.windows[0] for p in axis if p.taps), default=0) for axis in (down, across))
    bottom, right = (max((p.windows[1] for p in axis if p.taps), default=0) for axis in (down, across))
    span = bottom + top + 1, right + left + 1

    def windows_of(share: Array, first: int) -> tuple[Source, list[Windows]]:
        source = source_of(share, 0, finish.count, (top, left), span, first=first)
        every = []
        for y, x, places in parts:
            images = source.images
            images = replace(images, base=images.base + (y.window + top) * images.line + x.window + left)
            taps = (
                Taps(y.taps, -y.back * images.line, weight=y.step * weight.strides[2]),
                Taps(x.taps, -x.back, weight=x.step * weight.strides[3]),
            )
            base = y.first * weight.strides[2] + x.first * weight.strides[3]
            lying = (base, filters * weight.strides[0], weight.strides[1], weight.strides[0])
            pixels = y.pixels, x.pixels
            every.append(Windows(groups, weight.shape[1], filters, share.shape[0], pixels, images, taps, lying, places))
        return source, every

    return _by_shares(g, windows_of, finish)


def _phase(
    g: Array, weight: Array, groups: int, y: Phase, x: Phase, places: tuple[tuple[int, ...], ...]
) -> direct.Layer:
    """Return the convolution that some pixels of the images are: the taps that reach them, the last one first."""
    row, channel, line, step = weight.strides
    last = (y.first + (y.taps - 1) * y.step) * line + (x.first + (x.taps - 1) * x.step) * step
    filters = (last, weight.shape[0] // groups * row, channel, row, -y.step * line, -x.step * step)
    return direct.Layer(
        g, groups, weight.shape[1], (y.pixels, x.pixels), (y.taps, x.taps), (1, 1), (y.back, x.back),
        (-y.windows[0], -x.windows[0]), filters, places,
    )  # fmt: skip


# The transpose in the weight


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
    finish, shape = _finish((x, g), outputs, epilogue, operands), outputs[0].shape
    kernel, counts = pair(shape[2:]), pair(g.shape[2:])
    if finish is None or prod(kernel) > MOST_TAPS:
        return None
    rows = [row for row in map(_flat, finish.operands) if row is not None]
    if len(rows) < len(operands):
        return None
    if groups == 1 and _takes_tiles(kernel, stride, dilation) and winograd.suits_weight(x, g):
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


def _takes_tiles(kernel: Pair, stride: Pair, dilation: Pair) -> bool:
    return stride == dilation == (1, 1) and kernel == (winograd.R, winograd.R)


def _flat(operand: Array) -> tuple[int, int] | None:
    """Return the strides of an operand seen as a matrix: a filter is a row. None if its places are not evenly apart."""
    inner = Array(operand.dtype, operand.shape[1:], operand.strides[1:])
    if not any(inner.strides):
        return operand.strides[0], 0
    return (operand.strides[0], 1) if inner.is_contiguous else None


# Arrays


def result_shape(
    x: Shape, weight: Shape, bias: Shape | None = None, *, stride: Shape, padding: Any, dilation: Shape, groups: int,
    tile: int | None = None,
) -> Shape | None:
    """Return the shape of a convolution's result for those of its arrays; None where they do not fit."""
    fits = len(x) == len(weight) == 4 and x[1] == weight[1] * groups and weight[0] % groups == 0
    if not fits or bias not in (None, weight[:1]) or 0 in weight:
        return None
    spans = [(weight[2 + i] - 1) * dilation[i] + 1 for i in (0, 1)]
    counts = [(x[2 + i] + sum(padding[i]) - spans[i]) // stride[i] + 1 for i in (0, 1)]
    return (x[0], weight[0], *counts) if min(counts) > 0 else None


def conv2d(
    x: npt.NDArray[Any], weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None, *, stride: int = 1,
    padding: int = 0, dilation: int = 1, groups: int = 1, tile: int | None = None,
) -> npt.NDArray[Any]:  # fmt: skip
    """Return the cross-correlation of images and filters: float32 or float64 arrays.

    x: [images, channels, height, width]; weight: [filters, channels / groups, height, width]; bias: [filters]. A
    ``tile`` of 2, 4 or 6 results asks for Winograd's F(tile x tile, 3 x 3), 0 for windows; else the faster is taken.
    Raises ``KernelError`` where shapes or dtypes have no such form.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    arrays = (x, weight) if bias is None else (x, weight, bias)
    geometry: dict[str, Any] = {name: (n, n) for name, n in (("stride", stride), ("dilation", dilation))}
    geometry |= {"padding": ((padding, padding),) * 2, "groups": groups, "tile": tile}
    found = prepared.kernel(_plan_conv2d, prepared.alike(result_shape), lambda _: 0.0)(*arrays, **geometry)
    if found is NotImplemented:
        types = " and ".join(f"{a.dtype.name}[{', '.join(map(str, a.shape))}]" for a in arrays)
        raise KernelError(f"conv2d: there is no native form for {types}, groups {groups}, tile {tile}")
    return np.asarray(found)


# The ops


def _plan_conv2d(inputs: Sequence[Array], outputs: Sequence[Array], **geometry: Any) -> Plan | None:
    """Plan the op ``conv2d``, with a bias or without."""
    x, weight, *bias = inputs
    along = [Array(b.dtype, (*b.shape, 1, 1), (*b.strides, 0, 0)) for b in bias]
    epilogue = [s.Var("product") + s.Var("e0")] if bias else None
    return plan_conv2d(x, weight, outputs, epilogue=epilogue, operands=along, **geometry)


def _plan_data(inputs: Sequence[Array], outputs: Sequence[Array], *, size: Pair, **geometry: Any) -> Plan | None:
    """Plan the op ``conv2d_data``."""
    assert outputs[0].shape[2:] == size
    return plan_conv2d_data(inputs[0], inputs[1], outputs, **geometry)


def _plan_weight(inputs: Sequence[Array], outputs: Sequence[Array], *, kernel: Pair, **geometry: Any) -> Plan | None:
    """Plan the op ``conv2d_weight``."""
    assert outputs[0].shape[2:] == kernel
    return plan_conv2d_weight(inputs[0], inputs[1], outputs, **geometry)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "conv2d": _plan_conv2d,
    "conv2d_data": _plan_data,
    "conv2d_weight": _plan_weight,
}
"""The planning functions of this family, by op."""
