"""What the loops of recurrent layers share: packed weights, and one step's product of states and weights.

A task takes some rows of the batch and a panel of features: the sums of all gates of a feature are then at hand
together. Panels of weights are packed once a call, row after row of whole vectors, gate by gate. Each sum runs along
the state in order, whatever the tasks and threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host
from tensorlite.kernels.loops import Assign, If, Let, Load, Local, Scratch, Statement, Store, Transpose, index
from tensorlite.kernels.recurrent import MODES, Mode

DType = np.dtype[Any]
Place: TypeAlias = Callable[[s.Expr, s.Expr, int], s.Expr]
"""Where a weight is: of a feature, a term and a gate."""
BAND = 48
"""Rows of the batch that a task takes at most: their sums stay in the first cache."""
_USES, _USES_ALONE, _LARGE = 6, 64, 256
"""From how many uses of each weight on packing pays; and the same of a single row, for states from a size on."""
_ACCUMULATORS = {512: 24, 256: 12}  # that leave registers for the factors

BATCH, SIZE, PANELS, BANDS, TASK = map(s.Var, ("batch", "size", "panels", "bands", "task"))
FIRST, WIDTH, FIRST_ROW, HEIGHT, ROW, UNIT = map(s.Var, ("first", "width", "first_row", "height", "row", "unit"))


@dataclass(frozen=True, slots=True)
class Left:
    """The left factor's buffer, and where a row of the batch begins in it."""

    buffer: str
    place: Callable[[s.Expr], s.Expr]


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: the mode, and how many rows and lanes are summed at once.

    ``weights`` says how they are read: "packed" beforehand, or where they are, if they are used but a few times: along
    terms by "dot" products, or ``back`` "straight" along features. ``keeps``: slopes are stored. ``ends``:
    sequences have lengths; a step that comes after leaves the states as they are.
    """

    dtype: str
    mode: str
    back: bool
    rows: int
    lanes: int
    vector: int
    weights: str = "packed"
    keeps: bool = False
    ends: bool = False

    @property
    def kind(self) -> Mode:
        """The kind of layer."""
        return MODES[self.mode]

    @property
    def sums(self) -> int:
        """How many sums a feature has: one a gate, or one back."""
        return 1 if self.back else self.kind.gates

    @property
    def tile(self) -> int:
        """How many sums a task has at most."""
        return -(-BAND // self.rows) * self.rows * self.sums * self.lanes


def form(
    dtype: DType, mode: str, back: bool, extents: tuple[int, int, int], keeps: bool = False, ends: bool = False
) -> Form:  # fmt: skip
    """Return the form that suits the extents of time, batch and state: few rows beyond the last, few empty lanes."""
    steps, batch, size = extents
    bits = host.vector_bits() if host.is_x86() else 256  # AArch64 has 32 registers of 128 bits
    vector, room, sums = bits // 8 // dtype.itemsize, _ACCUMULATORS.get(bits, 12), 1 if back else MODES[mode].gates
    vectors = max(1, 4 // sums) if sums != 3 else 2 if batch <= room // 6 else 1
    while vectors > 1 and (vectors // 2) * vector >= size:
        vectors //= 2
    most = max(1, room // (sums * vectors))
    rows = min(range(1, most + 1), key=lambda n: (-(-batch // n) * n * (1.0 + 1.0 / (4 * n)), -n))
    weights = _reading(back, steps * -(-batch // rows), rows * sums, room, size)
    return Form(dtype.name, mode, back, rows, vectors * vector, vector, weights, keeps, ends)


def _reading(back: bool, uses: int, sums: int, room: int, size: int) -> str:
    """Return how weights are read that are used so often, for so many sums of a feature at a time (measured)."""
    if back:
        return "straight" if uses < _USES else "packed"
    alone = 1 < sums <= 4 and size >= _LARGE  # one row: memory is what takes time
    return "dot" if 2 * sums <= room and uses < (_USES_ALONE if alone else _USES) else "packed"


def packed_sizes(form: Form, size: int, terms: int) -> tuple[int, ...]:
    """Return how many elements packed weights have, for so many terms of a sum, if there are any."""
    return (-(-size // form.lanes) * form.lanes * terms * form.sums,) if form.weights == "packed" else ()


def zero(form: Form) -> s.Typed:
    """Return the sum of nothing."""
    return loops.constant(0.0, form.dtype)


def where_panel(form: Form, stem: str, panel: s.Expr) -> list[Statement]:
    """Name a panel's first feature and how many it has."""
    first, width = s.Var(f"{stem}first"), s.minimum(s.Const(form.lanes), SIZE - s.Var(f"{stem}first"))
    return [Let(first.name, index(panel * form.lanes)), Let(f"{stem}width", index(width))]


