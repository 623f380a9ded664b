"""Stages that read constants alone run while a graph is lowered: so are a product's constant operands packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.jit.program import UNTYPED, Buffer, Home, Place
from tensorlite.kernels.cpu import stages
from tensorlite.kernels.stage import Array, Plan, Stage

_PRODUCTS = ("matmul", "linear")


def hints(op: str, inputs: Sequence[Place]) -> dict[str, Any]:
    """What a product's planning should know: that its right operand is a constant, which is packed only once."""
    return {"packs": True} if op in _PRODUCTS and is_constant(inputs[1]) else {}


def is_constant(place: Place) -> bool:
    """Whether what is there never changes: captured state may, and is none."""
    return place.buffer.home is Home.CONSTANT


def run_on_constants(plan: Plan, places: list[Place], count: int, constants: list[Any]) -> list[Stage]:
    """Runs, now and once, the stages that read constants alone and write scratch memory; returns the others.

    ``places`` are the plan's arrays, scratch memory from ``count`` on. What was written joins the constants; so it is
    only done where no other stage writes there.
    """
    rest = []
    for stage in plan.stages:
        writes = [k for other in plan.stages for k in other.writes]
        alone = all(k >= count and k != plan.fault and writes.count(k) == 1 for k in stage.writes)
        if stage.reads and alone and all(is_constant(places[k]) for k in stage.reads):
            _run(stage, places, constants)
        else:
            rest.append(stage)
    return rest


def _run(stage: Stage, places: list[Place], constants: list[Any]) -> None:
    arrays = {k: _bytes(constants[places[k].buffer.index])[places[k].offset :] for k in stage.reads}
    for k in stage.writes:
        size = places[k].buffer.size
        arrays[k] = np.zeros(max(size, 1), np.uint8)
        places[k] = Place(Buffer(Home.CONSTANT, size, len(constants)), 0, Array.contiguous(UNTYPED, (size,)))
        constants.append(arrays[k])
    stages.run(Plan((stage,)), [arrays.get(k, _NOTHING) for k in range(max(arrays) + 1)])


_NOTHING = np.zeros(1, np.uint8)


def _bytes(array: Any) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
