"""Eigenvalues and eigenvectors: eigh and eigvalsh of Hermitian matrices, eig and eigvals of any."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import functional, primitive
from tensorlite.errors import ArgumentError, complaint
from tensorlite.op import Regular, Sample
from tensorlite.ops.complex_numbers import real
from tensorlite.ops.elementwise import conj
from tensorlite.ops.linear_algebra.linalg import _matmul
from tensorlite.ops.linear_algebra.matrices import (
    adjoint,
    by_column,
    by_row,
    call,
    check_square,
    hermitian_part,
    over_stacks,
    within_gaps,
)
from tensorlite.ops.linear_algebra.products import diagonal
from tensorlite.ops.linear_algebra.results import EighResult, EigResult
from tensorlite.ops.linear_algebra.solve import _solve
from tensorlite.ops.shape import astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, complex_dtype, real_dtype

__all__ = ["eig", "eigh", "eigvals", "eigvalsh"]

_PROBLEM = "the eigenvalues do not converge"


# --- Hermitian matrices -------------------------------------------------------------------------------------------

#: Triangles that are read, and what they are called; None reads both, as the Hermitian part.
_TRIANGLES = {"L": "L", "U": "U", "l": "L", "u": "U"}

_HERMITIAN_SAMPLES = (Sample(Regular((3, 3)), triangle=None), Sample(Regular((2, 2, 2)), triangle=None))


def hermitian(x: Any, triangle: str | None) -> tuple[Any, str]:
    """Matrices, and the triangle of them that is to be read."""
    check_square(x)
    return (x, triangle) if triangle else ((x + x.swapaxes(-1, -2).conj()) * x.dtype.type(0.5), "L")


def _values_type(x: TensorType, *, triangle: str | None) -> TensorType:
    check_square(x)
    return retype(x, x.shape[:-1], real_dtype(x.dtype))


def _eigvalsh_vjp(g: Tensor, x: Tensor, triangle: str | None) -> Tensor:
    _, vectors = _eigh(x, triangle=triangle)
    return _matmul(vectors * by_column(g), adjoint(vectors))


@primitive("opaque", type=_values_type, batch=over_stacks, vjp={"x": _eigvalsh_vjp}, samples=_HERMITIAN_SAMPLES)
def _eigvalsh(xp: Any, x: Any, *, triangle: str | None) -> Any:
    matrices, part = hermitian(x, triangle)
    return call(lambda a: xp.linalg.eigvalsh(a, part), matrices, problem=_PROBLEM)


def _eigh_vjp(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
    """``V (diag(g) + (V^H g_V) / (l_j - l_i)) V^H`` (Giles 2008, 3.1).

    It is Hermitian: where one triangle is read, its cotangent is shared with the other one, as in PyTorch.
    """
    values, vectors = y
    inner = within_gaps(_matmul(adjoint(vectors), g[1]), by_column(values) - by_row(values), g[0])
    return hermitian_part(_matmul(_matmul(vectors, inner), adjoint(vectors)))


@primitive("opaque", batch=over_stacks, vjp={"x": _eigh_vjp}, samples=_HERMITIAN_SAMPLES,
           type=lambda x, *, triangle: (_values_type(x, triangle=triangle), x))
def _eigh(xp: Any, x: Any, *, triangle: str | None) -> Any:
    matrices, part = hermitian(x, triangle)
    return tuple(call(lambda a: xp.linalg.eigh(a, part), matrices, problem=_PROBLEM))


def triangle_of(op: str, x: Tensor, uplo: str) -> str:
    """The triangle that ``UPLO`` names."""
    if uplo not in _TRIANGLES:
        raise complaint(ArgumentError, op, f"UPLO is 'L' or 'U', not {uplo!r}", {"x": x})
    return _TRIANGLES[uplo]


@functional
def eigh(x: Tensor, /, UPLO: str = "L") -> EighResult:
    """The eigenvalues of Hermitian matrices, in rising order, and orthonormal eigenvectors, one a column.

    Only the lower triangle is read, or the upper one with ``UPLO="U"``. The result has the fields ``eigenvalues``
    (real) and ``eigenvectors``; these are free to be multiplied by any phase, so that only what does not depend on it
    has a derivative, and a finite one only where eigenvalues differ.

    >>> import tensorlite as tl
    >>> tl.linalg.eigh(tl.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return EighResult(*_eigh(x, triangle=triangle_of("eigh", x, UPLO)))


@functional
def eigvalsh(x: Tensor, /, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices in rising order, of which one triangle is read: see `eigh`.

    >>> import tensorlite as tl
    >>> tl.linalg.eigvalsh(tl.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return _eigvalsh(x, triangle=triangle_of("eigvalsh", x, UPLO))


# --- any square matrices ------------------------------------------------------------------------------------------

_SAMPLES = (Sample(Regular((3, 3))), Sample(Regular((2, 2, 2))))
_INFINITE_FIX = "check that it has no NaN and no infinity"


def _eig_type(x: TensorType) -> tuple[TensorType, TensorType]:
    check_square(x)
    dtype = complex_dtype(x.dtype)
    return retype(x, x.shape[:-1], dtype), retype(x, dtype=dtype)


def _eigvals_vjp(g: Tensor, x: Tensor) -> Tensor:
    _, vectors = _eig(x)
    left = adjoint(vectors)
    return _solve(left, by_row(g) * left)


@primitive("opaque", type=lambda x: _eig_type(x)[0], batch=over_stacks, vjp={"x": _eigvals_vjp}, samples=_SAMPLES)
def _eigvals(xp: Any, x: Any) -> Any:
    check_square(x)
    found = call(xp.linalg.eigvals, x, problem=_PROBLEM, fix=_INFINITE_FIX)
    return found.astype(complex_dtype(x.dtype), copy=False)


def _eig_vjp(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
    """``V^-H (diag(g) + (V^H g_V - V^H V diag(Re(V^H g_V))) / conj(l_j - l_i)) V^H``, for columns of norm 1.

    (Boeddeker et al. 2017, "On the computation of complex-valued gradients".)
    """
    values, vectors = y
    left = adjoint(vectors)
    along = _matmul(left, g[1])
    kept = astype(real(diagonal(along)), real_dtype(along.dtype), copy=False)
    moved = along - _matmul(left, vectors) * by_column(kept)
    inner = within_gaps(moved, conj(by_column(values) - by_row(values)), g[0])
    return _solve(left, _matmul(inner, left))


@primitive("opaque", type=_eig_type, batch=over_stacks, vjp={"x": _eig_vjp}, samples=_SAMPLES)
def _eig(xp: Any, x: Any) -> Any:
    check_square(x)
    dtype = complex_dtype(x.dtype)
    found = call(xp.linalg.eig, x, problem=_PROBLEM, fix=_INFINITE_FIX)
    return tuple(part.astype(dtype, copy=False) for part in found)


@functional
def eig(x: Tensor, /) -> EigResult:
    """The eigenvalues of square matrices, in no order, and eigenvectors of norm 1, one a column; both complex.

    The result has the fields ``eigenvalues`` and ``eigenvectors``. As for `eigh`, only what does not depend on the
    vectors' phases has a derivative, and a finite one only where eigenvalues differ. Raises `LinAlgError` for
    matrices with NaN or infinity.

    >>> import tensorlite as tl
    >>> tl.linalg.eig(tl.tensor([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
    tensor([0.+1.j, 0.-1.j], dtype=complex64)
    """
    return EigResult(*_eig(x))


@functional
def eigvals(x: Tensor, /) -> Tensor:
    """The eigenvalues of square matrices, complex and in no order: see `eig`.

    >>> import tensorlite as tl
    >>> tl.linalg.eigvals(tl.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([2.+0.j, 1.+0.j], dtype=complex64)
    """
    return _eigvals(x)
