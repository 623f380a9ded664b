"""Affine maps with a nonlinearity between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorlite import nn

__all__ = ["MLP"]


class MLP(nn.Sequential):
    """Affine maps, after all but the last of which come a norm (if wanted), a nonlinearity and dropout.

    ``[..., in_channels]`` to ``[..., hidden_channels[-1]]``; the layers are numbered as in torchvision's `ops.MLP`.

    >>> import tensorlite as tl
    >>> tl.models.MLP(4, [8, 8, 3])(tl.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(self, in_channels: int, hidden_channels: Sequence[int],
                 norm_layer: Callable[[int], nn.Module] | None = None,
                 activation_layer: Callable[[], nn.Module] = nn.ReLU, bias: bool = True, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        *inner, last = hidden_channels
        for width in inner:
            layers.append(nn.Linear(in_channels, width, bias=bias))
            layers += [] if norm_layer is None else [norm_layer(width)]
            layers += [activation_layer(), nn.Dropout(dropout)]
            in_channels = width
        super().__init__(*layers, nn.Linear(in_channels, last, bias=bias), nn.Dropout(dropout))
