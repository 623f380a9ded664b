"""U-Net."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.ops.join import concat
from tensorlite.tensor import Tensor

__all__ = ["UNet"]


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each with ReLU, and with batch norm if that is wanted."""

    def __init__(self, inputs: int, outputs: int, padding: int, batch_norm: bool) -> None:
        layers: list[nn.Module] = []
        for source in (inputs, outputs):
            layers.append(nn.Conv2d(source, outputs, 3, padding=padding, bias=not batch_norm))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers.append(nn.ReLU())
        super().__init__(*layers)


class UNet(nn.Module):
    """A path down, a path up, and at each size what was seen on the way down (Ronneberger et al., 2015).

    ``float32[batch, in_channels, height, width]`` to ``float32[batch, num_classes, height, width]``, where both extents
    are multiples of ``2**depth``. The paper's own form is ``UNet(1, 2, padding=0, batch_norm=False)``, whose images
    lose their borders: 572x572 to 388x388, of 31 million numbers.

    >>> import tensorlite as tl
    >>> tl.models.UNet(3, 2, width=4, depth=2)(tl.zeros((1, 3, 16, 24))).shape
    (1, 2, 16, 24)
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 2, width: int = 64, depth: int = 4, padding: int = 1,
                 batch_norm: bool = True) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList(DoubleConv(inputs, outputs, padding, batch_norm)
                                  for inputs, outputs in zip([in_channels, *widths], widths, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * outputs, outputs, 2, 2) for outputs in widths[-2::-1])
        self.merge = nn.ModuleList(DoubleConv(2 * outputs, outputs, padding, batch_norm) for outputs in widths[-2::-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            seen.append(x)
        for up, merge, kept in zip(self.up, self.merge, seen[-2::-1], strict=True):
            x = up(x)
            x = merge(concat([_centre(kept, x), x], axis=1))
        return self.head(x)


def _centre(kept: Tensor, x: Tensor) -> Tensor:
    """The middle of an image, of the size of another one."""
    top, left = ((n - m) // 2 for n, m in zip(kept.shape[2:], x.shape[2:], strict=True))
    return kept if not (top or left) else kept[:, :, top:top + x.shape[2], left:left + x.shape[3]]
