"""The planning functions of ops by name, from all kernel families: what a graph's program is lowered with."""

from __future__ import annotations

from collections.abc import Callable

from tensorlite.kernels.cpu import (
    attention,
    box_stages,
    conv,
    extreme_stages,
    index_stages,
    int8,
    loss_stages,
    matmul,
    movement_stages,
    norm_stages,
    order_stages,
    pool_stages,
    random_stages,
    recurrent,
    resample_stages,
    scan_stages,
    tap_stages,
)
from tensorlite.kernels.stage import Plan

__all__ = ["PLANS", "conv", "matmul"]

PLANS: dict[str, Callable[..., Plan | None]] = {
    **movement_stages.PLANS,
    **index_stages.PLANS,
    **conv.PLANS,
    **int8.PLANS,
    **matmul.PLANS,
    **attention.PLANS,
    **pool_stages.PLANS,
    **random_stages.PLANS,
    **recurrent.PLANS,
    **resample_stages.PLANS,
    **scan_stages.PLANS,
    **order_stages.PLANS,
    **box_stages.PLANS,
    **extreme_stages.PLANS,
    **loss_stages.PLANS,
    **norm_stages.PLANS,
    **tap_stages.PLANS,
}
