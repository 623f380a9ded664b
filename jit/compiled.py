"""Compiled: one specialisation of a function: its graph, what runs it, and how a call's tensors go in and come out.

Tensors that the function changes are updated in the memory that they have, where nobody else can see it; else they are
given memory of their own first.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tensorlite.dispatch import quietly
from tensorlite.errors import InternalError
from tensorlite.jit.executable import Executable, Fault
from tensorlite.jit.graph import Graph
from tensorlite.jit.guards import Guards
from tensorlite.jit.lock import Lock
from tensorlite.jit.once import once
from tensorlite.jit.pipeline import compile_graph
from tensorlite.jit.trace import Change, Output, Traced
from tensorlite.kernels.cpu import allocator
from tensorlite.kernels.cpu.allocator import owns_alone
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

ndarray = np.ndarray


_changing = Lock()  # one for all: two functions may change the same tensors


@contextmanager
def without_collection() -> Iterator[None]:
    """Keeps Python's garbage collector from walking all that a compilation makes, again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Stale(Exception):
    """What a specialisation relied on is no longer so: the function must be traced again."""


class Compiled:
    """A traced call, ready to run on other arguments of the same types."""

    def __init__(self, traced: Traced, guards: Guards, recording: bool) -> None:
        self.traced, self.guards, self.recording = traced, guards, recording
        self.arguments = len(traced.graph.inputs) - len(traced.state)
        numbers = {("array", id(tensor)): k for k, tensor in enumerate(traced.state)}
        numbers |= {("grad", id(tensor)): k for k, tensor in traced.owners.items()}
        self.over = {change.output: self.arguments + numbers[change.slot, id(change.tensor)]
                     for change in traced.changes
                     if (change.slot, id(change.tensor)) in numbers and change.output is not None}
        self.shapes = [(value.shape, value.dtype) for value in traced.graph.outputs]
        self.makers = [_maker(*shape) for shape in self.shapes]
        self.is_pure, self.grads, self.aliases = not traced.changes, traced.grads, traced.aliases
        self.changed = {id(change.tensor) for change in traced.changes if change.slot == "array"}
        self.rebinds = any(change.slot == "array" and isinstance(change.tensor, int) for change in traced.changes)
        if self.rebinds:
            self.changed.update(map(id, traced.state))
        self.count = sum(type(x) is Output for x in traced.results)
        self.differentiable: Any = None
        self.halves: dict[Any, Any] = {}
        self.single = type(traced.results) is tuple and len(traced.results) == 1 and type(traced.results[0]) is Output \
            and traced.rebuild is next

    # What needs the program is found at the first call: of a call that is differentiated another one runs.

    @once
    def executable(self) -> Executable:
        """The program."""
        with without_collection():
            found: Executable = quietly(compile_graph, self.traced.graph, self.over, self._settled())
        return found

    def _settled(self) -> set[int]:
        """The inputs that are state which the function leaves as it is; of a call that is recorded none.

        While gradients are recorded, what the state is changes all the time.
        """
        if self.rebinds or (self.recording and self.traced.tracked):
            return set()
        return {self.arguments + k for k, tensor in enumerate(self.traced.state)
                if k not in self.traced.owners and id(tensor) not in self.changed}

    @once
    def state(self) -> list[_State | _Gradient]:
        """The tensors that the function met."""
        owners, given = self.traced.owners, {number - self.arguments for number in self.executable.over.values()}
        return [_Gradient(owners[k], k in given) if k in owners else _State(tensor, k in given)
                for k, tensor in enumerate(self.traced.state)]

    @once
    def fresh(self) -> list[int]:
        """The outputs that need memory of their own."""
        return [k for k in range(len(self.shapes)) if k not in self.executable.over]

    @once
    def written(self) -> list[Change]:
        """What is changed otherwise than in place."""
        return [change for change in self.traced.changes if change.output not in self.executable.over]

    def call(self, tensors: Sequence[Tensor]) -> Any:
        """Runs; raises `Stale` before anything has changed where the state is not what was traced.

        A call that changes tensors has them for itself: other threads wait.
        """
        if self.is_pure:
            return self._call(tensors)
        with _changing:
            return self._call(tensors)

    def _call(self, tensors: Sequence[Tensor]) -> Any:
        if self.changed and not self.changed.isdisjoint(map(id, tensors)):
            raise Stale  # an argument that the function also meets otherwise, and changes
        for tensor, had_grad in self.grads:
            if (tensor.gradient is not None) is not had_grad:
                raise Stale
        for alias, holder in self.aliases:
            x, y = alias(), holder()
            if x is not None and y is not None and x.array is not y.array:
                raise Stale
        inputs = [x.array for x in tensors]
        for kept in self.state:
            if kept.donated or kept.seen() is not kept.tensor.array \
                    or (kept.tensor.node is None) is not kept.is_constant:
                inputs.append(kept.find())
            else:
                inputs.append(kept.tensor.array)
        if self.is_pure:
            outputs: list[Any] = [make() for make in self.makers]
        else:
            outputs = self._places(inputs)
        try:
            if not self.executable.run(inputs, outputs):
                inputs = list(map(_contiguous, inputs))
                self.executable.run(inputs, outputs)
        except Fault:
            outputs = self._explain(inputs)
        if not self.is_pure:
            self._write(tensors, outputs)
        return outputs

    def _places(self, inputs: Sequence[Any]) -> list[Any]:
        """Where results go: over inputs that die, where the last gradients are, else to fresh memory."""
        outputs: list[Any] = [None] * len(self.makers)
        for result, given in self.executable.over.items():
            outputs[result] = inputs[given]
        self._reuse(outputs)
        for k in self.fresh:
            if outputs[k] is None:
                outputs[k] = self.makers[k]()
        return outputs

    def results(self, made: Sequence[Tensor]) -> Any:
        """The function's result, of its tensors."""
        if self.single:
            return made[0]
        return self.traced.rebuild(iter([made[x.number] if type(x) is Output else x for x in self.traced.results]))

    def _reuse(self, outputs: list[Any]) -> None:
        """Puts gradients where the last ones are, if nobody else holds these."""
        for change in self.written:
            tensor, slot, output = change
            if slot == "grad" and output is not None and isinstance(tensor, Tensor) and outputs[output] is None:
                if _is_own_gradient(tensor, *self.shapes[output]):
                    outputs[output] = tensor.gradient.array  # type: ignore[union-attr]

    def _write(self, tensors: Sequence[Tensor], outputs: Sequence[Any]) -> None:
        for tensor, slot, output in self.written:
            if type(tensor) is int:
                tensor = tensors[tensor]
            if slot == "array":
                tensor.array = outputs[output]  # type: ignore[union-attr, index]
            elif output is None:
                tensor.gradient = None  # type: ignore[union-attr]
            elif tensor.gradient is None or tensor.gradient.array is not outputs[output]:  # type: ignore[union-attr]
                tensor.gradient = Tensor(outputs[output])  # type: ignore[union-attr]

    def _explain(self, inputs: Sequence[Any]) -> list[Any]:
        """Runs op by op, which says what is wrong with an index; nothing was changed yet."""
        return [y.array for y in self.traced.graph(*map(Tensor, inputs))]


