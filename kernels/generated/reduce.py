"""Reductions of arrays of any strides, over any axes, to fresh arrays; the bits never depend on the number of threads."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import arrange, cast, launch
from tensorlite.kernels.generated.arrange import Arrangement
from tensorlite.kernels.generated.reduce_loops import Form, kernel
from tensorlite.kernels.generated.reducers import REDUCERS, Reducer, result_dtype

Array = npt.NDArray[Any]
DType = np.dtype[Any]

_Plan = Callable[[Array], Any]
_Launcher = Callable[[Array, Array], None]
_plans: dict[Any, _Plan] = {}
_MANY_PLANS = 10_000


def run(
    name: str,
    x: Array,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    dtype: Any = None,
    correction: float = 0.0,
) -> Any:
    """Reduce ``x`` over ``axis`` (not negative; None is all) to a fresh array of ``dtype``.

    ``name`` is one of ``REDUCERS``. Returns ``NotImplemented`` where there is no native form: nothing to reduce, complex
    numbers.

    >>> run("sum", np.ones((2, 3), np.float32), 1)
    array([3., 3.], dtype=float32)
    """
    key = (name, x.dtype, x.shape, x.strides, axis, keepdims, dtype, correction)
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MANY_PLANS:
            _plans.clear()
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        result = result_dtype(name, x.dtype) if dtype is None else np.dtype(dtype)
        plan = _plans[key] = _plan(name, x, axes, keepdims, result, correction)
    return plan(x)


def _plan(name: str, x: Array, axes: tuple[int, ...], keepdims: bool, dtype: DType, correction: float) -> _Plan:
    if x.size == 0 or x.ndim == 0 or any(stride % x.itemsize for stride in x.strides):
        return _refuse
    shape = tuple(1 if d in axes else extent for d, extent in enumerate(x.shape) if keepdims or d not in axes)
    kept, reduced = _by_stride(x, set(range(x.ndim)) - set(axes)), _by_stride(x, axes)
    found = arrange.arrange(_axes(x, kept), _axes(x, reduced))
    try:
        reducer = REDUCERS[name](x.dtype)
        if reducer.uses_position and (len(found.reduce) > 1 or reduced != sorted(reduced)):
            return lambda x: _reduce_copy(name, x, (*sorted(kept), *sorted(reduced)), len(kept), dtype).reshape(shape)
        launcher = _launcher(name, reducer, found, (x.dtype, dtype), correction)
    except (s.NoLowering, s.ScalarTypeError):
        return _refuse
    return _allocating(launcher, x, kept, shape, dtype)


def _refuse(x: Array) -> Any:
    return NotImplemented


def _by_stride(x: Array, axes: Any) -> list[int]:
    """Return axes in the order of memory; those of one extent, whose stride means nothing, by their number."""
    return sorted(axes, key=lambda d: (-abs(x.strides[d]) if x.shape[d] > 1 else 0, d))


def _axes(x: Array, order: list[int]) -> list[tuple[int, int]]:
    return [(x.shape[d], x.strides[d] // x.itemsize) for d in order]


def _allocating(launcher: _Launcher, x: Array, kept: list[int], shape: tuple[int, ...], dtype: DType) -> _Plan:
    """Return a plan that allocates the result: in the order of the array's memory, which is turned into that of its axes."""
    if kept == sorted(kept):

        def in_order(x: Array) -> Array:
            out = np.empty(shape, dtype)
            launcher(x, out)
            return out

        return in_order
    memory = tuple(x.shape[d] for d in kept)
    turn = np.argsort(kept)

    def turned(x: Array) -> Array:
        out = np.empty(memory, dtype)
        launcher(x, out)
        return out.transpose(turn).reshape(shape)

    return turned


def _reduce_copy(name: str, x: Array, order: tuple[int, ...], kept: int, dtype: DType) -> Array:
    """Reduce a copy whose last dimension holds the reduced ones of ``order``: positions are those along the axes."""
    moved = x.transpose(order)
    copy = cast.run(moved, np.empty(moved.shape, x.dtype))
    return np.asarray(run(name, copy.reshape(*moved.shape[:kept], -1), kept, False, dtype))


def _launcher(
    name: str, reducer: Reducer, found: Arrangement, dtypes: tuple[DType, DType], correction: float
) -> _Launcher:
    """Return the function that runs the kernel of an arrangement, or the two of them, on an array and its result."""
    tail = struct.pack("2d", found.size, correction)
    nanoseconds = found.size * found.kept * (0.02 * dtypes[0].itemsize + 0.1 * len(reducer.passes))
    threads = launch.threads_for(nanoseconds)
    if found.chunks == 1:
        entry, block = _compiled(name, reducer, found, dtypes, "all")
        block += tail
        pack, address, go = struct.Struct("2q").pack, launch.address, launch.run

        def whole(x: Array, out: Array) -> None:
            go(entry, pack(address(x), address(out)) + block, threads)

        return whole
    part, part_block = _compiled(name, reducer, found, dtypes, "part")
    rest, rest_block = _compiled(name, reducer, arrange.of_states(found), dtypes, "rest")
    states = found.kept * found.chunks
    sizes = [a.dtype.itemsize * -(-states // 8) * 8 for a in reducer.state]
    offsets = [sum(sizes[:k]) for k in range(len(sizes))]

    def in_two(x: Array, out: Array) -> None:
        memory = np.empty(sum(sizes), np.uint8)
        places = [launch.address(memory) + offset for offset in offsets]
        launch.run(part, struct.pack(f"{1 + len(places)}q", launch.address(x), *places) + part_block + tail, threads)
        block = struct.pack(f"{len(places) + 1}q", *places, launch.address(out)) + rest_block + tail
        launch.run(rest, block, launch.threads_for(states * len(sizes)))

    return in_two


def _compiled(
    name: str, reducer: Reducer, found: Arrangement, dtypes: tuple[DType, DType], stage: str
) -> tuple[int, bytes]:
    """Return the address of a kernel and its integer arguments."""
    form = arrange.form(found, reducer, stage)
    key = f"reduce {name} {dtypes[0].name} {dtypes[1].name} {form}"
    entry = launch.compile(lambda: kernel(reducer, form, *dtypes), key)
    values = arrange.numbers(found, form)
    return entry, struct.pack(f"{len(values)}q", *values)
