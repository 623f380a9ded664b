"""The adaptive softmax: beside PyTorch over drawn cutoffs, and compiled."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.compiled import whole
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, IndexingError, ShapeError


@given(st.sets(st.integers(1, 10), min_size=1, max_size=3).map(sorted), st.sampled_from([1.5, 2.0]), st.booleans(),
       st.lists(st.integers(0, 10), min_size=1, max_size=6))
@settings(max_examples=20)
def test_losses_and_probabilities_agree_with_torch(cutoffs, div_value, head_bias, target):
    from nn.against_torch import draw, torch
    given = (8, 11, cutoffs, div_value, head_bias)
    ours, theirs = nn.AdaptiveLogSoftmaxWithLoss(*given), torch.nn.AdaptiveLogSoftmaxWithLoss(*given)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x, places = draw(len(target), 8).astype(np.float32), np.array(target)
    found, wanted = ours(tl.tensor(x), tl.tensor(places)), theirs(torch.tensor(x), torch.tensor(places))
    assert_close(found.output, wanted.output.detach().numpy(), terms=100)
    assert_close(found.loss, wanted.loss.detach().numpy(), terms=100)
    found.loss.backward()
    wanted.loss.backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad, np.zeros(p.shape) if q.grad is None else q.grad.numpy(), terms=100, dtype=np.float32)
    assert_close(ours.log_prob(tl.tensor(x)), theirs.log_prob(torch.tensor(x)).detach().numpy(), terms=100)
    assert_same(ours.predict(tl.tensor(x)), theirs.predict(torch.tensor(x)).numpy())


def test_one_sample_and_compilation():
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10])
    x, target = tl.rand((3, 8)), tl.tensor([0, 7, 19])
    assert_close(layer(x[1], target[1]).output, layer(x, target).output[1].detach().numpy(), terms=50)
    compiled = tl.jit(lambda x, t: layer(x, t).loss)
    assert_close(compiled(x, target), layer(x, target).loss.detach().numpy(), terms=50)
    assert_close(compiled(x, tl.tensor([1, 2, 3])), layer(x, tl.tensor([1, 2, 3])).loss.detach().numpy(), terms=50)
    assert len(compiled.explain().specialisations) == 1
    probabilities = tl.jit(lambda x: layer.log_prob(x))
    assert_close(tl.exp(probabilities(x)).sum(axis=1), np.ones(3, np.float32), terms=100)
    whole(probabilities)


def test_the_signature_is_that_of_torch():
    from nn.against_torch import torch
    ours, theirs = (inspect.signature(library.nn.AdaptiveLogSoftmaxWithLoss).parameters for library in (tl, torch))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda m: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [3, 2]), ArgumentError,
     "AdaptiveLogSoftmaxWithLoss: cutoffs are integers that rise between 1 and 4, not [3, 2]"),
    (lambda m: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [5]), ArgumentError,
     "AdaptiveLogSoftmaxWithLoss: cutoffs are integers that rise between 1 and 4, not [5]"),
    (lambda m: m(tl.zeros((2, 4)), tl.tensor([0])), ShapeError, "AdaptiveLogSoftmaxWithLoss: the input must be "
     "[batch, features] and the target [batch], or [features] and []"),
    (lambda m: m(tl.zeros((1, 4)), tl.tensor([5])), IndexingError, "gather: index 3 is out of range for an axis of 3"),
    (lambda m: m(tl.zeros((1, 4)), tl.tensor([-1])), IndexingError,
     "gather: index -1 is out of range for an axis of 3"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2], div_value=2.0))
    assert str(caught.value).split("\n")[0] == text
