"""Products of bytes, four to a lane, or of 16-bit numbers, two to a lane, summed into int32.

``vpdpbusd`` multiplies unsigned bytes by signed ones and adds the four products of a lane to an int32, exactly: one
instruction where the machine has it. Elsewhere bytes become 16-bit numbers, the even ones and the odd ones, whose
products are added in pairs: LLVM makes ``vpmaddwd`` of it, which is exact too. (``vpmaddubsw`` would saturate.)
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.llvm.assembler import Assembler
from tensorlite.kernels.llvm.types import register, shuffle_mask, splat

_WORD, _HALF = np.dtype(np.int32), np.dtype(np.int16)


def emit_dot4(asm: Assembler, operands: list[str], lanes: int, widths: frozenset[int]) -> str:
    """Append ``total + a . b`` for operands ``total, a, b``; ``widths`` are those of the machine's own instruction."""
    width = max((width for width in widths if lanes and lanes % width == 0), default=0)
    if not width:
        return _emit_pairs(asm, operands, lanes)
    if width == lanes:
        return _emit_instruction(asm, operands, lanes)
    type_, parts = register(_WORD, lanes), []
    for start in range(0, lanes, width):
        mask = shuffle_mask(start, start + width)
        pieces = [asm.let(f"shufflevector {type_} {operand}, {type_} poison, {mask}") for operand in operands]
        parts.append(_emit_instruction(asm, pieces, width))
    return _join(asm, parts, width)


def _emit_instruction(asm: Assembler, operands: list[str], lanes: int) -> str:
    type_ = register(_WORD, lanes)
    return asm.call(f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", type_, *((type_, operand) for operand in operands))


def _join(asm: Assembler, parts: list[str], lanes: int) -> str:
    """Append the vector of all parts, one after the other; their number is a power of two."""
    while len(parts) > 1:
        type_, mask = register(_WORD, lanes), shuffle_mask(0, 2 * lanes)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [asm.let(f"shufflevector {type_} {low}, {type_} {high}, {mask}") for low, high in pairs]
        lanes *= 2
    return parts[0]


def emit_dot_halves(asm: Assembler, operands: list[str], lanes: int) -> str:
    """Append ``total + a . b`` for the halves of ``a`` and ``b``: LLVM takes ``vpdpwssd`` where the machine has it."""
    total, *factors = operands
    word, half = register(_WORD, lanes), register(_HALF, 2 * max(lanes, 1))
    a, b = (asm.let(f"bitcast {word} {operand} to {half}") for operand in factors)
    return asm.let(f"add {word} {total}, {_multiply_pairs(asm, a, b, lanes)}")


def _emit_pairs(asm: Assembler, operands: list[str], lanes: int) -> str:
    total, a, b = operands
    word, half = register(_WORD, lanes), register(_HALF, 2 * max(lanes, 1))
    eight, low = (splat(number, _HALF, 2) for number in ("8", "255"))
    unsigned, signed = (asm.let(f"bitcast {word} {operand} to {half}") for operand in (a, b))
    lowered = asm.let(f"shl {half} {signed}, {eight}")
    even = asm.let(f"and {half} {unsigned}, {low}"), asm.let(f"ashr {half} {lowered}, {eight}")
    odd = asm.let(f"lshr {half} {unsigned}, {eight}"), asm.let(f"ashr {half} {signed}, {eight}")
    for pair in (even, odd):
        total = asm.let(f"add {word} {total}, {_multiply_pairs(asm, *pair, lanes)}")
    return total


def _multiply_pairs(asm: Assembler, a: str, b: str, lanes: int) -> str:
    """Append the products of 16-bit numbers, added in pairs, as int32."""
    count = max(lanes, 1)
    half, word, wide = register(_HALF, 2 * count), register(_WORD, lanes), register(_WORD, 2 * count)
    a, b = (asm.let(f"sext {half} {operand} to {wide}") for operand in (a, b))
    product = asm.let(f"mul nsw {wide} {a}, {b}")
    if not lanes:
        first, second = (asm.let(f"extractelement {wide} {product}, i64 {k}") for k in (0, 1))
    else:
        masks = (", ".join(f"i32 {lane}" for lane in range(start, 2 * count, 2)) for start in (0, 1))
        first, second = (
            asm.let(f"shufflevector {wide} {product}, {wide} poison, <{count} x i32> <{mask}>") for mask in masks
        )
    return asm.let(f"add {word} {first}, {second}")
