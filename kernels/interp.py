"""What loops mean: an interpreter in plain Python and NumPy, for any number of simulated threads.

Uniform values are 0-d arrays; within a vector loop, a value that may differ between lanes is an array over the active
lanes. Threads take turns at barriers. Every access is checked: out of bounds, or a race, raises. A race is two
iterations of parallel loops that touch the same element, one of them storing, with no barrier between, whoever
runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import loops, scalar
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.loops import Kind

Array: TypeAlias = npt.NDArray[Any]
_Run: TypeAlias = Generator[None]
_Values: TypeAlias = Mapping[str, Array]

_NOBODY, _EVERYBODY, _MANY = -1, 0, -2


class KernelFault(KernelError):
    """A kernel did what it must not while interpreted: out of bounds, or a race."""


@dataclass
class Memory:
    """A buffer's elements and who touched them since the last barrier; ``origin`` is the position of index 0."""

    name: str
    elements: Array
    origin: int = 0
    writer: Array = field(init=False)
    reader: Array = field(init=False)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start a new phase: a barrier was met."""
        self.writer = np.full(self.elements.size, _NOBODY)
        self.reader = np.full(self.elements.size, _NOBODY)

    def place(self, index: Array) -> Array:
        """Return positions in ``elements``, all of them inside."""
        place = np.asarray(index + self.origin)
        if place.size and (place.min() < 0 or place.max() >= self.elements.size):
            bounds = f"{-self.origin} to {self.elements.size - self.origin - 1}"
            raise KernelFault(f"{self.name}[{index}] is out of bounds: {bounds}")
        return place

    def load(self, index: Array, task: int) -> Array:
        """Read elements on behalf of a task."""
        place = self.place(index)
        self._refuse(self.writer[place], task, "an iteration reads what another stored in", index)
        self.reader[place] = np.where((self.reader[place] == _NOBODY) | (self.reader[place] == task), task, _MANY)
        return np.asarray(self.elements[place])

    def store(self, index: Array, value: Array, task: int) -> None:
        """Write elements on behalf of a task."""
        place = self.place(index)
        self._refuse(self.writer[place], task, "two iterations store to", index)
        self._refuse(self.reader[place], task, "an iteration stores over what another read in", index)
        self.writer[place] = task
        self.elements[place] = value

    def _refuse(self, touched: Array, task: int, what: str, index: Array) -> None:
        if np.any((touched != _NOBODY) & (touched != task)):
            raise KernelFault(f"a race: {what} {self.name}[{index}], and there is no barrier between")


Argument: TypeAlias = "Array | tuple[Array, int] | float"


def run(kernel: loops.Kernel, arguments: Mapping[str, Argument], threads: int = 1) -> None:
    """Run ``kernel`` as ``threads`` threads.

    ``arguments`` names every parameter: a number; for a buffer a 1-d array, or an array and the position of its index 0
    (where strides are negative).
    """
    parameters = [p for p in kernel.parameters if isinstance(p, loops.Parameter)]
    numbers: dict[str, Array] = {p.name: np.asarray(arguments[p.name], p.dtype) for p in parameters}
    memories = {name: _memory(buffer, arguments[name]) for name, buffer in kernel.buffers.items()}
    runs = [_Thread(thread, threads, dict(numbers), dict(memories)).block(kernel.body) for thread in range(threads)]
    while runs:
        waiting = [r for r in runs if next(r, _DONE) is not _DONE]
        if waiting and len(waiting) != len(runs):
            raise KernelFault(f"kernel {kernel.name}: {len(waiting)} of {len(runs)} threads wait at a barrier")
        runs = waiting
        for memory in memories.values():
            memory.forget()


_DONE = object()


def _memory(buffer: loops.Buffer, argument: Any) -> Memory:
    elements, origin = argument if isinstance(argument, tuple) else (argument, 0)
    if elements.dtype != buffer.dtype or elements.ndim != 1:
        raise KernelFault(f"{buffer.name}: {elements.dtype} of {elements.ndim} dimensions, not {buffer.dtype} of one")
    return Memory(buffer.name, elements, origin)


def share(extent: int, thread: int, threads: int) -> range:
    """Return the iterations of a parallel loop that a thread takes: contiguous, and as even as can be."""
    return range(extent * thread // threads, extent * (thread + 1) // threads)


class _Thread:
    """One simulated thread: its values by name, the buffers, and the parallel iteration that it is in."""

    def __init__(self, thread: int, threads: int, values: dict[str, Array], memories: dict[str, Memory]) -> None:
        self.thread, self.threads = thread, threads
        self.values, self.memories = values, memories
        self.copies: _Values = {}  # of reduced locals, one for each lane
        self.task = _EVERYBODY
        self.parallel_loops = 0

    def block(self, block: loops.Block) -> _Run:
        for statement in block:
            if isinstance(statement, loops.Barrier):
                yield
            elif isinstance(statement, loops.For):
                yield from _LOOPS[statement.kind](self, statement)
            elif isinstance(statement, loops.Reduce):
                yield from self.reduce(statement)
            elif isinstance(statement, loops.Transpose):
                dtype = self.memories[statement.source].elements.dtype
                yield from self.serial(loops.transposing(statement, dtype))
            elif isinstance(statement, loops.If):
                if self.evaluate(statement.condition):
                    yield from self.block(statement.body)
            else:
                _STATEMENTS[type(statement)](self, statement)

    def evaluate(self, value: loops.Value) -> Array:
        assert isinstance(value, scalar.Typed)
        return scalar.evaluate_typed(value, self.values)

    def let(self, statement: loops.Let | loops.Local | loops.Assign) -> None:
        value = statement.initial if isinstance(statement, loops.Local) else statement.value
        self.values[statement.name] = self.evaluate(value)

    def load(self, load: loops.Load) -> None:
        memory, index = self.memories[load.buffer], self.evaluate(load.index)
        if load.dtype is None:
            self.values[load.name] = memory.load(index, self.task)
            return
        parts = np.arange(load.dtype.itemsize // memory.elements.itemsize)
        self.values[load.name] = memory.load(index[..., None] + parts, self.task).view(load.dtype)[..., 0]

    def store(self, store: loops.Store) -> None:
        self.memories[store.buffer].store(self.evaluate(store.index), self.evaluate(store.value), self.task)

    def flag(self, flag: loops.Flag) -> None:
        if np.any(self.evaluate(flag.condition)):
            memory = self.memories[flag.buffer]
            memory.elements[memory.place(np.asarray(0))] = 1

    def scratch(self, scratch: loops.Scratch) -> None:
        undefined = np.frombuffer(b"\xa5" * scratch.size * scratch.dtype.itemsize, np.uint8).copy()
        content = np.zeros(scratch.size, bool) if scratch.dtype == bool else undefined.view(scratch.dtype)
        self.memories[scratch.name] = Memory(scratch.name, content)

    def serial(self, loop: loops.For) -> _Run:
        for i in range(int(self.evaluate(loop.extent))):
            self.values[loop.index] = np.asarray(i)
            yield from self.block(loop.body)

    def parallel(self, loop: loops.For) -> _Run:
        self.parallel_loops += 1
        for i in share(int(self.evaluate(loop.extent)), self.thread, self.threads):
            self.task = (self.parallel_loops << 32) + i
            self.values[loop.index] = np.asarray(i)
            yield from self.block(loop.body)
        self.task = _EVERYBODY

    def vector(self, loop: loops.For) -> _Run:
        """Run the body on arrays over the active lanes; of the copies of a reduced local, these lanes' alone."""
        extent, copies = int(self.evaluate(loop.extent)), self.copies
        for start in range(0, extent, loop.lanes):
            active = min(loop.lanes, extent - start)
            self.values[loop.index] = np.arange(start, start + active)
            self.values |= {name: lanes[:active].copy() for name, lanes in copies.items()}
            yield from self.block(loop.body)
            for name, lanes in copies.items():
                lanes[:active] = self.values.pop(name)

    def reduce(self, reduce: loops.Reduce) -> _Run:
        before = {name: self.values.pop(name) for name in reduce.locals}
        identities = zip(reduce.locals, map(self.evaluate, reduce.identity), strict=True)
        copies: _Values = {name: np.full(reduce.lanes, identity) for name, identity in identities}
        outer, self.copies = self.copies, {**self.copies, **copies}
        yield from self.block(reduce.body)
        self.copies, lanes = outer, reduce.lanes
        while lanes > 1:
            lanes //= 2
            low = {name: copies[name][:lanes] for name in reduce.locals}
            copies = self.merge(reduce, low, {name: copies[name][lanes : 2 * lanes] for name in reduce.locals})
        self.values |= self.merge(reduce, before, {name: copies[name][0] for name in reduce.locals})

    def merge(self, reduce: loops.Reduce, left: _Values, right: _Values) -> _Values:
        both = {**self.values, **left, **{loops.right(name): value for name, value in right.items()}}
        merged = (scalar.evaluate_typed(value, both) for value in reduce.merge)  # type: ignore[arg-type]
        return dict(zip(reduce.locals, merged, strict=True))


_LOOPS: dict[Kind, Callable[[_Thread, loops.For], _Run]] = {
    Kind.SERIAL: _Thread.serial,
    Kind.UNROLL: _Thread.serial,
    Kind.PARALLEL: _Thread.parallel,
    Kind.VECTOR: _Thread.vector,
}
_STATEMENTS: dict[type, Callable[[_Thread, Any], None]] = {
    loops.Let: _Thread.let,
    loops.Local: _Thread.let,
    loops.Assign: _Thread.let,
    loops.Load: _Thread.load,
    loops.Store: _Thread.store,
    loops.Flag: _Thread.flag,
    loops.Prefetch: lambda thread, prefetch: None,
    loops.Scratch: _Thread.scratch,
}
