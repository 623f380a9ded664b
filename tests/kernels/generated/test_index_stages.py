"""Reading and writing at places by native loops is what the ops' own bodies do; a place outside its axis is a fault."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planned import assert_equal, compute, eager, interpret, laid, layouts, planned, run

from tensorlite.errors import IndexingError
from tensorlite.kernels.cpu.index_stages import PLANS

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
MOVED = [*map(np.dtype, ("bool", "float16", "float32", "complex64"))]
ADDED = [*map(np.dtype, ("int8", "uint32", "float32", "float64")), BFLOAT16]
moved, added = st.sampled_from(MOVED), st.sampled_from(ADDED)
index_dtypes = st.sampled_from([np.int64, np.int64, np.uint8])
extents = st.sampled_from([0, 1, 2, 3, 5, 16, 17, 33])
positive = st.sampled_from([1, 2, 3, 7, 16, 33])
seeds = st.integers(0, 1000)
ARRAY = "array"


def numbers(dtype, shape, seed):
    """Small integers: sums of them are exact whatever their order."""
    return np.asarray(np.random.default_rng(seed).integers(0, 9, shape)).astype(dtype)


def places(size, shape, dtype, seed, low=0):
    return np.asarray(np.random.default_rng(seed + 1).integers(low, size, shape)).astype(dtype)


def check(op, *inputs, **attributes):
    assert_equal(*compute(PLANS, op, *inputs, **attributes))


# Classes


@st.composite
def targets(draw):
    """Scores with an axis of classes, and targets some of which are ignored."""
    shape = draw(st.lists(extents, max_size=3).map(tuple))
    classes, axis = draw(positive), draw(st.integers(0, len(shape)))
    ignore = draw(st.sampled_from([-100, 0, 1, classes + 5]))
    target = places(classes, shape, draw(st.sampled_from([np.int64, np.int32, np.int16])), draw(seeds))
    target[np.random.default_rng(draw(seeds)).random(shape) < 0.2] = ignore
    return shape, classes, axis, ignore, np.asarray(target)


@settings(max_examples=60)
@given(targets(), moved, layouts, seeds)
def test_classes(drawn, dtype, layout, seed):
    shape, classes, axis, ignore, target = drawn
    x = laid(numbers(dtype, (*shape[:axis], classes, *shape[axis:]), seed), layout)
    check("pick_class", x, laid(target, layout), axis=axis, ignore=ignore)
    g = laid(numbers(dtype, shape, seed), layout)
    check("place_class", g, laid(target, layout), axis=axis, ignore=ignore, classes=classes)


@given(targets(), st.sampled_from([np.float32, np.float64, np.float16]), layouts, seeds)
def test_weights(drawn, dtype, layout, seed):
    _, classes, _, ignore, target = drawn
    options = {"ignore": ignore, "classes": classes, "dtype": np.dtype(dtype)}
    check("class_weights", laid(target, layout), **options)
    check("class_weights", laid(target, layout), numbers(np.float32, (classes,), seed), **options)


@given(st.lists(extents, max_size=2).map(tuple), positive, index_dtypes, layouts, seeds)
def test_one_hot(shape, classes, dtype, layout, seed):
    check("one_hot", laid(places(classes, shape, dtype, seed), layout), classes=classes)


# Along an axis


@st.composite
def tables(draw):
    """An array, an axis of it, and the shape of an index."""
    lists = [draw(st.lists(extents, max_size=2).map(tuple)) for _ in range(3)]
    assume(np.prod([*lists[0], *lists[1], *lists[2]]) < 20_000)
    return (*lists[0], draw(positive), *lists[1]), len(lists[0]), lists[2]


@settings(max_examples=60)
@given(tables(), moved, index_dtypes, layouts, seeds)
def test_rows_are_taken(table, dtype, index_dtype, layout, seed):
    shape, axis, named = table
    at = laid(places(shape[axis], named, index_dtype, seed), layout)
    check("take_rows", laid(numbers(dtype, shape, seed), layout), at, axis=axis)


@settings(max_examples=60)
@given(tables(), added, index_dtypes, layouts, seeds)
def test_rows_are_added(table, dtype, index_dtype, layout, seed):
    shape, axis, named = table
    at = laid(places(shape[axis], named, index_dtype, seed), layout)
    g = laid(numbers(dtype, (*shape[:axis], *named, *shape[axis + 1 :]), seed), layout)
    check("add_rows", g, at, axis=axis, size=shape[axis])


@st.composite
def smaller(draw):
    """An array, an axis of it, and the shape of an index that is at most as large along the others."""
    shape, axis, _ = draw(tables())
    named = [draw(st.integers(0, n)) if draw(st.booleans()) else n for n in shape]
    named[axis] = draw(extents)
    return shape, axis, tuple(named)


@settings(max_examples=60)
@given(smaller(), moved, index_dtypes, layouts, seeds)
def test_elements_along_an_axis(table, dtype, index_dtype, layout, seed):
    shape, axis, named = table
    x = laid(numbers(dtype, shape, seed), layout)
    at = laid(places(shape[axis], named, index_dtype, seed), layout)
    check("gather", x, at, axis=axis)
    source = numbers(dtype, tuple(n + 1 for n in named), seed + 1)
    if dtype.kind != "c":  # NumPy goes backwards through what lies backwards, and then the first one stays
        check("scatter", x, source, np.ascontiguousarray(at), axis=axis)


@settings(max_examples=60)
@given(smaller(), added, index_dtypes, layouts, seeds)
def test_elements_are_added_along_an_axis(table, dtype, index_dtype, layout, seed):
    shape, axis, named = table
    at = laid(places(shape[axis], named, index_dtype, seed), layout)
    g = laid(numbers(dtype, named, seed), layout)
    check("scatter_new", g, at, axis=axis, shape=shape)
    source = laid(numbers(dtype, tuple(n + 1 for n in named), seed + 1), layout)
    check("scatter_add", laid(numbers(dtype, shape, seed), layout), source, at, axis=axis)


def test_sums_are_taken_in_the_order_of_the_index():
    """Not only for exact numbers: bits are those of one addition after the other, in float32 for narrow dtypes."""
    rng = np.random.default_rng(3)
    at = rng.integers(0, 5, 400)
    for dtype in (np.float32, np.float16):
        g = rng.normal(size=(400, 37)).astype(dtype)
        expected = np.zeros((5, 37), np.float32)
        for row, place in zip(g, at, strict=True):
            expected[place] += row
        actual, _ = run(planned(PLANS["add_rows"], [g, at], g[:5], axis=0, size=5), [g, at], g[:5])
        np.testing.assert_array_equal(actual, expected.astype(dtype))


SIGNED = st.sampled_from([np.int64, np.int8, np.uint16])


@given(st.lists(extents, max_size=3).map(tuple), positive, SIGNED, layouts, seeds)
def test_places_from_the_end(shape, extent, dtype, layout, seed):
    at = laid(places(extent, shape, dtype, seed, -extent if np.dtype(dtype).kind == "i" else 0), layout)
    check("from_the_front", at, axis=0, extent=extent)


# Indices of arrays and slices


SPECS = [
    ((ARRAY,), [(3,)]),
    ((ARRAY, ARRAY), [(2, 1), (3,)]),
    ((..., ARRAY), [(4,)]),
    ((slice(None), ARRAY), [(2, 3)]),
    ((slice(1, None, 2), ARRAY, None), [()]),
    ((ARRAY, slice(None, None, -1), ARRAY), [(5,), (5,)]),
    ((None, ARRAY, ..., ARRAY), [(2,), (1,)]),
    ((ARRAY, None, ARRAY), [(2,), (2,)]),
    ((ARRAY, ..., ARRAY, ARRAY), [(2,), (2,), (2,)]),
    ((ARRAY, ARRAY, ARRAY), [(9,), (9,), (9,)]),
    ((slice(0, 0), ARRAY), [(2,)]),
    ((ARRAY,), [(0,)]),
    ((0, ARRAY), [(3,)]),
    ((-1, slice(None), ARRAY), [(3, 2)]),
    ((slice(None), 0, ARRAY), [(3,)]),
    ((ARRAY, None, 0), [(4,)]),
]


@settings(max_examples=80)
@given(st.sampled_from(SPECS), st.tuples(positive, positive, positive), added, layouts, seeds)
def test_advanced_indices(drawn, shape, dtype, layout, seed):
    spec, shapes = drawn
    axes = [part for part in spec if part is not None]
    if Ellipsis in axes:
        k = axes.index(Ellipsis)
        axes[k : k + 1] = [slice(None)] * (len(shape) - len(axes) + 1)
    named = [n for n, part in zip(shape, axes, strict=False) if isinstance(part, str)]
    at = [laid(places(n, own, np.int64, seed, -n), layout) for n, own in zip(named, shapes, strict=True)]
    x = laid(numbers(dtype, shape, seed), layout)
    check("take_at", x, *at, spec=spec)
    region = eager("take_at", x, *at, spec=spec).shape
    check("put_add", laid(numbers(dtype, region, seed), layout), *at, spec=spec, shape=shape)
    at = [np.ascontiguousarray(x).reshape(x.shape) for x in at]  # see above
    check("set_at", x, numbers(dtype, region, seed + 1), *at, spec=spec)
    check("set_at", x, numbers(dtype, (), seed + 2), *at, spec=spec)
    check("set_at", x, numbers(dtype, (1, *region[-1:]), seed + 2), *at, spec=spec)


@given(st.tuples(extents, positive), moved, layouts, seeds)
def test_parts_are_replaced(shape, dtype, layout, seed):
    x = laid(numbers(dtype, shape, seed), layout)
    for spec in ((slice(1, None, 2),), (..., -1), (None, slice(None), slice(None, None, -1)), (Ellipsis,)):
        region = x[spec].shape
        check("set_at", x, laid(numbers(dtype, region, seed), layout), spec=spec)
        check("set_at", x, numbers(dtype, (1, 1), seed), spec=spec)


def test_what_has_no_native_form():
    """Bools in a spec, sums of complex numbers and bools, places in an axis of no extent."""
    x, at = np.zeros((3, 4), np.float32), np.zeros(2, np.int64)
    assert planned(PLANS["take_at"], [x, at], x[None, at], spec=("yes", ARRAY)) is None
    assert planned(PLANS["add_rows"], [x[:2] + 0j, at], x + 0j, axis=0, size=3) is None
    assert planned(PLANS["add_rows"], [x[:2] > 0, at], x > 0, axis=0, size=3) is None
    assert planned(PLANS["take_rows"], [x[:0], at], x[:2], axis=0) is None


# Faults


X = np.arange(12, dtype=np.float32).reshape(3, 4)
FAULTS = {
    "take_rows": ((X, [0, 3]), {"axis": 0}, X[:2]),
    "take_rows of columns": ((X, [0, -1]), {"axis": 1}, X[:, :2]),
    "gather": ((X, [[0, 1], [4, 0], [0, 0]]), {"axis": 1}, X[:, :2]),
    "add_rows": ((X, [0, 1, 5]), {"axis": 0, "size": 3}, X),
    "scatter_new": ((X, np.full((3, 4), 3)), {"axis": 0, "shape": (3, 4)}, X),
    "scatter_add": ((X, X, np.full((3, 4), -1)), {"axis": 0}, X),
    "scatter": ((X, X, np.full((1, 2), 2**40)), {"axis": 1}, X),
    "take_at": ((X, [0, -4]), {"spec": (ARRAY,)}, X[:2]),
    "put_add": ((X, [2, 0, 3]), {"spec": (ARRAY,), "shape": (3, 4)}, X),
    "set_at": ((X, X[0], [3]), {"spec": (ARRAY,)}, X),
    "pick_class": ((X, [0, 4, 1]), {"axis": 1, "ignore": -100}, X[:, 0]),
    "place_class": ((X[:, 0], [0, 4, 1]), {"axis": 1, "ignore": 0, "classes": 4}, X),
    "class_weights": (([0, -3],), {"ignore": -100, "classes": 4, "dtype": X.dtype}, X[0, :2]),
    "one_hot": (([0, 4],), {"classes": 4}, np.zeros((2, 4), np.int64)),
    "from_the_front": (([0, -5],), {"axis": 0, "extent": 4}, np.zeros(2, np.int64)),
}


@pytest.mark.parametrize("case", FAULTS)
def test_places_outside_are_faults(case):
    """Where the body raises; nothing else is read or written, and great unsigned numbers are not negative ones."""
    inputs, attributes, like = FAULTS[case]
    inputs = [np.asarray(x) for x in inputs]
    op = case.partition(" ")[0]
    with pytest.raises((IndexingError, IndexError)):
        eager(op, *inputs, **attributes)
    _, fault = run(planned(PLANS[op], inputs, like, **attributes), inputs, like)
    assert fault
    for beyond in (2**63, 2**64 - 1):
        huge = [np.where(np.arange(x.size) == 0, beyond, 0).astype(np.uint64).reshape(x.shape)
                if x.dtype == np.int64 else x for x in inputs]  # fmt: skip
        assert run(planned(PLANS[op], huge, like, **attributes), huge, like)[1]


def test_the_loops_mean_that():
    x, at = X.copy(), np.array([2, 0, 2])
    cases = [
        ("take_rows", (x, at), {"axis": 1}),
        ("add_rows", (x, at), {"axis": 0, "size": 4}),
        ("scatter_new", (x, np.array([[0, 1, 0, 1], [1, 1, 0, 0]])), {"axis": 0, "shape": (2, 4)}),
        ("pick_class", (x, at), {"axis": 1, "ignore": 2}),
        ("place_class", (x[:, 0].copy(), at), {"axis": 1, "ignore": -1, "classes": 3}),
        ("class_weights", (at,), {"ignore": 0, "classes": 3, "dtype": x.dtype}),
        ("set_at", (x, x[0].copy(), at[:1]), {"spec": (ARRAY,)}),
        ("one_hot", (at,), {"classes": 5}),
    ]
    for op, inputs, attributes in cases:
        expected = eager(op, *inputs, **attributes)
        out = np.ones_like(expected)
        interpret(planned(PLANS[op], inputs, expected, **attributes), [*inputs, out])
        assert_equal(out, expected)
