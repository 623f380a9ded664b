"""Spell out: ops that have a meaning in other ops become those, so that what they share with neighbours can fuse.

    before:  v1 = softmax(v0, axis=1)
    after:   v1 = max(v0, axis=(1,), keepdims=True); v2 = subtract(v0, v1); v3 = exp(v2); ...

Requires a verified graph; ensures that no equation's op has a meaning, but for values without elements and ops whose
meaning uses the op itself. Tests: tests/jit/test_passes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.rewrite import substitute
from tensorlite.jit.trace import Trace, tracing
from tensorlite.modes import no_grad
from tensorlite.tensor import Tensor


def spell_out(graph: Graph) -> Graph:
    """Replaces equations by the meanings of their ops."""
    replaced: dict[Value, Value] = {}
    equations: list[Equation] = []
    for equation in graph.equations:
        equation = substitute(equation, replaced)
        if not _has_meaning(equation):
            equations.append(equation)
            continue
        made, outputs = _spell(equation)
        equations += made
        replaced.update(zip(equation.outputs, outputs, strict=True))
    return graph.with_equations(equations, [replaced.get(value, value) for value in graph.outputs])


def _has_meaning(equation: Equation) -> bool:
    """Whether an op has one that says more: that of ops with a bias is the same op without, and an addition."""
    op = equation.op
    if op.meaning is None or not all(value.size for value in (*equation.values, *equation.outputs)):
        return False
    return op.kind != "contract" or len(equation.inputs) == len(op.inputs)


def _spell(equation: Equation) -> tuple[Sequence[Equation], Sequence[Value]]:
    """The equations of a meaning, and the values that stand for the equation's outputs."""
    trace = Trace(line=equation.line)
    trace.values.update(equation.values)
    operands: list[Any] = [Tensor(x) if isinstance(x, Value) else x for x in equation.inputs]
    with tracing(trace), no_grad():
        made = equation.op.meaning(*operands, **equation.attributes)  # type: ignore[misc]
    results = made if isinstance(made, tuple) else (made,)
    return trace.equations, [result.array for result in results]
