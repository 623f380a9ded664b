"""Rectifiers: activations that let what is above 0 through, and do something else with the rest."""

from __future__ import annotations

from tensorlite.declare import PUBLIC, elementwise, functional
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.activation import kept, rebinding
from tensorlite.ops.elementwise import less_equal, where
from tensorlite.ops.elementwise import relu as _relu
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import floating_dtype

__all__ = ["celu", "celu_", "elu", "elu_", "leaky_relu", "leaky_relu_", "prelu", "relu", "relu_", "rrelu", "rrelu_",
           "selu", "selu_", "threshold", "threshold_"]

#: What makes mean 0 and variance 1 a fixed point of layers with `selu` (Klambauer et al., 2017).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@elementwise(accepts="real floating", hidden=True, domain={"slope": (0.01, 0.3)})
def leaky_relu_by(x, slope):
    """``x`` above 0, else ``slope * x``; the derivative at 0 is the slope."""
    return s.where(x > 0, x, x * slope)


@elementwise(accepts="real floating", hidden=True, domain={"alpha": (0.5, 2.0)},
             vjp={"x": lambda g, y, x, alpha: s.where(x <= 0, g * (y + alpha), g)})
def elu_by(x, alpha):
    """``x`` above 0, else ``alpha * (exp(x) - 1)``."""
    return s.where(x > 0, x, alpha * s.expm1(x))


@elementwise(accepts="real floating", hidden=True, domain={"alpha": (0.5, 2.0)},
             vjp={"x": lambda g, x, alpha: s.where(x <= 0, g * s.exp(x / alpha), g)})
def celu_by(x, alpha):
    """``x`` above 0, else ``alpha * (exp(x / alpha) - 1)``, whose slope at 0 is 1 on both sides."""
    return s.where(x > 0, x, alpha * s.expm1(x / alpha))


@functional
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """The positive part ``max(input, 0)``; its derivative at 0 is 0. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> relu(tl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return kept(input, _relu(input), inplace)


@functional
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``negative_slope * input``. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> leaky_relu(tl.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    return kept(input, leaky_relu_by(input, negative_slope), inplace)


@functional
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``input`` above 0, else ``weight * input``, with one learned slope, or one a channel (axis 1).

    He et al., "Delving deep into rectifiers", 2015. Raises `ShapeError` where the slopes are neither one nor as many
    as the channels; a vector has one channel.

    >>> import tensorlite as tl
    >>> prelu(tl.tensor([[-1.0, -1.0]]), tl.tensor([0.5, 2.0]))
    tensor([[-0.5, -2. ]])
    """
    if weight.ndim > 1:
        raise complaint(ShapeError, "prelu", "weight has one axis or none", {"input": input, "weight": weight})
    if weight.size == 1:
        return leaky_relu_by(input, reshape(weight, ()))
    channels = input.shape[1] if input.ndim > 1 else 1
    if input.ndim == 0 or weight.size != channels:
        raise complaint(ShapeError, "prelu", f"weight has {weight.size} slopes, input {channels} channels",
                        {"input": input, "weight": weight}, "give one slope, or one for each extent of axis 1")
    return leaky_relu_by(input, reshape(weight, (-1,) + (1,) * (input.ndim - 2)))


@functional
def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
          inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``slope * input``, while training with a slope of ``[lower, upper)`` for each number.

    Otherwise the slope is the mean of both. ``inplace`` rebinds the input to it. Raises `ArgumentError` where
    ``lower`` exceeds ``upper``. Xu et al., "Empirical evaluation of rectified activations", 2015.

    >>> import tensorlite as tl
    >>> rrelu(tl.tensor([-1.0, 2.0]), 0.25, 0.75)
    tensor([-0.5,  2. ])
    """
    if lower > upper:
        raise complaint(ArgumentError, "rrelu", f"lower must not exceed upper, but {lower} > {upper}",
                        {"input": input})
    slope = (lower + upper) / 2
    if training:
        slope = PUBLIC["rand"](input.shape, dtype=floating_dtype(input.dtype)) * (upper - lower) + lower
    return kept(input, leaky_relu_by(input, slope), inplace)


@functional
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``alpha * (exp(input) - 1)``. ``inplace`` rebinds the input to it.

    Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2015.

    >>> import tensorlite as tl
    >>> elu(tl.tensor([0.0, 2.0]))
    tensor([0., 2.])
    """
    return kept(input, elu_by(input, alpha), inplace)


@functional
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``scale * elu(input, alpha)`` with the two constants that keep mean 0 and variance 1 from layer to layer.

    ``inplace`` rebinds the input to it. Klambauer et al., "Self-normalizing neural networks", 2017.

    >>> import tensorlite as tl
    >>> selu(tl.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return kept(input, elu_by(input, SELU_ALPHA) * SELU_SCALE, inplace)


@functional
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` above 0, else ``alpha * (exp(input / alpha) - 1)``. ``inplace`` rebinds the input to it.

    Raises `ArgumentError` for an ``alpha`` of 0. Barron, "Continuously differentiable exponential linear units", 2017.

    >>> import tensorlite as tl
    >>> celu(tl.tensor([-2.0, 2.0]), 2.0)
    tensor([-1.2642,  2.    ])
    """
    if alpha == 0:
        raise complaint(ArgumentError, "celu", "alpha cannot be 0", {"input": input})
    return kept(input, celu_by(input, alpha), inplace)


@functional
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` above the threshold, else ``value``; NaN stays. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> F = tl.nn.functional
    >>> F.threshold(tl.tensor([0.0, 1.0, 2.0]), 1.0, 20.0)
    tensor([20., 20.,  2.])
    """
    if input.dtype.kind in "iu":
        threshold, value = int(threshold), int(value)
    return kept(input, where(less_equal(input, threshold), value, input), inplace)


relu_ = rebinding(relu)
leaky_relu_ = rebinding(leaky_relu)
rrelu_ = rebinding(rrelu)
elu_ = rebinding(elu)
selu_ = rebinding(selu)
celu_ = rebinding(celu)
threshold_ = rebinding(threshold)
