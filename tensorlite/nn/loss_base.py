"""What the modules of losses share: how they are reduced, and what they weigh."""

from __future__ import annotations

from tensorlite.nn.module import Module
from tensorlite.ops.losses.reduction import REDUCTIONS, check_reduction
from tensorlite.tensor import Tensor


class Loss(Module):
    """A loss that is reduced to its mean or sum, or not at all."""

    reductions: tuple[str, ...] = REDUCTIONS

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction, self.reductions)
        self.reduction = reduction


class WeightedLoss(Loss):
    """A loss with a weight for each class or element, which is a buffer."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)
