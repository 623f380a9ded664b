"""Connectionist temporal classification: the likelihood of labels that were not aligned with the input.

The labels with a blank before, between and after them are states; a path stays, or goes on by one, or by two from one
label to another. Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with
recurrent neural networks", 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import (
    equal,
    greater,
    greater_equal,
    isinf,
    less,
    logical_and,
    maximum,
    not_equal,
    where,
)
from tensorlite.ops.extremes import _max
from tensorlite.ops.filled import full, zeros
from tensorlite.ops.indexing.index import ARRAY, _take_at
from tensorlite.ops.indexing.scatter import _gather, _take_rows
from tensorlite.ops.join import concat, stack
from tensorlite.ops.losses.checks import checked_between
from tensorlite.ops.losses.paths import log_sums_over_paths
from tensorlite.ops.losses.reduction import check_reduction, reduced
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import _sum, accumulator, logsumexp
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, INTEGERS, int64
from tensorlite.traced import is_traced

__all__ = ["ctc_loss"]

Lengths = Tensor | Sequence[int] | int


@functional(autocast="wide")
def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """The negative log likelihood of label sequences, summed over all their alignments with the input.

    log_probs: [steps, batch, classes] or [steps, classes], of `log_softmax`. targets: integers [batch, labels], padded
    with anything, or one after the other, [sum(target_lengths)]. Lengths: [batch], tensors or tuples. "mean" divides
    each loss by its number of labels first. Where the input is too short for the labels the loss is infinite and its
    derivative 0; ``zero_infinity`` makes it 0. In compiled functions labels that are padded are best: of others it is
    only known how many a row has at most if their lengths are a tuple.

    The derivative with respect to ``log_probs`` is the true one; PyTorch's differs by ``exp(log_probs)``, and both are
    the same with respect to the scores before `log_softmax`. Raises `ArgumentError` for lengths and classes that are
    not there, and `ShapeError` where shapes do not fit.

    >>> import tensorlite as tl
    >>> log_probs = tl.log_softmax(tl.zeros((3, 1, 2)), axis=2)
    >>> ctc_loss(log_probs, tl.tensor([[1]]), (3,), (1,), reduction="none")  # 6 of 8 alignments say 1
    tensor([0.2877])
    """
    check_reduction("ctc_loss", reduction)
    _check(log_probs, targets, blank)
    single = log_probs.ndim == 2
    rows = _reshape(log_probs, shape=(log_probs.shape[0], 1, log_probs.shape[1])) if single else log_probs
    steps, batch, classes = rows.shape
    inputs = checked_between(_lengths("input_lengths", input_lengths, batch), low=0, high=steps, name="input_lengths")
    labels, counts = _padded(targets, _lengths("target_lengths", target_lengths, batch), batch, steps)
    labels = where(less(arange(labels.shape[1]), _column(counts)), labels, blank)
    labels = checked_between(labels, low=0, high=classes - 1, name="targets")
    loss = -_likelihood(astype(rows, accumulator(rows.dtype), copy=False), labels, inputs, counts, blank)
    if zero_infinity:
        loss = where(isinf(loss), 0.0, loss)
    loss = astype(loss, log_probs.dtype, copy=False)
    if reduction == "mean":
        loss = loss / astype(maximum(counts, 1), loss.dtype)
    return reduced("ctc_loss", _reshape(loss, shape=()) if single else loss, reduction)


# --- the arguments ------------------------------------------------------------------------------------------------


def _check(log_probs: Tensor, targets: Tensor, blank: int) -> None:
    if log_probs.dtype not in GROUPS["real floating"]:
        raise complaint(DTypeError, "ctc_loss", "log_probs must be real floating", {"log_probs": log_probs})
    if targets.dtype not in INTEGERS:
        raise complaint(DTypeError, "ctc_loss", f"targets hold classes, which are integers, not {targets.dtype.name}",
                        {"targets": targets}, "cast it: targets.to(tl.int64)")
    if log_probs.ndim not in (2, 3):
        raise complaint(ShapeError, "ctc_loss", "log_probs must be [steps, batch, classes] or [steps, classes]",
                        {"log_probs": log_probs})
    batch = log_probs.shape[1] if log_probs.ndim == 3 else 1
    if targets.ndim not in (1, 2) or targets.ndim == 2 and targets.shape[0] != batch:
        raise complaint(ShapeError, "ctc_loss", f"targets must be [{batch}, labels] or [sum(target_lengths)]",
                        {"log_probs": log_probs, "targets": targets})
    if not 0 <= blank < log_probs.shape[-1]:
        raise complaint(ArgumentError, "ctc_loss", f"blank must be a class, 0 to {log_probs.shape[-1] - 1}, "
                        f"not {blank}", {"log_probs": log_probs})


def _lengths(name: str, given: Lengths, batch: int) -> Tensor:
    """The lengths as int64[batch]."""
    lengths = given if isinstance(given, Tensor) else asarray(np.asarray(given, None if np.size(given) else np.int64))
    if lengths.dtype not in INTEGERS:
        raise complaint(DTypeError, "ctc_loss", f"{name} must be integers, not {lengths.dtype.name}", {name: given})
    if lengths.size != batch or lengths.ndim > 1:
        raise complaint(ShapeError, "ctc_loss", f"{name} must have shape [{batch}], one number for each sequence",
                        {name: given})
    return astype(_reshape(lengths, shape=(batch,)), int64, copy=False)


def _padded(targets: Tensor, counts: Tensor, batch: int, steps: int) -> tuple[Tensor, Tensor]:
    """The labels as int64[batch, labels], whatever follows those of a row, and how many these are."""
    targets = astype(targets, int64, copy=False)
    if targets.ndim == 2 or batch == 1:
        rows = _reshape(targets, shape=(batch, targets.size // batch if batch else targets.shape[1]))
        return rows, checked_between(counts, low=0, high=rows.shape[1], name="target_lengths")
    counts = checked_between(counts, low=0, high=targets.size, name="target_lengths")
    total = _sum(counts, axis=(0,), keepdims=False, dtype=int64)
    total = checked_between(total, low=targets.size, high=targets.size, name="the sum of target_lengths")
    if not targets.size:
        return full((batch, 0), 0, dtype=int64), counts
    following = total - counts.cumulative_sum(axis=0)
    places = _column(targets.size - following - counts) + arange(_most(counts, targets.size, steps))
    return _take_rows(targets, places.clip(0, targets.size - 1), axis=0), counts


def _most(counts: Tensor, labels: int, steps: int) -> int:
    """How many labels there are at most; where that is not known yet, as many as could be said in so many steps."""
    return min(labels, steps) if is_traced(counts) else int(counts.max())


def _column(x: Tensor) -> Tensor:
    return _reshape(x, shape=(x.size, 1))


# --- the sum over paths -------------------------------------------------------------------------------------------


def _likelihood(log_probs: Tensor, labels: Tensor, inputs: Tensor, counts: Tensor, blank: int) -> Tensor:
    """The logarithm of each sequence's likelihood."""
    steps, batch, _ = log_probs.shape
    states = _between(labels, blank)
    allowed = logical_and(not_equal(labels[:, 1:], labels[:, :-1]), not_equal(labels[:, 1:], blank))
    skip = _between(where(allowed, 0.0, -np.inf), -np.inf) if labels.shape[1] else zeros((batch, 0))
    first = where(equal(arange(states.shape[1]), 0), 0.0, -np.inf)
    skip, first = (astype(x, log_probs.dtype, copy=False) for x in (skip, _broadcast_to(first, shape=states.shape)))
    gains = _gather(log_probs, _broadcast_to(states, shape=(steps, *states.shape)), axis=2)
    sums = log_sums_over_paths(gains, skip, first)
    ends = _column(2 * counts) - arange(2)  # in the blank after the last label, or in that label, if there is one
    known = logical_and(greater_equal(ends, 0), less(ends, states.shape[1]))
    found = _take_at(sums, _column(inputs), _column(arange(batch)), where(known, ends, 0), spec=(ARRAY,) * 3)
    return _sum_of_two(where(known, found, -np.inf))


def _sum_of_two(ends: Tensor) -> Tensor:
    """`logsumexp` of the columns, whose derivative is 0 where both are impossible."""
    possible = greater(_max(ends, axis=(1,), keepdims=False), -np.inf)
    return where(possible, logsumexp(where(_column(possible), ends, 0.0), axis=1), -np.inf)


def _between(x: Tensor, filler: Any) -> Tensor:
    """The columns of a matrix with others before, between and after them."""
    column = full((len(x), 1), filler, dtype=x.dtype, device=x.device)
    pairs = stack([_broadcast_to(column, shape=x.shape), x], 2)
    return concat([_reshape(pairs, shape=(len(x), 2 * x.shape[1])), column], 1)
