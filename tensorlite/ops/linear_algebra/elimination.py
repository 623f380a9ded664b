"""LU decompositions with partial pivoting: lu, lu_factor, lu_solve."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import functional, primitive
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.kernels.cpu.blas import one_thread
from tensorlite.op import Integers, Regular, Sample
from tensorlite.ops.elementwise import equal, where
from tensorlite.ops.filled import zeros
from tensorlite.ops.indexing.scatter import _gather
from tensorlite.ops.join import concat
from tensorlite.ops.linear_algebra.linalg import _matmul, swap_last
from tensorlite.ops.linear_algebra.matrices import (
    adjoint,
    by_column,
    by_row,
    check_matrices,
    diagonal_mask,
    over_stacks,
)
from tensorlite.ops.linear_algebra.results import LUFactorResult, LUResult
from tensorlite.ops.linear_algebra.solve import alike, solve, solve_triangular
from tensorlite.ops.manipulation import _tril, _triu
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import _broadcast_to, astype, retype
from tensorlite.ops.sort import _argsort
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import INTEGERS, TensorType, int32, int64

__all__ = ["lu", "lu_factor", "lu_solve"]

_BLOCK = 32
"""Columns that are eliminated one by one, before the rest is by one product of matrices."""


# --- eliminating --------------------------------------------------------------------------------------------------


def _lu_type(x: TensorType, *, pivot: bool) -> tuple[TensorType, TensorType]:
    check_matrices(x=x)
    return x, retype(x, (*x.shape[:-2], min(x.shape[-2:])), int32)


def _eliminate(xp: Any, a: Any, column: int, stop: int, pivot: bool) -> Any:
    """Eliminates one column of a stack from the columns up to ``stop``; the rows that it was exchanged with."""
    chosen = xp.full(len(a), column)
    if pivot:
        chosen = chosen + xp.abs(a[:, column:, column]).argmax(axis=1)
        each = xp.arange(len(a))
        a[each, column], a[each, chosen] = a[each, chosen], a[each, column].copy()
    divisor = a[:, column, column, None]
    below = a[:, column + 1:, column]
    below[...] = below / (xp.where(divisor == 0, 1, divisor) if pivot else divisor)
    a[:, column + 1:, column + 1:stop] -= below[:, :, None] * a[:, column, None, column + 1:stop]
    return chosen


def _lu_vjp(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], pivot: bool) -> Tensor:
    """``P L^-H (tril(L^H g_L) + triu(g_U U^H)) U^-H`` of a square; what is beside it is solved for by itself."""
    factors, pivots = y
    rows, columns = factors.shape[-2:]
    k = min(rows, columns)
    lower, upper = _parts(factors)
    square_l, square_u = lower[..., :k, :], upper[..., :k]
    g_lower, g_upper = _tril(g[0][..., :k], k=-1), _triu(g[0][..., :k, :], k=0)
    beside = None
    if columns > k:
        beside = solve_triangular(adjoint(square_l), g_upper[..., k:], upper=True)
        g_lower = g_lower - _matmul(beside, adjoint(upper[..., k:]))
    if rows > k:
        beside = solve_triangular(adjoint(square_u), g_lower[..., k:, :], upper=False, left=False)
        g_upper = g_upper - _matmul(adjoint(lower[..., k:, :]), beside)
    inner = (_tril(_matmul(adjoint(square_l), g_lower[..., :k, :]), k=-1)
             + _triu(_matmul(g_upper[..., :k], adjoint(square_u)), k=0))
    found = solve_triangular(adjoint(square_l), inner, upper=True, unitriangular=True)
    found = solve_triangular(adjoint(square_u), found, upper=False, left=False)
    if beside is not None:
        found = concat([found, beside], axis=-1 if columns > k else -2)
    return _in_order(found, _back(pivots, rows))


@primitive("opaque", type=_lu_type, batch=over_stacks, vjp={"x": _lu_vjp}, samples=[
    Sample(Regular((3, 3)), pivot=True), Sample(Regular((2, 3, 2)), pivot=True), Sample(Regular((2, 3)), pivot=False)])
def _lu(xp: Any, x: Any, *, pivot: bool) -> Any:
    """Both triangles in one matrix, the ones on the diagonal of L left out, and the exchanges of rows from 1 on.

    (Golub and Van Loan, "Matrix Computations", 3.2.11: columns by blocks, the rest by products of matrices.)
    """
    check_matrices(x=x)
    rows, columns = x.shape[-2:]
    k = min(rows, columns)
    a = x.reshape(int(np.prod(x.shape[:-2])), rows, columns).copy()
    pivots = xp.zeros((len(a), k), int32)
    with one_thread():
        for start in range(0, k, _BLOCK):
            stop = min(start + _BLOCK, k)
            for column in range(start, stop):
                pivots[:, column] = _eliminate(xp, a, column, stop, pivot) + 1
            for row in range(start + 1, stop):
                a[:, row, None, stop:] -= xp.matmul(a[:, row, None, start:row], a[:, start:row, stop:])
            a[:, stop:, stop:] -= xp.matmul(a[:, stop:, start:stop], a[:, start:stop, stop:])
    return a.reshape(x.shape), pivots.reshape(*x.shape[:-2], k)


@primitive("opaque", type=lambda pivots, *, rows: TensorType(int64, (*pivots.shape[:-1], rows), pivots.device),
           batch=over_stacks, samples=[Sample(Integers((2,), 2, 4), rows=3), Sample(Integers((2, 2), 2, 3), rows=2)])
def _row_order(xp: Any, pivots: Any, *, rows: int) -> Any:
    """The rows in the order that exchanges bring them to."""
    flat = pivots.reshape(int(np.prod(pivots.shape[:-1])), pivots.shape[-1])
    order = xp.broadcast_to(xp.arange(rows), (len(flat), rows)).copy()
    each = xp.arange(len(flat))
    for place in range(flat.shape[1]):
        other = flat[:, place] - 1
        order[each, place], order[each, other] = order[each, other], order[each, place].copy()
    return order.reshape(*pivots.shape[:-1], rows)


def _back(pivots: Tensor, rows: int) -> Tensor:
    """The order that undoes that of the pivots."""
    return _argsort(_row_order(pivots, rows=rows), axis=pivots.ndim - 1, descending=False, stable=True)


def _in_order(x: Tensor, order: Tensor) -> Tensor:
    """The rows of matrices in an order."""
    return _gather(x, _broadcast_to(by_row(order), shape=x.shape), axis=x.ndim - 2)


def _parts(factors: Tensor) -> tuple[Tensor, Tensor]:
    """L with its ones, and U."""
    rows, columns = factors.shape[-2:]
    k = min(rows, columns)
    below = _tril(factors[..., :k], k=-1)
    ones = diagonal_mask(k, factors)
    if rows > k:
        ones = concat([ones, zeros((rows - k, k), dtype=ones.dtype, device=factors.device)], axis=0)
    return where(ones, 1, below), _triu(factors[..., :k, :], k=0)


# --- functions ----------------------------------------------------------------------------------------------------


@functional
def lu_factor(x: Tensor, /, *, pivot: bool = True) -> LUFactorResult:
    """The `lu` decompositions of matrices with both triangles in one, as `lu_solve` takes them.

    The result has the fields ``LU`` and ``pivots``: int32, for each row the one that it was exchanged with, the first
    called 1. Without ``pivot`` rows stay where they are.

    >>> import tensorlite as tl
    >>> tl.linalg.lu_factor(tl.tensor([[1.0, 2.0], [2.0, 0.0]])).pivots
    tensor([2, 2], dtype=int32)
    """
    return LUFactorResult(*_lu(x, pivot=bool(pivot)))


@functional
def lu(x: Tensor, /, *, pivot: bool = True) -> LUResult:
    """The decompositions ``x = P @ L @ U`` of matrices: an order of rows, a lower triangle with ones, an upper one.

    x: [..., m, n]; P: [..., m, m]; L: [..., m, k]; U: [..., k, n] for k = min(m, n). Without ``pivot`` rows stay where
    they are, and ``P`` is empty.

    >>> import tensorlite as tl
    >>> tl.linalg.lu(tl.tensor([[1.0, 2.0], [2.0, 0.0]])).U
    tensor([[2., 0.],
            [0., 2.]])
    """
    factors, pivots = _lu(x, pivot=bool(pivot))
    lower, upper = _parts(factors)
    if not pivot:
        return LUResult(zeros(0, dtype=x.dtype, device=x.device), lower, upper)
    rows = x.shape[-2]
    order = _row_order(pivots, rows=rows)
    return LUResult(astype(equal(by_column(order), by_row(arange(rows, device=x.device))), x.dtype), lower, upper)


@functional
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, /, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solutions of ``A @ X = B``, of which `lu_factor` gave the decomposition of ``A``.

    ``left=False`` solves ``X @ A = B`` instead, ``adjoint`` is of ``A``'s conjugate transpose. LU: [..., n, n]; pivots:
    [..., n]; B: [..., n, k], or [..., k, n] on the left. Raises `LinAlgError` for a singular matrix.

    >>> import tensorlite as tl
    >>> x = tl.tensor([[1.0, 2.0], [2.0, 0.0]])
    >>> tl.linalg.lu_solve(*tl.linalg.lu_factor(x), x)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if pivots.dtype not in INTEGERS:
        raise complaint(DTypeError, "lu_solve", f"pivots are integers, not {pivots.dtype.name}", {"pivots": pivots})
    if LU.ndim < 2 or LU.shape[-1] != LU.shape[-2] or pivots.shape != LU.shape[:-1] or B.ndim < 2:
        raise complaint(ShapeError, "lu_solve", "takes square matrices, a pivot for each row, and matrices",
                        {"LU": LU, "pivots": pivots, "B": B})
    LU, B = alike(LU, B)
    lower, upper = _parts(LU)
    whole = _in_order(_matmul(lower, upper), _back(pivots, LU.shape[-1]))
    return solve(swap_last(whole.conj()) if adjoint else whole, B, left=left)
