"""Learning rates over time: PyTorch's exact numbers, resumption, and what goes wrong."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite import optim
from tensorlite.errors import ArgumentError, DTypeError
from tensorlite.optim import lr_scheduler


def optimizers(**options):
    return optim.SGD([tl.zeros(1)], lr=0.3,
                     **options), optim.Adam([{"params": [tl.zeros(1)]}, {"params": [tl.zeros(1)], "lr": 0.7}])


def settings_over_time(library, zeros, make, steps=40):
    """Rates and momenta of every group, step after step."""
    found = []
    for optimizer in (library.optim.SGD([zeros(1)], lr=0.3, momentum=0.9),
                      library.optim.Adam([{"params": [zeros(1)]}, {"params": [zeros(1)], "lr": 0.7}], lr=0.2)):
        scheduler = make(library.optim.lr_scheduler, optimizer)
        for _ in range(steps):
            found.append([(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups])
            found.append(list(scheduler.get_last_lr()))
            scheduler.step()
    return found


def check(make, steps=40):
    from nn.against_torch import torch
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        theirs = settings_over_time(torch, torch.zeros, make, steps)
    assert settings_over_time(tl, tl.zeros, make, steps) == theirs


@given(step_size=st.integers(1, 9), gamma=st.sampled_from([0.1, 0.5, 1.1]))
@settings(max_examples=10)
def test_step_lr(step_size, gamma):
    check(lambda m, o: m.StepLR(o, step_size, gamma))


@given(T_max=st.integers(1, 50), eta_min=st.sampled_from([0.0, 0.01]))
@settings(max_examples=15)
def test_cosine_annealing_lr(T_max, eta_min):
    check(lambda m, o: m.CosineAnnealingLR(o, T_max, eta_min))


def test_lambda_lr():
    check(lambda m, o: m.LambdaLR(o, lambda epoch: 0.9**epoch))
    check(lambda m, o: m.LambdaLR(o, [lambda epoch: 1 / (epoch + 1)] * len(o.param_groups)))


@given(pct_start=st.sampled_from([0.1, 0.3, 0.5]), anneal_strategy=st.sampled_from(["cos", "linear"]),
       three_phase=st.booleans(),
       cycle_momentum=st.booleans())
@settings(max_examples=20)
def test_one_cycle_lr(pct_start, anneal_strategy, three_phase, cycle_momentum):
    options = {"pct_start": pct_start, "anneal_strategy": anneal_strategy, "three_phase": three_phase,
               "cycle_momentum": cycle_momentum}
    check(lambda m, o: m.OneCycleLR(o, 0.5, 41, **options))
    check(lambda m, o: m.OneCycleLR(o, [0.5] * len(o.param_groups), epochs=4, steps_per_epoch=11, **options))


@pytest.mark.parametrize("make", [
    lambda o: lr_scheduler.StepLR(o, 3, 0.5), lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
    lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch), lambda o: lr_scheduler.OneCycleLR(o, 0.5, 21)])
def test_a_saved_scheduler_goes_on(make):
    def rates(interrupted):
        optimizer = optimizers(momentum=0.9)[0]
        scheduler, found = make(optimizer), []
        for step in range(15):
            if interrupted and step == 6:
                states = optimizer.state_dict(), scheduler.state_dict()
                optimizer = optimizers(momentum=0.9)[0]
                scheduler = make(optimizer)
                optimizer.load_state_dict(states[0])
                scheduler.load_state_dict(states[1])
            scheduler.step()
            found.append(optimizer.param_groups[0]["lr"])
        return found
    assert rates(True) == rates(False)


class Idle(lr_scheduler.LRScheduler):
    pass


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda o: lr_scheduler.StepLR([o], 3), DTypeError, "StepLR: schedules an optimizer, not list"),
    (lambda o: lr_scheduler.StepLR(o, 3, last_epoch=4), ArgumentError,
     "StepLR: group 0 has no initial_lr to resume from"),
    (lambda o: lr_scheduler.LambdaLR(o, [abs, abs]), ArgumentError, "LambdaLR: there are 2 functions for 1 groups"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1), ArgumentError,
     "OneCycleLR: total_steps, or epochs and steps_per_epoch, are missing"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 0), ArgumentError,
     "OneCycleLR: total_steps=0 must be positive, and pct_start=0.3 between 0 and 1"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, anneal_strategy="exp"), ArgumentError,
     "OneCycleLR: anneal_strategy must be 'cos' or 'linear', not 'exp'"),
    (lambda o: Idle(o), ArgumentError, "Idle: the scheduler has no get_lr method"),
])
def test_what_goes_wrong_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(optim.SGD([tl.zeros(1)], lr=0.3))
    assert str(caught.value).split("\n")[0] == text


def test_a_cycle_ends():
    scheduler = lr_scheduler.OneCycleLR(optimizers(momentum=0.9)[0], 0.5, 4)
    for _ in range(4):
        scheduler.step()
    with pytest.raises(ArgumentError, match="OneCycleLR: step 5 comes after the last of 4"):
        scheduler.step()
