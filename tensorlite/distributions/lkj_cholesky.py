"""Cholesky factors of random correlation matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.beta import Beta
from tensorlite.distributions.distribution import Distribution, normal_numbers, together
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors of correlation matrices, whose density is the determinant to ``concentration - 1``.

    Even over all correlation matrices of ``dim`` rows where ``concentration`` is 1, and nearer to the identity for
    more. Drawn by the onion method (Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on
    vines and extended onion method", 2009).

    >>> import tensorlite as tl
    >>> tl.distributions.LKJCholesky(2).log_prob(tl.eye(2))
    tensor(-0.6931)
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if not isinstance(dim, int) or dim < 2:
            raise errors.complaint(errors.ArgumentError, "LKJCholesky",
                                   f"dim must be an integer of 2 or more, not {dim}")
        self.dim = dim
        self.concentration, = together("LKJCholesky", concentration=concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        with tl.no_grad():
            shape, concentration = self._extended_shape(sample_shape), self.concentration.detach()
            half = tl.clip(tl.arange(self.dim, dtype=concentration.dtype) - 1, 0) / 2
            rest = concentration[..., None] + (self.dim - 2) / 2 - half
            lengths = Beta(half + 0.5, rest, validate_args=False).sample(
                shape[:len(shape) - len(self.batch_shape) - 2], generator=generator)
            below = tl.tril(normal_numbers(shape, concentration, generator), -1)
            size = tl.sqrt(tl.square(below).sum(axis=-1, keepdims=True))
            rows = below * (tl.sqrt(lengths)[..., None] / tl.where(size > 0, size, 1))
            least = float(tl.finfo(concentration.dtype).smallest_normal)
            diagonal = tl.sqrt(tl.clip(1 - tl.square(rows).sum(axis=-1), least))
            return rows + tl.diag_embed(diagonal)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        order = self.dim - tl.arange(2, self.dim + 1, dtype=self.concentration.dtype)
        power = 2 * (self.concentration[..., None] - 1) + order
        found = (power * tl.log(tl.diagonal(value, dim1=-2, dim2=-1)[..., 1:])).sum(axis=-1)
        most = self.concentration + (self.dim - 1) / 2
        norm = tl.mvlgamma(most - 0.5, self.dim - 1) - (self.dim - 1) * tl.lgamma(most)
        return found - norm - (self.dim - 1) * math.log(math.pi) / 2
