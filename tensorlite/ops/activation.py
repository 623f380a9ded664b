"""Activations that take options; those without are in `elementwise`."""

from __future__ import annotations

from tensorlite.declare import elementwise
from tensorlite.kernels import scalar as s


@elementwise(accepts="real floating", hidden=True, domain={"slope": (0.01, 0.3)})
def leaky_relu_by(x, slope):
    """``x`` above 0, else ``slope * x``; the derivative at 0 is the slope."""
    return s.where(x > 0, x, x * slope)


@elementwise(accepts="real floating", hidden=True, domain={"alpha": (0.5, 2.0)},
             vjp={"x": lambda g, y, x, alpha: s.where(x > 0, g, g * (y + alpha))})
def elu_by(x, alpha):
    """``x`` above 0, else ``alpha * (exp(x) - 1)``."""
    return s.where(x > 0, x, alpha * s.expm1(x))


@elementwise(accepts="real floating", hidden=True, domain={"beta": (0.5, 2.0), "threshold": (20.0, 30.0)},
             vjp={"x": lambda g, x, beta, threshold: s.where(x * beta > threshold, g, g / (1 + s.exp(-x * beta)))})
def softplus_by(x, beta, threshold):
    """``log(1 + exp(beta * x)) / beta``, or ``x`` where ``beta * x`` is above the threshold."""
    return s.where(x * beta > threshold, x, (s.maximum(x * beta, 0) + s.log1p(s.exp(-s.abs(x * beta)))) / beta)
