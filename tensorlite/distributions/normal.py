"""Normal numbers, and what is made of them: their exponentials and absolute values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import HALF_LOG_TAU, Distribution, normal_numbers, together
from tensorlite.distributions.transformed_distribution import TransformedDistribution
from tensorlite.distributions.transforms import AbsTransform, ExpTransform
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["HalfNormal", "LogNormal", "Normal"]


class Normal(Distribution):
    """The normal distribution of mean ``loc`` and deviation ``scale``.

    >>> import tensorlite as tl
    >>> tl.distributions.Normal(0.0, 2.0).log_prob(tl.tensor(2.0))
    tensor(-2.1121)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    has_rsample = True
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = together("Normal", loc=loc, scale=scale)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return tl.square(self.scale)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self.loc + normal_numbers(self._extended_shape(sample_shape), self.loc, generator) * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -tl.square((value - self.loc) / self.scale) / 2 - tl.log(self.scale) - HALF_LOG_TAU

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.erfc((self.loc - value) / self.scale * math.sqrt(0.5)) / 2

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * tl.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + HALF_LOG_TAU + tl.log(self.scale)


class LogNormal(TransformedDistribution):
    """Numbers whose logarithms are normal, of mean ``loc`` and deviation ``scale``.

    >>> import tensorlite as tl
    >>> tl.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args=validate_args), ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.mean

    @property
    def scale(self) -> Tensor:
        """The deviation of the logarithm."""
        return self.base_dist.stddev

    @property
    def mean(self) -> Tensor:
        return tl.exp(self.loc + tl.square(self.scale) / 2)

    @property
    def mode(self) -> Tensor:
        return tl.exp(self.loc - tl.square(self.scale))

    @property
    def variance(self) -> Tensor:
        square = tl.square(self.scale)
        return tl.expm1(square) * tl.exp(2 * self.loc + square)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class HalfNormal(TransformedDistribution):
    """Absolute values of normal numbers of mean 0.

    >>> import tensorlite as tl
    >>> tl.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0.0, scale, validate_args=validate_args), AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """The deviation of the normal numbers."""
        return self.base_dist.stddev

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self) -> Tensor:
        return tl.zeros_like(self.scale)

    @property
    def variance(self) -> Tensor:
        return tl.square(self.scale) * (1 - 2 / math.pi)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.erf(value / self.scale * math.sqrt(0.5))

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
