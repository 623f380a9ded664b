"""Pooling without Python: what the kernels of ``pool_loops`` and ``unpool_loops`` take for given images and windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels.cpu.movement_stages import copy_stage, plan_of
from tensorlite.kernels.generated import pool_channels_loops, pool_loops, unpool_loops
from tensorlite.kernels.generated.pool_loops import SCRATCH, Pair, Windows, wide
from tensorlite.kernels.stage import Array, Plan, Stage, pack

DType = np.dtype[Any]

_TASK = 4096  # windows
_VECTOR_BYTES = 64
_TALL = 4  # rows of a window that are worth whole vectors down: 8 x 8 by 8 took 0.69 ms in place, and 0.13 so
_NANOSECONDS = 0.5  # of one thread for an element of a window
_BUILDERS: dict[str, Callable[..., loops.Kernel]] = {
    "combined": pool_loops.combined,
    "winner": pool_loops.winner,
    "scattered": unpool_loops.scattered,
    "gathered": unpool_loops.gathered,
    "in_pairs": unpool_loops.in_pairs,
    "spread": unpool_loops.spread,
    "spread_in_pairs": unpool_loops.spread_in_pairs,
}


def plan_max_pool2d(
    inputs: Sequence[Array], outputs: Sequence[Array], *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    ceil_mode: bool,
) -> Plan | None:  # fmt: skip
    """The maximum of each window."""
    (x,), (out,) = inputs, outputs
    pooling = _Pooling(x, out, Slide(kernel, stride, dilation, padding))
    if _is_floating(x) and pooling.last:
        return _plan_channels(pooling, pooling.windows(inputs), True)
    if not _is_floating(x) or not (pooling.is_inside or pooling.span <= SCRATCH):
        return None
    return _plan("combined", (x.dtype, pooling.windows(inputs, down_first=True), True), pooling, inputs)


def plan_max_pool2d_winner(
    inputs: Sequence[Array], outputs: Sequence[Array], *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Plan | None:
    """For each window the place of its maximum."""
    (x, top), (out,) = inputs, outputs
    pooling = _Pooling(x, out, Slide(kernel, stride, dilation, padding))
    if not _is_floating(x) or top.dtype != x.dtype or not (pooling.is_inside or pooling.span * kernel[0] <= SCRATCH):
        return None
    return _plan("winner", (x.dtype, out.dtype, pooling.windows(inputs)), pooling, inputs)


def plan_max_pool2d_scatter(
    inputs: Sequence[Array], outputs: Sequence[Array], *, size: Pair, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair,
) -> Plan | None:  # fmt: skip
    """Each window's number where its maximum lay."""
    (g, winner), (out,) = inputs, outputs
    pooling = _Pooling(out, g, Slide(kernel, stride, dilation, padding))
    if not _is_floating(g) or winner.dtype.kind not in "iu":
        return None
    windows = pooling.windows(inputs)
    if pooling.is_paired and g.dtype.itemsize < 8 and windows.unit:
        return _plan("in_pairs", (g.dtype, winner.dtype, windows), pooling, inputs)
    target = g.dtype if pooling.is_disjoint else wide(g.dtype)
    plan = _plan("scattered", (g.dtype, target, winner.dtype, windows), pooling, inputs, whole=True)
    return _rounded(plan, out, target, 2)


