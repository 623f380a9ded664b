"""BLAS runs on one thread inside ops of ours, and is left as it was found."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.kernels.cpu import blas
from tensorlite.kernels.cpu.blas import controls, one_thread

np.ones((2, 2)) @ np.ones((2, 2))  # loads the library
pytestmark = pytest.mark.skipif(controls() is None, reason="NumPy's BLAS is not OpenBLAS")


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    get, set_to = controls()
    before = get()
    set_to(request.param)
    yield request.param
    set_to(before)


def test_a_block_uses_one_thread_and_puts_back_the_number(threads):
    get, _ = controls()
    with one_thread():
        assert get() == 1
        with one_thread():
            assert get() == 1
        assert get() == 1
    assert get() == threads


def test_an_error_puts_it_back_too(threads):
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert controls()[0]() == threads


def test_blocks_of_several_threads_overlap(threads):
    get, _ = controls()
    barrier, seen = threading.Barrier(4), []

    def work():
        for _ in range(50):
            barrier.wait()
            with one_thread():
                seen.append(get())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(seen) == {1}
    assert get() == threads


def test_products_and_convolutions_have_the_same_bits(threads):
    random = np.random.default_rng(0)
    a, b = (tl.tensor(random.standard_normal((300, 300)).astype(np.float32)) for _ in range(2))
    x = tl.tensor(random.standard_normal((8, 16, 20, 20)).astype(np.float32))
    w = tl.tensor(random.standard_normal((32, 16, 3, 3)).astype(np.float32))
    found = [(a @ b).numpy(), tl.nn.functional.conv2d(x, w, padding=1).numpy()]
    controls()[1](1)
    expected = [(a @ b).numpy(), tl.nn.functional.conv2d(x, w, padding=1).numpy()]
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()


def interrupted_at(number, action):
    """Run ``action``, and raise as a signal would when that function of its library is called; tell if it was."""
    seen = 0

    def trace(frame, event, argument):
        nonlocal seen
        seen += frame.f_code.co_filename == blas.__file__
        if seen == number:
            sys.settrace(None)
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_at_any_moment_is_mended_by_the_next_block(threads):
    get, _ = controls()

    def block():
        with one_thread():
            pass

    number = 0
    while interrupted_at(number := number + 1, block):
        with one_thread():
            assert get() == 1
        assert get() == threads
    assert number > 4
