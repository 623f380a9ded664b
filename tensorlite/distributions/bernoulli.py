"""Trials with two outcomes: one of them, how many fail, and numbers between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import (
    Distribution,
    clamp_probs,
    logits_of,
    one_of,
    open_unit,
    probs_of,
    together,
)
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["Bernoulli", "ContinuousBernoulli", "Geometric"]


class Binary(Distribution):
    """What is parameterised by ``probs`` or by ``logits``, the logarithms of the odds."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        one_of(type(self).__name__, probs, logits)
        name, given = ("logits", logits) if probs is None else ("probs", probs)
        self.__dict__[name], = together(type(self).__name__, **{name: given})
        super().__init__(self._parameter.shape, (), validate_args)

    @property
    def _parameter(self) -> Tensor:
        """The one that was given."""
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    def __getattr__(self, name: str) -> Tensor:
        if name == "probs" and "logits" in self.__dict__:
            return probs_of(self.__dict__["logits"], binary=True)
        if name == "logits" and "probs" in self.__dict__:
            return logits_of(self.__dict__["probs"], binary=True)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def param_shape(self) -> tuple[int, ...]:
        """The shape of the parameter."""
        return self._parameter.shape


def binary_entropy(logits: Tensor, probs: Tensor) -> Tensor:
    """The entropy of a trial in nats."""
    return tl.softplus(logits) - logits * probs


class Bernoulli(Binary):
    """1 with probability ``probs``, else 0; or given the logarithm of the odds, ``logits``.

    >>> import tensorlite as tl
    >>> tl.distributions.Bernoulli(0.25).log_prob(tl.tensor([0.0, 1.0]))
    tensor([-0.2877, -1.3863])
    """

    has_enumerate_support = True
    support = constraints.boolean

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        probs = self.probs
        return tl.where(probs == 0.5, math.nan, (probs >= 0.5).to(probs.dtype))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        probs = self.probs.detach()
        drawn = tl.rand(self._extended_shape(sample_shape), dtype=probs.dtype, generator=generator)
        return (drawn < probs).to(probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return value * self.logits - tl.softplus(self.logits)

    def entropy(self) -> Tensor:
        return binary_entropy(self.logits, self.probs)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return enumerated(2, self, expand)


def enumerated(count: int, distribution: Distribution, expand: bool) -> Tensor:
    """The values 0, 1, 2 and so on along a new first axis."""
    like: Any = distribution
    shape = distribution.batch_shape
    values = tl.reshape(tl.arange(count).to(like._parameter.dtype), (count, *(1,) * len(shape)))
    return tl.broadcast_to(values, (count, *shape)) if expand else values


class Geometric(Binary):
    """How many trials fail before the first success, of probability ``probs``.

    >>> import tensorlite as tl
    >>> tl.distributions.Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints = {"probs": constraints.Constraint("above 0 and at most 1",
                                                       lambda p: tl.logical_and(p > 0, p <= 1)),
                       "logits": constraints.real}
    support = constraints.nonnegative_integer

    @property
    def mean(self) -> Tensor:
        return 1 / self.probs - 1

    @property
    def mode(self) -> Tensor:
        return tl.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        probs = self.probs.detach()
        u = open_unit(self._extended_shape(sample_shape), probs, generator)
        return tl.floor(tl.log(u) / tl.log1p(-probs))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        probs = self.probs
        return tl.xlogy(value, 1 - probs) + tl.log(probs) if "probs" in self.__dict__ else (
            -value * tl.softplus(self.logits) - tl.softplus(-self.logits))

    def entropy(self) -> Tensor:
        return binary_entropy(self.logits, self.probs) / self.probs


class ContinuousBernoulli(Binary):
    """Numbers of [0, 1] of density ``probs**x * (1 - probs)**(1 - x)`` times what makes it one.

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019. Between ``lims`` series stand for formulas that
    would cancel.

    >>> import tensorlite as tl
    >>> tl.distributions.ContinuousBernoulli(0.5).mean
    tensor(0.5)
    """

    has_rsample = True
    support = constraints.unit_interval

    def __init__(self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501),
                 validate_args: bool | None = None) -> None:
        self._lims = lims
        super().__init__(probs, logits, validate_args)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The probabilities, where they are far from a half, those with others in place of the near ones, and gaps."""
        probs = clamp_probs(self.probs)
        far = tl.logical_or(probs < self._lims[0], probs > self._lims[1])
        return probs, far, tl.where(far, probs, self._lims[0]), probs - 0.5

    def _log_norm(self) -> Tensor:
        _, far, cut, gap = self._parts()
        odds = tl.log1p(-cut) - tl.log(cut)
        exact = tl.log(tl.abs(odds)) - tl.log(tl.abs(1 - 2 * cut))
        x = tl.square(gap)
        return tl.where(far, exact, math.log(2) + (4 / 3 + 104 / 45 * x) * x)

    @property
    def mean(self) -> Tensor:
        _, far, cut, x = self._parts()
        exact = cut / (2 * cut - 1) + 1 / (tl.log1p(-cut) - tl.log(cut))
        return tl.where(far, exact, 0.5 + (1 / 3 + 16 / 45 * tl.square(x)) * x)

    @property
    def variance(self) -> Tensor:
        _, far, cut, gap = self._parts()
        x = tl.square(gap)
        exact = cut * (cut - 1) / tl.square(1 - 2 * cut) + 1 / tl.square(tl.log1p(-cut) - tl.log(cut))
        return tl.where(far, exact, 1 / 12 - (1 / 15 - 128 / 945 * x) * x)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self.icdf(open_unit(self._extended_shape(sample_shape), self._parameter, generator))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return value * self.logits - tl.softplus(self.logits) + self._log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        _, far, cut, _ = self._parts()
        exact = (tl.pow(cut, value) * tl.pow(1 - cut, 1 - value) + cut - 1) / (2 * cut - 1)
        return tl.clip(tl.where(far, exact, value), 0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        _, far, cut, _ = self._parts()
        exact = (tl.log1p(-cut + value * (2 * cut - 1)) - tl.log1p(-cut)) / (tl.log(cut) - tl.log1p(-cut))
        return tl.where(far, exact, value)

    def entropy(self) -> Tensor:
        probs = self._parts()[0]
        fails, succeeds = tl.log1p(-probs), tl.log(probs)
        return self.mean * (fails - succeeds) - self._log_norm() - fails
