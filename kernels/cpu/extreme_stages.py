"""Where the largest and the smallest elements are, without Python: the folds that eager runs, in compiled graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tensorlite.kernels.cpu.movement_stages import copy_stage, is_native
from tensorlite.kernels.generated.fused import plan_fold
from tensorlite.kernels.generated.layout import Axis, merge
from tensorlite.kernels.generated.reducers import reduction
from tensorlite.kernels.stage import Array, Plan, Stage

_MOST = int(np.iinfo(np.int32).max)  # positions are int32 while they are compared


def _plan(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int | None, keepdims: bool, name: str
) -> Plan | None:
    """The position of the first of the best elements along an axis, or among all of them in the order of indices."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not is_native(x.dtype) or not 0 < x.size <= _MOST or not out.is_contiguous:
        return None
    fold = replace(reduction(name, x.dtype, out.dtype), numbers=())
    if axis is None:
        return _of_all(x, lambda flat: plan_fold(fold, (), (flat,)))
    kept = [Axis(x.shape[d], (x.strides[d],)) for d in range(x.ndim) if d != axis]
    return plan_fold(fold, kept, (Axis(x.shape[axis], (x.strides[axis],)),))


def _of_all(x: Array, plan: Callable[[Axis], Plan]) -> Plan | None:
    """Return the plan for all elements as one row; they are copied first where they do not lie so."""
    merged = merge(Axis(n, (stride,)) for n, stride in zip(x.shape, x.strides, strict=True))
    if len(merged) <= 1:
        return plan(*merged) if merged else plan(Axis(1, (0,)))
    found = plan(Axis(x.size, (1,)))
    copied = 2 + len(found.scratch)
    copy = copy_stage(x, Array.contiguous(x.dtype, x.shape), 0, copied)
    if copy is None:
        return None
    first, *others = found.stages
    reads = tuple(copied if k == 0 else k for k in first.reads)
    begin = Stage(first.key, first.build, reads, first.writes, first.numbers, first.work)
    return Plan((copy, begin, *others), (*found.scratch, x.size * x.dtype.itemsize))


PLANS: dict[str, Callable[..., Plan | None]] = {
    "argmax": partial(_plan, name="argmax"),
    "argmin": partial(_plan, name="argmin"),
}
