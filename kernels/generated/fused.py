"""Planning fused loops: elementwise bodies of several results, and folds, over arrays whose layout alone is known.

Each array comes with one stride for each axis of the loop nest that all of them share; 0 where it is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import arrange
from tensorlite.kernels.generated.arrange import Arrangement
from tensorlite.kernels.generated.elementwise import numbers, walk
from tensorlite.kernels.generated.elementwise_loops import DEFAULT, Body, kernel_of
from tensorlite.kernels.generated.fold import Fold, expressions
from tensorlite.kernels.generated.fold_loops import arrays, kernel, over_states
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.stage import Plan, Stage, pack

DType = np.dtype[Any]
Strides = tuple[int, ...]

_TASK_NANOSECONDS = 2000.0  # that a task should take: enough tasks for all threads, few enough to cost nothing
_LEAST_TASK = 256  # elements
_SHORT = 4  # elements of a row: longer ones are walked along, in less code than a row a lane takes
_HEAVY = 8  # values of a fold that are alive together: from here on a lane takes one register of each


def plan_body(body: Body, extents: Sequence[int], strides: Sequence[Strides]) -> Plan:
    """Return the plan that computes ``body`` over an iteration space; arrays are its operands, then its results.

    Raises ``scalar.NoLowering`` where an expression has no native form (when the kernel is built).
    """
    axes = [Axis(extent, tuple(row[d] for row in strides)) for d, extent in enumerate(extents)]
    merged, layout = walk(axes or [Axis(1, (1,) * len(strides))], len(body.operands))
    layout = replace(layout, one=prod(extents) == 1)
    count = len(body.operands)
    work = arrange.operations((*(expr for _, expr in body.values), *(expr for expr, _ in body.results)))
    moved = sum(dtype.itemsize for dtype in (*body.operands, *(dtype for _, dtype in body.results)))
    each = 0.02 * moved + 0.03 * work + (1.0 if set(layout.inner) & {"s", "t"} else 0.0)
    task = min(DEFAULT.task, max(_LEAST_TASK, int(_TASK_NANOSECONDS / each)))
    values = numbers(merged, layout, replace(DEFAULT, task=task))
    return Plan((Stage(f"elementwise {body.text} {layout} {DEFAULT}", lambda: kernel_of(body, layout),
                       tuple(range(count)), tuple(range(count, len(strides))), pack(*values),
                       each * prod(extents)),))  # fmt: skip


def plan_fold(fold: Fold, keep: Sequence[Axis], reduce: Sequence[Axis]) -> Plan:
    """Return the plan of a fold; arrays are its operands, its givens, its rows, and then its outputs.

    The strides of an axis are those of ``fold_loops.arrays(fold)``. Where rows are long and few, and the fold has a
    state, it takes two stages.
    """
    schedule = replace(arrange.DEFAULT, short=_SHORT)
    heavy = max(len(expressions(step)) for step in fold.passes) >= _HEAVY
    if heavy:
        schedule = replace(schedule, most_lanes=32)
    found = arrange.arrange(keep, reduce, fold, schedule)
    inputs = len(fold.operands) + len(fold.givens) + len(fold.rows)
    outputs = tuple(range(inputs, inputs + len(fold.outputs)))
    work = found.size * found.rows * (0.04 * len(arrays(fold)) + _nanoseconds(fold))
    key = f"fold {fold_text(fold)}"
    if found.chunks == 1:
        return Plan((_stage(key, fold, found, "all", schedule, found.size, tuple(range(inputs)), outputs, work),))
    states = found.rows * found.chunks
    scratch = tuple(range(outputs[-1] + 1, outputs[-1] + 1 + len(fold.state)))
    first = _stage(key, fold, found, "part", schedule, found.size, tuple(range(inputs)), scratch, work)
    rest = arrange.of_states(found, len(fold.state))
    merge = over_states(fold)
    least = states * len(fold.state)
    second = _stage(f"{key} of states", merge, rest, "rest", schedule, found.size, scratch, outputs, least)
    return Plan((first, second), tuple(a.dtype.itemsize * states for a in fold.state))


def _stage(key: str, fold: Fold, found: Arrangement, stage: str, schedule: arrange.Schedule, size: int,
           reads: tuple[int, ...], writes: tuple[int, ...], work: float) -> Stage:  # fmt: skip
    """Return a stage; ``size`` is the number of elements of a row, of which states may be the operands."""
    form = arrange.form(found, fold, stage, schedule)
    values = arrange.numbers(found, form)
    return Stage(f"{key} {form}", lambda: kernel(fold, form), reads, writes, pack(*values, float(size)), work)


def _nanoseconds(fold: Fold) -> float:
    work = sum(arrange.operations(expressions(step)) for step in fold.passes)
    return 0.03 * work + 0.1 * len(fold.passes)


def fold_text(fold: Fold) -> str:
    """Return all that a fold's kernels depend on, apart from their form."""
    parts = [" ".join(f"{name}:{dtype.name}" for name, dtype in (*fold.operands, *fold.givens))]
    parts += [f"rows {name}:{dtype.name}" for name, dtype in fold.rows]
    for step in fold.passes:
        for a in step.accumulators:
            parts.append(f"{a.name}:{a.dtype.name} {a.identity!r} {s.text(a.merge)} <- {s.text(s.as_expr(a.update))}")
        pairs = (*step.values, *step.stores, *step.results)
        parts += [f"{name}={s.text(expr)}" for name, expr in pairs] + ["/"]
    parts += [f"{o.name}:{o.dtype.name} {'' if o.value is None else s.text(o.value)}" for o in fold.outputs]
    return "; ".join((*parts, str(len(fold.state))))
