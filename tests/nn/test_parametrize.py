"""Weights computed from others: beside PyTorch in both forms, through training, states, copies and compilation."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.compiled import check_training, training_step, whole
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError
from tensorlite.nn import utils
from tensorlite.nn.utils import parametrizations, parametrize

FORMS = {"older": utils, "newer": parametrizations}


def of_torch(form):
    from nn.against_torch import torch
    return torch.nn.utils if form == "older" else torch.nn.utils.parametrizations


def arrays(module):
    return {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}


def both(make):
    """A layer and PyTorch's, of the same parameters and buffers."""
    from nn.against_torch import torch
    ours, theirs = make(tl), make(torch)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    ours.load_state_dict(arrays(theirs))
    return ours, theirs


def follow(ours, theirs, *shape, steps=4):
    """Steps of training, then evaluation: losses, parameters and buffers alike."""
    from nn.against_torch import draw, torch
    other = torch.optim.SGD(theirs.parameters(), lr=0.1)
    step = training_step(ours)
    for number in range(steps):
        x = draw(*shape, seed=number).astype(np.float32)
        other.zero_grad()
        loss = ((theirs(torch.tensor(x)) - 1) ** 2).mean()
        loss.backward()
        other.step()
        assert_close(step(tl.tensor(x)), loss.detach().numpy(), terms=1000)
    for key, value in arrays(theirs).items():
        assert_close(ours.state_dict()[key], value, terms=1000)
    assert_close(ours.eval()(tl.tensor(x)), theirs.eval()(torch.tensor(x)).detach().numpy(), terms=1000)


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    names = {"": ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse_conv_bn_eval",
                  "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights", "get_total_norm",
                  "parameters_to_vector", "remove_spectral_norm", "remove_weight_norm", "skip_init", "spectral_norm",
                  "vector_to_parameters", "weight_norm"],
             "parametrizations": ["spectral_norm", "weight_norm"], "stateless": ["functional_call"],
             "parametrize": ["ParametrizationList", "cached", "is_parametrized", "register_parametrization",
                             "remove_parametrizations", "transfer_parametrizations_and_params",
                             "type_before_parametrizations"]}
    for place, found in names.items():
        ours, theirs = (getattr(library.nn.utils, place) if place else library.nn.utils for library in (tl, torch))
        for name in found:
            mine, other = (inspect.signature(getattr(library, name)).parameters for library in (ours, theirs))
            assert [(p.name, p.default, p.kind) for p in mine.values()] == [
                (p.name, p.default, p.kind) for p in other.values()], name


@pytest.mark.filterwarnings("ignore:.*is deprecated in favor of:FutureWarning")
@pytest.mark.parametrize("form", FORMS)
@given(st.sampled_from(["Linear", "Conv2d", "ConvTranspose2d"]), st.sampled_from([0, 1, None]))
@settings(max_examples=6)
def test_weight_norm_trains_as_in_torch(form, layer, dim):
    def make(library):
        found = library.nn.Linear(3, 4) if layer == "Linear" else getattr(library.nn, layer)(3, 4, 2)
        return (FORMS[form] if library is tl else of_torch(form)).weight_norm(found, dim=dim)
    ours, theirs = both(make)
    follow(ours, theirs, *((2, 3) if layer == "Linear" else (2, 3, 4, 3)))


