"""Norms of a parameter and of what is done to it, by which steps are scaled layer by layer."""

from __future__ import annotations

from typing import Any

from tensorlite.ops.elementwise import logical_and, sqrt, square, where
from tensorlite.ops.reduce import sum
from tensorlite.optim.rule import widened
from tensorlite.tensor import Tensor


def norm(x: Tensor) -> Tensor:
    """The square root of the sum of the squares, in float32 at least."""
    (wide,) = widened(x)
    return sqrt(sum(square(wide)))


def trust(weight: Any, step: Any, whole: Any) -> Any:
    """How far a layer's step may go, ``weight / whole``, and 1 where the norm of either is zero, which says nothing."""
    if isinstance(weight, Tensor):
        return where(logical_and(weight > 0, step > 0), weight / whole, 1.0)
    return weight / whole if weight > 0 and step > 0 else 1.0
