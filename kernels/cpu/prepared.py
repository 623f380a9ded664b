"""Plans kept with their compiled kernels, for arrays that lie alike: what eager ops of large arrays run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator, builtin, team
from tensorlite.kernels.cpu.builtin import Call
from tensorlite.kernels.cpu.movement_stages import fill_stage
from tensorlite.kernels.generated import launch
from tensorlite.kernels.stage import Array, Plan

Shape = tuple[int, ...]
Planner = Callable[..., Plan | None]
Results = Callable[..., Sequence[Array] | None]
"""How an op's results lie, contiguous, for its arrays and attributes; None for a call that is left alone."""
Maker = tuple[Callable[..., Any], Array]
_SHORT = 5_000.0  # nanoseconds: who lets Python's lock go may wait for it a thousand times as long

_LINE, _SMALL = 64, 32 << 10
"""Bytes: of a line of memory, where scratch arrays begin, and which of them are small."""

_MOST = 1024
"""How many plans of one planner are kept; beyond, all of them are forgotten."""

Run = Callable[..., Any]
"""Computes fresh arrays from some that lie as those that it was made for: one, or a tuple of several."""


_kept: dict[Planner, dict[Any, Run]] = {}


def forget() -> None:
    """Forget all plans."""
    for kept in _kept.values():
        kept.clear()


def count() -> int:
    """Return how many plans are kept."""
    return sum(map(len, _kept.values()))


def kernel(planner: Planner, results: Results, worth: Callable[[Any], float]) -> Callable[..., Any]:
    """Return the function that runs what ``planner`` plans for arrays; ``NotImplemented`` without a plan.

    A plan of less than ``worth`` nanoseconds of work, for the first result's dtype, is not run.
    """
    kept = _kept.setdefault(planner, {})

    def otherwise(*arrays: npt.NDArray[Any], **attributes: Any) -> Any:
        arrays = tuple(map(np.asarray, arrays))  # NumPy's scalars have shape and dtype too, but no head of an array
        key = _key(arrays, attributes)
        found = kept.get(key)
        if found is None:
            if len(kept) >= _MOST:
                kept.clear()
            found = kept[key] = _prepare(planner, results, arrays, worth, attributes)
        return found(*arrays)

    @cache
    def make() -> Callable[..., Any]:
        return builtin.finder(kept, otherwise) if builtin.is_supported() else otherwise

    def run(*arrays: npt.NDArray[Any], **attributes: Any) -> Any:
        return make()(*arrays, **attributes)

    run.__dict__["make"] = make
    return run


def watched(planner: Planner, results: Results, worth: Callable[[Any], float]) -> Callable[..., Any]:
    """Return the same for plans that look at their inputs; ``NotImplemented`` where one finds a fault."""

    def looked(*arrays: npt.NDArray[Any], **attributes: Any) -> Sequence[Array] | None:
        found = results(*arrays, **attributes)
        return None if found is None else [*found, Array.contiguous(np.int64, (1,))]

    def plan(inputs: Sequence[Array], outputs: Sequence[Array], **attributes: Any) -> Plan | None:
        found = planner(inputs, outputs[:-1], **attributes)
        return None if found is None else _with_fault_as_output(found, len(inputs) + len(outputs) - 1)

    run = kernel(plan, results=looked, worth=worth)
    alone: Any = None

    def look(*arrays: npt.NDArray[Any], **attributes: Any) -> Any:
        nonlocal alone
        alone = alone or fast(run)
        found = alone(*arrays, **attributes)
        if found is NotImplemented or found[-1][0]:
            return NotImplemented
        return found[0] if len(found) == 2 else found[:-1]

    return look


def _with_fault_as_output(plan: Plan, place: int) -> Plan:
    """Return a plan whose fault is array ``place``, before the scratch arrays, and set to 0 at first."""
    fault, scratch = plan.fault, list(plan.scratch)
    if fault is not None:
        del scratch[fault - place]

    def number(k: int) -> int:
        return k if k < place else place if k == fault else k + (fault is None or k < fault)

    none = fill_stage(Array.contiguous(np.int64, (1,)), 0, place)
    assert none is not None
    stages = [replace(stage, reads=tuple(map(number, stage.reads)), writes=tuple(map(number, stage.writes)))
              for stage in plan.stages]  # fmt: skip
    return Plan((none, *stages), tuple(scratch))


