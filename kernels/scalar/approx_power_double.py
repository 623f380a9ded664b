"""pow in float64: ``2**(y log2 x)`` with the logarithm to about 2**-65.

``x = 2**n (1 + f)`` with ``1 + f`` between the square roots of 1/2 and 2, ``s = f / (2 + f)``, and ``log(1 + f) = 2 s
+ s**3 (2/3 + s**2 P(s**2))``; all but P is carried in two float64. P: minimax of the error relative to the logarithm,
2**-66 (Remez in mpmath, 60 digits).
"""

from __future__ import annotations

import math

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import clamp, polynomial, quick_two_sum, two_product, two_sum
from tensorlite.kernels.scalar.approx_exp import exp2_of_sum
from tensorlite.kernels.scalar.approx_log import DOUBLE_LOGARITHM
from tensorlite.kernels.scalar.approx_power import signed_power
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr, as_expr
from tensorlite.kernels.scalar.typing import FLOAT64

_P = (
    0.4000000000000226,
    0.2857142857009681,
    0.22222222520433788,
    0.18181784320976033,
    0.15386759520185397,
    0.13256765375694662,
    0.13196827134143124,
)

Pair = tuple[Expr, Expr]


def _times(x: Pair, y: Pair) -> Pair:
    high, low = two_product(x[0], y[0])
    return quick_two_sum(high, a.fma(x[0], y[1], a.fma(x[1], y[0], low)))


def _log2(x: Expr) -> Pair:
    """log2 of a positive ``x`` in two parts."""
    n, f = DOUBLE_LOGARITHM.split(x)
    below, lost = two_sum(as_expr(2.0), f)
    inverse = 1 / below
    s = f * inverse
    ratio = (s, a.fma(-s, lost, a.fma(-s, below, f)) * inverse)
    square = _times(ratio, ratio)
    factor, rest = quick_two_sum(as_expr(2 / 3), square[0] * polynomial(square[0], _P))
    cubic = _times(_times(ratio, square), (factor, rest + 3.700743415417188e-17))
    high, low = quick_two_sum(2 * ratio[0], cubic[0])
    logarithm = quick_two_sum(high, low + (2 * ratio[1] + cubic[1]))
    high, low = _times(logarithm, (as_expr(1 / math.log(2)), as_expr(2.0355273740931033e-17)))
    whole, rest = two_sum(n, high)
    return quick_two_sum(whole, rest + low)


@define("pow", FLOAT64, ulp=1.5)
def _pow(x: Expr, y: Expr) -> Expr:
    size = abs(x)
    high, low = _log2(size)
    high = a.where((size > 0) & (size < math.inf), high, a.where(a.equal(size, 0), -math.inf, size))
    product, lost = two_product(high, y)
    rest = a.where(abs(product) < 2.0**11, a.fma(low, y, lost), 0.0)
    return signed_power(x, y, exp2_of_sum(clamp(product, -1100.0, 1100.0), rest))
