"""What losses need natively, in eager: sums over paths, by the stages that compiled graphs have for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from tensorlite.kernels.cpu import allocator, loss_stages, stages

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


def ctc_paths(x: Array, skip: Array, first: Array) -> Array:
    """Return the logarithms of the sums over paths to each state."""
    if x.ndim != 3:
        return NotImplemented
    steps, batch, states = x.shape
    shapes = (x.shape, (batch, max(states - 2, 0)), (batch, states))
    return _run(loss_stages.plan_paths, (steps + 1, batch, states), (x, skip, first), shapes)


def ctc_flow(x: Array, w0: Array, w1: Array, w2: Array, *, back: bool) -> Array:
    """Return the sums along weighed edges."""
    if x.ndim != 3 or not x.size:
        return NotImplemented
    steps, batch, states = x.shape
    shapes = (x.shape, *((steps - 1, batch, max(states - k, 0)) for k in range(3)))
    return _run(loss_stages.plan_flow, x.shape, (x, w0, w1, w2), shapes, back=back)


def _run(planner: Callable[..., Any], shape: Shape, arrays: tuple[Array, ...], shapes: tuple[Shape, ...],
         **attributes: Any) -> Array:  # fmt: skip
    if any(x.shape != fitting for x, fitting in zip(arrays, shapes, strict=True)):
        return NotImplemented
    out = allocator.empty(shape, arrays[0].dtype)
    plan = planner([stages.described(x) for x in arrays], [stages.described(out)], **attributes)
    if plan is None:
        return NotImplemented
    stages.run(plan, [*arrays, out])
    return out


KERNELS: dict[str, Callable[..., Any]] = {"ctc_paths": ctc_paths, "ctc_flow": ctc_flow}
