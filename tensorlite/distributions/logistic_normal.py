"""Normal numbers as shares of one more."""

from __future__ import annotations

from typing import Any

from tensorlite import errors
from tensorlite.distributions.normal import Normal
from tensorlite.distributions.transformed_distribution import TransformedDistribution
from tensorlite.distributions.transforms import StickBreakingTransform
from tensorlite.tensor import Tensor

__all__ = ["LogisticNormal"]


class LogisticNormal(TransformedDistribution):
    """Shares that normal numbers break off a stick: vectors of one more, with a sum of 1.

    Atchison and Shen, "Logistic-normal distributions", 1980, with `StickBreakingTransform` in place of the softmax.

    >>> import tensorlite as tl
    >>> shares = tl.distributions.LogisticNormal(tl.zeros(3), 1.0)
    >>> shares.event_shape, shares.log_prob(tl.full(4, 0.25))
    ((4,), tensor(2.7884))
    """

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        if not base.batch_shape:
            raise errors.complaint(errors.ShapeError, "LogisticNormal", "loc and scale are numbers, where events "
                                   "are vectors", None, "give one of them an axis")
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The means of the normal numbers."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """Their standard deviations."""
        return self.base_dist.scale
