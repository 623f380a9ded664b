"""sin, cos, tan over the whole range of float64.

As in ``approx_trig.py``, with more words (Payne and Hanek, 1983): ``x = scaled * 2**(53 q)`` with an integer
``scaled`` where q > 0, so that of ``2**(53 q) 2/pi`` the value modulo 4 suffices. ``_WORDS[m]`` holds the 53 bits of
2/pi from weight ``2**(1 - 53 m)`` down, scaled to weight 2; ``2**(53 q) 2/pi`` modulo 4 is the words from q on. Five
of them, chosen by the bits of q, give the angle to 2**-115 of a quadrant; no float64 is nearer than 2**-62 to a
multiple of pi/2. Polynomials: minimax of the relative error on |r| <= pi/4 (Remez in mpmath, 45 digits), used as in
fdlibm's k_sin.c and k_cos.c.
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import DOUBLE, polynomial, power_of_2, quick_two_sum, two_product, two_sum
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr, Operand, as_expr
from tensorlite.kernels.scalar.typing import FLOAT64

_WORDS = (
    0.636619772367581,
    2.6455004762340146,
    0.8260347502167291,
    0.6177029686506637,
    2.2294604620748095,
    2.2846138786077494,
    0.006138546976630632,
    0.5660391411155583,
    1.1627082173965486,
    2.6478181222020805,
    1.752362340216695,
    0.7848375294503174,
    3.2882121784458587,
    2.3143043483578354,
    3.505462883924126,
    0.3547412997535617,
    2.495348441190541,
    1.9093006150323975,
    0.7102755855591436,
    2.971643359310277,
    0.6451596409894687,
    3.3837753967533644,
    0.7971457910852382,
)
_USED = 5
_SIN = (
    -0.16666666666666666,
    0.008333333333333042,
    -0.00019841269840962473,
    2.7557319073984824e-06,
    -2.5052070923381027e-08,
    1.6054311633145508e-10,
    -7.389466807830138e-13,
)
_COS = (
    0.041666666666666595,
    -0.0013888888888873325,
    2.4801587288983695e-05,
    -2.7557314210083825e-07,
    2.087570427267639e-09,
    -1.135868343825149e-11,
)


def _window(q: Expr) -> list[Operand]:
    """Return the words q, q + 1 ... q + 4 for q <= 18, a bit of q at a time."""
    words: list[Operand] = list(_WORDS)
    for bit in (16, 8, 4, 2, 1):
        needed, chosen = _USED + bit - 1, a.not_equal(q & bit, 0)
        words = [a.where(chosen, words[i + bit], words[i]) if i + bit < len(words) else words[i] for i in range(needed)]
    return words


def _modulo_4(x: Expr) -> Expr:
    return a.fma(a.round_(0.25 * x), -4.0, x)


def _reduce(x: Expr) -> tuple[Expr, Expr, Expr]:
    """Return the quadrant (int64, modulo 4) and the angle in it, within pi/4, in two parts."""
    beyond = ((a.bitcast(x, np.int64) >> 52) & 2047) - 1075
    q = (a.where(beyond > 0, beyond, 0) * 1237) >> 16  # beyond // 53
    scaled = x * power_of_2(q * -53, DOUBLE)
    products = [two_product(scaled * 2.0 ** (-53 * i), a.cast(word, np.float64)) for i, word in enumerate(_window(q))]
    (p0, e0), (p1, e1), (p2, e2), (p3, e3), (p4, _) = products
    turns, coarse = _sum(_modulo_4(p0), _modulo_4(p1), _modulo_4(e0), e1, p2)
    whole = a.round_(turns)
    fine, finest = _sum(*coarse, e2, p3)
    high, low = two_sum(turns - whole, fine)
    high, low = quick_two_sum(high, low + (sum(finest[1:], finest[0]) + (e3 + p4)))
    angle, rest = two_product(high, as_expr(math.pi / 2))
    rest = a.fma(high, 6.123233995736766e-17, a.fma(low, math.pi / 2, rest))
    return a.bitcast(whole + DOUBLE.magic, np.int64), angle, rest


def _sum(first: Expr, *others: Expr) -> tuple[Expr, list[Expr]]:
    """Return the sum rounded, and what each addition lost."""
    lost = []
    for other in others:
        first, error = two_sum(first, other)
        lost.append(error)
    return first, lost


def _sine(r: Expr, rest: Expr) -> Expr:
    z = r * r
    return r + a.fma(z * r, polynomial(z, _SIN), a.fma(-0.5 * z, rest, rest))


def _cosine(r: Expr, rest: Expr) -> Expr:
    z = r * r
    half = 0.5 * z
    near = 1 - half
    return near + ((1 - near - half) + a.fma(z * z, polynomial(z, _COS), -(r * rest)))


def _turned(quadrant: Expr, r: Expr, rest: Expr) -> Expr:
    """Return sin(r + rest + quadrant pi/2)."""
    value = a.where(a.equal(quadrant & 1, 0), _sine(r, rest), _cosine(r, rest))
    return a.bitcast(a.bitcast(value, np.int64) ^ ((quadrant & 2) << 62), np.float64)


@define("sin", FLOAT64, ulp=1.0)
def _sin(x: Expr) -> Expr:
    return a.where(abs(x) < 2.0**-30, x, _turned(*_reduce(x)))


@define("cos", FLOAT64, ulp=1.0)
def _cos(x: Expr) -> Expr:
    quadrant, r, rest = _reduce(x)
    return _turned(quadrant + 1, r, rest)


@define("tan", FLOAT64, ulp=2.0)
def _tan(x: Expr) -> Expr:
    quadrant, r, rest = _reduce(x)
    sine, cosine = _sine(r, rest), _cosine(r, rest)
    odd = a.equal(quadrant & 1, 1)
    return a.where(abs(x) < 2.0**-30, x, a.where(odd, -cosine, sine) / a.where(odd, sine, cosine))
