"""Maxima of windows that slide over sequences, images and volumes, and where these lie.

A sequence is an image of height 1. Of a volume, the slices are pooled as images first, and then what came of them along
the depth: the first of equal maxima in a slice, of the first slice that has one, is the first in the whole window.
"""

from __future__ import annotations

from typing import Any

from tensorlite.declare import functional, public
from tensorlite.ops.convolution.window import batched
from tensorlite.ops.indexing.scatter import _gather
from tensorlite.ops.pools.maximum_ops import _max_pool2d, _max_pool2d_indices, _max_pool2d_winner
from tensorlite.ops.pools.windows import Windows, check_elements, columns_of, read_windows, rows_of, slices_of
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

__all__ = ["max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool2d_with_indices", "max_pool3d",
           "max_pool3d_with_indices"]

Size = int | tuple[int, ...]
Found = tuple[Tensor, Tensor | None]


def images_maxima(x: Tensor, windows: Windows, ceil_mode: bool, located: bool) -> Found:
    """The maxima of windows over images and, if they are to be ``located``, where in its image each lies."""
    y = _max_pool2d(x, **windows.attributes, ceil_mode=ceil_mode)
    if not located:
        return y, None
    winner = _max_pool2d_winner(x.detach(), y.detach(), **windows.attributes)
    return y, _max_pool2d_indices(winner, size=x.shape[2:], **windows.attributes)


def sequences_maxima(x: Tensor, windows: Windows, ceil_mode: bool, located: bool) -> Found:
    """The same of sequences."""
    y, places = images_maxima(rows_of(x), windows.along(None, 0), ceil_mode, located)
    shape = (*x.shape[:2], y.shape[3])
    return _reshape(y, shape=shape), None if places is None else _reshape(places, shape=shape)


def volumes_maxima(x: Tensor, windows: Windows, ceil_mode: bool, located: bool) -> Found:
    """The same of volumes."""
    flat, inside = images_maxima(slices_of(x), windows.along(1, 2), ceil_mode, located)
    y, deep = images_maxima(columns_of(flat, x.shape[2]), windows.along(0, None), ceil_mode, located)
    shape = (*y.shape[:3], *flat.shape[2:])
    if inside is None or deep is None:
        return _reshape(y, shape=shape), None
    return _reshape(y, shape=shape), _reshape(volumes_places(inside, deep, x.shape), shape=shape)


def volumes_places(inside: Tensor, deep: Tensor, size: tuple[int, ...]) -> Tensor:
    """Where in volumes elements lie, from where they lie ``inside`` slices, and which of those were taken."""
    batch, channels, depth, height, width = size
    count = inside.shape[2] * inside.shape[3]
    taken = _reshape(deep, shape=(batch, channels, deep.shape[2] * deep.shape[3]))
    in_slice = _gather(_reshape(inside, shape=(batch, channels, depth * count)), taken, axis=2)
    return in_slice + taken // max(count, 1) * (height * width)


#: What finds maxima, by the number of axes.
MAXIMA = {1: sequences_maxima, 2: images_maxima, 3: volumes_maxima}


def _pooled(op: str, axes: int, input: Tensor, options: tuple[Any, ...], ceil_mode: bool, located: bool) -> Any:
    windows = read_windows(op, axes, *options)

    def compute(x: Tensor) -> Any:
        check_elements(op, x)
        if axes != 2:
            windows.check(op, x, ceil_mode)
        found = MAXIMA[axes](x, windows, bool(ceil_mode), bool(located))
        return found if located else found[0]
    return batched(op, compute, input, axes)


@public(method=False)
def max_pool1d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The maximum of each window of sequences, as `max_pool2d` of images.

    input: [batch, channels, length] or [channels, length].

    >>> import tensorlite as tl
    >>> tl.max_pool1d(tl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return _pooled("max_pool1d", 1, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


@public(method=False)
def max_pool2d(input: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None,
               padding: int | tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, ceil_mode: bool = False,
               return_indices: bool = False) -> Any:
    """The maximum of each window; NaN where a window holds one. Of equal elements the first carries the derivative.

    input: [batch, channels, height, width] or [channels, height, width]. ``stride`` is the kernel's size unless given;
    ``ceil_mode`` adds windows that begin inside and end outside. With ``return_indices`` also where in its image
    each maximum lies, counted row by row: int64. Raises `ShapeError` where the kernel does not fit.

    >>> import tensorlite as tl
    >>> tl.max_pool2d(tl.reshape(tl.arange(16.0), (1, 4, 4)), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _pooled("max_pool2d", 2, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


@public(method=False)
def max_pool3d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The maximum of each window of volumes, as `max_pool2d` of images.

    input: [batch, channels, depth, height, width] or [channels, depth, height, width].

    >>> import tensorlite as tl
    >>> tl.max_pool3d(tl.reshape(tl.arange(8.0), (1, 2, 2, 2)), 2)
    tensor([[[[7.]]]])
    """
    return _pooled("max_pool3d", 3, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


@functional
def max_pool1d_with_indices(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
                            dilation: Size = 1, ceil_mode: bool = False,
                            return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of `max_pool1d` and where in its sequence each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> max_pool1d_with_indices(tl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    options = kernel_size, stride, padding, dilation
    return _pooled("max_pool1d_with_indices", 1, input, options, ceil_mode, True)


@functional
def max_pool2d_with_indices(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
                            dilation: Size = 1, ceil_mode: bool = False,
                            return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of `max_pool2d` and where in its image each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> max_pool2d_with_indices(tl.tensor([[[1.0, 3.0], [2.0, 0.0]]]), 2)
    (tensor([[[3.]]]), tensor([[[1]]]))
    """
    options = kernel_size, stride, padding, dilation
    return _pooled("max_pool2d_with_indices", 2, input, options, ceil_mode, True)


@functional
def max_pool3d_with_indices(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
                            dilation: Size = 1, ceil_mode: bool = False,
                            return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of `max_pool3d` and where in its volume each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> max_pool3d_with_indices(tl.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), (1, 2, 2))
    (tensor([[[[3.]]]]), tensor([[[[1]]]]))
    """
    options = kernel_size, stride, padding, dilation
    return _pooled("max_pool3d_with_indices", 3, input, options, ceil_mode, True)
