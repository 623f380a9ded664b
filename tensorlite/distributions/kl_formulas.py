"""The formulas of `kl_divergence`, each for two families."""

from __future__ import annotations

import math
from typing import Any

import tensorlite as tl
from tensorlite.distributions.bernoulli import Bernoulli, ContinuousBernoulli, Geometric
from tensorlite.distributions.beta import Beta, Dirichlet
from tensorlite.distributions.categorical import Categorical, OneHotCategorical
from tensorlite.distributions.counts import Binomial, Poisson
from tensorlite.distributions.distribution import EULER, HALF_LOG_TAU, sum_rightmost
from tensorlite.distributions.gamma import Exponential, Gamma
from tensorlite.distributions.kl import kl_divergence, register_kl
from tensorlite.distributions.location_scale import Cauchy, Gumbel, HalfCauchy, Laplace
from tensorlite.distributions.multivariate_normal import (
    LowRankMultivariateNormal,
    MultivariateNormal,
    log_diagonal,
    mahalanobis,
)
from tensorlite.distributions.normal import HalfNormal, Normal
from tensorlite.distributions.transformed_distribution import Independent, TransformedDistribution
from tensorlite.distributions.transforms import Transform
from tensorlite.distributions.uniform import Uniform
from tensorlite.distributions.weibull import Pareto
from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor
from tensorlite.traced import is_traced

# --- counts and classes -------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    a, b = p.probs, q.probs
    first = tl.where(a == 0, 0.0, a * (tl.softplus(-q.logits) - tl.softplus(-p.logits)))
    second = tl.where(a == 1, 0.0, (1 - a) * (tl.softplus(q.logits) - tl.softplus(p.logits)))
    impossible = tl.logical_or(tl.logical_and(b == 0, a > 0), tl.logical_and(b == 1, a < 1))
    return tl.where(impossible, math.inf, first + second)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    found = p.total_count * (p.probs * (p.logits - q.logits) - tl.softplus(p.logits) + tl.softplus(q.logits))
    return tl.where(p.total_count > q.total_count, math.inf, found)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = tl.where(p.probs == 0, 0.0, tl.where(q.probs == 0, math.inf, terms))
    return terms.sum(axis=-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: Any, q: Any) -> Tensor:
    return _categorical(p, q)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - tl.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Tensor:
    return tl.xlogy(p.rate, p.rate / q.rate) - (p.rate - q.rate)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return (p.mean * (p.logits - q.logits) + p._log_norm() - tl.softplus(p.logits)
            - q._log_norm() + tl.softplus(q.logits))


# --- shares -------------------------------------------------------------------------------------------------------


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    total_p, total_q = p.concentration1 + p.concentration0, q.concentration1 + q.concentration0
    norm_q = tl.lgamma(q.concentration1) + tl.lgamma(q.concentration0) + tl.lgamma(total_p)
    norm_p = tl.lgamma(p.concentration1) + tl.lgamma(p.concentration0) + tl.lgamma(total_q)
    return (norm_q - norm_p + (p.concentration1 - q.concentration1) * tl.digamma(p.concentration1)
            + (p.concentration0 - q.concentration0) * tl.digamma(p.concentration0)
            + (total_q - total_p) * tl.digamma(total_p))


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(axis=-1)
    norm = tl.lgamma(total) - tl.lgamma(b.sum(axis=-1)) - (tl.lgamma(a) - tl.lgamma(b)).sum(axis=-1)
    return norm + ((a - b) * (tl.digamma(a) - tl.digamma(total)[..., None])).sum(axis=-1)


# --- positive numbers ---------------------------------------------------------------------------------------------


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - tl.log(ratio) - 1


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    return (b * tl.log(p.rate / q.rate) + tl.lgamma(b) - tl.lgamma(a) + (a - b) * tl.digamma(a)
            + (q.rate - p.rate) * (a / p.rate))


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - q.concentration * tl.log(ratio) + tl.lgamma(q.concentration) + q.concentration * EULER - (1 + EULER)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Any, q: Any) -> Tensor:
    return -p.entropy() - tl.log(q.rate) + q.rate * p.concentration / p.rate


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Tensor:
    scales, ratio = p.scale / q.scale, q.alpha / p.alpha
    found = q.alpha * tl.log(scales) - tl.log(ratio) + ratio - 1
    return tl.where(p.scale < q.scale, math.inf, found)


@register_kl(HalfNormal, HalfNormal)
@register_kl(HalfCauchy, HalfCauchy)
def _halves(p: Any, q: Any) -> Tensor:
    """Of distributions around 0, whose halves differ as they do."""
    return kl_divergence(p.base_dist, q.base_dist)


