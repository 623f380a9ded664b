"""Elementwise operations on arrays of any strides: how they are walked, the kernel that it takes, and its launch."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels import stage
from tensorlite.kernels.cpu import allocator
from tensorlite.kernels.generated import launch
from tensorlite.kernels.generated.elementwise_loops import DEFAULT, Layout, Schedule, kernel
from tensorlite.kernels.generated.layout import Axis, axes_of, letters, merge
from tensorlite.kernels.stage import Plan

__all__ = ["DEFAULT", "Layout", "Schedule", "kernel", "numbers", "plan_fresh", "run", "walk"]

DType = np.dtype[Any]
Array = npt.NDArray[Any]

_Plan = Callable[[Sequence[Array], Array], Any]
_plans: dict[Any, _Plan] = {}
_MANY_PLANS = 10_000
_FEW = 16  # in dimensions of fewer elements it does not matter which way they are contiguous


def run(function: s.Function, arrays: Sequence[Array], out: Array) -> Any:
    """Compute ``function`` of ``arrays``, broadcast to the shape of ``out``, into ``out``, and return it.

    ``out`` may be one of the arrays; otherwise it overlaps none. ``NotImplemented`` says that there is no native form.

    >>> x = np.arange(4, dtype=np.float32)
    >>> run(s.trace(lambda x, y: x * y + 1), (x, x), np.empty_like(x))
    array([ 1.,  2.,  5., 10.], dtype=float32)
    """
    if len(arrays) == 1:
        (x,) = arrays
        key: Any = (function, x.dtype, x.shape, x.strides, out.dtype, out.shape, out.strides)
    elif len(arrays) == 2:
        x, y = arrays
        key = (function, x.dtype, x.shape, x.strides, y.dtype, y.shape, y.strides, out.dtype, out.shape, out.strides)
    else:
        key = (function, out.dtype, out.shape, out.strides, *((a.dtype, a.shape, a.strides) for a in arrays))
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MANY_PLANS:
            _plans.clear()
        plan = _plans[key] = _plan(function, tuple(arrays), out)
    return plan(arrays, out)


def _plan(function: s.Function, arrays: tuple[Array, ...], out: Array) -> _Plan:
    if out.size == 0:
        return lambda arrays, out: out
    axes = axes_of((*arrays, out), out.shape)
    if axes is None or any(axis.strides[-1] == 0 and axis.extent > 1 for axis in axes):
        return _refuse
    merged, layout = walk(axes, len(arrays))
    dtypes = tuple(array.dtype for array in arrays)
    try:
        entry = _compile(function, dtypes, out.dtype, layout)
    except s.NoLowering:
        return _refuse
    values = numbers(merged, layout, DEFAULT)
    threads = launch.threads_for(out.size * _nanoseconds(function, dtypes, out.dtype, layout))
    launcher = _launcher(entry, values, arrays, threads)
    if not _streams(merged, out.size, out.itemsize):
        return launcher
    past = _compile(function, dtypes, out.dtype, replace(layout, streaming=True))
    streaming = _launcher(past, values, arrays, threads)
    return lambda arrays, out: (launcher if launch.address(out) % 64 else streaming)(arrays, out)


def _refuse(arrays: Sequence[Array], out: Array) -> Any:
    return NotImplemented


def _compile(function: s.Function, dtypes: tuple[DType, ...], dtype: DType, layout: Layout) -> int:
    return launch.compile(lambda: kernel(function, dtypes, dtype, layout), _key(function, dtypes, dtype, layout))


def _key(function: s.Function, dtypes: tuple[DType, ...], dtype: DType, layout: Layout) -> str:
    names = " ".join((*function.parameters, *(operand.name for operand in dtypes), dtype.name))
    return f"elementwise {names} {layout} {DEFAULT} {s.text(function.body)}"


def plan_fresh(function: s.Function, inputs: Sequence[stage.Array], outputs: Sequence[stage.Array]) -> Plan | None:
    """Plan ``function`` of arrays into a fresh one of the shape that they broadcast to, which lies in order.

    If it is large, its rows begin at multiples of 64 bytes of an array that does so itself (`allocator.empty`).
    """
    (out,) = outputs
    if out.size == 0:
        return None
    columns = [(*(0,) * (out.ndim - x.ndim), *(0 if n == 1 else step for n, step in zip(x.shape, x.strides)))
               for x in (*inputs, out)]  # fmt: skip
    merged, layout = walk([Axis(n, tuple(column[d] for column in columns)) for d, n in enumerate(out.shape)],
                          len(inputs))  # fmt: skip
    dtypes = tuple(x.dtype for x in inputs)
    if _streams(merged, out.size, out.dtype.itemsize) and allocator.POOLS:
        layout = replace(layout, streaming=True)
    key, each = _described(function, dtypes, out.dtype, layout)
    found = stage.Stage(
        key, lambda: kernel(function, dtypes, out.dtype, layout), tuple(range(len(inputs))), (len(inputs),),
        stage.pack(*numbers(merged, layout, DEFAULT)), each * out.size,
    )  # fmt: skip
    return Plan((found,))


@lru_cache(1024)  # a third of the time that a plan takes
def _described(function: s.Function, dtypes: tuple[DType, ...], dtype: DType, layout: Layout) -> tuple[str, float]:
    """Return what names a kernel, and about how many nanoseconds an element takes it."""
    return _key(function, dtypes, dtype, layout), _nanoseconds(function, dtypes, dtype, layout)


def walk(axes: Sequence[Axis], operands: int) -> tuple[tuple[Axis, ...], Layout]:
    """Return the dimensions in the order in which they are walked, and what the kernel is specialised to.

    That is the order of the result's memory; but where an operand is contiguous along another dimension than the
    result, that dimension comes next to the innermost one.
    """
    merged = merge(sorted(axes, key=lambda axis: -abs(axis.strides[-1])))
    *outer, inner = merged or (Axis(1, (1,) * len(axes[0].strides) if axes else (1,) * (operands + 1)),)
    runs = list(letters(inner))
    turned = [k for k, letter in enumerate(runs[:operands]) if letter == "s" and _contiguous_along(outer, k)]
    if turned and inner.extent >= _FEW:
        row = next(axis for axis in outer if axis.strides[turned[0]] == 1)
        outer = [*(axis for axis in outer if axis is not row), row]
        runs = [
            "t" if letter == "s" and k < operands and row.strides[k] == 1 else letter
            for k, letter in enumerate(runs)
        ]
    return (*outer, inner), Layout(len(outer) + 1, "".join(runs))


def _contiguous_along(axes: Sequence[Axis], operand: int) -> bool:
    return any(axis.strides[operand] == 1 and axis.extent >= _FEW for axis in axes)


def numbers(axes: Sequence[Axis], layout: Layout, schedule: Schedule) -> list[int]:
    """Return the values of the kernel's number parameters, in order."""
    *outer, inner = axes
    strides = []
    for k, letter in enumerate(layout.inner):
        strides += [axis.strides[k] for axis in outer] + ([inner.strides[k]] if letter in "st" else [])
    n, rows, extents = inner.extent, prod(axis.extent for axis in outer), [axis.extent for axis in outer[1:]]
    if "t" in layout.inner:
        tile, rows = schedule.tile, outer[-1].extent
        chunks, blocks, bands = -(-n // tile), -(-rows // tile), prod(axis.extent for axis in outer[:-1])
        return [n, tile, chunks, rows, tile, chunks * blocks * bands, blocks, *extents[:-1], *strides]
    chunk = min(n, schedule.tile if "s" in layout.inner and rows > 1 else schedule.task)
    chunks = -(-n // chunk)
    block = max(1, min(rows, schedule.task // chunk))
    return [n, chunk, chunks, rows, block, chunks * -(-rows // block), *extents, *strides]


def _nanoseconds(function: s.Function, dtypes: tuple[DType, ...], dtype: DType, layout: Layout) -> float:
    """Return about how long one element takes a thread."""
    moved = dtype.itemsize + sum(operand.itemsize for operand in dtypes)
    return 0.02 * moved + 0.05 * len(s.postorder(function.body)) + (1.0 if set(layout.inner) & {"s", "t"} else 0.0)


def _streams(axes: Sequence[Axis], size: int, itemsize: int) -> bool:
    """Tell whether the result is large, and its rows are multiples of 64 bytes one after the other."""
    *outer, inner = axes
    aligned = all(axis.strides[-1] * itemsize % 64 == 0 for axis in outer)
    return size * itemsize >= DEFAULT.streaming and inner.strides[-1] == 1 and aligned


def _launcher(entry: int, values: list[int], arrays: tuple[Array, ...], threads: int | None) -> _Plan:
    tail = struct.pack(f"{len(values)}q", *values)
    pack, address, run = struct.Struct(f"{len(arrays) + 1}q").pack, launch.address, launch.run

    def one(arrays: Sequence[Array], out: Array) -> Array:
        run(entry, pack(address(arrays[0]), address(out)) + tail, threads)
        return out

    def two(arrays: Sequence[Array], out: Array) -> Array:
        x, y = arrays
        run(entry, pack(address(x), address(y), address(out)) + tail, threads)
        return out

    def many(arrays: Sequence[Array], out: Array) -> Array:
        run(entry, pack(*map(address, arrays), address(out)) + tail, threads)
        return out

    def any_scalars(arrays: Sequence[Array], out: Array) -> Array:
        return many([np.asarray(array) for array in arrays], out)

    if not all(array.ndim for array in arrays):  # NumPy's scalars look like arrays without dimensions
        return any_scalars
    return {1: one, 2: two}.get(len(arrays), many)
