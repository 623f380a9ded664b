"""Attention that drops weights at random, and its derivative: ops like those without, beside which they stand.

Which weights are kept follows from four random words of each matrix, its *stream*, and a weight's place: kernels find
it where they need it, forward and backward, and a draw is an input like any other, whose ops are functions of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, move_axis
from tensorlite.declare import PUBLIC, primitive
from tensorlite.errors import DTypeError, ShapeError
from tensorlite.kernels.attention import kept, share
from tensorlite.op import Integers, Sample
from tensorlite.ops.attention import ops as plain
from tensorlite.ops.dropout import keep_scaled
from tensorlite.ops.joint import jointly
from tensorlite.ops.reduce import accumulator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, bool_, uint32

_INNER, _BACKWARD_INNER = (2, 2, 2, 1), (2, 2, 2, 2, 1, 1, 1)
"""Axes of the ops' inputs beside those of the stack, without those of a mask."""

# --- which weights are kept ---------------------------------------------------------------------------------------


def _check_stream(stream: Any) -> None:
    if stream.dtype != uint32:
        raise DTypeError(f"stream must be uint32, not {stream.dtype.name}")
    if stream.shape[-1:] != (4,):
        raise ShapeError("stream must be [..., 4]")


def _kept_type(stream: TensorType, *, queries: int, keys: int, p: float) -> TensorType:
    _check_stream(stream)
    return TensorType(bool_, (*stream.shape[:-1], queries, keys), stream.device)


def _kept_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    return batch.apply(move_axis(inputs[0], batch.axes[0], 0), **attributes), 0


@primitive("opaque", type=_kept_type, batch=_kept_batch, native_size=1,
           samples=(Sample(Integers((2, 1, 4), 0, 1 << 32, "uint32"), queries=3, keys=11, p=0.4),
                    Sample(Integers((4,), 0, 1 << 32, "uint32"), queries=0, keys=5, p=0.4)))
def _attention_kept(xp: Any, stream: Any, *, queries: int, keys: int, p: float) -> Any:
    """Which weights [..., queries, keys] are kept, where each is dropped with probability ``p``."""
    return kept(xp, stream, queries, keys, p)


# --- types, meanings and derivatives ------------------------------------------------------------------------------


def _type(q: TensorType, k: TensorType, v: TensorType, stream: TensorType, *mask: TensorType, causal: bool,
          scale: float, p: float) -> tuple[TensorType, TensorType]:
    plain.check_inputs(q, k, v, mask)
    _check_stream(stream)
    rows = (*plain.stack_of((q, k, v, stream, *mask), (*_INNER, *(2,) * len(mask))), q.shape[-2])
    return (TensorType(q.dtype, (*rows, v.shape[-1]), q.device), TensorType(accumulator(q.dtype), rows, q.device))


def _backward_type(g_: TensorType, q: TensorType, k: TensorType, v: TensorType, lse: TensorType, delta: TensorType,
                   stream: TensorType, *mask: TensorType, causal: bool, scale: float,
                   p: float) -> tuple[TensorType, ...]:
    plain.check_inputs(q, k, v, mask)
    _check_stream(stream)
    stack = plain.stack_of((g_, q, k, v, lse, delta, stream, *mask), (*_BACKWARD_INNER, *(2,) * len(mask)))
    return tuple(TensorType(x.dtype, (*stack, *x.shape[-2:]), x.device) for x in (q, k, v))


def _dropping(q: Tensor, k: Tensor, stream: Tensor, p: float) -> plain.Drop:
    """What drops weights, in Tensor ops."""
    which = _attention_kept(stream, queries=q.shape[-2], keys=k.shape[-2], p=p)
    return lambda weights: keep_scaled(which, weights, share(p))


def _meaning(q: Tensor, k: Tensor, v: Tensor, stream: Tensor, *mask: Tensor, causal: bool, scale: float,
             p: float) -> tuple[Tensor, Tensor] | None:
    return None if plain.are_looped(q, v) else plain.spelled(q, k, v, mask, causal, scale, _dropping(q, k, stream, p))


def _backward_meaning(g_: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor, stream: Tensor,
                      *mask: Tensor, causal: bool, scale: float, p: float) -> tuple[Tensor, ...] | None:
    if plain.are_looped(q, v):
        return None
    return plain.backward_spelled(g_, q, k, v, lse, delta, mask, causal, scale, _dropping(q, k, stream, p))


