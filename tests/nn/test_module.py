"""Module: attributes, walking, casting, copies, text, and what goes wrong."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, GradientError


class Net(nn.Module):
    """A parameter, a shared module, buffers and a nested module."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(tl.tensor([2.0]))
        self.first = nn.Linear(3, 3)
        self.again = self.first
        self.block = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())
        self.register_buffer("seen", tl.zeros(2))
        self.register_buffer("scratch", tl.ones(1), persistent=False)
        self.register_parameter("absent", None)

    def forward(self, x):
        return self.block(self.again(self.first(x))) * self.scale


def names(pairs):
    return [name for name, _ in pairs]


def test_parameters_buffers_and_modules_are_found_by_name():
    net = Net()
    assert names(net.named_parameters()) == ["scale", "first.weight", "first.bias", "block.0.weight", "block.0.bias"]
    assert names(net.named_parameters(recurse=False)) == ["scale"]
    assert names(net.named_parameters("net", remove_duplicate=False))[3:5] == ["net.again.weight", "net.again.bias"]
    assert names(net.named_buffers()) == ["seen", "scratch", "block.0.running_mean", "block.0.running_var",
                                          "block.0.num_batches_tracked"]
    assert names(net.named_modules()) == ["", "first", "block", "block.0", "block.1"]
    assert names(net.named_modules(remove_duplicate=False)) == ["", "first", "again", "block", "block.0", "block.1"]
    assert names(net.named_children()) == ["first", "block"]
    assert [len(list(found)) for found in (net.parameters(), net.buffers(), net.modules(), net.children())] == [5, 5, 5,
                                                                                                                2]
    assert net.get_submodule("block.1") is net.block[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("first.weight") is net.first.weight
    assert net.get_buffer("block.0.running_mean") is net.block[0].running_mean
    assert {"scale", "first", "seen", "forward"} <= set(dir(net))


def test_names_agree_with_torch():
    from nn.against_torch import torch

    def build(library, floats):
        net = library.nn.Sequential(library.nn.Linear(2, 2), library.nn.ModuleDict({"a": library.nn.BatchNorm1d(2)}))
        net.add_module("tied", net[0])
        net.register_buffer("b", floats)
        return net
    ours, theirs = build(tl, tl.zeros(1)), build(torch, torch.zeros(1))
    for call in ("named_parameters", "named_buffers", "named_modules"):
        for options in ({}, {"remove_duplicate": False}, {"prefix": "p"}):
            assert names(getattr(ours, call)(**options)) == names(getattr(theirs, call)(**options))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.state_dict(prefix="x.")) == list(theirs.state_dict(prefix="x."))


def test_assignment_keeps_every_name_in_one_place():
    net = Net()
    net.scale = None
    assert net.scale is None
    assert "scale" not in names(net.named_parameters())
    net.seen = tl.ones(2)
    assert_same(net.seen, np.ones(2, np.float32))
    assert "seen" in net.state_dict()
    net.first = nn.Identity()
    assert isinstance(net.first, nn.Identity)
    net.plain = 3
    net.plain = nn.Parameter(tl.zeros(1))
    assert "plain" not in net.__dict__
    assert "plain" in names(net.named_parameters())
    net.block = nn.Parameter(tl.zeros(1))
    assert names(net.named_modules()) == ["", "first", "again"]
    del net.block
    del net.seen
    assert not hasattr(net, "block")
    assert not hasattr(net, "seen")


def test_training_mode_and_apply_reach_every_module():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    seen = []
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "BatchNorm1d", "ReLU", "Sequential", "Net"]


