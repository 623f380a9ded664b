"""Share common subexpressions: the same op of the same operands is computed once.

    before:  v1 = exp(v0); v2 = exp(v0); v3 = add(v1, v2)
    after:   v1 = exp(v0); v3 = add(v1, v1)

Requires a verified graph; ensures that no two equations without effect are equal. Tests: tests/jit/test_passes.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.jit.graph import Equation, Graph, Value, attribute_text, op_text
from tensorlite.jit.passes.fold_constants import LIMIT


def share_common_subexpressions(graph: Graph) -> Graph:
    """Replaces each equation that repeats an earlier one by that one's outputs."""
    seen: dict[Any, Equation] = {}
    replaced, constants = _share_constants(graph)
    kept: list[Equation] = []
    for equation in graph.equations:
        inputs = tuple(replaced.get(x, x) if isinstance(x, Value) else x for x in equation.inputs)
        equation = Equation(equation.op, inputs, equation.attributes, equation.outputs, equation.line)
        earlier = seen.setdefault(equation_key(equation), equation)
        if earlier is equation or equation.op.kind == "effect":
            kept.append(equation)
        else:
            replaced.update(zip(equation.outputs, earlier.outputs, strict=True))
    return graph.with_equations(kept, [replaced.get(value, value) for value in graph.outputs], constants)


def _share_constants(graph: Graph) -> tuple[dict[Value, Value], dict[Value, Any]]:
    """What stands for constants that are equal to an earlier one, and those that are left."""
    seen: dict[Any, Value] = {}
    replaced: dict[Value, Value] = {}
    for value, array in graph.constants.items():
        small = value.type.device == "cpu" and value.size * value.dtype.itemsize <= LIMIT
        earlier = seen.setdefault((value.type, np.asarray(array).tobytes()) if small else value, value)
        if earlier is not value and value not in graph.outputs:
            replaced[value] = earlier
    return replaced, {value: array for value, array in graph.constants.items() if value not in replaced}


def equation_key(equation: Equation) -> Any:
    """What makes equations equal: numbers are told apart by type and sign, as 1 from 1.0 and 0.0 from -0.0."""
    operands = tuple(x if isinstance(x, Value) else (type(x), repr(x)) for x in equation.inputs)
    attributes = tuple((name, attribute_text(value)) for name, value in equation.attributes.items())
    return op_text(equation.op), operands, attributes
