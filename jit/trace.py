"""Tracing: running a Python function on values of a graph instead of arrays, by type rules only.

Concrete tensors that the function meets are captured by identity: their arrays become inputs of the graph. Those that
it rebinds, or whose ``.grad`` it replaces, are state: what they hold at the end becomes outputs.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tensorlite import errors
from tensorlite.errors import TraceError
from tensorlite.jit.control import Closure, close
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.op import Op
from tensorlite.state import state
from tensorlite.tape import Leaf, record
from tensorlite.tape import Output as TapeOutput
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType
from tensorlite.tree import flatten


@dataclass
class Capture:
    """A concrete tensor that a trace met: what it held and which gradient it had when it was met."""

    tensor: Tensor
    array: Any
    grad: Tensor | None
    value: Value | None = None


@dataclass
class Trace:
    """The equations of one run of a function, and the tensors it captured. `line` is given where there is no user's.

    The trace of a body of control flow has a `closure`, which takes what is outside from the trace around it.
    """

    line: str = ""
    equations: list[Equation] = field(default_factory=list)
    values: set[Value] = field(default_factory=set)
    captures: dict[int, Capture] = field(default_factory=dict)
    by_array: dict[int, Capture] = field(default_factory=dict)
    aliases: list[tuple[weakref.ref[Tensor], weakref.ref[Tensor]]] = field(default_factory=list)
    made: list[weakref.ref[Tensor]] = field(default_factory=list)
    closure: Closure | None = None

    def new_value(self, type: TensorType) -> Value:
        """A value that belongs to this trace."""
        value = Value(type)
        self.values.add(value)
        return value

    def apply(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
        """The interpreter: one equation instead of one computation."""
        operands = tuple(self.operand(op.name, x) for x in inputs)
        if op.type_rule is None:
            raise errors.complaint(TraceError, op.name, "cannot be traced: its result is only known when it runs")
        types = op.type_rule(*(x.type if isinstance(x, Value) else x for x in operands), **attributes)
        several = isinstance(types, tuple)
        outputs = tuple(self.new_value(type) for type in (types if several else (types,)))
        self.equations.append(Equation(op, operands, attributes, outputs, self.line or errors.user_line()))
        out = outputs if several else outputs[0]
        if state.recording and any(isinstance(x, Tensor) and x.node is not None for x in inputs):
            made = record(op, inputs, attributes, out)
            if self.closure is not None:
                self.closure.note(made)
        else:
            made = tuple(map(Tensor, outputs)) if several else Tensor(out)
        self.made += map(weakref.ref, made if several else (made,))
        return made

    def still_held(self) -> list[Tensor]:
        """The tensors made here that something holds."""
        return [x for ref in self.made if (x := ref()) is not None]

    def operand(self, user: str, x: Any) -> Any:
        """What an equation takes for a tensor or a number."""
        if not isinstance(x, Tensor):
            return x if isinstance(x, bool | int | float | complex) else self.operand(user, Tensor(x))
        value = self.value_of(user, x)
        return value if self.closure is None else self.closure.used(x, value)

    def value_of(self, user: str, x: Tensor) -> Value:
        """The value that stands for a tensor in this trace."""
        if isinstance(x.array, Value) and x.array in self.values:
            return x.array
        if self.closure is not None:
            return self.closure.lift(user, x)
        if isinstance(x.array, Value):
            raise errors.complaint(TraceError, user, "a tensor of another trace was kept and is used here", {},
                                   "return it from the function that made it")
        return self.captured(x).value  # type: ignore[return-value]

    def captured(self, x: Tensor) -> Capture:
        """The capture whose array a concrete tensor holds; a view's base answers for it where both hold the same."""
        found = self.by_array.get(id(x.array))
        if found is not None:
            if found.tensor is not x:
                self.aliases.append((weakref.ref(x), weakref.ref(found.tensor)))
            return found
        holder = next((base for ref in x.bases if (base := ref()) is not None and base.array is x.array), x)
        capture = self.met(holder)
        capture.value = self.new_value(holder.type)
        self.by_array[id(capture.array)] = capture
        return capture

    def met(self, x: Tensor) -> Capture:
        """Remembers a concrete tensor as it is now."""
        return self.captures.setdefault(id(x), Capture(x, x.array, x.grad))

    def about_to_rebind(self, x: Tensor) -> None:
        """What in-place spellings tell of: a concrete tensor is state from then on."""
        if not isinstance(x.array, Value):
            self.met(x)

    def restore(self) -> list[tuple[Tensor, str, Any]]:
        """Puts back what tensors held before; returns what the function had made of each: (tensor, slot, new)."""
        changes: list[tuple[Tensor, str, Any]] = []
        for capture in self.captures.values():
            tensor = capture.tensor
            if tensor.array is not capture.array:
                changes.append((tensor, "array", tensor.array))
                tensor.array = capture.array
            if tensor.grad is not capture.grad:
                changes.append((tensor, "grad", tensor.grad))
                tensor.grad = capture.grad
        return changes


