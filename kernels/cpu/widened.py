"""Plans for float32 taken for 16-bit floats: arrays are widened before, and results narrowed as they are stored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.movement_stages import copy_stage, plan_of
from tensorlite.kernels.scalar.typing import BFLOAT16, FLOAT16, FLOAT32, ScalarTypeError
from tensorlite.kernels.stage import Array, Plan

_HALVES = (FLOAT16, BFLOAT16)
Contraction = Callable[..., Plan | None]


def widened(planner: Contraction) -> Contraction:
    """Let the planning of a contraction, which takes two arrays and an epilogue, take pairs of 16-bit arrays too.

    The sums are float32, and so is what an epilogue computes; an epilogue that rounds on its way has no plan.
    """

    @functools.wraps(planner)
    def plan(
        first: Array, second: Array, outputs: Sequence[Array], *, epilogue: Sequence[s.Expr] | None = None,
        operands: Sequence[Array] = (), **attributes: Any,
    ) -> Plan | None:  # fmt: skip
        if first.dtype not in _HALVES or second.dtype != first.dtype:
            return planner(first, second, outputs, epilogue=epilogue, operands=operands, **attributes)
        wider = [wide(x) for x in (first, second)]
        casts: dict[s.Expr, s.Expr] = {s.Var(f"e{k}"): s.cast(s.Var(f"e{k}"), FLOAT32) for k in range(len(operands))}
        values = None if epilogue is None else [s.substitute(value, casts) for value in epilogue]
        try:
            found = planner(*wider, outputs, epilogue=values, operands=operands, **attributes)
        except ScalarTypeError:
            return None
        count = 2 + len(operands) + len(outputs)
        return None if found is None else _after_widening((first, second), wider, found, count)

    return plan


def wide(x: Array) -> Array:
    """Return how an array of 16-bit floats lies when it is widened, and any other as it is."""
    return Array.contiguous(FLOAT32, x.shape) if x.dtype in _HALVES else x


def _after_widening(narrow: Sequence[Array], wide: Sequence[Array], plan: Plan, count: int) -> Plan | None:
    """Put the widening before a plan of ``count`` arrays of the caller; its own scratch arrays come after those two."""
    copies = [copy_stage(x, y, k, count + k) for k, (x, y) in enumerate(zip(narrow, wide, strict=True)) if x.size]

    def moved(places: Sequence[int]) -> tuple[int, ...]:
        return tuple(k + count if k < 2 else k if k < count else k + 2 for k in places)

    stages = [replace(stage, reads=moved(stage.reads), writes=moved(stage.writes)) for stage in plan.stages]
    sizes = [x.size * x.dtype.itemsize for x in wide]
    return plan_of(*copies, *stages, scratch=(*sizes, *plan.scratch))
