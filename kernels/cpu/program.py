"""Programs: stages, loops and branches in one native call, with barriers only where the caller puts them.

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
from typing import Any, NamedTuple

import numpy as np

from tensorlite.kernels.cpu import team
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import launch
from tensorlite.kernels.stage import pack

#: Every thread takes part in such a step; a step of another number is run by that thread alone.
ALL = -1

_DRIVER = """
%record = type { ptr, ptr, i64, ptr } ; kernel, argument block, thread (-1: all), fault; without a kernel: null,
; numbers, what to do (0 meet, 1 begin a loop, 2 end it, 3 jump if false, 4 jump), fault to look at
%frame = type { ptr, i64, ptr, i64, ptr, ptr } ; records, their number, relocations, their number, bases, clock
%move = type { ptr, i64, i64 } ; where an address stands, its base, its offset
%step = type { ptr, i64 } ; where an address stands, by how many bytes it moves from one iteration to the next

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

; Reads the bases from NumPy arrays, given by the addresses of the Python objects, and binds. Returns 0 where an object
; is of another type, or its elements do not lie in order.
define i64 @bind_arrays(ptr %frame, ptr %arrays, i64 %count, i64 %type) nounwind {
  %bases.at = getelementptr %frame, ptr %frame, i64 0, i32 4
  %bases = load ptr, ptr %bases.at
  br label %head
head:
  %i = phi i64 [0, %0], [%next, %take]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %array.at = getelementptr ptr, ptr %arrays, i64 %i
  %array = load ptr, ptr %array.at
  %type.at = getelementptr i8, ptr %array, i64 8
  %own = load i64, ptr %type.at
  %is.array = icmp eq i64 %own, %type
  br i1 %is.array, label %look, label %refuse
look:
  %flags.at = getelementptr i8, ptr %array, i64 64
  %flags = load i32, ptr %flags.at
  %order = and i32 %flags, 1
  %in.order = icmp ne i32 %order, 0
  br i1 %in.order, label %take, label %refuse
take:
  %data.at = getelementptr i8, ptr %array, i64 16
  %data = load i64, ptr %data.at
  %base.at = getelementptr i64, ptr %bases, i64 %i
  store i64 %data, ptr %base.at
  %next = add i64 %i, 1
  br label %head
done:
  call void @bind(ptr %frame)
  ret i64 1
refuse:
  ret i64 0
}

; Binds, and runs on this thread alone.
define i64 @alone(ptr %frame, ptr %arrays, i64 %count, i64 %type) nounwind {
  %bound = call i64 @bind_arrays(ptr %frame, ptr %arrays, i64 %count, i64 %type)
  %any = icmp ne i64 %bound, 0
  br i1 %any, label %run, label %done
run:
  call void @program(i64 0, i64 1, ptr %frame)
  br label %done
done:
  ret i64 %bound
}

; Adds to every address its step times a factor.
define internal void @advance(ptr %steps, i64 %count, i64 %factor) nounwind {
  br label %head
head:
  %i = phi i64 [0, %0], [%next, %body]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %entry = getelementptr %step, ptr %steps, i64 %i
  %place = load ptr, ptr %entry
  %by.at = getelementptr %step, ptr %entry, i64 0, i32 1
  %by = load i64, ptr %by.at
  %distance = mul i64 %by, %factor
  %old = load i64, ptr %place
  %new = add i64 %old, %distance
  store i64 %new, ptr %place
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}

define void @program(i64 %thread, i64 %threads, ptr %frame) nounwind {
  %counters = alloca [MOST_DEPTH x i64]
  %at = alloca i64
  store i64 0, ptr %at
  %records = load ptr, ptr %frame
  %count.at = getelementptr %frame, ptr %frame, i64 0, i32 1
  %count = load i64, ptr %count.at
  %clock.at = getelementptr %frame, ptr %frame, i64 0, i32 5
  %clock = load ptr, ptr %clock.at
  %timed = icmp ne ptr %clock, null
  %first = icmp eq i64 %thread, 0
  br label %head
head:
  %i = load i64, ptr %at
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %following = add i64 %i, 1
  store i64 %following, ptr %at
  %record = getelementptr %record, ptr %records, i64 %i
  %kernel = load ptr, ptr %record
  %block.at = getelementptr %record, ptr %record, i64 0, i32 1
  %block = load ptr, ptr %block.at
  %owner.at = getelementptr %record, ptr %record, i64 0, i32 2
  %owner = load i64, ptr %owner.at
  %is.control = icmp eq ptr %kernel, null
  br i1 %is.control, label %control, label %choose
control:
  switch i64 %owner, label %head [
    i64 0, label %meet
    i64 1, label %begin
    i64 2, label %again
    i64 3, label %check
    i64 4, label %jump
  ]
meet:
  call void @tensorlite_barrier(i64 %threads)
  %fault.at = getelementptr %record, ptr %record, i64 0, i32 3
  %fault = load ptr, ptr %fault.at
  %watched = icmp ne ptr %fault, null
  br i1 %watched, label %look, label %head
look: ; all have looked before anyone goes on, for what comes next may be at fault too: all leave here, or none
  %state = load i64, ptr %fault
  call void @tensorlite_barrier(i64 %threads)
  %failed = icmp ne i64 %state, 0
  br i1 %failed, label %done, label %head
begin: ; numbers: depth
  %begin.depth = load i64, ptr %block
  %begin.counter = getelementptr [MOST_DEPTH x i64], ptr %counters, i64 0, i64 %begin.depth
  store i64 0, ptr %begin.counter
  br label %head
again: ; numbers: depth, where to go back to, iterations, steps, their number
  %depth = load i64, ptr %block
  %back.at = getelementptr i64, ptr %block, i64 1
  %back = load i64, ptr %back.at
  %iterations.at = getelementptr i64, ptr %block, i64 2
  %iterations = load i64, ptr %iterations.at
  %steps.at = getelementptr i64, ptr %block, i64 3
  %steps = load ptr, ptr %steps.at
  %step.count.at = getelementptr i64, ptr %block, i64 4
  %step.count = load i64, ptr %step.count.at
  %counter = getelementptr [MOST_DEPTH x i64], ptr %counters, i64 0, i64 %depth
  %past = load i64, ptr %counter
  %present = add i64 %past, 1
  store i64 %present, ptr %counter
  %repeat = icmp slt i64 %present, %iterations
  %rewind = sub i64 1, %iterations
  %factor = select i1 %repeat, i64 1, i64 %rewind
  %target = select i1 %repeat, i64 %back, i64 %following
  store i64 %target, ptr %at
  call void @tensorlite_barrier(i64 %threads)
  br i1 %first, label %move, label %moved
move:
  call void @advance(ptr %steps, i64 %step.count, i64 %factor)
  br label %moved
moved:
  call void @tensorlite_barrier(i64 %threads)
  br label %head
check: ; numbers: the address of a bool, where to go if it is false
  %flag.at = load ptr, ptr %block
  %flag = load i8, ptr %flag.at
  %false = icmp eq i8 %flag, 0
  br i1 %false, label %jump.from.check, label %head
jump.from.check:
  %else.at = getelementptr i64, ptr %block, i64 1
  %else = load i64, ptr %else.at
  store i64 %else, ptr %at
  br label %head
jump: ; numbers: where to go
  %to = load i64, ptr %block
  store i64 %to, ptr %at
  br label %head
choose:
  %shared = icmp slt i64 %owner, 0
  %turn = urem i64 %owner, %threads
  %own = icmp eq i64 %turn, %thread
  %mine = or i1 %shared, %own
  br i1 %mine, label %run, label %head
run:
  %as.thread = select i1 %shared, i64 %thread, i64 0
  %of.threads = select i1 %shared, i64 %threads, i64 1
  br i1 %timed, label %time, label %call
call:
  call void %kernel(i64 %as.thread, i64 %of.threads, ptr %block)
  br label %head
time: ; the sum over a loop's iterations; the first start
  %start = call i64 @llvm.readcyclecounter()
  call void %kernel(i64 %as.thread, i64 %of.threads, ptr %block)
  %end = call i64 @llvm.readcyclecounter()
  %line = mul i64 %thread, %count
  %row = add i64 %line, %i
  %slot = shl i64 %row, 1
  %start.at = getelementptr i64, ptr %clock, i64 %slot
  %seen = load i64, ptr %start.at
  %fresh = icmp eq i64 %seen, 0
  %start.kept = select i1 %fresh, i64 %start, i64 %seen
  store i64 %start.kept, ptr %start.at
  %end.at = getelementptr i64, ptr %start.at, i64 1
  %before = load i64, ptr %end.at
  %before.kept = select i1 %fresh, i64 %start, i64 %before
  %spent = sub i64 %end, %start
  %total = add i64 %before.kept, %spent
  store i64 %total, ptr %end.at
  br label %head
done:
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A kernel's address, its argument block, who runs it, and for each address in the block its base and offset.

    ``advances`` says by how many bytes an address moves from one iteration to the next: the number of the loop, as
    `Begin` gives it, the address' place in the block, and the bytes.
    """

    entry: int
    block: bytes
    addresses: tuple[tuple[int, int], ...]
    thread: int = ALL
    advances: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Meet:
    """A barrier; with ``fault``, an int64 at a base and an offset that ends the program there if it is not zero."""

    fault: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """The beginning of a loop: its number, and how many loops are around it."""

    loop: int
    depth: int


@dataclass(frozen=True, slots=True)
class Again:
    """The end of a loop of so many iterations, at least one: back to the record after its beginning."""

    loop: int
    depth: int
    back: int
    iterations: int


@dataclass(frozen=True, slots=True)
class Check:
    """Go to a record if the bool at a base and an offset is false."""

    flag: tuple[int, int]
    target: int
    advances: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Jump:
    """Go to a record."""

    target: int


#: For a program that is worth several threads only if these need not be woken.
IF_AWAKE = 0
_NDARRAY = id(np.ndarray)
Record = Step | Meet | Begin | Again | Check | Jump
MOST_DEPTH = 64
"""How deep loops may be nested: the driver counts the iterations of so many."""

_CODES = {Meet: 0, Begin: 1, Again: 2, Check: 3, Jump: 4}


class _Driver(NamedTuple):
    bind: Callable[[int], None]
    bind_arrays: Callable[[int, int, int, int], int]
    alone: Callable[[int, int, int, int], int]
    program: int


@cache
def _driver() -> _Driver:
    native = importlib.import_module("tensorlite.kernels.cpu.native")  # 10 ms that an import need not take
    names = ("bind", "bind_arrays", "alone", "program")
    text = _DRIVER.replace("MOST_DEPTH", str(MOST_DEPTH))
    bind, bind_arrays, alone, program = native.compile_all(text, "program", names, speed=1)
    number = ctypes.c_int64
    return _Driver(ctypes.PYFUNCTYPE(None, number)(bind), ctypes.PYFUNCTYPE(number, *[number] * 4)(bind_arrays),
                   ctypes.CFUNCTYPE(number, *[number] * 4)(alone), program)  # fmt: skip


class Frame:
    """A program's table, argument blocks and bases, for one call at a time."""

    def __init__(self, records: Sequence[Record], bases: int) -> None:
        if any(isinstance(record, Begin | Again) and record.depth >= MOST_DEPTH for record in records):
            raise KernelError(f"program: loops are nested more than {MOST_DEPTH} deep")
        self.count = len(records)
        self.moves: list[tuple[int, int, int]] = []
        self._steps: dict[int, list[tuple[int, int]]] = {}
        blocks = [_block_of(record) for record in records]
        self.blocks = np.frombuffer(bytearray(b"".join(blocks) or b"\0" * 8), np.uint8)
        self.table = np.zeros((max(self.count, 1), 4), np.int64)
        self.bases = np.zeros(bases, np.int64)
        position = _at(self.blocks)
        for number, (record, size) in enumerate(zip(records, map(len, blocks), strict=True)):
            self._fill(record, number, position)
            position += size
        self._kept = [np.array(steps, np.int64) for steps in self._steps.values()]
        self._link(records)
        self.relocations = np.array(self.moves or [(0, 0, 0)], np.int64)
        self.head = np.array([_at(self.table), self.count, _at(self.relocations), len(self.moves), _at(self.bases), 0],
                             np.int64)  # fmt: skip
        self.address = _at(self.head)
        self._bases_address = memoryview(self.bases.data).cast("B")
        self._last = b""
        self._bind, self._bind_arrays, self._alone, self._program = _driver()
        self._pack = struct.Struct(f"{bases}q").pack_into
        self._arrays = bytearray(8 * bases)
        self._arrays_at = ctypes.addressof(ctypes.c_char.from_buffer(self._arrays))
        self._count = bases

    def _fill(self, record: Record, number: int, position: int) -> None:
        entry = record.entry if isinstance(record, Step) else 0
        self.table[number, :3] = entry, position, record.thread if isinstance(record, Step) else _CODES[type(record)]
        if isinstance(record, Meet) and record.fault is not None:
            self.moves.append((_at(self.table) + 32 * number + 24, *record.fault))
        if isinstance(record, Step):
            self.moves += [(position + 8 * k, *place) for k, place in enumerate(record.addresses)]
        if isinstance(record, Check):
            self.moves.append((position, *record.flag))
        if isinstance(record, Step | Check):
            for loop, k, size in record.advances:
                self._steps.setdefault(loop, []).append((position + 8 * k, size))

    def _link(self, records: Sequence[Record]) -> None:
        """Tells the ends of loops which addresses they move."""
        steps = dict(zip(self._steps, self._kept, strict=True))
        for number, record in enumerate(records):
            if isinstance(record, Again) and record.loop in steps:
                offset = int(self.table[number, 1]) - _at(self.blocks)
                self.blocks[offset + 24 : offset + 40].view(np.int64)[:] = (
                    _at(steps[record.loop]), len(steps[record.loop]))  # fmt: skip

    def run_on(self, arrays: Sequence[Any], threads: int | None) -> bool:
        """Run the program on arrays, one for each base, which nothing else may free meanwhile.

        Returns False, and does nothing, where one of them is not NumPy's or does not lie in order.
        """
        if not launch.READS_OBJECTS:
            if not all(type(array) is np.ndarray and array.flags.c_contiguous for array in arrays):
                return False
            self.run(struct.pack(f"{self._count}q", *map(launch.address, arrays)), threads)
            return True
        self._pack(self._arrays, 0, *map(id, arrays))
        if threads == 1:
            self._last = b""
            return bool(self._alone(self.address, self._arrays_at, self._count, _NDARRAY))
        if not self._bind_arrays(self.address, self._arrays_at, self._count, _NDARRAY):
            return False
        self._last = b""
        if threads == IF_AWAKE:
            team.run_if_awake(self._program, self.address)
        else:
            team.run(self._program, self.address, threads)
        return True

    def run(self, bases: bytes, threads: int | None) -> None:
        """Run the program with its arrays at these addresses (int64 in native order)."""
        threads = None if threads == IF_AWAKE else threads
        if bases != self._last:
            self._bases_address[:] = bases
            self._bind(self.address)
            self._last = bases
        team.run(self._program, self.address, threads)

    def forget(self) -> None:
        """Write all addresses anew before the next run: this one ended within a loop."""
        self._last = b""

    def timed(self, bases: bytes, threads: int | None) -> np.ndarray[Any, Any]:
        """Run, and return the cycle counter before and after each step by thread; zeros where it ran nothing.

        Of a step in a loop, the second number is the first plus the time of all iterations.
        """
        clock = np.zeros((team.get_num_threads(), max(self.count, 1), 2), np.int64)
        self.head[5] = _at(clock)
        try:
            self.run(bases, threads)
        finally:
            self.head[5] = 0
        return clock


def _block_of(record: Record) -> bytes:
    """Return the numbers of a record, with room for its addresses."""
    if isinstance(record, Step):
        return record.block
    if isinstance(record, Begin):
        return pack(record.depth)
    if isinstance(record, Again):
        return pack(record.depth, record.back, record.iterations, 0, 0)
    if isinstance(record, Check):
        return pack(0, record.target)
    return pack(record.target) if isinstance(record, Jump) else b""


def _at(array: np.ndarray[Any, Any]) -> int:
    return int(array.ctypes.data)


def block(addresses: int, numbers: bytes) -> bytes:
    """Return an argument block with room for so many addresses.

    >>> len(block(2, struct.pack("q", 5)))
    24
    """
    return bytes(8 * addresses) + numbers
