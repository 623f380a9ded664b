"""Plans of direct convolutions: which layers they suit, and how their results are cut in units and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels.cpu.conv_geometry import Pair, spans_of
from tensorlite.kernels.generated import conv_loops, direct_loops, direct_weight_loops, gemm_loops
from tensorlite.kernels.generated.direct_loops import SEEN, TERMS, Form, Taps
from tensorlite.kernels.generated.direct_weight_loops import Form as WeightForm
from tensorlite.kernels.generated.gemm_loops import Epilogue
from tensorlite.kernels.stage import Array, Stage, pack

_MOST_FILTERS = {512: 4, 256: 2, 128: 2}  # by 4 lines of vectors of so many bits: their sums are in registers,
_LINES, _LINES_OF_ONE = 4, {512: (7, 4), 256: (4,), 128: (4,)}  # or those of more lines of one filter
_MOST_CHANNELS = 16  # of a group: more leave room for few lines in scratch memory
_UNROLLED = 49  # places of a filter: more are looked up in a table
_MOST_SUMS = 25  # in registers, of a filter's places: of more, those of a line
_TASKS = 64  # where there is work for so many
_MACS_PER_NANOSECOND, _BYTES_PER_NANOSECOND = 50.0, 20.0


@dataclass(frozen=True)
class Layer:
    """A convolution of images [images, groups depth, height, width]; windows begin ``border`` before the first pixel.

    There are ``m`` filters of each of ``groups``; ``filters`` are a base, and strides of groups, results' channels,
    summed channels, lines and places. ``pixels`` are those of the result, at ``places``: of the output and of each
    operand base, and strides of images, channels, lines and pixels.
    """

    images: Array
    groups: int
    m: int
    pixels: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    border: Pair
    filters: tuple[int, int, int, int, int, int] = (0,) * 6
    places: tuple[tuple[int, ...], ...] = ()

    @property
    def depth(self) -> int:
        """The number of channels that are summed."""
        return self.images.shape[1] // self.groups

    @property
    def terms(self) -> int:
        """The number of products of a sum."""
        return self.depth * prod(self.kernel)


@dataclass(frozen=True)
class Cut:
    """The lines and columns of a unit; and of what its windows see lines, phases, and their columns."""

    band: int
    strip: int
    seen: tuple[int, int, int]


def suits(layer: Layer) -> bool:
    """Tell whether a layer has so few channels a group that direct sums are faster than products of matrices.

    Measured: of 105 multiplications a nanosecond direct sums lose those of lanes and lines that are not there; of 80,
    products of matrices lose those of lanes without filters, and as many as 16 terms have to gathering and storing.
    """
    height, width = layer.pixels
    direct = 105 * (height / (-(-height // 4) * 4)) * (width / (-(-width // 16) * 16)) if min(layer.pixels) else 0
    product = 80 * min(1, layer.m / 16) * layer.terms / (layer.terms + 16)
    return layer.depth <= _MOST_CHANNELS and direct > product


def stages(
    layer: Layer, dtype: np.dtype[Any], epilogue: Epilogue, reads: Sequence[int], writes: Sequence[int], scratch: int
) -> tuple[list[Stage], list[int]]:
    """Return the stages of a layer of arrays 0 and 1, and sizes of scratch arrays; none if it is too large."""
    if not 0 < layer.terms <= TERMS or min(layer.pixels) < 1:
        return [], []
    bits = 8 * dtype.itemsize * gemm_loops.schedule(dtype).square
    forms = [_form(layer, dtype, epilogue, bits, lines) for lines in _lines(layer, bits)]
    found = [(form, cut) for form in forms if (cut := _cut(layer, layer.depth, form.lines, form.lanes))]
    if not found:
        return [], []
    form, cut = found[0]
    x, (height, width) = layer.images, layer.pixels
    strips, bands, blocks = -(-width // cut.strip), -(-height // cut.band), -(-layer.m // form.filters)
    units = x.shape[0] * layer.groups * bands
    chunk = max(1, units * strips // _TASKS)
    lines, phases, pitch = cut.seen
    numbers = pack(
        strips * -(-units // chunk), strips, cut.strip, chunk, units, bands, cut.band,
        layer.groups, blocks, layer.m, layer.depth, height, width, *x.shape[2:],
        x.strides[0], x.strides[1] * layer.depth, *x.strides[1:], *layer.stride, *layer.border,
        phases, lines, pitch, *layer.kernel, *layer.dilation, *layer.filters,
        *(number for place in layer.places for number in place),
    )  # fmt: skip
    sums = x.shape[0] * layer.groups * layer.m * height * width
    moved = (x.size + sums * len(layer.places)) * dtype.itemsize
    work = 200.0 + max(sums * layer.terms / _MACS_PER_NANOSECOND, moved / _BYTES_PER_NANOSECOND)

    def of(filters: int) -> Stage:
        reading = (0, filters, *reads)
        return Stage(
            form.key(), lambda: direct_loops.kernel(form), reading, tuple(writes), numbers, work, repeats=True
        )

    if form.taps:
        return [of(1)], []
    panels = layer.groups * blocks
    turned = Stage(
        f"conv2d filters {form.turned}", lambda: conv_loops.filter_kernel(form.turned), (1,), (scratch,),
        pack(layer.depth * panels, layer.depth, 1, blocks, layer.m, *layer.kernel, *layer.filters),
        200.0 + panels * layer.terms * form.filters,
    )  # fmt: skip
    return [turned, of(scratch)], [panels * layer.terms * form.filters * dtype.itemsize]


def _is_unrolled(layer: Layer) -> bool:
    return layer.m == layer.depth == 1 and layer.terms <= _UNROLLED


def _lines(layer: Layer, bits: int) -> list[int]:
    """Return how many lines may be taken at once, those first with which fewest are computed for nothing."""
    if _is_unrolled(layer) and _taps(layer, layer.kernel[0]).rolls:
        return [1]
    several = _LINES_OF_ONE[bits] if _is_unrolled(layer) else (_LINES,)
    return sorted(several, key=lambda n: -(-layer.pixels[0] // n) * n)


def _form(layer: Layer, dtype: np.dtype[Any], epilogue: Epilogue, bits: int, lines: int) -> Form:
    apart = layer.images.strides[3] * layer.stride[1]
    filters = 1 if _is_unrolled(layer) else 2 if layer.m <= 2 else _MOST_FILTERS[bits]
    taps = None
    if filters == 1:
        taps = _taps(layer, layer.kernel[0])
    step, known = {1: "u", 2: "2"}.get(layer.places[0][4], "s"), apart if apart in (1, 2) else 0
    return Form(dtype.name, bits // 8 // dtype.itemsize, filters, lines, taps, known, step, epilogue)


def _taps(layer: Layer, lines: int) -> Taps:
    columns = [j * layer.dilation[1] for j in range(layer.kernel[1])]
    across = tuple((at % layer.stride[1], at // layer.stride[1]) for at in columns)
    return Taps(lines, layer.stride[0], layer.dilation[0], across)


def _cut(layer: Layer, depth: int, several: int, lanes: int) -> Cut | None:
    """Return the largest units of so many channels and several lines that scratch memory has room for."""
    spans = spans_of(layer.kernel, layer.dilation)
    phases, groups = min(layer.stride[1], spans[1]), -(-layer.pixels[0] // several)
    strip = layer.pixels[1]
    while True:
        columns = strip + (spans[1] - 1) // layer.stride[1]
        pitch = columns + -columns % lanes
        lines = (SEEN - lanes) // (depth * phases * pitch)
        most = ((lines - spans[0]) // layer.stride[0] + 1) // several
        if most > 0:
            band = several * -(-groups // -(-groups // most))
            return Cut(band, strip, ((band - 1) * layer.stride[0] + spans[0], phases, pitch))
        if strip == 1:
            return None
        strip = -(-strip // 2)


# The transpose in the weight


def suits_weight(layer: Layer) -> bool:
    """Tell whether a layer has so few channels a group that direct sums of its weight's gradient are the fastest."""
    return layer.groups > 1 and layer.m <= _MOST_CHANNELS // 2 and layer.depth <= _MOST_CHANNELS


