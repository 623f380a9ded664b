"""state_dict and load_state_dict: both ways to PyTorch, all or nothing, and every key that does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError


def network(n):
    return n.Sequential(n.Conv2d(1, 2, 3), n.BatchNorm2d(2), n.ReLU(), n.Flatten(), n.Linear(32, 3), n.LayerNorm(3))


def arrays(module):
    return {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}


def test_states_go_to_torch_and_back_through_numpy():
    from nn.against_torch import torch
    ours, theirs = network(nn), network(torch.nn)
    x = np.random.default_rng(0).standard_normal((2, 1, 6, 6)).astype(np.float32)
    theirs.load_state_dict({key: torch.tensor(value) for key, value in arrays(ours).items()})
    assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).detach().numpy(), terms=100)
    other = network(nn)
    assert repr(other.load_state_dict(arrays(theirs))) == "<All keys matched successfully>"
    for key, value in arrays(theirs).items():
        assert_same(other.state_dict()[key], value)


def test_a_state_is_what_it_was_when_it_was_taken():
    layer = nn.Linear(1, 1)
    before = layer.state_dict()
    value = before["weight"].item()
    with tl.no_grad():
        layer.weight.fill_(9)
    assert before["weight"].item() == value
    assert not before["weight"].requires_grad
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    found = {"mine": 1}
    assert layer.state_dict(destination=found, prefix="a.") is found
    assert list(found) == ["mine", "a.weight", "a.bias"]


def test_loading_keeps_parameters_and_copies_values():
    layer = nn.Linear(2, 1)
    weight, source = layer.weight, np.array([[1.0, 2.0]])
    layer.load_state_dict({"weight": source, "bias": tl.zeros(1)})
    source[:] = 0
    assert layer.weight is weight
    assert weight.requires_grad
    assert_same(weight, np.array([[1, 2]], np.float32))


def test_assign_takes_the_tensors_with_their_dtype():
    layer = nn.BatchNorm1d(2)
    given = {key: tl.ones(2, dtype=tl.float64) for key in ("weight", "bias", "running_mean", "running_var")}
    layer.load_state_dict({**given, "num_batches_tracked": tl.tensor(5)}, assign=True)
    assert layer.running_mean is given["running_mean"]
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.dtype == tl.float64
    assert layer.weight.requires_grad


def test_tied_parameters_are_filled_under_either_name():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Identity())
    model[1] = model[0]
    assert list(model.state_dict()) == ["0.weight", "1.weight"]
    model.load_state_dict({"0.weight": tl.ones((1, 1)), "1.weight": tl.ones((1, 1))})
    assert model[0].weight is model[1].weight


def test_nothing_changes_where_something_does_not_fit():
    model = network(nn)
    before = arrays(model)
    state = {key: np.zeros_like(value) for key, value in before.items()}
    state["4.weight"] = np.zeros((3, 2), np.float32)
    state["5.weights"] = state.pop("5.weight")
    with pytest.raises(ArgumentError) as caught:
        model.load_state_dict(state)
    lines = str(caught.value).split("\n")
    assert lines[:7] == [
        "load_state_dict: the state dict does not fit Sequential",
        "missing, the model has it and the state dict does not:",
        "  5.weight",
        "unexpected, the state dict has it and the model does not:",
        "  5.weights",
        "misshapen:",
        "  4.weight: the model has [3, 32], the state dict has [3, 2]",
    ]
    for key, value in arrays(model).items():
        assert_same(value, before[key])


def test_not_strict_leaves_keys_out_and_says_which():
    layer = nn.Linear(2, 1)
    bias = layer.bias.item()
    found = layer.load_state_dict({"weight": tl.zeros((1, 2)), "other": tl.ones(1)}, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["bias"], ["other"])
    assert repr(found) == "IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['other'])"
    assert layer.bias.item() == bias
    with pytest.raises(ArgumentError, match=r"weight: the model has \[1, 2\], the state dict has \[2, 1\]"):
        layer.load_state_dict({"weight": tl.zeros((2, 1))}, strict=False)


@pytest.mark.parametrize(("state", "error", "text"), [
    ([1], DTypeError, "load_state_dict: takes a dict of tensors, not list"),
    ({"weight": np.zeros((1, 1), np.complex64), "bias": np.zeros(1)}, DTypeError,
     "load_state_dict: weight is float32 and cannot hold complex64 values"),
])
def test_what_is_no_state_is_named(state, error, text):
    with pytest.raises(error) as caught:
        nn.Linear(1, 1).load_state_dict(state)
    assert str(caught.value).split("\n")[0] == text


def test_files_from_before_batches_were_counted_are_read():
    layer = nn.BatchNorm2d(2)
    layer.num_batches_tracked.fill_(7)
    old = {name: value + 1 for name, value in layer.state_dict().items() if name != "num_batches_tracked"}
    keys = layer.load_state_dict(old)
    assert keys == ([], [])
    assert (layer.num_batches_tracked.item(), layer.running_var.tolist()) == (7, [2, 2])
    assert "num_batches_tracked" not in old
