"""Distributions of matrices, of tails, and those of the exponential family: side by side with PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite import distributions as d
from tensorlite.errors import ArgumentError, ShapeError

TERMS = 10**6  # formulas differ, and PyTorch's trigamma has ten digits
SEEDS = st.integers(0, 1 << 16)


def matrices(shape, n, random):
    """Lower triangular matrices with a positive diagonal."""
    return np.tril(random.uniform(-1, 1, (*shape, n, n)), -1) + np.eye(n) * random.uniform(0.7, 2, (*shape, n, 1))


def product(factor):
    return factor @ np.swapaxes(factor, -1, -2)


# --- Wishart ------------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(given_as=st.sampled_from(["covariance_matrix", "precision_matrix", "scale_tril"]), n=st.integers(1, 4),
       shape=st.sampled_from([(), (2,)]), seed=SEEDS)
def test_wishart_agrees_with_torch(given_as, n, shape, seed):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(seed)
    factor = matrices(shape, n, random)
    matrix = factor if given_as == "scale_tril" else product(factor)
    df, x = random.uniform(n + 1.2, n + 6, shape), product(matrices((3, *shape), n, random))
    half = (lambda m: m.tril()) if given_as == "scale_tril" else (lambda m: (m + m.mT) / 2)
    compare(lambda x, df, m: d.Wishart(df, **{given_as: half(m)}, validate_args=False).log_prob((x + x.mT) / 2),
            lambda x, df, m: torch.distributions.Wishart(df, **{given_as: half(m)}, validate_args=False).log_prob(
                (x + x.mT) / 2), x, df, matrix, terms=TERMS)
    ours = d.Wishart(tl.tensor(df), **{given_as: tl.tensor(matrix)})
    theirs = torch.distributions.Wishart(torch.tensor(df), **{given_as: torch.tensor(matrix)})
    for name in ("mean", "variance", "mode", "covariance_matrix", "precision_matrix", "scale_tril"):
        assert_close(getattr(ours, name), getattr(theirs, name).numpy(), terms=TERMS)
    assert_close(ours.entropy(), theirs.entropy().numpy(), terms=TERMS)
    assert (ours.batch_shape, ours.event_shape) == (tuple(theirs.batch_shape), tuple(theirs.event_shape))
    more = ours.expand((4, *shape))
    assert_close(more.log_prob(tl.tensor(x[0])), np.broadcast_to(ours.log_prob(tl.tensor(x[0])).numpy(), (4, *shape)),
                 terms=TERMS)


def test_draws_of_wishart_have_the_mean_and_variance_that_is_said():
    size = 40000
    tl.manual_seed(3)
    one = d.Wishart(tl.tensor(4.5, dtype=tl.float64), scale_tril=tl.tensor(matrices((), 3, np.random.default_rng(1))))
    x = one.sample((size,)).numpy()
    assert x.shape == (size, 3, 3)
    variance = one.variance.numpy()
    assert (np.abs(x.mean(0) - one.mean.numpy()) < 5 * np.sqrt(variance / size)).all()
    fourth = ((x - x.mean(0)) ** 4).mean(0)
    assert (np.abs(x.var(0) - variance) < 6 * np.sqrt(fourth / size)).all()


def test_draws_of_wishart_move_with_their_parameters():
    size = 40000
    df, factor = tl.tensor(5.0, requires_grad=True), tl.tensor([[1.0, 0.0], [0.5, 2.0]], requires_grad=True)
    tl.manual_seed(3)
    drawn = d.Wishart(df, scale_tril=factor).rsample((size,)).sum() / size
    by_df, by_factor = tl.autograd.grad(drawn, (df, factor))
    expected = tl.autograd.grad(d.Wishart(df, scale_tril=factor).mean.sum(), (df, factor))
    assert abs(by_df.item() / expected[0].item() - 1) < 0.05
    assert np.abs(by_factor.numpy() / expected[1].numpy() - 1)[np.tril_indices(2)].max() < 0.05


# --- correlations -------------------------------------------------------------------------------------------------


def correlations(shape, n, random):
    """Cholesky factors of matrices of correlation."""
    factor = matrices(shape, n, random)
    return factor / np.sqrt((factor ** 2).sum(-1, keepdims=True))


@settings(max_examples=12, deadline=None)
@given(n=st.integers(2, 5), shape=st.sampled_from([(), (2,)]), seed=SEEDS)
def test_factors_of_correlations_agree_with_torch(n, shape, seed):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(seed)
    concentration, x = random.uniform(0.3, 4, shape), correlations((3, *shape), n, random)
    compare(lambda x, c: d.LKJCholesky(n, c, validate_args=False).log_prob(x),
            lambda x, c: torch.distributions.LKJCholesky(n, c, validate_args=False).log_prob(x), x, concentration,
            terms=TERMS)
    ours = d.LKJCholesky(n, tl.tensor(concentration))
    drawn = ours.sample((5,))
    assert drawn.shape == (5, *shape, n, n)
    assert bool(ours.support.check(drawn).all())
    assert ours.expand((4, *shape)).sample().shape == (4, *shape, n, n)


@pytest.mark.parametrize("concentration", [0.5, 1.0, 3.0])
def test_correlations_that_are_drawn_are_beta_numbers(concentration):
    """Each correlation of n rows is, from -1 to 1, a beta number of concentrations c + n / 2 - 1."""
    n, size = 4, 20000
    tl.manual_seed(1)
    x = d.LKJCholesky(n, concentration).sample((size,)).numpy().astype(np.float64)
    r = x @ x.swapaxes(-1, -2)
    variance = 1 / (2 * (concentration + n / 2 - 1) + 1)
    pairs = r[:, *np.tril_indices(n, -1)]
    assert np.abs(pairs.mean(0)).max() < 5 * math.sqrt(variance / size)
    assert np.abs((pairs ** 2).mean(0) - variance).max() < 6 * math.sqrt((pairs ** 4).mean(0).max() / size)


# --- tails --------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(shape=st.sampled_from([(), (3,)]), seed=SEEDS, flat=st.booleans())
def test_tails_agree_with_torch(shape, seed, flat):
    """PyTorch's compares its concentration with 0 in the default dtype."""
    from nn.against_torch import torch
    torch.set_default_dtype(torch.float64)
    try:
        check_tails(shape, seed, flat)
    finally:
        torch.set_default_dtype(torch.float32)


