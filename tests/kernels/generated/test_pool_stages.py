"""Pooling by native loops agrees with the ops' own bodies, for windows of every geometry, images of every layout."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planned import assert_equal, compute, eager, interpret, laid, layouts, planned
from tolerance import assert_close

from tensorlite.errors import ShapeError
from tensorlite.kernels.cpu.pool import KERNELS
from tensorlite.kernels.cpu.pool_stages import PLANS

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
dtypes = st.sampled_from([*map(np.dtype, ("float16", "float32", "float64")), BFLOAT16])
sizes = st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 40), st.sampled_from([1, 2, 5, 16, 17, 34, 71]))


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometries(draw, dilated=True):
    """Windows as the public functions let them be: paddings are at most half a kernel."""
    kernel, stride = draw(pairs(1, 4)), draw(pairs(1, 4))
    dilation = draw(pairs(1, 2)) if dilated else (1, 1)
    padding = tuple(draw(st.integers(0, ((k - 1) * d + 1) // 2)) for k, d in zip(kernel, dilation, strict=True))
    if draw(st.booleans()):
        kernel, stride, padding, dilation = (2, 2), (2, 2), (0, 0), (1, 1)
    geometry = {"kernel": kernel, "stride": stride, "padding": padding}
    return {**geometry, "dilation": dilation} if dilated else geometry


def images(dtype, size, seed, layout="contiguous", holes=True):
    """Images of few different numbers, so that some are equal; and some NaN and infinities."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 9, size).astype(np.float64)
    if holes:
        x[rng.random(size) < 0.05] = np.nan
        x[rng.random(size) < 0.05] = -np.inf
    return laid(x.astype(dtype), layout)


def pooled(x, geometry, ceil_mode=False):
    try:
        return eager("max_pool2d", x, **geometry, ceil_mode=ceil_mode)
    except ShapeError:
        assume(False)


@settings(max_examples=150)
@given(geometries(), sizes, dtypes, layouts, st.booleans())
def test_maxima(geometry, size, dtype, layout, ceil_mode):
    x = images(dtype, size, 1, layout)
    pooled(x, geometry, ceil_mode)
    assert_equal(*compute(PLANS, "max_pool2d", x, **geometry, ceil_mode=ceil_mode))


@settings(max_examples=150)
@given(geometries(), sizes, dtypes, layouts, st.booleans())
def test_winners(geometry, size, dtype, layout, ceil_mode):
    """The first of equal elements, the last NaN; whatever is called the maximum."""
    x = images(dtype, size, 2, layout)
    top = pooled(x, geometry, ceil_mode)
    assert_equal(*compute(PLANS, "max_pool2d_winner", x, laid(top, layout), **geometry))
    other = images(dtype, top.shape, 3)
    assert_equal(*compute(PLANS, "max_pool2d_winner", x, other, **geometry))


@settings(max_examples=150)
@given(geometries(), sizes, dtypes, layouts, st.booleans())
def test_numbers_go_where_the_maxima_lay(geometry, size, dtype, layout, ceil_mode):
    """Bits are those of the body, which adds where windows share an element."""
    x = images(dtype, size, 4)
    top = pooled(x, geometry, ceil_mode)
    winner = laid(eager("max_pool2d_winner", x, top, **geometry), layout)
    g = laid(np.random.default_rng(5).normal(size=top.shape).astype(dtype), layout)
    actual, expected = compute(PLANS, "max_pool2d_scatter", g, winner, size=size[2:], **geometry)
    assert_equal(actual, expected)
    y, z = compute(PLANS, "max_pool2d_gather", laid(x, layout), winner, **geometry)
    assert_equal(y, z)


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16, np.float64], ids=str)
def test_narrow_numbers_where_windows_are_apart(dtype):
    geometry = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    for size in ((2, 3, 6, 34), (1, 1, 5, 7)):
        x = images(np.dtype(dtype), size, 6, holes=False)
        top = eager("max_pool2d", x, **geometry, ceil_mode=False)
        winner = eager("max_pool2d_winner", x, top, **geometry)
        assert_equal(*compute(PLANS, "max_pool2d_scatter", top, winner, size=size[2:], **geometry))
    options = {**geometry, "ceil_mode": False, "include_pad": True, "divisor": None}
    del options["dilation"]
    for g in (images(np.dtype(dtype), (2, 3, 3, 17), 7), images(np.dtype(dtype), (1, 1, 4, 1), 7)):
        size = (2 * g.shape[2], 2 * g.shape[3])
        assert_equal(*compute(PLANS, "avg_pool2d_spread", g, size=size, **options))


