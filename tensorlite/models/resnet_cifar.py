"""ResNet for CIFAR-10's images of 32x32, with short cuts that have no parameters."""

from __future__ import annotations

from collections.abc import Callable

from tensorlite import nn
from tensorlite.ops.join import concat
from tensorlite.tensor import Tensor

__all__ = ["CifarResNet", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm each; the short cut takes every second pixel and adds channels of zeros."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.added = stride, width - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = nn.functional.relu(self.bn1(self.conv1(x)))
        return nn.functional.relu(self.bn2(self.conv2(out)) + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if not self.added:
            return x
        x = x[:, :, ::self.stride, ::self.stride]
        zeros = (x[:, :1] * 0).broadcast_to((x.shape[0], self.added // 2, *x.shape[2:]))
        return concat([zeros, x, zeros], axis=1)


class CifarResNet(nn.Module):
    """Three stages of residual blocks of 16, 32 and 64 channels (He et al., 2016, section 4.2), with option A.

    ``float32[batch, 3, 32, 32]`` to ``float32[batch, num_classes]``; ``blocks`` a stage make a depth of
    ``6 * blocks + 2``. Its parts are named ``layer1.0.conv1`` and so on, the last one ``linear``.
    """

    def __init__(self, blocks: int, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(Block(inputs, width, stride), *(Block(width, width, 1) for _ in range(blocks - 1)))
            for inputs, width, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)))
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def _maker(depth: int) -> Callable[..., CifarResNet]:
    def make(num_classes: int = 10) -> CifarResNet:
        return CifarResNet((depth - 2) // 6, num_classes)
    make.__name__ = make.__qualname__ = f"resnet{depth}"
    make.__doc__ = f"ResNet-{depth} for images of 32x32."
    return make


resnet20, resnet32, resnet44, resnet56, resnet110 = map(_maker, (20, 32, 44, 56, 110))
