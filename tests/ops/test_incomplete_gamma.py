"""The incomplete gamma functions: against PyTorch, mpmath's digits, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite.errors import DTypeError

NAMES = ("igamma", "igammac")


def points(seed, count=40):
    """Concentrations over six decades, and numbers around each."""
    random = np.random.default_rng(seed)
    a = 10 ** random.uniform(-2, 4, count)
    return a, a * np.exp(random.uniform(-4, 4, count) / np.sqrt(np.maximum(a, 1)))


@pytest.mark.parametrize("name", NAMES)
def test_they_have_the_digits_that_are_said(name):
    mp = pytest.importorskip("mpmath")
    a, x = points(0, 200)
    with mp.workdps(40):
        ends = (lambda v: (0, v)) if name == "igamma" else (lambda v: (v, mp.inf))
        expected = np.array([float(mp.gammainc(mp.mpf(float(p)), *ends(mp.mpf(float(v))), regularized=True))
                             for p, v in zip(a, x, strict=True)])
    found = getattr(tl, name)(tl.tensor(a), tl.tensor(x)).numpy()
    lost = (name == "igammac") & (a < 1) & (x < 1.5)
    assert (np.abs(found - expected) <= np.where(lost, 2e-14, 5e-14 * expected)).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 16))
def test_they_agree_with_torch(name, seed):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(seed)
    a, x = random.uniform(0.2, 9, (5,)), random.uniform(0.1, 12, (5,))
    compare(lambda x: getattr(tl, name)(tl.tensor(a), x), lambda x: getattr(torch, name)(torch.tensor(a), x), x,
            terms=1 << 12, second=False)


@pytest.mark.parametrize("name", NAMES)
def test_limits_are_those_of_torch(name):
    from nn.against_torch import torch
    ends = np.array([0.0, 1.0, 3.0, np.inf, -1.0])
    a, x = (part.ravel() for part in np.meshgrid(ends, ends))
    expected = getattr(torch, name)(torch.tensor(a), torch.tensor(x)).numpy()
    assert_close(getattr(tl, name)(tl.tensor(a), tl.tensor(x)), expected, terms=64)
    for pair in ((np.nan, 1.0), (1.0, np.nan), (np.nan, 0.0)):  # PyTorch's has 0 or 1 of the last
        assert np.isnan(getattr(tl, name)(*map(tl.tensor, pair)).item())


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_by_both_are_those_of_differences(name):
    a, x = (tl.tensor(v, dtype=tl.float64, requires_grad=True) for v in ([0.3, 2.0, 40.0], [0.5, 3.0, 38.0]))
    assert tl.autograd.gradcheck(getattr(tl, name), (a, x))
    assert tl.autograd.gradgradcheck(getattr(tl, name), (a, x))
    zero = tl.tensor(0.0, requires_grad=True)
    rate, = tl.autograd.grad(getattr(tl, name)(tl.tensor(2.0), zero), zero)
    assert rate.item() == 0


@pytest.mark.parametrize("name", NAMES)
def test_they_are_the_same_compiled_and_mapped(name):
    function = getattr(tl.special, {"igamma": "gammainc", "igammac": "gammaincc"}[name])
    a, x = map(tl.tensor, points(1))
    assert_close(tl.jit(function)(a, x), function(a, x), terms=1 << 8)
    assert_close(tl.vmap(function)(a, x), function(a, x), terms=1 << 8)


def test_others_are_refused():
    for call, text in ((lambda: tl.igamma(tl.ones(1), 2.0), "igamma: x must be a tensor, not float"),
                       (lambda: tl.igammac(tl.ones(1), tl.ones(1, dtype=tl.complex64)),
                        "igammac: takes real dtypes, not complex64")):
        with pytest.raises(DTypeError) as caught:
            call()
        assert str(caught.value).splitlines()[0] == text
