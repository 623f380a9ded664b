"""sin, cos, tan over the whole range of float32 (float64: ``approx_trig_double.py``).

The quadrant and the angle in it come from ``x 2/pi`` modulo 4 in float64. A float32 is ``x = scaled * 2**k`` with an
integer ``scaled`` where k > 0, so that ``2**k 2/pi`` counts modulo 4 only; it is known to 111 bits as ``high + middle
+ low``, with 29 bits each in the first two, so that their products with the 24 bits of ``scaled`` are exact (Payne and
Hanek, Radian reduction for trigonometric functions, 1983). Polynomials: minimax of the relative error on |r| <= pi/4
(Remez in mpmath, 45 digits).
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import polynomial
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr, Operand
from tensorlite.kernels.scalar.typing import FLOAT32

_TWO_OVER_PI = (
    # |x| below, 2**-k, high, middle, low
    (2.0**50, 1.0, 0.6366197727620602, -3.944788211363015e-10, -1.1934368788752178e-18),
    (2.0**76, 2.0**-26, 1.7235269770026207, -2.6412272785547586e-09, 5.1651711996897015e-18),
    (2.0**102, 2.0**-52, 1.3227502405643463, -2.447338956490519e-09, 4.220776518111768e-18),
    (math.inf, 2.0**-78, 1.8357618600130081, 3.0772192433081713e-09, -2.1333796079983287e-18),
)


def _choose(size: Expr, column: int) -> Operand:
    """Return the entry of the row of ``_TWO_OVER_PI`` that ``size`` belongs to."""
    chosen: Operand = _TWO_OVER_PI[-1][column]
    for row in reversed(_TWO_OVER_PI[:-1]):
        chosen = a.where(size < row[0], row[column], chosen)
    return chosen


def _reduce(x: Expr) -> tuple[Expr, Expr]:
    """Return the quadrant of a float32 (int32, modulo 4) and the angle in it (float64, within pi/4)."""
    size = abs(x)
    scale, high, middle, low = (_choose(size, column) for column in (1, 2, 3, 4))
    scaled = a.cast(x, np.float64) * scale
    coarse = scaled * high
    whole = a.round_(coarse)
    rest = coarse - whole
    fine = a.round_(a.fma(scaled, middle, rest))
    turn = a.fma(scaled, low, a.fma(scaled, middle, rest - fine))
    quadrant = a.cast(a.bitcast(whole + fine + 1.5 * 2.0**52, np.int64), np.int32)
    return quadrant, turn * (math.pi / 2)


def _sine(r: Expr) -> Expr:
    z = r * r
    return a.fma(r * z, polynomial(z, (-0.16666667, 0.008333379, -0.00019853064, 2.83251e-06)), r)


def _cosine(r: Expr) -> Expr:
    z = r * r
    return a.fma(z, a.fma(z, polynomial(z, (0.041666646, -0.001388731, 2.4432327e-05)), -0.5), 1.0)


def _turned(quadrant: Expr, angle: Expr) -> Expr:
    """Return sin(angle + quadrant pi/2) in float32."""
    r = a.cast(angle, np.float32)
    value = a.where(a.equal(quadrant & 1, 0), _sine(r), _cosine(r))
    return a.bitcast(a.bitcast(value, np.int32) ^ ((quadrant & 2) << 30), np.float32)


@define("sin", FLOAT32, ulp=1.5)
def _sin(x: Expr) -> Expr:
    return a.where(a.equal(x, 0), x, _turned(*_reduce(x)))


@define("cos", FLOAT32, ulp=1.5)
def _cos(x: Expr) -> Expr:
    quadrant, angle = _reduce(x)
    return _turned(quadrant + 1, angle)


@define("tan", FLOAT32, ulp=0.6)
def _tan(x: Expr) -> Expr:
    quadrant, r = _reduce(x)
    z = r * r
    sine = a.fma(
        r * z, polynomial(z, (-0.16666666640692984, 0.008333329286896058, -0.0001983930548368748, 2.71805e-06)), r
    )
    even = polynomial(z, (0.041666666619299686, -0.0013888883483712674, 2.4799455865581474e-05, -2.72054014557988e-07))
    cosine = a.fma(z, a.fma(z, even, -0.5), 1.0)
    odd = a.equal(quadrant & 1, 1)
    ratio = a.where(odd, -cosine, sine) / a.where(odd, sine, cosine)
    return a.where(a.equal(x, 0), x, a.cast(ratio, np.float32))
