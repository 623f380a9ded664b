"""The demo's networks, and settings that suit them.

Convolutions have no bias where a normalisation follows, which takes it out again: its derivative is rounding noise, by
which Adam would move it at full speed, faster than the running mean follows (1 % of Fashion-MNIST's test images).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tensorlite import models, nn


def digits_network() -> nn.Sequential:
    """Three convolutions for 8x8 images: ``float32[batch, 1, 8, 8]`` to ``float32[batch, 10]``, 31 000 numbers."""
    return nn.Sequential(
        *_convolution(1, 32), *_convolution(32, 32), nn.MaxPool2d(2),
        *_convolution(32, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 2 * 2, 10),
    )


def _convolution(channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()


def lenet() -> nn.Sequential:
    """LeNet-5 with ReLU, batch normalisation and max pooling, for 28x28 images.

    ``float32[batch, 1, 28, 28]`` to ``float32[batch, 10]``; LeCun et al., "Gradient-based learning applied to
    document recognition", 1998.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def vit() -> nn.Module:
    """A small vision transformer for CIFAR-10's images: 4 layers of 4 heads over patches of 4x4, 546 000 numbers."""
    return models.VisionTransformer(image_size=32, patch_size=4, num_layers=4, num_heads=4, hidden_dim=128,
                                    mlp_dim=256, num_classes=10)


@dataclass(frozen=True)
class Recipe:
    """A network, the images that it takes, and how long and by which rates it learns."""

    network: Callable[[], nn.Module]
    images: str
    epochs: int
    batch_size: int
    lr: float
    decay: float


DIGITS, GREY, COLOUR = "scikit-learn's digits of 8x8", "MNIST's and Fashion-MNIST's of 28x28", "CIFAR-10's of 32x32"
#: What ``--model`` chooses from, and the digits' own; the first for some images is what they get without it.
RECIPES = {
    "digits": Recipe(digits_network, DIGITS, 15, 32, 2e-3, 0.85),
    "lenet": Recipe(lenet, GREY, 5, 64, 2e-3, 0.6),
    "resnet20": Recipe(models.resnet20, COLOUR, 15, 64, 2e-3, 0.85),
    "vit": Recipe(vit, COLOUR, 15, 64, 1e-3, 0.9),
}
