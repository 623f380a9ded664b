"""Sorting: the same answers as NumPy's stable sort, ties, zeros, NaNs and all."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tensorlite.kernels.cpu import sort as kernels

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = ["float16", BFLOAT16, "float32", "float64"]
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", *FLOATS]
CASES = ["random", "ties", "special", "wide", "equal"]


def elements(shape, dtype, case):
    dtype = np.dtype(dtype)
    chooser = np.random.default_rng(len(case))
    size = int(np.prod(shape))
    if dtype.kind in "iu" and case in ("wide", "special"):
        limits = np.iinfo(dtype)
        return chooser.integers(limits.min, limits.max, size, dtype, endpoint=True).reshape(shape)
    x = chooser.standard_normal(size) * {"ties": 3, "equal": 0}.get(case, 100)
    if case == "ties" or dtype.kind in "iub":
        x = np.round(np.abs(x) if dtype.kind == "u" else x)
    if case == "special" and dtype.kind != "b":
        x[::7], x[1::11], x[2::13], x[3::17], x[4::19] = 0.0, -0.0, np.nan, np.inf, -np.inf
        x[5::23] = 1e-40
    return x.astype(dtype).reshape(shape)


def comparable(x):
    return x.astype(np.float32) if x.dtype == BFLOAT16 else x


def stable_order(x, axis, descending):
    if not descending:
        return np.argsort(comparable(x), axis, kind="stable")
    order = np.argsort(np.flip(comparable(x), axis), axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - order, axis)


def same_bits(a, b):
    """Equal with the sign of zeros; NaNs may be any."""
    a, b = comparable(a), comparable(b)
    np.testing.assert_array_equal(a, b)
    if a.dtype.kind == "f":
        number = a == a
        np.testing.assert_array_equal(np.signbit(a[number]), np.signbit(b[number]))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_and_argsort(dtype, case, descending):
    for shape, axis in (((5000,), 0), ((40, 300), 1), ((300, 40), 0), ((3, 200, 5), 1), ((1, 1), 0)):
        x = elements(shape, dtype, case)
        before = x.copy()
        expected = stable_order(x, axis, descending)
        order = kernels.argsort(x, axis=axis, descending=descending)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(order, expected)
        same_bits(kernels.sort(x, axis=axis, descending=descending), np.take_along_axis(x, expected, axis))
        values = kernels.sort(x, axis=axis, descending=descending, stable=False)
        np.testing.assert_array_equal(comparable(values), comparable(np.take_along_axis(x, expected, axis)))
        assert x.tobytes() == before.tobytes()


def test_strided_arrays():
    x = elements((600, 80), "float32", "special")
    for view in (x.T, x[::-1], x[:, ::3], np.broadcast_to(x[0], (9, 80))):
        np.testing.assert_array_equal(kernels.argsort(view, axis=1, descending=False), stable_order(view, 1, False))
        same_bits(
            kernels.sort(view, axis=0, descending=False), np.take_along_axis(view, stable_order(view, 0, False), 0)
        )


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64"])
def test_wide_keys_with_and_without_ties(dtype):
    distinct = np.random.default_rng(0).permutation(20_000).astype(dtype) * np.dtype(dtype).type(1 << 45)
    ties = distinct.copy()
    ties[::3] = distinct[5]
    for x in (distinct, ties, ties.reshape(100, 200)):
        np.testing.assert_array_equal(
            kernels.argsort(x, axis=x.ndim - 1, descending=False), stable_order(x, x.ndim - 1, False)
        )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unique(dtype, case):
    x = elements((50, 200), dtype, case)
    indices, inverse, counts = kernels.unique(x)
    _, expected, expected_inverse, expected_counts = np.unique(comparable(x).ravel(), True, True, True, equal_nan=False)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(inverse, expected_inverse.reshape(x.shape))
    np.testing.assert_array_equal(counts, expected_counts)
    assert {part.dtype for part in (indices, inverse, counts)} == {np.dtype(np.int64)}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {BFLOAT16}, key=str))
def test_searchsorted(dtype, case, side):
    table = np.sort(elements((3000,), dtype, case))
    queries = elements((3, 2000), dtype, case)
    result = kernels.searchsorted(table, queries, side=side)
    np.testing.assert_array_equal(result, np.searchsorted(table, queries, side))
    assert result.dtype == np.int64


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.sort(np.zeros(9, np.complex64), axis=0, descending=False),
        lambda: kernels.argsort(np.zeros(9, np.complex128), axis=0, descending=False),
        lambda: kernels.argsort(np.zeros((3, 0)), axis=1, descending=False),
        lambda: kernels.sort(np.zeros(()), axis=0, descending=False),
        lambda: kernels.sort(np.zeros(9, np.longdouble), axis=0, descending=False),
        lambda: kernels.unique(np.zeros(0)),
        lambda: kernels.unique(np.zeros(5, np.complex64)),
        lambda: kernels.searchsorted(np.zeros(5), np.zeros(10)),
        lambda: kernels.searchsorted(np.zeros(5), np.zeros(9000, np.float32)),
        lambda: kernels.searchsorted(np.zeros(5, np.complex64), np.zeros(9000, np.complex64)),
    ],
)
def test_what_it_does_not_take_is_left_to_the_op(call):
    assert call() is NotImplemented
