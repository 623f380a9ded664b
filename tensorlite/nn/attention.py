"""Attention of several heads as a layer."""

from __future__ import annotations

from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import init
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.attention.multihead import Heads, Masks, attend
from tensorlite.ops.filled import empty
from tensorlite.tensor import Tensor

__all__ = ["MultiheadAttention"]

_SEPARATE = ("q_proj_weight", "k_proj_weight", "v_proj_weight")


class MultiheadAttention(Module):
    """Attention of ``num_heads`` heads, each on its share of ``embed_dim`` features.

    query: [L, N, embed_dim], key: [S, N, kdim] and value: [S, N, vdim], or [N, L or S, ...] with ``batch_first``, or
    without N; ``kdim`` and ``vdim`` are ``embed_dim`` unless given. Gives the result, as the query lies, and the
    weights [N, L, S], the heads' mean or [N, heads, L, S], or None unless ``need_weights``. In ``attn_mask`` ([L, S] or
    [N * heads, L, S]) and ``key_padding_mask`` ([N, S]) true bools forbid to look, and numbers are added to the scores;
    ``is_causal`` says that ``attn_mask`` is the causal one, which is faster. A query that may look nowhere gets zeros.
    With ``add_bias_kv`` there is one more key and value, which are learned, with ``add_zero_attn`` one of zeros.

    Vaswani et al., "Attention is all you need", 2017. Raises `ShapeError` and `DTypeError` where tensors and masks do
    not go together, `ArgumentError` for ``is_causal`` without a mask.

    >>> import tensorlite as tl
    >>> layer = tl.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tl.ones((4, 5, 8))
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((4, 5, 8), (4, 5, 5))
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
                 add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
                 vdim: int | None = None, batch_first: bool = False, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise complaint(ArgumentError, "MultiheadAttention",
                            f"{embed_dim} features do not go evenly into {num_heads} heads")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        is_one = self.kdim == self.vdim == embed_dim
        shapes: dict[str, tuple[int, ...] | None] = dict(zip(_SEPARATE, (
            (embed_dim, each) if not is_one else None for each in (embed_dim, self.kdim, self.vdim)), strict=True))
        shapes["in_proj_weight"] = (3 * embed_dim, embed_dim) if is_one else None
        shapes["in_proj_bias"] = (3 * embed_dim,) if bias else None
        shapes |= dict.fromkeys(("bias_k", "bias_v"), (1, 1, embed_dim) if add_bias_kv else None)
        for name, shape in shapes.items():
            self.register_parameter(name, None if shape is None else Parameter(
                empty(shape, dtype=dtype, device=device)))
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the projections of query, key and value anew, and makes the biases zero."""
        for name, draw in (*((name, init.xavier_uniform_) for name in ("in_proj_weight", *_SEPARATE)),
                           ("in_proj_bias", init.zeros_), ("bias_k", init.xavier_normal_),
                           ("bias_v", init.xavier_normal_)):
            parameter = self._parameters[name]
            if parameter is not None:
                draw(parameter)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
                need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        weight = self.in_proj_weight
        heads = Heads("MultiheadAttention", self.num_heads,
                      tuple(getattr(self, name) for name in _SEPARATE) if weight is None else weight,
                      self.in_proj_bias, self.out_proj.weight, self.out_proj.bias, self.bias_k, self.bias_v,
                      self.add_zero_attn)
        return attend(heads, query, key, value, Masks(attn_mask, key_padding_mask, is_causal),
                      self.dropout if self.training else 0.0, need_weights, average_attn_weights, self.batch_first)

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"
