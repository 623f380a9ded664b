"""The loops of the cross-entropy of rows of scores with class indices, and of its derivative.

``along``: classes lie along memory; lanes run along a row, whose largest score and sum wait in a scratch array until
the logarithms of several rows are taken together. Across it, each lane has a row of its own.

Of two scores the larger is what one comparison says: a NaN is not, but turns the sum into NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import FLOAT64, carrier
from tensorlite.kernels.generated.rows import Rows
from tensorlite.kernels.loops import (
    INDEX,
    Assign,
    Buffer,
    Flag,
    Let,
    Load,
    Local,
    Parameter,
    Reduce,
    Scratch,
    Statement,
    Store,
    right,
)

DType = np.dtype[Any]

ROWS = 64  # that a task takes at a time
_INT32 = np.dtype(np.int32)
_I, _C, _AT, _PEAK, _TOTAL, _G, _LSE, _REST, _ZERO = map(
    s.Var, ("i", "c", "at", "peak", "total", "g", "lse", "rest", "zero"))  # fmt: skip
_COUNT, _CLASSES, _IGNORED = map(s.Var, ("count", "classes", "ignored"))


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: the dtypes of scores and targets, how rows lie, whether lanes run along them."""

    dtype: DType
    place: DType
    rows: Rows
    along: bool
    lanes: int


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of each row's loss, of ``lse``, and of what rounding took from that."""
    wide = carrier(form.dtype)
    columns: list[Statement] = [Let("zero", loops.constant(0.0, wide))]
    if form.along:
        row = [*_largest(form, 1), *_total(form, 2), Store("peaks", _I, s.Var("shift")), Store("totals", _I, _TOTAL)]
        again = [Load("shift2", "peaks", s.Var("j")), Load("total2", "totals", s.Var("j"))]
        columns += [Scratch("peaks", wide, ROWS), Scratch("totals", FLOAT64, ROWS), loops.serial("i", _COUNT, *row)]
        finish = _finish(form, s.Var("j"), s.Var("shift2"), s.Var("total2"))
        columns.append(loops.vector("j", _COUNT, _finishing(form), *again, *finish))
    else:
        finish = _finish(form, _I, s.Var("shift"), _TOTAL)
        columns.append(loops.vector("i", _COUNT, form.lanes, *_largest(form, 1), *_total(form, 2), *finish))
    buffers = (Buffer("x", form.dtype), Buffer("at_", form.place), Buffer("loss", form.dtype, writable=True),
               Buffer("lse", wide, writable=True), Buffer("rest", wide, writable=True),
               Buffer("fault", INDEX, writable=True))  # fmt: skip
    return _build("softmax_loss", form, buffers, columns)


def backward(form: Form) -> loops.Kernel:
    """Return the loops of ``(exp(x - lse) - [class]) * g``; 0 in rows that are ignored."""
    wide, rows = carrier(form.dtype), form.rows
    head: list[Statement] = [
        Load("loaded", "at_", rows.place("at_", _I)),
        Let("raw", s.cast(s.Var("loaded"), INDEX)),
        *(Load(name, f"{name}_", rows.place(f"{name}_", _I)) for name in ("lse", "rest")),
        Load("given", "g_", rows.place("g_", _I)),
        Let("skipped", s.equal(s.Var("raw"), _IGNORED)),
        Let("g", s.where(s.Var("skipped"), _ZERO, s.cast(s.Var("given"), wide))),
        Let("at", s.cast(s.Var("raw"), _INT32)),
    ]
    power = s.exp(s.cast(s.Var("v"), wide) - _LSE - _REST) * _G
    each: list[Statement] = [
        Load("v", "x", _place(form, "x", _I, _C)),
        Let("place", loops.index(_C)),
        Let("hit", s.where(s.equal(s.cast(s.Var("place"), _INT32), _AT), _G, _ZERO)),
        Store("out", _place(form, "out", _I, _C), s.cast(power - s.Var("hit"), form.dtype)),
    ]
    zero = Let("zero", loops.constant(0.0, wide))
    if form.along:
        columns = loops.serial("i", _COUNT, *head, loops.vector("c", _CLASSES, form.lanes, *each))
    else:
        columns = loops.vector("i", _COUNT, form.lanes, *head, loops.serial("c", _CLASSES, *each))
    buffers = (Buffer("g_", form.dtype), Buffer("x", form.dtype), Buffer("at_", form.place), Buffer("lse_", wide),
               Buffer("rest_", wide), Buffer("out", form.dtype, writable=True))  # fmt: skip
    return _build("softmax_loss_backward", form, buffers, [zero, columns], "out_along")


