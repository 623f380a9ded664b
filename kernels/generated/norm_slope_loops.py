"""The loops of a normalisation's derivative for rows that all have the same weights: one walk, and sums over its parts.

A task takes a block of rows. It finds the means that a row's cotangent needs, then stores that cotangent and adds the
row to the block's sums for weight and bias, while the row is in the nearest cache. The blocks' sums, of the dtype that
elements are computed in, are added in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import FLOAT64, carrier
from tensorlite.kernels.loops import Assign, Buffer, Let, Load, Local, Parameter, Reduce, Statement, Store, right

DType = np.dtype[Any]

LANES = 32
COLUMNS = 64  # of a task that adds the blocks' sums
_BASE, _PART, _COLUMNS, _ROWS, _BLOCK, _FIRST = map(s.Var, ("base", "part", "columns", "rows", "block", "first"))
_MEAN, _RSTD = map(s.Var, ("mean", "rstd"))


def slopes(dtype: DType) -> loops.Kernel:
    """Return the loops of ``rstd (g w - mean(g w) - h mean(g w h))`` and of each block's ``sum g h`` and ``sum g``."""
    wide = carrier(dtype)
    task, row = s.Var("task"), s.Var("row")
    zero = loops.constant(0.0, wide)
    begin = [Store(name, _PART + s.Var("i"), zero) for name in ("along_sums", "across_sums")]
    rows = loops.serial(
        "r",
        s.minimum(_BLOCK, _ROWS - _FIRST),
        Let("row", loops.index(_FIRST + s.Var("r"))),
        Let("base", loops.index(row * _COLUMNS)),
        Load("mean", "mean_", row),
        Load("rstd", "rstd_", row),
        *_means(dtype),
        _second_walk(dtype),
    )
    body = (Let("first", loops.index(task * _BLOCK)), Let("part", loops.index(task * _COLUMNS)),
            loops.vector("i", _COLUMNS, LANES, *begin), rows)  # fmt: skip
    buffers = (*(Buffer(name, dtype) for name in ("g_", "x_")), *(Buffer(name, wide) for name in ("mean_", "rstd_")),
               Buffer("weight_", dtype), Buffer("out", dtype, writable=True),
               *(Buffer(name, wide, writable=True) for name in ("along_sums", "across_sums")))  # fmt: skip
    numbers = (*map(Parameter, ("tasks", "rows", "block", "columns")), Parameter("size", FLOAT64))
    return loops.build("norm_slopes", (*buffers, *numbers), (loops.parallel("task", s.Var("tasks"), *body),))


def _elements(dtype: DType, number: int) -> tuple[list[Statement], s.Expr, s.Expr, s.Expr]:
    """Return the loads of an element, and its ``g``, ``g w`` and ``h``, the normalised x."""
    wide, place = carrier(dtype), _BASE + s.Var(f"i{number}")
    loads: list[Statement] = [Load(f"g{number}", "g_", place), Load(f"x{number}", "x_", place),
                              Load(f"w{number}", "weight_", s.Var(f"i{number}"))]  # fmt: skip
    g, x, w = (s.cast(s.Var(f"{name}{number}"), wide) for name in "gxw")
    return loads, g, g * w, (x - _MEAN) * _RSTD


def _means(dtype: DType) -> list[Statement]:
    """Name the means of ``g w h`` and of ``g w`` over a row: ``projection`` and ``average``."""
    wide, nothing = carrier(dtype), loops.constant(0.0, FLOAT64)
    loads, _, gw, h = _elements(dtype, 1)
    names = ("along", "across")
    next_ = [Assign(name, s.Var(name) + s.cast(value, FLOAT64))
             for name, value in zip(names, (gw * h, gw), strict=True)]  # fmt: skip
    walk = loops.vector("i1", _COLUMNS, LANES, *loads, *next_)
    merged = tuple(s.Var(name) + s.Var(right(name)) for name in names)
    means = (("projection", "along"), ("average", "across"))
    return [*(Local(name, nothing) for name in names),
            Reduce(names, (nothing, nothing), merged, LANES, (walk,)),
            *(Let(mean, s.cast(s.Var(name) / s.Var("size"), wide)) for mean, name in means)]  # fmt: skip


def _second_walk(dtype: DType) -> loops.For:
    """Return the loop that stores a row's cotangent, and adds the row to the sums."""
    loads, g, gw, h = _elements(dtype, 2)
    place = _PART + s.Var("i2")
    sums: list[Statement] = []
    for name, value in (("along_sums", g * s.Var("h")), ("across_sums", g)):
        sums += [Load(f"{name}_was", name, place), Store(name, place, s.Var(f"{name}_was") + value)]
    value = _RSTD * (gw - s.Var("average") - s.Var("h") * s.Var("projection"))
    store = Store("out", _BASE + s.Var("i2"), s.cast(value, dtype))
    return loops.vector("i2", _COLUMNS, LANES, *loads, Let("h", h), store, *sums)


def sums(dtype: DType) -> loops.Kernel:
    """Return the loops that add the blocks' sums."""
    wide, names = carrier(dtype), ("along", "across")
    start, column, part = s.Var("start"), s.Var("start") + s.Var("i"), s.Var("p")
    nothing = loops.constant(0.0, FLOAT64)
    loads = [Load(f"{name}_part", f"{name}_sums", part * _COLUMNS + column) for name in names]
    next_ = [Assign(name, s.Var(name) + s.cast(s.Var(f"{name}_part"), FLOAT64)) for name in names]
    body: tuple[Statement, ...] = (
        *(Local(name, nothing) for name in names),
        loops.serial("p", s.Var("parts"), *loads, *next_),
        *(Store(f"{name}_out", column, s.cast(s.Var(name), dtype)) for name in names),
    )
    count = s.minimum(COLUMNS, _COLUMNS - start)
    task = loops.parallel("task", s.Var("tasks"), Let("start", loops.index(s.Var("task") * COLUMNS)),
                          loops.vector("i", count, LANES, *body))  # fmt: skip
    buffers = (*(Buffer(f"{name}_sums", wide) for name in names),
               *(Buffer(f"{name}_out", dtype, writable=True) for name in names))  # fmt: skip
    return loops.build("norm_slope_sums", (*buffers, *map(Parameter, ("tasks", "parts", "columns"))), (task,))
