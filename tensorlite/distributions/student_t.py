"""Quotients with chi-square numbers beneath: Student's t and Fisher's F."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import Distribution, full_like, normal_numbers, together
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["FisherSnedecor", "StudentT"]


class StudentT(Distribution):
    """Student's t distribution of ``df`` degrees of freedom, moved to ``loc`` and scaled.

    >>> import tensorlite as tl
    >>> tl.distributions.StudentT(3.0).variance
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    has_rsample = True
    support = constraints.real

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = together("StudentT", df=df, loc=loc, scale=scale)
        super().__init__(self.df.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return tl.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        finite = tl.square(self.scale) * self.df / tl.where(self.df > 2, self.df - 2, 1)
        return tl.where(self.df > 2, finite, tl.where(self.df > 1, full_like(self.df, math.inf), math.nan))

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        half = self.df / 2
        square = tl.random.standard_gamma(half, shape, generator=generator) / half
        return self.loc + self.scale * normal_numbers(shape, self.loc, generator) * tl.rsqrt(square)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y, df = (value - self.loc) / self.scale, self.df
        norm = tl.log(self.scale) + tl.log(df) / 2 + math.log(math.pi) / 2 + tl.lgamma(df / 2) - tl.lgamma((df + 1) / 2)
        return -(df + 1) / 2 * tl.log1p(tl.square(y) / df) - norm

    def entropy(self) -> Tensor:
        df = self.df
        beta = tl.lgamma(df / 2) + math.lgamma(0.5) - tl.lgamma((df + 1) / 2)
        slope = tl.digamma((df + 1) / 2) - tl.digamma(df / 2)
        return tl.log(self.scale) + (df + 1) / 2 * slope + tl.log(df) / 2 + beta


class FisherSnedecor(Distribution):
    """Fisher's F distribution: quotients of two chi-square numbers, each over its degrees of freedom.

    >>> import tensorlite as tl
    >>> tl.distributions.FisherSnedecor(2.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    has_rsample = True
    support = constraints.positive

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = together("FisherSnedecor", df1=df1, df2=df2)
        super().__init__(self.df1.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return tl.where(self.df2 > 2, self.df2 / (self.df2 - 2), math.nan)

    @property
    def mode(self) -> Tensor:
        return tl.where(self.df1 > 2, (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2), math.nan)

    @property
    def variance(self) -> Tensor:
        a, b = self.df1, self.df2
        found = 2 * tl.square(b) * (a + b - 2) / (a * tl.square(b - 2) * (b - 4))
        return tl.where(b > 4, found, math.nan)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        over, under = (tl.random.standard_gamma(df / 2, shape, generator=generator) / df for df in (self.df1, self.df2))
        return over / under

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b, ratio = self.df1 / 2, self.df2 / 2, self.df1 / self.df2
        return (tl.lgamma(a + b) - tl.lgamma(a) - tl.lgamma(b) + a * tl.log(ratio) + tl.xlogy(a - 1, value)
                - (a + b) * tl.log1p(ratio * value))
