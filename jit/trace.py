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

import numpy as np

from tensorlite import errors
from tensorlite.batching import Mapped
from tensorlite.dispatch import explain
from tensorlite.eager import beyond
from tensorlite.errors import TraceError
from tensorlite.jit.control import Closure, check_tape, close
from tensorlite.jit.graph import Equation, Graph, Operand, Value
from tensorlite.op import OPS, Op
from tensorlite.state import state
from tensorlite.tape import Argument, Leaf, record
from tensorlite.tape import Output as TapeOutput
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType
from tensorlite.tree import flatten


@dataclass
class Capture:
    """A concrete tensor that a trace met: what it held and which gradient it had when it was met.

    `reads_grad`: whether what the function did depends on that gradient being there.
    """

    tensor: Tensor
    array: Any
    grad: Tensor | None
    value: Value | None = None
    node: Any = None
    reads_grad: bool = False
    forgot_grad: bool = False


@dataclass
class Trace:
    """The equations of one run of a function, and the tensors it captured. `line` is given where there is no user's.

    The trace of a body of control flow has a `closure`, which takes what is outside from the trace around it. Values
    that a derivative knows of are `tracked`; one that is used as a constant is `stopped` there. `overwrites` says
    whether a tensor with a derivative was given a value unrecorded: then the graph's derivative is not the tape's.
    """

    line: str = ""
    closure: Closure | None = None
    equations: list[Equation] = field(default_factory=list)
    values: set[Value] = field(default_factory=set)
    captures: dict[int, Capture] = field(default_factory=dict)
    by_array: dict[int, Capture] = field(default_factory=dict)
    aliases: list[tuple[weakref.ref[Tensor], weakref.ref[Tensor]]] = field(default_factory=list)
    made: list[weakref.ref[Tensor]] = field(default_factory=list)
    arguments: dict[int, Tensor] = field(default_factory=dict)
    tracked: set[Value] = field(default_factory=set)
    stopped: dict[Value, Value] = field(default_factory=dict)
    taken: list[Tensor] = field(default_factory=list)
    stops: bool = True
    overwrites: bool = False

    def new_value(self, type: TensorType) -> Value:
        """A value that belongs to this trace."""
        value = Value(type)
        self.values.add(value)
        return value

    def apply(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
        """The interpreter: one equation instead of one computation."""
        operands = tuple(self.operand(op.name, x) for x in inputs)
        decided = _decided(op, operands)
        if decided is not None:
            return self.apply(OPS["full"], (), decided)
        types = self.types(op, inputs, operands, attributes)
        several = isinstance(types, tuple)
        outputs = tuple(self.new_value(type) for type in (types if several else (types,)))
        self.equations.append(Equation(op, operands, attributes, outputs, self.line or errors.user_line(),
                                       errors.entry_name(op.name)))
        out = outputs if several else outputs[0]
        if state.recording and any(isinstance(x, Tensor) and x.node is not None for x in inputs):
            made = record(op, inputs, attributes, out)
            if self.closure is not None:
                self.closure.note(made)
            else:
                self.tracked.update(x.array for x in (made if several else (made,)) if x.node is not None)
        else:
            made = tuple(map(Tensor, outputs)) if several else Tensor(out)
        self.made += map(weakref.ref, made if several else (made,))
        return made

    def types(self, op: Op, inputs: Sequence[Any], operands: Sequence[Operand], attributes: dict[str, Any]) -> Any:
        """What the type rule says; raises what it finds wrong as eager would."""
        if op.type_rule is None:
            named = dict(zip(map(op.input_name, range(len(inputs))), inputs, strict=True))
            raise errors.complaint(TraceError, errors.entry_name(op.name), "cannot be traced: its result is only known "
                                   "when it runs", named, "call it outside of the function")
        try:
            return op.type_rule(*(x.type if isinstance(x, Value) else x for x in operands), **attributes)
        except Exception as error:
            raise explain(op, inputs, attributes, error)  # noqa: B904  a local name for it would keep the arrays in a cycle

    def still_held(self) -> list[Tensor]:
        """The tensors made here that something holds."""
        return [x for ref in self.made if (x := ref()) is not None]

    def operand(self, user: str, x: Any) -> Any:
        """What an equation takes for a tensor or a number."""
        if isinstance(x, np.generic):
            x = x.item()
        if not isinstance(x, Tensor):
            return x if isinstance(x, bool | int | float | complex) else self.operand(user, Tensor(x))
        value = self.value_of(user, x)
        return self.used(x, value) if self.closure is None else self.closure.used(x, value)

    def used(self, x: Tensor, value: Value) -> Value:
        """What an operand is: a value that has a derivative stops where it is used as a constant."""
        if not self.stops or value not in self.tracked or (x.node is not None and state.recording):
            return value
        if value not in self.stopped:
            self.stopped[value] = self.new_value(value.type)
            self.equations.append(Equation(OPS["stop_gradient"], (value,), {}, (self.stopped[value],), self.line))
        return self.stopped[value]

    def value_of(self, user: str, x: Tensor) -> Value:
        """The value that stands for a tensor in this trace."""
        if isinstance(x.array, Value) and x.array in self.values:
            return x.array
        if type(x.array) is Mapped and x.array.level.trace is self:
            return x.array  # type: ignore[return-value]  # a vmap in this trace is given it again as an operand
        if self.closure is not None:
            return self.closure.lift(user, x)
        if isinstance(x.array, Value | Mapped):
            raise errors.complaint(TraceError, user, "a tensor of another trace was kept and is used here", {},
                                   "return it from the function that made it")
        return self.captured(x).value  # type: ignore[return-value]

    def captured(self, x: Tensor) -> Capture:
        """The capture whose array a concrete tensor holds; a view's base answers for it where both hold the same."""
        found = self.by_array.get(id(x.array))
        if found is not None:
            if found.tensor is not x and not self.is_rebound(x):
                self.aliases.append((weakref.ref(x), weakref.ref(found.tensor)))
            return found
        holder = next((base for ref in x.bases if (base := ref()) is not None and base.array is x.array), x)
        if self.is_rebound(holder):
            holder = Tensor(holder.array)
        capture = self.met(holder)
        capture.value = self.new_value(holder.type)
        self.by_array[id(capture.array)] = capture
        self.taken.append(holder)
        if holder.node is not None:
            self.tracked.add(capture.value)
        return capture

    def is_rebound(self, x: Tensor) -> bool:
        """Whether a tensor was given another array since it was met, as a generator's state is that is seeded."""
        found = self.captures.get(id(x))
        return found is not None and found.array is not x.array

    def met(self, x: Tensor) -> Capture:
        """Remembers a concrete tensor as it is now."""
        return self.captures.setdefault(id(x), Capture(x, x.array, x.gradient, node=x.node))

    def about_to_rebind(self, x: Tensor) -> None:
        """What in-place spellings tell of: a concrete tensor is state from then on."""
        self.overwrites = self.overwrites or (not state.recording and x.node is not None)
        if not isinstance(x.array, Value):
            self.met(x)

    def about_grad(self, x: Tensor, event: str) -> None:
        """What is told of gradients: whether the first thing that happens to one is that it is forgotten."""
        if id(x) in self.arguments or (isinstance(x.array, Value) and id(x) not in self.captures):
            return
        capture = self.met(x)
        if event == "forgotten":
            capture.forgot_grad = True
        elif not capture.forgot_grad and x.gradient is capture.grad:
            capture.reads_grad = True

    def restore(self) -> list[tuple[Tensor | int, str, Any]]:
        """Puts back what tensors held before; returns what the function had made of each: (tensor, slot, new)."""
        changes: list[tuple[Tensor | int, str, Any]] = []
        for capture in self.captures.values():
            tensor = capture.tensor
            if id(tensor) in self.arguments:
                continue
            if tensor.array is not capture.array:
                changes.append((tensor, "array", Tensor(tensor.array, tensor.node)))
                tensor.array = capture.array
            tensor.node = capture.node
            if tensor.gradient is not capture.grad:
                changes.append((tensor, "grad", tensor.gradient))
                tensor.gradient = capture.grad
        return changes


class Change(NamedTuple):
    """What a function did to a tensor: a slot of an argument's tensor, by number, or of a tensor met, and the output
    that it holds then; None for a gradient that is gone."""

    tensor: Tensor | int
    slot: str
    output: int | None


@dataclass(frozen=True)
class Traced:
    """A graph, and how its inputs and outputs belong to the function's arguments, result and state.

    Inputs are the arguments' tensors, as `key.key_of` gives them, then `state`, where ``owners[k]`` is the tensor of
    which number k is the gradient. Outputs are the result's tensors, then those of `changes`. `results` gives the
    result's leaves, an output's number for each tensor; `tracked` are the outputs that depend on what requires
    gradients; `kept` are tensors of the trace that something outside still holds. `grads` says of tensors whether they
    had a gradient, where that made a difference, and `rebound` whether what requires gradients was changed.
    """

    graph: Graph
    state: tuple[Tensor, ...]
    changes: tuple[Change, ...]
    rebuild: Callable[[Any], Any]
    results: tuple[Any, ...]
    tracked: frozenset[int]
    aliases: tuple[tuple[weakref.ref[Tensor], weakref.ref[Tensor]], ...]
    kept: tuple[tuple[Tensor, int], ...]
    owners: Mapping[int, Tensor]
    grads: tuple[tuple[Tensor, bool], ...]
    rebound: bool


class Output:
    """A leaf of the result that is a tensor, by its number among the graph's outputs."""

    __slots__ = ("number",)  # no dataclass, which would be a container of leaves

    def __init__(self, number: int) -> None:
        self.number = number


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
    if isinstance(function, Tensor):
        raise errors.complaint(errors.DTypeError, "trace", "takes a function, not a tensor", {"function": function},
                               "the sum of a diagonal is tl.linalg.trace(x)")
    return trace_call(function, arguments, kwargs).graph


@contextmanager
def tracing(trace: Trace) -> Iterator[None]:
    """Runs ops as equations of a trace."""
    before = state.interpreter, state.met, state.control, state.grad
    state.interpreter, state.met, state.control = trace.apply, trace.about_to_rebind, functools.partial(close, trace)
    state.grad = trace.about_grad
    try:
        yield
    finally:
        state.interpreter, state.met, state.control, state.grad = before


def _restored(tracer: Trace) -> list[tuple[Tensor | int, str, Any]]:
    """What `Trace.restore` returns; an interrupt does not leave half of the tensors as the trace had them."""
    try:
        return tracer.restore()
    except KeyboardInterrupt:
        tracer.restore()
        raise


def trace_call(function: Callable[..., Any], arguments: Sequence[Any], kwargs: Mapping[str, Any],
               stops: bool = True) -> Traced:
    """Traces one call, and says how the graph's inputs and outputs belong to arguments, result and state.

    Without ``stops`` the graph does not say where a value that has a derivative is used as a constant.
    """
    tracer = Trace(stops=stops)
    leaves, rebuild = flatten((tuple(arguments), dict(kwargs)))
    given = _Arguments(tracer)
    replaced = [given.stand_in(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    containers = rebuild(iter(replaced))
    positional, named = containers
    try:
        with tracing(tracer):
            result = function(*positional, **named)
    finally:
        changes = _restored(tracer)
    _check_containers(containers, replaced)
    changes += given.changes()
    inputs, leaves_met = given.values, {id(leaf): leaf for leaf in leaves if isinstance(leaf, Tensor)}
    _check_both(tracer, leaves_met, changes)
    ended = [(result, changes)]  # nothing of the call is held here when it is asked what else holds its tensors
    del containers, positional, named, replaced, given, leaves, rebuild, result, changes, leaves_met
    return _finish(tracer, inputs, ended)


@dataclass
class _Arguments:
    """The tensors of a call, and what the function gets in their places."""

    trace: Trace
    values: list[Value] = field(default_factory=list)
    made: dict[int, tuple[int, Tensor, Tensor | None]] = field(default_factory=dict)

    def stand_in(self, leaf: Tensor) -> Tensor:
        """What the function gets for an argument, the same for the same one; it requires gradients where that does."""
        number, value = len(self.values), self.value(leaf)
        grad = Tensor(self.value(leaf.gradient)) if leaf.node is not None and leaf.gradient is not None else None
        if id(leaf) in self.made:
            return self.made[id(leaf)][1]
        tensor = Tensor(value)
        if leaf.node is not None:
            tensor.node, tensor.gradient = (Leaf if type(leaf.node) is Leaf else Argument)(tensor), grad
            self.trace.tracked.add(value)
        self.made[id(leaf)] = number, tensor, grad
        self.trace.arguments[id(tensor)] = tensor
        return tensor

    def value(self, leaf: Tensor) -> Value:
        """The next input."""
        self.values.append(self.trace.new_value(leaf.type))
        return self.values[-1]

    def changes(self) -> list[tuple[Tensor | int, str, Any]]:
        """What the function did to them."""
        found: list[tuple[Tensor | int, str, Any]] = []
        for number, tensor, grad in self.made.values():
            if tensor.array is not self.values[number]:
                found.append((number, "array", Tensor(tensor.array, tensor.node)))
            if tensor.gradient is not grad:
                found.append((number, "grad", tensor.gradient))
        return found


def _check_containers(containers: Any, replaced: Sequence[Any]) -> None:
    """Raises `TraceError` where a function changes a list or dict that it was given: the caller's would not change."""
    now = flatten(containers)[0]
    if len(now) != len(replaced) or any(x is not y for x, y in zip(now, replaced, strict=True)):
        raise errors.complaint(TraceError, "jit", "a list or dict that was given as an argument is changed", None,
                               "return what is new, and let the caller put it there")


def _check_both(trace: Trace, leaves: Mapping[int, Tensor], changes: Sequence[tuple[Tensor | int, str, Any]]) -> None:
    """Raises `TraceError` where one tensor is met as an argument and otherwise, and changed."""
    changed = {id(tensor) for tensor, slot, _ in changes if slot == "array"}
    if any(slot == "array" and isinstance(tensor, int) for tensor, slot, _ in changes):
        changed.update(leaves)
    both = next((x for x in trace.taken if id(x) in leaves and id(x) in changed), None)
    if both is not None:
        raise errors.complaint(TraceError, "jit", "a tensor is an argument, is also used directly, and is changed",
                               {"tensor": both}, "use the argument throughout")


def _finish(tracer: Trace, inputs: list[Value], ended: list[tuple[Any, Any]]) -> Traced:
    result, changes = ended.pop()
    outputs: list[Value] = []

    def place(x: Any) -> int:
        outputs.append(tracer.value_of("return", x))
        return len(outputs) - 1

    leaves, rebuild = flatten(result)
    _check_results(leaves)
    results = tuple(Output(place(leaf)) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
    empty = flatten(rebuild(iter(results)))[1]  # makes the container again, and holds nothing of this one
    tracked = frozenset(to.number for to, leaf in zip(results, leaves, strict=True)
                        if isinstance(leaf, Tensor) and _is_differentiable(leaf))
    if tracked:
        check_tape("jit", [leaf for leaf in leaves if isinstance(leaf, Tensor)])
    written = tuple([Change(tensor, slot, None if new is None else place(new)) for tensor, slot, new in changes])
    tracked |= {change.output for change, (tensor, slot, new) in zip(written, changes, strict=True)
                if slot == "array" and change.output is not None and _is_renewed(tracer, inputs, tensor, new)}
    captures = [tracer.captures[id(x)] for x in tracer.taken]
    taken = [capture.value for capture in captures if capture.value is not None]
    grads = {id(c.grad): c.tensor for c in tracer.captures.values() if c.grad is not None}
    owners = {k: grads[id(c.tensor)] for k, c in enumerate(captures) if id(c.tensor) in grads}
    rebound = _is_rebound(tracer, changes)
    had = tuple([(c.tensor, c.grad is not None) for c in tracer.captures.values() if c.reads_grad])
    tracer.arguments.clear()
    del leaves, result, changes, rebuild
    kept = tuple((x, place(x)) for x in tracer.still_held() if x.array in tracer.values)
    graph = Graph((*inputs, *taken), tuple(tracer.equations), tuple(outputs))
    return Traced(graph, tuple(c.tensor for c in captures), written, empty, results, tracked, tuple(tracer.aliases),
                  kept, owners, had, rebound)


def _check_results(leaves: Sequence[Any]) -> None:
    """Raises `TraceError` for what goes on after the call, or would be the same object at every call."""
    for leaf in leaves:
        if isinstance(leaf, Iterator):
            raise errors.complaint(TraceError, "jit", f"a {type(leaf).__name__} is returned, which goes on when "
                                   "nothing is traced any more", None, "return a list of what it gives")
        if isinstance(leaf, np.ndarray):
            raise errors.complaint(TraceError, "jit", "a NumPy array is returned, which would be the same at every "
                                   "call", {"result": leaf}, "return a tensor: tl.asarray(x)")


def _decided(op: Op, operands: Sequence[Operand]) -> dict[str, Any] | None:
    """What `full` takes for a comparison with an integer that no element can be, which is known before they are.

    NumPy compares with such a number, and refuses it in all other ops.
    """
    if op.name not in _COMPARISONS:
        return None
    types = [x.type for x in operands if isinstance(x, Value)]
    if len(types) != 1 or beyond(operands, types[0].dtype) is None:
        return None
    one = [np.zeros((), x.dtype) if isinstance(x, Value) else x for x in operands]
    return {"shape": types[0].shape, "fill_value": bool(op.body(np, *one)), "dtype": np.dtype(bool)}


_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})


def _is_differentiable(x: Tensor) -> bool:
    """Whether a tensor depends on what requires gradients, and its tape was not walked and freed."""
    node = x.node.parents[0] if type(x.node) is TapeOutput else x.node
    return node is not None and (isinstance(node, Leaf) or node.saved is not None)


def _is_renewed(trace: Trace, inputs: Sequence[Value], tensor: Tensor | int, new: Tensor) -> bool:
    """Whether what a changed tensor holds has a history that goes on after the call.

    Raises `TraceError` for one that no graph holds, if it is an argument that had a history before: that would be the
    wrong one. What is met otherwise, such as a running mean, stays as it was then.
    """
    before = tensor.node if isinstance(tensor, Tensor) else None
    if isinstance(before, Leaf) or isinstance(new.node, Leaf) or not _is_differentiable(new):
        return False
    had = isinstance(tensor, int) and inputs[tensor] in trace.tracked
    try:
        check_tape("jit", [new])
    except TraceError:
        if had:
            raise
        return False
    return True


def _is_rebound(trace: Trace, changes: Sequence[tuple[Tensor | int, str, Any]]) -> bool:
    """Whether a function changes what derivatives are taken by: these are no longer those of a graph's inputs."""
    return trace.overwrites or any(
        slot == "array" and isinstance((tensor if isinstance(tensor, Tensor) else new).node, Leaf)
        for tensor, slot, new in changes)
