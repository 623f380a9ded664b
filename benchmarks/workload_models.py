"""The networks of the workloads, as anybody writes them.

They use only what tensorlite and PyTorch spell alike: `workload_torch` reads this very file as PyTorch code. A model of
tokens gives one row of scores for each place of its batch.
"""

import tensorlite as tl
from tensorlite import nn


class MLP(nn.Sequential):
    """Three affine maps with ReLU between them."""

    def __init__(self, inputs, hidden, classes):
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Linear(hidden, classes))


class ConvNet(nn.Sequential):
    """Two padded 3x3 convolutions with ReLU, a max pool, and two affine maps."""

    def __init__(self, size, channels, hidden, classes):
        first, second = channels
        super().__init__(nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.Conv2d(first, second, 3, padding=1),
                         nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(second * (size // 2)**2, hidden),
                         nn.ReLU(), nn.Linear(hidden, classes))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, with batch norm each, beside a short cut (He et al., 2016)."""

    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, with batch norm each, beside a short cut."""

    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """ResNet with torchvision's names; in its CIFAR form with a 3x3 first convolution and no first pool."""

    def __init__(self, widths, blocks, classes, block=BasicBlock, is_small=True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False) if is_small \
            else nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = None if is_small else nn.MaxPool2d(3, 2, 1)
        self.stages = []
        inputs = widths[0]
        for place, (width, count) in enumerate(zip(widths, blocks)):
            strides = [1 if place == 0 else 2] + [1] * (count - 1)
            sources = [inputs] + [width * block.expansion] * (count - 1)
            self.stages.append(f"layer{place + 1}")
            setattr(self, self.stages[-1],
                    nn.Sequential(*[block(source, width, stride) for source, stride in zip(sources, strides)]))
            inputs = width * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = x if self.maxpool is None else self.maxpool(x)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet18():
    """ResNet-18 for images of 224x224 and 1000 classes."""
    return ResNet((64, 128, 256, 512), (2, 2, 2, 2), 1000, BasicBlock, False)


def resnet50():
    """ResNet-50 for images of 224x224 and 1000 classes."""
    return ResNet((64, 128, 256, 512), (3, 4, 6, 3), 1000, Bottleneck, False)


class SelfAttention(nn.Module):
    """Causal attention of several heads."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        q, k, v = [part.reshape(batch, tokens, self.heads, dim // self.heads).transpose(1, 2)
                   for part in self.qkv(x).split(dim, -1)]
        out = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, dim))


class Block(nn.Module):
    """Attention and two affine maps with GELU, a LayerNorm before each and a short cut around it."""

    def __init__(self, dim, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim)
        self.attn = SelfAttention(dim, heads)
        self.ln_2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """A decoder of tokens with learned positions (Radford et al., 2019)."""

    def __init__(self, layers, dim, heads, context, vocabulary):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, dim)
        self.wpe = nn.Embedding(context, dim)
        self.blocks = nn.Sequential(*[Block(dim, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(tl.arange(tokens.shape[1]))
        return self.head(self.ln_f(self.blocks(x))).flatten(0, 1)


class CharLSTM(nn.Module):
    """An embedding, one LSTM over the tokens, and an affine map."""

    def __init__(self, vocabulary, embedding, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, tokens):
        out, _ = self.lstm(self.embedding(tokens))
        return self.head(out).flatten(0, 1)
