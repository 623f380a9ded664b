"""Which attention has loops of its own: the one rule of eager, of compiled graphs and of plans.

Other attention is made of products of matrices and a softmax, which hold a score of each pair of tokens.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

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
