"""Distributions of transformed numbers, and of events of several numbers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import Distribution, sum_rightmost
from tensorlite.distributions.transforms import ComposeTransform, Transform
from tensorlite.random import Generator
from tensorlite.tensor import Tensor

__all__ = ["Independent", "TransformedDistribution"]


class Independent(Distribution):
    """A distribution of which the last batch axes are one event.

    >>> import tensorlite as tl
    >>> normal = tl.distributions.Normal(tl.zeros((2, 3)), 1.0)
    >>> tl.distributions.Independent(normal, 1).log_prob(tl.zeros((2, 3))).shape
    (2,)
    """

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int,
                 validate_args: bool | None = None) -> None:
        if not 0 <= reinterpreted_batch_ndims <= len(base_distribution.batch_shape):
            raise errors.complaint(errors.ShapeError, "Independent", f"{reinterpreted_batch_ndims} axes cannot be "
                                   f"taken of batch shape {list(base_distribution.batch_shape)}")
        shape = base_distribution.batch_shape + base_distribution.event_shape
        cut = len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        super().__init__(shape[:cut], shape[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_enumerate_support and not self.reinterpreted_batch_ndims

    @property
    def support(self) -> Constraint | None:
        base = self.base_dist.support
        return None if base is None else constraints.independent(base, self.reinterpreted_batch_ndims)

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def expand(self, batch_shape: Sequence[int]) -> Self:
        made = copy.copy(self)
        made._batch_shape = tuple(batch_shape)
        made.base_dist = self.base_dist.expand((*batch_shape, *self.event_shape[:self.reinterpreted_batch_ndims]))
        return made

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self.base_dist.rsample(sample_shape, generator=generator)

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self.base_dist.sample(sample_shape, generator=generator)

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        if self.reinterpreted_batch_ndims:
            raise self._lacks("enumerate_support over several axes")
        return self.base_dist.enumerate_support(expand)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Distribution):
    """The distribution of ``transform(x)`` where ``x`` has another one; several transforms follow each other.

    >>> import tensorlite as tl
    >>> d = tl.distributions
    >>> logistic = d.TransformedDistribution(d.Uniform(0.0, 1.0), d.SigmoidTransform().inv)
    >>> logistic.log_prob(tl.tensor(0.0))
    tensor(-1.3863)
    """

    def __init__(self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        wrong = next((t for t in self.transforms if not isinstance(t, Transform)), None)
        if wrong is not None:
            raise errors.complaint(errors.DTypeError, "TransformedDistribution", "transforms must be transforms, not "
                                   f"{type(wrong).__name__}")
        whole = ComposeTransform(self.transforms)
        shape = base_distribution.batch_shape + base_distribution.event_shape
        forward = whole.forward_shape(shape)
        expanded = whole.inverse_shape(forward)
        event = len(base_distribution.event_shape)
        if expanded != shape:
            base_distribution = base_distribution.expand(expanded[:len(expanded) - event])
        more = whole.domain.event_dim - event
        if more > 0:
            base_distribution = Independent(base_distribution, more)
        self.base_dist: Any = base_distribution
        cut = len(forward) - (whole.codomain.event_dim + max(event - whole.domain.event_dim, 0))
        super().__init__(forward[:cut], forward[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint | None:
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        return constraints.independent(last, max(len(self.event_shape) - last.event_dim, 0))

    def expand(self, batch_shape: Sequence[int]) -> Self:
        made = super().expand(batch_shape)
        shape = ComposeTransform(self.transforms).inverse_shape(made._batch_shape + self._event_shape)
        made.base_dist = self.base_dist.expand(shape[:len(shape) - len(self.base_dist.event_shape)])
        return made

    def _forward(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        return self._forward(self.base_dist.rsample(sample_shape, generator=generator))

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        with tl.no_grad():
            return self._forward(self.base_dist.sample(sample_shape, generator=generator))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        event_dim, found = len(self.event_shape), None
        for transform in reversed(self.transforms):
            before = transform.inv(value)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            slope = sum_rightmost(transform.log_abs_det_jacobian(before, value), event_dim - transform.domain.event_dim)
            found = -slope if found is None else found - slope
            value = before
        base = sum_rightmost(self.base_dist.log_prob(value), event_dim - len(self.base_dist.event_shape))
        return base if found is None else base + found

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._flipped(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forward(self.base_dist.icdf(self._flipped(value)))

    def _flipped(self, share: Tensor) -> Tensor:
        """The share from the other side where the transforms fall."""
        sign = ComposeTransform(self.transforms).sign
        if isinstance(sign, Tensor):
            return tl.where(sign < 0, 1 - share, share)
        return 1 - share if sign < 0 else share

    def __repr__(self) -> str:
        shown = super().__repr__()
        return shown if type(self) is not TransformedDistribution else (
            f"TransformedDistribution({self.base_dist}, {self.transforms})")
