"""Dropouts: their shares, moments, masks of whole channels, derivatives, layers and errors."""

from __future__ import annotations

import inspect
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, TensorliteError
from tensorlite.nn import functional as F

NAMES = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
#: A shape that each takes, and the axes that its mask has.
SHAPES = {
    "dropout": ((40, 50), 2), "dropout1d": ((20, 30, 4), 2), "dropout2d": ((20, 30, 2, 3), 2),
    "dropout3d": ((20, 30, 2, 1, 3), 2), "alpha_dropout": ((40, 50), 2), "feature_alpha_dropout": ((20, 30, 4), 2),
}
LAYERS = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5)
@given(p=st.floats(0.05, 0.95), seed=st.integers(0, 2**31))
def test_whole_channels_are_dropped_with_the_probability_asked_for(name, p, seed):
    shape, axes = SHAPES[name]
    tl.manual_seed(seed)
    y = getattr(F, name)(tl.ones(shape), p, True).numpy().reshape(*shape[:axes], -1)
    assert (y == y[..., :1]).all()
    low, high = y.min(), y.max()
    dropped = y[..., 0] == low
    assert abs(dropped.mean() - p) < 6 * math.sqrt(p * (1 - p) / dropped.size)
    if "alpha" in name:
        end = -1.7580993408473766
        scale = ((end * end * p + 1) * (1 - p)) ** -0.5
        expected = [end * scale - scale * p * end, scale - scale * p * end]
    else:
        expected = [0.0, 1 / (1 - p)]
    if low < high:
        assert_close(np.array([low, high]), np.array(expected), dtype=tl.float32)


@pytest.mark.parametrize(("name", "shape", "mask"), [
    ("dropout1d", (50, 6), (50, 1)), ("dropout3d", (50, 2, 3, 2), (50, 1, 1, 1)),
    ("feature_alpha_dropout", (9, 8), (9, 8)),
])
def test_masks_without_a_batch(name, shape, mask):
    tl.manual_seed(0)
    y = getattr(F, name)(tl.ones(shape), 0.5, True).numpy()
    first = y[tuple(slice(0, n) for n in mask)]
    assert (y == first).all()
    assert len(np.unique(first)) == 2


@pytest.mark.parametrize(("name", "shape"), [("dropout2d", (20, 30, 4)), ("dropout3d", (20, 30, 4))])
def test_other_numbers_of_axes_are_warned_of(name, shape):
    with pytest.warns(UserWarning, match=f"^{name}: 3 axes, of which the first two are taken for batch and channels"):
        y = getattr(F, name)(tl.ones(shape), 0.5).numpy()
    assert (y == y[..., :1]).all()
    assert (y != y[:, :1]).any()


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name):
    tl.manual_seed(0)
    y = getattr(F, name)(tl.randn(400, 1000), 0.3, True).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


def test_dropout_is_drawn_anew_and_by_seed():
    x = tl.ones(64)
    tl.manual_seed(3)
    first, second = F.dropout(x), F.dropout(x)
    tl.manual_seed(3)
    assert_same(F.dropout(x), first)
    assert (first.numpy() != second.numpy()).any()
    draw = lambda: F.dropout(x, generator=tl.Generator().manual_seed(5))
    assert_same(draw(), draw())


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_the_masks(name):
    shape, _ = SHAPES[name]
    x = tl.tensor(np.linspace(1, 2, math.prod(shape)).reshape(shape), requires_grad=True)
    tl.manual_seed(1)
    y = getattr(F, name)(x, 0.25, True)
    slope, = tl.autograd.grad(y.sum(), x)
    kept = slope.numpy() != 0
    assert 0.6 < kept.mean() < 0.9
    tl.manual_seed(1)
    at_zero = getattr(F, name)(tl.zeros(shape, dtype=tl.float64), 0.25, True).numpy()
    assert_close((y.detach().numpy() - at_zero)[kept], (x.detach() * slope).numpy()[kept])


@pytest.mark.parametrize("name", NAMES)
def test_ends(name):
    function, (shape, _) = getattr(F, name), SHAPES[name]
    x = tl.full(shape, 3.0)
    assert function(x, 0.0, True) is x
    assert function(x, 0.9, False) is x
    assert_same(function(x, 1.0, True), np.zeros(shape, np.float32))
    assert function(x, 1.0, True, inplace=True) is x
    assert_same(x, np.zeros(shape, np.float32))


def test_infinities_that_are_dropped_are_gone():
    assert_same(F.dropout(tl.tensor([1.0, float("inf")]), 1.0), np.zeros(2, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_jit_draws_what_eager_draws(name):
    x = tl.randn(SHAPES[name][0])
    function = lambda x: getattr(F, name)(x, 0.4, True)
    tl.manual_seed(7)
    expected = [function(x), function(x)]
    tl.manual_seed(7)
    compiled = tl.jit(function)
    for y in expected:
        assert_close(compiled(x), y)


@pytest.mark.parametrize(("layer", "function"), list(zip(LAYERS, NAMES)))
def test_layers_are_torchs(layer, function):
    from nn.against_torch import torch
    ours, theirs = getattr(nn, layer), getattr(torch.nn, layer)
    assert repr(ours(0.3, True)) == repr(theirs(0.3, True))
    for mine, wanted in [(ours.__init__, theirs.__init__), (getattr(F, function), getattr(torch.nn.functional,
                                                                                          function))]:
        found = [(p.name, p.default) for p in inspect.signature(mine).parameters.values() if p.name != "generator"]
        assert found == [(p.name, p.default) for p in inspect.signature(wanted).parameters.values()]
    x = tl.ones(SHAPES[function][0])
    tl.manual_seed(0)
    y = ours(0.4)(x)
    tl.manual_seed(0)
    assert_same(y, getattr(F, function)(x, 0.4, True))
    assert ours(0.4).eval()(x) is x


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_probabilities_that_are_none_are_named(name, p):
    with pytest.raises(ArgumentError, match=f"^{name}: p must be between 0 and 1, not {p}\n"):
        getattr(F, name)(tl.ones(SHAPES[name][0]), p)
    layer = LAYERS[NAMES.index(name)]
    with pytest.raises(ArgumentError, match=f"^{layer}: p must be between 0 and 1, not {p}\n"):
        getattr(nn, layer)(p)


@pytest.mark.parametrize(("call", "text"), [
    (lambda: F.dropout1d(tl.ones(2)), "dropout1d: expects 2 or 3 axes, not 1"),
    (lambda: F.dropout1d(tl.ones((2, 2, 2, 2))), "dropout1d: expects 2 or 3 axes, not 4"),
    (lambda: F.dropout2d(tl.ones(2)), "dropout2d: batch and channels are two axes, not 1"),
    (lambda: F.dropout3d(tl.ones(2)), "dropout3d: batch and channels are two axes, not 1"),
    (lambda: F.feature_alpha_dropout(tl.ones(2), training=True),
     "feature_alpha_dropout: batch and channels are two axes, not 1"),
])
def test_other_numbers_of_axes_are_refused(call, text):
    with warnings.catch_warnings(), pytest.raises(TensorliteError) as caught:
        warnings.simplefilter("ignore")
        call()
    lines = str(caught.value).splitlines()
    assert lines[0] == text
    assert lines[1].startswith("  input  float32[2")
    assert sum(line.startswith("  at test_dropout.py:") for line in lines) == 1
