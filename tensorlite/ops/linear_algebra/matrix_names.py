"""Decompositions by the older names and signatures of PyTorch's main namespace: svd, qr, pinverse, cholesky_solve."""

from __future__ import annotations

from tensorlite.declare import public
from tensorlite.errors import ShapeError, complaint
from tensorlite.ops.filled import zeros
from tensorlite.ops.linear_algebra import singular, triangular
from tensorlite.ops.linear_algebra.matrices import adjoint, identity
from tensorlite.ops.linear_algebra.results import SVD, QRResult
from tensorlite.ops.linear_algebra.solve import solve_triangular
from tensorlite.tensor import Tensor


@public
def svd(x: Tensor, /, some: bool = True, compute_uv: bool = True) -> SVD:
    """The singular value decomposition ``x = U @ diag(S) @ V.mH``, as PyTorch's main namespace has it.

    ``some`` leaves out the columns that no singular value belongs to. Without ``compute_uv``, U and V are zeros.

    >>> import tensorlite as tl
    >>> tl.svd(tl.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    if compute_uv:
        u, s, vh = singular.svd(x, full_matrices=not some)
        return SVD(u, s, adjoint(vh))
    s = singular.svdvals(x)
    u, v = (zeros((*x.shape[:-2], n, n), dtype=x.dtype, device=x.device) for n in x.shape[-2:])
    return SVD(u, s, v)


@public
def qr(x: Tensor, /, some: bool = True) -> QRResult:
    """The decomposition ``x = Q @ R`` of `linalg.qr`, reduced or, with ``some=False``, complete.

    >>> import tensorlite as tl
    >>> tl.qr(tl.ones(3, 2)).R.shape
    (2, 2)
    """
    return triangular.qr(x, mode="reduced" if some else "complete")


@public
def pinverse(x: Tensor, /, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse of `linalg.pinv`, by singular values above ``rcond`` times the largest.

    >>> import tensorlite as tl
    >>> tl.pinverse(tl.tensor([[2.0, 0.0]]))
    tensor([[0.5],
            [0. ]])
    """
    return singular.pinv(x, rtol=rcond)


@public
def cholesky_solve(x: Tensor, L: Tensor, /, upper: bool = False) -> Tensor:
    """The solutions of ``A @ X = x`` from the Cholesky factor of A: ``A = L @ L.mH``, or ``L.mH @ L`` where ``upper``.

    >>> import tensorlite as tl
    >>> tl.cholesky_solve(tl.tensor([[4.0]]), tl.tensor([[2.0]]))
    tensor([[1.]])
    """
    first, second = (adjoint(L), L) if upper else (L, adjoint(L))
    return solve_triangular(second, solve_triangular(first, x, upper=False), upper=True)


@public
def cholesky_inverse(L: Tensor, /, upper: bool = False) -> Tensor:
    """The inverse of the matrix of which ``L`` is the Cholesky factor, lower or ``upper``.

    >>> import tensorlite as tl
    >>> tl.cholesky_inverse(tl.tensor([[2.0]]))
    tensor([[0.25]])
    """
    if L.ndim < 2:
        raise complaint(ShapeError, "cholesky_inverse", "a matrix has two axes", {"L": L})
    return cholesky_solve(identity(L.shape[-1], L), L, upper)
