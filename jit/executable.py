"""Executable: a scheduled graph as native programs over one arena, with edges run from Python between them.

One call takes a frame (arena, argument blocks), so that several threads may call at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tensorlite.jit.emit import Emitter, Where
from tensorlite.jit.memory import Memory
from tensorlite.jit.program import Buffer, Edge, Home, Lowered, Native, Place, steps_within
from tensorlite.jit.schedule import Schedule, fault_of, threads_for
from tensorlite.kernels.cpu import allocator
from tensorlite.kernels.cpu.program import Frame, Meet, Record
from tensorlite.kernels.generated import launch


class Fault(Exception):
    """An index was out of range: the program stopped before it changed anything but its results."""


@dataclass(frozen=True)
class Segment:
    """Native steps in one call, or one edge."""

    records: tuple[Record, ...] = ()
    natives: tuple[Native | None, ...] = ()
    edge: Edge | None = None


class Preparation(Protocol):
    """What a program computes before its first call, and again when state changes."""

    executable: Executable

    def arrays(self, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """What the program takes after its own inputs."""
        ...

    @property
    def size(self) -> int:
        """The bytes that it keeps."""
        ...


class Executable:
    """What a graph has become. Inputs, outputs and constants are arrays in memory, contiguous."""

    def __init__(self, lowered: Lowered, scheduled: Schedule, memory: Memory,
                 preparation: Preparation | None = None) -> None:
        self.lowered, self.schedule, self.memory, self.preparation = lowered, scheduled, memory, preparation
        self.constants = [np.ascontiguousarray(array).reshape(array.shape) for array in lowered.constants]
        self.over = {result.index: given.index for result, given in scheduled.over.items()}
        self.bases = 1 + len(lowered.inputs) + len(lowered.outputs) + len(self.constants)
        self.faults = list(dict.fromkeys(fault for phase in scheduled.phases for step in phase
                                         if (fault := fault_of(step)) is not None))
        stages = {step.stage.key: step.stage for phase in scheduled.phases for outermost in phase
                  for step in steps_within(outermost) if isinstance(step, Native)}
        longest = sorted(stages.values(), key=lambda stage: -stage.work)  # first, as most work is in the longest code
        launch.compile_many((stage.build, stage.key) for stage in longest)
        self.segments = tuple(self._segments())
        self.threads = threads_for(step for phase in scheduled.phases for step in phase)
        self.frames: list[CallFrame] = []

    def _base(self, buffer: Buffer) -> int:
        start = {Home.ARENA: 0, Home.INPUT: 1, Home.OUTPUT: 1 + len(self.lowered.inputs),
                 Home.CONSTANT: 1 + len(self.lowered.inputs) + len(self.lowered.outputs)}[buffer.home]
        return start + (0 if buffer.home is Home.ARENA else buffer.index)

    def _where(self, buffer: Buffer, offset: int = 0) -> Where:
        return self._base(buffer), offset + self.memory.offsets.get(buffer, 0), ()

    def _segments(self) -> Iterator[Segment]:
        emitter = Emitter(self._where)
        for phase in self.schedule.phases:
            emitter.phase(phase)
            edges = [step for step in phase if isinstance(step, Edge)]
            if edges:
                yield Segment(tuple(emitter.records), tuple(emitter.steps))
                yield from (Segment(edge=edge) for edge in edges)
                emitter = Emitter(self._where)
                continue
            faults = [fault for step in phase if (fault := fault_of(step)) is not None]
            for fault in faults:
                emitter.add(Meet(self._where(fault)[:2]))
            if not faults:
                emitter.meet()
        yield Segment(tuple(emitter.records), tuple(emitter.steps))

    def complete(self, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """The inputs, and what was prepared of them; None where that cannot be."""
        if self.preparation is None:
            return inputs
        prepared = self.preparation.arrays(inputs)
        return None if prepared is None else (*inputs, *prepared)

    def run(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> bool:
        """Computes outputs from inputs; raises `Fault` where an index is out of range.

        Returns False, and does nothing, where an input is not NumPy's or its elements do not lie in order.
        """
        complete = self.complete(inputs)
        if complete is None:
            return False
        try:
            frame = self.frames.pop()
        except IndexError:
            frame = CallFrame(self)
        try:
            return frame.run(complete, outputs)
        finally:
            self.frames.append(frame)


class CallFrame:
    """The arena and the argument blocks of one call at a time."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable
        self.arena = allocator.empty((max(executable.memory.size, 1),), np.uint8)
        self.programs = [Frame(s.records, executable.bases) if any(s.natives) else None
                         for s in executable.segments]
        self.start = np.array([launch.address(self.arena)], np.int64).tobytes()
        self.end = np.array([launch.address(array) for array in executable.constants], np.int64).tobytes()
        first = self.programs[0] if len(self.programs) == 1 and not executable.faults else None
        self.only: Any = first  # the one program, where there is no more to do
        self.faults = [self.arena[o : o + 8].view(np.int64) for o in map(executable.memory.offsets.__getitem__,
                                                                         executable.faults)]

    def run(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> bool:
        """Computes outputs from inputs, if these lie in order."""
        executable = self.executable
        arrays = (self.arena, *inputs, *outputs, *executable.constants)
        if self.only is not None:
            return self.only.run_on(arrays, executable.threads)
        if self.programs[0] is None and not all(
                type(array) is np.ndarray and array.flags.c_contiguous for array in inputs):
            return False
        for fault in self.faults:
            fault[0] = 0
        for segment, program in zip(executable.segments, self.programs, strict=True):
            if program is not None:
                if not program.run_on(arrays, executable.threads):
                    return False  # before anything ran: an edge takes arrays of any kind, and comes after
            elif segment.edge is not None:
                self.edge(segment.edge, inputs, outputs)
            for fault in self.faults:
                if fault[0]:
                    raise Fault
        return True

    def edge(self, edge: Edge, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Runs an op from Python."""
        arrays = iter([self.array(place, inputs, outputs) for place in edge.reads])
        targets = [self.array(place, inputs, outputs) for place in edge.writes]
        equation = edge.equation
        if not equation.outputs:  # a copy
            np.copyto(targets[0], next(arrays))
            return
        operands = [next(arrays) if hasattr(x, "type") else x for x in equation.inputs]
        try:
            made = equation.op.run(*operands, **equation.attributes)
        except Exception as error:
            told = equation.explained(operands, error)
            if told is error:
                raise
            raise told from None
        for target, array in zip(targets, made if isinstance(made, tuple) else (made,), strict=True):
            np.copyto(target, array)

    def array(self, place: Place, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """A place as an array."""
        buffer, array = place.buffer, place.array
        memory = {Home.ARENA: lambda: self.arena, Home.INPUT: lambda: inputs[buffer.index],
                  Home.OUTPUT: lambda: outputs[buffer.index],
                  Home.CONSTANT: lambda: self.executable.constants[buffer.index]}[buffer.home]()
        offset = place.offset + self.executable.memory.offsets.get(buffer, 0)
        strides = tuple(n * array.dtype.itemsize for n in array.strides)
        if array.size == 0:
            return np.empty(array.shape, array.dtype)
        return np.ndarray(array.shape, array.dtype, memory.reshape(-1).view(np.uint8), offset, strides)
