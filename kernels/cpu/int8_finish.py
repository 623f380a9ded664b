"""What becomes of sums of products of bytes: offsets are added, zero points taken off, results scaled and rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.gemm_loops import Epilogue
from tensorlite.kernels.stage import Array

_INT32 = np.dtype(np.int32)
_MAGIC = 12582912.0  # 1.5 * 2**23: added to a smaller number, it leaves it rounded half to even in the low bits


@dataclass(frozen=True)
class Terms:
    """Which arrays come after x, the weight and x's zero point, by name: their numbers, and how they lie."""

    arrays: dict[str, tuple[int, Array]]

    @staticmethod
    def of(inputs: Sequence[Array], names: Sequence[str]) -> Terms:
        """Return the terms of an op's inputs."""
        return Terms({name: (3 + k, array) for k, (name, array) in enumerate(zip(names, inputs[3:], strict=True))})

    def number(self, name: str) -> tuple[int, ...]:
        """Return the number of an array, in a tuple; an empty one if there is none."""
        return (self.arrays[name][0],) if name in self.arrays else ()


def step_of(array: Array) -> int:
    """Return the stride of an array of one number a filter, or of one for all."""
    return array.strides[0] if array.ndim and array.shape[0] != 1 else 0


@dataclass(frozen=True)
class Operand:
    """An array that the epilogue reads: its number, and how far apart it has pixels and filters."""

    number: int
    dtype: np.dtype[Any]
    row: int
    channel: int


@dataclass(frozen=True)
class Finish:
    """The epilogue of a product: a value of ``product`` and operands ``e0``, ``e1``, ..."""

    value: s.Expr
    operands: Sequence[Operand] = ()

    def epilogue(self, dtype: np.dtype[Any]) -> Epilogue:
        """Return what loops are specialised to whose lanes are filters."""
        letters = "".join({1: "u", 0: "b"}.get(operand.channel, "s") for operand in self.operands)
        return Epilogue((self.value,), (dtype.name,), tuple(x.dtype.name for x in self.operands), letters)

    def along_pixels(self, dtype: np.dtype[Any]) -> Epilogue:
        """Return what loops are specialised to whose lanes are pixels (`int8_direct_loops`)."""
        letters = ("c" if operand.row == operand.channel == 0 else {1: "u", 0: "b"}.get(operand.row, "s")
                   for operand in self.operands)  # fmt: skip
        return replace(self.epilogue(dtype), letters="".join(letters))


def finished(offsets: int, sums: Operand | None, terms: Terms, out: Array, begun: bool) -> Finish:
    """Return the epilogue: the offset is added, zero points of filters times ``sums`` are taken off, then rounded.

    Of products that are ``begun`` with the offset, it is not added again.
    """
    operands = [Operand(offsets, _INT32, 0, 1)]

    def operand(name: str) -> s.Expr:
        number, array = terms.arrays[name]
        operands.append(Operand(number, array.dtype, 0, step_of(array)))
        return s.Var(f"e{len(operands) - 1}")

    total: s.Expr = s.Var("product") if begun else s.Var("product") + s.Var("e0")
    if sums is not None:
        zero = s.cast(operand("weight_zero_point"), _INT32)
        operands.append(sums)
        total = total - zero * s.Var(f"e{len(operands) - 1}")
    if "scale" not in terms.arrays:
        return Finish(total, operands)
    scale, zero = operand("scale"), s.cast(operand("zero_point"), _INT32)
    return Finish(requantized(total, scale, zero, out.dtype), operands)


def requantized(total: s.Expr, scale: s.Expr, zero: s.Expr, dtype: np.dtype[Any]) -> s.Expr:
    """Return ``saturate(round_half_even(total * scale) + zero)`` as an integer within ``dtype``; NaN gives the least.

    What is too small saturates first, so that rounding may be an addition: the low bits are the integer. What is too
    large does so last, its bits being larger than those of what is not; conversion to bytes does it for nothing.
    """
    limits = np.iinfo(dtype)
    least = s.cast(limits.min - zero, np.float32)
    product = s.cast(total, np.float32) * scale
    bits = s.bitcast(s.where(product > least, product, least) + _MAGIC, _INT32)
    found = bits - (int(np.float32(_MAGIC).view(np.int32)) - zero)
    if limits.min:
        return s.maximum(s.minimum(found, limits.max), limits.min)
    return s.minimum(s.cast(found, np.uint32), s.cast(limits.max, np.uint32))
