"""Eliminate dead code: equations whose outputs nobody uses go.

    before:  v1 = exp(v0); v2 = log(v0); return v1
    after:   v1 = exp(v0); return v1

Requires a verified graph; ensures that every equation has an output that is used. Tests: tests/jit/test_passes.py.
"""

from __future__ import annotations

from tensorlite.jit.graph import Equation, Graph, Value


def eliminate_dead_code(graph: Graph) -> Graph:
    """Keeps the equations that the outputs need, and those with an effect."""
    needed: set[Value] = set(graph.outputs)
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        if equation.op.kind == "effect" or needed.intersection(equation.outputs):
            needed.update(equation.values)
            kept.append(equation)
    constants = {value: array for value, array in graph.constants.items() if value in needed}
    return graph.with_equations(kept[::-1], constants=constants)
