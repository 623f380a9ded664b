"""The loops of attention, forward: softmax as it goes along, a block of keys after the other.

A task takes a panel of queries. The largest score so far and the sum of weights so far are kept for each of them; where
a block of keys has a larger one, what was summed before weighs less (Dao et al., "FlashAttention", 2022; Milakov and
Gimelshein, "Online normalizer calculation for softmax", 2018). The order of each sum is that of the keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import attention_parts as parts
from tensorlite.kernels.generated.attention_parts import COUNT, FIRST, MATRIX, START, WIDTH, ZERO, Form, Product, Rows
from tensorlite.kernels.loops import Assign, Buffer, Let, Load, Local, Parameter, Statement, Store, index
from tensorlite.kernels.scalar.approx_exp import exp_from_top

_Var = s.Var


def operands(form: Form) -> list[str]:
    """Return the names of the arrays that have strides."""
    return ["q", "k", "v", *form.streams, *(["mask"] if form.mask else [])]


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers, in order; ``scale`` and ``share`` come after them."""
    names = ["tasks", "panels", "length", "keys", "e", "ev", "thickness", "causal", *parts.drop_numbers(form)]
    names += [f"{name}_row" for name in ("q", "k", "v", *form.streams)]
    names += ["mask_row", "mask_step"] if form.mask else []
    return names + parts.stack_numbers(form, operands(form))


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of one form: of ``q``, ``k``, ``v``, a stream and a mask, ``out`` and the logarithms ``lse``."""
    dtype = np.dtype(form.dtype)
    read = [Buffer(name, dtype) for name in ("q", "k", "v")]
    written = [Buffer(name, dtype, writable=True) for name in ("out", "lse")]
    numbers = [*map(Parameter, parameters(form)), *parts.factors(form)]
    return loops.build("attention", (*read, *parts.late_buffers(form), *written, *numbers), (_task(form),))


def _task(form: Form) -> loops.For:
    v = Product("weighed", form.turned_rows, form.lanes, _Var("ev"), COUNT,
                ("v", lambda row: _Var("v_base") + START * _Var("v_row") + row, _Var("v_row")),
                ("tile", ZERO, s.Const(form.lanes)))  # fmt: skip
    return loops.parallel(
        "task",
        _Var("tasks"),
        *_scratch(form),
        Let("matrix", index(_Var("task") // _Var("panels"))),
        Let("first", index(_Var("task") % _Var("panels") * form.lanes)),
        Let("width", index(s.minimum(s.Const(form.lanes), _Var("length") - FIRST))),
        *parts.places(form, operands(form)),
        *parts.take_stream(form),
        *_begin(form),
        *parts.blocks(
            ZERO,
            parts.visible(_Var("keys")),
            *parts.take_mask(form),
            parts.scores(form, lambda product: _take_scores(form, product)),
            _weigh(form),
            *parts.drop(form, lambda weight: s.Const(0)),
            parts.multiply(form.dtype, v, _add_values(form, v)),
        ),
        *_finish(form),
    )


def _scratch(form: Form) -> list[Statement]:
    rows = {"queries": form.features, "tile": form.tile, "sums": form.tall(form.values)}
    rows |= dict.fromkeys(("top", "before", "total", "factor"), 1)
    return [*(form.array(name, count) for name, count in rows.items()), *parts.mask_scratch(form)]


def _begin(form: Form) -> list[Statement]:
    """Turn and scale the panel's queries; nothing is summed yet."""
    lowest = float(np.finfo(form.dtype).min)
    start = _Var("q_base") + FIRST * _Var("q_row")
    rows = Rows("q", start, _Var("q_row"), WIDTH, _Var("e"))
    return [
        parts.cleared("blank", form, "queries", _Var("e")),
        *parts.turn("query", form, rows, "queries"),
        Let("factor_of_scores", s.cast(_Var("scale"), np.dtype(form.dtype))),
        parts.scale("scaled", form, "queries", _Var("e"), _Var("factor_of_scores")),
        parts.fill("zero", form, "sums", s.Const(form.tall(form.values)), form.number(0.0)),
        parts.fill("none", form, "total", s.Const(1), form.number(0.0)),
        parts.fill("low", form, "top", s.Const(1), form.number(lowest)),
        parts.fill("lower", form, "before", s.Const(1), form.number(lowest)),
    ]