def pack(form: Form, terms: s.Expr, weight: Place) -> loops.For:
    """Pack the weights; whole panels by squares that are transposed, if a feature's terms lie along memory."""
    panel, term, row, width = s.Var("pack"), s.Var("term"), form.sums * form.lanes, s.Var("pack_width")
    first, to, squares = s.Var("pack_first"), s.Var("to"), s.Var("squares")
    nothing = loops.vector("clear", form.lanes, form.lanes, Store(
        "packed", to + s.Var("gate") * form.lanes + s.Var("clear"), zero(form)))  # fmt: skip
    body: list[Statement] = [Let("term", index(squares * form.vector + s.Var("rest"))),
                             Let("to", index((panel * terms + term) * row)),
                             If(s.less(width, form.lanes), (loops.serial("gate", form.sums, nothing),))]  # fmt: skip
    turned: list[Statement] = []
    for gate in range(form.sums):
        lane, moved = s.Var(f"pack{gate}"), f"moved{gate}"
        body.append(loops.vector(lane.name, width, form.lanes, Load(moved, "weight", weight(first + lane, term, gate)),
                                 Store("packed", to + gate * form.lanes + lane, s.Var(moved))))  # fmt: skip
        for start in range(0, form.lanes, form.vector):
            there = (panel * terms + s.Var("square") * form.vector) * row + gate * form.lanes + start
            here = weight(first + start, s.Var("square") * form.vector, gate)
            turned.append(Transpose("packed", there, s.Const(row), "weight", here, terms, form.vector))
    whole = s.Const(0) if form.back else width // form.lanes * (terms // form.vector)
    return loops.parallel(
        "pack", PANELS, *where_panel(form, "pack_", panel), Let("squares", index(whole)),
        *([] if form.back else [loops.serial("square", squares, *turned)]),
        loops.serial("rest", terms - squares * form.vector, *body),
    )  # fmt: skip


