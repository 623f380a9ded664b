"""Pruning beside PyTorch's, over sequences of methods; at random by what must hold of the masks."""

from __future__ import annotations

import copy
import importlib
import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.nn.utils import prune

AXES = st.integers(-4, 3)
AMOUNTS = st.one_of(st.integers(0, 2), st.sampled_from([0.0, 0.1, 0.25, 0.4]))
ORDERS = st.sampled_from([1, 2, 0.5, math.inf, -math.inf])
STEPS = st.lists(st.one_of(
    st.tuples(st.just("l1_unstructured"), AMOUNTS),
    st.tuples(st.just("ln_structured"), AMOUNTS, ORDERS, AXES),
    st.tuples(st.just("identity")), st.tuples(st.just("custom_from_mask"), st.integers(0, 9))), min_size=1, max_size=4)


def with_pruning():
    """PyTorch, which does not bring this part of it by itself."""
    from nn.against_torch import torch
    importlib.import_module("torch.nn.utils.prune")
    return torch


def arrays(seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.standard_normal(shape) for shape in ((4, 3, 2, 3), (4,))]


def layer(library, seed: int = 0):
    made = library.nn.Conv2d(3, 4, (2, 3)).double()
    weight, bias = arrays(seed)
    made.load_state_dict({"weight": library.tensor(weight), "bias": library.tensor(bias)})
    return made


def take(library, module, step):
    name, *options = step
    module_of = library.nn.utils.prune
    if name == "custom_from_mask":
        options = [library.tensor((np.random.default_rng(options).random((4, 3, 2, 3)) < 0.8).astype(float))]
    getattr(module_of, name)(module, "weight", *options)


def alike(ours, theirs):
    state = ours.state_dict()
    assert sorted(state) == sorted(theirs.state_dict())
    for name, wanted in theirs.state_dict().items():
        assert_same(state[name], wanted.numpy())
    assert_same(ours.weight, theirs.weight.detach().numpy())


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 5))
def test_methods_one_after_the_other_are_those_of_torch(steps, seed):
    torch = with_pruning()
    ours, theirs = layer(tl, seed), layer(torch, seed)
    for step in steps:
        try:
            take(torch, theirs, step)
        except (ValueError, IndexError):
            with pytest.raises((ValueError, IndexError)):
                take(tl, ours, step)
            return
        take(tl, ours, step)
        alike(ours, theirs)
    assert prune.is_pruned(nn.Sequential(ours))
    alike(prune.remove(ours, "weight"), torch.nn.utils.prune.remove(theirs, "weight"))
    assert not prune.is_pruned(ours)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 9), st.floats(0, 0.5)), min_size=1, max_size=3), st.booleans(), st.booleans())
def test_many_parameters_are_pruned_as_one(amounts, begins, scored):
    torch = with_pruning()
    found = []
    for library in (tl, torch):
        pair, of = (layer(library, 1), layer(library, 2)), library.nn.utils.prune
        if begins:
            of.l1_unstructured(pair[0], "weight", 0.3)
        named = [(pair[0], "weight"), (pair[1], "weight"), (pair[1], "bias")]
        scores = {named[1]: library.tensor(arrays(3)[0])} if scored else None
        for amount in amounts:
            of.global_unstructured(named, of.L1Unstructured, scores, amount=amount)
        found.append([getattr(module, name).detach().numpy() for module, name in named])
    for ours, theirs in zip(*found, strict=True):
        assert_same(ours, theirs)


@pytest.mark.parametrize("amount", [0, 1, 3, 0.25, 1.0])
def test_at_random_as_many_are_pruned_as_wanted(amount):
    tl.random.manual_seed(5)
    masks = []
    for _ in range(20):
        module = prune.random_unstructured(layer(tl), "weight", amount)
        mask = module.weight_mask.numpy()
        assert (mask == 0).sum() == (round(amount * mask.size) if isinstance(amount, float) else amount)
        masks.append(mask)
    if amount not in (0, 1.0):
        assert len({mask.tobytes() for mask in masks}) > 10
    for dim in (0, 1, -1):
        mask = prune.random_structured(layer(tl), "weight", amount if amount != 3 else 2, dim).weight_mask.numpy()
        rows = np.moveaxis(mask, dim, 0).reshape(mask.shape[dim], -1)
        assert np.all(rows == rows[:, :1])
        wanted = amount if amount != 3 else 2
        assert (rows[:, 0] == 0).sum() == (round(wanted * len(rows)) if isinstance(wanted, float) else wanted)


def test_what_is_left_at_random_is_pruned_at_random():
    module = prune.random_unstructured(prune.l1_unstructured(layer(tl), "weight", 30), "weight", 0.5)
    assert int(module.weight_mask.sum()) == (72 - 30) // 2
    assert isinstance(module._derived["weight"], prune.PruningContainer)
    assert [type(method).__name__ for method in module._derived["weight"]] == ["L1Unstructured", "RandomUnstructured"]
    assert len(module._derived["weight"]) == 2
    assert module._derived["weight"][0].amount == 30


