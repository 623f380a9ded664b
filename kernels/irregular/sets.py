"""Equal elements told from different ones, in the order of their values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.keys import key_of


def tell_apart(thread: int, threads: int, x: Any, order: Any, first: Any, inverse: Any, counts: Any, found: Any, n: int,
               flip: int, mask: int, infinity: int, nan: int, turn: int) -> None:  # fmt: skip
    """Writes where each different element comes first, which of them each is, how many of each, and of all, there are.

    ``order`` holds the positions in order; no NaN is equal to another.
    """
    if thread != 0:
        return
    group, begin, previous = -1, 0, 0
    for i in range(n):
        position = order[i]
        key = key_of(np.int64(x[position]), flip, mask, infinity, nan, turn)
        if group < 0 or key != previous or (mask != 0 and key == nan):
            if group >= 0:
                counts[group] = i - begin
            group += 1
            first[group] = position
            begin, previous = i, key
        inverse[position] = group
    counts[group] = n - begin
    found[0] = group + 1
