"""Slices across an axis, read and written: select, narrow, unfold, index_add, index_copy, index_fill, index_put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import METHODS, public
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError, complaint
from tensorlite.ops.axes import one_axis
from tensorlite.ops.creation import asarray
from tensorlite.ops.indexing.index import ARRAY, _put_add, _slice, get_item_at, indexed_shape, set_item_at, split_index
from tensorlite.ops.indexing.masks import as_filling
from tensorlite.ops.indexing.scatter import _add_rows, _take_rows
from tensorlite.ops.indexing.take import positions, take_along_axis
from tensorlite.ops.join import along
from tensorlite.ops.manipulation import moveaxis
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import can_hold

# --- reading ------------------------------------------------------------------------------------------------------


@public
def select(x: Tensor, /, axis: int, index: int) -> Tensor:
    """The slice at one place of an axis, which it no longer has; negative places count from the end.

    Raises `IndexingError` for a place that the axis does not have.

    >>> import tensorlite as tl
    >>> tl.select(tl.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    axis = one_axis("select", x, axis)
    return _slice(x, spec=along(axis, _place("select", x, axis, index)))


def _place(op: str, x: Tensor, axis: int, index: int) -> int:
    extent = x.shape[axis]
    place = index.__index__()
    if not -extent <= place < extent:
        raise complaint(IndexingError, op, f"index {place} is out of range for axis {axis} of {extent}", {"x": x})
    return place % extent


@public
def narrow(x: Tensor, /, axis: int, start: int | Tensor, length: int) -> Tensor:
    """The part of an axis that begins at ``start`` and is ``length`` long; a negative start counts from the end.

    Raises `ArgumentError` for a part that the axis does not have.

    >>> import tensorlite as tl
    >>> tl.narrow(tl.tensor([1, 2, 3, 4]), 0, 1, 2)
    tensor([2, 3])
    """
    axis = one_axis("narrow", x, axis)
    extent, first = x.shape[axis], start.__index__()
    if length < 0 or not -extent <= first <= extent or first % (extent or 1) + length > extent and length or (
            first == extent and length):
        raise complaint(ArgumentError, "narrow",
                        f"axis {axis} of {extent} has no part of length {length} that begins at {first}", {"x": x})
    first = first + extent if first < 0 else first
    return _slice(x, spec=along(axis, slice(first, first + length)))


@public
def take_along_dim(x: Tensor, indices: Tensor, /, axis: int | None = None) -> Tensor:
    """For each line along an axis, the elements at positions of its own, as `take_along_axis`; without one, of a row.

    >>> import tensorlite as tl
    >>> tl.take_along_dim(tl.tensor([[3, 1], [2, 4]]), tl.tensor([3, 0]))
    tensor([4, 3])
    """
    if axis is not None:
        return take_along_axis(x, indices, axis)
    return take_along_axis(_reshape(x, shape=(x.size,)), _reshape(indices, shape=(indices.size,)), 0)


def unfold(x: Tensor, /, dimension: int, size: int, step: int) -> Tensor:
    """All windows of ``size`` elements, ``step`` apart, along an axis; the elements of each are a new last axis.

    Raises `ArgumentError` for a window larger than the axis, and for steps below 1.

    >>> import tensorlite as tl
    >>> tl.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    axis = one_axis("unfold", x, dimension, x.ndim or 1)
    line = x if x.ndim else _reshape(x, shape=(1,))
    extent = line.shape[axis]
    if size < 0 or size > extent:
        raise complaint(ArgumentError, "unfold", f"size is {size}, and axis {axis} has {extent} elements", {"x": x})
    if step < 1:
        raise complaint(ArgumentError, "unfold", f"step must be at least 1, not {step}", {"x": x})
    starts = arange(0, extent - size + 1, step)
    places = _reshape(starts, shape=(starts.size, 1)) + arange(size)
    found = moveaxis(_take_rows(line, places, axis=axis), axis + 1, -1)
    return found if x.ndim else _reshape(found, shape=(size,))


METHODS["unfold"] = unfold

# --- writing ------------------------------------------------------------------------------------------------------


def _rows(op: str, x: Tensor, axis: int, index: Tensor) -> tuple[int, Tensor]:
    """The axis, and the places along it as a row, counted from the front."""
    axis = one_axis(op, x, axis, x.ndim or 1)
    if not isinstance(index, Tensor) or index.ndim > 1:
        raise complaint(ShapeError, op, "index must have one axis", {"x": x, "index": index})
    return axis, positions(op, x if x.ndim else _reshape(x, shape=(1,)), _reshape(index, shape=(index.size,)), axis)


def _check_source(op: str, x: Tensor, axis: int, index: Tensor, source: Tensor) -> Tensor:
    """The source, a single slice with its axis, where it has a slice for each place of the index."""
    if not isinstance(source, Tensor) or not can_hold(x.dtype, source.dtype):
        raise complaint(DTypeError, op, "source must be a tensor whose values x can hold", {"x": x, "source": source},
                        f"cast it first: source.to(tl.{x.dtype.name})")
    shape = (*x.shape[:axis], index.size, *x.shape[axis + 1:])
    if source.shape != shape and not (index.size == 1 and source.shape == (*x.shape[:axis], *x.shape[axis + 1:])):
        raise complaint(ShapeError, op, f"source must have shape {list(shape)}", {"x": x, "index": index,
                                                                                  "source": source})
    return _reshape(astype(source, x.dtype, copy=False), shape=shape)


@public(in_place=True)
def index_add(x: Tensor, /, axis: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """``x`` with ``alpha`` times the slices of ``source`` added to those that ``index``, a row of integers, names.

    Raises `ShapeError` where source is not of the shape of ``x`` but for the axis, `IndexingError` for places that the
    axis does not have.

    >>> import tensorlite as tl
    >>> tl.index_add(tl.zeros(3), 0, tl.tensor([0, 2, 2]), tl.ones(3), alpha=2)
    tensor([2., 0., 4.])
    """
    axis, places = _rows("index_add", x, axis, index)
    source = _check_source("index_add", x, axis, places, source)
    line = x if x.ndim else _reshape(x, shape=(1,))
    scaled = source if isinstance(alpha, int) and alpha == 1 else astype(source * alpha, x.dtype, copy=False)
    added = _add_rows(_reshape(scaled, shape=(*line.shape[:axis], places.size, *line.shape[axis + 1:])), places,
                      axis=axis, size=line.shape[axis])
    return x + _reshape(added, shape=x.shape) if x.dtype.kind != "b" else x | _reshape(added, shape=x.shape)


@public(in_place=True)
def index_copy(x: Tensor, /, axis: int, index: Tensor, source: Tensor) -> Tensor:
    """``x`` with the slices that ``index``, a row of integers, names replaced by those of ``source``.

    Where a place is named twice, the last slice stays. Raises as `index_add` does.

    >>> import tensorlite as tl
    >>> tl.index_copy(tl.zeros(3), 0, tl.tensor([2, 0]), tl.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    axis, places = _rows("index_copy", x, axis, index)
    source = _check_source("index_copy", x, axis, places, source)
    line = x if x.ndim else _reshape(x, shape=(1,))
    source = _reshape(source, shape=(*line.shape[:axis], places.size, *line.shape[axis + 1:]))
    return _reshape(set_item_at(line, source, [places], along(axis, ARRAY)), shape=x.shape)


@public(in_place=True)
def index_fill(x: Tensor, /, axis: int, index: Tensor, value: Any) -> Tensor:
    """``x`` with the slices that ``index``, a row of integers, names filled with a number.

    >>> import tensorlite as tl
    >>> tl.index_fill(tl.zeros(3), 0, tl.tensor([2]), 5.0)
    tensor([0., 0., 5.])
    """
    axis, places = _rows("index_fill", x, axis, index)
    line = x if x.ndim else _reshape(x, shape=(1,))
    filled = set_item_at(line, as_filling("index_fill", x, value), [places], along(axis, ARRAY))
    return _reshape(filled, shape=x.shape)


@public(in_place=True)
def index_put(x: Tensor, /, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """``x`` after ``x[indices] = values``, or after ``x[indices] += values`` that counts places as often as named.

    indices: integer tensors and masks, and None for all of an axis. Raises `IndexingError` for what ``x`` does not
    have, `ShapeError` where values do not broadcast to what is indexed.

    >>> import tensorlite as tl
    >>> tl.index_put(tl.zeros(3), (tl.tensor([0, 2, 2]),), tl.tensor(1.0), accumulate=True)
    tensor([1., 0., 2.])
    """
    if not isinstance(values, Tensor):
        values = asarray(values, dtype=x.dtype, device=x.device)
    if values.dtype != x.dtype:
        raise complaint(DTypeError, "index_put", f"x is {x.dtype.name}, values are {values.dtype.name}",
                        {"x": x, "values": values}, f"cast them first: values.to(tl.{x.dtype.name})")
    try:
        spec, places = split_index(tuple(slice(None) if part is None else part for part in indices), x)
    except IndexingError as error:
        raise complaint(IndexingError, "index_put", error.problem, {"x": x, "indices": indices}, error.fix) from None
    if not accumulate or not places:
        return set_item_at(x, values, places, spec)
    get_item_at(x, places, spec)  # says which index is out of range
    region = indexed_shape(x.shape, spec, [i.shape for i in places])
    try:
        fits = np.broadcast_shapes(values.shape, region) == region
    except ValueError:
        fits = False
    if not fits:
        raise complaint(ShapeError, "index_put", f"values do not broadcast to the shape {list(region)} that is indexed",
                        {"x": x, "indices": indices, "values": values})
    return x + _put_add(_broadcast_to(values, shape=region), *places, spec=spec, shape=x.shape)


@public
def select_scatter(x: Tensor, src: Tensor, /, axis: int, index: int) -> Tensor:
    """``x`` with the slice at one place of an axis replaced by ``src``.

    >>> import tensorlite as tl
    >>> tl.select_scatter(tl.zeros((2, 2)), tl.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    axis = one_axis("select_scatter", x, axis)
    return _embedded("select_scatter", x, src, along(axis, _place("select_scatter", x, axis, index)))


@public
def slice_scatter(x: Tensor, src: Tensor, /, axis: int = 0, start: int | None = None, end: int | None = None,
                  step: int = 1) -> Tensor:
    """``x`` with the slice ``start:end:step`` of an axis replaced by ``src``.

    >>> import tensorlite as tl
    >>> tl.slice_scatter(tl.zeros(4), tl.ones(2), start=1, end=4, step=2)
    tensor([0., 1., 0., 1.])
    """
    axis = one_axis("slice_scatter", x, axis)
    if step < 1:
        raise complaint(ArgumentError, "slice_scatter", f"step must be at least 1, not {step}", {"x": x})
    return _embedded("slice_scatter", x, src, along(axis, slice(start, end, step)))


def _embedded(op: str, x: Tensor, src: Tensor, spec: tuple[Any, ...]) -> Tensor:
    region = indexed_shape(x.shape, spec, ())
    if src.shape != region:
        raise complaint(ShapeError, op, f"src must have the shape {list(region)} of the slice", {"x": x, "src": src})
    return set_item_at(x, astype(src, x.dtype, copy=False), [], spec)
