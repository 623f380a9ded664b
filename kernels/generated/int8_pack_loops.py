"""The loops that lay bytes out for ``dot4``: images and rows of matrices become quads, filters become panels of quads.

A quad is an int32 that holds four bytes which are summed together: of four channels at one pixel, or of four columns
of a row. Images and rows become unsigned bytes: signed ones are moved up by 128, as is their zero point. Filters are
signed. They lie in panels, [groups, panels, channels / 4, taps, pitch], the same on every machine; then come the sums
of each filter's bytes, [groups, panels, pitch].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.gemm_loops import TASK
from tensorlite.kernels.generated.pad_loops import inside
from tensorlite.kernels.loops import Assign, Buffer, If, Let, Load, Local, Parameter, Statement, Store, index
from tensorlite.kernels.scalar.primitive import dot4

BYTE, WORD = np.dtype(np.uint8), np.dtype(np.int32)
LANES = 16
ONES = 0x01010101
_PIECES = (2 * LANES, LANES, LANES // 2, LANES // 4)
_ZERO = s.Const(0)


def quad(buffer: str, places: list[s.Expr], name: str = "byte") -> tuple[list[Statement], s.Expr]:
    """Return the loads of four bytes, the lowest first, and the int32 that holds them."""
    loads: list[Statement] = [Load(f"{name}{k}", buffer, place) for k, place in enumerate(places)]
    wide = [s.cast(s.Var(f"{name}{k}"), WORD) for k in range(4)]
    return loads, wide[0] | (wide[1] << 8) | (wide[2] << 16) | (wide[3] << 24)


# Images and rows


@dataclass(frozen=True, slots=True)
class Images:
    """What the copy of images is specialised to: how far apart pixels are in the source; 0 may be any.

    Lines shorter than the ``least`` vector are copied in part of one, which takes a mask to be fast.
    """

    step: int
    least: int = LANES

    def key(self) -> str:
        """Return what names the kernel."""
        return f"quads of images {self}"


IMAGE_PARAMETERS = (
    *("tasks", "chunks", "lines", "blocks", "block", "parts", "quads", "channels"),
    *("phases_down", "phases_across", "height", "width", "down", "across", "top", "left"),
    *("source_height", "source_width"),
    *("source_first", "source_image", "source_channel", "source_line", "source_step"),
)


def image_kernel(form: Images) -> loops.Kernel:
    """Return the loops that copy images: [images, groups, quads, phases down, phases across, height, width].

    Pixel (y, x) of phase (i, j) is the source's pixel (y down + i - top, x across + j - left), or the zero point
    outside of it. A last quad that lacks channels repeats one: its filter is zero there. A task is some lines of all
    phases of a block of a group's quads.
    """
    rest, place, lines, quads = s.Var("task_rest"), s.Var("task_place"), s.Var("lines"), s.Var("quads")
    border = (s.cast(s.Var("zero_point"), WORD) ^ (s.Var("flip") & 255)) * ONES
    image = s.Var("source_first") + place // s.Var("parts") * s.Var("source_image")
    phase = [
        *inside("y", s.Var("phase") // s.Var("phases_across"), "down", "top", "height"),
        *inside("x", s.Var("phase") % s.Var("phases_across"), "across", "left", "width"),
        *_lines_inside(),
        loops.serial("quad", s.Var("quad_count"), *_copy_quad(form)),
    ]
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Let("first_line", index(TASK % s.Var("chunks") * lines)),
        Let("end_line", index(s.minimum(s.Var("first_line") + lines, s.Var("height")))),
        Let("task_rest", index(TASK // s.Var("chunks"))),
        Let("first_quad", index(rest % s.Var("blocks") * s.Var("block"))),
        Let("quad_count", index(s.minimum(s.Var("block"), quads - s.Var("first_quad")))),
        Let("task_place", index(rest // s.Var("blocks"))),
        Let("source_start", index(image + place % s.Var("parts") * s.Var("channels") * s.Var("source_channel"))),
        Load("zero_point", "zero", _ZERO),
        Let("border", border),
        loops.serial("phase", s.Var("phases_down") * s.Var("phases_across"), *phase),
    )
    return loops.build("quads_of_images", _image_parameters(), (task,))


def _image_parameters() -> tuple[Buffer | Parameter, ...]:
    buffers = Buffer("source", BYTE), Buffer("zero", BYTE), Buffer("quads_out", WORD, writable=True)
    return (*buffers, *map(Parameter, IMAGE_PARAMETERS), Parameter("flip", WORD))


def _lines_inside() -> list[Statement]:
    """Name which of the task's lines are inside the source, and how many pixels it has in all."""
    end, after = s.Var("end_line"), s.Var("y_first") + s.Var("y_count")
    return [
        Let("line_first", index(s.minimum(end, s.maximum(s.Var("first_line"), s.Var("y_first"))))),
        Let("line_count", index(s.maximum(_ZERO, s.minimum(end, after) - s.Var("line_first")))),
        Let("from_line", index(s.Var("y_source") + (s.Var("line_first") - s.Var("y_first")) * s.Var("down"))),
        Let("pixels", index((end - s.Var("first_line")) * s.Var("width"))),
    ]


