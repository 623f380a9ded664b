"""Sorting, choosing and searching natively: what NumPy's stable sort says, ties, zeros, NaNs and layouts included."""

from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from guarded import Guarded
from hypothesis import given
from hypothesis import strategies as st
from planned import assert_equal, eager, laid, layouts, planned

from tensorlite.kernels.cpu import extreme_stages, order_stages, stages

PLANS = order_stages.PLANS | extreme_stages.PLANS
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", BFLOAT16,
          "float32", "float64"]  # fmt: skip
KINDS = ["random", "ties", "special", "equal", "rising", "falling"]
dtypes, kinds = st.sampled_from(DTYPES), st.sampled_from(KINDS)
lengths = st.sampled_from([1, 2, 3, 5, 17, 48, 49, 64, 65, 97, 130, 257, 300, 1031])
outer = st.lists(st.sampled_from([1, 2, 3, 5]), max_size=3)
orders = st.booleans()


def elements(shape, dtype, kind, seed=0):
    """Numbers of a dtype, with what makes sorting hard."""
    dtype, chooser, size = np.dtype(dtype), np.random.default_rng(seed), int(np.prod(shape))
    if dtype.kind in "iu" and kind in ("random", "special"):
        limits = np.iinfo(dtype)
        return chooser.integers(limits.min, limits.max, size, dtype, endpoint=True).reshape(shape)
    x = chooser.standard_normal(size) * {"ties": 2, "equal": 0}.get(kind, 50)
    x = np.round(np.abs(x)) if kind == "ties" or dtype.kind in "iub" else x
    if kind in ("rising", "falling"):
        x = np.sort(x)[:: 1 if kind == "rising" else -1]
    if kind == "special" and dtype.kind not in "b":
        x[::3], x[1::4], x[2::5], x[3::7], x[4::9], x[5::8] = 0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40
        x = np.copysign(x, chooser.standard_normal(size))  # NaNs of both signs
    return x.astype(dtype).reshape(shape)


def run(plan, inputs, like):
    """The output of a plan, by 1, 2 and 4 threads, which must not differ; nothing around the scratch is touched."""
    copies, results = [x.copy() for x in inputs], []
    for threads in (1, 2, 4):
        out = Guarded(np.ones(like.shape, like.dtype))
        scratch = [Guarded(np.full(size, 77, np.uint8)) for size in plan.scratch]
        stages.run(replace(plan, scratch=()), [*inputs, out.array, *(one.array for one in scratch)], threads)
        for one in (out, *scratch):
            one.check()
        results.append(out.array)
    assert all(x.tobytes() == copy.tobytes() for x, copy in zip(inputs, copies, strict=True))
    assert all(results[0].tobytes() == other.tobytes() for other in results[1:]), "bits depend on the threads"
    return results[0]


def check(op, *inputs, **attributes):
    expected = eager(op, *inputs, **attributes)
    plan = planned(PLANS[op], inputs, expected, **attributes)
    assert plan is not None
    found = run(plan, inputs, expected)
    assert_equal(found, expected)
    return found


@st.composite
def rows(draw, shortest=1):
    """An array of one to four dimensions, laid in any way, and the axis to sort."""
    shape = draw(outer)
    axis = draw(st.integers(0, len(shape)))
    shape.insert(axis, draw(lengths.filter(lambda n: n >= shortest)))
    x = elements(shape, draw(dtypes), draw(kinds), draw(st.integers(0, 9)))
    return laid(x, draw(layouts)), axis


@given(rows(), orders)
def test_argsort(case, descending):
    x, axis = case
    check("argsort", x, axis=axis, descending=descending, stable=True)


@given(rows(), orders)
def test_sort(case, descending):
    x, axis = case
    found = check("sort", x, axis=axis, descending=descending, stable=True)
    if x.dtype.kind in "fV":  # zeros keep their order
        order = eager("argsort", x, axis=axis, descending=descending, stable=True)
        expected = np.take_along_axis(x, order, axis)
        numbers = expected == expected
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


@given(rows(), orders, st.data())
def test_first(case, descending, data):
    x, axis = case
    k = data.draw(st.sampled_from([0, 1, 2, 5, 24, 25, 100, x.shape[axis]]).filter(lambda k: k <= x.shape[axis]))
    check("first", x, axis=axis, k=k, descending=descending)


@given(rows(), st.sampled_from(["argmax", "argmin"]), st.booleans(), st.booleans())
def test_places_of_extremes(case, op, keepdims, of_all):
    x, axis = case
    if x.dtype == BFLOAT16:  # NumPy does not know its NaNs
        x = np.where(x == x, x, BFLOAT16.type(1))
    check(op, x, axis=None if of_all else axis, keepdims=keepdims)


@given(st.sampled_from([0, 1, 2, 7, 100, 257]), st.sampled_from([(0,), (1,), (300,), (3, 5), (2, 17, 3)]), dtypes,
       kinds, layouts, st.sampled_from(["left", "right"]))  # fmt: skip
def test_searchsorted(n, shape, dtype, kind, layout, side):
    table = elements((n,), dtype, kind)
    order = eager("argsort", table, axis=0, descending=False, stable=True)
    check("searchsorted", laid(table[order], layout), laid(elements(shape, dtype, kind, 1), layout), side=side)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int8", "int32", "float32", "float64", BFLOAT16], ids=str)
def test_long_rows_sorted_by_all_threads(dtype, kind):
    for shape, axis in (((1 << 16,), 0), ((70_001, 2), 0), ((2, 150_000), 1)):
        x = elements(shape, dtype, kind)
        check("argsort", x, axis=axis, descending=False, stable=True)
        check("sort", x, axis=axis, descending=True, stable=True)
        check("first", x, axis=axis, k=1000, descending=True)


@pytest.mark.parametrize("op", ["argsort", "sort"])
def test_more_dimensions_than_rows_have_are_copied_first(op):
    x = elements((3, 4, 3, 2, 65), "float32", "random")[::2, ::3, ::2, ::1, ::2].transpose(3, 1, 0, 4, 2)
    plan = planned(PLANS[op], [x], np.empty(x.shape, np.int64 if op == "argsort" else x.dtype), axis=3,
                   descending=False, stable=True)  # fmt: skip
    assert len(plan.stages) == 2
    check(op, x, axis=3, descending=False, stable=True)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("argsort", [np.zeros(9, np.complex64)], {"axis": 0, "descending": False, "stable": True}),
        ("sort", [np.zeros(9, np.complex128)], {"axis": 0, "descending": False, "stable": True}),
        ("first", [np.zeros(9, np.complex64)], {"axis": 0, "k": 2, "descending": False}),
        ("argmax", [np.zeros(9, np.complex64)], {"axis": None, "keepdims": False}),
        ("searchsorted", [np.zeros(9, np.complex64)] * 2, {"side": "left"}),
        ("searchsorted", [np.zeros(9, np.float32), np.zeros(9)], {"side": "left"}),
    ],
)
def test_what_has_no_native_form(op, inputs, attributes):
    expected = eager(op, *inputs, **attributes)
    assert planned(PLANS[op], inputs, expected, **attributes) is None
