"""Elementwise functions of whole arrays into fresh ones: every layout, dtype and shape against NumPy's own words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import laid, numbers
from tolerance import assert_close

import tensorlite as tl
from tensorlite.errors import ShapeError, TensorliteError
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator, pointwise, prepared
from tensorlite.kernels.generated import elementwise
from tensorlite.kernels.scalar.typing import BFLOAT16

BLEND = s.trace(lambda x, y: x * y + 1)
SQUARE = s.trace(lambda x: x * x)
LESS = s.trace(lambda x, y: x < y)
LAYOUTS = st.sampled_from(["contiguous", "turned", "stepped", "reversed"])
EXTENTS = st.lists(st.sampled_from([0, 1, 2, 3, 5, 8, 17, 64, 67]), max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(EXTENTS, LAYOUTS, st.sampled_from([np.float32, np.float64, np.int32]), st.data())
def test_results_are_those_of_numpy(shape, layout, dtype, data):
    kept = data.draw(st.tuples(*[st.booleans()] * len(shape)))
    other = [n if stays else 1 for n, stays in zip(shape, kept, strict=True)]
    other = tuple(other[data.draw(st.integers(0, len(shape))) :])
    x, y = ((8 * numbers(each, np.float64, k)).astype(dtype) for k, each in enumerate((shape, other)))
    x = laid(x, layout)
    for function, expected in ((BLEND, x * y + dtype(1)), (LESS, x < y)):
        for _ in range(2):  # planned, then from what was kept
            found = pointwise.kernel(function)(x, y)
            if found is NotImplemented:
                assert expected.size == 0
                continue
            assert found.dtype == expected.dtype and found.shape == expected.shape and found.flags.c_contiguous
            assert_close(found, expected, dtype=found.dtype)


def test_a_function_has_one_kernel_and_results_are_fresh():
    run, x = pointwise.kernel(SQUARE), np.arange(100.0)
    assert run is pointwise.kernel(s.trace(lambda x: x * x))
    assert not np.shares_memory(run(x), run(x)) and not np.shares_memory(run(x), x)


@pytest.mark.parametrize("arrays", [(np.ones(3, np.complex64),), (np.ones(3, ">f4"),), (np.zeros(0, np.float32),),
                                    (np.frombuffer(b"\0" * 33, np.uint8)[1:].view(np.float64),)])  # fmt: skip
def test_what_has_no_native_form_is_left_alone(arrays):
    for _ in range(2):
        assert pointwise.kernel(SQUARE)(*arrays) is NotImplemented


def test_large_results_go_past_the_caches_and_are_right(monkeypatch):
    monkeypatch.setattr(elementwise, "DEFAULT", elementwise.DEFAULT.__class__(streaming=allocator.POOL_BYTES))
    prepared.forget()
    keys = []
    compile_many = prepared.launch.compile_many
    monkeypatch.setattr(prepared.launch, "compile_many",
                        lambda kernels: compile_many([(keys.append(key), (build, key))[1] for build, key in kernels]))
    x = numbers((300, 1024))
    found = pointwise.kernel(SQUARE)(x)
    assert found.ctypes.data % 64 == 0 and "streaming=True" in keys[0]
    assert np.array_equal(found, x * x)
    assert np.array_equal(pointwise.kernel(SQUARE)(x[:3]), x[:3] * x[:3])
    assert "streaming=True" not in keys[1].partition("Schedule")[0]
    prepared.forget()


@pytest.mark.parametrize("number", [2, 3])
def test_bits_are_those_of_one_thread(threads, number):
    x = numbers((701, 333))
    run = pointwise.kernel(s.trace(lambda x: s.exp(x) / (1 + s.exp(x))))
    threads(1)
    expected = run(x)
    threads(number)
    assert np.array_equal(run(x), expected)


LARGE = 10_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BFLOAT16, np.int64, np.uint8, np.complex64, bool])
@pytest.mark.parametrize("name", ["add", "maximum", "less", "negative", "sigmoid", "logical_and", "exp"])
def test_eager_ops_of_large_arrays_are_those_of_small_ones(name, dtype):
    op = getattr(tl, name)
    count = 1 if name in ("negative", "sigmoid", "exp") else 2
    arrays = [(3 * numbers((LARGE,), np.float64, k)).astype(dtype) for k in range(count)]
    try:
        expected = np.concatenate([op(*(tl.tensor(a[k : k + 500]) for a in arrays)).numpy()
                                   for k in range(0, LARGE, 500)])  # fmt: skip
    except TensorliteError as error:
        with pytest.raises(type(error)):
            op(*map(tl.tensor, arrays))
        return
    found = op(*map(tl.tensor, arrays)).numpy()
    assert found.dtype == expected.dtype
    assert_close(found, expected, dtype=found.dtype, terms=4)


def test_eager_ops_of_large_arrays_and_numbers():
    x = numbers((LARGE,))
    large = tl.tensor(x)
    assert np.array_equal((large * 3).numpy(), x * np.float32(3))
    assert np.array_equal((large + 2.5).numpy(), x + np.float32(2.5))
    assert np.array_equal((2.5 - large).numpy(), np.float32(2.5) - x)
    assert (tl.tensor(np.arange(LARGE)) + 2.5).dtype == tl.float32
    assert np.array_equal((large.reshape((100, 100)) + tl.tensor(x[:100])).numpy(), x.reshape(100, 100) + x[:100])
    with pytest.raises(ShapeError, match="add"):
        large + tl.ones((3,))


@pytest.mark.parametrize("count", [100, LARGE])
def test_numbers_come_first_as_well_and_are_recorded(count):
    x = numbers((count,), np.float64)
    t = tl.tensor(x, dtype=tl.float32, requires_grad=True)
    (2.0 / (1.0 - t)).sum().backward()
    assert np.array_equal((1.0 - t).detach().numpy(), np.float32(1) - x.astype(np.float32))
    assert_close(t.grad.numpy(), 2 / (1 - x.astype(np.float32)) ** 2, dtype=np.float32, terms=4)
    integers = tl.tensor(np.arange(count, dtype=np.uint8))
    assert np.array_equal((3 - integers).numpy(), np.uint8(3) - np.arange(count, dtype=np.uint8))
    assert (2.5 * integers).dtype == tl.float32
    with pytest.raises(TensorliteError, match="subtract"):
        300 - integers
