"""Layers as functions: what the modules of `tensorlite.nn` call."""

from __future__ import annotations

from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.activation import elu_by, leaky_relu_by, softplus_by
from tensorlite.ops.attention import scaled_dot_product_attention
from tensorlite.ops.conv import conv2d
from tensorlite.ops.conv_dimensions import conv1d, conv3d
from tensorlite.ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from tensorlite.ops.dropout import dropout
from tensorlite.ops.elementwise import gelu as _gelu
from tensorlite.ops.elementwise import gelu_tanh as _gelu_tanh
from tensorlite.ops.elementwise import relu as _relu
from tensorlite.ops.elementwise import sigmoid, tanh
from tensorlite.ops.elementwise import silu as _silu
from tensorlite.ops.embedding import embedding
from tensorlite.ops.linear import linear
from tensorlite.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
)
from tensorlite.ops.norm import batch_norm, layer_norm
from tensorlite.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tensorlite.ops.scatter import one_hot
from tensorlite.ops.softmax import log_softmax, softmax
from tensorlite.tensor import Tensor

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "cross_entropy", "dropout", "elu", "embedding", "gelu", "l1_loss", "layer_norm", "leaky_relu", "linear",
    "log_softmax",
    "max_pool2d", "mse_loss", "nll_loss", "one_hot", "relu", "scaled_dot_product_attention",
    "sigmoid", "silu", "softmax", "softplus", "tanh",
]


def _kept(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result, to which ``inplace`` rebinds the input."""
    return input.copy_(result) if inplace else result


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """The positive part ``max(input, 0)``; its derivative at 0 is 0. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> relu(tl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _kept(input, _relu(input), inplace)


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


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> silu(tl.tensor([0.0]))
    tensor([0.])
    """
    return _kept(input, _silu(input), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``negative_slope * input``. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> leaky_relu(tl.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    return _kept(input, leaky_relu_by(input, negative_slope), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``alpha * (exp(input) - 1)``. ``inplace`` rebinds the input to it.

    Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2015.

    >>> import tensorlite as tl
    >>> elu(tl.tensor([0.0, 2.0]))
    tensor([0., 2.])
    """
    return _kept(input, elu_by(input, alpha), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``, or ``input`` where ``beta * input`` is above the threshold.

    >>> import tensorlite as tl
    >>> softplus(tl.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.    ])
    """
    return softplus_by(input, beta, threshold)
