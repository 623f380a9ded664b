"""Fold constants: what depends on nothing that changes is computed once, now.

    before:  v1 = full(shape=(2,), value=3.0); v2 = multiply(v0, v1)
    after:   v1 = constant([3.0, 3.0]); v2 = multiply(v0, v1)

Requires a verified graph; ensures that no equation has only constants for operands, unless its result is larger than
`LIMIT` bytes. Tests: tests/jit/test_passes.py.
"""

from __future__ import annotations

from typing import Any

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.tensor import Tensor

LIMIT = 1 << 16  # bytes: larger constants cost more to keep than to compute


def fold_constants(graph: Graph) -> Graph:
    """Evaluates the equations whose operands are all known."""
    constants: dict[Value, Any] = dict(graph.constants)
    kept: list[Equation] = []
    for equation in graph.equations:
        if not _can_fold(equation, constants):
            kept.append(equation)
            continue
        known = {value: Tensor(constants[value]) for value in equation.values}
        made = equation.apply(known)
        constants.update(zip(equation.outputs, (y.array for y in made), strict=True))
    return graph.with_equations(kept, constants=constants)


def _can_fold(equation: Equation, constants: dict[Value, Any]) -> bool:
    size = sum(value.size * value.dtype.itemsize for value in equation.outputs)
    return equation.op.kind != "effect" and size <= LIMIT and all(value in constants for value in equation.values)
