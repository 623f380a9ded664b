"""New tensors: their defaults, dtypes and shapes are the standard's, their elements NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.tensor_type import DTYPES

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)

SHAPES = [(), 3, (3,), [2, 3], (0,), (2, 0, 3)]


@by_dtype
@pytest.mark.parametrize("name", ["zeros", "ones", "empty"])
def test_filled(name, dtype):
    for shape in SHAPES:
        result = getattr(tl, name)(shape, dtype=dtype, device="cpu")
        expected = getattr(np, name)(shape, dtype)
        assert (result.dtype, result.shape, result.device) == (dtype, expected.shape, "cpu")
        if name != "empty":
            assert_same(result, expected)


@by_dtype
def test_filled_like(dtype):
    x = tl.zeros((2, 3), dtype=dtype)
    assert_same(tl.zeros_like(x), np.zeros((2, 3), dtype))
    assert_same(tl.ones_like(x), np.ones((2, 3), dtype))
    assert_same(tl.full_like(x, 1), np.ones((2, 3), dtype))
    assert tl.empty_like(x).type == x.type
    for other in DTYPES:
        assert_same(tl.zeros_like(x, dtype=other), np.zeros((2, 3), other))
        assert_same(tl.ones_like(x, dtype=other, device="cpu"), np.ones((2, 3), other))
        assert tl.empty_like(x, dtype=other).dtype == other


@pytest.mark.parametrize(("value", "dtype"), [(True, tl.bool), (3, tl.int64), (2.5, tl.float32), (1j, tl.complex64)])
def test_full_has_the_dtype_of_its_number(value, dtype):
    assert_same(tl.full((2, 2), value), np.full((2, 2), value, dtype))


def test_full_takes_tensors_and_keeps_their_tape():
    value = tl.tensor(2.0, requires_grad=True)
    tl.full((2, 3), value).sum().backward()
    assert value.grad.item() == 6


def test_default_dtypes():
    assert {tl.zeros(1).dtype, tl.ones(1).dtype, tl.empty(1).dtype, tl.eye(1).dtype, tl.linspace(0, 1, 2).dtype,
            tl.arange(1.0).dtype, tl.asarray(1.0).dtype} == {tl.float32}
    assert {tl.arange(3).dtype, tl.asarray(1).dtype, tl.asarray([True, 2]).dtype} == {tl.int64}
    assert {tl.asarray(1j).dtype, tl.linspace(0, 1j, 2).dtype} == {tl.complex64}
    assert tl.asarray(True).dtype == tl.bool


RANGES = [(5,), (0,), (-3,), (2, 7), (7, 2), (7, 2, -1), (0, 10, 3), (10, 0, -3), (-5, 5, 2), (0, 1, 0.25),
          (1, 0, -0.1), (0.5, 4), (2.5,), (0, 0, 1.5), (1e9, 1e9 + 5)]


@pytest.mark.parametrize("arguments", RANGES, ids=str)
def test_arange(arguments):
    for dtype in (None, tl.int32, tl.int64, tl.float32, tl.float64, tl.bfloat16):
        if dtype in (tl.int32, tl.int64) and any(isinstance(x, float) for x in arguments):
            continue
        expected = np.arange(*arguments, dtype=np.float64)
        wanted = dtype or (tl.float32 if any(isinstance(x, float) for x in arguments) else tl.int64)
        result = tl.arange(*arguments, dtype=dtype)
        assert result.dtype == wanted
        assert_close(result, expected.astype(wanted))


def test_arange_of_large_integers_is_exact():
    assert tl.arange(2**62, 2**62 + 3).tolist() == [2**62, 2**62 + 1, 2**62 + 2]
    assert tl.arange(2**63, 2**63 + 2, dtype=tl.uint64).tolist() == [2**63, 2**63 + 1]


LINES = [(0, 1, 5), (1, -1, 4), (0, 0, 3), (2, 3, 1), (2, 3, 0), (-1.5, 1e6, 7), (0, 1 + 2j, 5)]


@pytest.mark.parametrize("arguments", LINES, ids=str)
@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace(arguments, endpoint):
    is_complex = any(isinstance(x, complex) for x in arguments)
    for dtype in (None, tl.complex128 if is_complex else tl.float64):
        wanted = dtype or (tl.complex64 if is_complex else tl.float32)
        result = tl.linspace(*arguments, dtype=dtype, endpoint=endpoint)
        assert_same(result, np.linspace(*arguments, endpoint=endpoint).astype(wanted))


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("columns", [None, 0, 2, 4])
def test_eye(rows, columns):
    for k in (-5, -1, 0, 1, 2, 5, 2**62):
        assert_same(tl.eye(rows, columns, k=k, dtype=tl.int16), np.eye(rows, columns, k=min(k, 99), dtype=np.int16))


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("lengths", [(), (3,), (2, 3), (2, 3, 4), (0, 2)], ids=str)
def test_meshgrid(lengths, indexing):
    axes = [np.arange(n) * 1.5 for n in lengths]
    result = tl.meshgrid(*map(tl.asarray, axes), indexing=indexing)
    expected = np.meshgrid(*axes, indexing=indexing)
    assert len(result) == len(expected) == len(tl.meshgrid(list(map(tl.asarray, axes)), indexing=indexing))
    for x, y in zip(result, expected, strict=True):
        assert_same(x, y)


@pytest.mark.parametrize("name", ["tril", "triu"])
@by_dtype
def test_triangles(name, dtype):
    for shape in [(3, 3), (2, 4), (4, 2), (2, 3, 3), (0, 3), (3, 0)]:
        x = np.ones(shape, dtype)
        for k in (-3, -1, 0, 1, 4):
            assert_same(getattr(tl, name)(tl.asarray(x), k=k), getattr(np, name)(x, k=k))


def test_triangles_drop_nan_and_infinity():
    x = tl.full((2, 2), np.inf)
    assert tl.tril(x).tolist() == [[np.inf, 0], [np.inf, np.inf]]
    assert tl.triu(x).tolist() == [[np.inf, np.inf], [0, np.inf]]
