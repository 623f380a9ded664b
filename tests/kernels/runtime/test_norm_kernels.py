"""Normalisations under the signatures of ops, against their formulas in float64."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tensorlite.kernels.cpu import norm as kernels
from tensorlite.kernels.cpu import team

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
TOLERANCE = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}
DTYPES = ["float64", "float32", "float16", BFLOAT16]
LAYOUTS = [
    ((40, 300), (1,)),
    ((6, 5, 40), (1, 2)),
    ((8, 5, 12, 11), (0, 2, 3)),
    ((300, 40), (0,)),
    ((4, 9, 50), (0, 2)),
]


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def check(result, expected, dtype):
    assert result.dtype == np.dtype(dtype) and result.shape == expected.shape
    limit = TOLERANCE[np.dtype(dtype).name]
    np.testing.assert_allclose(result.astype(np.float64), expected, rtol=limit, atol=limit)


def statistics(x, axes):
    wide = x.astype(np.float64)
    return wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True)


def accumulated(dtype):
    return np.float32 if np.dtype(dtype).itemsize == 2 else np.dtype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax(dtype, axis):
    x, g = numbers((7, 20, 90), dtype), numbers((7, 20, 90), dtype, 1)
    wide, wide_g = x.astype(np.float64), g.astype(np.float64)
    total = np.exp(wide).sum(axis, keepdims=True)
    check(kernels.KERNELS["softmax"](x, axis=axis), np.exp(wide) / total, dtype)
    check(kernels.KERNELS["log_softmax"](x, axis=axis), wide - np.log(total), dtype)
    y = (np.exp(wide) / total).astype(dtype)
    wide_y = y.astype(np.float64)
    expected = wide_y * (wide_g - (wide_g * wide_y).sum(axis, keepdims=True))
    check(kernels.KERNELS["softmax_backward"](g, y, axis=axis), expected, dtype)
    logarithm = (wide - np.log(total)).astype(dtype)
    expected = wide_g - np.exp(logarithm.astype(np.float64)) * wide_g.sum(axis, keepdims=True)
    check(kernels.KERNELS["log_softmax_backward"](g, logarithm, axis=axis), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [0, 1, 2])
@pytest.mark.parametrize(("shape", "axes"), [layout for layout in LAYOUTS if layout[1][-1] == len(layout[0]) - 1][:2])
def test_layer_norm(dtype, affine, shape, axes):
    x, parts = numbers(shape, dtype), [numbers(shape[axes[0] :], dtype, 2 + k) for k in range(affine)]
    mean, variance = statistics(x, axes)
    expected = (x.astype(np.float64) - mean) / np.sqrt(variance + 1e-5)
    for part, combine in zip(parts, (np.multiply, np.add)):
        expected = combine(expected, part.astype(np.float64))
    out, *found = kernels.layer_norm(x, *parts, axes=axes, eps=1e-5)
    check(out, expected, dtype)
    for result, expected in zip(found, (mean, 1 / np.sqrt(variance + 1e-5)), strict=True):
        check(result, expected, accumulated(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axes"), LAYOUTS)
def test_moments(dtype, shape, axes):
    x = numbers(shape, dtype)
    for result, expected in zip(kernels.moments(x, axes=axes), statistics(x, axes)):
        check(result, expected, accumulated(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [0, 1, 2])
@pytest.mark.parametrize(("shape", "axes"), LAYOUTS)
def test_normalize(dtype, affine, shape, axes):
    x = numbers(shape, dtype)
    mean, variance = (part.astype(accumulated(dtype)) for part in statistics(x, axes))
    r = (1 / np.sqrt(variance)).astype(accumulated(dtype))
    channel = tuple(n if d == 1 else 1 for d, n in enumerate(shape))
    parts = [numbers(channel, dtype, 2 + k) for k in range(affine)]
    expected = (x.astype(np.float64) - mean) * r
    for part, combine in zip(parts, (np.multiply, np.add)):
        expected = combine(expected, part.astype(np.float64))
    check(kernels.normalize(x, mean, r, *parts, axes=axes), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axes"), [*LAYOUTS, ((40, 300), (0, 1))])
def test_normalize_backward(dtype, shape, axes):
    x, g = numbers(shape, dtype), numbers(shape, dtype, 1)
    mean, variance = (part.astype(accumulated(dtype)) for part in statistics(x, axes))
    r = (1 / np.sqrt(variance)).astype(accumulated(dtype))
    z, wide = (x.astype(np.float64) - mean) * r, g.astype(np.float64)
    expected = r * (wide - wide.mean(axes, keepdims=True) - z * (wide * z).mean(axes, keepdims=True))
    check(kernels.normalize_backward(g, x, mean, r, axes=axes), expected, dtype)


SLOPES = [
    ((40, 300), (1, 300), (1,)),  # rows
    ((100, 6, 9), (1, 6, 9), (1, 2)),
    ((3, 500), (1, 500), (1,)),  # few
    ((20, 9000), (1, 9000), (1,)),  # long
    ((4, 3, 2, 50), (1, 3, 2, 1), (2, 3)),  # groups of channels
    ((8, 5, 12, 11), (1, 5, 1, 1), (0, 2, 3)),
    ((6, 5, 40), (1, 5, 1), (2,)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "channels", "axes"), SLOPES)
def test_normalize_slopes(dtype, shape, channels, axes):
    x, g, weight = numbers(shape, dtype), numbers(shape, dtype, 1), numbers(channels, dtype, 2)
    mean, variance = (part.astype(accumulated(dtype)) for part in statistics(x, axes))
    r = (1 / np.sqrt(variance)).astype(accumulated(dtype))
    z, wide = (x.astype(np.float64) - mean) * r, g.astype(np.float64)
    h = wide * weight.astype(np.float64)
    dx, dweight, dbias = kernels.normalize_slopes(g, x, mean, r, weight, axes=axes)
    check(dx, r * (h - h.mean(axes, keepdims=True) - z * (h * z).mean(axes, keepdims=True)), dtype)
    over = tuple(a for a, n in enumerate(channels) if n == 1)
    for found, terms in ((dweight, wide * z), (dbias, wide)):
        size = np.sqrt((terms**2).sum(over, keepdims=True))  # of a sum of that many, of whatever sign
        assert found.dtype == np.dtype(dtype) and found.shape == channels
        check((found / size).astype(dtype), terms.sum(over, keepdims=True) / size, dtype)


def test_sums_over_rows_do_not_depend_on_threads():
    x, g, weight = numbers((700, 64), np.float32), numbers((700, 64), np.float32, 1), numbers((1, 64), np.float32, 2)
    mean, variance = (part.astype(np.float32) for part in statistics(x, (1,)))
    before, results = team.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            team.set_num_threads(threads)
            results.append(kernels.normalize_slopes(g, x, mean, 1 / np.sqrt(variance), weight, axes=(1,)))
    finally:
        team.set_num_threads(before)
    for found in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found, results[0], strict=True))


X = numbers((40, 300), np.float32)
M, R = (np.ones((40, 1), np.float32) for _ in "ab")


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.KERNELS["softmax"](X.astype(np.int64), axis=1),
        lambda: kernels.KERNELS["softmax"](X[:0], axis=1),
        lambda: kernels.KERNELS["softmax_backward"](X, X.astype(np.float64), axis=1),
        lambda: kernels.KERNELS["log_softmax_backward"](X, X.astype(np.float64), axis=1),
        lambda: kernels.layer_norm(X, axes=(0,), eps=0.0),
        lambda: kernels.layer_norm(X, X[0].astype(np.float64), axes=(1,), eps=0.0),
        lambda: kernels.moments(X.astype(np.complex64), axes=(1,)),
        lambda: kernels.moments(X[:0], axes=(1,)),
        lambda: kernels.normalize(X, M.astype(np.float64), R, axes=(1,)),
        lambda: kernels.normalize(X.astype(np.complex64), M, R, axes=(1,)),
        lambda: kernels.normalize_backward(X.astype(np.float64), X, M, R, axes=(1,)),
        lambda: kernels.normalize_backward(X[:1], X, M, R, axes=(1,)),
        lambda: kernels.normalize_slopes(X[:1], X, M, R, X[:1], axes=(1,)),
        lambda: kernels.normalize_slopes(X, X, M, R, X[:1].astype(np.float64), axes=(1,)),
    ],
)
def test_what_it_does_not_take_is_left_to_the_op(call):
    assert call() is NotImplemented
