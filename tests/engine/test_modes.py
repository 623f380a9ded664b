"""Recording is switched by thread, for blocks, functions and from now on."""

from __future__ import annotations

import threading

import pytest

import tensorlite as tl
from tensorlite.errors import GradientError

X = tl.tensor([1.0, 2.0], requires_grad=True)


def records() -> bool:
    assert (X * 2).requires_grad == tl.is_grad_enabled()
    return tl.is_grad_enabled()


def test_blocks_nest():
    assert records()
    with tl.no_grad():
        assert not records()
        with tl.enable_grad():
            assert records()
            with tl.no_grad(), tl.set_grad_enabled(True):
                assert records()
            assert records()
        assert not records()
    assert records()


def test_one_object_may_be_entered_again_and_within_itself():
    mode = tl.no_grad()
    for _ in range(2):
        with mode:
            with mode:
                assert not records()
            assert not records()
        assert records()


def test_blocks_end_with_exceptions():
    with pytest.raises(ZeroDivisionError), tl.no_grad():
        raise ZeroDivisionError
    assert records()
    with pytest.raises(ZeroDivisionError), tl.set_grad_enabled(False):
        raise ZeroDivisionError
    assert records()


def test_set_grad_enabled_holds_from_now_on():
    tl.set_grad_enabled(False)
    try:
        assert not records()
        with tl.set_grad_enabled(True):
            assert records()
        assert not records()
    finally:
        tl.set_grad_enabled(True)
    assert records()


@pytest.mark.parametrize("decorate", [tl.no_grad, tl.no_grad(), tl.autograd.no_grad],
                         ids=["bare", "called", "in autograd"])
def test_no_grad_decorates(decorate):
    @decorate
    def evaluate(x, *, scale):
        """Scales."""
        assert not records()
        return x * scale

    assert not evaluate(X, scale=3).requires_grad
    assert evaluate.__name__ == "evaluate"
    assert evaluate.__doc__ == "Scales."
    assert records()


def test_enable_grad_and_set_grad_enabled_decorate():
    @tl.set_grad_enabled(False)
    def off():
        return records()

    @tl.enable_grad()
    def on():
        return records()

    assert records()
    assert not off()
    with tl.no_grad():
        assert on()
        assert not off()
        assert not records()
    assert records()


def test_a_decorated_function_that_raises_leaves_recording_on():
    @tl.no_grad()
    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert records()


def test_a_decorated_generator_records_by_its_own_mode_between_yields():
    @tl.no_grad()
    def batches():
        for _ in range(3):
            assert not records()
            yield X * 2
            assert not records()

    for batch in batches():
        assert not batch.requires_grad
        assert records()


def test_a_decorated_generator_takes_what_is_sent_and_thrown():
    @tl.no_grad()
    def echo():
        got = None
        while True:
            try:
                got = yield got, tl.is_grad_enabled()
            except KeyError:
                got = "thrown"

    generator = echo()
    assert next(generator) == (None, False)
    assert generator.send(3) == (3, False)
    assert generator.throw(KeyError) == ("thrown", False)
    generator.close()
    assert records()


def test_modes_are_each_threads_own():
    seen = {}
    def look():
        seen["fresh"] = tl.is_grad_enabled()
        tl.set_grad_enabled(False)
        seen["set"] = tl.is_grad_enabled()

    with tl.no_grad():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert not records()
    assert seen == {"fresh": True, "set": False}
    assert records()


def test_leaves_are_replaced_without_recording():
    w = tl.tensor([1.0], requires_grad=True)
    with tl.no_grad():
        w -= 0.25
        w[0] = w[0] * 2
        assert w.requires_grad
        assert w.is_leaf
    assert w.tolist() == [1.5]
    (w * w).sum().backward()
    assert w.grad.tolist() == [3.0]
    with pytest.raises(GradientError, match="a leaf that requires gradients cannot be replaced"):
        w -= 1


def test_leaves_are_made_without_recording():
    with tl.no_grad():
        w = tl.tensor([1.0], requires_grad=True)
    assert w.requires_grad


def test_inference_records_nothing():
    x = tl.tensor(1.0, requires_grad=True)

    @tl.inference_mode
    def plain(x):
        return x * 2

    @tl.inference_mode()
    def called(x):
        return x * 2
    assert not plain(x).requires_grad
    assert not called(x).requires_grad
    with tl.autograd.inference_mode():
        assert not (x * 2).requires_grad
        with tl.inference_mode(False):
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad
