"""Sorting without Python, stably: the elements, their positions, the first few of these; and where numbers belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np

from tensorlite.kernels.cpu.movement_stages import is_native
from tensorlite.kernels.cpu.row_stages import Rows, bits, builder, contiguous, in_order
from tensorlite.kernels.irregular import choosing, searching, sorting
from tensorlite.kernels.irregular.keys import DIGITS, meaning
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_INT64 = np.dtype(np.int64)
_TOGETHER = 1 << 16  # elements of a row from which on all threads sort it together
_CHUNK = 1 << 14  # of them at least are a chunk of such a row
_MOST_CHUNKS = 16
_LEAST_SLOTS, _MOST_SLOTS = 16, 128  # threads that have memory of their own
_ROOM = 1 << 26  # bytes for rows that are sorted at the same time, where it is enough for one
_LENGTH = 1 << 32  # positions are of 32 bits
_FEW = 24  # of so many the first are kept in order one by one; of more, in batches
_NANOSECONDS = 1.2  # of one thread for an element and a digit
_QUERIES = 256  # that are looked up by one task


@dataclass(frozen=True, slots=True)
class _Call:
    """What all kernels of rows have in common: where their rows are, and a stage that first copies them, or None."""

    x: Array
    rows: Rows
    copy: Stage | None

    @property
    def size(self) -> int:
        return self.x.dtype.itemsize

    def plan(self, function: Callable[..., None], memory: str, slots: int, elements: int, numbers: Sequence[int],
             out: str = "int64", work: float = 1.0) -> Plan:  # fmt: skip
        """Return the plan of a kernel that takes so many elements of memory, and ``work`` nanoseconds an element."""
        types = (bits(self.x.dtype), out, memory)
        values = (self.rows.count, slots, *self.rows.numbers, *numbers)
        read = 0 if self.copy is None else 3
        stage = Stage(f"{function.__name__} {' '.join(types)}", builder(function, *types, numbers=len(values)), (read,),
                      (1, 2), pack(*values), self.x.size * work)  # fmt: skip
        scratch = (elements * np.dtype(memory).itemsize,)
        if self.copy is None:
            return Plan((stage,), scratch)
        return Plan((self.copy, stage), (*scratch, self.x.size * self.size))


def _call(x: Array, out: Array, axis: int) -> _Call | None:
    if not is_native(x.dtype) or x.ndim == 0 or x.shape[axis] >= _LENGTH:
        return None
    found = in_order(x, out, axis, (0, 3))
    return None if found is None else _Call(x, *found)


def _slots(rows: Rows, elements: int, size: int) -> int:
    """Return for how many rows at a time there is memory: as much as the rows take, or what a few threads need."""
    most = max(_LEAST_SLOTS, rows.count * rows.length // elements)
    return max(1, min(rows.count, most, _MOST_SLOTS, _ROOM // (elements * size)))


def _sorted(
    call: _Call, alone: Callable[..., None], together: Callable[..., None], memory: str, digits: int,
    **more: Any,
) -> Plan:  # fmt: skip
    """Return the plan of sorting rows by so many digits, short ones by one thread each and long ones by all."""
    n = call.rows.length
    work = (call.size + 1) * _NANOSECONDS
    if n >= _TOGETHER:
        chunks = min(_MOST_CHUNKS, n // _CHUNK)
        return call.plan(together, memory, chunks, 2 * n + 2 * chunks * DIGITS, work=work, **more)
    each = 2 * n + DIGITS * digits
    slots = _slots(call.rows, each, np.dtype(memory).itemsize)
    return call.plan(alone, memory, slots, slots * each, work=work, **more)


def plan_argsort(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, descending: bool, stable: bool = True
) -> Plan | None:
    """The positions of the elements in order."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    call = _call(x, out, axis) if out.dtype == _INT64 else None
    if call is None:
        return None
    numbers = (int(call.size == 8), min(call.size, 4), *meaning(x.dtype, descending))
    return _sorted(call, sorting.argsort_rows, sorting.argsort_together, "int64", min(call.size, 4), numbers=numbers)


def plan_sort(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, descending: bool, stable: bool = True
) -> Plan | None:
    """The elements in order."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    call = _call(x, out, axis) if out.dtype == x.dtype else None
    if call is None:
        return None
    numbers = (call.size, *meaning(x.dtype, descending))
    return _sorted(call, sorting.sort_rows, sorting.sort_together, f"int{8 * max(call.size, 4)}", call.size,
                   numbers=numbers, out=bits(x.dtype))  # fmt: skip


def plan_first(
    inputs: Sequence[Array], outputs: Sequence[Array], *, k: int, axis: int, descending: bool
) -> Plan | None:
    """The positions of the first ``k`` elements in order."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    call = _call(x, out, axis) if out.dtype == _INT64 else None
    if call is None:
        return None
    key = meaning(x.dtype, descending)
    rows = call.rows
    if k <= _FEW:
        slots = _slots(rows, 2 * k + 2, 8)
        return call.plan(choosing.choose_few_rows, "int64", slots, slots * (2 * k + 2), (*key, k), work=1.0)
    room = min(rows.length, 4 * k)
    each = 2 * room + DIGITS * min(call.size, 4)
    slots = _slots(rows, each, 8)
    work = 0.3 + room / rows.length * (call.size + 1) * _NANOSECONDS * (1 + log2(rows.length / room))
    numbers = (int(call.size == 8), min(call.size, 4), *key, k, room)
    return call.plan(choosing.choose_rows, "int64", slots, slots * each, numbers, work=work)


def plan_searchsorted(inputs: Sequence[Array], outputs: Sequence[Array], *, side: str) -> Plan | None:
    """Where numbers belong in a row that is in order."""
    (table, x), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not is_native(x.dtype) or x.dtype != table.dtype or out.dtype != _INT64 or not out.is_contiguous:
        return None
    found = contiguous(inputs, 3)
    if found is None:
        return None
    copies, reads, room = found
    types = (bits(x.dtype), bits(x.dtype), "int64")
    numbers = (out.size, _QUERIES, table.size, int(side == "right"), *meaning(x.dtype, False))
    stage = Stage(f"search {types[0]}", builder(searching.search, *types, numbers=len(numbers)), reads, (2,),
                  pack(*numbers), out.size * (2 + 3 * log2(table.size + 1)))  # fmt: skip
    return Plan((*copies, stage), room)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "argsort": plan_argsort,
    "sort": plan_sort,
    "first": plan_first,
    "searchsorted": plan_searchsorted,
}
