"""pow, cbrt, hypot.

In float32 ``x**y = exp(y log x)`` in float64, good to 2**-33 before it is rounded; float64 is in
``approx_power_double.py``.
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import clamp
from tensorlite.kernels.scalar.approx_exp import fast_exp
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64


def _log_of_size(x: Expr) -> Expr:
    """log |x| in float64; -inf at 0, inf at infinity."""
    return a.log(abs(a.cast(x, np.float64)))


@define("pow", FLOAT32, ulp=0.6)
def _pow(x: Expr, y: Expr) -> Expr:
    exponent = a.cast(y, np.float64)
    return signed_power(x, y, a.cast(fast_exp(clamp(exponent * _log_of_size(x), -120.0, 100.0)), np.float32))


def signed_power(x: Expr, y: Expr, size: Expr) -> Expr:
    """Return x**y where ``size`` is |x|**y, as IEEE 754 has it for zeros, infinities, NaN and negative x."""
    whole = a.equal(a.floor(y), y)
    half = 0.5 * y
    odd = whole & a.not_equal(a.floor(half), half)
    signed = a.where(odd, a.copysign(size, x), size)
    valued = a.where((x < 0) & (x > -math.inf) & ~whole, math.nan, signed)
    one = a.equal(x, 1) | a.equal(y, 0) | (a.equal(x, -1) & a.equal(abs(y), math.inf))
    return a.where(one, 1.0, valued)


def _rough_cbrt(x: Expr) -> Expr:
    """|x|**(1/3) in float64, to 2**-38."""
    return fast_exp(_log_of_size(x) * (1 / 3))


def _same_at_the_ends(x: Expr, value: Expr) -> Expr:
    return a.where(a.equal(x, 0) | a.equal(abs(x), math.inf), x, a.copysign(value, x))


@define("cbrt", FLOAT32, ulp=0.6)
def _cbrt(x: Expr) -> Expr:
    return _same_at_the_ends(x, a.cast(_rough_cbrt(x), np.float32))


@define("cbrt", FLOAT64, ulp=1.0)
def _cbrt_double(x: Expr) -> Expr:
    """One Newton step with a fused residual after an estimate of 38 bits; scaled where the residual would underflow."""
    tiny = abs(x) < 2.0**-900
    size = abs(x) * a.where(tiny, 2.0**300, 1.0)
    root = _rough_cbrt(size)
    square = root * root
    exact = a.fma(a.fma(square, root, -size), -1 / (3 * square), root)
    return _same_at_the_ends(x, exact * a.where(tiny, 2.0**-100, 1.0))


@define("hypot", FLOAT32, ulp=0.6)
def _hypot(x: Expr, y: Expr) -> Expr:
    wide, high = a.cast(x, np.float64), a.cast(y, np.float64)
    return _infinite_beside(x, y, a.cast(a.sqrt(a.fma(wide, wide, high * high)), np.float32))


@define("hypot", FLOAT64, ulp=1.5)
def _hypot_double(x: Expr, y: Expr) -> Expr:
    """Scaled by a power of 2 where a square would leave the range."""
    size = a.maximum(abs(x), abs(y))
    huge, tiny = size > 2.0**500, size < 2.0**-500
    wide, high = (part * a.where(huge, 2.0**-600, a.where(tiny, 2.0**600, 1.0)) for part in (x, y))
    root = a.sqrt(a.fma(wide, wide, high * high))
    return _infinite_beside(x, y, root * a.where(huge, 2.0**600, a.where(tiny, 2.0**-600, 1.0)))


def _infinite_beside(x: Expr, y: Expr, value: Expr) -> Expr:
    """Infinity wherever an operand is infinite, beside NaN too."""
    return a.where(a.equal(abs(x), math.inf) | a.equal(abs(y), math.inf), math.inf, value)
