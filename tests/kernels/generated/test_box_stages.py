"""Suppression of boxes natively: what the definition says, box by box, duplicates, empty boxes, NaNs and threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import compute, eager, laid, layouts, planned

from tensorlite.kernels.cpu.box_stages import PLANS

THRESHOLDS = [0.0, 0.3, 0.5, 1 / 3, 0.7, 1.0]


def overlap(a, b):
    """The part of what two boxes cover together that both cover, in the boxes' own precision; NaN of nothing."""
    width, height = (max(0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    common = width * height
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    with np.errstate(all="ignore"):
        return a.dtype.type(common) / (areas[0] + areas[1] - a.dtype.type(common))


def by_definition(boxes, order, groups, threshold):
    """Whether each box, in order, stays."""
    kept = []
    for box in order:
        rivals = [other for other in kept if groups[other] == groups[box]]
        if not any(float(overlap(boxes[other], boxes[box])) > threshold for other in rivals):
            kept.append(box)
    return np.isin(order, kept)


@st.composite
def scenes(draw):
    """Boxes on a grid, so that many are equal, touch, or have no area."""
    n, extent = draw(st.sampled_from([0, 1, 2, 7, 40, 90])), draw(st.sampled_from([3, 12, 60]))
    chooser = np.random.default_rng(draw(st.integers(0, 99)))
    corners, sizes = chooser.integers(0, extent, (n, 2)), chooser.integers(0, 9, (n, 2))
    boxes = np.concatenate([corners, corners + sizes], 1).astype(draw(st.sampled_from(["float32", "float64"])))
    return boxes, chooser.permutation(n), chooser.integers(0, draw(st.sampled_from([1, 3])), n)


@given(scenes(), st.sampled_from(THRESHOLDS), layouts)
def test_suppression(scene, threshold, layout):
    actual, expected = compute(PLANS, "unsuppressed", *(laid(x, layout) for x in scene), threshold=threshold)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(actual, by_definition(*scene, threshold))


@pytest.mark.parametrize("extent", [10, 100, 3000])
def test_many_batches(extent):
    chooser = np.random.default_rng(extent)
    corners = chooser.uniform(0, extent, (1500, 2))
    boxes = np.concatenate([corners, corners + chooser.uniform(0, 30, corners.shape)], 1).astype(np.float32)
    order, groups = chooser.permutation(1500), chooser.integers(0, 2, 1500)
    actual, expected = compute(PLANS, "unsuppressed", boxes, order, groups, threshold=0.4)
    np.testing.assert_array_equal(actual, expected)
    assert 0 < actual.sum() < 1500


def test_boxes_that_are_no_numbers_suppress_nothing():
    boxes = np.array([[0, 0, np.nan, 9], [0, 0, 9, 9], [0, 0, 9, 9], [np.inf, 0, np.inf, 9], [9, 9, 0, 0]], np.float32)
    actual, _ = compute(PLANS, "unsuppressed", boxes, np.arange(5), np.zeros(5, np.int64), threshold=0.5)
    assert actual.tolist() == [True, True, False, True, True]


def test_the_threshold_is_compared_in_double_precision():
    """One third in float32 is more than one third in float64, which torchvision takes it to be."""
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1]], np.float32)
    for threshold, kept in ((1 / 3, [True, False]), (float(np.float32(1 / 3)), [True, True])):
        actual, _ = compute(PLANS, "unsuppressed", boxes, np.arange(2), np.zeros(2, np.int64), threshold=threshold)
        assert actual.tolist() == kept


def test_what_has_no_native_form():
    for floats, integers in ((np.float16, np.int64), (np.float32, np.int32)):
        inputs = [np.zeros((3, 4), floats), np.arange(3, dtype=integers), np.zeros(3, np.int64)]
        expected = eager("unsuppressed", *inputs, threshold=0.5)
        assert expected.tolist() == [True] * 3
        assert planned(PLANS["unsuppressed"], inputs, expected, threshold=0.5) is None
