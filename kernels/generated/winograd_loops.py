"""The loops of Winograd convolutions: tiles that are transformed, multiplied and put back.

A task takes a block of tiles: some lines of an image, or some whole images. Its pixels are turned so that channels are
lanes, transformed, and multiplied by the filters, panel by panel and product by product (``a * a`` of them for tiles of
``a * a`` pixels); the sums are transformed back, turned and stored through the epilogue. All of it stays in the caches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.winograd_filters import FILTER_NUMBERS, GAP, Filters, transform_filters, turned_size
from tensorlite.kernels.generated.winograd_transforms import transform_square
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
from tensorlite.kernels.winograd import winograd

_ROW = 8
"""How many places a tile's row has in a table: no tile is larger."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: F(m, r) for squares; ``whole`` where all channels are one block of the sum.

    ``filters`` is set where a task transforms the filters itself, some channels at a time.
    """

    parts: parts.Form
    m: int
    r: int
    whole: bool
    filters: Filters | None = None

    @property
    def size(self) -> int:
        """The extent of a tile."""
        return self.m + self.r - 1

    def key(self) -> str:
        """Return what names the kernel."""
        return f"{self.parts.key('winograd')} {self.m} {self.r} {self.whole} {self.filters}"

THICKNESS = 32
"""The channels whose filters a task transforms at once."""

_WORK = ("lines", "data", "sums", "results", "own_filters")


def work(form: Form) -> tuple[str, ...]:
    """Return the areas of scratch memory; each slot has its own part, a number ``<name>_part`` of elements."""
    return _WORK if form.filters else _WORK[:-1]


PARAMETERS = (
    *FILTER_NUMBERS,
    *("slots", "tasks", "groups_across", "panels", "panels_each", "m"),
    *("images", "images_each", "strips", "rows_each", "tiles_down", "tiles_across"),
    *("height_in", "width_in", "top", "left", "height_out", "width_out"),
    *("x_base", "x_image", "x_channel", "zeros", "data_plane", "sums_plane", "spare", "run", "runs"),
)


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    places = [f"{name}_{what}" for name in ("out", *parts.operands(form.parts)) for what in parts.PLACES]
    return [*PARAMETERS, *(f"{name}_part" for name in work(form)), *places]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of the tiles: buffers x, w or u, the epilogue's operands; areas of scratch memory, outputs."""
    dtype, epilogue = np.dtype(form.parts.schedule.dtype), gemm.outputs(form.parts.epilogue)
    operands = len(form.parts.epilogue.operands)
    buffers = [Buffer("x", dtype), Buffer("w" if form.filters else "u", dtype), *epilogue[:operands]]
    buffers += [*(Buffer(name, dtype, writable=True) for name in work(form)), *epilogue[operands:]]
    return loops.build("winograd", (*buffers, *map(Parameter, parameters(form))), (_slots(form),))


