"""Fifty steps of every optimizer with every option, beside PyTorch and beside the formulas written out."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import TOLERANCES, Tolerance, assert_close, assert_same

import tensorlite as tl
from tensorlite import optim

STEPS = 50
SHAPES = [(3, 4), (5,), ()]
rates = st.sampled_from([0.0, 1e-3, 0.1])
decays = st.sampled_from([0, 0.01, 0.3])
betas = st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.0)])
epsilons = st.sampled_from([1e-8, 1e-2])
flags = {"foreach": st.sampled_from([None, False]), "maximize": st.booleans()}

#: What each optimizer's options are drawn from; those of two at least are given PyTorch's flags.
OPTIONS = {
    "SGD": {"lr": rates, "momentum": st.sampled_from([0, 0.5, 0.9]), "dampening": st.sampled_from([0, 0.1]),
            "weight_decay": decays, "nesterov": st.booleans(), **flags},
    "Adam": {"lr": rates, "betas": betas, "eps": epsilons, "weight_decay": decays, "amsgrad": st.booleans(),
             "decoupled_weight_decay": st.booleans(), **flags},
    "AdamW": {"lr": rates, "betas": betas, "eps": epsilons, "weight_decay": decays, "amsgrad": st.booleans(), **flags},
    "Adamax": {"lr": rates, "betas": betas, "eps": epsilons, "weight_decay": decays, **flags},
    "NAdam": {"lr": rates, "betas": st.sampled_from([(0.9, 0.999), (0.5, 0.9)]), "eps": epsilons,
              "weight_decay": decays, "momentum_decay": st.sampled_from([4e-3, 0.5]),
              "decoupled_weight_decay": st.booleans(), **flags},
    "RAdam": {"lr": rates, "betas": st.sampled_from([(0.9, 0.999), (0.5, 0.9)]), "eps": epsilons,
              "weight_decay": decays, "decoupled_weight_decay": st.booleans(), **flags},
    "RMSprop": {"lr": rates, "alpha": st.sampled_from([0.99, 0.5]), "eps": epsilons, "weight_decay": decays,
                "momentum": st.sampled_from([0, 0.9]), "centered": st.booleans(), **flags},
    "Adagrad": {"lr": rates, "lr_decay": st.sampled_from([0, 0.1]), "weight_decay": decays,
                "initial_accumulator_value": st.sampled_from([0, 0.5]), "eps": st.sampled_from([1e-10, 1e-2]), **flags},
    "Adadelta": {"lr": st.sampled_from([1.0, 0.1]), "rho": st.sampled_from([0.9, 0.5]),
                 "eps": st.sampled_from([1e-6, 1e-2]), "weight_decay": decays, **flags},
    "Rprop": {"lr": rates, "etas": st.sampled_from([(0.5, 1.2), (0.9, 2.0)]),
              "step_sizes": st.sampled_from([(1e-6, 50), (0.01, 0.1)]), **flags},
    "ASGD": {"lr": rates, "lambd": st.sampled_from([1e-4, 0.1]), "alpha": st.sampled_from([0.75, 1.0]),
             "t0": st.sampled_from([1e6, 10]), "weight_decay": decays, **flags},
    "Adafactor": {"lr": rates, "beta2_decay": st.sampled_from([-0.8, -0.3]),
                  "eps": st.sampled_from([(None, 1e-3), (1e-6, 0.1)]), "d": st.sampled_from([1.0, 2.0]),
                  "weight_decay": decays, **flags},
}

#: How far rounding may grow: where signs or roots of differences decide, it does so from step to step.
GROWTH = {"RMSprop": 1e12}


def descend(library, make, dtype=np.float64, steps=STEPS, shapes=SHAPES):
    """The parameters after some steps on a convex loss, of which one is met in every second step only."""
    starts = [np.random.default_rng(i).standard_normal(shape).astype(dtype) for i, shape in enumerate(shapes)]
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


def check(make, growth=1000):
    from nn.against_torch import torch
    ours, theirs = descend(tl, make)[0], descend(torch, make)[0]
    for found, wanted in zip(ours, theirs, strict=True):
        assert_close(found, wanted, terms=STEPS * growth)


@pytest.mark.parametrize("name", OPTIONS)
def test_it_goes_the_way_of_torch(name):
    @settings(max_examples=20)
    @given(options=st.fixed_dictionaries(OPTIONS[name]))
    def run(options):
        if options.get("nesterov") and not (options["momentum"] and not options["dampening"]):
            options |= {"momentum": 0.9, "dampening": 0}
        if options["maximize"]:
            options["lr"] = min(options["lr"], 0.01)
        check(lambda o, p: getattr(o, name)(p, **options), GROWTH.get(name, 1000))
    run()


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


def muon(library, options, steps=10):
    """The matrices after some steps."""
    return descend(library, lambda o, p: o.Muon(p, **options), np.float32, steps, [(3, 4), (6, 2), (5, 5)])[0]


#: Steps that PyTorch makes in bfloat16, and we in float32: each differs by a few roundings of numbers around 1.
ROUGH = Tolerance(0.0, 8 * TOLERANCES[np.dtype(tl.bfloat16)].relative)


@settings(max_examples=10)
@given(weight_decay=decays, momentum=st.sampled_from([0.95, 0.5]), nesterov=st.booleans(),
       adjust_lr_fn=st.sampled_from([None, "original", "match_rms_adamw"]))
def test_muon_goes_the_way_of_torch(**options):
    from nn.against_torch import torch
    options["lr"] = 0.05
    for found, wanted in zip(muon(tl, options), muon(torch, options), strict=True):
        assert_close(found, wanted, tolerance=ROUGH)


#: An optimizer of each kind as it may be used.
USED = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.1}, "Adam": {"amsgrad": True}, "AdamW": {}, "Adamax": {}, "NAdam": {},
    "RAdam": {}, "RMSprop": {"momentum": 0.5, "centered": True, "eps": 1e-2}, "Adagrad": {}, "Adadelta": {"lr": 1.0},
    "Rprop": {}, "ASGD": {"t0": 3, "lambd": 0.01}, "Adafactor": {"weight_decay": 0.1},
    "Muon": {}, "Lion": {"weight_decay": 0.1}, "LAMB": {}, "LARS": {"momentum": 0.9, "trust_coefficient": 0.1},
}
OURS_ALONE = {"Lion", "LAMB", "LARS"}


def make(name, **options):
    return lambda o, p: getattr(o, name)(p, **{"lr": 0.05, **USED[name], **options})


def shapes_of(name):
    return [(3, 4), (6, 2), (5, 5)] if name == "Muon" else SHAPES


@pytest.mark.parametrize("name", [*sorted(USED.keys() - OURS_ALONE), "LBFGS"])
def test_signatures_and_defaults_are_those_of_torch(name):
    from nn.against_torch import torch
    ours, theirs = getattr(optim, name), getattr(torch.optim, name)
    mine, wanted = (dict(inspect.signature(kind).parameters) for kind in (ours, theirs))
    mine.pop("master_weights", None)
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [(p.name, p.kind, p.default)
                                                                   for p in wanted.values()]
    assert ours([tl.zeros((2, 2))]).defaults == theirs([torch.zeros(2, 2)]).defaults
    assert repr(ours([tl.zeros((2, 2))])) == repr(theirs([torch.zeros(2, 2)]))


def lion(x, g, t, state, lr=0.05, betas=(0.9, 0.99), decay=0.1):
    m = state.get("m", 0 * x)
    state["m"] = betas[1] * m + (1 - betas[1]) * g
    return x - lr * (np.sign(betas[0] * m + (1 - betas[0]) * g) + decay * x)


def lamb(x, g, t, state, lr=0.05, betas=(0.9, 0.999), eps=1e-6, decay=0.01):
    m = state["m"] = betas[0] * state.get("m", 0 * x) + (1 - betas[0]) * g
    v = state["v"] = betas[1] * state.get("v", 0 * x) + (1 - betas[1]) * g * g
    u = m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps) + decay * x
    return x - lr * np.linalg.norm(x) / np.linalg.norm(u) * u


def lars(x, g, t, state, lr=0.05, momentum=0.9, trust=0.1, decay=0.2):
    size = np.linalg.norm(x)
    rate = lr * trust * size / (np.linalg.norm(g) + decay * size)
    v = state["v"] = momentum * state.get("v", 0 * x) + rate * (g + decay * x)
    return x - v


def newton_schulz(x, g, t, state, lr=0.05, momentum=0.95, decay=0.1):
    m = state["m"] = momentum * state.get("m", 0 * x) + (1 - momentum) * g
    u = (1 - momentum) * g + momentum * m
    u = u / max(np.linalg.norm(u), 1e-7)
    for _ in range(5):
        u = 3.4445 * u + (-4.775 * (u @ u.T) + 2.0315 * (u @ u.T @ u @ u.T)) @ u
    return x * (1 - lr * decay) - lr * u


FORMULAS = {"Lion": (lion, {}), "LAMB": (lamb, {}), "LARS": (lars, {"weight_decay": 0.2}), "Muon": (newton_schulz, {})}


@pytest.mark.parametrize("name", FORMULAS)
def test_it_is_its_formula(name):
    formula, options = FORMULAS[name]
    x = np.array([[1.0, -2.0, 0.5], [0.3, 0.8, -1.1]])
    p = tl.tensor(x, requires_grad=True)
    optimizer, state = make(name, **options)(optim, [p]), {}
    for t in range(1, 21):
        optimizer.zero_grad()
        (p * p * p).sum().backward()
        optimizer.step()
        x = formula(x, 3 * x * x, t, state)
        assert_close(p, x, terms=10**4)


@pytest.mark.parametrize("name", ["LAMB", "LARS"])
def test_a_norm_that_is_zero_scales_nothing(name):
    p = tl.tensor([0.0, 0.0], requires_grad=True)
    p.grad = tl.tensor([1.0, -1.0])
    make(name)(optim, [p]).step()
    assert_close(p, np.float32([-0.05, 0.05]), terms=100)
    q = tl.tensor([1.0, 2.0], requires_grad=True)
    q.grad = tl.zeros(2)
    getattr(optim, name)([q], lr=0.05, weight_decay=0).step()
    assert_same(q, np.float32([1.0, 2.0]))


@pytest.mark.parametrize("name", USED)
def test_narrow_parameters_take_steps_of_float32(name):
    if name == "Rprop":  # signs of products that vanish
        return
    start, wide = (descend(tl, make(name), np.float32, steps, shapes_of(name))[0] for steps in (0, 5))
    for dtype in (tl.float16, tl.bfloat16):
        narrow, optimizer = descend(tl, make(name), dtype, 5, shapes_of(name))
        assert {v.dtype for kept in optimizer.state.values() for k, v in kept.items()
                if isinstance(v, tl.Tensor) and k not in ("step", "mu_product", "eta", "mu")} == {np.dtype(dtype)}
        for found, wanted, before in zip(narrow, wide, start, strict=True):
            assert found.dtype == dtype
            assert_close(found, wanted, dtype=dtype, terms=400)
            assert not np.array_equal(found.astype(np.float32), before)


@pytest.mark.parametrize("name", [name for name in USED if name not in OURS_ALONE])
def test_state_goes_to_torch_and_back(name):
    from nn.against_torch import to_torch, torch
    # PyTorch casts the product of NAdam's momenta, which is in float32, to the parameter's dtype as it loads it
    tolerance = {"Muon": ROUGH, "NAdam": TOLERANCES[np.dtype(np.float32)]}.get(name)
    ours, theirs = (descend(library, make(name), steps=7, shapes=shapes_of(name))[1] for library in (tl, torch))
    left, right = ours.state_dict(), theirs.state_dict()
    assert left["state"].keys() == right["state"].keys()
    for number, kept in left["state"].items():
        assert kept.keys() == right["state"][number].keys()
        for key, value in kept.items():
            assert_close(value, right["state"][number][key].numpy(), dtype=np.float64, terms=10**6, tolerance=tolerance)
    assert left["param_groups"] == right["param_groups"]
    for state, convert, load in ((left, to_torch, theirs), (right, lambda value: value.numpy(), ours)):
        load.load_state_dict({"state": {number: {key: convert(value) for key, value in kept.items()}
                                        for number, kept in state["state"].items()},
                              "param_groups": state["param_groups"]})
    for p, q in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        p.grad, q.grad = tl.ones(p.shape, dtype=p.dtype), torch.ones_like(q)
        with tl.no_grad():
            p.copy_(tl.tensor(q.detach().numpy()))
    ours.step()
    theirs.step()
    for p, q in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        assert_close(p, q.detach().numpy(), terms=10**6, tolerance=tolerance)


def train(name, steps=6, interrupted=None, wrap=lambda step: step, dtype="float32", **options):
    """Two groups, of which the second has a rate of its own; the last parameter never has a gradient."""
    starts = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate([(3, 4), (4, 2), (2, 2)])]
    p, q, idle = parameters = [tl.tensor(x, dtype=getattr(tl, dtype), requires_grad=True) for x in starts]
    groups = [{"params": [p, idle]}, {"params": [q], "lr": 0.02}]
    optimizer = make(name, **options)(optim, groups)

    def step(x):
        optimizer.zero_grad()
        loss = ((x @ p).tanh() @ q).square().mean()
        loss.backward()
        optimizer.step()
        return loss
    run, losses = wrap(step), []
    for number in range(steps):
        if number == interrupted:
            state, values = optimizer.state_dict(), [x.detach().clone() for x in parameters]
            run(tl.ones((2, 3), dtype=p.dtype))
            with tl.no_grad():
                for x, value in zip(parameters, values, strict=True):
                    x.copy_(value)
            other = make(name, **options)(optim, [{"params": [p, idle], "lr": 9.0}, {"params": [q]}])
            other.load_state_dict(state)
            optimizer = other
        x = np.random.default_rng([7, number]).standard_normal((5, 3))
        losses.append(run(tl.tensor(x, dtype=p.dtype)).item())
    assert_same(idle, starts[2].astype(idle.dtype))
    return losses, [x.detach().numpy() for x in parameters], optimizer, run


@pytest.mark.parametrize("name", USED)
def test_a_state_that_was_saved_goes_on_bit_by_bit(name):
    whole, resumed = train(name), train(name, interrupted=3)
    assert whole[0] == resumed[0]
    for found, wanted in zip(resumed[1], whole[1], strict=True):
        assert_same(found, wanted)


#: What ten steps in float32 may be off by: roundings grow along a curve.
CURVE = Tolerance(1e-4, 1e-5)


@pytest.mark.parametrize("name", USED)
def test_compiled_steps_go_the_same_way(name):
    eager, compiled = train(name, 10), train(name, 10, wrap=tl.jit)
    assert_close(np.array(compiled[0]), np.array(eager[0]), tolerance=CURVE)
    for found, wanted in zip(compiled[1], eager[1], strict=True):
        assert_close(found, wanted, tolerance=CURVE)
    for kept, wanted in zip(*(run[2].state_dict()["state"].values() for run in (compiled, eager)), strict=True):
        assert kept.keys() == wanted.keys()
        for key, value in kept.items():
            assert_close(value, wanted[key], tolerance=CURVE)
    assert sum(map(len, compiled[3].variants.values())) <= 2  # the first call found no gradients
