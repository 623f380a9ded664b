"""Linear algebra: products of matrices and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, move_axis, padded, reshape
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.elementwise import conj
from tensorlite.ops.manipulation import expand_dims, moveaxis
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, promote


def swap_last(x: Tensor) -> Tensor:
    """The tensor with its last two axes exchanged."""
    n = x.ndim
    return _permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))


NATIVE_PRODUCT = 256
"""Elements of a factor from which on a kernel is run: NumPy takes 0.8 us for products of any size, and 1.1 more where
the threads of BLAS must be told to rest before. For smaller ones no kernel need be compiled."""


def matmul_type(x1: TensorType, x2: TensorType) -> TensorType:
    """The type of a product of (stacks of) matrices."""
    if x1.shape[-1] != x2.shape[-2]:
        raise ShapeError(f"x1 has {x1.shape[-1]} columns, x2 has {x2.shape[-2]} rows")
    try:
        batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    except ValueError:
        raise ShapeError(f"stacks {list(x1.shape[:-2])} and {list(x2.shape[:-2])} do not broadcast") from None
    return TensorType(promote(x1.dtype, x2.dtype), (*batch, x1.shape[-2], x2.shape[-1]), x1.device)


def _matmul_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """One product of larger matrices where a factor is one matrix for all, else a stack of products."""
    (x1, x2), (first, second) = inputs, batch.axes
    if second is None and x2.ndim == 2:
        rows = move_axis(x1, first, 0)
        flat = batch.apply(reshape(rows, (prod(rows.shape[:-1]), rows.shape[-1])), x2)
        return reshape(flat, (*rows.shape[:-1], x2.shape[1])), 0
    if first is None and x1.ndim == 2 and x2.ndim == 3:
        columns = move_axis(x2, second, 1)
        count, extents = columns.shape[0], columns.shape[1:]
        return reshape(batch.apply(x1, reshape(columns, (count, prod(extents)))), (x1.shape[0], *extents)), 1
    ndim = max(x.ndim - (axis is not None) for x, axis in zip(inputs, batch.axes, strict=True))
    return batch.apply(*(x if axis is None else padded(move_axis(x, axis, 0), ndim)
                         for x, axis in zip(inputs, batch.axes, strict=True))), 0


@primitive("contract", autocast="narrow", type=matmul_type, batch=_matmul_batch, native_size=NATIVE_PRODUCT,
           vjp={"x1": lambda g, x2: _matmul(g, conj(swap_last(x2))),
                "x2": lambda g, x1: _matmul(conj(swap_last(x1)), g)},
           samples=[Sample((2, 3), (3, 4)), Sample((5, 2, 3), (3, 4)), Sample((2, 1, 2, 3), (4, 3, 2)),
                    Sample((0, 3), (3, 2)), Sample((2, 0), (0, 3))])
def _matmul(xp: Any, x1: Any, x2: Any) -> Any:
    wide = accumulator(x1.dtype)
    return xp.matmul(x1.astype(wide, copy=False), x2.astype(wide, copy=False)).astype(x1.dtype, copy=False)


def _factors(op: str, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Both factors of a product in the dtype that they promote to."""
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        raise complaint(DTypeError, op, "both arguments must be tensors", {"x1": x1, "x2": x2},
                        "make it one: tl.asarray(...)")
    dtype = promote(x1.dtype, x2.dtype)
    if dtype.kind == "b":
        raise complaint(DTypeError, op, "takes numeric dtypes, not bool", {"x1": x1, "x2": x2},
                        "cast them first: x.to(tl.int64)")
    return astype(x1, dtype, copy=False), astype(x2, dtype, copy=False)


