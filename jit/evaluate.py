"""What a graph means: its equations applied one after the other, through `dispatch.apply`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorlite.dispatch import apply
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.tensor import Tensor


def apply_equation(equation: Equation, known: Mapping[Value, Tensor]) -> tuple[Tensor, ...]:
    """The outputs of one equation, of values that are known."""
    operands = [known[x] if isinstance(x, Value) else x for x in equation.inputs]
    made = apply(equation.op, *operands, **equation.attributes)
    return made if isinstance(made, tuple) else (made,)


def evaluate(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs for some inputs: recorded where they are tracked, traced inside another trace."""
    known: dict[Value, Tensor] = dict(zip(graph.inputs, inputs, strict=True))
    known |= {value: Tensor(array) for value, array in graph.constants.items()}
    for equation in graph.equations:
        known.update(zip(equation.outputs, apply_equation(equation, known), strict=True))
    return [known[value] for value in graph.outputs]
