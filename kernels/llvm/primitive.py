"""The primitives of the scalar language as LLVM instructions, for single values and for vectors alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.llvm.assembler import Assembler
from tensorlite.kernels.llvm.types import DType, literal, register, shuffle_mask, splat, suffix


def _kinds(**instructions: str) -> dict[str, str]:
    """Return a row of the table below: an instruction by kind (i signed, u unsigned, f float, b bool)."""
    return {kind: instruction for kinds, instruction in instructions.items() for kind in kinds}


_BINARY = {
    "add": _kinds(iu="add", f="fadd"),
    "sub": _kinds(iu="sub", f="fsub"),
    "mul": _kinds(iu="mul", f="fmul"),
    "div": _kinds(i="sdiv", u="udiv", f="fdiv"),
    "rem": _kinds(i="srem", u="urem"),
    "and": _kinds(iub="and"),
    "or": _kinds(iub="or"),
    "xor": _kinds(iub="xor"),
    "shl": _kinds(iu="shl"),
    "shr": _kinds(i="ashr", u="lshr"),
    "lt": _kinds(i="icmp slt", ub="icmp ult", f="fcmp olt"),
    "le": _kinds(i="icmp sle", ub="icmp ule", f="fcmp ole"),
    "gt": _kinds(i="icmp sgt", ub="icmp ugt", f="fcmp ogt"),
    "ge": _kinds(i="icmp sge", ub="icmp uge", f="fcmp oge"),
    "eq": _kinds(iub="icmp eq", f="fcmp oeq"),
    "ne": _kinds(iub="icmp ne", f="fcmp une"),
}
_INTRINSICS = {
    "fma": "fma",
    "copysign": "copysign",
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "rint": "roundeven",
    "sqrt": "sqrt",
}


def emit_primitive(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    """Append the instructions for ``node`` applied to ``operands`` (names or literals) and return the result's name."""
    special = _SPECIAL.get(node.op)
    if special is not None:
        return special(asm, node, operands, lanes)
    operand = node.args[0].dtype
    if node.op in _INTRINSICS:
        return _intrinsic(asm, _INTRINSICS[node.op], operand, operands, lanes)
    return asm.let(f"{_BINARY[node.op][_kind(operand)]} {register(operand, lanes)} {', '.join(operands)}")


def _kind(dtype: DType) -> str:
    return "f" if dtype.kind == "V" else dtype.kind


def _intrinsic(asm: Assembler, name: str, dtype: DType, operands: list[str], lanes: int) -> str:
    type_ = register(dtype, lanes)
    return asm.call(f"llvm.{name}.{suffix(dtype, lanes)}", type_, *((type_, operand) for operand in operands))


def emit_dot2(asm: Assembler, operands: list[str], lanes: int) -> str:
    """Append ``vdpbf16ps`` for each 512 bits of the lanes, or for all of fewer (4 or 8)."""
    width = min(lanes, 16)
    parts = [_dot2_of(asm, operands, lanes, start, width) for start in range(0, lanes, width)]
    while len(parts) > 1:
        mask = shuffle_mask(0, 2 * width)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        type_ = f"<{width} x float>"
        parts = [asm.let(f"shufflevector {type_} {low}, {type_} {high}, {mask}") for low, high in pairs]
        width *= 2
    return parts[0]


def _dot2_of(asm: Assembler, operands: list[str], lanes: int, start: int, width: int) -> str:
    total, pairs = f"<{width} x float>", f"<{2 * width} x bfloat>"
    parts = []
    for operand, element in zip(operands, ("float", "i32", "i32"), strict=True):
        if width < lanes:
            type_, mask = f"<{lanes} x {element}>", shuffle_mask(start, start + width)
            operand = asm.let(f"shufflevector {type_} {operand}, {type_} poison, {mask}")
        parts.append(operand)
    left, right = (asm.let(f"bitcast <{width} x i32> {part} to {pairs}") for part in parts[1:])
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * width}"
    return asm.call(name, total, (total, parts[0]), (pairs, left), (pairs, right))


def _emit_neg(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    type_ = register(node.dtype, lanes)
    if node.dtype.kind == "f":
        return asm.let(f"fneg {type_} {operands[0]}")
    return asm.let(f"sub {type_} {splat('0', node.dtype, lanes)}, {operands[0]}")


def _emit_abs(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    if node.dtype.kind == "f":
        return _intrinsic(asm, "fabs", node.dtype, operands, lanes)
    type_ = register(node.dtype, lanes)
    return asm.call(f"llvm.abs.{suffix(node.dtype, lanes)}", type_, (type_, operands[0]), ("i1", "false"))


def _emit_not(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    ones = literal(-1 if node.dtype != np.bool_ else True, node.dtype)
    return asm.let(f"xor {register(node.dtype, lanes)} {operands[0]}, {splat(ones, node.dtype, lanes)}")


def _emit_select(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    types = [register(arg.dtype, lanes) for arg in node.args]
    return asm.let(f"select {', '.join(map(' '.join, zip(types, operands, strict=True)))}")


def _extremum(order: str) -> Callable[[Assembler, s.Typed, list[str], int], str]:
    """Return the emitter of min or max: one instruction of the machine for all but a NaN on the left."""

    def emit(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
        if node.dtype.kind != "f":
            return _intrinsic(asm, f"{'s' if node.dtype.kind == 'i' else 'u'}{node.op}", node.dtype, operands, lanes)
        (a, b), type_, condition = operands, register(node.dtype, lanes), register(np.dtype(np.bool_), lanes)
        beats = asm.let(f"fcmp {order} {type_} {a}, {b}")
        chosen = asm.let(f"select {condition} {beats}, {type_} {a}, {type_} {b}")
        is_nan = asm.let(f"fcmp uno {type_} {a}, {a}")
        return asm.let(f"select {condition} {is_nan}, {type_} {a}, {type_} {chosen}")

    return emit


def _emit_bitcast(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    source, target = register(node.args[0].dtype, lanes), register(node.dtype, lanes)
    return operands[0] if source == target else asm.let(f"bitcast {source} {operands[0]} to {target}")


def _emit_convert(asm: Assembler, node: s.Typed, operands: list[str], lanes: int) -> str:
    source, target = node.args[0].dtype, node.dtype
    if _kind(source) == "f" and _kind(target) in "iu":
        name = f"llvm.fpto{'s' if target.kind == 'i' else 'u'}i.sat.{suffix(target, lanes)}.{suffix(source, lanes)}"
        return asm.call(name, register(target, lanes), (register(source, lanes), operands[0]))
    instruction = _conversion(source, target)
    if not instruction:
        return operands[0]
    return asm.let(f"{instruction} {register(source, lanes)} {operands[0]} to {register(target, lanes)}")


def _conversion(source: DType, target: DType) -> str:
    """Return the instruction that converts, or nothing where the bits stay."""
    if source == target:
        return ""
    signed = source.kind == "i"
    if _kind(target) == "f":
        if _kind(source) != "f":
            return "sitofp" if signed else "uitofp"
        return "fpext" if target.itemsize > source.itemsize else "fptrunc"
    if source.kind == "b" or target.itemsize > source.itemsize:
        return "sext" if signed else "zext"
    return "trunc" if target.itemsize < source.itemsize else ""


_SPECIAL: dict[str, Callable[[Assembler, s.Typed, list[str], int], str]] = {
    "neg": _emit_neg,
    "abs": _emit_abs,
    "not": _emit_not,
    "select": _emit_select,
    "min": _extremum("olt"),
    "max": _extremum("ogt"),
    "bitcast": _emit_bitcast,
    "convert": _emit_convert,
}
