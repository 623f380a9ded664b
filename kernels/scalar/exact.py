"""Atoms that are defined exactly by others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.definitions import define, define_kind, define_special
from tensorlite.kernels.scalar.expr import Call, Const, Expr
from tensorlite.kernels.scalar.function import Function, trace
from tensorlite.kernels.scalar.typing import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, DType

define_kind("square", "iuf")(lambda x: x * x)
define_kind("reciprocal", "f")(lambda x: 1 / x)
define_kind("rsqrt", "f")(lambda x: 1 / a.sqrt(x))
define_kind("isnan", "f")(lambda x: a.not_equal(x, x))
define_kind("isinf", "f")(lambda x: a.equal(abs(x), math.inf))
define_kind("isfinite", "f")(lambda x: abs(x) < math.inf)
define_kind("isnan", "biu")(lambda x: False)
define_kind("isinf", "biu")(lambda x: False)
define_kind("isfinite", "biu")(lambda x: True)
define_kind("sign", "if")(lambda x: a.where(x > 0, 1, a.where(x < 0, -1, a.where(a.equal(x, 0), 0, x))))
define_kind("sign", "u")(lambda x: a.where(x > 0, 1, x))
define_kind("imag", "iuf")(lambda x: 0)
define_kind("angle", "f")(lambda x: a.where(a.isnan(x), x, a.where(a.signbit(x), math.pi, 0)))
define("signbit", FLOAT32)(lambda x: a.bitcast(x, np.int32) < 0)
define("signbit", FLOAT64)(lambda x: a.bitcast(x, np.int64) < 0)


def _define_nextafter(dtype: DType) -> None:
    bits = np.dtype(f"int{8 * dtype.itemsize}")

    @define("nextafter", dtype)
    def nextafter(x: Expr, y: Expr) -> Expr:
        """One more or less in the bits, which are ordered as the magnitudes are; the least number next to 0."""
        outwards = a.equal(x < y, x > 0)
        step = a.bitcast(x, bits) + a.where(outwards, 1, -1)
        moved = a.bitcast(a.where(a.equal(x, 0), a.bitcast(a.copysign(x, y), bits) | 1, step), dtype)
        return a.where(a.isnan(x), x, a.where(a.isnan(y) | a.equal(x, y), y, moved))


for _dtype in (FLOAT16, BFLOAT16, FLOAT32, FLOAT64):
    _define_nextafter(_dtype)

_STEP = 52


def _fmod(x: Expr, y: Expr) -> Expr:
    """|x| modulo |y| of float32 values in float64, exact.

    Long division in base 2**52: each rest is a multiple of the last bits of x or y below a power of 2 times y, so a
    float32; a quotient that rounded up to the next integer is put right by adding the divisor once.
    """
    rest, size = abs(x), abs(y)
    for power in range(5, -1, -1):  # 2**128 / 2**-149 < 2**(6 * 52)
        divisor = size * 2.0 ** (power * _STEP)
        rest = a.fma(-a.trunc(rest / divisor), divisor, rest)
        rest = a.where(rest < 0, rest + divisor, rest)
    return a.where(a.equal(size, math.inf) & (abs(x) < math.inf), abs(x), rest)


def _signed_fmod(x: Expr, y: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """Return both operands in float64, fmod, and whether it needs y added to get the sign of y."""
    x, y = a.cast(x, np.float64), a.cast(y, np.float64)
    rest = a.copysign(_fmod(x, y), x)
    return x, y, rest, a.not_equal(rest, 0) & a.not_equal(rest < 0, y < 0)


@define("remainder", FLOAT32)
def _remainder(x: Expr, y: Expr) -> Expr:
    """``x - floor(x / y) y`` with the sign of y, as in Python; a zero has the sign of y."""
    _, y, rest, crosses = _signed_fmod(x, y)
    signed = a.where(crosses, rest + y, a.where(a.equal(rest, 0), a.copysign(rest, y), rest))
    return a.cast(signed, np.float32)


@define("floor_divide", FLOAT32)
def _floor_divide(x: Expr, y: Expr) -> Expr:
    """``floor(x / y)`` of the exact quotient; ``x / y`` where y is 0."""
    x, y, rest, crosses = _signed_fmod(x, y)
    quotient = a.round_((x - rest) / y) - a.where(crosses, 1, 0)
    signed = a.where(a.equal(quotient, 0), a.copysign(quotient, x / y), quotient)
    return a.cast(a.where(a.equal(y, 0), x / y, signed), np.float32)


def _integer_power(x: Expr, exponent: int) -> Expr:
    """Return x**exponent by squaring."""
    if exponent == 1:
        return x
    half = _integer_power(x, exponent // 2)
    even = Call(a.multiply, (half, half))
    return Call(a.multiply, (even, x)) if exponent % 2 else even


def _power_of_constant(exponent: Const, kind: str) -> Function | None:
    """Return products for a small whole exponent (any, for integers), and sqrt for 1/2, as NumPy and PyTorch do."""
    value: Any = exponent.value
    if value == 0.5 and kind == "f":
        return trace(lambda x, y: a.sqrt(x))
    if not isinstance(value, (int, float)) or value != int(value):
        return None
    whole = int(value)
    if kind == "f" and 0 < abs(whole) <= 4:
        power = trace(lambda x, y: _integer_power(x, abs(whole)))
        return power if whole > 0 else trace(lambda x, y: 1 / _integer_power(x, -whole))
    return trace(lambda x, y: _integer_power(x, whole)) if kind in "iu" and whole > 0 else None


define_special("pow", _power_of_constant)
