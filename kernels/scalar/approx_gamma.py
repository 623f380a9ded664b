"""lgamma, digamma and polygamma: the logarithm of the gamma function, and its derivatives of every order.

Large numbers: Stirling's series (Abramowitz and Stegun, Handbook of mathematical functions, 1964, 6.1.41, 6.3.18,
6.4.11). Small ones are moved by the recurrence of the gamma function to where a polynomial is near, or the series good
enough. Below zero: the reflection formulas, whose two parts may cancel: there lgamma is good to 4 units of the last
place of 1 or of the larger part, digamma to 6, polygamma to 2 (4 + order) of its value at 1/4 or of the larger part.
Coefficients: interpolation at Chebyshev's points (mpmath, 60 digits).
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import polynomial
from tensorlite.kernels.scalar.definitions import define, define_family
from tensorlite.kernels.scalar.expr import Atom, Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_LGAMMA_OF_2 = (
    0.42278433509846713,
    0.3224670334241132,
    -0.06735230105319814,
    0.02058080842778457,
    -0.0073855510286681535,
    0.002890510330738737,
    -0.0011927539120010226,
    0.0005096695248853096,
    -0.00022315475074520367,
    9.945750909889392e-05,
    -4.4926351103833334e-05,
    2.050726741605779e-05,
    -9.438458716242811e-06,
    4.374374916915131e-06,
    -2.0449201467015115e-06,
    9.578663334114758e-07,
    -4.303558760359961e-07,
    2.0304806751615227e-07,
    -1.3412819758517287e-07,
    6.379047507619774e-08,
)
"""lgamma(2 + t) / t in t, for |t| <= 1/2."""
_ROOT = (1.4616321449683622, 9.549995429965697e-17)
"""Where digamma is zero, to twice the precision."""
_DIGAMMA = (
    0.9510558760318328,
    -0.4236274212814606,
    0.24054248424078697,
    -0.14840492305388092,
    0.09498872445289039,
    -0.06192213327548831,
    0.040760833940846085,
    -0.026975796659787055,
    0.017907248317313294,
    -0.011908220105959716,
    0.007927021796868154,
    -0.005279937255532708,
    0.003518106563802472,
    -0.0023454947397380833,
    0.0015633696313653504,
    -0.0010364584817312839,
    0.0006909255761282986,
    -0.00048595039220036254,
    0.00032395945401345196,
    -0.00014480643368061614,
    9.653646261410062e-05,
    -0.0001782188548855923,
    0.00011881232908510335,
)
"""digamma(x) / (x - root) in x - 3/2, for 1 <= x <= 2."""
_SINE = (
    2.534324262661598,
    -4.557629442461073,
    2.332998758213981,
    -0.5593251868104976,
    0.07764717237241964,
    -0.007027808533771898,
    0.00044747103617065145,
    -2.1133714397803598e-05,
    7.697826768224191e-07,
)
"""sin(pi r) / r in r**2 - 1/8, for |r| <= 1/2."""
_COTANGENT = (
    3.5967216268328333,
    2.7859613128269487,
    3.0233634462667363,
    3.421142952888655,
    3.901655357177168,
    4.4569694480052995,
    5.093152320874342,
    5.820608221643367,
    6.652088818292798,
    7.602678153556511,
    8.68877271373545,
    9.90489736532413,
    11.319882548832785,
    14.009136369963166,
    16.010441555350102,
)
"""(1 / r - pi cot(pi r)) / r in r**2 - 1/8, for |r| <= 1/2."""


@functools.cache
def _bernoulli(n: int) -> Fraction:
    """The Bernoulli number of an index."""
    if n == 0:
        return Fraction(1)
    return -sum((math.comb(n + 1, k) * _bernoulli(k) for k in range(n)), Fraction(0)) / (n + 1)


_STIRLING = tuple(float(_bernoulli(2 * k) / (2 * k * (2 * k - 1))) for k in range(1, 10))
_LOG_SERIES = tuple(float(_bernoulli(2 * k) / (2 * k)) for k in range(1, 11))


def _from_integer(x: Expr) -> Expr:
    """How far ``x`` is above the nearest integer, exactly; NaN for infinities."""
    return x - a.round_(x)


def _cotangent(r: Expr) -> Expr:
    """``pi cot(pi r)`` for |r| <= 1/2."""
    return 1 / r - r * polynomial(r * r - 0.125, _COTANGENT)


def _lgamma_of_positive(x: Expr) -> Expr:
    """By ``gamma(t + 2)`` and a product below 8, ``t`` being what ``x`` is above an integer; by Stirling's series."""
    small = x < 8
    whole = a.round_(a.where(small, x, 2.0))
    t = a.where(small, x, 2.0) - whole
    product = functools.reduce(lambda p, j: p * a.where(whole > j + 1.5, x - j, 1.0), range(2, 7),
                               a.where(whole > 2.5, x - 1, 1.0))
    factor = a.where(whole < 0.5, x * (1 + x), a.where(whole < 1.5, x, product))
    log = a.log(a.where(small, factor, x))
    near = a.fma(t, polynomial(t, _LGAMMA_OF_2), a.where(whole < 1.5, -log, log))
    inverse = 1 / x
    series = inverse * polynomial(inverse * inverse, _STIRLING) + 0.5 * (math.log(2 * math.pi) - 1)
    return a.where(small, near, a.fma(x - 0.5, log - 1, series))


