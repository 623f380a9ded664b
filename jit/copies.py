"""Copies: the step that brings an array from one place to another, and the place of a value that is all of a buffer."""

from __future__ import annotations

from tensorlite.jit.graph import Equation, Value
from tensorlite.jit.program import Buffer, Native, Place
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.elementwise_loops import Body
from tensorlite.kernels.generated.fused import plan_body
from tensorlite.kernels.stage import Array


def copying(equation: Equation, source: Place, target: Place) -> Native:
    """The step that copies an array."""
    plan = plan_body(Body((source.array.dtype,), ((s.Var("x0"), target.array.dtype),)), source.array.shape,
                     [source.array.strides, target.array.strides])
    return Native(plan.stages[0], (source,), (target,), equation)


def whole(buffer: Buffer, value: Value, last: bool = False) -> Place:
    """The place of a value that is all of a buffer; of images channels may come ``last``."""
    return Place(buffer, 0, (Array.channels_last if last else Array.contiguous)(value.dtype, value.shape))
