"""Steps of optimizers by one kernel: the bits of ops run one by one, in memory that nobody else sees."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.optim import rule

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, maximize=True),
    "dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1),
    "amsgrad": lambda p: optim.Adam(p, lr=0.1, amsgrad=True, maximize=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
}
SHAPES = [(), (1,), (3, 5), (67, 1), (40, 300), (0, 4)]


def trajectory(make, dtype, turned=False):
    """Parameters and what is kept for them after some steps."""
    random = np.random.default_rng(0)
    params = [nn.Parameter(tl.asarray(random.standard_normal(shape).astype(dtype))) for shape in SHAPES]
    optimizer = make(params)
    for _ in range(4):
        for p in params:
            g = np.asarray(random.standard_normal(p.shape)).astype(dtype)
            p.grad = tl.asarray(g.T.copy().T if turned else g)
        optimizer.step()
    kept = [x for p in params for x in optimizer.state[p].values()]
    return [x.detach().numpy().copy() for x in (*params, *kept)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bits_are_those_of_ops(name, dtype, turned, monkeypatch):
    by_kernel = trajectory(OPTIMIZERS[name], dtype, turned)
    monkeypatch.setattr(rule, "_is_plain", lambda tensors: False)
    by_ops = trajectory(OPTIMIZERS[name], dtype)
    for x, y in zip(by_kernel, by_ops, strict=True):
        assert x.dtype == y.dtype
        assert x.tobytes() == y.tobytes()


def stepping(value=1.0, size=100):
    p = nn.Parameter(tl.full((size,), value))
    optimizer = optim.Adam([p], lr=0.5)
    p.grad = tl.ones(size)
    return p, optimizer


def test_memory_is_used_again_where_nobody_else_sees_it():
    p, optimizer = stepping()
    optimizer.step()
    state = optimizer.state[p]
    places = [x.array.ctypes.data for x in (p, state["exp_avg"], state["exp_avg_sq"])]
    optimizer.step()
    assert [x.array.ctypes.data for x in (p, state["exp_avg"], state["exp_avg_sq"])] == places


def test_what_others_hold_never_changes():
    p, optimizer = stepping()
    seen, detached = p.detach().numpy(), p.detach()
    before = seen.copy()
    optimizer.step()
    average = optimizer.state[p]["exp_avg"].detach()
    held = average.numpy().copy()
    optimizer.step()
    assert np.array_equal(seen, before)
    assert np.array_equal(detached.numpy(), before)
    assert np.array_equal(average.numpy(), held)
    assert not np.array_equal(p.detach().numpy(), before)


def test_what_the_tape_saved_never_changes():
    p, optimizer = stepping(2.0, 3)
    loss = (p * p * p).sum()
    optimizer.step()
    p.grad = None
    loss.backward()
    assert np.array_equal(p.grad.numpy(), np.full(3, 12.0, np.float32))


def test_compiled_functions_see_the_step():
    tl.manual_seed(0)
    net, x = nn.Conv2d(16, 16, 3), tl.randn(1, 16, 12, 12)
    jitted, optimizer = tl.jit(net), optim.SGD(net.parameters(), lr=0.5)
    with tl.no_grad():
        jitted(x)
        jitted(x)
    net(x).sum().backward()
    optimizer.step()
    with tl.no_grad():
        np.testing.assert_allclose(jitted(x).numpy(), net(x).numpy(), rtol=1e-4, atol=1e-4)


def test_narrow_parameters_are_moved_in_float32():
    p = nn.Parameter(tl.ones(10, dtype=tl.float16))
    optimizer = optim.AdamW([p], lr=1e-3)
    p.grad = tl.ones(10, dtype=tl.float16)
    optimizer.step()
    assert p.dtype == tl.float16
    np.testing.assert_allclose(p.detach().numpy(), np.float16(1 - 1e-5 - 1e-3))


def test_a_view_that_would_not_change_its_base_is_refused():
    base = tl.zeros((4, 3))
    p = base[0]
    p.requires_grad = True
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = tl.ones(3)
    with pytest.raises(tl.errors.GradientError, match="step: the tensor is a view of another one that is still in use"):
        optimizer.step()


@pytest.mark.parametrize("shape", [(), (2,), (1, 4)])
def test_state_of_another_shape_is_refused(shape):
    p = nn.Parameter(tl.ones(4))
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    optimizer.state[p]["momentum_buffer"] = tl.ones(shape)
    p.grad = tl.ones(4)
    with pytest.raises((tl.errors.ShapeError, ValueError), match="shape"):
        optimizer.step()


def test_states_of_other_times_are_read():
    p = nn.Parameter(tl.ones(4))
    optimizer = optim.Adam([p], lr=np.array(0.5))
    kept = {"step": 3, "exp_avg": np.zeros(4, np.float32), "exp_avg_sq": np.ones(4, np.float32), "mine": None}
    optimizer.load_state_dict({"state": {0: kept}, "param_groups": optimizer.state_dict()["param_groups"]})
    optimizer.state[p]["note"] = "not a tensor"
    p.grad = tl.ones(4)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 4


def test_an_interrupted_step_leaves_the_mode_as_it_was(monkeypatch):
    _, optimizer = stepping()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rule.Rule, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert tl.is_grad_enabled()
