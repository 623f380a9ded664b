"""Activations as functions of `nn.functional`; the elementwise ones without options are declared in `elementwise`."""

from __future__ import annotations

from tensorlite.declare import elementwise, functional
from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import gelu as _gelu
from tensorlite.ops.elementwise import gelu_tanh as _gelu_tanh
from tensorlite.ops.elementwise import relu as _relu
from tensorlite.ops.elementwise import silu as _silu
from tensorlite.tensor import Tensor

__all__ = ["elu", "gelu", "leaky_relu", "relu", "silu", "softplus"]


@elementwise(accepts="real floating", hidden=True, domain={"slope": (0.01, 0.3)})
def leaky_relu_by(x, slope):
    """``x`` above 0, else ``slope * x``; the derivative at 0 is the slope."""
    return s.where(x > 0, x, x * slope)


@elementwise(accepts="real floating", hidden=True, domain={"alpha": (0.5, 2.0)},
             vjp={"x": lambda g, y, x, alpha: s.where(x > 0, g, g * (y + alpha))})
def elu_by(x, alpha):
    """``x`` above 0, else ``alpha * (exp(x) - 1)``."""
    return s.where(x > 0, x, alpha * s.expm1(x))


@elementwise(accepts="real floating", hidden=True, domain={"beta": (0.5, 2.0), "threshold": (20.0, 30.0)},
             vjp={"x": lambda g, x, beta, threshold: s.where(x * beta > threshold, g, g / (1 + s.exp(-x * beta)))})
def softplus_by(x, beta, threshold):
    """``log(1 + exp(beta * x)) / beta``, or ``x`` where ``beta * x`` is above the threshold."""
    return s.where(x * beta > threshold, x, (s.maximum(x * beta, 0) + s.log1p(s.exp(-s.abs(x * beta)))) / beta)


def _kept(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result, to which ``inplace`` rebinds the input."""
    return input.copy_(result) if inplace else result


@functional
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """The positive part ``max(input, 0)``; its derivative at 0 is 0. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> relu(tl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _kept(input, _relu(input), inplace)


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
    return _gelu(input) if approximate == "none" else _gelu_tanh(input)


@functional
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> silu(tl.tensor([0.0]))
    tensor([0.])
    """
    return _kept(input, _silu(input), inplace)


@functional
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``negative_slope * input``. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> leaky_relu(tl.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    return _kept(input, leaky_relu_by(input, negative_slope), inplace)


@functional
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``alpha * (exp(input) - 1)``. ``inplace`` rebinds the input to it.

    Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2015.

    >>> import tensorlite as tl
    >>> elu(tl.tensor([0.0, 2.0]))
    tensor([0., 2.])
    """
    return _kept(input, elu_by(input, alpha), inplace)


@functional
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``, or ``input`` where ``beta * input`` is above the threshold.

    >>> import tensorlite as tl
    >>> softplus(tl.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.    ])
    """
    return softplus_by(input, beta, threshold)
