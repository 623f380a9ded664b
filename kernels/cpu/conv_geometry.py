"""Where the pixels are that a convolution reads: images with zeros round them, taps, and phases of the transpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd, prod

from tensorlite.kernels.generated import gemm_loops, pad_loops
from tensorlite.kernels.stage import Array, Stage, pack

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


@dataclass(frozen=True)
class Images:
    """Where pixels of images are in array ``number``: strides, those of the phases, and where the first one begins.

    Of ``padded`` ones memory goes on for a panel's row beyond the last pixel. Pixels are ``step`` apart.
    """

    number: int
    base: int
    image: int
    channel: int
    phases: Pair
    line: int
    padded: bool = False
    step: int = 1

    def runs(self, counts: Pair) -> Pair:
        """Return the length of a run of pixels one step apart, and how many runs an image has."""
        return (prod(counts), 1) if self.line == counts[1] * self.step else counts[::-1]


@dataclass(frozen=True)
class Taps:
    """The places of a filter along one axis: how many, and where they are, in images and in the filter.

    Tap i is at ``i step + (i divided % by) phase + (i divided // by) shift`` in images, at ``i weight`` in the filter.
    """

    count: int
    step: int = 0
    divided: int = 0
    by: int = 1
    phase: int = 0
    shift: int = 0
    weight: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the loops, in order."""
        return (self.step, self.divided, self.by, self.phase, self.shift)


@dataclass(frozen=True)
class Source:
    """Images as the loops read them, and the stages and the scratch memory that make them."""

    images: Images
    stages: tuple[Stage, ...] = ()
    scratch: tuple[int, ...] = ()


_NEAR = 8 << 20  # bytes: to copy larger images takes less than to wait for them, pixel by pixel (measured)


def is_near(x: Array) -> bool:
    """Tell whether images are in the caches so likely that they are best read where they are, steps apart."""
    return x.size * x.dtype.itemsize <= _NEAR


def _lies_inside(x: Array, size: Pair, border: Pair) -> bool:
    """Tell whether images of ``size`` lie inside those of an array, whose lines have no gaps."""
    inside = all(border[i] <= 0 and size[i] - border[i] <= x.shape[2 + i] for i in (0, 1))
    return inside and (x.strides[3] == 1 or x.shape[3] == 1)


def source_of(
    x: Array, number: int, scratch: int, border: Pair, size: Pair, stride: Pair = (1, 1), phases: Pair = (1, 1),
    whole: bool = False, first: int = 0, copied: bool = False,
) -> Source:
    """Return images of ``size`` whose pixel (0, 0) is ``-border`` of array ``number``: that array itself if it can be.

    Else they are a copy between zeros, in array ``scratch``, its pixels sorted by phases of ``stride``. Of ``whole``
    ones a line follows the other without a gap; ``copied`` ones are a copy if need be or not. Image 0 is number
    ``first`` of the array.
    """
    top, left = border
    gaps = whole and x.strides[2] != x.shape[3] and x.shape[2] > 1
    if stride == (1, 1) and _lies_inside(x, size, border) and not gaps and not copied:
        base = first * x.strides[0] - top * x.strides[2] - left
        return Source(Images(number, base, x.strides[0], x.strides[1], (0, 0), x.strides[2]))
    copy = Array.contiguous(x.dtype, (*x.shape[:2], *phases, *size))
    apart = x.strides[3] * stride[1]
    form = pad_loops.Pad(x.dtype.name, apart if apart in (1, 2) else 0)
    images = x.shape[0] * x.shape[1], first, x.shape[1]
    numbers = pack(*images, *phases, *size, *stride, *border, *x.shape[2:], *x.strides)
    work = 200.0 + copy.size * x.dtype.itemsize / 8
    stage = Stage(form.key(), lambda: pad_loops.kernel(form), (number,), (scratch,), numbers, work)
    image, channel, *between, line, _ = copy.strides
    found = Images(scratch, 0, image, channel, (between[0], between[1]), line, padded=True)
    beyond = 8 * gemm_loops.schedule(x.dtype).square
    return Source(found, (stage,), ((copy.size + beyond) * x.dtype.itemsize,))


_HOT = 2 << 20  # bytes: of larger copies, what was written first is no longer in the second cache (measured)


def shares_of(x: Array, source: Source) -> list[tuple[int, Array]]:
    """Cut images in shares that are copied and then used, one after the other: the first one's number, and images."""
    if not source.stages or not x.shape[0]:
        return [(0, x)]
    count = max(1, _HOT // -(-source.scratch[0] // x.shape[0]))
    numbers = range(0, x.shape[0], count)
    return [(n, Array(x.dtype, (min(count, x.shape[0] - n), *x.shape[1:]), x.strides)) for n in numbers]


def spans_of(kernel: Pair, dilation: Pair) -> Pair:
    """Return how many pixels a window stretches over."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def window_source(
    x: Array, scratch: int, kernel: Pair, counts: Pair, stride: Pair, padding: Padding, dilation: Pair, weight: Pair,
    first: int = 0, rows: bool = False, near: bool = True,
) -> tuple[Source, tuple[Taps, Taps]]:
    """Return images in which every window lies inside, and where the taps are: in filters of these strides too.

    Where pixels are ``rows`` of a product, they need not be neighbours, and then they are not sorted by phases. If the
    images are ``near``, and no zeros are needed, they need not be copied for it.
    """
    spans, border = spans_of(kernel, dilation), (padding[0][0], padding[1][0])
    size = (counts[0] - 1) * stride[0] + spans[0], (counts[1] - 1) * stride[1] + spans[1]
    if rows and x.is_channels_last:
        return _source_of_steps(x, scratch, size, kernel, stride, border, dilation, weight, first, True)
    covering = spans[0] >= stride[0] and spans[1] >= stride[1]
    if rows and stride != (1, 1) and (covering or (near and _lies_inside(x, size, border))):
        return _source_of_steps(x, scratch, size, kernel, stride, border, dilation, weight, first, near)
    size = counts[0] + (spans[0] - 1) // stride[0], counts[1] + (spans[1] - 1) // stride[1]
    phases = min(stride[0], spans[0]), min(stride[1], spans[1])
    source = source_of(x, 0, scratch, border, size, stride, phases, first=first)
    shifts = (source.images.line, 1)
    down, across = (
        Taps(kernel[i], 0, dilation[i], stride[i], source.images.phases[i], shifts[i], weight[i]) for i in (0, 1)
    )
    return source, (down, across)


def _source_of_steps(
    x: Array, scratch: int, size: Pair, kernel: Pair, stride: Pair, border: Pair, dilation: Pair, weight: Pair,
    first: int, near: bool,
) -> tuple[Source, tuple[Taps, Taps]]:
    """Return images whose pixels keep their order; those of windows that follow each other are a step apart.

    A copy of all of them takes half the time of sorting them. Where channels come last, a line is one of numbers.
    """
    count, channels, height, width = x.shape
    last, apart = x.is_channels_last, channels if x.is_channels_last else 1
    lying = Array.contiguous(x.dtype, (count, 1, height, width * channels)) if last else x
    border, size = (border[0], border[1] * apart), (size[0], size[1] * apart)
    source = source_of(lying, 0, scratch, border, size, first=first, copied=not near)
    line, channel = source.images.line, 1 if last else source.images.channel
    images = replace(source.images, channel=channel, line=stride[0] * line, step=stride[1] * apart)
    down, across = (Taps(kernel[i], dilation[i] * step, weight=weight[i]) for i, step in ((0, line), (1, apart)))
    return replace(source, images=images), (down, across)


@dataclass(frozen=True)
class Phase:
    """Along one axis: the pixels of the images from ``start`` on that some taps of a filter reach, and these taps.

    The taps are ``first``, ``first + step``, ...; the first reaches pixel ``start`` from window ``window``, the next
    ones from windows ``back`` before.
    """

    start: int
    pixels: int
    taps: int
    first: int
    step: int
    window: int
    back: int

    @property
    def windows(self) -> Pair:
        """The first and the last window from which they are reached; these need not exist."""
        return self.window - self.back * (self.taps - 1), self.window + self.pixels - 1


def phases_of(size: int, kernel: int, stride: int, before: int, dilation: int) -> list[Phase]:
    """Return for each phase of the pixels of an axis which taps reach them."""
    step = stride // gcd(stride, dilation)
    phases = []
    for start in range(min(stride, size)):
        taps = [tap for tap in range(kernel) if (start + before - tap * dilation) % stride == 0]
        window = (start + before - taps[0] * dilation) // stride if taps else 0
        pixels, first = -(-(size - start) // stride), taps[0] if taps else 0
        phases.append(Phase(start, pixels, len(taps), first, step, window, step * dilation // stride))
    return phases


def pair(numbers: Sequence[int]) -> Pair:
    """Return two numbers as a pair."""
    first, second = numbers
    return first, second
