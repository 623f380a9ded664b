"""The loops of Winograd convolutions of bytes: tiles that are transformed, multiplied in 16 bits, and put back.

A task takes a block of tiles, some lines of an image or some whole images, and some panels of filters. Tiles are lanes
when they are transformed, and rows when they are multiplied, filters being lanes. Results are equal to those of
products of bytes, and finished as they are (`int8_loops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated import int8_loops
from tensorlite.kernels.generated.gemm_loops import FIRST_COLUMN, HEIGHT, WIDTH
from tensorlite.kernels.generated.int8_winograd_filters import GAP
from tensorlite.kernels.generated.int8_winograd_parts import (
    DATA,
    OUTPUT,
    PRODUCTS,
    SHIFT,
    SIZE,
    TILE,
    WORD,
    apart,
    transform,
)
from tensorlite.kernels.generated.winograd_tiles import BLOCK_NUMBERS, block
from tensorlite.kernels.loops import INDEX, Buffer, Let, Load, Parameter, Scratch, Statement, Store, index
from tensorlite.kernels.scalar.primitive import dot_halves

MOST_TILES = 96
"""The tiles of a task: there is memory for the results of so many."""

_PAIR = 0x00FF00FF  # bytes 0 and 2 of a word


@dataclass(frozen=True, slots=True)
class Form:
    """What the loops are specialised to: those of a product, whose band is as many pixels as a task may have."""

    product: int8_loops.Form

    def key(self) -> str:
        """Return what names the kernel."""
        return f"winograd of bytes, {self.product.key()}"


PARAMETERS = (
    *("slots", "tasks", "groups_across", "panels", "panels_each", *BLOCK_NUMBERS, "height_out", "width_out"),
    *("quads", "x_image", "x_channel", "x_down", "x_across", "x_line"),
    *("tiles_part", "sums_part", "pitch", "segment", "sums_plane"),
    *("m", "filters_in_all", "pixels", "out_first"),
)


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    return [*PARAMETERS, *(f"{name}_channel" for name in form.product.epilogue.names)]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops, of buffers x, in quads and phases of step 2, pairs of filters, those of the epilogue, and two
    areas that each slot has a part of.
    """
    epilogue, operands = gemm.outputs(form.product.epilogue), len(form.product.epilogue.operands)
    areas = [Buffer(name, WORD, writable=True) for name in ("tiles_area", "sums_area")]
    buffers = [Buffer("x", WORD), Buffer("pairs", WORD), *epilogue[:operands], *areas, *epilogue[operands:]]
    return loops.build("winograd_of_bytes", (*buffers, *map(Parameter, parameters(form))), (_slots(form),))


