"""Fractional max pooling: maxima of windows whose steps are drawn, so that sizes shrink by any ratio."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import PUBLIC, functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.convolution.window import AXES, batched, integers
from tensorlite.ops.elementwise import floor
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.scatter import _gather
from tensorlite.ops.join import concat
from tensorlite.ops.pools.maximum import MAXIMA
from tensorlite.ops.pools.windows import Windows, check_elements, require_floating
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor

__all__ = ["fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
           "fractional_max_pool3d_with_indices"]

Size = int | tuple[int, ...]
Ratio = float | tuple[float, ...]

#: Which of a plane's numbers each axis is drawn by: PyTorch takes the width's of images first.
_DRAWN_BY = {2: (1, 0), 3: (0, 1, 2)}


def _output_size(op: str, x: Tensor, kernel: tuple[int, ...], output_size: Any,
                 output_ratio: Any) -> tuple[int, ...]:
    """How many windows there are along each axis."""
    axes = len(kernel)
    if output_size is None and output_ratio is None:
        raise complaint(ArgumentError, op, "either output_size or output_ratio must be given")
    if output_size is None:
        ratios = tuple(output_ratio) if isinstance(output_ratio, tuple | list) else (output_ratio,) * axes
        if len(ratios) != axes:
            raise complaint(DTypeError, op, f"output_ratio must be a number or {axes}, not {output_ratio!r}")
        output_size = tuple(int(n * ratio) for n, ratio in zip(x.shape[2:], ratios, strict=True))
    wanted = integers(op, "output_size", output_size, axes)
    for name, size, extent, count in zip(AXES[axes], x.shape[2:], kernel, wanted, strict=True):
        if count + extent - 1 > size:
            raise complaint(ShapeError, op, f"{count} windows of {extent} do not fit in a {name} of {size}",
                            {"input": x}, "use a smaller kernel_size or output_size")
    return wanted


def _samples(op: str, x: Tensor, axes: int, given: Tensor | None) -> Tensor:
    """One number of ``[0, 1)`` for each axis of each channel."""
    shape = (*x.shape[:2], axes)
    if given is None:
        return PUBLIC["rand"](shape, dtype=accumulator(x.dtype))
    if given.shape != shape:
        raise complaint(ShapeError, op, f"_random_samples must have shape {list(shape)}",
                        {"input": x, "_random_samples": given})
    return astype(given.detach(), accumulator(x.dtype), copy=False)


def _starts(sample: Tensor, size: int, kernel: int, count: int) -> Tensor:
    """Where windows begin, ``floor(alpha * (i + u)) - floor(alpha * u)``: [batch, channels, windows]."""
    last = full((*sample.shape[:2], 1), size - kernel, dtype=np.int64, device=sample.device)
    if count == 1:
        return last
    alpha = float(sample.dtype.type(size - kernel) / sample.dtype.type(count - 1))
    steps = astype(arange(count - 1), sample.dtype)
    begin = floor((sample + steps) * alpha) - floor(sample * alpha)
    return concat([astype(begin, np.dtype(np.int64)), last], axis=2)


def _places(x: Tensor, samples: Tensor, kernel: tuple[int, ...], counts: tuple[int, ...]) -> Tensor:
    """The places in their plane of the elements of all windows, which lie side by side."""
    axes = len(kernel)
    places: Any = 0
    for axis, drawn_by in enumerate(_DRAWN_BY[axes]):
        sample = samples[:, :, drawn_by:drawn_by + 1]
        start = _starts(sample, x.shape[2 + axis], kernel[axis], counts[axis])
        within = _reshape(start, shape=(*start.shape, 1)) + arange(kernel[axis])
        extents = [1] * axes
        extents[axis] = counts[axis] * kernel[axis]
        places = places * x.shape[2 + axis] + _reshape(within, shape=(*x.shape[:2], *extents))
    return places


def _pooled(op: str, axes: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, located: bool,
            random_samples: Tensor | None) -> Any:
    kernel = integers(op, "kernel_size", kernel_size, axes)

    def compute(x: Tensor) -> Any:
        require_floating(op, x)
        check_elements(op, x)
        counts = _output_size(op, x, kernel, output_size, output_ratio)
        places = _places(x, _samples(op, x, axes, random_samples), kernel, counts)
        planes = (*x.shape[:2], int(np.prod(x.shape[2:])))
        flat = _reshape(places, shape=(*x.shape[:2], int(np.prod(places.shape[2:]))))
        laid = _reshape(_gather(_reshape(x, shape=planes), flat, axis=2), shape=places.shape)
        windows = Windows(kernel, kernel, (0,) * axes, (1,) * axes)
        y, found = MAXIMA[axes](laid, windows, False, bool(located))
        if found is None:
            return y
        which = _reshape(found, shape=(*x.shape[:2], int(np.prod(counts))))
        return y, _reshape(_gather(flat, which, axis=2), shape=y.shape)
    return batched(op, compute, input, axes)


@functional
def fractional_max_pool2d(input: Tensor, kernel_size: Size, output_size: Size | None = None,
                          output_ratio: Ratio | None = None, return_indices: bool = False,
                          _random_samples: Tensor | None = None) -> Any:
    """Maxima of windows of images whose steps are drawn, to ``output_size`` or that share of the input's.

    input: [batch, channels, height, width] or [channels, height, width]; ``_random_samples``: [batch, channels, 2],
    what the steps follow from. Graham, "Fractional max-pooling", 2014. Raises `ShapeError` where windows do not fit.

    >>> import tensorlite as tl
    >>> fractional_max_pool2d(tl.ones((1, 5, 5)), 2, output_size=3).shape
    (1, 3, 3)
    """
    return _pooled("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices,
                   _random_samples)


@functional
def fractional_max_pool3d(input: Tensor, kernel_size: Size, output_size: Size | None = None,
                          output_ratio: Ratio | None = None, return_indices: bool = False,
                          _random_samples: Tensor | None = None) -> Any:
    """Maxima of windows of volumes whose steps are drawn, to ``output_size`` or that share of the input's.

    input: [batch, channels, depth, height, width] or [channels, depth, height, width]; ``_random_samples``:
    [batch, channels, 3], what the steps follow from. Graham, "Fractional max-pooling", 2014.

    >>> import tensorlite as tl
    >>> fractional_max_pool3d(tl.ones((1, 5, 5, 5)), 2, output_ratio=0.6).shape
    (1, 3, 3, 3)
    """
    return _pooled("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices,
                   _random_samples)


@functional
def fractional_max_pool2d_with_indices(input: Tensor, kernel_size: Size, output_size: Size | None = None,
                                       output_ratio: Ratio | None = None, return_indices: bool = False,
                                       _random_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The maxima of `fractional_max_pool2d` and where each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> fractional_max_pool2d_with_indices(tl.ones((1, 2, 2)), 2, output_size=1)
    (tensor([[[1.]]]), tensor([[[0]]]))
    """
    return _pooled("fractional_max_pool2d_with_indices", 2, input, kernel_size, output_size, output_ratio, True,
                   _random_samples)


@functional
def fractional_max_pool3d_with_indices(input: Tensor, kernel_size: Size, output_size: Size | None = None,
                                       output_ratio: Ratio | None = None, return_indices: bool = False,
                                       _random_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The maxima of `fractional_max_pool3d` and where each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> fractional_max_pool3d_with_indices(tl.ones((1, 2, 2, 2)), 2, output_size=1)
    (tensor([[[[1.]]]]), tensor([[[[0]]]]))
    """
    return _pooled("fractional_max_pool3d_with_indices", 3, input, kernel_size, output_size, output_ratio, True,
                   _random_samples)
