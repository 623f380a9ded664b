"""Shares: beta and Kumaraswamy numbers, and Dirichlet's vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import EULER, Distribution, full_like, together
from tensorlite.distributions.transformed_distribution import TransformedDistribution
from tensorlite.distributions.transforms import AffineTransform, PowerTransform
from tensorlite.distributions.uniform import Uniform
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["Beta", "Dirichlet", "Kumaraswamy"]


class Dirichlet(Distribution):
    """Vectors of shares, of gamma numbers in their sum; draws have the implicit derivatives of these.

    ``concentration``: [..., classes], an event for each row.

    >>> import tensorlite as tl
    >>> tl.distributions.Dirichlet(tl.tensor([1.0, 3.0])).mean
    tensor([0.25, 0.75])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    has_rsample = True
    support = constraints.simplex

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        self.concentration, = together("Dirichlet", concentration=concentration)
        if self.concentration.ndim < 1:
            raise errors.complaint(errors.ShapeError, "Dirichlet", "concentration must have an axis of classes",
                                   {"concentration": concentration})
        super().__init__(self.concentration.shape[:-1], self.concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(axis=-1, keepdims=True)

    @property
    def mode(self) -> Tensor:
        above = tl.clip(self.concentration - 1, 0)
        total = above.sum(axis=-1, keepdims=True)
        largest = tl.one_hot(tl.argmax(self.concentration, axis=-1), self._event_shape[-1]).to(above.dtype)
        return tl.where((self.concentration < 1).all(axis=-1, keepdims=True), largest, above / total)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(axis=-1, keepdims=True)
        return self.concentration * (total - self.concentration) / (tl.square(total) * (total + 1))

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        drawn = tl.random.standard_gamma(self.concentration, self._extended_shape(sample_shape), generator=generator)
        return drawn / drawn.sum(axis=-1, keepdims=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a = self.concentration
        return tl.xlogy(a - 1, value).sum(axis=-1) + tl.lgamma(a.sum(axis=-1)) - tl.lgamma(a).sum(axis=-1)

    def entropy(self) -> Tensor:
        a, k = self.concentration, self._event_shape[-1]
        total = a.sum(axis=-1)
        return (tl.lgamma(a).sum(axis=-1) - tl.lgamma(total) - (k - total) * tl.digamma(total)
                - ((a - 1) * tl.digamma(a)).sum(axis=-1))


class Beta(Distribution):
    """Numbers of [0, 1]: the share of one gamma number in the sum of two.

    >>> import tensorlite as tl
    >>> tl.distributions.Beta(1.0, 3.0).mean
    tensor(0.25)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    has_rsample = True
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = together("Beta", concentration1=concentration1,
                                                            concentration0=concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        pair = tl.stack([self.concentration1, self.concentration0], axis=-1)
        return Dirichlet(pair, validate_args=False).mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (tl.square(total) * (total + 1))

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        first, other = (tl.random.standard_gamma(a, shape, generator=generator)
                        for a in (self.concentration1, self.concentration0))
        return first / (first + other)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        rest = tl.where(b == 1, 0.0, (b - 1) * tl.log1p(-value))
        return tl.xlogy(a - 1, value) + rest + tl.lgamma(a + b) - tl.lgamma(a) - tl.lgamma(b)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return (tl.lgamma(a) + tl.lgamma(b) - tl.lgamma(a + b) - (a - 1) * tl.digamma(a) - (b - 1) * tl.digamma(b)
                + (a + b - 2) * tl.digamma(a + b))


class Kumaraswamy(TransformedDistribution):
    """Numbers of (0, 1) with the distribution function ``1 - (1 - x**concentration1) ** concentration0``.

    >>> import tensorlite as tl
    >>> tl.distributions.Kumaraswamy(1.0, 1.0).mean
    tensor(0.5)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = together("Kumaraswamy", concentration1=concentration1,
                                                            concentration0=concentration0)
        base = Uniform(full_like(self.concentration0, 0.0), 1.0, validate_args=validate_args)
        steps = [PowerTransform(1 / self.concentration0), AffineTransform(1.0, -1.0),
                 PowerTransform(1 / self.concentration1)]
        super().__init__(base, steps, validate_args=validate_args)

    def _moment(self, n: int) -> Tensor:
        """The mean of the n-th power."""
        a, b = 1 + n / self.concentration1, self.concentration0
        return b * tl.exp(tl.lgamma(a) + tl.lgamma(b) - tl.lgamma(a + b))

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        top = tl.exp(tl.log((a - 1) / (a * b - 1)) / a)
        return tl.where(tl.logical_or(tl.logical_or(a < 1, b < 1), a * b == 1), math.nan, top)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - tl.square(self.mean)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        rest = tl.log1p(-tl.pow(value, a))
        return tl.log(a) + tl.log(b) + (a - 1) * tl.log(value) + (b - 1) * rest

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return 1 - tl.pow(1 - tl.pow(value, self.concentration1), self.concentration0)

    def icdf(self, value: Tensor) -> Tensor:
        return tl.pow(1 - tl.pow(1 - value, 1 / self.concentration0), 1 / self.concentration1)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return (1 - 1 / b) + (1 - 1 / a) * (tl.digamma(b + 1) + EULER) - tl.log(a) - tl.log(b)
