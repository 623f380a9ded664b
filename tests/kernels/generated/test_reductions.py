"""Reductions: every one, over all axes, of every layout and dtype; and the same bits for any number of threads."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from guarded import Guarded, compile_kernel, run_native, same_bits
from tolerance import Tolerance, assert_close

from tensorlite.kernels import interp, loops
from tensorlite.kernels.cpu import team
from tensorlite.kernels.generated import arrange, fold_loops, reduce
from tensorlite.kernels.generated.arrange import Schedule
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.generated.reducers import REDUCTIONS, reduction, result_dtype
from tensorlite.kernels.loop_text import text

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(np.float16), BFLOAT16, F32, F64]
INTEGERS = [*map(np.dtype, "i1 i2 i4 i8 u1 u2 u4 u8".split())]
BOOL = np.dtype(bool)


def logsumexp(x, axis=None, keepdims=False):
    peak = x.max(axis=axis, keepdims=True)
    total = np.log(np.exp(x - peak).sum(axis=axis, keepdims=True)) + peak
    return total if keepdims else np.squeeze(total, axis) if axis is not None else total.reshape(())


MEANING = {name: getattr(np, name, logsumexp) for name in REDUCTIONS}


def numbers(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.random(shape) < 0.9
    if dtype.kind in "iu":
        return rng.integers(1 if dtype.kind == "u" else -9, 9, shape).astype(dtype)
    return (rng.normal(0, 0.4, shape) + 1).astype(dtype)


def expected_of(name, x, **arguments):
    wide = x.astype(F64) if x.dtype.kind in "fV" else x
    return np.asarray(MEANING[name](wide, **arguments))


def check(name, x, axis=None, keepdims=False):
    actual = reduce.run(name, x, axis, keepdims)
    expected = expected_of(name, x, axis=axis, keepdims=keepdims)
    assert actual.dtype == result_dtype(name, x.dtype)
    if actual.dtype.kind in "biu":
        np.testing.assert_array_equal(actual, expected)
    else:
        assert_close(actual, expected)


def axes_of(rank):
    return [None, *range(rank), *(c for r in range(2, rank) for c in itertools.combinations(range(rank), r))]


def layouts():
    x = 1 + (numbers(F32, (5, 19, 4, 33)) - 1) / 50  # products stay within bounds
    return {
        "contiguous": x,
        "turned": x.transpose(3, 1, 0, 2),
        "reversed": x[::-1, ::2, :, ::-1],
        "sliced": x[1:, 3:17, ::3, 5:28:2],
        "repeated": np.broadcast_to(x[:, :1, :, :1], (5, 19, 4, 33)),
        "one": x[:1, :, :1, :],
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_layout_and_axis(name, layout):
    x = layouts()[layout]
    for axis in axes_of(4):
        if not (name.startswith("arg") and isinstance(axis, tuple)):
            check(name, x, axis)
            check(name, x, axis, keepdims=True)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, BOOL], ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_dtype(name, dtype):
    if dtype.kind in "biu" and name == "logsumexp":
        assert reduce.run(name, numbers(dtype, (7, 8)), 1) is NotImplemented
        return
    x = numbers(dtype, (37, 53))
    for axis in (None, 0, 1):
        check(name, x[:, :9] if name == "prod" and dtype.kind in "iu" else x, axis)


SIZES = [1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000, 65_536, 65_537, 140_001]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_length(name, size):
    x = numbers(F32, (2, size)) if name != "prod" else 1 + numbers(F32, (2, size)) / 1e4
    check(name, x, 1)
    check(name, np.ascontiguousarray(x.T), 0)
    check(name, x[0])
    check(name, np.repeat(x.T, 9, 1), 0)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_guard_zones(name):
    for shape, axis in (((3, 45), 1), ((45, 31), 0), ((70_001,), 0)):
        x = Guarded(numbers(F32, shape), 4)
        copy = x.array.copy()
        reduce.run(name, x.array, axis)
        x.check()
        assert same_bits(x.array, copy)


WALKS = {
    "row": ([Axis(5, (70,))], [Axis(70, (1,))]),
    "rows": ([Axis(3, (70,))], [Axis(4, (210,)), Axis(70, (1,))]),
    "strided row": ([Axis(5, (140,))], [Axis(70, (2,))]),
    "column": ([Axis(21, (3,))], [Axis(3, (1,))]),
    "sweep": ([Axis(37, (1,))], [Axis(45, (37,))]),
    "sweeps": ([Axis(2, (999,)), Axis(37, (1,))], [Axis(3, (333,)), Axis(9, (37,))]),
}
SMALL = Schedule(whole=48, chunk=48, rows=16, rows_again=8, row_bytes=64, columns=16, short=4)


def folded(name, walk, threads, how, dtype=F32):
    """Run the kernel of a fold, or the two of them, with chunks that are small enough for tests."""
    fold = reduction(name, dtype, result_dtype(name, dtype))
    found = arrange.arrange(*WALKS[walk], fold, SMALL)
    out = np.zeros(found.rows, fold.outputs[0].dtype)
    x = numbers(dtype, 2000)
    if found.chunks == 1:
        run_fold(fold, found, "all", [x, out], threads, how)
        return out
    states = [np.zeros(found.rows * found.chunks, a.dtype) for a in fold.state]
    run_fold(fold, found, "part", [x, *states], threads, how)
    rest = arrange.of_states(found, len(states))
    run_fold(fold_loops.over_states(fold), rest, "rest", [*states, out], threads, how, found.size)
    return out


def run_fold(fold, found, stage, arrays, threads, how, size=None):
    form = arrange.form(found, fold, stage, SMALL)
    kernel = fold_loops.kernel(fold, form)
    values = [*arrange.numbers(found, form), size or found.size, *[1.0] * len(fold.numbers)]
    names = [p.name for p in kernel.parameters if isinstance(p, loops.Parameter)]
    arguments = dict(zip(names, values, strict=True)) | dict(zip(kernel.buffers, arrays, strict=True))
    if how == "interpreter":
        interp.run(kernel, arguments, threads)
    else:
        run_native(kernel, arguments, threads, address=compile_kernel(kernel))


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_native_is_what_the_interpreter_says(name, walk):
    expected = folded(name, walk, 1, "interpreter")
    for threads in (1, 2, 3, 4):
        actual = folded(name, walk, threads, "native")
        if name == "logsumexp":  # NumPy's own rounding of divisions by zero and the like is not at stake: bits are
            assert_close(actual, expected)
        assert same_bits(actual, expected)


def test_every_walk_is_found():
    ways = {name: arrange.arrange(*axes, reduction("sum", F32, F32), SMALL).way for name, axes in WALKS.items()}
    assert ways == {
        "row": "row",
        "rows": "row",
        "strided row": "row",
        "column": "column",
        "sweep": "sweep",
        "sweeps": "sweep",
    }


@pytest.mark.parametrize("name", REDUCTIONS)
def test_any_number_of_threads(name):
    x = numbers(F32, (700, 600))
    before = team.get_num_threads()
    try:
        for axis in (None, 0, 1):
            results = []
            for threads in (1, 2, 3, 4):
                team.set_num_threads(threads)
                results.append(reduce.run(name, x, axis))
            assert all(same_bits(result, results[0]) for result in results)
    finally:
        team.set_num_threads(before)


def test_sums_are_as_exact_as_pairwise_ones():
    rng = np.random.default_rng(4)
    for dtype in (F32, F64):
        for scale in (0.0, 1.0, 1000.0):
            x = (rng.normal(size=100_003) + scale).astype(dtype)
            exact = math.fsum(x.tolist())
            assert abs(reduce.run("sum", x).item() - exact) <= abs(x.sum().item() - exact) + abs(
                np.spacing(dtype.type(exact))
            )


def test_a_variance_far_from_zero():
    x = np.random.default_rng(5).normal(size=50_000) + 1e6
    exact = float(np.var(x.astype(np.longdouble)))
    assert_close(reduce.run("var", x), exact, tolerance=Tolerance(1e-9, 0.0))
    outlier = np.r_[1e9, np.zeros(20_000)]
    assert_close(reduce.run("var", outlier), np.var(outlier), tolerance=Tolerance(1e-11, 0.0))


@pytest.mark.parametrize("correction", [0, 1, 2.5, 5, 7])
def test_correction(correction):
    x = numbers(F64, (3, 5))
    divisor = max(5 - correction, 0)
    with np.errstate(all="ignore"):
        expected = ((x - x.mean(1, keepdims=True)) ** 2).sum(1) / divisor
        assert_close(reduce.run("var", x, 1, correction=correction), expected)
        assert_close(reduce.run("std", x, 1, correction=correction), np.sqrt(expected))


@pytest.mark.parametrize(
    "name", ["sum", "prod", "max", "min", "mean", "argmax", "argmin", "any", "all", "var", "logsumexp"]
)
def test_nan_and_infinity(name):
    rows = [
        [1.0, np.nan, 2.0],
        [np.inf, 1.0, 2.0],
        [-np.inf, 1.0, 2.0],
        [np.inf, -np.inf, 0.0],
        [-np.inf] * 3,
        [0.0] * 3,
    ]
    x = np.repeat(np.array(rows, F32), 30, axis=1)
    with np.errstate(all="ignore"):
        expected = MEANING[name](x.astype(F64), axis=1)
    if name == "logsumexp":
        expected = np.array([np.nan, np.inf, expected[2], np.inf, -np.inf, np.log(90)])
    for result in (reduce.run(name, x, 1), reduce.run(name, np.ascontiguousarray(x.T), 0)):
        np.testing.assert_allclose(result.astype(F64), expected.astype(F64), rtol=1e-6)


@pytest.mark.parametrize("dtype", [F32, np.dtype(np.int8), np.dtype(np.uint64), BOOL], ids=str)
def test_the_first_of_equals_wins(dtype):
    x = np.ones((3, 50_000), dtype)
    for name in ("argmax", "argmin"):
        assert reduce.run(name, x, 1).tolist() == [0, 0, 0]
        assert reduce.run(name, np.ascontiguousarray(x.T), 0).tolist() == [0, 0, 0]
    limits = np.zeros((2, 4000), dtype)
    limits[:, [77, 3000]] = 1
    assert reduce.run("argmax", limits, 1).tolist() == [77, 77]


def test_the_dtype_of_the_result():
    x = numbers(np.dtype(np.int8), (4, 300))
    assert reduce.run("sum", x, 1).dtype == np.int64
    assert same_bits(reduce.run("sum", x, 1, dtype=np.int8), x.sum(1, dtype=np.int64).astype(np.int8))
    assert same_bits(reduce.run("sum", x, 1, dtype=np.float64), x.sum(1, dtype=np.float64))
    assert reduce.run("mean", x, 1).dtype == np.float64
    assert reduce.run("argmax", x, 1, dtype=np.int32).dtype == np.int32


def test_what_has_no_native_form():
    assert reduce.run("sum", np.ones(4, np.complex64)) is NotImplemented
    assert reduce.run("sum", np.ones((0, 3), F32), 0) is NotImplemented
    assert reduce.run("sum", np.array(1.0, F32)) is NotImplemented
    odd = np.zeros(4, np.dtype([("a", np.int8), ("x", F32)]))["x"]
    assert reduce.run("sum", odd) is NotImplemented
    endless = np.broadcast_to(np.zeros(1, np.int8), 2**31)
    assert reduce.run("argmax", endless) is NotImplemented


def test_plans_are_kept_and_bounded(monkeypatch):
    monkeypatch.setattr(reduce, "_plans", {})
    monkeypatch.setattr(reduce, "_MANY_PLANS", 3)
    for size in range(2, 10):
        assert reduce.run("sum", np.ones(size, F32)) == size
        assert 1 <= len(reduce._plans) <= 3


GOLDEN = """\
kernel fold(x_buffer: float32[] shared, to_out_buffer: float32[] writable shared, tasks: int64, chunk: int64, \
chunks: int64, keep0: int64, reduce0: int64, x_keep0: int64, x_reduce0: int64, size: float64, correction: float64)
  parallel task < tasks:
    let kept = (task / chunks)
    let part = (task % chunks)
    let start = (part * chunk)
    let length = min.int64(chunk, (reduce0 - start))
    let at0 = kept
    let x_base = (0 + (at0 * x_keep0))
    local total = 0.0:float64
    reduce[32] total from 0.0:float64 by add.float64(total, total_right):
      vector[32] i0 < length:
        load x_0 = x_buffer[(x_base + (start + i0))]
        total = add.float64(convert.float64(x_0), total)
    store to_out_buffer[kept] = convert.float32(div.float64(total, size))
"""


def test_text():
    fold = reduction("mean", F32, F32)
    found = arrange.arrange([Axis(9, (100,))], [Axis(100, (1,))], fold)
    assert text(fold_loops.kernel(fold, arrange.form(found, fold))) == GOLDEN
