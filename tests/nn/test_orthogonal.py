"""Orthogonal parametrizations and the loss of a linear map beside PyTorch's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.against_torch import compare, draw, torch
from nn.beside_torch import first_line, parameters
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn

MAPS = ("matrix_exp", "cayley", "householder")
orthogonal = nn.utils.parametrizations.orthogonal


@given(kind=st.sampled_from([None, *MAPS]), shape=st.sampled_from([(3, 5), (5, 3), (4, 4)]), trivial=st.booleans())
@settings(max_examples=30, deadline=None)
def test_makes_what_pytorch_makes(kind, shape, trivial):
    theirs = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(*shape, dtype=torch.float64), "weight", kind,
                                                        use_trivialization=trivial)
    ours = orthogonal(nn.Linear(*shape, dtype=tl.float64), "weight", kind, use_trivialization=trivial)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    weight = ours.weight.detach()
    gram = weight @ weight.mT if shape[0] > shape[1] else weight.mT @ weight
    assert_close(gram, np.eye(min(shape)), terms=64)
    ours.load_state_dict({name: tl.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    assert_close(ours.weight.detach(), theirs.weight.detach().numpy(), terms=64)
    for layer in (ours, theirs):
        (layer.weight ** 3).sum().backward()
    assert_close(ours.parametrizations.weight.original.grad, theirs.parametrizations.weight.original.grad.numpy(),
                 terms=256)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize(("kind", "trivial"), [*((kind, True) for kind in MAPS), ("householder", False)])
def test_an_orthogonal_matrix_can_be_assigned(kind, trivial, shape):
    layer = orthogonal(nn.Linear(*shape, dtype=tl.float64), "weight", kind, use_trivialization=trivial)
    value = np.linalg.qr(draw(max(shape), max(shape)))[0][:shape[1], :shape[0]]
    layer.weight = tl.tensor(value)
    assert_close(layer.weight.detach(), value, terms=64)


def test_orthogonal_refuses():
    layer = nn.Linear(3, 3)
    assert first_line(lambda: orthogonal(layer, "bias"), tl.errors.ShapeError) == (
        "orthogonal: takes a matrix or a stack of matrices")
    assert first_line(lambda: orthogonal(layer, "weights"), tl.errors.ArgumentError) == (
        "orthogonal: Linear has no parameter or buffer 'weights'")
    assert first_line(lambda: orthogonal(layer, "weight", "polar"), tl.errors.ArgumentError) == (
        "orthogonal: no orthogonal_map is called 'polar'")
    assert parameters(orthogonal) == parameters(torch.nn.utils.parametrizations.orthogonal)


# --- linear_cross_entropy -----------------------------------------------------------------------------------------


@given(extents=st.sampled_from([(), (2,), (2, 3)]), bias=st.booleans(), weighed=st.booleans(),
       reduction=st.sampled_from(["mean", "sum", "none"]), smoothing=st.sampled_from([0.0, 0.3]),
       ignored=st.sampled_from([None, 1]))
@settings(max_examples=25, deadline=None)
def test_the_loss_of_a_linear_map(extents, bias, weighed, reduction, smoothing, ignored):
    x, matrix, offsets = draw(4, 5), draw(3, *extents, 5), draw(3, *extents)
    target = np.random.default_rng(0).integers(0, 3, (4, *extents))

    def call(t, x, matrix, offsets):
        options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignored,
                   "linear_bias": offsets if bias else None, "weight": t.tensor([1.0, 2.0, 0.5], dtype=t.float64)
                   if weighed else None}
        found = t.nn.functional.linear_cross_entropy(x, matrix, t.tensor(target), **options)
        return found + 0 * offsets.sum()
    compare(lambda *a: call(tl, *a), lambda *a: call(torch, *a), x, matrix, offsets, terms=64, second=False)


@pytest.mark.parametrize("bias", [False, True])
def test_its_layer_has_the_names_of_pytorchs(bias):
    theirs = torch.nn.LinearCrossEntropyLoss(5, 3, out_features=(2,), bias=bias)
    ours = nn.LinearCrossEntropyLoss(5, 3, out_features=(2,), bias=bias)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(inspect.signature(type(ours)).parameters) == list(inspect.signature(type(theirs)).parameters)
    ours.load_state_dict({name: tl.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    x, target = draw(4, 5).astype(np.float32), np.random.default_rng(0).integers(0, 3, (4, 2))
    expected = theirs(torch.tensor(x), torch.tensor(target)).detach().numpy()
    assert_close(ours(tl.tensor(x), tl.tensor(target)).detach(), expected, terms=16)


def test_chunks_are_refused_at_construction():
    assert first_line(lambda: nn.LinearCrossEntropyLoss(2, 2, options="auto"), tl.errors.ArgumentError) == (
        "LinearCrossEntropyLoss: options of chunks are not implemented")
