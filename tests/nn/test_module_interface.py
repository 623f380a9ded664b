"""What modules have beside parameters: buffers by assignment, extra state, state hooks, submodules set, casts."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, NumericsError
from tensorlite.nn import utils

#: What PyTorch's modules have and ours do not: other devices, processes and compilers, and what is deprecated.
ABSENT = {"T_destination", "call_super_init", "compile", "dump_patches", "ipu", "mtia", "register_backward_hook",
          "share_memory", "xpu"}


def test_modules_have_what_those_of_torch_have():
    from nn.against_torch import torch
    public = {name for name in dir(torch.nn.Module) if not name.startswith("_")}
    assert public - set(dir(nn.Module)) == ABSENT
    for name in sorted(public - ABSENT - {"forward", "state_dict", "to", "cuda"}):
        ours, theirs = (inspect.signature(getattr(library.nn.Module, name)).parameters for library in (tl, torch))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()], name


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = nn.Buffer(tl.tensor(0))
        self.scratch = nn.Buffer(tl.zeros(2), persistent=False)
        self.note = "new"

    def get_extra_state(self):
        return {"note": self.note}

    def set_extra_state(self, state):
        self.note = state["note"]


def test_buffers_by_assignment():
    module = Counting()
    assert [name for name, _ in module.named_buffers()] == ["count", "scratch"]
    assert "scratch" not in module.state_dict()
    module.count = module.count + 1
    assert module.state_dict()["count"].item() == 1
    with pytest.raises(DTypeError) as caught:
        nn.Buffer(3)
    assert str(caught.value).split("\n")[0] == "Buffer: takes a tensor, not int"


def test_extra_state_is_saved_and_loaded():
    first, second = nn.Sequential(Counting()), nn.Sequential(Counting())
    first[0].note = "used"
    state = first.state_dict()
    assert list(state) == ["0.count", "0._extra_state"]
    second.load_state_dict(state)
    assert second[0].note == "used"
    with pytest.raises(ArgumentError) as caught:
        second.load_state_dict({"0.count": state["0.count"]})
    assert "0._extra_state" in str(caught.value)
    assert second.load_state_dict({}, strict=False).missing_keys == ["0.count", "0._extra_state"]
    with pytest.raises(ArgumentError) as caught:
        nn.Identity().get_extra_state()
    assert str(caught.value).split("\n")[0] == "Identity: the module has no extra state"


def test_state_hooks_run_before_and_after():
    model, seen = nn.Sequential(nn.Linear(1, 1)), []
    model[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))

    def rename(module, state, prefix, metadata):
        state[prefix + "w"] = state.pop(prefix + "weight")

    def unname(module, state, prefix, metadata, strict, missing, unexpected, messages):
        state[prefix + "weight"] = state.pop(prefix + "w")
    saved = model[0].register_state_dict_post_hook(rename)
    state = model.state_dict()
    assert sorted(state) == ["0.bias", "0.w"]
    assert seen == [("0.", False)]
    loaded = model[0].register_load_state_dict_pre_hook(unname)
    model.load_state_dict(state)
    assert "0.w" in state
    saved.remove()
    loaded.remove()
    model.load_state_dict(model.state_dict())


def test_hooks_after_loading_forgive_keys():
    model, order = nn.Sequential(nn.Linear(1, 1)), []

    def forgive(module, keys):
        order.append(type(module).__name__)
        keys.missing_keys.clear()
    with pytest.raises(ArgumentError):
        model.load_state_dict({"0.weight": tl.ones((1, 1))})
    model[0].register_load_state_dict_post_hook(forgive)
    handle = model.register_load_state_dict_post_hook(forgive)
    assert model.load_state_dict({"0.weight": tl.ones((1, 1))}).missing_keys == []
    assert order == ["Linear", "Sequential"]
    handle.remove()
    model.register_load_state_dict_post_hook(lambda module, keys: keys)
    with pytest.raises(DTypeError) as caught:
        model.load_state_dict(model.state_dict())
    assert str(caught.value).split("\n")[0] == "load_state_dict: a hook that runs after loading returns None"


def test_a_subclass_may_read_and_write_states_of_its_own():
    class Renamed(nn.Linear):
        def _save_to_state_dict(self, destination, prefix, keep_vars):
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[prefix + "version"] = tl.tensor(2)

        def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing, unexpected, messages):
            if state_dict.pop(prefix + "version").item() != 2:
                messages.append("another version")
            super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, messages)
    model = nn.Sequential(Renamed(1, 1))
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "0.version"]
    assert repr(model.load_state_dict(state)) == "<All keys matched successfully>"
    state["0.version"] = tl.tensor(1)
    with pytest.raises(ArgumentError) as caught:
        model.load_state_dict(state, strict=False)
    assert "another version" in str(caught.value)


def test_a_hook_may_be_called_where_forward_raises():
    layer, seen = nn.Linear(1, 1), []
    layer.register_forward_hook(lambda m, given, y: seen.append("plain"))
    layer.register_forward_hook(lambda m, given, y: seen.append(y), always_call=True)
    with pytest.raises(Exception, match="weight expects 1 features"):
        layer(tl.ones((1, 2)))
    assert seen == [None]
    layer(tl.ones((1, 1)))
    assert seen[1] == "plain"


def test_submodules_are_set_by_their_names():
    model = nn.Sequential(nn.Sequential(nn.ReLU()))
    new = nn.Identity()
    model.set_submodule("0.0", new)
    assert model[0][0] is new
    model.set_submodule("0.more", nn.Tanh())
    assert isinstance(model[0].more, nn.Tanh)
    for target, strict, text in (("0.none", True, "get_submodule: Sequential has no submodule 'none'"),
                                 ("9.x", False, "get_submodule: Sequential has no submodule '9'"),
                                 ("", False, "set_submodule: a name is not empty: ''")):
        with pytest.raises(ArgumentError) as caught:
            model.set_submodule(target, new, strict)
        assert str(caught.value).split("\n")[0] == text


def test_casts_of_all_and_parameters_without_values():
    layer = nn.BatchNorm1d(2)
    assert layer.type(tl.float64).num_batches_tracked.dtype == tl.float64
    assert nn.Linear(2, 1).type("float16").weight.dtype == tl.float16
    weight = layer.weight
    assert layer.to_empty(device=None).weight is weight
    assert weight.shape == (2,)
    with pytest.raises(DTypeError) as caught:
        layer.type(tl.int32)
    assert str(caught.value).split("\n")[0] == "type: a module can be cast to floating dtypes, not int32"


@pytest.mark.parametrize("kind", [0.5, 1.0, 2.0, 3.0, math.inf, "inf", -math.inf, 0.0])
def test_total_norms_agree_with_torch(kind):
    from nn.against_torch import draw, torch
    arrays = [draw(3, 4), draw(5), draw()]
    ours, theirs = [tl.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]
    total = utils.get_total_norm(ours, kind)
    assert_close(total, torch.nn.utils.get_total_norm(theirs, kind).numpy(), terms=100)
    leaves = [tl.zeros(a.shape, dtype=tl.float64).requires_grad_() for a in arrays]
    for leaf, a in zip(leaves, ours, strict=True):
        leaf.grad = a
    utils.clip_grads_with_norm_(leaves, 0.5, total, foreach=False)
    factor = min(0.5 / (total.item() + 1e-6), 1.0)
    for leaf, a in zip(leaves, arrays, strict=True):
        assert_close(leaf.grad, a * factor, terms=10)
    assert utils.get_total_norm([]).item() == 0
    with pytest.raises(NumericsError) as caught:
        utils.get_total_norm(tl.tensor([np.nan]), error_if_nonfinite=True)
    assert str(caught.value).split("\n")[0] == "get_total_norm: the norm of the gradients is nan"


def test_a_clipped_step_compiles():
    layer = nn.Linear(2, 1)
    x = tl.ones((3, 2))

    def clipped(x):
        layer.zero_grad()
        layer(x).sum().backward()
        return utils.clip_grad_norm_(layer.parameters(), 0.1, foreach=True)
    expected = clipped(x)
    grad = layer.weight.grad.numpy().copy()
    assert_close(tl.jit(clipped)(x), expected.numpy(), terms=10)
    assert_close(layer.weight.grad, grad, terms=10)
    assert_same(utils.parameters_to_vector(layer.parameters()).shape, (3,))
