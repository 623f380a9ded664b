"""Layers that move elements between channels and places, and windows of images to columns and back."""

from __future__ import annotations

from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold"]

Size = int | tuple[int, int]


class PixelShuffle(Module):
    """Every ``r * r`` channels as one of images ``r`` times as high and wide; see `functional.pixel_shuffle`.

    >>> import tensorlite as tl
    >>> tl.nn.PixelShuffle(3)(tl.zeros((1, 9, 4, 4))).shape
    (1, 1, 12, 12)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The inverse of `PixelShuffle`; see `functional.pixel_unshuffle`.

    >>> import tensorlite as tl
    >>> tl.nn.PixelUnshuffle(3)(tl.zeros((1, 1, 12, 12))).shape
    (1, 9, 4, 4)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels dealt out anew, one of each group after the other; see `functional.channel_shuffle`.

    >>> import tensorlite as tl
    >>> tl.nn.ChannelShuffle(2)(tl.arange(4).reshape(1, 4, 1)).flatten()
    tensor([0, 2, 1, 3])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Unfold(Module):
    """The elements of every window of images, a column for each window; see `functional.unfold`.

    >>> import tensorlite as tl
    >>> tl.nn.Unfold(3, padding=1)(tl.zeros((2, 4, 5, 6))).shape
    (2, 36, 30)
    """

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
                f"stride={self.stride}")


class Fold(Module):
    """Images from the columns of their windows, overlaps added up; see `functional.fold`.

    >>> import tensorlite as tl
    >>> tl.nn.Fold((5, 6), 3, padding=1)(tl.zeros((2, 36, 30))).shape
    (2, 4, 5, 6)
    """

    def __init__(self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0,
                 stride: Size = 1) -> None:
        super().__init__()
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
                f"padding={self.padding}, stride={self.stride}")
