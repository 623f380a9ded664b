"""The loops of the transpose of `conv2d` in its weight: products of windows and cotangents, summed over all pixels.

Places of a filter are rows, whose pixels are read where they are; filters are columns, turned panel by panel.
"""

from __future__ import annotations

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import (
    FIRST_COLUMN,
    FIRST_ROW,
    HEIGHT,
    LENGTH,
    WIDTH,
    Schedule,
)
from tensorlite.kernels.loops import INDEX, Let, Load, Scratch, Statement, Store, index


def parameters(form: parts.Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    names = ["tasks", "panels", "bands", "band", "m", "n", "lines", "thickness", "taps_down", "taps_across"]
    names += [*parts.TAPS, "x_base", "x_image", "x_part", "x_channel", "x_line", "run", "runs"]
    names += ["g_image", "g_part", "g_filter", "g_line", "g_run", "g_runs"]
    return names + [f"{name}_{what}" for name in form.epilogue.names for what in ("row", "step")]


def kernel(form: parts.Form) -> loops.Kernel:
    """Return the loops of a product of windows and cotangents: buffers x, g, then those of the epilogue."""
    return parts.build("conv2d_weight", form, ("x", "g"), parameters(form), _sums(form))


def _sums(form: parts.Form) -> loops.For:
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
        *parts.where(schedule.lanes),
        Scratch("tap_table", INDEX, parts.MOST_TAPS),
        parts.each_tap(Store("tap_table", s.Var("tap"), s.Var("tap_place"))),
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
    return parts.segments("seen", first, LENGTH, run, s.Var("g_runs"), Let("seen_base", index(base)), turn)


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


def _store_weights(form: parts.Form) -> list[Statement]:
    """Store the tile, so that a filter's places lie along memory."""
    schedule, r = form.schedule, s.Var("r")
    filter_number, names = s.Var("part") * s.Var("n") + FIRST_COLUMN + r, form.epilogue.names
    letters = {"u": s.Const(1), "b": s.Const(0)}
    places = [
        filter_number * s.Var(f"{name}_row") + FIRST_ROW * letters.get(letter, s.Var(f"{name}_step"))
        for name, letter in zip(names, form.epilogue.letters, strict=True)
    ]
    to = filter_number * s.Var("m") + FIRST_ROW
    row = gemm.Row("turned", r * schedule.band, HEIGHT, to, places, [s.Var(f"{name}_step") for name in names])
    return [*parts.turn_tile(schedule), loops.serial("r", WIDTH, *gemm.store_row(schedule, form.epilogue, row))]