def check_tails(shape, seed, flat):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(seed)
    loc, scale, k = (random.uniform(*ends, shape) for ends in ((-2, 2), (0.5, 3), (-0.9, 0.9)))
    k = k * 0 if flat else k
    x = loc + scale * random.uniform(0.05, 1, shape)
    if not flat:
        compare(lambda *p: d.GeneralizedPareto(*p[1:]).log_prob(p[0]),
                lambda *p: torch.distributions.GeneralizedPareto(*p[1:]).log_prob(p[0]), x, loc, scale, k, terms=TERMS)
    ours = d.GeneralizedPareto(*map(tl.tensor, (loc, scale, k)))
    theirs = torch.distributions.GeneralizedPareto(*map(torch.tensor, (loc, scale, k)))
    for name in ("mean", "variance", "mode"):
        assert_close(getattr(ours, name), getattr(theirs, name).numpy(), terms=TERMS)
    assert_close(ours.entropy(), theirs.entropy().numpy(), terms=TERMS)
    for name, at in (("log_prob", x), ("cdf", x), ("icdf", random.uniform(0.05, 0.95, shape))):
        assert_close(getattr(ours, name)(tl.tensor(at)), getattr(theirs, name)(torch.tensor(at)).numpy(), terms=TERMS)


@pytest.mark.parametrize("concentration", [-0.5, 0.0, 0.2, 1.5])
def test_tails_that_are_drawn_have_their_distribution(concentration):
    size = 20000
    tl.manual_seed(4)
    one = d.GeneralizedPareto(tl.tensor(1.0, dtype=tl.float64), 2.0, concentration)
    x = one.sample((size,))
    assert bool(one.support.check(x).all())
    assert abs(one.cdf(x).numpy().mean() - 0.5) < 5 / math.sqrt(12 * size)
    assert_close(one.icdf(one.cdf(x[:100])), x[:100].numpy(), terms=1 << 12)


# --- exponential families -----------------------------------------------------------------------------------------


