"""DCGAN: a generator of images, and a critic of them."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor

__all__ = ["DCGANDiscriminator", "DCGANGenerator"]


def _levels(caller: str, size: int) -> int:
    """How often 4 is doubled to make the size."""
    levels = (size // 4).bit_length() - 1
    if size < 8 or 4 << levels != size:
        raise complaint(ArgumentError, caller, f"size must be a power of two from 8 on, not {size}")
    return levels


def _begin(network: nn.Module) -> None:
    """Normal numbers of deviation 0.02, as in the paper."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d) and module.weight is not None and module.bias is not None:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


class DCGANGenerator(nn.Module):
    """Transposed convolutions from noise to images in [-1, 1] (Radford et al., 2016).

    ``float32[batch, noise, 1, 1]`` to ``float32[batch, channels, size, size]``; ``width`` is that of the last layer.

    >>> import tensorlite as tl
    >>> tl.models.DCGANGenerator(noise=16, width=8, channels=1, size=32)(tl.randn(2, 16, 1, 1)).shape
    (2, 1, 32, 32)
    """

    def __init__(self, noise: int = 100, width: int = 64, channels: int = 3, size: int = 64) -> None:
        super().__init__()
        levels = _levels("DCGANGenerator", size)
        widths = [width << level for level in range(levels - 1, -1, -1)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(noise, widths[0], 4, 1, 0, bias=False),
                                   nn.BatchNorm2d(widths[0]), nn.ReLU(True)]
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True)]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh())
        _begin(self)

    def forward(self, input: Tensor) -> Tensor:
        return self.main(input)


class DCGANDiscriminator(nn.Module):
    """Strided convolutions from images to one score each, above 0 for real ones.

    ``float32[batch, channels, size, size]`` to ``float32[batch]``: scores, for `binary_cross_entropy_with_logits`.

    >>> import tensorlite as tl
    >>> tl.models.DCGANDiscriminator(width=8, channels=1, size=32)(tl.zeros((2, 1, 32, 32))).shape
    (2,)
    """

    def __init__(self, width: int = 64, channels: int = 3, size: int = 64) -> None:
        super().__init__()
        levels = _levels("DCGANDiscriminator", size)
        widths = [width << level for level in range(levels)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs),
                       nn.LeakyReLU(0.2, inplace=True)]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))
        _begin(self)

    def forward(self, input: Tensor) -> Tensor:
        return self.main(input).flatten()
