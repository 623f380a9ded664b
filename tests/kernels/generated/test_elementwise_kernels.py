"""Elementwise kernels: every layout, size and dtype, against the interpreter, NumPy, and themselves on more threads."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from guarded import Guarded, compile_kernel, run_native, same_bits
from tolerance import assert_close

from tensorlite.kernels import interp, loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import team
from tensorlite.kernels.generated import cast, elementwise
from tensorlite.kernels.generated.elementwise import Layout, Schedule
from tensorlite.kernels.generated.layout import axes_of
from tensorlite.kernels.loop_text import text

F32 = np.dtype(np.float32)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [*map(np.dtype, "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()), BFLOAT16]
SMALL = Schedule(task=64, tile=16, pitch=20)
blend = s.trace(lambda x, y: x * y + 1)


def numbers(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if dtype.kind in "biu":
        return rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
    return rng.normal(0, 2, shape).astype(dtype)


def memory_of(view, base):
    """The elements of ``base``, and where among them ``view`` begins."""
    return base.reshape(-1), (view.ctypes.data - base.ctypes.data) // base.itemsize


def run_kernel(function, views, bases, out, threads, how):
    """Run the kernel of a layout in ``how``, the interpreter or natively, with chunks small enough for tests."""
    axes, layout = elementwise.walk(axes_of((*views, out), out.shape), len(views))
    kernel = elementwise.kernel(function, [view.dtype for view in views], out.dtype, layout, SMALL)
    names = [p.name for p in kernel.parameters if isinstance(p, loops.Parameter)]
    arguments = dict(zip(names, elementwise.numbers(axes, layout, SMALL), strict=True))
    arguments |= {f"a{k}": memory_of(view, base) for k, (view, base) in enumerate(zip(views, bases, strict=True))}
    arguments["out0"] = memory_of(out, out if out.base is None else out.base)
    if how == "interpreter":
        interp.run(kernel, arguments, threads)
    else:
        run_native(kernel, arguments, threads, address=compile_kernel(kernel))


def cube():
    return numbers(F32, (5, 6, 7))


def large():
    return numbers(F32, (3, 33, 18, 35))


LAYOUTS = {
    "same": lambda a: (a, a),
    "scalar": lambda a: (a, a[0, 0, :1]),
    "row": lambda a: (a, a[0, 0]),
    "column": lambda a: (a, a[:, :1, :1]),
    "middle": lambda a: (a, a[:1, :, :1]),
    "matrix": lambda a: (a[:, 0, :, None], a[0, :1, :]),
    "transposed": lambda a: (a, a.transpose(0, 2, 1).reshape(5, 7, 6).transpose(0, 2, 1)),
    "turned": lambda a: (a.T, a.T),
    "reversed": lambda a: (a[::-1, :, ::-1], a),
    "sliced": lambda a: (a[1::2, ::3, 2:5], a[:-1:2, 1::3, ::3]),
    "repeated": lambda a: (np.broadcast_to(a[0, 0], (4, 3, 7)), a[:1, :1, :]),
    "one": lambda a: (a[2, 3, 4:5], a[0, 0, :1]),
}


TURNED = {
    "matrices": lambda a: (a[0, :, 0].T, a[1, :, 1].T, (35, 33), "tt"),
    "one matrix": lambda a: (a[0, :, 0].T, a.reshape(-1)[: 35 * 33].reshape(35, 33), (35, 33), "tu"),
    "channels last": lambda a: (a.transpose(0, 3, 1, 2), a[0, 0, 0][:, None, None], (3, 35, 33, 18), "tb"),
    "channels first": lambda a: (a.transpose(0, 2, 3, 1), a[:, :, 0, 0][:, None, None, :], (3, 18, 35, 33), "ts"),
    "all turned": lambda a: (a.T, a.T[::-1], (35, 18, 33, 3), "ss"),
    "ends changed": lambda a: (a.transpose(3, 1, 2, 0), a[0, 0].T[:, None, :, None], (35, 33, 18, 3), "sb"),
    "ends changed, long": lambda a: (a.transpose(3, 0, 2, 1), a.transpose(3, 0, 2, 1)[::-1], (35, 3, 18, 33), "ts"),
}


@pytest.mark.parametrize("name", TURNED)
def test_transposed_operands(name):
    """Tiles of what is contiguous along other dimensions than the result; cut by the ends of both."""
    base = large()
    x, y, shape, expected_letters = TURNED[name](base)
    out = np.zeros(shape, F32)
    assert elementwise.walk(axes_of((x, y, out), shape), 2)[1].inner == f"{expected_letters}u"
    for threads, how in ((1, "native"), (2, "native"), (3, "native"), (4, "native"), (2, "interpreter")):
        out = np.zeros(shape, F32)
        run_kernel(blend, (x, y), [base, base], out, threads, how)
        assert same_bits(out, x * y + 1)
    assert same_bits(elementwise.run(blend, (x, y), np.zeros(shape, F32)), x * y + 1)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(name):
    base = cube()
    views = LAYOUTS[name](base)
    shape = np.broadcast_shapes(*(view.shape for view in views))
    expected = views[0] * views[1] + 1
    for threads in (1, 2, 3, 4):
        native = np.zeros(shape, F32)
        run_kernel(blend, views, [base, base], native, threads, "native")
        assert same_bits(native, expected)
    interpreted = np.zeros(shape, F32)
    run_kernel(blend, views, [base, base], interpreted, 2, "interpreter")
    assert same_bits(interpreted, expected)
    assert same_bits(elementwise.run(blend, views, np.zeros(shape, F32)), expected)


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 31, 32, 33, 97, 8191, 8192, 8193, 20011])
def test_every_size(size):
    """Guarded on both sides, at every alignment of an element."""
    for offset in (0, 4, 20):
        x, y = (Guarded(numbers(F32, size, seed), offset) for seed in (1, 2))
        out = Guarded(np.zeros(size, F32), offset)
        elementwise.run(blend, (x.array, y.array), out.array)
        for guarded in (x, y, out):
            guarded.check()
        assert same_bits(out.array, x.array * y.array + 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(dtype):
    x, y = numbers(dtype, 1003, 1), numbers(dtype, 1003, 2)
    for function, meaning in (
        (s.trace(lambda x, y: s.maximum(x, y)), np.maximum),
        (s.trace(lambda x, y: x + y), np.add),
        (s.trace(lambda x, y: s.where(x > y, x, y)), np.maximum),
    ):
        out = elementwise.run(function, (x, y), np.zeros(1003, dtype))
        assert same_bits(out, meaning(x, y))
    compared = elementwise.run(s.trace(lambda x, y: x <= y), (x, y), np.zeros(1003, bool))
    assert same_bits(compared, x <= y)


@pytest.mark.parametrize("name", ["exp", "log1p", "tanh", "erf", "sin", "sigmoid", "gelu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, BFLOAT16], ids=str)
def test_functions(name, dtype):
    x = np.abs(numbers(np.dtype(dtype), 3001))
    bodies = {"sigmoid": lambda x: 1 / (1 + s.exp(-x)), "gelu": lambda x: 0.5 * x * (1 + s.erf(x * 0.7071067811865476))}
    function = s.trace(bodies.get(name, lambda x: getattr(s, name)(x)))
    out = elementwise.run(function, (x,), np.zeros_like(x))
    expected = np.asarray(s.numpy_function(function)(np, x.astype(np.float64)))
    assert_close(out, expected)


def test_nan_and_infinity():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0] * 5, F32)
    y = np.roll(x, 1)
    with np.errstate(all="ignore"):
        for function, expected in (
            (s.trace(lambda x, y: x / y), x / y),
            (s.trace(lambda x, y: s.minimum(x, y)), np.minimum(x, y)),
            (s.trace(lambda x, y: s.sqrt(x) * y), np.sqrt(x) * y),
        ):
            out = elementwise.run(function, (x, y), np.zeros_like(x))
            np.testing.assert_array_equal(out, expected)


def test_conditions_and_mixed_dtypes():
    x, condition = numbers(F32, (33, 40)), numbers(np.dtype(bool), 40)
    function = s.trace(lambda c, x: s.where(c, x, 0.0))
    out = elementwise.run(function, (condition, x), np.zeros((33, 40), F32))
    assert same_bits(out, np.where(condition, x, F32.type(0)))
    rounded = elementwise.run(s.trace(lambda x: x * 100), (x,), np.zeros((33, 40), np.int16))
    assert same_bits(rounded, (x * 100).astype(np.int16))


def test_three_operands_in_four_dimensions():
    a = numbers(F32, (4, 5, 6, 7))
    out = np.zeros((4, 5, 6, 7), F32)
    views = (a, a[:, :1, :, :1], a[0, :, 0, :][:, None, :])
    elementwise.run(s.trace(lambda x, y, z: (x - y) * z), views, out)
    assert same_bits(out, (views[0] - views[1]) * views[2])


def test_nothing_to_do():
    out = np.zeros((5, 0, 7), F32)
    assert elementwise.run(blend, (out, np.ones(7, F32)), out) is out


def test_the_result_may_be_an_operand():
    x, y = numbers(F32, 10007, 1), numbers(F32, 10007, 2)
    expected = x * y + 1
    elementwise.run(blend, (x, y), x)
    assert same_bits(x, expected)


def test_a_result_of_any_layout():
    x = numbers(F32, (40, 30))
    memory = np.zeros((30, 80), F32)
    out = memory.T[::2]
    elementwise.run(blend, (x, x), out)
    assert same_bits(out.copy(), x * x + 1)
    assert (memory.T[1::2] == 0).all()


def test_scalars_of_numpy_and_arrays_without_dimensions():
    x = numbers(F32, 100)
    expected = x * F32.type(3) + 1
    for three in (F32.type(3), np.array(3, F32), np.full(1, 3, F32)):
        assert same_bits(elementwise.run(blend, (x, three), np.zeros_like(x)), expected)
    out = elementwise.run(blend, (np.array(2, F32), np.array(3, F32)), np.zeros((), F32))
    assert out == 7


def test_what_has_no_native_form():
    z = np.ones(4, np.complex64)
    assert elementwise.run(blend, (z, z), np.zeros_like(z)) is NotImplemented
    odd = np.zeros(4, np.dtype([("a", np.int8), ("x", F32)]))["x"]  # five bytes apart
    assert elementwise.run(blend, (odd, odd), np.zeros(4, F32)) is NotImplemented
    everywhere = np.broadcast_to(np.zeros(1, F32), 4)
    assert elementwise.run(blend, (np.ones(4, F32), np.ones(4, F32)), everywhere) is NotImplemented


def test_names_of_parameters_do_not_matter():
    """A function may name its variables as the kernel names its own."""
    function = s.trace(lambda n, task, start, out, a0: n * task + start - out * a0)
    arrays = [numbers(F32, (6, 50), seed) for seed in range(5)]
    n, task, start, out, a0 = arrays
    assert same_bits(elementwise.run(function, arrays, np.zeros((6, 50), F32)), n * task + start - out * a0)


@pytest.mark.parametrize("shape", [(300_000,), (500, 700), (64, 33, 65)])
def test_any_number_of_threads(shape):
    x = numbers(F32, shape)
    before = team.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 4):
            team.set_num_threads(threads)
            results.append(elementwise.run(blend, (x, x[..., :1]), np.zeros(shape, F32)))
    finally:
        team.set_num_threads(before)
    assert all(same_bits(result, x * x[..., :1] + 1) for result in results)


@pytest.mark.parametrize("columns", [42_000, 42_001, 65_536])
def test_large_results_go_past_the_caches(columns, monkeypatch):
    monkeypatch.setattr(elementwise, "_plans", {})
    monkeypatch.setattr(elementwise, "DEFAULT", Schedule(streaming=1 << 16))
    x = numbers(F32, columns)
    out = Guarded(np.zeros(columns, F32))
    elementwise.run(blend, (x, x), out.array)
    out.check()
    assert same_bits(out.array, x * x + 1)
    shifted = Guarded(np.zeros(columns, F32), 4)
    elementwise.run(blend, (x, x), shifted.array)
    shifted.check()
    assert same_bits(shifted.array, x * x + 1)


def test_plans_are_kept_and_bounded(monkeypatch):
    monkeypatch.setattr(elementwise, "_plans", {})
    monkeypatch.setattr(elementwise, "_MANY_PLANS", 3)
    for size in range(1, 10):
        elementwise.run(blend, (np.ones(size, F32), np.ones(size, F32)), np.zeros(size, F32))
        assert 1 <= len(elementwise._plans) <= 3


GOLDEN = """\
kernel elementwise(a0: float32[] shared, a1: float32[] shared, out0: float32[] writable shared, n: int64, \
chunk: int64, chunks: int64, rows: int64, block: int64, tasks: int64, \
a0_stride0: int64, a1_stride0: int64, out0_stride0: int64)
  parallel task < tasks:
    let start = ((task % chunks) * chunk)
    let count = min.int64(chunk, (n - start))
    let first = ((task / chunks) * block)
    serial r < min.int64(block, (rows - first)):
      let at0 = (first + r)
      let a0_base = (start + (at0 * a0_stride0))
      let a1_base = (0 + (at0 * a1_stride0))
      let out0_base = (start + (at0 * out0_stride0))
      load x1 = a1[a1_base]
      vector[32] i < count:
        load x0 = a0[(a0_base + i)]
        store out0[(out0_base + i)] = add.float32(mul.float32(x0, x1), 1.0:float32)
"""


def test_text():
    assert text(elementwise.kernel(blend, (F32, F32), F32, Layout(2, "ubu"))) == GOLDEN


@pytest.mark.parametrize("source, target", list(itertools.product(DTYPES, DTYPES)), ids=str)
def test_cast(source, target):
    x = numbers(source, 259)
    if target.kind == "u" and source.kind not in "bu":
        x = np.abs(x)
    out = cast.run(x, np.zeros(259, target))
    assert same_bits(out, x.astype(target))


def test_copies_of_any_layout():
    x = numbers(F32, (30, 40, 50))
    for view in (x.transpose(2, 0, 1), x[::-2, 3:, ::7], np.broadcast_to(x[:1], (9, 40, 50))):
        assert same_bits(cast.run(view, np.zeros(view.shape, F32)), np.ascontiguousarray(view))


def test_floats_saturate_as_integers():
    x = np.array([1e20, -1e20, np.nan, 300.7, -300.7], F32)
    assert cast.run(x, np.zeros(5, np.int8)).tolist() == [127, -128, 0, 127, -128]
    assert cast.run(x, np.zeros(5, np.uint8)).tolist() == [255, 0, 0, 255, 0]
