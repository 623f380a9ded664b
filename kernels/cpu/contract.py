"""Products and convolutions under the names and signatures of ops, by the plans that compiled graphs have too.

The answer ``NotImplemented`` leaves the case to the op's own body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import conv, int8, matmul, prepared
from tensorlite.kernels.cpu.prepared import Shape


def _of_any(dtype: np.dtype[Any]) -> float:
    """Return the work from which a kernel is worth a call: a call costs less than one of NumPy."""
    return 0.0


# What results look like: None where the op's body has something to say.


def _of_matmul(x1: Shape, x2: Shape) -> Shape | None:
    if len(x1) < 2 or len(x2) < 2 or x1[-1] != x2[-2]:
        return None
    return (*np.broadcast_shapes(x1[:-2], x2[:-2]), x1[-2], x2[-1])


def _of_linear(x: Shape, weight: Shape, bias: Shape | None = None) -> Shape | None:
    fits = len(x) > 1 and len(weight) == 2 and x[-1] == weight[1] and bias in (None, weight[:1])
    return (*x[:-1], weight[0]) if fits else None


def _of_data(g: Shape, weight: Shape, *, size: Shape, groups: int, **_: Any) -> Shape | None:
    return (g[0], weight[1] * groups, *size) if 0 not in (*weight, *size) else None


def _of_weight(x: Shape, g: Shape, *, kernel: Shape, groups: int, **_: Any) -> Shape | None:
    return (g[1], x[1] // groups, *kernel) if 0 not in kernel else None


KERNELS: dict[str, Callable[..., Any]] = {
    "matmul": prepared.kernel(matmul.plan_matmul, prepared.alike(_of_matmul), _of_any),
    "linear": prepared.kernel(matmul.plan_linear, prepared.alike(_of_linear), _of_any),
    "conv2d": prepared.kernel(conv.PLANS["conv2d"], prepared.alike(conv.result_shape), _of_any),
    "conv2d_data": prepared.kernel(conv.PLANS["conv2d_data"], prepared.alike(_of_data), _of_any),
    "conv2d_weight": prepared.kernel(conv.PLANS["conv2d_weight"], prepared.alike(_of_weight), _of_any),
    **{op: prepared.kernel(planner, int8.RESULTS[op], _of_any) for op, planner in int8.PLANS.items()},
}
"""Plans kept with their compiled kernels, for arrays that lie alike: what eager ops of large arrays run."""
