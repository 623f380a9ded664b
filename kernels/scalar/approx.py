"""What the approximations share: the two float formats, polynomials, error-free sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.expr import Expr, as_expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64, DType

LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Format:
    """An IEEE format: ``bits`` is the signed integer of its width, ``shift`` the width of the fraction."""

    dtype: DType
    bits: DType
    shift: int
    bias: int

    def split(self, high: float, low: float = 0.0) -> tuple[float, float]:
        """Return ``high + low`` as a float of this format and the float that it leaves over."""
        head = float(self.dtype.type(high))
        return head, float(self.dtype.type((high - head) + low))

    @property
    def magic(self) -> float:
        """1.5 * 2**shift: adding it rounds to an integer, which then lies in the low bits."""
        return 1.5 * 2.0**self.shift


SINGLE = Format(FLOAT32, np.dtype(np.int32), 23, 127)
DOUBLE = Format(FLOAT64, np.dtype(np.int64), 52, 1023)


def polynomial(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    """Return ``c[0] + c[1] x + ...`` by Horner's rule in ``x**2`` over pairs.

    It is half as deep as Horner's rule in ``x``, and depth counts: a core overlaps only as many
    iterations of a loop as its scheduler holds.
    """
    pairs = [_linear(x, coefficients[i : i + 2]) for i in range(0, len(coefficients), 2)]
    if len(pairs) == 1:
        return pairs[0]
    square = x * x
    value = pairs.pop()
    for pair in reversed(pairs):
        value = a.fma(value, square, pair)
    return value


def _linear(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    constant, *slope = (as_expr(coefficient) for coefficient in coefficients)
    return a.fma(slope[0], x, constant) if slope else constant


def two_sum(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """Return ``x + y`` rounded, and what the rounding lost (Knuth)."""
    total = x + y
    shadow = total - x
    return total, (x - (total - shadow)) + (y - shadow)


def quick_two_sum(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """Return ``x + y`` rounded, and what the rounding lost, where |x| >= |y| (Dekker)."""
    total = x + y
    return total, y - (total - x)


def two_product(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """Return ``x * y`` rounded, and what the rounding lost."""
    product = x * y
    return product, a.fma(x, y, -product)


def clamp(x: Expr, low: float, high: float) -> Expr:
    """Return ``x`` between the bounds; NaN stays NaN."""
    x = a.where(x < low, low, x)
    return a.where(x > high, high, x)


def power_of_2(exponent: Expr, form: Format) -> Expr:
    """Return 2**exponent for an integer exponent of ``form.bits`` among those of normal numbers."""
    return a.bitcast((exponent + form.bias) << form.shift, form.dtype)
