"""Initial numbers: the distributions of PyTorch's layers and initialisers, by statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError
from tensorlite.nn import init

SIGMAS = 5


def check_uniform(values: np.ndarray, bound: float) -> None:
    """Numbers lie evenly in ``[-bound, bound]``: by their range, mean, deviation and quarters."""
    flat = values.astype(np.float64).reshape(-1) / bound
    noise = SIGMAS / math.sqrt(flat.size)
    assert np.abs(flat).max() <= np.nextafter(np.float32(1), np.float32(2))
    assert np.abs(flat).max() > 1 - noise
    assert abs(flat.mean()) < noise
    assert abs(flat.std() - 1 / math.sqrt(3)) < noise
    assert np.abs(np.histogram(flat, 4, (-1, 1))[0] / flat.size - 0.25).max() < noise


def check_normal(values: np.ndarray, std: float) -> None:
    """Numbers are normal: by their mean, deviation and the share within one and two deviations."""
    flat = values.astype(np.float64).reshape(-1) / std
    noise = SIGMAS / math.sqrt(flat.size)
    assert abs(flat.mean()) < noise
    assert abs(flat.std() - 1) < noise
    for bound in (1, 2):
        assert abs((np.abs(flat) < bound).mean() - math.erf(bound / math.sqrt(2))) < noise


@pytest.fixture(autouse=True)
def _seed():
    tl.manual_seed(1)


def test_layers_begin_as_those_of_torch_do():
    linear, conv = nn.Linear(300, 200), nn.Conv2d(32, 64, 3, groups=2)
    check_uniform(linear.weight.detach().numpy(), 1 / math.sqrt(300))
    check_uniform(linear.bias.detach().numpy(), 1 / math.sqrt(300))
    check_uniform(conv.weight.detach().numpy(), 1 / math.sqrt(16 * 9))
    check_uniform(conv.bias.detach().numpy(), 1 / math.sqrt(16 * 9))
    check_normal(nn.Embedding(200, 100).weight.detach().numpy(), 1)
    norm = nn.BatchNorm2d(3)
    assert [value.tolist() for value in norm.state_dict().values()] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3, 0]
    assert nn.LayerNorm(2).weight.tolist() == [1, 1]


def test_the_bounds_are_those_of_torch():
    from nn.against_torch import torch
    torch.manual_seed(1)
    for name, args, fan_in in (("Linear", (300, 200), 300), ("Conv2d", (32, 64, 3), 32 * 9)):
        ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert mine.shape == tuple(other.shape)
            assert mine.dtype == np.float32
            for values in (mine.detach().numpy(), other.detach().numpy()):
                check_uniform(values, 1 / math.sqrt(fan_in))


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 150 * 4), ("fan_out", 100 * 4)])
@pytest.mark.parametrize(("nonlinearity", "a", "gain"),
                         [("leaky_relu", 0.2, math.sqrt(2 / 1.04)), ("relu", 0, math.sqrt(2)),
                                                         ("tanh", 0, 5 / 3), ("linear", 0, 1.0), ("selu", 0, 0.75)])
def test_kaiming_has_the_variance_of_its_fan(mode, fan, nonlinearity, a, gain):
    x = tl.empty((100, 150, 2, 2))
    check_uniform(init.kaiming_uniform_(x, a, mode, nonlinearity).numpy(), gain * math.sqrt(3 / fan))
    check_normal(init.kaiming_normal_(x, a, mode, nonlinearity).numpy(), gain / math.sqrt(fan))


def test_xavier_has_the_variance_of_both_fans():
    x = tl.empty((100, 150, 2, 2))
    check_uniform(init.xavier_uniform_(x, 2.0).numpy(), 2 * math.sqrt(6 / 1000))
    check_normal(init.xavier_normal_(x, 2.0).numpy(), 2 * math.sqrt(2 / 1000))


def test_plain_initialisers():
    x = nn.Parameter(tl.empty((200, 100)))
    check_uniform(init.uniform_(x, -2, 2).detach().numpy(), 2)
    check_normal(init.normal_(x, 3.0, 2.0).detach().numpy() - 3, 2)
    assert init.constant_(x, 0.5) is x
    assert_same(x, np.full((200, 100), 0.5, np.float32))
    assert_same(init.ones_(x), np.ones((200, 100), np.float32))
    assert_same(init.zeros_(x), np.zeros((200, 100), np.float32))
    assert_same(init.eye_(x), np.eye(200, 100, dtype=np.float32))
    assert x.requires_grad


def test_a_generator_decides_alone():
    first, second = (init.normal_(tl.empty(8), generator=tl.Generator().manual_seed(3)) for _ in range(2))
    assert_same(first, second)


def test_gains_are_those_of_torch():
    from nn.against_torch import torch
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert_close(init.calculate_gain(name), np.asarray(torch.nn.init.calculate_gain(name)), dtype=np.float64)
    assert init.calculate_gain("leaky_relu", 0.5) == torch.nn.init.calculate_gain("leaky_relu", 0.5)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: init.kaiming_uniform_(tl.zeros(3)), ShapeError,
     "kaiming_uniform_: fans are counted from at least two axes"),
    (lambda: init.kaiming_normal_(tl.zeros((3, 3)), mode="in"), ArgumentError,
     "kaiming_normal_: mode must be 'fan_in' or 'fan_out', not 'in'"),
    (lambda: init.calculate_gain("gelu"), ArgumentError, "calculate_gain: no gain is known for 'gelu'"),
    (lambda: init.calculate_gain("leaky_relu", True), ArgumentError,
     "calculate_gain: negative_slope True is not a number"),
    (lambda: init.eye_(tl.zeros(3)), ShapeError, "eye_: only a matrix can be the identity"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
