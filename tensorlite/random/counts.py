"""NumPy's draws of counts, orders and choices, in ``tl.random``; counts are int64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import floor, log, log1p
from tensorlite.ops.indexing.scatter import one_hot
from tensorlite.ops.indexing.take import take
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import astype, reshape
from tensorlite.random import rejection
from tensorlite.random.basic import randint, randperm
from tensorlite.random.checks import require, require_not_negative, require_positive, require_share
from tensorlite.random.discrete import _in_wide_enough, drawn_classes, drawn_gamma
from tensorlite.random.discrete import multinomial as _classes
from tensorlite.random.generator import Generator
from tensorlite.random.sized import sized
from tensorlite.random.units import shape_of
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float64, int64

__all__ = ["binomial", "choice", "geometric", "integers", "multinomial", "negative_binomial", "permutation", "poisson"]


def integers(low: int, high: int | None = None, size: Any = (), *, endpoint: bool = False,
             generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Integers drawn evenly from ``[low, high)``, with ``endpoint`` from ``[low, high]``; from 0 on without ``high``.

    >>> import tensorlite as tl
    >>> tl.random.integers(1, 6, (2,), endpoint=True).shape
    (2,)
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high + endpoint, () if size is None else shape_of("integers", (size,)), generator=generator,
                   dtype=dtype)


def poisson(lam: Any = 1.0, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Counts of events of which ``lam`` are expected."""
    require_not_negative("poisson", lam=lam)
    draw = sized("poisson", size, generator, float64, lam=lam)
    return astype(_in_wide_enough(rejection._poisson, draw.spread(draw.values[0]).detach(), generator=generator), int64)


def binomial(n: Any, p: Any, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Counts of successes in ``n`` trials of probability ``p``."""
    require_not_negative("binomial", n=n)
    require_share("binomial", p=p)
    draw = sized("binomial", size, generator, float64, n=n, p=p)
    n, p = (draw.spread(value).detach() for value in draw.values)
    return astype(_in_wide_enough(rejection._binomial, n, p, generator=generator), int64)


def negative_binomial(n: Any, p: Any, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Counts of failures before ``n`` successes of probability ``p``: Poisson numbers of gamma rates."""
    require_positive("negative_binomial", n=n)
    require_share("negative_binomial", p=p)
    require_positive("negative_binomial", p=p)
    draw = sized("negative_binomial", size, generator, float64, n=n, p=p)
    n, p = (draw.spread(value).detach() for value in draw.values)
    rate = drawn_gamma(n, generator) * (1 - p) / p
    return astype(_in_wide_enough(rejection._poisson, rate, generator=generator), int64)


def geometric(p: Any, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """How many trials of probability ``p`` there are up to the first success: 1 or more."""
    require_share("geometric", p=p)
    require_positive("geometric", p=p)
    draw = sized("geometric", size, generator, float64, p=p)
    failing = log1p(-draw.spread(draw.values[0]).detach())
    return astype(floor(log(draw.inside()) / failing), int64) + 1


def multinomial(n: int, pvals: Any, size: Any = (), *, generator: Generator | None = None) -> Tensor:
    """How often each class comes in ``n`` draws: int64[*size, classes], for ``pvals`` of one axis."""
    weights = asarray(pvals)
    require_not_negative("multinomial", n=n)
    require_not_negative("multinomial", pvals=weights)
    shape = shape_of("multinomial", (size,))
    drawn = drawn_classes(weights[None], math.prod(shape) * n, generator)
    counted = one_hot(reshape(drawn, (math.prod(shape), n)), weights.shape[-1]).sum(axis=1)
    return reshape(counted, (*shape, weights.shape[-1]))


def permutation(x: Any, *, axis: int = 0, generator: Generator | None = None) -> Tensor:
    """What lies along an axis of ``x`` in random order; for an integer, the integers below it.

    >>> import tensorlite as tl
    >>> sorted(tl.random.permutation(tl.tensor([3, 1, 2])).tolist())
    [1, 2, 3]
    """
    if isinstance(x, int | np.integer):
        return randperm(int(x), generator=generator)
    x = asarray(x)
    return take(x, randperm(x.shape[axis], generator=generator), axis=axis)


def choice(a: Any, size: Any = (), replace: bool = True, p: Any = None, *, axis: int = 0,
           generator: Generator | None = None) -> Tensor:
    """Some of what lies along an axis of ``a``, or of the integers below it: evenly, or by the weights ``p``.

    >>> import tensorlite as tl
    >>> sorted(tl.random.choice(5, 5, replace=False).tolist())
    [0, 1, 2, 3, 4]
    """
    pool = arange(int(a)) if isinstance(a, int | np.integer) else asarray(a)
    n, shape = pool.shape[axis], shape_of("choice", (size,))
    count = math.prod(shape)
    if not replace and count > n:
        raise errors.complaint(errors.ArgumentError, "choice", f"{count} of {n} cannot be chosen without replacement",
                               {"a": a, "size": size}, "pass replace=True")
    if p is not None:
        require("choice", asarray(p).shape == (n,), "p must have one weight for each element", p=p, a=a)
        places = _classes(asarray(p, dtype=float64), max(count, 1), replace, generator=generator)[:count]
    elif replace:
        places = randint(0, max(n, 1), (count,), generator=generator)
    else:
        places = randperm(n, generator=generator)[:count]
    axis = axis % pool.ndim
    chosen = take(pool, places, axis=axis)
    return reshape(chosen, (*pool.shape[:axis], *shape, *pool.shape[axis + 1:]))