def fast(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function as a builtin one, if it is one of `kernel`; its first use may compile."""
    make = getattr(kernel, "make", None)
    return kernel if make is None else make()


def _key(arrays: Sequence[Any], attributes: dict[str, Any]) -> Any:
    """Return what a plan depends on."""
    key = builtin.key(*arrays, **attributes) if builtin.is_supported() else ()
    lies = key or tuple((array.shape, array.strides, array.dtype, array.flags.aligned) for array in arrays)
    return key or (lies, tuple(attributes.items()), team.get_num_threads())


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
) -> Run:  # fmt: skip
    outputs = results(*arrays, **attributes)
    if outputs is None or any(step % a.itemsize for a in arrays for step in a.strides):
        return _refuse
    if not all(a.flags.aligned and a.dtype.isnative for a in arrays):
        return _refuse
    inputs = [Array(a.dtype, a.shape, tuple(step // a.itemsize for step in a.strides)) for a in arrays]
    plan = planner(inputs, outputs, **attributes)
    work = 0.0 if plan is None else sum(stage.work for stage in plan.stages)
    if plan is None or work < worth(outputs[0].dtype):
        return _refuse
    try:
        launch.compile_many((stage.build, stage.key) for stage in plan.stages)
    except s.NoLowering:
        return _refuse
    calls, makers = _laid_out(plan, len(arrays), outputs)
    slow = partial(_by_python, calls, makers, len(outputs))
    if not builtin.is_supported():
        return slow
    return builtin.program(calls, len(arrays), makers, len(outputs), slow, short=work < _SHORT)


def _refuse(*arrays: npt.NDArray[Any]) -> Any:
    return NotImplemented


def _laid_out(plan: Plan, given: int, outputs: Sequence[Array]) -> tuple[list[Call], list[Maker]]:
    """Return the calls of a plan, whose scratch arrays are parts of one, and what makes outputs and that one."""
    makers = [(_maker_of(output), output) for output in outputs]
    places = [(k, 0) for k in range(given + len(outputs))]
    offset = 0
    for size in plan.scratch:
        places.append((given + len(outputs), offset))
        offset += -(-size // _LINE) * _LINE
    if plan.scratch:
        scratch = Array.contiguous(np.uint8, (offset,))
        makers.append((np.empty if offset < _SMALL else aligned, scratch))
    all_threads = builtin.ALL if team.get_num_threads() > 1 else 1
    calls = []
    for stage in plan.stages:
        entry, threads = launch.compile(stage.build, stage.key), launch.threads_for(stage.work) or all_threads
        calls.append(Call(entry, threads, [places[k] for k in (*stage.reads, *stage.writes)], stage.numbers))
    return calls, makers


def _maker_of(array: Array) -> Callable[..., npt.NDArray[Any]]:
    """Return what makes an array, in the least time."""
    return np.empty if array.size * array.dtype.itemsize < allocator.POOL_BYTES else allocator.empty


def aligned(shape: Shape, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return an uninitialised array that begins with a line of memory, unless it is small.

    Whole vectors then lie in one line: products whose packed filters did not took a tenth longer (measured).
    """
    size = prod(shape) * dtype.itemsize
    if not _SMALL <= size < allocator.POOL_BYTES or dtype.hasobject:
        return allocator.empty(shape, dtype)
    memory = np.empty(size + _LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, -launch.address(memory) % _LINE)


def _by_python(calls: Sequence[Call], makers: Sequence[Maker], returned: int, *arrays: npt.NDArray[Any]) -> Any:
    """Run what `builtin.program` runs."""
    made = [maker(array.shape, array.dtype) for maker, array in makers]
    bases = [launch.address(array) for array in (*arrays, *made)]
    for call in calls:
        block = struct.pack(f"{len(call.places)}q", *(bases[k] + offset for k, offset in call.places))
        launch.run(call.entry, block + call.numbers, call.threads)
    return made[0] if returned == 1 else tuple(made[:returned])
