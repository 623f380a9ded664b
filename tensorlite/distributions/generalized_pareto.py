"""Pareto's numbers in their general form: what lies beyond a high threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import Distribution, together
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Numbers from ``loc`` on, whose tail is that of a power for a positive ``concentration``, else ends.

    With ``concentration`` 0 they are exponential, with one below they end at ``loc - scale / concentration`` (Pickands,
    "Statistical inference using extreme order statistics", 1975).

    >>> import tensorlite as tl
    >>> tl.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = together("GeneralizedPareto", loc=loc, scale=scale,
                                                            concentration=concentration)
        super().__init__(self.scale.shape, (), validate_args)

    @property
    def support(self) -> Constraint:
        loc, scale, concentration = (p.detach() for p in (self.loc, self.scale, self.concentration))
        ends = concentration < 0
        last = tl.where(ends, loc - scale / tl.where(ends, concentration, 1), math.inf)
        return constraints.interval(loc, last)

    @property
    def mean(self) -> Tensor:
        return tl.where(self.concentration < 1, self.loc + self.scale / (1 - self.concentration), math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        k = self.concentration
        return tl.where(k < 0.5, tl.square(self.scale / (1 - k)) / (1 - 2 * k), math.nan)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self._at(tl.random.standard_exponential(shape, dtype=self.scale.dtype, generator=generator))

    def _split(self) -> tuple[Tensor, Tensor]:
        """Where numbers are exponential, and the concentration, 1 there."""
        flat = self.concentration == 0
        return flat, tl.where(flat, 1, self.concentration)

    def _at(self, exponential: Tensor) -> Tensor:
        """The number that exponential ones are exceeded as often as."""
        flat, k = self._split()
        return self.loc + self.scale * tl.where(flat, exponential, tl.expm1(k * exponential) / k)

    def _exponential(self, value: Tensor) -> Tensor:
        """The exponential number that is exceeded as often."""
        flat, k = self._split()
        z = (value - self.loc) / self.scale
        return tl.where(flat, z, tl.log1p(k * z) / k)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -(1 + self.concentration) * self._exponential(value) - tl.log(self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -tl.expm1(-self._exponential(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._at(-tl.log1p(-value))

    def entropy(self) -> Tensor:
        return tl.log(self.scale) + self.concentration + 1
