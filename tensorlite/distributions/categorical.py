"""One of several classes: as a number, and as a vector with a 1 in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import Distribution, full_like, logits_of, one_of, probs_of, together
from tensorlite.random import Generator
from tensorlite.random.discrete import drawn_classes
from tensorlite.tensor import Tensor

__all__ = ["Categorical", "OneHotCategorical", "OneHotCategoricalStraightThrough"]


class Classes(Distribution):
    """What is parameterised by weights of classes: ``probs``, which are divided by their sum, or ``logits``."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        op = type(self).__name__
        one_of(op, probs, logits)
        name, given = ("logits", logits) if probs is None else ("probs", probs)
        weights, = together(op, **{name: given})
        if weights.ndim < 1:
            raise errors.complaint(errors.ShapeError, op, f"{name} must have an axis of classes", {name: given})
        self.__dict__[name] = (weights / weights.sum(axis=-1, keepdims=True) if name == "probs" else
                               weights - tl.logsumexp(weights, axis=-1, keepdims=True))
        super().__init__(*self._shapes(weights.shape), validate_args)

    def _shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return shape[:-1], ()

    @property
    def _parameter(self) -> Tensor:
        """The one that was given."""
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    def __getattr__(self, name: str) -> Tensor:
        if name == "probs" and "logits" in self.__dict__:
            return probs_of(self.__dict__["logits"])
        if name == "logits" and "probs" in self.__dict__:
            return logits_of(self.__dict__["probs"])
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def param_shape(self) -> tuple[int, ...]:
        """The shape of the parameter."""
        return self._parameter.shape

    def draw_classes(self, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
        """Classes, int64, in a shape before that of the batch."""
        probs = self.probs.detach()
        batch, classes = probs.shape[:-1], probs.shape[-1]
        rows = drawn_classes(tl.reshape(probs, (math.prod(batch), classes)), math.prod(shape), generator)
        return tl.reshape(rows.T, shape + batch)

    def entropy(self) -> Tensor:
        logits = tl.clip(self.logits, float(tl.finfo(self._parameter.dtype).min))
        return -(self.probs * logits).sum(axis=-1)


def _sample_shape(given: int | Sequence[int]) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)


class Categorical(Classes):
    """One of the classes ``0`` to ``k - 1``, with probabilities along the last axis.

    >>> import tensorlite as tl
    >>> tl.distributions.Categorical(tl.tensor([1.0, 3.0])).log_prob(tl.tensor([0, 1]))
    tensor([-1.3863, -0.2877])
    """

    has_enumerate_support = True

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self._parameter.shape[-1] - 1)

    @property
    def mean(self) -> Tensor:
        return full_like(self._parameter[..., 0], math.nan)

    @property
    def mode(self) -> Tensor:
        return tl.argmax(self._parameter, axis=-1)

    @property
    def variance(self) -> Tensor:
        return full_like(self._parameter[..., 0], math.nan)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self.draw_classes(_sample_shape(sample_shape), generator)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        index = value.to(tl.int64)
        shape = tl.broadcast_shapes(index.shape, self.batch_shape)
        logits = tl.broadcast_to(self.logits, (*shape, self._parameter.shape[-1]))
        return tl.take_along_axis(logits, tl.broadcast_to(index, shape)[..., None], axis=-1)[..., 0]

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = self._parameter.shape[-1]
        values = tl.reshape(tl.arange(count), (count, *(1,) * len(self.batch_shape)))
        return tl.broadcast_to(values, (count, *self.batch_shape)) if expand else values


class OneHotCategorical(Classes):
    """One of several classes, as a vector with a 1 in its place.

    >>> import tensorlite as tl
    >>> tl.distributions.OneHotCategorical(tl.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    has_enumerate_support = True
    support = constraints.one_hot

    def _shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return shape[:-1], shape[-1:]

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._vectors(tl.argmax(self._parameter, axis=-1))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _vectors(self, classes: Tensor) -> Tensor:
        return tl.one_hot(classes, self.event_shape[0]).to(self._parameter.dtype)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self._vectors(self.draw_classes(_sample_shape(sample_shape), generator))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return Categorical(logits=self.logits, validate_args=False).log_prob(tl.argmax(value, axis=-1))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = self.event_shape[0]
        values = tl.reshape(tl.eye(count, dtype=self._parameter.dtype), (count, *(1,) * len(self.batch_shape), count))
        return tl.broadcast_to(values, (count, *self.batch_shape, count)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """One-hot vectors whose derivatives go straight through to the probabilities (Bengio et al., 2013).

    >>> import tensorlite as tl
    >>> p = tl.tensor([0.5, 0.5], requires_grad=True)
    >>> tl.distributions.OneHotCategoricalStraightThrough(p).rsample().requires_grad
    True
    """

    has_rsample = True

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        probs = self.probs
        return self.sample(sample_shape, generator=generator) + (probs - probs.detach())
