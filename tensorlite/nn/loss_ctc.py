"""Connectionist temporal classification, as a module."""

from __future__ import annotations

from collections.abc import Sequence

from tensorlite.nn import functional as F
from tensorlite.nn.loss_base import Loss
from tensorlite.tensor import Tensor

__all__ = ["CTCLoss"]

Lengths = Tensor | Sequence[int] | int


class CTCLoss(Loss):
    """The loss of label sequences that were not aligned with the input; see `functional.ctc_loss`.

    >>> import tensorlite as tl
    >>> log_probs = tl.log_softmax(tl.zeros((3, 1, 2)), axis=2)
    >>> tl.nn.CTCLoss()(log_probs, tl.tensor([[1]]), (3,), (1,))
    tensor(0.2877)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths) -> Tensor:
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction,
                          self.zero_infinity)
