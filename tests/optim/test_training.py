"""What training needs besides: accumulated gradients, copies of weights in float32, scheduled momenta."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import Tolerance, assert_close, assert_same

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.nn import functional as F
from tensorlite.optim import lr_scheduler

#: What ten steps in float32 may be off by where sums are made in another order.
CURVE = Tolerance(1e-4, 1e-5)

ways = pytest.mark.parametrize("wrap", [lambda step: step, tl.jit], ids=["eager", "jit"])


def network(dtype=tl.float32):
    tl.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def batch(number, size=12):
    random = np.random.default_rng(number)
    return random.standard_normal((size, 4)).astype(np.float32), random.integers(0, 3, size)


# --- accumulated gradients ---


@ways
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_parts_of_a_batch_add_up_to_the_batch(parts, wrap):
    def train(parts):
        model = network()
        optimizer = optim.AdamW(model.parameters(), lr=0.01)

        @wrap
        def take(x, y):
            loss = F.cross_entropy(model(x), y) / parts
            loss.backward()
            return loss

        @wrap
        def finish():
            optimizer.step()
            optimizer.zero_grad()
        losses = []
        for number in range(6):
            x, y = batch(number)
            losses.append(sum(take(tl.tensor(a), tl.tensor(b)).item() for a, b in
                              zip(np.split(x, parts), np.split(y, parts), strict=True)))
            finish()
        return losses, [p.detach().numpy() for p in model.parameters()]
    found, wanted = train(parts), train(1)
    assert_close(np.array(found[0]), np.array(wanted[0]), tolerance=CURVE)
    for x, y in zip(found[1], wanted[1], strict=True):
        assert_close(x, y, tolerance=CURVE)


def test_parts_add_up_within_one_compiled_step():
    def train(parts, wrap):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        @wrap
        def step(x, y):
            optimizer.zero_grad()
            for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True):
                (F.cross_entropy(model(a), b) / parts).backward()
            optimizer.step()
        for number in range(6):
            step(*map(tl.tensor, batch(number)))
        return [p.detach().numpy() for p in model.parameters()]
    for x, y in zip(train(3, tl.jit), train(1, lambda step: step), strict=True):
        assert_close(x, y, tolerance=CURVE)


# --- copies of narrow weights in float32 ---

OPTIMIZERS = {
    "SGD": {"lr": 0.01, "momentum": 0.5}, "AdamW": {"lr": 1e-4}, "Adagrad": {"lr": 1e-3}, "RMSprop": {"lr": 1e-4},
    "NAdam": {"lr": 1e-4}, "Lion": {"lr": 1e-4}, "LAMB": {"lr": 1e-3}, "LARS": {"lr": 1.0}, "Adafactor": {"lr": 1e-3},
    "Adamax": {"lr": 1e-4}, "RAdam": {"lr": 1e-4}, "Adadelta": {"lr": 1.0}, "ASGD": {"lr": 1e-3}, "Rprop": {"lr": 1e-4},
    "Adam": {"lr": 1e-4}, "Muon": {"lr": 1e-3, "weight_decay": 0},
}


def descend(name, dtype, steps=40, wrap=lambda step: step, **options):
    """A parameter on its way to a target, whose gradients are the same in every dtype."""
    p = tl.tensor(np.full((3, 3), 1.0), dtype=dtype, requires_grad=True)
    optimizer = getattr(optim, name)([p], **OPTIMIZERS[name], **options)
    slopes = tl.tensor([[0.25, 0.5, 1.0], [1.0, 0.25, 0.5], [0.5, 1.0, 0.25]], dtype=dtype)

    @wrap
    def step():
        p.grad = slopes
        optimizer.step()
    for _ in range(steps):
        step()
    return p.detach(), optimizer


@ways
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_narrow_weights_follow_those_in_float32(name, dtype, wrap):
    wide, _ = descend(name, tl.float32)
    narrow, optimizer = descend(name, getattr(tl, dtype), wrap=wrap, master_weights=True)
    assert narrow.dtype == getattr(tl, dtype)
    (kept,) = optimizer.state.values()
    assert {x.dtype for x in kept.values() if x.ndim} == {tl.float32}
    assert_close(kept["master_param"], wide, tolerance=CURVE)
    assert_same(narrow, kept["master_param"].astype(narrow.dtype))


def test_plain_bfloat16_stalls_where_a_copy_in_float32_goes_on():
    wide, stalled, followed = (descend("AdamW", dtype, **options)[0] for dtype, options in (
        (tl.float32, {}), (tl.bfloat16, {}), (tl.bfloat16, {"master_weights": True})))
    assert_same(stalled, np.ones((3, 3), stalled.dtype))  # steps are less than half an ulp
    assert_same(followed, wide.astype(tl.bfloat16))
    assert float(followed.max()) < 1


def test_training_in_bfloat16_with_copies_follows_float32():
    def train(dtype, **options):
        model = network(dtype)
        optimizer, losses = optim.AdamW(model.parameters(), lr=2e-3, **options), []
        for number in range(60):
            x, y = batch(number % 3)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(tl.tensor(x).astype(dtype)).astype(tl.float32), tl.tensor(y))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return np.array(losses)
    wide, copied = train(tl.float32), train(tl.bfloat16, master_weights=True)
    assert_close(copied, wide, dtype=tl.bfloat16, terms=4)


def test_copies_are_saved_and_resumed():
    whole, _ = descend("AdamW", tl.bfloat16, master_weights=True)
    p, optimizer = descend("AdamW", tl.bfloat16, 15, master_weights=True)
    state = optimizer.state_dict()
    assert list(state["state"][0]) == ["master_param", "step", "exp_avg", "exp_avg_sq"]
    q = tl.tensor(p, requires_grad=True)
    other = optim.AdamW([q], master_weights=True)
    other.load_state_dict(state)
    slopes = tl.tensor([[0.25, 0.5, 1.0], [1.0, 0.25, 0.5], [0.5, 1.0, 0.25]], dtype=tl.bfloat16)
    for _ in range(25):
        q.grad = slopes
        other.step()
    assert_same(q, whole)
    plain = optim.AdamW([q])
    plain.load_state_dict(optim.AdamW([q], master_weights=True).state_dict())
    assert "master_param" not in plain.state[q]


def test_wide_parameters_have_no_copies():
    p, optimizer = descend("AdamW", tl.float32, master_weights=True)
    assert "master_param" not in next(iter(optimizer.state.values()))
    assert_same(p, descend("AdamW", tl.float32)[0])


# --- schedules that a compiled step sees ---

SCHEDULES = {
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 3),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, 20),
}
MOVED = {"SGD": {"momentum": 0.9, "nesterov": True}, "Adam": {}, "AdamW": {}, "NAdam": {}, "RAdam": {}, "Adamax": {},
         "RMSprop": {"momentum": 0.9}, "Lion": {}, "LAMB": {}, "LARS": {"momentum": 0.9}}


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("kind", SCHEDULES)
def test_momenta_that_are_scheduled_take_effect_and_compile_nothing(kind, name):
    curves = []
    for wrap in (lambda step: step, tl.jit):
        model = network()
        optimizer = getattr(optim, name)(model.parameters(), lr=0.01, **MOVED[name])
        schedule, curve = SCHEDULES[kind](optimizer), []

        @wrap
        def step(x, y):
            optimizer.zero_grad()  # noqa: B023  # used at once
            loss = F.cross_entropy(model(x), y)  # noqa: B023
            loss.backward()
            optimizer.step()  # noqa: B023
            return loss
        for number in range(12):
            curve.append(step(*map(tl.tensor, batch(number))).item())
            schedule.step()
        curves.append(curve)
    assert_close(np.array(curves[1]), np.array(curves[0]), tolerance=CURVE)
    assert sum(map(len, step.variants.values())) <= 2  # the first call found no gradients


def test_an_option_that_becomes_zero_compiles_anew():
    def run(wrap):
        p = nn.Parameter(tl.tensor([1.0, -2.0]))
        optimizer = optim.AdamW([p], lr=0.1, weight_decay=0.5)

        @wrap
        def step():
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
        curve = []
        for weight_decay in (0.5, 0.5, 0.25, 0.0, 0.0, 0.125):
            optimizer.param_groups[0]["weight_decay"] = weight_decay
            step()
            curve.append(p.tolist())
        return np.array(curve)
    assert_close(run(tl.jit), run(lambda step: step), tolerance=CURVE)
