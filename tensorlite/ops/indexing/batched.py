"""How indexing maps over a batch: the batch is one more axis in front, and where indices differ, one more index.

NumPy puts the axes that integer arrays give where the arrays stand, if they stand side by side, and else in front. An
index in front of the batch's own changes that, so that results are permuted to where they would be for one element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorlite.batch import Attributes, Batch, move_axis, padded, reshape
from tensorlite.dispatch import apply
from tensorlite.op import OPS
from tensorlite.state import state
from tensorlite.tensor import Tensor

#: How specs say what stands at a place (`ops.index`): an integer tensor, a mask without axes that is true or false.
_ARRAY, _MASKS = "array", ("yes", "no")


def numbers(size: int, x: Tensor) -> Tensor:
    """0 to ``size - 1``, on the device of ``x``."""
    before, state.device = state.device, x.device
    try:
        return apply(OPS["arange"], start=0, step=1, count=size, dtype=np.dtype(np.int64))
    finally:
        state.device = before


# --- any index ----------------------------------------------------------------------------------------------------


class Arrays(NamedTuple):
    """Where the axes that a spec's arrays give are in the result for one element: ``ndim`` of them from ``start``.

    `adjacent` says that the arrays stand side by side; `first` that nothing stands before them.
    """

    start: int
    ndim: int
    adjacent: bool
    first: bool


def read(spec: Sequence[Any], ndim: int, indices: Sequence[Tensor], axes: Sequence[int | None]) -> Arrays | None:
    """What a spec's arrays do, on something of so many axes; None where there are none."""
    if not any(type(part) is str for part in spec):
        return None
    places = [i for i, part in enumerate(spec) if type(part) is str or type(part) is int]
    adjacent = places == list(range(places[0], places[-1] + 1))
    count = max((x.ndim - (axis is not None) for x, axis in zip(indices, axes, strict=True)), default=0)
    count = max(count, any(part in _MASKS for part in spec if type(part) is str))
    taken = sum(part is not None and part is not Ellipsis and part not in _MASKS for part in spec)
    before = sum(ndim - taken if part is Ellipsis else 1 for part in spec[:places[0]])
    return Arrays(before if adjacent else 0, count, adjacent, places[0] == 0)


class Indexed(NamedTuple):
    """An index of a whole batch, whose own axis is in front, and the order that puts the result's batch axis first."""

    spec: tuple[Any, ...]
    indices: tuple[Tensor, ...]
    order: tuple[int, ...]

    def result(self, y: Tensor) -> Tensor:
        """What the index gives, as a batch of what it gives for one element."""
        return _permuted(y, self.order)

    def region(self, y: Tensor) -> Tensor:
        """The inverse: a batch of what fits an index of one element, as it fits the whole index."""
        return _permuted(y, tuple(np.argsort(self.order).tolist()))


def _permuted(x: Tensor, order: tuple[int, ...]) -> Tensor:
    return x if order == tuple(range(x.ndim)) else apply(OPS["permute_dims"], x, axes=order)


def _indexed(size: int, spec: tuple[Any, ...], indices: Sequence[Tensor], axes: Sequence[int | None], ndim: int,
             result_ndim: int) -> Indexed:
    """The index of a batch for one of an element, on something of ``ndim`` axes for each element."""
    arrays = read(spec, ndim, indices, axes)
    if arrays is None or all(axis is None for axis in axes):
        in_place = arrays is None or arrays.adjacent
        order = list(range(result_ndim + 1))
        if not in_place:
            order.insert(0, order.pop(arrays.ndim))  # type: ignore[union-attr]
        return Indexed((slice(None), *spec), tuple(indices), tuple(order))
    count, start = arrays.ndim, arrays.start
    own = reshape(numbers(size, indices[0]), (size, *(1,) * count))
    everything = (own, *_aligned(indices, axes, count))
    after = list(range(count + 1, result_ndim + 1))
    order = [0, *after[:start], *range(1, count + 1), *after[start:]]
    return Indexed((_ARRAY, *spec), everything, tuple(order))


def _aligned(indices: Sequence[Tensor], axes: Sequence[int | None], count: int) -> list[Tensor]:
    """Indices that broadcast with each other, those of the batch with its axis before ``count`` others."""
    return [x if axis is None else padded(move_axis(x, axis, 0), count) for x, axis in zip(indices, axes, strict=True)]


def result_ndim(spec: Sequence[Any], ndim: int, arrays: Arrays | None) -> int:
    """How many axes an index of one element gives, on something of so many axes."""
    used = sum(part is not None and part is not Ellipsis and part not in _MASKS for part in spec)
    kept = sum(part is None or isinstance(part, slice) for part in spec)
    return ndim - used + kept + (0 if arrays is None else arrays.ndim)