@pytest.mark.parametrize("form", FORMS)
@given(st.sampled_from(["Linear", "Conv2d", "ConvTranspose2d"]), st.sampled_from([None, 0, 1]), st.integers(1, 3))
@settings(max_examples=6)
def test_spectral_norm_trains_as_in_torch(form, layer, dim, iterations):
    def make(library):
        found = library.nn.Linear(3, 4) if layer == "Linear" else getattr(library.nn, layer)(3, 4, 2)
        norm = (FORMS[form] if library is tl else of_torch(form)).spectral_norm
        return norm(found, n_power_iterations=iterations, dim=dim)
    ours, theirs = both(make)
    follow(ours, theirs, *((2, 3) if layer == "Linear" else (2, 3, 4, 3)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_training_compiles_whole(form, norm):
    random = np.random.default_rng(0)
    batches = [(tl.tensor(random.standard_normal((2, 3)).astype(np.float32)),) for _ in range(4)]
    check_training(lambda: getattr(FORMS[form], norm)(nn.Linear(3, 4)), batches)


def test_the_largest_singular_value_becomes_one():
    for form in FORMS.values():
        layer = form.spectral_norm(nn.Linear(6, 5))
        for _ in range(50):
            layer(tl.zeros((1, 6)))
        assert_close(np.linalg.svd(layer.eval().weight.detach().numpy())[1][0], np.float32(1), dtype=np.float16)


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_removal_keeps_the_value(norm):
    older = getattr(utils, norm)(nn.Linear(3, 4)).eval()
    newer = getattr(parametrizations, norm)(nn.Linear(3, 4)).eval()
    for layer, remove in ((older, lambda m: getattr(utils, f"remove_{norm}")(m)),
                          (newer, lambda m: parametrize.remove_parametrizations(m, "weight"))):
        x, before = tl.ones((2, 3)), layer.weight.detach().numpy()
        expected = layer(x)
        assert remove(layer) is layer
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        assert isinstance(layer.weight, nn.Parameter)
        assert layer.weight.requires_grad
        assert_same(layer.weight, before)
        assert_same(layer.train()(x), expected)
        assert repr(layer) == "Linear(in_features=3, out_features=4, bias=True)"
        assert not layer._forward_pre_hooks


def test_the_newer_form_loads_what_the_older_one_saved():
    older, newer = utils.weight_norm(nn.Linear(3, 4)), parametrizations.weight_norm(nn.Linear(3, 4))
    newer.load_state_dict(older.state_dict())
    assert_same(newer.weight, older.weight)


def test_a_copy_has_parameters_of_its_own():
    for make in (lambda: utils.weight_norm(nn.Linear(2, 2)), lambda: parametrizations.weight_norm(nn.Linear(2, 2)),
                 lambda: utils.spectral_norm(nn.Linear(2, 2))):
        layer = make()
        copied, before = copy.deepcopy(layer), layer.weight.detach().numpy().copy()
        training_step(copied)(tl.ones((1, 2)))
        assert_same(layer.weight, before)
        assert (copied.weight.detach().numpy() != before).any()


def wrong(**methods):
    return type("Wrong", (nn.Module,), methods)()


class Symmetric(nn.Module):
    def forward(self, x):
        return tl.triu(x) + tl.triu(x, k=1).mT

    def right_inverse(self, x):
        return tl.triu(x)


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


class Sum(nn.Module):
    def forward(self, *parts):
        return sum(parts[1:], parts[0])

    def right_inverse(self, x):
        return [x / 4, x * 3 / 4]


def test_a_parametrized_layer_is_shown_and_named_as_in_torch():
    from nn.against_torch import torch

    class Same(torch.nn.Module):
        def forward(self, x):
            return x
    ours, theirs = nn.Linear(2, 2), torch.nn.Linear(2, 2)
    parametrize.register_parametrization(ours, "weight", type("Same", (nn.Identity,), {})())
    torch.nn.utils.parametrize.register_parametrization(theirs, "weight", Same())
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert parametrize.is_parametrized(ours)
    assert parametrize.is_parametrized(ours, "weight")
    assert not parametrize.is_parametrized(ours, "bias")
    assert parametrize.type_before_parametrizations(ours) is nn.Linear


def test_parametrizations_follow_one_another_and_can_be_assigned_to():
    layer = nn.Linear(3, 3)
    trained = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert layer.parametrizations.weight.original is trained
    parametrize.register_parametrization(layer, "weight", Doubled())
    wanted = np.array([[1, 2, 3], [2, 4, 5], [3, 5, 6]], np.float32)
    layer.weight = tl.tensor(wanted)
    assert_same(layer.weight, wanted)
    assert_same(trained, np.triu(wanted) / 2)
    training_step(layer)(tl.ones((2, 3)))
    assert_same(layer.weight, layer.weight.detach().numpy().T)
    parametrize.remove_parametrizations(layer, "weight")
    assert layer.weight is trained
    assert trained.requires_grad
    assert isinstance(trained, nn.Parameter)


def test_the_original_can_be_had_back():
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().numpy().copy()
    parametrize.register_parametrization(layer, "weight", wrong(forward=lambda m, x: 3 * x))
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert_same(layer.weight, before)


def test_several_tensors_can_make_one():
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().numpy().copy()
    parametrize.register_parametrization(layer, "weight", Sum())
    assert list(layer.state_dict()) == ["bias", *(f"parametrizations.weight.original{i}" for i in range(2))]
    assert_close(layer.weight, before)
    layer.weight = tl.ones((2, 2))
    assert_same(layer.parametrizations.weight.original0, np.full((2, 2), 0.25, np.float32))
    check_training(lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Sum()), [(tl.ones((1, 2)),)])


def test_buffers_can_be_parametrized():
    layer = nn.BatchNorm1d(2)
    parametrize.register_parametrization(layer, "running_mean", Doubled())
    assert "parametrizations.running_mean.original" in dict(layer.named_buffers())
    parametrize.remove_parametrizations(layer, "running_mean")
    assert "running_mean" in dict(layer.named_buffers())


def test_within_cached_a_tensor_is_computed_once():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 2
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counted())
    calls.clear()
    with parametrize.cached():
        first = layer.weight
        with parametrize.cached():
            assert layer.weight is first
        assert layer.weight is first
    assert len(calls) == 1
    assert layer.weight is not first

    @tl.jit
    def twice(x):
        with parametrize.cached():
            return layer(layer(x))
    x = tl.ones((1, 2))
    assert_close(twice(x), layer(layer(x)).detach().numpy(), terms=10)
    with parametrize.cached():
        assert_close(tl.jit(lambda x: layer(x))(x), layer(x).detach().numpy(), terms=10)


