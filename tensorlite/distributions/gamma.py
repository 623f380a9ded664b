"""Gamma numbers and their kin: exponential, chi-square and inverse gamma ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import Distribution, together
from tensorlite.distributions.transformed_distribution import TransformedDistribution
from tensorlite.distributions.transforms import PowerTransform
from tensorlite.random import Generator
from tensorlite.random.gamma_rate import gamma_share
from tensorlite.tensor import Tensor

__all__ = ["Chi2", "Exponential", "Gamma", "InverseGamma"]


class Exponential(Distribution):
    """Times until an event that comes at a ``rate``.

    >>> import tensorlite as tl
    >>> tl.distributions.Exponential(2.0).mean
    tensor(0.5)
    """

    arg_constraints = {"rate": constraints.positive}
    has_rsample = True
    support = constraints.nonnegative

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self.rate, = together("Exponential", rate=rate)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return 1 / self.rate

    @property
    def mode(self) -> Tensor:
        return tl.zeros_like(self.rate)

    @property
    def stddev(self) -> Tensor:
        return 1 / self.rate

    @property
    def variance(self) -> Tensor:
        return 1 / tl.square(self.rate)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return tl.random.standard_exponential(shape, dtype=self.rate.dtype, generator=generator) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.log(self.rate) - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -tl.expm1(-self.rate * value)

    def icdf(self, value: Tensor) -> Tensor:
        return -tl.log1p(-value) / self.rate

    def entropy(self) -> Tensor:
        return 1 - tl.log(self.rate)


class Gamma(Distribution):
    """Gamma numbers of mean ``concentration / rate``; draws have implicit derivatives (`random.gamma_rate`).

    >>> import tensorlite as tl
    >>> tl.distributions.Gamma(3.0, 2.0).mean
    tensor(1.5)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    has_rsample = True
    support = constraints.nonnegative

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = together(type(self).__name__, concentration=concentration, rate=rate)
        super().__init__(self.concentration.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return tl.clip((self.concentration - 1) / self.rate, 0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / tl.square(self.rate)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return tl.random.standard_gamma(self.concentration, shape, generator=generator) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return (tl.xlogy(self.concentration, self.rate) + tl.xlogy(self.concentration - 1, value)
                - self.rate * value - tl.lgamma(self.concentration))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return gamma_share(*tl.broadcast_tensors(self.concentration, self.rate * value))

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - tl.log(self.rate) + tl.lgamma(a) + (1 - a) * tl.digamma(a)


class Chi2(Gamma):
    """Sums of ``df`` squared normal numbers.

    >>> import tensorlite as tl
    >>> tl.distributions.Chi2(4.0).variance
    tensor(8.)
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        df, = together("Chi2", df=df)
        super().__init__(df / 2, 0.5, validate_args=False)
        self.df = df
        Distribution.__init__(self, df.shape, (), validate_args)

    def expand(self, batch_shape: Sequence[int]) -> Chi2:
        return Chi2(tl.broadcast_to(self.df, tuple(batch_shape)), validate_args=self._validate_args)


class InverseGamma(TransformedDistribution):
    """Reciprocals of gamma numbers.

    >>> import tensorlite as tl
    >>> tl.distributions.InverseGamma(3.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        super().__init__(Gamma(concentration, rate, validate_args=validate_args), PowerTransform(-1.0),
                         validate_args=validate_args)

    @property
    def concentration(self) -> Tensor:
        """The concentration of the gamma numbers."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """The rate of the gamma numbers."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        a = self.concentration
        return tl.where(a > 1, self.rate / (a - 1), float("inf"))

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        return tl.where(a > 2, tl.square(self.rate) / (tl.square(a - 1) * (a - 2)), float("inf"))

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + tl.log(self.rate) + tl.lgamma(a) - (1 + a) * tl.digamma(a)