def plan_max_pool2d_gather(
    inputs: Sequence[Array], outputs: Sequence[Array], *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Plan | None:
    """Each window's element where its maximum lay."""
    (x, winner), (out,) = inputs, outputs
    if not _is_floating(x) or winner.dtype.kind not in "iu":
        return None
    pooling = _Pooling(x, out, Slide(kernel, stride, dilation, padding))
    return _plan("gathered", (x.dtype, winner.dtype, pooling.windows(inputs)), pooling, inputs)


def plan_avg_pool2d(
    inputs: Sequence[Array], outputs: Sequence[Array], *, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool,
    include_pad: bool, divisor: int | None,
) -> Plan | None:  # fmt: skip
    """The average of each window."""
    (x,), (out,) = inputs, outputs
    pooling = _Pooling(x, out, Slide(kernel, stride, (1, 1), padding))
    divides, number = pooling.divisor(include_pad, divisor)
    if _is_floating(x) and pooling.last:
        return _plan_channels(pooling, pooling.windows(inputs, divides), False, (number,))
    if not _is_floating(x) or not (pooling.is_inside or pooling.span <= SCRATCH):
        return None
    windows = pooling.windows(inputs, divides, down_first=True)
    return _plan("combined", (x.dtype, windows, False), pooling, inputs, (number,))


def plan_avg_pool2d_spread(
    inputs: Sequence[Array], outputs: Sequence[Array], *, size: Pair, kernel: Pair, stride: Pair, padding: Pair,
    ceil_mode: bool, include_pad: bool, divisor: int | None,
) -> Plan | None:  # fmt: skip
    """Each window's number, shared among its elements."""
    (g,), (out,) = inputs, outputs
    pooling = _Pooling(out, g, Slide(kernel, stride, (1, 1), padding))
    divides, number = pooling.divisor(include_pad, divisor)
    windows = pooling.windows(inputs, divides)
    if _is_floating(g) and pooling.is_paired and g.dtype.itemsize < 8 and windows.unit:
        return _plan("spread_in_pairs", (g.dtype, windows), pooling, inputs, (number,))
    if not _is_floating(g) or pooling.span > SCRATCH:
        return None
    plan = _plan("spread", (g.dtype, windows), pooling, inputs, (number,), whole=True)
    return _rounded(plan, out, wide(g.dtype), 1)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "max_pool2d": plan_max_pool2d,
    "max_pool2d_winner": plan_max_pool2d_winner,
    "max_pool2d_scatter": plan_max_pool2d_scatter,
    "max_pool2d_gather": plan_max_pool2d_gather,
    "avg_pool2d": plan_avg_pool2d,
    "avg_pool2d_spread": plan_avg_pool2d_spread,
}


def _is_floating(x: Array) -> bool:
    return wide(x.dtype).kind == "f" and x.dtype.kind not in "iu"


@dataclass(frozen=True, slots=True)
class Slide:
    """How windows slide over an image: down and across."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Pair

    def reach(self, axis: int) -> int:
        """Return how many rows or columns a window covers."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1


@dataclass(frozen=True, slots=True)
class _Pooling:
    """The images, the array that has a number for each window, and how the windows slide."""

    images: Array
    counted: Array
    slide: Slide

    @property
    def span(self) -> int:
        """The columns that a row of windows covers, the border among them."""
        return (self.counted.shape[3] - 1) * self.slide.stride[1] + self.slide.reach(1)

    @property
    def is_inside(self) -> bool:
        """Whether all windows lie in their images."""
        rows = (self.counted.shape[2] - 1) * self.slide.stride[0] + self.slide.reach(0)
        return not any(self.slide.padding) and rows <= self.images.shape[2] and self.span <= self.images.shape[3]

    @property
    def last(self) -> bool:
        """Whether channels lie along memory on both sides."""
        return self.images.is_channels_last and self.counted.is_channels_last

    @property
    def is_disjoint(self) -> bool:
        """Whether no two windows share an element."""
        return all(self.slide.reach(axis) <= self.slide.stride[axis] for axis in (0, 1))

    @property
    def is_paired(self) -> bool:
        """Whether windows two columns wide fill the image's rows, and the rows of windows the image."""
        two = self.slide.kernel[1] == self.slide.stride[1] == 2 and self.slide.kernel[0] == self.slide.stride[0]
        filled = all(self.images.shape[2 + a] == self.counted.shape[2 + a] * self.slide.stride[a] for a in (0, 1))
        return two and filled and self.slide.dilation == (1, 1) and self.is_inside

    def windows(self, read: Sequence[Array], divides: str = "", down_first: bool = False) -> Windows:
        """Return what kernels are specialised to; ``down_first`` where that saves work and a row fits in scratch."""
        slide, unit = self.slide, all(x.strides[3] == 1 for x in read)
        lanes = _VECTOR_BYTES // wide(self.images.dtype).itemsize
        saves = prod(slide.kernel) > 2 * prod(slide.stride) or slide.kernel[0] >= _TALL
        inside = self.is_inside and not (down_first and saves and self.span <= SCRATCH)
        return Windows(slide.kernel, slide.stride, slide.dilation, inside, lanes, unit, divides)

    def divisor(self, include_pad: bool, divisor: int | None) -> tuple[str, float]:
        """Return how sums are divided: by one number, or by as many elements as each window has."""
        if divisor is not None:
            return "", float(divisor)
        held = [self._held(axis, include_pad) for axis in (0, 1)]
        if all(len(spans) == 1 for spans in held):
            return "", float(held[0].pop() * held[1].pop())
        return "with" if include_pad else "without", 1.0

    def _held(self, axis: int, include_pad: bool) -> set[int]:
        """Return how many rows or columns windows have."""
        size, border = self.images.shape[2 + axis], self.slide.padding[axis]
        starts = [k * self.slide.stride[axis] - border for k in range(self.counted.shape[2 + axis])]
        ends = [min(start + self.slide.kernel[axis], size + border) for start in starts]
        spans = zip(starts, ends, strict=True)
        return {end - start if include_pad else min(end, size) - max(start, 0) for start, end in spans}


