"""Hooks see gradients, may replace them, and go when they are removed."""

from __future__ import annotations

import gc
import weakref

import pytest
from tolerance import assert_close

import tensorlite as tl
from tensorlite.errors import GradientError


def leaf(*values: float) -> tl.Tensor:
    return tl.tensor(list(values), dtype=tl.float64, requires_grad=True)


def test_a_hook_sees_the_whole_gradient_once():
    x, seen = leaf(1, 2), []
    h = x * 2
    h.register_hook(lambda g: seen.append(g.tolist()))
    (h * h + h).sum().backward()
    assert seen == [[5.0, 9.0]]


def test_what_a_hook_returns_replaces_the_gradient():
    x = leaf(1, 2)
    h = x * 2
    h.register_hook(lambda g: g * 10)
    h.sum().backward()
    assert x.grad.tolist() == [20.0, 20.0]


def test_hooks_of_a_leaf_run_before_it_accumulates():
    x = leaf(1)
    x.register_hook(lambda g: -g)
    for _ in range(2):
        (x * 3).sum().backward()
    assert x.grad.tolist() == [-6.0]


def test_hooks_run_in_the_order_of_their_registration():
    x, seen = leaf(1), []
    for name in "abc":
        x.register_hook(lambda g, name=name: seen.append(name))
    x.sum().backward()
    assert seen == ["a", "b", "c"]


def test_each_hook_works_on_what_the_one_before_returned():
    x = leaf(1)
    x.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 10)
    x.sum().backward()
    assert x.grad.tolist() == [20.0]


def test_removing_takes_out_one_registration_only():
    x, seen = leaf(1), []
    def note(g):
        seen.append(1)
    first, second = x.register_hook(note), x.register_hook(note)
    first.remove()
    first.remove()
    x.sum().backward()
    assert len(seen) == 1
    second.remove()
    x.sum().backward()
    assert len(seen) == 1


def test_a_handle_is_a_context():
    x = leaf(1)
    with x.register_hook(lambda g: g * 2):
        x.sum().backward()
    x.sum().backward()
    assert x.grad.tolist() == [3.0]


def test_a_hook_may_remove_itself_and_register_others():
    x, seen = leaf(1), []
    def once(g):
        seen.append("once")
        handle.remove()
        x.register_hook(lambda g: seen.append("later"))
    handle = x.register_hook(once)
    x.sum().backward()
    x.sum().backward()
    assert seen == ["once", "later"]


def test_changing_the_given_gradient_in_place_changes_nothing_else():
    x, y = leaf(1), leaf(2)
    def spoil(g):
        g.mul_(100)
    x.register_hook(spoil)
    h = x + y
    h.register_hook(spoil)
    h.sum().backward()
    assert x.grad.tolist() == [1.0]
    assert y.grad.tolist() == [1.0]


def test_hooks_see_recorded_gradients_in_a_recorded_walk():
    x = leaf(3)
    x.register_hook(lambda g: g * g)
    (g,) = tl.autograd.grad((x * x).sum(), x, create_graph=True)
    assert g.tolist() == [36.0]
    g.sum().backward()
    assert_close(x.grad, tl.tensor([24.0**2], dtype=tl.float64))


def test_hooks_apply_to_captured_gradients_too():
    x = leaf(1)
    h = x * 2
    h.register_hook(lambda g: g * 7)
    assert tl.autograd.grad(h.sum(), h)[0].tolist() == [7.0]


def test_a_walk_within_a_hook():
    x, y = leaf(2), leaf(3)
    def walk(g):
        with tl.enable_grad():
            (y * y).backward()
    x.register_hook(walk)
    (x * x).backward()
    assert x.grad.tolist() == [4.0]
    assert y.grad.tolist() == [6.0]


@pytest.mark.parametrize(("returned", "text"), [(lambda g: 3.0, "returned  3.0"), (lambda g: g.sum(), "float64[]"),
                                                (lambda g: "no", "returned  'no'")])
def test_a_hook_that_returns_no_gradient_is_named(returned, text):
    x = leaf(1, 2)
    x.register_hook(returned)
    with pytest.raises(GradientError) as caught:
        (x * 2).sum().backward()
    assert str(caught.value).startswith("backward: the hook must return a gradient of shape [2]\n  returned  ")
    assert text in str(caught.value)
    assert x.grad is None


def test_constants_have_no_hooks():
    for register in (tl.Tensor.register_hook, tl.Tensor.register_post_accumulate_grad_hook):
        with pytest.raises(GradientError, match="does not require gradients"):
            register(tl.tensor([1.0]), print)


def test_post_accumulate_hooks_see_the_leaf_with_its_gradient():
    x, seen = leaf(1), []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.item()))
    for _ in range(2):
        (x * 3).sum().backward()
    handle.remove()
    x.sum().backward()
    assert seen == [3.0, 6.0]
    with pytest.raises(GradientError, match="only leaves accumulate"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_an_optimizer_in_the_backward_walk():
    """PyTorch's recipe: step and free each gradient as soon as it is there."""
    parameters = [leaf(1.0), leaf(2.0)]
    def step(p):
        with tl.no_grad():
            p.sub_(p.grad * 0.1)
        p.grad = None
    for p in parameters:
        p.register_post_accumulate_grad_hook(step)
    (parameters[0] * parameters[1]).sum().backward()
    assert_close(parameters[0], tl.tensor([0.8], dtype=tl.float64))
    assert_close(parameters[1], tl.tensor([1.9], dtype=tl.float64))
    assert parameters[0].grad is None


def test_retain_grad_fills_grad_of_what_is_no_leaf():
    x = leaf(1, 2)
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    (h * h).sum().backward()
    assert h.grad.tolist() == [4.0, 8.0]
    assert x.grad.tolist() == [8.0, 16.0]


def test_retain_grad_sees_what_hooks_registered_before_it_made():
    h = leaf(1) * 2
    h.register_hook(lambda g: g * 5)
    h.retain_grad()
    h.sum().backward()
    assert h.grad.tolist() == [5.0]


def test_retain_grad_of_a_leaf_does_nothing_and_of_a_constant_is_refused():
    x = leaf(1)
    x.retain_grad()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0]
    with pytest.raises(GradientError, match="does not require gradients"):
        tl.tensor([1.0]).retain_grad()


def test_retain_grad_keeps_no_tensor_alive():
    gc.collect()
    gc.disable()
    try:
        h = leaf(1) * 2
        h.retain_grad()
        loss, gone = h.sum(), weakref.ref(h)
        del h
        assert gone() is None
        loss.backward()
    finally:
        gc.enable()
