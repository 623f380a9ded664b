"""The loops of products of bytes in quads (`int8_pack_loops`): pixels, or rows of a matrix, by panels of filters.

In quads a convolution of bytes is one of int32, with a quarter of the channels, and so is a product of matrices, whose
rows are the pixels; the micro-kernel is that of all products (`gemm_loops`). Zero points are put right afterwards:
``sum (x - a) w = sum x w - a sum w`` (Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2018), with what belongs to a filter alone in an array of offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated import int8_pack_loops
from tensorlite.kernels.generated.gemm_loops import FIRST_COLUMN, FIRST_ROW, HEIGHT, TASK, WIDTH, Epilogue, Schedule
from tensorlite.kernels.generated.int8_pack_loops import LANES, WORD
from tensorlite.kernels.loops import INDEX, Buffer, Let, Load, Parameter, Scratch, Statement, Store, index

DType = np.dtype[Any]
_SQUARE = 16  # bytes: 32 and 64 at a time were no faster, for want of registers (measured)


@dataclass(frozen=True, slots=True)
class Form:
    """What a product is specialised to.

    Results are finished row by row: those of one pixel side by side. ``turned``: in memory those of one filter are,
    as in images; else they stay as they are. ``whole``: sums are finished where they are, there being one block.
    """

    schedule: Schedule
    epilogue: Epilogue
    turned: bool
    whole: bool

    def key(self) -> str:
        """Return what names the kernel."""
        return f"product of quads {self.schedule} {self.turned} {self.whole} {self.epilogue.text()}"

    @property
    def result(self) -> DType:
        """The dtype of the result."""
        return np.dtype(self.epilogue.outputs[0])

    @property
    def square(self) -> int:
        """The size of the squares by which results are turned."""
        return min(self.schedule.lanes, self.schedule.square if self.result == WORD else _SQUARE)

    @property
    def pitch(self) -> int:
        """How far apart the rows of turned results are: so many pixels, in whole squares."""
        return -(-self.schedule.band // self.square) * self.square


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``product_kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "depth", "thickness", "taps_down", "taps_across"]
    names += [*parts.TAPS, "x_base", "x_image", "x_part", "x_channel", "x_line", "x_step", "x_run", "x_runs"]
    names += ["w_part", "w_pitch", "filters_in_all", "pixels", "out_first"]
    return names + [f"{name}_{what}" for name in form.epilogue.names for what in ("row", "channel")]


def product_kernel(form: Form) -> loops.Kernel:
    """Return the loops of a product: buffers x and filters, both in quads, and those of the epilogue."""
    buffers = [Buffer("x", WORD), Buffer("filters", WORD), *gemm.outputs(form.epilogue)]
    return loops.build("product_of_quads", (*buffers, *map(Parameter, parameters(form))), (_task(form),))


def _task(form: Form) -> loops.For:
    schedule, pitch = form.schedule, s.Var("w_pitch")
    left = gemm.Left(
        "x",
        lambda name, number: ([Load(name, "pixel_table", number)], s.Var(name) + s.Var("x_start")),
        lambda p: ([Load("x_tap", "x_table", p)], s.Var("x_tap")),
    )
    right = gemm.Right("filters", lambda p: ([], s.Var("w_start") + p * pitch), s.Const(schedule.lanes))
    terms = s.Var("depth") * s.Var("taps")
    panel = s.Var("part") * s.Var("w_part") + FIRST_COLUMN // pitch * (terms * pitch) + FIRST_COLUMN % pitch
    x_start = s.Var("x_base") + s.Var("part") * s.Var("x_part") + s.Var("start") * s.Var("x_channel")
    body: list[Statement] = [
        Let("length", index(s.Var("count") * s.Var("taps"))),
        Let("x_start", index(x_start)),
        Let("w_start", index(panel + s.Var("start") * s.Var("taps") * pitch)),
        _multiply(form, left, right),
    ]
    results = [Scratch("results", form.result, form.pitch * schedule.lanes)] if form.turned else []
    return loops.parallel(
        "task",
        s.Var("tasks"),
        *(() if form.whole else gemm.scratch(schedule, panel=False)),
        *results,
        *parts.where(schedule.lanes, across="m", down="n"),
        Let("first_filter", index(s.Var("part") * s.Var("m") + FIRST_COLUMN)),
        *_tables(schedule),
        *_clear(form),
        *gemm.blocks(s.Var("depth"), s.Var("thickness"), *body),
        *(store_turned(form, HEIGHT) if form.turned else ()),
    )


def _tables(schedule: Schedule) -> list[Statement]:
    """Tabulate where the terms of a sum are, and where pixels are."""
    c, i = s.Var("c"), s.Var("seen_i")
    term = Store("x_table", c * s.Var("taps") + s.Var("tap"), index(c * s.Var("x_channel") + s.Var("tap_place")))
    place = s.Var("seen_image") * s.Var("x_image") + s.Var("seen_line") * s.Var("x_line")
    place = place + s.Var("seen_at") * s.Var("x_step")
    tabulate = Store("pixel_table", s.Var("seen_to") + i, index(s.Var("seen_place") + i * s.Var("x_step")))
    seen = Let("seen_place", index(place)), loops.vector("seen_i", s.Var("seen_count"), 8, tabulate)
    return [
        Scratch("x_table", INDEX, schedule.depth),
        Scratch("pixel_table", INDEX, schedule.band),
        parts.each_tap(loops.serial("c", s.Var("thickness"), term)),
        *parts.segments("seen", FIRST_ROW, HEIGHT, s.Var("x_run"), s.Var("x_runs"), *seen),
    ]


def _clear(form: Form) -> list[Statement]:
    """Name the number of groups of pixels, and set the sums to zero if they are added to."""
    first, *rest = gemm.clear_tile(form.schedule)
    return [first] if form.whole else [first, *rest]


def _multiply(form: Form, left: gemm.Left, right: gemm.Right) -> loops.For:
    """Multiply, and finish the sums: by rows of the tile after the last block, or in registers if there is one."""
    announce = _announce(form) if form.turned else ()
    if not form.whole:
        return gemm.multiply(form.schedule, left, right, *_finish_row(form), announce=announce)

    def finished(r: int) -> list[Statement]:
        number = s.Var("group") * form.schedule.rows + r
        before, inner = _finished(form, f"sum{r}", number, gemm.LANE, f"_{r}")
        return [*before, *inner]

    return gemm.multiply(form.schedule, left, right, announce=announce, finished=finished)


def _finish_row(form: Form) -> list[Statement]:
    """Apply the epilogue to the sums of one pixel, the row ``r`` of the tile."""
    before, inner = _finished(form, "product", s.Var("r"), s.Var("column"))
    start = Let("from", index(s.Var("r") * form.schedule.lanes))
    load = Load("product", "tile", s.Var("from") + s.Var("column"))
    return [start, *before, loops.vector("column", WIDTH, form.schedule.lanes, load, *inner)]


def _finished(form: Form, total: str, number: s.Expr, lane: s.Expr, suffix: str = "") -> tuple[list[Statement], ...]:
    """Return what finishes the sums ``total`` of a task's pixel: what is done once, and what for each lane."""
    row = FIRST_ROW + s.minimum(number, HEIGHT - 1)  # pixels beyond the last are the last again
    to = number * form.schedule.lanes
    if not form.turned:
        to = row * s.Var("filters_in_all") + s.Var("first_filter")
    before: list[Statement] = [Let(f"to{suffix}", index(to))]
    inner: list[Statement] = []
    named: dict[s.Expr, s.Expr] = {s.Var("product"): s.Var(total)}
    for name, letter in zip(form.epilogue.names, form.epilogue.letters, strict=True):
        step = {"u": s.Const(1), "b": s.Const(0)}.get(letter, s.Var(f"{name}_channel"))
        at, found = s.Var(f"{name}_at{suffix}"), s.Var(f"{name}{suffix}_value")
        named[s.Var(name)] = found
        before.append(Let(at.name, index(row * s.Var(f"{name}_row") + s.Var("first_filter") * step)))
        if letter == "b":
            before.append(Load(found.name, f"{name}_buffer", at))
        else:
            inner.append(Load(found.name, f"{name}_buffer", at + lane * step))
    value = s.cast(s.substitute(form.epilogue.values[0], named), form.result)
    inner.append(Store("results" if form.turned else "out0", s.Var(f"to{suffix}") + lane, value))
    return before, inner


