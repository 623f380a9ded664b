"""Wishart's matrices: the sums of squares of normal vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import normal_numbers
from tensorlite.distributions.gamma import Chi2
from tensorlite.distributions.multivariate_normal import OfMatrix, log_diagonal
from tensorlite.random import Generator
from tensorlite.tensor import Tensor
from tensorlite.traced import is_traced

__all__ = ["Wishart"]


class Wishart(OfMatrix):
    """The sum of ``v @ v.mT`` of ``df`` normal vectors of a covariance, given as one of three.

    ``df`` need be no integer, but above the number of rows less one. Draws are of Bartlett's decomposition ("On the
    theory of statistical regression", 1933).

    >>> import tensorlite as tl
    >>> tl.distributions.Wishart(3.0, tl.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    arg_constraints = {"df": constraints.positive, "covariance_matrix": constraints.positive_definite,
                       "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky}
    has_rsample = True
    support = constraints.positive_definite

    def __init__(self, df: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None,
                 validate_args: bool | None = None) -> None:
        name, matrix = self._one_of(covariance_matrix=covariance_matrix, precision_matrix=precision_matrix,
                                    scale_tril=scale_tril)
        if not isinstance(matrix, Tensor) or matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
            raise errors.complaint(errors.ShapeError, "Wishart", f"{name} must be a square matrix, or a batch of them",
                                   {name: matrix})
        df = df if isinstance(df, Tensor) else tl.asarray(df, dtype=matrix.dtype)
        batch = tl.broadcast_shapes(df.shape, matrix.shape[:-2])
        self.df = tl.broadcast_to(df, batch)
        self.__dict__[name] = tl.broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
        super().__init__(batch, matrix.shape[-2:], validate_args)
        enough = self.df.detach() > matrix.shape[-1] - 1
        if self._validate_args and not is_traced(enough) and not bool(enough.array.all()):
            raise errors.complaint(errors.ArgumentError, "Wishart", f"df must be above {matrix.shape[-1] - 1}, the "
                                   "number of rows less one", {"df": df, name: matrix})
        self._factor = self._factor_of(name, matrix)

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.event_shape[-1] - 1
        return tl.where(factor > 0, factor, math.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        matrix = self.covariance_matrix
        diagonal = tl.diagonal(matrix, dim1=-2, dim2=-1)
        return self.df[..., None, None] * (tl.square(matrix) + diagonal[..., :, None] * diagonal[..., None, :])

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        below = tl.tril(normal_numbers(shape, self._factor, generator), -1)
        freedom = self.df[..., None] - tl.arange(shape[-1], dtype=self.df.dtype)
        drawn = Chi2(freedom, validate_args=False).rsample(shape[:len(shape) - len(self.batch_shape) - 2],
                                                           generator=generator)
        root = self._factor @ (below + tl.diag_embed(tl.sqrt(drawn)))
        return root @ root.mT

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        rows = self.event_shape[-1]
        spread = (self.precision_matrix * value).sum(axis=(-2, -1))
        return ((self.df - rows - 1) * tl.linalg.slogdet(value)[1] - spread) / 2 - self._norm()

    def _norm(self) -> Tensor:
        """The logarithm of what densities are divided by."""
        rows, factor = self.event_shape[-1], tl.broadcast_to(log_diagonal(self._factor), self.batch_shape)
        return self.df * (rows * math.log(2) / 2 + factor) + tl.mvlgamma(self.df / 2, rows)

    def entropy(self) -> Tensor:
        rows = self.event_shape[-1]
        slopes = tl.digamma((self.df[..., None] - tl.arange(rows, dtype=self.df.dtype)) / 2).sum(axis=-1)
        log_det = slopes + rows * math.log(2) + 2 * log_diagonal(self._factor)
        return self._norm() - (self.df - rows - 1) / 2 * log_det + rows * self.df / 2
