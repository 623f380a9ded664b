"""Functions of exponential numbers: Weibull's powers, and Pareto's exponentials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import EULER, Distribution, together
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["Pareto", "Weibull"]


class Weibull(Distribution):
    """Exponential numbers to the power ``1 / concentration``, scaled.

    >>> import tensorlite as tl
    >>> tl.distributions.Weibull(2.0, 1.0).mean
    tensor(2.)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    has_rsample = True
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = together("Weibull", scale=scale, concentration=concentration)
        super().__init__(self.scale.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.scale * tl.exp(tl.lgamma(1 + 1 / self.concentration))

    @property
    def mode(self) -> Tensor:
        k = self.concentration
        return self.scale * tl.pow((k - 1) / k, 1 / k)

    @property
    def variance(self) -> Tensor:
        k = self.concentration
        return tl.square(self.scale) * (tl.exp(tl.lgamma(1 + 2 / k)) - tl.exp(2 * tl.lgamma(1 + 1 / k)))

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = tl.random.standard_exponential(shape, dtype=self.scale.dtype, generator=generator)
        return self.scale * tl.pow(drawn, 1 / self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        k, ratio = self.concentration, value / self.scale
        return tl.log(k / self.scale) + (k - 1) * tl.log(ratio) - tl.pow(ratio, k)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -tl.expm1(-tl.pow(value / self.scale, self.concentration))

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * tl.pow(-tl.log1p(-value), 1 / self.concentration)

    def entropy(self) -> Tensor:
        k = self.concentration
        return EULER * (1 - 1 / k) + tl.log(self.scale / k) + 1


class Pareto(Distribution):
    """Pareto's numbers of the first kind: from ``scale`` on, with a density that falls as ``x ** -(alpha + 1)``.

    >>> import tensorlite as tl
    >>> tl.distributions.Pareto(1.0, 3.0).mean
    tensor(1.5)
    """

    arg_constraints = {"scale": constraints.positive, "alpha": constraints.positive}
    has_rsample = True

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = together("Pareto", scale=scale, alpha=alpha)
        super().__init__(self.scale.shape, (), validate_args)

    @property
    def support(self) -> Constraint:
        return constraints.greater_than_eq(self.scale.detach())

    @property
    def mean(self) -> Tensor:
        return tl.where(self.alpha > 1, self.alpha * self.scale / (self.alpha - 1), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha
        return tl.where(a > 2, tl.square(self.scale) * a / (tl.square(a - 1) * (a - 2)), math.inf)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = tl.random.standard_exponential(shape, dtype=self.scale.dtype, generator=generator)
        return self.scale * tl.exp(drawn / self.alpha)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.log(self.alpha) + self.alpha * tl.log(self.scale) - (self.alpha + 1) * tl.log(value)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -tl.expm1(self.alpha * tl.log(self.scale / value))

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * tl.exp(-tl.log1p(-value) / self.alpha)

    def entropy(self) -> Tensor:
        return tl.log(self.scale / self.alpha) + 1 + 1 / self.alpha
