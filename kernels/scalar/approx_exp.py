"""exp, exp2, expm1, sigmoid, sinh, cosh, tanh.

``x = n ln 2 + r`` with ``|r| <= ln(2) / 2``; ``exp(r)`` is a polynomial, and ``2**n`` is made in the exponent bits.
Adding ``magic`` rounds to the integer ``n``, which then lies in the low bits of the sum. The scale is ``2**(n - 1)``,
so that it is a normal number up to overflow; where the result may be subnormal it is lifted, and lowered by one last
exact product. Coefficients: minimax of the relative error (Remez in mpmath, 45 digits), each rounded in turn and the
rest refitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import DOUBLE, LN2, SINGLE, Format, clamp, polynomial
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr, Operand
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64, DType

_LN2_TAIL = 2.3190468138462996e-17  # ln 2 - float64(ln 2)


@dataclass(frozen=True)
class _Exponential:
    form: Format
    exp: tuple[float, ...]  # exp(r), |r| <= 0.3467
    exp2: tuple[float, ...]  # 2**r, |r| <= 0.5005
    expm1: tuple[float, ...]  # (exp(r) - 1 - r) / r**2, |r| <= 0.3467
    underflow: float  # exp rounds to 0 below
    small: float  # exp may be subnormal below
    overflow: float  # exp rounds to inf above
    lift: int

    def reduce(self, x: Expr, lower: int = 1) -> tuple[Expr, Expr]:
        """Return the sum that holds n, such that ``scale`` of it is 2**(n - lower), and r."""
        high, low = self.form.split(LN2, _LN2_TAIL)
        magic = self.form.magic + self.form.bias - lower
        shifted = a.fma(x, float(self.form.dtype.type(1 / LN2)), magic)
        n = shifted - magic
        return shifted, a.fma(n, -low, a.fma(n, -high, x))

    def scale(self, shifted: Expr) -> Expr:
        """Return the power of 2 whose exponent ``shifted`` holds."""
        return a.bitcast(a.bitcast(shifted, self.form.bits) << self.form.shift, self.form.dtype)

    def scaled(self, twice: Expr, shifted: Expr, small: Expr) -> Expr:
        """Return ``twice * 2**(n - 1)``, also where that is subnormal."""
        exponent = a.bitcast(shifted, self.form.bits) << self.form.shift
        lifted = a.bitcast(exponent + a.where(small, self.lift << self.form.shift, 0), self.form.dtype)
        return twice * lifted * a.where(small, 2.0**-self.lift, 1.0)


_SINGLE = _Exponential(
    form=SINGLE,
    exp=(1.0, 1.0, 0.49999994, 0.16666517, 0.04166825, 0.008369095, 0.0013819005),
    exp2=(1.0, 0.69314724, 0.24022655, 0.05550273, 0.009617065, 0.0013417748, 0.00015823833),
    expm1=(0.5, 0.16666636, 0.04166651, 0.008341606, 0.0013930523, 0.00014933609),
    underflow=-104.0,
    small=-86.0,
    overflow=89.0,
    lift=64,
)
_DOUBLE = _Exponential(
    form=DOUBLE,
    exp=(
        1.0,
        1.0,
        0.5000000000000011,
        0.16666666666666224,
        0.041666666666523244,
        0.008333333333438648,
        0.0013888888947173545,
        0.00019841269907010088,
        2.480148773785146e-05,
        2.7557034340707604e-06,
        2.763265935052719e-07,
        2.5224450803428458e-08,
    ),
    exp2=(
        1.0,
        0.6931471805599453,
        0.2402265069591007,
        0.05550410866482338,
        0.009618129107630232,
        0.0013333558146033462,
        0.0001540353038888489,
        1.5252734166565399e-05,
        1.3215491327869212e-06,
        1.0177932573302606e-07,
        7.052954570796662e-09,
        4.473250619571919e-10,
        2.8714648883071547e-11,
    ),
    expm1=(
        0.5,
        0.16666666666666677,
        0.0416666666666667,
        0.008333333333321804,
        0.0013888888888885706,
        0.00019841269885300598,
        2.480158729411894e-05,
        2.755724520383769e-06,
        2.7557317664692343e-07,
        2.5108668467201755e-08,
        2.0897245708677273e-09,
    ),
    underflow=-746.0,
    small=-707.0,
    overflow=710.0,
    lift=128,
)
_FAST = (  # exp(r) in float64 to 2**-39.7, for float32 results
    1.0,
    0.9999999999727771,
    0.49999999997549294,
    0.16666666946911024,
    0.04166666863382728,
    0.008333255519990469,
    0.001388849762459552,
    0.00019921404211088498,
    2.5043624660516276e-05,
)


def _doubled(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(2 * coefficient for coefficient in coefficients)


def _exp(x: Expr, e: _Exponential) -> Expr:
    x = clamp(x, e.underflow, e.overflow)
    shifted, r = e.reduce(x)
    return e.scaled(polynomial(r, _doubled(e.exp)), shifted, x < e.small)


def _exp2(x: Expr, e: _Exponential, rest: Operand = 0) -> Expr:
    """2**(x + rest), ``rest`` being below the last place of ``x``."""
    x = clamp(x, -float(e.form.bias + e.form.shift + 2), float(e.form.bias + 2))
    magic = e.form.magic + e.form.bias - 1
    shifted = x + magic
    r = x - (shifted - magic)
    r = r if isinstance(rest, int) else r + rest
    return e.scaled(polynomial(r, _doubled(e.exp2)), shifted, x < 2.0 - e.form.bias)


def exp2_of_sum(x: Expr, rest: Expr) -> Expr:
    """Return 2**(x + rest) in float64, ``rest`` being below the last place of ``x``."""
    return _exp2(x, _DOUBLE, rest)


def _quarter_expm1(x: Expr, e: _Exponential) -> Expr:
    """(exp(x) - 1) / 4, for x above -40 or so, and a little beyond where exp overflows."""
    shifted, r = e.reduce(x, lower=2)
    scale = e.scale(shifted)
    return a.fma(scale, a.fma(r * r, polynomial(r, e.expm1), r), scale - 0.25)


def _expm1(x: Expr, e: _Exponential) -> Expr:
    return a.where(abs(x) < 2.0 ** -(e.form.shift + 2), x, 4 * _quarter_expm1(clamp(x, -40.0, e.overflow), e))


def _sigmoid(x: Expr, e: _Exponential) -> Expr:
    """``1 / (1 + exp(-x))``, by the exponential that does not overflow."""
    tail = a.exp(-abs(x))
    return a.where(x < 0, tail, 1.0) / (1 + tail)


define("exp", FLOAT32, ulp=1.3)(lambda x: _exp(x, _SINGLE))
define("exp", FLOAT64, ulp=1.4)(lambda x: _exp(x, _DOUBLE))
define("exp2", FLOAT32, ulp=1.2)(lambda x: _exp2(x, _SINGLE))
define("exp2", FLOAT64, ulp=1.2)(lambda x: _exp2(x, _DOUBLE))
define("expm1", FLOAT32, ulp=1.5)(lambda x: _expm1(x, _SINGLE))
define("expm1", FLOAT64, ulp=2.0)(lambda x: _expm1(x, _DOUBLE))
define("sigmoid", FLOAT32, ulp=2.5)(lambda x: _sigmoid(x, _SINGLE))
define("sigmoid", FLOAT64, ulp=3.2)(lambda x: _sigmoid(x, _DOUBLE))


def _tanh(x: Expr, e: _Exponential) -> Expr:
    """``-t / (t + 2)`` for ``t = exp(-2 |x|) - 1``."""
    quarter = _quarter_expm1(clamp(-2 * abs(x), -40.0, 0.0), e)
    return a.copysign(quarter / (quarter + 0.5), x)


define("tanh", FLOAT32, ulp=2.6)(lambda x: _tanh(x, _SINGLE))
define("tanh", FLOAT64, ulp=2.8)(lambda x: _tanh(x, _DOUBLE))


def fast_exp(x: Expr) -> Expr:
    """exp in float64 to 2**-39 of |x| < 700: enough to round to float32."""
    shifted, r = _DOUBLE.reduce(x)
    return polynomial(r, _doubled(_FAST)) * _DOUBLE.scale(shifted)


@define("sinh", FLOAT32, ulp=0.6)
def _sinh_single(x: Expr) -> Expr:
    d = clamp(a.cast(x, np.float64), -100.0, 100.0)
    e = fast_exp(d)
    z = d * d
    series = a.fma(d * z, polynomial(z, (1 / 6, 1 / 120, 1 / 5040)), d)
    return a.cast(a.where(z < 0.02, series, 0.5 * (e - 1 / e)), np.float32)


@define("cosh", FLOAT32, ulp=0.6)
def _cosh_single(x: Expr) -> Expr:
    e = fast_exp(clamp(a.cast(x, np.float64), -100.0, 100.0))
    return a.cast(0.5 * (e + 1 / e), np.float32)


@define("sinh", FLOAT64, ulp=2.5)
def _sinh_double(x: Expr) -> Expr:
    half = 2 * _quarter_expm1(clamp(abs(x), 0.0, 710.6), _DOUBLE)
    value = half + half / (2 * a.where(half > 1e300, 1e300, half) + 1)
    return a.copysign(a.where(abs(x) < 2.0**-54, abs(x), value), x)


@define("cosh", FLOAT64, ulp=2.0)
def _cosh_double(x: Expr) -> Expr:
    shifted, r = _DOUBLE.reduce(clamp(abs(x), 0.0, 710.6), lower=2)
    half = 2 * (polynomial(r, _DOUBLE.exp) * _DOUBLE.scale(shifted))
    return half + 0.25 / half


def exp_from_top(x: Expr, dtype: DType) -> Expr:
    """exp of ``x <= 0`` or a little above, to 1.4 ulp, and 0 below -86 or -707: the weights of a softmax."""
    e = {FLOAT32: _SINGLE, FLOAT64: _DOUBLE}[dtype]
    shifted, r = e.reduce(x)
    return a.where(x < e.small, 0.0, polynomial(r, _doubled(e.exp)) * e.scale(shifted))
