"""Contractions of arrays under the signatures of ops: plans are kept, results are fresh, errors are the bodies'."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from planned import eager, laid, numbers
from tolerance import WINOGRAD, assert_close, assert_close_to_scale

import tensorlite as tl
from tensorlite.errors import ShapeError
from tensorlite.kernels.cpu import contract, prepared, team

F64 = np.dtype(np.float64)
KERNELS = contract.KERNELS


def geometry(stride=1, padding=1, dilation=1, groups=1):
    return {"stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2, "dilation": (dilation,) * 2, "groups": groups}


CASES = {
    "matrices": ("matmul", ((70, 130), (130, 33)), {}),
    "stacks": ("matmul", ((5, 1, 7, 60), (3, 60, 9)), {}),
    "nothing": ("matmul", ((0, 3), (3, 4)), {}),
    "rows": ("linear", ((6, 7, 50), (40, 50), (40,)), {}),
    "rows alone": ("linear", ((9, 50), (40, 50)), {}),
    "windows": ("conv2d", ((2, 6, 9, 8), (8, 3, 3, 3), (8,)), geometry(2, 1, 1, 2)),
    "tiles": ("conv2d", ((2, 64, 16, 16), (64, 64, 3, 3), (64,)), geometry()),
    "images": ("conv2d_data", ((2, 8, 5, 4), (8, 3, 3, 3)), geometry(2, 1, 1, 2) | {"size": (9, 8)}),
    "weight": ("conv2d_weight", ((2, 6, 9, 8), (2, 8, 5, 4)), geometry(2, 1, 1, 2) | {"kernel": (3, 3)}),
}


@pytest.mark.parametrize("layout", ["contiguous", "turned", "stepped"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_the_body(name, dtype, layout):
    op, shapes, attributes = CASES[name]
    arrays = [laid(numbers(shape, dtype, seed), layout) for seed, shape in enumerate(shapes)]
    expected = eager(op, *(x.astype(F64) for x in arrays), **attributes)
    for _ in range(2):  # planned, then from what was kept
        found = KERNELS[op](*arrays, **attributes)
        assert found.dtype == dtype and found.flags.c_contiguous
        if name == "tiles":
            assert_close_to_scale(found, expected, WINOGRAD)
        else:
            assert_close(found, expected, dtype=dtype, terms=200)


def test_a_plan_is_kept_and_results_are_fresh():
    a, b = numbers((64, 64), seed=1), numbers((64, 64), seed=2)
    first = KERNELS["matmul"](a, b)
    size = prepared.count()
    second = KERNELS["matmul"](b, a)
    assert prepared.count() == size
    assert not np.shares_memory(first, second)
    assert_close(first, a.astype(F64) @ b, terms=64)


def test_plans_are_not_kept_for_ever(monkeypatch):
    prepared.forget()
    monkeypatch.setattr(prepared, "_MOST", 3)
    for n in range(2, 12):
        assert_close(KERNELS["matmul"](np.ones((n, 2)), np.ones((2, 2))), np.full((n, 2), 2.0))
        assert prepared.count() <= 3


def test_a_plan_is_made_anew_for_another_number_of_threads():
    a, before = numbers((200, 200)), team.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            team.set_num_threads(threads)
            found.append(KERNELS["matmul"](a, a).tobytes())
    finally:
        team.set_num_threads(before)
    assert len(set(found)) == 1


@pytest.mark.parametrize("arrays,attributes", [
    ((np.ones((3, 4)), np.ones((5, 6))), {}),
    ((np.ones(3), np.ones((3, 6))), {}),
    ((np.ones((3, 4)), np.ones((4, 6), np.float32)), {}),
    ((np.ones((3, 4), np.complex64), np.ones((4, 6), np.complex64)), {}),
    ((np.ones((3, 4), np.int64), np.ones((4, 6), np.int64)), {}),
    ((np.frombuffer(b"\0" * 97, np.uint8)[1:].view(np.float64).reshape(3, 4), np.ones((4, 6))), {}),
])  # fmt: skip
def test_what_has_no_native_form_is_left_alone(arrays, attributes):
    assert KERNELS["matmul"](*arrays, **attributes) is NotImplemented


def test_small_products_are_left_to_blas_by_their_ops():
    for op in (tl.matmul, tl.nn.functional.linear):
        small, larger = (tl.ones((n, n)) for n in (15, 16))
        op(larger, larger)
        prepared.forget()
        op(small, small)
        assert prepared.count() == 0
        op(larger, larger)
        assert prepared.count() == 1


def test_tensors_are_multiplied_natively_and_complain_as_before():
    a, b = tl.tensor(numbers((128, 128), seed=1)), tl.tensor(numbers((128, 128), seed=2))
    assert (a @ b).numpy().tobytes() == KERNELS["matmul"](a.numpy(), b.numpy()).tobytes()
    with pytest.raises(ShapeError, match="matmul"):
        a @ tl.ones((200, 200))
    x, w = tl.ones((4, 3, 64, 64)), tl.ones((8, 4, 3, 3))
    with pytest.raises(ShapeError, match="conv2d"):
        tl.nn.functional.conv2d(x, w)


def test_threads_may_plan_and_multiply_at_once():
    a = numbers((96, 96))
    expected, found = KERNELS["matmul"](a, a).tobytes(), []

    def work():
        for n in range(20):
            KERNELS["matmul"](np.ones((n + 1, 3)), np.ones((3, 2)))
            found.append(KERNELS["matmul"](a, a).tobytes())

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(found) == {expected} and len(found) == 120
