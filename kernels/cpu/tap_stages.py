"""Weighed sums of elements that places name, in eager and in graphs; a place that is no element is a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tensorlite.kernels.cpu import prepared
from tensorlite.kernels.cpu.row_stages import builder, contiguous
from tensorlite.kernels.irregular import taps as kernels
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FLOATS = ("float32", "float64")
_NANOSECONDS = 0.7  # of one thread for a tap


def _plan(
    function: Callable[..., None], sizes_of: Callable[..., tuple[int, ...]], integers: int, inputs: Sequence[Array],
    outputs: Sequence[Array], **_: Any,
) -> Plan | None:  # fmt: skip
    """One kernel. The input of number ``integers`` holds places; ``sizes_of`` finds the sizes from all shapes."""
    (out,), x = outputs, inputs[0]
    if not out.size:
        return Plan(())
    types = ["int64" if k == integers else x.dtype.name for k in range(len(inputs))]
    if x.dtype.name not in _FLOATS or [array.dtype.name for array in inputs] != types or not out.is_contiguous:
        return None
    found = contiguous(inputs, 5)
    if found is None:
        return None
    copies, reads, room = found
    sizes = sizes_of(*(array.shape for array in (*inputs, out)))
    build = builder(function, *types, x.dtype.name, "int64", numbers=len(sizes))
    batch, channels, _extent, taps, samples = sizes
    stage = Stage(f"taps {function.__name__} {x.dtype.name}", build, reads, (3, 4), pack(*sizes),
                  batch * channels * taps * samples * _NANOSECONDS)  # fmt: skip
    return Plan((*copies, stage), (8, *room), 4)


Shape = tuple[int, ...]


def _sizes(x: Shape, places: Shape) -> Shape:
    return (*x, *places[1:])


PLANS: dict[str, Callable[..., Plan | None]] = {
    "weigh_taps": partial(_plan, kernels.weigh, lambda x, places, weights, out: _sizes(x, places), 1),
    "spread_taps": partial(_plan, kernels.spread, lambda g, places, weights, out: _sizes(out, places), 1),
    "dot_taps": partial(_plan, kernels.dots, lambda x, g, places, out: _sizes(x, places), 2),
}


def _results(shape_of: Callable[..., Shape]) -> prepared.Results:
    def results(*arrays: Any, **attributes: Any) -> list[Array] | None:
        if any(array.ndim != 3 for array in arrays):
            return None
        return [Array.contiguous(arrays[0].dtype, shape_of(*(array.shape for array in arrays), **attributes))]

    return results


_SHAPES: dict[str, Callable[..., Shape]] = {
    "weigh_taps": lambda x, places, weights: (*x[:2], places[2]),
    "spread_taps": lambda g, places, weights, extent: (*g[:2], extent),
    "dot_taps": lambda x, g, places: places,
}

KERNELS: dict[str, Callable[..., Any]] = {
    name: prepared.watched(PLANS[name], _results(shape_of), lambda dtype: 0.0) for name, shape_of in _SHAPES.items()
}
"""The kernels of this family, by op."""
