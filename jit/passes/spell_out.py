"""Spell out: ops that have a meaning in other ops become those, so that what they share with neighbours can fuse.

    before:  v1 = softmax(v0, axis=1)
    after:   v1 = max(v0, axis=(1,), keepdims=True); v2 = subtract(v0, v1); v3 = exp(v2); ...

Requires a verified graph; ensures that no equation has a meaning, but for values without elements. Tests:
tests/jit/test_passes.py.
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
        found = _spell(equation) if _may_be_spelled(equation) else None
        if found is None:
            equations.append(equation)
            continue
        made, outputs = found
        equations += made
        replaced.update(zip(equation.outputs, outputs, strict=True))
    return graph.with_equations(equations, [replaced.get(value, value) for value in graph.outputs])


def _may_be_spelled(equation: Equation) -> bool:
    """Whether an equation's op has a meaning, for values with elements."""
    return equation.op.meaning is not None and all(v.size for v in (*equation.values, *equation.outputs))


def _spell(equation: Equation) -> tuple[Sequence[Equation], Sequence[Value]] | None:
    """The equations of a meaning, and the values that stand for the equation's outputs; None where it has none."""
    trace = Trace(line=equation.line)
    trace.values.update(equation.values)
    operands: list[Any] = [Tensor(x) if isinstance(x, Value) else x for x in equation.inputs]
    with tracing(trace), no_grad():
        made = equation.op.meaning(*operands, **equation.attributes)  # type: ignore[misc]
    if made is None:
        return None
    results = made if isinstance(made, tuple) else (made,)
    return trace.equations, [result.array for result in results]