def _copy_quad(form: Images) -> list[Statement]:
    """Write the task's lines of a quad: border, if there is any, and what is inside the source.

    Border goes under pixels too: stores under a mask, which would leave these out, are slow (measured).
    """
    phases, width = s.Var("phases_down") * s.Var("phases_across"), s.Var("width")
    number, first_line = s.Var("first_quad") + s.Var("quad"), s.Var("first_line")
    plane = (s.Var("task_place") * s.Var("quads") + number) * phases + s.Var("phase")
    source = s.Var("source_start") + s.Var("from_line") * s.Var("source_line")
    source = source + s.Var("x_source") * s.Var("source_step")
    channel = [s.minimum(number * 4 + k, s.Var("channels") - 1) * s.Var("source_channel") for k in range(4)]
    clear = loops.vector("z", s.Var("pixels"), LANES, Store("quads_out", s.Var("to") + s.Var("z"), s.Var("border")))
    return [
        Let("to", index((plane * s.Var("height") + first_line) * width)),
        *(Let(f"channel{k}", index(source + channel[k])) for k in range(4)),
        If(s.less(s.Var("line_count") * s.Var("x_count"), s.Var("pixels")), (clear,)),
        *_copy_lines(form),
    ]


def _copy_lines(form: Images) -> list[Statement]:
    """Copy the pixels that are inside the source."""
    step = s.Const(form.step) if form.step else s.Var("across") * s.Var("source_step")

    first = s.Var("to") + (s.Var("line_first") - s.Var("first_line")) * s.Var("width") + s.Var("x_first")

    def copied(x: s.Expr, name: str) -> list[Statement]:
        places = [s.Var(f"{name}_from") + s.Var(f"channel{k}") + x * step for k in range(4)]
        loads, value = quad("source", places, f"{name}_byte")
        return [*loads, Store("quads_out", s.Var(f"{name}_to") + x, value ^ s.Var("flip"))]

    def lines(copy: list[Statement], name: str) -> loops.For:
        line = s.Var(f"{name}_line")
        start = Let(f"{name}_from", index(line * (s.Var("down") * s.Var("source_line"))))
        to = Let(f"{name}_to", index(s.Var("place") + line * s.Var("width")))
        return loops.serial(line.name, s.Var("line_count"), start, to, *copy)

    sizes = [size for size in _PIECES if size >= form.least]
    return [Let("place", index(first)), *by_pieces("x", s.Var("x_count"), sizes, copied, lines)]


def by_pieces(
    name: str, count: s.Expr, sizes: Sequence[int], copied: Callable[[s.Expr, str], list[Statement]],
    rows: Callable[[list[Statement], str], loops.For] | None = None,
) -> list[Statement]:  # fmt: skip
    """Do ``copied`` for ``count`` places: by whole vectors, the last of which ends with them, or by a part of one.

    Vectors have the first of some ``sizes`` that does not exceed the count. ``rows`` is a loop that does it many times.
    Both are given what the names begin with that they define.
    """
    found: list[Statement] = []
    for size, larger in zip((*sizes, 1), (0, *sizes), strict=True):
        own = f"{name}{size}"
        at, lane, number = (s.Var(f"{own}_{what}") for what in ("at", "lane", "number"))
        fits = s.greater_equal(count, size)
        fits = s.logical_and(fits, s.less(count, larger)) if larger else fits
        copy: list[Statement] = [loops.serial(
            number.name,
            (count + (size - 1)) // size,
            Let(at.name, index(s.minimum(number * size, count - size))),
            loops.vector(lane.name, s.Const(size), size, *copied(at + lane, own)),
        )]  # fmt: skip
        if size == 1:
            copy = [loops.vector(lane.name, count, sizes[-1], *copied(lane, own), single=True)]
        found.append(If(fits, (rows(copy, own),) if rows else tuple(copy)))
    return found


BORDER_PARAMETERS = (
    *("tasks", "channels", "height", "width", "top", "left", "source_height", "source_width"),
    *("source_image", "source_channel", "source_line", "source_step"),
)


