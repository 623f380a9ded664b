"""The cross-entropy of scores that a linear map gives, in one call."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.linear import linear
from tensorlite.ops.losses.classes import cross_entropy
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor

__all__ = ["linear_cross_entropy"]


def check_options(op: str, options: Any) -> None:
    """Raises `ArgumentError` for a way to compute in chunks, of which there is none here."""
    if options is not None:
        raise complaint(ArgumentError, op, "options of chunks are not implemented", {"options": options},
                        "leave options out, and checkpoint the call where its scores take too much memory")


@functional
def linear_cross_entropy(input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
                         weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
                         label_smoothing: float = 0.0, options: None = None) -> Tensor:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)``.

    input: [batch, features] or [features]; linear_weight: [classes, ..., features]; linear_bias: [classes, ...];
    target: as `cross_entropy` takes it for scores [batch, classes, ...]. ``ignore_index`` is -100 where None is given.
    Raises `ShapeError` where axes between classes and features meet an input without a batch, `ArgumentError` for
    ``options``, which are not implemented.

    >>> import tensorlite as tl
    >>> linear_cross_entropy(tl.ones(1, 3), tl.zeros(2, 3), tl.tensor([0]))
    tensor(0.6931)
    """
    check_options("linear_cross_entropy", options)
    classes = linear_weight.shape[:-1]
    if len(classes) > 1 and input.ndim != 2:
        raise complaint(ShapeError, "linear_cross_entropy", "scores of several axes need a batch of inputs",
                        {"input": input, "linear_weight": linear_weight})
    bias = None if linear_bias is None else reshape(linear_bias, (-1,))
    scores = linear(input, reshape(linear_weight, (-1, linear_weight.shape[-1])), bias)
    if len(classes) > 1:
        scores = reshape(scores, (input.shape[0], *classes))
    return cross_entropy(scores, target, weight, ignore_index=-100 if ignore_index is None else ignore_index,
                         reduction=reduction, label_smoothing=label_smoothing)
