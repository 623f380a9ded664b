"""Averages and power averages of windows that slide over sequences, images and volumes.

A sequence is an image of height 1. Of a volume, the slices are averaged as images first, and then what came of them
along the depth: how many elements a window holds is the product of how many it holds along each axis.
"""

from __future__ import annotations

from typing import Any

from tensorlite.declare import functional, public
from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.convolution.window import batched
from tensorlite.ops.elementwise import sqrt, square, trunc, where
from tensorlite.ops.pools.average_ops import _avg_pool2d
from tensorlite.ops.pools.windows import (
    Windows,
    check_elements,
    columns_of,
    read_windows,
    require_floating,
    rows_of,
    slices_of,
)
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, float64, int64

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d"]

Size = int | tuple[int, ...]


def _images(x: Tensor, windows: Windows, divisor: int | None, options: dict[str, bool]) -> Tensor:
    geometry = windows.attributes
    del geometry["dilation"]
    return _avg_pool2d(x, **geometry, **options, divisor=divisor)


def _sequences(x: Tensor, windows: Windows, divisor: int | None, options: dict[str, bool]) -> Tensor:
    y = _images(rows_of(x), windows.along(None, 0), divisor, options)
    return _reshape(y, shape=(*y.shape[:2], y.shape[3]))


def _volumes(x: Tensor, windows: Windows, divisor: int | None, options: dict[str, bool]) -> Tensor:
    wide = astype(x, accumulator(x.dtype), copy=False)
    flat = _images(slices_of(wide), windows.along(1, 2), None if divisor is None else 1, options)
    y = _images(columns_of(flat, x.shape[2]), windows.along(0, None), divisor, options)
    return astype(_reshape(y, shape=(*y.shape[:3], *flat.shape[2:])), x.dtype, copy=False)


_AVERAGES = {1: _sequences, 2: _images, 3: _volumes}


def _pooled(op: str, axes: int, input: Tensor, options: tuple[Any, Any, Any], ceil_mode: bool,
            count_include_pad: bool, divisor: int | None = None) -> Tensor:
    windows = read_windows(op, axes, *options)
    if divisor == 0:
        raise complaint(ArgumentError, op, "divisor_override must not be zero")
    flags = {"ceil_mode": bool(ceil_mode), "include_pad": bool(count_include_pad)}

    def compute(x: Tensor) -> Tensor:
        check_elements(op, x)
        if axes != 2:
            windows.check(op, x, ceil_mode)
        if x.dtype != int64:
            return _AVERAGES[axes](x, windows, divisor, flags)
        averages = _AVERAGES[axes](astype(x, float64), windows, divisor, flags)
        return astype(trunc(averages * (1 + 2.0**-40)), int64)  # a whole one may have been rounded to just below
    return batched(op, compute, input, axes)


@public(method=False)
def avg_pool1d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
               ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    """The average of each window of sequences, as `avg_pool2d` of images.

    input: [batch, channels, length] or [channels, length].

    >>> import tensorlite as tl
    >>> tl.avg_pool1d(tl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return _pooled("avg_pool1d", 1, input, (kernel_size, stride, padding), ceil_mode, count_include_pad)


@public(method=False)
def avg_pool2d(input: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None,
               padding: int | tuple[int, int] = 0, ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Tensor:
    """The average of each window.

    input: [batch, channels, height, width] or [channels, height, width]. ``stride`` is the kernel's size unless given;
    ``count_include_pad`` counts the zeros of the padding as elements; ``divisor_override`` replaces the count. Averages
    of int64 are whole, cut off towards zero.

    >>> import tensorlite as tl
    >>> tl.avg_pool2d(tl.reshape(tl.arange(16.0), (1, 4, 4)), 2)
    tensor([[[ 2.5,  4.5],
             [10.5, 12.5]]])
    """
    return _pooled("avg_pool2d", 2, input, (kernel_size, stride, padding), ceil_mode, count_include_pad,
                   divisor_override)


@functional
def avg_pool3d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Tensor:
    """The average of each window of volumes, as `avg_pool2d` of images.

    input: [batch, channels, depth, height, width] or [channels, depth, height, width].

    >>> import tensorlite as tl
    >>> avg_pool3d(tl.reshape(tl.arange(8.0), (1, 2, 2, 2)), 2)
    tensor([[[[3.5]]]])
    """
    return _pooled("avg_pool3d", 3, input, (kernel_size, stride, padding), ceil_mode, count_include_pad,
                   divisor_override)


# --- powers -------------------------------------------------------------------------------------------------------


def _power(op: str, axes: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any,
           ceil_mode: bool) -> Tensor:
    """The average of powers times the elements of a whole kernel, as PyTorch has it for windows cut short, too."""
    count = 1
    for extent in read_windows(op, axes, kernel_size, None, 0).kernel:
        count *= extent
    input = astype(input, DEFAULT_FLOAT) if input.dtype.kind in "biu" else input
    require_floating(op, input)
    wide = astype(input, accumulator(input.dtype), copy=False)
    powers = square(wide) if norm_type == 2 else wide if norm_type == 1 else wide ** norm_type
    sums = _pooled(op, axes, powers, (kernel_size, stride, 0), ceil_mode, True) * count
    some = where(sums != 0, sums, 0.0)  # keeps the infinite slope of a root at 0 from its derivative
    root = sqrt(some) if norm_type == 2 else some if norm_type == 1 else some ** (1.0 / norm_type)
    return astype(root, input.dtype, copy=False)


@functional
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: int, stride: Size | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The root ``sum(x**p) ** (1 / p)`` of each window of sequences, with ``p`` the ``norm_type``.

    input: [batch, channels, length] or [channels, length]. The derivative where the sum is 0 is 0.

    >>> import tensorlite as tl
    >>> lp_pool1d(tl.tensor([[3.0, 4.0, 0.0, 1.0]]), 2, 2)
    tensor([[5., 1.]])
    """
    return _power("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@functional
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The root ``sum(x**p) ** (1 / p)`` of each window of images, with ``p`` the ``norm_type``.

    input: [batch, channels, height, width] or [channels, height, width]. The derivative where the sum is 0 is 0.

    >>> import tensorlite as tl
    >>> lp_pool2d(tl.ones((1, 2, 2)), 2, 2)
    tensor([[[2.]]])
    """
    return _power("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@functional
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The root ``sum(x**p) ** (1 / p)`` of each window of volumes, with ``p`` the ``norm_type``.

    input: [batch, channels, depth, height, width] or [channels, depth, height, width]. The derivative where the sum is
    0 is 0.

    >>> import tensorlite as tl
    >>> lp_pool3d(tl.ones((1, 2, 2, 2)), 3, 2)
    tensor([[[[2.]]]])
    """
    return _power("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)