def border_kernel(form: Images) -> loops.Kernel:
    """Return the loops that copy images between borders of the zero point: [images, channels, height, width]."""
    height, width, line = s.Var("height"), s.Var("width"), s.Var("line")
    step = s.Const(form.step) if form.step else s.Var("source_step")
    top, left = s.Var("top"), s.Var("left")
    base = TASK // s.Var("channels") * s.Var("source_image") + TASK % s.Var("channels") * s.Var("source_channel")
    fill = Store("bordered", TASK * (height * width) + s.Var("z"), s.Var("zero_point"))
    count = s.maximum(_ZERO, s.minimum(s.Var("source_width"), width - left))
    copy = loops.vector(
        "x", count, 4 * LANES, Load("moved", "source", s.Var("from") + s.Var("x") * step),
        Store("bordered", s.Var("to") + s.Var("x"), s.Var("moved")),
    )  # fmt: skip
    lines = loops.serial(
        "line",
        s.maximum(_ZERO, s.minimum(s.Var("source_height"), height - top)),
        Let("from", index(base + line * s.Var("source_line"))),
        Let("to", index((TASK * height + top + line) * width + left)),
        copy,
    )
    task = loops.parallel(
        "task", s.Var("tasks"), Load("zero_point", "zero", _ZERO), loops.vector("z", height * width, 4 * LANES, fill),
        lines,
    )  # fmt: skip
    buffers = Buffer("source", BYTE), Buffer("zero", BYTE), Buffer("bordered", BYTE, writable=True)
    return loops.build("bordered", (*buffers, *map(Parameter, BORDER_PARAMETERS)), (task,))


ACROSS_PARAMETERS = (
    *("tasks", "quads", "taps", "phases", "height", "width", "down", "across", "dilation"),
    *("source_height", "source_width"),
)


def across_kernel(form: Images) -> loops.Kernel:
    """Return the loops that make quads of neighbours in lines: [planes, quads, phases down, height, width].

    Byte k of quad q at (y, x) of phase i is pixel (y down + i, x across + (4 q + k) dilation) of a bordered plane. A
    last quad that lacks columns repeats one: its filter is zero there.
    """
    plane, rest, x = TASK // s.Var("quads"), TASK % s.Var("quads"), s.Var("x")
    step = s.Const(form.step) if form.step else s.Var("across")
    columns = [
        Let(f"column{k}", index(s.minimum(rest * 4 + k, s.Var("taps") - 1) * s.Var("dilation"))) for k in range(4)
    ]
    row = s.Var("y") // s.Var("phases") * s.Var("down") + s.Var("y") % s.Var("phases")
    place = s.Var("y") % s.Var("phases") * s.Var("height") + s.Var("y") // s.Var("phases")
    loads, value = quad("bordered", [s.Var("from") + s.Var(f"column{k}") + x * step for k in range(4)])
    copy = loops.vector("x", s.Var("width"), LANES, *loads, Store("quads_out", s.Var("to") + x, value ^ s.Var("flip")))
    lines = loops.serial(
        "y",
        s.Var("height") * s.Var("phases"),
        Let("from", index((plane * s.Var("source_height") + row) * s.Var("source_width"))),
        Let("to", index((TASK * (s.Var("phases") * s.Var("height")) + place) * s.Var("width"))),
        copy,
    )
    task = loops.parallel("task", s.Var("tasks"), *columns, lines)
    buffers = Buffer("bordered", BYTE), Buffer("quads_out", WORD, writable=True)
    numbers = (*map(Parameter, ACROSS_PARAMETERS), Parameter("flip", WORD))
    return loops.build("quads_across", (*buffers, *numbers), (task,))


@dataclass(frozen=True, slots=True)
class Rows:
    """What the copy of rows is specialised to: how far apart their elements are in the source; 0 may be any."""

    step: int

    def key(self) -> str:
        """Return what names the kernel."""
        return f"quads of rows {self}"


