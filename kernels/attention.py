"""Which attention has loops of its own, and which weights it drops: the one rule of eager, graphs and plans.

Other attention is made of products of matrices and a softmax, which hold a score of each pair of tokens.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tensorlite.kernels.philox import philox

FEWEST_QUERIES = 40
"""With fewer, too many lanes of a panel are empty: at 32 products were as fast, at 16 1.4 times faster (measured)."""
WIDEST = 2048
"""Numbers a token, of which three panels are on a thread's stack."""
DTYPES = frozenset(map(np.dtype, (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)))


def has_loops(dtype: np.dtype[Any], queries: int, features: int, values: int) -> bool:
    """Tell whether loops of their own compute attention of so many queries, and numbers of a key and a value.

    >>> has_loops(np.dtype(np.float32), 128, 64, 64), has_loops(np.dtype(np.float32), 1, 64, 64)
    (True, False)
    """
    return dtype in DTYPES and queries >= FEWEST_QUERIES and max(features, values) <= WIDEST


PER_BLOCK = 8
"""Weights that four random words decide on: 16 bits each."""


def dropped_parts(p: float) -> int:
    """Return below which of 65536 numbers of 16 bits a weight is dropped: the probability ``p``, to 2**-17."""
    return round(p * (1 << 16))


def share(p: float) -> float:
    """Return what the weights that are kept are multiplied by."""
    return 1.0 / (1.0 - p) if p < 1.0 else 0.0


def kept(xp: Any, stream: Any, queries: int, keys: int, p: float) -> Any:
    """Return which weights are kept, bool[..., queries, keys], for ``stream``: uint32[..., 4].

    Its first two words are the key of Philox, the others the upper words of its counters, whose lower ones are a block
    of keys and the query. So a weight's fate depends on the stream and its place alone, and no bits need be kept.

    >>> kept(np, np.zeros(4, np.uint32), 2, 3, 0.5)
    array([[ True, False,  True],
           [ True, False, False]])
    """
    words = [stream[..., k, None, None].astype(xp.uint64) for k in range(4)]
    blocks = xp.arange(-(-keys // PER_BLOCK), dtype=xp.uint64)
    bits = philox(xp, (blocks, xp.arange(queries, dtype=xp.uint64)[:, None], words[2], words[3]), words[:2])
    halves = xp.stack([bits & xp.uint32(0xFFFF), bits >> xp.uint32(16)], axis=-1)
    return halves.reshape(*halves.shape[:-3], blocks.size * PER_BLOCK)[..., :keys] >= dropped_parts(p)
