"""Products and convolutions under the names and signatures of ops, by the plans that compiled graphs have too.

A plan knows how its arrays lie and not where they are, so it is made once for arrays that lie alike, and kept with its
compiled kernels. The answer ``NotImplemented`` leaves the case to the op's own body.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels.cpu import allocator, conv, matmul, team
from tensorlite.kernels.generated import launch
from tensorlite.kernels.stage import Array, Plan

Shape = tuple[int, ...]
Planner = Callable[..., Plan | None]
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_MOST = 1024
"""How many plans are kept; beyond, all are forgotten."""

_PRODUCTS = (matmul.plan_matmul, matmul.plan_linear)
_WORTH = 15_000.0
"""Nanoseconds of a product of matrices: with less work, BLAS has done it before threads are awake (measured)."""


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


def _prepare(planner: Planner, inputs: list[Array], shape: Shape, attributes: Any) -> Prepared | None:
    plan = planner(inputs, [Array.contiguous(inputs[0].dtype, shape)], **attributes)
    if plan is None or (planner in _PRODUCTS and sum(stage.work for stage in plan.stages) < _WORTH):
        return None
    launch.compile_many((stage.build, stage.key) for stage in plan.stages)
    stages = []
    for stage in plan.stages:
        touched = (*stage.reads, *stage.writes)
        entry, threads = launch.compile(stage.build, stage.key), launch.threads_for(stage.work)
        stages.append((entry, touched, struct.Struct(f"{len(touched)}q"), stage.numbers, threads))
    return Prepared(shape, plan.scratch, tuple(stages))


def _kernel(planner: Planner, result: Callable[..., Shape | None]) -> Callable[..., Any]:
    """Return the kernel of an op: ``result`` is the shape of a call's result, or None for one that is left alone."""

    def run(*arrays: npt.NDArray[Any], **attributes: Any) -> Any:
        dtype = arrays[0].dtype
        if dtype not in _DTYPES or any(array.dtype != dtype for array in arrays):
            return NotImplemented
        lies = tuple((array.shape, array.strides) for array in arrays)
        key = planner, dtype, lies, tuple(attributes.items()), team.get_num_threads()
        try:
            found = _prepared[key]
        except KeyError:
            found = _prepared[key] = _new(arrays, attributes)
        return NotImplemented if found is None else found.run(arrays)

    def _new(arrays: Sequence[npt.NDArray[Any]], attributes: Any) -> Prepared | None:
        if len(_prepared) >= _MOST:
            _prepared.clear()
        shape, size = result(*(array.shape for array in arrays), **attributes), arrays[0].itemsize
        whole = all(step % size == 0 for array in arrays for step in array.strides)
        if shape is None or not whole or not all(array.flags.aligned for array in arrays):
            return None
        inputs = [Array(a.dtype, a.shape, tuple(step // size for step in a.strides)) for a in arrays]
        return _prepare(planner, inputs, shape, attributes)

    return run


# What results look like: None where the op's body has something to say.


def _of_matmul(x1: Shape, x2: Shape) -> Shape | None:
    if len(x1) < 2 or len(x2) < 2 or x1[-1] != x2[-2]:
        return None
    return (*np.broadcast_shapes(x1[:-2], x2[:-2]), x1[-2], x2[-1])


def _of_linear(x: Shape, weight: Shape, bias: Shape | None = None) -> Shape | None:
    fits = len(x) > 1 and len(weight) == 2 and x[-1] == weight[1] and bias in (None, weight[:1])
    return (*x[:-1], weight[0]) if fits else None


def _of_conv2d(
    x: Shape, weight: Shape, bias: Shape | None = None, *, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Shape | None:
    fits = len(x) == len(weight) == 4 and x[1] == weight[1] * groups and weight[0] % groups == 0
    if not fits or bias not in (None, weight[:1]) or 0 in weight:
        return None
    spans = [(weight[2 + i] - 1) * dilation[i] + 1 for i in (0, 1)]
    counts = [(x[2 + i] + sum(padding[i]) - spans[i]) // stride[i] + 1 for i in (0, 1)]
    return (x[0], weight[0], *counts) if min(counts) > 0 else None


def _of_data(g: Shape, weight: Shape, *, size: Shape, groups: int, **_: Any) -> Shape | None:
    return (g[0], weight[1] * groups, *size) if 0 not in (*weight, *size) else None


def _of_weight(x: Shape, g: Shape, *, kernel: Shape, groups: int, **_: Any) -> Shape | None:
    return (g[1], x[1] // groups, *kernel) if 0 not in kernel else None


KERNELS: dict[str, Callable[..., Any]] = {
    "matmul": _kernel(matmul.plan_matmul, _of_matmul),
    "linear": _kernel(matmul.plan_linear, _of_linear),
    "conv2d": _kernel(conv.PLANS["conv2d"], _of_conv2d),
    "conv2d_data": _kernel(conv.PLANS["conv2d_data"], _of_data),
    "conv2d_weight": _kernel(conv.PLANS["conv2d_weight"], _of_weight),
}