def _nothing() -> None:
    """What has been seen of an array at first."""


class _State:
    """A tensor that the function met, and the array that it was last seen to hold; ``donated`` is overwritten."""

    __slots__ = ("donated", "is_constant", "seen", "tensor", "type")

    def __init__(self, tensor: Tensor, donated: bool) -> None:
        self.tensor, self.type, self.is_constant, self.donated = tensor, tensor.type, tensor.node is None, donated
        self.seen: Callable[[], Any] = _nothing

    def find(self) -> Any:
        """The array; one of its own if it may be overwritten. Raises `Stale` where it has become another kind."""
        if (self.tensor.node is None) is not self.is_constant:
            raise Stale
        if self.seen() is not self.tensor.array:
            self.look()
        if self.donated and not owns_alone(self.tensor.array):
            own = allocator.empty(self.tensor.array.shape, self.tensor.array.dtype)
            np.copyto(own, self.tensor.array)
            self.tensor.array = own
            self.seen = weakref.ref(own)
        return self.tensor.array

    def look(self) -> None:
        """Takes note of another array."""
        array = self.tensor.array
        if TensorType(array.dtype, array.shape, self.tensor.device) != self.type:
            raise Stale
        if not array.flags.c_contiguous:
            self.tensor.array = np.ascontiguousarray(array).reshape(array.shape)
        self.seen = weakref.ref(self.tensor.array)


class _Gradient:
    """The gradient of a tensor that the function met."""

    __slots__ = ("donated", "is_constant", "tensor", "type")

    def __init__(self, tensor: Tensor, donated: bool) -> None:
        assert tensor.gradient is not None
        self.tensor, self.type, self.donated, self.is_constant = tensor, tensor.gradient.type, donated, True

    def seen(self) -> None:
        """No array: each call finds it anew."""

    def find(self) -> Any:
        """The gradient's array, as `_State.find`; raises `Stale` where there is none, or one of another kind."""
        grad = self.tensor.gradient
        if grad is None or grad.type != self.type or grad.node is not None:
            raise Stale
        in_order = grad.array.flags.c_contiguous
        del grad
        if not in_order or self.donated and not self._is_alone():
            own = allocator.empty(self.type.shape, self.type.dtype)
            np.copyto(own, self.tensor.gradient.array)  # type: ignore[union-attr]
            self.tensor.gradient = Tensor(own)
        return self.tensor.gradient.array  # type: ignore[union-attr]

    def _is_alone(self) -> bool:
        return sys.getrefcount(self.tensor.gradient) < _HELD and owns_alone(self.tensor.gradient.array)  # type: ignore[union-attr]


def _contiguous(array: Any) -> Any:
    if type(array) is not ndarray:
        raise InternalError(f"jit: an argument holds a {type(array).__name__}")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array).reshape(array.shape)


def _maker(shape: tuple[int, ...], dtype: np.dtype) -> Callable[[], Any]:
    """What makes an array: NumPy, if it is small."""
    small = prod(shape) * dtype.itemsize < allocator.POOL_BYTES
    return partial(np.empty if small else allocator.empty, shape, dtype)


_HELD = 3  # references to a gradient that nobody else holds, as `_is_own_gradient` sees it


def _is_own_gradient(tensor: Tensor, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    grad = tensor.gradient
    return (grad is not None and sys.getrefcount(grad) <= _HELD and grad.node is None and grad.shape == shape
            and grad.dtype == dtype and owns_alone(grad.array) and grad.array.flags.c_contiguous)


def run_graph(graph: Graph) -> Callable[[Sequence[Any]], list[Any]]:
    """The function of arrays that a graph is, compiled."""
    compiled = quietly(compile_graph, graph, {})
    shapes = [(value.shape, value.dtype) for value in graph.outputs]

    def run(arrays: Sequence[Any]) -> list[Any]:
        outputs = [allocator.empty(*shape) for shape in shapes]
        inputs = [_contiguous(array) for array in arrays]
        try:
            compiled.run(inputs, outputs)
        except Fault:
            return [y.array for y in graph(*map(Tensor, inputs))]
        return outputs
    return run
