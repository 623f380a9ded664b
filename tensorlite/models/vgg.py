"""VGG networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorlite import nn
from tensorlite.tensor import Tensor

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

#: Widths of 3x3 convolutions by network; a pool halves the image after each group.
_GROUPS = {
    11: ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    13: ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    16: ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGG(nn.Module):
    """3x3 convolutions in groups between pools, and three affine maps (Simonyan and Zisserman, 2014).

    ``float32[batch, 3, 224, 224]`` to ``float32[batch, num_classes]``.
    """

    def __init__(self, groups: Sequence[Sequence[int]], batch_norm: bool = False, num_classes: int = 1000,
                 dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for group in groups:
            for width in group:
                layers.append(nn.Conv2d(channels, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                channels = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        self._begin()

    def _begin(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _maker(depth: int, batch_norm: bool) -> Callable[..., VGG]:
    def make(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
        return VGG(_GROUPS[depth], batch_norm, num_classes, dropout)
    make.__name__ = make.__qualname__ = f"vgg{depth}{'_bn' if batch_norm else ''}"
    make.__doc__ = f"VGG-{depth}{' with batch norm' if batch_norm else ''} for images of 224x224."
    return make


vgg11, vgg13, vgg16, vgg19 = (_maker(depth, False) for depth in _GROUPS)
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (_maker(depth, True) for depth in _GROUPS)
