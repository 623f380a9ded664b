"""Boxes in images: choosing among those that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, merged
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Integers, Sample
from tensorlite.ops.checks import check_floating
from tensorlite.ops.filled import zeros
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.indexing.search import _nonzero
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import _reshape, astype
from tensorlite.ops.sort import _argsort
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, INTEGERS, TensorType, float32, int64

NATIVE_BOXES = 64 * 4  # numbers of boxes from which on a kernel compares each with each, and not NumPy


def _kept_type(boxes: TensorType, order: TensorType, groups: TensorType, *, threshold: float) -> TensorType:
    check_floating(boxes)
    return TensorType(np.dtype(bool), order.shape, boxes.device)


def _batched(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Scenes are groups of boxes in one."""
    boxes, order, groups = batch.all_in_front(inputs)
    scene = _reshape(arange(batch.size), shape=(batch.size, 1))
    found = batch.apply(merged(boxes), merged(order + scene * boxes.shape[1]), merged(groups * batch.size + scene),
                        **attributes)
    return _reshape(found, shape=order.shape), 0


@primitive("opaque", type=_kept_type, batch=_batched, native_size=NATIVE_BOXES, samples=[
    Sample((6, 4), Integers((6,), 0, 6), Integers((6,), 0, 2), threshold=0.5),
    Sample((0, 4), Integers((0,), 0, 1), Integers((0,), 0, 1), threshold=0.5)])
def _unsuppressed(xp: Any, boxes: Any, order: Any, groups: Any, *, threshold: float) -> Any:
    """Whether each box, in order, overlaps none before it that is kept and of its group by more than ``threshold``."""
    check_floating(boxes)
    (left, top, right, bottom), group = boxes[order].T, groups[order]
    area = (right - left) * (bottom - top)
    kept = xp.ones(order.shape, bool)
    for i in range(len(order) - 1):
        if not kept[i]:
            continue
        later, none = slice(i + 1, None), boxes.dtype.type(0)
        x1, y1 = (xp.where(a[i] < a[later], a[later], a[i]) for a in (left, top))
        x2, y2 = (xp.where(a[later] < a[i], a[later], a[i]) for a in (right, bottom))
        width, height = (xp.where(none < extent, extent, none) for extent in (x2 - x1, y2 - y1))
        common = width * height
        ratio = common / (area[i] + area[later] - common)
        kept[later] &= ~((ratio.astype(xp.float64) > threshold) & (group[later] == group[i]))
    return kept


@public(method=False)
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The positions of the boxes that overlap no better one, in decreasing order of score (non-maximum suppression).

    boxes: [n, 4], the corners x1, y1, x2, y2. scores: [n]. A box falls away where one of a higher score that stays
    has more than ``iou_threshold`` in common with it: the common area over that of both together. Of equal scores the
    first one is the higher. As in torchvision; a NaN is the highest score. Raises `ShapeError` and `DTypeError`, and in
    jitted functions `TraceError`: how many boxes stay is only known when it runs.

    >>> import tensorlite as tl
    >>> boxes = tl.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    >>> tl.nms(boxes, tl.tensor([0.8, 0.9, 0.5]), 0.5)
    tensor([1, 2])
    """
    _check("nms", boxes, scores)
    one = zeros(scores.shape, dtype=int64, device=scores.device)
    return _kept(boxes, scores, one, _threshold("nms", iou_threshold))


@public(method=False)
def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """What `nms` gives where only boxes of the same class suppress each other: ``idxs`` [n] holds each box's class.

    >>> import tensorlite as tl
    >>> boxes = tl.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    >>> tl.batched_nms(boxes, tl.tensor([0.8, 0.9, 0.5]), tl.tensor([0, 1, 0]), 0.5)
    tensor([1, 0, 2])
    """
    _check("batched_nms", boxes, scores)
    if idxs.dtype not in INTEGERS or idxs.shape != scores.shape:
        raise complaint(ArgumentError, "batched_nms", "idxs must hold one class for each box",
                        {"boxes": boxes, "idxs": idxs})
    return _kept(boxes, scores, astype(idxs, int64, copy=False), _threshold("batched_nms", iou_threshold))


def _kept(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    wide = astype(boxes, float32, copy=False) if boxes.dtype.itemsize == 2 else boxes
    order = _argsort(scores, axis=0, descending=True, stable=True)
    (places,) = _nonzero(_unsuppressed(wide, order, groups, threshold=threshold))
    return _take_rows(order, places, axis=0)


def _check(op: str, boxes: Tensor, scores: Tensor) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise complaint(ShapeError, op, "boxes must have the shape [n, 4] and scores [n]",
                        {"boxes": boxes, "scores": scores})
    if boxes.dtype not in FLOATS or scores.dtype not in FLOATS:
        raise complaint(DTypeError, op, "boxes and scores must be real floating", {"boxes": boxes, "scores": scores},
                        "convert them: x.float()")


def _threshold(op: str, iou_threshold: Any) -> float:
    try:
        return float(iou_threshold)
    except (TypeError, ValueError):
        raise complaint(DTypeError, op, f"iou_threshold must be a number, not {type(iou_threshold).__name__}") from None