def _take_scores(form: Form, product: Product) -> list[Statement]:
    """Mask a group's scores, take the largest, and store them. A NaN need not be found here: its weight is NaN."""
    top = _Var("highest")
    statements = [*parts.masked(form, product), Load("high", "top", product.lane), Local("highest", _Var("high"))]
    for r in range(form.rows):
        value = product.sum(r)
        statements.append(Assign("highest", s.where(s.greater(top, value), top, value)))
        statements.append(Store("tile", product.row(r) * form.lanes + product.lane, value))
    return [*statements, Store("top", product.lane, top)]


def _weigh(form: Form) -> loops.For:
    """Turn scores into weights beside the largest, sum them, and find how much less the sums before weigh now."""
    lane, dtype = _Var("weigh_lane"), np.dtype(form.dtype)
    place = _Var("key") * form.lanes + lane
    weight = exp_from_top(_Var("number_of_score") - _Var("now"), dtype)
    each: list[Statement] = [
        Load("number_of_score", "tile", place),
        Let("weight", weight),
        Store("tile", place, _Var("weight")),
        Assign("sum_of_weights", _Var("sum_of_weights") + _Var("weight")),
    ]
    return loops.vector(
        "weigh_lane",
        form.lanes,
        form.lanes,
        Load("now", "top", lane),
        Load("then", "before", lane),
        Load("so_far", "total", lane),
        Let("less", exp_from_top(_Var("then") - _Var("now"), dtype)),
        Local("sum_of_weights", _Var("so_far") * _Var("less")),
        loops.serial("key", COUNT, *each),
        Store("total", lane, _Var("sum_of_weights")),
        Store("factor", lane, _Var("less")),
        Store("before", lane, _Var("now")),
    )


def _add_values(form: Form, product: Product) -> Sequence[Statement]:
    statements: list[Statement] = [Load("fading", "factor", product.lane)]
    for r in range(form.turned_rows):
        place, old = product.row(r) * form.lanes + product.lane, f"weighed_before{r}"
        statements.append(Load(old, "sums", place))
        statements.append(Store("sums", place, s.fma(_Var(old), _Var("fading"), product.sum(r))))
    return statements


def _finish(form: Form) -> list[Statement]:
    """Divide by the sums of all weights, and store; who looks nowhere gets zeros, and an infinite ``lse``."""
    lane, total = _Var("end_lane"), _Var("end_total")
    nothing = s.equal(total, 0)
    one = s.cast(_Var("share"), np.dtype(form.dtype)) if form.drops else s.Const(1)
    share: list[Statement] = [
        Load("end_total", "total", lane),
        Store("factor", lane, s.where(nothing, 0, one / total)),
        Load("end_top", "top", lane),
    ]
    lse = s.where(nothing, s.Const(np.inf), _Var("end_top") + s.log(total))
    stored = [Store("lse", MATRIX * _Var("length") + FIRST + lane, lse)]
    by: list[Statement] = [Load("end_factor", "factor", _Var("out_lane"))]
    place = _Var("out_row") * form.lanes + _Var("out_lane")
    by += [Load("out_old", "sums", place), Store("sums", place, _Var("out_old") * _Var("end_factor"))]
    rows = Rows("out", (MATRIX * _Var("length") + FIRST) * _Var("ev"), _Var("ev"), WIDTH, _Var("ev"))
    return [
        parts.fill("share", form, "factor", s.Const(1), form.number(0.0)),
        loops.vector("end_lane", WIDTH, form.lanes, *share, *stored),
        loops.serial("out_row", _Var("ev"), loops.vector("out_lane", form.lanes, form.lanes, *by)),
        *parts.turn("out", form, rows, "sums", back=True),
    ]
