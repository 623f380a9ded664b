"""Whether a graph keeps its promises: single assignment, definition before use, and types that the ops' rules give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorlite.errors import InternalError, TensorliteError
from tensorlite.jit.graph import Equation, Graph, Operand, Value, op_text
from tensorlite.op import Op
from tensorlite.tensor_type import TensorType


def verify(graph: Graph) -> Graph:
    """Returns the graph, or raises `InternalError` that names the first equation at fault."""
    known = {*graph.inputs, *graph.constants}
    if len(known) < len(graph.inputs) + len(graph.constants):
        raise InternalError("graph: a value is declared twice among inputs and constants")
    for number, equation in enumerate(graph.equations):
        where = f"graph: equation {number}, {op_text(equation.op)}"
        for value in equation.values:
            if value not in known:
                raise InternalError(f"{where}: uses a value before it is made")
        for value in equation.outputs:
            if value in known:
                raise InternalError(f"{where}: makes a value a second time")
            known.add(value)
        for name, body in equation.graphs.items():
            _verify_body(body, f"{where}: {name}")
        _verify_types(equation, where)
    for value in graph.outputs:
        if value not in known:
            raise InternalError("graph: returns a value that nothing makes")
    return graph


def _verify_body(body: Graph, where: str) -> None:
    try:
        verify(body)
    except InternalError as problem:
        raise InternalError(f"{where}: {problem}") from None


def _verify_types(equation: Equation, where: str) -> None:
    expected = infer(equation.op, equation.inputs, equation.attributes, where)
    given = tuple(value.type for value in equation.outputs)
    if given != expected:
        raise InternalError(f"{where}: the type rule gives {_list(expected)}, the graph says {_list(given)}")


def infer(op: Op, inputs: Sequence[Operand], attributes: Mapping[str, Any], where: str) -> tuple[TensorType, ...]:
    """The types that an op's rule gives for operands."""
    if op.type_rule is None:
        raise InternalError(f"{where}: the op has no type rule")
    try:
        found = op.type_rule(*(x.type if isinstance(x, Value) else x for x in inputs), **attributes)
    except TensorliteError as problem:
        raise InternalError(f"{where}: {problem}") from problem
    return found if isinstance(found, tuple) else (found,)


def _list(types: tuple[TensorType, ...]) -> str:
    return ", ".join(map(str, types))
