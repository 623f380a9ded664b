"""Copies, parts and joins by native loops are those of the ops' own bodies, bit for bit, for arrays of every layout."""

from __future__ import annotations

import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import assert_equal, compute, eager, extents, interpret, laid, layouts, planned

from tensorlite.kernels.cpu.movement_stages import PLANS
from tensorlite.kernels.cpu.scan_stages import PLANS as SCANS

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [*map(np.dtype, ("bool", "int8", "uint16", "float16", "int32", "float32", "uint64", "float64")), BFLOAT16]
COMPLEX = [np.dtype(np.complex64), np.dtype(np.complex128)]
dtypes = st.sampled_from([*DTYPES, *COMPLEX])
shapes = st.lists(extents, max_size=4).map(tuple).filter(lambda shape: np.prod(shape) < 1e5)
matrices = st.tuples(extents, extents, extents)


def numbers(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 40, shape) + (1j * rng.normal(size=shape) if dtype.kind == "c" else 0)).astype(dtype)


def filled(dtype, shape, layout="contiguous"):
    with warnings.catch_warnings():  # negative numbers as unsigned ones: any will do
        warnings.simplefilter("ignore")
        return laid(numbers(dtype, shape), layout)


def check(op, *inputs, **attributes):
    actual, expected = compute(PLANS, op, *inputs, **attributes)
    assert actual.tobytes() == expected.tobytes()


@settings(max_examples=150)
@given(shapes, dtypes, layouts)
def test_copies(shape, dtype, layout):
    x = filled(dtype, shape, layout)
    check("copy", x)
    check("reshape", x, shape=(x.size,))
    if x.size and x.ndim:
        check("broadcast_to", x[:1], shape=(2, 3, *shape[1:]))
    check("broadcast_to", x[..., None], shape=(*shape, 5))


@pytest.mark.parametrize("source", DTYPES, ids=str)
@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_casts(source, target):
    x = np.abs(numbers(np.dtype(np.float32), (3, 17), 1)).astype(source)
    for layout in ("contiguous", "stepped", "turned"):
        actual, expected = compute(PLANS, "cast", laid(x, layout), dtype=target)
        assert_equal(actual, expected)


@given(matrices, dtypes, layouts, st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_permuted_and_flipped(shape, dtype, layout, axes, flipped):
    x = filled(dtype, shape, layout)
    check("permute_dims", x, axes=tuple(axes))
    check("flip", x, axis=tuple(sorted(flipped)))


def bounds(extent):
    bound = st.one_of(st.none(), st.integers(-extent - 1, extent + 1))
    step = st.one_of(st.none(), st.sampled_from([-3, -2, -1, 1, 2]))
    parts = [st.builds(slice, bound, bound, step), *([st.integers(-extent, extent - 1)] if extent else [])]
    return st.one_of(*parts)


@st.composite
def parts(draw):
    shape = draw(matrices)
    spec = [draw(bounds(n)) for n in shape]
    first, last = sorted((draw(st.integers(0, 3)), draw(st.integers(0, 3))))
    spec[first:last] = [Ellipsis] if last < 3 or draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        spec.insert(draw(st.integers(0, len(spec))), None)
    return shape, tuple(spec)


@settings(max_examples=150)
@given(parts(), dtypes, layouts)
def test_parts(part, dtype, layout):
    shape, spec = part
    x = filled(dtype, shape, layout)
    check("slice", x, spec=spec)
    g = filled(dtype, x[spec].shape, layout)
    if dtype.itemsize <= 8:
        check("unslice", g, spec=spec, shape=shape)


@given(matrices, matrices, dtypes, layouts)
def test_corners(shape, other, dtype, layout):
    small = tuple(map(min, shape, other))
    check("corner_of", filled(dtype, shape, layout), shape=small)
    if dtype.itemsize <= 8:
        check("within", filled(dtype, small, layout), shape=shape)


@given(matrices, st.lists(extents, min_size=1, max_size=4), st.integers(0, 2), dtypes, layouts)
def test_joined(shape, lengths, axis, dtype, layout):
    inputs = [filled(dtype, (*shape[:axis], n, *shape[axis + 1 :]), layout) for n in lengths]
    offsets = tuple(np.cumsum([0, *lengths]).tolist())
    check("concat", *inputs, axis=axis, _offsets=offsets)


@given(matrices, st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2)), max_size=3), dtypes, layouts)
def test_rolled(shape, moves, dtype, layout):
    x = filled(dtype, shape, layout)
    attributes = {"shift": tuple(n for n, _ in moves), "axis": tuple(a for _, a in moves)}
    if planned(PLANS["roll"], [x], x, **attributes) is None:
        assert len({a for _, a in moves}) == 3
    else:
        check("roll", x, **attributes)


