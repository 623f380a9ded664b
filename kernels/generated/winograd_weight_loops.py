"""The loops of Winograd convolutions' transpose in the weight: F(3, 4), the tiles being the sum.

Tiles of images and of cotangents are transformed block by block; for each product, images' channels are rows, the
cotangents' are columns, and tiles are summed over. At the end, the sums are transformed to the places of a filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.winograd_tiles import BLOCK_NUMBERS, Source, block
from tensorlite.kernels.generated.winograd_transforms import Lanes, in_vectors, transform_sums
from tensorlite.kernels.loops import Buffer, Let, Parameter, Scratch, Statement, Store, index
from tensorlite.kernels.winograd import winograd


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: filters of ``m`` by ``m`` places, tiles of ``r`` by ``r`` cotangents."""

    parts: parts.Form
    m: int
    r: int

    @property
    def products(self) -> int:
        """The number of products of a tile."""
        return (self.m + self.r - 1) ** 2

    @property
    def sources(self) -> tuple[Source, Source]:
        """The images and the cotangents."""
        matrices, square = winograd(self.m, self.r), self.parts.schedule.square
        return (
            Source("x", matrices.data, self.r, square, s.Var("rows_here"), gemm.FIRST_ROW),
            Source("g", matrices.filter, self.r, square, s.Var("columns_here"), gemm.FIRST_COLUMN),
        )

    def key(self) -> str:
        """Return what names the kernel."""
        return f"winograd-{self.m}x{self.m} {self.parts.key('weight of')} {self.r}"


AREAS = ("x_lines", "x_tiles", "g_lines", "g_tiles", "sums", "results")
"""The areas of scratch memory; each slot has its own part, a number ``<name>_part`` of elements."""

NUMBERS = ("slots", "tasks", "panels", "band", "m", "n", "pieces", "sums_plane", *BLOCK_NUMBERS)


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    numbers = [name for source in form.sources for name in source.numbers]
    places = [f"{name}_{what}" for name in form.parts.epilogue.names for what in ("row", "step")]
    return [*NUMBERS, *numbers, *(f"{name}_part" for name in AREAS), *places]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops: buffers x, g and the epilogue's operands; areas of scratch memory, outputs."""
    dtype, epilogue = np.dtype(form.parts.schedule.dtype), gemm.outputs(form.parts.epilogue)
    operands = len(form.parts.epilogue.operands)
    buffers = [Buffer("x", dtype), Buffer("g", dtype), *epilogue[:operands]]
    buffers += [*(Buffer(name, dtype, writable=True) for name in AREAS), *epilogue[operands:]]
    return loops.build("winograd_weight", (*buffers, *map(Parameter, parameters(form))), (_slots(form),))


