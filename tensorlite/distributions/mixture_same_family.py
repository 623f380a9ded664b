"""Mixtures: one of several distributions of a family, chosen at random."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions.categorical import Categorical
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import Distribution
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Draws from the component that a `Categorical` chooses; components lie along their last batch axis.

    >>> import tensorlite as tl
    >>> d = tl.distributions
    >>> pair = d.MixtureSameFamily(d.Categorical(tl.ones(2)), d.Normal(tl.tensor([-1.0, 1.0]), 0.5))
    >>> pair.variance
    tensor(1.25)
    """

    def __init__(self, mixture_distribution: Categorical, component_distribution: Distribution,
                 validate_args: bool | None = None) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise errors.complaint(errors.DTypeError, "MixtureSameFamily", "mixture_distribution must be a "
                                   f"Categorical, not {type(mixture_distribution).__name__}")
        if not isinstance(component_distribution, Distribution):
            raise errors.complaint(errors.DTypeError, "MixtureSameFamily", "component_distribution must be a "
                                   f"distribution, not {type(component_distribution).__name__}")
        count, batch = mixture_distribution.param_shape[-1], component_distribution.batch_shape
        own = mixture_distribution.batch_shape
        fits = len(batch) >= 1 and batch[-1] == count and len(own) <= len(batch) - 1 and all(
            1 in (a, b) or a == b for a, b in zip(reversed(own), reversed(batch[:-1]), strict=False))
        if not fits:
            raise errors.complaint(errors.ShapeError, "MixtureSameFamily", f"{count} classes of batch shape "
                                   f"{list(own)} do not choose from components of batch shape {list(batch)}")
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    @property
    def support(self) -> Constraint | None:
        """What values fulfil: of bounds that differ between components, nothing is asked."""
        found = self.component_distribution.support
        return found if found is None or "its bound" not in found.says else None

    def expand(self, batch_shape: Sequence[int]) -> Self:
        made = copy.copy(self)
        made._batch_shape = tuple(batch_shape)
        made.component_distribution = self.component_distribution.expand(
            (*batch_shape, self.component_distribution.batch_shape[-1]))
        made.mixture_distribution = self.mixture_distribution.expand(batch_shape)
        return made

    def _padded(self, x: Tensor) -> Tensor:
        """A value with an axis for the components."""
        return tl.expand_dims(x, -1 - len(self.event_shape))

    def _shares(self) -> Tensor:
        """The probabilities of the components, in front of the axes of an event."""
        probs = self.mixture_distribution.probs
        return tl.reshape(probs, (*probs.shape, *(1,) * len(self.event_shape)))

    def _mean_of(self, x: Tensor) -> Tensor:
        return (self._shares() * x).sum(axis=-1 - len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self._mean_of(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        between = tl.square(self.component_distribution.mean - self._padded(self.mean))
        return self._mean_of(self.component_distribution.variance + between)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return (self.component_distribution.cdf(self._padded(value)) * self.mixture_distribution.probs).sum(axis=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        each = self.component_distribution.log_prob(self._padded(value))
        logits = self.mixture_distribution.logits
        return tl.logsumexp(each + logits - tl.logsumexp(logits, axis=-1, keepdims=True), axis=-1)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        shape = self._extended_shape(sample_shape)
        batch = shape[:len(shape) - len(self.event_shape)]
        chosen = self.mixture_distribution.expand(self.batch_shape).sample(sample_shape, generator=generator)
        drawn = self.component_distribution.sample(sample_shape, generator=generator)
        index = tl.reshape(chosen, (*batch, 1, *(1,) * len(self.event_shape)))
        index = tl.broadcast_to(index, (*batch, 1, *self.event_shape))
        axis = len(batch)
        return tl.reshape(tl.take_along_axis(drawn, index, axis=axis), shape)

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self.mixture_distribution}, {self.component_distribution})"
