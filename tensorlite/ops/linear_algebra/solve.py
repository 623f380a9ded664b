"""Linear equations and inverses: solve, inv, tensorsolve, tensorinv, solve_triangular."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tensorlite.declare import METHODS, PUBLIC, functional, primitive
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.op import Regular, Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.elementwise import where
from tensorlite.ops.joint import jointly
from tensorlite.ops.linear_algebra.linalg import _matmul, swap_last
from tensorlite.ops.linear_algebra.matrices import (
    adjoint,
    by_row,
    call,
    check_matrices,
    check_square,
    diagonal_mask,
    over_stacks,
)
from tensorlite.ops.manipulation import _tril, _triu
from tensorlite.ops.shape import _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, promote

__all__ = ["inv", "solve", "solve_triangular", "tensorinv", "tensorsolve"]

SINGULAR = "the matrix is singular"
SINGULAR_FIX = "solve for the least squares instead: tl.linalg.lstsq or tl.linalg.pinv"


# --- the op -------------------------------------------------------------------------------------------------------


def _check(x1: Any, x2: Any) -> None:
    check_matrices(x1=x1, x2=x2)
    check_square(x1, "x1")
    if x1.shape[-1] != x2.shape[-2]:
        raise ShapeError(f"x1 has {x1.shape[-1]} columns, x2 has {x2.shape[-2]} rows")


def _solve_type(x1: TensorType, x2: TensorType) -> TensorType:
    _check(x1, x2)
    try:
        stack = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    except ValueError:
        raise ShapeError(f"stacks {list(x1.shape[:-2])} and {list(x2.shape[:-2])} do not broadcast") from None
    return TensorType(promote(x1.dtype, x2.dtype), (*stack, *x2.shape[-2:]), x1.device)


def _both(g: Tensor, x1: Tensor, y: Tensor) -> dict[int, Tensor]:
    """``A^-H g`` for the right side and ``-A^-H g X^H`` for the matrix (Giles 2008, 2.2.3)."""
    right = _solve(adjoint(x1), g)
    return {0: -_matmul(right, adjoint(y)), 1: right}


@primitive("opaque", type=_solve_type, batch=over_stacks,
           samples=[Sample(Regular((3, 3)), (3, 2)), Sample(Regular((2, 3, 3)), (3, 1)),
                    Sample(Regular((0, 0)), (0, 2))],
           vjp={"x1": lambda g, x1, y: jointly((g,), 0, lambda: _both(g, x1, y)),
                "x2": lambda g, x1, y: jointly((g,), 1, lambda: _both(g, x1, y))})
def _solve(xp: Any, x1: Any, x2: Any) -> Any:
    _check(x1, x2)
    return call(xp.linalg.solve, x1, x2, problem=SINGULAR, fix=SINGULAR_FIX, probe=xp.linalg.inv)


def _inv_type(x: TensorType) -> TensorType:
    check_square(x)
    return x


@primitive("opaque", type=_inv_type, batch=over_stacks, samples=[Sample(Regular((3, 3))), Sample(Regular((2, 0, 0)))],
           vjp={"x": lambda g, y: -_matmul(_matmul(adjoint(y), g), adjoint(y))})
def _inv(xp: Any, x: Any) -> Any:
    check_square(x)
    return call(xp.linalg.inv, x, problem=SINGULAR, fix=SINGULAR_FIX)


def alike(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the dtype that they promote to."""
    dtype = promote(x1.dtype, x2.dtype)
    return astype(x1, dtype, copy=False), astype(x2, dtype, copy=False)


# --- functions ----------------------------------------------------------------------------------------------------


@functional
def solve(x1: Tensor, x2: Tensor, /, *, left: bool = True) -> Tensor:
    """The solutions ``X`` of ``x1 @ X = x2``, or of ``X @ x1 = x2`` with ``left=False``, by LU decomposition.

    x1: [..., n, n]; x2: [n], or [..., n, k]; stacks broadcast. As in PyTorch, x2 of the shape of x1 without its last
    axis is a stack of vectors where it could not be one of matrices. Raises `LinAlgError` for a singular matrix.

    >>> import tensorlite as tl
    >>> tl.linalg.solve(tl.tensor([[2.0, 0.0], [0.0, 4.0]]), tl.tensor([2.0, 2.0]))
    tensor([1. , 0.5])
    """
    x1, x2 = alike(x1, x2)
    if x2.ndim == 1 or _is_stack_of_vectors(x1, x2, left):
        found = _solve(x1 if left else swap_last(x1), by_row(x2))
        return _reshape(found, shape=found.shape[:-1])
    return _solve(x1, x2) if left else swap_last(_solve(swap_last(x1), swap_last(x2)))


