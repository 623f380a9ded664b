"""Plans kept with their compiled kernels, for arrays that lie alike: what eager ops of large arrays run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan whose kernels are compiled: of each stage the entry, the arrays that it touches, its numbers, threads."""

    shape: Shape
    scratch: tuple[int, ...]
    stages: tuple[tuple[int, tuple[int, ...], struct.Struct, bytes, int | None], ...]

    def run(self, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return a fresh array with the result."""
        out = allocator.empty(self.shape, arrays[0].dtype)
        everything = [*arrays, out, *(allocator.empty((size,), np.uint8) for size in self.scratch)]
        places = [launch.address(array) for array in everything]
        for entry, touched, head, numbers, threads in self.stages:
            launch.run(entry, head.pack(*(places[k] for k in touched)) + numbers, threads)
        return out


_prepared: dict[Any, Prepared | None] = {}


def run(
    planner: Planner, result: Callable[..., Shape | None], arrays: Sequence[npt.NDArray[Any]], worth: float = 0.0,
    **attributes: Any,
) -> Any:  # fmt: skip
    """Run what ``planner`` plans for arrays of one dtype; ``NotImplemented`` where it plans nothing.

    ``result`` gives the result's shape for the arrays' and the attributes, or None; a plan of less than ``worth``
    nanoseconds of work is not run.
    """
    dtype = arrays[0].dtype
    if any(array.dtype != dtype for array in arrays):
        return NotImplemented
    lies = tuple((array.shape, array.strides) for array in arrays)
    key = planner, dtype, lies, tuple(attributes.items()), team.get_num_threads()
    try:
        found = _prepared[key]
    except KeyError:
        if len(_prepared) >= _MOST:
            _prepared.clear()
        shape = result(*(array.shape for array in arrays), **attributes)
        found = _prepared[key] = None if shape is None else _prepare(planner, arrays, shape, worth, attributes)
    return NotImplemented if found is None else found.run(arrays)


def _prepare(
    planner: Planner, arrays: Sequence[npt.NDArray[Any]], shape: Shape, worth: float, attributes: Any
) -> Prepared | None:
    size = arrays[0].itemsize
    if any(step % size for array in arrays for step in array.strides) or not all(a.flags.aligned for a in arrays):
        return None
    inputs = [Array(a.dtype, a.shape, tuple(step // size for step in a.strides)) for a in arrays]
    plan = planner(inputs, [Array.contiguous(arrays[0].dtype, shape)], **attributes)
    if plan is None or sum(stage.work for stage in plan.stages) < worth:
        return None
    launch.compile_many((stage.build, stage.key) for stage in plan.stages)
    stages = []
    for stage in plan.stages:
        touched = (*stage.reads, *stage.writes)
        entry, threads = launch.compile(stage.build, stage.key), launch.threads_for(stage.work)
        stages.append((entry, touched, struct.Struct(f"{len(touched)}q"), stage.numbers, threads))
    return Prepared(shape, plan.scratch, tuple(stages))
