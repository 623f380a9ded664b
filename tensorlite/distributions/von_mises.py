"""Angles around a direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite.distributions import constraints
from tensorlite.distributions.distribution import Distribution, together
from tensorlite.random import Generator
from tensorlite.random.gamma_rate import unit_rule
from tensorlite.tensor import Tensor

__all__ = ["VonMises"]

_NODES = 48
_REACH = 40.0


def _bessel(concentration: Tensor) -> tuple[Tensor, Tensor]:
    """``I0(k) exp(-k)`` and ``I1(k) exp(-k)``: means of ``exp(k (cos t - 1))``, the second with the factor ``cos t``.

    By Gauss and Legendre's rule where the integrand is above ``exp(-40)``; relative errors are below 2e-14 in float64.
    """
    nodes, weights = (tl.asarray(a, dtype=concentration.dtype) for a in unit_rule(_NODES))
    far = _REACH / (2 * tl.maximum(concentration.detach(), _REACH / 2))
    end = 2 * tl.asin(tl.sqrt(far))
    square = tl.square(tl.sin(end[..., None] * nodes / 2))
    integrand = weights * tl.exp(-2 * concentration[..., None] * square)
    width = end / math.pi
    return width * integrand.sum(axis=-1), width * (integrand * (1 - 2 * square)).sum(axis=-1)


class VonMises(Distribution):
    """Angles of [-pi, pi), as dense as ``exp(concentration * cos(x - loc))``; draws are rejected, without derivatives.

    >>> import tensorlite as tl
    >>> tl.distributions.VonMises(0.0, 1.0).log_prob(tl.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = together("VonMises", loc=loc, concentration=concentration)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        zeroth, first = _bessel(self.concentration)
        return 1 - first / zeroth

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        with tl.no_grad():
            return tl.random.vonmises(self.loc, self.concentration, self._extended_shape(sample_shape),
                                      generator=generator)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        near = self.concentration * (tl.cos(value - self.loc) - 1)
        return near - math.log(2 * math.pi) - tl.log(_bessel(self.concentration)[0])
