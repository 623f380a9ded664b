"""Dropout: zeroing elements at random, and scaling the others up for it."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import PUBLIC, elementwise, public
from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import greater_equal
from tensorlite.tensor import Tensor

__all__ = ["dropout"]


@elementwise(accepts="real floating", conditions=("kept",), hidden=True,
             vjp={"x": lambda g, kept, scale: s.where(kept, g * scale, 0)})
def keep_scaled(kept, x, scale):
    """``x * scale`` where it is kept, else 0; no cotangent, however large, comes back from elsewhere."""
    return s.where(kept, x * scale, 0)


@public(method=False)
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
            generator: Any = None) -> Tensor:
    """Zeroes each element with probability ``p`` and divides the others by ``1 - p``; nothing unless ``training``.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014. ``inplace`` rebinds
    the input to the result.

    >>> import tensorlite as tl
    >>> tl.dropout(tl.ones(2), p=0.5, training=False)
    tensor([1., 1.])
    """
    if not 0.0 <= p <= 1.0:
        raise complaint(ArgumentError, "dropout", f"p must be between 0 and 1, not {p}")
    result = input
    if training and p > 0.0:
        kept = greater_equal(PUBLIC["rand"](input.shape, generator=generator), p)
        result = keep_scaled(kept, input, 1.0 / (1.0 - p) if p < 1.0 else 0.0)
    return input.copy_(result) if inplace else result
