"""Images of bytes as the products of quads read them: the stages that copy them, and where windows and taps are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np

from tensorlite.kernels.cpu.conv_geometry import Images, Padding, Pair, Taps, pair, spans_of
from tensorlite.kernels.generated import int8_pack_loops
from tensorlite.kernels.quant import Filters
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_INT8, _INT32 = np.dtype(np.int8), np.dtype(np.int32)
_FLIP = -0x7F7F7F80  # 0x80 in every byte: adds 128 to an int8 and makes it unsigned
_NEAR_BYTES = 1 << 19  # of the second cache, for quads
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
    def phases(self) -> Pair:
        """How many phases of pixels are used."""
        return min(self.stride[0], self.spans[0]), min(self.stride[1], self.spans[1])


def windows(making: Making, x: Array, window: Windows, whole: bool) -> Iterator[Layer]:
    """Add copies of images to quads, in which every window lies inside, and yield what is to be multiplied.

    They are so many images that their quads stay in the second cache, or all if it is to be ``whole``.
    """
    filters, counts, stride, spans = window.filters, window.counts, window.stride, window.spans
    size = counts[0] + (spans[0] - 1) // stride[0], counts[1] + (spans[1] - 1) // stride[1]
    one = 4 * filters.groups * filters.quads * prod(window.phases) * prod(size)
    blocks = 1 if whole else min(x.shape[0], max(1, -(-x.shape[0] * one // _NEAR_BYTES)))
    count = -(-x.shape[0] // blocks)
    quads = Array.contiguous(_INT32, (count, filters.groups * filters.quads, *window.phases, *size))
    number = making.array(quads.size)
    image, channel, *between, line, _ = quads.strides
    images = Images(number, 0, image, channel, pair(between), line)
    down, across = (
        Taps(filters.kernel[i], 0, window.dilation[i], stride[i], between[i], (line, 1)[i]) for i in (0, 1)
    )
    pixels, planes = prod(counts), filters.groups * filters.m
    for first in range(0, x.shape[0], count):
        here = min(count, x.shape[0] - first)
        block = Array(x.dtype, (here, *x.shape[1:]), x.strides)
        making.stages.append(_copy(block, window, size, first * x.strides[0], number))
        yield Layer(images, 1, (down, across), here, pixels, images.runs(counts), True, first * planes * pixels)


def _copy(x: Array, window: Windows, size: Pair, first: int, number: int) -> Stage:
    """Return the stage that copies images, of which the first begins at ``first``, to quads."""
    filters, stride, border, phases = window.filters, window.stride, window.border, window.phases
    if (*stride, *border) == (1, 1, 0, 0) and size == x.shape[2:] and x.strides[2] == x.shape[3] * x.strides[3]:
        size = 1, prod(size)  # there is no border between lines
        x = Array(x.dtype, (*x.shape[:2], *size), (*x.strides[:2], 0, x.strides[3]))
    planes = filters.groups * filters.quads
    chunks = max(1, min(size[0], -(-_FEWEST_PLANES // max(1, x.shape[0] * planes))))
    lines = -(-size[0] // chunks)
    chunks = -(-size[0] // lines)
    apart = x.strides[3] * stride[1]
    form = int8_pack_loops.Images(apart if apart in (1, 2) else 0)
    numbers = pack(
        x.shape[0] * planes * chunks, chunks, lines, planes, filters.quads, filters.channels, *phases, *size, *stride,
        *border, *x.shape[2:], first, *x.strides, flip(x),
    )  # fmt: skip
    work = 200.0 + x.shape[0] * planes * prod(phases) * prod(size) / 8
    return Stage(form.key(), lambda: int8_pack_loops.image_kernel(form), (0, 2), (number,), numbers, work)


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
    number = making.array(quads.size)
    across = int8_pack_loops.Images(stride[1] if stride[1] < 3 else 0)
    numbers = pack(planes * filters.quads, filters.quads, filters.channels, phases, height, columns, *stride,
                   dilation[1], *size, flip(x))  # fmt: skip
    making.stages.append(Stage(f"across {across.key()}", lambda: int8_pack_loops.across_kernel(across), (bordered,),
                               (number,), numbers, 200.0 + quads.size / 8))  # fmt: skip
    image, _, channel, phase, line, _ = quads.strides
    down = Taps(filters.kernel[0], 0, dilation[0], stride[0], phase, line)
    return Images(number, 0, image, channel, (phase, 0), line), (down, Taps(1))
