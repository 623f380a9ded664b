"""Derivatives of compiled calls: what a jitted function returns can be differentiated like any other tensor.

The call is one node of the tape. Where gradients are wanted, the function and its derivative are traced together and
cut in two graphs: the call also returns what its derivative needs of it, and the derivative is compiled too. Only where
the derivative itself is recorded, for one of higher order, is it computed from the call's inputs anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tensorlite.autograd import Function
from tensorlite.errors import GradientError, complaint
from tensorlite.jit.compiled import Compiled, run_graph
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.trace import trace_call
from tensorlite.op import OPS
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE
from tensorlite.transforms import vjp

Wanted = tuple[bool, ...]


class Differentiable:
    """A graph as a function of tensors: compiled at its first call, and its derivative another one."""

    def __init__(self, graph: Graph, outputs: Sequence[int] | None = None) -> None:
        self.graph = graph
        everything = range(len(graph.outputs)) if outputs is None else outputs
        self.outputs = [k for k in everything if graph.outputs[k].dtype in DIFFERENTIABLE]
        self._run: Callable[[Sequence[Any]], Sequence[Any]] | None = None
        self._derivatives: dict[Wanted, Differentiable] = {}

    def run(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The outputs' arrays."""
        if self._run is None:
            self._run = run_graph(self.graph)
        return self._run(arrays)

    def derivative(self, wanted: Wanted) -> Differentiable:
        """The graph from inputs and the differentiable outputs' cotangents to the cotangents of some inputs."""
        found = self._derivatives.get(wanted)
        if found is None:
            joint = self.jointly(wanted)
            pulled = joint.with_equations(joint.equations, joint.outputs[len(self.graph.outputs):])
            found = self._derivatives[wanted] = Differentiable(pulled)
        return found

    def jointly(self, wanted: Wanted) -> Graph:
        """The graph from inputs and cotangents to all outputs, and then the cotangents of some inputs."""
        count = len(self.graph.inputs)
        chosen = [k for k, is_wanted in enumerate(wanted) if is_wanted]

        def both(*arguments: Tensor) -> tuple[Tensor, ...]:
            inputs, cotangents = list(arguments[:count]), arguments[count:]

            def forward(*some: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
                for k, x in zip(chosen, some, strict=True):
                    inputs[k] = x
                made = self.graph(*inputs)
                return tuple(made[k] for k in self.outputs), made

            _, pull, made = vjp(forward, *(inputs[k] for k in chosen), has_aux=True)
            return *made, *pull(tuple(cotangents))

        values = (*self.graph.inputs, *(self.graph.outputs[k] for k in self.outputs))
        traced = trace_call(both, [Tensor(Value(x.type)) for x in values], {}, stops=False)
        met = {x: tensor.array for x, tensor in zip(traced.graph.inputs[len(values):], traced.state, strict=True)}
        return dataclasses.replace(traced.graph, inputs=traced.graph.inputs[:len(values)], constants=met)


@dataclasses.dataclass(frozen=True)
class Halves:
    """A call that also returns ``kept`` values, after its outputs, and the derivative that takes some inputs, these,
    and the cotangents. It has ``nothing`` for inputs that the function does not use."""

    forward: Compiled
    backward: Callable[[Sequence[Any]], Sequence[Any]]
    inputs: tuple[int, ...]
    nothing: tuple[bool, ...]


def halve(compiled: Compiled, wanted: Wanted) -> Halves:
    """Cuts a function and its derivative where the cotangents come in."""
    differentiable = compiled.differentiable
    joint, count = differentiable.jointly(wanted), len(differentiable.graph.inputs)
    own = len(differentiable.graph.outputs)
    first, second = _cut(joint, joint.inputs[count:])
    made = {y: equation for equation in first for y in equation.outputs}
    used = dict.fromkeys(x for equation in second for x in equation.values)
    used |= dict.fromkeys(joint.outputs[own:])
    later = {y for equation in second for y in equation.outputs}
    kept = tuple(x for x in used if x in made and x not in later)
    places = tuple(k for k, x in enumerate(joint.inputs[:count]) if x in used)
    forward = Graph(joint.inputs[:count], tuple(first), (*joint.outputs[:own], *kept), joint.constants)
    inputs = (*(joint.inputs[k] for k in places), *kept, *joint.inputs[count:])
    backward = Graph(inputs, tuple(second), joint.outputs[own:], joint.constants)
    traced = dataclasses.replace(compiled.traced, graph=forward)
    nothing = tuple(x in made and made[x].op is OPS["full"] and made[x].attributes["fill_value"] == 0
                    for x in joint.outputs[own:])
    return Halves(Compiled(traced, compiled.guards, compiled.recording), run_graph(backward), places, nothing)


def _cut(joint: Graph, cotangents: Sequence[Value]) -> tuple[list[Equation], list[Equation]]:
    """The equations that do not depend on cotangents, and those that do; views are made again, rather than kept."""
    waiting, first, second = set(cotangents), [], []
    views = {y: e for e in joint.equations if e.op.kind == "movement" and e.op.name != "concat" for y in e.outputs}
    again: set[Value] = set()

    def view(x: Value) -> None:
        if x in views and x not in waiting and x not in again:
            again.add(x)
            for source in views[x].values:
                view(source)
            second.append(views[x])

    for equation in joint.equations:
        if waiting.intersection(equation.values):
            for x in equation.values:
                view(x)
            waiting.update(equation.outputs)
            second.append(equation)
        else:
            first.append(equation)
    return first, second


class _Call(Function):
    """One call of a graph, on the tape."""

    @staticmethod
    def forward(context: Any, differentiable: Differentiable, run: Callable[..., Any] | None, halves: Halves | None,
                *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs, computed by ``run`` where that is given, with what the other half needs."""
        context.differentiable, context.halves = differentiable, halves
        context.save_for_backward(*inputs)
        made = (run or differentiable.run)([x.array for x in inputs])
        count = len(differentiable.graph.outputs)
        context.kept = made[count:]
        return tuple(map(Tensor, made[:count]))

    @staticmethod
    def backward(context: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        """The inputs' cotangents, by a call that is on the tape where that is recorded."""
        inputs, wanted = context.saved_tensors, context.needs_input_grad[3:]
        given = [cotangents[k] for k in context.differentiable.outputs]
        if context.halves is not None and not state.recording and state.interpreter is None:
            arrays = [inputs[k].array for k in context.halves.inputs]
            pulled = context.halves.backward([*arrays, *context.kept, *(g.array for g in given)])
            found = iter([None if none else Tensor(x) for x, none in zip(pulled, context.halves.nothing, strict=True)])
        else:
            found = iter(_Call.apply(context.differentiable.derivative(wanted), None, None, *inputs, *given))
        return (None, None, None, *(next(found) if is_wanted else None for is_wanted in wanted))


class _Rebound(Function):
    """A call that changes what requires gradients: its results have no derivative."""

    @staticmethod
    def forward(context: Any, run: Callable[[], Sequence[Any]], *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs."""
        return tuple(map(Tensor, run()))

    @staticmethod
    def backward(context: Any, *cotangents: Tensor) -> Any:
        """Says what is wrong."""
        raise complaint(GradientError, "jit", "the function changes a tensor that requires gradients, "
                        "and then has a derivative by it", None, "take the gradient inside of the function")


def call_recorded(compiled: Compiled, tensors: Sequence[Tensor], cut: Callable[..., Halves]) -> list[Tensor]:
    """The results of a compiled call as tensors that the tape knows."""
    traced = compiled.traced
    given = [*tensors, *traced.state]
    before = [Tensor(x.array, x.node) for x in given]  # as they are before the call changes some of them
    renewed = [change for change in traced.changes if change.slot == "array" and change.output in traced.tracked]
    if traced.rebound:
        made: Sequence[Tensor] = _Rebound.apply(lambda: compiled.call(tensors), *before)
    else:
        if compiled.differentiable is None:
            compiled.differentiable = Differentiable(traced.graph, sorted(traced.tracked))
        wanted = tuple(x.node is not None for x in before)
        halves = compiled.halves.get(wanted)
        if halves is None:
            halves = compiled.halves[wanted] = cut(compiled, wanted)
        forward = halves.forward
        made = _Call.apply(compiled.differentiable, lambda _: forward.call(tensors), halves, *before)
    for tensor, _, output in renewed:
        (tensors[tensor] if isinstance(tensor, int) else tensor).node = made[output].node  # type: ignore[index]
    return [y if k in traced.tracked else Tensor(y.array) for k, y in enumerate(made[:compiled.count])]

