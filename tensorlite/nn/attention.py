"""Attention of several heads as a layer."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.attention import attention_weights
from tensorlite.ops.elementwise import logical_and, logical_not, where
from tensorlite.ops.filled import empty
from tensorlite.ops.linalg import matmul
from tensorlite.ops.reduce import mean
from tensorlite.ops.shape import permute_dims, reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import bool_

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention of ``num_heads`` heads, each on its share of ``embed_dim`` features.

    query: [L, N, embed_dim], key and value: [S, N, embed_dim], or [N, L or S, embed_dim] with ``batch_first``, or
    without N. Gives the result, as the query lies, and the weights [N, L, S], the heads' mean or [N, heads, L, S], or
    None unless ``need_weights``. In ``attn_mask`` ([L, S] or [N * heads, L, S]) and ``key_padding_mask`` ([N, S]) true
    bools forbid to look, and numbers are added to the scores. A query that may look nowhere gets zeros.

    Vaswani et al., "Attention is all you need", 2017.

    >>> import tensorlite as tl
    >>> layer = tl.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tl.ones((4, 5, 8))
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((4, 5, 8), (4, 5, 5))
    """

    in_proj_bias: Parameter | None

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
                 add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
                 vdim: int | None = None, batch_first: bool = False, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise complaint(ArgumentError, "MultiheadAttention",
                            f"{embed_dim} features do not go evenly into {num_heads} heads")
        for name, value, usual in (("add_bias_kv", add_bias_kv, False), ("add_zero_attn", add_zero_attn, False),
                                   ("kdim", kdim, embed_dim), ("vdim", vdim, embed_dim)):
            if value not in (None, usual):
                raise complaint(ArgumentError, "MultiheadAttention", f"the option {name} is not there", {name: value},
                                f"leave {name} out")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.dropout, self.batch_first = dropout, batch_first
        self.in_proj_weight = Parameter(empty((3 * embed_dim, embed_dim), dtype=dtype, device=device))
        self.register_parameter("in_proj_bias",
                                Parameter(empty((3 * embed_dim,), dtype=dtype, device=device)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the projections of query, key and value anew, and makes the biases zero."""
        init.xavier_uniform_(self.in_proj_weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
                need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        if is_causal and attn_mask is None:
            raise complaint(ArgumentError, "MultiheadAttention", "is_causal only says what attn_mask is", None,
                            "pass the causal attn_mask")
        batched = query.ndim == 3
        q, k, v = (self._heads(x) for x in self._projected(query, key, value, batched))
        mask = self._mask(attn_mask, key_padding_mask, len(q))
        dropout = self.dropout if self.training else 0.0
        if need_weights:
            weights = F.dropout(attention_weights(q, k, mask), dropout)
            out = matmul(weights, v)
            weights = mean(weights, axis=1) if average_attn_weights else weights
            shown = weights if batched else weights[0]
        else:
            out, shown = F.scaled_dot_product_attention(q, k, v, mask, dropout), None
        out = permute_dims(out, (0, 2, 1, 3) if self.batch_first or not batched else (2, 0, 1, 3))
        return self.out_proj(reshape(out, query.shape)), shown

    def _projected(self, query: Tensor, key: Tensor, value: Tensor, batched: bool) -> tuple[Tensor, ...]:
        """Queries, keys and values, [N, tokens, features] each."""
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != (3 if batched else 2) or x.shape[-1] != self.embed_dim:
                raise complaint(ShapeError, "MultiheadAttention", f"{name} must have {self.embed_dim} features, and "
                                "all of them 3 axes or 2", {"query": query, "key": key, "value": value})
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if query is key and key is value:
            parts = F.linear(query, weight, bias).chunk(3, -1)
        else:
            biases = (None,) * 3 if bias is None else bias.chunk(3)
            parts = tuple(F.linear(x, w, b) for x, w, b in zip((query, key, value), weight.chunk(3), biases,
                                                                strict=True))
        if not batched:
            return tuple(reshape(x, (1, *x.shape)) for x in parts)
        return parts if self.batch_first else tuple(permute_dims(x, (1, 0, 2)) for x in parts)

    def _heads(self, x: Tensor) -> Tensor:
        """[N, tokens, features] as [N, heads, tokens, features of a head]."""
        return permute_dims(reshape(x, (*x.shape[:2], self.num_heads, self.head_dim)), (0, 2, 1, 3))

    def _mask(self, attn_mask: Tensor | None, padding: Tensor | None, batch: int) -> Tensor | None:
        """Both masks as one that attention takes: bools that allow, or numbers to add."""
        masks = []
        if attn_mask is not None:
            masks.append(reshape(attn_mask, (batch, self.num_heads, *attn_mask.shape[1:]))
                         if attn_mask.ndim == 3 else attn_mask)
        if padding is not None:
            masks.append(reshape(padding, (batch, 1, 1, padding.shape[-1])))
        if all(mask.dtype == bool_ for mask in masks):
            masks = [logical_not(mask) for mask in masks]
            return logical_and(*masks) if len(masks) == 2 else masks[0] if masks else None
        dtype = self.in_proj_weight.dtype
        numbers = [where(mask, -math.inf, 0.0).to(dtype) if mask.dtype == bool_ else mask for mask in masks]
        return numbers[0] + numbers[1] if len(numbers) == 2 else numbers[0]

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"
