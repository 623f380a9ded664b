"""Losses of scores for classes, as modules."""

from __future__ import annotations

from tensorlite.nn import functional as F
from tensorlite.nn.loss_base import WeightedLoss
from tensorlite.tensor import Tensor

__all__ = ["CrossEntropyLoss", "NLLLoss", "NLLLoss2d"]


class CrossEntropyLoss(WeightedLoss):
    """The cross-entropy of scores with class indices or probabilities; see `functional.cross_entropy`.

    >>> import tensorlite as tl
    >>> tl.nn.CrossEntropyLoss()(tl.zeros((1, 2)), tl.tensor([0]))
    tensor(0.6931)
    """

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean",
                 label_smoothing: float = 0.0) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
                               label_smoothing=self.label_smoothing)


class NLLLoss(WeightedLoss):
    """The negative log likelihood of log probabilities; see `functional.nll_loss`."""

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """`NLLLoss` by an older name, of images."""
