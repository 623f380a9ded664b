"""Settle: what a program computes of unchanged state and constants is computed when that changes, not at every call.

    before:  program(x, w):  t = transform(w); y = x @ t
    after:   preparation(w): t = transform(w)
             program(x, w, t): y = x @ t

So the filters of a network that only answers are transformed and packed once. A lowered graph is cut in two; what the
first part leaves for the second is kept from call to call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from operator import is_
from typing import Any

import numpy as np

from tensorlite.jit.executable import Executable
from tensorlite.jit.memory import ALIGNMENT
from tensorlite.jit.program import Branch, Buffer, Home, Loop, Lowered, Native, Place, Region, Step, While
from tensorlite.kernels.cpu import allocator, lending

_WORTH = 2_000.0
"""Nanoseconds of work for less of which looking whether anything changed does not pay."""


def cut(lowered: Lowered, state: Set[int]) -> tuple[Lowered, Lowered] | None:
    """What to compute when the inputs numbered ``state`` change, and what at every call; None if it is all the latter.

    The second takes what the first makes as inputs after its own.
    """
    known = _settled(lowered.steps, {lowered.inputs[k] for k in state})
    first: list[Step] = [step for step in lowered.steps if _is_settled(step, known)]
    work = sum(step.stage.work for step in first if isinstance(step, Native))
    if work < _WORTH or not any(step.reads for step in first):
        return None
    second = [step for step in lowered.steps if step not in first]
    kept = list(dict.fromkeys(p.buffer for step in second for p in step.reads
                              if p.buffer in known and p.buffer.home is Home.ARENA))
    given = tuple(Buffer(Home.INPUT, b.size, len(lowered.inputs) + k) for k, b in enumerate(kept))
    made = tuple(Buffer(Home.OUTPUT, b.size, k) for k, b in enumerate(kept))
    before = replace(lowered, steps=_moved(first, dict(zip(kept, made, strict=True))), outputs=made, over={})
    after = replace(lowered, steps=_moved(second, dict(zip(kept, given, strict=True))),
                    inputs=(*lowered.inputs, *given))
    return before, after


def _settled(steps: Sequence[Step], state: set[Buffer]) -> set[Buffer]:
    """The buffers that hold the same after every call as long as some inputs do."""
    unsettled: set[Buffer] = set()
    while True:
        known = set(state)
        for step in steps:
            if _may_settle(step, known) and not any(p.buffer in unsettled for p in step.writes):
                known.update(p.buffer for p in step.writes)
        changing = {p.buffer for step in steps if not _is_settled(step, known) for p in step.writes} & known
        if not changing:
            return known
        unsettled |= changing


def _is_settled(step: Step, known: Set[Buffer]) -> bool:
    return _may_settle(step, known) and all(p.buffer in known for p in step.writes)


def _may_settle(step: Step, known: Set[Buffer]) -> bool:
    """Whether a step reads nothing but what is settled, and writes no result."""
    if not isinstance(step, Native) or step.fault is not None:
        return False
    reads = all(p.buffer in known or p.buffer.home is Home.CONSTANT for p in step.reads)
    return reads and all(p.buffer.home is Home.ARENA for p in step.writes)


def _moved(steps: Sequence[Step], buffers: Mapping[Buffer, Buffer]) -> list[Step]:
    """The steps with other buffers in place of some."""
    def place(old: Place) -> Place:
        return replace(old, buffer=buffers.get(old.buffer, old.buffer))

    def region(old: Region) -> Region:
        bound = {inner: replace(outer, place=place(outer.place)) for inner, outer in old.bound.items()}
        return replace(old, bound=bound, scratch=place(old.scratch))

    def step(old: Step) -> Step:
        parts: dict[str, Any] = {"reads": tuple(map(place, old.reads)), "writes": tuple(map(place, old.writes))}
        if isinstance(old, Native):
            parts["matched"] = frozenset(buffers.get(b, b) for b in old.matched)
        if isinstance(old, While | Branch):
            parts["flag"] = place(old.flag)
        for name in {Loop: ("body",), While: ("test", "body"), Branch: ("true", "false")}.get(type(old), ()):
            parts[name] = region(getattr(old, name))
        return replace(old, **parts)

    return [step(each) for each in steps]


@dataclass(frozen=True)
class _Known:
    """What was computed of which arrays, and how much memory had been given away by then."""

    sources: tuple[Any, ...]
    exports: int
    arrays: tuple[Any, ...]


class Preparation:
    """The first part of a cut program, and what it last made."""

    def __init__(self, executable: Executable, state: Set[int]) -> None:
        self.executable = executable
        read = {p.buffer for step in executable.lowered.steps for p in step.reads}
        self.numbers = [k for k in sorted(state) if executable.lowered.inputs[k] in read]
        sizes = [-(-b.size // ALIGNMENT) * ALIGNMENT for b in executable.lowered.outputs]
        self.ends = np.cumsum([0, *sizes]).tolist()
        self._known: _Known | None = None

    @property
    def size(self) -> int:
        """The bytes that it keeps."""
        return int(self.ends[-1])

    def arrays(self, inputs: Sequence[Any]) -> tuple[Any, ...] | None:
        """What the second part takes after its own inputs; None where an input is not NumPy's or not in order."""
        sources, exports = tuple([inputs[k] for k in self.numbers]), lending.exports()
        known = self._known
        if known is not None and known.exports == exports and all(map(is_, sources, known.sources)):
            return known.arrays
        self._known = known = None  # before as much memory is needed again
        block = allocator.empty((max(self.size, 1),), np.uint8)
        made = tuple(block[start:end] for start, end in zip(self.ends, self.ends[1:], strict=False))
        if not self.executable.run(inputs, made):
            return None
        if not any(map(lending.is_lent, sources)):
            for source in sources:
                lending.watch(source)
            self._known = _Known(sources, exports, made)
        return made
