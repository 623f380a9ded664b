"""Rectifiers as layers; `ops.rectifiers` holds them as functions."""

from __future__ import annotations

from typing import Any

from tensorlite.nn import functional as F
from tensorlite.nn import init as initial
from tensorlite.nn.activation import InPlace, and_in_place
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.filled import empty
from tensorlite.tensor import Tensor

__all__ = ["CELU", "ELU", "SELU", "LeakyReLU", "PReLU", "RReLU", "ReLU", "Threshold"]


class ReLU(InPlace):
    """``max(input, 0)``; see `functional.relu`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class LeakyReLU(Module):
    """``input`` above 0, else ``negative_slope * input``; see `functional.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return and_in_place(f"negative_slope={self.negative_slope}", self.inplace)


class PReLU(Module):
    """``input`` above 0, else ``weight * input`` with a learned slope, or one a channel; see `functional.prelu`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.PReLU(2)
    >>> layer(tl.tensor([[-1.0, 1.0]])).detach()
    tensor([[-0.25,  1.  ]])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(empty((num_parameters,), dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets every slope to ``init``."""
        initial.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """A leaky ReLU whose slopes are drawn while training, and their mean otherwise; see `functional.rrelu`."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return and_in_place(f"lower={self.lower}, upper={self.upper}", self.inplace)


class ELU(Module):
    """``input`` above 0, else ``alpha * (exp(input) - 1)``; see `functional.elu`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return and_in_place(f"alpha={self.alpha}", self.inplace)


class SELU(InPlace):
    """An ELU whose constants keep mean 0 and variance 1; see `functional.selu`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class CELU(Module):
    """``input`` above 0, else ``alpha * (exp(input / alpha) - 1)``; see `functional.celu`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return and_in_place(f"alpha={self.alpha}", self.inplace)


class Threshold(Module):
    """``input`` above the threshold, else ``value``; see `functional.threshold`."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return and_in_place(f"threshold={self.threshold}, value={self.value}", self.inplace)
