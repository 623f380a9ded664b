"""Sorting large arrays, stably: NumPy's vectorised quicksort, on keys that make ties impossible.

A stable sort is the standard's default and NumPy's slow one. Order-preserving integer keys with the position in their
low bits have no ties, so that the fast sort gives the stable answer. NaNs come last, -0.0 and 0.0 are equal. The answer
``NotImplemented`` leaves the case to the op's own body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels.cpu import allocator, box_stages, order_stages, scan_stages, stages
from tensorlite.kernels.cpu.row_stages import bits, builder
from tensorlite.kernels.irregular import searching, sets
from tensorlite.kernels.irregular.keys import meaning
from tensorlite.kernels.stage import Plan, Stage, pack

Array = npt.NDArray[Any]

_POSITION_BITS = 32
_LOW = np.uint64((1 << _POSITION_BITS) - 1)
_NATIVE = 1 << 16  # elements from which on counting digits natively beats that, 5.2 against 10.1 ms for 10^6 float32,
_LONG_ROW = 192  # in rows of so many at least
_QUERIES = 1 << 12  # from so many on they are looked up in order: the branches are foreseen, the cache lines warm


def sort(x: Array, *, axis: int, descending: bool, stable: bool = True) -> Array:
    """Return ``x`` sorted along an axis."""
    if not _sortable(x, axis):
        return NotImplemented
    if _is_float(x) and (x.itemsize == 2 or (stable and _has_negative_zero(x))):
        return np.take_along_axis(x, argsort(x, axis=axis, descending=descending), axis)
    ascending = np.sort(x, axis, kind="stable" if x.itemsize == 1 else "quicksort")  # for bytes that is a radix sort
    return np.ascontiguousarray(np.flip(ascending, axis)) if descending else ascending


def argsort(x: Array, *, axis: int, descending: bool, stable: bool = True) -> Array:
    """Return the positions, int64, that sort ``x`` along an axis; equal elements stay in their order."""
    if not _sortable(x, axis):
        return NotImplemented
    if x.size >= _NATIVE and x.shape[axis] >= _LONG_ROW:
        found = _argsort_natively(x, axis=axis, descending=descending)
        if found is not NotImplemented:
            return found
    keys = _keys(x)
    if descending:
        keys = ~keys
    if x.itemsize == 1:
        return np.argsort(keys, axis, kind="stable")
    if x.itemsize == 8:
        spread = keys - keys.min()
        if int(spread.max()) >> _POSITION_BITS:
            return _argsort_then_ties(keys, axis)
        keys = spread
    return _sorted_positions(keys.astype(np.uint64), _positions(x.shape, axis), axis)


def searchsorted(x1: Array, x2: Array, *, side: str = "left") -> Array:
    """Return where in the sorted ``x1`` the elements of ``x2`` belong; queries are looked up in their own order."""
    if x2.size >= _QUERIES and x1.size <= searching.SHORT and x1.dtype == x2.dtype:
        found = _search_natively(x1, x2, side=side)
        if found is not NotImplemented:
            return found
    queries = x2.reshape(-1)
    if queries.size < _QUERIES or x1.dtype != x2.dtype or not _sortable(queries, 0):
        return NotImplemented
    order = argsort(queries, axis=0, descending=False)
    places = np.empty(queries.shape, np.int64)
    places[order] = np.searchsorted(x1, queries[order], side)  # type: ignore[call-overload]
    return places.reshape(x2.shape)


def unique(x: Array) -> tuple[Array, Array, Array]:
    """Return where each different element comes first, by value, which of them each element is, and their counts.

    Every NaN is different.
    """
    flat = x.reshape(-1)
    if not _sortable(flat, 0):
        return NotImplemented
    order = argsort(flat, axis=0, descending=False)
    first, inverse, counts, found = (allocator.empty((n,), np.int64) for n in (flat.size, flat.size, flat.size, 1))
    arrays = [np.ascontiguousarray(flat), np.ascontiguousarray(order), first, inverse, counts, found]
    stages.run(_telling_apart(flat), arrays, threads=1)
    number = int(found[0])
    return first[:number].copy(), inverse.reshape(x.shape), counts[:number].copy()


def _telling_apart(flat: Array) -> Plan:
    types = (bits(flat.dtype), *("int64",) * 5)
    numbers = (flat.size, *meaning(flat.dtype, False))
    build = builder(sets.tell_apart, *types, numbers=len(numbers))
    return Plan((Stage(f"tell_apart {types[0]}", build, (0, 1), (2, 3, 4, 5), pack(*numbers), 5.0 * flat.size),))


def _by_plan(plan: Callable[..., Plan | None], shape: Callable[..., tuple[int, ...]], dtype: Any) -> Callable[..., Any]:
    """Return the kernel of an op by the plan that compiled graphs have too; without ``dtype``, of the first array's."""

    def run(*arrays: Array, **attributes: Any) -> Any:
        if any(step % x.itemsize for x in arrays for step in x.strides) or not all(x.flags.aligned for x in arrays):
            return NotImplemented
        out = allocator.empty(shape(*arrays, **attributes), dtype or arrays[0].dtype)
        found = plan([stages.described(x) for x in arrays], [stages.described(out)], **attributes)
        if found is None:
            return NotImplemented
        is_fault = stages.run(found, [*arrays, out])  # of which the op's own body says what is wrong
        return NotImplemented if is_fault else out

    return run


