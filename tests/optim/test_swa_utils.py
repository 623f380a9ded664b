"""Averages of models: as PyTorch's, eagerly and in one compiled step."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.errors import ArgumentError
from tensorlite.optim import swa_utils


def model(library):
    net = library.nn.Sequential(library.nn.Linear(3, 2), library.nn.BatchNorm1d(2))
    state = {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 6, "0.bias": np.float32([0.5, -0.5])}
    net.load_state_dict({**net.state_dict(), **{key: library.tensor(x) for key, x in state.items()}})
    return net


AVERAGES = {
    "swa": lambda utils: {}, "buffers": lambda utils: {"use_buffers": True},
    "ema": lambda utils: {"avg_fn": utils.get_ema_avg_fn(0.9)}, "swa one by one": lambda utils: {
        "avg_fn": utils.get_swa_avg_fn()},
    "ema of many": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "swa of many": lambda utils: {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
    "own": lambda utils: {"avg_fn": lambda averaged, current, number: averaged * 0.5 + current * 2},
}
BATCHES = np.random.default_rng(0).standard_normal((6, 8, 3)).astype(np.float32)


def average(library, name, wrap=lambda step: step):
    net = model(library)
    averaged = library.optim.swa_utils.AveragedModel(net, **AVERAGES[name](library.optim.swa_utils))
    optimizer = library.optim.SGD(net.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (net(x) ** 2).mean().backward() if library is not tl else (net(x) * net[0](x)).mean().backward()
        optimizer.step()
        averaged.update_parameters(net)
    run = wrap(step)
    for x in BATCHES:
        run(library.tensor(x))
    return averaged


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_are_those_of_torch(name):
    from nn.against_torch import torch
    found = []
    for library in (tl, torch):
        net = model(library)
        averaged = library.optim.swa_utils.AveragedModel(net, **AVERAGES[name](library.optim.swa_utils))
        for number in range(5):
            with library.no_grad():
                for p in net.parameters():
                    p.copy_(p * 0.5 + number)
            net(library.tensor(BATCHES[number]))
            averaged.update_parameters(net)
        found.append(averaged.state_dict())
    assert list(found[0]) == list(found[1])
    for key, value in found[0].items():
        assert_close(value, found[1][key].numpy(), terms=100)


@pytest.mark.parametrize("name", AVERAGES)
def test_compiled_steps_average_too(name):
    eager, compiled = average(tl, name), average(tl, name, tl.jit)
    for (key, found), wanted in zip(compiled.state_dict().items(), eager.state_dict().values(), strict=True):
        assert_close(found, wanted, terms=1000), key
    assert compiled.n_averaged.item() == len(BATCHES)


def test_the_first_average_is_the_model_itself():
    net = model(tl)
    averaged = swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    for mine, p in zip(averaged.module.parameters(), net.parameters(), strict=True):
        assert_same(mine, p)
        assert mine is not p
    assert_same(averaged(tl.tensor(BATCHES[0])), averaged.module(tl.tensor(BATCHES[0])))


@pytest.mark.parametrize("paired", [False, True])
def test_update_bn_is_that_of_torch(paired):
    from nn.against_torch import torch
    found = []
    for library in (tl, torch):
        net = model(library).eval()
        batches = [library.tensor(x) for x in BATCHES]
        library.optim.swa_utils.update_bn([(x, None) for x in batches] if paired else batches, net)
        assert not net.training
        assert net[1].momentum == 0.1
        found.append(net.state_dict())
    for key, value in found[0].items():
        assert_close(value, found[1][key].numpy(), terms=100)
    swa_utils.update_bn([], nn.Linear(1, 1))


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_swalr_gives_the_numbers_of_torch(strategy, epochs):
    from nn.against_torch import torch
    found = []
    for library in (tl, torch):
        first, second = library.zeros(1), library.zeros(1)
        optimizer = library.optim.SGD([{"params": [first]}, {"params": [second], "lr": 0.7}], lr=0.3)
        scheduler = library.optim.swa_utils.SWALR(optimizer, [0.05, 0.9], epochs, strategy)
        rates = []
        for number in range(12):
            rates += scheduler.get_last_lr()
            if number == 4:
                state = scheduler.state_dict()
                scheduler = library.optim.swa_utils.SWALR(optimizer, [0.05, 0.9], epochs, strategy)
                scheduler.load_state_dict(state)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step()
        found.append(rates)
    assert found[0] == found[1]


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    theirs = torch.optim.swa_utils
    for name in theirs.__all__:
        ours, wanted = (inspect.signature(getattr(module, name)).parameters for module in (swa_utils, theirs))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in wanted.values()], name


@pytest.mark.parametrize(("call", "text"), [
    (lambda: swa_utils.get_ema_avg_fn(1.5), "get_ema_avg_fn: decay must be between 0 and 1, it is 1.5"),
    (lambda: swa_utils.get_ema_multi_avg_fn(-1), "get_ema_multi_avg_fn: decay must be between 0 and 1, it is -1"),
    (lambda: swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=swa_utils.get_swa_avg_fn(),
                                     multi_avg_fn=swa_utils.get_swa_multi_avg_fn()),
     "AveragedModel: there can be one of avg_fn and multi_avg_fn only"),
    (lambda: swa_utils.SWALR(optim.SGD([tl.zeros(1)]), 0.1, anneal_strategy="exp"),
     "SWALR: anneal_strategy must be 'cos' or 'linear', not 'exp'"),
    (lambda: swa_utils.SWALR(optim.SGD([tl.zeros(1)]), 0.1, anneal_epochs=-1),
     "SWALR: anneal_epochs must not be negative, it is -1"),
    (lambda: swa_utils.SWALR(optim.SGD([tl.zeros(1)]), [0.1, 0.2]), "SWALR: swa_lr has 2 values for 1 groups"),
])
def test_what_goes_wrong_is_named(call, text):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
