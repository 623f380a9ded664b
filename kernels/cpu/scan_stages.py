"""Running sums and products without Python; those of half precision in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tensorlite.kernels.cpu.movement_stages import is_native
from tensorlite.kernels.generated import rows, scan_loops
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FEW = 4  # columns that are not worth vectors
_NANOSECONDS = 1.0  # of one thread for an element: a sum waits for the one before


def _plan(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, product: bool) -> Plan | None:
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not is_native(x.dtype) or x.dtype != out.dtype or x.dtype.kind == "b":
        return None
    wide = np.dtype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
    axes = [Axis(x.shape[d], (x.strides[d], out.strides[d])) for d in range(x.ndim) if d != axis]
    plan, merged = rows.walk(("x", "out"), axes)
    by_vectors = plan.runs == "uu" and merged[-1].extent >= _FEW
    length = x.shape[axis]
    values = rows.numbers(plan, merged, [0, 0], max(1, rows.TASK // length), 128)
    own = (length, x.strides[axis], out.strides[axis])
    key = f"scan {x.dtype.name} {product} {plan} {by_vectors}"
    stage = Stage(key, lambda: scan_loops.scanned(x.dtype, wide, product, plan, by_vectors), (0,), (1,),
                  pack(*values, *own), out.size * _NANOSECONDS)  # fmt: skip
    return Plan((stage,))


PLANS: dict[str, Callable[..., Plan | None]] = {
    "cumulative_sum": partial(_plan, product=False),
    "cumulative_prod": partial(_plan, product=True),
}
