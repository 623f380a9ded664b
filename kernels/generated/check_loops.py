"""The loops that look at numbers: whether each is within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.rows import Rows
from tensorlite.kernels.loops import INDEX, Buffer, Flag, Let, Load, Parameter, Store

DType = np.dtype[Any]

_FLOAT64 = np.dtype(np.float64)
_VECTOR_BYTES = 64


def between(dtype: DType, rows: Rows) -> loops.Kernel:
    """Return the loops that copy numbers, and look whether each is within bounds."""
    value = s.Var("value")
    body = (
        Load("loaded", "x", rows.place("x", s.Var("i"))),
        Let("value", s.cast(s.Var("loaded"), _FLOAT64)),
        Flag("fault", s.logical_or(s.less(value, s.Var("low")), s.greater(value, s.Var("high")))),
        Store("out", rows.place("out", s.Var("i")), s.Var("loaded")),
    )
    buffers = (Buffer("x", dtype), Buffer("out", dtype, writable=True), Buffer("fault", INDEX, writable=True))
    bounds = (Parameter("low", _FLOAT64), Parameter("high", _FLOAT64))
    columns = loops.vector("i", s.Var("count"), _VECTOR_BYTES // _FLOAT64.itemsize, *body)
    return loops.build("between", (*buffers, *rows.parameters, *bounds), (rows.loop((columns,)),))
