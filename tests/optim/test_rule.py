"""Steps of optimizers by one kernel: the bits of ops run one by one, in memory that nobody else sees."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.kernels.cpu import program
from tensorlite.optim import rule

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, maximize=True),
    "dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1),
    "amsgrad": lambda p: optim.Adam(p, lr=0.1, amsgrad=True, maximize=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
    "adamax": lambda p: optim.Adamax(p, lr=0.1),
    "nadam": lambda p: optim.NAdam(p, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda p: optim.RAdam(p, lr=0.1, betas=(0.9, 0.5)),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True, eps=0.1),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    "adadelta": lambda p: optim.Adadelta(p, weight_decay=0.1),
    "rprop": lambda p: optim.Rprop(p, lr=0.1),
    "asgd": lambda p: optim.ASGD(p, lr=0.1, t0=2),
    "lion": lambda p: optim.Lion(p, lr=0.1, weight_decay=0.1),
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
    monkeypatch.setattr(rule, "_may_join", lambda row, stored, dtype: False)
    by_ops = trajectory(OPTIMIZERS[name], dtype)
    for x, y in zip(by_kernel, by_ops, strict=True):
        assert x.dtype == y.dtype
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_parameters_are_moved_by_one_call(threads, monkeypatch):
    before, shapes = tl.get_num_threads(), [(3, 5), (0,), (200, 300), (), (7,), (64, 64)]
    tl.set_num_threads(threads)
    calls = []
    run = program.Frame.run_on
    monkeypatch.setattr(program.Frame, "run_on", lambda *arguments: calls.append(1) or run(*arguments))
    try:
        params = [nn.Parameter(tl.ones(shape)) for shape in shapes]
        optimizer = optim.SGD(params, lr=0.25)
        for number, p in enumerate(params):
            p.grad = tl.full(p.shape, float(number))
        optimizer.step()
    finally:
        tl.set_num_threads(before)
    assert len(calls) == 1
    for number, p in enumerate(params):
        assert np.array_equal(p.detach().numpy(), np.full(p.shape, 1 - number / 4, np.float32))


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_an_update_of_a_users_own_is_called_for_each_parameter(kind):
    class Doubled(kind):
        def update(self, p, g, state, group):
            super().update(p, g * 2, state, group)

    def run(kind, slope):
        params = [nn.Parameter(tl.ones(3)) for _ in range(3)]
        optimizer = kind(params, lr=0.1, weight_decay=0.5)
        for _ in range(3):
            for p in params:
                p.grad = tl.full((3,), slope)
            optimizer.step()
        return [p.tolist() for p in params]
    assert run(Doubled, 1.0) == run(kind, 2.0) != run(kind, 1.0)


def test_what_cannot_be_moved_together_is_moved_alone():
    """A gradient that is turned, another dtype, a parameter that somebody sees, and one that nobody moves yet."""
    plain, turned, wide, seen, late = params = [
        nn.Parameter(tl.ones((2, 3))), nn.Parameter(tl.ones((2, 3))), nn.Parameter(tl.ones((2, 3), dtype=tl.float64)),
        nn.Parameter(tl.ones((2, 3))), nn.Parameter(tl.ones((2, 3)))]
    optimizer = optim.Adam(params, lr=0.5)
    held = seen.detach()
    for step in range(3):
        for p in params[:5 if step else 4]:
            p.grad = tl.ones((3, 2), dtype=p.dtype).T if p is turned else tl.ones((2, 3), dtype=p.dtype)
        optimizer.step()
    for p in (plain, turned, wide, seen):
        np.testing.assert_allclose(p.detach().numpy(), -0.5, rtol=1e-6)
    np.testing.assert_allclose(late.detach().numpy(), 0.0, atol=1e-6)
    assert held.tolist() == [[1.0] * 3] * 2
    assert [optimizer.state[p]["step"].item() for p in params] == [3, 3, 3, 3, 2]


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


def test_memory_of_many_is_used_again_too():
    params = [nn.Parameter(tl.ones(100)) for _ in range(3)]
    optimizer = optim.Adam(params)
    for p in params:
        p.grad = tl.ones(100)
    optimizer.step()
    kept = [x for p in params for x in (p, optimizer.state[p]["exp_avg"], optimizer.state[p]["exp_avg_sq"])]
    places = [x.array.ctypes.data for x in kept]
    view = params[0].detach()
    optimizer.step()
    assert [x.array.ctypes.data == place for x, place in zip(kept, places, strict=True)] == [False] + [True] * 8
    assert not np.array_equal(view.numpy(), params[0].detach().numpy())


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
