"""Memory planning: every temporary has a place in one arena, by when it lives; the peak is known before anything runs.

A result of an elementwise step takes over an operand that dies there. The largest are placed first, each as low as
those that live at the same time let it (Pisarchyk and Lee, "Efficient memory management for deep neural net inference",
2020).
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorlite.jit.program import Buffer, Native
from tensorlite.jit.schedule import Schedule, fault_of, is_temporary

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass(frozen=True)
class Memory:
    """Offsets in the arena, its size, and the most bytes that live at once, which no plan can go below."""

    offsets: dict[Buffer, int]
    size: int
    bound: int


@dataclass
class _Block:
    buffers: list[Buffer]
    size: int
    first: int
    last: int
    offset: int = 0


def plan_memory(schedule: Schedule) -> Memory:
    """Places the temporaries of a schedule."""
    blocks = _blocks(schedule)
    _take_over(schedule, blocks)
    unique = list({id(block): block for block in blocks.values()}.values())
    placed: list[_Block] = []
    for block in sorted(unique, key=lambda block: (-block.size, block.first)):
        block.offset = _lowest(block, placed)
        placed.append(block)
    offsets = {buffer: block.offset for buffer, block in blocks.items()}
    size = max((block.offset + block.size for block in unique), default=0)
    return Memory(offsets, size, _bound(unique))


def _rounded(size: int) -> int:
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT


def _blocks(schedule: Schedule) -> dict[Buffer, _Block]:
    blocks: dict[Buffer, _Block] = {}
    for phase, steps in enumerate(schedule.phases):
        for step in steps:
            touched = [place.buffer for place in (*step.reads, *step.writes)]
            if (fault := fault_of(step)) is not None:
                touched.append(fault)
            for buffer in filter(is_temporary, touched):
                block = blocks.setdefault(buffer, _Block([buffer], _rounded(buffer.size), phase, phase))
                block.last = phase
    for steps in schedule.phases:
        for step in steps:
            if (fault := fault_of(step)) is not None:  # zeroed before the first, looked at after the last
                blocks[fault].first, blocks[fault].last = 0, len(schedule.phases)
    return blocks


def _take_over(schedule: Schedule, blocks: dict[Buffer, _Block]) -> None:
    """Merges a result with an operand that dies where it is made, element by element."""
    for phase, steps in enumerate(schedule.phases):
        users: dict[Buffer, int] = {}
        for step in steps:
            for buffer in {place.buffer for place in (*step.reads, *step.writes)}:
                users[buffer] = users.get(buffer, 0) + 1
        for step in steps:
            if not isinstance(step, Native):
                continue
            dying = [place.buffer for place in step.reads if place.buffer in step.matched
                     and is_temporary(place.buffer) and users[place.buffer] == 1
                     and blocks[place.buffer].last == phase]
            for place in step.writes:
                if not is_temporary(place.buffer) or blocks[place.buffer].first != phase:
                    continue
                heir = next((b for b in dying if b.size == place.buffer.size
                             and blocks[b] is not blocks[place.buffer]), None)
                if heir is not None:
                    dying.remove(heir)
                    old, new = blocks[heir], blocks[place.buffer]
                    old.last = new.last
                    old.buffers += new.buffers
                    blocks[place.buffer] = old


def _lowest(block: _Block, placed: list[_Block]) -> int:
    """The lowest offset at which a block overlaps none that lives when it does."""
    offset = 0
    for other in sorted((b for b in placed if b.first <= block.last and block.first <= b.last),
                        key=lambda b: b.offset):
        if offset + block.size <= other.offset:
            break
        offset = max(offset, other.offset + other.size)
    return offset


def _bound(blocks: list[_Block]) -> int:
    changes: dict[int, int] = {}
    for block in blocks:
        changes[block.first] = changes.get(block.first, 0) + block.size
        changes[block.last + 1] = changes.get(block.last + 1, 0) - block.size
    live = most = 0
    for phase in sorted(changes):
        live += changes[phase]
        most = max(most, live)
    return most
