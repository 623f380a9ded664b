"""Philox4x32-10 on arrays: four random words of each counter of four words, for a key of two.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF
ROUNDS = 10


def philox(xp: Any, counter: Sequence[Any], key: Sequence[Any]) -> Any:
    """Return uint32[..., 4]; words of counter and key are numbers below 2**32 as uint64, and broadcast.

    >>> import numpy as np
    >>> [hex(word) for word in philox(np, [np.zeros((), np.uint64)] * 4, [np.uint64(0)] * 2)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    words, keys = list(counter), list(key)
    for _ in range(ROUNDS):
        first, second = words[0] * xp.uint64(MULTIPLIERS[0]), words[2] * xp.uint64(MULTIPLIERS[1])
        words = [(second >> xp.uint64(32)) ^ words[1] ^ keys[0], second & xp.uint64(LOW),
                 (first >> xp.uint64(32)) ^ words[3] ^ keys[1], first & xp.uint64(LOW)]  # fmt: skip
        keys = [(key + xp.uint64(step)) & xp.uint64(LOW) for key, step in zip(keys, WEYL, strict=True)]
    return xp.stack(words, axis=-1).astype(xp.uint32)
