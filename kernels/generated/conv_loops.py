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


def _where(lanes: int, across: str = "n", down: str = "m") -> list[Statement]:
    """Name the part of the product that is the task's."""
    panels, bands, rest = s.Var("panels"), s.Var("bands"), s.Var("task_rest")
    return [
        Let("first_column", index(TASK % panels * lanes)),
        Let("task_rest", index(TASK // panels)),
        Let("first_row", index(rest % bands * s.Var("band"))),
        Let("part", index(rest // bands)),
        Let("height", index(s.minimum(s.Var("band"), s.Var(down) - FIRST_ROW))),
        Let("width", index(s.minimum(s.Const(lanes), s.Var(across) - FIRST_COLUMN))),
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
    store = _store_windows(form, "tile", schedule.lanes, FIRST_ROW, FIRST_COLUMN, WIDTH)
    body = [
        Let("length", index(s.Var("count") * s.Var("taps"))),
        Let("x_start", index(x_start)),
        Let("w_start", index(w_start)),
        gemm.clear_panel(schedule),
        *(_gather_stretches(form) if form.stretch else _gather(form)),
        gemm.multiply(schedule, left, gemm.panel(schedule), *store),
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


def _store_windows(
    form: Form, source: str, pitch: int, channel: s.Expr, first: s.Expr, count: s.Expr
) -> list[Statement]:
    """Apply the epilogue to row ``r`` of ``source``: ``count`` pixels from ``first`` on of channel ``channel + r``."""
    channel = s.Var("part") * s.Var("m") + channel + s.Var("r")

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
    start = s.Var("r") * pitch + s.Var("done_to")
    row = gemm.Row(source, start, s.Var("done_count"), place("out", step), operands, steps, step, form.schedule.square)
    store = gemm.store_row(form.schedule, form.epilogue, row)
    return _segments("done", first, count, s.Var("run"), s.Var("runs"), *store)


def pixel_parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``pixel_kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "depth", "thickness", "taps_down", "taps_across", *_TAPS]
    names += ["x_base", "x_image", "x_part", "x_channel", "x_line", "x_run", "x_runs", "run", "runs"]
    return names + [f"{name}_{what}" for name in ("out", *_operands(form)) for what in _PLACES]


def pixel_kernel(form: Form) -> loops.Kernel:
    """Return the loops of a product of windows and filters: pixels are rows, the filters turned and padded before."""
    return _build("conv2d", form, ("x", "turned_w"), pixel_parameters(form), _pixels(form))


def _pixels(form: Form) -> loops.For:
    schedule, thickness, c = form.schedule, s.Var("thickness"), s.Var("c")
    number = c * s.Var("taps") + s.Var("tap")
    table = Store("x_table", number, index(c * s.Var("x_channel") + s.Var("tap_place")))
    left = gemm.Left(
        "x",
        lambda name, number: ([Load(name, "pixel_table", number)], s.Var(name) + s.Var("x_start")),
        lambda p: ([Load("x_tap", "x_table", p)], s.Var("x_tap")),
    )
    right = gemm.Right("turned_w", lambda p: ([], s.Var("w_start") + p * schedule.lanes), s.Const(schedule.lanes))
    x_start = s.Var("x_base") + s.Var("part") * s.Var("x_part") + s.Var("start") * s.Var("x_channel")
    w_panel = (s.Var("part") * s.Var("panels") + TASK % s.Var("panels")) * s.Var("depth") + s.Var("start")
    body: list[Statement] = [
        Let("length", index(s.Var("count") * s.Var("taps"))),
        Let("x_start", index(x_start)),
        Let("w_start", index(w_panel * s.Var("taps") * schedule.lanes)),
        gemm.multiply(schedule, left, right, announce=_announce(form)),
    ]
    place = s.Var("seen_image") * s.Var("x_image") + s.Var("seen_line") * s.Var("x_line") + s.Var("seen_at")
    i = s.Var("seen_i")
    tabulate = Store("pixel_table", s.Var("seen_to") + i, index(s.Var("seen_place") + i))
    seen: list[Statement] = [Let("seen_place", index(place)), loops.vector("seen_i", s.Var("seen_count"), 8, tabulate)]
    return loops.parallel(
        "task",
        s.Var("tasks"),
        *gemm.scratch(schedule, panel=False),
        *_where(schedule.lanes, across="m", down="n"),
        Scratch("x_table", INDEX, schedule.depth),
        Scratch("pixel_table", INDEX, schedule.band),
        _each_tap(loops.serial("c", thickness, table)),
        *_segments("seen", FIRST_ROW, HEIGHT, s.Var("x_run"), s.Var("x_runs"), *seen),
        *gemm.clear_tile(schedule),
        *gemm.blocks(s.Var("depth"), thickness, *body),
        *_turn_tile(schedule),
        loops.serial("r", WIDTH, *_store_windows(form, "turned", schedule.band, FIRST_COLUMN, FIRST_ROW, HEIGHT)),
    )


FILTER_PARAMETERS = (
    *("tasks", "depth", "panels", "m", "taps_down", "taps_across"),
    *("w_base", "w_part", "w_row", "w_channel", "w_down", "w_across"),
)


def filter_kernel(schedule: Schedule) -> loops.Kernel:
    """Return the loops that turn filters: [parts, panels, channels, taps, lanes], zeros where there is no filter."""
    dtype, lanes, lane = np.dtype(schedule.dtype), schedule.lanes, s.Var("lane")
    rest, taps = s.Var("task_rest"), s.Var("taps_down") * s.Var("taps_across")
    base = s.Var("w_base") + rest // s.Var("panels") * s.Var("w_part") + TASK % s.Var("depth") * s.Var("w_channel")
    source = s.Var("channel_base") + s.Var("i") * s.Var("w_down") + s.Var("j") * s.Var("w_across")
    to = Let("to", index((TASK * taps + s.Var("i") * s.Var("taps_across") + s.Var("j")) * lanes))
    clear = loops.vector("z", lanes, lanes, Store("turned_w", s.Var("to") + s.Var("z"), loops.constant(0.0, dtype)))
    load = Load("moved", "w", s.Var("from") + lane * s.Var("w_row"))
    copy = loops.vector(
        "lane", s.Var("width"), schedule.square, load, Store("turned_w", s.Var("to") + lane, s.Var("moved"))
    )
    tap = loops.serial("j", s.Var("taps_across"), to, Let("from", index(source)), clear, copy)
    first = rest % s.Var("panels") * lanes
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Let("task_rest", index(TASK // s.Var("depth"))),
        Let("first", index(first)),
        Let("width", index(s.minimum(s.Const(lanes), s.Var("m") - s.Var("first")))),
        Let("channel_base", index(base + s.Var("first") * s.Var("w_row"))),
        loops.serial("i", s.Var("taps_down"), tap),
    )
    buffers = (Buffer("w", dtype), Buffer("turned_w", dtype, writable=True))
    return loops.build("filters", (*buffers, *map(Parameter, FILTER_PARAMETERS)), (task,))


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


def _announce(form: Form) -> list[Statement]:
    """Fetch the lines that the task will write, those of some channels for each group of rows."""
    image, at, line = FIRST_ROW // s.Var("run") // s.Var("runs"), FIRST_ROW % s.Var("run"), s.Var("soon_line")
    channel, group = s.Var("soon"), s.Var("group")
    step = s.Const(1) if form.step == "u" else s.Var("out_step")
    place = s.Var("out_base") + image * s.Var("out_image")
    place = place + FIRST_ROW // s.Var("run") % s.Var("runs") * s.Var("out_line")
    place = place + (s.Var("part") * s.Var("m") + FIRST_COLUMN + s.Var("soon_first")) * s.Var("out_channel") + at * step
    elements = 64 // np.dtype(form.epilogue.outputs[0]).itemsize
    fetch = loops.Prefetch("out0", s.Var("soon_place") + channel * s.Var("out_channel") + line * (elements * step))
    lines = loops.serial("soon_line", (HEIGHT + (elements - 1)) // elements, fetch)
    return [
        Let("soon_first", index(group * WIDTH // gemm.GROUPS)),
        Let("soon_place", index(place)),
        loops.serial("soon", (group + 1) * WIDTH // gemm.GROUPS - s.Var("soon_first"), lines),
    ]


def _turn_tile(schedule: Schedule) -> list[Statement]:
    """Turn the tile, so that its columns lie along memory."""
    high, wide, size = s.Var("high"), s.Var("wide"), schedule.square
    turn = Transpose(
        "turned", wide * (size * schedule.band) + high * size, schedule.band, "tile",
        high * (size * schedule.lanes) + wide * size, schedule.lanes, size,
    )  # fmt: skip
    squares = loops.serial("wide", (WIDTH + (size - 1)) // size, turn)
    return [
        Scratch("turned", np.dtype(schedule.dtype), schedule.band * schedule.lanes),
        loops.serial("high", (HEIGHT + (size - 1)) // size, squares),
    ]


def _store_weights(form: Form) -> list[Statement]:
    """Store the tile, so that a filter's places lie along memory."""
    schedule, r = form.schedule, s.Var("r")
    filter_number, names = s.Var("part") * s.Var("n") + FIRST_COLUMN + r, _operands(form)
    letters = {"u": s.Const(1), "b": s.Const(0)}
    places = [
        filter_number * s.Var(f"{name}_row") + FIRST_ROW * letters.get(letter, s.Var(f"{name}_step"))
        for name, letter in zip(names, form.epilogue.letters, strict=True)
    ]
    to = filter_number * s.Var("m") + FIRST_ROW
    row = gemm.Row("turned", r * schedule.band, HEIGHT, to, places, [s.Var(f"{name}_step") for name in names])
    return [*_turn_tile(schedule), loops.serial("r", WIDTH, *gemm.store_row(schedule, form.epilogue, row))]


@dataclass(frozen=True, slots=True)
class Pad:
    """What a kernel that pads is specialised to: how far apart a phase's pixels are in the source; 0 may be any."""

    dtype: str
    step: int

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
    dtype, phase, line = np.dtype(form.dtype), s.Var("phase"), s.Var("line")
    height, width = s.Var("height"), s.Var("width")
    area, phases = height * width, s.Var("phases_down") * s.Var("phases_across")
    base = TASK // s.Var("channels") * s.Var("source_image") + TASK % s.Var("channels") * s.Var("source_channel")
    step = s.Const(form.step) if form.step else s.Var("across") * s.Var("source_step")
    source = s.Var("phase_source") + line * (s.Var("down") * s.Var("source_line"))
    to = s.Var("phase_to") + line * width
    zero = loops.constant(0.0, dtype)
    clear = loops.vector("z", phases * area, 64, Store("padded", TASK * (phases * area) + s.Var("z"), zero))
    load = Load("moved", "source", s.Var("from") + s.Var("x") * step)
    store = Store("padded", s.Var("to") + s.Var("x"), s.Var("moved"))
    copy = loops.vector("x", s.Var("x_count"), 16, load, store)
    lines = loops.serial("line", s.Var("y_count"), Let("from", index(source)), Let("to", index(to)), copy)
    at = s.Var("source_base") + s.Var("y_source") * s.Var("source_line") + s.Var("x_source") * s.Var("source_step")
    place = (TASK * phases + phase) * area + s.Var("y_first") * width + s.Var("x_first")
    each = [
        *_inside("y", phase // s.Var("phases_across"), "down", "top", "height"),
        *_inside("x", phase % s.Var("phases_across"), "across", "left", "width"),
        Let("phase_source", index(at)),
        Let("phase_to", index(place)),
        lines,
    ]
    task = loops.parallel(
        "task", s.Var("tasks"), Let("source_base", index(base)), clear, loops.serial("phase", phases, *each)
    )
    buffers = (Buffer("source", dtype), Buffer("padded", dtype, writable=True))
    return loops.build("pad", (*buffers, *map(Parameter, PAD_PARAMETERS)), (task,))


def _inside(name: str, phase: s.Expr, stride: str, border: str, extent: str) -> list[Statement]:
    """Name along one axis a phase's first place that is inside the source, where in it, and how many places are."""
    step, shift, first = s.Var(stride), s.Var(f"{name}_shift"), s.Var(f"{name}_first")
    last = s.minimum(s.Var(extent), (s.maximum(s.Const(0), s.Var(f"source_{extent}") + shift) + (step - 1)) // step)
    return [
        Let(f"{name}_shift", index(s.Var(border) - phase)),  # of the phase's first pixel: where the source begins
        Let(f"{name}_first", index((s.maximum(s.Const(0), shift) + (step - 1)) // step)),
        Let(f"{name}_source", index(first * step - shift)),
        Let(f"{name}_count", index(s.maximum(s.Const(0), last - first))),
    ]
