"""Suppression of overlapping boxes without Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorlite.kernels.cpu.row_stages import builder, contiguous
from tensorlite.kernels.irregular import boxes as kernels
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FLOATS = ("float32", "float64")
_NANOSECONDS = 0.5  # of one thread for two boxes


def plan_unsuppressed(inputs: Sequence[Array], outputs: Sequence[Array], *, threshold: float) -> Plan | None:
    """Whether each box, in order, is kept."""
    (x, order, groups), (out,) = inputs, outputs
    n = order.size
    if not n:
        return Plan(())
    if x.dtype.name not in _FLOATS or order.dtype != np.int64 or groups.dtype != np.int64 or not out.is_contiguous:
        return None
    types = (x.dtype.name, "int64", "int64", "uint8", x.dtype.name, "int64")
    scratch = ((5 * n + 1) * x.dtype.itemsize, (1 + n + kernels.BATCH) * 8)
    found = contiguous(inputs, 4 + len(scratch))
    if found is None:
        return None
    copies, reads, room = found
    stage = Stage(f"suppress {x.dtype.name}", builder(kernels.suppress, *types, numbers=1, floats=1), reads, (3, 4, 5),
                  pack(n, float(threshold)), n * n * _NANOSECONDS / 2)  # fmt: skip
    return Plan((*copies, stage), (*scratch, *room))


PLANS: dict[str, Callable[..., Plan | None]] = {"unsuppressed": plan_unsuppressed}
