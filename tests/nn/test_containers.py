"""Sequential, ModuleList, ModuleDict and ParameterList behave as the containers that they look like."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import DTypeError, IndexingError


def three():
    return nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)


def test_sequential_calls_in_order_and_is_indexed_like_a_list():
    a, b, c = three()
    model = nn.Sequential(a, b, c)
    x = tl.ones((4, 2))
    assert_same(model(x), c(b(a(x))))
    assert (len(model), list(model)) == (3, [a, b, c])
    assert model[0] is a
    assert model[-1] is c
    assert type(model[1:]) is nn.Sequential
    assert list(model[1:]) == [b, c]
    assert list(model[1:].state_dict()) == ["2.weight", "2.bias"]
    assert model.append(nn.Identity()) is model
    assert b in model
    del model[1]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    model[0] = b
    assert model[0] is b
    assert model.pop(0) is b
    assert len(model.insert(0, a).extend([b, c])) == 5


def test_sequential_takes_names():
    a, b, _ = three()
    model = nn.Sequential(OrderedDict(first=a, then=b))
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    assert model.first is a
    del model[0]
    assert [name for name, _ in model.named_children()] == ["then"]


def test_module_list_holds_modules():
    a, b, c = three()
    layers = nn.ModuleList([a, b])
    layers += [c]
    assert list(layers) == [a, b, c]
    assert type(layers[:2]) is nn.ModuleList
    assert list(layers + [a]) == [a, b, c, a]
    layers.insert(1, nn.Identity())
    assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    del layers[1:3]
    assert list(layers) == [a, c]


def test_module_dict_holds_modules_by_name():
    a, b, _ = three()
    layers = nn.ModuleDict({"a": a})
    layers["b"] = b
    layers.update([("c", nn.Identity())])
    assert (list(layers), len(layers), "b" in layers) == (["a", "b", "c"], 3, True)
    assert layers.pop("b") is b
    assert list(layers.keys()) == ["a", "c"]
    assert dict(layers.items())["a"] is a
    assert next(iter(layers.values())) is a
    assert list(layers.state_dict()) == ["a.weight", "a.bias"]
    layers.clear()
    assert len(layers) == 0


def test_parameter_list_makes_parameters():
    parameters = nn.ParameterList([tl.zeros(2), nn.Parameter(tl.ones(1))])
    parameters.append(tl.ones(3)).extend([tl.ones(4)])
    assert all(isinstance(p, nn.Parameter) for p in parameters)
    assert [p.size for p in parameters[1:]] == [1, 3, 4]
    parameters[-1] = tl.zeros(5)
    assert list(parameters.state_dict()) == ["0", "1", "2", "3"]
    assert_same(parameters[3], np.zeros(5, np.float32))
    assert repr(parameters[:1]) == "ParameterList((0): Parameter containing: [float32[2]])"


def test_reshaping_layers():
    x = tl.zeros((2, 3, 4))
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert nn.Unflatten(-1, (2, -1))(x).shape == (2, 3, 2, 2)
    assert nn.Unflatten(1, (2, -1))(tl.zeros((0, 6))).shape == (0, 2, 3)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: nn.Sequential(*three())[3], IndexingError, "Sequential: index 3 is out of range for 3 entries"),
    (lambda: nn.ModuleList(three())[-4], IndexingError, "ModuleList: index -4 is out of range for 3 entries"),
    (lambda: nn.Sequential(1), DTypeError, "register_module: 0 must be a Module or None, not int"),
    (lambda: nn.ParameterList([1]), DTypeError, "ParameterList: takes tensors, not int"),
])
def test_what_goes_wrong_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
