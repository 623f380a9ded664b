"""Matrices of a module kept orthogonal, by a map from all matrices to the orthogonal ones."""

from __future__ import annotations

import numpy as np

from tensorlite.declare import PUBLIC
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.nn.module import Module
from tensorlite.nn.utils.parametrize import register_parametrization
from tensorlite.ops.creation import asarray
from tensorlite.ops.diagonals import diagonal
from tensorlite.ops.elementwise import sign, where
from tensorlite.ops.filled import zeros, zeros_like
from tensorlite.ops.join import concat
from tensorlite.ops.linear_algebra.functions import matrix_exp
from tensorlite.ops.linear_algebra.householder import householder_product
from tensorlite.ops.linear_algebra.linalg import matmul, swap_last
from tensorlite.ops.linear_algebra.matrices import adjoint, identity
from tensorlite.ops.linear_algebra.solve import solve
from tensorlite.ops.linear_algebra.triangular import qr
from tensorlite.ops.manipulation import tril
from tensorlite.ops.reduce import sum
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import real_dtype

__all__ = ["orthogonal"]


def _by_exponential(skew: Tensor) -> Tensor:
    return matrix_exp(skew)


def _by_cayley(skew: Tensor) -> Tensor:
    one = identity(skew.shape[-1], skew)
    return solve(one - skew * 0.5, one + skew * 0.5)


#: Maps from skew-Hermitian matrices to orthogonal ones; Householder's reflections need none.
_MAPS = {"matrix_exp": _by_exponential, "cayley": _by_cayley, "householder": None}


class _Orthogonal(Module):
    """A matrix with orthonormal rows or columns, whichever are fewer, made of any matrix."""

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        if weight.dtype.kind == "c" and orthogonal_map == "householder":
            raise complaint(DTypeError, "orthogonal", "reflections are of real matrices only", {"weight": weight},
                            "orthogonal_map='matrix_exp'")
        self.shape, self.orthogonal_map, self.use_trivialization = weight.shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        is_wide = x.shape[-2] < x.shape[-1]
        found = self._orthogonal(swap_last(x) if is_wide else x)
        if self.use_trivialization and self.base is not None:
            found = matmul(self.base, found)
        return swap_last(found) if is_wide else found

    def _orthogonal(self, x: Tensor) -> Tensor:
        """The orthonormal columns of a matrix that has no more columns than rows."""
        rows, columns = x.shape[-2:]
        make = _MAPS[self.orthogonal_map]
        if make is None:
            below = tril(x, k=-1)
            signs = sign(diagonal(x, dim1=-2, dim2=-1).detach())
            found = householder_product(below, 2 / (1 + sum(below * below, axis=-2)))
            return found * signs[..., None, :]
        lower = tril(x)
        if rows != columns:
            rest = zeros((*x.shape[:-1], rows - columns), dtype=x.dtype, device=x.device)
            lower = concat([lower, rest], -1)
        return make(lower - adjoint(lower))[..., :columns]


class _Assignable(_Orthogonal):
    """One that knows what to start from."""

    def right_inverse(self, value: Tensor) -> Tensor:
        """What to start from, so that a matrix, or the nearest orthogonal one, is made."""
        if value.shape != self.shape:
            raise complaint(ShapeError, "orthogonal", f"the matrix has shape {list(self.shape)}", {"value": value})
        is_wide = value.shape[-2] < value.shape[-1]
        matrix = swap_last(value) if is_wide else value
        if not self.use_trivialization:
            found = self._reflections(matrix)
            return swap_last(found) if is_wide else found
        rows, columns = matrix.shape[-2:]
        if rows != columns:
            more = PUBLIC["randn"]((*matrix.shape[:-1], rows - columns), dtype=real_dtype(matrix.dtype))
            matrix = concat([matrix, more.to(matrix.dtype)], -1)
        self.base = _orthonormal(matrix)
        return where(identity(rows, value)[:value.shape[-2], :value.shape[-1]] != 0, -1.0, zeros_like(value))

    def _reflections(self, matrix: Tensor) -> Tensor:
        """The vectors of the reflections that a matrix decomposes into, and on the diagonal the columns' signs."""
        raw, tau = np.linalg.qr(matrix.detach().numpy(), mode="raw")
        vectors = raw.swapaxes(-1, -2).copy()
        places = np.arange(vectors.shape[-1])
        signs = np.sign(vectors[..., places, places])
        vectors[..., places, places] = np.where(tau == 0, -signs, signs)
        return asarray(vectors, device=matrix.device)


def _orthonormal(matrix: Tensor) -> Tensor:
    """The orthogonal factor of the decomposition whose other factor has a positive diagonal."""
    q, r = qr(matrix.detach())
    return q * sign(diagonal(r, dim1=-2, dim2=-1))[..., None, :]


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True) -> Module:
    """Makes a matrix, or a stack of them, orthogonal: its rows or columns, whichever are fewer, orthonormal.

    ``orthogonal_map`` is "matrix_exp" or "cayley", of a skew matrix, or "householder", a product of reflections; by
    default the first for square and complex matrices, the last for others. ``use_trivialization`` multiplies by a fixed
    matrix, the buffer ``base``, so that the map is used near the identity only (Lezcano-Casado, "Trivializations for
    gradient-based optimization on manifolds", 2019); without it, nothing can be assigned to what "matrix_exp" and
    "cayley" make. Raises `ShapeError` for less than a matrix.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.parametrizations.orthogonal(tl.nn.Linear(3, 2))
    >>> bool(tl.allclose(layer.weight @ layer.weight.mT, tl.eye(2), atol=1e-5))
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise complaint(ArgumentError, "orthogonal", f"{type(module).__name__} has no parameter or buffer {name!r}")
    if weight.ndim < 2:
        raise complaint(ShapeError, "orthogonal", "takes a matrix or a stack of matrices", {name: weight})
    if orthogonal_map is None:
        is_square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if is_square or weight.dtype.kind == "c" else "householder"
    if orthogonal_map not in _MAPS:
        raise complaint(ArgumentError, "orthogonal", f"no orthogonal_map is called {orthogonal_map!r}", None,
                        f"use {', '.join(_MAPS)}")
    is_invertible = use_trivialization or orthogonal_map == "householder"
    made = (_Assignable if is_invertible else _Orthogonal)(weight, orthogonal_map, use_trivialization)
    register_parametrization(module, name, made, unsafe=True)
    return module