def _slots(form: Form) -> loops.For:
    """Run the tasks of each slot."""
    slot, lanes = s.Var("slot"), form.product.schedule.lanes
    first, end = (number * s.Var("tasks") // s.Var("slots") for number in (slot, slot + 1))
    return loops.parallel(
        "slot",
        s.Var("slots"),
        Let("tiles_at", index(slot * s.Var("tiles_part"))),
        Let("sums_at", index(slot * s.Var("sums_part"))),
        Scratch("tile_table", INDEX, MOST_TILES),
        Scratch("results", form.product.result, (form.product.pitch + 1) * lanes),
        Let("first_task", index(first)),
        loops.serial("number", end - s.Var("first_task"), *_block(form)),
    )


def _block(form: Form) -> list[Statement]:
    """Compute a block of tiles for a group of panels."""
    task, rows = s.Var("task"), form.product.schedule.rows
    lines = s.minimum(s.Var("rows") * TILE, s.Var("height_out") - s.Var("top_line"))
    first = s.Var("first_image") * s.Var("pixels") + s.Var("top_line") * s.Var("width_out")
    panels = s.minimum(s.Var("panels_each"), s.Var("panels") - s.Var("first_panel"))
    return [
        Let("task", index(s.Var("first_task") + s.Var("number"))),
        Let("piece", index(task // s.Var("groups_across"))),
        Let("first_panel", index(task % s.Var("groups_across") * s.Var("panels_each"))),
        *block(TILE),
        Let("height", index(s.Var("tiles"))),
        Let("groups", index((HEIGHT + (rows - 1)) // rows)),
        Let("pixels_each", index(lines * s.Var("width_out"))),
        Let("first_row", index(first)),
        Let("length", index(s.Var("quads") * 2)),
        Let("tiles_plane", index(s.Var("length") * s.Var("pitch") + GAP)),
        *_transform(form),
        loops.serial("panel_here", panels, *_panel(form)),
    ]


# Tiles


def _transform(form: Form) -> list[Statement]:
    """Transform the tiles of a block: lanes are neighbours in a line, and lines follow each other.

    Lines have a column more than there are tiles: what stands for a tile there is nobody's.
    """
    square, columns, at = form.product.schedule.square, s.Var("tiles_across") + 1, s.Var("tile_first")
    image, rest, tile = s.Var("image_here"), s.Var("tile") % s.Var("tiles_each"), s.Var("tile")
    position = tile // s.Var("tiles_each") * s.Var("segment") + rest // s.Var("tiles_across") * columns
    source = (s.Var("first_image") + image) * s.Var("x_image") + s.Var("quad") * s.Var("x_channel")
    source = source + s.Var("top_line") // TILE * s.Var("x_line")
    to = s.Var("tiles_at") + s.Var("quad") * 2 * s.Var("pitch") + image * s.Var("segment")
    chunk = loops.serial(
        "chunk",
        (s.Var("rows") * columns + (square - 1)) // square,
        Let("tile_first", index(s.Var("chunk") * square)),
        Let("tile_from", index(s.Var("quad_from") + at)),
        Let("tile_to", index(s.Var("quad_to") + at)),
        loops.vector("tile_lane", s.Const(square), square, *_tiles()),
    )
    quads = loops.serial("quad", s.Var("quads"), Let("quad_from", index(source)), Let("quad_to", index(to)), chunk)
    return [
        loops.serial("tile", s.Var("tiles"), Store("tile_table", tile, index(position + rest % s.Var("tiles_across")))),
        loops.serial("image_here", s.Var("block_images"), quads),
    ]


def _tiles() -> list[Statement]:
    """Load the pixels of as many tiles as there are lanes, take pairs of channels out of quads, and transform them."""
    body: list[Statement] = []
    for i, j in product(range(SIZE), range(SIZE)):
        place = s.Var("tile_from") + i % TILE * s.Var("x_down") + j % TILE * s.Var("x_across")
        body.append(Load(f"d{i}_{j}", "x", place + i // TILE * s.Var("x_line") + j // TILE + s.Var("tile_lane")))
    for half in (0, 1):
        names = [[f"d{half}_{i}_{j}" for j in range(SIZE)] for i in range(SIZE)]
        for i, j in product(range(SIZE), range(SIZE)):
            body.append(Let(names[i][j], (s.Var(f"d{i}_{j}") >> 8 * half) & _PAIR))
        statements, found = transform(DATA, names, f"t{half}")
        body += statements
        for number, name in enumerate(name for row in found for name in row):
            place = s.Var("tile_to") + s.Var("tiles_plane") * number + s.Var("pitch") * half + s.Var("tile_lane")
            body.append(Store("tiles_area", place, apart(s.Var(name))))
    return body


# Products and results


def _panel(form: Form) -> list[Statement]:
    """Multiply the tiles by a panel of filters, product by product, and transform the sums back and store them."""
    schedule, number = form.product.schedule, s.Var("product_number")
    plane = s.Var("length") * schedule.lanes + GAP
    left = gemm.Left(
        "tiles_area",
        lambda name, row: ([Load(name, "tile_table", row)], s.Var(name) + s.Var("tiles_from")),
        lambda p: ([], p * s.Var("pitch")),
    )
    right = gemm.Right("pairs", lambda p: ([], s.Var("pairs_from") + p * schedule.lanes), s.Const(schedule.lanes))
    sums = gemm.Sums("sums_area", s.Var("sums_to"), fresh=True)
    products = loops.serial(
        "product_number",
        PRODUCTS,
        Let("tiles_from", index(s.Var("tiles_at") + number * s.Var("tiles_plane"))),
        Let("pairs_from", index((s.Var("panel") * PRODUCTS + number) * plane)),
        Let("sums_to", index(s.Var("sums_at") + number * s.Var("sums_plane"))),
        gemm.multiply(schedule, left, right, sums=sums, add=lambda a, b, total: dot_halves(total, a, b)),
    )
    return [
        Let("panel", index(s.Var("first_panel") + s.Var("panel_here"))),
        Let("first_column", index(s.Var("panel") * schedule.lanes)),
        Let("first_filter", index(FIRST_COLUMN)),
        Let("width", index(s.minimum(s.Const(schedule.lanes), s.Var("m") - FIRST_COLUMN))),
        products,
        loops.serial("done_tile", s.Var("tiles"), *_finish(form)),
        *int8_loops.store_turned(form.product, s.Var("block_images") * s.Var("pixels_each")),
    ]


def _finish(form: Form) -> list[Statement]:
    """Transform a tile's sums back, and finish its results: [pixels, lanes]; those outside go where nobody looks."""
    lanes, tile, lane = form.product.schedule.lanes, s.Var("done_tile"), s.Var("done_lane")
    here, across, width = tile % s.Var("tiles_each"), s.Var("tiles_across"), s.Var("width_out")
    before: list[Statement] = [
        Let("done_y", index(here // across * TILE)),
        Let("done_x", index(here % across * TILE)),
        Let("pixels_before", index(tile // s.Var("tiles_each") * s.Var("pixels_each"))),
    ]
    body: list[Statement] = []
    names = [[f"m{i}_{j}" for j in range(SIZE)] for i in range(SIZE)]
    start = s.Var("sums_at") + tile * lanes
    for number, name in enumerate(name for row in names for name in row):
        body.append(Load(name, "sums_area", start + number * s.Var("sums_plane") + lane))
    statements, found = transform(OUTPUT, names, "y")
    body += statements
    for name, letter in zip(form.product.epilogue.names, form.product.epilogue.letters, strict=True):
        step = {"u": s.Const(1), "b": s.Const(0)}.get(letter, s.Var(f"{name}_channel"))
        load = Load(name, f"{name}_buffer", s.Const(0) if letter == "b" else (s.Var("first_filter") + lane) * step)
        (before if letter == "b" else body).append(load)
    for i, j in product(range(TILE), range(TILE)):
        line, column = s.Var("done_y") + i, s.Var("done_x") + j
        inside = s.less(s.Var("top_line") + line, s.Var("height_out")) & s.less(column, width)
        place = s.where(inside, s.Var("pixels_before") + line * width + column, form.product.pitch)
        before.append(Let(f"to{i}_{j}", place * lanes))
        value = s.substitute(form.product.epilogue.values[0], {s.Var("product"): s.Var(found[i][j]) >> SHIFT})
        body.append(Store("results", s.Var(f"to{i}_{j}") + lane, s.cast(value, form.product.result)))
    return [*before, loops.vector("done_lane", WIDTH, form.product.schedule.square, *body)]
