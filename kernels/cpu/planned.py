"""The planning functions of ops by name, from all kernel families: what a graph's program is lowered with."""

from __future__ import annotations

from collections.abc import Callable

from tensorlite.kernels.cpu import matmul, pool_stages, random_stages
from tensorlite.kernels.stage import Plan

__all__ = ["PLANS", "matmul"]

PLANS: dict[str, Callable[..., Plan | None]] = {
    **matmul.PLANS,
    **pool_stages.PLANS,
    **random_stages.PLANS,
}
