"""Activations over an axis: gates, softmin and samples of Gumbel's softmax; vectors scaled to length 1."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.declare import PUBLIC, functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.axes import one_axis
from tensorlite.ops.elementwise import abs, equal, log, log1p, maximum, negative, not_equal, pow, sigmoid, square, where
from tensorlite.ops.reduce import deviation
from tensorlite.ops.shape import astype
from tensorlite.ops.softmax import softmax
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, float32, float64

__all__ = ["glu", "gumbel_softmax", "normalize", "softmin"]


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


@functional
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``input / max(norm, eps)`` with the ``p``-norms along an axis (or several, as a tuple).

    The derivative of a norm that is 0 is 0. Raises `DTypeError` for what is not real and floating.

    >>> import tensorlite as tl
    >>> normalize(tl.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6, 0.8],
            [0. , 0. ]])
    """
    if input.dtype not in FLOATS:
        raise complaint(DTypeError, "normalize", f"takes real floating dtypes, not {input.dtype.name}",
                        {"input": input}, "cast it first: input.to(tl.float32)")
    if not isinstance(p, int | float):
        raise complaint(ArgumentError, "normalize", f"p is a number, not {type(p).__name__}", {"input": input})
    return input / PUBLIC["clip"](_norm(input, float(p), dim), min=eps)


def _norm(x: Tensor, p: float, axis: Any) -> Tensor:
    """The p-norm along axes that are kept."""
    if p == math.inf:
        return PUBLIC["max"](abs(x), axis=axis, keepdims=True)
    if p == -math.inf:
        return PUBLIC["min"](abs(x), axis=axis, keepdims=True)
    if p == 0:
        return PUBLIC["sum"](astype(not_equal(x, 0), x.dtype), axis=axis, keepdims=True)
    if p == 2:
        return deviation(PUBLIC["sum"](square(x), axis=axis, keepdims=True))
    total = PUBLIC["sum"](abs(x) if p == 1 else pow(abs(x), p), axis=axis, keepdims=True)
    return total if p == 1 else where(equal(total, 0), 0, pow(where(equal(total, 0), 1, total), 1 / p))
