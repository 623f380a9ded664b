"""Sorting, searching and sets: order, stability, NaN and the standard's names of fields."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import LAYOUTS, lay_out, seeded, values
from tolerance import assert_same

import tensorlite as tl
from tensorlite.tensor_type import DTYPES, FLOATS

ORDERED = [dtype for dtype in DTYPES if dtype.kind != "c"]
by_dtype = pytest.mark.parametrize("dtype", ORDERED, ids=lambda d: d.name)
by_order = pytest.mark.parametrize("descending", [False, True])


def wide(x: np.ndarray) -> np.ndarray:
    """The numbers in a dtype that NumPy sorts well."""
    return x if x.dtype.kind in "biu" else x.astype(np.float64)


def stable_order(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """The positions in order, of equal ones the first first; a NaN counts as the largest."""
    ranks = np.unique(wide(x), return_inverse=True)[1].reshape(x.shape)
    return np.argsort(-ranks if descending else ranks, axis=axis, kind="stable")


@by_dtype
@by_order
def test_sort_and_argsort(dtype, descending):
    for shape in [(1,), (7,), (5, 4), (2, 3, 4), (0,), (2, 0)]:
        x = values(seeded(dtype.name, shape), shape, dtype)  # integers and bools repeat
        for axis in range(-len(shape), len(shape)):
            order = stable_order(x, axis, descending)
            t = tl.asarray(x)
            assert_same(tl.argsort(t, axis=axis, descending=descending), order)
            for stable in (True, False):
                assert_same(tl.sort(t, axis=axis, descending=descending, stable=stable),
                            np.take_along_axis(x, order, axis))
                any_order = tl.argsort(t, axis=axis, descending=descending, stable=stable)
                assert_same(tl.take_along_axis(t, any_order, axis=axis), np.take_along_axis(x, order, axis))


@by_order
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sort_of_strided_input(layout, descending):
    x = lay_out(values(seeded(descending), (5, 4), tl.int32), layout)
    for axis in (0, 1):
        assert_same(tl.argsort(tl.asarray(x), axis=axis, descending=descending), stable_order(x, axis, descending))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.name)
def test_nan_counts_as_the_largest(dtype):
    x = tl.tensor([2.0, np.nan, -np.inf, 1.0, np.nan, np.inf], dtype=dtype)
    assert tl.argsort(x).tolist() == [2, 3, 0, 5, 1, 4]
    assert tl.argsort(x, descending=True).tolist() == [1, 4, 5, 0, 3, 2]
    assert_same(tl.sort(x), np.array([-np.inf, 1, 2, np.inf, np.nan, np.nan], dtype))
    assert_same(tl.sort(x, descending=True), np.array([np.nan, np.nan, np.inf, 2, 1, -np.inf], dtype))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.name)
def test_zeros_of_both_signs_are_equal(dtype):
    x = tl.tensor([0.0, -0.0, 0.0], dtype=dtype)
    assert np.signbit(wide(tl.sort(x).numpy())).tolist() == [False, True, False]
    assert tl.argsort(x, descending=True).tolist() == [0, 1, 2]
    assert tl.unique_counts(x).counts.tolist() == [3]


def test_sort_of_the_extreme_integers():
    x = tl.tensor([0, 2**63 - 1, -2**63])
    assert tl.argsort(x, descending=True).tolist() == [1, 0, 2]
    assert tl.argsort(tl.tensor([0, 255, 3], dtype=tl.uint8), descending=True).tolist() == [1, 2, 0]


@by_dtype
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(dtype, side):
    x1 = values(seeded(dtype.name), (7,), dtype)
    x2 = np.concatenate([x1[:3], values(seeded(dtype.name, 2), (3,), dtype)]).reshape(2, 3)
    order = stable_order(x1, 0, False)
    expected = np.searchsorted(wide(x1[order]), wide(x2), side=side)
    assert_same(tl.searchsorted(tl.asarray(x1[order]), tl.asarray(x2), side=side), expected)
    assert_same(tl.searchsorted(tl.asarray(x1), tl.asarray(x2), side=side, sorter=tl.asarray(order)), expected)


def test_searchsorted_of_nothing_and_of_0d():
    empty = tl.zeros((0,))
    assert tl.searchsorted(empty, tl.ones((2,))).tolist() == [0, 0]
    assert tl.searchsorted(tl.ones((2,)), empty).shape == (0,)
    assert tl.searchsorted(tl.tensor([1, 3]), tl.tensor(2)).item() == 1
    assert tl.searchsorted(tl.tensor([1, 3]), tl.tensor([1.5, 3.5])).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_unique(dtype):
    for shape in [(), (1,), (9,), (3, 4), (0,), (2, 0)]:
        x = values(seeded(dtype.name, shape), shape, dtype)
        t = tl.asarray(x)
        everything = tl.unique_all(t)
        assert everything._fields == ("values", "indices", "inverse_indices", "counts")
        widened = x if dtype.kind in "biuc" else x.astype(np.float64)
        found, indices, inverse, counts = np.unique(widened, True, True, True)
        assert_same(everything.values, found.astype(dtype))
        assert_same(everything.indices, indices)
        assert_same(everything.inverse_indices, inverse.reshape(shape))
        assert_same(everything.counts, counts)
        assert_same(tl.unique_values(t), found.astype(dtype))
        assert tl.unique_counts(t)._fields == ("values", "counts")
        assert_same(tl.unique_counts(t).counts, counts)
        assert tl.unique_inverse(t)._fields == ("values", "inverse_indices")
        assert_same(tl.unique_inverse(t).inverse_indices, inverse.reshape(shape))
        assert_same(everything.values[everything.inverse_indices], x)


@pytest.mark.parametrize("dtype", [*FLOATS, tl.complex64], ids=lambda d: d.name)
def test_every_nan_is_different(dtype):
    x = tl.tensor([np.nan, 1.0, np.nan, 1.0], dtype=dtype)
    values, indices, inverse, counts = tl.unique_all(x)
    assert np.isnan(values.numpy()).tolist() == [False, True, True]
    assert (indices.tolist(), inverse.tolist(), counts.tolist()) == ([1, 0, 2], [1, 0, 2, 0], [2, 1, 1])


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_nonzero(dtype):
    for shape in [(5,), (3, 4), (2, 3, 2), (0,), (2, 0)]:
        x = values(seeded(dtype.name, shape), shape, dtype) * np.asarray(values(seeded(shape), shape, tl.bool), dtype)
        expected = np.nonzero(x)
        result = tl.nonzero(tl.asarray(x))
        assert len(result) == len(expected)
        for ours, numpys in zip(result, expected, strict=True):
            assert_same(ours, numpys)


TAKEN = [np.array([0, 2, 2]), np.array([-1, -3]), np.array([], np.int64), np.array([1], np.uint8),
         np.array([[0, 1], [2, -1]])]


@pytest.mark.parametrize("indices", TAKEN, ids=str)
def test_take(indices):
    x = np.arange(36.0).reshape(3, 4, 3)
    for axis in (0, 1, 2, -1):
        assert_same(tl.take(tl.asarray(x), tl.asarray(indices), axis=axis), np.take(x, indices, axis))
    assert_same(tl.take(tl.asarray(x[0, 0]), tl.asarray(indices)), np.take(x[0, 0], indices))


@pytest.mark.parametrize(("shape", "indices_shape", "axis"), [
    ((5,), (3,), 0), ((3, 4), (3, 2), 1), ((3, 4), (2, 4), 0), ((3, 4), (1, 6), -1), ((1, 4), (3, 2), -1),
    ((3, 4), (5, 1), 0), ((2, 3, 4), (2, 5, 4), 1), ((3, 4), (3, 0), 1)], ids=str)
def test_take_along_axis(shape, indices_shape, axis):
    x = np.arange(float(np.prod(shape))).reshape(shape)
    extent = shape[axis]
    indices = seeded(shape, indices_shape).integers(-extent, extent, indices_shape)
    assert_same(tl.take_along_axis(tl.asarray(x), tl.asarray(indices), axis=axis), np.take_along_axis(x, indices, axis))


# --- the largest, and boxes ---------------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("largest", [True, False])
def test_topk(dtype, largest):
    for shape in [(1,), (7,), (5, 4), (2, 3, 4), (300, 40)]:
        x = values(seeded(dtype.name, shape), shape, dtype)  # integers and bools repeat: the first ones are taken
        for axis in range(-len(shape), len(shape)):
            order = stable_order(x, axis, largest)
            for k in {0, 1, shape[axis] // 2, shape[axis]}:
                found = tl.topk(tl.asarray(x), k, axis, largest=largest)
                expected = np.take(order, np.arange(k), axis)
                assert_same(found.indices, expected)
                assert_same(found.values, np.take_along_axis(x, expected, axis))


def test_topk_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x = seeded("topk").standard_normal((64, 500)).astype(np.float32)
    x[::3, 7], x[::5, 9], x[::7, 11] = np.nan, np.inf, -np.inf
    for largest in (True, False):
        for k in (1, 10, 200):
            found = tl.topk(tl.asarray(x), k, largest=largest)
            theirs = torch.topk(torch.from_numpy(x), k, largest=largest)
            assert_same(found.values, theirs.values.numpy())
            assert_same(found.indices, theirs.indices.numpy())


def test_the_derivative_of_topk_goes_to_the_elements_taken():
    x = tl.tensor([[1.0, 4.0, 3.0], [2.0, 5.0, 0.0]], requires_grad=True)
    (tl.topk(x, 2).values * tl.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 10.0], [10.0, 1.0, 0.0]]


def test_compiled_sorting_runs_without_python():
    x = tl.asarray(values(seeded("compiled"), (40, 70), np.dtype(np.float32)))
    keys = tl.sort(x[0])

    def everything(x):
        return [*tl.topk(x, 5, axis=0), tl.sort(x, descending=True), tl.argsort(x, axis=0), tl.argmax(x),
                tl.argmin(x, axis=1), tl.searchsorted(keys, x), tl.count_nonzero(x, axis=1),
                tl.cumulative_prod(x, axis=1)]

    jitted = tl.jit(everything)
    for y, z in zip(jitted(x), everything(x), strict=True):
        assert_same(y, z)
    assert "0 Python edges" in str(jitted.explain())


def test_nms_by_hand():
    boxes = tl.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10], [5, 5, 5, 5.0]])
    scores = tl.tensor([0.8, 0.9, 0.5, 0.8, 0.1])
    assert tl.nms(boxes, scores, 0.5).tolist() == [1, 2, 4]
    assert tl.nms(boxes, scores, 0.85).tolist() == [1, 0, 2, 4]  # of equal boxes and scores the first one stays
    assert tl.nms(boxes, scores, 1.0).tolist() == [1, 0, 3, 2, 4]
    assert tl.batched_nms(boxes, scores, tl.tensor([0, 1, 0, 2, 0]), 0.5).tolist() == [1, 0, 3, 2, 4]
    for dtype in (tl.float16, tl.bfloat16, tl.float64):
        assert tl.nms(tl.astype(boxes, dtype), tl.astype(scores, dtype), 0.5).tolist() == [1, 2, 4]
    assert tl.nms(tl.zeros((0, 4)), tl.zeros(0), 0.5).shape == (0,)


@pytest.mark.parametrize("n", [3, 100, 700])
def test_nms_suppresses_what_overlaps_and_nothing_else(n):
    random = seeded("nms", n)
    corners = random.integers(0, 40, (n, 2))
    boxes = np.concatenate([corners, corners + random.integers(0, 20, (n, 2))], 1).astype(np.float32)
    scores = np.round(random.random(n), 1).astype(np.float32)  # many ties
    kept = tl.nms(tl.asarray(boxes), tl.asarray(scores), 1 / np.pi).numpy()  # no overlap is just that

    def overlap(a, b):
        width, height = (max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
        union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - width * height
        return width * height / union if union else 0.0

    order = np.argsort(-scores, kind="stable").tolist()
    expected = []
    for i in order:
        if all(overlap(boxes[j].astype(float), boxes[i].astype(float)) <= 1 / np.pi for j in expected):
            expected.append(i)
    assert kept.tolist() == expected
