"""Rows sorted, stably: their positions, or their elements alone; short ones by one thread each, long ones by all.

Rows are numbered along three dimensions (`row_start`). Threads take rows in turn, as many of them as there are
``slots`` in memory. The order that is asked for is in the keys.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.kernel import barrier
from tensorlite.kernels.irregular.keys import (
    DIGITS,
    FEW,
    LOW,
    SIGN,
    arrange,
    count_sort,
    count_sort_together,
    insert_keys,
    key_of,
    own_rows,
    row_start,
    shares,
)


def argsort_rows(thread: int, threads: int, x: Any, out: Any, memory: Any, rows: int, slots: int, n: int,
                 step: int, out_step: int, e1: int, e2: int, x0: int, x1: int, x2: int, o0: int, o1: int, o2: int,
                 wide: int, passes: int, flip: int, mask: int, infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    """Writes the positions of each row's elements in order."""
    a = thread * (2 * n + DIGITS * passes)
    for share in range(own_rows(thread, threads, rows, slots)):
        row = thread + share * min(threads, slots)
        start, to = row_start(row, e1, e2, x0, x1, x2), row_start(row, e1, e2, o0, o1, o2)
        for i in range(n):
            memory[a + i] = i
        at = arrange(memory, a, a + n, n, a + 2 * n, x, start, step, wide, passes, flip, mask, infinity, nan, turn)
        for i in range(n):
            out[to + i * out_step] = memory[at + i] & LOW


def argsort_together(thread: int, threads: int, x: Any, out: Any, memory: Any, rows: int, chunks: int, n: int,
                     step: int, out_step: int, e1: int, e2: int, x0: int, x1: int, x2: int, o0: int, o1: int, o2: int,
                     wide: int, passes: int, flip: int, mask: int, infinity: int, nan: int, turn: int,
                     ) -> None:  # fmt: skip
    """What `argsort_rows` does, with all threads in each row."""
    counts, size = 2 * n, -(-n // chunks)
    for row in range(rows):
        start, to = row_start(row, e1, e2, x0, x1, x2), row_start(row, e1, e2, o0, o1, o2)
        at = 0
        for half in range(2 if wide else 1):
            for share in range(shares(thread, chunks, threads)):
                chunk = thread + share * threads
                for i in range(chunk * size, min(n, (chunk + 1) * size)):
                    position = memory[at + i] & LOW if half else i
                    key = key_of(np.int64(x[start + position * step]), flip, mask, infinity, nan, turn)
                    if wide:
                        key = key >> 32 if half else (key & LOW) ^ SIGN
                    memory[at + i] = (key << 32) | position
            barrier(threads)
            at = count_sort_together(thread, threads, memory, at, n - at, n, counts, chunks, 32, passes)
        for share in range(shares(thread, chunks, threads)):
            chunk = thread + share * threads
            for i in range(chunk * size, min(n, (chunk + 1) * size)):
                out[to + i * out_step] = memory[at + i] & LOW
        barrier(threads)


# Elements alone: keys that tell zeros apart give the elements back


def _read_keys(x: Any, start: int, step: int, keys: Any, a: int, first: int, last: int, flip: int, mask: int,
               infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    for i in range(first, last):
        bits: Any = np.int64(x[start + i * step])
        keys[a + i] = nan if (bits & mask) > infinity else bits ^ flip ^ ((bits >> 63) & mask) ^ turn


def _write_elements(keys: Any, a: int, out: Any, to: int, step: int, first: int, last: int, flip: int, mask: int,
                    turn: int) -> None:  # fmt: skip
    for i in range(first, last):
        bits: Any = np.int64(keys[a + i]) ^ turn ^ flip
        out[to + i * step] = bits ^ ((bits >> 63) & mask)


def _restore_zeros(x: Any, start: int, step: int, keys: Any, a: int, out: Any, to: int, out_step: int, n: int,
                   mask: int) -> None:  # fmt: skip
    """Puts the zeros of a row of floats, whose keys are -1 and 0, into the order that they came in."""
    before, zeros = 0, 0
    for i in range(n):
        key: Any = np.int64(keys[a + i])
        before += key < -1
        zeros += (key == -1) | (key == 0)
    if zeros < 2 or mask == 0:
        return
    place = to + before * out_step
    for i in range(n):
        bits = np.int64(x[start + i * step])
        if (bits & mask) == 0:
            out[place] = bits
            place += out_step


def sort_rows(thread: int, threads: int, x: Any, out: Any, memory: Any, rows: int, slots: int, n: int,
              step: int, out_step: int, e1: int, e2: int, x0: int, x1: int, x2: int, o0: int, o1: int, o2: int,
              size: int, flip: int, mask: int, infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    """Writes each row's elements, of ``size`` bytes, in order: NaNs become one, zeros keep their order."""
    a = thread * (2 * n + DIGITS * size)
    for share in range(own_rows(thread, threads, rows, slots)):
        row = thread + share * min(threads, slots)
        start, to = row_start(row, e1, e2, x0, x1, x2), row_start(row, e1, e2, o0, o1, o2)
        _read_keys(x, start, step, memory, a, 0, n, flip, mask, infinity, nan, turn)
        at = a
        if n <= FEW:
            insert_keys(memory, a, n)
        else:
            at = count_sort(memory, a, a + n, n, a + 2 * n, 0, size)
        _write_elements(memory, at, out, to, out_step, 0, n, flip, mask, turn)
        _restore_zeros(x, start, step, memory, at, out, to, out_step, n, mask)


def sort_together(thread: int, threads: int, x: Any, out: Any, memory: Any, rows: int, chunks: int, n: int,
                  step: int, out_step: int, e1: int, e2: int, x0: int, x1: int, x2: int, o0: int, o1: int, o2: int,
                  size: int, flip: int, mask: int, infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    """What `sort_rows` does, with all threads in each row."""
    width = -(-n // chunks)
    for row in range(rows):
        start, to = row_start(row, e1, e2, x0, x1, x2), row_start(row, e1, e2, o0, o1, o2)
        for share in range(shares(thread, chunks, threads)):
            chunk = thread + share * threads
            first, last = chunk * width, min(n, (chunk + 1) * width)
            _read_keys(x, start, step, memory, 0, first, last, flip, mask, infinity, nan, turn)
        barrier(threads)
        at = count_sort_together(thread, threads, memory, 0, n, n, 2 * n, chunks, 0, size)
        for share in range(shares(thread, chunks, threads)):
            chunk = thread + share * threads
            first, last = chunk * width, min(n, (chunk + 1) * width)
            _write_elements(memory, at, out, to, out_step, first, last, flip, mask, turn)
        barrier(threads)
        if thread == 0:
            _restore_zeros(x, start, step, memory, at, out, to, out_step, n, mask)
        barrier(threads)
