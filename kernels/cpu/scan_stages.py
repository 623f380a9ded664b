"""Running sums, products and recurrences without Python; those of half precision in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels.cpu.movement_stages import is_native
from tensorlite.kernels.generated import rows, scan_loops
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FEW = 4  # columns that are not worth vectors
_NANOSECONDS = 1.0  # of one thread for an element: a sum waits for the one before


def _plan(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, product: bool) -> Plan | None:
    return _scan(inputs, outputs[0], axis, ("x",), f"scan {product}",
                 lambda dtype, wide, *rest: scan_loops.scanned(dtype, wide, product, *rest))  # fmt: skip


def plan_linear_scan(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int) -> Plan | None:
    """A recurrence whose factors and terms are given."""
    return _scan(inputs, outputs[0], axis, ("factor", "term"), "recurrence", scan_loops.recurrence)


def plan_running_place(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, largest: bool
) -> Plan | None:
    """Where the largest or smallest of the elements so far is."""
    return _scan(inputs, outputs[0], axis, ("x",), f"running_place {largest}",
                 lambda dtype, wide, *rest: scan_loops.running_place(dtype, largest, *rest))  # fmt: skip


def _scan(
    inputs: Sequence[Array], out: Array, axis: int, names: tuple[str, ...], name: str,
    build: Callable[..., loops.Kernel],
) -> Plan | None:  # fmt: skip
    """Return the plan of a kernel that walks an axis from its beginning; ``build`` makes it from dtypes and rows."""
    if not out.size:
        return Plan(())
    dtype, arrays = inputs[0].dtype, (*inputs, out)
    if not is_native(dtype) or dtype.kind == "b" or any(x.dtype != dtype or x.shape != out.shape for x in inputs):
        return None
    wide = np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind not in "iu" else dtype
    axes = [Axis(n, tuple(x.strides[d] for x in arrays)) for d, n in enumerate(out.shape) if d != axis]
    plan, merged = rows.walk((*names, "out"), axes)
    by_vectors = set(plan.runs) == {"u"} and merged[-1].extent >= _FEW
    length = out.shape[axis]
    values = rows.numbers(plan, merged, [0] * len(arrays), max(1, rows.TASK // length), 128)
    own = (length, *(x.strides[axis] for x in arrays))
    stage = Stage(f"{name} {dtype.name} {plan} {by_vectors}", lambda: build(dtype, wide, plan, by_vectors),
                  tuple(range(len(inputs))), (len(inputs),), pack(*values, *own), out.size * _NANOSECONDS)  # fmt: skip
    return Plan((stage,))


PLANS: dict[str, Callable[..., Plan | None]] = {
    "cumulative_sum": partial(_plan, product=False),
    "cumulative_prod": partial(_plan, product=True),
    "linear_scan": plan_linear_scan,
    "running_place": plan_running_place,
}
