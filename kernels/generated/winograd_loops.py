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
from tensorlite.kernels.generated.winograd_filters import FILTER_NUMBERS, Filters, transform_filters, turned_size
from tensorlite.kernels.generated.winograd_odd import add_odd
from tensorlite.kernels.generated.winograd_tiles import BLOCK_NUMBERS, GAP, ROW, Source, block
from tensorlite.kernels.generated.winograd_transforms import Lanes, in_vectors, transform_sums
from tensorlite.kernels.loops import (
    INDEX,
    Buffer,
    Let,
    Load,
    Parameter,
    Scratch,
    Statement,
    Store,
    index,
)
from tensorlite.kernels.winograd import winograd


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: F(m, r) for squares; ``whole`` where all channels are one block of the sum.

    ``filters`` is set where a task transforms the filters itself, some channels at a time. ``last``: the images'
    channels lie along memory.
    """

    parts: parts.Form
    m: int
    r: int
    whole: bool
    filters: Filters | None = None
    last: bool = False

    @property
    def size(self) -> int:
        """The extent of a tile."""
        return self.m + self.r - 1

    def key(self) -> str:
        """Return what names the kernel."""
        of = f"{self.parts.key('of')} {self.r} {self.whole} {self.filters} {self.last}"
        return f"winograd-{self.m}x{self.m} {of}"

    @property
    def source(self) -> Source:
        """The images, transformed for the products."""
        data, square = winograd(self.m, self.r).data, self.parts.schedule.square
        return Source("x", data, self.m, square, s.Var("depth"), watched=True, last=self.last)


THICKNESS = 32
"""The channels whose filters a task transforms at once."""

def work(form: Form) -> tuple[str, ...]:
    """Return the areas of scratch memory; each slot has its own part, a number ``<name>_part`` of elements."""
    return (*form.source.areas, "sums", "results", *(("own_filters",) if form.filters else ()))


NUMBERS = (
    *FILTER_NUMBERS,
    *("slots", "tasks", "groups_across", "panels", "panels_each", "m", *BLOCK_NUMBERS),
    *("height_out", "width_out", "sums_plane", "spare", "run", "runs"),
)


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    places = [f"{name}_{what}" for name in ("out", *form.parts.epilogue.names) for what in parts.PLACES]
    return [*NUMBERS, *form.source.numbers, *(f"{name}_part" for name in work(form)), *places]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops of the tiles: buffers x, w, u unless tasks transform filters, the epilogue's operands; areas of
    scratch memory, outputs.
    """
    dtype, epilogue = np.dtype(form.parts.schedule.dtype), gemm.outputs(form.parts.epilogue)
    operands = len(form.parts.epilogue.operands)
    filters = ("w",) if form.filters else ("w", "u")
    buffers = [*(Buffer(name, dtype) for name in ("x", *filters)), *epilogue[:operands]]
    buffers += [*(Buffer(name, dtype, writable=True) for name in work(form)), *epilogue[operands:]]
    return loops.build("winograd", (*buffers, *map(Parameter, parameters(form))), (_slots(form),))


