"""Clipping gradients, and parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import NumericsError, ShapeError
from tensorlite.nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters


def with_gradients(arrays, library=tl):
    leaves = [library.tensor(np.zeros_like(a), requires_grad=True) for a in arrays]
    for leaf, a in zip(leaves, arrays, strict=True):
        (leaf * library.tensor(a)).sum().backward()
    return leaves


GRADIENTS = [np.random.default_rng(i).standard_normal(shape) * 3 for i, shape in enumerate([(3, 4), (5,), ()])]


@pytest.mark.parametrize("kind", [2.0, 1, 3.0, math.inf])
@pytest.mark.parametrize("bound", [0.5, 100.0])
def test_clip_grad_norm_agrees_with_torch(kind, bound):
    from nn.against_torch import torch
    ours, theirs = with_gradients(GRADIENTS), with_gradients(GRADIENTS, torch)
    assert_close(clip_grad_norm_(ours, bound, kind), torch.nn.utils.clip_grad_norm_(theirs, bound, kind).numpy(),
                 terms=20)
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine.grad, other.grad.numpy(), terms=20)


def test_the_norm_after_clipping_is_the_bound():
    leaves = with_gradients(GRADIENTS)
    before = clip_grad_norm_(leaves, 1.0).item()
    assert_close(math.sqrt(sum(float((p.grad * p.grad).sum()) for p in leaves)), np.asarray(before / (before + 1e-6)),
                 dtype=np.float64, terms=20)


def test_clip_grad_value():
    leaves = with_gradients(GRADIENTS)
    clip_grad_value_(leaves, 0.5)
    for leaf, array in zip(leaves, GRADIENTS, strict=True):
        assert_same(leaf.grad, np.clip(array, -0.5, 0.5))


def test_one_parameter_and_none_at_all():
    (leaf,) = with_gradients([np.array([3.0, 4.0])])
    assert clip_grad_norm_(leaf, 1.0).item() == 5
    assert clip_grad_norm_([tl.zeros(1)], 1.0).item() == 0


def test_gradients_that_are_one_tensor_are_scaled_once():
    a, b = (tl.tensor([3.0], requires_grad=True) for _ in range(2))
    (a + b).sum().backward()
    clip_grad_norm_([a, b], math.sqrt(2) / 2)
    assert_close(a.grad, np.array([0.5], np.float32), terms=9)
    assert_close(b.grad, np.array([0.5], np.float32), terms=9)


def test_a_norm_that_is_not_finite_is_named_if_asked():
    leaves = with_gradients([np.array([np.nan])])
    assert math.isnan(clip_grad_norm_(leaves, 1.0).item())
    with pytest.raises(NumericsError) as caught:
        clip_grad_norm_(leaves, 1.0, error_if_nonfinite=True)
    assert str(caught.value).split("\n")[0] == "clip_grad_norm_: the norm of the gradients is nan"


def test_vectors_and_parameters():
    model = nn.Linear(2, 3)
    vector = parameters_to_vector(model.parameters())
    assert vector.shape == (9,)
    vector_to_parameters(tl.arange(9.0), model.parameters())
    assert_same(model.bias, np.array([6, 7, 8], np.float32))
    with pytest.raises(ShapeError) as caught:
        vector_to_parameters(tl.zeros(8), model.parameters())
    assert str(caught.value).split("\n")[0] == "vector_to_parameters: the parameters have 9 elements"
