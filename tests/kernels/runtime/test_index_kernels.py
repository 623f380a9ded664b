"""Reading and adding at places: against NumPy, against the interpreter, and bit for bit with any number of threads."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tensorlite.kernels import interp
from tensorlite.kernels.cpu import index as kernels
from tensorlite.kernels.cpu import team
from tensorlite.kernels.verify import verify

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
SHAPES = [
    ((300, 400), 0),
    ((300, 400), 1),
    ((7, 30, 513), 1),
    ((70_000,), 0),
    ((5, 70_001), 1),
    ((3, 4, 9000), 2),
    ((2, 9, 17, 300), 2),
]


@pytest.fixture(params=[1, 2, 3])
def _threads(request):
    before = team.get_num_threads()
    team.set_num_threads(request.param)
    yield
    team.set_num_threads(before)


def numbers(shape, dtype, seed=0):
    chooser = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "b":
        return chooser.random(shape) < 0.5
    return (chooser.standard_normal(shape) * 100).astype(dtype)


def places(shape, size, dtype=np.int64, seed=1):
    return np.random.default_rng(seed).integers(0, size, shape).astype(dtype)


def along(shape, axis, index):
    grid = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return tuple(grid)


def added(shape, g, index, axis):
    """What is added in the order of the index, in float32 at least."""
    out = np.zeros(shape, np.float32 if g.itemsize == 2 and g.dtype.kind not in "iu" else g.dtype)
    np.add.at(out, along(shape, axis, index), g.astype(out.dtype))
    return out.astype(g.dtype)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "float16", BFLOAT16, "bool"])
def test_take_rows(shape, axis, dtype):
    x = numbers(shape, dtype)
    index = places((3, kernels.WORTH // (x.size // shape[axis]) + 5), shape[axis], np.int32)
    result = kernels.take_rows(x, index, axis=axis)
    assert result.dtype == x.dtype
    np.testing.assert_array_equal(result, np.take(x, index, axis))


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "uint16", "complex64"])
def test_gather(shape, axis, dtype):
    x = numbers(shape, dtype)
    index = places(
        (*shape[:axis], 2 * shape[axis] + 3, *shape[axis + 1 :]),
        shape[axis],
        np.uint16 if shape[axis] < 60_000 else np.int64,
    )
    np.testing.assert_array_equal(
        kernels.gather(x, index, axis=axis), np.take_along_axis(x, index.astype(np.int64), axis)
    )


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "float16", BFLOAT16])
def test_add_rows(shape, axis, dtype):
    index = places((2, 400), 50)
    index[0, :90] = 7
    g = numbers((*shape[:axis], 2, 400, *shape[axis + 1 :]), dtype)
    if g.size < kernels.WORTH:
        index = places((1, 90_000), 50)
        g = numbers((*shape[:axis], 1, 90_000, *shape[axis + 1 :]), dtype)
    result = kernels.add_rows(g, index, axis=axis, size=60)
    wide = np.float32 if g.itemsize == 2 and g.dtype.kind not in "iu" else g.dtype
    expected = np.zeros((60, *shape[:axis], *shape[axis + 1 :]), wide)
    rows = np.moveaxis(g.reshape(*shape[:axis], -1, *shape[axis + 1 :]), axis, 0)
    np.add.at(expected, index.reshape(-1), rows.astype(wide))
    np.testing.assert_array_equal(result, np.moveaxis(expected, 0, axis).astype(g.dtype))


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", BFLOAT16])
def test_scatter(shape, axis, dtype):
    g = numbers((*shape[:axis], 2 * shape[axis] + 1, *shape[axis + 1 :]), dtype)
    index = places(g.shape, shape[axis] // 2 + 1)
    expected = added(shape, g, index, axis)
    np.testing.assert_array_equal(kernels.scatter_new(g, index, axis=axis, shape=shape), expected)
    if np.dtype(dtype).kind == "i" or dtype == "float64":
        x = numbers(shape, dtype, 5)
        total = x.copy()
        np.add.at(total, along(shape, axis, index), g)
        np.testing.assert_array_equal(kernels.scatter_add(x, g, index, axis=axis), total)


X, PLACES = numbers((300, 400), np.float32), places((300, 400), 300)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.take_rows(X[:10], PLACES[:2, :5] % 10, axis=0),  # small
        lambda: kernels.take_rows(X.T, PLACES, axis=0),  # not contiguous
        lambda: kernels.take_rows(X, PLACES - 1, axis=0),
        lambda: kernels.take_rows(X, PLACES + 1, axis=0),
        lambda: kernels.take_rows(X, PLACES.astype(np.float32), axis=0),
        lambda: kernels.take_rows(X.astype(np.complex128), PLACES, axis=0),
        lambda: kernels.take_rows(X, PLACES[:0], axis=0),
        lambda: kernels.gather(X, PLACES[:, :399], axis=0),
        lambda: kernels.gather(X, PLACES[0], axis=0),
        lambda: kernels.gather(X, PLACES + 300, axis=0),
        lambda: kernels.add_rows(X, PLACES[0, :300] + 1, axis=0, size=300),
        lambda: kernels.add_rows(X.astype(np.complex64), PLACES[0, :300], axis=0, size=300),
        lambda: kernels.scatter_new(X, PLACES, axis=0, shape=(300, 401)),
        lambda: kernels.scatter_new(X, PLACES[1:], axis=0, shape=(300, 400)),
        lambda: kernels.scatter_new(X, PLACES, axis=0, shape=(10, 400)),
        lambda: kernels.scatter_add(X, X.astype(np.float64), PLACES, axis=0),
    ],
)
def test_what_it_does_not_take_is_left_to_the_op(call):
    assert call() is NotImplemented


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("whole_rows", [False, True])
@pytest.mark.parametrize("inner", [1, 20])
def test_the_loops_mean_what_is_said(threads, whole_rows, inner):
    """By the interpreter, which also finds accesses out of bounds and races."""
    outer, size, count = 2, 5, 7
    x = numbers((outer, size, inner), np.float32)
    index = places((count,) if whole_rows else (outer, count, inner), size)
    full = np.broadcast_to(index[None, :, None], (outer, count, inner)) if whole_rows else index
    extents = {"size": size, "count": count, "inner": inner}
    out = np.zeros(outer * count * inner, np.uint32)
    parts = {"width": 3, "parts": 3, "tasks": 3 * outer}
    read = verify(kernels._read_loops(np.dtype(np.uint32), whole_rows, inner == 1))
    interp.run(read, {"x": x.view(np.uint32).ravel(), "at": index.ravel(), "out": out, **extents, **parts}, threads)
    np.testing.assert_array_equal(out.view(np.float32).reshape(full.shape), np.take_along_axis(x, full, 1))

    g = numbers((outer, count, inner), np.float32)
    total = np.zeros((outer, size, inner), np.float32)
    parts = {"width": 16, "parts": -(-inner // 16), "tasks": outer * -(-inner // 16)}
    add = verify(kernels._add_loops(np.dtype(np.float32), whole_rows))
    interp.run(add, {"x": g.ravel(), "at": index.ravel(), "out": total.reshape(-1), **extents, **parts}, threads)
    np.testing.assert_array_equal(total, added(total.shape, g, full, 1))


def test_results_fit_their_memory_exactly():
    """Nothing is written beyond the result: blocks on both sides keep their pattern."""
    size = kernels.WORTH + 13
    whole = np.full(size + 200, 7, np.uint8)
    x = numbers((size,), np.uint8)

    class Between:
        """An allocator whose arrays lie between guard zones."""

        @staticmethod
        def empty(shape, dtype):
            return whole[100:-100].view(dtype).reshape(shape)

    original, kernels.allocator = kernels.allocator, Between
    try:
        result = kernels.take_rows(x, places((size,), size), axis=0)
    finally:
        kernels.allocator = original
    assert np.shares_memory(result, whole)
    assert (whole[:100] == 7).all() and (whole[-100:] == 7).all()
