"""clip, round, and the parts of complex numbers."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import seeded, values
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.tensor_type import DTYPES, FLOATS, INTEGERS, SIGNED, real_dtype

REAL = (*INTEGERS, *FLOATS)
by_real = pytest.mark.parametrize("dtype", REAL, ids=lambda d: d.name)


@by_real
def test_clip_by_numbers(dtype):
    x = values(seeded(dtype.name), (3, 5), dtype)
    t = tl.asarray(x)
    one = dtype.type(1)
    assert_same(tl.clip(t, 1), np.maximum(x, one))
    assert_same(tl.clip(t, max=1), np.minimum(x, one))
    assert_same(tl.clip(t, 0, 1), np.minimum(np.maximum(x, dtype.type(0)), one))
    assert_same(tl.clip(t), x)
    assert_same(tl.clip(t, 2, 1), np.full_like(x, 1))


@by_real
def test_clip_by_tensors(dtype):
    x = values(seeded(dtype.name), (3, 5), dtype)
    low, high = values(seeded(dtype.name, 1), (5,), dtype), values(seeded(dtype.name, 2), (2, 1, 1), dtype)
    expected = np.minimum(np.maximum(x, low), high)
    assert_same(tl.clip(tl.asarray(x), tl.asarray(low), tl.asarray(high)), expected)
    assert_same(tl.clip(tl.asarray(x), tl.asarray(low)), np.maximum(x, low))
    assert_same(tl.clip(tl.asarray(x), None, tl.asarray(high)), np.minimum(x, high))


@pytest.mark.parametrize("kind", [INTEGERS, FLOATS], ids=["integers", "floats"])
def test_clip_keeps_the_dtype_of_x(kind):
    for dtype in kind:
        for other in kind:
            result = tl.clip(tl.tensor([0, 5], dtype=dtype), tl.tensor(1, dtype=other), tl.tensor([2, 3], dtype=other))
            assert result.dtype == dtype
            assert result.tolist() == [1, 3]


@pytest.mark.parametrize("dtype", SIGNED[:3], ids=lambda d: d.name)
def test_clip_by_bounds_beyond_the_dtype(dtype):
    info = tl.iinfo(dtype)
    x = tl.tensor([info.min, 0, info.max], dtype=dtype)
    assert tl.clip(x, -2**70, 2**70).tolist() == x.tolist()
    assert tl.clip(x, tl.tensor(-2**40), tl.tensor(2**40)).tolist() == x.tolist()
    assert tl.clip(x, 0, 2**64).tolist() == [0, 0, info.max]


def test_clip_with_nan_and_infinity():
    x = tl.tensor([-np.inf, np.nan, np.inf])
    assert_same(tl.clip(x, -1, 1), np.array([-1, np.nan, 1], np.float32))
    assert_same(tl.clip(x, -np.inf, 0), np.array([-np.inf, np.nan, 0], np.float32))


def test_clip_of_0d_and_nothing():
    assert tl.clip(tl.tensor(3.0), 0, 1).item() == 1
    assert tl.clip(tl.zeros((2, 0)), tl.zeros((2, 1))).shape == (2, 0)


def test_clip_in_place():
    x = tl.tensor([1.0, 5.0])
    assert x.clip_(2, 3) is x
    assert x.clamp_(max=2.5).tolist() == [2, 2.5]


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "b"], ids=lambda d: d.name)
@pytest.mark.parametrize("size", [9, 40_000])
def test_round(dtype, size):
    x = np.resize([-2.5, -1.5, -0.5, -0.2, 0.5, 1.5, 2.5, 0.7, 3.0], size)
    x = (x + 1j * x[::-1] if dtype.kind == "c" else np.abs(x) if dtype.kind == "u" else x).astype(dtype)
    assert_same(tl.round(tl.asarray(x)), x if dtype.kind in "iu" else np.round(x))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "b"], ids=lambda d: d.name)
def test_parts(dtype):
    for shape in [(), (5,), (2, 0), (3, 4)]:
        x = values(seeded(dtype.name, shape), shape, dtype)
        t = tl.asarray(x)
        assert_same(tl.real(t), np.real(x))
        assert_same(t.real, np.real(x))  # attributes, as in NumPy and PyTorch
        assert_same(t.imag, tl.imag(t))
        assert_same(tl.imag(t), np.imag(x).astype(real_dtype(dtype)))
        assert_same(tl.conj(t), np.conj(x) if dtype.kind == "c" else x)
        wanted = real_dtype(dtype) if dtype in (*FLOATS, tl.complex64, tl.complex128) else tl.float32
        wide = x.astype(complex if dtype.kind == "c" else float)
        assert tl.angle(t).dtype == wanted
        assert_close(tl.angle(t), np.angle(wide))


def test_angle_of_signed_zeros():
    assert tl.angle(tl.tensor([0.0, -0.0])).tolist() == np.float32([0, np.pi]).tolist()
    corners = [complex(-1, 0.0), complex(-1, -0.0), complex(0.0, 0.0), complex(np.inf, np.inf), complex(np.nan, 0)]
    assert_same(tl.angle(tl.tensor(corners, dtype=tl.complex128)), np.angle(corners))