def counted(place: DType, out: DType) -> loops.Kernel:
    """Return the loops that count the targets that are not ignored, and look whether each of these names a class."""
    at, kept = s.Var("at"), s.Var("kept")
    outside = s.logical_or(s.less(at, 0), s.greater_equal(at, _CLASSES))
    body = (
        Load("loaded", "at_", _I),
        Let("at", s.cast(s.Var("loaded"), INDEX)),
        Let("counts", s.not_equal(at, _IGNORED)),
        Flag("fault", s.logical_and(outside, s.Var("counts"))),
        Assign("kept", kept + s.cast(s.Var("counts"), INDEX)),
    )
    lanes = 8
    walk = loops.vector("i", s.Var("n"), lanes, *body)
    none = loops.constant(0, INDEX)
    look = Reduce(("kept",), (none,), (kept + s.Var(right("kept")),), lanes, (walk,))
    task = loops.parallel("task", s.Var("tasks"), Local("kept", none), look, Store("out", s.Var("task"),
                                                                                 s.cast(kept, out)))  # fmt: skip
    numbers = map(Parameter, ("n", "tasks", "classes", "ignored"))
    buffers = (Buffer("at_", place), Buffer("out", out, writable=True), Buffer("fault", INDEX, writable=True))
    return loops.build("count_classes", (*buffers, *numbers), (task,))


def _build(name: str, form: Form, buffers: tuple[Buffer, ...], columns: list[Statement], *more: str) -> loops.Kernel:
    numbers = map(Parameter, ("classes", "ignored", "x_along", *more))
    return loops.build(name, (*buffers, *form.rows.parameters, *numbers), (form.rows.loop(columns),))


def _finishing(form: Form) -> int:
    return 64 // form.dtype.itemsize if form.dtype.itemsize > 2 else 16


def _place(form: Form, name: str, column: s.Expr, number: s.Expr) -> s.Expr:
    """Return the index of a row's class."""
    return form.rows.place(name, column) + (number if form.along else number * s.Var(f"{name}_along"))


def _score(form: Form, number: int) -> tuple[Load, s.Expr]:
    """Return the load of a row's score, and its value in the dtype that it is computed in."""
    name, c = f"v{number}", s.Var(f"c{number}")
    load = Load(name, "x", _place(form, "x", _I, c))
    return load, s.cast(s.Var(name), carrier(form.dtype))


def _over(form: Form, local: str, identity: Any, merge: s.Expr, number: int, *body: Statement) -> Statement:
    """Return the loop over a row's classes."""
    if not form.along:
        return loops.serial(f"c{number}", _CLASSES, *body)
    walk = loops.vector(f"c{number}", _CLASSES, form.lanes, *body)
    return Reduce((local,), (identity,), (merge,), form.lanes, (walk,))


def _larger(a: s.Expr, b: s.Expr) -> s.Expr:
    return s.where(s.greater(a, b), a, b)


def _largest(form: Form, number: int) -> list[Statement]:
    """Name the ``shift`` of a row: its largest score, or 0 in a row of nothing but minus infinity."""
    least = loops.constant(-math.inf, carrier(form.dtype))
    load, score = _score(form, number)
    walk = _over(form, "peak", least, _larger(s.Var(right("peak")), _PEAK), number, load,
                 Assign("peak", _larger(score, _PEAK)))  # fmt: skip
    return [Local("peak", least), walk, Let("shift", s.where(s.equal(_PEAK, -math.inf), _ZERO, _PEAK))]


def _total(form: Form, number: int) -> list[Statement]:
    """Take the sum of a row's exponentials."""
    nothing = loops.constant(0.0, FLOAT64)
    load, score = _score(form, number)
    power = s.cast(s.exp(score - s.Var("shift")), FLOAT64)
    walk = _over(form, "total", nothing, _TOTAL + s.Var(right("total")), number, load, Assign("total", _TOTAL + power))
    return [Local("total", nothing), walk]


def _finish(form: Form, column: s.Expr, shift: s.Expr, total: s.Expr) -> list[Statement]:
    """Store the results of rows."""
    wide, rows = carrier(form.dtype), form.rows
    raw, log, lse = s.Var("raw"), s.Var("log"), s.Var("lse_now")
    outside = s.logical_or(s.less(raw, 0), s.greater_equal(raw, _CLASSES))
    skipped = s.Var("skipped")
    loss = log - (s.cast(s.Var("picked"), wide) - shift)
    rest = (shift - lse) + log
    return [
        Load("loaded", "at_", rows.place("at_", column)),
        Let("raw", s.cast(s.Var("loaded"), INDEX)),
        Let("skipped", s.equal(raw, _IGNORED)),
        Let("beyond", outside),
        Flag("fault", s.logical_and(s.Var("beyond"), s.logical_not(skipped))),
        Let("safe", s.where(s.Var("beyond"), 0, raw)),
        Load("picked", "x", _place(form, "x", column, s.Var("safe"))),
        Let("log", s.cast(s.log(total), wide)),
        Let("lse_now", shift + log),
        Store("loss", rows.place("loss", column), s.cast(s.where(skipped, _ZERO, loss), form.dtype)),
        Store("lse", rows.place("lse", column), lse),
        Store("rest", rows.place("rest", column), s.where(s.isfinite(lse), rest, _ZERO)),
    ]
