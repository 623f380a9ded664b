"""Where numbers belong in a list that is in order, by halving from the place of the number before, as NumPy does."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.keys import key_of, shares


def search(thread: int, threads: int, table: Any, x: Any, out: Any, count: int, part: int, n: int, right: int,
           flip: int, mask: int, infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    """Writes for each of ``count`` numbers how many of the table are less, or not greater where it is ``right``."""
    for share in range(shares(thread, (count + part - 1) // part, threads)):
        first = (thread + share * threads) * part
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
