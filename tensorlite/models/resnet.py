"""ResNet, ResNeXt and wide ResNet for images of 224x224."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorlite import nn
from tensorlite.tensor import Tensor

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
           "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, with batch norm each, beside a short cut (He et al., 2016)."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None,
                 groups: int = 1, base_width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3x3 convolution, in groups for ResNeXt, between two of 1x1, with batch norm each, beside a short cut."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None,
                 groups: int = 1, base_width: int = 64) -> None:
        super().__init__()
        width, outputs = planes * base_width // 64 * groups, planes * self.expansion
        self.conv1 = nn.Conv2d(inplanes, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Residual blocks in four stages, each of half the size of the one before (He et al., 2016).

    ``float32[batch, 3, 224, 224]`` to ``float32[batch, num_classes]``. ``groups`` and ``width_per_group`` make a
    ResNeXt (Xie et al., 2017) or a wide ResNet (Zagoruyko and Komodakis, 2016) of it; ``zero_init_residual`` starts
    with blocks that are the identity.
    """

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], layers: Sequence[int], num_classes: int = 1000,
                 zero_init_residual: bool = False, groups: int = 1, width_per_group: int = 64) -> None:
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            self._stage(block, planes, count, stride, groups, width_per_group)
            for planes, count, stride in zip((64, 128, 256, 512), layers, (1, 2, 2, 2), strict=True))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                assert last.weight is not None
                nn.init.zeros_(last.weight)

    def _stage(self, block: type[BasicBlock] | type[Bottleneck], planes: int, count: int, stride: int, groups: int,
               base_width: int) -> nn.Sequential:
        outputs, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != outputs:
            downsample = nn.Sequential(nn.Conv2d(self.inplanes, outputs, 1, stride, bias=False),
                                       nn.BatchNorm2d(outputs))
        first = block(self.inplanes, planes, stride, downsample, groups, base_width)
        self.inplanes = outputs
        return nn.Sequential(first, *(block(outputs, planes, 1, None, groups, base_width) for _ in range(count - 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _maker(name: str, words: str, block: type[BasicBlock] | type[Bottleneck], layers: Sequence[int], groups: int = 1,
           width_per_group: int = 64) -> Callable[..., ResNet]:
    def make(num_classes: int = 1000, zero_init_residual: bool = False) -> ResNet:
        return ResNet(block, layers, num_classes, zero_init_residual, groups, width_per_group)
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{words} for images of 224x224."
    return make


resnet18 = _maker("resnet18", "ResNet-18", BasicBlock, (2, 2, 2, 2))
resnet34 = _maker("resnet34", "ResNet-34", BasicBlock, (3, 4, 6, 3))
resnet50 = _maker("resnet50", "ResNet-50", Bottleneck, (3, 4, 6, 3))
resnet101 = _maker("resnet101", "ResNet-101", Bottleneck, (3, 4, 23, 3))
resnet152 = _maker("resnet152", "ResNet-152", Bottleneck, (3, 8, 36, 3))
resnext50_32x4d = _maker("resnext50_32x4d", "ResNeXt-50 of 32 groups", Bottleneck, (3, 4, 6, 3), 32, 4)
resnext101_32x8d = _maker("resnext101_32x8d", "ResNeXt-101 of 32 groups", Bottleneck, (3, 4, 23, 3), 32, 8)
resnext101_64x4d = _maker("resnext101_64x4d", "ResNeXt-101 of 64 groups", Bottleneck, (3, 4, 23, 3), 64, 4)
wide_resnet50_2 = _maker("wide_resnet50_2", "Twice as wide a ResNet-50", Bottleneck, (3, 4, 6, 3), 1, 128)
wide_resnet101_2 = _maker("wide_resnet101_2", "Twice as wide a ResNet-101", Bottleneck, (3, 4, 23, 3), 1, 128)
