"""Learning rates over time: PyTorch's exact numbers, resumption, and what goes wrong."""

from __future__ import annotations

import inspect
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


iterations = st.integers(1, 9)
factors = st.sampled_from([0.1, 0.5, 1.0])

#: What the options of each scheduler are drawn from.
OPTIONS = {
    "StepLR": {"step_size": iterations, "gamma": st.sampled_from([0.1, 0.5, 1.1])},
    "MultiStepLR": {"milestones": st.lists(st.integers(0, 40), max_size=5), "gamma": factors},
    "ExponentialLR": {"gamma": factors},
    "ConstantLR": {"factor": factors, "total_iters": iterations},
    "LinearLR": {"start_factor": factors, "end_factor": st.sampled_from([0.0, 0.5, 1.0]), "total_iters": iterations},
    "PolynomialLR": {"total_iters": iterations, "power": st.sampled_from([0.5, 1.0, 2.0])},
    "CosineAnnealingLR": {"T_max": st.integers(1, 50), "eta_min": st.sampled_from([0.0, 0.01])},
    "CosineAnnealingWarmRestarts": {"T_0": iterations, "T_mult": st.integers(1, 3),
                                    "eta_min": st.sampled_from([0.0, 0.01])},
    "CyclicLR": {"base_lr": st.just(0.01), "max_lr": st.just(0.5), "step_size_up": iterations,
                 "step_size_down": st.one_of(st.none(), iterations), "gamma": factors,
                 "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]), "cycle_momentum": st.booleans(),
                 "scale_fn": st.sampled_from([None, lambda x: 1 / (1 + x)]),
                 "scale_mode": st.sampled_from(["cycle", "iterations"])},
    "MultiplicativeLR": {"lr_lambda": st.sampled_from([lambda epoch: 0.9, lambda epoch: 1 / (1 + epoch)])},
    "LambdaLR": {"lr_lambda": st.sampled_from([lambda epoch: 0.9**epoch, lambda epoch: 1 / (1 + epoch)])},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_numbers_are_those_of_torch(name):
    @settings(max_examples=15)
    @given(options=st.fixed_dictionaries(OPTIONS[name]))
    def run(options):
        check(lambda m, o: getattr(m, name)(o, **options))
    run()


#: Schedulers made of others, and some that change what others set.
COMBINED = {
    "sequential": lambda m, o: m.SequentialLR(o, [m.LinearLR(o, 0.1, total_iters=4), m.CosineAnnealingLR(o, 20),
                                                  m.StepLR(o, 3, 0.5)], [5, 25]),
    "sequential from the first": lambda m, o: m.SequentialLR(o, [m.ConstantLR(o), m.ExponentialLR(o, 0.9)], [0]),
    "sequential with restarts": lambda m, o: m.SequentialLR(
        o, [m.ConstantLR(o, 0.1, 3), m.CosineAnnealingWarmRestarts(o, 4, 2)], [3]),
    "sequential of a sequential": lambda m, o: m.SequentialLR(
        o, [m.SequentialLR(o, [m.ConstantLR(o, 0.5, 9), m.StepLR(o, 2)], [3]), m.PolynomialLR(o, 7)], [9]),
    "chained": lambda m, o: m.ChainedScheduler([m.ConstantLR(o, 0.1, 3), m.ExponentialLR(o, 0.9),
                                                m.MultiStepLR(o, [4, 9])]),
    "chained in a sequential": lambda m, o: m.SequentialLR(
        o, [m.ExponentialLR(o, 0.9), m.ConstantLR(o, 0.5, 9)], [6]),
    "lambdas": lambda m, o: m.MultiplicativeLR(o, [lambda epoch: 0.9] * len(o.param_groups)),
    "cycles of lists": lambda m, o: m.CyclicLR(o, [0.1] * len(o.param_groups), [0.2] * len(o.param_groups), 3),
}


@pytest.mark.parametrize("name", COMBINED)
def test_schedulers_of_schedulers_give_the_numbers_of_torch(name):
    check(COMBINED[name])


def make_one(library, name, optimizer, **more):
    """A scheduler of each kind."""
    options = {"StepLR": {"step_size": 3}, "MultiStepLR": {"milestones": [2, 5]}, "ExponentialLR": {"gamma": 0.9},
               "CosineAnnealingLR": {"T_max": 7}, "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2},
               "CyclicLR": {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3},
               "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
               "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.9}}.get(name, {})
    return getattr(library.optim.lr_scheduler, name)(optimizer, **options, **more)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "MultiplicativeLR"])