def test_parametrizations_are_transferred():
    source = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    target = parametrize.transfer_parametrizations_and_params(source, nn.Linear(2, 2))
    assert_same(target.weight, source.weight)
    assert target.parametrizations.weight.original is not source.parametrizations.weight.original


def test_a_weight_set_from_outside_is_seen_by_compiled_code():
    layer = parametrize.register_parametrization(nn.Linear(2, 2, bias=False), "weight", Doubled())
    call = tl.jit(lambda x: layer(x))
    x = tl.ones((1, 2))
    call(x)
    layer.weight = tl.ones((2, 2))
    assert_same(call(x), np.full((1, 2), 2, np.float32))
    whole(call)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert_same(call(x), np.full((1, 2), 1, np.float32))


@pytest.mark.parametrize(("call", "text"), [
    (lambda m: utils.weight_norm(m, "scale"), "weight_norm: Linear has no parameter 'scale'"),
    (lambda m: utils.weight_norm(utils.weight_norm(m)), "weight_norm: weight of Linear is normalised already"),
    (lambda m: utils.remove_weight_norm(m), "remove_weight_norm: weight of Linear is not normalised"),
    (lambda m: utils.spectral_norm(m, "scale"), "spectral_norm: Linear has no parameter 'scale'"),
    (lambda m: utils.spectral_norm(utils.spectral_norm(m)), "spectral_norm: weight of Linear is normalised already"),
    (lambda m: utils.spectral_norm(m, n_power_iterations=0), "spectral_norm: n_power_iterations is 1 or more, not 0"),
    (lambda m: utils.remove_spectral_norm(m), "remove_spectral_norm: weight of Linear is not normalised"),
    (lambda m: setattr(utils.weight_norm(m), "weight", tl.ones((2, 2))),
     "Linear: weight is computed from weight_g and weight_v"),
    (lambda m: parametrizations.weight_norm(m, "scale"), "weight_norm: Linear has no parameter or buffer 'scale'"),
    (lambda m: parametrizations.spectral_norm(m, n_power_iterations=0),
     "spectral_norm: n_power_iterations is 1 or more, not 0"),
    (lambda m: parametrize.register_parametrization(m, "scale", Doubled()),
     "register_parametrization: Linear has no parameter, buffer or parametrized tensor 'scale'"),
    (lambda m: parametrize.register_parametrization(m, "weight", wrong(forward=lambda m, x: x[:1])),
     "register_parametrization: a parametrization may not change the shape of the tensor"),
    (lambda m: parametrize.register_parametrization(m, "weight", wrong(forward=lambda m, x: x.double())),
     "register_parametrization: a parametrization may not change the dtype of the tensor"),
    (lambda m: parametrize.register_parametrization(m, "weight", wrong(forward=lambda m, x: 1)),
     "register_parametrization: a parametrization must return a tensor, not int"),
    (lambda m: parametrize.register_parametrization(m, "weight", wrong(right_inverse=lambda m, x: 1)),
     "register_parametrization: right_inverse returns a tensor or a sequence of them, not int"),
    (lambda m: parametrize.register_parametrization(
        parametrize.register_parametrization(m, "weight", Doubled()), "weight", wrong(forward=lambda m, x: x[:1])),
     "register_parametrization: a parametrization may not change the shape of the tensor"),
    (lambda m: setattr(parametrize.register_parametrization(m, "weight", wrong(forward=lambda m, x: x)), "weight",
                       tl.ones((2, 2))),
     "Wrong: the parametrization has no right_inverse, so that the tensor cannot be assigned to"),
    (lambda m: parametrize.remove_parametrizations(m, "weight"),
     "remove_parametrizations: weight of Linear is not parametrized"),
    (lambda m: parametrize.remove_parametrizations(
        parametrize.register_parametrization(m, "weight", Sum()), "weight", leave_parametrized=False),
     "remove_parametrizations: weight is computed from several tensors, none of which it could be"),
    (lambda m: parametrize.ParametrizationList([], m.weight),
     "ParametrizationList: at least one module computes a tensor"),
])
def test_what_does_not_fit_is_named(call, text):
    with pytest.raises(ArgumentError) as caught:
        call(nn.Linear(2, 2))
    assert str(caught.value).split("\n")[0] == text
