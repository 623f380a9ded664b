"""Lazy layers: what they are before and after their first input, beside PyTorch's, and what holds in between."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from nn.beside_torch import first_line, parameters
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError, TraceError
from tensorlite.nn.lazy import LazyModuleMixin

#: Each layer with arguments, options, and the shape of an input.
LAYERS = {
    "LazyLinear": ((3,), {}, (2, 4)),
    "LazyConv1d": ((4, 3), {"groups": 2, "padding": 1}, (2, 6, 5)),
    "LazyConv2d": ((4, (3, 2)), {"bias": False, "padding_mode": "reflect", "padding": 1}, (3, 5, 5)),
    "LazyConv3d": ((4, 2), {"stride": 2}, (2, 3, 4, 4, 4)),
    "LazyConvTranspose1d": ((4, 3), {"stride": 2, "output_padding": 1}, (2, 3, 5)),
    "LazyConvTranspose2d": ((4, 3), {"groups": 2}, (2, 2, 5, 5)),
    "LazyConvTranspose3d": ((4, 2), {"dilation": 2}, (3, 4, 4, 4)),
    "LazyBatchNorm1d": ((), {"momentum": None}, (2, 3, 4)),
    "LazyBatchNorm2d": ((), {"affine": False}, (2, 3, 4, 4)),
    "LazyBatchNorm3d": ((), {}, (2, 3, 2, 4, 4)),
    "LazyInstanceNorm1d": ((), {"affine": True}, (2, 3, 4)),
    "LazyInstanceNorm2d": ((), {"affine": True, "track_running_stats": True}, (2, 3, 4, 4)),
    "LazyInstanceNorm3d": ((), {"affine": True}, (2, 3, 2, 4, 4)),
}


def sample(shape):
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def shapes(module):
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_those_of_torch_before_and_after_the_first_input(name):
    from nn.against_torch import torch
    arguments, options, shape = LAYERS[name]
    ours, theirs = (getattr(library, name)(*arguments, **options) for library in (nn, torch.nn))
    assert parameters(type(ours)) == parameters(type(theirs))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.has_uninitialized_params() == theirs.has_uninitialized_params()
    x = sample(shape)
    ours(tl.tensor(x))
    theirs(torch.tensor(x))
    assert repr(ours) == repr(theirs)
    assert type(ours) is getattr(nn, name[4:])
    assert shapes(ours) == shapes(theirs)
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).detach().numpy(), terms=100)


@pytest.mark.parametrize("name", LAYERS)
def test_the_first_numbers_are_those_of_the_layer_itself(name):
    arguments, options, shape = LAYERS[name]
    lazy = getattr(nn, name)(*arguments, **options)
    tl.manual_seed(0)
    lazy(tl.tensor(sample(shape)))
    count = lazy.in_features if name == "LazyLinear" else getattr(lazy, "in_channels", None) or lazy.num_features
    tl.manual_seed(0)
    layer = getattr(nn, name[4:])(count, *arguments, **options)
    layer(tl.tensor(sample(shape)))
    for key, value in layer.state_dict().items():
        assert_same(lazy.state_dict()[key], value.numpy())


def model():
    return nn.Sequential(nn.LazyConv2d(4, 3, groups=2), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3))


def test_a_state_dict_gives_shapes():
    x, settled, lazy = tl.tensor(sample((2, 2, 5, 5))), model(), model()
    settled(x)
    lazy.load_state_dict(settled.state_dict())
    assert shapes(lazy) == shapes(settled)
    assert_same(lazy.eval()(x), settled.eval()(x).detach().numpy())
    assert repr(lazy) == repr(settled)


def test_a_state_dict_without_shapes_leaves_them_open():
    lazy = model()
    lazy.load_state_dict(model().state_dict())
    assert lazy[0].has_uninitialized_params()
    assert first_line(lambda: nn.Linear(2, 3).load_state_dict(nn.LazyLinear(3).state_dict()), ShapeError) == \
        "UninitializedParameter: the shape is not known yet"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_lazy_modules_are_copied_cast_and_frozen(copied):
    lazy = copied(model().double().requires_grad_(False))
    assert lazy[0].weight.dtype == tl.float64
    lazy[3].requires_grad_(True)
    y = lazy(tl.tensor(sample((2, 2, 5, 5)).astype(np.float64)))
    y.sum().backward()
    assert lazy[0].weight.grad is None
    assert lazy[3].weight.grad.shape == lazy[3].weight.shape == (3, 36)


def test_compiled_after_the_first_input():
    lazy, x = model(), tl.tensor(sample((2, 2, 5, 5)))
    assert first_line(lambda: tl.jit(lazy)(x), TraceError) == \
        "LazyConv2d: the shapes of its parameters are not known yet"
    lazy(x)
    lazy.eval()
    assert_close(tl.jit(lazy)(x), lazy(x), terms=100)


class Scale(nn.Module):
    def forward(self, x):
        return x * self.scale


class LazyScale(LazyModuleMixin, Scale):
    cls_to_become = Scale

    def __init__(self):
        super().__init__()
        self.scale = nn.UninitializedParameter()
        self.register_buffer("seen", nn.UninitializedBuffer())

    def initialize_parameters(self, x):
        self.scale.materialize(x.shape[-1:])
        nn.init.ones_(self.scale)
        self.seen.materialize((2,), dtype=tl.int64)


class Forgetful(LazyModuleMixin):
    def __init__(self):
        super().__init__()
        self.scale = nn.UninitializedParameter()


def test_users_write_lazy_modules():
    layer = LazyScale()
    assert_same(layer(tl.ones((2, 3))), np.ones((2, 3), np.float32))
    assert (type(layer), type(layer.scale), type(layer.seen)) == (Scale, nn.Parameter, tl.Tensor)
    assert layer.seen.dtype == tl.int64
    assert layer.scale.requires_grad


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: nn.LazyConv2d(4, 3)(tl.zeros((3, 4))), ShapeError,
     "LazyConv2d: takes [batch, channels, height, width] or [channels, height, width], the input has 2 dimensions"),
    (lambda: nn.LazyConv1d(4, 3, groups=2)(tl.zeros((3, 4))), ShapeError,
     "LazyConv1d: groups=2 must divide the input's 3 channels"),
    (lambda: nn.LazyBatchNorm2d()(tl.zeros((3, 4))), ShapeError,
     "LazyBatchNorm2d: the input must be [batch, channels, height, width], it has 2 dimensions"),
    (lambda: nn.LazyLinear(3).weight + 1, ShapeError, "UninitializedParameter: the shape is not known yet"),
    (lambda: nn.LazyLinear(3).weight.shape, ShapeError, "UninitializedParameter: the shape is not known yet"),
    (lambda: tl.sum(nn.LazyBatchNorm1d().running_mean), ShapeError,
     "UninitializedBuffer: the shape is not known yet"),
    (lambda: Forgetful()(tl.zeros(3)), ArgumentError, "Forgetful: the module has no initialize_parameters method"),
])
def test_what_does_not_fit_is_named(call, error, text):
    assert first_line(call, error) == text
