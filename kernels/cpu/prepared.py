"""Plans kept with their compiled kernels, for arrays that lie alike: what eager ops of large arrays run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels.cpu import allocator, team
from tensorlite.kernels.generated import launch
from tensorlite.kernels.stage import Array, Plan

Shape = tuple[int, ...]
Planner = Callable[..., Plan | None]

_MOST = 1024
"""How many plans are kept; beyond, all are forgotten."""


Run = Callable[[Sequence[npt.NDArray[Any]]], npt.NDArray[Any]]
"""Computes a fresh array from some that lie as those that it was made for."""

_prepared: dict[Any, Run | None] = {}


def kernel(
    planner: Planner, result: Callable[..., Shape | None], worth: Callable[[Any], float],
    dtype_of: Callable[[Sequence[Any], Any], np.dtype[Any]] | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """Return the function that runs what ``planner`` plans for arrays of one dtype; ``NotImplemented`` without a plan.

    ``result`` gives the result's shape for the arrays' and the attributes, or None; a plan of less than ``worth``
    nanoseconds of work, for that dtype, is not run. Arrays of several dtypes are taken if ``dtype_of`` gives the
    result's for them and the attributes.
    """

    def run(*arrays: npt.NDArray[Any], **attributes: Any) -> Any:
        threads = team.get_num_threads()
        if len(arrays) == 2 and not attributes:  # as below, spelled out: a product of small matrices takes 3 us
            a, b = arrays
            key: Any = planner, a.shape, b.shape, a.strides, b.strides, a.dtype, b.dtype, threads
        else:
            lies = tuple((array.shape, array.strides, array.dtype) for array in arrays)
            key = planner, lies, tuple(attributes.items()), threads
        try:
            found = _prepared[key]
        except KeyError:
            if len(_prepared) >= _MOST:
                _prepared.clear()
            found = _prepared[key] = _prepare(planner, result, arrays, worth, dtype_of, attributes)
        return NotImplemented if found is None else found(arrays)

    return run


def run(planner: Planner, result: Callable[..., Shape | None], arrays: Sequence[Any], **attributes: Any) -> Any:
    """Run what ``planner`` plans for these arrays, whatever it takes, as `kernel` does."""
    return kernel(planner, result, lambda _: 0.0)(*arrays, **attributes)


def _prepare(
    planner: Planner, result: Callable[..., Shape | None], arrays: Sequence[npt.NDArray[Any]],
    worth: Callable[[Any], float], dtype_of: Callable[[Sequence[Any], Any], np.dtype[Any]] | None, attributes: Any,
) -> Run | None:  # fmt: skip
    dtype = arrays[0].dtype if dtype_of is None else dtype_of(arrays, attributes)
    if dtype_of is None and any(array.dtype != dtype for array in arrays):
        return None
    shape = result(*(array.shape for array in arrays), **attributes)
    if shape is None or any(step % a.itemsize for a in arrays for step in a.strides):
        return None
    if not all(a.flags.aligned for a in arrays):
        return None
    inputs = [Array(a.dtype, a.shape, tuple(step // a.itemsize for step in a.strides)) for a in arrays]
    plan = planner(inputs, [Array.contiguous(dtype, shape)], **attributes)
    if plan is None or sum(stage.work for stage in plan.stages) < worth(dtype):
        return None
    launch.compile_many((stage.build, stage.key) for stage in plan.stages)
    calls = []
    for stage in plan.stages:
        touched = (*stage.reads, *stage.writes)
        entry, threads = launch.compile(stage.build, stage.key), launch.threads_for(stage.work)
        calls.append((entry, touched, struct.Struct(f"{len(touched)}q").pack, stage.numbers, threads))
    if len(arrays) == 2 and len(calls) == 1 and not plan.scratch:
        return _one_call(shape, dtype, *calls[0])
    return _calls(shape, dtype, plan.scratch, calls)


def _one_call(
    shape: Shape, dtype: np.dtype[Any], entry: int, touched: tuple[int, ...], pack: Callable[..., bytes],
    numbers: bytes, threads: int | None,
) -> Run:  # fmt: skip
    """Run one stage of two arrays, in the least time."""
    address, call, swapped = launch.address, launch.run, touched == (1, 0, 2)
    small = prod(shape) * dtype.itemsize < allocator.POOL_BYTES
    empty: Callable[..., npt.NDArray[Any]] = np.empty if small else allocator.empty

    def run(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        a, b = arrays
        out = empty(shape, dtype)
        if swapped:
            a, b = b, a
        call(entry, pack(address(a), address(b), address(out)) + numbers, threads)
        return out

    return run


def _calls(shape: Shape, dtype: np.dtype[Any], scratch: tuple[int, ...], calls: Sequence[Any]) -> Run:
    """Run some stages in order."""

    def run(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        out = allocator.empty(shape, dtype)
        everything = [*arrays, out, *(allocator.empty((size,), np.uint8) for size in scratch)]
        places = [launch.address(array) for array in everything]
        for entry, touched, pack, numbers, threads in calls:
            launch.run(entry, pack(*(places[k] for k in touched)) + numbers, threads)
        return out

    return run