# --- real numbers -------------------------------------------------------------------------------------------------


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = tl.square(p.scale / q.scale)
    return (ratio + tl.square((p.loc - q.loc) / q.scale) - 1 - tl.log(ratio)) / 2


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, tl.abs(p.loc - q.loc)
    return -tl.log(ratio) + distance / q.scale + ratio * tl.exp(-distance / p.scale) - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    above = tl.square(p.scale + q.scale) + tl.square(p.loc - q.loc)
    return tl.log(above) - tl.log(4 * p.scale * q.scale)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Tensor:
    ratio, moved = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return (-tl.log(ratio) - moved + ratio * EULER + tl.exp(moved + tl.lgamma(1 + ratio)) - (1 + EULER))


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    gap = p.loc - q.loc
    ratio = gap / p.scale
    mean = math.sqrt(2 / math.pi) * p.scale * tl.exp(-tl.square(ratio) / 2) + gap * tl.erf(math.sqrt(0.5) * ratio)
    return tl.log(2 * q.scale / p.scale) + mean / q.scale - (0.5 + HALF_LOG_TAU)


@register_kl(Laplace, Normal)
def _laplace_normal(p: Any, q: Any) -> Tensor:
    away = (2 * tl.square(p.scale) + tl.square(p.loc - q.loc)) / (2 * tl.square(q.scale))
    return -p.entropy() + tl.log(q.scale) + HALF_LOG_TAU + away


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Tensor:
    mean, square = p.loc / q.scale, tl.square(p.scale / q.scale)
    loc = q.loc / q.scale
    return -tl.log(square) / 2 + mean - loc + tl.exp(-mean + square / 2 + loc) - (0.5 + HALF_LOG_TAU)


# --- even numbers -------------------------------------------------------------------------------------------------


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    outside = tl.logical_or(q.low > p.low, q.high < p.high)
    return tl.where(outside, math.inf, tl.log((q.high - q.low) / (p.high - p.low)))


@register_kl(Uniform, Normal)
def _uniform_normal(p: Any, q: Any) -> Tensor:
    width = p.high - p.low
    moved = tl.square((p.high + p.low - 2 * q.loc) / 2)
    return tl.log(q.scale / width) + HALF_LOG_TAU + (tl.square(width) / 12 + moved) / (2 * tl.square(q.scale))


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Tensor:
    found = q.rate * (p.high + p.low) / 2 - tl.log((p.high - p.low) * q.rate)
    return tl.where(p.low < 0, math.inf, found)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Any, q: Any) -> Tensor:
    outside = tl.logical_or(q.low > 0, q.high < 1)
    return tl.where(outside, math.inf, -p.entropy() + tl.log(q.high - q.low))


@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Beta, Normal)
def _any_normal(p: Any, q: Any) -> Tensor:
    """Of anything with an entropy, a mean and a variance."""
    away = (p.variance + tl.square(p.mean - q.loc)) / (2 * tl.square(q.scale))
    return -p.entropy() + tl.log(q.scale) + HALF_LOG_TAU + away


# --- vectors, and distributions of distributions ------------------------------------------------------------------


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Tensor:
    return _of_factors(p, q, p.scale_tril, q.scale_tril)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_multivariate_normal(p: Any, q: Any) -> Tensor:
    return _of_factors(p, q, p.scale_tril, q.scale_tril)


def _of_factors(p: Any, q: Any, factor_p: Tensor, factor_q: Tensor) -> Tensor:
    """The divergence of normal vectors, given the Cholesky factors of their covariances."""
    if p.event_shape != q.event_shape:
        raise complaint(ArgumentError, "kl_divergence", f"vectors of {p.event_shape[0]} and of {q.event_shape[0]} "
                        "numbers do not compare")
    batch = tl.broadcast_shapes(factor_p.shape[:-2], factor_q.shape[:-2])
    both = (tl.broadcast_to(factor, (*batch, *factor.shape[-2:])) for factor in (factor_q, factor_p))
    ratio = tl.square(tl.linalg.solve_triangular(*both, upper=False)).sum(axis=(-2, -1))
    away = mahalanobis(factor_q, q.loc - p.loc)
    return log_diagonal(factor_q) - log_diagonal(factor_p) + (ratio + away - p.event_shape[0]) / 2


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise complaint(ArgumentError, "kl_divergence", "both must be independent along as many axes", {
            "p": p.reinterpreted_batch_ndims, "q": q.reinterpreted_batch_ndims})
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    if not alike(p.transforms, q.transforms) or p.event_shape != q.event_shape:
        raise complaint(ArgumentError, "kl_divergence", "transforms differ, so that there is no formula",
                        {"p": p.transforms, "q": q.transforms})
    if not all(transform.bijective for transform in p.transforms):
        raise complaint(ArgumentError, "kl_divergence", "there is no formula for transforms that cannot be undone",
                        {"transforms": p.transforms})
    return kl_divergence(p.base_dist, q.base_dist)


def alike(a: Any, b: Any) -> bool:
    """Whether two transforms, or lists of them, are the same: of one class, with equal parameters."""
    if a is b:
        return True
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and not is_traced(a) and not is_traced(b) and bool((a == b).all())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, Transform) and type(a) is type(b):
        return all(alike(value, vars(b)[name]) for name, value in vars(a).items())
    return not isinstance(a, Tensor | Transform) and not isinstance(b, Tensor | Transform) and bool(a == b)
