"""The demo's two networks.

Convolutions have no bias where a normalisation follows, which takes it out again: its derivative is rounding noise, by
which Adam would move it at full speed, faster than the running mean follows (1 % of Fashion-MNIST's test images).
"""

from __future__ import annotations

from tensorlite import nn


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
