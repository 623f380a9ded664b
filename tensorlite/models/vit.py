"""Vision transformers."""

from __future__ import annotations

from collections import OrderedDict

from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.filled import empty, zeros
from tensorlite.ops.join import concat
from tensorlite.tensor import Tensor

__all__ = ["VisionTransformer", "vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32"]


class EncoderBlock(nn.Module):
    """Attention and a feedforward part, a LayerNorm before each and a short cut around it."""

    def __init__(self, heads: int, width: int, mlp_width: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.GELU(), nn.Dropout(dropout),
                                 nn.Linear(mlp_width, width), nn.Dropout(dropout))
        for place in (0, 3):
            nn.init.xavier_uniform_(self.mlp[place].weight)
            nn.init.normal_(self.mlp[place].bias, std=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x = input + self.dropout(self.self_attention(x, x, x, need_weights=False)[0])
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Blocks over tokens that know their positions."""

    def __init__(self, tokens: int, layers: int, heads: int, width: int, mlp_width: int, dropout: float,
                 attention_dropout: float) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(nn.init.normal_(empty((1, tokens, width)), std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(OrderedDict(
            (f"encoder_layer_{k}", EncoderBlock(heads, width, mlp_width, dropout, attention_dropout))
            for k in range(layers)))
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer over the patches of an image (Dosovitskiy et al., "An image is worth 16x16 words", 2021).

    ``float32[batch, channels, image_size, image_size]`` to ``float32[batch, num_classes]``.

    >>> import tensorlite as tl
    >>> model = tl.models.VisionTransformer(image_size=8, patch_size=4, num_layers=1, num_heads=2, hidden_dim=16,
    ...                                     mlp_dim=32, num_classes=10)
    >>> model(tl.zeros((2, 3, 8, 8))).shape
    (2, 10)
    """

    def __init__(self, image_size: int, patch_size: int, num_layers: int, num_heads: int, hidden_dim: int, mlp_dim: int,
                 dropout: float = 0.0, attention_dropout: float = 0.0, num_classes: int = 1000,
                 channels: int = 3) -> None:
        super().__init__()
        if image_size % patch_size:
            raise complaint(ArgumentError, "VisionTransformer",
                            f"images of {image_size} do not divide into patches of {patch_size}")
        self.image_size, self.patch_size = image_size, patch_size
        self.conv_proj = nn.Conv2d(channels, hidden_dim, patch_size, patch_size)
        self.class_token = nn.Parameter(zeros((1, 1, hidden_dim)))
        self.encoder = Encoder((image_size // patch_size) ** 2 + 1, num_layers, num_heads, hidden_dim, mlp_dim, dropout,
                               attention_dropout)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(hidden_dim, num_classes)))
        nn.init.trunc_normal_(self.conv_proj.weight, std=(1 / (channels * patch_size**2)) ** 0.5)
        for zero in (self.conv_proj.bias, self.heads.head.weight, self.heads.head.bias):
            nn.init.zeros_(zero)  # type: ignore[arg-type]  # these layers have a bias

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (self.image_size, self.image_size):
            raise complaint(ShapeError, "VisionTransformer", f"images must be {self.image_size}x{self.image_size}",
                            {"x": x}, "resize them, or build the network for their size")
        patches = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        first = self.class_token.broadcast_to((x.shape[0], *self.class_token.shape[1:]))
        return self.heads(self.encoder(concat([first, patches], axis=1))[:, 0])


def vit_b_16(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """The base transformer over patches of 16x16."""
    return VisionTransformer(image_size, 16, 12, 12, 768, 3072, num_classes=num_classes)


def vit_b_32(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """The base transformer over patches of 32x32."""
    return VisionTransformer(image_size, 32, 12, 12, 768, 3072, num_classes=num_classes)


def vit_l_16(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """The large transformer over patches of 16x16."""
    return VisionTransformer(image_size, 16, 24, 16, 1024, 4096, num_classes=num_classes)


def vit_l_32(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """The large transformer over patches of 32x32."""
    return VisionTransformer(image_size, 32, 24, 16, 1024, 4096, num_classes=num_classes)