def _announce(form: Form) -> list[Statement]:
    """Fetch the lines that the task will write: those of some filters for each group of pixels."""
    group, line, filter_ = s.Var("group"), s.Var("soon_line"), s.Var("soon_first") + s.Var("soon")
    elements = 64 // form.result.itemsize
    image = FIRST_ROW // s.Var("pixels") * s.Var("filters_in_all") + s.Var("first_filter")
    place = s.Var("out_first") + (image + filter_) * s.Var("pixels") + FIRST_ROW % s.Var("pixels")
    fetch = loops.Prefetch("out0", s.Var("soon_place") + line * elements)
    return [
        Let("soon_first", index(group * WIDTH // gemm.GROUPS)),
        loops.serial(
            "soon",
            (group + 1) * WIDTH // gemm.GROUPS - s.Var("soon_first"),
            Let("soon_place", index(place)),
            loops.serial("soon_line", HEIGHT // elements + 1, fetch),
        ),
    ]


def store_turned(form: Form, count: s.Expr) -> list[Statement]:
    """Turn the finished rows, and store the ``count`` pixels of each filter."""
    high, wide, size, lanes, i = s.Var("high"), s.Var("wide"), form.square, form.schedule.lanes, s.Var("done_i")
    square = loops.Transpose(
        "turned", wide * (size * form.pitch) + high * size, form.pitch, "results",
        high * (size * lanes) + wide * size, lanes, size,
    )  # fmt: skip
    squares = loops.serial("wide", (WIDTH + (size - 1)) // size, square)
    image = s.Var("done_image") * s.Var("filters_in_all") + s.Var("first_filter") + s.Var("filter")
    start = s.Var("out_first") + image * s.Var("pixels") + s.Var("done_at")
    load = Load("moved", "turned", s.Var("done_from") + i)
    store = Store("out0", s.Var("done_start") + i, s.Var("moved"))
    copy = loops.vector("done_i", s.Var("done_count"), size, load, store)
    places = Let("done_start", index(start)), Let("done_from", index(s.Var("filter") * form.pitch + s.Var("done_to")))
    each = loops.serial("filter", WIDTH, *places, copy)
    return [
        Scratch("turned", form.result, form.pitch * lanes),
        loops.serial("high", (count + (size - 1)) // size, squares),
        *parts.segments("done", FIRST_ROW, count, s.Var("pixels"), s.Const(1), each),
    ]


# Zero points


@dataclass(frozen=True, slots=True)
class Offsets:
    """What the offsets are specialised to: the dtype of zero points of images, and which terms there are."""

    dtype: str
    weighted: bool
    biased: bool

    def key(self) -> str:
        """Return what names the kernel."""
        return f"offsets of filters {self}"


OFFSET_PARAMETERS = ("parts", "m", "pitched", "totals", "terms", "raised", "weight_step", "bias_step")


def offset_kernel(form: Offsets) -> loops.Kernel:
    """Return the loops of ``bias - (a + raised) (sum w - terms b)``, a and b the zero points of images and filters.

    Buffers: the panels, which end with the sums; a, b if it is ``weighted``, the bias if it is ``biased``; offsets.
    """
    names = ["filters", "zero", *["weight_zero"] * form.weighted, *["bias"] * form.biased]
    dtypes = [WORD, np.dtype(form.dtype), *[np.dtype(np.int8)] * form.weighted, *[WORD] * form.biased]
    buffers = [Buffer(name, dtype) for name, dtype in zip(names, dtypes, strict=True)]
    filter_ = s.Var("part") * s.Var("m") + s.Var("f")
    total: s.Expr = s.Var("total")
    body: list[Statement] = [Load("total", "filters", s.Var("totals") + s.Var("part") * s.Var("pitched") + s.Var("f"))]
    if form.weighted:
        body.append(Load("b", "weight_zero", filter_ * s.Var("weight_step")))
        total = total - s.cast(s.Var("b"), WORD) * s.cast(s.Var("terms"), WORD)
    value = -(s.Var("a") * total)
    if form.biased:
        body.append(Load("biased", "bias", filter_ * s.Var("bias_step")))
        value = s.Var("biased") + value
    zero = Load("zero_point", "zero", s.Const(0))
    raised = Let("a", s.cast(s.Var("zero_point"), WORD) + s.cast(s.Var("raised"), WORD))
    each = loops.vector("f", s.Var("m"), LANES, *body, Store("offsets", filter_, value))
    task = loops.parallel("part", s.Var("parts"), zero, raised, each)
    numbers = map(Parameter, OFFSET_PARAMETERS)
    return loops.build("offsets", (*buffers, Buffer("offsets", WORD, writable=True), *numbers), (task,))


def ones_kernel() -> loops.Kernel:
    """Return the loops of filters of ones in panels, [panels, quads, run]; the last quad may lack some channels."""
    ones = s.cast(int8_pack_loops.ONES, WORD)
    last = s.equal(TASK % s.Var("quads") + 1, s.Var("quads"))
    value = s.where(last, ones >> s.cast(s.Var("missing") * 8, WORD), ones)
    fill = Store("ones", TASK * s.Var("run") + s.Var("z"), s.Var("value"))
    task = loops.parallel("task", s.Var("tasks"), Let("value", value), loops.vector("z", s.Var("run"), LANES, fill))
    numbers = map(Parameter, ("tasks", "quads", "run", "missing"))
    return loops.build("ones", (Buffer("ones", WORD, writable=True), *numbers), (task,))
