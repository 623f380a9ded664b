"""LeNet-5."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.tensor import Tensor

__all__ = ["LeNet", "lenet5"]


class LeNet(nn.Module):
    """LeNet-5 for 28x28 or 32x32 images.

    ``float32[batch, channels, size, size]`` to ``float32[batch, num_classes]``, of 61 706 numbers: every map of the
    third layer sees all of the second, and the last layer is an affine map. LeCun et al., "Gradient-based learning
    applied to document recognition", 1998.

    >>> import tensorlite as tl
    >>> tl.models.LeNet()(tl.zeros((2, 1, 28, 28))).shape
    (2, 10)
    """

    def __init__(self, num_classes: int = 10, channels: int = 1, size: int = 28) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=(32 - size) // 2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def lenet5(num_classes: int = 10) -> LeNet:
    """LeNet-5 for images of one channel and 28x28 pixels."""
    return LeNet(num_classes)
