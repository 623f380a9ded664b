"""The gamma distribution function, and how fast a number moves with its concentration: a draw's implicit derivative.

With the distribution function ``F(x; a)`` and density ``p``, a number that stays at its quantile moves by
``dx/da = -(dF/da) / p`` (Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018). Under the
integral, with ``t = x exp(s)``, the gamma function cancels, and so does nearly all that could lose accuracy:

    dx/da = -x * integral of exp(a s - x (exp(s) - 1)) (log x - digamma(a) + s) over s < 0
          = +x * the same over s > 0

The first form is taken below ``a`` and the second above it: then the exponent falls from 0 on, the factor hardly
changes its sign, and Gauss and Legendre's rule on the part where the exponent is above ``-reach`` converges fast. Below
``x = 1.5``, ``dx/da`` is had of that for ``a + 2`` by ``rate(a) = x/a (rate(a + 1) + digamma(a + 1) - log x)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tensorlite.ops.creation import place
from tensorlite.ops.elementwise import abs, exp, expm1, log, log1p, maximum, minimum, sqrt, where
from tensorlite.ops.manipulation import expand_dims
from tensorlite.ops.reduce import sum as total
from tensorlite.ops.shape import astype
from tensorlite.ops.special import digamma, lgamma
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float64

_SMALL = 1.5


@dataclass(frozen=True, slots=True)
class Precision:
    """How many nodes the rule has, and where the integrand is cut off: ``exp(-reach)``."""

    nodes: int
    reach: float


#: Relative errors for concentrations from 1e-3 to 1e4 and quantiles from 1e-8 to 1 - 1e-8: below 2e-7 and 2e-13.
_NARROW, _WIDE = Precision(16, 23.0), Precision(32, 37.0)


def gamma_rate(concentration: Tensor, x: Tensor) -> Tensor:
    """``dx/da`` of gamma numbers of scale 1; it has derivatives of its own, of every order."""
    a, x, small, shape, precision = _prepared(concentration, x)
    logarithm, slope = log(x), digamma(shape)
    end, found = _integral(shape, x, precision, logarithm - slope)
    found = x * end * found
    above = x / (a + 1) * (found + slope - logarithm)
    stepped = x / a * (above + slope - 1 / (a + 1) - logarithm)
    return astype(where(small, stepped, found), concentration.dtype, copy=False)


def gamma_share(concentration: Tensor, x: Tensor) -> Tensor:
    """The distribution function of gamma numbers of scale 1: the regularised lower incomplete gamma function.

    By the same integral without the factor, and below ``x = 1.5`` by ``F(a) = F(a + 1) + x**a exp(-x) / gamma(a + 1)``.
    """
    return gamma_shares(concentration, x)[0]


def gamma_shares(concentration: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The regularised incomplete gamma functions, the lower and the upper one, whose sum is 1: both keep their digits.

    The upper one loses some where the concentration is below 1 and ``x`` below 1.5: its error there is below 2e-14.
    """
    positive = x > 0
    a, x, small, shape, precision = _prepared(concentration, x)
    end, found = _integral(shape, x, precision)
    part = gamma_term(shape, x) * abs(end) * found
    under = end < 0
    more = where(small, gamma_term(a, x) / a + gamma_term(a + 1, x) / (a + 1), 0.0)
    lower, upper = where(under, part, 1 - part) + more, where(under, 1 - part, part) - more
    return (astype(where(positive, lower, 0.0), concentration.dtype, copy=False),
            astype(where(positive, upper, 1.0), concentration.dtype, copy=False))


#: The series of Stirling's formula: what ``lgamma(a)`` has more than ``(a - 1/2) log(a) - a + log(2 pi) / 2``.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def gamma_term(a: Tensor, x: Tensor) -> Tensor:
    """``x**a exp(-x) / gamma(a)``: for large ``a`` by Stirling's formula, in which large logarithms cancel first."""
    large = a > 16
    wide = where(large, a, 16.0)
    rest, square = 0.0 * wide, 1 / (wide * wide)
    for factor in reversed(_STIRLING):
        rest = rest * square + factor
    gap = (x - wide) / wide
    far = wide * (log1p(where(large, gap, 0.0)) - where(large, gap, 0.0)) - rest / wide
    return where(large, exp(far) * sqrt(wide * (1 / (2 * np.pi))), exp(a * log(x) - x - lgamma(a)))


def _prepared(concentration: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Precision]:
    """Both in float64, where ``x`` is small, and the concentration to integrate for."""
    precision = _WIDE if concentration.dtype == float64 else _NARROW
    a = astype(concentration, float64, copy=False)
    x = maximum(astype(x, float64, copy=False), float(np.finfo(np.float64).tiny))
    small = x < _SMALL
    return a, x, small, where(small, a + 2, a), precision


def _integral(a: Tensor, x: Tensor, precision: Precision, offset: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Where the integral ends, a constant to derivatives, which see the integrand alone, and the mean up to there."""
    nodes, weights = (Tensor(place(array, a.device)) for array in unit_rule(precision.nodes))
    end = _end(a.detach(), x.detach(), precision.reach)
    s = expand_dims(end, -1) * nodes
    integrand = weights * exp(expand_dims(a, -1) * s - expand_dims(x, -1) * expm1(s))
    if offset is not None:
        integrand = integrand * (expand_dims(offset, -1) + s)
    return end, total(integrand, axis=-1)


@cache
def unit_rule(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of Gauss and Legendre's rule on the unit interval, and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def _end(a: Tensor, x: Tensor, reach: float) -> Tensor:
    """Where ``a s - x (exp(s) - 1)`` has fallen to about ``-reach``: below 0 for ``x <= a``, else above."""
    gap = a - x
    far = (reach + x) / a
    near = 2 * reach / (maximum(gap, 0.0) + sqrt(gap * gap + 4 / 3 * reach * x))
    down = where(near <= 1, minimum(far, near), far)
    for _ in range(3):  # Newton's steps from beyond the root of a convex function stay beyond it
        rest = exp(-down)
        down = down - (a * down - x * (1 - rest) - reach) / (a - x * rest)
    up = 2 * reach / (maximum(-gap, 0.0) + sqrt(gap * gap + 2 * reach * x))
    for _ in range(2):
        up = log1p((reach + a * up) / x)
    return where(gap >= 0, -down, up)
