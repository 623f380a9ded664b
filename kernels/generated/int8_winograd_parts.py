"""Winograd's F(2x2, 3x3) in integers: its matrices, the range of its numbers, and transforms of words of two halves.

Bytes become 16-bit numbers when they are transformed, and the products of these are summed into int32. The filters'
matrix has halves in it; times 2 it has none, so that sums are 4 times what they should be, exactly, and a shift puts
them right. A word holds two channels as ``low + (high << 16)``: it is added and subtracted as one number, whose halves
are taken apart at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import Let, Statement
from tensorlite.kernels.winograd import Matrix, integral, winograd

WORD = np.dtype(np.int32)
TILE, TAPS = 2, 3
"""The extents of a tile of results, and of a filter."""

SIZE = TILE + TAPS - 1
PRODUCTS = SIZE * SIZE

DATA, OUTPUT = winograd(TILE, TAPS).data, winograd(TILE, TAPS).output
FILTER, _SCALE = integral(winograd(TILE, TAPS).filter)
SHIFT = (_SCALE * _SCALE).bit_length() - 1
"""By how many bits sums are too large."""

_BYTE, _WEIGHT = 255, 128  # the largest that there are


def most_channels(weight: int = _WEIGHT) -> int:
    """Return of how many channels the sums fit int32, ``weight`` being the largest tap.

    What is shifted must fit; what it is made of may wrap.

    >>> most_channels(), most_channels(255)
    (1827, 917)
    """
    return (2**31 - 1) // (_SCALE * _SCALE * TAPS * TAPS * _BYTE * weight)


def largest(weight: int) -> tuple[int, int]:
    """Return the largest transformed byte and tap, for taps of up to ``weight``.

    >>> largest(255)
    (1020, 2295)
    """
    data, taps = (max(sum(map(abs, row)) for row in matrix) ** 2 for matrix in (DATA, FILTER))
    return int(data * _BYTE), int(taps * weight)


assert max(largest(2 * _WEIGHT)) < 2**15


def transform(matrix: Matrix, values: Sequence[Sequence[str]], name: str) -> tuple[list[Statement], list[list[str]]]:
    """Return statements for ``matrix @ values @ matrix.T`` of named integers, and the names of the results."""
    statements: list[Statement] = []

    def products(given: Sequence[Sequence[str]], what: str) -> list[list[str]]:
        """The columns of ``given`` times the matrix; turned."""
        found = [[f"{name}_{what}{j}_{i}" for i in range(len(matrix))] for j in range(len(given[0]))]
        for j, column in enumerate(zip(*given, strict=True)):
            statements.extend(Let(x, _product(row, column)) for x, row in zip(found[j], matrix, strict=True))
        return found

    return statements, products(products(values, "down"), "across")


def _product(row: Sequence[Fraction], values: Sequence[str]) -> s.Expr:
    terms = [(int(x), s.Var(value)) for x, value in zip(row, values, strict=True) if x]
    (factor, value), *rest = sorted(terms, key=lambda term: -term[0])
    total = value if factor == 1 else value * factor
    for factor, value in rest:
        step = value if abs(factor) == 1 else value * abs(factor)
        total = total + step if factor > 0 else total - step
    return total


def apart(word: s.Expr) -> s.Expr:
    """Return the halves of ``low + (high << 16)`` side by side: of these, a negative lower one has taken 1."""
    return (word + 0x8000) ^ 0x8000
