"""Small typed graphs that need the primitives themselves: constants, conversions, integer division, shifts."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.scalar.typed import Typed
from tensorlite.kernels.scalar.typing import BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, DType, kind

__all__ = [
    "BOOL",
    "carrier",
    "constant",
    "convert",
    "dot4",
    "dot_halves",
    "floor_divide",
    "from_carrier",
    "left_shift",
    "remainder",
    "right_shift",
    "to_carrier",
]

_U16, _U32 = np.dtype(np.uint16), np.dtype(np.uint32)
_I32 = np.dtype(np.int32)


def carrier(dtype: DType) -> DType:
    """Return the dtype in which values of ``dtype`` are computed."""
    return FLOAT32 if dtype in (FLOAT16, BFLOAT16) else dtype


def constant(value: complex, dtype: DType) -> Typed:
    """Return ``value`` rounded to ``dtype``, carried."""
    if kind(dtype) == "f":
        rounded = dtype.type(value)
        return Typed("const", (), carrier(dtype), float(rounded))
    if kind(dtype) == "b":
        return Typed("const", (), dtype, bool(value))
    return Typed("const", (), dtype, int(dtype.type(value)))  # NumPy raises OverflowError out of bounds


def convert(x: Typed, dtype: DType) -> Typed:
    """Convert between carrier dtypes."""
    if x.dtype == dtype:
        return x
    if dtype == BOOL:
        return Typed("ne", (x, constant(0, x.dtype)), BOOL)
    return Typed("convert", (x,), dtype)


def to_carrier(x: Typed) -> Typed:
    """Widen a float16 or bfloat16 to float32, exactly."""
    if x.dtype == FLOAT16:
        return Typed("convert", (x,), FLOAT32)
    if x.dtype == BFLOAT16:
        bits = convert(Typed("bitcast", (x,), _U16), _U32)
        return Typed("bitcast", (Typed("shl", (bits, constant(16, _U32)), _U32),), FLOAT32)
    return x


def from_carrier(x: Typed, dtype: DType) -> Typed:
    """Convert a carried value to ``dtype``, rounding to nearest even."""
    if dtype not in (FLOAT16, BFLOAT16):
        return convert(x, dtype)
    single = _round_to_odd(x) if x.dtype == FLOAT64 else convert(x, FLOAT32)
    return Typed("convert", (single,), FLOAT16) if dtype == FLOAT16 else _round_to_bfloat16(single)


def _round_to_odd(x: Typed) -> Typed:
    """Narrow float64 to float32 so that rounding once more, to 16 bits, rounds the float64 correctly."""
    near = Typed("convert", (x,), FLOAT32)
    back = Typed("convert", (near,), FLOAT64)
    bits = Typed("bitcast", (near,), _U32)
    zero, one = constant(0, _U32), constant(1, _U32)
    beyond = Typed("gt", (Typed("abs", (back,), FLOAT64), Typed("abs", (x,), FLOAT64)), BOOL)
    truncated = Typed("sub", (bits, Typed("select", (beyond, one, zero), _U32)), _U32)
    inexact = Typed("and", (Typed("ne", (back, x), BOOL), Typed("eq", (x, x), BOOL)), BOOL)
    odd = Typed("or", (truncated, Typed("select", (inexact, one, zero), _U32)), _U32)
    return Typed("bitcast", (odd,), FLOAT32)


def _round_to_bfloat16(x: Typed) -> Typed:
    bits = Typed("bitcast", (x,), _U32)
    sixteen = constant(16, _U32)
    high = Typed("shr", (bits, sixteen), _U32)
    tie = Typed("and", (high, constant(1, _U32)), _U32)
    bias = Typed("add", (tie, constant(0x7FFF, _U32)), _U32)
    rounded = Typed("shr", (Typed("add", (bits, bias), _U32), sixteen), _U32)
    quiet = Typed("or", (high, constant(0x40, _U32)), _U32)  # a NaN stays one, whatever its payload
    chosen = Typed("select", (Typed("ne", (x, x), BOOL), quiet, rounded), _U32)
    return Typed("bitcast", (Typed("convert", (chosen,), _U16),), BFLOAT16)


def dot4(total: str, unsigned: str, signed: str) -> Typed:
    """``total`` plus the products of four unsigned and four signed bytes; each name is that of an int32.

    >>> dot4("total", "x", "weight")
    <dot4 int32 of 4 nodes>
    """
    return Typed("dot4", tuple(Typed("var", (), _I32, name) for name in (total, unsigned, signed)), _I32)


def dot_halves(total: str, left: str, right: str) -> Typed:
    """``total`` plus the products of two int16s and two others; each name is that of an int32.

    >>> dot_halves("total", "x", "weight")
    <dot_halves int32 of 4 nodes>
    """
    return Typed("dot_halves", tuple(Typed("var", (), _I32, name) for name in (total, left, right)), _I32)


def floor_divide(a: Typed, b: Typed) -> Typed:
    """``a // b`` of integers, rounded down; 0 where b is 0."""
    zero = constant(0, a.dtype)
    quotient, rest, is_zero = _divide(a, b)
    if kind(a.dtype) == "i":
        one = constant(1, a.dtype)
        quotient = Typed("sub", (quotient, Typed("select", (_crosses(rest, b), one, zero), a.dtype)), a.dtype)
    return Typed("select", (is_zero, zero, quotient), a.dtype)


