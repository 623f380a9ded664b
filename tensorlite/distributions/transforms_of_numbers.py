"""Transforms of single numbers."""

from __future__ import annotations

import math
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import sum_rightmost
from tensorlite.distributions.transform import Shape, Transform
from tensorlite.tensor import Tensor

__all__ = ["AbsTransform", "AffineTransform", "CumulativeDistributionTransform", "ExpTransform", "PowerTransform",
           "SigmoidTransform", "SoftplusTransform", "TanhTransform"]


class ExpTransform(Transform):
    """``exp(x)``."""

    bijective = True
    codomain = constraints.positive

    def __call__(self, x: Tensor) -> Tensor:
        return tl.exp(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """``x ** exponent`` of positive numbers."""

    bijective = True
    domain = codomain = constraints.positive

    def __init__(self, exponent: Any) -> None:
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        return tl.sign(self.exponent) if isinstance(self.exponent, Tensor) else math.copysign(1.0, self.exponent)

    def __call__(self, x: Tensor) -> Tensor:
        return tl.pow(x, self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.pow(y, 1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return tl.log(tl.abs(self.exponent * y / x))

    def forward_shape(self, shape: Shape) -> Shape:
        return tl.broadcast_shapes(shape, getattr(self.exponent, "shape", ()))

    inverse_shape = forward_shape


class SigmoidTransform(Transform):
    """The logistic function; the way back stays finite at 0 and 1."""

    bijective = True
    codomain = constraints.unit_interval

    def __call__(self, x: Tensor) -> Tensor:
        info = tl.finfo(x.dtype)
        return tl.clip(tl.sigmoid(x), float(info.smallest_normal), 1 - float(info.eps))

    def _inverse(self, y: Tensor) -> Tensor:
        info = tl.finfo(y.dtype)
        y = tl.clip(y, float(info.smallest_normal), 1 - float(info.eps))
        return tl.log(y) - tl.log1p(-y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -tl.softplus(-x) - tl.softplus(x)


class TanhTransform(Transform):
    """The hyperbolic tangent."""

    bijective = True
    codomain = constraints.interval(-1.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        return tl.tanh(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * (math.log(2) - x - tl.softplus(-2 * x))


class SoftplusTransform(Transform):
    """``log(1 + exp(x))``."""

    bijective = True
    codomain = constraints.positive

    def __call__(self, x: Tensor) -> Tensor:
        return tl.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.log(-tl.expm1(-y)) + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -tl.softplus(-x)


class AbsTransform(Transform):
    """``abs(x)``, of which the way back is the positive one."""

    codomain = constraints.nonnegative

    def __call__(self, x: Tensor) -> Tensor:
        return tl.abs(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """``loc + scale * x``; the last ``event_dim`` axes are one event."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0) -> None:
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, self.event_dim)

    codomain = domain

    @property
    def sign(self) -> Any:
        return tl.sign(self.scale) if isinstance(self.scale, Tensor) else math.copysign(1.0, self.scale)

    def __call__(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        scale = self.scale if isinstance(self.scale, Tensor) else tl.full((), self.scale, dtype=x.dtype)
        slope = tl.log(tl.abs(scale))
        shape = tl.broadcast_shapes(x.shape, slope.shape)
        return sum_rightmost(tl.broadcast_to(slope, shape), self.event_dim)

    def forward_shape(self, shape: Shape) -> Shape:
        return tl.broadcast_shapes(shape, getattr(self.loc, "shape", ()), getattr(self.scale, "shape", ()))

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """A distribution's `cdf`, which makes its numbers even ones."""

    bijective = True
    codomain = constraints.unit_interval

    def __init__(self, distribution: Any) -> None:
        self.distribution = distribution

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return self.distribution.support or constraints.real

    def __call__(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)
