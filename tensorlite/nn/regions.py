"""Layers that bring regions of images to one size."""

from __future__ import annotations

from collections.abc import Sequence

from tensorlite.nn.module import Module
from tensorlite.ops.images.regions import roi_align, roi_pool
from tensorlite.tensor import Tensor

__all__ = ["RoIAlign", "RoIPool"]

Size = int | tuple[int, int]


class RoIAlign(Module):
    """Averages of samples in regions of images; see `tl.roi_align`. The signature is torchvision's.

    >>> import tensorlite as tl
    >>> layer = tl.nn.RoIAlign((7, 7), spatial_scale=0.25, sampling_ratio=2)
    >>> layer(tl.zeros((1, 8, 16, 16)), [tl.tensor([[0.0, 0.0, 40.0, 50.0]])]).shape
    (1, 8, 7, 7)
    """

    def __init__(self, output_size: Size, spatial_scale: float, sampling_ratio: int, aligned: bool = False) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        return (f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
                f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}")


class RoIPool(Module):
    """Maxima in regions of images; see `tl.roi_pool`. The signature is torchvision's.

    >>> import tensorlite as tl
    >>> tl.nn.RoIPool(2, 1.0)(tl.zeros((1, 8, 16, 16)), tl.tensor([[0.0, 0.0, 0.0, 4.0, 5.0]])).shape
    (1, 8, 2, 2)
    """

    def __init__(self, output_size: Size, spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