def _slots(form: Form) -> loops.For:
    """Run the tasks of each slot."""
    slot, schedule = s.Var("slot"), form.parts.schedule
    first, end = (number * s.Var("tasks") // s.Var("slots") for number in (slot, slot + 1))
    clear = Store("lines", s.Var("lines_at") + s.Var("zeros") + s.Var("z"), loops.constant(0.0, np.float32))
    return loops.parallel(
        "slot",
        s.Var("slots"),
        *(Let(f"{name}_at", index(slot * s.Var(f"{name}_part"))) for name in work(form)),
        Scratch("places", INDEX, form.size * _ROW),
        Scratch("results_places", INDEX, form.m * _ROW),
        Scratch("turned", np.dtype(schedule.dtype), schedule.band * schedule.lanes),
        *([Scratch("turned_filters", np.dtype(schedule.dtype), turned_size(form.filters))] if form.filters else []),
        loops.vector("z", s.Var("depth"), schedule.square, clear),
        Let("first_task", index(first)),
        loops.serial("number", end - s.Var("first_task"), *_block(form)),
    )


def _block(form: Form) -> list[Statement]:
    """Compute a block of tiles for a group of panels."""
    piece, strip, m = s.Var("piece"), s.Var("strip"), form.m
    line = s.Var("top_line")
    last = s.minimum(s.Var("height_in"), line + s.Var("rows") * m + (form.r - 1) - s.Var("top"))
    tile = s.Var("image") * s.Var("tiles_each") + s.Var("tile_here")
    return [
        Let("task", index(s.Var("first_task") + s.Var("number"))),
        Let("piece", index(s.Var("task") // s.Var("groups_across"))),
        Let("first_panel", index(s.Var("task") % s.Var("groups_across") * s.Var("panels_each"))),
        Let("strip", index(piece % s.Var("strips"))),
        Let("first_image", index(piece // s.Var("strips") * s.Var("images_each"))),
        Let("count", index(s.minimum(s.Var("images_each"), s.Var("images") - s.Var("first_image")))),
        Let("rows", index(s.minimum(s.Var("rows_each"), s.Var("tiles_down") - strip * s.Var("rows_each")))),
        Let("top_line", index(strip * s.Var("rows_each") * m)),
        Let("first_line", index(s.minimum(s.Var("height_in"), s.maximum(s.Const(0), line - s.Var("top"))))),
        Let("seen", index(s.maximum(s.Const(0), last - s.Var("first_line")) * s.Var("width_in"))),
        Let("tiles_each", index(s.Var("rows") * s.Var("tiles_across"))),
        Let("height", index(s.Var("count") * s.Var("tiles_each"))),
        Let("groups", index((gemm.HEIGHT + (form.parts.schedule.rows - 1)) // form.parts.schedule.rows)),
        Let("pixels_each", index(s.minimum(s.Var("rows") * m, s.Var("height_out") - line) * s.Var("width_out"))),
        loops.serial(
            "image",
            s.Var("count"),
            *_turn_lines(form),
            loops.serial("tile_here", s.Var("tiles_each"), Let("tile", index(tile)), *_transform_data(form)),
        ),
        loops.serial("panel_here", s.minimum(s.Var("panels_each"), s.Var("panels") - s.Var("first_panel")),
                     *_panel(form)),
    ]  # fmt: skip


def _turn_lines(form: Form) -> list[Statement]:
    """Copy the pixels that an image's tiles see, channels becoming lanes: whole squares, the last ones overlapping."""
    size, seen, depth = form.parts.schedule.square, s.Var("seen"), s.Var("depth")
    first = s.Var("x_base") + (s.Var("first_image") + s.Var("image")) * s.Var("x_image")
    source = s.Var("x_here") + s.Var("turn_channel") * s.Var("x_channel")
    to = s.Var("lines_at") + s.Var("turn_channel")
    pixel, single, lane = s.Var("turn_pixel"), s.Var("single"), s.Var("single_lane")
    turn = Transpose("lines", to + pixel * depth, depth, "x", source + pixel, s.Var("x_channel"), size)
    squares = loops.serial(
        "turn_across",
        (seen + (size - 1)) // size,
        Let("turn_pixel", index(s.minimum(s.Var("turn_across") * size, seen - size))),
        turn,
    )
    place = Store("lines", to + single * depth + lane, s.Var("turned_single"))
    load = Load("turned_single", "x", source + single + lane * s.Var("x_channel"))
    copy = loops.vector("single_lane", size, size, load, place)
    channel = s.minimum(s.Var("turn_down") * size, depth - size)
    return [
        Let("x_here", index(first + s.Var("first_line") * s.Var("width_in"))),
        loops.serial(
            "turn_down",
            (depth + (size - 1)) // size,
            Let("turn_channel", index(channel)),
            If(s.greater_equal(seen, size), (squares,)),
            If(s.less(seen, size), (loops.serial("single", seen, copy),)),
        ),
    ]


def _transform_data(form: Form) -> list[Statement]:
    """Transform a tile for all products: [products, tiles, channels]."""
    size, depth, c = form.size, s.Var("depth"), s.Var("c")
    y = s.Var("top_line") + s.Var("tile_here") // s.Var("tiles_across") * form.m - s.Var("top")
    x = s.Var("tile_here") % s.Var("tiles_across") * form.m - s.Var("left")
    line, column = s.Var("tile_y") + s.Var("i"), s.Var("tile_x") + s.Var("j")
    inside = _within(line, s.Var("height_in")) & _within(column, s.Var("width_in"))
    place = ((line - s.Var("first_line")) * s.Var("width_in") + column) * depth
    store = Store("places", s.Var("i") * _ROW + s.Var("j"), s.Var("lines_at") + s.where(inside, place, s.Var("zeros")))
    names = [[f"d{i}_{j}" for j in range(size)] for i in range(size)]
    loads: list[Statement] = []
    for i in range(size):
        for j in range(size):
            loads += [Load(f"place{i}_{j}", "places", s.Const(i * _ROW + j)),
                      Load(names[i][j], "lines", s.Var(f"place{i}_{j}") + c)]  # fmt: skip
    body, results = transform_square(winograd(form.m, form.r).data, names, "v")
    to = s.Var("data_at") + s.Var("tile") * depth
    stores = [
        Store("data", s.Var("data_to") + (i * size + j) * s.Var("data_plane") + c, s.Var(results[i][j]))
        for i in range(size)
        for j in range(size)
    ]
    return [
        Let("tile_y", index(y)),
        Let("tile_x", index(x)),
        loops.serial("i", size, loops.vector("j", size, _ROW, store)),
        Let("data_to", index(to)),
        loops.vector("c", depth, form.parts.schedule.square, *loads, *body, *stores),
    ]


def _within(number: s.Expr, extent: s.Expr) -> s.Expr:
    return s.greater_equal(number, 0) & s.less(number, extent)


def _panel(form: Form) -> list[Statement]:
    """Multiply the tiles by a panel of filters, transform the sums back, and store them."""
    schedule = form.parts.schedule
    return [
        Let("panel", index(s.Var("first_panel") + s.Var("panel_here"))),
        Let("first_column", index(s.Var("panel") * schedule.lanes)),
        Let("width", index(s.minimum(s.Const(schedule.lanes), s.Var("m") - gemm.FIRST_COLUMN))),
        Let("part", index(s.Const(0))),
        *(_multiply_own(form) if form.filters else _multiply(form)),
        loops.serial("result_tile", gemm.HEIGHT, *_transform_sums(form)),
        *_store(form),
    ]


def _left(form: Form) -> gemm.Left:
    """Return how tiles are read: channels from ``start`` on of the product's plane."""
    base = s.Var("data_base") + s.Var("start")
    return gemm.Left("data", lambda _, number: ([], base + number * s.Var("depth")), lambda p: ([], p))


def _multiply(form: Form) -> list[Statement]:
    """Multiply by filters that have been transformed before, product by product."""
    schedule, products, product = form.parts.schedule, form.size**2, s.Var("product_number")
    u_base = (s.Var("panel") * products + product) * (s.Var("depth") * schedule.lanes + GAP)
    right = gemm.Right("u", lambda p: ([], s.Var("u_start") + p * schedule.lanes), s.Const(schedule.lanes))
    sums = gemm.Sums("sums", s.Var("sums_base"), fresh=form.whole)
    body: list[Statement] = [
        Let("length", index(s.Var("terms"))),
        Let("u_start", index(s.Var("u_base") + s.Var("start") * schedule.lanes)),
        gemm.multiply(schedule, _left(form), right, sums=sums),
    ]
    depth = s.Var("depth") if form.whole else s.Const(schedule.depth)
    each = loops.serial(
        "product_number",
        products,
        Let("data_base", index(s.Var("data_at") + product * s.Var("data_plane"))),
        Let("sums_base", index(s.Var("sums_at") + product * s.Var("sums_plane"))),
        Let("u_base", index(u_base)),
        *(() if form.whole else (gemm.clear_sums(schedule, sums),)),
        *gemm.blocks(s.Var("depth"), depth, *body, count="terms"),
    )
    return [each]


def _multiply_own(form: Form) -> list[Statement]:
    """Transform the filters of some channels, and multiply by them, product by product."""
    assert form.filters is not None
    schedule, products, product = form.parts.schedule, form.size**2, s.Var("product_number")
    plane, thickness = THICKNESS * schedule.lanes + GAP, s.Const(THICKNESS)
    base = s.Var("own_filters_at") + product * plane
    right = gemm.Right("own_filters", lambda p: ([], base + p * schedule.lanes), s.Const(schedule.lanes))
    to = s.Var("own_filters_at") + s.Var("filter_piece") * (form.filters.channels * schedule.lanes)
    transforming = loops.serial(
        "filter_piece",
        s.Var("terms") // form.filters.channels,
        Let("first_channel", index(s.Var("start") + s.Var("filter_piece") * form.filters.channels)),
        Let("filters_to", index(to)),
        *transform_filters(form.filters, "own_filters"),
    )
    multiplying = loops.serial(
        "product_number",
        products,
        Let("data_base", index(s.Var("data_at") + product * s.Var("data_plane"))),
        gemm.multiply(
            schedule, _left(form), right, sums=gemm.Sums("sums", s.Var("sums_at") + product * s.Var("sums_plane"))
        ),
    )
    clear = gemm.clear_sums(schedule, gemm.Sums("sums", s.Var("sums_at") + s.Var("cleared") * s.Var("sums_plane")))
    return [
        Let("filters_plane", index(s.Const(plane))),
        loops.serial("cleared", products, clear),
        *gemm.blocks(
            s.Var("depth"), thickness, Let("length", index(s.Var("terms"))), transforming, multiplying, count="terms"
        ),
    ]


def _transform_sums(form: Form) -> list[Statement]:
    """Transform a tile's sums back: [pixels, lanes]; pixels beyond the image go where nobody looks."""
    schedule, size, lane = form.parts.schedule, form.size, s.Var("k")
    tile, across = s.Var("result_tile"), s.Var("tiles_across")
    here = tile % s.Var("tiles_each")
    line, column = s.Var("out_y") + s.Var("i_out"), s.Var("out_x") + s.Var("j_out")
    place = s.Var("pixels_before") + line * s.Var("width_out") + column
    inside = s.less(s.Var("top_line") + line, s.Var("height_out")) & s.less(column, s.Var("width_out"))
    to = (s.where(inside, place, s.Var("spare"))) * schedule.lanes
    names = [[f"s{i}_{j}" for j in range(size)] for i in range(size)]
    loads: list[Statement] = [
        Load(names[i][j], "sums", s.Var("sums_from") + (i * size + j) * s.Var("sums_plane") + lane)
        for i in range(size)
        for j in range(size)
    ]
    body, results = transform_square(winograd(form.m, form.r).output, names, "y")
    stores: list[Statement] = []
    for i in range(form.m):
        for j in range(form.m):
            at = s.Var("results_at") + s.Var(f"to{i}_{j}") + lane
            stores += [Load(f"to{i}_{j}", "results_places", s.Const(i * _ROW + j)),
                       Store("results", at, s.Var(results[i][j]))]  # fmt: skip
    return [
        Let("out_y", index(here // across * form.m)),
        Let("out_x", index(here % across * form.m)),
        Let("pixels_before", index(tile // s.Var("tiles_each") * s.Var("pixels_each"))),
        loops.serial("i_out", form.m, loops.vector("j_out", form.m, _ROW,
                     Store("results_places", s.Var("i_out") * _ROW + s.Var("j_out"), to))),
        Let("sums_from", index(s.Var("sums_at") + tile * schedule.lanes)),
        loops.vector("k", schedule.lanes, schedule.square, *loads, *body, *stores),
    ]  # fmt: skip


def _store(form: Form) -> list[Statement]:
    """Turn the results of a panel, so that pixels lie along memory, and store them through the epilogue."""
    schedule, band, chunk = form.parts.schedule, form.parts.schedule.band, s.Var("chunk")
    first = s.Var("first_image") * s.Var("height_out") * s.Var("width_out") + s.Var("top_line") * s.Var("width_out")
    pixels, here = s.Var("pixels"), s.Var("pixels_here")
    turn = parts.turn(schedule, "results", s.Var("results_at") + chunk * (band * schedule.lanes), here, gemm.WIDTH)
    store = parts.store_windows(
        form.parts, "turned", band, gemm.FIRST_COLUMN, s.Var("first_pixel") + chunk * band, here
    )
    return [
        Let("first_pixel", index(first)),
        Let("pixels", index(s.Var("count") * s.Var("pixels_each"))),
        loops.serial(
            "chunk",
            (pixels + (band - 1)) // band,
            Let("pixels_here", index(s.minimum(s.Const(band), pixels - chunk * band))),
            turn,
            loops.serial("r", gemm.WIDTH, *store),
        ),
    ]
