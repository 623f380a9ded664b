"""The loops of running sums, products and recurrences along an axis, one element after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import carrier
from tensorlite.kernels.generated.reducers import extreme, kind
from tensorlite.kernels.generated.rows import Rows
from tensorlite.kernels.loops import INDEX, Assign, Buffer, Let, Load, Local, Parameter, Store

DType = np.dtype[Any]

_I, _T, _COUNT = s.Var("i"), s.Var("t"), s.Var("count")
_VECTOR_BYTES = 64


def scanned(dtype: DType, wide: DType, product: bool, rows: Rows, by_vectors: bool) -> loops.Kernel:
    """Return the loops that accumulate ``length`` elements in ``wide``; ``rows`` walks the other dimensions."""
    total, value = s.Var("total"), s.cast(s.Var("v"), wide)
    along = (
        Load("v", "x", rows.place("x", _I) + _T * s.Var("x_along")),
        Assign("total", total * value if product else total + value),
        Store("out", rows.place("out", _I) + _T * s.Var("out_along"), s.cast(total, dtype)),
    )
    column = (Local("total", loops.constant(int(product), wide)), loops.serial("t", s.Var("length"), *along))
    lanes = 2 * _VECTOR_BYTES // wide.itemsize
    columns = loops.vector("i", _COUNT, lanes, *column) if by_vectors else loops.serial("i", _COUNT, *column)
    return _kernel("scan", ("x",), dtype, rows, columns)


def running_place(dtype: DType, largest: bool, rows: Rows, by_vectors: bool) -> loops.Kernel:
    """Return the loops that tell where the best of ``length`` elements so far is: the last of equals, the last NaN."""
    wide = carrier(dtype)
    value, best, step = s.cast(s.Var("v"), wide), s.Var("best"), s.cast(_T, INDEX)
    better = s.greater_equal(value, best) if largest else s.less_equal(value, best)
    better = s.logical_or(better, s.isnan(value)) if kind(dtype) == "f" else better
    along = (
        Load("v", "x", rows.place("x", _I) + _T * s.Var("x_along")),
        Let("better", better),
        Assign("best", s.where(s.Var("better"), value, best)),
        Assign("place", s.where(s.Var("better"), step, s.Var("place"))),
        Store("out", rows.place("out", _I) + _T * s.Var("out_along"), s.Var("place")),
    )
    first = (Local("best", loops.constant(extreme(wide, not largest), wide)), Local("place", loops.constant(0, INDEX)))
    column = (*first, loops.serial("t", s.Var("length"), *along))
    lanes = _VECTOR_BYTES // wide.itemsize
    columns = loops.vector("i", _COUNT, lanes, *column) if by_vectors else loops.serial("i", _COUNT, *column)
    return _kernel("running_place", ("x",), dtype, rows, columns, INDEX)


def recurrence(dtype: DType, wide: DType, rows: Rows, by_vectors: bool) -> loops.Kernel:
    """Return the loops of ``y[t] = factor[t] y[t-1] + term[t]``, from 0 on, over ``length`` elements in ``wide``."""
    total = s.Var("total")
    along: tuple[loops.Statement, ...] = (
        *(Load(f"{name}_value", name, rows.place(name, _I) + _T * s.Var(f"{name}_along"))
          for name in ("factor", "term")),
        Assign("total", s.cast(s.Var("factor_value"), wide) * total + s.cast(s.Var("term_value"), wide)),
        Store("out", rows.place("out", _I) + _T * s.Var("out_along"), s.cast(total, dtype)),
    )
    column = (Local("total", loops.constant(0, wide)), loops.serial("t", s.Var("length"), *along))
    lanes = 2 * _VECTOR_BYTES // wide.itemsize
    columns = loops.vector("i", _COUNT, lanes, *column) if by_vectors else loops.serial("i", _COUNT, *column)
    return _kernel("recurrence", ("factor", "term"), dtype, rows, columns)


def _kernel(name: str, operands: tuple[str, ...], dtype: DType, rows: Rows, columns: loops.Statement,
            out: DType | None = None) -> loops.Kernel:  # fmt: skip
    buffers = (*(Buffer(operand, dtype) for operand in operands), Buffer("out", out or dtype, writable=True))
    own = [Parameter(name) for name in ("length", *(f"{operand}_along" for operand in (*operands, "out")))]
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, *own)
    return loops.build(name, parameters, (rows.loop((columns,)),))
