"""Reductions over every choice of axes are what NumPy computes in its widest dtype."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from laws.drawing import LAYOUTS, lay_out, seeded, values
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.tensor_type import DTYPES, FLOATS, GROUPS, sum_dtype

SHAPES = [(), (1,), (5,), (2, 3), (2, 3, 4), (0,), (2, 0, 3)]


def _logsumexp(x, axis, keepdims):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


#: Each reduction: NumPy's, the dtypes that it takes, the result's dtype, whether no elements have one.
REDUCTIONS = {
    "sum": (np.sum, "numeric", sum_dtype, True),
    "prod": (np.prod, "numeric", sum_dtype, True),
    "mean": (np.mean, "floating", lambda dtype: dtype, True),
    "var": (np.var, "real floating", lambda dtype: dtype, True),
    "std": (np.std, "real floating", lambda dtype: dtype, True),
    "logsumexp": (_logsumexp, "real floating", lambda dtype: dtype, True),
    "max": (np.max, "real or bool", lambda dtype: dtype, False),
    "min": (np.min, "real or bool", lambda dtype: dtype, False),
    "any": (np.any, "any", lambda dtype: tl.bool, True),
    "all": (np.all, "any", lambda dtype: tl.bool, True),
    "count_nonzero": (lambda x, axis, keepdims: np.sum(x != 0, axis=axis, keepdims=keepdims), "any",
                      lambda dtype: tl.int64, True),
}
PAIRS = [(name, dtype) for name, row in REDUCTIONS.items() for dtype in DTYPES if dtype in GROUPS[row[1]]]


def axes_of(ndim: int):
    """Every choice of axes, some of them counted from the end."""
    yield None
    for count in range(ndim + 1):
        for chosen in itertools.combinations(range(ndim), count):
            yield tuple(axis - ndim if i % 2 else axis for i, axis in enumerate(chosen))
    yield from range(-ndim, ndim)


def wide(x: np.ndarray) -> np.ndarray:
    """The numbers in the dtype that the oracle computes in."""
    return x if x.dtype.kind in "biu" else x.astype(complex if x.dtype.kind == "c" else float)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "dtype"), PAIRS, ids=lambda x: getattr(x, "name", x))
def test_reduction_over_axes(name, dtype):
    oracle, _, result_dtype, takes_none = REDUCTIONS[name]
    for shape in SHAPES:
        x = values(seeded(name, dtype.name, shape), shape, dtype)
        for axis, keepdims in itertools.product(axes_of(len(shape)), (False, True)):
            lost = np.size(x) == 0 and not takes_none
            if lost and np.sum(x, axis=axis, keepdims=keepdims).size:
                with pytest.raises(tl.errors.ShapeError, match="no elements have no extreme"):
                    getattr(tl, name)(tl.asarray(x), axis=axis, keepdims=keepdims)
                continue
            result = getattr(tl, name)(tl.asarray(x), axis=axis, keepdims=keepdims)
            expected = oracle(wide(x), axis=axis, keepdims=keepdims)
            assert result.dtype == result_dtype(dtype), (shape, axis)
            assert_close(result, expected, terms=max(x.size, 1))


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reduction_of_strided_input(name, layout):
    x = lay_out(values(seeded(name), (4, 5, 3), tl.float64), layout)
    for axis in (None, 0, 1, -1, (0, 2)):
        expected = REDUCTIONS[name][0](x, axis=axis, keepdims=False)
        assert_close(getattr(tl, name)(tl.asarray(x), axis=axis), expected, terms=x.size)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "c"], ids=lambda d: d.name)
def test_position_of_extreme(name, dtype):
    for shape in [(), (1,), (5,), (3, 4), (2, 3, 4)]:
        x = values(seeded(name, dtype.name, shape), shape, dtype)
        for axis, keepdims in itertools.product([None, *range(-len(shape), len(shape))], (False, True)):
            expected = getattr(np, name)(wide(x), axis=axis, keepdims=keepdims)
            assert_same(getattr(tl, name)(tl.asarray(x), axis=axis, keepdims=keepdims), np.asarray(expected, np.int64))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.name)
def test_first_nan_is_both_extremes(dtype):
    x = tl.tensor([1.0, np.nan, -3.0, np.nan], dtype=dtype)
    assert np.isnan(tl.max(x).item())
    assert np.isnan(tl.min(x).item())
    assert tl.argmax(x).item() == tl.argmin(x).item() == 1


@pytest.mark.parametrize("name", ["sum", "prod"])
def test_sum_and_product_in_a_given_dtype(name):
    x = tl.tensor([[1, 2, 3], [4, 5, 6]], dtype=tl.int8)
    for dtype in DTYPES:
        result = getattr(tl, name)(x, axis=1, dtype=dtype)
        assert_same(result, getattr(np, name)(np.asarray(x), axis=1).astype(dtype))


def test_small_integers_are_summed_wide():
    assert tl.sum(tl.full((300,), 127, dtype=tl.int8)).item() == 38100
    assert tl.sum(tl.full((3,), 2**63, dtype=tl.uint64)).item() == 2**63  # wraps, as integers do
    assert tl.sum(tl.tensor([True, True])).item() == 2


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16], ids=lambda d: d.name)
def test_half_floats_are_summed_in_float32(dtype):
    ones = tl.ones((4096,), dtype=dtype)
    assert tl.sum(ones).item() == 4096  # alone they stop at 256 or 2048
    assert tl.mean(ones).item() == 1
    assert tl.cumulative_sum(ones)[-1].item() == 4096
    assert (ones @ ones).item() == 4096
    assert tl.var(ones).item() == 0


def test_mean_of_integers_is_float32():
    assert_same(tl.mean(tl.tensor([1, 2, 4])), np.asarray(7 / 3, np.float32))
    assert_same(tl.var(tl.tensor([True, False])), np.asarray(0.25, np.float32))


@pytest.mark.parametrize("correction", [0, 1, 0.5, 2.0])
def test_variance_with_correction(correction):
    x = values(seeded(correction), (5, 3), tl.float64)
    divisor = 5 - correction
    expected = ((x - x.mean(0)) ** 2).sum(0) / divisor
    assert_close(tl.var(tl.asarray(x), axis=0, correction=correction), expected, terms=5)
    assert_close(tl.std(tl.asarray(x), axis=0, correction=correction), np.sqrt(expected), terms=5)


@pytest.mark.parametrize("correction", [2, 3])
def test_variance_without_degrees_of_freedom_is_nan(correction):
    assert np.isnan(tl.var(tl.tensor([1.0, 2.0]), correction=correction).item())
    assert np.isnan(tl.std(tl.tensor([1.0, 2.0]), correction=correction).item())


def test_logsumexp_of_extreme_numbers():
    inf = np.inf
    assert tl.logsumexp(tl.tensor([-inf, -inf])).item() == -inf
    assert tl.logsumexp(tl.tensor([inf, 0.0])).item() == inf
    assert tl.logsumexp(tl.tensor([-1e30, 0.0])).item() == 0
    assert np.isnan(tl.logsumexp(tl.tensor([np.nan, 0.0])).item())
    assert tl.logsumexp(tl.zeros((0,))).item() == -inf


def test_axis_may_be_positional_and_spelled_dim():
    x = tl.ones((2, 3))
    assert tl.sum(x, 0).shape == x.sum(dim=0).shape == x.sum(axis=-2).shape == (3,)
    assert tl.max(x, 1, True).shape == x.max(dim=1, keepdim=True).shape == (2, 1)
