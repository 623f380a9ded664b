"""Looking up bags of vectors in a table, of which only the sum, the mean or the maximum is wanted."""

from __future__ import annotations

import math

from tensorlite.declare import functional
from tensorlite.dispatch import apply
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.op import OPS
from tensorlite.ops.elementwise import less, logical_and, maximum, minimum, not_equal, where
from tensorlite.ops.filled import full, zeros
from tensorlite.ops.indexing.embedding import check_table, looked_up, renormalize
from tensorlite.ops.indexing.scatter import _add_rows, _take_rows
from tensorlite.ops.join import concat
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import sum
from tensorlite.ops.shape import astype, reshape
from tensorlite.ops.sort import searchsorted
from tensorlite.tensor import Tensor
from tensorlite.traced import is_traced

__all__ = ["embedding_bag"]

_MODES = ("sum", "mean", "max")


def _check(input: Tensor, offsets: Tensor | None, mode: str, weights: Tensor | None, scaled: bool) -> None:
    given = {"input": input, **({} if offsets is None else {"offsets": offsets})}
    if mode not in _MODES:
        raise complaint(ArgumentError, "embedding_bag", f"mode must be 'sum', 'mean' or 'max', not {mode!r}")
    if input.ndim not in (1, 2):
        raise complaint(ShapeError, "embedding_bag", f"the input has 1 or 2 axes, not {input.ndim}", given)
    if (input.ndim == 1) != (offsets is not None):
        raise complaint(ArgumentError, "embedding_bag", "an input of one axis needs offsets, one of two axes takes "
                        "none", given)
    if offsets is not None:
        _check_offsets(input, offsets)
    if weights is not None and mode != "sum":
        raise complaint(ArgumentError, "embedding_bag", f"per_sample_weights go with mode='sum', not {mode!r}")
    if weights is not None and weights.shape != input.shape:
        raise complaint(ShapeError, "embedding_bag", "per_sample_weights must have the input's shape",
                        {"input": input, "per_sample_weights": weights})
    if scaled and mode == "max":
        raise complaint(ArgumentError, "embedding_bag", "scale_grad_by_freq does not go with mode='max'")


def _check_offsets(input: Tensor, offsets: Tensor) -> None:
    given = {"input": input, "offsets": offsets}
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise complaint(ShapeError, "embedding_bag", "offsets are one axis of integers", given)
    known = offsets.detach()
    if is_traced(known) or not known.size:
        return
    numbers = known.numpy()
    if numbers[0] != 0 or numbers[-1] > input.size or (numbers[1:] < numbers[:-1]).any():
        raise complaint(ArgumentError, "embedding_bag", "offsets begin with 0, do not fall, and do not exceed the "
                        f"input's length, {input.size}", given)


def _pooled(rows: Tensor, valid: Tensor | None, mode: str) -> Tensor:
    """The sum, mean or maximum of each bag of rows: [bags, most, features], of which ``valid`` count: [bags, most]."""
    here = None if valid is None else reshape(valid, (*valid.shape, 1))
    if mode == "max":
        if not rows.shape[1]:
            return zeros((rows.shape[0], rows.shape[2]), dtype=rows.dtype)
        filled = rows if here is None else where(here, rows, -math.inf)
        largest = apply(OPS["max"], filled, axis=(1,), keepdims=False)
        return largest if here is None else where(apply(OPS["any"], here, axis=(1,), keepdims=False), largest, 0.0)
    total = sum(rows if here is None else where(here, rows, 0.0), axis=1)
    if mode == "sum":
        return total
    if here is None:
        return total / max(rows.shape[1], 1)
    return total / maximum(sum(astype(here, rows.dtype), axis=1), 1.0)


def _offset_bags(rows: Tensor, valid: Tensor | None, starts: Tensor, ends: Tensor, mode: str) -> Tensor:
    """The same of bags that lie one after the other: rows: [all, features]; starts and ends: [bags]."""
    count, bags = len(rows), len(starts)
    if not count or not bags:
        return zeros((bags, rows.shape[1]), dtype=rows.dtype) + sum(rows)
    if mode == "max":
        lengths = ends - starts
        most = count if is_traced(lengths) else int(lengths.max())
        places = reshape(starts, (bags, 1)) + arange(most, dtype=starts.dtype)
        inside = less(places, reshape(ends, (bags, 1)))
        places = minimum(places, count - 1)
        inside = inside if valid is None else logical_and(inside, _take_rows(valid, places, axis=0))
        return _pooled(_take_rows(rows, places, axis=0), inside, mode)
    positions = arange(count, dtype=starts.dtype)
    inside = less(positions, ends[-1:])
    inside = inside if valid is None else logical_and(inside, valid)
    owner = searchsorted(starts, positions, side="right") - 1
    total = _add_rows(where(reshape(inside, (count, 1)), rows, 0.0), owner, axis=0, size=bags)
    if mode == "sum":
        return total
    sizes = _add_rows(astype(inside, rows.dtype), owner, axis=0, size=bags)
    return total / maximum(reshape(sizes, (bags, 1)), 1.0)


@functional
def embedding_bag(input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
                  norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                  per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
                  padding_idx: int | None = None) -> Tensor:
    """The sum, the mean or the maximum of the rows of a table that the indices of each bag name; 0 of an empty bag.

    input: integers [bags, size], or [all] with ``offsets``: where each bag begins (and, with ``include_last_offset``,
    where the last one ends). weight: [rows, features]. ``per_sample_weights`` of the input's shape weigh a sum. What
    names the row ``padding_idx`` does not count. ``max_norm`` and ``scale_grad_by_freq`` are those of `embedding`.
    Raises `ArgumentError` and `ShapeError` where these do not go together.

    >>> import tensorlite as tl
    >>> table = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> embedding_bag(tl.tensor([0, 1, 1]), table, tl.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [3., 4.]])
    """
    _check(input, offsets, mode, per_sample_weights, scale_grad_by_freq)
    if include_last_offset and offsets is None:
        raise complaint(ArgumentError, "embedding_bag", "include_last_offset goes with offsets", {"input": input})
    if include_last_offset and not len(offsets):  # type: ignore[arg-type]
        raise complaint(ArgumentError, "embedding_bag", "include_last_offset needs at least one offset",
                        {"offsets": offsets})
    padding = check_table("embedding_bag", input, weight, padding_idx, sparse)
    if max_norm is not None:
        renormalize(weight, input, max_norm, norm_type)
    rows = looked_up(weight, input, None, scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * reshape(per_sample_weights, (*input.shape, 1))
    valid = None if padding is None else not_equal(input, padding)
    if offsets is None:
        return _pooled(rows, valid, mode)
    if include_last_offset:
        return _offset_bags(rows, valid, offsets[:-1], offsets[1:], mode)
    ends = concat([offsets[1:], full((1,), len(input), dtype=offsets.dtype)]) if len(offsets) else offsets
    return _offset_bags(rows, valid, offsets, ends, mode)
