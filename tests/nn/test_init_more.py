"""Initialisers that are more than one draw: their laws and statistics, beside PyTorch's where numbers are fixed."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError
from tensorlite.nn import init

NAMES = ["constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "orthogonal_",
         "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_"]


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    for name in NAMES:
        ours, theirs = (inspect.signature(getattr(library.nn.init, name)).parameters for library in (tl, torch))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()], name


def moments(mean, std, low, high):
    """The mean and the deviation of normal numbers within bounds, by the sum over a fine grid."""
    likeliest = min(max(low, mean), high)
    x = np.linspace(max(low, likeliest - 12 * std), min(high, likeliest + 12 * std), 200001)
    density = np.exp(0.5 * (((likeliest - mean) / std) ** 2 - ((x - mean) / std) ** 2))
    density /= density.sum()
    middle = (x * density).sum()
    return middle, math.sqrt(((x - middle) ** 2 * density).sum())


@pytest.mark.parametrize(("mean", "std", "a", "b"), [
    (0.0, 1.0, -2.0, 2.0), (1.0, 0.02, -2.0, 2.0), (0.0, 1.0, 0.1, 0.2), (0.0, 1.0, 3.0, 4.0), (-5.0, 2.0, 0.0, 1.0),
    (0.0, 1.0, 5.0, math.inf), (0.0, 1.0, -math.inf, 0.0), (0.0, 1.0, -30.0, -20.0)])
def test_truncated_normal_numbers_have_their_moments_and_bounds(mean, std, a, b):
    x = init.trunc_normal_(tl.empty(20000), mean, std, a, b, tl.Generator().manual_seed(0)).numpy()
    middle, deviation = moments(mean, std, a, b)
    assert x.min() >= np.float32(a)
    assert x.max() <= np.float32(b)
    assert abs(x.mean() - middle) < 4 * deviation / math.sqrt(20000)
    assert abs(x.std() / deviation - 1) < 8 / math.sqrt(20000)


@given(st.integers(1, 6), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from([1.0, 0.5]))
@settings(max_examples=20)
def test_orthogonal_matrices_are_that(rows, rest, gain):
    x = init.orthogonal_(tl.empty((rows, *rest), dtype=tl.float64), gain).numpy().reshape(rows, -1)
    product = x @ x.T if rows <= x.shape[1] else x.T @ x
    assert_close(product, gain**2 * np.eye(len(product)), terms=50)


def test_orthogonal_matrices_are_drawn_evenly():
    """Else the signs of the first row would not be."""
    generator = tl.Generator().manual_seed(0)
    first = [init.orthogonal_(tl.empty((2, 2)), generator=generator).numpy() for _ in range(400)]
    assert np.abs(np.mean(first, 0)).max() < 4 / math.sqrt(400)
    assert abs(np.mean([np.linalg.det(q) for q in first])) < 4 / math.sqrt(400)


@pytest.mark.parametrize(("rows", "share"), [(10, 0.1), (10, 0.25), (7, 1.0), (3, 0.0)])
def test_sparse_matrices_have_their_share_of_zeros_in_each_column(rows, share):
    x = init.sparse_(tl.empty((rows, 300)), share, 0.5).numpy()
    assert ((x == 0).sum(0) == math.ceil(share * rows)).all()
    if share < 1:
        assert abs(x[x != 0].std() / 0.5 - 1) < 8 / math.sqrt((x != 0).sum())


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.lists(st.integers(1, 4), min_size=1, max_size=3))
@settings(max_examples=20)
def test_dirac_agrees_with_torch(groups, together, channels, places):
    from nn.against_torch import torch
    shape = (groups * together, channels, *places)
    assert_same(init.dirac_(tl.ones(shape), groups), torch.nn.init.dirac_(torch.ones(shape), groups).numpy())


def test_generators_decide_alone_and_parameters_stay_leaves():
    for fill in (lambda x, g: init.trunc_normal_(x, generator=g), lambda x, g: init.orthogonal_(x, generator=g),
                 lambda x, g: init.sparse_(x, 0.5, generator=g)):
        first, second = (fill(nn.Parameter(tl.empty((4, 3))), tl.Generator().manual_seed(3)) for _ in range(2))
        assert_same(first, second)
        assert first.requires_grad
        assert first.is_leaf
        assert fill(tl.empty((2, 2), dtype=tl.float16), None).dtype == tl.float16


def test_nothing_is_drawn_where_that_is_skipped():
    tl.manual_seed(0)
    before = tl.get_rng_state()
    layer = nn.utils.skip_init(nn.Linear, 300, 2, bias=False)
    assert layer.weight.shape == (2, 300)
    assert_same(tl.get_rng_state(), before)
    nn.Linear(3, 2)
    assert (tl.get_rng_state().numpy() != before.numpy()).any()


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: init.trunc_normal_(tl.empty(2), a=1.0, b=1.0), ArgumentError,
     "trunc_normal_: no numbers lie within [1.0, 1.0]"),
    (lambda: init.orthogonal_(tl.empty(2)), ShapeError, "orthogonal_: a matrix has at least two axes"),
    (lambda: init.sparse_(tl.empty(2), 0.5), ShapeError, "sparse_: only a matrix has columns"),
    (lambda: init.dirac_(tl.empty((2, 2))), ShapeError, "dirac_: a convolution's weight has 3 to 5 axes"),
    (lambda: init.dirac_(tl.empty((3, 2, 1)), 2), ArgumentError, "dirac_: 3 filters do not make 2 groups"),
    (lambda: nn.utils.skip_init(nn.Linear(1, 1)), ArgumentError,
     "skip_init: takes a class of modules, not Linear(in_features=1, out_features=1, bias=True)"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