def _first_shape(x: Array, *, axis: int, k: int, **_: Any) -> tuple[int, ...]:
    return (*x.shape[:axis], k, *x.shape[axis + 1 :])


_search_natively = _by_plan(order_stages.plan_searchsorted, lambda x1, x2, **_: x2.shape, np.int64)
_argsort_natively = _by_plan(order_stages.plan_argsort, lambda x, **_: x.shape, np.int64)

KERNELS: dict[str, Callable[..., Any]] = {
    "first": _by_plan(order_stages.PLANS["first"], _first_shape, np.int64),
    "unsuppressed": _by_plan(box_stages.PLANS["unsuppressed"], lambda x, order, groups, **_: order.shape, np.bool_),
    "roi_places": _by_plan(
        box_stages.PLANS["roi_places"],
        lambda x, images, down, across: (images.size, x.shape[1], down.shape[1], across.shape[1]),
        np.int64,
    ),
    "roi_align": _by_plan(
        box_stages.plan_roi_align, lambda x, boxes, images, *, size, **_: (images.size, x.shape[1], *size), None
    ),
    "roi_align_spread": _by_plan(box_stages.plan_roi_align_spread, lambda *arrays, shape, **_: shape, None),
    "running_place": _by_plan(scan_stages.plan_running_place, lambda x, **_: x.shape, np.int64),
    "sort": sort,
    "argsort": argsort,
    "searchsorted": searchsorted,
    "unique": unique,
}


def _is_float(x: Array) -> bool:
    return x.dtype.kind == "f" or x.dtype.name == "bfloat16"


def _sortable(x: Array, axis: int) -> bool:
    known = x.dtype.kind in "biu" or (_is_float(x) and x.itemsize <= 8)
    return known and x.ndim > 0 and x.size > 0 and x.shape[axis] <= int(_LOW)


def _has_negative_zero(x: Array) -> bool:
    zeros = x[x == 0]
    return bool(zeros.size) and bool(np.signbit(zeros).any())


def _keys(x: Array) -> Array:
    """Unsigned integers in the same order; all NaNs are one, beyond infinity, and both zeros are one."""
    unsigned = np.dtype(f"u{x.itemsize}")
    top = unsigned.type(1 << (8 * x.itemsize - 1))
    if _is_float(x):
        bits = (x + x.dtype.type(0)).view(unsigned)
        keys = np.where(bits & top, ~bits, bits | top)
        keys[x != x] = ~unsigned.type(0)
        return keys
    bits = x.view(unsigned)
    return bits ^ top if x.dtype.kind == "i" else bits


def _positions(shape: tuple[int, ...], axis: int) -> Array:
    return np.arange(shape[axis], dtype=np.uint64).reshape((-1, *(1,) * (len(shape) - 1 - axis)))


def _sorted_positions(keys: Array, positions: Array, axis: int) -> Array:
    """Sort keys of at most 32 bits with their positions below them; the positions that come out say where each was."""
    keys <<= np.uint64(_POSITION_BITS)
    keys |= positions
    keys.sort(axis)
    keys &= _LOW
    return keys.view(np.int64)


def _argsort_then_ties(keys: Array, axis: int) -> Array:
    """Sort wide keys in any order of equal ones, then the positions within each run of equals."""
    order = np.argsort(keys, axis)
    ascending = np.take_along_axis(keys, order, axis)
    starts = np.ones(keys.shape, np.bool_)
    later, earlier = ((*(slice(None),) * axis, part) for part in (slice(1, None), slice(None, -1)))
    np.not_equal(ascending[later], ascending[earlier], out=starts[later])
    if starts.all():
        return order
    return _sorted_positions(np.cumsum(starts, axis, dtype=np.uint64), order.view(np.uint64), axis)
