"""Scaled dot-product attention, and its derivative: ops of their own, whose kernels keep no score of each pair.

With scores ``s = q @ k.T * scale``, masked, the result is ``p @ v`` for ``p = exp(s - lse)``, where ``lse`` is the
logarithm of the sum of ``exp(s)`` of each query. So the derivative needs but ``lse``, and what each query's cotangent
``g`` has to do with its result: ``ds = p * (g @ v.T - delta)`` with ``delta = sum(g * out)`` (Dao et al.,
"FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022). A query that may look nowhere has
an infinite ``lse``: then every ``p`` is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from tensorlite.batch import Attributes, Batch, move_axis, padded
from tensorlite.declare import primitive
from tensorlite.dispatch import apply
from tensorlite.errors import ShapeError
from tensorlite.kernels.attention import has_loops
from tensorlite.op import OPS, Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.elementwise import equal, exp, greater_equal, log, maximum, not_equal, where
from tensorlite.ops.joint import jointly
from tensorlite.ops.linear_algebra.linalg import _matmul, swap_last
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import _sum, accumulator
from tensorlite.ops.shape import _reshape, astype, broadcast_to
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, bool_

Drop: TypeAlias = "Callable[[Any], Any]"
"""What becomes of weights, and of their cotangents: some are dropped, and the others scaled up; or nothing."""

# --- types --------------------------------------------------------------------------------------------------------


def stack_of(inputs: Sequence[Any], inner: Sequence[int]) -> tuple[int, ...]:
    """The stack of matrices that inputs broadcast to, which have so many axes beside it."""
    stacks = [x.shape[:len(x.shape) - n] for x, n in zip(inputs, inner, strict=True)]
    try:
        return np.broadcast_shapes(*stacks)
    except ValueError:
        raise ShapeError(f"stacks {' and '.join(str(list(stack)) for stack in stacks)} do not broadcast") from None


def check_inputs(q: Any, k: Any, v: Any, mask: Sequence[Any]) -> None:
    """Refuses what does not go together."""
    check_floating(q)
    check_alike(q, k=k, v=v)
    for x in mask:
        wanted = q.shape[-2], k.shape[-2]
        if any(n not in (1, m) for n, m in zip(x.shape[-2:], wanted, strict=True)):
            raise ShapeError(f"attn_mask {list(x.shape)} does not broadcast to [..., {wanted[0]}, {wanted[1]}]")


def _attention_type(q: TensorType, k: TensorType, v: TensorType, *mask: TensorType, causal: bool,
                    scale: float) -> tuple[TensorType, TensorType]:
    check_inputs(q, k, v, mask)
    stack = stack_of((q, k, v, *mask), (2,) * (3 + len(mask)))
    return (TensorType(q.dtype, (*stack, q.shape[-2], v.shape[-1]), q.device),
            TensorType(accumulator(q.dtype), (*stack, q.shape[-2]), q.device))


def _backward_type(g_: TensorType, q: TensorType, k: TensorType, v: TensorType, lse: TensorType, delta: TensorType,
                   *mask: TensorType, causal: bool, scale: float) -> tuple[TensorType, ...]:
    check_inputs(q, k, v, mask)
    stack = stack_of((g_, q, k, v, lse, delta, *mask), (2, 2, 2, 2, 1, 1, *(2,) * len(mask)))
    return tuple(TensorType(x.dtype, (*stack, *x.shape[-2:]), x.device) for x in (q, k, v))


# --- meanings -----------------------------------------------------------------------------------------------------


def _wide(x: Tensor) -> Tensor:
    return astype(x, accumulator(x.dtype), copy=False)


def causal_scores(scores: Tensor) -> Tensor:
    """Scores of no token after the asking one: every row keeps its first, so that no row is empty."""
    queries, keys = scores.shape[-2:]
    rows = _reshape(arange(queries, device=scores.device), shape=(queries, 1))
    return where(greater_equal(rows, arange(keys, device=scores.device)), scores, -math.inf)


def _scores(q: Tensor, k: Tensor, mask: Sequence[Tensor], causal: bool, scale: float) -> Tensor:
    """What each query and key have in common, minus infinity where the query may not look."""
    scores = _matmul(_wide(q) * scale, swap_last(_wide(k)))
    if causal:
        return causal_scores(scores)
    for x in mask:
        allowed = x if x.dtype == bool_ else not_equal(x, -math.inf)
        scores = where(allowed, scores if x.dtype == bool_ else scores + _wide(x), -math.inf)
    return scores


def are_looped(q: Tensor, v: Tensor) -> bool:
    """Whether loops of their own compute it."""
    return q.device == "cpu" and has_loops(q.dtype, q.shape[-2], q.shape[-1], v.shape[-1])


def _per_row(x: Tensor) -> Tensor:
    """Numbers of rows, shaped to meet matrices."""
    return _reshape(x, shape=(*x.shape, 1))


def _spread(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else broadcast_to(x, shape)


def _all(weights: Any) -> Any:
    """No weight is dropped."""
    return weights


def _attention_meaning(q: Tensor, k: Tensor, v: Tensor, *mask: Tensor, causal: bool,
                       scale: float) -> tuple[Tensor, Tensor] | None:
    return None if are_looped(q, v) else spelled(q, k, v, mask, causal, scale)


def spelled(q: Tensor, k: Tensor, v: Tensor, mask: Sequence[Tensor], causal: bool, scale: float,
            drop: Drop = _all) -> tuple[Tensor, Tensor]:
    """What `_attention` says, in other ops."""
    scores = _scores(q, k, mask, causal, scale)
    lowest = float(ml_dtypes.finfo(scores.dtype).min)
    largest = maximum(apply(OPS["max"], scores, axis=(scores.ndim - 1,), keepdims=True), lowest)
    powers = exp(scores - largest)
    total = _sum(powers, axis=(scores.ndim - 1,), keepdims=True, dtype=None)
    nothing = equal(total, 0)
    out = _matmul(drop(powers * where(nothing, 0, 1 / total)), _wide(v))
    lse = where(nothing, math.inf, largest + log(total))
    return astype(out, q.dtype, copy=False), _spread(_reshape(lse, shape=lse.shape[:-1]), out.shape[:-1])


def slopes_of(g: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor, mask: Sequence[Tensor],
              causal: bool, scale: float, drop: Drop = _all) -> tuple[Tensor, Tensor]:
    """The weights before any is dropped, and the cotangents of the scores."""
    weights = exp(_scores(q, k, mask, causal, scale) - _per_row(lse))
    return weights, weights * (drop(_matmul(_wide(g), swap_last(_wide(v)))) - _per_row(delta))


def _backward_meaning(g_: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor, *mask: Tensor,
                      causal: bool, scale: float) -> tuple[Tensor, ...] | None:
    return None if are_looped(q, v) else backward_spelled(g_, q, k, v, lse, delta, mask, causal, scale)


def backward_spelled(g: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor, mask: Sequence[Tensor],
                     causal: bool, scale: float, drop: Drop = _all) -> tuple[Tensor, ...]:
    """What `_attention_backward` says, in other ops."""
    weights, slopes = slopes_of(g, q, k, v, lse, delta, mask, causal, scale, drop)
    slopes = slopes * scale
    found = (_matmul(slopes, _wide(k)), _matmul(swap_last(slopes), _wide(q)),
             _matmul(swap_last(drop(weights)), _wide(g)))
    stack = slopes.shape[:-2]
    return tuple(astype(_spread(d, (*stack, *x.shape[-2:])), x.dtype, copy=False)
                 for d, x in zip(found, (q, k, v), strict=True))


# --- derivatives --------------------------------------------------------------------------------------------------


def _row_sums(x: Tensor) -> Tensor:
    return _sum(x, axis=(x.ndim - 1,), keepdims=False, dtype=None)


def delta_of(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
    """What is taken from the cotangent of each of a query's scores."""
    return _row_sums(_wide(g[0]) * _wide(y[0])) - g[1]


