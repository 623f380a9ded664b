"""What losses need natively, in eager: sums over paths, rows of scores, by the stages that compiled graphs have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from tensorlite.kernels.cpu import allocator, index_stages, loss_stages, prepared, stages
from tensorlite.kernels.generated.fold import carrier

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


def _of_rows(x: Array, target: Array, *, axis: int, **_: Any) -> list[stages.Array] | None:
    """Return how the three results for each row of scores lie."""
    if target.shape != (*x.shape[:axis], *x.shape[axis + 1 :]) or not x.size:
        return None
    wide = carrier(x.dtype)
    return [stages.Array.contiguous(dtype, target.shape) for dtype in (x.dtype, wide, wide)]


def _of_scores(g: Array, x: Array, target: Array, lse: Array, rest: Array, *, axis: int, **_: Any) -> Any:
    wide = carrier(x.dtype)
    if not g.shape == target.shape == lse.shape == rest.shape or lse.dtype != wide or rest.dtype != wide or not x.size:
        return None
    return [stages.Array.contiguous(x.dtype, x.shape)]


def _of_count(target: Array, *, dtype: Any, **_: Any) -> list[stages.Array]:
    return [stages.Array.contiguous(dtype, ())]


def _of_picked(x: Array, target: Array, *, axis: int, **_: Any) -> list[stages.Array] | None:
    fits = target.shape == (*x.shape[:axis], *x.shape[axis + 1 :]) and x.size
    return [stages.Array.contiguous(x.dtype, target.shape)] if fits else None


def _of_placed(g: Array, target: Array, *, axis: int, classes: int, **_: Any) -> list[stages.Array] | None:
    shape = (*g.shape[:axis], classes, *g.shape[axis:])
    return [stages.Array.contiguous(g.dtype, shape)] if g.shape == target.shape and g.size and classes else None


def _worth(dtype: Any) -> float:
    """Return the work from which a kernel is worth a call: the bodies call NumPy a dozen times."""
    return 0.0


KERNELS: dict[str, Callable[..., Any]] = {
    "ctc_paths": ctc_paths,
    "ctc_flow": ctc_flow,
    "softmax_loss": prepared.watched(loss_stages.plan_softmax_loss, _of_rows, _worth),
    "softmax_loss_backward": prepared.kernel(loss_stages.plan_softmax_loss_backward, _of_scores, _worth),
    "count_classes": prepared.watched(loss_stages.plan_count_classes, _of_count, _worth),
    "pick_class": prepared.watched(index_stages.plan_pick_class, _of_picked, _worth),
    "place_class": prepared.watched(index_stages.plan_place_class, _of_placed, _worth),
}
