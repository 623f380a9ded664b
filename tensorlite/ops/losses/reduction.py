"""What all losses share: how they are weighed and reduced, and what shapes they ask for."""

from __future__ import annotations

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.reduce import _mean, _sum
from tensorlite.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(op: str, reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
    """Raises `ArgumentError` where a reduction is none of those allowed."""
    if reduction not in allowed:
        *most, last = map(repr, allowed)
        raise complaint(ArgumentError, op, f"reduction must be {', '.join(most)} or {last}, not {reduction!r}")


def reduced(op: str, loss: Tensor, reduction: str) -> Tensor:
    """The losses as they are, their sum or their mean."""
    check_reduction(op, reduction)
    axes = tuple(range(loss.ndim))
    if reduction == "mean":
        return _mean(loss, axis=axes, keepdims=False)
    return loss if reduction == "none" else _sum(loss, axis=axes, keepdims=False, dtype=None)


def weighed(loss: Tensor, weight: Tensor | None) -> Tensor:
    """The losses times what each counts."""
    return loss if weight is None else loss * weight


def check_same_shape(op: str, input: Tensor, target: Tensor) -> None:
    """Raises `ShapeError` where input and target would broadcast, which is seldom what was meant."""
    if input.shape != target.shape:
        raise complaint(ShapeError, op, "input and target must have one shape", {"input": input, "target": target})
