"""How dtypes and numbers are spelled in LLVM."""

from __future__ import annotations

import functools
import math
import struct
from typing import Any

import ml_dtypes
import numpy as np

DType = np.dtype[Any]

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_FLOATS = {"float16": "half", "float32": "float", "float64": "double", "bfloat16": "i16", "bool": "i1"}
_SHORT = {"half": "f16", "float": "f32", "double": "f64"}


@functools.cache
def register(dtype: DType, lanes: int = 0) -> str:
    """Return the type of a value in registers; 0 lanes is a single one. A bool is an i1, a bfloat16 its bits."""
    scalar = _FLOATS.get(dtype.name) or f"i{8 * dtype.itemsize}"
    return f"<{lanes} x {scalar}>" if lanes else scalar


@functools.cache
def memory(dtype: DType, lanes: int = 0) -> str:
    """Return the type of a value in memory, where a bool is a byte."""
    return register(np.dtype(np.uint8) if dtype == np.bool_ else dtype, lanes)


@functools.cache
def suffix(dtype: DType, lanes: int = 0) -> str:
    """Return the part of an intrinsic's name that says its type, as in ``v16f32``."""
    scalar = register(dtype)
    return f"{f'v{lanes}' if lanes else ''}{_SHORT.get(scalar, scalar)}"


def literal(value: Any, dtype: DType) -> str:
    """Return a number as LLVM spells it in a register of that dtype, exactly."""
    if dtype == np.bool_:
        return "true" if value else "false"
    if dtype.kind != "f":
        return str(int(value))
    number = float(value)
    if math.isnan(number):
        number = math.nan  # the one quiet NaN
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"


def splat(text: str, dtype: DType, lanes: int) -> str:
    """Return a literal as a vector of equal lanes."""
    return f"splat ({register(dtype)} {text})" if lanes else text


@functools.cache
def steps(dtype: DType, lanes: int) -> str:
    """Return the vector 0, 1, 2, ... of an integer dtype."""
    type_ = register(dtype)
    return f"<{', '.join(f'{type_} {lane}' for lane in range(lanes))}>"


@functools.cache
def interleave_mask(lanes: int, half: int) -> str:
    """Return the mask that takes lanes from two vectors in turn: from their lower (0) or upper (1) halves."""
    pairs = ((half * lanes // 2 + lane, half * lanes // 2 + lane + lanes) for lane in range(lanes // 2))
    return f"<{lanes} x i32> <{', '.join(f'i32 {a}, i32 {b}' for a, b in pairs)}>"


@functools.cache
def shuffle_mask(start: int, stop: int) -> str:
    """Return the mask that picks the lanes from start to stop."""
    return f"<{stop - start} x i32> <{', '.join(f'i32 {lane}' for lane in range(start, stop))}>"
