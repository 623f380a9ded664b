"""The loops that fill arrays and copy between them, or parts of them, from any place on and with any strides."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.rows import Rows
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Store, index

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


def triangle(dtype: DType, rows: Rows, upper: bool) -> loops.Kernel:
    """Return the loops that keep what is not above the ``k``-th diagonal of matrices, or not below it; else zeros.

    Rows are those of the matrices, ``height`` each, numbered through.
    """
    number = s.Var("first") + s.Var("r") if rows.rank > 1 else s.Const(0)
    diagonal = s.Var("column") - s.Var("row")
    kept = s.greater_equal(diagonal, s.Var("k")) if upper else s.less_equal(diagonal, s.Var("k"))
    columns = loops.vector(
        "i",
        _COUNT,
        lanes(dtype) // 2,
        Load("v", "x", rows.place("x", _I)),
        Let("column", index(s.Var("start") + _I)),
        Store("out", rows.place("out", _I), s.where(kept, s.Var("v"), 0)),
    )
    row = Let("row", index(number % s.Var("height")))
    buffers = (Buffer("x", dtype), Buffer("out", dtype, writable=True))
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, Parameter("height"), Parameter("k"))
    return loops.build("triangle", parameters, (rows.loop((row, columns)),))


def counted(dtype: DType, number: DType, rows: Rows) -> loops.Kernel:
    """Return the loops of ``out[i] = i * step + first``, computed in ``number``."""
    place = Let("position", index(s.Var("start") + _I))
    value = s.cast(s.Var("position"), number) * s.Var("between") + s.Var("origin")
    store = Store("out", rows.place("out", _I), s.cast(value, dtype))
    columns = loops.vector("i", _COUNT, _VECTOR_BYTES // number.itemsize, place, store)
    own = (Parameter("origin", number), Parameter("between", number))
    parameters: tuple[Buffer | Parameter, ...] = (Buffer("out", dtype, writable=True), *rows.parameters, *own)
    return loops.build("count", parameters, (rows.loop((columns,)),))