def weight_stage(
    layer: Layer, g: Array, epilogue: Epilogue, rows: Sequence[Pair], reads: Sequence[int], writes: Sequence[int]
) -> Stage | None:
    """Return the stage of sums over all windows of images, array 0, times cotangents, array 1.

    ``rows`` says of each operand of the epilogue how far apart filters are, and their places. None if too large.
    """
    x, (height, width) = layer.images, layer.pixels
    lanes = gemm_loops.schedule(x.dtype).square
    places = prod(layer.kernel)
    cut = _cut(layer, 1, 1, lanes) if min(layer.pixels) > 0 < places else None
    if cut is None or cut.strip < width or layer.kernel[1] > _MOST_SUMS or layer.m * places > TERMS:
        return None
    at_once = layer.kernel[0] if places <= _MOST_SUMS else 1
    apart = x.strides[3] * layer.stride[1]
    step = "us"[g.strides[3] != 1]
    form = WeightForm(x.dtype.name, lanes, _taps(layer, at_once), apart if apart in (1, 2) else 0, step, epilogue)
    bands, (lines, phases, pitch) = -(-height // cut.band), cut.seen
    tasks = layer.groups * layer.depth
    numbers = pack(
        tasks, layer.m, layer.depth, x.shape[0], bands, cut.band, 1, layer.kernel[0] // at_once, places,
        height, width, *x.shape[2:], x.strides[0], x.strides[1], *x.strides[1:], *g.strides,
        *layer.stride, *layer.border, phases, lines, pitch,
        *(number for row in rows for number in row),
    )  # fmt: skip
    work = 200.0 + tasks * x.shape[0] * height * width * (layer.m * places + 4) / _MACS_PER_NANOSECOND
    build = partial(direct_weight_loops.kernel, form)
    return Stage(form.key(), build, (0, 1, *reads), tuple(writes), numbers, work)