def _rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of ``q``, ``k`` or ``v``, which are found together."""
    def rule(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], q: Tensor, k: Tensor, v: Tensor, stream: Tensor,
             mask: tuple[Tensor, ...], causal: bool, scale: float, p: float) -> Tensor | None:
        return jointly(g, index, lambda: dict(enumerate(_attention_dropout_backward(
            g[0], q, k, v, y[1], plain.delta_of(g, y), stream, *mask, causal=causal, scale=scale, p=p))))
    return rule


def _mask_rule(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], q: Tensor, k: Tensor, v: Tensor, stream: Tensor,
               mask: tuple[Tensor, ...], causal: bool, scale: float, p: float) -> Tensor:
    """The cotangent of numbers that were added to the scores: that of the scores."""
    drop = _dropping(q, k, stream, p)
    return plain.slopes_of(g[0], q, k, v, y[1], plain.delta_of(g, y), mask, causal, scale, drop)[1]


def _second_rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of one input of the derivative; they are found together."""
    def rule(g: tuple[Tensor, ...], g_: Tensor, q: Tensor, k: Tensor, v: Tensor, lse: Tensor, delta: Tensor,
             stream: Tensor, mask: tuple[Tensor, ...], causal: bool, scale: float, p: float) -> Tensor | None:
        return jointly(g, index, lambda: dict(enumerate(plain.second(
            g, g_, q, k, v, lse, delta, mask, causal, scale, _dropping(q, k, stream, p)))))
    return rule


# --- ops ----------------------------------------------------------------------------------------------------------


def _with_stream(sample: Sample, place: int) -> Sample:
    """A sample of the op without dropout, with a stream for each matrix before the mask."""
    shapes = [x for x in sample.inputs if isinstance(x, tuple)]
    stack = np.broadcast_shapes(*(x[:-2] for x in shapes[:4]))
    stream = Integers((*stack, 4), 0, 1 << 32, "uint32")
    return Sample(*sample.inputs[:place], stream, *sample.inputs[place:], **sample.attributes, p=0.3)


_SAMPLES = tuple(plain.SAMPLES[place] for place in (1, 3, 4))  # causal, of a stack, and with a mask


def _array_dropping(xp: Any, q: Any, k: Any, stream: Any, p: float) -> plain.Drop:
    """What drops weights, on arrays."""
    which = kept(xp, stream, q.shape[-2], k.shape[-2], p)
    return lambda weights: xp.where(which, weights * weights.dtype.type(share(p)), weights.dtype.type(0))


@primitive("contract", autocast="narrow", type=_type, meaning=_meaning, batch=plain.batched(_INNER),
           samples=[_with_stream(sample, 3) for sample in _SAMPLES],
           vjp={"q": _rule(0), "k": _rule(1), "v": _rule(2), "mask": _mask_rule})
def _attention_dropout(xp: Any, q: Any, k: Any, v: Any, stream: Any, *mask: Any, causal: bool, scale: float,
                       p: float) -> Any:
    """The result, of weights that are dropped with probability ``p``, and the logarithm of the sum of all powers."""
    plain.check_inputs(q, k, v, mask)
    _check_stream(stream)
    return plain.array_result(xp, q, k, v, mask, causal, scale, _array_dropping(xp, q, k, stream, p))


@primitive("contract", type=_backward_type, meaning=_backward_meaning, batch=plain.batched(_BACKWARD_INNER),
           samples=[_with_stream(plain.backward_sample(sample), 6) for sample in _SAMPLES],
           vjp={name: _second_rule(place) for place, name in
                enumerate(("g_", "q", "k", "v", "lse", "delta"))} | {"mask": _second_rule(6)})
def _attention_dropout_backward(xp: Any, g_: Any, q: Any, k: Any, v: Any, lse: Any, delta: Any, stream: Any,
                                *mask: Any, causal: bool, scale: float, p: float) -> Any:
    """The cotangents of ``q``, ``k`` and ``v``, each for all of the stack."""
    plain.check_inputs(q, k, v, mask)
    _check_stream(stream)
    drop = _array_dropping(xp, q, k, stream, p)
    return plain.array_slopes(xp, g_, q, k, v, lse, delta, mask, causal, scale, drop)


def drop_attention(q: Tensor, k: Tensor, v: Tensor, mask: Sequence[Tensor], stack: tuple[int, ...], causal: bool,
                   scale: float, p: float, generator: Any) -> Tensor:
    """Attention whose weights are dropped with a probability ``p``; each matrix of the stack draws four words."""
    stream = PUBLIC["randint"](0, 1 << 32, (*stack, 4), dtype=uint32, generator=generator)
    return _attention_dropout(q, k, v, stream, *mask, causal=causal, scale=scale, p=p)[0]
