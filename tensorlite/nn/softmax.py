"""Activations over an axis as layers: softmax and its kin, and the gated linear unit."""

from __future__ import annotations

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["GLU", "LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


class _AlongAxis(Module):
    """What softmax, softmin and log_softmax share: the axis, which must be given."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        if dim is None:
            raise complaint(ArgumentError, type(self).__name__, "the axis is missing", None,
                            f"nn.{type(self).__name__}(dim=-1)")
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    """``exp(input) / sum(exp(input))`` along an axis; see `functional.softmax`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongAxis):
    """The logarithm of softmax along an axis; see `functional.log_softmax`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class Softmin(_AlongAxis):
    """The softmax of the negative input along an axis; see `functional.softmin`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """The softmax over channels, at each place of images; raises `ShapeError` for what has not 3 or 4 axes.

    input: [batch, channels, height, width], or without the batch.

    >>> import tensorlite as tl
    >>> tl.nn.Softmax2d()(tl.zeros((1, 4, 1, 1))).tolist()
    [[[[0.25]], [[0.25]], [[0.25]], [[0.25]]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise complaint(ShapeError, "Softmax2d", f"expects 3 or 4 axes, not {input.ndim}", {"input": input})
        return F.softmax(input, -3)


class GLU(Module):
    """``a * sigmoid(b)`` of the halves along an axis; see `functional.glu`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
