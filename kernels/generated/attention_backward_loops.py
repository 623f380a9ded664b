"""The loops of attention, backward: weights are computed anew from the logarithms of their sums, block by block.

With scores ``s``, weights ``p = exp(s - lse)`` and ``dp = g @ v.T``, the cotangent of scores is ``ds = p * (dp -
delta)``, and ``dq = scale * ds @ k``, ``dk = scale * ds.T @ q``, ``dv = p.T @ g`` (Dao et al., "FlashAttention", 2022).
A task takes some panels of queries and some keys of a matrix; it may find ``dq`` of all keys, or ``dk`` and ``dv`` of
all queries, or everything where it has them all. What is summed is summed in the same order in every case.

Where weights are dropped, those that are kept are multiplied by ``share`` in ``dv`` and ``dp``; the others, which only
``delta`` reaches, are marked by their sign in between.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import attention_parts as parts
from tensorlite.kernels.generated.attention_parts import COUNT, FIRST, MATRIX, START, WIDTH, ZERO, Form, Product, Rows
from tensorlite.kernels.loops import Buffer, If, Let, Load, Parameter, Statement, Store, index
from tensorlite.kernels.scalar.approx_exp import exp_from_top

_Var = s.Var
_ROWS = ("lse", "delta")  # have a number for each query


def operands(form: Form) -> list[str]:
    """Return the names of the arrays that have strides."""
    return ["g", "q", "k", "v", *_ROWS, *form.streams, *(["mask"] if form.mask else [])]


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers, in order; ``scale`` and ``share`` come after them.

    A matrix is cut in ``query_parts`` of ``panel_span`` panels and ``key_parts`` of ``key_span`` keys. ``to_queries``
    and ``to_keys`` say what is found.
    """
    names = ["tasks", "query_parts", "panel_span", "key_parts", "key_span", "to_queries", "to_keys"]
    names += ["length", "keys", "e", "ev", "thickness", "causal", *parts.drop_numbers(form)]
    names += [f"{name}_row" for name in ("g", "q", "k", "v", *_ROWS, *form.streams)]
    names += ["mask_row", "mask_step"] if form.mask else []
    return names + parts.stack_numbers(form, operands(form))


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of one form: of what `operands` names, the cotangents of ``q``, ``k`` and ``v``."""
    dtype = np.dtype(form.dtype)
    read = [Buffer(name, dtype) for name in ("g", "q", "k", "v", *_ROWS)]
    written = [Buffer(name, dtype, writable=True) for name in ("dq", "dk", "dv")]
    numbers = [*map(Parameter, parameters(form)), *parts.factors(form)]
    return loops.build("attention_backward", (*read, *parts.late_buffers(form), *written, *numbers), (_task(form),))


def _task(form: Form) -> loops.For:
    queries, keys = _Var("query_parts"), _Var("key_parts")
    panels = (_Var("length") + (form.lanes - 1)) // form.lanes
    span = _Var("panel_span")
    return loops.parallel(
        "task",
        _Var("tasks"),
        *_scratch(form),
        Let("part", index(_Var("task") % (queries * keys))),
        Let("matrix", index(_Var("task") // (queries * keys))),
        Let("first_panel", index(_Var("part") % queries * span)),
        Let("panels", index(s.minimum(span, panels - _Var("first_panel")))),
        Let("first_key", index(_Var("part") // queries * _Var("key_span"))),
        Let("last_key", index(s.minimum(_Var("keys"), _Var("first_key") + _Var("key_span")))),
        Let("multiplier", s.cast(_Var("scale"), np.dtype(form.dtype))),
        *parts.places(form, operands(form)),
        *parts.take_stream(form),
        *_lasting(form),
        If(s.greater(_Var("to_keys"), 0), (_clear(form, "dk", "e"), _clear(form, "dv", "ev"))),
        loops.serial("panel", _Var("panels"), *_panel(form)),
    )


def _lasting(form: Form) -> list[Statement]:
    """Name what kept weights are multiplied by, alone and with the scale."""
    if not form.drops:
        return []
    lasting = Let("lasting", s.cast(_Var("share"), np.dtype(form.dtype)))
    return [lasting, Let("both", _Var("multiplier") * _Var("lasting"))]


def _scratch(form: Form) -> list[Statement]:
    tile = form.tile
    rows = {"queries": form.features, "slopes": form.values, "tile": tile, "change": tile}
    rows |= {"sums": form.tall(form.features), "logarithms": 1, "means": 1}
    return [*(form.array(name, count) for name, count in rows.items()), *parts.mask_scratch(form)]


def _clear(form: Form, name: str, extent: str) -> loops.For:
    row, lane = _Var(f"{name}_key"), _Var(f"{name}_lane")
    place = (MATRIX * _Var("keys") + _Var("first_key") + row) * _Var(extent) + lane
    store = Store(name, place, form.number(0.0))
    each = loops.vector(f"{name}_lane", _Var(extent), form.lanes, store)
    return loops.serial(f"{name}_key", _Var("last_key") - _Var("first_key"), each)


def _panel(form: Form) -> list[Statement]:
    lanes = s.Const(form.lanes)
    back = Product("back", form.turned_rows, form.lanes, _Var("e"), COUNT,
                   ("k", lambda row: _Var("k_base") + START * _Var("k_row") + row, _Var("k_row")),
                   ("change", ZERO, lanes))  # fmt: skip
    left = ("v", lambda row: _Var("v_base") + (START + row) * _Var("v_row"), s.Const(1))
    slope = Product("slope", form.rows, form.lanes, COUNT, _Var("ev"), left, ("slopes", ZERO, lanes))
    rows = Rows("dq", (MATRIX * _Var("length") + FIRST) * _Var("e"), _Var("e"), WIDTH, _Var("e"))
    wanted = s.greater(_Var("to_queries"), 0)
    return [
        Let("first", index((_Var("first_panel") + _Var("panel")) * form.lanes)),
        Let("width", index(s.minimum(s.Const(form.lanes), _Var("length") - FIRST))),
        *_begin(form),
        *parts.blocks(
            _Var("first_key"),
            parts.visible(_Var("last_key")),
            *parts.take_mask(form),
            parts.scores(form, lambda product: _weigh(form, product)),
            *parts.drop(form, lambda weight: -weight),
            parts.multiply(form.dtype, slope, _change(form, slope)),
            If(wanted, (parts.multiply(form.dtype, back, _add(form, back)),)),
            If(s.greater(_Var("to_keys"), 0), (_to_keys(form, "dv", "tile", "g", "ev"),
                                               _to_keys(form, "dk", "change", "q", "e"))),
        ),
        If(wanted, tuple(parts.turn("out", form, rows, "sums", back=True))),
    ]  # fmt: skip


def _begin(form: Form) -> list[Statement]:
    """Turn the panel's queries and their results' cotangents; nothing is summed yet."""
    statements: list[Statement] = []
    for stem, name, panel, extent in (("query", "q", "queries", "e"), ("given", "g", "slopes", "ev")):
        row = _Var(f"{name}_row")
        rows = Rows(name, _Var(f"{name}_base") + FIRST * row, row, WIDTH, _Var(extent))
        statements += [parts.cleared(f"blank_{stem}", form, panel, _Var(extent)), *parts.turn(stem, form, rows, panel)]
    for name, array, value in (("lse", "logarithms", _Var("lse_here")),
                               ("delta", "means", -_Var("delta_here") * _Var("multiplier"))):  # fmt: skip
        lane, row = _Var(f"{name}_lane"), _Var(f"{name}_row")
        load = Load(f"{name}_here", name, _Var(f"{name}_base") + (FIRST + lane) * row)
        statements.append(parts.fill(f"no_{name}", form, array, s.Const(1), form.number(0.0)))
        statements.append(loops.vector(f"{name}_lane", WIDTH, form.lanes, load, Store(array, lane, value)))
    statements.append(parts.scale("scaled", form, "queries", _Var("e"), _Var("multiplier")))
    clear = parts.fill("zero", form, "sums", s.Const(form.tall(form.features)), form.number(0.0))
    return [*statements, clear]


def _weigh(form: Form, product: Product) -> list[Statement]:
    """Mask a group's scores, and store their weights."""
    statements = [*parts.masked(form, product), Load("logarithm", "logarithms", product.lane)]
    for r in range(form.rows):
        weight = exp_from_top(product.sum(r) - _Var("logarithm"), np.dtype(form.dtype))
        statements.append(Store("tile", product.row(r) * form.lanes + product.lane, weight))
    return statements


