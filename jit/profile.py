"""Profile: the calls of a jitted function as a trace that Perfetto and Chrome open (ui.perfetto.dev).

Each Python thread that calls has a row with the call, what it spends on its arguments and results, native programs and
edges; kernels are slices on the rows of the threads that ran them, where the cycle counter may be read. The format is
Chrome's "Trace Event Format".
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorlite import errors
from tensorlite.errors import TraceError
from tensorlite.jit.anatomy import Kernel, Specialisation
from tensorlite.jit.compiled import Compiled
from tensorlite.jit.differentiate import Halves
from tensorlite.jit.executable import Executable
from tensorlite.jit.timing import Clock, NotedFrame, Part, busy, has_cycles

if TYPE_CHECKING:
    from tensorlite.jit.function import Jitted

_WORKER = 1 << 20  # rows of workers are numbered from here on, beyond the system's threads


@dataclass
class _Call:
    """One call while it is recorded: when it began and ended, what was compiled, and what ran."""

    thread: int
    start: int = 0
    end: int = 0
    compiled: list[tuple[int, int]] = field(default_factory=list)
    parts: list[tuple[Specialisation, Part]] = field(default_factory=list)


class _Frames(list[Any]):
    """The frames of an executable while it is recorded: each is one that notes what it runs."""

    def __init__(self, profile: Profile, compiled: Compiled) -> None:
        super().__init__()
        self.before, self.profile = compiled.executable.frames, profile
        self.specialisation = Specialisation(compiled)
        self.made: list[NotedFrame] = []

    def pop(self, *_: Any) -> NotedFrame:
        """A frame for one call."""
        try:
            return super().pop()
        except IndexError:
            self.made.append(NotedFrame(self.specialisation.executable, self.note))
            return self.made[-1]

    def append(self, frame: Any) -> None:
        """Takes a frame back, unless it is from before."""
        if isinstance(frame, NotedFrame):
            super().append(frame)

    def note(self, part: Part) -> None:
        """Takes down what ran, for the call of this thread."""
        call = self.profile.current()
        if call is not None:
            call.parts.append((self.specialisation, part))


class Profile:
    """A recording of a function's calls: of all that are made within ``with``, by any thread.

    When it ends, the trace is written to its path, if it has one; `trace` is what was written, as dicts and lists.
    """

    def __init__(self, jitted: Jitted, path: str | os.PathLike[str] | None = None) -> None:
        self.jitted, self.path = jitted, None if path is None else Path(path)
        self.trace: dict[str, Any] = {}
        self._calls: list[_Call] = []
        self._here = threading.local()
        self._recorded: dict[int, tuple[Executable, _Frames]] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<profile of {self.jitted!r}: {len(self._calls)} calls>"

    def __enter__(self) -> Profile:
        kind = type(self.jitted)
        if hasattr(kind, "recorded_by"):
            raise errors.complaint(TraceError, "profile", f"{self.jitted!r} is being profiled already",
                                   fix="leave the other `with` block first")
        self._clock = Clock() if has_cycles() else None
        for variants in list(self.jitted.variants.values()):
            for compiled in variants:
                self._record(compiled)
                for halves in compiled.halves.values():
                    self._record(halves.forward)
        self._kind = kind
        self.jitted.__class__ = _recorded(kind, self)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.jitted.__class__ = self._kind
        for executable, frames in self._recorded.values():
            executable.frames = frames.before
            for frame in frames.made:  # a call on another thread may still hold one
                frame.stop()
        if self._clock is not None:
            self._clock.settle()
        self.trace = {"traceEvents": list(self._events()), "displayTimeUnit": "ns"}
        if self.path is not None and kind is None:
            self.save(self.path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace, as JSON."""
        Path(path).write_text(json.dumps(self.trace))

    def current(self) -> _Call | None:
        """The call that this thread is in."""
        return getattr(self._here, "call", None)

    def call(self, run: Any, arguments: Any, kwargs: Any) -> Any:
        """Makes a call and records it."""
        outer = self.current()
        if outer is not None:  # from within another: a part of that
            return run(*arguments, **kwargs)
        call = self._here.call = _Call(threading.get_native_id(), time.perf_counter_ns())
        try:
            return run(*arguments, **kwargs)
        finally:
            call.end = time.perf_counter_ns()
            self._here.call = None
            self._calls.append(call)

    def compile(self, run: Any, arguments: Any) -> Compiled:
        """Compiles a specialisation and records that, and then what it runs."""
        start = time.perf_counter_ns()
        compiled: Compiled = run(*arguments)
        call = self.current()
        if call is not None:
            call.compiled.append((start, time.perf_counter_ns()))
        self._record(compiled)
        return compiled

    def halve(self, run: Any, arguments: Any) -> Halves:
        """Compiles a specialisation together with its derivative, and records that."""
        start = time.perf_counter_ns()
        halves: Halves = run(*arguments)
        call = self.current()
        if call is not None:
            call.compiled.append((start, time.perf_counter_ns()))
        self._record(halves.forward)
        return halves

    def _record(self, compiled: Compiled) -> None:
        with self._lock:
            executable = compiled.executable
            if id(executable) not in self._recorded:
                frames = _Frames(self, compiled)
                self._recorded[id(executable)] = executable, frames
                executable.frames = frames

    # --- the trace ---

    def _events(self) -> Iterator[dict[str, Any]]:
        yield _named("process_name", 0, f"tensorlite: {self.jitted!r}")
        callers = dict.fromkeys(call.thread for call in self._calls)
        for thread in callers:
            yield _named("thread_name", thread, f"Python thread {thread}, thread 0 of the team")
        workers = {k for call in self._calls for _, part in call.parts if part.cycles is not None
                   for k in np.flatnonzero(busy(part.cycles).any(1)).tolist() if k}
        for worker in sorted(workers):
            yield _named("thread_name", _WORKER + worker, f"thread {worker} of the team")
        for call in self._calls:
            yield from self._of_call(call)

    def _of_call(self, call: _Call) -> Iterator[dict[str, Any]]:
        yield _slice(f"call {self.jitted!r}", "call", call.thread, call.start, call.end)
        for start, end in call.compiled:
            yield _slice("trace and compile", "compile", call.thread, start, end)
        compiled = max((end for _, end in call.compiled), default=call.start)
        if call.parts:
            yield _slice("arguments and guards", "overhead", call.thread, compiled, call.parts[0][1].start)
            yield _slice("results", "overhead", call.thread, call.parts[-1][1].end, call.end)
        for specialisation, part in call.parts:
            if part.edge is not None:
                (edge,) = (k for k in specialisation.edges if k.segment == part.segment)
                yield _slice(edge.name, "edge", call.thread, part.start, part.end, _facts(edge))
                continue
            yield _slice(f"native program {part.segment}", "program", call.thread, part.start, part.end)
            if part.cycles is not None:
                kernels = [k for k in specialisation.kernels if k.segment == part.segment]
                yield from self._kernels(call.thread, part, kernels)

    def _kernels(self, caller: int, part: Part, kernels: Sequence[Kernel]) -> Iterator[dict[str, Any]]:
        """Slices by thread, one after the other: of a kernel in a loop all its iterations as one."""
        assert self._clock is not None
        spent = busy(part.cycles)
        for thread, row in enumerate(part.cycles):
            end = float(part.start)
            for kernel in kernels:
                began = int(row[kernel.record, 0])
                if not began:
                    continue
                start = min(max(self._clock.nanoseconds(began), end), part.end)
                end = min(start + int(spent[thread, kernel.record]) * self._clock.period, part.end)
                yield _slice(kernel.name, "kernel", _WORKER + thread if thread else caller, start, end, _facts(kernel))


