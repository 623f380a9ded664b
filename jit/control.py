"""Closing functions: the bodies of control flow as graphs that use nothing but their own inputs.

A body is run once on values of a trace of its own, within the trace of what surrounds it. What it takes from outside
becomes an input of its graph and an operand of the equation: values of the surrounding trace, captured tensors, and
state. State is what the body rebinds, such as a generator's: it is one more carry, and is rebound again to what the
equation makes of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorlite import errors
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.modes import run_with
from tensorlite.op import OPS
from tensorlite.state import state
from tensorlite.tape import Argument, Leaf, Node
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, TensorType

if TYPE_CHECKING:
    from tensorlite.jit.trace import Trace


@dataclass
class Met:
    """A tensor from outside as a body found it."""

    tensor: Tensor
    array: Any
    node: Node | None
    grad: Tensor | None

    @classmethod
    def now(cls, x: Tensor) -> Met:
        """A tensor as it is."""
        return cls(x, x.array, x.node, x.gradient)

    def restore(self) -> None:
        """Puts back what the tensor held."""
        self.tensor.array, self.tensor.node, self.tensor.gradient = self.array, self.node, self.grad


@dataclass
class Closure:
    """How the trace of one body takes what is outside from the trace around it.

    `consts` holds by array and node the outer tensor that is an operand, and the value that stands for it inside.
    `tracked` are the values that depend on inputs with a derivative: where the body uses one as a constant (detached,
    or where nothing is recorded) the graph says so, since its derivative is taken later and knows only the graph.
    """

    trace: Trace
    outer: Trace
    recording: bool
    start: int = 0
    met: dict[int, Met] = field(default_factory=dict)
    consts: dict[tuple[int, Node | None], tuple[Tensor, Value]] = field(default_factory=dict)
    tracked: set[Value] = field(default_factory=set)
    stopped: dict[Value, Value] = field(default_factory=dict)

    def placeholder(self, type: TensorType) -> Tensor:
        """A tensor of an input."""
        value = self.trace.new_value(type)
        tensor = Tensor(value)
        if self.recording and type.dtype in DIFFERENTIABLE:
            tensor.node = Argument(tensor)
            self.tracked.add(value)
        return tensor

    def lift(self, user: str, x: Tensor) -> Value:
        """The input that stands for a tensor from outside."""
        self.about_to_rebind(x)
        node = x.node if x.node is not None and x.node.order < self.start else None
        key = id(x.array), node
        if key not in self.consts:
            outside = run_with(self.recording, self.outer.value_of, user, x)
            self.consts[key] = Tensor(outside, node), self.trace.new_value(outside.type)
            if node is not None:
                self.tracked.add(self.consts[key][1])
        return self.consts[key][1]

    def about_to_rebind(self, x: Tensor) -> None:
        """Remembers a tensor from outside as it is now."""
        if not (isinstance(x.array, Value) and x.array in self.trace.values):
            self.met.setdefault(id(x), Met.now(x))

    def note(self, made: Tensor | tuple[Tensor, ...]) -> None:
        """Remembers which values have a derivative."""
        for x in made if isinstance(made, tuple) else (made,):
            if x.node is not None:
                self.tracked.add(x.array)

    def used(self, x: Tensor, value: Value) -> Value:
        """What an operand is: a value with a derivative stops where it is used as a constant."""
        if not self.recording or value not in self.tracked or (x.node is not None and state.recording):
            return value
        if value not in self.stopped:
            self.stopped[value] = self.trace.new_value(value.type)
            self.trace.equations.append(Equation(OPS["stop_gradient"], (value,), {}, (self.stopped[value],),
                                                 self.trace.line or errors.user_line()))
        return self.stopped[value]


@dataclass(frozen=True)
class Body:
    """One function run: its inputs, results and state as values, and the tensors that turned out to be state.

    `constant` says which results no tape leads to, whatever the inputs. `recorded` says of each state whether the body
    bound it to a new recorded value, to a constant, or (None) to a value that the tape knows nothing of, as updates of
    parameters are.
    """

    closure: Closure
    inputs: tuple[Value, ...]
    states: tuple[Value, ...]
    results: tuple[Value, ...]
    constant: tuple[bool, ...]
    after: tuple[Value, ...]
    recorded: tuple[bool | None, ...]
    changed: tuple[Tensor, ...]


@dataclass(frozen=True)
class Closed:
    """Functions as closed graphs of the same inputs, and the outer tensors that are operands beside the given ones."""

    graphs: tuple[Graph, ...]
    states: tuple[Tensor, ...]
    consts: tuple[Tensor, ...]
    constant: tuple[bool, ...]
    recorded: tuple[bool | None, ...]
    outer: Trace

    def released(self, made: Sequence[Tensor]) -> list[Tensor]:
        """The equation's results, without a tape where the functions give constants."""
        return [Tensor(x.array) if constant else x for x, constant in zip(made, self.constant, strict=True)]

    def rebind(self, made: Sequence[Tensor]) -> None:
        """Rebinds the state to what the equation made of it."""
        for tensor, new, recorded in zip(self.states, made, self.recorded, strict=True):
            if state.met is not None:
                state.met(tensor)
            tensor.array, tensor.bases = new.array, ()
            if recorded is not None:
                tensor.node = new.node if recorded else None


