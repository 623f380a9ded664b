"""How exact Winograd's tiles are: measured on a probe against float64, once for a number of terms, and remembered."""

from __future__ import annotations

import functools
import struct

import numpy as np

from tensorlite.kernels.cache import default_cache
from tensorlite.kernels.winograd import Matrix, winograd

LIMIT = 1e-4
"""The largest error, beside the largest result, that a tile may have."""

_TILES, _FILTERS = 8, 4
_MOST_TERMS = 256  # of more, the error beside the result is no larger


@functools.cache
def error(m: int, r: int, terms: int) -> float:
    """Return the largest error of F(m x m, r x r) in float32, beside the largest result, of sums of so many terms.

    The probe is of normal numbers, and of a power of two of terms, at most 256: beyond, the error grows no faster
    than the result.

    >>> 1e-8 < error(2, 3, 64) < error(4, 3, 64) < 1e-5
    True
    """
    terms = min(_MOST_TERMS, 1 << max(15, terms - 1).bit_length())
    key = f"winograd error {m} {r} {terms} {_TILES} {_FILTERS} numpy {np.__version__}"
    known = default_cache().get(key)
    if known is not None and len(known) == 8:
        return float(struct.unpack("<d", known)[0])
    found = _measure(m, r, terms)
    default_cache().put(key, struct.pack("<d", found))
    return found


def _measure(m: int, r: int, terms: int) -> float:
    random, matrices = np.random.default_rng(0), winograd(m, r)
    data = random.standard_normal((_TILES, terms, matrices.size, matrices.size), np.float32)
    taps = random.standard_normal((_FILTERS, terms, r, r), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(data.astype(np.float64), (r, r), axis=(2, 3))
    expected = np.tensordot(windows, taps.astype(np.float64), ((1, 4, 5), (1, 2, 3)))  # [tiles, m, m, filters]
    inputs, filters = (_both_sides(x, y) for x, y in ((matrices.data, data), (matrices.filter, taps)))
    products = np.matmul(inputs.transpose(2, 3, 0, 1), filters.transpose(2, 3, 1, 0))
    results = _both_sides(matrices.output, products.transpose(2, 3, 0, 1)).transpose(0, 2, 3, 1)
    return float(np.abs(results - expected).max() / np.abs(expected).max())


def _both_sides(matrix: Matrix, values: np.ndarray) -> np.ndarray:
    """Return ``matrix @ values @ matrix.T`` in float32, for each of the squares that ``values`` ends with."""
    numbers = np.array([[float(x) for x in row] for row in matrix], np.float32)
    return np.asarray(numbers @ values @ numbers.T)
