"""Attention of several heads as a function: projections, heads, masks, and what is added to keys and values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.attention.dot_product import attention_weights, scaled_dot_product_attention
from tensorlite.ops.dropout import dropout
from tensorlite.ops.elementwise import logical_and, logical_not, where
from tensorlite.ops.filled import full, zeros
from tensorlite.ops.join import _parts, concat
from tensorlite.ops.linear import linear
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.reduce import mean
from tensorlite.ops.shape import _permute_dims, broadcast_to, reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, bool_

__all__ = ["multi_head_attention_forward"]

Weights = Tensor | Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class Heads:
    """What a layer of several heads is made of: ``weight`` is one for query, key and value, or three.

    ``bias_k`` and ``bias_v``, [1, 1, features], are one more key and value, ``zero`` says that there is another of
    zeros; ``static_k`` and ``static_v``, [N * heads, S, features of a head], stand for what would be projected.
    """

    op: str
    count: int
    weight: Weights
    bias: Tensor | None
    out_weight: Tensor
    out_bias: Tensor | None
    bias_k: Tensor | None = None
    bias_v: Tensor | None = None
    zero: bool = False
    static_k: Tensor | None = None
    static_v: Tensor | None = None

    @property
    def features(self) -> int:
        """How many features queries have."""
        weight = self.weight if isinstance(self.weight, Tensor) else self.weight[0]
        return weight.shape[1]


@dataclass(frozen=True, slots=True)
class Masks:
    """Which keys a query may look at: true bools hide, numbers are added to scores, ``is_causal`` says what they do."""

    attention: Tensor | None = None
    padding: Tensor | None = None
    is_causal: bool = False


# --- projections and heads ----------------------------------------------------------------------------------------


def _check_inputs(heads: Heads, tensors: dict[str, Tensor]) -> None:
    """Refuses queries, keys and values of the wrong number of axes or features."""
    weights = heads.weight
    wanted = [heads.features] * 3 if isinstance(weights, Tensor) else [w.shape[1] for w in weights]
    ndim = tensors["query"].ndim
    for (name, x), features in zip(tensors.items(), wanted, strict=True):
        if not isinstance(x, Tensor):
            raise complaint(DTypeError, heads.op, f"{name} must be a tensor, not {type(x).__name__}")
        if ndim not in (2, 3) or x.ndim != ndim or x.shape[-1] != features:
            raise complaint(ShapeError, heads.op, f"{name} must have {features} features, and all of them 3 axes or 2",
                            tensors)
    if tensors["key"].shape[:-1] != tensors["value"].shape[:-1]:
        raise complaint(ShapeError, heads.op, "there must be one value for each key", tensors)


def _projected(heads: Heads, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys and values by their weights: at once what is the same tensor."""
    weight, bias, size = heads.weight, heads.bias, heads.features
    if not isinstance(weight, Tensor):
        biases = (None,) * 3 if bias is None else _parts(bias, axis=0, count=3)
        return tuple(linear(*given) for given in zip((query, key, value), weight, biases, strict=True))
    last = query.ndim - 1
    if query is key and key is value:
        return _parts(linear(query, weight, bias), axis=last, count=3)
    if key is value:
        of_query, of_key = (None, None) if bias is None else (bias[:size], bias[size:])
        return (linear(query, weight[:size], of_query),
                *_parts(linear(key, weight[size:], of_key), axis=last, count=2))
    biases = (None,) * 3 if bias is None else _parts(bias, axis=0, count=3)
    return tuple(linear(*given) for given in zip((query, key, value), _parts(weight, axis=0, count=3), biases,
                                                 strict=True))