def _rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of ``q``, ``k`` or ``v``, which are found together."""
    def rule(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], q: Tensor, k: Tensor, v: Tensor,
             mask: tuple[Tensor, ...], causal: bool, scale: float) -> Tensor | None:
        return jointly(g, index, lambda: dict(enumerate(
            _attention_backward(g[0], q, k, v, y[1], delta_of(g, y), *mask, causal=causal, scale=scale))))
    return rule


def _mask_rule(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], q: Tensor, k: Tensor, v: Tensor,
               mask: tuple[Tensor, ...], causal: bool, scale: float) -> Tensor:
    """The cotangent of numbers that were added to the scores: that of the scores."""
    return slopes_of(g[0], q, k, v, y[1], delta_of(g, y), mask, causal, scale)[1]


def second(g: tuple[Tensor, ...], g_: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor,
           mask: tuple[Tensor, ...], causal: bool, scale: float, drop: Drop = _all) -> tuple[Tensor, ...]:
    """The cotangents of the derivative's inputs, from those of ``dq``, ``dk`` and ``dv``."""
    of_dq, of_dk, of_dv, g_, q, k, v = (_wide(x) for x in (*g, g_, q, k, v))
    weights, slopes = slopes_of(g_, q, k, v, lse, delta, mask, causal, scale, drop)
    weighed = drop(weights)
    of_slopes = (_matmul(of_dq, swap_last(k)) + _matmul(q, swap_last(of_dk))) * scale
    of_differences = of_slopes * weights
    of_products = drop(of_differences)
    of_scores = _matmul(g_, swap_last(of_dv)) * weighed + of_slopes * slopes
    return (_matmul(weighed, of_dv) + _matmul(of_products, v),
            (_matmul(of_scores, k) + _matmul(slopes, of_dk)) * scale,
            (_matmul(swap_last(of_scores), q) + _matmul(swap_last(slopes), of_dq)) * scale,
            _matmul(swap_last(of_products), g_), -_row_sums(of_scores), -_row_sums(of_differences), of_scores)


