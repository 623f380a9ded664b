"""Windows that slide over the last axes of images, sequences and volumes: how many there are, and views of images'."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.kernels.cpu import allocator
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Extents = TypeVar("Extents", bound=tuple[int, ...])

#: What windows slide over, by the number of axes: what that is called, and what its axes are.
SUBJECTS = {1: "sequences", 2: "images", 3: "volumes"}
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_COUNTS = {1: "an integer", 2: "an integer or two", 3: "an integer or three"}

#: Columns of a block of images: 1 to 8 MiB measured the same on one thread, and few large products suffer least from
#: BLAS threads that wait for each other on a busy machine.
BLOCK_BYTES = 4 << 20


def integers(op: str, name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """One integer for each axis, from one or as many as users write them."""
    if type(value) is int and value >= least:
        return (value,) * axes
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    if len(values) == 1:
        values *= axes
    if len(values) != axes or not all(hasattr(v, "__index__") for v in values):
        raise complaint(DTypeError, op, f"{name} must be {_COUNTS[axes]}, not {value!r}")
    if min(values) < least:
        raise complaint(ArgumentError, op, f"{name} must be at least {least}, not {value!r}")
    return tuple(v.__index__() for v in values)


def pair(op: str, name: str, value: Any, least: int = 1) -> Pair:
    """Two integers, for height and width, from one or two as users write them."""
    height, width = integers(op, name, value, 2, least)
    return height, width


def span(kernel: int, dilation: int) -> int:
    """The extent that a dilated kernel covers."""
    return dilation * (kernel - 1) + 1


def window_count(name: str, size: int, kernel: int, stride: int, dilation: int, padding: Pair,
                 ceil_mode: bool = False) -> int:
    """How many windows fit along an axis; with ``ceil_mode`` also one that begins inside and ends outside."""
    room = size + sum(padding) - span(kernel, dilation)
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding[0]:
        count -= 1
    if count < 1:
        raise ShapeError(f"the kernel covers {span(kernel, dilation)} of the {name}, which with padding is "
                         f"{size + sum(padding)}",
                         "use a smaller kernel or dilation, or more padding")
    return count


@lru_cache(1 << 10)
def window_counts(size: tuple[int, ...], kernel: tuple[int, ...], stride: Extents, dilation: tuple[int, ...],
                  padding: tuple[Pair, ...], ceil_mode: bool = False) -> Extents:
    """How many windows fit along each axis, as down and across images."""
    axes = zip(AXES[len(stride)], size, kernel, stride, dilation, padding, strict=True)
    return tuple(window_count(name, n, k, s, d, p, ceil_mode)  # type: ignore[return-value]
                 for name, n, k, s, d, p in axes)


def steps(first: int, count: int, stride: int) -> slice:
    """The slice of ``count`` places, ``stride`` apart."""
    return slice(first, first + (count - 1) * stride + 1, stride)


def views(x: Any, kernel: Pair, stride: Pair, dilation: Pair, counts: Pair) -> Iterator[Any]:
    """For each place in the kernel, row by row, the view of that element of every window."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            yield x[..., steps(i * dilation[0], counts[0], stride[0]), steps(j * dilation[1], counts[1], stride[1])]


def pad(xp: Any, x: Any, padding: Padding, value: Any) -> Any:
    """The images with a border; themselves where it has no width."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    height, width = x.shape[-2:]
    out = empty(xp, (*x.shape[:-2], top + height + bottom, left + width + right), x.dtype)
    out[...] = value
    out[..., top:top + height, left:left + width] = x
    return out


def uncover(x: Any, padding: Padding, size: Pair) -> Any:
    """The images without their border."""
    return x[..., padding[0][0]:padding[0][0] + size[0], padding[1][0]:padding[1][0] + size[1]]


def batched(op: str, function: Callable[[Tensor], Any], x: Tensor, axes: int = 2) -> Any:
    """Applies a function of a batch of images to a batch, or to one image alone; so for other numbers of axes."""
    if not isinstance(x, Tensor):
        raise complaint(DTypeError, op, f"takes a tensor, not {type(x).__name__}", None, "make it one: tl.asarray(...)")
    if x.ndim == axes + 2:
        return function(x)
    if x.ndim != axes + 1:
        names = ", ".join(("channels", *AXES[axes]))
        raise complaint(ShapeError, op, f"takes {SUBJECTS[axes]} [batch, {names}] or [{names}], "
                        f"x has {x.ndim} dimensions", {"x": x})
    result = function(_reshape(x, shape=(1, *x.shape)))
    if isinstance(result, tuple):
        return tuple(_reshape(y, shape=y.shape[1:]) for y in result)
    return _reshape(result, shape=result.shape[1:])


def blocks(images: int, bytes_each: int) -> Iterator[slice]:
    """Splits a batch so that a block's scratch memory stays in the cache."""
    size = max(1, BLOCK_BYTES // max(1, bytes_each))
    for start in range(0, images, size):
        yield slice(start, min(start + size, images))


def empty(xp: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """An array to fill; on the CPU from the pool of warm blocks."""
    return allocator.empty(shape, dtype) if xp is np else xp.empty(shape, dtype)


def zeros(xp: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """An array of zeros, from where `empty` takes it."""
    out = empty(xp, shape, dtype)
    out[...] = 0
    return out


class Scratch:
    """Memory for one block after another: fresh pages each time would cost more than the arithmetic."""

    def __init__(self, xp: Any, dtype: np.dtype) -> None:
        self.xp, self.dtype = xp, dtype
        self.memory: Any = None

    def take(self, *shape: int) -> Any:
        """The memory, in a shape; what it held before is lost."""
        size = math.prod(shape)
        if self.memory is None or self.memory.size < size:
            self.memory = empty(self.xp, (size,), self.dtype)
        return self.memory[:size].reshape(shape)


def columns(xp: Any, x: Any, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding, counts: Pair,
            dtype: np.dtype) -> Iterator[tuple[slice, Any]]:
    """For block after block of images, the elements of every window: [channels * kernel, images * windows].

    The memory is used again for the next block.
    """
    images, channels, height, width = x.shape
    rows = channels * kernel[0] * kernel[1]
    (top, bottom), (left, right) = padding
    bordered = top or bottom or left or right or x.dtype != dtype
    scratch, border = Scratch(xp, dtype), None
    for block in blocks(images, rows * counts[0] * counts[1] * dtype.itemsize):
        part, count = x[block], block.stop - block.start
        if bordered:
            if border is None:
                border = zeros(xp, (count, channels, top + height + bottom, left + width + right), dtype)
            border[:count, :, top:top + height, left:left + width] = part
            part = border[:count]
        cells = scratch.take(channels, *kernel, count, *counts)
        cells[...] = _windows(xp, part, kernel, stride, dilation, counts)
        yield block, cells.reshape(rows, count * counts[0] * counts[1])


def _windows(xp: Any, x: Any, kernel: Pair, stride: Pair, dilation: Pair, counts: Pair) -> Any:
    """All windows as one view: [channels, kernel rows, kernel columns, images, windows down, windows across]."""
    image, channel, row, column = x.strides
    return xp.lib.stride_tricks.as_strided(
        x, (x.shape[1], *kernel, x.shape[0], *counts),
        (channel, row * dilation[0], column * dilation[1], image, row * stride[0], column * stride[1]))