def _recorded(kind: type[Jitted], profile: Profile) -> type[Jitted]:
    """The class of a function that is being recorded: it does what it did, and its calls are taken down."""
    class Recorded(kind):  # type: ignore[misc, valid-type]
        recorded_by = profile

        def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
            return profile.call(functools.partial(kind.__call__, self), arguments, kwargs)

        def _specialize(self, *arguments: Any) -> Compiled:
            return profile.compile(functools.partial(kind._specialize, self), arguments)

        def _halve(self, *arguments: Any) -> Halves:
            return profile.halve(functools.partial(kind._halve, self), arguments)

    return Recorded


def _facts(kernel: Kernel) -> dict[str, Any]:
    facts = {"number": kernel.number, "result": kernel.results[0], "bytes": kernel.bytes, "flops": kernel.flops,
             "line": ", ".join(kernel.lines), "form": kernel.form}
    return facts if kernel.times == 1 else {**facts, "times": kernel.times or "while"}


def _slice(name: str, category: str, thread: int, start: float, end: float,
           facts: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"ph": "X", "name": name, "cat": category, "pid": os.getpid(), "tid": thread, "ts": start / 1e3,
            "dur": max(end - start, 0) / 1e3, "args": facts or {}}


def _named(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": os.getpid(), "tid": thread, "args": {"name": name}}
