"""Where numbers belong in a list that is in order, by halving it.

In a short list the steps are as many for every number, so that no branch depends on one. In a long one each number
begins at the place of the one before, as in NumPy, which pays where they are in order themselves; so in a list of a few
numbers, where either way is a few steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.keys import key_of, shares

FEW, SHORT = 8, 1 << 12  # numbers: a table of so many stays in the first cache


def place_of(table: Any, key: int, n: int, right: int, flip: int, mask: int, infinity: int, nan: int, turn: int) -> int:
    """Return where a key belongs; what is left is halved and its first half passed or not, without a branch."""
    low, left = 0, n
    while left > 0:
        half = (left + 1) // 2
        known = key_of(np.int64(table[low + half - 1]), flip, mask, infinity, nan, turn)
        low += half * int((known < key) | ((right != 0) & (known == key)))
        left -= half
    return low


def search(thread: int, threads: int, table: Any, x: Any, out: Any, count: int, part: int, n: int, right: int,
           flip: int, mask: int, infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    """Writes for each of ``count`` numbers how many of the table are less, or not greater where it is ``right``."""
    for share in range(shares(thread, (count + part - 1) // part, threads)):
        first = (thread + share * threads) * part
        if FEW <= n <= SHORT:
            for i in range(first, min(count, first + part)):
                key = key_of(np.int64(x[i]), flip, mask, infinity, nan, turn)
                out[i] = place_of(table, key, n, right, flip, mask, infinity, nan, turn)
            continue
        low, high, previous = 0, 0, np.int64(0)
        for i in range(first, min(count, first + part)):
            key = key_of(np.int64(x[i]), flip, mask, infinity, nan, turn)
            if i == first or previous < key or (right and previous == key):
                high = n  # the place is after the last one
            else:
                low, high = 0, min(high + 1, n)
            previous = key
            while low < high:
                middle = low + (high - low) // 2
                known = key_of(np.int64(table[middle]), flip, mask, infinity, nan, turn)
                if known < key or (right and known == key):
                    low = middle + 1
                else:
                    high = middle
            out[i] = low
