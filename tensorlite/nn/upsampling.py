"""Layers that bring sequences, images and volumes to another size."""

from __future__ import annotations

from typing import Any

from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]

Size = int | tuple[int, ...]
Factor = float | tuple[float, ...]


class Upsample(Module):
    """Interpolates to ``size``, or by ``scale_factor``; see `functional.interpolate`.

    >>> import tensorlite as tl
    >>> tl.nn.Upsample(scale_factor=2)(tl.zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, size: Size | None = None, scale_factor: Factor | None = None, mode: str = "nearest",
                 align_corners: bool | None = None, recompute_scale_factor: bool | None = None) -> None:
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor: Any = (tuple(map(float, scale_factor)) if isinstance(scale_factor, tuple)
                                  else float(scale_factor) if scale_factor else None)
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners,
                             self.recompute_scale_factor)

    def extra_repr(self) -> str:
        how = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{how}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Brings images to another size by their nearest pixels; see `functional.interpolate`.

    >>> import tensorlite as tl
    >>> tl.nn.UpsamplingNearest2d(scale_factor=2)(tl.zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, size: Size | None = None, scale_factor: Factor | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Brings images to another size, bilinear with their corners aligned; see `functional.interpolate`.

    >>> import tensorlite as tl
    >>> tl.nn.UpsamplingBilinear2d(size=(8, 8))(tl.zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 8)
    """

    def __init__(self, size: Size | None = None, scale_factor: Factor | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
