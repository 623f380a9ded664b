"""MobileNetV2."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.tensor import Tensor

__all__ = ["MobileNetV2", "mobilenet_v2"]

#: How much a block widens, its channels, how often it comes, and the stride of the first.
_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _rounded(channels: float, divisor: int = 8) -> int:
    """The multiple of 8 that is nearest to a number of channels and at least nine tenths of it."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


class ConvNormActivation(nn.Sequential):
    """A convolution, batch norm and ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """A depthwise convolution between one that widens and one that narrows, beside a short cut."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        width = round(inputs * expand_ratio)
        self.use_res_connect = stride == 1 and inputs == outputs
        widened = [ConvNormActivation(inputs, width, 1)] if expand_ratio != 1 else []
        self.conv = nn.Sequential(*widened, ConvNormActivation(width, width, 3, stride, width),
                                  nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """Inverted residuals with linear bottlenecks (Sandler et al., 2018).

    ``float32[batch, 3, 224, 224]`` to ``float32[batch, num_classes]``; ``width_mult`` scales all widths.
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        channels = _rounded(32 * width_mult)
        self.last_channel = _rounded(1280 * max(1.0, width_mult))
        layers: list[nn.Module] = [ConvNormActivation(3, channels, stride=2)]
        for expand_ratio, width, count, stride in _BLOCKS:
            outputs = _rounded(width * width_mult)
            for place in range(count):
                layers.append(InvertedResidual(channels, outputs, stride if place == 0 else 1, expand_ratio))
                channels = outputs
        layers.append(ConvNormActivation(channels, self.last_channel, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2(num_classes: int = 1000, width_mult: float = 1.0) -> MobileNetV2:
    """MobileNetV2 for images of 224x224."""
    return MobileNetV2(num_classes, width_mult)
