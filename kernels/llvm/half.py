"""16-bit floats for machines without instructions for them: float16 by integer operations, after F. Giesen's
half_to_float; products of pairs of bfloat16 by two fmas.
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.scalar.primitive import constant

_F32, _U16, _U32, _BOOL = (np.dtype(name) for name in ("float32", "uint16", "uint32", "bool"))


def widen(x: s.Typed) -> s.Typed:
    """Return float16 ``x`` as float32: a multiplication moves the exponent, and normalises subnormals."""
    bits = s.Typed("convert", (s.Typed("bitcast", (x,), _U16),), _U32)
    sign = _op("shl", _op("and", bits, 0x8000), 16)
    magnitude = _op("shl", _op("and", bits, 0x7FFF), 13)
    scale = s.Typed("bitcast", (constant(0x77800000, _U32),), _F32)  # 2 ** 112
    scaled = s.Typed("bitcast", (s.Typed("mul", (s.Typed("bitcast", (magnitude,), _F32), scale), _F32),), _U32)
    special = s.Typed("ge", (magnitude, constant(0x0F800000, _U32)), _BOOL)
    finite_or_not = s.Typed("select", (special, _op("or", magnitude, 0x7F800000), scaled), _U32)
    return s.Typed("bitcast", (s.Typed("or", (finite_or_not, sign), _U32),), _F32)


def narrow(x: s.Typed) -> s.Typed:
    """Return float32 ``x`` rounded to float16, ties to even."""
    bits = s.Typed("bitcast", (x,), _U32)
    sign = _op("and", bits, 0x80000000)
    magnitude = s.Typed("xor", (bits, sign), _U32)
    is_nan = s.Typed("gt", (magnitude, constant(0x7F800000, _U32)), _BOOL)
    infinite = s.Typed("select", (is_nan, constant(0x7E00, _U32), constant(0x7C00, _U32)), _U32)
    odd = _op("and", _op("shr", magnitude, 13), 1)
    rebiased = _op("add", magnitude, 0xC8000FFF)  # the exponent less 112, and almost half an ulp
    rounded = _op("shr", s.Typed("add", (rebiased, odd), _U32), 13)
    # Adding 0.5 leaves a subnormal's bits, rounded, at the low end.
    shifted = s.Typed("add", (s.Typed("bitcast", (magnitude,), _F32), constant(0.5, _F32)), _F32)
    subnormal = _op("sub", s.Typed("bitcast", (shifted,), _U32), 0x3F000000)
    is_subnormal = s.Typed("lt", (magnitude, constant(0x38800000, _U32)), _BOOL)
    finite = s.Typed("select", (is_subnormal, subnormal, rounded), _U32)
    overflows = s.Typed("ge", (magnitude, constant(0x47800000, _U32)), _BOOL)
    chosen = s.Typed("select", (overflows, infinite, finite), _U32)
    result = s.Typed("or", (chosen, _op("shr", sign, 16)), _U32)
    return s.Typed("bitcast", (s.Typed("convert", (result,), _U16),), np.float16)


def dot2(total: s.Typed, left: s.Typed, right: s.Typed) -> s.Typed:
    """Return ``total`` plus the products of the upper and then of the lower halves; subnormal numbers count."""
    halves = (lambda pair: _op("and", pair, 0xFFFF0000), lambda pair: _op("shl", pair, 16))
    for half in halves:
        factors = (s.Typed("bitcast", (half(pair),), _F32) for pair in (left, right))
        total = s.Typed("fma", (*factors, total), _F32)
    return total


def _op(op: str, x: s.Typed, number: int) -> s.Typed:
    return s.Typed(op, (x, constant(number, _U32)), _U32)