def row_kernel(form: Rows) -> loops.Kernel:
    """Return the loops that copy the rows of stacks of matrices: [stack, rows, quads].

    The last quad of a row repeats its last element where it lacks some: the filter is zero there.
    """
    k, p, step = s.Var("k"), s.Var("p"), s.Const(form.step) if form.step else s.Var("source_step")
    base = TASK // s.Var("rows") * s.Var("source_stack") + TASK % s.Var("rows") * s.Var("source_row")
    loads, value = quad("source", [s.Var("from") + p * (4 * step) + n * step for n in range(4)])
    copy = loops.vector("p", k // 4, LANES, *loads, Store("quads_out", s.Var("to") + p, value ^ s.Var("flip")))
    places = [s.Var("from") + s.minimum(k // 4 * 4 + n, k - 1) * step for n in range(4)]
    loads, value = quad("source", places, "last")
    rest = If(s.greater(k % 4, 0), (*loads, Store("quads_out", s.Var("to") + k // 4, value ^ s.Var("flip"))))
    task = loops.parallel(
        "task", s.Var("tasks"), Let("from", index(base)), Let("to", index(TASK * ((k + 3) // 4))), copy, rest
    )
    numbers = map(Parameter, ("tasks", "rows", "k", "source_stack", "source_row", "source_step"))
    buffers = Buffer("source", BYTE), Buffer("quads_out", WORD, writable=True)
    return loops.build("quads_of_rows", (*buffers, *numbers, Parameter("flip", WORD)), (task,))


# Filters


@dataclass(frozen=True, slots=True)
class Filters:
    """What the turning of filters is specialised to: how far apart filters are in the source; 0 may be any."""

    step: int

    def key(self) -> str:
        """Return what names the kernel."""
        return f"panels of filters {self}"


FILTER_PARAMETERS = (
    *("tasks", "chunks", "panels", "pitch", "m", "channels", "taps_down", "taps_across", "total"),
    *("w_part", "w_row", "w_channel", "w_down", "w_across"),
)


def filter_kernel(form: Filters) -> loops.Kernel:
    """Return the loops that turn filters and sum them; zeros stand where there is no filter or no channel."""
    pitch, channels, lane, rest = s.Var("pitch"), s.Var("channels"), s.Var("lane"), s.Var("task_rest")
    step = s.Const(form.step) if form.step else s.Var("w_row")
    quads, across = (channels + 3) // 4, s.Var("taps_across")
    taps = s.Var("taps_down") * across
    at = (s.Var("quad") * taps + s.Var("i") * across + s.Var("j")) * pitch
    tap = s.Var("i") * s.Var("w_down") + s.Var("j") * s.Var("w_across")
    channel = [s.minimum(s.Var("quad") * 4 + k, channels - 1) * s.Var("w_channel") for k in range(4)]
    loads, value = quad("w", [s.Var("from") + tap + place + lane * step for place in channel])
    body: list[Statement] = [
        *loads,
        Let("four", value & s.Var("kept")),
        Store("turned", s.Var("to") + at + lane, s.Var("four")),
        Assign("total_here", dot4("total_here", "ones", "four")),
    ]
    missing = s.cast(s.maximum(_ZERO, s.Var("quad") * 4 + 4 - channels) * 8, WORD)
    kept = Let("kept", s.where(missing > 0, s.cast(0x7FFFFFFF, WORD) >> (missing - 1), s.cast(-1, WORD)))
    each = loops.serial("i", s.Var("taps_down"), loops.serial("j", across, *body))
    zero = loops.constant(0, WORD)
    work = loops.vector(
        "lane", s.Var("width"), LANES, Local("total_here", zero),
        loops.serial("quad", quads, kept, each),
        Store("turned", s.Var("total") + TASK * LANES + lane, s.Var("total_here")),
    )  # fmt: skip
    clear = Store("turned", s.Var("to") + s.Var("y") * pitch + s.Var("z"), zero)
    clear_total = Store("turned", s.Var("total") + TASK * LANES + s.Var("z_total"), zero)
    nothing = (
        loops.serial("y", quads * taps, loops.vector("z", LANES, LANES, clear)),
        loops.vector("z_total", LANES, LANES, clear_total),
    )
    first = s.Var("panel") * pitch + TASK % s.Var("chunks") * LANES
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Let("task_rest", index(TASK // s.Var("chunks"))),
        Let("panel", index(rest % s.Var("panels"))),
        Let("first", index(first)),
        Let("width", index(s.maximum(_ZERO, s.minimum(s.Const(LANES), s.Var("m") - s.Var("first"))))),
        Let("to", index(rest * (quads * taps * pitch) + TASK % s.Var("chunks") * LANES)),
        Let("from", index(rest // s.Var("panels") * s.Var("w_part") + s.Var("first") * s.Var("w_row"))),
        Let("ones", s.cast(ONES, WORD)),
        If(s.less(s.Var("width"), LANES), nothing),
        work,
    )
    buffers = Buffer("w", BYTE), Buffer("turned", WORD, writable=True)
    return loops.build("panels_of_filters", (*buffers, *map(Parameter, FILTER_PARAMETERS)), (task,))
