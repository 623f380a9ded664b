"""remainder and floor_divide in float64, exact: long division in base 2**50.

``|x| = u 2**m`` and ``|y| = v 2**n`` with u and v in [1, 2); a rest times 2**50 leaves another one, until ``m - n``
bits are used. A quotient is taken by the reciprocal of v and rounded to the nearest integer, off by 1/4 at most before:
it leaves a rest within 3/4 v of either sign, a multiple of 2**-52 within 2 in size, so that every fused step is exact.
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import DOUBLE, power_of_2
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr, Operand
from tensorlite.kernels.scalar.typing import FLOAT64

_BITS = 50
_STEPS = 41  # 1023 + 1074 bits at most, in the first step fewer than 50

_MAGIC = np.float64(DOUBLE.magic).view(np.int64).item()


def _split(size: Expr) -> tuple[Expr, Expr]:
    """Return u and m, both floats, of a positive finite number."""
    tiny = size < 2.0**-1022
    bits = a.bitcast(size * a.where(tiny, 2.0**60, 1.0), np.int64)
    exponent = a.bitcast((bits >> 52) + _MAGIC, np.float64) - (DOUBLE.magic + 1023)  # AVX2 converts no such integers
    fraction = a.bitcast((bits & ((1 << 52) - 1)) | (1023 << 52), np.float64)
    return fraction, exponent - a.where(tiny, 60.0, 0.0)


def _power(exponent: Expr) -> Expr:
    """2**exponent for a whole float of a normal number's exponent."""
    return power_of_2(a.bitcast(exponent + DOUBLE.magic, np.int64) - _MAGIC, DOUBLE)


def _step(rest: Expr, scale: Operand, divisor: Expr, inverse: Expr) -> Expr:
    """A number of the same rest by the divisor as ``rest * scale``; nothing but the last product waits for another."""
    return a.fma(-a.round_(rest * (scale * inverse)), divisor, rest * scale)


def _fmod(x: Expr, y: Expr) -> Expr:
    """|x| modulo |y|."""
    size, base = abs(x), abs(y)
    (u, m), (v, n) = _split(size), _split(base)
    inverse = 1 / v
    digits = a.floor((m - n) * (1 / _BITS) + 0.005)  # a whole number of digits, and fewer than 50 bits more
    rest = _step(u, _power(a.where(m < n, 0.0, m - n - digits * _BITS)), v, inverse)
    for digit in range(1, _STEPS + 1):
        rest = _step(rest, a.where(digits < digit, 1.0, 2.0**_BITS), v, inverse)
    rest = a.where(rest < 0, rest + v, rest)
    scaled = rest * _power(a.where(n < -960, n + 120, n)) * a.where(n < -960, 2.0**-120, 1.0)
    within = a.where(size < base, size, scaled)
    return a.where((size < math.inf) & (base > 0), within, math.nan)


def _signed_fmod(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """Return fmod with the sign of x, and whether it needs y added to get the sign of y."""
    rest = a.where(a.isnan(y), y, a.copysign(_fmod(x, y), x))
    return rest, a.not_equal(rest, 0) & a.not_equal(rest < 0, y < 0)


@define("remainder", FLOAT64)
def _remainder(x: Expr, y: Expr) -> Expr:
    """``x - floor(x / y) y`` with the sign of y, as in Python; a zero has the sign of y."""
    rest, crosses = _signed_fmod(x, y)
    return a.where(crosses, rest + y, a.where(a.equal(rest, 0), a.copysign(rest, y), rest))


@define("floor_divide", FLOAT64)
def _floor_divide(x: Expr, y: Expr) -> Expr:
    """``floor(x / y)`` of the exact quotient; ``x / y`` where y is 0."""
    rest, crosses = _signed_fmod(x, y)
    quotient = (x - rest) / y - a.where(crosses, 1, 0)
    below = a.floor(quotient)
    whole = below + a.where(quotient - below > 0.5, 1, 0)
    signed = a.where(a.equal(quotient, 0), a.copysign(0.0, x / y), whole)
    return a.where(a.equal(y, 0), x / y, signed)
