"""Products of matrices and their kin, and einsum, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import seeded, values
from tolerance import assert_close

import tensorlite as tl
from tensorlite.tensor_type import DTYPES, promote

NUMERIC = [dtype for dtype in DTYPES if dtype.kind != "b"]
by_dtype = pytest.mark.parametrize("dtype", NUMERIC, ids=lambda d: d.name)

MATRICES = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)),
            ((4, 1, 2, 3), (5, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
            ((0, 2, 3), (3, 4)), ((1, 1), (1, 1)), ((0,), (0,))]


def wide(x: np.ndarray) -> np.ndarray:
    """The numbers in the dtype that the oracle computes in."""
    return x if x.dtype.kind in "iu" else x.astype(complex if x.dtype.kind == "c" else float)


def two(dtype, first, second):
    random = seeded(dtype.name, first, second)
    return values(random, first, dtype), values(random, second, dtype)


@by_dtype
def test_matmul(dtype):
    for shapes in MATRICES:
        a, b = two(dtype, *shapes)
        result = tl.matmul(tl.asarray(a), tl.asarray(b))
        assert result.dtype == dtype
        assert_close(result, np.matmul(wide(a), wide(b)), terms=3)
        assert_close(tl.asarray(a) @ tl.asarray(b), np.matmul(wide(a), wide(b)), terms=3)


def test_matmul_of_transposed_and_strided():
    a, b = two(tl.float64, (6, 8), (8, 6))
    for left, right in ((a[::2, ::-1], b[:, 1:4]), (a[:, ::2], b[::-2]), (b.T, a.T), (a.T, b.T)):
        assert_close(tl.asarray(left) @ tl.asarray(right), left @ right, terms=8)
    assert_close(tl.asarray(a).T @ tl.asarray(b).mT, a.T @ b.T, terms=6)


def test_products_promote():
    for a in NUMERIC:
        for b in (tl.int8, tl.float32, tl.complex64):
            x, y = tl.ones((2,), dtype=a), tl.ones((2,), dtype=b)
            products = (x @ y, tl.vecdot(x, y), tl.tensordot(x, y, axes=1), tl.einsum("i,i", x, y))
            assert {product.dtype for product in products} == {promote(a, b)}


@by_dtype
def test_vecdot(dtype):
    for first, second, axis in [((3,), (3,), -1), ((2, 3), (2, 3), -1), ((2, 3), (3,), -1), ((3, 2), (3, 2), -2),
                                ((3, 4), (5, 3, 1), -2), ((0,), (0,), -1), ((2, 0), (2, 0), -1), ((0, 3), (3,), -1)]:
        a, b = two(dtype, first, second)
        expected = (np.conj(wide(a)) * wide(b)).sum(axis, dtype=wide(a).dtype)
        result = tl.vecdot(tl.asarray(a), tl.asarray(b), axis=axis)
        assert result.dtype == dtype
        assert_close(result, expected, terms=3)


@by_dtype
def test_tensordot(dtype):
    for first, second, axes in [
            ((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0), ((2, 3, 4), (4, 3, 5), ((1, 2), (1, 0))),
            ((2, 3, 4), (4, 3, 5), ((-1,), (0,))), ((), (2, 3), 0), ((2, 0), (0, 3), 1), ((2, 3), (4, 2), (0, 1)),
            ((2, 3), (3, 2), ([0, 1], [1, 0]))]:
        a, b = two(dtype, first, second)
        result = tl.tensordot(tl.asarray(a), tl.asarray(b), axes=axes)
        assert result.dtype == dtype
        assert_close(result, np.tensordot(wide(a), wide(b), axes), terms=9)


EXTENTS = {"a": 2, "b": 3, "c": 4, "i": 3, "j": 4, "k": 5}
EQUATIONS = [
    "ij,jk->ik", "ii->i", "ii", "iij->j", "ij->ji", "ij", "ba", "...ij->...ji", "...ij,...jk->...ik", "bi,bj,bk->ijk",
    "i,j->ij", "ij,ij->", "ij,ij->ij", "ijk,jk,k->i", "a...,...b->...", "i,i,i->i", "ij,k->", "bij,bjk->bik", "ij,i",
    "...,...", "...i->...", "iji->ij", "abc,cba->abc", "i...->...", "ijk->kji", "ij,jk,ki->", "a,b,c->cab",
    " i j , j -> i ", "...->...", "i...i->...", "ab,ab,c->ac", "ij,ji", "aab,bcc->ac", "->", ",i->i", "ij,,j->i",
]


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("hidden", [(), (2,), (1, 2)], ids=str)
def test_einsum(equation, hidden):
    terms = equation.replace(" ", "").split("->")[0].split(",")
    shapes = [[n for c in term.replace("...", ".") for n in (hidden if c == "." else (EXTENTS[c],))] for term in terms]
    arrays = [values(seeded(equation, i), shape, tl.float64) for i, shape in enumerate(shapes)]
    assert_close(tl.einsum(equation, *map(tl.asarray, arrays)), np.einsum(equation, *arrays), terms=60)


@pytest.mark.parametrize("dtype", NUMERIC, ids=lambda d: d.name)
def test_einsum_of_every_dtype(dtype):
    a, b = two(dtype, (2, 3), (3, 4))
    for equation, operands in {"ij,jk->ik": (a, b), "ij,jk": (a, b), "ij->": (a,), "ij,ij->ij": (a, a),
                               "ij->ji": (a,)}.items():
        result = tl.einsum(equation, *map(tl.asarray, operands))
        assert result.dtype == dtype
        assert_close(result, np.einsum(equation, *map(wide, operands)), terms=6)


def test_einsum_broadcasts_extents_of_one():
    a, b = two(tl.float64, (1, 4), (3, 4))
    for equation in ("ij,ij->ij", "ij,ij->j", "ij,ij->i", "ij,ij->"):
        assert_close(tl.einsum(equation, tl.asarray(a), tl.asarray(b)), np.einsum(equation, a, b), terms=12)
    a, b = two(tl.float64, (2, 1, 3), (4, 3))
    assert_close(tl.einsum("...i,...i", tl.asarray(a), tl.asarray(b)), np.einsum("...i,...i", a, b), terms=3)


def test_einsum_of_lists_of_labels():
    a, b = two(tl.float64, (2, 3), (4, 3))
    x, y = tl.asarray(a), tl.asarray(b)
    assert_close(tl.einsum(x, [0, 1], y, [2, 1], [0, 2]), np.einsum(a, [0, 1], b, [2, 1], [0, 2]), terms=3)
    assert_close(tl.einsum(x, [5, 1], y, [2, 1]), np.einsum(a, [5, 1], b, [2, 1]), terms=3)
    assert_close(tl.einsum(x, [..., 1], [..., 1]), a)


def test_einsum_of_nothing():
    a, b = np.zeros((2, 0)), np.zeros((0, 3))
    assert_close(tl.einsum("ij,jk->ik", tl.asarray(a), tl.asarray(b)), np.zeros((2, 3)))
    assert_close(tl.einsum("ij->j", tl.asarray(a)), np.zeros(0))


def test_einsum_multiplies_the_smallest_pair_first():
    """A product that would need 10**12 elements from left to right."""
    n = 10_000
    u, v, w = (values(seeded(i), (n,), tl.float64) for i in range(3))
    x = tl.asarray(u), tl.asarray(v), tl.asarray(w[:3]), tl.asarray(values(seeded(4), (n, 3), tl.float64))
    expected = (v @ np.asarray(x[3])) @ w[:3] * u
    assert_close(tl.einsum("i,j,k,jk->i", *x), expected, terms=n)