def _change(form: Form, product: Product) -> list[Statement]:
    """Store the cotangents of scores, times the scale, and of weights what weighed: the dropped ones are negative."""
    statements: list[Statement] = [Load("mean", "means", product.lane)]
    for r in range(form.rows):
        place = product.row(r) * form.lanes + product.lane
        statements.append(Load(f"weight{r}", "tile", place))
        weight, mean = _Var(f"weight{r}"), _Var("mean")
        if form.drops:
            dropped, slope = s.less(weight, 0), s.fma(product.sum(r), _Var("both"), mean)
            value = s.where(dropped, -weight * mean, weight * slope)
            statements.append(Store("tile", place, s.where(dropped, 0, weight * _Var("lasting"))))
        else:
            value = weight * s.fma(product.sum(r), _Var("multiplier"), mean)
        statements.append(Store("change", place, value))
    return statements


def _add(form: Form, product: Product) -> list[Statement]:
    statements: list[Statement] = []
    for r in range(form.turned_rows):
        place, old = product.row(r) * form.lanes + product.lane, f"back_before{r}"
        statements += [Load(old, "sums", place), Store("sums", place, _Var(old) + product.sum(r))]
    return statements


def _to_keys(form: Form, name: str, tile: str, other: str, extent: str) -> loops.For:
    """Add to rows of ``dk`` or ``dv`` what the panel's queries give: features are lanes, and queries the terms."""
    capacity = form.features if extent == "e" else form.values
    lanes = min(form.lanes, capacity)
    rows = form.rows if lanes == form.lanes else form.rows + 2
    start = _Var(f"{other}_base") + FIRST * _Var(f"{other}_row")
    product = Product(f"to_{name}", rows, lanes, COUNT, WIDTH,
                      (tile, lambda row: row * form.lanes, s.Const(1)),
                      (other, start, _Var(f"{other}_row")), _Var(extent))  # fmt: skip
    statements: list[Statement] = []
    for r in range(rows):
        place = (MATRIX * _Var("keys") + START + product.row(r)) * _Var(extent) + product.lane
        old = f"{name}_before{r}"
        add = Load(old, name, place), Store(name, place, _Var(old) + product.sum(r))
        statements += [If(s.less(product.row(r), COUNT), add)] if r else add
    return replace(parts.multiply(form.dtype, product, statements), apart=True)  # keys and values have it in common
