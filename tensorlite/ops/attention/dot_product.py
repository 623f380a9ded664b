"""Scaled dot-product attention, as users call it."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.attention.dropout import drop_attention
from tensorlite.ops.attention.ops import _attention, are_looped, causal_scores, stack_of
from tensorlite.ops.dropout import dropout
from tensorlite.ops.elementwise import not_equal, where
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.manipulation import repeat
from tensorlite.ops.shape import permute_dims, reshape
from tensorlite.ops.softmax import softmax
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, bool_

__all__ = ["scaled_dot_product_attention"]

_NAME = "scaled_dot_product_attention"


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    """Refuses queries, keys and values that do not go together."""
    tensors = {"query": query, "key": key, "value": value}
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise complaint(DTypeError, _NAME, f"{name} must be a tensor, not {type(x).__name__}", {name: x},
                            "make it one: tl.asarray(...)")
        if x.ndim < 2:
            raise complaint(ShapeError, _NAME, f"{name} must be [..., tokens, features]", tensors)
    if query.dtype not in FLOATS or not query.dtype == key.dtype == value.dtype:
        raise complaint(DTypeError, _NAME, "query, key and value must be floating, and of one dtype", tensors)
    if query.shape[-1] != key.shape[-1]:
        raise complaint(ShapeError, _NAME,
                        f"query has {query.shape[-1]} features a token, key has {key.shape[-1]}", tensors)
    if key.shape[-2] != value.shape[-2]:
        raise complaint(ShapeError, _NAME, f"key has {key.shape[-2]} tokens, value has {value.shape[-2]}", tensors)


def _check_heads(query: Tensor, key: Tensor, value: Tensor, masks: list[Tensor]) -> None:
    """Refuses heads that do not serve those of the query evenly."""
    tensors = {"query": query, "key": key, "value": value}
    if any(x.ndim < 3 for x in tensors.values()):
        raise complaint(ShapeError, _NAME, "enable_gqa needs an axis of heads before the tokens", tensors)
    heads = query.shape[-3]
    for x in (key, value):
        if x.shape[-3] == 0 or heads % x.shape[-3]:
            raise complaint(ShapeError, _NAME, f"query has {heads} heads, which {x.shape[-3]} do not serve evenly",
                            {"query": query, "key or value": x})
    for x in masks:
        if x.ndim > 2 and x.shape[-3] not in (1, heads):
            raise complaint(ShapeError, _NAME, f"attn_mask is of {x.shape[-3]} heads, query has {heads}",
                            {"query": query, "attn_mask": x})


def _grouped(query: Tensor, key: Tensor, value: Tensor, masks: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors with one more axis, along which heads of the queries share a head of keys and values."""
    _check_heads(query, key, value, masks)
    groups = math.lcm(key.shape[-3], value.shape[-3])
    key, value = (x if x.shape[-3] == groups else repeat(x, groups // x.shape[-3], axis=x.ndim - 3)
                  for x in (key, value))

    def parted(x: Tensor) -> Tensor:
        inside = max(1, x.shape[-3] // groups)
        return reshape(x, (*x.shape[:-3], x.shape[-3] // inside, inside, *x.shape[-2:]))
    return [parted(x) for x in (query, key, value)], [parted(x) if x.ndim > 2 else x for x in masks]


def _stack(query: Tensor, key: Tensor, value: Tensor, masks: list[Tensor]) -> tuple[int, ...]:
    """The stack of matrices, which are refused if there is none."""
    try:
        return stack_of((query, key, value, *masks), (2,) * (3 + len(masks)))
    except ShapeError as error:
        raise complaint(ShapeError, _NAME, str(error), {"query": query, "key": key, "value": value}) from None


def _transposed(x: Tensor) -> Tensor:
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _as_mask(mask: Any, dtype: np.dtype) -> Tensor:
    """A mask, if it is one, with two axes at least, of bools or of the scores' dtype."""
    if not isinstance(mask, Tensor) or mask.dtype not in (bool_, *FLOATS):
        raise complaint(DTypeError, _NAME, f"attn_mask must be a tensor of bool or {dtype.name}", {"attn_mask": mask})
    mask = mask if mask.dtype == bool_ else mask.to(dtype)
    return mask if mask.ndim > 1 else reshape(mask, (*(1,) * (2 - mask.ndim), *mask.shape))


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """The weights that a mask leaves; a row of which it leaves nothing weighs nothing, and has no derivative."""
    allowed = mask = _as_mask(mask, scores.dtype)
    if mask.dtype != bool_:
        allowed = not_equal(mask, -math.inf)
        scores = scores + where(allowed, mask, 0)
    lowest = float(ml_dtypes.finfo(scores.dtype).min)
    return where(allowed, softmax(where(allowed, scores, lowest), -1), 0)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None, is_causal: bool = False,
                      scale: float | None = None) -> Tensor:
    """How much each query takes of each value: ``softmax(query @ key.T * scale)``, where a mask lets it."""
    scale = 1.0 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scores = matmul(query * scale, _transposed(key))
    if mask is not None:
        return _masked(scores, mask)
    return softmax(causal_scores(scores) if is_causal else scores, -1)


@public(method=False)
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
                                 enable_gqa: bool = False, *, generator: Any = None) -> Tensor:
    """``softmax(query @ key.T * scale) @ value``: what each query takes of the values.

    query: [..., L, E]; key: [..., S, E]; value: [..., S, Ev]; the result: [..., L, Ev]. ``attn_mask``, which broadcasts
    to [..., L, S], is of bools, true where a query may look, or of numbers added to the scores; ``is_causal`` lets
    query i look at keys 0 to i. ``scale`` is ``1 / sqrt(E)`` unless given; ``dropout_p`` is the share of weights set to
    zero at random, always. A query that may look nowhere gets zeros. With ``enable_gqa`` each head of key and value
    (their third axis from the end) serves as many heads of the query as needed. Of many queries, the weights
    [..., L, S] are not in memory, nor for the first derivative, nor which of them are dropped: all this is computed
    where it is used; ``dropout_p`` is then taken to the nearest of 65536 parts.

    Vaswani et al., "Attention is all you need", 2017; Dao et al., "FlashAttention", 2022. Raises `ShapeError` and
    `DTypeError` where the tensors do not go together, `ArgumentError` for a mask beside ``is_causal``.

    >>> import tensorlite as tl
    >>> x = tl.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> tl.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.    , 0.    ],
            [0.3302, 0.6698]])
    """
    _check(query, key, value)
    if is_causal and attn_mask is not None:
        raise complaint(ArgumentError, _NAME, "is_causal is a mask already", {"attn_mask": attn_mask},
                        "leave attn_mask out, or make it causal")
    masks = [] if attn_mask is None else [_as_mask(attn_mask, query.dtype)]
    if not 0.0 <= dropout_p <= 1.0:
        raise complaint(ArgumentError, _NAME, f"dropout_p must be between 0 and 1, not {dropout_p}")
    if enable_gqa:
        (query, key, value), masks = _grouped(query, key, value, masks)
    scale = 1.0 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    if isinstance(scale, Tensor):  # it may have a derivative
        query, scale = query * scale, 1.0
    if dropout_p and are_looped(query, value):
        stack = _stack(query, key, value, masks)
        out = drop_attention(query, key, value, masks, stack, is_causal, float(scale), float(dropout_p), generator)
    elif dropout_p:
        weights = attention_weights(query, key, masks[0] if masks else None, is_causal, scale)
        out = matmul(dropout(weights, dropout_p, generator=generator), value)
    else:
        out, _ = _attention(query, key, value, *masks, causal=is_causal, scale=float(scale))
    return reshape(out, (*out.shape[:-4], out.shape[-4] * out.shape[-3], *out.shape[-2:])) if enable_gqa else out