def test_an_epoch_may_be_gone_to(name):
    from nn.against_torch import torch
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in (tl, torch):
            optimizer = library.optim.SGD([library.zeros(1)], lr=0.3, momentum=0.9)
            scheduler = make_one(library, name, optimizer)
            rates = []
            for epoch in (3, 7, 0, 5, 12):
                scheduler.step(epoch)
                rates += scheduler.get_last_lr()
            found.append(rates)
    assert found[0] == found[1]


def test_a_fraction_of_an_epoch_may_be_gone_to():
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optim.SGD([tl.zeros(1)], lr=1.0), 2)
    scheduler.step(0.5)
    assert scheduler.get_last_lr() == [0.8535533905932737]


@given(mode=st.sampled_from(["min", "max"]), factor=st.sampled_from([0.1, 0.5]), patience=st.integers(0, 3),
       threshold=st.sampled_from([1e-4, 0.2]), threshold_mode=st.sampled_from(["rel", "abs"]),
       cooldown=st.integers(0, 3), min_lr=st.sampled_from([0, 0.05]),
       metrics=st.lists(st.sampled_from([1.0, 0.9, 0.5, 2.0, float("nan")]), min_size=15, max_size=15))
@settings(max_examples=30)
def test_reduce_lr_on_plateau(metrics, **options):
    from nn.against_torch import torch
    found = []
    for library in (tl, torch):
        optimizer = library.optim.SGD([library.zeros(1)], lr=0.3)
        scheduler = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for number, metric in enumerate(metrics):
            scheduler.step(library.tensor(metric, dtype=library.float64) if number % 2 else metric)
            rates += [*scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.in_cooldown, scheduler.best]
        found.append(rates)
    assert found[0] == found[1]


def test_a_plateau_is_of_each_group():
    optimizer = optimizers()[1]
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=[0.0, 0.6])
    for _ in range(2):
        scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.0005, 0.6]


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_rate_that_is_a_tensor_changes_in_place(shape):
    lr = tl.full(shape, 0.5)
    optimizer = optim.SGD([tl.zeros(1)], lr=lr)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    before = scheduler.get_last_lr()[0]
    scheduler.step()
    assert lr.shape == shape
    assert optimizer.param_groups[0]["lr"] is lr
    assert (lr.item(), before.item(), scheduler.get_last_lr()[0].item()) == (0.25, 0.5, 0.25)


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


class Halving:
    """A function with a state of its own."""

    def __init__(self):
        self.calls = 0

    def __call__(self, epoch):
        self.calls += 1
        return 0.5 ** (self.calls % 3)


RESUMED = {
    **{name: make for name, make in COMBINED.items() if name != "lambdas"},
    "StepLR": lambda m, o: m.StepLR(o, 3, 0.5), "MultiStepLR": lambda m, o: m.MultiStepLR(o, [2, 8]),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 8), "LinearLR": lambda m, o: m.LinearLR(o, total_iters=9),
    "CosineAnnealingWarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 3, 2),
    "LambdaLR": lambda m, o: m.LambdaLR(o, lambda epoch: 0.9**epoch),
    "an object": lambda m, o: m.LambdaLR(o, Halving()),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.1, 0.3, 2, mode="triangular2"),
    "scaled by an object": lambda m, o: m.CyclicLR(o, 0.1, 0.3, 2, scale_fn=Halving()),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, 0.5, 21),
}


