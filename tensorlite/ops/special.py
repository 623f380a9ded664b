"""Special functions: the error function and its inverse, gamma's logarithm and its derivatives, and small kin."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from tensorlite.declare import METHODS, elementwise, public
from tensorlite.derivative import elementwise_op
from tensorlite.dispatch import applier
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.bounds import clip
from tensorlite.tensor import Tensor

#: Beyond it, factorials leave float64.
LARGEST_ORDER = 100


@elementwise(accepts="real floating")
def erf(x):
    """The error function."""
    return s.erf(x)


@elementwise(accepts="real floating")
def erfc(x):
    """One minus the error function, accurate for large numbers."""
    return s.erfc(x)


@elementwise(autocast="wide", accepts="real floating", domain={"x": (-0.9, 0.9)})
def erfinv(x):
    """The inverse of the error function: infinite at -1 and 1, NaN beyond."""
    return s.erfinv(x)


@elementwise(accepts="real floating", domain={"x": (0.2, 4.0)})
def lgamma(x):
    """The logarithm of the gamma function's absolute value; infinite at 0 and below it at integers."""
    return s.lgamma(x)


@elementwise(accepts="real floating", domain={"x": (0.2, 4.0)})
def digamma(x):
    """The derivative of `lgamma`: -inf at 0, inf at -0, NaN at the other poles."""
    return s.digamma(x)


@functools.cache
def _polygamma(order: int) -> Callable[..., Tensor]:
    """The op of one order."""
    return applier(elementwise_op(s.trace(lambda x: s.polygamma(x, order)), f"polygamma_{order}", "real floating"))


@public(method=False)
def polygamma(n: int, x: Tensor, /) -> Tensor:
    """The derivative of `digamma` of an order from 0 to 100; at the poles inf for odd orders, -inf for even ones.

    Raises `ArgumentError` for other orders, and `DTypeError` for an order that is no integer.

    >>> import tensorlite as tl
    >>> tl.polygamma(1, tl.tensor([1.0, 2.0]))
    tensor([1.6449, 0.6449])
    """
    try:
        order = n.__index__()
    except AttributeError:
        raise complaint(DTypeError, "polygamma", f"n must be an integer, not {type(n).__name__}", {"n": n, "x": x},
                        "the order comes first: tl.polygamma(1, x)") from None
    if not 0 <= order <= LARGEST_ORDER:
        raise complaint(ArgumentError, "polygamma", f"n must be between 0 and {LARGEST_ORDER}, not {n}", {"x": x})
    return digamma(x) if order == 0 else _polygamma(order)(x)


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    """The derivative of `digamma` of order ``n``."""
    return polygamma(n, self)


_polygamma_method.__name__ = "polygamma"
METHODS["polygamma"] = _polygamma_method

#: The derivative of ``sin(t) / t`` over t, by powers of t**2: exact to float64 up to 1/2.
_SINC_SLOPE = tuple((-1) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(1, 9))


def _sinc_vjp(g, y, x):
    """``(cos(pi x) - y) / x``, which would cancel near 0: there by a series, good for all derivatives."""
    angle = x * math.pi
    near = s.abs(angle) < 0.5
    square = s.square(s.where(near, angle, 0))
    series = functools.reduce(lambda total, c: total * square + c, reversed(_SINC_SLOPE))
    far = (s.cos(angle) - y) / s.where(near, 1, x)
    return g * s.conj(s.where(near, math.pi * angle * series, far))


@elementwise(accepts="floating", vjp={"x": _sinc_vjp})
def sinc(x):
    """``sin(pi x) / (pi x)``, and 1 at 0."""
    angle = x * math.pi
    return s.where(s.equal(x, 0), 1, s.sin(angle) / angle)


@elementwise(accepts="real floating", domain={"x1": (0.1, 3.0), "x2": (0.2, 4.0)}, vjp={
    "x1": lambda g, x1, x2: s.where(s.logical_and(s.equal(x1, 0), x2 <= 0), 0, g * s.log(x2)),
    "x2": lambda g, x1, x2: g * x1 / x2})
def xlogy(x1, x2):
    """``x1 * log(x2)``, and 0 where ``x1`` is 0, whatever ``x2`` is but NaN."""
    return s.where(s.logical_and(s.equal(x1, 0), s.equal(x2, x2)), 0, x1 * s.log(x2))


@elementwise(accepts="real floating", name="logit", hidden=True, domain={"x": (0.1, 0.9)}, vjp={
    "x": lambda g, x: s.where(s.logical_or(x < 0, x > 1), math.nan, g / (x * (1 - x)))})
def _logit(x):
    """``log(x / (1 - x))``."""
    return s.log(x / (1 - x))


@public(in_place=True)
def logit(x: Tensor, /, eps: float | None = None) -> Tensor:
    """``log(x / (1 - x))``, the inverse of `sigmoid`, with ``x`` first brought into ``[eps, 1 - eps]`` if given.

    NaN outside of [0, 1].

    >>> import tensorlite as tl
    >>> tl.logit(tl.tensor([0.0, 0.5, 1.0]))
    tensor([-inf,   0.,  inf])
    >>> tl.logit(tl.tensor([0.0]), eps=0.5)
    tensor([0.])
    """
    return _logit(x if eps is None else clip(x * 1.0, eps, 1 - eps))
