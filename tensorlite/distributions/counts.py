"""Counts: of successes, of each of several classes, of failures, of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.bernoulli import Binary
from tensorlite.distributions.categorical import Categorical, Classes
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import Distribution, one_of, together
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["Binomial", "Multinomial", "NegativeBinomial", "Poisson"]


class _Counting(Binary):
    """What has a count, and ``probs`` or ``logits``, which broadcast."""

    def __init__(self, total_count: Any, probs: Any, logits: Any, validate_args: bool | None) -> None:
        op = type(self).__name__
        one_of(op, probs, logits)
        name, given = ("logits", logits) if probs is None else ("probs", probs)
        self.total_count, self.__dict__[name] = together(op, **{"total_count": total_count, name: given})
        self.total_count = self.total_count.detach()
        Distribution.__init__(self, self._parameter.shape, (), validate_args)


class Binomial(_Counting):
    """How many of ``total_count`` trials succeed, each with probability ``probs``, or given by ``logits``.

    >>> import tensorlite as tl
    >>> tl.distributions.Binomial(10, 0.3).mean
    tensor(3.)
    """

    arg_constraints = {"total_count": constraints.nonnegative_integer, "probs": constraints.unit_interval,
                       "logits": constraints.real}
    has_enumerate_support = True

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        super().__init__(total_count, probs, logits, validate_args)

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return tl.minimum(tl.floor((self.total_count + 1) * self.probs), self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        count, probs = (tl.broadcast_to(x.detach(), shape) for x in (self.total_count, self.probs))
        return tl.binomial(count, probs, generator)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        ways = tl.lgamma(n + 1) - tl.lgamma(value + 1) - tl.lgamma(n - value + 1)
        return ways + value * logits - n * tl.softplus(logits)

    def entropy(self) -> Tensor:
        found = self.log_prob(self.enumerate_support(False))
        return -(tl.exp(found) * found).sum(axis=0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = int(self.total_count.max().item()) if self.total_count.size else 0
        if self.total_count.size and float(self.total_count.min().item()) != count:
            raise errors.complaint(errors.ArgumentError, "Binomial", "only equal total_counts have one support",
                                   {"total_count": self.total_count})
        values = tl.reshape(tl.arange(count + 1).to(self._parameter.dtype), (-1, *(1,) * len(self.batch_shape)))
        return tl.broadcast_to(values, (count + 1, *self.batch_shape)) if expand else values


class NegativeBinomial(_Counting):
    """How many trials succeed, with probability ``probs``, before ``total_count`` fail.

    >>> import tensorlite as tl
    >>> tl.distributions.NegativeBinomial(3.0, 0.5).mean
    tensor(3.)
    """

    arg_constraints = {"total_count": constraints.nonnegative, "probs": constraints.half_open_interval(0.0, 1.0),
                       "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, total_count: Any, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        super().__init__(total_count, probs, logits, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * tl.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return tl.clip(tl.floor((self.total_count - 1) * tl.exp(self.logits)), 0)

    @property
    def variance(self) -> Tensor:
        return self.mean / tl.sigmoid(-self.logits)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with tl.no_grad():
            rate = tl.random.standard_gamma(self.total_count, shape, generator=generator) * tl.exp(self.logits)
        return tl.poisson(rate, generator)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        shares = -n * tl.softplus(logits) - value * tl.softplus(-logits)
        ways = tl.lgamma(n + value) - tl.lgamma(value + 1) - tl.lgamma(n)
        return shares + tl.where(n + value == 0, 0.0, ways)


class Poisson(Distribution):
    """How many events come, of which ``rate`` are expected.

    >>> import tensorlite as tl
    >>> tl.distributions.Poisson(4.0).log_prob(tl.tensor(4.0))
    tensor(-1.6329)
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self.rate, = together("Poisson", rate=rate)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return tl.floor(self.rate)

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return tl.poisson(tl.broadcast_to(self.rate.detach(), self._extended_shape(sample_shape)), generator)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return tl.xlogy(value, self.rate) - self.rate - tl.lgamma(value + 1)


class Multinomial(Classes):
    """How often each class comes in ``total_count`` draws.

    >>> import tensorlite as tl
    >>> tl.distributions.Multinomial(4, tl.tensor([1.0, 3.0])).mean
    tensor([1., 3.])
    """

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        if isinstance(total_count, bool) or not isinstance(total_count, int) or total_count < 0:
            raise errors.complaint(errors.ArgumentError, "Multinomial",
                                   "total_count must be one integer of 0 or more for all",
                                   {"total_count": total_count})
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)

    def _shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return shape[:-1], shape[-1:]

    @property
    def support(self) -> Constraint:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        drawn = self.draw_classes((self.total_count, *shape), generator)
        return tl.one_hot(drawn, self.event_shape[0]).sum(axis=0).to(self._parameter.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        count = tl.lgamma(value.sum(axis=-1) + 1) - tl.lgamma(value + 1).sum(axis=-1)
        logits = self.logits
        impossible = tl.logical_and(value == 0, logits == float("-inf"))
        return count + tl.where(impossible, 0.0, logits * value).sum(axis=-1)

    def entropy(self) -> Tensor:
        n = self.total_count
        own = Categorical(logits=self.logits, validate_args=False).entropy()
        counts = tl.reshape(tl.arange(1, n + 1).to(self._parameter.dtype), (-1, *(1,) * (len(self.batch_shape) + 1)))
        chances = tl.exp(Binomial(n, probs=self.probs, validate_args=False).log_prob(counts))
        ways = tl.lgamma(tl.full((), n + 1.0, dtype=self._parameter.dtype))
        return n * own - ways + (chances * tl.lgamma(counts + 1)).sum(axis=(0, -1))
