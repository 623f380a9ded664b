"""The loops that fill arrays and copy between them, from any place on and with any strides."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.rows import Rows
from tensorlite.kernels.loops import Buffer, Load, Parameter, Store

DType = np.dtype[Any]

_I, _COUNT = s.Var("i"), s.Var("count")
_VECTOR_BYTES = 64


def lanes(*dtypes: DType) -> int:
    """Return two vectors of the widest dtype."""
    return 2 * _VECTOR_BYTES // max(dtype.itemsize for dtype in dtypes)


def copied(source: DType, target: DType, rows: Rows) -> loops.Kernel:
    """Return the loops of ``out = x``, converted."""
    width = lanes(source, target) // (2 if "s" in rows.runs else 1)
    load = Load("v", "x", rows.place("x", _I))
    store = Store("out", rows.place("out", _I), s.cast(s.Var("v"), target))
    once = rows.run("x") == "b"
    columns = (load, loops.vector("i", _COUNT, width, store)) if once else (
        loops.vector("i", _COUNT, width, load, store),)  # fmt: skip
    buffers = (Buffer("x", source), Buffer("out", target, writable=True))
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters)
    return loops.build("copy", parameters, (rows.loop(columns),))


def filled(dtype: DType, rows: Rows) -> loops.Kernel:
    """Return the loops that store one number, given by its bits, everywhere."""
    store = Store("out", rows.place("out", _I), s.cast(s.Var("bits"), dtype))
    columns = loops.vector("i", _COUNT, lanes(dtype), store)
    out = Buffer("out", dtype, writable=True)
    parameters: tuple[Buffer | Parameter, ...] = (out, *rows.parameters, Parameter("bits"))
    return loops.build("fill", parameters, (rows.loop((columns,)),))
