"""Diagonals and triangles: diagonal, diag, diag_embed, diagflat, block_diag, tril_indices, triu_indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.axes import one_axis
from tensorlite.ops.creation import asarray
from tensorlite.ops.filled import zeros
from tensorlite.ops.indexing.index import _slice, _unslice, set_item_at
from tensorlite.ops.join import concat, of_one_dtype
from tensorlite.ops.shape import _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, dtype_of


def _two_axes(op: str, x: Tensor, dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    first, second = one_axis(op, x, dim1, ndim), one_axis(op, x, dim2, ndim)
    if first == second:
        raise complaint(ArgumentError, op, f"dim1 and dim2 are the same axis {first}", {"x": x})
    return first, second


def _length(rows: int, columns: int, offset: int) -> int:
    """How many elements a diagonal of a matrix has."""
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def _steps(columns: int, length: int, offset: int) -> tuple[Any, ...]:
    """Where a diagonal is in a matrix whose rows lie one after the other."""
    first = offset if offset >= 0 else -offset * columns
    return (..., slice(first, first + (length - 1) * (columns + 1) + 1, columns + 1) if length else slice(0, 0))


@public
def diagonal(x: Tensor, /, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonals of the matrices that two axes span, as a new last axis.

    ``offset`` is above the main diagonal if positive. Raises `ArgumentError` where both axes are the same.

    >>> import tensorlite as tl
    >>> tl.diagonal(tl.tensor([[1, 2, 3], [4, 5, 6]]), 1)
    tensor([2, 6])
    """
    first, second = _two_axes("diagonal", x, dim1, dim2, x.ndim)
    others = [a for a in range(x.ndim) if a not in (first, second)]
    moved = _permute_dims(x, axes=(*others, first, second))
    rows, columns = moved.shape[-2:]
    flat = _reshape(moved, shape=(*moved.shape[:-2], rows * columns))
    return _slice(flat, spec=_steps(columns, _length(rows, columns, offset), offset))


@public
def diag_embed(x: Tensor, /, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros with the last axis of ``x`` on a diagonal, spanned by two new axes.

    ``offset`` is above the main diagonal if positive. Raises `ArgumentError` where both axes are the same.

    >>> import tensorlite as tl
    >>> tl.diag_embed(tl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if not x.ndim:
        raise complaint(ShapeError, "diag_embed", "a 0-dimensional tensor has no axis", {"x": x})
    first, second = _two_axes("diag_embed", x, dim1, dim2, x.ndim + 1)
    n = x.shape[-1] + abs(offset)
    flat = _unslice(x, spec=_steps(n, x.shape[-1], offset), shape=(*x.shape[:-1], n * n))
    order = list(range(x.ndim - 1))
    for place, axis in sorted([(first, x.ndim - 1), (second, x.ndim)]):
        order.insert(place, axis)
    return _permute_dims(_reshape(flat, shape=(*x.shape[:-1], n, n)), axes=tuple(order))


@public
def diag(x: Tensor, /, diagonal: int = 0) -> Tensor:
    """A matrix with a vector on a diagonal and zeros elsewhere; of a matrix, its diagonal.

    Raises `ShapeError` for other numbers of axes.

    >>> import tensorlite as tl
    >>> tl.diag(tl.tensor([1, 2])), tl.diag(tl.tensor([[1, 2], [3, 4]]))
    (tensor([[1, 0],
            [0, 2]]), tensor([1, 4]))
    """
    if x.ndim not in (1, 2):
        raise complaint(ShapeError, "diag", f"takes a vector or a matrix, x has {x.ndim} dimensions", {"x": x},
                        "use tl.diagonal or tl.diag_embed for stacks")
    return diag_embed(x, diagonal) if x.ndim == 1 else _diagonal(x, diagonal)


_diagonal = diagonal


@public
def diagflat(x: Tensor, /, offset: int = 0) -> Tensor:
    """A matrix with all elements of ``x`` on a diagonal and zeros elsewhere.

    >>> import tensorlite as tl
    >>> tl.diagflat(tl.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(_reshape(x, shape=(x.size,)), offset)


@public
def diagonal_scatter(x: Tensor, src: Tensor, /, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """``x`` with the diagonals that `diagonal` names replaced by ``src``. Raises `ShapeError` for another shape.

    >>> import tensorlite as tl
    >>> tl.diagonal_scatter(tl.zeros((2, 2)), tl.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    first, second = _two_axes("diagonal_scatter", x, dim1, dim2, x.ndim)
    order = (*(a for a in range(x.ndim) if a not in (first, second)), first, second)
    moved = _permute_dims(x, axes=order)
    rows, columns = moved.shape[-2:]
    shape = (*moved.shape[:-2], _length(rows, columns, offset))
    if src.shape != shape:
        raise complaint(ShapeError, "diagonal_scatter", f"src must have the shape {list(shape)} of the diagonals",
                        {"x": x, "src": src})
    flat = _reshape(moved, shape=(*moved.shape[:-2], rows * columns))
    made = set_item_at(flat, astype(src, x.dtype, copy=False), [], _steps(columns, shape[-1], offset))
    return _permute_dims(_reshape(made, shape=moved.shape), axes=tuple(int(a) for a in np.argsort(order)))


@public(method=False)
def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with matrices along its diagonal and zeros elsewhere; vectors count as rows. Dtypes promote.

    Raises `ShapeError` for a tensor of more than two axes.

    >>> import tensorlite as tl
    >>> tl.block_diag(tl.tensor([[1], [2]]), tl.tensor([3, 4]))
    tensor([[1, 0, 0],
            [2, 0, 0],
            [0, 3, 4]])
    """
    if not tensors:
        return zeros((1, 0))
    blocks = of_one_dtype("block_diag", tensors)
    if any(x.ndim > 2 for x in blocks):
        raise complaint(ShapeError, "block_diag", "blocks have at most 2 dimensions",
                        {f"tensors[{i}]": x for i, x in enumerate(tensors)})
    blocks = [_reshape(x, shape=(1,) * (2 - x.ndim) + x.shape) for x in blocks]
    width, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        after = width - before - x.shape[1]
        rows.append(concat([zeros((x.shape[0], before), dtype=x.dtype, device=x.device), x,
                            zeros((x.shape[0], after), dtype=x.dtype, device=x.device)], 1))
        before += x.shape[1]
    return concat(rows, 0)


def _triangle(op: str, places: Any, rows: int, columns: int, dtype: Any, device: str | None) -> Tensor:
    if rows < 0 or columns < 0:
        raise complaint(ArgumentError, op, f"no matrix has {rows} rows and {columns} columns")
    return asarray(np.stack(places), dtype=dtype_of(dtype or DEFAULT_INTEGER), device=device)


@public(method=False)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The rows and columns of the elements of a lower triangle, row by row: int64[2, elements].

    >>> import tensorlite as tl
    >>> tl.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    places = np.tril_indices(max(row, 0), offset, max(col, 0))
    return _triangle("tril_indices", places, row, col, dtype, device)


@public(method=False)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The rows and columns of the elements of an upper triangle, row by row: int64[2, elements].

    >>> import tensorlite as tl
    >>> tl.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    places = np.triu_indices(max(row, 0), offset, max(col, 0))
    return _triangle("triu_indices", places, row, col, dtype, device)
