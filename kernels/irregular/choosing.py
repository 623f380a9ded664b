"""The first of each row's elements in order, stably: a few one by one, many in batches.

Rows and slots are those of ``sorting``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.keys import DIGITS, LOW, arrange, key_of, own_rows, row_start

BLOCK = 64  # elements that are looked at together for one that belongs to the first
LEAST = -(1 << 63)



def choose_few_rows(thread: int, threads: int, x: Any, out: Any, memory: Any, rows: int, slots: int, n: int,
                    step: int, out_step: int, e1: int, e2: int, x0: int, x1: int, x2: int, o0: int, o1: int, o2: int,
                    flip: int, mask: int, infinity: int, nan: int, turn: int, k: int) -> None:  # fmt: skip
    """Writes the positions of the first ``k``, a small number, of each row's elements in order.

    The first so far are kept in order; of a block only what comes before their last is looked at one by one.
    """
    keys = thread * (2 * k + 2) + 1
    positions = keys + k + 1
    for share in range(own_rows(thread, threads, rows, slots)):
        row = thread + share * min(threads, slots)
        start, to = row_start(row, e1, e2, x0, x1, x2), row_start(row, e1, e2, o0, o1, o2)
        i, count, limit, memory[keys - 1] = 0, 0, LEAST, LEAST
        while i < n:
            end, least = min(n, i + BLOCK if count == k else k), limit
            for j in range(i, end):
                least = min(least, key_of(np.int64(x[start + j * step]), flip, mask, infinity, nan, turn))
            if count < k or least < limit:
                for j in range(i, end):
                    key = key_of(np.int64(x[start + j * step]), flip, mask, infinity, nan, turn)
                    if count < k or key < limit:
                        at = keys + min(count, k - 1)
                        while memory[at - 1] > key:
                            memory[at], memory[at + k + 1] = memory[at - 1], memory[at + k]
                            at -= 1
                        memory[at], memory[at + k + 1] = key, j
                        count = min(count + 1, k)
                        limit = memory[keys + k - 1] if count == k else limit
            i = end
        for i in range(k):
            out[to + i * out_step] = memory[positions + i]


def choose_rows(thread: int, threads: int, x: Any, out: Any, memory: Any, rows: int, slots: int, n: int,
                step: int, out_step: int, e1: int, e2: int, x0: int, x1: int, x2: int, o0: int, o1: int, o2: int,
                wide: int, passes: int, flip: int, mask: int, infinity: int, nan: int, turn: int, k: int,
                room: int) -> None:  # fmt: skip
    """Writes the positions of the first ``k`` of each row's elements in order, which are chosen among ``room``.

    What comes before the last of ``k`` that are known joins them; when the room is full it is sorted and cut to ``k``.
    """
    a = thread * (2 * room + DIGITS * passes)
    b, counts = a + room, a + 2 * room
    for share in range(own_rows(thread, threads, rows, slots)):
        row = thread + share * min(threads, slots)
        start, to = row_start(row, e1, e2, x0, x1, x2), row_start(row, e1, e2, o0, o1, o2)
        for i in range(room):
            memory[a + i] = i
        at, count, i = a, room, room
        while True:
            at = arrange(memory, at, a + b - at, count, counts, x, start, step, wide, passes, flip, mask, infinity,
                         nan, turn)  # fmt: skip
            if i == n:
                break
            last = memory[at + k - 1] & LOW
            limit, count = key_of(np.int64(x[start + last * step]), flip, mask, infinity, nan, turn), k
            while i < n and count < room:
                end, least = min(n, i + BLOCK), limit
                for j in range(i, end):
                    least = min(least, key_of(np.int64(x[start + j * step]), flip, mask, infinity, nan, turn))
                if least == limit:
                    i = end
                    continue
                end = min(end, i + room - count)
                for j in range(i, end):
                    key = key_of(np.int64(x[start + j * step]), flip, mask, infinity, nan, turn)
                    memory[at + count] = j
                    count += key < limit
                i = end
        for i in range(k):
            out[to + i * out_step] = memory[at + i] & LOW
