"""Transforms of vectors and of matrices."""

from __future__ import annotations

import math

import numpy as np

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.transform import Shape, Transform
from tensorlite.tensor import Tensor

__all__ = ["CorrCholeskyTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform", "SoftmaxTransform",
           "StickBreakingTransform"]


class SoftmaxTransform(Transform):
    """The softmax of the last axis; the logarithm is one of its ways back."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def __call__(self, x: Tensor) -> Tensor:
        return tl.softmax(x, axis=-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.log(y)


class StickBreakingTransform(Transform):
    """Vectors as shares of one more: each breaks its part, a sigmoid, off what is left of a stick."""

    bijective = True
    domain, codomain = constraints.real_vector, constraints.simplex

    def _offset(self, x: Tensor) -> Tensor:
        """What makes zeros even shares: minus the logarithm of how many are still to come."""
        return tl.log(tl.arange(x.shape[-1], 0, -1, dtype=x.dtype))

    def __call__(self, x: Tensor) -> Tensor:
        part = tl.sigmoid(x - self._offset(x))
        left = tl.cumulative_prod(1 - part, axis=-1, include_initial=True)
        return tl.concat([part, tl.ones_like(part[..., :1])], axis=-1) * left

    def _inverse(self, y: Tensor) -> Tensor:
        first = y[..., :-1]
        left = tl.clip(1 - tl.cumulative_sum(first, axis=-1), float(tl.finfo(y.dtype).smallest_normal))
        return tl.log(first) - tl.log(left) + self._offset(first)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        moved = x - self._offset(x)
        return (-moved - tl.softplus(-moved) + tl.log(y[..., :-1])).sum(axis=-1)

    def forward_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], shape[-1] - 1)


def _matrix_of(x: Tensor, diagonal: Tensor) -> Tensor:
    """The part of matrices below the diagonal, and a diagonal."""
    return tl.tril(x, -1) + diagonal[..., None] * tl.eye(x.shape[-1], dtype=x.dtype)


class LowerCholeskyTransform(Transform):
    """Square matrices as lower triangular ones with a positive diagonal, the exponential of theirs."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def __call__(self, x: Tensor) -> Tensor:
        return _matrix_of(x, tl.exp(tl.diagonal(x, dim1=-2, dim2=-1)))

    def _inverse(self, y: Tensor) -> Tensor:
        return _matrix_of(y, tl.log(tl.diagonal(y, dim1=-2, dim2=-1)))


class PositiveDefiniteTransform(Transform):
    """Square matrices as positive definite ones, by their Cholesky factors."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def __call__(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(tl.linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """Vectors as Cholesky factors of correlation matrices: lower triangular, with rows of length 1.

    Number ``j`` of row ``i`` is ``tanh`` of one of the vector's, times what is left of the row's length. Of the
    ``d * d`` numbers that come out only those below the diagonal are free; the slope is theirs (Lewandowski, Kurowicka
    and Joe, 2009).
    """

    bijective = True
    domain, codomain = constraints.real_vector, constraints.corr_cholesky

    def __call__(self, x: Tensor) -> Tensor:
        size = _side(x.shape)
        rows, columns = np.tril_indices(size, -1)
        places, below = np.zeros((size, size), np.int64), np.zeros((size, size), bool)
        places[rows, columns], below[rows, columns] = np.arange(rows.size), True
        most = 1 - float(tl.finfo(x.dtype).eps)
        part = tl.where(tl.asarray(below), _taken(tl.clip(tl.tanh(x), -most, most), places), 0.0)
        left = tl.cumulative_prod(tl.sqrt(1 - part * part), axis=-1, include_initial=True)[..., :-1]
        return (part + tl.eye(size, dtype=x.dtype)) * left

    def _inverse(self, y: Tensor) -> Tensor:
        size = y.shape[-1]
        rows, columns = np.tril_indices(size, -1)
        left = 1 - tl.cumulative_sum(y * y, axis=-1, include_initial=True)[..., :-1]
        flat = [tl.reshape(part, (*part.shape[:-2], size * size)) for part in (y, left)]
        entry, rest = (_taken(part, rows * size + columns) for part in flat)
        return tl.atanh(entry / tl.sqrt(rest))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        rows, columns = np.tril_indices(_side(x.shape), -1)
        times = tl.asarray(1 + 0.5 * (rows - 1 - columns)).to(x.dtype)  # its own slope, and half of those to its right
        return (times * 2 * (math.log(2.0) - x - tl.softplus(-2 * x))).sum(axis=-1)

    def forward_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], _side(shape), _side(shape))

    def inverse_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2 or shape[-2] != shape[-1]:
            raise errors.complaint(errors.ShapeError, "CorrCholeskyTransform", f"events are square, not {list(shape)}")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


def _taken(x: Tensor, places: np.ndarray) -> Tensor:
    """Numbers of the last axis, in the shape of their places."""
    shape = (*x.shape[:-1], *places.shape)
    if not x.shape[-1]:
        return tl.zeros(shape, dtype=x.dtype)
    return tl.reshape(tl.take(x, tl.asarray(places.reshape(-1)), axis=-1), shape)


def _side(shape: Shape) -> int:
    """The side of the matrix whose part below the diagonal a vector holds."""
    count = shape[-1] if shape else -1
    side = round((0.25 + 2 * max(count, 0)) ** 0.5 + 0.5)
    if side * (side - 1) // 2 != count:
        raise errors.complaint(errors.ShapeError, "CorrCholeskyTransform", "vectors hold what is below a diagonal: 1, "
                               f"3, 6 or 10 numbers, not shape {list(shape)}")
    return side
