"""checkpoint: the same numbers, with less kept."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from laws.differences import check_first, check_second
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import GradientError

X = np.random.default_rng(0).standard_normal((4, 3))


def network() -> nn.Module:
    tl.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


def outcome(transform, compiled: bool) -> list[np.ndarray]:
    """What a training step of a network leaves: loss, gradients, running statistics, and the next random number."""
    net = network()
    x = tl.tensor(X, dtype=tl.float32, requires_grad=True)
    run = transform(net)

    def step():
        loss = (run(x * 2) ** 2).sum()
        loss.backward()
        return loss
    tl.manual_seed(1)
    loss = (tl.jit(step) if compiled else step)()
    return [loss.detach().numpy(), x.grad.numpy(), *(p.grad.numpy() for p in net.parameters()),
            *(b.numpy() for b in net.buffers()), tl.rand(2).numpy()]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_a_step_of_a_network_is_the_same(compiled):
    for found, expected in zip(outcome(tl.checkpoint, compiled), outcome(lambda net: net, compiled), strict=True):
        assert_close(found, expected, terms=16)
    assert len(outcome(tl.checkpoint, compiled)) == 2 + 6 + 3 + 1


def test_derivatives_of_every_order():
    function = tl.checkpoint(lambda x, y: (tl.sin(x) * y, {"sum": (x * x).sum()}))
    both = lambda x, y: function(x, y)[0] + function(x, y)[1]["sum"]
    check_first(both, [X, X + 1], np.random.default_rng(1))
    check_second(both, [X, X + 1], np.random.default_rng(2))


def test_it_composes_with_vmap_jvp_and_itself():
    plain = lambda x: tl.sin(x) ** 3
    inner = tl.checkpoint(lambda x: tl.checkpoint(tl.sin)(x) ** 3)
    x = tl.tensor(X[0])
    assert_close(tl.vmap(tl.grad(inner))(x), tl.vmap(tl.grad(plain))(x).numpy())
    assert_close(tl.grad(lambda x: tl.vmap(inner)(x).sum())(x), tl.vmap(tl.grad(plain))(x).numpy())
    assert_close(tl.jvp(inner, (x,), (x,))[1], tl.jvp(plain, (x,), (x,))[1].numpy())


def test_what_is_computed_on_the_way_is_not_kept():
    seen = []

    def run(x):
        h = tl.exp(x)
        seen.append(weakref.ref(h.array))
        return tl.sin(h)

    x = tl.tensor(X, requires_grad=True)
    plain, kept = run(x), seen.pop()
    assert kept() is not None
    y = tl.checkpoint(run)(x)
    gc.collect()
    assert seen.pop()() is None
    y.sum().backward()
    assert_close(x.grad, np.cos(np.exp(X)) * np.exp(X))
    assert plain.requires_grad


def test_under_jit_it_needs_less_memory():
    weights = [tl.randn(32, 32) * 0.1 for _ in range(4)]

    def segment(w):
        def run(h):
            for _ in range(6):
                h = tl.tanh(h @ w)
            return h
        return run

    def gradient(transform):
        def loss(h):
            for w in weights:
                h = transform(segment(w))(h)
            return (h**2).sum()
        return tl.jit(tl.grad(loss))

    x = tl.randn(64, 32)
    saving, plain = gradient(tl.checkpoint), gradient(lambda f: f)
    assert_close(saving(x), plain(x).numpy(), terms=64)
    assert saving.explain().memory["arena"] * 2 < plain.explain().memory["arena"]


def test_parameters_of_closures_and_constants():
    w = tl.tensor(X, requires_grad=True)
    tl.checkpoint(lambda: (w * w).sum())().backward()
    assert_close(w.grad, 2 * X)
    assert not tl.checkpoint(lambda x: x * 2)(tl.tensor(X)).requires_grad
    with tl.no_grad():
        assert not tl.checkpoint(lambda x: x * 2)(w).requires_grad
    assert tl.checkpoint(lambda x: (x * 2, "name"))(w)[1] == "name"
    assert tl.checkpoint(lambda x: x)(w) is w


def test_random_numbers_may_be_drawn_anew():
    x = tl.tensor(np.ones(64), requires_grad=True)
    tl.manual_seed(0)
    y = tl.checkpoint(lambda x: nn.functional.dropout(x), preserve_rng_state=False)(x)
    y.sum().backward()
    assert (x.grad.numpy() != y.detach().numpy()).any()


def test_a_function_that_changes_is_found_out():
    x, calls = tl.tensor(X, requires_grad=True), []

    def run(x):
        calls.append(1)
        return x * 2 if len(calls) == 1 else x[0] * 2
    with pytest.raises(GradientError) as caught:
        tl.checkpoint(run)(x).sum().backward()
    lines = str(caught.value).split("\n")
    assert lines[0] == "checkpoint: the function computed something else the second time"
    assert lines[1:3] == ["  first   [(4, 3)]", "  second  [(3,)]"]
    assert lines[-1] == "  fix: let it depend on nothing that changes between the call and its derivative"


def test_the_tape_before_an_inner_value_survives_its_gradient():
    """As in PyTorch: what lies before the values that gradients are asked for is not walked."""
    x = tl.tensor(2.0, requires_grad=True)
    h = x * x
    (g,) = tl.autograd.grad(h * h, h)
    assert_same(g, np.float32(8.0))
    h.backward()
    assert_same(x.grad, np.float32(4.0))
