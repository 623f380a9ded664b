"""Even numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import Distribution, full_like, together
from tensorlite.random import Generator
from tensorlite.random.checks import holds
from tensorlite.tensor import Tensor

__all__ = ["Uniform"]


class Uniform(Distribution):
    """Numbers drawn evenly from ``[low, high)``.

    >>> import tensorlite as tl
    >>> tl.distributions.Uniform(0.0, 4.0).variance
    tensor(1.3333)
    """

    arg_constraints = {"low": constraints.real, "high": constraints.real}
    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = together("Uniform", low=low, high=high)
        super().__init__(self.low.shape, (), validate_args)
        if self._validate_args and not holds(self.low.detach() < self.high.detach()):
            raise errors.complaint(errors.ArgumentError, "Uniform", "low must be below high",
                                   {"low": low, "high": high})

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low.detach(), self.high.detach())

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        return full_like(self.low, math.nan)

    @property
    def variance(self) -> Tensor:
        return tl.square(self.high - self.low) / 12

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        drawn = tl.rand(self._extended_shape(sample_shape), dtype=self.low.dtype, generator=generator)
        return self.low + drawn * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        inside = tl.logical_and(value >= self.low, value < self.high)
        return tl.where(inside, -tl.log(self.high - self.low), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.clip((value - self.low) / (self.high - self.low), 0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return tl.log(self.high - self.low)