def _second_rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of one input of the derivative; they are found together."""
    def rule(g: tuple[Tensor, ...], g_: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor,
             mask: tuple[Tensor, ...], causal: bool, scale: float) -> Tensor | None:
        return jointly(g, index, lambda: dict(enumerate(
            second(g, g_, q, k, v, lse, delta, mask, causal, scale))))
    return rule


def batched(inner: Sequence[int]) -> Callable[..., tuple[Any, Any]]:
    """The rule of an op whose inputs have so many axes beside the stack, which the batch is added to."""
    def rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
        counts = [*inner, *(2,) * (len(inputs) - len(inner))]
        stack = max(x.ndim - (axis is not None) - n for x, axis, n in zip(inputs, batch.axes, counts, strict=True))
        found = batch.apply(*(x if axis is None else padded(move_axis(x, axis, 0), stack + n)
                              for x, axis, n in zip(inputs, batch.axes, counts, strict=True)), **attributes)
        return found, (0,) * len(found)
    return rule


# --- ops ----------------------------------------------------------------------------------------------------------

_FREE, _CAUSAL = {"causal": False, "scale": 0.5}, {"causal": True, "scale": 0.5}
_SHAPES = ((4, 3), (5, 3), (5, 2))
SAMPLES = (Sample(*_SHAPES, **_FREE), Sample(*_SHAPES, **_CAUSAL), Sample((0, 3), (5, 3), (5, 2), **_FREE),
           Sample((2, 1, 4, 3), (3, 2, 3), (3, 2, 1), **_CAUSAL), Sample(*_SHAPES, (2, 1, 5), **_FREE),
           Sample((2, 4, 3), (2, 5, 3), (2, 5, 2), (4, 5), **_FREE))


def backward_sample(sample: Sample) -> Sample:
    """A sample of the derivative at a sample of the op."""
    shapes = [x for x in sample.inputs if isinstance(x, tuple)]
    q, k, v, *mask = shapes
    rows = (*np.broadcast_shapes(*(x[:-2] for x in shapes)), q[-2])
    return Sample((*rows, v[-1]), q, k, v, rows, rows, *mask, **sample.attributes)


def _array_scores(xp: Any, q: Any, k: Any, mask: Sequence[Any], causal: bool, scale: float) -> Any:
    wide = accumulator(q.dtype)
    scores = xp.matmul(q.astype(wide) * wide.type(scale), xp.swapaxes(k, -1, -2).astype(wide, copy=False))
    if causal:
        queries, keys = scores.shape[-2:]
        scores = xp.where(xp.arange(queries)[:, None] >= xp.arange(keys), scores, wide.type(-math.inf))
    for x in mask:
        allowed = x if x.dtype == bool else x != -math.inf
        scores = xp.where(allowed, scores if x.dtype == bool else scores + x.astype(wide, copy=False),
                          wide.type(-math.inf))
    return scores


def array_result(xp: Any, q: Any, k: Any, v: Any, mask: Sequence[Any], causal: bool, scale: float,
                 drop: Drop = _all) -> tuple[Any, Any]:
    """What `_attention` says, of arrays."""
    scores = _array_scores(xp, q, k, mask, causal, scale)
    lowest = scores.dtype.type(np.finfo(scores.dtype).min)
    largest = xp.maximum(xp.max(scores, axis=-1, keepdims=True), lowest) if k.shape[-2] else lowest
    powers = xp.exp(scores - largest)
    total = xp.sum(powers, axis=-1, keepdims=True)
    nothing = total == 0
    weights = powers * xp.where(nothing, 0, 1 / xp.where(nothing, 1, total))
    out = xp.matmul(drop(weights), v.astype(powers.dtype, copy=False))
    lse = xp.where(nothing, scores.dtype.type(math.inf), largest + xp.log(xp.where(nothing, 1, total)))[..., 0]
    return out.astype(q.dtype, copy=False), xp.ascontiguousarray(xp.broadcast_to(lse, out.shape[:-1]))


def array_slopes(xp: Any, g_: Any, q: Any, k: Any, v: Any, lse: Any, delta: Any, mask: Sequence[Any], causal: bool,
                 scale: float, drop: Drop = _all) -> tuple[Any, ...]:
    """What `_attention_backward` says, of arrays."""
    weights = xp.exp(_array_scores(xp, q, k, mask, causal, scale) - lse[..., None])
    g = g_.astype(weights.dtype, copy=False)
    slopes = drop(xp.matmul(g, xp.swapaxes(v, -1, -2).astype(g.dtype, copy=False))) - delta[..., None]
    slopes = slopes * weights * weights.dtype.type(scale)
    found = (xp.matmul(slopes, k.astype(g.dtype, copy=False)),
             xp.matmul(xp.swapaxes(slopes, -1, -2), q.astype(g.dtype, copy=False)),
             xp.matmul(xp.swapaxes(drop(weights), -1, -2), g))
    stack = slopes.shape[:-2]
    return tuple(xp.ascontiguousarray(xp.broadcast_to(d, (*stack, *d.shape[-2:])).astype(x.dtype, copy=False))
                 for d, x in zip(found, (q, k, v), strict=True))


@primitive("contract", autocast="narrow",
           type=_attention_type, meaning=_attention_meaning, batch=batched((2, 2, 2)), samples=SAMPLES,
           vjp={"q": _rule(0), "k": _rule(1), "v": _rule(2), "mask": _mask_rule})
def _attention(xp: Any, q: Any, k: Any, v: Any, *mask: Any, causal: bool, scale: float) -> Any:
    """The result, and the logarithm of the sum of each query's powers; [..., L, Ev] and [..., L]."""
    check_inputs(q, k, v, mask)
    return array_result(xp, q, k, v, mask, causal, scale)


@primitive("contract", type=_backward_type, meaning=_backward_meaning, batch=batched((2, 2, 2, 2, 1, 1)),
           samples=[backward_sample(sample) for sample in SAMPLES],
           vjp={name: _second_rule(place) for place, name in
                enumerate(("g_", "q", "k", "v", "lse", "delta", "mask"))})
def _attention_backward(xp: Any, g_: Any, q: Any, k: Any, v: Any, lse: Any, delta: Any, *mask: Any, causal: bool,
                        scale: float) -> Any:
    """The cotangents of ``q``, ``k`` and ``v``, each for all of the stack."""
    check_inputs(q, k, v, mask)
    return array_slopes(xp, g_, q, k, v, lse, delta, mask, causal, scale)
