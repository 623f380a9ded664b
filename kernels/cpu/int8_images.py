"""Images of bytes as the products of quads read them: the stages that copy them, and where windows and taps are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from tensorlite.kernels.cpu.conv_geometry import Images, Padding, Pair, Taps, pair, spans_of
from tensorlite.kernels.generated import int8_border_loops, int8_pack_loops
from tensorlite.kernels.generated.int8_pack_loops import LANES
from tensorlite.kernels.llvm import target
from tensorlite.kernels.quant import Filters
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_INT8, _INT32 = np.dtype(np.int8), np.dtype(np.int32)
_FLIP = -0x7F7F7F80  # 0x80 in every byte: adds 128 to an int8 and makes it unsigned
_NEAR_BYTES = 1 << 19  # of the second cache, for quads
BEYOND = 16  # quads behind the last one, which are read for the sake of whole vectors
_TASK_QUADS = 1 << 13  # of a task of copying, if it has several planes
_FEWEST_PLANES = 16  # for fewer, lines of a plane are dealt out to threads too


@dataclass
class Making:
    """A plan under construction; scratch arrays are numbered after the ``count`` of the caller."""

    count: int
    stages: list[Stage] = field(default_factory=list)
    scratch: list[int] = field(default_factory=list)

    def array(self, words: int) -> int:
        """Return the number of a new scratch array of int32."""
        self.scratch.append(4 * words)
        return self.count + len(self.scratch) - 1

    def plan(self) -> Plan:
        """Return what was made."""
        return Plan(tuple(self.stages), tuple(self.scratch))


def flip(x: Array) -> int:
    """Return what makes quads of x unsigned, by exclusive or."""
    return _FLIP if x.dtype == _INT8 else 0


@dataclass(frozen=True)
class Bordered:
    """How a product copies planes of bytes between borders (`int8_border_loops`): the numbers that these loops take.

    Pixels are ``step`` bytes apart; there is memory for what ``lines`` lines of windows see. Filters have so many
    ``rows``, lines and rows being so far apart.
    """

    step: int
    lines: int
    rows: tuple[int, int, int]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """Pixels times filters: images in quads, where the taps are, how many pixels of how many images are computed.

    ``runs`` is how long runs of pixels are in quads, ``step`` apart, and how many an image has. Results of a filter
    lie side by side if they are ``turned``, as those of images, else those of a pixel do. ``first`` is the number of
    the first result.
    """

    images: Images
    step: int
    taps: tuple[Taps, Taps]
    count: int
    pixels: int
    runs: Pair
    turned: bool
    first: int = 0
    bordered: Bordered | None = None


@dataclass(frozen=True)
class Windows:
    """Filters, how many windows there are down and across, and where they are."""

    filters: Filters
    counts: Pair
    stride: Pair
    padding: Padding
    dilation: Pair

    @property
    def border(self) -> Pair:
        """How many lines are above an image, and columns left of it."""
        return self.padding[0][0], self.padding[1][0]

    @property
    def spans(self) -> Pair:
        """How many pixels a window stretches over."""
        return spans_of(self.filters.kernel, self.dilation)

    @property
    def size(self) -> Pair:
        """How many pixels of a phase there are down and across."""
        (down, across), spans, stride = self.counts, self.spans, self.stride
        return down + (spans[0] - 1) // stride[0], across + (spans[1] - 1) // stride[1]

    @property
    def run(self) -> int:
        """How many windows lie side by side."""
        return prod(self.counts) if self.size[1] == self.counts[1] else self.counts[1]

    @property
    def unsorted(self) -> Windows:
        """The windows of step 1 among which these are, if all phases are used; else these."""
        if self.phases != self.stride:
            return self
        down, across = ((n - 1) * step + 1 for n, step in zip(self.counts, self.stride, strict=True))
        return replace(self, counts=(down, across), stride=(1, 1))

    @property
    def phases(self) -> Pair:
        """How many phases of pixels are used."""
        return min(self.stride[0], self.spans[0]), min(self.stride[1], self.spans[1])


def windows(making: Making, x: Array, window: Windows, whole: bool, sorted_: bool) -> Iterator[Layer]:
    """Add copies of images to quads, in which every window lies inside, and yield what is to be multiplied.

    They are so many images that their quads stay in the second cache, or all if it is to be ``whole``. Pixels are
    ``sorted_`` by phases, or where all phases are used they need not be: that copy is faster.
    """
    copied = window if sorted_ else window.unsorted
    filters, counts, size, phases = window.filters, window.counts, copied.size, copied.phases
    steps = window.stride[0] // copied.stride[0], window.stride[1] // copied.stride[1]
    one = 4 * filters.groups * filters.quads * prod(phases) * prod(size)
    blocks = 1 if whole else min(x.shape[0], max(1, -(-x.shape[0] * one // _NEAR_BYTES)))
    count = -(-x.shape[0] // blocks)
    quads = Array.contiguous(_INT32, (count, filters.groups * filters.quads, *phases, *size))
    number = making.array(quads.size + BEYOND)
    image, channel, *between, line, _ = quads.strides
    images = Images(number, 0, image, channel, pair(between), steps[0] * line, step=steps[1])
    down, across = (
        Taps(filters.kernel[i], 0, window.dilation[i], copied.stride[i], between[i], (line, 1)[i]) for i in (0, 1)
    )
    pixels, planes = prod(counts), filters.groups * filters.m
    for first in range(0, x.shape[0], count):
        here = min(count, x.shape[0] - first)
        block = Array(x.dtype, (here, *x.shape[1:]), x.strides)
        making.stages.append(_copy(block, copied, first * x.strides[0], number))
        runs = images.runs(counts)
        yield Layer(images, steps[1], (down, across), here, pixels, runs, True, first * planes * pixels)


def _copy(x: Array, window: Windows, first: int, number: int) -> Stage:
    """Return the stage that copies images, of which the first begins at ``first``, to quads."""
    filters, stride, border, phases, size = window.filters, window.stride, window.border, window.phases, window.size
    if (*stride, *border) == (1, 1, 0, 0) and size == x.shape[2:] and x.strides[2] == x.shape[3] * x.strides[3]:
        size = 1, prod(size)  # there is no border between lines
        x = Array(x.dtype, (*x.shape[:2], *size), (*x.strides[:2], 0, x.strides[3]))
    parts = x.shape[0] * filters.groups
    most = min(filters.quads, _TASK_QUADS // (prod(phases) * prod(size)), -(-parts * filters.quads // _FEWEST_PLANES))
    block = max(1, most)
    blocks = -(-filters.quads // block)
    chunks = max(1, min(size[0], -(-_FEWEST_PLANES // max(1, parts * blocks))))
    lines = -(-size[0] // chunks)
    chunks = -(-size[0] // lines)
    apart = x.strides[3] * stride[1]
    form = int8_pack_loops.Images(apart if apart in (1, 2) else 0, LANES if 1 in target.host().masked else LANES // 4)
    numbers = pack(
        parts * blocks * chunks, chunks, lines, blocks, block, filters.groups, filters.quads, filters.channels,
        *phases, *size, *stride, *border, *x.shape[2:], first, *x.strides, flip(x),
    )  # fmt: skip
    work = 200.0 + parts * filters.quads * prod(phases) * prod(size) / 8
    return Stage(form.key(), lambda: int8_pack_loops.image_kernel(form), (0, 2), (number,), numbers, work)


def bytes_across(x: Array, window: Windows) -> Layer | None:
    """Return what is to be multiplied where products read bytes of planes, there being one channel; None if not."""
    filters, (rows, columns), (down, across) = window.filters, window.counts, window.stride
    span, pitch = window.spans[0], (columns - 1) * across + filters.channels
    lines = (int8_border_loops.MOST_BYTES // pitch - span) // down + 1
    if window.dilation[1] != 1 or across > 3 or x.strides[3] != 1 or lines < 1:
        return None
    raised = 128 if x.dtype == _INT8 else 0
    numbers = *x.strides[:3], *x.shape[2:], *window.border, down, span, pitch, raised
    images = Images(0, 0, 0, 4, (0, 0), down * pitch)
    taps = Taps(filters.kernel[0], window.dilation[0] * pitch), Taps(1)
    bordered = Bordered(across, lines, (filters.kernel[0], down, window.dilation[0]), numbers)
    return Layer(images, 1, taps, x.shape[0], rows * columns, (columns, rows), turned=True, bordered=bordered)


def windows_across(making: Making, x: Array, window: Windows) -> tuple[Images, tuple[Taps, Taps]]:
    """Add the copies of images of one channel to quads of neighbours in a line; return where they and the taps are."""
    filters, (rows, columns), stride, dilation = window.filters, window.counts, window.stride, window.dilation
    span, planes = window.spans[0], x.shape[0] * x.shape[1]
    phases, height = min(stride[0], span), rows + (span - 1) // stride[0]
    size = height * stride[0], (columns - 1) * stride[1] + (filters.channels - 1) * dilation[1] + 1
    bordered = making.array(-(-planes * prod(size) // 4))
    form = int8_pack_loops.Images(x.strides[3] if x.strides[3] == 1 else 0)
    numbers = pack(planes, x.shape[1], *size, *window.border, *x.shape[2:], *x.strides)
    work = 200.0 + planes * prod(size) / 30
    making.stages.append(Stage(f"border {form.key()}", lambda: int8_pack_loops.border_kernel(form), (0, 2), (bordered,),
                               numbers, work))  # fmt: skip
    quads = Array.contiguous(_INT32, (x.shape[0], x.shape[1], filters.quads, phases, height, columns))
    number = making.array(quads.size + BEYOND)
    across = int8_pack_loops.Images(stride[1] if stride[1] < 3 else 0)
    numbers = pack(planes * filters.quads, filters.quads, filters.channels, phases, height, columns, *stride,
                   dilation[1], *size, flip(x))  # fmt: skip
    making.stages.append(Stage(f"across {across.key()}", lambda: int8_pack_loops.across_kernel(across), (bordered,),
                               (number,), numbers, 200.0 + quads.size / 8))  # fmt: skip
    image, _, channel, phase, line, _ = quads.strides
    down = Taps(filters.kernel[0], 0, dilation[0], stride[0], phase, line)
    return Images(number, 0, image, channel, (phase, 0), line), (down, Taps(1))