def _slots(form: Form) -> loops.For:
    """Run the tasks of each slot."""
    slot, schedule = s.Var("slot"), form.parts.schedule
    first, end = (number * s.Var("tasks") // s.Var("slots") for number in (slot, slot + 1))
    return loops.parallel(
        "slot",
        s.Var("slots"),
        *(Let(f"{name}_at", index(slot * s.Var(f"{name}_part"))) for name in work(form)),
        Scratch("results_places", INDEX, form.m * ROW),
        *([] if form.parts.last else [Scratch("turned", np.dtype(schedule.dtype), schedule.band * schedule.lanes)]),
        *([Scratch("turned_filters", np.dtype(schedule.dtype), turned_size(form.filters))] if form.filters else []),
        *form.source.prepare(),
        Let("first_task", index(first)),
        loops.serial("number", end - s.Var("first_task"), *_block(form)),
    )


def _block(form: Form) -> list[Statement]:
    """Compute a block of tiles for a group of panels."""
    rows, task = form.parts.schedule.rows, s.Var("task")
    lines = s.minimum(s.Var("rows") * form.m, s.Var("height_out") - s.Var("top_line"))
    panels = s.minimum(s.Var("panels_each"), s.Var("panels") - s.Var("first_panel"))
    return [
        Let("task", index(s.Var("first_task") + s.Var("number"))),
        Let("piece", index(task // s.Var("groups_across"))),
        Let("first_panel", index(task % s.Var("groups_across") * s.Var("panels_each"))),
        *block(form.m),
        Let("height", index(s.Var("tiles"))),
        Let("groups", index((gemm.HEIGHT + (rows - 1)) // rows)),
        Let("pixels_each", index(lines * s.Var("width_out"))),
        *form.source.transform(),
        loops.serial("panel_here", panels, *_panel(form)),
    ]


def _panel(form: Form) -> list[Statement]:
    """Multiply the tiles by a panel of filters, transform the sums back, and store them."""
    schedule = form.parts.schedule
    return [
        Let("panel", index(s.Var("first_panel") + s.Var("panel_here"))),
        Let("first_column", index(s.Var("panel") * schedule.lanes)),
        Let("width", index(s.minimum(s.Const(schedule.lanes), s.Var("m") - gemm.FIRST_COLUMN))),
        Let("part", index(s.Const(0))),
        *(_multiply_own(form) if form.filters else _multiply(form)),
        loops.serial("result_tile", gemm.HEIGHT, *_transform_sums(form), apart=True),
        add_odd(schedule, form.source, form.m, form.r),
        *_store(form),
    ]


def _left(form: Form) -> gemm.Left:
    """Return how tiles are read: channels from ``start`` on of the product's plane."""
    base = s.Var("data_base") + s.Var("start")
    return gemm.Left("x_tiles", lambda _, number: ([], base + number * s.Var("depth")), lambda p: ([], p))


def _multiply(form: Form) -> list[Statement]:
    """Multiply by filters that have been transformed before, product by product."""
    schedule, products, product = form.parts.schedule, form.size**2, s.Var("product_number")
    u_base = (s.Var("panel") * products + product) * (s.Var("depth") * schedule.lanes + GAP)
    lanes = s.Const(schedule.lanes)
    right = gemm.Right("u", lambda p: ([], s.Var("u_start") + p * schedule.lanes), lanes, far=True)
    sums = gemm.Sums("sums", s.Var("sums_base"), fresh=form.whole)
    body: list[Statement] = [
        Let("length", index(s.Var("count"))),
        Let("u_start", index(s.Var("u_base") + s.Var("start") * schedule.lanes)),
        gemm.multiply(schedule, _left(form), right, sums=sums),
    ]
    depth = s.Var("depth") if form.whole else s.Const(schedule.depth)
    each = loops.serial(
        "product_number",
        products,
        Let("data_base", index(s.Var("x_tiles_at") + product * s.Var("x_plane"))),
        Let("sums_base", index(s.Var("sums_at") + product * s.Var("sums_plane"))),
        Let("u_base", index(u_base)),
        *(() if form.whole else (gemm.clear_sums(schedule, sums),)),
        *gemm.blocks(s.Var("depth"), depth, *body),
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
        s.Var("count") // form.filters.channels,
        Let("first_channel", index(s.Var("start") + s.Var("filter_piece") * form.filters.channels)),
        Let("filters_to", index(to)),
        *transform_filters(form.filters, "own_filters"),
    )
    multiplying = loops.serial(
        "product_number",
        products,
        Let("data_base", index(s.Var("x_tiles_at") + product * s.Var("x_plane"))),
        gemm.multiply(
            schedule, _left(form), right, sums=gemm.Sums("sums", s.Var("sums_at") + product * s.Var("sums_plane"))
        ),
    )
    clear = gemm.clear_sums(schedule, gemm.Sums("sums", s.Var("sums_at") + s.Var("cleared") * s.Var("sums_plane")))
    return [
        Let("filters_plane", index(s.Const(plane))),
        loops.serial("cleared", products, clear),
        *gemm.blocks(
            s.Var("depth"), thickness, Let("length", index(s.Var("count"))), transforming, multiplying
        ),
    ]


def _transform_sums(form: Form) -> list[Statement]:
    """Transform a tile's sums back: [pixels, lanes]; pixels beyond the image go where nobody looks."""
    schedule, first = form.parts.schedule, s.Var("k_first")
    tile, across = s.Var("result_tile"), s.Var("tiles_across")
    here = tile % s.Var("tiles_each")
    line, column = s.Var("out_y") + s.Var("i_out"), s.Var("out_x") + s.Var("j_out")
    place = s.Var("pixels_before") + line * s.Var("width_out") + column
    inside = s.less(s.Var("top_line") + line, s.Var("height_out")) & s.less(column, s.Var("width_out"))
    to = (s.where(inside, place, s.Var("spare"))) * schedule.lanes

    def store(i: s.Expr, j: int, value: s.Expr, lane: s.Expr) -> list[Statement]:
        at = s.Var("results_at") + s.Var(f"to{j}") + first + lane
        return [Load(f"to{j}", "results_places", i * ROW + j), Store("results", at, value)]

    lanes = Lanes("k", schedule.square, schedule.square, schedule.square)
    return [
        Let("out_y", index(here // across * form.m)),
        Let("out_x", index(here % across * form.m)),
        Let("pixels_before", index(tile // s.Var("tiles_each") * s.Var("pixels_each"))),
        loops.serial("i_out", form.m, loops.vector("j_out", form.m, ROW,
                     Store("results_places", s.Var("i_out") * ROW + s.Var("j_out"), to))),
        in_vectors("k", schedule.lanes, schedule.square,
                   Let("sums_from", index(s.Var("sums_at") + tile * schedule.lanes + first)),
                   *transform_sums(form.m, form.r, lanes, store)),
    ]  # fmt: skip


def _store(form: Form) -> list[Statement]:
    """Store the results of a panel through the epilogue, turned, so that pixels lie along memory, or as they are."""
    schedule, band, chunk = form.parts.schedule, form.parts.schedule.band, s.Var("chunk")
    first = s.Var("first_image") * s.Var("height_out") * s.Var("width_out") + s.Var("top_line") * s.Var("width_out")
    pixels, here = s.Var("pixels"), s.Var("pixels_here")
    numbers: list[Statement] = [
        Let("first_pixel", index(first)),
        Let("pixels", index(s.Var("block_images") * s.Var("pixels_each"))),
    ]
    if form.parts.last:
        start = s.Var("results_at")
        stores = parts.store_pixels(
            form.parts, "results", start, gemm.FIRST_COLUMN, gemm.WIDTH, s.Var("first_pixel"), pixels
        )
        return [*numbers, *stores]
    turn = parts.turn(schedule, "results", s.Var("results_at") + chunk * (band * schedule.lanes), here, gemm.WIDTH)
    store = parts.store_windows(
        form.parts, "turned", band, gemm.FIRST_COLUMN, s.Var("first_pixel") + chunk * band, here
    )
    return [
        *numbers,
        loops.serial(
            "chunk",
            (pixels + (band - 1)) // band,
            Let("pixels_here", index(s.minimum(s.Const(band), pixels - chunk * band))),
            turn,
            loops.serial("r", gemm.WIDTH, *store),
        ),
    ]