class Change(NamedTuple):
    """What a function did to a tensor: a slot of an argument (by number) or of a tensor met, and the output that it
    holds then; None for a gradient that is gone."""

    tensor: Tensor | int
    slot: str
    output: int | None


@dataclass(frozen=True)
class Traced:
    """A graph, and how its inputs and outputs belong to the function's arguments, result and state.

    Inputs are the arguments' tensors, then `state`; outputs are the result's tensors, then those of `changes`.
    `results` gives the result's leaves, an output's number for each tensor; `tracked` are the outputs that depend on
    what requires gradients; `kept` are tensors of the trace that something outside still holds.
    """

    graph: Graph
    state: tuple[Tensor, ...]
    changes: tuple[Change, ...]
    rebuild: Callable[[Any], Any]
    results: tuple[Any, ...]
    tracked: frozenset[int]
    aliases: tuple[tuple[weakref.ref[Tensor], weakref.ref[Tensor]], ...]
    kept: tuple[tuple[Tensor, int], ...]


@dataclass(frozen=True)
class Output:
    """A leaf of the result that is a tensor, by its number among the graph's outputs."""

    number: int


def trace(function: Callable[..., Any], *arguments: Any, **kwargs: Any) -> Graph:
    """The graph of what a function does with arguments, of which only the types count; nothing is computed.

    Inputs are the arguments' tensors and then those that the function met elsewhere, such as parameters; outputs are
    the result's tensors and then the new values of what the function changed. Raises `TraceError` for an op whose
    result is only known when it runs.

    >>> import tensorlite as tl
    >>> print(tl.trace(lambda x: tl.exp(x) + 1, tl.zeros(3)))
    def graph(v0: float32[3]):
        v1: float32[3] = exp(v0)
        v2: float32[3] = add(v1, 1)
        return v2
    <BLANKLINE>
    """
    return trace_call(function, arguments, kwargs).graph


@contextmanager
def tracing(trace: Trace) -> Iterator[None]:
    """Runs ops as equations of a trace."""
    before = state.interpreter, state.met, state.control
    state.interpreter, state.met, state.control = trace.apply, trace.about_to_rebind, functools.partial(close, trace)
    try:
        yield
    finally:
        state.interpreter, state.met, state.control = before


def trace_call(function: Callable[..., Any], arguments: Sequence[Any], kwargs: Mapping[str, Any]) -> Traced:
    """Traces one call, and says how the graph's inputs and outputs belong to arguments, result and state."""
    tracer = Trace()
    leaves, rebuild = flatten((tuple(arguments), dict(kwargs)))
    inputs: list[Value] = []
    given: list[Tensor] = []
    replaced = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            value = tracer.new_value(leaf.type)
            inputs.append(value)
            given.append(_stand_in(leaf, value))
            replaced.append(given[-1])
        else:
            replaced.append(leaf)
    positional, named = rebuild(iter(replaced))
    try:
        with tracing(tracer):
            result = function(*positional, **named)
    finally:
        changes = tracer.restore()
    for number, (tensor, value) in enumerate(zip(given, inputs, strict=True)):
        if tensor.array is not value:
            changes.append((number, "array", tensor.array))
        if tensor.grad is not None:
            changes.append((number, "grad", tensor.grad))
    ended = [(result, changes)]  # nothing of the call is held here when it is asked what else holds its tensors
    del positional, named, replaced, given, leaves, rebuild, result, changes
    return _finish(tracer, inputs, ended)


def _stand_in(leaf: Tensor, value: Value) -> Tensor:
    """What the function gets for an argument; it requires gradients where that does."""
    tensor = Tensor(value)
    if leaf.node is not None:
        tensor.node = Leaf(tensor)
    return tensor


def _finish(tracer: Trace, inputs: list[Value], ended: list[tuple[Any, Any]]) -> Traced:
    result, changes = ended.pop()
    outputs: list[Value] = []

    def place(x: Any) -> int:
        outputs.append(tracer.operand("return", x))
        return len(outputs) - 1

    leaves, rebuild = flatten(result)
    results = tuple(Output(place(leaf)) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
    tracked = frozenset(to.number for to, leaf in zip(results, leaves, strict=True)
                        if isinstance(leaf, Tensor) and _is_differentiable(leaf))
    written = tuple([Change(tensor, slot, None if new is None else place(new if slot == "grad" else Tensor(new)))
                     for tensor, slot, new in changes])
    captures = [capture for capture in tracer.captures.values() if capture.value is not None]
    taken = [capture.value for capture in captures if capture.value is not None]
    del leaves, result, changes
    kept = tuple((x, place(x)) for x in tracer.still_held() if x.array in tracer.values)
    graph = Graph((*inputs, *taken), tuple(tracer.equations), tuple(outputs))
    return Traced(graph, tuple(c.tensor for c in captures), written, rebuild, results, tracked,
                  tuple(tracer.aliases), kept)


def _is_differentiable(x: Tensor) -> bool:
    """Whether a tensor depends on what requires gradients, and its tape was not walked and freed."""
    node = x.node.parents[0] if type(x.node) is TapeOutput else x.node
    return node is not None and (isinstance(node, Leaf) or node.saved is not None)