@pytest.mark.parametrize("name", RESUMED)
@pytest.mark.parametrize(("first", "second"), [("ours", "ours"), ("ours", "torch"), ("torch", "ours")])
def test_a_saved_scheduler_goes_on(name, first, second):
    if name.startswith("scaled") and first != second:
        return  # PyTorch asks its own default function for attributes that it has not
    libraries = {"ours": tl, "torch": None}
    if "torch" in (first, second):
        from nn.against_torch import torch
        libraries["torch"] = torch

    def begin(library):
        optimizer = library.optim.SGD([library.zeros(1)], lr=0.3, momentum=0.9)
        return optimizer, RESUMED[name](library.optim.lr_scheduler, optimizer)

    def rates(interrupted):
        optimizer, scheduler = begin(libraries[first])
        found = []
        for step in range(15):
            if interrupted and step == 6:
                states = optimizer.state_dict(), scheduler.state_dict()
                optimizer, scheduler = begin(libraries[second])
                optimizer.load_state_dict(states[0])
                scheduler.load_state_dict(states[1])
            scheduler.step()
            found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        return found
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step|Seems like `optimizer.step")
        assert rates(True) == rates(False)


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_scheduled_resumes_at_an_epoch(name):
    from nn.against_torch import torch
    found = []
    for library in (tl, torch):
        optimizer = library.optim.SGD([library.zeros(1)], lr=0.3, momentum=0.9)
        optimizer.param_groups[0]["initial_lr"] = 1.0
        scheduler = make_one(library, name, optimizer, last_epoch=3)
        rates = scheduler.get_last_lr()
        for _ in range(3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step()
            rates = rates + scheduler.get_last_lr()
        found.append(rates)
    assert found[0] == found[1]


def other():
    return lr_scheduler.ConstantLR(optim.SGD([tl.zeros(1)], lr=0.3))


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
     "OneCycleLR: total_steps must be a positive integer, it is 0"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=0.5), ArgumentError,
     "OneCycleLR: steps_per_epoch must be a positive integer, it is 0.5"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, pct_start=1.5), ArgumentError,
     "OneCycleLR: pct_start must be between 0 and 1, it is 1.5"),
    (lambda o: lr_scheduler.OneCycleLR(o, [0.1, 0.2], 9), ArgumentError,
     "OneCycleLR: max_lr has 2 values for 1 groups"),
    (lambda o: lr_scheduler.OneCycleLR(optim.Adagrad([tl.zeros(1)]), 0.1, 9), ArgumentError,
     "OneCycleLR: the optimizer has no momentum to cycle"),
    (lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.2, mode="square"), ArgumentError,
     "CyclicLR: mode must be one of 'triangular', 'triangular2', 'exp_range', not 'square'"),
    (lambda o: lr_scheduler.CyclicLR(o, [0.1, 0.2], 0.2), ArgumentError, "CyclicLR: base_lr has 2 values for 1 groups"),
    (lambda o: lr_scheduler.CyclicLR(optim.Adagrad([tl.zeros(1)]), 0.1, 0.2), ArgumentError,
     "CyclicLR: the optimizer has no momentum to cycle"),
    (lambda o: lr_scheduler.MultiplicativeLR(o, 0.5), DTypeError,
     "MultiplicativeLR: lr_lambda must be a function, not float"),
    (lambda o: lr_scheduler.ConstantLR(o, 1.5), ArgumentError, "ConstantLR: factor must be between 0 and 1, it is 1.5"),
    (lambda o: lr_scheduler.LinearLR(o, 0.0), ArgumentError,
     "LinearLR: start_factor must be above 0 and at most 1, it is 0.0"),
    (lambda o: lr_scheduler.LinearLR(o, 0.5, 2.0), ArgumentError,
     "LinearLR: end_factor must be between 0 and 1, it is 2.0"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ArgumentError,
     "CosineAnnealingWarmRestarts: T_0 must be a positive integer, it is 0"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 1.5), ArgumentError,
     "CosineAnnealingWarmRestarts: T_mult must be a positive integer, it is 1.5"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1).step(-1), ArgumentError,
     "CosineAnnealingWarmRestarts: epoch must not be negative, it is -1"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), ArgumentError,
     "ReduceLROnPlateau: factor must be below 1, it is 1.0"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, "low"), ArgumentError,
     "ReduceLROnPlateau: mode must be 'min' or 'max', not 'low'"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="both"), ArgumentError,
     "ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', not 'both'"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0.1, 0.2]), ArgumentError,
     "ReduceLROnPlateau: min_lr has 2 values for 1 groups"),
    (lambda o: lr_scheduler.SequentialLR(o, [], []), ArgumentError, "SequentialLR: there are no schedulers"),
    (lambda o: lr_scheduler.ChainedScheduler([]), ArgumentError, "ChainedScheduler: there are no schedulers"),
    (lambda o: lr_scheduler.ChainedScheduler([o]), DTypeError, "ChainedScheduler: takes schedulers, not SGD"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ReduceLROnPlateau(o)], []), ArgumentError,
     "SequentialLR: scheduler 0 is ReduceLROnPlateau, whose step needs a metric"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1), other()], [1]), ArgumentError,
     "SequentialLR: scheduler 1 is of another optimizer"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [1]), ArgumentError,
     "SequentialLR: 1 schedulers need 0 milestones, not 1"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, anneal_strategy="exp"), ArgumentError,
     "OneCycleLR: anneal_strategy must be 'cos' or 'linear', not 'exp'"),
    (lambda o: Idle(o), ArgumentError, "Idle: the scheduler has no get_lr method"),
])
def test_what_goes_wrong_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(optim.SGD([tl.zeros(1)], lr=0.3))
    assert str(caught.value).split("\n")[0] == text


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    theirs = torch.optim.lr_scheduler
    for name in theirs.__all__:
        ours, wanted = (inspect.signature(getattr(module, name)).parameters for module in (lr_scheduler, theirs))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in wanted.values()], name


def test_a_cycle_ends():
    scheduler = lr_scheduler.OneCycleLR(optimizers(momentum=0.9)[0], 0.5, 4)
    for _ in range(4):
        scheduler.step()
    with pytest.raises(ArgumentError, match="OneCycleLR: step 5 comes after the last of 4"):
        scheduler.step()
