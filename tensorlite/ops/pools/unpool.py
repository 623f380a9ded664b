"""The partial inverse of max pooling: zeros, with maxima where they lay."""

from __future__ import annotations

from math import prod
from typing import Any

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError, complaint
from tensorlite.ops.convolution.window import AXES, batched, integers
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.scatter import _scatter
from tensorlite.ops.pools.windows import require_floating
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]

Size = int | tuple[int, ...]


def _output_size(op: str, axes: int, size: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any,
                 output_size: Any) -> tuple[int, ...]:
    """The size that was pooled: the least one, or one asked for that is less than a step away."""
    kernel = integers(op, "kernel_size", kernel_size, axes)
    strides = kernel if stride is None else integers(op, "stride", stride, axes)
    borders = integers(op, "padding", padding, axes, least=0)
    default = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(size, strides, kernel, borders, strict=True))
    if output_size is None:
        return default
    wanted = tuple(output_size)
    wanted = wanted[2:] if len(wanted) == axes + 2 else wanted
    if len(wanted) != axes:
        raise complaint(ArgumentError, op, f"output_size must have {axes} or {axes + 2} extents, it has {len(wanted)}")
    for name, n, usual, step in zip(AXES[axes], wanted, default, strides, strict=True):
        if not usual - step < n < usual + step:
            raise complaint(ArgumentError, op, f"output_size {list(wanted)} is not possible: the {name} must be "
                            f"between {usual - step} and {usual + step}")
    return wanted


def _unpooled(op: str, axes: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any,
              output_size: Any) -> Tensor:
    if not isinstance(indices, Tensor) or indices.dtype.kind not in "iu":
        raise complaint(DTypeError, op, "indices must be a tensor of integers", {"input": input, "indices": indices})
    if indices.shape != input.shape:
        raise complaint(ShapeError, op, "input and indices must have one shape", {"input": input, "indices": indices})

    def compute(x: Tensor) -> Tensor:
        require_floating(op, x)
        size = _output_size(op, axes, x.shape[2:], kernel_size, stride, padding, output_size)
        planes, count = x.shape[:2], prod(x.shape[2:])
        zeros = full((*planes, prod(size)), 0, dtype=x.dtype, device=x.device)
        places = _reshape(indices, shape=(*planes, count))
        try:
            y = _scatter(zeros, _reshape(x, shape=(*planes, count)), places, axis=2)
        except IndexingError as error:
            problem = error.problem.splitlines()[0].partition(": ")[2] or error.problem
            raise complaint(IndexingError, op, problem.partition(" for ")[0] + f" for a size of {list(size)}",
                            {"input": input, "indices": indices}, error.fix) from None
        return _reshape(y, shape=(*planes, *size))
    return batched(op, compute, input, axes)


@functional
def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
                 output_size: Any = None) -> Tensor:
    """Zeros with the elements of sequences at the places that ``max_pool1d(..., return_indices=True)`` gave.

    ``output_size`` says which of the lengths that pool to the input's it is: [length] or [batch, channels, length].

    >>> import tensorlite as tl
    >>> max_unpool1d(tl.tensor([[3.0, 2.0]]), tl.tensor([[1, 2]]), 2)
    tensor([[0., 3., 2., 0.]])
    """
    return _unpooled("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@functional
def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
                 output_size: Any = None) -> Tensor:
    """Zeros with the elements of images at the places that ``max_pool2d(..., return_indices=True)`` gave.

    ``output_size`` says which of the sizes that pool to the input's it is. Where indices name a place twice, the last
    element stays. Raises `IndexingError` for places outside, `ArgumentError` for sizes that do not pool to the input's.

    >>> import tensorlite as tl
    >>> max_unpool2d(tl.tensor([[[3.0]]]), tl.tensor([[[1]]]), 2)
    tensor([[[0., 3.],
             [0., 0.]]])
    """
    return _unpooled("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@functional
def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
                 output_size: Any = None) -> Tensor:
    """Zeros with the elements of volumes at the places that ``max_pool3d(..., return_indices=True)`` gave.

    ``output_size`` says which of the sizes that pool to the input's it is.

    >>> import tensorlite as tl
    >>> max_unpool3d(tl.tensor([[[[3.0]]]]), tl.tensor([[[[1]]]]), (1, 1, 2))
    tensor([[[[0., 3.]]]])
    """
    return _unpooled("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
