"""Orthogonal matrices as products of reflections."""

from __future__ import annotations

from tensorlite.declare import METHODS, PUBLIC, functional
from tensorlite.errors import ShapeError, complaint
from tensorlite.ops.elementwise import where
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.linear_algebra.matrices import adjoint, identity
from tensorlite.ops.manipulation import _tril
from tensorlite.ops.reduce import sum
from tensorlite.ops.shape import broadcast_to
from tensorlite.tensor import Tensor

__all__ = ["householder_product"]


@functional
def householder_product(x: Tensor, tau: Tensor, /) -> Tensor:
    """The first columns of ``H1 @ H2 @ ...``, where ``Hi = 1 - tau[i] * v @ v.mH`` with column i of ``x`` as ``v``.

    x: [..., m, n] with m >= n, of which only what is below the diagonal counts: above it ``v`` is 0, on it 1; tau:
    [..., k] with k <= n. The result has the shape of x. Raises `ShapeError` for other shapes.

    >>> import tensorlite as tl
    >>> tl.linalg.householder_product(tl.tensor([[0.0], [1.0]]), tl.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    if x.ndim < 2 or x.shape[-1] > x.shape[-2]:
        raise complaint(ShapeError, "householder_product", "x must have at least as many rows as columns", {"x": x})
    if tau.ndim != x.ndim - 1 or tau.shape[:-1] != x.shape[:-2] or tau.shape[-1] > x.shape[-1]:
        raise complaint(ShapeError, "householder_product", "tau must have a number for each of the first columns of x",
                        {"x": x, "tau": tau})
    rows, columns = x.shape[-2:]
    if not tau.shape[-1]:  # there is no reflection, and on the tape the result is still one of x and tau
        nothing = sum(tau, axis=-1)[..., None, None] + sum(x[..., :0], axis=-1, keepdims=True)
        return identity(rows, x)[:, :columns] + nothing
    one = identity(rows, x)
    vectors = where(one[:, :columns] != 0, 1, _tril(x, k=-1))
    found = broadcast_to(one[:, :columns], x.shape)
    for i in reversed(range(tau.shape[-1])):
        v = vectors[..., i:i + 1]
        found = found - tau[..., i, None, None] * matmul(v, matmul(adjoint(v), found))
    return found


PUBLIC["orgqr"] = METHODS["orgqr"] = householder_product
