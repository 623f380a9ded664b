"""GPT."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.ops.elementwise import less, where
from tensorlite.ops.join import concat
from tensorlite.ops.ranges import arange
from tensorlite.ops.sort import topk
from tensorlite.random import Generator, rand
from tensorlite.tensor import Tensor

__all__ = ["GPT", "gpt2"]


class CausalSelfAttention(nn.Module):
    """Attention of several heads to what came before."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        parts = self.c_attn(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        y = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True,
                                                       dropout_p=self.dropout if self.training else 0.0)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).reshape(batch, tokens, width)))


class Feedforward(nn.Module):
    """Two affine maps with GELU between them."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU("tanh")
        self.c_proj = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class Block(nn.Module):
    """Attention and a feedforward part, a LayerNorm before each and a short cut around it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = CausalSelfAttention(width, heads, dropout)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Feedforward(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """A decoder of tokens with learned positions (Radford et al., "Language models are unsupervised ...", 2019).

    ``int64[batch, tokens]`` to ``float32[batch, tokens, vocabulary]``, the scores of each next token; its parts have
    the names of GPT-2's, ``transformer.h.0.attn.c_attn.weight`` and so on; the last weights are the embedding's own.

    >>> import tensorlite as tl
    >>> model = tl.models.GPT(vocabulary=10, context=8, layers=1, heads=2, width=16)
    >>> model(tl.zeros((2, 5), dtype=tl.int64)).shape
    (2, 5, 10)
    """

    def __init__(self, vocabulary: int, context: int = 1024, layers: int = 12, heads: int = 12, width: int = 768,
                 dropout: float = 0.1) -> None:
        super().__init__()
        if width % heads:
            raise complaint(ArgumentError, "GPT", f"width {width} does not divide among {heads} heads")
        self.context = context
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocabulary, width), "wpe": nn.Embedding(context, width), "drop": nn.Dropout(dropout),
            "h": nn.ModuleList(Block(width, heads, dropout) for _ in range(layers)), "ln_f": nn.LayerNorm(width)})
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, 0.0, 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):  # the sum of so many residuals keeps its size
                nn.init.normal_(p, 0.0, 0.02 / (2 * layers) ** 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        count = tokens.shape[1]
        if count > self.context:
            raise complaint(ShapeError, "GPT", f"{count} tokens are more than the context of {self.context}",
                            {"tokens": tokens}, f"pass the last ones: tokens[:, -{self.context}:]")
        parts = self.transformer
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"](arange(count)))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))

    @no_grad()
    def generate(self, tokens: Tensor, count: int, temperature: float = 1.0, top_k: int | None = None,
                 generator: Generator | None = None) -> Tensor:
        """The tokens and ``count`` more, each drawn from the scores: of the ``top_k`` best, or the best for 0.

        >>> import tensorlite as tl
        >>> model = tl.models.GPT(vocabulary=10, context=8, layers=1, heads=2, width=16).eval()
        >>> model.generate(tl.zeros((1, 1), dtype=tl.int64), 4).shape
        (1, 5)
        """
        for _ in range(count):
            scores = self(tokens[:, -self.context:])[:, -1]
            tokens = concat([tokens, _drawn(scores, temperature, top_k, generator)], axis=1)
        return tokens


def _drawn(scores: Tensor, temperature: float, top_k: int | None, generator: Generator | None) -> Tensor:
    """One token a row: the first whose share of the probability, with all before it, is above a random number."""
    if temperature == 0:
        return scores.argmax(1, keepdims=True)
    scores = scores / temperature
    if top_k is not None:
        least = topk(scores, min(top_k, scores.shape[1]))[0][:, -1:]
        scores = where(less(scores, least), -float("inf"), scores)
    shares = nn.functional.softmax(scores, 1).cumsum(1)
    place = rand(scores.shape[0], 1, generator=generator) * shares[:, -1:]
    return (shares <= place).sum(1, keepdims=True).clip(0, scores.shape[1] - 1)


def gpt2() -> GPT:
    """The smallest GPT-2: 12 layers, 124 million numbers."""
    return GPT(50257)
