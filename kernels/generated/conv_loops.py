"""The loops of products of filters and windows: `conv2d`, and the parts of its transpose in the images.

In ``kernel`` filters are rows, pixels of the result are columns, windows are gathered panel by panel: for few pixels.
In ``pixel_kernel`` pixels are rows, read where they are, and filters are columns, which ``filter_kernel`` has turned.
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import (
    FIRST_COLUMN,
    FIRST_ROW,
    HEIGHT,
    LENGTH,
    TASK,
    WIDTH,
    Schedule,
)
from tensorlite.kernels.loops import (
    INDEX,
    Buffer,
    If,
    Let,
    Load,
    Parameter,
    Scratch,
    Statement,
    Store,
    Transpose,
    index,
)


def parameters(form: parts.Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "depth", "thickness", "taps_down", "taps_across"]
    names += [*parts.TAPS, "x_base", "x_image", "x_part", "x_channel", "x_line", "x_run", "x_runs"]
    names += ["w_base", "w_part", "w_row", "w_channel", "w_down", "w_across", "run", "runs"]
    return names + [f"{name}_{what}" for name in ("out", *form.epilogue.names) for what in parts.PLACES]


def kernel(form: parts.Form) -> loops.Kernel:
    """Return the loops of a product of filters and windows: buffers x, w, then those of the epilogue."""
    return parts.build("conv2d", form, ("x", "w"), parameters(form), _windows(form))


def _windows(form: parts.Form) -> loops.For:
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
    store = parts.store_windows(form, "tile", schedule.lanes, FIRST_ROW, FIRST_COLUMN, WIDTH)
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
        *parts.where(schedule.lanes),
        *(_stretches(form) if form.stretch else ()),
        Scratch("w_table", INDEX, schedule.depth),
        Scratch("x_table", INDEX, schedule.depth),
        parts.each_tap(tables),
        *gemm.clear_tile(schedule),
        *gemm.blocks(s.Var("depth"), thickness, *body),
    )


def _seen(*body: Statement) -> list[Statement]:
    """Run ``body`` for each run of pixels that the panel's columns see, first at ``seen_place`` in an image."""
    place = s.Var("seen_image") * s.Var("x_image") + s.Var("seen_line") * s.Var("x_line") + s.Var("seen_at")
    here = Let("seen_place", index(place))
    return parts.segments("seen", FIRST_COLUMN, WIDTH, s.Var("x_run"), s.Var("x_runs"), here, *body)


def _gather(form: parts.Form) -> list[Statement]:
    """Copy what the taps see to the panel: run by run, row by row."""
    p, i, lanes = s.Var("seen_row"), s.Var("seen_i"), form.schedule.lanes
    start = Let("seen_start", index(s.Var("x_start") + s.Var("seen_place")))
    load = Load("seen", "x", s.Var("seen_start") + s.Var("seen_tap") + i)
    copy = loops.vector(
        "seen_i", s.Var("seen_count"), lanes, load, Store("panel", p * lanes + s.Var("seen_to") + i, s.Var("seen"))
    )
    return _seen(start, loops.serial("seen_row", LENGTH, Load("seen_tap", "x_table", p), copy))


def _stretches(form: parts.Form) -> list[Statement]:
    """Tabulate the runs: where they are in images, and where in the panel."""
    places, number = [Scratch(f"{name}_table", INDEX, form.schedule.lanes + 1) for name in ("from", "to")], s.Var
    stores = [Store(f"{name}_table", number("seen_segment"), number(f"seen_{of}"))
              for name, of in (("from", "place"), ("to", "to"))]  # fmt: skip
    runs = (s.Var("seen_before") + WIDTH + (s.Var("x_run") - 1)) // s.Var("x_run")
    return [*places, *_seen(*stores), Let("stretches", index(runs))]


def _gather_stretches(form: parts.Form) -> list[Statement]:
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


