"""Graph: an immutable, typed list of equations in single-assignment form, and its text, in Python's own syntax.

    def graph(v0: float32[8, 3], v1: float32[3]):
        v2: float32[8, 3] = multiply(v0, v1)
        v3: float32[()] = sum(v2, axis=(0, 1), keepdims=False, dtype=None)
        return v3

An elementwise op that a rule derived has no name of its own: it is spelled by its expression,
``scalar["g,x2: multiply(g,x2)"](v0, v1)``. An attribute may be a graph, as the body of a loop is: it stands above,
under a name of its own, and equal ones stand there once.

    def body0(v0: float32[3], v1: float32[3]):
        v2: float32[3] = add(v0, v1)
        return v2, v2

    def graph(v0: float32[3], v1: float32[8, 3]):
        v2, v3 = scan(v0, v1, body=body0, carries=1, slices=1, length=8, reverse=False, kept=False)  # v2: ..., v3: ...
        return v3

The same graph has the same text in every process; `parse` reads it back.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorlite.dispatch import apply, explain
from tensorlite.errors import ArgumentError, asked
from tensorlite.kernels import scalar as s
from tensorlite.op import OPS, Elementwise, Op
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What one equation makes, known by identity: while a function is traced, tensors hold it in place of an array."""

    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the axes."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.type.shape)


#: What an equation is applied to: values of the graph, and Python numbers.
Operand = Value | bool | int | float | complex


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """An op applied to operands; `line` is the user's line that asked for it, `name` the public function there."""

    op: Op
    inputs: tuple[Operand, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[Value, ...]
    line: str = field(default="", repr=False)
    name: str = field(default="", repr=False)

    @property
    def values(self) -> Iterator[Value]:
        """The inputs that are values."""
        return (x for x in self.inputs if isinstance(x, Value))

    @property
    def graphs(self) -> dict[str, Graph]:
        """The attributes that are graphs."""
        return {name: x for name, x in self.attributes.items() if isinstance(x, Graph)}

    def apply(self, known: Mapping[Value, Tensor]) -> tuple[Tensor, ...]:
        """The outputs, of values that are known, through `dispatch.apply`."""
        operands = [known[x] if isinstance(x, Value) else x for x in self.inputs]
        with self._asked():
            made = apply(self.op, *operands, **self.attributes)
        return made if isinstance(made, tuple) else (made,)

    def explained(self, operands: Sequence[Any], error: Exception) -> Exception:
        """What the op raised of arrays, as eager calls say it: with its name, the arguments and the user's line."""
        given = [Tensor(x) if isinstance(of, Value) else x for x, of in zip(operands, self.inputs, strict=True)]
        with self._asked():
            return explain(self.op, given, dict(self.attributes), error)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Errors of the block name the user's line and the public function there."""
        before = asked.line, asked.name
        asked.line, asked.name = self.line, self.name
        try:
            yield
        finally:
            asked.line, asked.name = before


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Equations in order of evaluation, from inputs to outputs.

    `constants` are values known when the graph was made, with their arrays.
    """

    inputs: tuple[Value, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Value, ...]
    constants: Mapping[Value, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return graph_text(self)

    __repr__ = __str__

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What a graph means: its equations applied one after the other."""
        known: dict[Value, Tensor] = dict(zip(self.inputs, inputs, strict=True))
        known |= {value: Tensor(array) for value, array in self.constants.items()}
        for equation in self.equations:
            known.update(zip(equation.outputs, equation.apply(known), strict=True))
        return tuple(known[value] for value in self.outputs)

    def with_equations(self, equations: Sequence[Equation], outputs: Sequence[Value] | None = None,
                       constants: Mapping[Value, Any] | None = None) -> Graph:
        """The graph with other equations, and what else is given."""
        return Graph(self.inputs, tuple(equations), self.outputs if outputs is None else tuple(outputs),
                     self.constants if constants is None else constants)


# --- text ---------------------------------------------------------------------------------------------------------

_INLINE = 16  # constants of up to so many elements are spelled out


def graph_text(graph: Graph) -> str:
    """The text of a graph, and above it those of its bodies."""
    bodies: dict[str, str] = {}
    whole = _text(graph, bodies)
    return "\n".join([*(f"def {name}{text}" for text, name in bodies.items()), f"def graph{whole}"])


def _text(graph: Graph, bodies: dict[str, str]) -> str:
    """The text of one graph without its name; ``bodies`` collects the texts of those it holds, with their names."""
    names: dict[Value, str] = {}
    lines = [f"({', '.join(_declare(value, names) for value in graph.inputs)}):"]
    for value, array in graph.constants.items():
        lines.append(f"    {_declare(value, names)} = {_constant(array)}")
    for equation in graph.equations:
        call = _call(equation, names, bodies)
        if len(equation.outputs) == 1:
            lines.append(f"    {_declare(equation.outputs[0], names)} = {call}")
        else:
            outputs = [_declare(value, names) for value in equation.outputs]
            lines.append(f"    {', '.join(o.partition(':')[0] for o in outputs)} = {call}  # {', '.join(outputs)}")
    lines.append(f"    return {', '.join(names[value] for value in graph.outputs)}".rstrip())
    return "\n".join(lines) + "\n"


def _body_name(attribute: str, graph: Graph, bodies: dict[str, str]) -> str:
    text = _text(graph, bodies)
    return bodies.setdefault(text, f"{attribute}{len(bodies)}")


def type_text(type: TensorType) -> str:
    """A type as it is spelled in graphs: ``float32[8, 3]``, ``float32[()]``, ``float32[8, "cuda:0"]``."""
    extents = [str(n) for n in type.shape] + ([repr(type.device)] if type.device != "cpu" else [])
    return f"{type.dtype.name}[{', '.join(extents) or '()'}]"


def _declare(value: Value, names: dict[Value, str]) -> str:
    names[value] = f"v{len(names)}"
    return f"{names[value]}: {type_text(value.type)}"


def _call(equation: Equation, names: dict[Value, str], bodies: dict[str, str]) -> str:
    operands = [names[x] if isinstance(x, Value) else repr(x) for x in equation.inputs]
    attributes = [f"{name}={_body_name(name, value, bodies) if isinstance(value, Graph) else attribute_text(value)}"
                  for name, value in equation.attributes.items()]
    return f"{op_text(equation.op)}({', '.join(operands + attributes)})"


def op_text(op: Op) -> str:
    """The name of an op, or the expression of an unnamed elementwise one."""
    if OPS.get(op.name) is op or not isinstance(op, Elementwise):
        return op.name
    conditions = f" if {','.join(sorted(op.conditions))}" if op.conditions else ""
    return f'scalar["{",".join(op.inputs)}{conditions}: {s.text(op.function.body)}"]'


def attribute_text(value: Any) -> str:
    """An attribute's value as Python source."""
    if isinstance(value, np.dtype):
        return f'dtype("{value.name}")'
    if isinstance(value, slice):
        return f"slice({value.start}, {value.stop}, {value.step})"
    if value is Ellipsis:
        return "..."
    if isinstance(value, tuple):
        return f"({', '.join(map(attribute_text, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Graph):
        return graph_text(value)
    if value is None or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    raise ArgumentError(f"an attribute is no {type(value).__name__}: {value!r}")


def _constant(array: Any) -> str:
    array = np.asarray(array)
    if array.size <= _INLINE and array.dtype.kind != "V":
        return f"constant({array.tolist()!r})"
    data = np.ascontiguousarray(array).view(np.uint8) if array.ndim else array.reshape(1).view(np.uint8)
    return f'constant("{hashlib.sha256(data.tobytes()).hexdigest()[:16]}")'
