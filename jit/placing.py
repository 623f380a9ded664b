"""Placing: where each step of an executable runs: its segment, phase and record, on how many threads, how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensorlite.jit.executable import Executable
from tensorlite.jit.program import Edge, Native
from tensorlite.kernels.cpu.program import ALL, Again, Jump, Record
from tensorlite.kernels.cpu.program import Step as Call


@dataclass(frozen=True)
class Placed:
    """A step and its place: segment, phase and record; who runs it, and how often."""

    step: Native | Edge
    segment: int
    phase: int
    record: int
    threads: int | None
    times: int | None = 1


def placed(executable: Executable) -> Iterator[Placed]:
    """The steps of an executable in order; what is no step ends a phase."""
    phase = 0
    for number, segment in enumerate(executable.segments):
        if segment.edge is not None:
            yield Placed(segment.edge, number, phase, 0, 1)
        times = _times(segment.records)
        for k, (record, step) in enumerate(zip(segment.records, segment.natives, strict=True)):
            if isinstance(record, Call) and step is not None:
                yield Placed(step, number, phase, k, None if record.thread == ALL else 1, times[k])
            else:
                phase += 1
        phase += 1


def _times(records: Sequence[Record]) -> list[int | None]:
    """How often each record of a program runs: loops know, and the parts of a branch count as if they ran."""
    times: list[int | None] = [1] * len(records)
    for number, record in enumerate(records):
        if isinstance(record, Again):
            for k in range(record.back, number):
                times[k] = None if times[k] is None else times[k] * record.iterations  # type: ignore[operator]
        elif isinstance(record, Jump) and record.target < number:
            times[record.target:number] = [None] * (number - record.target)
    return times
