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
Results = Callable[..., Sequence[Array] | None]
"""How an op's results lie, contiguous, for its arrays and attributes; None for a call that is left alone."""

_MOST = 1024
"""How many plans are kept; beyond, all are forgotten."""


Run = Callable[[Sequence[npt.NDArray[Any]]], Any]
"""Computes fresh arrays from some that lie as those that it was made for: one, or a tuple of several."""

_prepared: dict[Any, Run | None] = {}


def kernel(planner: Planner, results: Results, worth: Callable[[Any], float]) -> Callable[..., Any]:
    """Return the function that runs what ``planner`` plans for arrays; ``NotImplemented`` without a plan.

    A plan of less than ``worth`` nanoseconds of work, for the first result's dtype, is not run.
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
            found = _prepared[key] = _prepare(planner, results, arrays, worth, attributes)
        return NotImplemented if found is None else found(arrays)

    return run


def alike(shape_of: Callable[..., Shape | None]) -> Results:
    """Return how the one result of arrays of one dtype lies, whose shape is found from theirs and the attributes."""

    def results(*arrays: npt.NDArray[Any], **attributes: Any) -> Sequence[Array] | None:
        dtype = arrays[0].dtype
        if any(array.dtype != dtype for array in arrays):
            return None
        shape = shape_of(*(array.shape for array in arrays), **attributes)
        return None if shape is None else [Array.contiguous(dtype, shape)]

    return results


def _prepare(
    planner: Planner, results: Results, arrays: Sequence[npt.NDArray[Any]], worth: Callable[[Any], float],
    attributes: Any,
) -> Run | None:  # fmt: skip
    outputs = results(*arrays, **attributes)
    if outputs is None or any(step % a.itemsize for a in arrays for step in a.strides):
        return None
    if not all(a.flags.aligned for a in arrays):
        return None
    inputs = [Array(a.dtype, a.shape, tuple(step // a.itemsize for step in a.strides)) for a in arrays]
    plan = planner(inputs, outputs, **attributes)
    if plan is None or sum(stage.work for stage in plan.stages) < worth(outputs[0].dtype):
        return None
    launch.compile_many((stage.build, stage.key) for stage in plan.stages)
    calls = []
    for stage in plan.stages:
        touched = (*stage.reads, *stage.writes)
        entry, threads = launch.compile(stage.build, stage.key), launch.threads_for(stage.work)
        calls.append((entry, touched, struct.Struct(f"{len(touched)}q").pack, stage.numbers, threads))
    if len(arrays) == 2 and len(calls) == 1 and len(outputs) == 1 and not plan.scratch:
        return _one_call(outputs[0], *calls[0])
    return _calls(outputs, plan.scratch, calls)


def _one_call(
    result: Array, entry: int, touched: tuple[int, ...], pack: Callable[..., bytes], numbers: bytes,
    threads: int | None,
) -> Run:  # fmt: skip
    """Run one stage of two arrays, in the least time."""
    address, call, swapped = launch.address, launch.run, touched == (1, 0, 2)
    shape, dtype = result.shape, result.dtype
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


def _calls(results: Sequence[Array], scratch: tuple[int, ...], calls: Sequence[Any]) -> Run:
    """Run some stages in order."""

    def run(arrays: Sequence[npt.NDArray[Any]]) -> Any:
        outs = tuple([allocator.empty(result.shape, result.dtype) for result in results])
        everything = [*arrays, *outs, *(allocator.empty((size,), np.uint8) for size in scratch)]
        places = [launch.address(array) for array in everything]
        for entry, touched, pack, numbers, threads in calls:
            launch.run(entry, pack(*(places[k] for k in touched)) + numbers, threads)
        return outs[0] if len(outs) == 1 else outs

    return run
