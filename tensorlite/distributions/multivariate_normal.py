"""Normal vectors, of a covariance in full or of low rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import HALF_LOG_TAU, Distribution, normal_numbers
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["LowRankMultivariateNormal", "MultivariateNormal"]


def log_diagonal(factor: Tensor) -> Tensor:
    """The sum of the logarithms of the diagonal: half the logarithm of the determinant of ``factor @ factor.mT``."""
    return tl.log(tl.diagonal(factor, dim1=-2, dim2=-1)).sum(axis=-1)


def mahalanobis(factor: Tensor, x: Tensor) -> Tensor:
    """``|factor**-1 x|**2`` of vectors, whose batch broadcasts with that of the lower triangular factors."""
    batch = tl.broadcast_shapes(factor.shape[:-2], x.shape[:-1])
    factor = tl.broadcast_to(factor, (*batch, *factor.shape[-2:]))
    solved = tl.linalg.solve_triangular(factor, tl.broadcast_to(x, (*batch, x.shape[-1]))[..., None], upper=False)
    return tl.square(solved[..., 0]).sum(axis=-1)


def precision_factor(precision: Tensor) -> Tensor:
    """The Cholesky factor of the inverse, by that of the matrix read from its other corner."""
    turned = tl.linalg.cholesky(tl.flip(precision, axis=(-2, -1)))
    inverse = tl.flip(turned, axis=(-2, -1)).mT
    one = tl.broadcast_to(tl.eye(precision.shape[-1], dtype=precision.dtype), precision.shape)
    return tl.linalg.solve_triangular(inverse, one, upper=False)


class OfMatrix(Distribution):
    """What is made of a positive definite matrix, given as it is, as its inverse, or as its Cholesky factor."""

    _factor: Tensor

    def _one_of(self, **matrices: Any) -> tuple[str, Tensor]:
        """The matrix that is given, and its name; raises `ArgumentError` where it is not one."""
        given = {name: matrix for name, matrix in matrices.items() if matrix is not None}
        if len(given) != 1:
            raise errors.complaint(errors.ArgumentError, type(self).__name__, "exactly one of covariance_matrix, "
                                   "precision_matrix and scale_tril must be given", matrices)
        (name, matrix), = given.items()
        return name, matrix

    def _factor_of(self, name: str, matrix: Tensor) -> Tensor:
        if name == "scale_tril":
            return self.scale_tril
        return tl.linalg.cholesky(matrix) if name == "covariance_matrix" else precision_factor(matrix)

    def __getattr__(self, name: str) -> Tensor:
        if name == "scale_tril" and "_factor" in self.__dict__:
            return tl.broadcast_to(self._factor, (*self.batch_shape, *self._factor.shape[-2:]))
        if name == "covariance_matrix" and "_factor" in self.__dict__:
            return self.scale_tril @ self.scale_tril.mT
        if name == "precision_matrix" and "_factor" in self.__dict__:
            factor = self.scale_tril
            one = tl.broadcast_to(tl.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
            inverse = tl.linalg.solve_triangular(factor, one, upper=False)
            return inverse.mT @ inverse
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class MultivariateNormal(OfMatrix):
    """Normal vectors of mean ``loc``, and of one of a covariance, its inverse, or its Cholesky factor.

    >>> import tensorlite as tl
    >>> tl.distributions.MultivariateNormal(tl.zeros(2), tl.eye(2)).log_prob(tl.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {"loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
                       "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky}
    has_rsample = True
    support = constraints.real_vector

    def __init__(self, loc: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None,
                 validate_args: bool | None = None) -> None:
        name, matrix = self._one_of(covariance_matrix=covariance_matrix, precision_matrix=precision_matrix,
                                    scale_tril=scale_tril)
        if not isinstance(loc, Tensor) or loc.ndim < 1:
            raise errors.complaint(errors.ShapeError, "MultivariateNormal", "loc must be a vector, or a batch of them",
                                   {"loc": loc})
        if matrix.ndim < 2 or matrix.shape[-2:] != loc.shape[-1:] * 2:
            raise errors.complaint(errors.ShapeError, "MultivariateNormal", f"{name} must be a matrix of "
                                   f"{loc.shape[-1]} rows and columns, or a batch of them", {"loc": loc, name: matrix})
        batch = tl.broadcast_shapes(loc.shape[:-1], matrix.shape[:-2])
        self.loc = tl.broadcast_to(loc, (*batch, loc.shape[-1]))
        self.__dict__[name] = tl.broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
        super().__init__(batch, loc.shape[-1:], validate_args)
        self._factor = self._factor_of(name, matrix)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        found = tl.square(self._factor).sum(axis=-1)
        return tl.broadcast_to(found, self.batch_shape + self.event_shape)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        drawn = normal_numbers(self._extended_shape(sample_shape), self.loc, generator)
        return self.loc + (self._factor @ drawn[..., None])[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        distance = mahalanobis(self._factor, value - self.loc)
        return -distance / 2 - self.event_shape[0] * HALF_LOG_TAU - log_diagonal(self._factor)

    def entropy(self) -> Tensor:
        found = self.event_shape[0] * (0.5 + HALF_LOG_TAU) + log_diagonal(self._factor)
        return tl.broadcast_to(found, self.batch_shape)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors of covariance ``cov_factor @ cov_factor.mT + diag(cov_diag)``, in the time of the small rank.

    ``cov_factor``: [..., n, rank]. By Woodbury's identity and the lemma of the determinant.

    >>> import tensorlite as tl
    >>> normal = tl.distributions.LowRankMultivariateNormal(tl.zeros(2), tl.tensor([[1.0], [0.0]]), tl.ones(2))
    >>> normal.variance
    tensor([2., 1.])
    """

    arg_constraints = {"loc": constraints.real_vector, "cov_factor": constraints.independent(constraints.real, 2),
                       "cov_diag": constraints.independent(constraints.positive, 1)}
    has_rsample = True
    support = constraints.real_vector

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        n = loc.shape[-1:]
        if loc.ndim < 1 or cov_factor.ndim < 2 or cov_factor.shape[-2:-1] != n or cov_diag.shape[-1:] != n:
            raise errors.complaint(errors.ShapeError, "LowRankMultivariateNormal",
                                   "loc, the rows of cov_factor and cov_diag must be equally many",
                                   {"loc": loc, "cov_factor": cov_factor, "cov_diag": cov_diag})
        batch = tl.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        self.loc, self.cov_diag = (tl.broadcast_to(x, (*batch, *n)) for x in (loc, cov_diag))
        self.cov_factor = tl.broadcast_to(cov_factor, (*batch, *cov_factor.shape[-2:]))
        super().__init__(batch, n, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return tl.square(self.cov_factor).sum(axis=-1) + self.cov_diag

    @property
    def covariance_matrix(self) -> Tensor:
        """The covariance in full."""
        return self.cov_factor @ self.cov_factor.mT + self.cov_diag[..., None] * tl.eye(
            self.event_shape[0], dtype=self.loc.dtype)

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return tl.linalg.inv(self.covariance_matrix)

    @property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return tl.linalg.cholesky(self.covariance_matrix)

    def _capacitance(self) -> Tensor:
        """The factor of ``1 + cov_factor.mT @ (cov_factor / cov_diag)``."""
        inner = self.cov_factor.mT @ (self.cov_factor / self.cov_diag[..., None])
        return tl.linalg.cholesky(inner + tl.eye(inner.shape[-1], dtype=inner.dtype))

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        low = normal_numbers((*shape[:-1], self.cov_factor.shape[-1]), self.loc, generator)
        own = normal_numbers(shape, self.loc, generator)
        return self.loc + (self.cov_factor @ low[..., None])[..., 0] + tl.sqrt(self.cov_diag) * own

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        capacitance, x = self._capacitance(), value - self.loc
        scaled = x / self.cov_diag
        projected = (self.cov_factor.mT @ scaled[..., None])[..., 0]
        distance = (x * scaled).sum(axis=-1) - mahalanobis(capacitance, projected)
        return -distance / 2 - self._half_log_determinant(capacitance) - self.event_shape[0] * HALF_LOG_TAU

    def _half_log_determinant(self, capacitance: Tensor) -> Tensor:
        return log_diagonal(capacitance) + tl.log(self.cov_diag).sum(axis=-1) / 2

    def entropy(self) -> Tensor:
        return self.event_shape[0] * (0.5 + HALF_LOG_TAU) + self._half_log_determinant(self._capacitance())
