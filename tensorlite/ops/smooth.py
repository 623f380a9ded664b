"""Smooth activations: `gelu`, `silu`, `mish`, `softplus` and their kin."""

from __future__ import annotations

import math

from tensorlite.declare import elementwise, functional
from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.activation import kept
from tensorlite.ops.elementwise import abs as absolute
from tensorlite.ops.elementwise import tanh
from tensorlite.tensor import Tensor

__all__ = ["gelu", "logsigmoid", "mish", "silu", "softplus", "softsign", "tanhshrink"]


@elementwise(accepts="real floating", name="gelu")
def _gelu(x):
    """The Gaussian error linear unit ``x * (1 + erf(x / sqrt(2))) / 2`` (Hendrycks and Gimpel, 2016)."""
    return x * (0.5 + 0.5 * s.erf(x * math.sqrt(0.5)))


@elementwise(accepts="real floating", hidden=True)
def gelu_tanh(x):
    """The tanh approximation of `gelu`: ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``."""
    return 0.5 * x * (1 + s.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@elementwise(accepts="real floating", name="softplus", vjp={"x": lambda g, x: g * s.sigmoid(x)})
def _softplus(x):
    """``log(1 + exp(x))`` without overflow."""
    return s.maximum(x, 0) + s.log1p(s.exp(-s.abs(x)))


@elementwise(autocast="wide", accepts="real floating", hidden=True,
             domain={"beta": (0.5, 2.0), "threshold": (20.0, 30.0)},
             vjp={"x": lambda g, x, beta, threshold: s.where(x * beta > threshold, g, g / (1 + s.exp(-x * beta)))})
def softplus_by(x, beta, threshold):
    """``log(1 + exp(beta * x)) / beta``, or ``x`` where ``beta * x`` is above the threshold."""
    return s.where(x * beta > threshold, x, (s.maximum(x * beta, 0) + s.log1p(s.exp(-s.abs(x * beta)))) / beta)


def _silu_vjp(g, x):
    sigma = s.sigmoid(x)
    return g * s.conj(sigma * (1 + x * (1 - sigma)))


@elementwise(accepts="floating", name="silu", vjp={"x": _silu_vjp})
def _silu(x):
    """``x * sigmoid(x)``, also called swish."""
    return x * s.sigmoid(x)


@elementwise(accepts="real floating", name="logsigmoid", hidden=True, vjp={"x": lambda g, x: g * s.sigmoid(-x)})
def _logsigmoid(x):
    """``log(sigmoid(x))``, accurate on both sides."""
    return s.minimum(x, 0) - s.log1p(s.exp(-s.abs(x)))


def _tanh_of_softplus(x):
    """``tanh(log(1 + exp(x)))``, which is ``n / (n + 2)`` with ``n = exp(x) (exp(x) + 2)``; 1 above 20."""
    power = s.exp(s.minimum(x, 20))
    n = power * (power + 2)
    return n / (n + 2)


def _mish_vjp(g, x):
    gate = _tanh_of_softplus(x)
    return g * (gate + x * s.sigmoid(x) * (1 - gate * gate))


@elementwise(accepts="real floating", name="mish", hidden=True, vjp={"x": _mish_vjp})
def _mish(x):
    """``x * tanh(softplus(x))``."""
    return x * _tanh_of_softplus(x)


@elementwise(accepts="real floating", name="softsign", hidden=True,
             vjp={"x": lambda g, x: g / s.square(1 + s.abs(x))})
def _softsign(x):
    """``x / (1 + |x|)``."""
    return x / (1 + s.abs(x))


@functional
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``input * Phi(input)`` with the normal distribution function, exact or with ``approximate="tanh"``.

    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    >>> import tensorlite as tl
    >>> gelu(tl.tensor([0.0, 10.0]))
    tensor([ 0., 10.])
    """
    if approximate not in ("none", "tanh"):
        raise complaint(ArgumentError, "gelu", f"approximate must be 'none' or 'tanh', not {approximate!r}")
    return _gelu(input) if approximate == "none" else gelu_tanh(input)


@functional
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> silu(tl.tensor([0.0]))
    tensor([0.])
    """
    return kept(input, _silu(input), inplace)


@functional
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))``. ``inplace`` rebinds the input to it.

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.

    >>> import tensorlite as tl
    >>> mish(tl.tensor([0.0, 1.0]))
    tensor([0.    , 0.8651])
    """
    return kept(input, _mish(input), inplace)


@functional
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``, or ``input`` where ``beta * input`` is above the threshold.

    >>> import tensorlite as tl
    >>> softplus(tl.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.    ])
    """
    return softplus_by(input, beta, threshold)


@functional
def logsigmoid(input: Tensor) -> Tensor:
    """``log(1 / (1 + exp(-input)))`` without overflow.

    >>> import tensorlite as tl
    >>> logsigmoid(tl.tensor([-100.0, 0.0]))
    tensor([-100.    ,   -0.6931])
    """
    return _logsigmoid(input)


@functional
def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``.

    >>> import tensorlite as tl
    >>> softsign(tl.tensor([-1.0, 3.0]))
    tensor([-0.5 ,  0.75])
    """
    return input / (1 + absolute(input)) if input.dtype.kind == "c" else _softsign(input)


@functional
def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``.

    >>> import tensorlite as tl
    >>> tanhshrink(tl.tensor([0.0, 1.0]))
    tensor([0.    , 0.2384])
    """
    return input - tanh(input)
