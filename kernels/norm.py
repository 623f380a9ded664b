"""Which normalisations have loops of their own: what decides it, for compiled graphs and for the kernels alike."""

from __future__ import annotations

from math import prod
from typing import Any

import ml_dtypes
import numpy as np

DTYPES = frozenset(map(np.dtype, (np.float16, np.float32, np.float64, ml_dtypes.bfloat16)))
FEWEST_ROWS = 16
"""Of fewer rows, sums over the rows are not worth arrays of their own."""

SHORTEST, WIDEST = 8, 8192
"""Elements of a row: shorter ones are better taken across, and of longer ones the sums leave the nearest caches."""


def is_of_rows(shape: tuple[int, ...], weight: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Tell whether ``axes`` are the last ones of a shape, and each of their places has a weight, the same in all rows.

    >>> is_of_rows((4, 3), (1, 3), (1,)), is_of_rows((4, 3), (4, 1), (1,))
    (True, False)
    """
    first = len(shape) - len(axes)
    return axes == tuple(range(first, len(shape))) and weight == (1,) * first + shape[first:]


def has_loops(dtype: np.dtype[Any], shape: tuple[int, ...], weight: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Tell whether one walk over the rows finds all cotangents of a normalisation with a weight.

    >>> [has_loops(np.dtype(np.float32), (rows, 256), (1, 256), (1,)) for rows in (2, 64)]
    [False, True]
    """
    if dtype not in DTYPES or not is_of_rows(shape, weight, axes):
        return False
    first = len(shape) - len(axes)
    return prod(shape[:first]) >= FEWEST_ROWS and SHORTEST <= prod(shape[first:]) <= WIDEST
