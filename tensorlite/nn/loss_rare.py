"""Losses for targets that are rare, as modules."""

from __future__ import annotations

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.loss_base import Loss, WeightedLoss
from tensorlite.tensor import Tensor

__all__ = ["DiceLoss", "FocalLoss", "SigmoidFocalLoss"]


class FocalLoss(WeightedLoss):
    """The cross-entropy of scores that spares what is easy; see `functional.focal_loss`.

    >>> import tensorlite as tl
    >>> tl.nn.FocalLoss(gamma=0.0)(tl.zeros((1, 2)), tl.tensor([0]))
    tensor(0.6931)
    """

    def __init__(self, weight: Tensor | None = None, *, gamma: float = 2.0, ignore_index: int = -100,
                 reduction: str = "mean") -> None:
        super().__init__(weight, reduction=reduction)
        if gamma < 0:
            raise complaint(ArgumentError, "FocalLoss", f"gamma must be 0 or more, not {gamma}")
        self.gamma, self.ignore_index = gamma, ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.focal_loss(input, target, self.weight, gamma=self.gamma, ignore_index=self.ignore_index,
                            reduction=self.reduction)


class SigmoidFocalLoss(Loss):
    """The binary cross-entropy of scores that spares what is easy; see `functional.sigmoid_focal_loss`."""

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.alpha, self.gamma = alpha, gamma

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return F.sigmoid_focal_loss(inputs, targets, self.alpha, self.gamma, self.reduction)


class DiceLoss(Loss):
    """How little the regions of images overlap; see `functional.dice_loss`."""

    def __init__(self, *, smooth: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.smooth = smooth

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.dice_loss(input, target, smooth=self.smooth, reduction=self.reduction)
