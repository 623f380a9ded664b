"""What large arrays give, through native kernels where there are any, is what small ones give."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import seeded, values
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.op import OPS

SHAPE = (300, 257)
KINDS = [tl.float32, tl.float64, tl.bfloat16, tl.int32, tl.uint8, tl.bool, tl.complex64]
SORTED = [tl.float32, tl.float64, tl.float16, tl.bfloat16, tl.int64, tl.int8, tl.uint64, tl.bool]
by_dtype = pytest.mark.parametrize("dtype", KINDS, ids=lambda d: d.name)


def wide(x: np.ndarray) -> np.ndarray:
    """The numbers in the dtype that the oracle computes in."""
    return x if x.dtype.kind in "biu" else x.astype(complex if x.dtype.kind == "c" else float)


@by_dtype
def test_reductions(dtype):
    x = values(seeded(dtype.name), SHAPE, dtype)
    names = ["sum", "any", "all", "count_nonzero"]
    names += [] if dtype.kind == "c" else ["max", "min", "argmax", "argmin"]
    names += ["mean"] if dtype.kind in "fcV" else []
    names += ["var", "std"] if dtype.kind in "fV" else []
    for name in names:
        for axis in (None, 0, -1):
            expected = getattr(np, name)(wide(x), axis=axis)
            result = getattr(tl, name)(tl.asarray(x), axis=axis)
            assert_close(result, np.asarray(expected), terms=x.size)
            kept = getattr(tl, name)(tl.asarray(x), axis=axis, keepdims=True)
            assert_same(tl.reshape(kept, result.shape), result)
            assert kept.ndim == 2


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64, tl.bfloat16, tl.int32], ids=lambda d: d.name)
def test_three_operands_that_broadcast(dtype):
    chooser = np.random.default_rng(0)
    shapes = ((1, 300, 1), (2, 300, 5), (2, 1, 5))
    mask, x, y = (chooser.integers(0, 9, shape) for shape in shapes)
    found = tl.where(tl.asarray(mask > 4), tl.asarray(x).to(dtype), tl.asarray(y).to(dtype))
    assert found.dtype == dtype
    assert_same(found, tl.asarray(np.where(mask > 4, x, y)).to(dtype).numpy())
    if tl.float32 == dtype:
        low, high = tl.asarray(mask).to(dtype), tl.asarray(y).to(dtype)
        expected = x + np.float32(0.5) * (y - x)
        assert_same(tl.lerp(tl.asarray(x).to(dtype), high, 0.5), expected.astype(np.float32))
        assert_same(tl.clip(tl.asarray(x).to(dtype), low, high), np.clip(x, mask, y).astype(np.float32))


@by_dtype
def test_product(dtype):
    x = values(seeded(dtype.name), SHAPE, dtype, (0.9, 1.1))
    for axis in (0, 1):
        assert_close(tl.prod(tl.asarray(x), axis=axis), np.prod(wide(x), axis=axis), terms=300)


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=lambda d: d.name)
def test_special_numbers_are_reduced_as_in_small(dtype):
    for special in (np.nan, np.inf, -np.inf):
        x = values(seeded(special), SHAPE, dtype)
        x[7, 11] = x[200, 11] = special
        for name in ("sum", "max", "min", "argmax", "argmin", "mean", "var", "logsumexp", "prod"):
            large, rows = getattr(tl, name)(tl.asarray(x), axis=0), [tl.asarray(x[:, i]) for i in (0, 11)]
            for column, row in zip((0, 11), rows, strict=True):
                assert_close(large[column], getattr(tl, name)(row), terms=300)


def test_variance_with_correction_and_without_freedom():
    x = values(seeded("variance"), (20_000, 2), tl.float64)
    assert_close(tl.var(tl.asarray(x), axis=1, correction=1), x.var(axis=1, ddof=1), terms=2)
    assert np.isnan(tl.var(tl.asarray(x), axis=1, correction=2).numpy()).all()


@pytest.mark.parametrize("dtype", SORTED, ids=lambda d: d.name)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting(dtype, descending):
    x = values(seeded(dtype.name), SHAPE, dtype)
    if dtype.kind in "fV":
        x[5, :40] = np.nan
        x[7, :40] = -0.0
        x[7, 40:80] = 0.0
    for axis in (0, 1):
        small = [tl.argsort(tl.asarray(line), descending=descending).numpy() for line in np.moveaxis(x, axis, -1)]
        order = np.moveaxis(np.stack(small), -1, axis)
        assert_same(tl.argsort(tl.asarray(x), axis=axis, descending=descending), order)
        assert_same(tl.sort(tl.asarray(x), axis=axis, descending=descending), np.take_along_axis(x, order, axis))


@by_dtype
def test_unique_and_searchsorted(dtype):
    x = values(seeded(dtype.name), SHAPE, dtype)
    found, indices, inverse, counts = np.unique(wide(x), True, True, True)
    result = tl.unique_all(tl.asarray(x))
    assert_same(result.values, found.astype(dtype))
    for ours, numpys in zip(result[1:], (indices, inverse.reshape(SHAPE), counts), strict=True):
        assert_same(ours, numpys)
    if dtype.kind != "c":
        for side in ("left", "right"):
            expected = np.searchsorted(found, wide(x), side=side)
            assert_same(tl.searchsorted(result.values, tl.asarray(x), side=side), expected)


@by_dtype
def test_taking_and_its_transpose(dtype):
    x = values(seeded(dtype.name), SHAPE, dtype)
    random = seeded("positions")
    t = tl.asarray(x)
    rows = random.integers(-300, 300, 400)
    assert_same(tl.take(t, tl.asarray(rows), axis=0), np.take(x, rows, 0))
    assert_same(t[tl.asarray(rows)], x[rows])
    along = random.integers(-257, 257, (300, 300))
    assert_same(tl.take_along_axis(t, tl.asarray(along), axis=1), np.take_along_axis(x, along, 1))
    if dtype.kind in "fc":
        source = tl.tensor(x, requires_grad=True)
        weights = values(seeded("weights"), (400, 257), dtype)
        tl.sum(tl.real(tl.take(source, tl.asarray(rows), axis=0) * tl.asarray(weights))).backward()
        expected = np.zeros(SHAPE, wide(x).dtype)
        np.add.at(expected, rows, np.conj(weights))
        assert_close(source.grad, expected, terms=16)


@by_dtype
def test_moving(dtype):
    x = values(seeded(dtype.name), SHAPE, dtype)
    t = tl.asarray(x)
    assert_same(tl.flip(t), np.flip(x))
    assert_same(tl.roll(t, (3, -5), axis=(0, 1)), np.roll(x, (3, -5), (0, 1)))
    assert_same(tl.concat([t, t.T], axis=None), np.concatenate([x, x.T], None))
    assert_same(tl.tril(t, k=2), np.tril(x, 2))
    assert_same(tl.tile(t, (1, 2)), np.tile(x, (1, 2)))
    assert_same(tl.repeat(t, 2, axis=1), np.repeat(x, 2, 1))
    if dtype.kind in "iuc":
        assert_close(tl.cumulative_sum(t, axis=0), np.cumsum(wide(x), axis=0), terms=300)


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64, tl.float16, tl.bfloat16, tl.int32, tl.uint8],
                         ids=lambda d: d.name)
def test_running_extremes_and_scattered_ones(dtype):
    """The kernels give what the ops' bodies give, NaN and ties included."""
    x = values(seeded("running", dtype.name), (300, 257), dtype, (0.0, 6.0))
    if dtype.kind not in "iu":
        x[::7, 100] = np.nan
    places = seeded("scattered").integers(0, 257, x.shape)
    for axis in (0, 1):
        for largest in (True, False):
            body = OPS["running_place"].body(np, x, axis=axis, largest=largest)
            found = (tl.cummax if largest else tl.cummin)(tl.asarray(x), axis)
            assert_same(found.indices, body)
    for how in ("prod", "amax", "amin"):
        small = x if how != "prod" or dtype.kind in "iu" else np.where(places > 3, x.dtype.type(1), x)
        body = OPS["scatter_with"].body(np, small, small, places, axis=1, how=how)
        assert_close(tl.scatter_reduce(tl.asarray(small), 1, tl.asarray(places), tl.asarray(small), how), body)
