"""Scheduling: steps are put in phases, between which threads meet; those of a phase do not depend on each other.

Large steps keep their order, which keeps memory small; small ones, which one thread runs, go as early as they can. A
result that takes the memory of an input waits for all who read that input, and for every check of indices.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tensorlite.jit.program import Branch, Buffer, Edge, Home, Loop, Lowered, Native, Region, Step
from tensorlite.kernels.cpu.program import IF_AWAKE


@dataclass(frozen=True)
class Schedule:
    """Steps by phase; ``over`` is what is left of the lowered graph's wishes to compute in place."""

    phases: tuple[tuple[Step, ...], ...]
    over: dict[Buffer, Buffer]


SHARED_NANOSECONDS = 3_000  # of one thread's work: below, a step is not worth cutting between threads that are there
_FEW_NANOSECONDS = 4_000  # a program of less is run by one thread
_WAKING_NANOSECONDS = 40_000  # and one of less only by several if these need not be woken


def is_small(step: Step) -> bool:
    """Whether a step is not worth a second thread."""
    return isinstance(step, Native) and step.stage.work < SHARED_NANOSECONDS


def threads_for(steps: Iterable[Step]) -> int | None:
    """How many threads a program of these steps is worth: 1, `IF_AWAKE`, or None for all."""
    work = sum(map(_work, steps))
    return 1 if work < _FEW_NANOSECONDS else IF_AWAKE if work < _WAKING_NANOSECONDS else None


def _work(step: Step) -> float:
    """About how many nanoseconds a step takes one thread; of a loop that runs as often as it may, a lot."""
    if isinstance(step, Native):
        return step.stage.work
    if isinstance(step, Loop):
        return step.count * _work_of(step.body)
    if isinstance(step, Branch):
        return max(_work_of(step.true), _work_of(step.false))
    return 0.0 if isinstance(step, Edge) else _WAKING_NANOSECONDS


def _work_of(region: Region) -> float:
    return sum(_work(step) for phase in region.phases for step in phase)


def schedule(lowered: Lowered) -> Schedule:
    """Puts steps in phases."""
    steps = lowered.steps
    after = _dependencies(lowered)
    over = _in_place(lowered, after)
    phases: list[list[Step]] = []
    phase: dict[int, int] = {}
    large = 0
    for number in _sorted(after):
        earliest = max((phase[k] + 1 for k in after[number]), default=0)
        if not is_small(steps[number]):
            earliest = large = max(earliest, large)
        phase[number] = earliest
        while len(phases) <= earliest:
            phases.append([])
        phases[earliest].append(steps[number])
    return Schedule(tuple(map(tuple, phases)), over)


def _dependencies(lowered: Lowered) -> list[set[int]]:
    """For each step the steps that must come before it, by what they read and write."""
    writers: dict[Buffer, list[int]] = defaultdict(list)
    readers: dict[Buffer, list[int]] = defaultdict(list)
    after: list[set[int]] = []
    for number, step in enumerate(lowered.steps):
        needs: set[int] = set()
        for place in step.reads:
            needs.update(writers[place.buffer])
        for place in step.writes:
            needs.update(writers[place.buffer], readers[place.buffer])
        fault = fault_of(step)
        if fault is not None:
            needs.update(writers[fault])
        needs.discard(number)
        after.append(needs)
        for place in step.reads:
            readers[place.buffer].append(number)
        for place in step.writes:
            writers[place.buffer].append(number)
    return after


def _in_place(lowered: Lowered, after: list[set[int]]) -> dict[Buffer, Buffer]:
    """Lets results take the memory of inputs, adding what must come before; leaves out those for which it cannot."""
    steps = lowered.steps
    readers: dict[Buffer, set[int]] = defaultdict(set)
    writers: dict[Buffer, set[int]] = defaultdict(set)
    faults = {k for k, step in enumerate(steps) if isinstance(step, Edge) or fault_of(step) is not None}
    for number, step in enumerate(steps):
        for place in step.reads:
            readers[place.buffer].add(number)
        for place in step.writes:
            writers[place.buffer].add(number)
    chosen: dict[Buffer, Buffer] = {}
    for result, given in lowered.over.items():
        writing = writers[result]
        before = (readers[given] | faults) - writing
        if not writing or result.size != given.size or any(not _is_matched(steps[k], given) for k in writing):
            continue
        if _follows(before, writing, after):
            continue
        for k in writing:
            after[k] |= before
        chosen[result] = given
    return chosen


def _is_matched(step: Step, given: Buffer) -> bool:
    """Whether a step that writes over a buffer reads of it at most what it writes, when it does."""
    reads = any(place.buffer is given for place in step.reads)
    return isinstance(step, Native) and (not reads or given in step.matched)


def _follows(before: set[int], writing: set[int], after: list[set[int]]) -> bool:
    """Whether one of some steps must come after one of others."""
    seen, stack = set(before), list(before)
    while stack:
        for k in after[stack.pop()]:
            if k in writing:
                return True
            if k not in seen:
                seen.add(k)
                stack.append(k)
    return False


def _sorted(after: list[set[int]]) -> list[int]:
    """Steps such that each comes after those that it needs, and else in their order."""
    needed_by: dict[int, list[int]] = defaultdict(list)
    missing = [len(needs) for needs in after]
    for number, needs in enumerate(after):
        for k in needs:
            needed_by[k].append(number)
    ready = [number for number, count in enumerate(missing) if not count]
    order = []
    while ready:
        number = heapq.heappop(ready)
        order.append(number)
        for k in needed_by[number]:
            missing[k] -= 1
            if not missing[k]:
                heapq.heappush(ready, k)
    return order


def fault_of(step: Step) -> Buffer | None:
    """The buffer that says whether an index of a step was out of range."""
    return step.fault if isinstance(step, Native) else None


def is_temporary(buffer: Buffer) -> bool:
    """Whether a buffer lives in the arena."""
    return buffer.home is Home.ARENA
