"""Emitting: from phases of steps to the records of a native program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from tensorlite.jit.program import Branch, Buffer, Edge, Home, Loop, Native, Place, Region, Step, While
from tensorlite.jit.schedule import is_small
from tensorlite.kernels.cpu import program as native
from tensorlite.kernels.generated import launch

#: A base, an offset, and by how many bytes each loop around moves it.
Where = tuple[int, int, tuple[tuple[int, int], ...]]


class Emitter:
    """Records so far, and beside each the native step that it runs, if it does."""

    def __init__(self, where: Callable[[Buffer, int], Where]) -> None:
        self.where = where
        self.records: list[native.Record] = []
        self.steps: list[Native | None] = []
        self.loops = count()
        self.depth = 0

    def add(self, record: native.Record, step: Native | None = None) -> int:
        """Appends a record, and returns its number."""
        self.records.append(record)
        self.steps.append(step)
        return len(self.records) - 1

    def meet(self) -> None:
        """Appends a barrier, unless there is one."""
        if self.records and not isinstance(self.records[-1], native.Meet):
            self.add(native.Meet())

    def phase(self, steps: Sequence[Step]) -> None:
        """Appends the steps of a phase; small ones take turns among the threads."""
        turn = 0
        for step in steps:
            if isinstance(step, Native):
                small = is_small(step)
                self.native(step, turn if small else native.ALL)
                turn += small
        for step in steps:
            if not isinstance(step, Native | Edge):
                self.control(step)

    def native(self, step: Native, thread: int) -> None:
        """Appends a kernel's call."""
        places = [*step.reads, *step.writes]
        found = [self.where(place.buffer, place.offset) for place in places]
        advances = tuple((loop, k, size) for k, (_, _, moves) in enumerate(found) for loop, size in moves)
        entry = launch.compile(step.stage.build, step.stage.key)
        self.add(native.Step(entry, native.block(len(places), step.stage.numbers),
                             tuple((base, offset) for base, offset, _ in found), thread, advances), step)

    def control(self, step: Step) -> None:
        """Appends a loop or a branch."""
        if isinstance(step, Loop):
            self.loop(step)
        elif isinstance(step, While):
            self.repeat(step)
        elif isinstance(step, Branch):
            self.branch(step)

    def loop(self, step: Loop) -> None:
        """Appends a loop of a known number of iterations."""
        number = next(self.loops)
        self.add(native.Begin(number, self.depth))
        start = len(self.records)
        self.depth += 1
        self.region(step.body, number)
        self.depth -= 1
        self.add(native.Again(number, self.depth, start, step.count))

    def repeat(self, step: While) -> None:
        """Appends a loop that tests a flag before each iteration."""
        self.meet()
        start = len(self.records)
        self.region(step.test)
        self.meet()
        check = self.check(step.flag)
        self.region(step.body)
        self.meet()
        self.add(native.Jump(start))
        self.land(check)

    def branch(self, step: Branch) -> None:
        """Appends both branches, of which one is jumped over."""
        self.meet()
        check = self.check(step.flag)
        self.region(step.true)
        end = self.add(native.Jump(0))
        self.land(check)
        self.region(step.false)
        self.records[end] = native.Jump(len(self.records))
        self.add(native.Meet())

    def check(self, flag: Place) -> int:
        """Appends a test whose target is not known yet."""
        base, offset, moves = self.where(flag.buffer, flag.offset)
        advances = tuple((loop, 0, size) for loop, size in moves)
        return self.add(native.Check((base, offset), 0, advances))

    def land(self, check: int) -> None:
        """Lets a test jump to what comes next."""
        record = self.records[check]
        assert isinstance(record, native.Check)
        self.records[check] = native.Check(record.flag, len(self.records), record.advances)

    def region(self, region: Region, loop: int | None = None) -> None:
        """Appends a region's phases, whose buffers are where it says."""
        outside = self.where

        def where(buffer: Buffer, offset: int) -> Where:
            bound = region.bound.get(buffer)
            if bound is not None:
                base, start, moves = outside(bound.place.buffer, bound.place.offset + offset)
                own = ((loop, bound.advance),) if bound.advance and loop is not None else ()
                return base, start, (*moves, *own)
            if buffer.home is Home.CONSTANT:
                return outside(buffer, offset)
            scratch = region.scratch
            return outside(scratch.buffer, scratch.offset + region.offsets[buffer] + offset)

        self.where = where
        for number, phase in enumerate(region.phases):
            if number:
                self.meet()
            self.phase(phase)
        self.where = outside
