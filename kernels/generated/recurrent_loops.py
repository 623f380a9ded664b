"""The loops of recurrent layers over time, and of the walk back: one step after the other, threads meet between them.

Forward, a step multiplies the states by the packed weights, and makes the next states of the sums in the first cache.
Back, it multiplies the cotangents of the step after by the weights, and the sums by the slopes that were kept forward.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.recurrent_parts import (
    FIRST,
    SIZE,
    UNIT,
    WIDTH,
    Form,
    Left,
    Place,
    copy,
    pack,
    task,
    zero,
)
from tensorlite.kernels.loops import Barrier, Buffer, If, Let, Load, Parameter, Statement, Store, index

_STEPS, _T, _AT, _BATCH = map(s.Var, ("steps", "t", "at", "batch"))
_NUMBERS = ("steps", "batch", "size", "panels", "bands", "origin", "direction", "given_step", "given_row")
_H, _C, _ROW = s.Var("h"), s.Var("c"), s.Var("at_row")


def _buffers(form: Form, reads: Sequence[str], writes: Sequence[str]) -> tuple[Buffer | Parameter, ...]:
    dtype, lengths = np.dtype(form.dtype), [Buffer("lengths", loops.INDEX)] * form.ends
    return (*(Buffer(name, dtype) for name in reads), *lengths,
            *(Buffer(name, dtype, writable=True) for name in writes), *map(Parameter, _NUMBERS))  # fmt: skip


def _within(form: Form, inside: Sequence[Statement], outside: Sequence[Statement]) -> list[Statement]:
    """Do one thing in a row whose sequence has that time, and another where it has ended."""
    if not form.ends:
        return list(inside)
    length, there = s.Var("length"), s.Var("there")
    return [Load("length", "lengths", _ROW), Let("there", s.less(_AT, length)), If(there, tuple(inside)),
            If(s.logical_not(there), tuple(outside))]  # fmt: skip


def _when() -> list[Statement]:
    """Name the place in time of a step, and where its rows begin in arrays that lie in order."""
    return [Let("at", index(s.Var("origin") + _T * s.Var("direction"))), Let("time", index(_AT * _BATCH))]


def _packed(form: Form) -> list[str]:
    return ["packed"] if form.weights == "packed" else []


def _packing(form: Form, terms: s.Expr, weight: Place) -> list[loops.For]:
    return [pack(form, terms, weight)] if form.weights == "packed" else []


def _forward_weight(feature: s.Expr, term: s.Expr, gate: int) -> s.Expr:
    return (feature + SIZE * gate) * SIZE + term


def _backward_weight(feature: s.Expr, term: s.Expr, gate: int) -> s.Expr:
    return term * SIZE + feature


# --- forward


def forward(form: Form) -> loops.Kernel:
    """Return the loops of a layer over time."""
    kind = form.kind
    rest = ["first_c"] * kind.has_cell + ["bias"] * kind.has_bias
    writes = ["out", "h_last", *["c_last"] * kind.has_cell, *["slopes"] * form.keeps, "states", *_packed(form)]
    now, then = _T % 2 * _BATCH * SIZE, (1 - _T % 2) * _BATCH * SIZE
    left = Left("states", lambda row: s.Var("now") + row * SIZE)
    steps = loops.serial(
        "t", _STEPS, *_when(), Let("now", index(now)), Let("then", index(then)),
        task(form, SIZE, SIZE, left, _forward_weight, *_within(form, _next(form), _same(form))), Barrier(),
    )  # fmt: skip
    last = s.Var("last_row") * SIZE + s.Var("last_unit")
    done = loops.parallel("last_row", _BATCH, loops.vector(
        "last_unit", SIZE, form.vector, Load("final", "states", _STEPS % 2 * _BATCH * SIZE + last),
        Store("h_last", last, s.Var("final"))))  # fmt: skip
    body: tuple[Statement, ...] = (
        copy(form, "begin", "first_h", "states"),
        *([copy(form, "cell", "first_c", "c_last")] if kind.has_cell else []),
        *_packing(form, SIZE, _forward_weight),
        Barrier(), steps, done,
    )  # fmt: skip
    return loops.build("recurrent", _buffers(form, ["given", "weight", "first_h", *rest], writes), body)


def _next(form: Form) -> list[Statement]:
    """Make a row's next states of its sums."""
    kind, place = form.kind, s.Var("place")
    starts: list[Statement] = [
        Let("given_at", index(_AT * s.Var("given_step") + _ROW * s.Var("given_row") + FIRST)),
        Let("out_at", index((s.Var("time") + _ROW) * SIZE + FIRST)),
        Let("slopes_at", index((s.Var("time") + _ROW) * (SIZE * kind.slopes) + FIRST)),
    ]
    body: list[Statement] = []
    for gate in range(kind.gates):
        body += [Load(f"given{gate}", "given", s.Var("given_at") + SIZE * gate + UNIT),
                 Load(f"made{gate}", "tile", s.Var("sum_at") + gate * form.lanes + UNIT)]  # fmt: skip
        if kind.has_bias:
            body.append(Load(f"bias{gate}", "bias", FIRST + SIZE * gate + UNIT))
    body += [Let("place", index(s.Var("state_at") + UNIT)), *_GATES[form.mode]()]
    if kind.has_cell:
        body.append(Store("c_last", place, s.Var("c_next")))
    body += [Store("out", s.Var("out_at") + UNIT, s.Var("h_next")),
             Store("states", s.Var("then") + place, s.Var("h_next"))]  # fmt: skip
    if form.keeps:
        for k, slope in enumerate(_SLOPES[form.mode]()):
            body += [Let(f"slope{k}", s.cast(slope, np.dtype(form.dtype))),
                     Store("slopes", s.Var("slopes_at") + SIZE * k + UNIT, s.Var(f"slope{k}"))]  # fmt: skip
    return [*starts, loops.vector("unit", WIDTH, form.vector, *body)]  # masked stores would delay the next step's loads


