"""A linear layer and the cross-entropy of its scores, as one module."""

from __future__ import annotations

from math import prod
from typing import Any

from tensorlite.nn import functional as F
from tensorlite.nn.linear import Linear
from tensorlite.nn.loss_base import WeightedLoss
from tensorlite.ops.losses.linear import check_options
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor

__all__ = ["LinearCrossEntropyLoss"]


class LinearCrossEntropyLoss(WeightedLoss):
    """The cross-entropy of the scores of a `Linear` layer within; see `functional.linear_cross_entropy`.

    ``out_features`` are the extents of the scores after their axis of classes. ``options`` are not implemented.

    >>> import tensorlite as tl
    >>> loss = tl.nn.LinearCrossEntropyLoss(5, 10, out_features=(4, 3))
    >>> loss(tl.ones(2, 5), tl.zeros(2, 4, 3, dtype=tl.int64)).shape
    ()
    """

    def __init__(self, in_features: int, num_classes: int, *, out_features: tuple[int, ...] = (), bias: bool = False,
                 device: str | None = None, dtype: Any = None, reduction: str = "mean", weight: Tensor | None = None,
                 ignore_index: int | None = None, label_smoothing: float = 0.0, options: None = None) -> None:
        check_options("LinearCrossEntropyLoss", options)
        super().__init__(weight, reduction=reduction)
        self.in_features, self.num_classes, self.out_features = in_features, num_classes, tuple(out_features)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.linear = Linear(in_features, num_classes * prod(self.out_features), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return F.linear_cross_entropy(
            input, reshape(self.linear.weight, (*shape, self.in_features)), target,
            linear_bias=None if bias is None else reshape(bias, shape), weight=self.weight, reduction=self.reduction,
            ignore_index=self.ignore_index, label_smoothing=self.label_smoothing)
