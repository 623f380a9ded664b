"""The loops of convolutions as products of matrices whose right operand is gathered panel by panel.

``kernel`` has filters as rows and pixels of the result as columns: it is `conv2d`, and a part of its transpose in the
images. ``weight_kernel`` has places of the filters as rows, filters as columns, and sums over pixels. ``pad_kernel``
copies images between zeros, so that every window lies inside, and sorts their pixels by phase: a window's steps are
then steps of 1 in a phase. Pixels are numbered through; a run is a number of them that lie side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import (
    FIRST_COLUMN,
    FIRST_ROW,
    HEIGHT,
    LENGTH,
    TASK,
    WIDTH,
    Epilogue,
    Schedule,
)
from tensorlite.kernels.loops import INDEX, Buffer, Let, Load, Parameter, Scratch, Statement, Store, Transpose, index

MOST_TAPS = 128
"""The places of a filter: there is memory for the offsets of so many."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to. ``step`` is "u" where neighbours in the result are neighbours in memory.

    Windows are gathered run by run, ``stretch`` pixels at once, whatever lies beyond a run: the next one overwrites
    it. If that is 0, nothing beyond a run is read.
    """

    schedule: Schedule
    epilogue: Epilogue
    step: str = "u"
    stretch: int = 0

    def key(self, name: str) -> str:
        """Return what names the kernel."""
        return f"{name} {self.schedule} {self.step} {self.stretch} {self.epilogue.text()}"


def _operands(form: Form) -> list[str]:
    return [f"e{k}" for k in range(len(form.epilogue.operands))]


_TAPS = [f"{axis}_{what}" for axis in ("down", "across") for what in ("step", "divided", "by", "phase", "shift")]
"""Where tap i of an axis is: at i step + (i divided % by) phase + (i divided // by) shift."""
_PLACES = ("base", "image", "channel", "line", "step")


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "depth", "thickness", "taps_down", "taps_across"]
    names += [*_TAPS, "x_base", "x_image", "x_part", "x_channel", "x_line", "x_run", "x_runs"]
    names += ["w_base", "w_part", "w_row", "w_channel", "w_down", "w_across", "run", "runs"]
    return names + [f"{name}_{what}" for name in ("out", *_operands(form)) for what in _PLACES]


