"""PyTorch's draws of counts and classes."""

from __future__ import annotations

import math
from typing import Any

from tensorlite import errors
from tensorlite.declare import public
from tensorlite.ops.creation import asarray
from tensorlite.ops.cumulative import cumulative_sum
from tensorlite.ops.elementwise import less, log, log1p
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import _reshape, astype, broadcast_to
from tensorlite.ops.sort import _searchsorted, argsort
from tensorlite.random import rejection
from tensorlite.random.basic import rand
from tensorlite.random.checks import require, require_floating, require_not_negative, require_share
from tensorlite.random.generator import Generator, default_generator
from tensorlite.random.units import inside, unit
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float32, float64, int64, promote


@public(method=True)
def bernoulli(x: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probability that each element of ``x`` says, else zeros, in the dtype of ``x``.

    With ``p``, a number or a tensor, that is the probability, and ``x`` says the shape and the dtype alone. Raises
    `ArgumentError` for what is no probability.

    >>> import tensorlite as tl
    >>> tl.bernoulli(tl.ones(3)), tl.bernoulli(tl.ones(3), 0.0)
    (tensor([1., 1., 1.]), tensor([0., 0., 0.]))
    """
    if p is None:
        require_floating("bernoulli", x=x)
    chance = x.detach() if p is None else p.detach() if isinstance(p, Tensor) else p
    require_share("bernoulli", **{"x" if p is None else "p": chance})
    dtype = float64 if isinstance(chance, Tensor) and chance.dtype == float64 else float32
    return astype(less(rand(x.shape, generator=generator, dtype=dtype), chance), x.dtype)


@public(method=False)
def poisson(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Counts of events of which each element of ``x`` says how many are expected, in the dtype of ``x``.

    Hörmann, "The transformed rejection method for generating Poisson random variables", 1993; by inversion below 10.
    Raises `DTypeError` for no real floating dtype, and `ArgumentError` for a negative rate.

    >>> import tensorlite as tl
    >>> tl.poisson(tl.zeros(3))
    tensor([0., 0., 0.])
    """
    require_floating("poisson", x=x)
    require_not_negative("poisson", x=x)
    return _in_wide_enough(rejection._poisson, x.detach(), generator=generator)


@public(method=False)
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Counts of successes in ``count`` trials of probability ``prob`` each, which broadcast, in their dtype.

    Hörmann, "The generation of binomial random variates", 1993; by inversion where fewer than 10 are expected. Raises
    `DTypeError` for no real floating dtypes, and `ArgumentError` for what is no count or no probability.

    >>> import tensorlite as tl
    >>> tl.binomial(tl.tensor([5.0, 0.0]), tl.tensor(1.0))
    tensor([5., 0.])
    """
    require_floating("binomial", count=count)
    require_floating("binomial", prob=prob)
    if count.dtype != prob.dtype:
        raise errors.complaint(errors.DTypeError, "binomial", "count and prob must have one dtype",
                               {"count": count, "prob": prob}, f"cast one: prob.to(tl.{count.dtype.name})")
    require_not_negative("binomial", count=count)
    require_share("binomial", prob=prob)
    return _in_wide_enough(rejection._binomial, count.detach(), prob.detach(), generator=generator)


def _in_wide_enough(op: Any, *parameters: Tensor, generator: Generator | None) -> Tensor:
    """The numbers of an op of `rejection` for parameters that broadcast, in their dtype."""
    dtype = parameters[0].dtype
    for other in parameters[1:]:
        dtype = promote(dtype, other.dtype)
    wide = dtype if dtype == float64 else float32
    parameters = tuple(astype(x, wide, copy=False) for x in _together(*parameters))
    state = (generator or default_generator).blocks(parameters[0].size)
    return astype(op(state, *parameters), dtype, copy=False)


def _together(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors broadcast to one shape."""
    if len(tensors) == 1 or len({x.shape for x in tensors}) == 1:
        return tensors
    shape = (tensors[0] + tensors[1]).shape
    return tuple(broadcast_to(x, shape) for x in tensors)


def drawn_gamma(concentration: Tensor, generator: Generator | None) -> Tensor:
    """Gamma numbers of scale 1, in the shape and dtype of their concentrations, to which derivatives go back."""
    return _in_wide_enough(rejection._standard_gamma, concentration, generator=generator)


def drawn_half_sines(concentration: Tensor, generator: Generator | None) -> Tensor:
    """The sines of half of von Mises' angles around 0."""
    return _in_wide_enough(rejection._von_mises, concentration, generator=generator)


# --- classes ------------------------------------------------------------------------------------------------------


@public(method=True)
def multinomial(x: Tensor, num_samples: int, replacement: bool = False, *,
                generator: Generator | None = None) -> Tensor:
    """The classes drawn with the weights that ``x`` gives, of each row: int64[..., num_samples].

    ``x``: floating [classes] or [rows, classes], not negative, of any positive sum. With replacement, each is where
    an even number falls into the running sum; without, classes are ordered by weight over exponential numbers
    (Efraimidis and Spirakis, 2006). Raises `DTypeError`, `ShapeError` or `ArgumentError` for what cannot be drawn from.

    >>> import tensorlite as tl
    >>> tl.multinomial(tl.tensor([0.0, 3.0]), 4, replacement=True)
    tensor([1, 1, 1, 1])
    """
    _check_weights(x, num_samples, replacement)
    weights = astype(_reshape(x.detach(), shape=(-1, x.shape[-1])) if x.ndim == 2 else x.detach()[None], float64)
    draw = _with_replacement if replacement else _without_replacement
    found = draw(weights, num_samples, generator)
    return found if x.ndim == 2 else found[0]


def _check_weights(x: Tensor, num_samples: int, replacement: bool) -> None:
    require_floating("multinomial", x=x)
    if x.ndim not in (1, 2):
        raise errors.complaint(errors.ShapeError, "multinomial", "x must have one axis of classes, or rows of them",
                               {"x": x})
    arguments = {"x": x, "num_samples": num_samples}
    if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
        raise errors.complaint(errors.ArgumentError, "multinomial", "num_samples must be at least 1", arguments)
    known = x.detach()
    require("multinomial", (known >= 0) & (known < math.inf), "weights must be finite and not negative", x=x)
    require("multinomial", known.sum(axis=-1) > 0, "the weights of a row must have a sum above 0", x=x)
    if not replacement:
        if num_samples > x.shape[-1]:
            raise errors.complaint(errors.ArgumentError, "multinomial",
                                   f"{num_samples} of {x.shape[-1]} classes cannot be drawn without replacement",
                                   arguments, "pass replacement=True")
        require("multinomial", (known > 0).sum(axis=-1) >= num_samples,
                f"a row has fewer than {num_samples} weights above 0, too few without replacement", **arguments)


def _with_replacement(weights: Tensor, count: int, generator: Generator | None) -> Tensor:
    """All rows are one ascending list, of which row ``r`` has the numbers from ``r`` to ``r + 1``."""
    rows, classes = weights.shape
    sums = cumulative_sum(weights, 1)
    row = arange(rows, dtype=float64)[:, None]
    ends = sums / sums[:, -1:] + row
    below_one = _reshape(unit(rows * count, float64, generator), shape=(rows, count)) * (1 - 2.0**-32)
    places = _searchsorted(_reshape(ends, shape=(rows * classes,)), below_one + row, side="right")
    return places - astype(row, int64) * classes


def _without_replacement(weights: Tensor, count: int, generator: Generator | None) -> Tensor:
    waits = -log1p(-_reshape(inside(weights.size, float64, generator), shape=weights.shape))
    return argsort(log(weights) - log(waits), 1, descending=True)[:, :count]


def drawn_classes(weights: Tensor, count: int, generator: Generator | None = None) -> Tensor:
    """Classes with replacement of rows that are known to be weights: int64[rows, count]."""
    return _with_replacement(astype(asarray(weights).detach(), float64, copy=False), count, generator)