@given(shapes, st.sampled_from([*DTYPES, COMPLEX[0]]), st.sampled_from([0, 1, 7, -3, 2.5, 1e30]))
def test_created(shape, dtype, value):
    if dtype.kind in "biu":
        value = abs(int(min(value, 100)))
    check("full", shape=shape, fill_value=value, dtype=dtype)
    check("zeros", shape=shape, dtype=dtype)
    check("zeros_like", filled(dtype, shape))
    assert planned(PLANS["empty"], [], np.zeros(shape, dtype), shape=shape, dtype=dtype) is not None


@given(st.tuples(extents, extents), st.integers(-70, 70), st.sampled_from(DTYPES))
def test_diagonals(shape, k, dtype):
    check("eye", shape=shape, k=max(-shape[0], min(k, shape[1])), dtype=dtype)


@given(st.lists(extents, min_size=2, max_size=3).map(tuple), st.integers(-40, 40), dtypes, layouts)
def test_triangles(shape, k, dtype, layout):
    x = filled(dtype, shape, layout)
    if dtype.itemsize <= 8:
        check("tril", x, k=k)
        check("triu", x, k=k)


ENDS = st.one_of(st.integers(-50, 50), st.sampled_from([0.1, -2.5, 1e9]))


@given(ENDS, ENDS, st.sampled_from([0, 1, 2, 17, 67, 9000]), st.sampled_from(DTYPES))
def test_counted(start, step, count, dtype):
    if dtype.kind in "u" or dtype.kind == "i" and isinstance(start + step, float):
        start, step = abs(start) % 1000, abs(step) % 2  # what a float beyond an integer's range becomes is nobody's
        count = min(count, 67) if dtype.itemsize == 1 else count
    actual, expected = compute(PLANS, "arange", start=start, step=step, count=count, dtype=dtype)
    assert_equal(actual, expected)


def test_what_has_no_native_form():
    x = np.zeros((2, 3, 4), np.complex64)
    assert planned(PLANS["cast"], [x], x.astype(np.complex128), dtype=np.complex128) is None
    assert planned(PLANS["roll"], [x], x, shift=(1, 1, 1), axis=(0, 1, 2)) is None
    assert planned(PLANS["zeros"], [], x.astype(np.complex128), shape=x.shape, dtype=np.complex128) is None


RUNNING = [*map(np.dtype, ("int32", "int64", "float16", "float32", "float64")), BFLOAT16]


@settings(max_examples=80)
@given(shapes.filter(len), st.integers(0, 3), st.sampled_from(RUNNING), layouts)
def test_running_sums_and_products(shape, axis, dtype, layout):
    """Bits are those of NumPy, which goes from element to element too."""
    axis = axis % len(shape)
    x = laid(np.asarray(np.random.default_rng(1).normal(1, 0.3, shape) * (9 if dtype.kind == "i" else 1)), layout)
    x = laid(x.astype(dtype), layout)
    for op in ("cumulative_sum", "cumulative_prod"):
        with np.errstate(all="ignore"):
            assert_equal(*compute(SCANS, op, x, axis=axis))


def test_the_loops_mean_that():
    x = numbers(np.dtype(np.float32), (3, 5))
    cases = [
        ("cast", (x,), {"dtype": np.dtype(np.int16)}),
        ("flip", (x,), {"axis": (0, 1)}),
        ("concat", (x, x), {"axis": 1, "_offsets": (0, 5, 10)}),
        ("unslice", (x[:2],), {"spec": (slice(3, None, -2),), "shape": (4, 5)}),
        ("broadcast_to", (x[:, :1].copy(),), {"shape": (3, 20)}),
        ("tril", (x,), {"k": 1}),
        ("arange", (), {"start": 3, "step": -2, "count": 20, "dtype": np.dtype(np.int16)}),
        ("cumulative_sum", (x,), {"axis": 0}),
        ("cumulative_prod", (x,), {"axis": 1}),
    ]
    for op, inputs, attributes in cases:
        expected = eager(op, *inputs, **attributes)
        out = np.ones_like(expected)
        interpret(planned({**PLANS, **SCANS}[op], inputs, expected, **attributes), [*inputs, out])
        np.testing.assert_array_equal(out, expected)