def remainder(a: Typed, b: Typed) -> Typed:
    """``a % b`` of integers, with the sign of b; 0 where b is 0."""
    _, rest, _ = _divide(a, b)
    if kind(a.dtype) == "u":
        return rest
    zero = constant(0, a.dtype)
    return Typed("add", (rest, Typed("select", (_crosses(rest, b), b, zero), a.dtype)), a.dtype)


def _divide(a: Typed, b: Typed) -> tuple[Typed, Typed, Typed]:
    """Truncated quotient and rest by a divisor that cannot trap (1 in place of 0, and of -1 beside the smallest a)."""
    dtype = a.dtype
    is_zero = Typed("eq", (b, constant(0, dtype)), BOOL)
    unsafe = is_zero
    if kind(dtype) == "i":
        smallest = Typed("eq", (a, constant(np.iinfo(dtype).min, dtype)), BOOL)
        overflows = Typed("and", (smallest, Typed("eq", (b, constant(-1, dtype)), BOOL)), BOOL)
        unsafe = Typed("or", (is_zero, overflows), BOOL)
    divisor = Typed("select", (unsafe, constant(1, dtype), b), dtype)
    quotient = Typed("div", (a, divisor), dtype)
    rest = Typed("sub", (a, Typed("mul", (quotient, divisor), dtype)), dtype)
    return quotient, rest, is_zero


def _crosses(rest: Typed, b: Typed) -> Typed:
    """Tell where truncation and flooring differ: a rest of the other sign than b."""
    zero = constant(0, b.dtype)
    differs = Typed("lt", (Typed("xor", (rest, b), b.dtype), zero), BOOL)
    return Typed("and", (Typed("ne", (rest, zero), BOOL), differs), BOOL)


def left_shift(a: Typed, b: Typed) -> Typed:
    """``a << b``; 0 where b is not within the width."""
    if _is_within(b):
        return Typed("shl", (a, b), a.dtype)
    within, count = _count(b)
    return Typed("select", (within, Typed("shl", (a, count), a.dtype), constant(0, a.dtype)), a.dtype)


def right_shift(a: Typed, b: Typed) -> Typed:
    """``a >> b``; where b is not within the width, 0, or -1 for a negative a."""
    if _is_within(b):
        return Typed("shr", (a, b), a.dtype)
    within, count = _count(b)
    width = constant(8 * b.dtype.itemsize - 1, b.dtype)
    shifted = Typed("shr", (a, Typed("select", (within, count, width), b.dtype)), a.dtype)
    return shifted if kind(a.dtype) == "i" else Typed("select", (within, shifted, constant(0, a.dtype)), a.dtype)


def _is_within(b: Typed) -> bool:
    return b.op == "const" and isinstance(b.value, int) and 0 <= b.value < 8 * b.dtype.itemsize


def _count(b: Typed) -> tuple[Typed, Typed]:
    zero = constant(0, b.dtype)
    within = Typed("lt", (b, constant(8 * b.dtype.itemsize, b.dtype)), BOOL)
    if kind(b.dtype) == "i":
        within = Typed("and", (within, Typed("ge", (b, zero), BOOL)), BOOL)
    return within, Typed("select", (within, b, zero), b.dtype)
