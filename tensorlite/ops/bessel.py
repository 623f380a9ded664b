"""Modified Bessel functions of the first kind, and what goes with the normal distribution: erfcx, ndtri, log_ndtr.

Their approximations, with the errors that they keep to, are in `kernels/scalar/approx_bessel.py` and
`approx_normal.py`.
"""

from __future__ import annotations

import math

from tensorlite.declare import elementwise
from tensorlite.kernels import scalar as s

__all__ = ["erfcx", "i0", "i0e", "i1", "i1e", "log_ndtr", "ndtri"]


@elementwise(autocast="wide", accepts="real floating")
def i0(x):
    """The modified Bessel function of the first kind of order 0."""
    return s.i0(x)


@elementwise(autocast="wide", accepts="real floating", hidden=True, domain={"x": (0.1, 3.0)})
def i0e(x):
    """`i0` over ``exp(|x|)``, which does not overflow."""
    return s.i0e(x)


@elementwise(autocast="wide", accepts="real floating", hidden=True)
def i1(x):
    """The modified Bessel function of the first kind of order 1."""
    return s.i1(x)


@elementwise(autocast="wide", accepts="real floating", hidden=True, domain={"x": (0.1, 3.0)})
def i1e(x):
    """`i1` over ``exp(|x|)``, which does not overflow."""
    return s.i1e(x)


@elementwise(autocast="wide", accepts="real floating", hidden=True)
def erfcx(x):
    """``exp(x**2) * erfc(x)``, which does not underflow for large numbers."""
    return s.erfcx(x)


@elementwise(autocast="wide", accepts="real floating", hidden=True, domain={"x": (0.1, 0.9)})
def ndtri(x):
    """The inverse of `ndtr`, accurate for small shares: -inf at 0, inf at 1, NaN beyond."""
    return s.ndtri(x)


def _log_ndtr_vjp(g, x):
    """The density over the distribution function, each side in the form that neither over- nor underflows."""
    below = math.sqrt(2 / math.pi) / s.erfcx(s.where(x < 0, x, 0) * -math.sqrt(0.5))
    above = math.sqrt(0.5 / math.pi) * s.exp(x * x * -0.5) / (1 - 0.5 * s.erfc(s.where(x < 0, 0, x) * math.sqrt(0.5)))
    return g * s.where(x < 0, below, above)


@elementwise(autocast="wide", accepts="real floating", hidden=True, vjp={"x": _log_ndtr_vjp})
def log_ndtr(x):
    """The logarithm of `ndtr`, accurate far below 0."""
    argument = x * math.sqrt(0.5)
    below = s.log(0.5 * s.erfcx(-s.minimum(argument, 0))) - argument * argument
    return s.where(x < -1, below, s.log1p(-0.5 * s.erfc(argument)))
