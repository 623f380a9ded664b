"""What losses need beside elementwise loops and reductions: sums over paths, and numbers that are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels.cpu.movement_stages import is_native
from tensorlite.kernels.cpu.row_stages import contiguous
from tensorlite.kernels.generated import check_loops, path_loops, rows, softmax_loss_loops
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.stage import Array, Plan, Stage, pack

DType = np.dtype[Any]

_FLOATS = ("float32", "float64")
_PATH_NANOSECONDS, _FLOW_NANOSECONDS = 3.0, 1.0  # of one thread for a state at a time
_LOSS_NANOSECONDS = 0.4  # of one thread for a score
_SHORT = 16  # classes: of so few, each lane takes a row
_LANES = {False: 16, True: 32}  # across rows, and along them


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


def plan_softmax_loss(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, ignore: int) -> Plan | None:
    """Each row's loss, the logarithm of the sum of its powers, and what rounding took from that."""
    x, target = inputs
    if not outputs[0].size:
        return Plan(())
    arrays = ("x", "at_", "loss", "lse", "rest"), (x.without(axis), target, *outputs)
    found = _form(x, target, axis, x.strides[axis], *arrays)
    if found is None:
        return None
    form, numbers = found
    stage = Stage(f"softmax_loss {form}", lambda: softmax_loss_loops.kernel(form), (0, 1), (2, 3, 4, 5),
                  pack(*numbers, x.shape[axis], ignore, x.strides[axis]), _LOSS_NANOSECONDS * x.size)  # fmt: skip
    return Plan((stage,), (8,), 5)


def plan_softmax_loss_backward(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, ignore: int
) -> Plan | None:
    """The cotangent of scores, from that of their losses."""
    (g, x, target, lse, rest), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    arrays = ("g_", "x", "at_", "lse_", "rest_", "out"), (g, x.without(axis), target, lse, rest, out.without(axis))
    found = _form(x, target, axis, 1 if x.strides[axis] == out.strides[axis] == 1 else 0, *arrays)
    if found is None or g.dtype != x.dtype:
        return None
    form, numbers = found
    values = pack(*numbers, x.shape[axis], ignore, x.strides[axis], out.strides[axis])
    stage = Stage(f"softmax_loss_backward {form}", lambda: softmax_loss_loops.backward(form), (0, 1, 2, 3, 4), (5,),
                  values, _LOSS_NANOSECONDS * x.size)  # fmt: skip
    return Plan((stage,))


def _form(
    x: Array, target: Array, axis: int, step: int, names: Sequence[str], arrays: Sequence[Array]
) -> tuple[softmax_loss_loops.Form, list[int]] | None:
    """Return the form of a kernel of scores, and the numbers of how rows lie in arrays; None for what it cannot do.

    ``step`` is 1 where all that has classes has them along memory.
    """
    classes = x.shape[axis]
    if x.dtype.kind not in "fV" or target.dtype.kind not in "iu" or not 0 < classes < 2**31:
        return None
    axes = [Axis(n, strides) for n, *strides_ in zip(target.shape, *(a.strides for a in arrays), strict=True)
            for strides in (tuple(strides_),)]  # fmt: skip
    plan, merged = rows.walk(names, axes)
    along = step == 1 and classes > _SHORT
    most = classes if along else merged[-1].extent
    lanes = max(4, min(_LANES[along], 1 << (most - 1).bit_length()))
    form = softmax_loss_loops.Form(x.dtype, target.dtype, plan, along, lanes)
    task = max(1, rows.TASK // classes)
    return form, rows.numbers(plan, merged, [0] * len(arrays), task, softmax_loss_loops.ROWS)


def plan_count_classes(
    inputs: Sequence[Array], outputs: Sequence[Array], *, ignore: int, classes: int, dtype: DType
) -> Plan | None:
    """How many targets are not ignored."""
    (target,), (out,) = inputs, outputs
    found = contiguous(inputs, 3)
    if target.dtype.kind not in "iu" or found is None:
        return None
    copies, reads, room = found
    stage = Stage(f"count_classes {target.dtype.name} {out.dtype.name}",
                  lambda: softmax_loss_loops.counted(target.dtype, out.dtype), reads, (1, 2),
                  pack(target.size, 1, classes, ignore), 0.2 * target.size)  # fmt: skip
    return Plan((*copies, stage), (8, *room), 2)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "ctc_paths": plan_paths,
    "ctc_flow": plan_flow,
    "checked_between": plan_checked_between,
    "softmax_loss": plan_softmax_loss,
    "softmax_loss_backward": plan_softmax_loss_backward,
    "count_classes": plan_count_classes,
}
