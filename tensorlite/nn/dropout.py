"""Dropout as layers: of elements and of whole channels, plain and keeping mean and variance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    """What all dropouts share: the probability, and that they do nothing unless they train."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise complaint(ArgumentError, type(self).__name__, f"p must be between 0 and 1, not {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zeroes elements with probability ``p`` while training, and scales the others up; see `functional.dropout`."""

    function = F.dropout


class Dropout1d(_Dropout):
    """Zeroes whole channels of sequences while training; see `functional.dropout1d`."""

    function = F.dropout1d


class Dropout2d(_Dropout):
    """Zeroes whole channels of images while training; see `functional.dropout2d`."""

    function = F.dropout2d


class Dropout3d(_Dropout):
    """Zeroes whole channels of volumes while training; see `functional.dropout3d`."""

    function = F.dropout3d


class AlphaDropout(_Dropout):
    """Puts elements to SELU's lower end while training, and keeps mean and variance; see `functional.alpha_dropout`."""

    function = F.alpha_dropout


class FeatureAlphaDropout(_Dropout):
    """Puts whole channels to SELU's lower end while training; see `functional.feature_alpha_dropout`."""

    function = F.feature_alpha_dropout
