"""What a name stands for while a kernel is emitted, and how expressions of such values are emitted.

Within a vector loop a value is uniform (one register for all lanes), a vector, or, for indices, base + lane * step.
Indices stay linear through additions and multiplications by uniform values, which is how a load knows its stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.llvm import half
from tensorlite.kernels.llvm.assembler import Assembler
from tensorlite.kernels.llvm.dot import emit_dot4, emit_dot_halves
from tensorlite.kernels.llvm.primitive import emit_dot2, emit_primitive
from tensorlite.kernels.llvm.target import Target
from tensorlite.kernels.llvm.types import DType, literal, register, shuffle_mask, splat, steps


@dataclass(frozen=True, slots=True)
class Value:
    """A register, or a literal. ``lanes`` is 0 where it is uniform; ``step`` is set where it is linear."""

    ref: str
    dtype: DType
    lanes: int = 0
    step: str = ""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The vector loop around a statement: its width, and how many lanes are active where not all are."""

    count: int = 0
    active: str = ""


class Evaluator:
    """Emits expressions for one kind of machine."""

    def __init__(self, asm: Assembler, target: Target) -> None:
        self.asm, self.target = asm, target

    def evaluate(self, root: s.Typed, values: Mapping[str, Value]) -> Value:
        """Append the instructions that compute ``root`` and return its value."""
        done: dict[s.Typed, Value] = {}
        for node in s.postorder(root):
            done[node] = self._node(node, done, values)
        return done[root]

    def _node(self, node: s.Typed, done: Mapping[s.Typed, Value], values: Mapping[str, Value]) -> Value:
        if node.op == "var":
            return values[str(node.value)]
        if node.op == "const":
            return Value(literal(node.value, node.dtype), node.dtype)
        if node.op == "convert" and not self.target.converts_half and _is_half(node):
            narrowed = half.narrow if node.dtype.itemsize == 2 else half.widen
            return self.evaluate(narrowed(_variable("x", node.args[0].dtype)), {"x": done[node.args[0]]})
        if node.op == "dot2":
            return self._dot2(*(done[arg] for arg in node.args))
        operands = [done[arg] for arg in node.args]
        if any(operand.step for operand in operands) and node.dtype == loops.INDEX:
            linear = self._linear(node.op, operands)
            if linear is not None:
                return linear
        lanes = max(operand.lanes for operand in operands)
        return self._apply(node, [self.widen(operand, lanes) for operand in operands], lanes)

    def _apply(self, node: s.Typed, operands: list[Value], lanes: int) -> Value:
        if node.op == "dot4":
            refs = [value.ref for value in operands]
            return Value(emit_dot4(self.asm, refs, lanes, self.target.dots), node.dtype, lanes)
        if node.op == "dot_halves":
            return Value(emit_dot_halves(self.asm, [value.ref for value in operands], lanes), node.dtype, lanes)
        return Value(emit_primitive(self.asm, node, [value.ref for value in operands], lanes), node.dtype, lanes)

    def _dot2(self, *operands: Value) -> Value:
        """Append products of pairs: by the machine's instruction for vectors of up to 512 bits, or by two fmas."""
        lanes = max(value.lanes for value in operands)
        if lanes < 4 or not self.target.multiplies_pairs:
            names = ("total", "left", "right")
            spelled = (_variable(name, value.dtype) for name, value in zip(names, operands, strict=True))
            return self.evaluate(half.dot2(*spelled), dict(zip(names, operands, strict=True)))
        refs = [self.widen(value, lanes).ref for value in operands]
        return Value(emit_dot2(self.asm, refs, lanes), operands[0].dtype, lanes)

    def widen(self, value: Value, lanes: int) -> Value:
        """Return a value as a vector; with 0 lanes, as it is."""
        if value.step:
            return self._unfold(value)
        if value.lanes == lanes:
            return value
        assert value.lanes == 0, "a vector of another width"
        if not value.ref.startswith("%"):
            return Value(splat(value.ref, value.dtype, lanes), value.dtype, lanes)
        type_ = register(value.dtype, lanes)
        first = self.asm.let(f"insertelement {type_} poison, {register(value.dtype)} {value.ref}, i64 0")
        spread = f"shufflevector {type_} {first}, {type_} poison, <{lanes} x i32> zeroinitializer"
        return Value(self.asm.let(spread), value.dtype, lanes)

    def _unfold(self, value: Value) -> Value:
        """Return a linear value as a vector."""
        lanes, type_ = value.lanes, register(value.dtype, value.lanes)
        base = self.widen(Value(value.ref, value.dtype), lanes)
        offsets = steps(value.dtype, lanes)
        if value.step != "1":
            step = self.widen(Value(value.step, value.dtype), lanes)
            offsets = self.asm.let(f"mul {type_} {step.ref}, {offsets}")
        return Value(self.asm.let(f"add {type_} {base.ref}, {offsets}"), value.dtype, lanes)

    def _linear(self, op: str, operands: list[Value]) -> Value | None:
        """Return a sum, a difference or a multiple of linear values as a linear value."""
        if len(operands) != 2 or any(value.lanes and not value.step for value in operands):
            return None
        a, b = operands
        lanes = max(a.lanes, b.lanes)
        if op in ("add", "sub"):
            step = self._arithmetic(op, a.step or "0", b.step or "0")
            return Value(self._arithmetic(op, a.ref, b.ref), a.dtype, lanes, step)
        if op == "mul" and not (a.step and b.step):
            linear, factor = (a, b) if a.step else (b, a)
            step = self._arithmetic(op, linear.step, factor.ref)
            return Value(self._arithmetic(op, a.ref, b.ref), a.dtype, lanes, step)
        return None

    def _arithmetic(self, op: str, a: str, b: str) -> str:
        if (op, a) == ("mul", "1") or (op, a) == ("add", "0"):
            return b
        if b == "0" and op != "mul":
            return a
        return self.asm.let(f"{op} i64 {a}, {b}")

    def halves(self, value: Value) -> tuple[Value, Value]:
        """Return the lower and the upper half of a vector's lanes; single values at last."""
        type_, lanes = register(value.dtype, value.lanes), value.lanes // 2
        if lanes == 1:
            first, second = (self.asm.let(f"extractelement {type_} {value.ref}, i64 {lane}") for lane in (0, 1))
            return Value(first, value.dtype), Value(second, value.dtype)
        masks = (shuffle_mask(0, lanes), shuffle_mask(lanes, 2 * lanes))
        low, high = (self.asm.let(f"shufflevector {type_} {value.ref}, {type_} poison, {mask}") for mask in masks)
        return replace(value, ref=low, lanes=lanes), replace(value, ref=high, lanes=lanes)


def _is_half(node: s.Typed) -> bool:
    return "float16" in (node.dtype.name, node.args[0].dtype.name)


def _variable(name: str, dtype: DType) -> s.Typed:
    return s.Typed("var", (), dtype, name)
