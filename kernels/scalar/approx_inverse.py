"""asin, acos, atan, atan2, and the inverse hyperbolic functions.

Coefficients: minimax of the relative error (Remez in mpmath, 60 digits).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import DOUBLE, SINGLE, Format, polynomial
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Atom, Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_PI_TAIL = 1.2246467991473532e-16  # pi - float64(pi)


@dataclass(frozen=True)
class _Inverse:
    form: Format
    atan: tuple[float, ...]  # (atan(t) / t - 1) / t**2 in t**2, |t| <= 1
    asin: tuple[float, ...]  # (asin(t) / t - 1) / t**2 in t**2, |t| <= 1/2

    def pi_minus(self, x: Expr, turns: float) -> Expr:
        """Return ``turns pi - x``, pi being known to twice the precision."""
        high, low = self.form.split(math.pi, _PI_TAIL)
        return high * turns + (low * turns - x)


_SINGLE = _Inverse(
    SINGLE,
    atan=(
        -0.33333298563957214,
        0.1999852955341339,
        -0.1426401436328888,
        0.10950861126184464,
        -0.08399207890033722,
        0.05787887051701546,
        -0.0310935340821743,
        0.010866271331906319,
        -0.0017821441871821879,
    ),
    asin=(
        0.16666659712791443,
        0.07500521838665009,
        0.04451338201761246,
        0.03183882683515549,
        0.014317220076918602,
        0.03769061714410782,
    ),
)
_DOUBLE = _Inverse(
    DOUBLE,
    atan=(
        -0.3333333333333307,
        0.19999999999951462,
        -0.14285714282575146,
        0.11111111007027065,
        -0.09090907003004448,
        0.07692279839418173,
        -0.06666404058453164,
        0.058805278193569364,
        -0.05253518573349696,
        0.047223222874799124,
        -0.04219179149308782,
        0.03664191509235765,
        -0.029903865548787906,
        0.021984862627344743,
        -0.01390056947441427,
        0.007196510330119331,
        -0.0028849224028434923,
        0.000831323338779242,
        -0.00015216120922907444,
        1.3225112029645844e-05,
    ),
    asin=(
        0.16666666666665403,
        0.07500000000338782,
        0.044642856826809414,
        0.030381959201754405,
        0.022371756451184336,
        0.017359729506389435,
        0.013884985371927136,
        0.012170888671799468,
        0.006520579068192619,
        0.019548880592760783,
        -0.01625716784682502,
        0.03193520565687522,
    ),
)


def _atan_of_fraction(t: Expr, e: _Inverse) -> Expr:
    z = t * t
    return a.fma(t * z, polynomial(z, e.atan), t)


def _atan(x: Expr, e: _Inverse) -> Expr:
    size = abs(x)
    steep = size > 1
    t = _atan_of_fraction(a.where(steep, 1.0, size) / a.where(steep, size, 1.0), e)
    return a.copysign(a.where(steep, e.pi_minus(t, 0.5), t), x)


def _atan2(y: Expr, x: Expr, e: _Inverse) -> Expr:
    up, right = abs(y), abs(x)
    small, large = a.minimum(up, right), a.maximum(up, right)
    ratio = small / a.where(a.equal(large, 0), 1.0, large)
    t = _atan_of_fraction(a.where(a.logical_and(a.equal(up, math.inf), a.equal(right, math.inf)), 1.0, ratio), e)
    t = a.where(up > right, e.pi_minus(t, 0.5), t)
    return a.copysign(a.where(a.signbit(x), e.pi_minus(t, 1.0), t), y)


def _asin_of_half(size: Expr, e: _Inverse) -> tuple[Expr, Expr]:
    """Return whether 1/2 < size, and asin(size), or asin(sqrt((1 - size) / 2)) where that holds."""
    large = size > 0.5
    z = a.where(large, 0.5 * (1 - size), size * size)
    root = a.where(large, a.sqrt(z), size)
    return large, a.fma(root * z, polynomial(z, e.asin), root)


def _asin(x: Expr, e: _Inverse) -> Expr:
    large, part = _asin_of_half(abs(x), e)
    return a.copysign(a.where(large, e.pi_minus(2 * part, 0.5), part), x)


def _acos(x: Expr, e: _Inverse) -> Expr:
    large, part = _asin_of_half(abs(x), e)
    outer = a.where(x < 0, e.pi_minus(2 * part, 1.0), 2 * part)
    return a.where(large, outer, e.pi_minus(a.copysign(part, x), 0.5))


define("atan", FLOAT32, ulp=1.5)(lambda x: _atan(x, _SINGLE))
define("atan", FLOAT64, ulp=2.0)(lambda x: _atan(x, _DOUBLE))
define("atan2", FLOAT32, ulp=3.0)(lambda y, x: _atan2(y, x, _SINGLE))
define("atan2", FLOAT64, ulp=3.0)(lambda y, x: _atan2(y, x, _DOUBLE))
define("asin", FLOAT32, ulp=2.5)(lambda x: _asin(x, _SINGLE))
define("asin", FLOAT64, ulp=2.5)(lambda x: _asin(x, _DOUBLE))
define("acos", FLOAT32, ulp=1.3)(lambda x: _acos(x, _SINGLE))
define("acos", FLOAT64, ulp=1.4)(lambda x: _acos(x, _DOUBLE))


@define("asinh", FLOAT64, ulp=2.0)
def _asinh(x: Expr) -> Expr:
    """``log1p(|x| + x**2 / (1 + sqrt(1 + x**2)))``, and ``log(2 |x|)`` where x**2 + 1 is x**2."""
    size = abs(x)
    large = size > 2.0**28
    square = a.where(large, 0.0, size * size)
    value = a.log1p(size + a.where(large, -1.0, square / (1 + a.sqrt(1 + square))))
    return a.copysign(value + a.where(large, math.log(2), 0.0), x)


@define("acosh", FLOAT64, ulp=2.4)
def _acosh(x: Expr) -> Expr:
    """``log1p(t + sqrt(2 t + t**2))`` with ``t = x - 1``, and ``log(2 x)`` where x**2 - 1 is x**2."""
    large = x > 2.0**28
    t = x - 1
    root = a.sqrt(a.where(large, 0.0, a.fma(t, t, 2 * t)))
    return a.where(x < 1, math.nan, a.log1p(t + root) + a.where(large, math.log(2), 0.0))


@define("atanh", FLOAT64, ulp=2.2)
def _atanh(x: Expr) -> Expr:
    """``log1p(2 |x| / (1 - |x|)) / 2``."""
    size = abs(x)
    return a.copysign(0.5 * a.log1p(2 * size / (1 - size)), x)


def _through_double(atom: Atom) -> None:
    define(atom.name, FLOAT32, ulp=0.6)(lambda x: a.cast(atom(a.cast(x, np.float64)), np.float32))


_through_double(a.asinh)
_through_double(a.acosh)
_through_double(a.atanh)