def _plan(
    kind: str, arguments: tuple[Any, ...], pooling: _Pooling, inputs: Sequence[Array],
    numbers: tuple[float, ...] = (), whole: bool = False,
) -> Plan:  # fmt: skip
    """Return the plan of one kernel, whose tasks are blocks of rows of windows, or ``whole`` planes."""
    images, counted, span = pooling.images, pooling.counted, pooling.span
    if not (counted.size and (images.size or counted not in inputs)):
        return Plan(())
    planes, (down, across) = counted.shape[0] * counted.shape[1], counted.shape[2:]
    block = down if whole else max(1, min(down, _TASK // across, SCRATCH // span))
    blocks = -(-down // block)
    border = (*pooling.slide.padding, span)
    extents = (planes, images.shape[1], *images.shape[2:], down, across, *border, block, blocks, planes * blocks)
    strides = [stride for x in inputs for stride in x.strides]
    key = " ".join((kind, *(x.name if isinstance(x, np.dtype) else repr(x) for x in arguments)))
    work = counted.size * prod(pooling.slide.kernel) * _NANOSECONDS
    stage = Stage(
        key,
        lambda: _BUILDERS[kind](*arguments),
        tuple(range(len(inputs))),
        (len(inputs),),
        pack(*extents, *strides, *numbers),
        work,
    )
    return Plan((stage,))


def _plan_channels(pooling: _Pooling, windows: Windows, maximum: bool, numbers: tuple[float, ...] = ()) -> Plan:
    """Return the plan of windows over images whose channels are lanes; a task is some rows of windows of an image."""
    x, out = pooling.images, pooling.counted
    windows = replace(windows, inside=False, unit=True)
    count, depth, down, across = out.shape
    block = max(1, min(down, _TASK // (across * depth)))
    blocks = -(-down // block)
    border = (*pooling.slide.padding, pooling.span)
    extents = (count, 1, *x.shape[2:], down, across, *border, block, blocks, count * blocks)
    work = out.size * windows.places * _NANOSECONDS / 4
    stage = Stage(
        f"pool channels {x.dtype.name} {windows} {maximum}",
        lambda: pool_channels_loops.combined(x.dtype, windows, maximum),
        (0,),
        (1,),
        pack(*extents, *x.strides, depth, *numbers),
        work,
    )
    return Plan((stage,))


def _rounded(plan: Plan, out: Array, dtype: DType, number: int) -> Plan | None:
    """Return the plan whose only stage sums in ``dtype``, and then rounds to ``out``, which has that number."""
    if dtype == out.dtype or not plan.stages:
        return plan
    (stage,) = plan.stages
    rounding = copy_stage(Array(dtype, out.shape, out.strides), out, number + 1, number)
    return plan_of(replace(stage, writes=(number + 1,)), rounding, scratch=(out.size * dtype.itemsize,))
