"""Layers that leave whole residual branches out at random while training."""

from __future__ import annotations

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["DropPath", "StochasticDepth"]


class StochasticDepth(Module):
    """Zeroes its input, or single samples of it, with probability ``p``; see `functional.stochastic_depth`.

    >>> import tensorlite as tl
    >>> tl.nn.StochasticDepth(0.2, "row")
    StochasticDepth(p=0.2, mode=row)
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise complaint(ArgumentError, "StochasticDepth", f"p must be between 0 and 1, not {p}")
        if mode not in ("batch", "row"):
            raise complaint(ArgumentError, "StochasticDepth", f"mode must be 'batch' or 'row', not {mode!r}")
        self.p, self.mode = p, mode

    def forward(self, input: Tensor) -> Tensor:
        return F.stochastic_depth(input, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"


class DropPath(Module):
    """Zeroes single samples with probability ``drop_prob``, by timm's names; see `functional.drop_path`.

    >>> import tensorlite as tl
    >>> tl.nn.DropPath(0.1)
    DropPath(drop_prob=0.100)
    """

    def __init__(self, drop_prob: float = 0.0, scale_by_keep: bool = True) -> None:
        super().__init__()
        if not 0.0 <= drop_prob <= 1.0:
            raise complaint(ArgumentError, "DropPath", f"drop_prob must be between 0 and 1, not {drop_prob}")
        self.drop_prob, self.scale_by_keep = drop_prob, scale_by_keep

    def forward(self, x: Tensor) -> Tensor:
        return F.drop_path(x, self.drop_prob, self.training, self.scale_by_keep)

    def extra_repr(self) -> str:
        return f"drop_prob={round(self.drop_prob, 3):0.3f}"
