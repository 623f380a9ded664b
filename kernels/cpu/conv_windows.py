"""Plans of convolutions as products of filters and windows: windows are gathered, or filters turned beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels.cpu.conv_finish import Finish
from tensorlite.kernels.cpu.conv_geometry import Images, Pair, Source, Taps, shares_of
from tensorlite.kernels.cpu.matmul import band, fitted
from tensorlite.kernels.generated import conv_loops, gemm_loops
from tensorlite.kernels.generated.conv_parts import Form
from tensorlite.kernels.generated.gemm_loops import Schedule
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_MACS_PER_NANOSECOND = 100.0
_GATHERING = 10.0  # packing a panel, in the time of so many rows of a product (measured)
_FEW_FILTERS, _FEW_TERMS = 16, 64  # for fewer, filters are rows (measured)
_TURNED_TERMS = 64  # of a task that turns filters
_TURNING_FILTERS = 16.0  # turning a filter, in the time of so many of its sums
_MOST_FILTERS = 516  # in a tile, so that windows are gathered once


@dataclass(frozen=True)
class Windows:
    """A product of filters and windows: ``m`` filters of each of ``groups``, sums over ``depth`` channels and all taps.

    ``pixels`` are those computed of each of ``count`` images; ``filters`` is where the filters are: base, and strides
    of groups, of the result's channels, and of the summed ones. ``places`` says where pixels are in the output and in
    each operand: base, and strides of images, channels, lines and pixels. Filters that are ``kept`` were brought in
    order at another time.
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
    kept: bool = False


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
    terms = windows.depth * windows.taps[0].count * windows.taps[1].count
    turns = turns_filters(finish, windows.m, terms, count * prod(windows.pixels), dtype)
    if turns or windows.images.step != 1:
        return _by_pixels(windows, dtype, finish, scratch)
    return [_gathering(windows, dtype, finish)], []


def turns_filters(finish: Finish, m: int, terms: int, n: int, dtype: np.dtype[Any]) -> bool:
    """Tell whether ``n`` pixels are rows of a product, and ``m`` filters, of so many terms, its columns."""
    return finish.last or _suits_pixels(m, terms, n, gemm_loops.schedule(dtype))


def _suits_pixels(m: int, terms: int, n: int, schedule: Schedule) -> bool:
    """Tell whether pixels should be rows: filters are turned for it, but no windows gathered, and other sums wasted."""
    if m < _FEW_FILTERS or terms < _FEW_TERMS or not n:
        return False
    rows = -(-n // schedule.rows) * schedule.rows * -(-m // schedule.lanes) * schedule.lanes
    columns = -(-n // schedule.lanes) * schedule.lanes * m
    return rows * (1 + _TURNING_FILTERS / n) < columns * (1 + _GATHERING / m)


def _form(windows: Windows, schedule: Schedule, finish: Finish, stretch: int = 0) -> Form:
    letters = finish.letters(windows.places)
    return Form(schedule, finish.epilogue(letters[1:]), letters[0].replace("b", "s"), stretch, finish.last)


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


def _turned(windows: Windows, schedule: Schedule, depth: int, panels: int, scratch: int, by_taps: bool) -> Stage:
    """Return the stage that turns filters: by squares where the terms of each lie side by side."""
    (down, across), (base, part, row, channel) = windows.taps, windows.filters
    terms, places = depth * down.count * across.count, panels * windows.groups * schedule.lanes
    thickness = max(1, schedule.depth // max(1, down.count * across.count)) if by_taps else 1
    if thickness == 1 and across.weight == 1 and down.weight == across.count and channel == down.count * across.count:
        blocks = -(-terms // _TURNED_TERMS)
        tasks = blocks * panels * windows.groups
        numbers = pack(tasks, blocks, _TURNED_TERMS, panels, windows.m, terms, base, part, row)
        build = partial(conv_loops.flat_filter_kernel, schedule)
        return Stage(f"conv2d flat filters {schedule}", build, (1,), (scratch,), numbers, 200.0 + places * terms / 10)
    numbers = pack(
        depth * panels * windows.groups, depth, thickness, panels, windows.m, down.count, across.count,
        *windows.filters, down.weight, across.weight,
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
    by_taps = images.channel == 1 and windows.kept and taps > 1  # a line of channels is read once, tap by tap
    form = replace(_form(windows, schedule, finish), by_taps=by_taps)
    panels = -(-windows.m // schedule.lanes)
    rows = band(n, panels * windows.groups, 0.0, schedule)
    bands = -(-n // rows)
    turned = _turned(windows, schedule, depth, panels, scratch, by_taps)
    numbers = pack(
        panels * bands * windows.groups, panels, bands, rows, windows.m, n, depth,
        schedule.depth // max(taps, 1), down.count, across.count, *down.numbers, *across.numbers,
        images.base, images.image, images.channel * windows.depth, images.channel, images.line, images.step,
        *images.runs(pixels), *_runs(windows), *(number for place in windows.places for number in place),
    )  # fmt: skip
    reads, work = (images.number, scratch, *finish.reads), _work(windows, taps)
    stage = Stage(
        form.key("conv2d pixels"), lambda: conv_loops.pixel_kernel(form), reads, finish.writes, numbers, work
    )
    return [turned, stage], [depth * panels * windows.groups * taps * schedule.lanes * dtype.itemsize]


def by_shares(images: Array, windows_of: Callable[[Array, int], tuple[Source, list[Windows]]], finish: Finish) -> Plan:
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
