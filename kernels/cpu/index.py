"""Reading and adding at places that integers name: rows of a table, and elements along an axis.

These are loops like any other kernel's, with an index that was loaded. Arrays are seen as [outer, size, inner],
``size`` being the extent of the axis. Where places coincide, what is added there is added in the order of the index,
whatever the number of threads: they share the columns, not the index. Sums of half precision are kept in float32. The
answer ``NotImplemented`` leaves small arrays, other layouts and every complaint to the op's own body.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator, index_stages, stages, team
from tensorlite.kernels.generated import launch
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Store, index

Array = npt.NDArray[Any]
DType = np.dtype[Any]

WORTH = 1 << 16  # elements moved: from here on a kernel gains more than its launch costs
_TASK = 1 << 13  # elements moved by one task of a read
_VECTOR_BYTES = 64
_NANOSECONDS = 0.3  # of one thread for an element
_FLOAT32 = np.dtype(np.float32)


def take_rows(x: Array, index: Array, *, axis: int) -> Array:
    """Return the slices of ``x`` across an axis that ``index`` names; its shape takes the axis's place."""
    outer, size, inner = _split(x.shape, axis)
    if outer * index.size * inner < WORTH or not _inside(index, size) or not _movable(x):
        return NotImplemented
    out = allocator.empty(x.shape[:axis] + index.shape + x.shape[axis + 1 :], x.dtype)
    return _read(x, index, out, (outer, size, index.size, inner), whole_rows=True)


def gather(x: Array, index: Array, *, axis: int) -> Array:
    """Return the elements of ``x`` that ``index``, as large as it along the other axes, names along an axis."""
    outer, size, inner = _split(x.shape, axis)
    if index.size < WORTH or not _inside(index, size) or not _movable(x) or not _fits(x.shape, index.shape, axis):
        return NotImplemented
    out = allocator.empty(index.shape, x.dtype)
    return _read(x, index, out, (outer, size, index.shape[axis], inner), whole_rows=False)


def add_rows(g_: Array, index: Array, *, axis: int, size: int) -> Array:
    """Return zeros to which the slices of ``g_`` are added at the places that ``index`` names."""
    shape = (*g_.shape[:axis], size, *g_.shape[axis + index.ndim :])
    outer, _, inner = _split(shape, axis)
    if g_.size < WORTH or not _inside(index, size) or not _addable(g_):
        return NotImplemented
    return _add(_zeros(shape, g_.dtype), g_, index, (outer, size, index.size, inner), whole_rows=True)


def scatter_new(g_: Array, index: Array, *, axis: int, shape: tuple[int, ...]) -> Array:
    """Return zeros of ``shape`` to which ``g_`` is added at the places that ``index`` names along an axis."""
    if not _scatters(shape, g_, index, axis):
        return NotImplemented
    outer, size, inner = _split(shape, axis)
    return _add(_zeros(shape, g_.dtype), g_, index, (outer, size, g_.shape[axis], inner), whole_rows=False)


def scatter_add(x: Array, source: Array, index: Array, *, axis: int) -> Array:
    """Return ``x`` with ``source`` added at the places that ``index`` names along an axis."""
    if source.dtype != x.dtype or not _scatters(x.shape, source, index, axis):
        return NotImplemented
    outer, size, inner = _split(x.shape, axis)
    out = allocator.empty(x.shape, _wide(x.dtype))
    np.copyto(out, x)
    return _add(out, source, index, (outer, size, source.shape[axis], inner), whole_rows=False)


def scatter_with(x: Array, source: Array, index: Array, *, axis: int, how: str) -> Array:
    """Return ``x`` with ``source`` joined to it at the places that ``index`` names along an axis."""
    arrays = (x, source, index)
    if x.dtype != source.dtype or index.size < WORTH or not _inside(index, x.shape[axis]):
        return NotImplemented
    if any(step % a.itemsize for a in arrays for step in a.strides) or not all(a.flags.aligned for a in arrays):
        return NotImplemented
    out = allocator.empty(x.shape, x.dtype)
    inputs = [stages.described(a) for a in arrays]
    plan = index_stages.plan_scatter_with(inputs, [stages.described(out)], axis=axis, how=how)
    if plan is None:
        return NotImplemented
    stages.run(plan, [*arrays, out])
    return out


KERNELS: dict[str, Callable[..., Any]] = {
    "take_rows": take_rows,
    "gather": gather,
    "add_rows": add_rows,
    "scatter_new": scatter_new,
    "scatter_add": scatter_add,
    "scatter_with": scatter_with,
}


