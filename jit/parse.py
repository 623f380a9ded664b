"""Reading a graph back from its text."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from tensorlite.derivative import elementwise_op
from tensorlite.errors import ArgumentError
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.kernels import scalar as s
from tensorlite.op import OPS, Op
from tensorlite.tensor_type import TensorType, dtype_of


def parse(text: str, constants: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a text; ``constants`` gives the arrays of those that are only named by their digest.

    Raises `ArgumentError` for an op that does not exist, and SyntaxError for what is no graph.
    """
    graphs: dict[str, Graph] = {}
    last = ""
    for function in ast.parse(text).body:
        if not isinstance(function, ast.FunctionDef):
            raise ArgumentError("a graph's text begins with 'def graph(...):'")
        last = function.name
        graphs[last] = _Parser(text.splitlines(), constants or {}, graphs).graph(function)
    return graphs[last]


class _Parser:
    def __init__(self, lines: list[str], constants: Mapping[str, Any], graphs: Mapping[str, Graph]) -> None:
        self.lines, self.known, self.graphs = lines, constants, graphs
        self.values: dict[str, Value] = {}
        self.constants: dict[Value, Any] = {}
        self.equations: list[Equation] = []

    def graph(self, function: ast.FunctionDef) -> Graph:
        inputs = tuple(self.declare(argument.arg, argument.annotation) for argument in function.args.args)
        outputs: tuple[Value, ...] = ()
        for statement in function.body:
            if isinstance(statement, ast.Return):
                found = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
                outputs = tuple(self.values[node.id] for node in found if isinstance(node, ast.Name))
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                self.assign([(statement.target.id, statement.annotation)], statement.value)
            elif isinstance(statement, ast.Assign):
                comment = self.lines[statement.lineno - 1].partition("  # ")[2]
                declared = ast.parse(f"def types({comment}): pass").body[0].args.args  # type: ignore[attr-defined]
                self.assign([(argument.arg, argument.annotation) for argument in declared], statement.value)
        return Graph(inputs, tuple(self.equations), outputs, self.constants)

    def declare(self, name: str, annotation: ast.expr | None) -> Value:
        assert isinstance(annotation, ast.Subscript)
        extents = literal(annotation.slice)
        extents = extents if isinstance(extents, tuple) else (extents,)
        device = next((e for e in extents if isinstance(e, str)), "cpu")
        shape = tuple(e for e in extents if isinstance(e, int))
        self.values[name] = Value(TensorType(dtype_of(ast.unparse(annotation.value)), shape, device))
        return self.values[name]

    def assign(self, targets: list[tuple[str, ast.expr | None]], call: ast.expr | None) -> None:
        assert isinstance(call, ast.Call)
        if isinstance(call.func, ast.Name) and call.func.id == "constant":
            value = self.declare(*targets[0])
            given = literal(call.args[0])
            array = self.known[given] if isinstance(given, str) else np.array(given, value.dtype).reshape(value.shape)
            self.constants[value] = array
            return
        op = _find_op(call.func)
        inputs = tuple(self.values[a.id] if isinstance(a, ast.Name) and a.id in self.values else literal(a)
                       for a in call.args)
        attributes = {keyword.arg or "": self.attribute(keyword.value) for keyword in call.keywords}
        outputs = tuple(self.declare(*target) for target in targets)
        self.equations.append(Equation(op, inputs, attributes, outputs))

    def attribute(self, node: ast.expr) -> Any:
        body = self.graphs.get(node.id) if isinstance(node, ast.Name) else None
        return literal(node) if body is None else body


def _find_op(node: ast.expr) -> Op:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        head, _, body = str(node.slice.value).partition(": ")
        names, _, conditions = head.partition(" if ")
        function = s.Function(tuple(names.split(",")), s.parse(body))
        return elementwise_op(function, "scalar", conditions=frozenset(filter(None, conditions.split(","))))
    name = ast.unparse(node)
    if name not in OPS:
        raise ArgumentError(f"there is no op called {name!r}")
    return OPS[name]


def literal(node: ast.expr) -> Any:
    """The value of an attribute's source."""
    if isinstance(node, ast.Tuple):
        return tuple(map(literal, node.elts))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments = [literal(argument) for argument in node.args]
        return dtype_of(*arguments) if node.func.id == "dtype" else slice(*arguments)
    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -literal(node.operand)
    return ast.literal_eval(node)