def weight_parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``weight_kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "lines", "thickness", "taps_down", "taps_across", *_TAPS]
    names += ["x_base", "x_image", "x_part", "x_channel", "x_line", "run", "runs"]
    names += ["g_image", "g_part", "g_filter", "g_line", "g_run", "g_runs"]
    return names + [f"{name}_{what}" for name in _operands(form) for what in ("row", "step")]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of a product of filters and windows: buffers x, w, then those of the epilogue."""
    return _build("conv2d", form, ("x", "w"), parameters(form), _windows(form))


def weight_kernel(form: Form) -> loops.Kernel:
    """Return the loops of a product of windows and cotangents: buffers x, g, then those of the epilogue."""
    return _build("conv2d_weight", form, ("x", "g"), weight_parameters(form), _sums(form))


def _build(name: str, form: Form, read: tuple[str, str], numbers: list[str], task: loops.For) -> loops.Kernel:
    dtype = np.dtype(form.schedule.dtype)
    buffers = [*(Buffer(buffer, dtype) for buffer in read), *gemm.outputs(form.epilogue)]
    return loops.build(name, (*buffers, *map(Parameter, numbers)), (task,))


def _where(lanes: int) -> list[Statement]:
    """Name the part of the product that is the task's."""
    panels, bands, rest = s.Var("panels"), s.Var("bands"), s.Var("task_rest")
    return [
        Let("first_column", index(TASK % panels * lanes)),
        Let("task_rest", index(TASK // panels)),
        Let("first_row", index(rest % bands * s.Var("band"))),
        Let("part", index(rest // bands)),
        Let("height", index(s.minimum(s.Var("band"), s.Var("m") - FIRST_ROW))),
        Let("width", index(s.minimum(s.Const(lanes), s.Var("n") - FIRST_COLUMN))),
        Let("taps", index(s.Var("taps_down") * s.Var("taps_across"))),
    ]


def _each_tap(*body: Statement) -> loops.For:
    """Run ``body`` for each tap, number ``tap``, which is (``i``, ``j``); it is ``tap_place`` from the first one."""
    place: s.Expr = s.Const(0)
    for axis, number in (("down", s.Var("i")), ("across", s.Var("j"))):
        divided, by = number * s.Var(f"{axis}_divided"), s.Var(f"{axis}_by")
        place = place + number * s.Var(f"{axis}_step")
        place = place + divided % by * s.Var(f"{axis}_phase") + divided // by * s.Var(f"{axis}_shift")
    tap = Let("tap", index(s.Var("i") * s.Var("taps_across") + s.Var("j")))
    across = loops.serial("j", s.Var("taps_across"), tap, Let("tap_place", index(place)), *body)
    return loops.serial("i", s.Var("taps_down"), across)


def _segments(
    name: str, first: s.Expr, count: s.Expr, run: s.Expr, runs: s.Expr, *body: Statement
) -> list[Statement]:
    """Run ``body`` for each run of the pixels from ``first`` on: image, line, and where in it; how many, from which."""
    line, at, segment = s.Var(f"{name}_first"), s.Var(f"{name}_before"), s.Var(f"{name}_segment")
    here, start, to = (s.Var(f"{name}_{what}") for what in ("here", "at", "to"))
    return [
        Let(f"{name}_first", index(first // run)),
        Let(f"{name}_before", index(first % run)),
        loops.serial(
            f"{name}_segment",
            (at + count + (run - 1)) // run,
            Let(f"{name}_here", index(line + segment)),
            Let(f"{name}_image", index(here // runs)),
            Let(f"{name}_line", index(here % runs)),
            Let(f"{name}_at", index(s.maximum(s.Const(0), at - segment * run))),
            Let(f"{name}_to", index(s.maximum(s.Const(0), segment * run - at))),
            Let(f"{name}_count", index(s.minimum(run - start, count - to))),
            *body,
        ),
    ]


def _windows(form: Form) -> loops.For:
    schedule, thickness, c = form.schedule, s.Var("thickness"), s.Var("c")
    w_tap = c * s.Var("w_channel") + s.Var("i") * s.Var("w_down") + s.Var("j") * s.Var("w_across")
    number = c * s.Var("taps") + s.Var("tap")
    tables = loops.serial(
        "c",
        thickness,
        Store("w_table", number, index(w_tap)),
        Store("x_table", number, index(c * s.Var("x_channel") + s.Var("tap_place"))),
    )
    left = gemm.Left(
        "w",
        lambda _, number: ([], s.Var("w_start") + (FIRST_ROW + number) * s.Var("w_row")),
        lambda p: ([Load("w_tap", "w_table", p)], s.Var("w_tap")),
    )
    x_start = s.Var("x_base") + s.Var("part") * s.Var("x_part") + s.Var("start") * s.Var("x_channel")
    w_start = s.Var("w_base") + s.Var("part") * s.Var("w_part") + s.Var("start") * s.Var("w_channel")
    body = [
        Let("length", index(s.Var("count") * s.Var("taps"))),
        Let("x_start", index(x_start)),
        Let("w_start", index(w_start)),
        gemm.clear_panel(schedule),
        *(_gather_stretches(form) if form.stretch else _gather(form)),
        gemm.multiply(schedule, left, gemm.panel(schedule), *_store_windows(form)),
    ]
    return loops.parallel(
        "task",
        s.Var("tasks"),
        *gemm.scratch(schedule, spare=form.stretch),
        *_where(schedule.lanes),
        *(_stretches(form) if form.stretch else ()),
        Scratch("w_table", INDEX, schedule.depth),
        Scratch("x_table", INDEX, schedule.depth),
        _each_tap(tables),
        *gemm.clear_tile(schedule),
        *gemm.blocks(s.Var("depth"), thickness, *body),
    )


def _seen(*body: Statement) -> list[Statement]:
    """Run ``body`` for each run of pixels that the panel's columns see, first at ``seen_place`` in an image."""
    place = s.Var("seen_image") * s.Var("x_image") + s.Var("seen_line") * s.Var("x_line") + s.Var("seen_at")
    here = Let("seen_place", index(place))
    return _segments("seen", FIRST_COLUMN, WIDTH, s.Var("x_run"), s.Var("x_runs"), here, *body)


def _gather(form: Form) -> list[Statement]:
    """Copy what the taps see to the panel: run by run, row by row."""
    p, i, lanes = s.Var("seen_row"), s.Var("seen_i"), form.schedule.lanes
    start = Let("seen_start", index(s.Var("x_start") + s.Var("seen_place")))
    load = Load("seen", "x", s.Var("seen_start") + s.Var("seen_tap") + i)
    copy = loops.vector(
        "seen_i", s.Var("seen_count"), lanes, load, Store("panel", p * lanes + s.Var("seen_to") + i, s.Var("seen"))
    )
    return _seen(start, loops.serial("seen_row", LENGTH, Load("seen_tap", "x_table", p), copy))


def _stretches(form: Form) -> list[Statement]:
    """Tabulate the runs: where they are in images, and where in the panel."""
    places, number = [Scratch(f"{name}_table", INDEX, form.schedule.lanes + 1) for name in ("from", "to")], s.Var
    stores = [Store(f"{name}_table", number("seen_segment"), number(f"seen_{of}"))
              for name, of in (("from", "place"), ("to", "to"))]  # fmt: skip
    runs = (s.Var("seen_before") + WIDTH + (s.Var("x_run") - 1)) // s.Var("x_run")
    return [*places, *_seen(*stores), Let("stretches", index(runs))]


def _gather_stretches(form: Form) -> list[Statement]:
    """Copy what the taps see to the panel: row by row, run by run."""
    p, run, i, lanes = s.Var("seen_row"), s.Var("stretch"), s.Var("seen_i"), form.schedule.lanes
    copy = loops.vector(
        "seen_i",
        form.stretch,
        form.stretch,
        Load("seen", "x", s.Var("seen_start") + s.Var("x_from") + i),
        Store("panel", p * lanes + s.Var("x_to") + i, s.Var("seen")),
    )
    start = Let("seen_start", index(s.Var("x_start") + s.Var("seen_tap")))
    look_up = Load("x_from", "from_table", run), Load("x_to", "to_table", run)
    runs = loops.serial("stretch", s.Var("stretches"), *look_up, copy)
    return [loops.serial("seen_row", LENGTH, Load("seen_tap", "x_table", p), start, runs)]


def _store_windows(form: Form) -> list[Statement]:
    channel = s.Var("part") * s.Var("m") + FIRST_ROW + s.Var("r")

    def place(name: str, step: s.Expr) -> s.Expr:
        place = s.Var(f"{name}_base") + s.Var("done_image") * s.Var(f"{name}_image")
        place = place + channel * s.Var(f"{name}_channel") + s.Var("done_line") * s.Var(f"{name}_line")
        return place + s.Var("done_at") * step

    names = _operands(form)
    letters = {"u": s.Const(1), "b": s.Const(0)}
    steps = [s.Var(f"{name}_step") for name in names]
    operands = [
        place(name, letters.get(letter, s.Var(f"{name}_step")))
        for name, letter in zip(names, form.epilogue.letters, strict=True)
    ]
    step = letters.get(form.step, s.Var("out_step"))
    start = s.Var("r") * form.schedule.lanes + s.Var("done_to")
    row = gemm.Row("tile", start, s.Var("done_count"), place("out", step), operands, steps, step)
    store = gemm.store_row(form.schedule, form.epilogue, row)
    return _segments("done", FIRST_COLUMN, WIDTH, s.Var("run"), s.Var("runs"), *store)


def _sums(form: Form) -> loops.For:
    schedule, run = form.schedule, s.Var("run")
    table = gemm.Left(
        "x",
        lambda name, number: ([Load(name, "row_table", number)], s.Var(name)),
        lambda p: ([Load("x_place", "pixel_table", p)], s.Var("x_place")),
    )
    body = [
        Let("length", index(s.Var("count") * run)),
        gemm.clear_panel(schedule),
        *_turn(schedule),
        *_pixel_table(),
        gemm.multiply(schedule, table, gemm.panel(schedule)),
    ]
    return loops.parallel(
        "task",
        s.Var("tasks"),
        *gemm.scratch(schedule),
        *_where(schedule.lanes),
        Scratch("tap_table", INDEX, MOST_TAPS),
        _each_tap(Store("tap_table", s.Var("tap"), s.Var("tap_place"))),
        *_row_table(schedule),
        *gemm.clear_tile(schedule),
        Scratch("pixel_table", INDEX, schedule.depth),
        *gemm.blocks(s.Var("lines"), s.Var("thickness"), *body),
        *_store_weights(form),
    )


def _turn(schedule: Schedule) -> list[Statement]:
    """Pack cotangents run by run: filters become the panel's columns."""
    base = s.Var("seen_image") * s.Var("g_image") + s.Var("seen_line") * s.Var("g_line") + s.Var("seen_at")
    base = base + s.Var("part") * s.Var("g_part") + FIRST_COLUMN * s.Var("g_filter")
    stride, start = s.Var("g_filter"), s.Var("seen_base")
    turn = gemm.pack_columns(
        schedule, "g", lambda p, column: start + p + column * stride, stride, s.Var("seen_count"), s.Var("seen_to")
    )
    first, run = s.Var("start") * s.Var("run"), s.Var("g_run")
    return _segments("seen", first, LENGTH, run, s.Var("g_runs"), Let("seen_base", index(base)), turn)


def _row_table(schedule: Schedule) -> list[Statement]:
    """Tabulate where the first pixel is that a row's tap sees."""
    number = FIRST_ROW + s.Var("h")
    place = s.Var("x_base") + s.Var("part") * s.Var("x_part") + number // s.Var("taps") * s.Var("x_channel")
    find = Load("row_tap", "tap_table", number % s.Var("taps"))
    store = Store("row_table", s.Var("h"), index(place + s.Var("row_tap")))
    return [Scratch("row_table", INDEX, schedule.band), loops.serial("h", HEIGHT, find, store)]


def _pixel_table() -> list[Statement]:
    """Tabulate where the pixels of a block are from the first one."""
    line, pixel = s.Var("start") + s.Var("l"), s.Var("pixel")
    base = line // s.Var("runs") * s.Var("x_image") + line % s.Var("runs") * s.Var("x_line")
    store = Store("pixel_table", s.Var("l") * s.Var("run") + pixel, index(s.Var("line_base") + pixel))
    across = loops.vector("pixel", s.Var("run"), 8, store)
    return [loops.serial("l", s.Var("count"), Let("line_base", index(base)), across)]


def _store_weights(form: Form) -> list[Statement]:
    """Turn the tile, so that a filter's places lie along memory, and store it."""
    schedule, size, r = form.schedule, form.schedule.square, s.Var("r")
    high, wide = s.Var("high"), s.Var("wide")
    turn = Transpose(
        "turned", wide * (size * schedule.band) + high * size, schedule.band, "tile",
        high * (size * schedule.lanes) + wide * size, schedule.lanes, size,
    )  # fmt: skip
    squares = loops.serial("wide", (WIDTH + (size - 1)) // size, turn)
    filter_number, names = s.Var("part") * s.Var("n") + FIRST_COLUMN + r, _operands(form)
    letters = {"u": s.Const(1), "b": s.Const(0)}
    places = [
        filter_number * s.Var(f"{name}_row") + FIRST_ROW * letters.get(letter, s.Var(f"{name}_step"))
        for name, letter in zip(names, form.epilogue.letters, strict=True)
    ]
    to = filter_number * s.Var("m") + FIRST_ROW
    row = gemm.Row("turned", r * schedule.band, HEIGHT, to, places, [s.Var(f"{name}_step") for name in names])
    return [
        Scratch("turned", np.dtype(schedule.dtype), schedule.band * schedule.lanes),
        loops.serial("high", (HEIGHT + (size - 1)) // size, squares),
        loops.serial("r", WIDTH, *gemm.store_row(schedule, form.epilogue, row)),
    ]


@dataclass(frozen=True, slots=True)
class Pad:
    """What a kernel that pads is specialised to: dtypes, and whether the source's pixels are neighbours in memory."""

    dtype: str
    letter: str

    def key(self) -> str:
        """Return what names the kernel."""
        return f"pad images {self}"


PAD_PARAMETERS = (
    *("tasks", "channels", "phases_down", "phases_across", "height", "width", "down", "across", "top", "left"),
    *("source_height", "source_width", "source_image", "source_channel", "source_line", "source_step"),
)


def pad_kernel(form: Pad) -> loops.Kernel:
    """Return the loops that copy images: [images, channels, phases down, phases across, height, width].

    Pixel (y, x) of phase (i, j) is the source's pixel (y down + i - top, x across + j - left), or zero outside of it.
    """
    dtype, line = np.dtype(form.dtype), s.Var("line")
    down, across, left, height, width = map(s.Var, ("down", "across", "left", "height", "width"))
    row, phase = s.Var("row"), s.Var("phase")
    y = line * down + phase // s.Var("phases_across") - s.Var("top")
    inside = s.minimum(s.Const(1), s.maximum(s.Const(0), s.minimum(row + 1, s.Var("source_height") - row)))
    shift = left - s.Var("column")  # of the first pixel of this phase: where the source begins
    first = s.minimum(width, (s.maximum(s.Const(0), shift) + across - 1) // across)
    last = s.minimum(width, (s.maximum(s.Const(0), s.Var("source_width") + shift) + across - 1) // across)
    base = TASK // s.Var("channels") * s.Var("source_image") + TASK % s.Var("channels") * s.Var("source_channel")
    step = s.Const(1) if form.letter == "u" else s.Var("source_step")
    source = s.Var("source_base") + row * s.Var("source_line") + (s.Var("first") * across - shift) * step
    to = (TASK * (s.Var("phases_down") * s.Var("phases_across")) + phase) * (height * width) + line * width
    clear = loops.vector("z", width, 16, Store("padded", s.Var("to") + s.Var("z"), loops.constant(0.0, dtype)))
    load = Load("moved", "source", s.Var("from") + s.Var("x") * (across * step))
    store = Store("padded", s.Var("to") + s.Var("first") + s.Var("x"), s.Var("moved"))
    lines: list[Statement] = [
        Let("row", index(y)),
        Let("count", index(s.maximum(s.Const(0), s.Var("last") - s.Var("first")) * inside)),
        Let("to", index(to)),
        Let("from", index(source)),
        clear,
        loops.vector("x", s.Var("count"), 16, load, store),
    ]
    phases: list[Statement] = [
        Let("column", index(phase % s.Var("phases_across"))),
        Let("first", index(first)),
        Let("last", index(last)),
        loops.serial("line", height, *lines),
    ]
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Let("source_base", index(base)),
        loops.serial("phase", s.Var("phases_down") * s.Var("phases_across"), *phases),
    )
    buffers = (Buffer("source", dtype), Buffer("padded", dtype, writable=True))
    return loops.build("pad", (*buffers, *map(Parameter, PAD_PARAMETERS)), (task,))