def _split(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _inside(index: Array, size: int) -> bool:
    return index.dtype.kind in "iu" and bool(index.size) and int(index.min()) >= 0 and int(index.max()) < size


def _fits(shape: tuple[int, ...], small: tuple[int, ...], axis: int) -> bool:
    return shape[:axis] == small[:axis] and shape[axis + 1 :] == small[axis + 1 :] and len(shape) == len(small)


def _movable(x: Array) -> bool:
    return x.flags.c_contiguous and x.itemsize in (1, 2, 4, 8)


def _addable(x: Array) -> bool:
    return x.flags.c_contiguous and (x.dtype.kind in "iu" or _wide(x.dtype).kind == "f")


def _scatters(shape: tuple[int, ...], g: Array, index: Array, axis: int) -> bool:
    same = g.shape == index.shape and _fits(shape, g.shape, axis)
    return same and g.size >= WORTH and _addable(g) and _inside(index, shape[axis])


def _wide(dtype: DType) -> DType:
    """The dtype that sums are kept in; bfloat16 counts as no float for NumPy."""
    return _FLOAT32 if dtype.itemsize == 2 and dtype.kind not in "iu" else dtype


def _zeros(shape: tuple[int, ...], dtype: DType) -> Array:
    out = allocator.empty(shape, _wide(dtype))
    out.fill(0)
    return out


# Launching: extents are (outer, size, count, inner), where ``count`` places are read or added to in each outer slice


def _read(x: Array, places: Array, out: Array, extents: tuple[int, int, int, int], whole_rows: bool) -> Array:
    """Tasks share the places."""
    outer, size, count, inner = extents
    width = max(1, _TASK // inner)
    parts = -(-count // width)
    entry = _compile(_read_loops, np.dtype(f"u{x.itemsize}"), whole_rows, inner == 1)
    return _launch(entry, (x, places, out), (size, count, inner, width, parts, outer * parts), out.size)


def _add(out: Array, g: Array, places: Array, extents: tuple[int, int, int, int], whole_rows: bool) -> Array:
    """Tasks share the columns, in as many parts as it takes to occupy the threads."""
    outer, size, count, inner = extents
    wanted = -(-team.get_num_threads() // outer)
    width = max(16, -(-inner // wanted // 16) * 16)
    parts = -(-inner // width)
    entry = _compile(_add_loops, g.dtype, whole_rows)
    _launch(entry, (g, places, out), (size, count, inner, width, parts, outer * parts), g.size)
    return out.astype(g.dtype, copy=False)


def _launch(entry: int, arrays: tuple[Array, Array, Array], numbers: tuple[int, ...], work: int) -> Array:
    x, places, out = arrays
    places = np.ascontiguousarray(places, np.int64)
    block = struct.pack("9q", launch.address(x), launch.address(places), launch.address(out), *numbers)
    team.run(entry, block, launch.threads_for(work * _NANOSECONDS))
    return out


@functools.cache
def _compile(build: Callable[..., loops.Kernel], dtype: DType, *variant: bool) -> int:
    return launch.compile(lambda: build(dtype, *variant), f"{build.__name__} {dtype.name} {variant}")


# The loops

_NUMBERS = ("size", "count", "inner", "width", "parts", "tasks")
_size, _count, _inner, _wide_part, _parts, _tasks = map(s.Var, _NUMBERS)
_outer, _first, _r, _row, _c, _k, _v, _old = map(s.Var, ("outer", "first", "r", "row", "c", "k", "v", "old"))


def _kernel(name: str, source: DType, target: DType, extent: s.Expr, *body: loops.Statement) -> loops.Kernel:
    """Return the kernel whose task is part ``first`` ... of the ``extent`` of a slice."""
    buffers = (Buffer("x", source), Buffer("at", np.dtype(np.int64)), Buffer("out", target, writable=True))
    task = s.Var("task")
    head = (
        Let("outer", index(task // _parts)),
        Let("first", index(task % _parts * _wide_part)),
        Let("here", index(s.minimum(_wide_part, extent - _first))),
    )
    loop = loops.parallel("task", _tasks, *head, *body)
    return loops.build(name, (*buffers, *map(Parameter, _NUMBERS)), (loop,))


def _read_loops(dtype: DType, whole_rows: bool, one_column: bool) -> loops.Kernel:
    """``out[o, r, c] = x[o, at[r], c]``, or ``x[o, at[o, r, c], c]``."""
    lanes, here = _VECTOR_BYTES // dtype.itemsize, s.Var("here")
    if one_column:
        place = _first + _r if whole_rows else _outer * _count + _first + _r
        copy = (Load("k", "at", place), Load("v", "x", _outer * _size + _k))
        store = Store("out", _outer * _count + _first + _r, _v)
        return _kernel("read", dtype, dtype, _count, loops.vector("r", here, lanes, *copy, store))
    row = Let("row", index((_outer * _count + _first + _r) * _inner))
    move = (Load("v", "x", (_outer * _size + _k) * _inner + _c), Store("out", _row + _c, _v))
    if whole_rows:
        named, columns = Load("k", "at", _first + _r), loops.vector("c", _inner, lanes, *move)
        return _kernel("read", dtype, dtype, _count, loops.serial("r", here, row, named, columns))
    elements = loops.vector("c", _inner, lanes, Load("k", "at", _row + _c), *move)
    return _kernel("read", dtype, dtype, _count, loops.serial("r", here, row, elements))


def _add_loops(dtype: DType, whole_rows: bool) -> loops.Kernel:
    """``out[o, at[r], c] += x[o, r, c]``, or at ``at[o, r, c]``, for the rows in their order."""
    target, here = _wide(dtype), s.Var("here")
    row = Let("row", index((_outer * _count + _r) * _inner + _first))
    place = (_outer * _size + _k) * _inner + _first + _c
    add = (Load("v", "x", _row + _c), Load("old", "out", place), Store("out", place, _old + s.cast(_v, target)))
    if whole_rows:
        columns = loops.vector("c", here, _VECTOR_BYTES // target.itemsize, *add)
        return _kernel("add", dtype, target, _inner, loops.serial("r", _count, row, Load("k", "at", _r), columns))
    elements = loops.serial("c", here, Load("k", "at", _row + _c), *add)
    return _kernel("add", dtype, target, _inner, loops.serial("r", _count, row, elements))
