"""Classes and trials relaxed to numbers that have derivatives, by Gumbel's numbers and a temperature.

Maddison, Mnih and Teh, "The concrete distribution", 2017; Jang, Gu and Poole, "Categorical reparameterization with
Gumbel-softmax", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.bernoulli import Binary
from tensorlite.distributions.categorical import Classes
from tensorlite.distributions.distribution import clamp_probs, open_unit
from tensorlite.distributions.transformed_distribution import TransformedDistribution
from tensorlite.distributions.transforms import ExpTransform, SigmoidTransform
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["ExpRelaxedCategorical", "LogitRelaxedBernoulli", "RelaxedBernoulli", "RelaxedOneHotCategorical"]


class LogitRelaxedBernoulli(Binary):
    """The logits of `RelaxedBernoulli`'s numbers.

    >>> import tensorlite as tl
    >>> tl.distributions.LogitRelaxedBernoulli(1.0, 0.5).log_prob(tl.tensor(0.0))
    tensor(-1.3863)
    """

    has_rsample = True
    support = constraints.real

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        u = open_unit(self._extended_shape(sample_shape), self._parameter, generator)
        probs = clamp_probs(self.probs)
        return (tl.log(u) - tl.log1p(-u) + tl.log(probs) - tl.log1p(-probs)) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        gap = self.logits - value * self.temperature
        return _log(self.temperature, value) + gap - 2 * tl.softplus(gap)


def _log(temperature: Any, like: Tensor) -> Tensor:
    return tl.log(temperature if isinstance(temperature, Tensor) else tl.full((), temperature, dtype=like.dtype))


class RelaxedBernoulli(TransformedDistribution):
    """Numbers of (0, 1) that are near 0 or 1 at low temperatures.

    >>> import tensorlite as tl
    >>> tl.distributions.RelaxedBernoulli(0.5, tl.tensor([0.1, 0.9])).rsample().shape
    (2,)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits, validate_args), SigmoidTransform(),
                         validate_args=validate_args)

    @property
    def temperature(self) -> Any:
        """How soft a choice is."""
        return self.base_dist.temperature

    @property
    def probs(self) -> Tensor:
        """The probability of 1."""
        return self.base_dist.probs

    @property
    def logits(self) -> Tensor:
        """The logarithm of its odds."""
        return self.base_dist.logits


class ExpRelaxedCategorical(Classes):
    """The logarithms of `RelaxedOneHotCategorical`'s vectors.

    >>> import tensorlite as tl
    >>> tl.distributions.ExpRelaxedCategorical(1.0, tl.ones(3)).rsample().exp().sum()
    tensor(1.)
    """

    has_rsample = True
    support = constraints.real_vector

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def _shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return shape[:-1], shape[-1:]

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        drawn = tl.random.gumbel(size=self._extended_shape(sample_shape), dtype=self._parameter.dtype,
                                 generator=generator)
        scores = (self.logits + drawn) / self.temperature
        return scores - tl.logsumexp(scores, axis=-1, keepdims=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        k = self.event_shape[0]
        score = self.logits - value * self.temperature
        score = (score - tl.logsumexp(score, axis=-1, keepdims=True)).sum(axis=-1)
        return score + tl.lgamma(tl.full((), float(k), dtype=value.dtype)) + (k - 1) * _log(self.temperature, value)


class RelaxedOneHotCategorical(TransformedDistribution):
    """Vectors of shares that are near a class's vector at low temperatures.

    >>> import tensorlite as tl
    >>> tl.distributions.RelaxedOneHotCategorical(0.5, logits=tl.zeros((4, 3))).rsample().shape
    (4, 3)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        super().__init__(ExpRelaxedCategorical(temperature, probs, logits, validate_args), ExpTransform(),
                         validate_args=validate_args)

    @property
    def temperature(self) -> Any:
        """How soft a choice is."""
        return self.base_dist.temperature

    @property
    def probs(self) -> Tensor:
        """The probabilities of the classes."""
        return self.base_dist.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self.base_dist.logits
