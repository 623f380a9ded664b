"""Sums over the paths through a chain of states, and over their edges: what carries cotangents back along them.

A path stays in a state, or goes on by one state or two. Derivatives of all orders are such sums again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, merged, move_axis, parted
from tensorlite.declare import elementwise, primitive
from tensorlite.errors import ShapeError
from tensorlite.kernels import scalar as s
from tensorlite.op import Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.joint import jointly
from tensorlite.ops.reduce import _sum, accumulator
from tensorlite.ops.shape import retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

NATIVE_STATES = 64  # states at all times from which on a kernel is worth its call: NumPy has a call for each step


@elementwise(accepts="real floating", hidden=True, domain={
    "before": (-1.0, 0.5), "term": (-1.0, 0.5), "after": (-0.5, 1.0)})
def edge_share(before, term, after):
    """``exp(before + term - after)``: the share that paths along an edge have of all to its end; 0 where none goes."""
    return s.where(s.equal(after, -np.inf), 0, s.exp(before + term - after))


def _sequences(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """A batch is more sequences."""
    joined = [merged(move_axis(x, 0, x.ndim - 3), x.ndim - 3) for x in batch.all_in_front(inputs)]
    return parted(batch.apply(*joined, **attributes), 1, batch.size, joined[0].shape[1] // batch.size), 1


def _check(x: Any, **others: tuple[Any, tuple[int, ...]]) -> None:
    """Raises where the others have not the dtype of ``x``, or not the shapes that go with it."""
    check_floating(x)
    if len(x.shape) != 3:
        raise ShapeError("x must have three axes: steps, sequences and states")
    check_alike(x, **{name: other for name, (other, _) in others.items()})
    for name, (other, shape) in others.items():
        if tuple(other.shape) != shape:
            raise ShapeError(f"{name} must have shape {list(shape)}")


def _edges(states: int) -> tuple[int, int, int]:
    """How many edges go from a state by none, one and two."""
    return states, max(states - 1, 0), max(states - 2, 0)


# --- sums over paths ----------------------------------------------------------------------------------------------


def _paths_type(x: TensorType, skip: TensorType, first: TensorType) -> TensorType:
    batch, states = x.shape[1:] if len(x.shape) == 3 else (0, 0)
    _check(x, skip=(skip, (batch, _edges(states)[2])), first=(first, (batch, states)))
    return retype(x, (x.shape[0] + 1, batch, states))


def _paths_cotangents(g: Tensor, x: Tensor, skip: Tensor, y: Tensor) -> dict[int, Tensor]:
    """Each state's cotangent is shared among those before it, by what they have of its paths."""
    before, after = y[:-1], y[1:]
    shares = [edge_share(before[:, :, :n] + skip if k == 2 else before[:, :, :n], x[:, :, k:], after[:, :, k:])
              for k, n in enumerate(_edges(x.shape[2]))]
    found = _ctc_flow(g, *shares, back=True)
    return {0: found[1:], 1: _sum(shares[2] * found[1:, :, 2:], axis=(0,), keepdims=False, dtype=None), 2: found[0]}