def test_places_outside_of_windows_are_nobodys():
    """A place beyond the window, or in the border, gets nothing and reads as 0."""
    geometry = {"kernel": (2, 2), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    winner = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    x, g = images(np.float32, (1, 1, 2, 2), 7, holes=False), np.ones((1, 1, 3, 3), np.float32)
    assert_equal(*compute(PLANS, "max_pool2d_gather", x, winner, **geometry))
    assert_equal(*compute(PLANS, "max_pool2d_scatter", g, winner, size=(2, 2), **geometry))


@settings(max_examples=150)
@given(geometries(dilated=False), sizes, dtypes, layouts, st.booleans(), st.booleans(), st.sampled_from([None, 3, -7]))
def test_averages(geometry, size, dtype, layout, ceil_mode, include_pad, divisor):
    x = images(dtype, size, 8, layout)
    options = {**geometry, "ceil_mode": ceil_mode, "include_pad": include_pad, "divisor": divisor}
    pooled(x, {**geometry, "dilation": (1, 1)}, ceil_mode)
    actual, expected = compute(PLANS, "avg_pool2d", x, **options)
    assert_equal(actual, expected)
    g = laid(np.random.default_rng(9).normal(size=expected.shape).astype(dtype), layout)
    assert_equal(*compute(PLANS, "avg_pool2d_spread", g, size=size[2:], **options))


def test_what_has_no_native_form():
    """Integers, and lines of windows that are longer than the scratch memory for them."""
    geometry = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    for x in (np.zeros((1, 1, 4, 4), np.int32), np.zeros((1, 1, 1, 9000), np.float32)):
        assert planned(PLANS["max_pool2d"], [x], x, **geometry, ceil_mode=False) is None


INTERPRETED = [
    {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)},
    {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 1), "dilation": (1, 1)},
]


@pytest.mark.parametrize("geometry", INTERPRETED, ids=["inside", "border"])
def test_the_loops_mean_that(geometry):
    x = images(np.float32, (1, 2, 4, 6), 10)
    top = eager("max_pool2d", x, **geometry, ceil_mode=False)
    winner = eager("max_pool2d_winner", x, top, **geometry)
    average = {name: geometry[name] for name in ("kernel", "stride", "padding")}
    average |= {"ceil_mode": False, "include_pad": False, "divisor": None}
    g = np.random.default_rng(11).normal(size=top.shape).astype(np.float32)
    cases = {
        "max_pool2d": ((x,), {**geometry, "ceil_mode": False}),
        "max_pool2d_winner": ((x, top), geometry),
        "max_pool2d_scatter": ((g, winner), {**geometry, "size": (4, 6)}),
        "max_pool2d_gather": ((x, winner), geometry),
        "avg_pool2d": ((x,), average),
        "avg_pool2d_spread": ((g,), {**average, "size": (4, 6)}),
    }
    for op, (inputs, attributes) in cases.items():
        expected = eager(op, *inputs, **attributes)
        out = np.zeros_like(expected)
        interpret(planned(PLANS[op], inputs, expected, **attributes), [*inputs, out])
        assert_equal(out, expected)


@settings(max_examples=15, deadline=None)
@given(geometries(), geometries(dilated=False), dtypes, layouts, st.booleans(), st.booleans())
def test_eager_ops_run_these_plans(geometry, other, dtype, layout, ceil_mode, include_pad):
    """What is known of results before there are any is what the bodies give."""
    size = (2, 3, 17, 19)
    x = images(dtype, size, 8, layout)
    top = pooled(x, geometry, ceil_mode)
    winner = eager("max_pool2d_winner", x, top, **geometry)
    average = {**other, "ceil_mode": ceil_mode, "include_pad": include_pad, "divisor": None}
    calls = [("max_pool2d", [x], {**geometry, "ceil_mode": ceil_mode}), ("max_pool2d_winner", [x, top], geometry),
             ("max_pool2d_gather", [x, winner], geometry),
             ("max_pool2d_scatter", [top, winner], {**geometry, "size": size[2:]}), ("avg_pool2d", [x], average)]
    for op, arrays, attributes in calls:
        found = KERNELS[op](*arrays, **attributes)
        if found is not NotImplemented:
            expected = eager(op, *arrays, **attributes)
            assert found.dtype == expected.dtype
            assert_close(found, expected, terms=16)