def _parted(x: Tensor, count: int, batch_first: bool) -> Tensor:
    """[N, tokens, features] (or [tokens, N, features]) as [N, heads, tokens, features of a head]."""
    x = reshape(x, (*x.shape[:2], count, x.shape[2] // count))
    return _permute_dims(x, axes=(0, 2, 1, 3) if batch_first else (1, 2, 0, 3))


def _static(heads: Heads, x: Tensor, name: str, like: Tensor) -> Tensor:
    """Keys or values that are given as they are."""
    batch, count, _, size = like.shape
    if x.ndim != 3 or x.shape[0] != batch * count or x.shape[2] != size:
        raise complaint(ShapeError, heads.op, f"{name} must be [{batch * count}, S, {size}]", {name: x})
    return reshape(x, (batch, count, *x.shape[1:]))


def _extended(heads: Heads, x: Tensor, bias: Tensor | None) -> Tensor:
    """Keys or values, and what is added to them."""
    batch, count, _, size = x.shape
    parts = [x]
    if bias is not None:
        parts.append(broadcast_to(_parted(reshape(bias, (1, 1, count * size)), count, True), (batch, count, 1, size)))
    if heads.zero:
        parts.append(zeros((batch, count, 1, size), dtype=x.dtype, device=x.device))
    return concat(parts, axis=2) if len(parts) > 1 else x


# --- masks --------------------------------------------------------------------------------------------------------


def _check_mask(heads: Heads, name: str, mask: Tensor, like: Tensor, shapes: Sequence[tuple[int, ...]]) -> None:
    if not isinstance(mask, Tensor) or mask.dtype not in (bool_, *FLOATS):
        raise complaint(DTypeError, heads.op, f"{name} must be a tensor of bool or {like.dtype.name}", {name: mask})
    if mask.shape not in shapes:
        raise complaint(ShapeError, heads.op, f"{name} must be {' or '.join(str(list(s)) for s in shapes)}",
                        {name: mask})


def _mask(heads: Heads, masks: Masks, q: Tensor, keys: int, batched: bool, extra: int) -> Tensor | None:
    """Both masks as one that attention takes, of bools that allow, or of numbers; it hides no ``extra`` keys."""
    batch, count, queries, _ = q.shape
    given = []
    if masks.attention is not None:
        _check_mask(heads, "attn_mask", masks.attention, q, ((queries, keys), (batch * count, queries, keys)))
        given.append(reshape(masks.attention, (batch, count, queries, keys)) if masks.attention.ndim == 3
                     else masks.attention)
    if masks.padding is not None:
        _check_mask(heads, "key_padding_mask", masks.padding, q, ((batch, keys) if batched else (keys,),))
        given.append(reshape(masks.padding, (batch, 1, 1, keys)))
    if all(mask.dtype == bool_ for mask in given):
        given = [logical_not(mask) for mask in given]
        found = logical_and(*given) if len(given) == 2 else given[0] if given else None
    else:
        numbers = [(where(mask, -math.inf, 0.0) if mask.dtype == bool_ else mask).to(q.dtype) for mask in given]
        found = numbers[0] + numbers[1] if len(numbers) == 2 else numbers[0]
    if found is None or not extra:
        return found
    seen = full((*found.shape[:-1], extra), True if found.dtype == bool_ else 0.0, dtype=found.dtype,
                device=found.device)
    return concat([found, seen], axis=-1)


# --- attention ----------------------------------------------------------------------------------------------------


def attend(heads: Heads, query: Tensor, key: Tensor, value: Tensor, masks: Masks, dropout_p: float, need_weights: bool,
           average: bool, batch_first: bool) -> tuple[Tensor, Tensor | None]:
    """Attention of several heads, and its weights if needed: what function and layer share."""
    _check_inputs(heads, {"query": query, "key": key, "value": value})
    if masks.is_causal and masks.attention is None:
        raise complaint(ArgumentError, heads.op, "is_causal only says what attn_mask is", None,
                        "pass the causal attn_mask")
    batched = query.ndim == 3
    batch_first = batch_first or not batched
    q, k, v = (_parted(x if batched else reshape(x, (1, *x.shape)), heads.count, batch_first)
               for x in _projected(heads, query, key, value))
    if k.shape[0] != q.shape[0]:
        raise complaint(ShapeError, heads.op, f"there are queries of {q.shape[0]} samples, and keys of {k.shape[0]}",
                        {"query": query, "key": key})
    k = k if heads.static_k is None else _static(heads, heads.static_k, "static_k", k)
    v = v if heads.static_v is None else _static(heads, heads.static_v, "static_v", v)
    keys = k.shape[2]
    k, v = _extended(heads, k, heads.bias_k), _extended(heads, v, heads.bias_v)
    causal = (masks.is_causal and masks.padding is None and not need_weights
              and k.shape[2] == keys == q.shape[2])  # else the mask says what hides what is added
    mask = None if causal else _mask(heads, masks, q, keys, batched, k.shape[2] - keys)
    shown = None
    if need_weights:
        weights = attention_weights(q, k, mask)
        weights = dropout(weights, dropout_p) if dropout_p else weights
        out = matmul(weights, v)
        weights = mean(weights, axis=1) if average else weights
        shown = weights if batched else weights[0]
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    out = _permute_dims(out, axes=(0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
    out = reshape(out, (*query.shape[:-1], out.shape[2] * out.shape[3]))
    return linear(out, heads.out_weight, heads.out_bias), shown


def _check_options(query: Tensor, embed_dim: int, num_heads: int, heads: Heads) -> None:
    if query.ndim and query.shape[-1] != embed_dim:
        raise complaint(ShapeError, heads.op, f"query must have {embed_dim} features, as embed_dim_to_check says",
                        {"query": query})
    if num_heads < 1 or embed_dim % num_heads:
        raise complaint(ArgumentError, heads.op, f"{embed_dim} features do not go evenly into {num_heads} heads")
    if (heads.bias_k is None) != (heads.bias_v is None):
        raise complaint(ArgumentError, heads.op, "bias_k and bias_v go together", {
            "bias_k": heads.bias_k, "bias_v": heads.bias_v})
    for name, static in (("static_k", heads.static_k), ("static_v", heads.static_v)):
        if static is not None and heads.bias_k is not None:
            raise complaint(ArgumentError, heads.op, f"no bias can be added to {name}", {name: static})


@functional
def multi_head_attention_forward(
        query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
        in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
        add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None,
        training: bool = True, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
        k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None, static_k: Tensor | None = None,
        static_v: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
    """Attention of ``num_heads`` heads between projections by given weights: what `nn.MultiheadAttention` computes.

    query: [L, N, embed_dim], key: [S, N, features], value: [S, N, features], or all without N; ``in_proj_weight``
    [3 * embed_dim, embed_dim], or with ``use_separate_proj_weight`` the three of queries, keys and values. ``bias_k``
    and ``bias_v`` [1, 1, embed_dim] are one more key and value, ``add_zero_attn`` adds one of zeros; ``static_k`` and
    ``static_v`` [N * num_heads, S, features of a head] stand for those projected. Masks are those of the layer.

    Vaswani et al., "Attention is all you need", 2017. Raises `ShapeError`, `DTypeError` and `ArgumentError` for what
    does not go together.

    >>> import tensorlite as tl
    >>> x, eye = tl.ones((3, 1, 2)), tl.eye(2)
    >>> y, weights = multi_head_attention_forward(x, x, x, 2, 1, tl.concat([eye] * 3), None, None, None, False, 0.0,
    ...                                           eye, None)
    >>> y.shape, weights.shape
    ((3, 1, 2), (1, 3, 3))
    """
    op = "multi_head_attention_forward"
    weight: Tensor | Sequence[Tensor | None] | None = in_proj_weight
    if use_separate_proj_weight:
        weight = (q_proj_weight, k_proj_weight, v_proj_weight)
    if weight is None or not isinstance(weight, Tensor) and any(w is None for w in weight):
        raise complaint(ArgumentError, op, "weights are missing", None, "pass in_proj_weight, or with "
                        "use_separate_proj_weight the three of query, key and value")
    heads = Heads(op, num_heads, weight, in_proj_bias, out_proj_weight, out_proj_bias, bias_k,  # type: ignore[arg-type]
                  bias_v, add_zero_attn, static_k, static_v)
    _check_options(query, embed_dim_to_check, num_heads, heads)
    return attend(heads, query, key, value, Masks(attn_mask, key_padding_mask, is_causal),
                  dropout_p if training else 0.0, need_weights, average_attn_weights, batch_first=False)