def _slots(form: Form) -> loops.For:
    """Run the tasks of each slot: a band of the images' channels by a panel of the cotangents'."""
    slot, schedule, task = s.Var("slot"), form.parts.schedule, s.Var("task")
    first, end = (number * s.Var("tasks") // s.Var("slots") for number in (slot, slot + 1))
    clear = gemm.clear_sums(schedule, gemm.Sums("sums", s.Var("sums_at") + s.Var("cleared") * s.Var("sums_plane")))
    return loops.parallel(
        "slot",
        s.Var("slots"),
        *(Let(f"{name}_at", index(slot * s.Var(f"{name}_part"))) for name in AREAS),
        Scratch("turned", np.dtype(schedule.dtype), schedule.band * schedule.lanes),
        Let("first_task", index(first)),
        loops.serial(
            "number",
            end - s.Var("first_task"),
            Let("task", index(s.Var("first_task") + s.Var("number"))),
            Let("first_column", index(task % s.Var("panels") * schedule.lanes)),
            Let("first_row", index(task // s.Var("panels") * s.Var("band"))),
            Let("height", index(s.minimum(s.Var("band"), s.Var("m") - gemm.FIRST_ROW))),
            Let("width", index(s.minimum(s.Const(schedule.lanes), s.Var("n") - gemm.FIRST_COLUMN))),
            Let("rows_here", index(gemm.HEIGHT)),
            Let("columns_here", index(gemm.WIDTH)),
            Let("groups", index((gemm.HEIGHT + (schedule.rows - 1)) // schedule.rows)),
            *(statement for source in form.sources for statement in source.prepare()),
            loops.serial("cleared", form.products, clear),
            loops.serial("piece", s.Var("pieces"), *_block(form)),
            loops.serial("channel", gemm.HEIGHT, *_transform_sums(form)),
            *_store(form),
        ),
    )


def _block(form: Form) -> list[Statement]:
    """Transform a block of tiles, and add its products."""
    schedule, product = form.parts.schedule, s.Var("product_number")
    left = gemm.Left(
        "x_tiles", lambda _, number: ([], s.Var("x_from") + number), lambda p: ([], p * s.Var("rows_here"))
    )
    right = gemm.Right("g_tiles", lambda p: ([], s.Var("g_from") + p * s.Var("columns_here")), gemm.WIDTH)
    sums = gemm.Sums("sums", s.Var("sums_at") + product * s.Var("sums_plane"))
    return [
        *block(form.r),
        Let("length", index(s.Var("tiles"))),
        *(statement for source in form.sources for statement in source.transform()),
        loops.serial(
            "product_number",
            form.products,
            Let("x_from", index(s.Var("x_tiles_at") + product * s.Var("x_plane"))),
            Let("g_from", index(s.Var("g_tiles_at") + product * s.Var("g_plane"))),
            gemm.multiply(schedule, left, right, sums=sums),
        ),
    ]


def _transform_sums(form: Form) -> list[Statement]:
    """Transform a channel's sums to the places of filters: [channels, places, lanes]."""
    schedule, channel, first = form.parts.schedule, s.Var("channel"), s.Var("k_first")
    to = s.Var("results_at") + channel * (form.m * form.m * schedule.lanes)

    def store(i: s.Expr, j: int, value: s.Expr, lane: s.Expr) -> list[Statement]:
        return [Store("results", to + (i * form.m + j) * schedule.lanes + first + lane, value)]

    lanes = Lanes("k", schedule.square, schedule.square, schedule.square)
    return [
        in_vectors(
            "k",
            schedule.lanes,
            schedule.square,
            Let("sums_from", index(s.Var("sums_at") + channel * schedule.lanes + first)),
            *transform_sums(form.m, form.r, lanes, store),
        )
    ]


def _store(form: Form) -> list[Statement]:
    """Turn the results, so that a filter's places lie along memory, and store them through the epilogue."""
    schedule, chunk, r = form.parts.schedule, s.Var("chunk"), s.Var("r")
    taps, band, here = form.m * form.m, form.parts.schedule.band, s.Var("places_here")
    number, first = gemm.FIRST_COLUMN + r, gemm.FIRST_ROW * taps + chunk * band
    turn = parts.turn(schedule, "results", s.Var("results_at") + chunk * (band * schedule.lanes), here, gemm.WIDTH)
    steps = [s.Const(1) if letter == "u" else s.Const(0) for letter in form.parts.epilogue.letters]
    names = form.parts.epilogue.names
    places = [number * s.Var(f"{name}_row") + first * step for name, step in zip(names, steps, strict=True)]
    row = gemm.Row("turned", r * band, here, number * (s.Var("m") * taps) + first, places, steps)
    return [
        loops.serial(
            "chunk",
            (gemm.HEIGHT * taps + (band - 1)) // band,
            Let("places_here", index(s.minimum(s.Const(band), gemm.HEIGHT * taps - chunk * band))),
            turn,
            loops.serial("r", gemm.WIDTH, *gemm.store_row(schedule, form.parts.epilogue, row)),
        )
    ]
