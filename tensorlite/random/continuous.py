"""NumPy's draws of real numbers: ``f(parameters, size=None, *, generator=None, dtype=None)``, in ``tl.random``.

Parameters are numbers, lists or tensors that broadcast; the dtype is theirs, or float32. Draws are made of even, normal
and gamma numbers by formulas of their parameters, so that derivatives go back to these. Raises `ArgumentError` for
parameters out of range, and `ShapeError` where they do not broadcast to ``size``.
"""

from __future__ import annotations

import math
from typing import Any

from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import asin, exp, log, log1p, pow, remainder, sqrt, tan, where
from tensorlite.random.checks import require, require_not_negative, require_positive
from tensorlite.random.discrete import drawn_gamma, drawn_half_sines
from tensorlite.random.generator import Generator
from tensorlite.random.sized import sized
from tensorlite.tensor import Tensor

__all__ = ["beta", "chisquare", "dirichlet", "exponential", "f", "gamma", "gumbel", "laplace", "logistic", "lognormal",
           "noncentral_chisquare", "pareto", "power", "rayleigh", "standard_cauchy", "standard_exponential",
           "standard_gamma", "standard_normal", "standard_t", "triangular", "uniform", "vonmises", "wald", "weibull"]


def uniform(low: Any = 0.0, high: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
            dtype: Any = None) -> Tensor:
    """Numbers drawn evenly from ``(low, high)``.

    >>> import tensorlite as tl
    >>> tl.random.uniform(-1.0, tl.ones(4)).shape
    (4,)
    """
    draw = sized("uniform", size, generator, dtype, low=low, high=high)
    low, high = draw.values
    return draw.finish(draw.inside() * (high - low) + low)


