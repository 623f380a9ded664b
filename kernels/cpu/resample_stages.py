"""Sparse linear maps along an axis without Python; sums of half precision are in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import prepared
from tensorlite.kernels.cpu.movement_stages import copy_stage
from tensorlite.kernels.generated import resample_loops
from tensorlite.kernels.generated.resample_loops import Resampling
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_NANOSECONDS = 0.4  # of one thread for a term


def plan_resample(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int) -> Plan | None:
    """Each result along the axis as a sum of elements that tables name and weigh; others are copied to lie in order."""
    (x, places, weights, *_), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not out.is_contiguous or x.dtype.name not in _FLOATS or places.dtype.kind != "i" or weights.dtype.kind == "c":
        return None
    ordered: list[Stage] = []
    numbers, scratch = [0, 1, 2], list[int]()
    for k, array in enumerate((x, places, weights)):
        if not array.is_contiguous:
            numbers[k] = len(inputs) + 1 + len(scratch)
            copy = copy_stage(array, Array.contiguous(array.dtype, array.shape), k, numbers[k])
            if copy is None:
                return None
            ordered.append(copy)
            scratch.append(array.size * array.dtype.itemsize)
    stage = _stage(x, places, weights, out, axis)
    return Plan((*ordered, replace(stage, reads=tuple(numbers), writes=(len(inputs),))), tuple(scratch))


def _stage(x: Array, places: Array, weights: Array, out: Array, axis: int) -> Stage:
    terms, count = places.shape
    outer, inner = prod(x.shape[:axis]), prod(x.shape[axis + 1 :])
    wide = np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype
    form = Resampling(x.dtype, places.dtype, weights.dtype, wide, resample_loops.few(terms), inner == 1)
    numbers = pack(outer if form.across else outer * count, x.shape[axis], count, inner, terms)
    return Stage(form.key(), lambda: resample_loops.resampled(form), (), (), numbers, out.size * terms * _NANOSECONDS)


PLANS: dict[str, Callable[..., Plan | None]] = {"resample": plan_resample}


def _results(x: Any, places: Any, weights: Any, *_: Any, axis: int) -> list[Array] | None:
    if places.ndim != 2 or places.shape != weights.shape or axis >= x.ndim:
        return None
    return [Array.contiguous(x.dtype, (*x.shape[:axis], places.shape[1], *x.shape[axis + 1 :]))]


KERNELS: dict[str, Callable[..., Any]] = {"resample": prepared.kernel(plan_resample, _results, lambda dtype: 0.0)}
"""The kernel of this family, as eager runs it."""
