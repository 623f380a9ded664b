"""Whole training steps under jit go the way that they go eagerly: losses, weights, gradients, statistics and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import Tolerance, assert_close, assert_same

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.benchmarks.workloads import workload
from tensorlite.nn import functional as F

STEPS = 20

#: What twenty steps in float32 may be off by: roundings grow along a curve.
CURVE = Tolerance(1e-4, 1e-6)
WEIGHTS = Tolerance(1e-3, 1e-4)

#: What makes a function of one, to be tried both ways.
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def each_way(run: Callable[[Wrap], Any]) -> tuple[Any, Any]:
    """What a run gives eagerly, and compiled."""
    return run(lambda function: function), run(tl.jit)


def compiled(step: Any) -> int:
    """How often a jitted function was compiled."""
    return sum(map(len, step.variants.values()))


@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4", "W5"])
def test_workloads_are_one_native_program(name):
    step, batch = workload(name, small=True).build(0, jit=True)
    step(*batch)
    for each in step.explain().specialisations:
        assert each.edges == ()
        assert {kernel.segment for kernel in each.kernels} == {0}


def has_no_slope(parameter: str, x: tl.Tensor) -> tl.Tensor:
    """Where a parameter's derivative is nothing but rounding, of which Adam makes whole steps.

    So it is with the bias of keys: it adds the same to all scores of a query, and softmax does not see that.
    """
    none = np.zeros(x.shape, bool)
    if parameter.endswith("qkv.bias"):
        none[x.size // 3:2 * x.size // 3] = True
        assert float(abs(x.grad[tl.tensor(none)]).max()) < 1e-7
    return tl.tensor(none)


@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4", "W5"])
def test_workloads_give_the_eager_curve(name):
    eager, jitted = (workload(name, small=True).start(0, jit=jit) for jit in (False, True))
    for _ in range(STEPS):
        assert_close(jitted.step(*jitted.batch), eager.step(*eager.batch), tolerance=CURVE)
    others = dict(eager.model.named_parameters())
    for parameter, x in jitted.model.named_parameters():
        seen = ~has_no_slope(parameter, x)
        assert_close(x[seen], others[parameter][seen], tolerance=WEIGHTS)
        assert_close(x.grad, others[parameter].grad, tolerance=WEIGHTS)
    for x, y in zip(jitted.model.buffers(), eager.model.buffers(), strict=True):
        assert_close(x, y, tolerance=CURVE)
    assert compiled(jitted.step) <= 2  # the first call found no gradients


def batch(number: int = 0) -> tuple[tl.Tensor, tl.Tensor]:
    random = np.random.default_rng(number)
    return tl.tensor(random.standard_normal((12, 6), np.float32)), tl.tensor(random.integers(0, 4, 12))


def network() -> nn.Module:
    tl.manual_seed(7)
    return nn.Sequential(nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.25),
                         nn.Linear(16, 4))


def plain(model: nn.Module, opt: optim.Optimizer) -> Callable[..., Any]:
    def step(x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss
    return step


def both(make: Callable[[nn.Module], optim.Optimizer], step: Callable[..., Any] = plain,
         steps: int = STEPS) -> list[tuple[nn.Module, list[float], Any]]:
    """Trains the same network eagerly and compiled: model, losses, and the step."""
    runs = []
    for wrap in (lambda f: f, tl.jit):
        model = network()
        run = wrap(step(model, make(model)))
        runs.append((model, [run(*batch(number)).item() for number in range(steps)], run))
    return runs


def check_both(make: Callable[[nn.Module], optim.Optimizer], step: Callable[..., Any] = plain) -> Any:
    (eager, losses, _), (model, found, run) = both(make, step)
    np.testing.assert_allclose(found, losses, rtol=CURVE.relative)
    for (name, x), y in zip(model.state_dict().items(), eager.state_dict().values(), strict=True):
        assert x.type == y.type, name
        assert_close(x, y, tolerance=WEIGHTS)
    for x, y in zip(model.parameters(), eager.parameters(), strict=True):
        assert_close(x.grad, y.grad, tolerance=WEIGHTS)
    return run


OPTIMIZERS = {
    "SGD": lambda m: optim.SGD(m.parameters(), lr=0.1),
    "momentum": lambda m: optim.SGD(m.parameters(), lr=0.05, momentum=0.9),
    "nesterov": lambda m: optim.SGD(m.parameters(), lr=0.05, momentum=0.9, nesterov=True),
    "dampening": lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9, dampening=0.5),
    "weight decay": lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.5, weight_decay=0.01),
    "maximize": lambda m: optim.SGD(m.parameters(), lr=0.001, maximize=True),
    "Adam": lambda m: optim.Adam(m.parameters(), lr=0.01),
    "amsgrad": lambda m: optim.Adam(m.parameters(), lr=0.01, amsgrad=True),
    "Adam with decay": lambda m: optim.Adam(m.parameters(), lr=0.01, weight_decay=0.1),
    "AdamW": lambda m: optim.AdamW(m.parameters(), lr=0.01, weight_decay=0.1),
    "groups": lambda m: optim.SGD([{"params": m[0].parameters(), "lr": 0.2}, {"params": m[4].parameters(),
                                                                              "momentum": 0.9}], lr=0.05),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    run = check_both(OPTIMIZERS[name])
    assert compiled(run) <= 3


def clipped(model, opt):
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        opt.step()
        return loss + 0 * norm
    return step


def clipped_by_value(model, opt):
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.01)
        opt.step()
        return loss
    return step


def zeroed_in_place(model, opt):
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad(set_to_none=False)
        return loss
    return step


def zeroed_last(model, opt):
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss
    return step


def halves(model, opt):
    def step(x, y):
        opt.zero_grad()
        total = 0.0
        for part in range(2):
            loss = F.cross_entropy(model(x[part::2]), y[part::2]) / 2
            loss.backward()
            total = total + loss.detach()
        opt.step()
        return total
    return step


def penalized(model, opt):
    """A penalty on the norm of the gradient, which takes second derivatives."""
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        gradients = tl.autograd.grad(loss, list(model.parameters()), create_graph=True)
        loss = loss + 0.01 * sum((g * g).sum() for g in gradients)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss
    return step


def averaged(model, opt):
    """Exponential means of the weights, kept beside them."""
    means = [p.detach().clone() for p in model.parameters()]
    train = plain(model, opt)

    def step(x, y):
        loss = train(x, y)
        with tl.no_grad():
            for mean, p in zip(means, model.parameters(), strict=True):
                mean.mul_(0.9).add_(0.1 * p)
        return loss + sum((mean * mean).sum() for mean in means).detach()
    return step


STEPPING = {step.__name__: step for step in (clipped, clipped_by_value, halves, penalized, averaged)}


@pytest.mark.parametrize("name", STEPPING)
def test_steps_of_other_kinds(name):
    run = check_both(OPTIMIZERS["momentum"], STEPPING[name])
    assert compiled(run) <= 2


@pytest.mark.parametrize("step", [zeroed_in_place, zeroed_last])
def test_gradients_may_be_forgotten_at_the_end(step):
    (eager, losses, _), (model, found, run) = both(OPTIMIZERS["Adam"], step)
    np.testing.assert_allclose(found, losses, rtol=CURVE.relative)
    for x, y in zip(model.parameters(), eager.parameters(), strict=True):
        assert (x.grad is None) == (y.grad is None)
        assert x.grad is None or not x.grad.numpy().any()
    assert compiled(run) <= 2


def test_gradients_accumulate_over_calls():
    def run(wrap):
        model = network()
        opt = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def gather(x, y):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        def move():
            opt.step()
            opt.zero_grad()
        gather, move, curve = wrap(gather), wrap(move), []
        for number in range(12):
            curve.append(gather(*batch(number)).item())
            if number % 3 == 2:
                move()
        return curve
    eager, found = each_way(run)
    np.testing.assert_allclose(found, eager, rtol=CURVE.relative)


def test_dropout_draws_the_eager_masks():
    drop = nn.Dropout(0.5)
    x = tl.ones((100,))
    masks = []
    for function in (drop, tl.jit(drop)):
        tl.manual_seed(5)
        masks.append([function(x) for _ in range(3)])
    for eager, found in zip(*masks, strict=True):
        assert_same(found, eager)
    assert masks[1][0].tolist() != masks[1][1].tolist()


def test_random_numbers_go_on_where_the_last_call_stopped():
    """Eager and compiled calls take turns at one generator."""
    draw = lambda: (tl.rand(3), tl.randn(2), tl.randint(0, 10, (4,)), tl.randperm(5))
    jitted = tl.jit(draw)
    tl.manual_seed(1)
    expected = [draw() for _ in range(4)]
    tl.manual_seed(1)
    for number, values in enumerate(expected):
        for x, y in zip((jitted if number % 2 else draw)(), values, strict=True):
            assert_close(x, y, terms=4)
    own = tl.Generator()
    own.manual_seed(4)
    first = tl.rand(3, generator=own)
    own.manual_seed(4)
    assert_same(tl.jit(lambda: tl.rand(3, generator=own))(), first)


def test_batch_norm_keeps_the_eager_statistics_and_uses_them():
    models = []
    for wrap in (lambda f: f, tl.jit):
        tl.manual_seed(0)
        model = nn.BatchNorm1d(6)
        run = wrap(model)
        for number in range(5):
            run(batch(number)[0])
        model.eval()
        models.append((model, run(batch(9)[0])))
    (eager, expected), (model, found) = models
    for x, y in zip(model.buffers(), eager.buffers(), strict=True):
        assert_close(x, y, terms=16)
    assert model.num_batches_tracked.item() == 5
    assert_close(found, expected, terms=16)


SCHEDULERS = {
    "StepLR": lambda o: optim.lr_scheduler.StepLR(o, 3, gamma=0.5),
    "CosineAnnealingLR": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 10),
}


@pytest.mark.parametrize("kind", ["SGD", "momentum", "Adam", "AdamW"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_outside_takes_effect_and_compiles_nothing(name, kind):
    curves = []
    for wrap in (lambda f: f, tl.jit):
        model = network()
        opt = OPTIMIZERS[kind](model)
        step, schedule, curve = wrap(plain(model, opt)), SCHEDULERS[name](opt), []
        for number in range(12):
            curve.append(step(*batch(number)).item())
            schedule.step()
            if number == 1 and wrap is tl.jit:
                count = compiled(step)
        curves.append(curve)
    np.testing.assert_allclose(*curves, rtol=CURVE.relative)
    assert compiled(step) == count <= 2


def test_modes_are_compiled_once_each():
    def run(wrap):
        model = network()
        step, scores = wrap(plain(model, OPTIMIZERS["SGD"](model))), wrap(lambda x: model(x).argmax(1))
        losses, classes = [], []
        for number in range(8):
            model.train()
            losses.append(step(*batch(number)).item())
            model.eval()
            with tl.no_grad():
                classes.append(scores(batch(number)[0]).tolist())
        return losses, classes, step, scores
    eager, found = each_way(run)
    assert found[1] == eager[1]
    np.testing.assert_allclose(found[0], eager[0], rtol=CURVE.relative)
    assert compiled(found[2]) <= 2
    assert compiled(found[3]) == 1


def test_a_frozen_layer_stays():
    curves = []
    for wrap in (lambda f: f, tl.jit):
        model = network()
        opt = optim.SGD(model.parameters(), lr=0.1)
        step, curve = wrap(plain(model, opt)), []
        for number in range(9):
            for p in model[0].parameters():
                p.requires_grad_(number % 6 < 3)
            curve.append(step(*batch(number)).item())
        curves.append([*curve, *model[0].weight.detach().flatten().tolist()])
    np.testing.assert_allclose(*curves, rtol=WEIGHTS.relative, atol=WEIGHTS.absolute)


def test_tied_weights():
    curves = []
    for wrap in (lambda f: f, tl.jit):
        tl.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 4))
        model[2].weight = model[0].weight
        opt = optim.Adam(model.parameters(), lr=0.01)
        step = wrap(plain(model, opt))
        curves.append([step(*batch(number)).item() for number in range(STEPS)])
        assert model[2].weight is model[0].weight
    np.testing.assert_allclose(*curves, rtol=CURVE.relative)


def test_training_goes_on_from_a_checkpoint():
    """State dicts are of the moment, and can be loaded into a model that a compiled step holds."""
    model = network()
    opt = OPTIMIZERS["Adam"](model)
    step = tl.jit(plain(model, opt))
    for number in range(3):
        step(*batch(number))
    saved = ({name: x.clone() for name, x in model.state_dict().items()}, opt.state_dict())
    held = model.state_dict(), {name: x.tolist() for name, x in model.state_dict().items()}
    tl.manual_seed(1)
    after = [step(*batch(number)).item() for number in range(4)]
    assert {name: x.tolist() for name, x in held[0].items()} == held[1]
    model.load_state_dict(saved[0])
    opt.load_state_dict(saved[1])
    tl.manual_seed(1)
    np.testing.assert_allclose([step(*batch(number)).item() for number in range(4)], after, rtol=CURVE.relative)


def test_compiled_models_are_trained_by_eager_steps():
    curves = []
    for wrap in (lambda f: f, tl.jit):
        model = network()
        opt = OPTIMIZERS["Adam"](model)
        step = plain(wrap(model), opt)
        curves.append([step(*batch(number)).item() for number in range(STEPS)])
    np.testing.assert_allclose(*curves, rtol=CURVE.relative)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float64], ids=lambda d: d.name)
def test_other_precisions_train(dtype):
    curves = []
    for wrap in (lambda f: f, tl.jit):
        model = network().to(dtype)
        step = wrap(plain(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9)))
        curves.append([step(batch(n)[0].to(dtype), batch(n)[1]).to(tl.float64).item() for n in range(8)])
    relative = {tl.float64: 1e-12, tl.float16: 2e-2, tl.bfloat16: 1e-1}[dtype]
    np.testing.assert_allclose(*curves, rtol=relative)


def test_batches_of_other_sizes_are_compiled_for_themselves():
    model = network()
    opt = OPTIMIZERS["momentum"](model)
    step = tl.jit(plain(model, opt))
    reference = network()
    other = plain(reference, OPTIMIZERS["momentum"](reference))
    tl.manual_seed(2)
    found = [step(x[:size], y[:size]).item() for size in (12, 12, 5, 12, 5) for x, y in [batch(size)]]
    tl.manual_seed(2)
    expected = [other(x[:size], y[:size]).item() for size in (12, 12, 5, 12, 5) for x, y in [batch(size)]]
    np.testing.assert_allclose(found, expected, rtol=CURVE.relative)
    assert compiled(step) <= 3
