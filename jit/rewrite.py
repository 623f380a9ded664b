"""Rewriting by rules: each gives, for one equation, the value that may stand for its output, or None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tensorlite.jit.graph import Equation, Graph, Operand, Value
from tensorlite.jit.verify import infer
from tensorlite.op import OPS


@dataclass
class Rewriter:
    """A graph under way: what has been rewritten so far, and where rules put new equations."""

    equations: list[Equation] = field(default_factory=list)
    makers: dict[Value, Equation] = field(default_factory=dict)
    replaced: dict[Value, Value] = field(default_factory=dict)

    def find(self, x: Operand) -> Operand:
        """What an operand has become."""
        return self.replaced.get(x, x) if isinstance(x, Value) else x

    def maker(self, x: Operand, name: str) -> Equation | None:
        """The equation that makes a value, if it applies the op of that name."""
        equation = self.makers.get(x) if isinstance(x, Value) else None
        return equation if equation is not None and equation.op is OPS.get(name) else None

    def emit(self, name: str, *inputs: Operand, line: str = "", **attributes: object) -> Value:
        """Adds an equation, which the user's ``line`` asked for, and returns its one output."""
        (type,) = infer(OPS[name], inputs, attributes, name)
        output = Value(type)
        self.add(Equation(OPS[name], inputs, attributes, (output,), line))
        return output

    def add(self, equation: Equation) -> None:
        """Adds an equation as it is."""
        self.equations.append(equation)
        self.makers.update(dict.fromkeys(equation.outputs, equation))


def substitute(equation: Equation, replaced: Mapping[Value, Value]) -> Equation:
    """The equation with other values in place of some of its operands."""
    if not any(x in replaced for x in equation.values):
        return equation
    inputs = tuple(replaced.get(x, x) if isinstance(x, Value) else x for x in equation.inputs)
    return Equation(equation.op, inputs, equation.attributes, equation.outputs, equation.line)


Rule = Callable[[Rewriter, Equation], Value | None]


def rewrite(graph: Graph, rules: Sequence[Rule]) -> Graph:
    """Goes through the equations once, in order, and applies to each the first rule that fits."""
    state = Rewriter()
    for equation in graph.equations:
        equation = Equation(equation.op, tuple(map(state.find, equation.inputs)), equation.attributes,
                            equation.outputs, equation.line)
        found = next((v for rule in rules if (v := rule(state, equation)) is not None), None)
        if found is None:
            state.add(equation)
        else:
            state.replaced[equation.outputs[0]] = found
    outputs = [state.replaced.get(value, value) for value in graph.outputs]
    return graph.with_equations(state.equations, outputs)
