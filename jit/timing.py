"""Timing: when each kernel of a call ran, on which thread, by the cycle counter that native programs can note.

A noted frame takes the place of an executable's own for a call. What it notes are raw cycles; `Clock` turns them into
nanoseconds of Python's clock.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.jit.executable import CallFrame, Executable
from tensorlite.jit.program import Edge
from tensorlite.kernels import loops
from tensorlite.kernels.cpu import host
from tensorlite.kernels.cpu.program import Frame, Step
from tensorlite.kernels.generated import launch

_LEAST = 20_000_000  # nanoseconds between two readings, so that an error of 1 us in one is 50 millionths


@dataclass(frozen=True, slots=True)
class Part:
    """One native program of a call, by its segment's number, or one edge; cycles by thread, record, start and end."""

    segment: int
    edge: Edge | None
    start: int
    end: int
    cycles: Any = None


class Clock:
    """The cycle counter in nanoseconds of `time.perf_counter_ns`, by two readings of both.

    >>> clock = Clock()
    >>> before = time.perf_counter_ns()
    >>> cycles = clock.read()[1]
    >>> after = time.perf_counter_ns()
    >>> before - 20_000 < clock.nanoseconds(cycles) < after + 20_000
    True
    """

    def __init__(self) -> None:
        kernel = loops.build("nothing", (), ())
        entry = launch.compile(lambda: kernel, "nothing")
        self._frame = Frame((Step(entry, b"", ()),), 1)
        self.first = self.last = self.read()

    def read(self) -> tuple[float, int]:
        """The time and the cycles at one moment, to about a microsecond."""
        found = []
        for _ in range(8):
            before = time.perf_counter_ns()
            cycles = int(self._frame.timed(bytes(8), 1)[0, 0, 0])
            after = time.perf_counter_ns()
            found.append((after - before, (before + after) / 2, cycles))
        _, moment, cycles = min(found)
        return moment, cycles

    def nanoseconds(self, cycles: Any) -> Any:
        """The time at these cycles."""
        return self.first[0] + (cycles - self.first[1]) * self.period

    @property
    def period(self) -> float:
        """Nanoseconds a cycle."""
        if self.last is self.first:
            self.settle()
        return (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])

    def settle(self) -> None:
        """Reads again, late enough for the period to be known: the longer it was, the better all is known between."""
        left = self.first[0] + _LEAST - time.perf_counter_ns()
        if left > 0:
            time.sleep(left / 1e9)
        self.last = self.read()


def has_cycles() -> bool:
    """Whether programs may read this machine's cycle counter: elsewhere than on x86 that can end the process."""
    return host.is_x86()


class _Noted:
    """A native program that notes when it runs, and its cycles where these may be read."""

    def __init__(self, program: Frame, segment: int, note: Callable[[Part], None]) -> None:
        self.program, self.segment, self.note, self.timed = program, segment, note, has_cycles()

    def run_on(self, arrays: Sequence[Any], threads: int | None) -> bool:
        if not all(type(array) is np.ndarray and array.flags.c_contiguous for array in arrays):
            return False
        bases = struct.pack(f"{len(arrays)}q", *map(launch.address, arrays))
        start = time.perf_counter_ns()
        cycles = None
        if self.timed:
            cycles = self.program.timed(bases, threads)
        else:
            self.program.run(bases, threads)
        self.note(Part(self.segment, None, start, time.perf_counter_ns(), cycles))
        return True

    def forget(self) -> None:
        self.program.forget()


class NotedFrame(CallFrame):
    """A frame that tells ``note`` of every program and edge of a call."""

    def __init__(self, executable: Executable, note: Callable[[Part], None]) -> None:
        super().__init__(executable)
        self.note = note
        self.segments = {id(s.edge): k for k, s in enumerate(executable.segments) if s.edge is not None}
        self.only = None
        self.programs: Any = [None if p is None else _Noted(p, k, note) for k, p in enumerate(self.programs)]

    def stop(self) -> None:
        """Notes no more: the frame is like any other."""
        self.programs = [p.program if isinstance(p, _Noted) else p for p in self.programs]
        self.note = lambda part: None

    def edge(self, edge: Edge, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Runs an op from Python, and tells of it."""
        start = time.perf_counter_ns()
        super().edge(edge, inputs, outputs)
        self.note(Part(self.segments[id(edge)], edge, start, time.perf_counter_ns()))


def busy(cycles: Any) -> Any:
    """Cycles that each thread spent in each record of a program."""
    return np.maximum(cycles[:, :, 1] - cycles[:, :, 0], 0)
