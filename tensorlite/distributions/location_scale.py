"""Families of a location and a scale: Laplace, Cauchy, Gumbel, and the absolute values of Cauchy's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import EULER, Distribution, full_like, open_unit, together
from tensorlite.distributions.transformed_distribution import TransformedDistribution
from tensorlite.distributions.transforms import AbsTransform
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["Cauchy", "Gumbel", "HalfCauchy", "Laplace"]


class _LocationScale(Distribution):
    """What the three have in common."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    has_rsample = True
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = together(type(self).__name__, loc=loc, scale=scale)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mode(self) -> Tensor:
        return self.loc

    def _standard(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return (value - self.loc) / self.scale


class Laplace(_LocationScale):
    """Exponential numbers on both sides of ``loc``.

    >>> import tensorlite as tl
    >>> tl.distributions.Laplace(0.0, 1.0).variance
    tensor(2.)
    """

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.scale * math.sqrt(2)

    @property
    def variance(self) -> Tensor:
        return 2 * tl.square(self.scale)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        drawn = tl.random.laplace(size=self._extended_shape(sample_shape), dtype=self.loc.dtype, generator=generator)
        return self.loc + drawn * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        return -tl.log(2 * self.scale) - tl.abs(self._standard(value))

    def cdf(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return 0.5 - 0.5 * tl.sign(z) * tl.expm1(-tl.abs(z))

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * tl.sign(term) * tl.log1p(-2 * tl.abs(term))

    def entropy(self) -> Tensor:
        return 1 + tl.log(2 * self.scale)


class Cauchy(_LocationScale):
    """Cauchy's distribution, also Lorentz's: quotients of normal numbers, which have no mean.

    >>> import tensorlite as tl
    >>> tl.distributions.Cauchy(0.0, 1.0).cdf(tl.tensor(1.0))
    tensor(0.75)
    """

    @property
    def mean(self) -> Tensor:
        return full_like(self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        return full_like(self.loc, math.inf)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        u = open_unit(self._extended_shape(sample_shape), self.loc, generator)
        return self.loc + tl.tan((u - 0.5) * math.pi) * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        return -math.log(math.pi) - tl.log(self.scale) - tl.log1p(tl.square(self._standard(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return tl.atan(self._standard(value)) / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return tl.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + tl.log(self.scale)


class Gumbel(_LocationScale):
    """The largest of many numbers: ``loc - scale * log(e)`` with exponential ``e``.

    >>> import tensorlite as tl
    >>> tl.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def stddev(self) -> Tensor:
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self) -> Tensor:
        return tl.square(self.stddev)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        drawn = tl.random.gumbel(size=self._extended_shape(sample_shape), dtype=self.loc.dtype, generator=generator)
        return self.loc + drawn * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        y = -self._standard(value)
        return y - tl.exp(y) - tl.log(self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        return tl.exp(-tl.exp(-self._standard(value)))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * tl.log(-tl.log(value))

    def entropy(self) -> Tensor:
        return tl.log(self.scale) + (1 + EULER)


class HalfCauchy(TransformedDistribution):
    """Absolute values of Cauchy's numbers around 0.

    >>> import tensorlite as tl
    >>> tl.distributions.HalfCauchy(1.0).cdf(tl.tensor(1.0))
    tensor(0.5)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0.0, scale, validate_args=validate_args), AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """The scale of Cauchy's numbers."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return full_like(self.scale, math.inf)

    @property
    def mode(self) -> Tensor:
        return tl.zeros_like(self.scale)

    @property
    def variance(self) -> Tensor:
        return full_like(self.scale, math.inf)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.atan(value / self.scale) * (2 / math.pi)

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
