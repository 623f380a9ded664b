"""Running a plan on arrays by itself, stage by stage: what tests do, and who uses kernels without graphs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels.cpu import allocator
from tensorlite.kernels.generated import launch
from tensorlite.kernels.stage import Array, Plan


def described(array: npt.NDArray[Any]) -> Array:
    """Return how an array lies.

    >>> described(np.zeros((2, 3), np.float32).T)
    Array(dtype=dtype('float32'), shape=(3, 2), strides=(1, 3))
    """
    return Array(array.dtype, array.shape, tuple(stride // array.itemsize for stride in array.strides))


def run(plan: Plan, arrays: Sequence[npt.NDArray[Any]], threads: int | None = None) -> bool:
    """Run the stages of ``plan`` on the arrays that it was made for, inputs and outputs in the plan's order.

    Return whether an index was out of range.
    """
    everything = [*arrays, *(allocator.empty((max(size, 1),), np.uint8) for size in plan.scratch)]
    if plan.fault is not None:
        everything[plan.fault].fill(0)
    places = [launch.address(array) for array in everything]
    for stage in plan.stages:
        entry = launch.compile(stage.build, stage.key)
        addresses = [places[k] for k in (*stage.reads, *stage.writes)]
        block = struct.pack(f"{len(addresses)}q", *addresses) + stage.numbers
        launch.run(entry, block, launch.threads_for(stage.work) if threads is None else threads)
    return plan.fault is not None and bool(everything[plan.fault].any())