def pixel_parameters(form: parts.Form) -> list[str]:
    """Return the names of the numbers of ``pixel_kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "depth", "thickness", "taps_down", "taps_across"]
    names += [*parts.TAPS, "x_base", "x_image", "x_part", "x_channel", "x_line", "x_step", "x_run", "x_runs"]
    names += ["run", "runs"]
    return names + [f"{name}_{what}" for name in ("out", *form.epilogue.names) for what in parts.PLACES]


def pixel_kernel(form: parts.Form) -> loops.Kernel:
    """Return the loops of a product of windows and filters: pixels are rows, the filters turned and padded before."""
    return parts.build("conv2d", form, ("x", "turned_w"), pixel_parameters(form), _pixels(form))


def _pixels(form: parts.Form) -> loops.For:
    schedule, thickness, c = form.schedule, s.Var("thickness"), s.Var("c")
    number = s.Var("tap") * s.Var("count") + c if form.by_taps else c * s.Var("taps") + s.Var("tap")
    table = Store("x_table", number, index(c * s.Var("x_channel") + s.Var("tap_place")))
    tabulate_terms = parts.each_tap(loops.serial("c", s.Var("count") if form.by_taps else thickness, table))
    other = s.equal(gemm.BLOCK, 0) | s.less(s.Var("count"), thickness)
    left = gemm.Left(
        "x",
        lambda name, number: ([Load(name, "pixel_table", number)], s.Var(name) + s.Var("x_start")),
        lambda p: ([Load("x_tap", "x_table", p)], s.Var("x_tap")),
    )
    lanes = s.Const(schedule.lanes)
    right = gemm.Right("turned_w", lambda p: ([], s.Var("w_start") + p * schedule.lanes), lanes, far=True)
    x_start = s.Var("x_base") + s.Var("part") * s.Var("x_part") + s.Var("start") * s.Var("x_channel")
    w_panel = (s.Var("part") * s.Var("panels") + TASK % s.Var("panels")) * s.Var("depth") + s.Var("start")
    body: list[Statement] = [
        Let("length", index(s.Var("count") * s.Var("taps"))),
        Let("x_start", index(x_start)),
        Let("w_start", index(w_panel * s.Var("taps") * schedule.lanes)),
        *([If(other, (tabulate_terms,))] if form.by_taps else []),
        gemm.multiply(schedule, left, right, announce=() if form.last else _announce(form)),
    ]
    i, step = s.Var("seen_i"), s.Var("x_step")
    place = s.Var("seen_image") * s.Var("x_image") + s.Var("seen_line") * s.Var("x_line") + s.Var("seen_at") * step
    tabulate = Store("pixel_table", s.Var("seen_to") + i, index(s.Var("seen_place") + i * step))
    seen: list[Statement] = [Let("seen_place", index(place)), loops.vector("seen_i", s.Var("seen_count"), 8, tabulate)]
    return loops.parallel(
        "task",
        s.Var("tasks"),
        *gemm.scratch(schedule, panel=False),
        *parts.where(schedule.lanes, across="m", down="n"),
        Scratch("x_table", INDEX, schedule.depth),
        Scratch("pixel_table", INDEX, schedule.band),
        *([] if form.by_taps else [tabulate_terms]),
        *parts.segments("seen", FIRST_ROW, HEIGHT, s.Var("x_run"), s.Var("x_runs"), *seen),
        *gemm.clear_tile(schedule),
        *gemm.blocks(s.Var("depth"), thickness, *body),
        *_store_pixels(form),
    )


def _store_pixels(form: parts.Form) -> list[Statement]:
    """Store the tile: row by row, or turned."""
    if form.last:
        return parts.store_pixels(form, "tile", s.Const(0), FIRST_COLUMN, WIDTH, FIRST_ROW, HEIGHT)
    store = parts.store_windows(form, "turned", form.schedule.band, FIRST_COLUMN, FIRST_ROW, HEIGHT)
    return [*parts.turn_tile(form.schedule), loops.serial("r", WIDTH, *store)]


def _announce(form: parts.Form) -> list[Statement]:
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


FILTER_PARAMETERS = (
    *("tasks", "depth", "thickness", "panels", "m", "taps_down", "taps_across"),
    *("w_base", "w_part", "w_row", "w_channel", "w_down", "w_across"),
)


def filter_kernel(schedule: Schedule) -> loops.Kernel:
    """Return the loops that turn filters: [parts, panels, channels, taps, lanes], zeros where there is no filter.

    The order is that of blocks of ``thickness`` channels, then that of taps, and then that of channels.
    """
    dtype, lanes, lane = np.dtype(schedule.dtype), schedule.lanes, s.Var("lane")
    rest, taps = s.Var("task_rest"), s.Var("taps_down") * s.Var("taps_across")
    base = s.Var("w_base") + rest // s.Var("panels") * s.Var("w_part") + TASK % s.Var("depth") * s.Var("w_channel")
    source = s.Var("channel_base") + s.Var("i") * s.Var("w_down") + s.Var("j") * s.Var("w_across")
    channel, thickness, start = TASK % s.Var("depth"), s.Var("thickness"), s.Var("block_start")
    number = s.Var("i") * s.Var("taps_across") + s.Var("j")
    term = start * taps + number * s.minimum(thickness, s.Var("depth") - start) + channel - start
    to = Let("to", index((rest * s.Var("depth") * taps + term) * lanes))
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
        Let("block_start", index(channel // thickness * thickness)),
        Let("width", index(s.minimum(s.Const(lanes), s.Var("m") - s.Var("first")))),
        Let("channel_base", index(base + s.Var("first") * s.Var("w_row"))),
        loops.serial("i", s.Var("taps_down"), tap),
    )
    buffers = (Buffer("w", dtype), Buffer("turned_w", dtype, writable=True))
    return loops.build("filters", (*buffers, *map(Parameter, FILTER_PARAMETERS)), (task,))


FLAT_PARAMETERS = ("tasks", "blocks", "block_terms", "panels", "m", "terms", "w_base", "w_part", "w_row")


def flat_filter_kernel(schedule: Schedule) -> loops.Kernel:
    """Return the loops that turn filters whose terms lie side by side, by squares: [parts, panels, terms, lanes]."""
    dtype, lanes, size = np.dtype(schedule.dtype), schedule.lanes, schedule.square
    strip, single, lane, count = s.Var("strip"), s.Var("single"), s.Var("lane"), s.Var("count")
    from_, to, wide, full = s.Var("strip_from"), s.Var("strip_to"), s.Var("strip_width"), s.Var("full")
    first, rest = TASK // s.Var("blocks") % s.Var("panels") * lanes, TASK // s.Var("blocks")
    start = s.Var("w_base") + rest // s.Var("panels") * s.Var("w_part") + s.Var("first") * s.Var("w_row")
    at = s.Var("square") * size
    square = Transpose("turned_w", to + at * lanes, lanes, "w", from_ + at, s.Var("w_row"), size)
    row, empty = to + (full + single) * lanes + lane, to + (full + single) * lanes + s.Var("none")
    left = s.maximum(s.Const(0), s.Var("m") - s.Var("first") - strip * size)
    load = Load("moved", "w", from_ + lane * s.Var("w_row") + full + single)
    singles = [
        loops.vector("none", s.Const(size), size, Store("turned_w", empty, gemm.zero(schedule))),
        loops.serial("lane", wide, load, Store("turned_w", row, s.Var("moved"))),
    ]
    strips = loops.serial(
        "strip",
        s.Const(lanes // size),
        Let("strip_width", index(s.minimum(s.Const(size), left))),
        Let("strip_from", index(s.Var("from") + strip * size * s.Var("w_row"))),
        Let("strip_to", index(s.Var("to") + strip * size)),
        Let("full", index(count // size * (wide // size) * size)),
        loops.serial("square", full // size, square),
        loops.serial("single", count - full, *singles),
    )
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Let("term", index(TASK % s.Var("blocks") * s.Var("block_terms"))),
        Let("count", index(s.minimum(s.Var("block_terms"), s.Var("terms") - s.Var("term")))),
        Let("first", index(first)),
        Let("from", index(start + s.Var("term"))),
        Let("to", index((rest * s.Var("terms") + s.Var("term")) * lanes)),
        strips,
    )
    buffers = (Buffer("w", dtype), Buffer("turned_w", dtype, writable=True))
    return loops.build("flat_filters", (*buffers, *map(Parameter, FLAT_PARAMETERS)), (task,))