def _whole(batch: Batch, spec: tuple[Any, ...], indices: Sequence[Tensor], axes: Sequence[int | None],
           ndim: int) -> Indexed:
    arrays = read(spec, ndim, indices, axes)
    return _indexed(batch.size, spec, indices, axes, ndim, result_ndim(spec, ndim, arrays))


def read_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """``x[index]``: of `slice` and `take_at`."""
    (x, *indices), (place, *axes), spec = inputs, batch.axes, attributes["spec"]
    if place is None:
        arrays = read(spec, x.ndim, indices, axes)
        assert arrays is not None
        return batch.apply(x, *_aligned(indices, axes, arrays.ndim), spec=spec), arrays.start
    whole = _whole(batch, spec, indices, axes, x.ndim - 1)
    return whole.result(batch.apply(move_axis(x, place, 0), *whole.indices, spec=whole.spec)), 0


def place_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Zeros with something at an index: of `unslice` and `put_add`."""
    spec, shape = attributes["spec"], attributes["shape"]
    g, *_ = batch.all_in_front(inputs)
    whole = _whole(batch, spec, inputs[1:], batch.axes[1:], len(shape))
    return batch.apply(whole.region(g), *whole.indices, spec=whole.spec, shape=(batch.size, *shape)), 0


def set_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """``x`` with a value assigned to an index: of `set_at`."""
    spec, (x, value, *indices), axes = attributes["spec"], inputs, batch.axes[2:]
    x, value, *_ = batch.all_in_front(inputs)
    arrays = read(spec, x.ndim - 1, indices, axes)
    ndim = result_ndim(spec, x.ndim - 1, arrays)
    whole = _indexed(batch.size, spec, indices, axes, x.ndim - 1, ndim)
    spare = max(value.ndim - 1 - ndim, 0)  # an assigned value may have more axes than fit, of extent 1
    value = padded(reshape(value, (batch.size, *value.shape[1 + spare:])), ndim)
    return batch.apply(x, whole.region(value), *whole.indices, spec=whole.spec), 0


def stayed_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Whether assigned elements stayed: of `stayed`."""
    spec, shape = attributes["spec"], attributes["shape"]
    whole = _whole(batch, spec, inputs, batch.axes, len(shape))
    return whole.result(batch.apply(*whole.indices, spec=whole.spec, shape=(batch.size, *shape))), 0


# --- slices across one axis ---------------------------------------------------------------------------------------


def take_rows_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """The slices across an axis that places name: of `take_rows`."""
    (x, places), (x_axis, places_axis), axis = inputs, batch.axes, attributes["axis"]
    if places_axis is None:
        return batch.apply(move_axis(x, x_axis, 0), places, axis=axis + 1), 0
    places = move_axis(places, places_axis, 0)
    if x_axis is None:
        return batch.apply(x, places, axis=axis), axis
    rows = move_axis(move_axis(x, x_axis, 0), axis + 1, 1)
    count, inner = places.size // batch.size, rows.shape[2:]
    flat = reshape(rows, (*rows.shape[:2], int(np.prod(inner))))
    shape = (batch.size, count, flat.shape[2])
    which = apply(OPS["broadcast_to"], reshape(places, (*shape[:2], 1)), shape=shape)
    found = reshape(apply(OPS["gather"], flat, which, axis=1), (*places.shape, *inner))
    order = (0, *range(places.ndim, places.ndim + axis), *range(1, places.ndim), *range(places.ndim + axis, found.ndim))
    return _permuted(found, order), 0


def add_rows_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """The transpose of `take_rows`: of `add_rows`. Batches of places become places in one long axis."""
    axis, size = attributes["axis"], attributes["size"]
    if batch.axes[1] is None:
        return batch.apply(*batch.in_front(inputs), axis=axis + 1, size=size), 0
    g, places = batch.all_in_front(inputs)
    taken = places.ndim - 1
    order = (0, *range(1 + axis, 1 + axis + taken), *range(1, 1 + axis), *range(1 + axis + taken, g.ndim))
    rows = _permuted(g, order)
    inner = rows.shape[1 + taken:]
    first = reshape(numbers(batch.size, places) * size, (batch.size, *(1,) * taken))
    count = places.size
    sums = batch.apply(reshape(rows, (count, int(np.prod(inner)))), reshape(places + first, (count,)), axis=0,
                       size=batch.size * size)
    return move_axis(reshape(sums, (batch.size, size, *inner)), 1, 1 + axis), 0


