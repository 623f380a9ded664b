"""Sparse linear maps by native loops agree with the op's own body, for any tables, in every layout and dtype."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import compute, eager, interpret, laid, layouts, planned
from tolerance import assert_close

from tensorlite.kernels.cpu.resample_stages import PLANS

dtypes = st.sampled_from([*map(np.dtype, ("float16", "float32", "float64")), np.dtype(ml_dtypes.bfloat16)])
extents = st.sampled_from([1, 2, 5, 16, 17, 33])


def drawn(shape, axis, count, terms, dtype, layout):
    rng = np.random.default_rng([*shape, axis, count, terms])
    places = rng.integers(0, shape[axis], (terms, count))
    weights = rng.standard_normal((terms, count))
    x = laid(rng.standard_normal(shape).astype(dtype), layout)
    tables = places, weights.astype(np.float64 if dtype == np.float64 else np.float32)
    return [x, *(laid(table, layout) for table in tables), *tables]


@settings(max_examples=80, deadline=None)
@given(st.lists(extents, min_size=1, max_size=3), st.data(), extents, st.integers(1, 6), dtypes, layouts)
def test_maps(shape, data, count, terms, dtype, layout):
    axis = data.draw(st.integers(0, len(shape) - 1))
    actual, expected = compute(PLANS, "resample", *drawn(shape, axis, count, terms, dtype, layout), axis=axis)
    assert_close(actual, expected, terms=4 * terms)


def test_the_loops_mean_what_they_compute():
    for axis in (0, 1):
        inputs = drawn((3, 5), axis, 4, 2, np.dtype(np.float32), "contiguous")
        expected = eager("resample", *inputs, axis=axis)
        found = np.zeros_like(expected)
        interpret(planned(PLANS["resample"], inputs, expected, axis=axis), [*inputs, found])
        assert_close(found, expected, terms=8)