def _same(form: Form) -> list[Statement]:
    """Leave a row's states as they are; the output is 0."""
    unit, time = s.Var("same_unit"), s.Var("time") + _ROW
    stores: list[Statement] = [
        Load("old", "states", s.Var("now") + s.Var("state_at") + unit),
        Store("states", s.Var("then") + s.Var("state_at") + unit, s.Var("old")),
        Store("out", s.Var("none_at") + unit, zero(form)),
    ]
    starts: list[Statement] = [Let("none_at", index(time * SIZE + FIRST))]
    if form.keeps:
        starts.append(Let("flat_at", index(time * (SIZE * form.kind.slopes) + FIRST)))
        stores += [Store("slopes", s.Var("flat_at") + SIZE * k + unit, zero(form)) for k in range(form.kind.slopes)]
    return [*starts, loops.vector("same_unit", WIDTH, form.vector, *stores)]


def _sum(gate: int) -> s.Expr:
    return s.Var(f"given{gate}") + s.Var(f"made{gate}")


def _tanh_gates() -> list[Statement]:
    return [Let("h_next", s.tanh(_sum(0)))]


def _relu_gates() -> list[Statement]:
    return [Let("sum", _sum(0)), Let("h_next", s.where(s.Var("sum") <= 0, 0, s.Var("sum")))]


_I, _F, _G, _O, _TANH = map(s.Var, ("gate_i", "gate_f", "gate_g", "gate_o", "tanh_c"))
_R, _Z, _N, _Q = map(s.Var, ("gate_r", "gate_z", "gate_n", "share"))


def _lstm_gates() -> list[Statement]:
    return [
        Load("c", "c_last", s.Var("place")),
        *(Let(name, s.sigmoid(_sum(gate))) for name, gate in (("gate_i", 0), ("gate_f", 1), ("gate_o", 3))),
        Let("gate_g", s.tanh(_sum(2))),
        Let("c_next", _F * _C + _I * _G),
        Let("tanh_c", s.tanh(s.Var("c_next"))),
        Let("h_next", _O * _TANH),
    ]


def _gru_gates() -> list[Statement]:
    return [
        Load("h", "states", s.Var("now") + s.Var("place")),
        *(Let(name, s.sigmoid(s.Var(f"given{k}") + (s.Var(f"made{k}") + s.Var(f"bias{k}"))))
          for k, name in enumerate(("gate_r", "gate_z"))),
        Let("share", s.Var("made2") + s.Var("bias2")),
        Let("gate_n", s.tanh(s.Var("given2") + _R * _Q)),
        Let("h_next", _N + _Z * (_H - _N)),
    ]  # fmt: skip


def _tanh_slopes() -> list[s.Expr]:
    return [(1 - s.Var("h_next")) * (1 + s.Var("h_next"))]


def _relu_slopes() -> list[s.Expr]:
    return [s.logical_not(s.Var("h_next") <= 0)]


def _lstm_slopes() -> list[s.Expr]:
    return [_O * ((1 - _TANH) * (1 + _TANH)), _G * (_I * (1 - _I)), _C * (_F * (1 - _F)), _I * ((1 - _G) * (1 + _G)),
            _TANH * (_O * (1 - _O)), _F]  # fmt: skip


def _gru_slopes() -> list[s.Expr]:
    new = (1 - _Z) * ((1 - _N) * (1 + _N))
    return [new * _Q * (_R * (1 - _R)), (_H - _N) * (_Z * (1 - _Z)), new, new * _R, _Z]


_GATES = {"RNN_TANH": _tanh_gates, "RNN_RELU": _relu_gates, "LSTM": _lstm_gates, "GRU": _gru_gates}
_SLOPES = {"RNN_TANH": _tanh_slopes, "RNN_RELU": _relu_slopes, "LSTM": _lstm_slopes, "GRU": _gru_slopes}


# --- back


