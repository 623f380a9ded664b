"""Plans of Winograd convolutions: which layers they suit, which tile, and how the tiles are cut in tasks."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import team
from tensorlite.kernels.cpu.conv_geometry import Pair
from tensorlite.kernels.cpu.matmul import fitted
from tensorlite.kernels.cpu.winograd_error import LIMIT, error
from tensorlite.kernels.generated import conv_parts, gemm_loops, winograd_filters, winograd_loops, winograd_weight_loops
from tensorlite.kernels.generated.gemm_loops import Epilogue, Schedule
from tensorlite.kernels.generated.winograd_filters import Filters
from tensorlite.kernels.generated.winograd_loops import THICKNESS, Form
from tensorlite.kernels.generated.winograd_tiles import GAP
from tensorlite.kernels.stage import Array, Stage, pack

R = 3
"""The taps of a filter along an axis."""


@dataclass(frozen=True)
class Layer:
    """A convolution of 3 x 3 filters, step 1: images whose lines follow each other, from ``top`` and ``left`` before
    the first pixel on; ``filters`` are a base and the strides of results' channels, summed channels, lines and taps.
    Those that are ``kept`` were transformed at another time. Of images and of results channels come ``last``, or not.
    """

    images: Array
    base: int
    number: int
    border: Pair
    channels: int
    out: Pair
    filters: tuple[int, int, int, int, int]
    kept: bool = False
    last: tuple[bool, bool] = (False, False)

    @property
    def depth(self) -> int:
        """The number of channels that are summed."""
        return self.images.shape[1]

    def tiles(self, m: int) -> Pair:
        """Return how many tiles an image has, down and across."""
        return -(-self.out[0] // m), -(-self.out[1] // m)


@dataclass(frozen=True, slots=True)
class Costs:
    """A model of the machine: nanoseconds of one thread for each number (measured on the machine of `MEASURED.md`)."""

    product: float = 1 / 105  # a multiplication and an addition of the micro-kernel
    product_few: float = 1 / 98  # the same by few rows, that share less of what is loaded
    direct: float = 1 / 95  # the same of a convolution without tiles
    data: float = 0.05  # a transformed pixel
    sums: float = 0.045  # a sum that is transformed back
    turned: float = 0.2  # a pixel that is read
    copied: float = 0.07  # the same where channels come last
    stored: float = 0.28  # a pixel that is written
    stored_last: float = 0.12  # the same where channels come last
    filter: float = 0.045  # a transformed tap
    tap: float = 0.09  # one that is transformed
    added: float = 0.02  # a sum that is read, added to and written, of a weight's
    fetched: float = 0.03  # a transformed tap that comes from the third cache,
    fetched_far: float = 0.12  # or from memory


COSTS = Costs()
TILES = (2, 4, 6)
"""The extents of tiles of results that there are."""

_CHOICE = (2, 4)  # 6 x 6 gain 6 % at most, and round ten times more (measured): they are there to be asked for
_LARGEST_BLOCK = 96  # tiles
_BLOCK_BYTES = 1 << 20  # of transformed pixels: they stay in the second cache
_WHOLE_DEPTH = 256  # channels that are one block of the sum
_OWN_DEPTH = 128  # channels of filters that are worth transforming where they are used
_FEW_ROWS = 4  # of a micro-kernel
_FAR = 4 << 20  # transformed taps: more do not stay in the third cache


@dataclass(frozen=True, slots=True)
class Cut:
    """How tiles are cut: images, or lines of tiles, in a block; and into how many groups the panels are found.

    ``own``: each task transforms the filters of its panels itself; they are used once.
    """

    images: int
    rows: int
    groups: int
    own: bool
    time: float


def takes_geometry(kernel: Pair, stride: Pair, dilation: Pair) -> bool:
    """Tell whether there are tiles for such filters."""
    return stride == dilation == (1, 1) and kernel == (R, R)


def fits(layer: Layer, dtype: np.dtype[Any]) -> bool:
    """Tell whether the loops take a layer, with tiles of some size."""
    square = gemm_loops.schedule(dtype).square
    some = min(layer.out) > 0 and layer.images.shape[0] > 0
    return dtype == np.float32 and some and min(layer.depth, layer.channels) >= square


def takes(layer: Layer, dtype: np.dtype[Any], m: int) -> bool:
    """Tell whether the loops take a layer with such tiles, and whether these are exact enough."""
    known = m in TILES and fits(layer, dtype) and layer.tiles(m)[1] <= _LARGEST_BLOCK
    return known and error(m, R, layer.depth) <= LIMIT


def modelled(layer: Layer, dtype: np.dtype[Any]) -> dict[int, float]:
    """Return about how many nanoseconds one thread takes: by windows, 0, and by the tiles worth choosing."""
    pixels = layer.images.shape[0] * layer.out[0] * layer.out[1]
    times = {m: cut(layer, m, _schedule(layer, m, dtype), 1).time for m in _CHOICE if takes(layer, dtype, m)}
    return {0: pixels * layer.depth * layer.channels * R * R * COSTS.direct, **times}


def _schedule(layer: Layer, m: int, dtype: np.dtype[Any]) -> Schedule:
    """Return the micro-kernel: one of fewer rows, where there are so few tiles that the usual ones would be empty."""
    usual = fitted(gemm_loops.schedule(dtype), 2, layer.channels)
    several = (usual, replace(usual, rows=_FEW_ROWS)) if usual.rows > _FEW_ROWS else (usual,)
    return min(several, key=lambda schedule: cut(layer, m, schedule, 1).time)


@functools.lru_cache(1024)
def cut(layer: Layer, m: int, schedule: Schedule, slots: int) -> Cut:
    """Return how to cut the tiles, so that the slowest slot is done soonest."""
    (down, across), count = layer.tiles(m), layer.images.shape[0]
    panels, products, each = -(-layer.channels // schedule.lanes), (m + R - 1) ** 2, down * across
    most = max(across, min(_LARGEST_BLOCK, _BLOCK_BYTES // (products * layer.depth * 4)))
    pieces = {(images, down) for images in range(1, min(count, most // each) + 1)}
    pieces |= {(1, rows) for rows in range(1, min(down, most // across) + 1)}
    if count * each <= _LARGEST_BLOCK:
        pieces.add((count, down))
    groups = {1, *range(2, min(panels, slots) + 1)}
    cuts = (_timed(layer, m, schedule, slots, *piece, n) for piece in sorted(pieces) for n in sorted(groups))
    return min(cuts, key=lambda found: found.time)


def owns_filters(layer: Layer, m: int) -> bool:
    """Tell whether each task transforms the filters of its panels itself: where few tiles use many filters.

    The order of a sum depends on it, and so it does not depend on the number of threads.
    """
    down, across = layer.tiles(m)
    few = layer.images.shape[0] * down * across <= _LARGEST_BLOCK
    return few and layer.depth > _OWN_DEPTH and not layer.kept


def _timed(layer: Layer, m: int, schedule: Schedule, slots: int, images: int, rows: int, groups: int) -> Cut:
    """Return a cut, and about how many nanoseconds the slowest slot takes."""
    (down, across), count, products = layer.tiles(m), layer.images.shape[0], (m + R - 1) ** 2
    depth, panels = layer.depth, -(-layer.channels // schedule.lanes)
    wide = -(-panels // groups) * schedule.lanes
    taps, all_taps = products * depth * wide, products * depth * panels * schedule.lanes
    own = owns_filters(layer, m)
    reading = COSTS.copied if layer.last[0] else COSTS.turned
    storing = COSTS.stored_last if layer.last[1] else COSTS.stored
    product = COSTS.product_few if schedule.rows <= _FEW_ROWS else COSTS.product
    transforming = COSTS.filter + COSTS.tap * R * R / products

    def piece(images: int, rows: int) -> float:
        tiles = images * rows * across
        rounded = -(-tiles // schedule.rows) * schedule.rows
        seen, made = (images * (rows * m + extra) * layer.out[1] for extra in (R - 1, 0))
        fetching = transforming if own else COSTS.fetched_far if all_taps > _FAR else COSTS.fetched
        return (
            products * (rounded * depth * wide * product + tiles * (depth * COSTS.data + wide * COSTS.sums))
            + seen * depth * reading + made * wide * storing + taps * fetching
        )  # fmt: skip

    strips = [rows] * (down // rows) + ([down % rows] if down % rows else [])
    whole, rest = divmod(count, images)
    times = [piece(images, r) for r in strips] * whole + [piece(rest, r) for r in strips if rest]
    number = len(times) * groups
    total = sum(times) * groups
    slowest = max(total / slots, -(-number // slots) * total / number)
    writing = COSTS.fetched_far if all_taps > _FAR else 0.0
    filtering = 0.0 if own or layer.kept else all_taps * (transforming + writing) / slots
    return Cut(images, rows, groups, own, slowest + filtering)


def stages(
    layer: Layer, m: int, epilogue: Epilogue, step: str, places: list[tuple[int, ...]], dtype: np.dtype[Any],
    scratch: int, reads: tuple[int, ...], writes: tuple[int, ...], runs: Pair,
) -> tuple[list[Stage], list[int]]:  # fmt: skip
    """Return the stages of a layer with tiles of ``m`` by ``m`` results, and the sizes of their scratch arrays."""
    schedule = _schedule(layer, m, dtype)
    size, slots = m + R - 1, team.get_num_threads()
    products, panels = size * size, -(-layer.channels // schedule.lanes)
    found = cut(layer, m, schedule, slots)
    down, across = layer.tiles(m)
    count, depth, height, width = layer.images.shape
    strips = -(-down // found.rows)
    tiles = found.images * found.rows * across
    rounded = -(-tiles // schedule.rows) * schedule.rows
    pieces = -(-count // found.images) * strips
    data_plane, sums_plane = tiles * depth + GAP, rounded * schedule.lanes + GAP
    seen = min(height, found.rows * m + R - 1) * width
    pixels = found.images * min(layer.out[0], found.rows * m) * layer.out[1]
    filters = _filters(layer, m, schedule)
    whole, last = depth <= _WHOLE_DEPTH, layer.last
    form = Form(
        conv_parts.Form(schedule, epilogue, step, last=last[1]), m, R, whole, filters if found.own else None, last[0]
    )
    parts = [(seen + 1) * depth, products * data_plane, products * sums_plane,
             (pixels + 2 * schedule.square) * schedule.lanes]  # fmt: skip
    parts += [products * (THICKNESS * schedule.lanes + GAP)] if found.own else []
    parts = [-(-part // GAP) * GAP for part in parts]
    numbers = pack(
        depth, layer.channels, *layer.filters,
        slots, pieces * found.groups, found.groups, panels, -(-panels // found.groups), layer.channels,
        count, found.images, strips, found.rows, down, across,
        *layer.out, sums_plane, pixels + schedule.square, *runs,
        layer.base, *layer.images.strides[:2], height, width, *layer.border, seen * depth, data_plane,
        *parts, *(number for place in places for number in place),
    )  # fmt: skip
    work, key = found.time * slots, form.key()
    first = scratch if found.own else scratch + 1
    areas = tuple(range(first, first + len(parts)))
    inputs = (layer.number, 1, *(() if found.own else (scratch,)), *reads)
    tile_stage = Stage(key, lambda: winograd_loops.kernel(form), inputs, (*areas, *writes), numbers, work)
    sizes = [slots * part * dtype.itemsize for part in parts]
    if found.own:
        return [tile_stage], sizes
    transformed = panels * products * (depth * schedule.lanes + GAP) * dtype.itemsize
    return [_filter_stage(layer, filters, scratch), tile_stage], [transformed, *sizes]


def _filters(layer: Layer, m: int, schedule: Schedule) -> Filters:
    _, row, channel, down, across = layer.filters
    run, square = R * R, schedule.square
    together = abs(across) == 1 and down == R * across and layer.channels % square == 0
    how = "any"
    if together and channel == run and layer.depth % square == 0:
        how = "columns"
    elif together and row == run:
        how = "near"
    return Filters(schedule, m, R, how, across if how != "any" else 1)


def _filter_stage(layer: Layer, form: Filters, scratch: int) -> Stage:
    panels = -(-layer.channels // form.schedule.lanes)
    pieces = layer.depth // form.channels
    numbers = pack(panels * pieces, pieces, layer.depth, layer.channels, *layer.filters)
    taps = (form.m + R - 1) ** 2 * COSTS.filter + R * R * COSTS.tap
    work = 200.0 + panels * layer.depth * form.schedule.lanes * taps
    return Stage(form.key(), lambda: winograd_filters.filter_kernel(form), (1,), (scratch,), numbers, work)


# The transpose in the weight

R_WEIGHT = 4
"""The extent of a tile of cotangents."""
_TILES_AT_ONCE = 64
_BANDS = (16, 32, 48, 64, 96, 128)  # channels of the images


def suits_weight(x: Array, g: Array) -> bool:
    """Tell whether tiles are faster than windows for the weight of a layer, and there is a native form."""
    square = gemm_loops.schedule(x.dtype).square
    channels, filters, across = x.shape[1], g.shape[1], -(-g.shape[3] // R_WEIGHT)
    fits = channels % square == 0 and filters % square == 0 and across <= _LARGEST_BLOCK
    enough = min(channels, filters) >= 2 * square and g.size > 0 and min(g.shape[2:]) > 2
    if x.dtype != np.float32 or not fits or not enough:
        return False
    return error(R, R_WEIGHT, g.shape[0] * across * -(-g.shape[2] // R_WEIGHT)) <= LIMIT


def weight_stage(
    x: Array, g: Array, border: Pair, numbers: tuple[int, int], epilogue: Epilogue, rows: list[tuple[int, int]],
    scratch: int, reads: tuple[int, ...], writes: tuple[int, ...], bases: tuple[int, int],
) -> tuple[Stage, list[int]]:  # fmt: skip
    """Return the stage of a layer's weight: of images and cotangents whose lines follow each other, ``numbers``."""
    schedule = fitted(gemm_loops.schedule(x.dtype), 2, g.shape[1])
    slots, products, (channels, filters) = team.get_num_threads(), (R + R_WEIGHT - 1) ** 2, (x.shape[1], g.shape[1])
    down, across = (-(-n // R_WEIGHT) for n in g.shape[2:])
    each, count = down * across, x.shape[0]
    images = max(1, min(count, _TILES_AT_ONCE // each))
    strips = -(-down // max(1, min(down, _TILES_AT_ONCE // across)))
    lines = -(-down // strips)
    strips = -(-down // lines)
    tiles = images * lines * across
    panels = -(-filters // schedule.lanes)
    band = _band(channels, panels, tiles, schedule, slots)
    tasks = -(-channels // band) * panels
    rounded = -(-band // schedule.rows) * schedule.rows
    x_seen = min(x.shape[2], lines * R_WEIGHT + R - 1) * x.shape[3]
    g_seen = min(g.shape[2], lines * R_WEIGHT) * g.shape[3]
    planes = tiles * band + GAP, tiles * schedule.lanes + GAP, rounded * schedule.lanes + GAP
    parts = [(x_seen + 1) * band, products * planes[0], (g_seen + 1) * schedule.lanes, products * planes[1],
             products * planes[2], (band * R * R + 2 * schedule.square) * schedule.lanes]  # fmt: skip
    parts = [-(-part // GAP) * GAP for part in parts]
    form = winograd_weight_loops.Form(conv_parts.Form(schedule, epilogue), R, R_WEIGHT)
    block = pack(
        slots, tasks, panels, band, channels, filters, -(-count // images) * strips, planes[2],
        count, images, strips, lines, down, across,
        bases[0], *x.strides[:2], *x.shape[2:], *border, x_seen * band, planes[0],
        bases[1], *g.strides[:2], *g.shape[2:], 0, 0, g_seen * schedule.lanes, planes[1],
        *parts, *(number for row in rows for number in row),
    )  # fmt: skip
    macs = count * each * products * channels * panels * schedule.lanes
    areas = tuple(range(scratch, scratch + len(parts)))
    stage = Stage(form.key(), lambda: winograd_weight_loops.kernel(form), (*numbers, *reads), (*areas, *writes), block,
                  200.0 + 1.3 * macs * COSTS.product)  # fmt: skip
    return stage, [slots * part * x.dtype.itemsize for part in parts]


def _band(channels: int, panels: int, tiles: int, schedule: Schedule, slots: int) -> int:
    """Return how many channels of the images a task takes, so that the slowest slot is done soonest."""

    def slowest(band: int) -> float:
        tasks = -(-channels // band) * panels
        rounded = -(-band // schedule.rows) * schedule.rows
        product = rounded * schedule.lanes * COSTS.product + (band + schedule.lanes) * COSTS.data
        return -(-tasks // slots) * (product + 2 * rounded * schedule.lanes * COSTS.added / tiles)

    bands = [band for band in _BANDS if band % schedule.square == 0 and band <= channels] or [schedule.square]
    return min(bands, key=slowest)