def standard_normal(size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Normal numbers of mean 0 and deviation 1."""
    draw = sized("standard_normal", size, generator, dtype)
    return draw.finish(draw.normal())


def standard_exponential(size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Exponential numbers of mean 1."""
    draw = sized("standard_exponential", size, generator, dtype)
    return draw.finish(draw.exponential())


def exponential(scale: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Exponential numbers of mean ``scale``."""
    require_not_negative("exponential", scale=scale)
    draw = sized("exponential", size, generator, dtype, scale=scale)
    return draw.finish(draw.exponential() * draw.values[0])


def standard_gamma(shape: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Gamma numbers of scale 1, to whose shape derivatives go back (Figurnov et al., 2018)."""
    return gamma(shape, 1.0, size, generator=generator, dtype=dtype)


def gamma(shape: Any, scale: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
          dtype: Any = None) -> Tensor:
    """Gamma numbers of mean ``shape * scale`` (Marsaglia and Tsang, 2000).

    >>> import tensorlite as tl
    >>> tl.random.gamma(tl.tensor([0.5, 20.0])).shape
    (2,)
    """
    require_not_negative("gamma", shape=shape)
    require_not_negative("gamma", scale=scale)
    draw = sized("gamma", size, generator, dtype, shape=shape, scale=scale)
    shape, scale = draw.values
    return draw.finish(draw.gamma(shape) * scale)


def beta(a: Any, b: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Beta numbers of mean ``a / (a + b)``: the share of one gamma number in two."""
    require_positive("beta", a=a)
    require_positive("beta", b=b)
    draw = sized("beta", size, generator, dtype, a=a, b=b)
    first, second = (draw.gamma(value) for value in draw.values)
    return draw.finish(first / (first + second))


def chisquare(df: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Chi-square numbers of ``df`` degrees of freedom."""
    require_positive("chisquare", df=df)
    draw = sized("chisquare", size, generator, dtype, df=df)
    return draw.finish(draw.gamma(draw.values[0] / 2) * 2)


def noncentral_chisquare(df: Any, nonc: Any, size: Any = None, *, generator: Generator | None = None,
                         dtype: Any = None) -> Tensor:
    """Sums of a chi-square number of ``df - 1`` degrees and a squared normal one of mean ``sqrt(nonc)``; df above 1."""
    require("noncentral_chisquare", df > 1, "df must be above 1", df=df)
    require_not_negative("noncentral_chisquare", nonc=nonc)
    draw = sized("noncentral_chisquare", size, generator, dtype, df=df, nonc=nonc)
    df, nonc = draw.values
    moved = draw.normal() + sqrt(draw.spread(nonc))
    return draw.finish(draw.gamma((df - 1) / 2) * 2 + moved * moved)


def f(dfnum: Any, dfden: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Fisher's F numbers: the quotient of two chi-square numbers, each over its degrees of freedom."""
    require_positive("f", dfnum=dfnum)
    require_positive("f", dfden=dfden)
    draw = sized("f", size, generator, dtype, dfnum=dfnum, dfden=dfden)
    over, under = (draw.gamma(df / 2) / df for df in draw.values)
    return draw.finish(over / under)


def standard_t(df: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Student's t numbers of ``df`` degrees of freedom."""
    require_positive("standard_t", df=df)
    draw = sized("standard_t", size, generator, dtype, df=df)
    df, = draw.values
    return draw.finish(draw.normal() * sqrt(df / 2 / draw.gamma(df / 2)))


def standard_cauchy(size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Cauchy's numbers around 0."""
    draw = sized("standard_cauchy", size, generator, dtype)
    return draw.finish(tan((draw.inside() - 0.5) * math.pi))


def laplace(loc: Any = 0.0, scale: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
            dtype: Any = None) -> Tensor:
    """Laplace's numbers: exponential on both sides of ``loc``."""
    require_not_negative("laplace", scale=scale)
    draw = sized("laplace", size, generator, dtype, loc=loc, scale=scale)
    loc, scale = draw.values
    u = draw.inside() * 2  # of which one half is below 1
    sided = where(u < 1, log(where(u < 1, u, 1)), -log(where(u < 1, 1, 2 - u)))
    return draw.finish(sided * scale + loc)


def logistic(loc: Any = 0.0, scale: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
             dtype: Any = None) -> Tensor:
    """Logistic numbers: the logit of even ones."""
    require_not_negative("logistic", scale=scale)
    draw = sized("logistic", size, generator, dtype, loc=loc, scale=scale)
    loc, scale = draw.values
    u = draw.inside()
    return draw.finish((log(u) - log1p(-u)) * scale + loc)


def gumbel(loc: Any = 0.0, scale: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
           dtype: Any = None) -> Tensor:
    """Gumbel's numbers: minus the logarithms of exponential ones."""
    require_not_negative("gumbel", scale=scale)
    draw = sized("gumbel", size, generator, dtype, loc=loc, scale=scale)
    loc, scale = draw.values
    return draw.finish(-log(-log1p(-draw.inside())) * scale + loc)


def lognormal(mean: Any = 0.0, sigma: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
              dtype: Any = None) -> Tensor:
    """Numbers whose logarithms are normal, of that mean and deviation."""
    require_not_negative("lognormal", sigma=sigma)
    draw = sized("lognormal", size, generator, dtype, mean=mean, sigma=sigma)
    mean, sigma = draw.values
    return draw.finish(exp(draw.normal() * sigma + mean))


def rayleigh(scale: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Rayleigh's numbers: lengths of vectors of two normal numbers of that deviation."""
    require_not_negative("rayleigh", scale=scale)
    draw = sized("rayleigh", size, generator, dtype, scale=scale)
    return draw.finish(sqrt(draw.exponential() * 2) * draw.values[0])


def weibull(a: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Weibull's numbers of scale 1: exponential ones to the power ``1 / a``."""
    require_positive("weibull", a=a)
    draw = sized("weibull", size, generator, dtype, a=a)
    return draw.finish(pow(draw.exponential(), 1 / draw.spread(draw.values[0])))


def pareto(a: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Pareto's numbers of the second kind, Lomax's: from 0 on, as in NumPy."""
    require_positive("pareto", a=a)
    draw = sized("pareto", size, generator, dtype, a=a)
    return draw.finish(exp(draw.exponential() / draw.values[0]) - 1)


def power(a: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Numbers of (0, 1) of density ``a * x**(a - 1)``."""
    require_positive("power", a=a)
    draw = sized("power", size, generator, dtype, a=a)
    return draw.finish(exp(-draw.exponential() / draw.values[0]))


def triangular(left: Any, mode: Any, right: Any, size: Any = None, *, generator: Generator | None = None,
               dtype: Any = None) -> Tensor:
    """Numbers between ``left`` and ``right`` of a density that is highest at ``mode`` and falls in straight lines."""
    draw = sized("triangular", size, generator, dtype, left=left, mode=mode, right=right)
    left, mode, right = (draw.spread(value) for value in draw.values)
    require("triangular", (left <= mode) & (mode <= right) & (left < right), "left <= mode <= right must hold",
            left=left, mode=mode, right=right)
    u, width = draw.inside(), right - left
    falls = u * width > mode - left
    rising = left + sqrt(where(falls, 1, u) * width * (mode - left))
    falling = right - sqrt(where(falls, 1 - u, 1) * width * (right - mode))
    return draw.finish(where(falls, falling, rising))


def wald(mean: Any, scale: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Inverse Gaussian numbers (Michael, Schucany and Haas, 1976)."""
    require_positive("wald", mean=mean)
    require_positive("wald", scale=scale)
    draw = sized("wald", size, generator, dtype, mean=mean, scale=scale)
    mean, scale = draw.values
    y = draw.normal()
    ratio = mean * y * y / scale
    root = 2 / (2 + ratio + sqrt(ratio * (4 + ratio)))  # the smaller root of two whose product is 1
    return draw.finish(where(draw.inside() * (1 + root) <= 1, root, 1 / root) * mean)


def vonmises(mu: Any, kappa: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Angles of [-pi, pi) around ``mu``, as dense as ``exp(kappa * cos(x - mu))`` (Best and Fisher, 1979)."""
    require_not_negative("vonmises", kappa=kappa)
    draw = sized("vonmises", size, generator, dtype, mu=mu, kappa=kappa)
    mu, kappa = draw.values
    angle = asin(drawn_half_sines(draw.spread(kappa), generator)) * 2 + mu
    return draw.finish(remainder(angle + math.pi, 2 * math.pi) - math.pi)


def dirichlet(alpha: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Shares with a sum of 1: of gamma numbers in their sum. ``alpha``: [..., classes]; the result: [*size, classes].

    >>> import tensorlite as tl
    >>> tl.random.dirichlet(tl.ones(3), size=5).shape
    (5, 3)
    """
    require_positive("dirichlet", alpha=alpha)
    classes = asarray(alpha).shape[-1]
    whole = None if size is None else (*((size,) if isinstance(size, int) else size), classes)
    draw = sized("dirichlet", whole, generator, dtype, alpha=alpha)
    return draw.finish(shares_of(draw.spread(draw.values[0]), generator))


def shares_of(concentration: Tensor, generator: Generator | None) -> Tensor:
    """Dirichlet's numbers along the last axis."""
    drawn = drawn_gamma(concentration, generator)
    return drawn / drawn.sum(axis=-1, keepdims=True)
