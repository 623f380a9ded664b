"""Weighed sums of named elements natively, and their transposes: what the ops' own bodies say, and faults."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import compute, laid, layouts

from tensorlite.kernels.cpu.tap_stages import KERNELS, PLANS
from tensorlite.kernels.irregular.taps import CHANNELS, SAMPLES


@st.composite
def forms(draw):
    """Elements, places, weights, and what comes back: few of all, or more than a task has."""
    chooser = np.random.default_rng(draw(st.integers(0, 99)))
    batch, channels = draw(st.integers(0, 2)), draw(st.sampled_from([1, 3, CHANNELS + 1]))
    extent, taps = draw(st.sampled_from([1, 7, 40])), draw(st.sampled_from([1, 4, 8]))
    samples = draw(st.sampled_from([1, 5, SAMPLES + 3]))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    x, weights, g = (chooser.integers(-9, 10, shape).astype(dtype) for shape in (
        (batch, channels, extent), (batch, taps, samples), (batch, channels, samples)))
    return x, chooser.integers(0, extent, weights.shape), weights, g


@settings(max_examples=30)
@given(forms(), layouts)
def test_sums_and_their_transposes(form, layout):
    """Of small whole numbers every sum is exact."""
    x, places, weights, g = (laid(array, layout) for array in form)
    for op, arrays, attributes in (("weigh_taps", (x, places, weights), {}), ("dot_taps", (x, g, places), {}),
                                   ("spread_taps", (g, places, weights), {"extent": x.shape[2]})):
        actual, expected = compute(PLANS, op, *arrays, **attributes)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("place", [-1, 5])
def test_a_place_that_is_no_element_is_left_to_the_op(place):
    x, weights, g, places = np.ones((1, 2, 5)), np.ones((1, 4, 3)), np.ones((1, 2, 3)), np.zeros((1, 4, 3), np.int64)
    calls = {"weigh_taps": (x, places, weights), "dot_taps": (x, g, places), "spread_taps": (g, places, weights)}
    for wrong in (False, True):
        places[0, 2, 1] = place if wrong else 0
        for op, arrays in calls.items():
            found = KERNELS[op](*arrays, **({"extent": 5} if op == "spread_taps" else {}))
            assert (found is NotImplemented) == wrong
