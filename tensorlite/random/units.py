"""What all draws begin with: numbers of the unit interval, normal ones, and what shapes and dtypes are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.ops.complex_parts import view_as_complex
from tensorlite.ops.creation import place, require_grad
from tensorlite.ops.elementwise import cos, floor, log, minimum, sqrt
from tensorlite.ops.filled import extents
from tensorlite.ops.shape import _reshape, astype
from tensorlite.random.generator import Generator, default_generator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, DIFFERENTIABLE, dtype_of, float32, float64, real_dtype


def unit(size: int, dtype: np.dtype, generator: Generator | None) -> Tensor:
    """Numbers of ``[0, 1)``, flat: 24 random bits each, or 53 for float64."""
    source = generator or default_generator
    if dtype == float64:
        return _wide(source, size) * 2.0**-53
    values = astype(source.bits(size) >> 8, float32) * 2.0**-24
    return values if dtype == float32 else _below_one(values, dtype)


def _wide(source: Generator, size: int) -> Tensor:
    """Integers of 53 random bits, as float64."""
    words = astype(source.bits(2 * size), np.uint64)
    high, low = words[0::2] >> 5, words[1::2] >> 6
    return astype(high, float64) * 67108864.0 + astype(low, float64)


def _below_one(values: Tensor, dtype: np.dtype) -> Tensor:
    """Rounds down to a narrow dtype, so that nothing becomes 1."""
    bits = 11 if dtype == np.float16 else 8
    return astype(floor(values * 2.0**bits) * 2.0**-bits, dtype)


def inside(size: int, dtype: np.dtype, generator: Generator | None) -> Tensor:
    """Numbers of ``(0, 1)``, flat, whose logarithms are finite and not 0; float64, or float32 for all other dtypes.

    Near 0 they are fine, 2**-32 apart in float32: distributions have their long tail there.
    """
    source = generator or default_generator
    if dtype == float64:
        return minimum(_wide(source, size) * 2.0**-53 + 2.0**-54, 1 - 2.0**-53)
    return minimum(astype(source.bits(size), float32) * 2.0**-32 + 2.0**-33, 1 - 2.0**-24)


def gaussian(size: int, dtype: np.dtype, generator: Generator | None) -> Tensor:
    """Normal numbers, flat, by Box and Muller's transform (1958): the cosines of all angles, then their sines."""
    half = -(-size // 2)
    wide = float64 if dtype == float64 else float32
    u = unit(2 * half, wide, generator)
    radius, angle = sqrt(log(1 - u[:half]) * -2.0), u[half:] * (2 * math.pi)
    quarter = Tensor(place(np.array([[0.0], [math.pi / 2]], wide), u.device))
    pair = _reshape(radius * cos(angle - quarter), shape=(2 * half,))
    return astype(pair[:size], dtype, copy=False)


def drawn(op: str, draw: Callable[[int, np.dtype, Generator | None], Tensor], size: int, dtype: Any,
          generator: Generator | None) -> Tensor:
    """Numbers of a floating dtype, flat; complex ones have two independent parts, normal ones half of the variance."""
    wanted = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    if wanted.kind != "c":
        return draw(size, floating(op, dtype), generator)
    parts = draw(2 * size, real_dtype(wanted), generator)
    return view_as_complex(_reshape(parts * math.sqrt(0.5) if draw is gaussian else parts, shape=(size, 2)))


def shape_of(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given by integers or by one sequence."""
    return extents(op, size[0] if len(size) == 1 and isinstance(size[0], Sequence) else size)


def floating(op: str, dtype: Any) -> np.dtype:
    """The dtype to draw; raises `DTypeError` where it is no real floating one."""
    wanted = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    if wanted not in DIFFERENTIABLE or wanted.kind == "c":
        raise errors.complaint(errors.DTypeError, op, f"draws real floating numbers, not {wanted.name}",
                               {"dtype": wanted.name})
    return wanted


def finish(flat: Tensor, shape: tuple[int, ...], requires_grad: bool = False) -> Tensor:
    """The numbers in a shape, as a leaf if wanted."""
    made = _reshape(flat, shape=shape)
    return require_grad(made) if requires_grad else made