@define("lgamma", FLOAT64, ulp=6.0, domain=(0.0, math.inf))
def _lgamma_double(x: Expr) -> Expr:
    """Infinite at the poles 0, -1, -2 ... and at infinities."""
    size = abs(x)
    value = _lgamma_of_positive(size)
    r = _from_integer(size)
    sine = abs(r) * polynomial(r * r - 0.125, _SINE)
    reflected = a.log(math.pi / (size * sine)) - value
    pole = a.logical_or(a.equal(r, 0), a.equal(size, math.inf))
    return a.where(x < -(2.0**-55), a.where(pole, math.inf, reflected), value)


@define("digamma", FLOAT64, ulp=7.0, domain=(0.0, math.inf))
def _digamma_double(x: Expr) -> Expr:
    """Infinite at 0, against its sign, and NaN at the other poles."""
    below = x < 0
    size = a.where(below, 1 - x, x)
    value = a.where(size < 3, _digamma_near(size), _digamma_far(size))
    r = _from_integer(x)
    reflected = a.where(a.equal(r, 0), math.nan, value - _cotangent(r))
    return a.where(below, reflected, value)


def _digamma_near(x: Expr) -> Expr:
    """On [0, 3], from [1, 2] by ``digamma(y + 1) = digamma(y) + 1 / y``."""
    up, down = x < 1, x > 2
    y = a.where(up, x + 1, a.where(down, x - 1, x))
    step = a.where(up, -1 / x, a.where(down, 1 / y, 0.0))
    return a.fma((y - _ROOT[0]) - _ROOT[1], polynomial(y - 1.5, _DIGAMMA), step)


def _digamma_far(x: Expr) -> Expr:
    """From 3 on, by the series; below 9 that of ``x + 6`` less six reciprocals, which are added as one fraction."""
    near = x < 9
    y = a.where(near, x, 3.0)
    w = y * (y + 5)
    v, u = w + 4, w + 6
    fraction = (2 * y + 5) * (v * u + w * (u + v)) / (w * v * u)
    z = a.where(near, x + 6, x)
    inverse = 1 / z
    square = inverse * inverse
    series = a.log(z) - (0.5 * inverse + square * polynomial(square, _LOG_SERIES))
    return series - a.where(near, fraction, 0.0)


@define_family("polygamma", FLOAT64)
def _polygamma_double(x: Expr, order: int) -> Expr:
    """For x > 0 within 4 + order ulp; infinite at the poles, positive where the order is odd."""
    below = x < 0
    value = _polygamma_of_positive(a.where(below, 1 - x, x), order)
    r = _from_integer(x)
    reflected = (-1) ** order * value - _derivative_of_cotangent(_cotangent(r), order)
    pole = a.logical_and(x <= 0, a.equal(r, 0))
    return a.where(pole, math.inf if order % 2 else -math.inf, a.where(below, reflected, value))


def _polygamma_of_positive(x: Expr, order: int) -> Expr:
    """``(-1)**(order + 1) order! (x**-(order + 1) + (x + 1)**-(order + 1) + ...)``, the far terms by their series.

    All terms have one sign: nothing cancels.
    """
    steps, coefficients = _far_terms(order)
    first = functools.reduce(a.add, (1 / _power(x + k, order + 1) for k in range(steps)))
    z = x + steps
    inverse = 1 / z
    rest = a.fma(0.5 * order, inverse, polynomial(inverse * inverse, coefficients)) / _power(z, order)
    sign = 1 if order % 2 else -1
    return (sign * float(math.factorial(order))) * first + (sign * float(math.factorial(order - 1))) * rest


@functools.cache
def _far_terms(order: int) -> tuple[int, tuple[float, ...]]:
    """How many terms to add one by one, and what follows them by powers of ``1 / z**2``, over ``(order - 1)!``."""
    for steps in range(8 + order // 2, 10**6, 2):
        coefficients = [Fraction(1)]
        while abs(last := coefficients[-1] / steps ** (2 * len(coefficients) - 2)) > 2.0**-57:
            j = len(coefficients)
            rising = math.prod(range(order, order + 2 * j))
            coefficients.append(_bernoulli(2 * j) * Fraction(rising, math.factorial(2 * j)))
            if abs(coefficients[-1]) > abs(last) * steps ** (2 * j):
                break  # the series has begun to diverge
        else:
            return steps, tuple(map(float, coefficients))
    raise AssertionError("the series is good enough far out")


def _power(x: Expr, exponent: int) -> Expr:
    """``x**exponent`` by squaring."""
    if exponent == 1:
        return x
    half = _power(x * x, exponent // 2)
    return half * x if exponent % 2 else half


def _derivative_of_cotangent(cotangent: Expr, order: int) -> Expr:
    """The derivative of ``c = pi cot(pi x)``, a polynomial in ``c``: that of ``P(c)`` is ``-(pi**2 + c**2) P'(c)``.

    Its coefficients are whole numbers times powers of pi; every other one is zero.
    """
    whole = {1: 1}
    for _ in range(order):
        following: dict[int, int] = {}
        for power, factor in whole.items():
            for raised in (power - 1, power + 1):
                following[raised] = following.get(raised, 0) - power * factor
        whole = {power: factor for power, factor in following.items() if factor}
    lowest = min(whole)
    coefficients = tuple(whole[power] * math.pi ** (order + 1 - power) for power in range(lowest, order + 2, 2))
    value = polynomial(cotangent * cotangent, coefficients)
    return value * cotangent if lowest else value


def _through_double(atom: Atom) -> None:
    @define(atom.name, FLOAT32, ulp=0.6, domain=(0.0, math.inf))
    def through_double(x: Expr) -> Expr:
        return a.cast(atom(a.cast(x, np.float64)), np.float32)


_through_double(a.lgamma)
_through_double(a.digamma)


@define_family("polygamma", FLOAT32)
def _polygamma_single(x: Expr, order: int) -> Expr:
    return a.cast(a.polygamma(a.cast(x, np.float64), order), np.float32)
