"""Plans of recurrent layers over time, and of the walk back, by native loops: one stage for all steps.

The bits of a result depend on shapes alone: neither on the threads nor on how the batch is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import prepared
from tensorlite.kernels.cpu.movement_stages import copy_stage
from tensorlite.kernels.generated import recurrent_loops
from tensorlite.kernels.generated.launch import PARALLEL_NANOSECONDS
from tensorlite.kernels.generated.recurrent_parts import BAND, Form, form, packed_sizes
from tensorlite.kernels.recurrent import MODES
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FLOATS = ("float32", "float64")
_MACS_PER_NANOSECOND, _UNIT_NANOSECONDS = 80.0, 2.0  # float32's; the second for a feature's gates
_WORTH_MEETING = 10_000.0
"""Nanoseconds of a step of one thread, from which a second one pays: they meet after each step, and may wait."""


def plan_recurrent(
    inputs: Sequence[Array], outputs: Sequence[Array], *, mode: str, reverse: bool, keeps: bool
) -> Plan | None:
    """Plan a layer over time: products of inputs, weight, first states, bias and lengths, to outputs and what is left.

    These are the last states, and the slopes if the walk back ``keeps`` them.
    """
    steps, batch, size = outputs[0].shape
    ends = len(inputs) > 3 + MODES[mode].rest
    shape = form(inputs[0].dtype, mode, False, (steps, batch, size), keeps, ends)
    room = (2 * batch * size, *packed_sizes(shape, size, size))
    return _plan("recurrent", recurrent_loops.forward, shape, inputs, outputs, steps, size, room, reverse)


def plan_recurrent_backward(
    inputs: Sequence[Array], outputs: Sequence[Array], *, mode: str, reverse: bool
) -> Plan | None:
    """Plan the walk back: cotangents of outputs and states, slopes and weight, to those of what a layer was given."""
    steps, batch, size = inputs[0].shape
    shape = form(inputs[0].dtype, mode, True, (steps, batch, size), ends=len(inputs) > 4 + MODES[mode].has_cell)
    room = packed_sizes(shape, size, size * MODES[mode].gates)
    return _plan("recurrent_backward", recurrent_loops.backward, shape, inputs, outputs, steps, size, room, not reverse)


def _plan(
    name: str, build: Callable[[Form], Any], form: Form, inputs: Sequence[Array], outputs: Sequence[Array], steps: int,
    size: int, room: Sequence[int], reverse: bool,
) -> Plan | None:  # fmt: skip
    first, batch = inputs[0], outputs[0].shape[1]
    floats = inputs[:-1] if form.ends else inputs
    if first.dtype.name not in _FLOATS or any(x.dtype != first.dtype for x in (*floats, *outputs)):
        return None
    if not all(x.is_contiguous or not x.size for x in outputs):
        return None
    if not batch * size:
        return Plan(())
    itemsize, count = first.dtype.itemsize, len(inputs) + len(outputs)
    scratch = [elements * itemsize for elements in room]
    stages, reads = [], list(range(len(inputs)))
    for k, x in enumerate(inputs):
        if not x.size or x.is_contiguous or (k == 0 and (x.strides[2] == 1 or x.shape[2] == 1)):
            continue
        lying = Array.contiguous(x.dtype, x.shape)
        copied = copy_stage(x, lying, k, count + len(scratch))
        if copied is None:
            return None
        stages.append(copied)
        reads[k] = count + len(scratch)
        scratch.append(x.size * x.dtype.itemsize)
        first = lying if k == 0 else first
    panels = -(-size // form.lanes)
    numbers = pack(steps, batch, size, panels, -(-batch // BAND), steps - 1 if reverse else 0, -1 if reverse else 1,
                   *first.strides[:2])  # fmt: skip
    writes = (*range(len(inputs), count), *range(count, count + len(room)))
    stages.append(Stage(f"{name} {form}", lambda: build(form), tuple(reads), writes, numbers,
                        _work(form, steps, batch, size)))  # fmt: skip
    return Plan(tuple(stages), tuple(scratch))


def _work(form: Form, steps: int, batch: int, size: int) -> float:
    """Return about how many nanoseconds one thread takes; less than others are woken for where steps are short."""
    macs = batch * size * size * form.kind.gates * np.dtype(form.dtype).itemsize / 4
    step = macs / _MACS_PER_NANOSECOND + batch * size * _UNIT_NANOSECONDS
    total = steps * step
    return total if step >= _WORTH_MEETING else min(total, PARALLEL_NANOSECONDS - 1.0)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "recurrent": plan_recurrent,
    "recurrent_backward": plan_recurrent_backward,
}
"""The planning functions of this family, by op."""


# Under the names and signatures of ops


def _alike(arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> bool:
    """Tell whether arrays have these shapes and one dtype; one more is the lengths of all sequences."""
    floats, lengths = arrays[: len(shapes)], arrays[len(shapes) :]
    if len(lengths) > 1 or any(x.dtype != np.int64 or x.shape != (arrays[0].shape[1],) for x in lengths):
        return False
    return [x.shape for x in floats] == list(shapes) and all(x.dtype == arrays[0].dtype for x in floats)


def results(
    given: Any, weight: Any, first: Any, *rest: Any, mode: str, reverse: bool, keeps: bool
) -> list[Array] | None:
    """Return how the results of a layer lie; None for what does not go together."""
    if (given.ndim, first.ndim) != (3, 2):
        return None
    kind, (batch, size) = MODES[mode], first.shape
    gates = kind.gates * size
    shapes = [(len(given), batch, gates), (gates, size), (batch, size)]
    shapes += [(batch, size)] * kind.has_cell + [(gates,)] * kind.has_bias
    if not _alike((given, weight, first, *rest), shapes) or not batch * size:
        return None
    made = [(len(given), batch, size), *((batch, size),) * (1 + kind.has_cell)]
    made += [(len(given), batch, kind.slopes * size)] * keeps
    return [Array.contiguous(given.dtype, shape) for shape in made]


def backward_results(
    g: Any, g_h: Any, slopes: Any, weight: Any, *rest: Any, mode: str, reverse: bool
) -> list[Array] | None:
    """Return how the results of the walk back lie; None for what does not go together."""
    if (g.ndim, g_h.ndim) != (3, 2):
        return None
    kind, (batch, size) = MODES[mode], g_h.shape
    gates, steps = kind.gates * size, len(g)
    shapes = [(steps, batch, size), (batch, size), (steps, batch, kind.slopes * size), (gates, size)]
    if not _alike((g, g_h, slopes, weight, *rest), shapes + [(batch, size)] * kind.has_cell) or not batch * size:
        return None
    made = [(steps, batch, gates)] * (1 + kind.has_bias) + [(batch, size)] * (1 + kind.has_cell)
    return [Array.contiguous(g.dtype, shape) for shape in made]


KERNELS: dict[str, Callable[..., Any]] = {
    "recurrent": prepared.kernel(plan_recurrent, results, lambda dtype: 0.0),
    "recurrent_backward": prepared.kernel(plan_recurrent_backward, backward_results, lambda dtype: 0.0),
}
"""The kernels of this family, by op."""
