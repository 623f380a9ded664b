"""Numbers as signed integers in the same order, and stable orders of them by counting digits.

Elements are read as signed integers of their size, ``bits``. Five numbers say what they mean (`meaning`): ``flip`` is
xored to unsigned ones; ``mask`` holds the bits of a float but its sign's, 0 for integers; beyond ``infinity`` are NaNs,
whose key is ``nan``; ``turn``, 0 or -1, is xored to turn the order around.

An *item* is a key of 32 bits, or half of one of 64, above the position of its element: 32 bits as well. Sorts by
counting (LSD radix sort: Knuth, The Art of Computer Programming 3, 5.2.5) are stable, and so is their composition: a
key of 64 bits is sorted by its lower half, then by its upper one. `memory` holds items at ``a``, has as much room at
``b``, and at ``counts`` room for the `DIGITS` of each pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.kernel import barrier

LOW = 0xFFFFFFFF
SIGN = 1 << 31
DIGITS = 256
FEW = 48  # items that insertion sorts faster than counting, measured


def meaning(dtype: np.dtype[Any], descending: bool) -> tuple[int, int, int, int, int]:
    """Return ``flip, mask, infinity, nan, turn`` for elements of a dtype; NaN is last, or first where descending."""
    top, turn = 1 << (8 * dtype.itemsize - 1), -1 if descending else 0
    if dtype.kind in "biu":
        return (0 if dtype.kind == "i" else -top), 0, 0, 0, turn
    mask = top - 1
    infinity = int(np.asarray(np.inf, dtype).view(f"i{dtype.itemsize}"))
    return 0, mask, infinity, mask ^ turn, turn


def key_of(bits: Any, flip: int, mask: int, infinity: int, nan: int, turn: int) -> Any:
    """The key of an element: both zeros have one, and so have all NaNs."""
    if mask == 0:
        return bits ^ flip ^ turn
    magnitude = bits & mask
    number = 0 if magnitude == 0 else bits ^ ((bits >> 63) & mask)
    return nan if magnitude > infinity else number ^ turn


def shares(first: int, tasks: int, step: int) -> int:
    """How many tasks there are from the ``first`` on at such steps: a range of an unknown step might raise."""
    return max(0, (tasks - first + step - 1) // step)


def own_rows(thread: int, threads: int, rows: int, slots: int) -> int:
    """How many rows a thread takes, if so many threads have memory of their own; the next row is as many further on."""
    return shares(thread, rows, min(threads, slots)) if thread < slots else 0


def row_start(row: int, extent1: int, extent2: int, stride0: int, stride1: int, stride2: int) -> int:
    """Where a row begins: rows are numbered along three dimensions."""
    last, rest = row % extent2, row // extent2
    return rest // extent1 * stride0 + rest % extent1 * stride1 + last * stride2


# One thread


def insert(memory: Any, a: int, n: int) -> None:
    """Sorts few items by their keys."""
    for i in range(1, n):
        item = memory[a + i]
        key = item >> 32
        j = i - 1
        while j >= 0 and (memory[a + j] >> 32) > key:
            memory[a + j + 1] = memory[a + j]
            j -= 1
        memory[a + j + 1] = item


def insert_keys(keys: Any, a: int, n: int) -> None:
    """Sorts few keys by themselves."""
    for i in range(1, n):
        key = keys[a + i]
        j = i - 1
        while j >= 0 and keys[a + j] > key:
            keys[a + j + 1] = keys[a + j]
            j -= 1
        keys[a + j + 1] = key


def count_sort(memory: Any, a: int, b: int, n: int, counts: int, first: int, passes: int) -> int:
    """Sorts by the digits from bit ``first`` on, of which the last holds the sign; returns where the result is."""
    for c in range(passes * DIGITS):
        memory[counts + c] = 0
    for i in range(n):
        item = memory[a + i]
        for p in range(passes):
            memory[counts + p * DIGITS + ((item >> (first + 8 * p)) & 255)] += 1
    for p in range(passes):
        shift, top, here = first + 8 * p, (128 if p == passes - 1 else 0), counts + p * DIGITS
        if memory[here + ((memory[a] >> shift) & 255)] == n:  # all have the same digit
            continue
        total = 0
        for c in range(DIGITS):
            count = memory[here + (c ^ top)]
            memory[here + (c ^ top)] = total
            total += count
        for i in range(n):
            item = memory[a + i]
            place = here + ((item >> shift) & 255)
            at = memory[place]
            memory[b + at] = item
            memory[place] = at + 1
        a, b = b, a
    return a


def arrange(memory: Any, a: int, b: int, n: int, counts: int, x: Any, start: int, step: int, wide: int, passes: int,
            flip: int, mask: int, infinity: int, nan: int, turn: int) -> int:  # fmt: skip
    """Sorts the items of some positions in a row of ``x``, whose keys are filled in; returns where the result is."""
    for half in range(1 - wide, 2):  # a wide key's lower half, then its upper one
        for i in range(n):
            position = memory[a + i] & LOW
            key = key_of(np.int64(x[start + position * step]), flip, mask, infinity, nan, turn)
            if wide:
                key = key >> 32 if half else (key & LOW) ^ SIGN
            memory[a + i] = (key << 32) | position
        if n <= FEW:
            insert(memory, a, n)
        else:
            at = count_sort(memory, a, b, n, counts, 32, passes)
            b = a + b - at
            a = at
    return a


# All threads together


def count_sort_together(thread: int, threads: int, memory: Any, a: int, b: int, n: int, counts: int, chunks: int,
                        first: int, passes: int) -> int:  # fmt: skip
    """What `count_sort` does, in chunks that threads share; ``counts`` has room for two tables of digits a chunk."""
    size = -(-n // chunks)
    places = counts + chunks * DIGITS
    for p in range(passes):
        shift, top = first + 8 * p, (128 if p == passes - 1 else 0)
        for share in range(shares(thread, chunks, threads)):
            chunk = thread + share * threads
            here = counts + chunk * DIGITS
            for c in range(DIGITS):
                memory[here + c] = 0
            for i in range(chunk * size, min(n, (chunk + 1) * size)):
                memory[here + ((memory[a + i] >> shift) & 255)] += 1
        barrier(threads)
        same, digit = 0, (memory[a] >> shift) & 255
        for chunk in range(chunks):
            same += memory[counts + chunk * DIGITS + digit]
        if same != n:
            _share_out(thread, threads, memory, counts, places, chunks, top)
            for share in range(shares(thread, chunks, threads)):
                chunk = thread + share * threads
                here = places + chunk * DIGITS
                for i in range(chunk * size, min(n, (chunk + 1) * size)):
                    item = memory[a + i]
                    place = here + ((item >> shift) & 255)
                    at = memory[place]
                    memory[b + at] = item
                    memory[place] = at + 1
            a, b = b, a
        barrier(threads)
    return a


def _share_out(thread: int, threads: int, memory: Any, counts: int, places: int, chunks: int, top: int) -> None:
    """Writes where each of a thread's chunks puts the first item of each digit."""
    total = 0
    for c in range(DIGITS):
        digit = c ^ top
        for chunk in range(chunks):
            if chunk % threads == thread:
                memory[places + chunk * DIGITS + digit] = total
            total += memory[counts + chunk * DIGITS + digit]
