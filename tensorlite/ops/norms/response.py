"""Normalisation of each place by the channels near by."""

from __future__ import annotations

import math

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.elementwise import pow, square
from tensorlite.ops.pools.average import avg_pool2d
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

__all__ = ["local_response_norm"]


@functional(autocast="wide")
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha * mean)**beta`` with the mean of the squares of ``size`` neighbouring channels, zeros outside.

    Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012, where alpha is that
    over ``size``. input: [batch, channels, length, ...]; the window of a channel begins ``size // 2`` before it. Raises
    `ShapeError` for fewer than three axes, `ArgumentError` for windows of no channel.

    >>> import tensorlite as tl
    >>> local_response_norm(tl.ones((1, 3, 1)), 3, alpha=3.0, beta=1.0).reshape(3)
    tensor([0.3333, 0.25  , 0.3333])
    """
    if input.ndim < 3:
        raise complaint(ShapeError, "local_response_norm", "the input must be [batch, channels, length, ...]",
                        {"input": input})
    if size < 1:
        raise complaint(ArgumentError, "local_response_norm", f"a window has 1 channel or more, not {size}")
    if not input.size:
        return input
    batch, channels = input.shape[:2]
    squares = _reshape(square(input), shape=(batch, 1, channels, math.prod(input.shape[2:])))
    means = avg_pool2d(squares, (size, 1), stride=1, padding=(size // 2, 0))[:, :, :channels]
    return input / pow(k + alpha * _reshape(means, shape=input.shape), beta)
