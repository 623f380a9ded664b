"""The loops of direct convolution, for few channels a group: pixels along the lanes, a group's filters in registers.

A task takes a strip of columns. For some lines of the result, of one group of one image, it copies what their windows
see to scratch memory, columns sorted by phases of the step; the zeros round it stay from one to the next. Then vectors
of sums for some filters and lines are in registers at a time, and go through the epilogue to the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import TASK, Epilogue
from tensorlite.kernels.generated.pad_loops import copy_lines
from tensorlite.kernels.loops import (
    INDEX,
    Assign,
    Buffer,
    If,
    Let,
    Load,
    Local,
    Parameter,
    Scratch,
    Statement,
    Store,
    index,
)

SEEN, TERMS = 16384, 512
"""Elements of scratch memory: the pixels that windows see, and the terms of a sum, which is not cut in blocks."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Taps:
    """The windows, of one channel, of a kernel that has them unrolled: places, the step down, and places across.

    Place (i, j) is ``i dilation`` lines down, and ``across[j]``: a phase of the columns, and which one in it.
    """

    down: int
    step: int
    dilation: int
    across: tuple[Pair, ...]

    @property
    def numbers(self) -> range:
        """The numbers of the places."""
        return range(self.down * len(self.across))

    @property
    def rolls(self) -> bool:
        """Whether windows go down with no line left out, so that some lines are the last ones of one and of others."""
        return self.dilation == 1


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: ``filters`` by ``lines`` vectors of sums, and ``taps``, or None for any.

    ``apart`` is how far apart columns of a phase are in the images, 0 for any distance. ``step`` is "u" where
    neighbours in the result are neighbours in memory.
    """

    dtype: str
    lanes: int
    filters: int
    lines: int
    taps: Taps | None
    apart: int
    step: str
    epilogue: Epilogue

    def key(self) -> str:
        """Return what names the kernel."""
        what = f"{self.dtype} {self.lanes} {self.filters} {self.lines} {self.taps} {self.apart} {self.step}"
        return f"conv2d direct {what} {self.epilogue.text()}"

    @property
    def turned(self) -> gemm.Schedule:
        """How filters are turned that are found by a table."""
        return gemm.Schedule(self.dtype, 1, self.filters, 1, 1, self.filters)

    @property
    def zero(self) -> s.Typed:
        """The sum of nothing."""
        return loops.constant(0.0, self.dtype)


class Looks(Protocol):
    """What copying what windows see depends on, as in `Form`."""

    @property
    def lanes(self) -> int:
        """The number of pixels that are copied at once."""

    @property
    def apart(self) -> int:
        """How far apart columns of a phase are in the images, 0 for any distance."""

    @property
    def zero(self) -> s.Typed:
        """What is round the images."""


PARAMETERS = (
    *("tasks", "strips", "strip", "chunk", "units", "bands", "band", "groups", "blocks", "m", "depth"),
    *("height", "width", "source_height", "source_width"),
    *("x_image", "x_part", "x_channel", "x_line", "x_step"),
    *("down", "across", "top", "left", "phases", "lines", "pitch"),
    *("taps_down", "taps_across", "apart_down", "apart_across"),
    *("w_base", "w_part", "w_row", "w_channel", "w_down", "w_across"),
)
"""How the work is cut: tasks, strips and their columns, units of a task and in all, bands and their lines, groups,
blocks of their filters, filters, channels. Extents of the result and of images, strides of images. How windows lie:
steps and border; of what is seen the phases, lines, columns. Places of filters, and strides."""
PLACES = ("base", "image", "channel", "line", "step")

_UNIT, _BANDS, _BAND, _DEPTH, _PITCH, _LINES = map(s.Var, ("unit", "bands", "band", "depth", "pitch", "lines"))
_HIGH, _WIDE, _FIRST_LINE, _FIRST_COLUMN = map(s.Var, ("high", "wide", "first_line", "first_column"))
_LINE_SIZE, _CHANNEL_SIZE, _ACROSS = map(s.Var, ("line_size", "channel_size", "across"))
_IMAGE, _PART, _BLOCK, _GROUP = map(s.Var, ("image", "part", "block", "group"))
_COLUMN = s.Var("column_at") + s.Var("lane")
_ZERO = s.Const(0)
_STEPS: dict[str, s.Expr] = {"u": s.Const(1), "b": _ZERO, "2": s.Const(2)}


def kernel(form: Form) -> loops.Kernel:
    """Return the loops: buffers x, w, then those of the epilogue; without unrolled taps, w is turned."""
    dtype = np.dtype(form.dtype)
    names = [f"{name}_{what}" for name in ("out", *form.epilogue.names) for what in PLACES]
    buffers = [Buffer("x", dtype), Buffer("w", dtype), *gemm.outputs(form.epilogue)]
    return loops.build("conv2d", (*buffers, *map(Parameter, (*PARAMETERS, *names))), (_tasks(form),))


def _tasks(form: Form) -> loops.For:
    strips, first, zero = s.Var("strips"), s.Var("first_unit"), Store("seen", s.Var("z"), form.zero)
    unit = loops.serial(
        "number",
        s.minimum(s.Var("chunk"), s.Var("units") - first),
        Let("unit", index(first + s.Var("number"))),
        Let("first_line", index(_UNIT % _BANDS * _BAND)),
        Let("high", index(s.minimum(_BAND, s.Var("height") - _FIRST_LINE))),
        Let("item", index(_UNIT // _BANDS)),
        Let("image", index(s.Var("item") // s.Var("groups"))),
        Let("part", index(s.Var("item") % s.Var("groups"))),
        *look(form),
        loops.serial("block", s.Var("blocks"), *_filters(form), *_sum(form)),
    )
    return loops.parallel(
        "task",
        s.Var("tasks"),
        Scratch("seen", np.dtype(form.dtype), SEEN),
        Let("first_unit", index(TASK // strips * s.Var("chunk"))),
        Let("first_column", index(TASK % strips * s.Var("strip"))),
        Let("wide", index(s.minimum(s.Var("strip"), s.Var("width") - _FIRST_COLUMN))),
        Let("line_size", index(s.Var("phases") * _PITCH)),
        Let("channel_size", index(_LINES * _LINE_SIZE)),
        loops.vector("z", _DEPTH * _CHANNEL_SIZE + form.lanes, form.lanes, zero),
        *_tabulate(form),
        unit,
    )


# What windows see


def look(form: Looks) -> list[Statement]:
    """Copy what the unit's windows see between the zeros."""
    phase, across = s.Var("phase"), s.Const(1) if form.apart == 1 else _ACROSS
    y_shift, x_shift, first = s.Var("y_shift"), s.Var("x_shift"), s.Var("x_first")
    beyond = s.maximum(_ZERO, s.Var("source_width") + x_shift)
    start = _IMAGE * s.Var("x_image") + _PART * s.Var("x_part") + (s.Var("y_first") - y_shift) * s.Var("x_line")
    place = s.Var("look_base") + s.Var("look_c") * s.Var("x_channel") + s.Var("x_at") * s.Var("x_step")
    to = s.Var("look_c") * _CHANNEL_SIZE + s.Var("y_first") * _LINE_SIZE + phase * _PITCH + first
    step = s.Const(form.apart) if form.apart else _ACROSS * s.Var("x_step")
    source, target = ("x", s.Var("look_from"), s.Var("x_line"), step), ("seen", s.Var("look_to"), _LINE_SIZE)
    copy = copy_lines(source, target, (s.Var("y_count"), s.Var("x_count")), form.lanes, s.Const(64))
    phases = loops.serial(
        "phase",
        s.Var("phases"),
        Let("x_shift", index(s.Var("left") - phase - _FIRST_COLUMN * across)),
        Let("x_first", index((s.maximum(_ZERO, x_shift) + (across - 1)) // across)),
        Let("x_at", index(first * across - x_shift)),
        Let("x_last", index(s.minimum(_PITCH, (beyond + (across - 1)) // across))),
        Let("x_count", index(s.maximum(_ZERO, s.Var("x_last") - first))),
        loops.serial("look_c", _DEPTH, Let("look_from", index(place)), Let("look_to", index(to)), *copy),
    )
    return [
        Let("y_shift", index(s.Var("top") - _FIRST_LINE * s.Var("down"))),
        Let("y_first", index(s.minimum(_LINES, s.maximum(_ZERO, y_shift)))),
        Let("y_last", index(s.minimum(_LINES, s.Var("source_height") + y_shift))),
        Let("y_count", index(s.maximum(_ZERO, s.Var("y_last") - s.Var("y_first")))),
        Let("look_base", index(start)),
        If(s.greater(_BANDS, 1), (_clear_lines(form),)),
        phases,
    ]


def _clear_lines(form: Looks) -> loops.For:
    """Set lines to zero that lie outside of the images: those of another band may have been inside."""
    below = s.minimum(s.Const(1), s.maximum(_ZERO, s.Var("blank") + 1 - s.Var("y_first")))
    number = s.Var("blank") + s.Var("y_count") * below
    place = Let("blank_from", index(s.Var("blank_c") * _CHANNEL_SIZE + number * _LINE_SIZE))
    store = Store("seen", s.Var("blank_from") + s.Var("blank_x"), form.zero)
    clear = loops.vector("blank_x", _LINE_SIZE, form.lanes, store)
    return loops.serial("blank_c", _DEPTH, loops.serial("blank", _LINES - s.Var("y_count"), place, clear))


# Sums


def _tabulate(form: Form) -> list[Statement]:
    """Say where the places of a filter are: unrolled ones in the filter, others in what is seen."""
    if form.taps:
        places = [(t, *divmod(t, len(form.taps.across))) for t in form.taps.numbers]
        return [Let(f"w_place{t}", index(i * s.Var("w_down") + j * s.Var("w_across"))) for t, i, j in places]
    c, i, columns = s.Var("at_c"), s.Var("at_i"), s.Var("at_j") * s.Var("apart_across")
    seen = c * _CHANNEL_SIZE + i * s.Var("apart_down") * _LINE_SIZE + columns % _ACROSS * _PITCH + columns // _ACROSS
    term = (c * s.Var("taps_down") + i) * s.Var("taps_across") + s.Var("at_j")
    each = loops.serial("at_j", s.Var("taps_across"), Store("places", term, index(seen)))
    table = loops.serial("at_c", _DEPTH, loops.serial("at_i", s.Var("taps_down"), each))
    terms = Let("terms", index(_DEPTH * s.Var("taps_down") * s.Var("taps_across")))
    return [Scratch("places", INDEX, TERMS), terms, table]


def _filters(form: Form) -> list[Statement]:
    """Say where a block of filters begins; of unrolled places, load the weights."""
    first = Let("first_filter", index(_BLOCK * form.filters))
    if not form.taps:
        start = (_PART * s.Var("blocks") + _BLOCK) * s.Var("terms") * form.filters
        return [first, Let("w_from", index(start))]
    start = s.Var("w_base") + _PART * s.Var("w_part") + s.Var("first_filter") * s.Var("w_row")
    weights = [Load(f"weight{t}", "w", s.Var("w_from") + s.Var(f"w_place{t}")) for t in form.taps.numbers]
    return [first, Let("w_from", index(start)), *weights]


def _sum(form: Form) -> list[Statement]:
    """Compute and store some lines after the other."""
    starts, bases, stores = _store(form)
    if form.taps and form.taps.rolls:
        return [*starts, *_rolling(form, form.taps, [*bases, *stores])]
    sums = [
        *(Local(f"sum{f}_{r}", form.zero) for f, r in _sums(form)),
        *(_unrolled(form, form.taps) if form.taps else _by_table(form)),
        *stores,
    ]
    start = _GROUP * form.lines * s.Var("down") * _LINE_SIZE
    groups = (_HIGH + (form.lines - 1)) // form.lines
    return [*starts, loops.serial("group", groups, Let("from_here", index(start)), *bases, _columns(form, *sums))]


def _columns(form: Form, *body: Statement) -> loops.For:
    """Run ``body`` for all columns, a vector of them at a time, first at ``column_at``."""
    at, lanes = s.Var("column_at"), form.lanes
    some = loops.vector("lane", s.minimum(s.Const(lanes), _WIDE - at), lanes, *body)
    return loops.serial("columns", (_WIDE + (lanes - 1)) // lanes, Let(at.name, index(s.Var("columns") * lanes)), some)


def _rolling(form: Form, taps: Taps, stores: list[Statement]) -> list[Statement]:
    """Go down the lines: what windows see of a line is loaded once for all that see it.

    Meanwhile the next channel's are fetched, for which copying and storing would wait. Before a line of results is
    computed, ``open1`` is what was added to it already, ``open2`` what was to the next one, and so on.
    """
    down, across, step = taps.down, range(len(taps.across)), taps.step
    before = max(0, down - step)  # lines of a window that an earlier one has seen
    opens = -(-before // step)

    def take(name: str, first: s.Expr, lines: range) -> tuple[list[Statement], list[s.Expr]]:
        """Load lines of the next window; return that, and what the sums are with them."""
        loads: list[Statement] = []
        totals = [*(s.Var(f"open{n + 1}") for n in range(opens)), s.Const(0.0)]
        for line in lines:
            place = (first + line) * _LINE_SIZE + _COLUMN
            for j, (phase, column) in enumerate(taps.across):
                loads.append(Load(f"{name}{line}_{j}", "seen", place + phase * _PITCH + column))
            for n, j in product(range(opens + 1), across):
                if 0 <= (i := line - n * step):
                    pixel = s.Var(f"{name}{line}_{j}")
                    totals[n] = s.fma(s.Var(f"tap{i * len(across) + j}"), pixel, totals[n])
        return loads, totals

    begun, totals = take("first", _ZERO, range(before))
    begun += [Assign(f"open{n + 1}", totals[n]) for n in range(opens)]
    loads, totals = take("pixel", _GROUP * step, range(before, down))
    onward = [Assign(f"open{n}", totals[n]) for n in range(1, opens + 1)]
    fetch = _fetch(form) if step == 1 else []  # else there is more to do than to wait for
    columns = _columns(
        form,
        *(Local(f"tap{t}", s.Var(f"weight{t}")) for t in taps.numbers),
        *(Local(f"open{n + 1}", form.zero) for n in range(opens)),
        *begun,
        loops.serial("group", _HIGH, *fetch, *loads, Let("sum0_0", totals[0]), *onward, *stores),
    )
    return [
        Let("next_from", index(s.Var("look_base") + s.Var("x_part"))),
        Let("next_out", index(s.Var("out_from0") + s.Var("out_channel"))),
        columns,
    ]


def _fetch(form: Form) -> list[Statement]:
    """Fetch what the next channel's windows see, and what they write, in place of what this one's do now."""
    apart = s.Const(form.apart) if form.apart else _ACROSS * s.Var("x_step")
    step = _STEPS.get(form.step, s.Var("out_step"))
    image = s.Var("next_from") + _GROUP * s.Var("x_line") + s.Var("column_at") * apart
    out = s.Var("next_out") + _GROUP * s.Var("out_line") + s.Var("column_at") * step
    return [loops.Prefetch("x", image, later=True), loops.Prefetch("out0", out)]


def _sums(form: Form) -> list[Pair]:
    return list(product(range(form.filters), range(form.lines)))


def _add(f: int, r: int, weight: s.Expr, pixel: s.Expr) -> Assign:
    return Assign(f"sum{f}_{r}", s.fma(weight, pixel, s.Var(f"sum{f}_{r}")))


def _by_table(form: Form) -> list[Statement]:
    """Add the products of all places, found in the table; the filters of a block are turned: [places, filters]."""
    p, filters = s.Var("p"), range(form.filters)
    body: list[Statement] = [Load("place", "places", p), Let("at", index(s.Var("from_here") + s.Var("place")))]
    body += [Load(f"weight{f}", "w", s.Var("w_from") + p * form.filters + f) for f in filters]
    for r in range(form.lines):
        body.append(Load(f"pixel{r}", "seen", s.Var("at") + r * s.Var("down") * _LINE_SIZE + _COLUMN))
        body += [_add(f, r, s.Var(f"weight{f}"), s.Var(f"pixel{r}")) for f in filters]
    return [loops.serial("p", s.Var("terms"), *body)]


def _unrolled(form: Form, taps: Taps) -> list[Statement]:
    """Add the products of all places of one channel line by line; what several windows see is loaded once."""
    users: dict[int, list[Pair]] = {}
    for r, i in product(range(form.lines), range(taps.down)):
        users.setdefault(r * taps.step + i * taps.dilation, []).append((r, i))
    body: list[Statement] = []
    for line in sorted(users):
        for j, (phase, column) in enumerate(taps.across):
            name, place = f"pixel{line}_{j}", line * _LINE_SIZE + phase * _PITCH + column + _COLUMN
            body.append(Load(name, "seen", s.Var("from_here") + place))
            body += [_add(0, r, s.Var(f"weight{i * len(taps.across) + j}"), s.Var(name)) for r, i in users[line]]
    return body


# Results


def _store(form: Form) -> tuple[list[Statement], list[Statement], list[Statement]]:
    """Apply the epilogue: say where the results of filters and of lines begin, and then what is stored.

    Filters and lines that do not exist are stored as the last ones, and then these are: under conditions, LLVM would
    compute one sum after the other, three times slower.
    """
    letters = zip(("out", *form.epilogue.names), (form.step, *form.epilogue.letters), strict=True)
    steps = {name: _STEPS.get(letter, s.Var(f"{name}_step")) for name, letter in letters}
    starts: list[Statement] = []
    for f, (name, step) in product(range(form.filters), steps.items()):
        channel = _PART * s.Var("m") + s.minimum(s.Var("first_filter") + f, s.Var("m") - 1)
        place = s.Var(f"{name}_base") + _IMAGE * s.Var(f"{name}_image") + channel * s.Var(f"{name}_channel")
        place = place + _FIRST_LINE * s.Var(f"{name}_line") + _FIRST_COLUMN * step
        starts.append(Let(f"{name}_from{f}", index(place)))
    lines = [Let(f"line{r}", index(s.minimum(_GROUP * form.lines + r, _HIGH - 1))) for r in range(form.lines)]
    bases: list[Statement] = [*lines]
    stores: list[Statement] = []
    for f, r in reversed(_sums(form)):
        for name in steps:
            place = s.Var(f"{name}_from{f}") + s.Var(f"line{r}") * s.Var(f"{name}_line")
            bases.append(Let(f"{name}_at{f}_{r}", index(place)))
        for name, letter in zip(form.epilogue.names, form.epilogue.letters, strict=True):
            place = s.Var(f"{name}_at{f}_{r}") + _COLUMN * steps[name] if letter != "b" else s.Var(f"{name}_at{f}_{r}")
            (bases if letter == "b" else stores).append(Load(f"{name}_{f}_{r}", f"{name}_buffer", place))
        stores += _results(form, f"{f}_{r}", steps["out"])
    return starts, bases, stores


def _results(form: Form, sum_: str, step: s.Expr) -> list[Statement]:
    renamed: dict[s.Expr, s.Expr] = {s.Var(name): s.Var(f"{name}_{sum_}") for name in form.epilogue.names}
    renamed[s.Var("product")] = s.Var(f"sum{sum_}")
    pairs = zip(form.epilogue.values, form.epilogue.outputs, strict=True)
    values = [s.cast(s.substitute(value, renamed), np.dtype(dtype)) for value, dtype in pairs]
    return [Store(f"out{k}", s.Var(f"out_at{sum_}") + _COLUMN * step, value) for k, value in enumerate(values)]