def family(library, base):
    """Gamma numbers by their natural parameters alone."""
    class Mine(base):
        arg_constraints = {}

        def __init__(self, concentration, rate):
            self.concentration, self.rate = concentration, rate
            super().__init__(concentration.shape, validate_args=False)

        @property
        def _natural_params(self):
            return self.concentration - 1, -self.rate

        _mean_carrier_measure = 0

        def _log_normalizer(self, x, y):
            return library.lgamma(x + 1) + (x + 1) * library.log(-1 / y)
    return Mine


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_families_say_entropies_and_divergences(seed):
    from nn.against_torch import torch
    random = np.random.default_rng(seed)
    parameters = [random.uniform(0.5, 3, (3,)) for _ in range(4)]
    mine, theirs = family(tl, d.ExponentialFamily), family(torch, torch.distributions.ExponentialFamily)
    expected = theirs(*map(torch.tensor, parameters[:2])).entropy().detach().numpy()
    assert_close(mine(*map(tl.tensor, parameters[:2])).entropy(), expected, terms=TERMS)
    torch.distributions.register_kl(theirs, theirs)(torch.distributions.kl._kl_expfamily_expfamily)

    def divergence(m, one):
        return lambda a, b, c, e: m.kl_divergence(one(a, b), one(c, e))
    expected = divergence(torch.distributions, theirs)(*map(torch.tensor, parameters)).detach().numpy()
    assert_close(divergence(d, mine)(*map(tl.tensor, parameters)), expected, terms=TERMS)
    leaves = [tl.tensor(p, requires_grad=True) for p in parameters]
    ours, formula = (tl.autograd.grad(divergence(d, one)(*leaves).sum(), leaves) for one in (mine, d.Gamma))
    for rate, wanted in zip(ours, formula, strict=True):
        assert_close(rate, wanted.numpy(), terms=TERMS)


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: d.Wishart(3.0), ArgumentError,
     "Wishart: exactly one of covariance_matrix, precision_matrix and scale_tril must be given"),
    (lambda: d.Wishart(1.0, tl.eye(2)), ArgumentError, "Wishart: df must be above 1, the number of rows less one"),
    (lambda: d.Wishart(1.0, tl.ones(2)), ShapeError,
     "Wishart: covariance_matrix must be a square matrix, or a batch of them"),
    (lambda: d.Wishart(3.0, tl.tensor([[1.0, 2.0], [2.0, 1.0]])), ArgumentError,
     "Wishart: covariance_matrix must be a positive definite matrix"),
    (lambda: d.LKJCholesky(1), ArgumentError, "LKJCholesky: dim must be an integer of 2 or more, not 1"),
    (lambda: d.LKJCholesky(2, -1.0), ArgumentError, "LKJCholesky: concentration must be positive"),
    (lambda: d.LKJCholesky(2).log_prob(tl.ones((2, 2))), ArgumentError,
     "LKJCholesky: value must be a lower triangular matrix with a positive diagonal and rows of length 1"),
    (lambda: d.LKJCholesky(2).mean, ArgumentError, "LKJCholesky: has no mean"),
    (lambda: d.GeneralizedPareto(0.0, -1.0, 0.5), ArgumentError, "GeneralizedPareto: scale must be positive"),
    (lambda: d.ExponentialFamily().entropy(), ArgumentError, "ExponentialFamily: has no _natural_params"),
    (lambda: d.kl_divergence(family(tl, d.ExponentialFamily)(tl.ones(1), tl.ones(1)),
                             family(tl, d.ExponentialFamily)(tl.ones(1), tl.ones(1))), ArgumentError,
     "kl_divergence: there is no formula for Mine and Mine"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).splitlines()[0] == text


@pytest.mark.parametrize("one", [d.Wishart(4.0, tl.eye(3)), d.LKJCholesky(3, 2.0), d.GeneralizedPareto(0.0, 1.0, 0.3)],
                         ids=lambda one: type(one).__name__)
def test_compiled_they_are_the_same(one):
    tl.manual_seed(8)
    eager = one.sample((30,))
    tl.manual_seed(8)
    assert_close(tl.jit(lambda: one.sample((30,)))(), eager, terms=1000)
    assert_close(tl.jit(one.log_prob)(eager), one.log_prob(eager), terms=1000)
    assert_close(tl.vmap(one.log_prob)(eager), one.log_prob(eager), terms=1000)
