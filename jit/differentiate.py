"""Derivatives of compiled calls: what a jitted function returns can be differentiated like any other tensor.

The call is one node of the tape. Its derivative is a graph too, traced from the function's own and compiled when it is
first asked for; it computes anew what it needs of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorlite.autograd import Function
from tensorlite.errors import GradientError, complaint
from tensorlite.jit.compiled import Compiled, run_graph
from tensorlite.jit.evaluate import evaluate
from tensorlite.jit.graph import Graph
from tensorlite.jit.trace import trace_call
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE
from tensorlite.transforms import vjp


class Differentiable:
    """A graph as a function of tensors: compiled at its first call, and its derivative another one."""

    def __init__(self, graph: Graph, rebound: bool = False) -> None:
        self.graph, self.rebound = graph, rebound
        self._run: Callable[[Sequence[Any]], Sequence[Any]] | None = None
        self._derivatives: dict[tuple[bool, ...], Differentiable] = {}

    def run(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The outputs' arrays."""
        if self._run is None:
            self._run = run_graph(self.graph)
        return self._run(arrays)

    def derivative(self, wanted: tuple[bool, ...], types: Sequence[Tensor]) -> Differentiable:
        """The graph from inputs and the differentiable outputs' cotangents to the cotangents of some inputs."""
        found = self._derivatives.get(wanted)
        if found is None:
            count = len(self.graph.inputs)
            chosen = [k for k, is_wanted in enumerate(wanted) if is_wanted]

            def pull(*arguments: Tensor) -> tuple[Tensor, ...]:
                inputs, cotangents = list(arguments[:count]), arguments[count:]

                def forward(*some: Tensor) -> tuple[Tensor, ...]:
                    for k, x in zip(chosen, some, strict=True):
                        inputs[k] = x
                    made = evaluate(self.graph, inputs)
                    return tuple(y for y in made if y.dtype in DIFFERENTIABLE)

                return vjp(forward, *(inputs[k] for k in chosen))[1](tuple(cotangents))

            graph = trace_call(pull, types, {}, stops=False).graph
            found = self._derivatives[wanted] = Differentiable(graph)
        return found


class _Call(Function):
    """One call of a graph, on the tape."""

    @staticmethod
    def forward(context: Any, differentiable: Differentiable, run: Callable[..., Any] | None,
                *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs, computed by ``run`` where that is given."""
        context.differentiable = differentiable
        context.save_for_backward(*inputs)
        return tuple(map(Tensor, (run or differentiable.run)([x.array for x in inputs])))

    @staticmethod
    def backward(context: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        """The inputs' cotangents, by a call that is on the tape where that is recorded."""
        if context.differentiable.rebound:
            raise complaint(GradientError, "jit", "the function changes a tensor that requires gradients, "
                            "and then has a derivative by it", None, "take the gradient inside of the function")
        inputs = context.saved_tensors
        wanted = context.needs_input_grad[2:]
        given = [g for g, y in zip(cotangents, context.differentiable.graph.outputs, strict=True)
                 if y.dtype in DIFFERENTIABLE]
        derivative = context.differentiable.derivative(wanted, [*map(_plain, inputs), *map(_plain, given)])
        found = iter(_Call.apply(derivative, None, *inputs, *given))
        return (None, None, *(next(found) if is_wanted else None for is_wanted in wanted))


def _plain(x: Tensor) -> Tensor:
    return Tensor(x.array)


def call_recorded(compiled: Compiled, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The results of a compiled call as tensors that the tape knows."""
    count = max(compiled.traced.tracked) + 1 if compiled.traced.tracked else 0
    differentiable = compiled.differentiable
    if differentiable is None:
        graph = compiled.traced.graph
        results = len({x.number for x in compiled.traced.results if hasattr(x, "number")})
        pure = graph.with_equations(graph.equations, graph.outputs[: max(count, results)])
        differentiable = compiled.differentiable = Differentiable(pure, compiled.traced.rebound)
    given = [*tensors, *compiled.traced.state]
    before = [Tensor(x.array, x.node) for x in given]  # as they are before the call changes some of them

    def run(_: Sequence[Any]) -> Sequence[Any]:
        return compiled.call(tensors)[: len(differentiable.graph.outputs)]

    made = _Call.apply(differentiable, run, *before)
    return [y if k in compiled.traced.tracked else Tensor(y.array) for k, y in enumerate(made)]