def test_training_moves_what_is_left():
    module = prune.l1_unstructured(nn.Linear(6, 1), "weight", 4)
    optimizer = tl.optim.SGD(module.parameters(), lr=0.1)
    mask, x = module.weight_mask.numpy(), tl.ones((5, 6))

    @tl.jit
    def step():
        optimizer.zero_grad()
        loss = (module(x) - 3).square().mean()
        loss.backward()
        optimizer.step()
        return loss
    losses = [step().item() for _ in range(3)]
    assert losses[-1] < losses[0]
    assert_same(module.weight_orig.grad.numpy() == 0, mask == 0)
    original, weight = module.weight_orig, module.weight.detach()
    assert prune.remove(module, "weight").weight is original
    assert_same(original, weight)


def test_under_jit_and_in_copies_masks_are_what_they_are():
    module, x = prune.l1_unstructured(nn.Linear(4, 3), "weight", 0.5), tl.ones((2, 4))
    jitted = tl.jit(module)
    assert_close(jitted(x), module(x))
    prune.l1_unstructured(module, "weight", 0.5)
    assert_close(jitted(x), module(x))
    other = copy.deepcopy(module)
    assert_same(other.weight, module.weight)
    prune.remove(module, "weight")
    assert prune.is_pruned(other)
    assert_close(jitted(x), module(x))
    loaded = prune.identity(nn.Linear(4, 3), "weight")
    loaded.load_state_dict(other.state_dict())
    assert_same(loaded.weight, other.weight)


class Every(prune.BasePruningMethod):
    """Every second element, of what is left."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask * (tl.arange(t.size) % 2).reshape(t.shape)


def test_a_method_of_ones_own():
    module = nn.Linear(4, 2)
    Every.apply(module, "weight")
    assert module.weight_mask.tolist() == [[0, 1, 0, 1]] * 2
    Every.apply(module, "weight")
    assert module.weight_mask.tolist() == [[0, 0, 0, 1]] * 2
    assert Every().prune(tl.tensor([1.0, 2.0, 3.0])).tolist() == [0, 2, 0]
    of_scores = prune.L1Unstructured(1).prune(tl.tensor([1.0, 2.0]), importance_scores=tl.tensor([5.0, 3.0]))
    assert of_scores.tolist() == [1, 0]


L, A, D, S = nn.Linear(3, 2), tl.errors.ArgumentError, tl.errors.DTypeError, tl.errors.ShapeError
WRONG = {
    "amount of text": (lambda: prune.L1Unstructured("a"), D,
                       "L1Unstructured: amount must be an int or a float, not str"),
    "less than none": (lambda: prune.L1Unstructured(-1), A,
                       "L1Unstructured: amount must be a fraction in [0, 1] or a count, not -1"),
    "more than all": (lambda: prune.RandomStructured(1.5), A,
                      "RandomStructured: amount must be a fraction in [0, 1] or a count, not 1.5"),
    "too many": (lambda: prune.l1_unstructured(L, "weight", 9), A, "L1Unstructured: cannot prune 9 of 6"),
    "channels of a vector": (lambda: prune.ln_structured(L, "bias", 1, 2, 0), S,
                             "LnStructured: channels are pruned of tensors of two axes or more"),
    "an axis that is not there": (lambda: prune.random_structured(L, "weight", 1, 5), tl.errors.AxisError,
                                  "RandomStructured: there is no axis 5"),
    "no order": (lambda: prune.ln_structured(L, "weight", 1, "two", 0), A,
                 "LnStructured: n must be a number, 'fro' or 'nuc', not 'two'"),
    "not pruned": (lambda: prune.remove(L, "weight"), A, "remove: weight of Linear is not pruned"),
    "scores of another shape": (lambda: prune.l1_unstructured(L, "weight", 1, importance_scores=tl.ones(2)), S,
                                "L1Unstructured: importance_scores have another shape than weight"),
    "no such parameter": (lambda: prune.identity(L, "nope"), A, "Identity: Linear has no parameter 'nope'"),
    "channels of all": (lambda: prune.global_unstructured([(L, "weight")], prune.RandomStructured, amount=1), D,
                        "global_unstructured: takes methods that prune elements, RandomStructured is structured"),
    "no pairs": (lambda: prune.global_unstructured(3, prune.L1Unstructured, amount=1), D,
                 "global_unstructured: parameters must be pairs of module and name, not int"),
    "scores of no parameters": (lambda: prune.global_unstructured([(L, "weight")], prune.L1Unstructured, 3, amount=1),
                                D, "global_unstructured: importance_scores must be a dict, not int"),
    "no method": (lambda: prune.PruningContainer(3), D,
                  "PruningContainer: takes objects of BasePruningMethod, not int"),
    "set": (lambda: setattr(prune.identity(nn.Linear(2, 2), "weight"), "weight", None), A,
            "Linear: weight is computed from weight_orig and weight_mask"),
    "mask of nothing": (lambda: prune.Identity().apply_mask(L), A, "Identity: Linear was not pruned by it"),
}


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(call, kind, said):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).splitlines()[0] == said
    assert sorted(L.state_dict()) == ["bias", "weight"]


@pytest.mark.parametrize("name", prune.__all__)
def test_signatures_are_those_of_torch(name):
    torch = with_pruning()

    def shown(library):
        found = getattr(library.nn.utils.prune, name)
        faces = [found] if not inspect.isclass(found) else [found.__init__, found.apply]
        return [[(p.name, p.kind, p.default) for p in inspect.signature(face).parameters.values()] for face in faces]
    assert shown(tl) == shown(torch)