def close(outer: Trace, user: str, functions: Sequence[Callable[..., Sequence[Tensor]]], types: Sequence[TensorType],
          carries: int = 0, pure: Sequence[int] = ()) -> Closed:
    """Traces functions of flat tensors within a trace.

    Inputs of every graph are the first ``carries`` of the given ones, then the state, the other given ones, and what
    any function closes over; outputs are the first ``carries`` results, the state, the other results. Functions that
    are ``pure`` give only their results, and may not change state. A function that changes state is run again, with
    the state in the place of its carry.
    """
    states: list[Tensor] = []
    while True:
        bodies = [_run(outer, user, function, types, states) for function in functions]
        for number in pure:
            _check_pure(user, bodies[number])
        changed = {id(x): x for body in bodies for x in body.changed}
        if not changed:
            break
        states += changed.values()
    consts: dict[Any, Tensor] = {}
    for body in bodies:
        consts |= {key: outside for key, (outside, _) in body.closure.consts.items()}
    graphs = tuple(_graph(body, consts, carries, number in pure) for number, body in enumerate(bodies))
    recorded = tuple(max(each, key=(None, False, True).index) for each in zip(*(body.recorded for body in bodies),
                                                                              strict=True))
    constant = tuple(map(all, zip(*(body.constant for n, body in enumerate(bodies) if n not in pure), strict=True)))
    return Closed(graphs, tuple(states), tuple(consts.values()), constant, recorded, outer)


def _graph(body: Body, consts: dict[Any, Tensor], carries: int, pure: bool) -> Graph:
    held = body.closure.consts
    shared = (held[key][1] if key in held else Value(outside.type) for key, outside in consts.items())
    inputs = (*body.inputs[:carries], *body.states, *body.inputs[carries:], *shared)
    outputs = (*body.results[:carries], *body.after, *body.results[carries:])
    return Graph(inputs, tuple(body.closure.trace.equations), body.results if pure else outputs)


def _run(outer: Trace, user: str, function: Callable[..., Sequence[Tensor]], types: Sequence[TensorType],
         states: Sequence[Tensor]) -> Body:
    child = type(outer)(line=outer.line)
    child.closure = closure = Closure(child, outer, state.recording)
    given = [closure.placeholder(type) for type in types]
    held = [Met.now(x) for x in states]
    places = [closure.placeholder(x.type) for x in states]
    closure.start = Node(None, (), (), {}, (), np.dtype(bool)).order
    try:
        with _within(closure):
            for x, place in zip(states, places, strict=True):
                x.array, x.node = place.array, x.node if type(x.node) is Leaf else place.node
            nodes = [x.node for x in states]
            made = function(*given)
            check_tape(user, made, closure.start)
            results = tuple(child.operand(user, y) for y in made)
            after = tuple(child.operand(user, x) for x in states)
        recorded = tuple(None if x.node is node else x.node is not None for x, node in zip(states, nodes, strict=True))
        _check_grads(user, [*held, *closure.met.values()])
        changed = tuple(met.tensor for met in closure.met.values() if met.tensor.array is not met.array)
    finally:
        child.closure = None  # what it met must not outlive the body: tensors that are still held become outputs
        for met in (*closure.met.values(), *held):
            met.restore()
    constant = tuple(y.node is None for y in made)
    return Body(closure, _values(given), _values(places), results, constant, after, recorded, changed)


def _values(tensors: Sequence[Tensor]) -> tuple[Value, ...]:
    return tuple(x.array for x in tensors)


@contextmanager
def _within(closure: Closure) -> Iterator[None]:
    """Runs ops as equations of a body's trace."""
    before = state.interpreter, state.met, state.control, state.grad
    trace, state.grad = closure.trace, None
    state.interpreter, state.met = trace.apply, closure.about_to_rebind
    state.control = lambda *arguments, **kwargs: close(trace, *arguments, **kwargs)
    try:
        yield
    finally:
        state.interpreter, state.met, state.control, state.grad = before


def _check_pure(user: str, body: Body) -> None:
    unchanged = all(x is y for x, y in zip(body.states, body.after, strict=True))
    if body.changed or not unchanged:
        raise errors.complaint(errors.TraceError, user, "the condition changes a tensor or draws random numbers",
                               {"tensor": body.changed[0]} if body.changed else None,
                               "do that in the body, and keep what the condition needs in the carry")


def _check_grads(user: str, met: Sequence[Met]) -> None:
    for each in met:
        if each.tensor.gradient is not each.grad:
            raise errors.complaint(errors.TraceError, user, "a body changes the .grad of a tensor from outside",
                                   {"tensor": each.tensor},
                                   "take gradients by tl.grad inside the body, and return them")


def check_tape(user: str, made: Sequence[Tensor], start: int = 0) -> None:
    """Raises `TraceError` where a tape holds what a graph cannot: custom derivatives and hooks."""
    where = "a body" if start else "the function"
    stack = [y.node for y in made if y.node is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        op = node.plan.op if node.plan is not None else None
        if op is not None and op.type_rule is None:
            raise errors.complaint(errors.TraceError, user, f"{where} uses {op.name}, which has its own derivative",
                                   None, f"write it in ops of tl, or apply it outside {where}")
        if node.hooks:
            raise errors.complaint(errors.TraceError, user, f"{where} registers a hook on a tensor", None,
                                   "register it on what is returned")
        for parent in node.parents:
            if parent is not None and parent not in seen and parent.order >= start:
                seen.add(parent)
                stack.append(parent)


CONTROL_FLOW = frozenset({"scan", "while_loop", "cond"})


def everywhere(each: Callable[[Graph], Graph]) -> Callable[[Graph], Graph]:
    """The pass that changes the bodies of control flow first, however deep, and then the graph."""
    @functools.wraps(each)
    def within(graph: Graph) -> Graph:
        return each(graph.with_equations([_with_bodies(equation, within) for equation in graph.equations]))
    return within


def _with_bodies(equation: Equation, each: Callable[[Graph], Graph]) -> Equation:
    if equation.op.name not in CONTROL_FLOW:
        return equation
    bodies = {name: each(body) for name, body in equation.graphs.items()}
    return Equation(equation.op, equation.inputs, {**equation.attributes, **bodies}, equation.outputs, equation.line)
