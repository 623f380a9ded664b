"""Piecewise activations as layers; `ops.piecewise` holds them as functions."""

from __future__ import annotations

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.activation import InPlace, and_in_place
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "ReLU6", "Softshrink"]


class Hardtanh(Module):
    """``input`` between two bounds; see `functional.hardtanh`. Raises `ArgumentError` unless the upper is larger."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not max_val > min_val:
            raise complaint(ArgumentError, "Hardtanh", f"max_val must exceed min_val, but {max_val} <= {min_val}")
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return and_in_place(f"min_val={self.min_val}, max_val={self.max_val}", self.inplace)


class ReLU6(InPlace):
    """``min(max(input, 0), 6)``; see `functional.relu6`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace)


class _Silent(InPlace):
    """An activation that does not show whether it rebinds its input."""

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(_Silent):
    """``min(max(input + 3, 0), 6) / 6``; see `functional.hardsigmoid`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_Silent):
    """``input * hardsigmoid(input)``; see `functional.hardswish`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class _Shrink(Module):
    """What the shrinking layers share: how far they shrink."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """``input`` where its size exceeds ``lambd``, else 0; see `functional.hardshrink`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """``input`` brought nearer to 0 by ``lambd``; see `functional.softshrink`. A negative ``lambd`` is refused."""

    def __init__(self, lambd: float = 0.5) -> None:
        if not lambd >= 0:
            raise complaint(ArgumentError, "Softshrink", f"lambd must be 0 or more, not {lambd}")
        super().__init__(lambd)

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)
