"""What losses need beside elementwise loops and reductions: sums over paths, and numbers that are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tensorlite.kernels import loops
from tensorlite.kernels.cpu.movement_stages import is_native
from tensorlite.kernels.cpu.row_stages import contiguous
from tensorlite.kernels.generated import check_loops, path_loops, rows
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FLOATS = ("float32", "float64")
_PATH_NANOSECONDS, _FLOW_NANOSECONDS = 3.0, 1.0  # of one thread for a state at a time


def plan_paths(inputs: Sequence[Array], outputs: Sequence[Array]) -> Plan | None:
    """The logarithms of sums over paths."""
    return _plan("paths", path_loops.paths, inputs, outputs[0], _PATH_NANOSECONDS)


def plan_flow(inputs: Sequence[Array], outputs: Sequence[Array], *, back: bool) -> Plan | None:
    """Sums along the edges of paths, that have weights."""
    return _plan(f"flow {back}", partial(path_loops.flow, back=back), inputs, outputs[0], _FLOW_NANOSECONDS)


def _plan(
    name: str, build: Callable[..., loops.Kernel], inputs: Sequence[Array], out: Array, nanoseconds: float
) -> Plan | None:
    x = inputs[0]
    if not out.size:
        return Plan(())
    if x.dtype.name not in _FLOATS or any(other.dtype != x.dtype for other in inputs) or not out.is_contiguous:
        return None
    found = contiguous(inputs, len(inputs) + 1)
    if found is None:
        return None
    copies, reads, room = found
    stage = Stage(f"{name} {x.dtype.name}", lambda: build(x.dtype), reads, (len(inputs),), pack(*x.shape),
                  x.size * nanoseconds)  # fmt: skip
    return Plan((*copies, stage), room)


def plan_checked_between(
    inputs: Sequence[Array], outputs: Sequence[Array], *, low: float, high: float, name: str
) -> Plan | None:
    """The numbers themselves, each looked at."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not is_native(x.dtype):
        return None
    axes = [Axis(n, (a, b)) for n, a, b in zip(x.shape, x.strides, out.strides, strict=True)]
    plan, merged = rows.walk(("x", "out"), axes)
    numbers = pack(*rows.numbers(plan, merged, [0, 0]), float(low), float(high))
    key = f"between {x.dtype.name} {plan}"
    stage = Stage(key, lambda: check_loops.between(x.dtype, plan), (0,), (1, 2), numbers, out.size * 0.5)
    return Plan((stage,), (8,), 2)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "ctc_paths": plan_paths,
    "ctc_flow": plan_flow,
    "checked_between": plan_checked_between,
}