def task(form: Form, terms: s.Expr, stride: s.Expr, left: Left, weight: Place, *finish: Statement) -> loops.For:
    """Take the sums of ``terms`` products for each task, rows of ``left`` by the weights; then ``finish`` each row.

    ``stride`` is how many terms a panel of weights has. ``finish`` sees the tile's row at ``sum_at``, and that of
    states at ``state_at``.
    """
    where: list[Statement] = [
        Scratch("tile", np.dtype(form.dtype), form.tile),
        Let("panel", index(TASK // BANDS)),
        *where_panel(form, "", s.Var("panel")),
        Let("first_row", index(TASK % BANDS * BAND)),
        Let("height", index(s.minimum(s.Const(BAND), BATCH - FIRST_ROW))),
        Let("weights_at", index(s.Var("panel") * stride * (form.sums * form.lanes))),
    ]
    rows: list[Statement] = [
        Let("at_row", index(FIRST_ROW + ROW)),
        Let("sum_at", index(ROW * (form.sums * form.lanes))),
        Let("state_at", index(s.Var("at_row") * SIZE + FIRST)),
        *finish,
    ]
    multiply = (_dots if form.weights == "dot" else _multiply)(form, terms, left, weight)
    return loops.parallel("task", PANELS * BANDS, *where, multiply, loops.serial("row", HEIGHT, *rows))


def _starts(form: Form, left: Left) -> list[Statement]:
    """Name where a group's rows begin in the left factor; those beyond the height are the last one again."""
    known = (FIRST_ROW + s.minimum(s.Var("group") * form.rows + r, HEIGHT - 1) for r in range(form.rows))
    return [Let(f"from{r}", index(left.place(row))) for r, row in enumerate(known)]


def _products(form: Form, left: Left, term: s.Expr, weights: Sequence[s.Expr], source: str) -> list[Statement]:
    """Add the products of one term to all sums."""
    body: list[Statement] = [Load(f"right{gate}", source, place) for gate, place in enumerate(weights)]
    for r in range(form.rows):
        body.append(Load(f"left{r}", left.buffer, s.Var(f"from{r}") + term))
        body += [Assign(f"sum{r}_{gate}", s.fma(s.Var(f"left{r}"), s.Var(f"right{gate}"), s.Var(f"sum{r}_{gate}")))
                 for gate in range(form.sums)]  # fmt: skip
    return body


def _sums(form: Form, unit: s.Expr) -> tuple[list[Statement], list[Statement]]:
    """What declares a group's sums, and what stores those of a feature, or of a lane of them, in the tile."""
    places = [(r, gate) for r in range(form.rows) for gate in range(form.sums)]
    return ([Local(f"sum{r}_{gate}", zero(form)) for r, gate in places],
            [Store("tile", ((s.Var("group") * form.rows + r) * form.sums + gate) * form.lanes + unit,
                   s.Var(f"sum{r}_{gate}")) for r, gate in places])  # fmt: skip


def _multiply(form: Form, terms: s.Expr, left: Left, weight: Place) -> loops.For:
    """The micro-kernel: rows by lanes of sums in registers, of packed weights or of such as lie along features."""
    lane, term, packed = s.Var("lane"), s.Var("k"), form.weights == "packed"
    if packed:
        start = s.Var("weights_at") + term * (form.sums * form.lanes)
        places = [start + gate * form.lanes + lane for gate in range(form.sums)]
    else:
        places = [weight(FIRST + lane, term, gate) for gate in range(form.sums)]
    sums, stores = _sums(form, lane)
    body = _products(form, left, term, places, "packed" if packed else "weight")
    lanes = loops.vector("lane", s.Const(form.lanes) if packed else WIDTH, form.lanes, *sums,
                         loops.serial("k", terms, *body), *stores)  # fmt: skip
    return loops.serial("group", _groups(form), *_starts(form, left), lanes, apart=True)


def _dots(form: Form, terms: s.Expr, left: Left, weight: Place) -> loops.For:
    """The same by dot products, a feature at a time: of weights whose terms lie along memory, not worth packing."""
    term, unit = s.Var("k"), s.Var("dot_unit")
    sums, stores = _sums(form, unit)
    names = tuple(local.name for local in sums if isinstance(local, Local))
    places = [weight(FIRST + unit, s.Const(0), gate) for gate in range(form.sums)]
    starts = [Let(f"weight_from{gate}", index(place)) for gate, place in enumerate(places)]
    body = _products(form, left, term, [s.Var(f"weight_from{gate}") + term for gate in range(form.sums)], "weight")
    walk = loops.vector("k", terms, 2 * form.vector, *body)
    merge = tuple(s.Var(name) + s.Var(loops.right(name)) for name in names)
    total = loops.Reduce(names, (zero(form),) * len(names), merge, 2 * form.vector, (walk,))
    units = loops.serial("dot_unit", WIDTH, *starts, *sums, total, *stores)
    return loops.serial("group", _groups(form), *_starts(form, left), units, apart=True)


def _groups(form: Form) -> s.Expr:
    return (HEIGHT + (form.rows - 1)) // form.rows


def copy(form: Form, stem: str, source: str, target: str) -> loops.For:
    """Copy the states of all rows."""
    row, unit, name = f"{stem}_row", s.Var(f"{stem}_unit"), f"{stem}_moved"
    place = s.Var(row) * SIZE + unit
    return loops.parallel(row, BATCH, loops.vector(unit.name, SIZE, form.vector, Load(name, source, place),
                                                   Store(target, place, s.Var(name))))  # fmt: skip
