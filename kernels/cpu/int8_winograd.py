"""Plans of Winograd convolutions of bytes (`int8_winograd_loops`): which layers they take, and how tiles are cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tensorlite.kernels.cpu import team
from tensorlite.kernels.cpu.int8_finish import Finish, Terms, step_of
from tensorlite.kernels.cpu.int8_images import Layer, Making, Windows
from tensorlite.kernels.generated import gemm_loops, int8_loops, int8_winograd_filters, int8_winograd_loops
from tensorlite.kernels.generated.gemm_loops import Schedule
from tensorlite.kernels.generated.int8_winograd_filters import GAP
from tensorlite.kernels.generated.int8_winograd_loops import MOST_TILES
from tensorlite.kernels.generated.int8_winograd_parts import PRODUCTS, TAPS, TILE, most_channels
from tensorlite.kernels.quant import Filters
from tensorlite.kernels.stage import Array, Stage, pack

_INT32 = np.dtype(np.int32)
_BLOCK_WORDS = 1 << 18  # of transformed pixels: they stay in the second cache, beside sums and filters
_FILTER_BLOCK = 8  # quads of a task
_ROW_COST = 0.3  # rows, of reading a panel's row for a group of them


def takes(window: Windows, weighted: bool) -> bool:
    """Tell whether the loops take a layer, whose sums must fit; ``weighted``: its filters have zero points."""
    filters, plain = window.filters, window.stride == window.dilation == (1, 1)
    fits = 0 < filters.channels <= most_channels(255 if weighted else 128)
    shape = filters.groups == 1 and filters.kernel == (TAPS, TAPS) and not filters.across
    return plain and shape and fits and -(-window.counts[1] // TILE) <= MOST_TILES


def tiled(window: Windows) -> Windows:
    """Return the windows of tiles among those of pixels: their pixels are sorted by phases."""
    down, across = (-(-n // TILE) for n in window.counts)
    return replace(window, counts=(down, across), stride=(TILE, TILE))


def filter_stage(making: Making, filters: Filters, panels: int, terms: Terms) -> int:
    """Add the transform of ``panels`` of quads; return the number of the array of pairs."""
    schedule, weighted = _schedule(filters), "weight_zero_point" in terms.arrays
    form = int8_winograd_filters.Form(schedule.lanes, min(schedule.lanes, schedule.square), weighted)
    several, blocks = -(-filters.m // schedule.lanes), -(-filters.quads // _FILTER_BLOCK)
    words = several * PRODUCTS * (2 * filters.quads * schedule.lanes + GAP)
    number = making.array(words)
    step = step_of(terms.arrays["weight_zero_point"][1]) if weighted else 0
    tasks = several * blocks, blocks, _FILTER_BLOCK
    numbers = pack(*tasks, filters.quads, filters.channels, filters.m, filters.pitch, step)
    reads = (panels, *terms.number("weight_zero_point"))
    making.stages.append(
        Stage(form.key(), lambda: int8_winograd_filters.kernel(form), reads, (number,), numbers, 200.0 + words / 8)
    )
    return number


def _schedule(filters: Filters) -> Schedule:
    """Return the micro-kernel, whose sums are one block; its band is the pixels of a task's tiles."""
    schedule = gemm_loops.schedule(_INT32, 0, TILE * TILE * MOST_TILES)
    return replace(schedule, lanes=min(schedule.lanes, filters.pitch))


@dataclass(frozen=True, slots=True)
class _Cut:
    """How tiles are cut in pieces: so many images, or lines of tiles."""

    images: int
    rows: int


def _cut(count: int, down: int, across: int, words: int) -> _Cut:
    """Return how to cut the tiles of ``count`` images, of which each makes so many ``words``."""
    most = max(across, min(MOST_TILES, _BLOCK_WORDS // words))
    each = down * across
    if each <= most:
        pieces = -(-count // (most // each))
        return _Cut(-(-count // pieces), down)
    strips = -(-down // (most // across))
    return _Cut(1, -(-down // strips))


def stage(making: Making, layer: Layer, window: Windows, pairs: int, finish: Finish, out: tuple[int, Array]) -> Stage:
    """Return the stage of a layer, of images in phases, of filters in pairs; ``window`` is that of its pixels."""
    filters, images, (down, across) = window.filters, layer.images, tiled(window).counts
    pixels, slots, words = prod(window.counts), team.get_num_threads(), 2 * PRODUCTS * filters.quads
    cut = _cut(layer.count, down, across, words)
    strips, tiles = -(-down // cut.rows), cut.images * cut.rows * across
    pieces = -(-layer.count // cut.images) * strips
    usual = _schedule(filters)
    rows = min(range(4, usual.rows + 1), key=lambda rows: -(-tiles // rows) * (rows + _ROW_COST))
    schedule = replace(usual, rows=rows)
    panels = -(-filters.m // schedule.lanes)
    groups = 1 if pieces % slots == 0 or pieces >= 4 * slots else min(panels, slots)
    segment = -(-cut.rows * (across + 1) // schedule.square) * schedule.square
    pitch = (-(-cut.images * segment // GAP) | 1) * GAP
    sums_plane = -(-tiles // rows) * rows * schedule.lanes + GAP
    parts = PRODUCTS * (2 * filters.quads * pitch + GAP), PRODUCTS * sums_plane
    form = int8_winograd_loops.Form(
        int8_loops.Form(schedule, finish.epilogue(out[1].dtype), turned=True, whole=True)
    )
    numbers = pack(
        slots, pieces * groups, groups, panels, -(-panels // groups),
        layer.count, cut.images, strips, cut.rows, down, across, *window.counts,
        filters.quads, images.image, images.channel, *images.phases, images.line,
        *parts, pitch, segment, sums_plane,
        filters.m, filters.m, pixels, layer.first // layer.pixels * pixels,
        *(operand.channel for operand in finish.operands),
    )  # fmt: skip
    areas = tuple(making.array(slots * part) for part in parts)
    reads = (images.number, pairs, *(operand.number for operand in finish.operands))
    work = 200.0 + layer.count * down * across * words * (filters.m + 24) / 50
    return Stage(form.key(), lambda: int8_winograd_loops.kernel(form), reads, (*areas, out[0]), numbers, work)