def test_gradients_are_filled_forgotten_and_switched_off():
    net = Net()
    net(tl.ones((4, 3))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert_same(net.first.weight.grad, np.zeros((3, 3), np.float32))
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(tl.ones((4, 3))).requires_grad


@pytest.mark.parametrize("cast", [lambda m: m.double(), lambda m: m.to(tl.float64), lambda m: m.to("float64"),
                                  lambda m: m.to(dtype=tl.float64), lambda m: m.to(tl.zeros(1, dtype=tl.float64))])
def test_casting_changes_floats_in_place_and_training_goes_on(cast):
    net = Net()
    net(tl.ones((4, 3))).sum().backward()
    before = list(net.parameters())
    assert cast(net) is net
    assert all(p is q for p, q in zip(net.parameters(), before, strict=True))
    assert {p.dtype for p in net.parameters()} == {p.grad.dtype for p in net.parameters()} == {tl.float64}
    assert net.block[0].num_batches_tracked.dtype == tl.int64
    net.zero_grad()
    net(tl.ones((4, 3), dtype=tl.float64)).sum().backward()
    assert {p.grad.dtype for p in net.parameters()} == {tl.float64}


def test_narrow_casts_and_devices():
    net = nn.Linear(2, 2)
    assert net.half().weight.dtype == tl.float16
    assert net.bfloat16().weight.dtype == tl.bfloat16
    assert net.float().weight.dtype == tl.float32
    assert net.cpu().to("cpu").weight.device == "cpu"
    assert nn.Linear(2, 2, dtype=tl.float64, device="cpu").bias.dtype == tl.float64


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_whole_and_their_own(duplicate):
    net = Net()
    net(tl.ones((4, 3))).sum().backward()
    other = duplicate(net)
    assert other.first is other.again
    assert names(other.named_parameters()) == names(net.named_parameters())
    assert "scratch" not in other.state_dict()
    for (key, mine), theirs in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert_same(theirs, mine), key
    with tl.no_grad():
        other.scale.fill_(7)
    assert net.scale.item() == 2
    other.eval()
    assert net.training
    other(tl.ones((4, 3))).sum().backward()


def test_a_parameter_is_a_tensor_that_requires_gradients():
    p = nn.Parameter(tl.tensor([1.0]))
    assert isinstance(p, tl.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    assert not nn.Parameter(tl.tensor([1.0]), requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)
    assert type(p * 2) is tl.Tensor
    assert repr(p) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    assert not hasattr(p, "__dict__")


def test_the_text_is_that_of_torch():
    from nn.against_torch import torch

    def build(n):
        return n.Sequential(
            n.Conv2d(1, 4, 3, padding=1, bias=False), n.Conv2d(4, 4, (3, 1), 2, "valid", 2, 4), n.BatchNorm2d(4),
            n.ReLU(),
            n.ReLU(inplace=True), n.MaxPool2d(2), n.AvgPool2d(2, 1, 1), n.AdaptiveAvgPool2d((1, None)), n.Flatten(),
            n.Unflatten(1, (2, 2)), n.Linear(4, 2, bias=False), n.Dropout(0.1), n.LayerNorm([2, 3], bias=False),
            n.GELU(),
            n.SiLU(), n.Softplus(), n.LeakyReLU(0.2, True), n.ELU(), n.Softmax(dim=1), n.LogSoftmax(-1), n.Identity(),
            n.Sigmoid(), n.Tanh(), n.Embedding(3, 2, 1), n.CrossEntropyLoss(), n.MSELoss(),
            n.ModuleDict({"a": n.Sequential(n.ReLU()), "b": n.ModuleList([n.ReLU(), n.ReLU(), n.Linear(1, 1)])}))
    assert repr(build(nn)) == repr(build(torch.nn))
    assert repr(nn.Sequential()) == repr(torch.nn.Sequential())


class Unready(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(1, 1)


class NoForward(nn.Module):
    pass


@pytest.mark.parametrize(("call", "error", "text"), [
    (Unready, ArgumentError, "Unready: layer is assigned before Module.__init__() was called"),
    (lambda: NoForward()(1), ArgumentError, "NoForward: the module has no forward method"),
    (lambda: setattr(Net(), "scale", tl.ones(1)), DTypeError, "Net: scale must be a Parameter or None, not Tensor"),
    (lambda: setattr(Net(), "first", 3), DTypeError, "Net: first must be a Module or None, not int"),
    (lambda: setattr(Net(), "seen", [1]), DTypeError, "Net: seen must be a tensor or None, not list"),
    (lambda: Net().register_buffer("a.b", None), ArgumentError,
     "register_buffer: a name has no dot and is not empty: 'a.b'"),
    (lambda: Net().register_buffer("first", None), ArgumentError,
     "register_buffer: Net already has an attribute 'first'"),
    (lambda: Net().register_parameter("p", tl.ones(1)), DTypeError,
     "register_parameter: p must be a Parameter or None, not Tensor"),
    (lambda: Net().register_buffer("p", 1), DTypeError, "register_buffer: p must be a tensor or None, not int"),
    (lambda: Net().add_module("", None), ArgumentError, "register_module: a name has no dot and is not empty: ''"),
    (lambda: Net().add_module("m", 1), DTypeError, "register_module: m must be a Module or None, not int"),
    (lambda: Net().add_module(1, None), DTypeError, "register_module: a name is a string, not 1"),
    (lambda: Net().get_parameter("block.2.weight"), ArgumentError, "get_parameter: Sequential has no module '2'"),
    (lambda: Net().get_parameter("first.w"), ArgumentError, "get_parameter: Linear has no parameter 'w'"),
    (lambda: Net().get_submodule("first.w"), ArgumentError, "get_submodule: Linear has no submodule 'w'"),
    (lambda: Net().to(tl.int64), DTypeError, "to: a module can be cast to floating dtypes, not int64"),
    (lambda: Net().train(1), DTypeError, "train: mode must be a bool, not 1"),
    (lambda: nn.Parameter([1.0]), DTypeError, "Parameter: takes a tensor, not list"),
    (lambda: nn.Parameter(tl.tensor([1])), GradientError, "requires_grad: only floating tensors have gradients"),
])
def test_what_goes_wrong_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^'Net' object has no attribute 'nothing'$"):
        Net().nothing  # noqa: B018
    broken = Net.__new__(Net)
    with pytest.raises(AttributeError, match=r"'training': Module.__init__\(\) was not called$"):
        broken.training  # noqa: B018


def test_updates_refuse_a_parameter_that_is_a_view_in_use():
    base = tl.zeros(4)
    layer = nn.Linear(1, 1)
    with tl.no_grad():
        layer.weight.copy_(tl.ones((1, 1)))
    assert layer.weight.item() == 1
    assert_same(base, np.zeros(4, np.float32))
