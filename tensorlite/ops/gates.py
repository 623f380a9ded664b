"""Activations over an axis: gates, softmin, and samples of Gumbel's softmax."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import PUBLIC, functional
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.ops.axes import one_axis
from tensorlite.ops.elementwise import equal, log, log1p, maximum, negative, sigmoid
from tensorlite.ops.shape import astype
from tensorlite.ops.softmax import softmax
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, float32, float64

__all__ = ["glu", "gumbel_softmax", "softmin"]


@functional
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)``, where ``a`` and ``b`` are the halves of the input along an axis: the gated linear unit.

    Raises `ShapeError` for an axis of odd extent, and for a tensor without axes. Dauphin et al., "Language modeling
    with gated convolutional networks", 2016.

    >>> import tensorlite as tl
    >>> glu(tl.tensor([2.0, 3.0, 0.0, 0.0]))
    tensor([1. , 1.5])
    """
    if input.ndim == 0:
        raise complaint(ShapeError, "glu", "a number has no halves", {"input": input}, "give a tensor with an axis")
    axis = one_axis("glu", input, dim)
    if input.shape[axis] % 2:
        raise complaint(ShapeError, "glu", f"axis {axis} has {input.shape[axis]} elements, which do not halve",
                        {"input": input}, "the extent must be even")
    half, before = input.shape[axis] // 2, (slice(None),) * axis
    return input[(*before, slice(0, half))] * sigmoid(input[(*before, slice(half, None))])


@functional
def softmin(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """``exp(-input) / sum(exp(-input))`` along an axis, without overflow; ``dtype`` casts first.

    >>> import tensorlite as tl
    >>> softmin(tl.tensor([0.0, 0.0, 1000.0]), 0)
    tensor([0.5, 0.5, 0. ])
    """
    return softmax(negative(input), dim, dtype=dtype)


@functional
def gumbel_softmax(logits: Tensor, tau: float = 1.0, hard: bool = False, *, dim: int = -1,
                   generator: Any = None) -> Tensor:
    """A sample of the Gumbel-softmax distribution along an axis: ``softmax((logits + gumbel noise) / tau)``.

    ``hard`` gives one-hot vectors, whose derivative is that of the soft sample. Jang et al., "Categorical
    reparameterization with Gumbel-softmax"; Maddison et al., "The concrete distribution", both 2016. Raises
    `DTypeError` for logits that are not floating.

    >>> import tensorlite as tl
    >>> sample = gumbel_softmax(tl.zeros((2, 3)), hard=True)
    >>> sample.sum(axis=1)
    tensor([1., 1.])
    """
    if logits.dtype not in FLOATS:
        raise complaint(DTypeError, "gumbel_softmax", f"takes real floating dtypes, not {logits.dtype.name}",
                        {"logits": logits}, "cast them first: logits.to(tl.float32)")
    axis = one_axis("gumbel_softmax", logits, dim)
    soft = softmax((logits + _gumbel(logits, generator)) / tau, axis)
    if not hard:
        return soft
    chosen = PUBLIC["argmax"](soft, axis=axis, keepdims=True)
    places = PUBLIC["arange"](logits.shape[axis]).reshape((-1,) + (1,) * (logits.ndim - 1 - axis))
    return astype(equal(places, chosen), soft.dtype) - soft.detach() + soft


def _gumbel(logits: Tensor, generator: Any) -> Tensor:
    """Gumbel noise ``-log(-log(u))`` in the shape and dtype of the logits; ``u`` is never 0 or 1."""
    wide = float64 if logits.dtype == float64 else float32
    drawn = PUBLIC["rand"](logits.shape, dtype=wide, generator=generator)
    exponential = negative(log1p(negative(maximum(drawn, 2.0**-54 if wide == float64 else 2.0**-25))))
    return astype(negative(log(exponential)), logits.dtype, copy=False)
