"""Programs: stages one after the other in one native call, with barriers only where the caller puts them.

The driver is one small function for all programs: it walks a table of records. What changes from call to call is where
the arrays are; each address in a stage's argument block is a base and an offset, and is written anew when bases move.
"""

from __future__ import annotations

import ctypes
import importlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import team

#: Every thread takes part in such a step; a step of another number is run by that thread alone.
ALL = -1

_DRIVER = """
%record = type { ptr, ptr, i64, ptr } ; kernel (null: a barrier), argument block, thread (-1: all), fault to look at
%frame = type { ptr, i64, ptr, i64, ptr, ptr } ; records, their number, relocations, their number, bases, clock
%move = type { ptr, i64, i64 } ; where an address stands, its base, its offset

declare void @tensorlite_barrier(i64)
declare i64 @llvm.readcyclecounter()

define void @bind(ptr %frame) nounwind {
  %moves.at = getelementptr %frame, ptr %frame, i64 0, i32 2
  %moves = load ptr, ptr %moves.at
  %count.at = getelementptr %frame, ptr %frame, i64 0, i32 3
  %count = load i64, ptr %count.at
  %bases.at = getelementptr %frame, ptr %frame, i64 0, i32 4
  %bases = load ptr, ptr %bases.at
  br label %head
head:
  %i = phi i64 [0, %0], [%next, %body]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %move = getelementptr %move, ptr %moves, i64 %i
  %place = load ptr, ptr %move
  %base.at = getelementptr %move, ptr %move, i64 0, i32 1
  %base.number = load i64, ptr %base.at
  %offset.at = getelementptr %move, ptr %move, i64 0, i32 2
  %offset = load i64, ptr %offset.at
  %from = getelementptr i64, ptr %bases, i64 %base.number
  %base = load i64, ptr %from
  %address = add i64 %base, %offset
  store i64 %address, ptr %place
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}

define void @program(i64 %thread, i64 %threads, ptr %frame) nounwind {
  %records = load ptr, ptr %frame
  %count.at = getelementptr %frame, ptr %frame, i64 0, i32 1
  %count = load i64, ptr %count.at
  %clock.at = getelementptr %frame, ptr %frame, i64 0, i32 5
  %clock = load ptr, ptr %clock.at
  %timed = icmp ne ptr %clock, null
  br label %head
head:
  %i = phi i64 [0, %0], [%next, %step]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %record = getelementptr %record, ptr %records, i64 %i
  %kernel = load ptr, ptr %record
  %is.barrier = icmp eq ptr %kernel, null
  br i1 %is.barrier, label %meet, label %choose
meet:
  call void @tensorlite_barrier(i64 %threads)
  %fault.at = getelementptr %record, ptr %record, i64 0, i32 3
  %fault = load ptr, ptr %fault.at
  %watched = icmp ne ptr %fault, null
  br i1 %watched, label %look, label %step
look:
  %state = load i64, ptr %fault
  %failed = icmp ne i64 %state, 0
  br i1 %failed, label %done, label %step
choose:
  %owner.at = getelementptr %record, ptr %record, i64 0, i32 2
  %owner = load i64, ptr %owner.at
  %shared = icmp slt i64 %owner, 0
  %turn = urem i64 %owner, %threads
  %own = icmp eq i64 %turn, %thread
  %mine = or i1 %shared, %own
  br i1 %mine, label %run, label %step
run:
  %block.at = getelementptr %record, ptr %record, i64 0, i32 1
  %block = load ptr, ptr %block.at
  %as.thread = select i1 %shared, i64 %thread, i64 0
  %of.threads = select i1 %shared, i64 %threads, i64 1
  br i1 %timed, label %time, label %call
call:
  call void %kernel(i64 %as.thread, i64 %of.threads, ptr %block)
  br label %step
time:
  %start = call i64 @llvm.readcyclecounter()
  call void %kernel(i64 %as.thread, i64 %of.threads, ptr %block)
  %end = call i64 @llvm.readcyclecounter()
  %line = mul i64 %thread, %count
  %row = add i64 %line, %i
  %slot = shl i64 %row, 1
  %start.at = getelementptr i64, ptr %clock, i64 %slot
  store i64 %start, ptr %start.at
  %end.at = getelementptr i64, ptr %start.at, i64 1
  store i64 %end, ptr %end.at
  br label %step
step:
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A kernel's address, its argument block, who runs it, and for each address in the block its base and offset."""

    entry: int
    block: bytes
    addresses: tuple[tuple[int, int], ...]
    thread: int = ALL


@dataclass(frozen=True, slots=True)
class Meet:
    """A barrier; with ``fault``, an int64 at a base and an offset that ends the program there if it is not zero."""

    fault: tuple[int, int] | None = None


@cache
def _driver() -> tuple[Callable[[int], None], int]:
    native = importlib.import_module("tensorlite.kernels.cpu.native")  # 10 ms that an import need not take
    bind, program = native.compile_all(_DRIVER, "program", ("bind", "program"), speed=1)
    return ctypes.PYFUNCTYPE(None, ctypes.c_int64)(bind), program


class Frame:
    """A program's table, argument blocks and bases, for one call at a time."""

    def __init__(self, steps: Sequence[Step | Meet], bases: int) -> None:
        self.count, self.moves = len(steps), []
        self.blocks = np.frombuffer(bytearray(b"".join(s.block for s in steps if isinstance(s, Step)) or b"\0" * 8),
                                    np.uint8)  # fmt: skip
        self.table = np.zeros((max(len(steps), 1), 4), np.int64)
        self.bases = np.zeros(bases, np.int64)
        self._fill(steps)
        self.relocations = np.array(self.moves or [(0, 0, 0)], np.int64)
        self.head = np.array([_at(self.table), len(steps), _at(self.relocations), len(self.moves), _at(self.bases), 0],
                             np.int64)  # fmt: skip
        self.address = _at(self.head)
        self._bases_address = memoryview(self.bases).cast("B")
        self._last = b""
        self._bind, self._program = _driver()
        self._clock: Any = None

    def _fill(self, steps: Sequence[Step | Meet]) -> None:
        position, table = _at(self.blocks), _at(self.table)
        for number, step in enumerate(steps):
            if isinstance(step, Meet):
                if step.fault is not None:
                    self.moves.append((table + 32 * number + 24, *step.fault))
                continue
            self.table[number, :3] = step.entry, position, step.thread
            self.moves += [(position + 8 * k, *place) for k, place in enumerate(step.addresses)]
            position += len(step.block)

    def run(self, bases: bytes, threads: int | None) -> None:
        """Run the program with its arrays at these addresses (int64 in native order)."""
        if bases != self._last:
            self._bases_address[:] = bases
            self._bind(self.address)
            self._last = bases
        team.run(self._program, self.address, threads)

    def timed(self, bases: bytes, threads: int | None) -> np.ndarray[Any, Any]:
        """Run, and return the cycle counter before and after each step by thread; zeros where it ran nothing."""
        clock = np.zeros((team.get_num_threads(), max(self.count, 1), 2), np.int64)
        self.head[5] = _at(clock)
        try:
            self.run(bases, threads)
        finally:
            self.head[5] = 0
        return clock


def _at(array: np.ndarray[Any, Any]) -> int:
    return int(array.ctypes.data)


def block(addresses: int, numbers: bytes) -> bytes:
    """Return an argument block with room for so many addresses.

    >>> len(block(2, struct.pack("q", 5)))
    24
    """
    return bytes(8 * addresses) + numbers
