"""Decompositions into triangular factors: cholesky and qr."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import functional, primitive, public
from tensorlite.errors import ArgumentError, GradientError, complaint
from tensorlite.op import Regular, Sample
from tensorlite.ops.elementwise import where
from tensorlite.ops.filled import zeros
from tensorlite.ops.join import concat
from tensorlite.ops.linear_algebra.eigen import hermitian
from tensorlite.ops.linear_algebra.linalg import _matmul
from tensorlite.ops.linear_algebra.matrices import (
    adjoint,
    call,
    check_matrices,
    check_square,
    diagonal_mask,
    hermitian_part,
    over_stacks,
)
from tensorlite.ops.linear_algebra.results import QRResult
from tensorlite.ops.linear_algebra.solve import solve_triangular
from tensorlite.ops.manipulation import _tril
from tensorlite.ops.shape import retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

__all__ = ["cholesky", "qr"]


# --- cholesky -----------------------------------------------------------------------------------------------------


def _cholesky_type(x: TensorType, *, triangle: str | None) -> TensorType:
    check_square(x)
    return x


def _half_diagonal(x: Tensor) -> Tensor:
    """The lower triangle, its diagonal halved."""
    return where(diagonal_mask(x.shape[-1], x), x * 0.5, _tril(x, k=-1))


def _cholesky_vjp(g: Tensor, y: Tensor) -> Tensor:
    """``L^-H S L^-1``, where ``S`` is the Hermitian part of the lower triangle, its diagonal halved, of ``L^H g``.

    (Murray 2016, "Differentiation of the Cholesky decomposition".) As for `eigh`, it is Hermitian.
    """
    inner = hermitian_part(_half_diagonal(_matmul(adjoint(y), g)))
    upper = adjoint(y)
    return solve_triangular(upper, solve_triangular(y, inner, upper=False, left=False), upper=True)


@primitive("opaque", type=_cholesky_type, batch=over_stacks, vjp={"x": _cholesky_vjp}, samples=[
    Sample(Regular((3, 3)), triangle=None), Sample(Regular((2, 2, 2)), triangle=None)])
def _cholesky(xp: Any, x: Any, *, triangle: str | None) -> Any:
    matrices, part = hermitian(x, triangle)
    lower = matrices if part == "L" else matrices.swapaxes(-1, -2).conj()
    return call(xp.linalg.cholesky, lower, problem="the matrix is not positive definite",
                fix="add a small multiple of the unit matrix: x + 1e-6 * tl.eye(n)")


@public
def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The lower triangles ``L`` of ``x = L @ L^H``, or with ``upper`` the ``U`` of ``x = U^H @ U``.

    Only that triangle of the Hermitian, positive definite matrices is read. Raises `LinAlgError` where one is not
    positive definite.

    >>> import tensorlite as tl
    >>> tl.linalg.cholesky(tl.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    found = _cholesky(x, triangle="U" if upper else "L")
    return adjoint(found) if upper else found


# --- qr -----------------------------------------------------------------------------------------------------------


def _qr_type(x: TensorType, *, complete: bool) -> tuple[TensorType, TensorType]:
    check_matrices(x=x)
    *stack, rows, columns = x.shape
    inner = rows if complete else min(rows, columns)
    return retype(x, (*stack, rows, inner)), retype(x, (*stack, inner, columns))


def _qr_vjp(g: tuple[Tensor, Tensor], x: Tensor, y: tuple[Tensor, Tensor]) -> Tensor:
    """``(g_Q + Q copyltu(R g_R^H - g_Q^H Q)) R^-H`` (Walter and Lehmann 2018); `_wide` where there are more columns."""
    (g_q, g_r), (q, r) = g, y
    rows, columns = x.shape[-2:]
    if q.shape[-1] > columns:
        raise complaint(GradientError, "qr", "the columns of a complete Q beyond those of x are any basis: they have "
                        "no derivative", {"x": x}, "use mode='reduced'")
    if columns <= rows:
        return _tall(g_q, g_r, q, r)
    rest = g_r[..., rows:]
    square = _tall(g_q + _matmul(x[..., rows:], adjoint(rest)), g_r[..., :rows], q, r[..., :rows])
    return concat([square, _matmul(q, rest)], axis=-1)


def _tall(g_q: Tensor, g_r: Tensor, q: Tensor, r: Tensor) -> Tensor:
    inner = _matmul(r, adjoint(g_r)) - _matmul(adjoint(g_q), q)
    mirrored = hermitian_part(_half_diagonal(inner)) * 2
    return solve_triangular(adjoint(r), g_q + _matmul(q, mirrored), upper=False, left=False)


@primitive("opaque", type=_qr_type, batch=over_stacks, vjp={"x": _qr_vjp},
           samples=[Sample(Regular((3, 2)), complete=False), Sample(Regular((2, 2, 3)), complete=True)])
def _qr(xp: Any, x: Any, *, complete: bool) -> Any:
    check_matrices(x=x)
    return tuple(call(lambda a: xp.linalg.qr(a, mode="complete" if complete else "reduced"), x,
                      problem="the matrix has no QR decomposition"))


@functional
def qr(x: Tensor, /, mode: str = "reduced") -> QRResult:
    """The decompositions ``x = Q @ R`` of matrices into orthonormal columns and an upper triangle.

    x: [..., m, n]; Q: [..., m, k]; R: [..., k, n], where k is min(m, n), or m with ``mode="complete"``; with
    ``mode="r"`` Q is empty. The columns of a complete Q that are not the reduced one's have no derivative.

    >>> import tensorlite as tl
    >>> tl.linalg.qr(tl.tensor([[0.0], [-2.0]])).R.abs()
    tensor([[2.]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise complaint(ArgumentError, "qr", f"mode is 'reduced', 'complete' or 'r', not {mode!r}", {"x": x})
    q, r = _qr(x, complete=mode == "complete")
    return QRResult(zeros(0, dtype=x.dtype, device=x.device) if mode == "r" else q, r)