def backward(form: Form) -> loops.Kernel:
    """Return the loops of the walk back; ``dh`` and ``dc`` are cotangents of the states before the steps so far."""
    kind = form.kind
    flow = "flow" if kind.has_bias else "d_given"
    reads = ["g_out", "g_h", "slopes", "weight", *["g_c"] * kind.has_cell]
    writes = ["d_given", *["flow"] * kind.has_bias, "dh", *["dc"] * kind.has_cell, *_packed(form)]
    width = SIZE * kind.gates
    terms = s.minimum(_T, 1) * width
    before = (s.Var("time") - s.Var("direction") * _BATCH) * width
    walk = If(s.less(_T, _STEPS), tuple(_within(form, _back(form), [*_passed(form, "past"), *_nothing(form)])))
    end = If(s.equal(_T, _STEPS), tuple(_passed(form, "last")))
    left = Left(flow, lambda row: s.Var("before") + row * width)
    steps = loops.serial(
        "t", _STEPS + 1, *_when(), Let("terms", index(terms)), Let("before", index(before)),
        task(form, s.Var("terms"), width, left, _backward_weight, walk, end), Barrier(),
    )  # fmt: skip
    body: tuple[Statement, ...] = (
        copy(form, "begin", "g_h", "dh"),
        *([copy(form, "cell", "g_c", "dc")] if kind.has_cell else []),
        *_packing(form, width, _backward_weight),
        Barrier(), steps,
    )  # fmt: skip
    return loops.build("recurrent_backward", _buffers(form, reads, writes), body)


def _total(tail: str, unit: s.Expr, place: s.Expr) -> list[Statement]:
    """Name the cotangent of a state but for that of the output: by the step after, and past it."""
    return [Load(f"made{tail}", "tile", s.Var("sum_at") + unit), Load(f"past{tail}", "dh", place),
            Let(f"total{tail}", s.Var(f"past{tail}") + s.Var(f"made{tail}"))]  # fmt: skip


def _passed(form: Form, stem: str) -> list[Statement]:
    """Make a row's ``dh`` the cotangent of the states before all steps done so far."""
    unit = s.Var(f"{stem}_unit")
    place = s.Var("state_at") + unit
    return [loops.vector(unit.name, WIDTH, form.vector, *_total(f"_{stem}", unit, place),
                         Store("dh", place, s.Var(f"total_{stem}")))]  # fmt: skip


def _nothing(form: Form) -> list[Statement]:
    """Say that nothing comes of a row's gates."""
    unit, gates = s.Var("none_unit"), form.kind.gates
    names = ["d_given", *["flow"] * form.kind.has_bias]
    stores = [Store(name, s.Var("none_at") + SIZE * k + unit, zero(form)) for name in names for k in range(gates)]
    return [Let("none_at", index((s.Var("time") + _ROW) * (SIZE * gates) + FIRST)),
            loops.vector("none_unit", WIDTH, form.vector, *stores)]  # fmt: skip


def _back(form: Form) -> list[Statement]:
    """Make cotangents of a row's gates of those of its states."""
    kind, place, slope = form.kind, s.Var("place"), [s.Var(f"slope{k}") for k in range(form.kind.slopes)]
    starts: list[Statement] = [
        Let("given_at", index(_AT * s.Var("given_step") + _ROW * s.Var("given_row") + FIRST)),
        Let("gates_at", index((s.Var("time") + _ROW) * (SIZE * kind.gates) + FIRST)),
        Let("slopes_at", index((s.Var("time") + _ROW) * (SIZE * kind.slopes) + FIRST)),
    ]
    body: list[Statement] = [
        Let("place", index(s.Var("state_at") + UNIT)),
        *(Load(f"slope{k}", "slopes", s.Var("slopes_at") + SIZE * k + UNIT) for k in range(kind.slopes)),
        Load("g", "g_out", s.Var("given_at") + UNIT),
        *_total("", UNIT, place),
        Let("d", s.Var("total") + s.Var("g")),
    ]
    d = s.Var("d")
    shares = [d * x for x in slope[:kind.gates]]
    if kind.has_cell:
        body += [Load("dc_past", "dc", place), Let("dc_now", s.Var("dc_past") + d * slope[0]),
                 Store("dc", place, s.Var("dc_now") * slope[5])]  # fmt: skip
        shares = [*(s.Var("dc_now") * x for x in slope[1:4]), d * slope[4]]
    for gate, share in enumerate(shares):
        there = s.Var("gates_at") + SIZE * gate + UNIT
        body += [Let(f"d{gate}", share), Store("d_given", there, s.Var(f"d{gate}"))]
        if kind.has_bias:
            body.append(Store("flow", there, s.Var(f"d{gate}") if gate < 2 else d * slope[3]))
    body.append(Store("dh", place, d * slope[4] if kind.has_bias else zero(form)))
    return [*starts, loops.vector("unit", WIDTH, form.vector, *body, single=True)]
