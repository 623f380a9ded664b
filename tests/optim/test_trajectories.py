"""Fifty steps of every optimizer with every option, beside PyTorch and beside the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import optim

STEPS = 50
SHAPES = [(3, 4), (5,), ()]
rates = st.sampled_from([0.0, 1e-3, 0.1])
decays = st.sampled_from([0, 0.01, 0.3])


def descend(library, make, dtype=np.float64, steps=STEPS):
    """The parameters after some steps on a convex loss, of which one is met in every second step only."""
    starts = [np.random.default_rng(i).standard_normal(shape).astype(dtype) for i, shape in enumerate(SHAPES)]
    parameters = [library.tensor(a, requires_grad=True) for a in starts]
    optimizer = make(library.optim, parameters)
    for step in range(steps):
        used = parameters if step % 2 else parameters[:2]
        loss = sum(((p * p).sum() + library.sqrt(1 + p * p * (1 + step % 5)).sum() for p in used[1:]),
                   (used[0] * used[0]).sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [p.detach().numpy() for p in parameters], optimizer


def check(make):
    from nn.against_torch import torch
    ours, theirs = descend(tl, make)[0], descend(torch, make)[0]
    for found, wanted in zip(ours, theirs, strict=True):
        assert_close(found, wanted, terms=STEPS * 1000)


@settings(max_examples=30)
@given(lr=rates, momentum=st.sampled_from([0, 0.5, 0.9]), dampening=st.sampled_from([0, 0.1]), weight_decay=decays,
       nesterov=st.booleans(), maximize=st.booleans())
def test_sgd_agrees_with_torch(lr, momentum, dampening, weight_decay, nesterov, maximize):
    if nesterov and (not momentum or dampening):
        momentum, dampening = 0.9, 0
    check(lambda o, p: o.SGD(p, min(lr, 0.01) if maximize else lr, momentum, dampening, weight_decay, nesterov,
                             maximize=maximize))


@settings(max_examples=30)
@given(name=st.sampled_from(["Adam", "AdamW"]), lr=rates, betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.0)]),
       eps=st.sampled_from([1e-8, 1e-2]), weight_decay=decays, amsgrad=st.booleans(), maximize=st.booleans())
def test_adam_and_adamw_agree_with_torch(name, lr, betas, eps, weight_decay, amsgrad, maximize):
    check(lambda o, p: getattr(o, name)(p, lr, betas, eps, weight_decay, amsgrad, maximize=maximize))


def test_defaults_are_those_of_torch():
    from nn.against_torch import torch
    for name in ("SGD", "Adam", "AdamW"):
        ours = getattr(optim, name)([tl.zeros(1)]).defaults
        theirs = getattr(torch.optim, name)([torch.zeros(1)]).defaults
        assert ours == {key: theirs[key] for key in ours}


def test_sgd_is_its_formula():
    p = tl.tensor([1.0, -2.0], dtype=tl.float64, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, dampening=0.25, weight_decay=0.2)
    x, buffer = np.array([1.0, -2.0]), None
    for _ in range(5):
        optimizer.zero_grad()
        (p * p * p).sum().backward()
        optimizer.step()
        g = 3 * x * x + 0.2 * x
        buffer = g if buffer is None else 0.5 * buffer + 0.75 * g
        x = x - 0.1 * buffer
        assert_close(p, x, terms=30)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam_is_its_formula(name):
    p = tl.tensor([1.0, -2.0], dtype=tl.float64, requires_grad=True)
    optimizer = getattr(optim, name)([p], lr=0.1, betas=(0.8, 0.9), eps=0.01, weight_decay=0.2)
    x, m, v = np.array([1.0, -2.0]), 0, 0
    for t in range(1, 6):
        optimizer.zero_grad()
        (p * p * p).sum().backward()
        optimizer.step()
        g = 3 * x * x
        if name == "Adam":
            g = g + 0.2 * x
        else:
            x = x * (1 - 0.1 * 0.2)
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        x = x - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 0.01)
        assert_close(p, x, terms=100)


@pytest.mark.parametrize("make",
                         [lambda o, p: o.SGD(p, 0.05, 0.9, nesterov=True), lambda o, p: o.Adam(p, 0.05, amsgrad=True),
                                  lambda o, p: o.AdamW(p, 0.05)])
def test_narrow_parameters_take_steps_of_float32(make):
    wide = descend(tl, make, np.float32, 5)[0]
    for dtype in (tl.float16, tl.bfloat16):
        narrow, optimizer = descend(tl, make, dtype, 5)
        assert {v.dtype for kept in optimizer.state.values() for k,
                v in kept.items() if k != "step"} == {np.dtype(dtype)}
        for found, wanted in zip(narrow, wide, strict=True):
            assert found.dtype == dtype
            assert_close(found, wanted, dtype=dtype, terms=100)


def test_state_goes_to_torch_and_back():
    from nn.against_torch import to_torch, torch
    for make in (lambda o, p: o.SGD(p, 0.05, 0.9), lambda o, p: o.Adam(p, 0.05, amsgrad=True), lambda o,
                 p: o.AdamW(p, 0.05)):
        ours, theirs = descend(tl, make, steps=7)[1], descend(torch, make, steps=7)[1]
        left, right = ours.state_dict(), theirs.state_dict()
        assert left["state"].keys() == right["state"].keys()
        for number, kept in left["state"].items():
            assert kept.keys() == right["state"][number].keys()
            for key, value in kept.items():
                assert_close(value, right["state"][number][key].numpy(), dtype=np.float64, terms=10**4)
        assert [g["params"] for g in left["param_groups"]] == [g["params"] for g in right["param_groups"]]
        theirs.load_state_dict({"state": {n: {k: to_torch(v) for k, v in kept.items()} for n,
                                          kept in left["state"].items()},
                                "param_groups": left["param_groups"]})
        ours.load_state_dict({"state": {n: {k: v.numpy() for k, v in kept.items()} for n,
                                        kept in right["state"].items()},
                              "param_groups": right["param_groups"]})
        for p, q in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
            p.grad, q.grad = tl.ones(p.shape, dtype=p.dtype), torch.ones_like(q)
            with tl.no_grad():
                p.copy_(tl.tensor(q.detach().numpy()))
        ours.step()
        theirs.step()
        for p, q in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
            assert_close(p, q.detach().numpy(), terms=10**4)


def test_a_state_that_was_saved_goes_on_bit_by_bit():
    def run(interrupted):
        p = tl.tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.Adam([p], lr=0.1)
        for step in range(6):
            if interrupted and step == 3:
                state, value = optimizer.state_dict(), p.detach().clone()
                optimizer.step()
                p = tl.tensor(value, requires_grad=True)
                optimizer = optim.Adam([p], lr=0.5)
                optimizer.load_state_dict(state)
            p.grad = None
            (p * p).sum().backward()
            optimizer.step()
        return p
    assert_same(run(True), run(False))
