"""Unfold and fold: the windows of images as columns, and the sum of such columns where they lay (im2col, col2im).

Both go one axis at a time, so that a kernel of ``k`` by ``k`` places takes ``2 k`` slices and not ``k * k``.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

from tensorlite.declare import functional
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import OPS
from tensorlite.ops.convolution.dimensions import placed
from tensorlite.ops.convolution.window import Pair, batched, pair, steps, window_counts
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.join import along, concat
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor

__all__ = ["fold", "unfold"]

Size = int | tuple[int, int]


def _geometry(op: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Pair, Pair, Pair, Pair]:
    return (pair(op, "kernel_size", kernel_size), pair(op, "dilation", dilation), pair(op, "padding", padding, 0),
            pair(op, "stride", stride))


@functional
def unfold(input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """The elements of every window of images, a column for each window.

    input: [batch, channels, height, width] or [channels, height, width]; the result: [batch, channels * kernel height *
    kernel width, windows] or without the batch. The windows are counted row by row, over images with ``padding`` zeros
    on each side. Raises `ShapeError` where no window fits.

    >>> import tensorlite as tl
    >>> unfold(tl.arange(6.0).reshape(1, 2, 3), (2, 2))
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    kernel, dilations, paddings, strides = _geometry("unfold", kernel_size, dilation, padding, stride)

    def of_batch(x: Tensor) -> Tensor:
        counts = _counts("unfold", x, x.shape[2:], kernel, dilations, paddings, strides)
        for axis, p in enumerate(paddings, start=2):
            x = placed(x, axis, p, 1, x.shape[axis] + 2 * p) if p else x
        taps = [_slice(x, spec=(*_ALL[:2], None, steps(k * dilations[0], counts[0], strides[0])))
                for k in range(kernel[0])]
        x = concat(taps, axis=2)
        taps = [_slice(x, spec=(*_ALL[:3], None, slice(None), steps(k * dilations[1], counts[1], strides[1])))
                for k in range(kernel[1])]
        x = concat(taps, axis=3)
        return _reshape(x, shape=(x.shape[0], prod(x.shape[1:4]), prod(counts)))
    found: Tensor = batched("unfold", of_batch, input)
    return found


_ALL = (slice(None),) * 3


def _counts(op: str, x: Tensor, size: tuple[int, ...], kernel: Pair, dilation: Pair, padding: Pair,
            stride: Pair) -> Pair:
    try:
        return window_counts((size[0], size[1]), kernel, stride, dilation, tuple((p, p) for p in padding))
    except ShapeError as problem:
        raise complaint(ShapeError, op, problem.problem, {"input": x}, problem.fix) from None


@functional
def fold(input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0,
         stride: Size = 1) -> Tensor:
    """Images of ``output_size`` from columns of windows: where windows overlap, their elements are added up.

    input: [batch, channels * kernel height * kernel width, windows] or without the batch; the result: [batch, channels,
    height, width]. What windows hold beyond the images, in ``padding``, is dropped. It is the transpose of `unfold`,
    and its inverse only where windows do not overlap. Raises `ShapeError` where the columns are not those of the
    images.

    >>> import tensorlite as tl
    >>> fold(tl.ones((4, 2)), (2, 3), (2, 2))
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    kernel, dilations, paddings, strides = _geometry("fold", kernel_size, dilation, padding, stride)
    height, width = size = pair("fold", "output_size", output_size)
    if not isinstance(input, Tensor):
        raise complaint(DTypeError, "fold", f"takes a tensor, not {type(input).__name__}", None,
                        "make it one: tl.asarray(...)")
    if input.ndim not in (2, 3):
        raise complaint(ShapeError, "fold", "takes columns [batch, channels * kernel, windows] or [channels * kernel, "
                        f"windows], the input has {input.ndim} dimensions", {"input": input})
    counts = _counts("fold", input, size, kernel, dilations, paddings, strides)
    lead, (rows, windows) = input.shape[:-2], input.shape[-2:]
    if rows % prod(kernel):
        raise complaint(ShapeError, "fold", f"{rows} rows are no whole number of channels for a kernel of "
                        f"{kernel[0]} x {kernel[1]}", {"input": input})
    if windows != prod(counts):
        raise complaint(ShapeError, "fold", f"images of {height} x {width} have {counts[0]} x {counts[1]} windows, "
                        f"the input has {windows}", {"input": input, "kernel_size": kernel, "dilation": dilations,
                                                     "padding": paddings, "stride": strides})
    wide = astype(input, accumulator(input.dtype), copy=False)
    cells = _reshape(wide, shape=(prod(lead), rows // prod(kernel), *kernel, *counts))
    cells = _added(cells, 3, 4, dilations[1], -paddings[1], strides[1], width)
    cells = _added(cells, 2, 2, dilations[0], -paddings[0], strides[0], height)
    return astype(_reshape(cells, shape=(*lead, *cells.shape[1:])), input.dtype, copy=False)


def _added(cells: Tensor, taps: int, axis: int, dilation: int, first: int, stride: int, size: int) -> Tensor:
    """The sum over the places of a kernel, along ``taps``, of what then lies along ``axis`` where windows had it."""
    parts = [placed(_slice(cells, spec=along(taps, k)), axis, first + k * dilation, stride, size)
             for k in range(cells.shape[taps])]
    return reduce(lambda y, part: apply(OPS["add"], y, part), parts)