def _paths_rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of one input; they are found together."""
    def rule(g: Tensor, x: Tensor, skip: Tensor, y: Tensor) -> Tensor | None:
        return jointly((g,), index, lambda: _paths_cotangents(g, x, skip, y))
    return rule


@primitive("opaque", type=_paths_type, batch=_sequences, native_size=NATIVE_STATES,
           vjp={name: _paths_rule(index) for index, name in enumerate(("x", "skip", "first"))},
           samples=[Sample((4, 2, 5), (2, 3), (2, 5)), Sample((3, 2, 1), (2, 0), (2, 1)),
                    Sample((2, 1, 2), (1, 0), (1, 2)), Sample((0, 2, 3), (2, 1), (2, 3))])
def _ctc_paths(xp: Any, x: Any, skip: Any, first: Any) -> Any:
    """``y[t+1, i] = x[t, i] + log(exp(y[t, i]) + exp(y[t, i-1]) + exp(y[t, i-2] + skip[i-2]))``, ``y[0] = first``."""
    _paths_type(*(TensorType(a.dtype, a.shape) for a in (x, skip, first)))
    wide = accumulator(x.dtype)
    terms, skip = x.astype(wide, copy=False), skip.astype(wide, copy=False)
    out = xp.empty((x.shape[0] + 1, *x.shape[1:]), wide)
    out[0] = first
    for before, term, after in zip(out, terms, out[1:], strict=False):
        ways = [xp.full(before.shape, -np.inf, wide) for _ in range(2)]
        ways[0][:, 1:] = before[:, :-1]
        ways[1][:, 2:] = before[:, :-2] + skip
        top = xp.maximum(before, xp.maximum(*ways))
        base = xp.where(xp.isinf(top), wide.type(0), top)
        after[...] = base + xp.log(sum(xp.exp(way - base) for way in (before, *ways))) + term
    return out.astype(x.dtype, copy=False)


def log_sums_over_paths(x: Tensor, skip: Tensor, first: Tensor) -> Tensor:
    """The logarithms of sums over all paths to each state, of the products of ``exp(x)`` along them.

    x: [steps, batch, states], what a path gains in a state; skip: [batch, states - 2], what it gains by going on by
    two; first: [batch, states], what it has before the first step. The result has that as its first row.
    """
    return _ctc_paths(x, skip, first)


# --- sums along edges ---------------------------------------------------------------------------------------------


def _flow_cotangents(g: Tensor, y: Tensor, weights: tuple[Tensor, Tensor, Tensor], back: bool) -> dict[int, Tensor]:
    """The cotangent flows the other way; that of an edge's weight is what comes to it from both sides."""
    other = _ctc_flow(g, *weights, back=not back)
    earlier, later = (other, y) if back else (y, other)
    edges = enumerate(_edges(y.shape[2]))
    return {0: other, **{k + 1: earlier[:-1, :, :n] * later[1:, :, k:] for k, n in edges}}


def _flow_rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of one input; they are found together."""
    def rule(g: Tensor, y: Tensor, w0: Tensor, w1: Tensor, w2: Tensor, back: bool) -> Tensor | None:
        return jointly((g,), index, lambda: _flow_cotangents(g, y, (w0, w1, w2), back))
    return rule


def _flow_type(x: TensorType, w0: TensorType, w1: TensorType, w2: TensorType, *, back: bool) -> TensorType:
    steps, batch, states = x.shape if len(x.shape) == 3 else (0, 0, 0)
    shapes = ((max(steps - 1, 0), batch, n) for n in _edges(states))
    _check(x, **{f"w{k}": pair for k, pair in enumerate(zip((w0, w1, w2), shapes, strict=True))})
    return x


@primitive("opaque", type=_flow_type, batch=_sequences, native_size=NATIVE_STATES,
           vjp={name: _flow_rule(index) for index, name in enumerate(("x", "w0", "w1", "w2"))},
           samples=[Sample((4, 2, 5), (3, 2, 5), (3, 2, 4), (3, 2, 3), back=True),
                    Sample((3, 2, 3), (2, 2, 3), (2, 2, 2), (2, 2, 1), back=False),
                    Sample((3, 1, 2), (2, 1, 2), (2, 1, 1), (2, 1, 0), back=True),
                    Sample((1, 2, 1), (0, 2, 1), (0, 2, 0), (0, 2, 0), back=False)])
def _ctc_flow(xp: Any, x: Any, w0: Any, w1: Any, w2: Any, *, back: bool) -> Any:
    """``y[t+1, i] = x[t+1, i] + w0[t, i] y[t, i] + w1[t, i-1] y[t, i-1] + w2[t, i-2] y[t, i-2]``, ``y[0] = x[0]``.

    ``back`` goes along the same edges the other way, from ``y[-1] = x[-1]``: weights are numbered by where edges start.
    """
    _flow_type(*(TensorType(a.dtype, a.shape) for a in (x, w0, w1, w2)), back=back)
    out = x.astype(accumulator(x.dtype))
    steps = range(x.shape[0] - 1)
    for t in reversed(steps) if back else steps:
        for k, weight in enumerate((w0, w1, w2)):
            early, late = out[t, :, :weight.shape[2]], out[t + 1, :, k:]
            if back:
                early += weight[t] * late
            else:
                late += weight[t] * early
    return out.astype(x.dtype, copy=False)