def _is_stack_of_vectors(x1: Tensor, x2: Tensor, left: bool) -> bool:
    return x2.ndim > 1 and x2.shape == x1.shape[:-1] and x2.shape[-2 if left else -1] != x1.shape[-1]


@functional
def inv(x: Tensor, /) -> Tensor:
    """The inverses of square matrices. Raises `LinAlgError` for a singular one.

    `solve` is faster and more accurate than a product with an inverse.

    >>> import tensorlite as tl
    >>> tl.linalg.inv(tl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return _inv(x)


PUBLIC["inverse"] = METHODS["inverse"] = inv


@functional
def solve_triangular(x1: Tensor, x2: Tensor, /, *, upper: bool, left: bool = True,
                     unitriangular: bool = False) -> Tensor:
    """The solutions of ``x1 @ X = x2`` (``X @ x1 = x2`` with ``left=False``) for triangles of matrices.

    Only the ``upper`` or lower triangle of ``x1`` is read, and with ``unitriangular`` its diagonal is taken as ones.
    x1: [..., n, n]; x2: [..., n, k], or [..., k, n] on the left. Raises `LinAlgError` for a zero on the diagonal.

    >>> import tensorlite as tl
    >>> tl.linalg.solve_triangular(tl.tensor([[2.0, 7.0], [1.0, 1.0]]), tl.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    x1, x2 = alike(x1, x2)
    for name, x in (("x1", x1), ("x2", x2)):
        if x.ndim < 2:
            raise complaint(ShapeError, "solve_triangular", f"a matrix has two axes, {name} has {x.ndim}",
                            {"x1": x1, "x2": x2}, "of a vector, pass x2[:, None]")
    triangle = _triu(x1, k=0) if upper else _tril(x1, k=0)
    if unitriangular:
        triangle = where(diagonal_mask(x1.shape[-1], x1), 1, triangle)
    return _solve(triangle, x2) if left else swap_last(_solve(swap_last(triangle), swap_last(x2)))


@functional
def tensorsolve(x1: Tensor, x2: Tensor, /, dims: Sequence[int] | None = None) -> Tensor:
    """The tensor ``X`` whose `tensordot` with ``x1`` over all axes of ``X`` is ``x2``.

    The first axes of ``x1`` have as many elements as ``x2``, the rest are those of ``X``; ``dims`` names axes of
    ``x1`` that are moved to its end first. Raises `ShapeError` where both groups do not have as many elements.

    >>> import tensorlite as tl
    >>> tl.linalg.tensorsolve(tl.reshape(tl.eye(4), (4, 2, 2)), tl.ones(4)).shape
    (2, 2)
    """
    x1, x2 = alike(x1, x2)
    if dims is not None:
        chosen = [one_axis("tensorsolve", x1, d) for d in dims]
        x1 = _permute_dims(x1, axes=(*(a for a in range(x1.ndim) if a not in chosen), *chosen))
    extents = x1.shape[x2.ndim:]
    if prod(extents) != x2.size or x1.size != x2.size**2:
        raise complaint(ShapeError, "tensorsolve", "x1 has as many elements along its first axes as x2, and then as "
                        "many again",
                        {"x1": x1, "x2": x2, "dims": dims})
    found = _solve(_reshape(x1, shape=(x2.size, x2.size)), _reshape(x2, shape=(x2.size, 1)))
    return _reshape(found, shape=extents)


@functional
def tensorinv(x: Tensor, /, ind: int = 2) -> Tensor:
    """The tensor ``Y`` for which ``tensordot(Y, b, ind)`` is ``tensorsolve(x, b)``: the inverse of ``b = x . X``.

    The first ``ind`` axes of ``x`` have as many elements as the others. Raises `ShapeError` where they have not.

    >>> import tensorlite as tl
    >>> tl.linalg.tensorinv(tl.reshape(tl.eye(6), (6, 2, 3)), ind=1).shape
    (2, 3, 6)
    """
    if ind < 1:
        raise complaint(ArgumentError, "tensorinv", f"ind must be 1 or more, not {ind}", {"x": x})
    rows, columns = x.shape[:ind], x.shape[ind:]
    if prod(rows) != prod(columns):
        raise complaint(ShapeError, "tensorinv", f"the first {ind} axes must have as many elements as the others",
                        {"x": x, "ind": ind})
    return _reshape(inv(_reshape(x, shape=(prod(rows), prod(columns)))), shape=(*columns, *rows))
