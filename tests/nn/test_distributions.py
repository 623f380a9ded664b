"""Distributions beside PyTorch's: log_prob, moments, entropy, cdf and divergences, with derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.distribution_cases import CLASSES, FAMILIES, LOGITS, draw
from tolerance import IMPLICIT, assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

d = tl.distributions
shapes = st.sampled_from([(), (3,), (2, 1), (2, 3)])
seeds = st.integers(0, 1000)
TERMS = 10**6  # formulas differ: each loses some digits of its own


def torch_distributions():
    from nn.against_torch import torch
    return torch.distributions


def arrays_of(kinds, shape, seed):
    """Parameters of some kinds, of which those after the first one broadcast."""
    random = np.random.default_rng(seed)
    return [draw(kind, shape if i == 0 else shape[i:], random) for i, kind in enumerate(kinds)], random


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=8)
@given(shape=shapes, seed=seeds)
def test_densities_agree_with_torch(name, shape, seed):
    from nn.against_torch import compare
    family, theirs = FAMILIES[name], getattr(torch_distributions(), name)
    arrays, random = arrays_of(family.parameters.values(), shape, seed)
    names, options = list(family.parameters), dict(family.options)
    value = draw(family.values, shape, random)
    if family.of_value and family.values not in ("count", "bit", "one hot", "counts", "shares"):
        compare(lambda x, *p: getattr(d, name)(**dict(zip(names, p, strict=True)), **options).log_prob(x),
                lambda x, *p: theirs(**dict(zip(names, p, strict=True)), **options).log_prob(x),
                value, *arrays, terms=TERMS)
        return
    from nn.against_torch import torch
    x, x_ = tl.tensor(value), torch.tensor(value)
    compare(lambda *p: getattr(d, name)(**dict(zip(names, p, strict=True)), **options).log_prob(x),
            lambda *p: theirs(**dict(zip(names, p, strict=True)), **options).log_prob(x_), *arrays, terms=TERMS)


@pytest.mark.parametrize("name", LOGITS)
@settings(max_examples=8)
@given(shape=shapes, seed=seeds)
def test_densities_of_logits_agree_with_torch(name, shape, seed):
    from nn.against_torch import compare, torch
    family, theirs = FAMILIES[name], getattr(torch_distributions(), name)
    (logits,), random = arrays_of(["real"], shape, seed)
    value, options = draw(family.values, shape, random), dict(family.options)
    compare(lambda p: getattr(d, name)(logits=p, **options).log_prob(tl.tensor(value)),
            lambda p: theirs(logits=p, **options).log_prob(torch.tensor(value)), logits, terms=TERMS)


def both(name, shape, seed):
    """The same distribution of both libraries, in float64."""
    from nn.against_torch import torch
    family = FAMILIES[name]
    arrays, random = arrays_of(family.parameters.values(), shape, seed)
    made = [getattr(module, name)(**{key: library.tensor(a) for key, a in zip(family.parameters, arrays, strict=True)},
                                  **dict(family.options))
            for module, library in ((d, tl), (torch.distributions, torch))]
    return made, random


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=8)
@given(shape=shapes, seed=seeds)
def test_moments_agree_with_torch(name, shape, seed):
    (ours, theirs), _ = both(name, shape, seed)
    assert ours.batch_shape == tuple(theirs.batch_shape)
    assert ours.event_shape == tuple(theirs.event_shape)
    assert ours.has_rsample == theirs.has_rsample
    for known in FAMILIES[name].known:
        assert_close(getattr(ours, known), getattr(theirs, known).numpy(), terms=TERMS)
    if "variance" in FAMILIES[name].known:
        assert_close(ours.stddev, theirs.stddev.numpy(), terms=TERMS)
    if FAMILIES[name].entropy:
        assert_close(ours.entropy(), theirs.entropy().numpy(), terms=TERMS)
        assert_close(ours.perplexity(), theirs.perplexity().numpy(), terms=TERMS)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.entropy])
def test_derivatives_of_entropies_agree_with_torch(name):
    from nn.against_torch import compare
    family, theirs = FAMILIES[name], getattr(torch_distributions(), name)
    arrays, _ = arrays_of(family.parameters.values(), (2, 3), 1)
    names, options = list(family.parameters), dict(family.options)

    def entropy(families, p, library):
        found = families(**dict(zip(names, p, strict=True)), **options).entropy()
        return found + 0 * sum(x.sum() for x in p) + 0 * library.zeros(())
    compare(lambda *p: entropy(getattr(d, name), p, tl), lambda *p: entropy(theirs, p, torch()), *arrays,
            terms=TERMS**2, second=False)  # PyTorch's derivative of digamma is good to 1e-9


def torch():
    from nn.against_torch import torch
    return torch


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.cdf])
@settings(max_examples=8)
@given(shape=shapes, seed=seeds)
def test_distribution_functions_agree_with_torch(name, shape, seed):
    (ours, theirs), random = both(name, shape, seed)
    value = draw(FAMILIES[name].values, shape, random)
    found = ours.cdf(tl.tensor(value))
    assert_close(found, theirs.cdf(torch().tensor(value)).numpy(), terms=TERMS)
    if FAMILIES[name].icdf:
        share = random.uniform(0.05, 0.95, found.shape)
        quantile = ours.icdf(tl.tensor(share))
        assert_close(quantile, theirs.icdf(torch().tensor(share)).numpy(), terms=TERMS)
        assert_close(ours.cdf(quantile), share, terms=TERMS)


SAME = [*(name for name in FAMILIES if name not in (
    "StudentT", "FisherSnedecor", "Weibull", "Multinomial", "NegativeBinomial", "Kumaraswamy", "InverseGamma",
    "Chi2", "Uniform", "Pareto"))]


@pytest.mark.parametrize("name", SAME)
@settings(max_examples=6)
@given(shape=shapes, seed=seeds)
def test_divergences_agree_with_torch(name, shape, seed):
    (p, p_), (q, q_) = both(name, shape, seed)[0], both(name, shape, seed + 1)[0]
    expected = torch().distributions.kl_divergence(p_, q_)
    assert_close(d.kl_divergence(p, q), expected.numpy(), terms=TERMS)
    assert_close(d.kl_divergence(p, p), np.zeros(p.batch_shape), terms=TERMS)


@pytest.mark.parametrize(("p", "q"), [
    ("Exponential", "Gamma"), ("Gamma", "Exponential"), ("Normal", "Laplace"), ("Laplace", "Normal"),
    ("Normal", "Gumbel"), ("Uniform", "Normal"), ("Uniform", "Exponential"), ("Exponential", "Normal"),
    ("Gamma", "Normal"), ("Beta", "Normal"), ("Uniform", "Uniform"), ("Pareto", "Pareto"), ("Chi2", "Gamma"),
    ("LogNormal", "LogNormal"), ("InverseGamma", "InverseGamma"), ("Beta", "Uniform")])
def test_divergences_of_two_families_agree_with_torch(p, q):
    for seed in range(4):
        (ours_p, theirs_p), (ours_q, theirs_q) = both(p, (2, 3), seed)[0], both(q, (2, 3), seed + 9)[0]
        expected = torch().distributions.kl_divergence(theirs_p, theirs_q)
        assert_close(d.kl_divergence(ours_p, ours_q), expected.numpy(), terms=TERMS)


def matrices(shape, n, seed):
    random = np.random.default_rng(seed)
    factor = np.tril(random.standard_normal((*shape, n, n)), -1) + np.eye(n) * random.uniform(0.5, 2, (*shape, n, 1))
    return random.standard_normal((*shape, n)), factor, random


@pytest.mark.parametrize("given_as", ["covariance_matrix", "precision_matrix", "scale_tril"])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_normal_vectors_agree_with_torch(given_as, shape):
    from nn.against_torch import compare, torch
    loc, factor, random = matrices(shape, 3, 0)
    given = factor if given_as == "scale_tril" else factor @ np.swapaxes(factor, -1, -2)
    x = random.standard_normal((4, *shape, 3))
    symmetric = (lambda m: m) if given_as == "scale_tril" else (lambda m: (m + m.mT) / 2)
    compare(lambda x, loc, m: d.MultivariateNormal(loc, **{given_as: symmetric(m)}, validate_args=False).log_prob(x),
            lambda x, loc, m: torch.distributions.MultivariateNormal(
                loc, **{given_as: symmetric(m)}, validate_args=False).log_prob(x), x, loc, given, terms=TERMS)
    ours = d.MultivariateNormal(tl.tensor(loc), **{given_as: tl.tensor(given)})
    theirs = torch.distributions.MultivariateNormal(torch.tensor(loc), **{given_as: torch.tensor(given)})
    for name in ("mean", "variance", "covariance_matrix", "precision_matrix", "scale_tril"):
        assert_close(getattr(ours, name), getattr(theirs, name).numpy(), terms=TERMS)
    assert_close(ours.entropy(), theirs.entropy().numpy(), terms=TERMS)
    other = d.MultivariateNormal(tl.zeros(3, dtype=tl.float64), tl.eye(3, dtype=tl.float64))
    other_ = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    assert_close(d.kl_divergence(ours, other), torch.distributions.kl_divergence(theirs, other_).numpy(), terms=TERMS)


def test_normal_vectors_of_low_rank_agree_with_torch():
    from nn.against_torch import compare, torch
    loc, factor, random = matrices((2,), 4, 1)
    factor, diagonal, x = factor[..., :2], random.uniform(0.5, 2, (2, 4)), random.standard_normal((5, 1, 4))
    compare(lambda *p: d.LowRankMultivariateNormal(*p[1:]).log_prob(p[0]),
            lambda *p: torch.distributions.LowRankMultivariateNormal(*p[1:]).log_prob(p[0]),
            x, loc, factor, diagonal, terms=TERMS)
    ours = d.LowRankMultivariateNormal(*map(tl.tensor, (loc, factor, diagonal)))
    theirs = torch.distributions.LowRankMultivariateNormal(*map(torch.tensor, (loc, factor, diagonal)))
    for name in ("mean", "variance", "covariance_matrix", "precision_matrix", "scale_tril"):
        assert_close(getattr(ours, name), getattr(theirs, name).numpy(), terms=TERMS)
    assert_close(ours.entropy(), theirs.entropy().numpy(), terms=TERMS)
    full = d.MultivariateNormal(ours.loc, ours.covariance_matrix)
    assert_close(d.kl_divergence(ours, full), np.zeros(2), terms=TERMS)
    assert ours.rsample((5,)).shape == (5, 2, 4)


def test_angles_have_the_density_of_bessel_functions():
    special = pytest.importorskip("scipy.special")
    k = np.array([1e-3, 0.5, 3.0, 30.0, 1e4])
    x = np.array([0.3, -2.0, 1.0, 0.1, 0.01])
    angles = d.VonMises(0.1, tl.tensor(k))
    expected = k * (np.cos(x - 0.1) - 1) - np.log(2 * np.pi) - np.log(special.i0e(k))
    assert_close(angles.log_prob(tl.tensor(x)), expected, terms=TERMS)
    assert_close(angles.variance, 1 - special.i1e(k) / special.i0e(k), terms=TERMS)


@settings(max_examples=10)
@given(shape=shapes, seed=seeds, temperature=st.sampled_from([0.3, 1.0, 2.5]))
def test_relaxed_distributions_agree_with_torch(shape, seed, temperature):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(seed)
    probs, x = random.uniform(0.05, 0.95, (2, *shape))
    options = {"temperature": temperature}
    theirs, warmth = torch.distributions, torch.tensor(temperature, dtype=torch.float64)
    compare(lambda x, p: d.RelaxedBernoulli(temperature, p).log_prob(x),
            lambda x, p: theirs.RelaxedBernoulli(warmth, p).log_prob(x), x, probs, terms=TERMS)
    shares, logits = random.dirichlet(np.ones(4), shape), random.standard_normal((*shape, 4))
    value = tl.tensor(shares)
    compare(lambda p: d.RelaxedOneHotCategorical(logits=p, **options).log_prob(value),
            lambda p: theirs.RelaxedOneHotCategorical(warmth, logits=p).log_prob(torch.tensor(shares)), logits,
            terms=TERMS)


@settings(max_examples=10)
@given(shape=st.sampled_from([(), (2,)]), seed=seeds)
def test_mixtures_agree_with_torch(shape, seed):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(seed)
    logits, loc = random.standard_normal((2, *shape, 3))
    scale, x = random.uniform(0.5, 2, (*shape, 3)), random.standard_normal(shape)

    def mixture(m, logits, loc, scale):
        return m.MixtureSameFamily(m.Categorical(logits=logits), m.Normal(loc, scale))
    compare(lambda x, *p: mixture(d, *p).log_prob(x), lambda x, *p: mixture(torch.distributions, *p).log_prob(x),
            x, logits, loc, scale, terms=TERMS)
    ours, theirs = (mixture(m, *map(library.tensor, (logits, loc, scale)))
                    for m, library in ((d, tl), (torch.distributions, torch)))
    for name in ("mean", "variance"):
        assert_close(getattr(ours, name), getattr(theirs, name).numpy(), terms=TERMS)
    assert_close(ours.cdf(tl.tensor(x)), theirs.cdf(torch.tensor(x)).numpy(), terms=TERMS)


TRANSFORMS = {
    "ExpTransform": ((), "real"), "PowerTransform": ((2.5,), "positive"), "SigmoidTransform": ((), "real"),
    "TanhTransform": ((), "real"), "SoftplusTransform": ((), "real"), "AffineTransform": ((1.0, -2.0), "real"),
    "StickBreakingTransform": ((), "row"),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_agree_with_torch(name):
    from nn.against_torch import compare, torch
    options, kind = TRANSFORMS[name]
    x = draw(kind, (3,), np.random.default_rng(0))
    ours, theirs = (getattr(m, name)(*options) for m in (d.transforms, torch.distributions.transforms))
    compare(ours, theirs, x, terms=TERMS)
    compare(lambda x: ours.inv(ours(x)), lambda x: x * 1, x, terms=TERMS)
    compare(lambda x: ours.log_abs_det_jacobian(x, ours(x)), lambda x: theirs.log_abs_det_jacobian(x, theirs(x))
            + 0 * x.sum(), x, terms=TERMS) if name != "AffineTransform" else assert_close(
        ours.log_abs_det_jacobian(tl.tensor(x), ours(tl.tensor(x))), np.full(3, math.log(2)))
    back = ours.inv
    assert_close(back.log_abs_det_jacobian(ours(tl.tensor(x)), tl.tensor(x)),
                 -ours.log_abs_det_jacobian(tl.tensor(x), ours(tl.tensor(x))).numpy(), terms=TERMS)
    assert back.inv is ours


def test_transformed_distributions_agree_with_torch():
    from nn.against_torch import compare, torch

    def squashed(m, loc, scale):
        return m.TransformedDistribution(m.Normal(loc, scale), [
            m.transforms.AffineTransform(0.5, -2.0), m.transforms.TanhTransform()])
    loc, scale = np.array([0.1, -0.3]), np.array([0.5, 1.5])
    x = np.array([0.3, -0.6])
    compare(lambda *p: squashed(d, *p[1:]).log_prob(p[0]), lambda *p: squashed(torch.distributions, *p[1:]).log_prob(
        p[0]), x, loc, scale, terms=TERMS)
    ours, theirs = (squashed(m, *map(library.tensor, (loc, scale))) for m, library in (
        (d, tl), (torch.distributions, torch)))
    assert_close(ours.cdf(tl.tensor(x)), theirs.cdf(torch.tensor(x)).numpy(), terms=TERMS)
    assert_close(ours.icdf(tl.tensor([0.2, 0.7])), theirs.icdf(torch.tensor([0.2, 0.7])).numpy(), terms=TERMS)
    shares = d.TransformedDistribution(d.Normal(tl.zeros(3), 1.0), d.StickBreakingTransform())
    shares_ = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(torch.zeros(3), 1.0), torch.distributions.StickBreakingTransform())
    assert shares.event_shape == tuple(shares_.event_shape) == (4,)
    value = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    assert_close(shares.log_prob(tl.tensor(value)), shares_.log_prob(torch.tensor(value)).numpy(), terms=100)


# --- draws --------------------------------------------------------------------------------------------------------

SAMPLED = [*FAMILIES, "VonMises"]


def made(name, dtype=tl.float64):
    """One distribution of a family."""
    if name == "VonMises":
        return d.VonMises(tl.tensor(0.5, dtype=dtype), tl.tensor(2.0, dtype=dtype))
    family = FAMILIES[name]
    arrays, _ = arrays_of(family.parameters.values(), (), 3)
    return getattr(d, name)(**{key: tl.tensor(a, dtype=dtype) for key, a in zip(family.parameters, arrays,
                                                                               strict=True)}, **dict(family.options))


@pytest.mark.parametrize("name", SAMPLED)
def test_draws_have_the_mean_and_variance_that_is_said(name):
    size = 40000
    tl.manual_seed(5)
    one = made(name)
    x = one.sample((size,))
    assert x.shape == (size, *one.event_shape)
    assert not x.requires_grad
    if one.support is not None:
        assert bool(one.support.check(x).all())
    if name in ("Cauchy", "HalfCauchy", "Categorical", "Pareto", "InverseGamma", "FisherSnedecor", "StudentT"):
        if name == "Categorical":
            assert np.abs(np.bincount(x.numpy(), minlength=CLASSES) / size - one.probs.numpy()).max() < 0.02
        else:
            u = one.cdf(x).numpy() if name not in ("FisherSnedecor", "StudentT") else np.array([0.5])
            assert abs(u.mean() - 0.5) < 5 / math.sqrt(12 * size)
        return
    values, mean = x.numpy(), one.mean.numpy()
    if name == "VonMises":
        assert abs(1 - np.cos(values - 0.5).mean() - one.variance.item()) < 0.02
        return
    variance = one.variance.numpy()
    assert (np.abs(values.mean(0) - mean) < 5 * np.sqrt(variance / size)).all()
    fourth = ((values - mean) ** 4).mean(0)
    assert (np.abs(values.var(0) - variance) < 6 * np.sqrt(fourth / size)).all()


@pytest.mark.parametrize("name", [name for name in SAMPLED if name not in ("StudentT", "FisherSnedecor")])
def test_draws_are_the_same_compiled_and_of_their_generator(name):
    one, generator = made(name, tl.float32), tl.Generator()
    draws = [lambda: one.sample((300,), generator=generator.manual_seed(3))]
    first = draws[0]()
    assert_same(draws[0](), first)
    tl.manual_seed(8)
    eager = one.sample((300,))
    tl.manual_seed(8)
    compiled = tl.jit(lambda: one.sample((300,)))()
    assert compiled.dtype == eager.dtype
    assert_close(compiled, eager, terms=1000)


@pytest.mark.parametrize("name", ["Normal", "Gamma", "Categorical", "Binomial", "Beta", "VonMises", "Dirichlet"])
def test_elements_of_a_batch_draw_others_and_densities_map(name):
    one = made(name)
    rows = tl.vmap(lambda _: one.sample((5,)))(tl.zeros(3)).numpy()
    assert not np.array_equal(rows[0], rows[1])
    x = one.sample((4,))
    assert_close(tl.vmap(one.log_prob)(x), one.log_prob(x).numpy(), terms=TERMS)
    assert_close(tl.jit(one.log_prob)(x), one.log_prob(x).numpy(), terms=TERMS)



@pytest.mark.parametrize("name", ["Normal", "LogNormal", "HalfNormal", "Uniform", "ContinuousBernoulli", "Exponential",
                                  "Gamma", "Chi2", "InverseGamma", "Beta", "Kumaraswamy", "Laplace", "Gumbel",
                                  "Weibull", "Pareto", "Dirichlet"])
def test_the_mean_of_draws_moves_as_the_mean_does(name):
    size = 40000
    family = FAMILIES[name]
    arrays, _ = arrays_of(family.parameters.values(), (), 3)
    leaves = [tl.tensor(a + (3 if name in ("InverseGamma", "Pareto") and i == (name == "Pareto") else 0),
                        requires_grad=True) for i, a in enumerate(arrays)]

    def build(parameters):
        return getattr(d, name)(**dict(zip(family.parameters, parameters, strict=True)))
    tl.manual_seed(6)
    wide = [tl.broadcast_to(leaf, (size, *leaf.shape)) for leaf in leaves]
    x = build(wide).rsample()
    mean = build(leaves).mean
    one = (Ellipsis, 0) if x.ndim > 1 else Ellipsis
    rates = tl.autograd.grad(x[one].sum(), wide, allow_unused=True)
    expected = tl.autograd.grad(mean[one].sum(), leaves, allow_unused=True)
    for rate, wanted in zip(rates, expected, strict=True):
        if wanted is not None:
            noise = rate.numpy().std(0) / math.sqrt(size)
            gap = np.abs(rate.numpy().mean(0) - wanted.numpy())
            assert (gap <= 5 * noise + IMPLICIT * np.abs(wanted.numpy())).all()


def test_choices_of_a_mixture_follow_their_weights():
    tl.manual_seed(2)
    mixture = d.MixtureSameFamily(d.Categorical(tl.tensor([[1.0, 3.0], [1.0, 1.0]])), d.Independent(
        d.Normal(tl.tensor([[[-9.0, 0.0], [9.0, 5.0]]] * 2), 1.0), 1))
    x = mixture.sample((20000,)).numpy()
    assert x.shape == (20000, 2, 2)
    right = x[..., 0] > 0
    assert np.abs(right.mean(0) - [0.75, 0.5]).max() < 0.02
    assert abs(x[right][:, 1].mean() - 5) < 0.05
    assert abs(x[~right][:, 1].mean()) < 0.05
    assert mixture.log_prob(tl.tensor(x[:3])).shape == (3, 2)


def test_straight_through_vectors_pass_derivatives_to_probabilities():
    logits = tl.tensor([0.1, 0.5, -0.2], requires_grad=True)
    x = d.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert sorted(x.detach().numpy().round(6).tolist()) == [0.0, 0.0, 1.0]
    (x * tl.tensor([1.0, 2.0, 3.0])).sum().backward()
    again = tl.tensor(logits.tolist(), requires_grad=True)
    (tl.softmax(again, axis=0) * tl.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert_close(logits.grad, again.grad.numpy())


# --- shapes, supports, errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_expanded_distributions_are_the_same(name):
    one = made(name)
    more = one.expand((3, 2))
    assert more.batch_shape == (3, 2)
    assert type(more) is type(one)
    x = one.sample((3, 2))
    assert more.sample((4,)).shape == (4, 3, 2, *one.event_shape)
    assert_close(more.log_prob(x), one.log_prob(x).numpy(), terms=TERMS)
    assert_close(more.log_prob(x[0]), np.broadcast_to(one.log_prob(x[0]).numpy(), (3, 2)), terms=TERMS)


def test_entropies_and_modes_that_torch_has_wrong():
    """PyTorch's entropy of counts is of float32, and its mode of Kumaraswamy's numbers is NaN."""
    counts = d.Multinomial(3, tl.tensor([0.2, 0.5, 0.3], dtype=tl.float64))
    all_of_them = tl.tensor([[i, j, 3 - i - j] for i in range(4) for j in range(4 - i)], dtype=tl.float64)
    found = counts.log_prob(all_of_them)
    assert_close(counts.entropy(), -(tl.exp(found) * found).sum().numpy(), terms=TERMS)
    numbers = d.Kumaraswamy(tl.tensor(2.0, dtype=tl.float64), 3.0)
    for near in (-1e-3, 1e-3):
        assert numbers.log_prob(numbers.mode + near) < numbers.log_prob(numbers.mode)


def test_supports_are_enumerated_as_by_torch():
    for name in ("Bernoulli", "Binomial", "Categorical", "OneHotCategorical"):
        (ours, theirs), _ = both(name, (2,), 0)
        for expand in (True, False):
            found = ours.enumerate_support(expand)
            assert_close(found, theirs.enumerate_support(expand).numpy())
        assert_close(tl.exp(ours.log_prob(ours.enumerate_support())).sum(axis=0), np.ones(2), terms=TERMS)


def test_independent_axes_are_one_event():
    normal = d.Normal(tl.zeros((2, 3)), 1.0)
    rows = d.Independent(normal, 1)
    assert (rows.batch_shape, rows.event_shape) == ((2,), (3,))
    x = rows.sample((5,))
    assert_close(rows.log_prob(x), normal.log_prob(x).sum(axis=-1).numpy(), terms=3)
    assert_close(rows.entropy(), normal.entropy().sum(axis=-1).numpy(), terms=3)
    assert rows.expand((4, 2)).sample().shape == (4, 2, 3)
    assert_close(d.kl_divergence(rows, d.Independent(d.Normal(tl.ones((2, 3)), 1.0), 1)), np.full(2, 1.5))


def test_distributions_say_what_they_are():
    assert repr(d.Normal(0.0, 1.0)) == "Normal(loc: 0, scale: 1)"
    assert repr(d.Gamma(tl.ones(3), 1.0)) == "Gamma(concentration: [3], rate: [3])"
    assert repr(d.Independent(d.Normal(tl.zeros(2), 1.0), 1)) == "Independent(Normal(loc: [2], scale: [2]), 1)"


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: d.Normal(0.0, -1.0), ArgumentError, "Normal: scale must be positive"),
    (lambda: d.Normal(math.nan, 1.0), ArgumentError, "Normal: loc must be real"),
    (lambda: d.Normal("a", 1.0), DTypeError, "Normal: loc must be a number or a tensor, not str"),
    (lambda: d.Normal(tl.zeros(2), tl.ones(3)), ShapeError, "Normal: loc and scale do not broadcast"),
    (lambda: d.Normal(0.0, 1.0).log_prob(1.0), DTypeError, "Normal: value must be a tensor, not float"),
    (lambda: d.Normal(tl.zeros(2), 1.0).log_prob(tl.zeros(3)), ShapeError,
     "Normal: value must broadcast to batch and event shape [2]"),
    (lambda: d.Gamma(1.0, 1.0).log_prob(tl.tensor(-1.0)), ArgumentError, "Gamma: value must be 0 or more"),
    (lambda: d.Uniform(1.0, 0.0), ArgumentError, "Uniform: low must be below high"),
    (lambda: d.Uniform(0.0, 1.0).log_prob(tl.tensor(2.0)), ArgumentError, "Uniform: value must be between 0 and 1"),
    (lambda: d.Bernoulli(), ArgumentError, "Bernoulli: exactly one of probs and logits must be given"),
    (lambda: d.Bernoulli(1.5), ArgumentError, "Bernoulli: probs must be between 0 and 1"),
    (lambda: d.Bernoulli(0.5).log_prob(tl.tensor(0.5)), ArgumentError, "Bernoulli: value must be 0 or 1"),
    (lambda: d.Categorical(tl.tensor(1.0)), ShapeError, "Categorical: probs must have an axis of classes"),
    (lambda: d.Categorical(tl.tensor([-1.0, 3.0])), ArgumentError,
     "Categorical: probs must be a vector of shares with a sum of 1"),
    (lambda: d.Categorical(tl.ones(3)).log_prob(tl.tensor(3)), ArgumentError,
     "Categorical: value must be an integer between 0 and 2"),
    (lambda: d.Multinomial(1.5, tl.ones(2)), ArgumentError,
     "Multinomial: total_count must be one integer of 0 or more for all"),
    (lambda: d.Dirichlet(tl.tensor([1.0, 1.0])).log_prob(tl.tensor([0.5, 0.6])), ArgumentError,
     "Dirichlet: value must be a vector of shares with a sum of 1"),
    (lambda: d.MultivariateNormal(tl.zeros(2)), ArgumentError, "MultivariateNormal: exactly one of "
     "covariance_matrix, precision_matrix and scale_tril must be given"),
    (lambda: d.MultivariateNormal(tl.zeros(2), tl.eye(3)), ShapeError,
     "MultivariateNormal: covariance_matrix must be a matrix of 2 rows and columns, or a batch of them"),
    (lambda: d.MultivariateNormal(tl.zeros(2), tl.tensor([[1.0, 2.0], [2.0, 1.0]])), ArgumentError,
     "MultivariateNormal: covariance_matrix must be a positive definite matrix"),
    (lambda: d.Bernoulli(0.5).rsample(), ArgumentError, "Bernoulli: has no rsample"),
    (lambda: d.Poisson(1.0).entropy(), ArgumentError, "Poisson: has no entropy"),
    (lambda: d.Independent(d.Normal(0.0, 1.0), 1), ShapeError,
     "Independent: 1 axes cannot be taken of batch shape []"),
    (lambda: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(0.0, 1.0)), DTypeError,
     "MixtureSameFamily: mixture_distribution must be a Categorical, not Normal"),
    (lambda: d.kl_divergence(d.Cauchy(0.0, 1.0), d.Poisson(1.0)), ArgumentError,
     "kl_divergence: there is no formula for Cauchy and Poisson"),
    (lambda: d.kl_divergence(d.Kumaraswamy(2.0, 3.0), d.Kumaraswamy(2.0, 4.0)), ArgumentError,
     "kl_divergence: transforms differ, so that there is no formula"),
    (lambda: d.TransformedDistribution(d.Normal(0.0, 1.0), [3]), DTypeError,
     "TransformedDistribution: transforms must be transforms, not int"),
    (lambda: d.AbsTransform().log_abs_det_jacobian(tl.ones(1), tl.ones(1)), ArgumentError,
     "AbsTransform: keeps no volume: it has no slope"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).splitlines()[0] == text


def test_nothing_is_checked_without_validation():
    assert math.isnan(d.Normal(0.0, -1.0, validate_args=False).log_prob(tl.tensor(0.0)).item())
    d.Distribution.set_default_validate_args(False)
    try:
        d.Normal(0.0, -1.0)
    finally:
        d.Distribution.set_default_validate_args(True)