@public
def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of matrices, of stacks of matrices, or with vectors, as the operator ``@``.

    x1: [..., n, k] or [k]; x2: [..., k, m] or [k]; the result: [..., n, m], without the axis of a vector. Raises
    `ShapeError` where the inner extents differ.

    >>> import tensorlite as tl
    >>> tl.matmul(tl.tensor([[1.0, 2.0]]), tl.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if isinstance(x1, Tensor) and isinstance(x2, Tensor):  # what follows takes 1.5 us
        a, b = x1.array, x2.array
        dtype = a.dtype
        if a.ndim > 1 < b.ndim and dtype == b.dtype and dtype.kind != "b":
            return _matmul(x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        raise complaint(ShapeError, "matmul", "a 0-dimensional tensor is no matrix", {"x1": x1, "x2": x2},
                        "use x1 * x2")
    x1, x2 = _factors("matmul", x1, x2)
    left = _reshape(x1, shape=(1, *x1.shape)) if x1.ndim == 1 else x1
    right = _reshape(x2, shape=(*x2.shape, 1)) if x2.ndim == 1 else x2
    product = _matmul(left, right)
    shape = product.shape[:-2] + product.shape[-2:-1] * (x1.ndim > 1) + product.shape[-1:] * (x2.ndim > 1)
    return product if shape == product.shape else _reshape(product, shape=shape)


@public
def matrix_transpose(x: Tensor, /) -> Tensor:
    """Matrices, or stacks of them, with rows and columns exchanged. Raises `ShapeError` for fewer than two axes.

    >>> import tensorlite as tl
    >>> tl.matrix_transpose(tl.zeros((5, 2, 3))).shape
    (5, 3, 2)
    """
    if x.ndim < 2:
        raise complaint(ShapeError, "matrix_transpose", "a matrix has two axes", {"x": x})
    return swap_last(x)


@public
def tensordot(x1: Tensor, x2: Tensor, /, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes, the other axes of ``x1`` and then of ``x2`` remaining.

    ``axes`` is the number of axes, the last of ``x1`` and the first of ``x2``, or their numbers in both. Raises
    `ShapeError` where the extents of a pair differ.

    >>> import tensorlite as tl
    >>> tl.tensordot(tl.ones((2, 3, 4)), tl.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
    (2, 5)
    """
    x1, x2 = _factors("tensordot", x1, x2)
    first, second = _pairs(x1, x2, axes)
    if [x1.shape[a] for a in first] != [x2.shape[a] for a in second]:
        raise complaint(ShapeError, "tensordot", "the extents of summed axes differ",
                        {"x1": x1, "x2": x2, "axes": axes})
    rest1, rest2 = ([a for a in range(x.ndim) if a not in of] for x, of in ((x1, first), (x2, second)))
    inner = prod(x1.shape[a] for a in first)
    outer1, outer2 = tuple(x1.shape[a] for a in rest1), tuple(x2.shape[a] for a in rest2)
    left = _reshape(_permute_dims(x1, axes=(*rest1, *first)), shape=(prod(outer1), inner))
    right = _reshape(_permute_dims(x2, axes=(*second, *rest2)), shape=(inner, prod(outer2)))
    return _reshape(_matmul(left, right), shape=outer1 + outer2)


def _pairs(x1: Tensor, x2: Tensor, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that a `tensordot` sums over, counted from the front."""
    if not isinstance(axes, int):
        first, second = (a if isinstance(a, tuple | list) else (a,) for a in axes)
    elif 0 <= axes <= min(x1.ndim, x2.ndim):
        first, second = tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes))
    else:
        raise complaint(ShapeError, "tensordot", f"there are not {axes} axes to sum over", {"x1": x1, "x2": x2})
    if len(first) != len(second):
        raise complaint(ArgumentError, "tensordot", f"{len(first)} axes of x1 are paired with {len(second)} of x2",
                        {"x1": x1, "x2": x2, "axes": axes})
    for x, of in ((x1, first), (x2, second)):
        some_axes("tensordot", x, tuple(of))
    return tuple(one_axis("tensordot", x1, a) for a in first), tuple(one_axis("tensordot", x2, a) for a in second)


def _broadcasts(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


@public
def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The dot products ``sum(conj(x1) * x2)`` of vectors along an axis; the other axes broadcast.

    ``axis`` counts from the end where the numbers of axes differ. Raises `ShapeError` where the vectors' extents do.

    >>> import tensorlite as tl
    >>> tl.vecdot(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), tl.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    x1, x2 = _factors("vecdot", x1, x2)
    places = one_axis("vecdot", x1, axis), one_axis("vecdot", x2, axis)
    if x1.shape[places[0]] != x2.shape[places[1]]:
        raise complaint(ShapeError, "vecdot", "the vectors' extents differ", {"x1": x1, "x2": x2, "axis": axis})
    if not _broadcasts(*(x.shape[:a] + x.shape[a + 1:] for x, a in zip((x1, x2), places, strict=True))):
        raise complaint(ShapeError, "vecdot", "the other axes do not broadcast", {"x1": x1, "x2": x2, "axis": axis})
    rows, columns = (moveaxis(x, place, -1) for x, place in zip((x1, x2), places, strict=True))
    product = _matmul(conj(expand_dims(rows, -2)), expand_dims(columns, -1))
    return _reshape(product, shape=product.shape[:-2])
