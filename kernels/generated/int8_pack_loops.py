"""The loops that lay bytes out for ``dot4``: images and rows of matrices become quads, filters become panels of quads.

A quad is an int32 that holds four bytes which are summed together: of four channels at one pixel, or of four columns
of a row. Images and rows become unsigned bytes: signed ones are moved up by 128, as is their zero point. Filters are
signed. They lie in panels, [groups, panels, channels / 4, taps, pitch], the same on every machine; then come the sums
of each filter's bytes, [groups, panels, pitch].
"""

from __future__ import annotations

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
_ZERO = s.Const(0)


def quad(buffer: str, places: list[s.Expr], name: str = "byte") -> tuple[list[Statement], s.Expr]:
    """Return the loads of four bytes, the lowest first, and the int32 that holds them."""
    loads: list[Statement] = [Load(f"{name}{k}", buffer, place) for k, place in enumerate(places)]
    wide = [s.cast(s.Var(f"{name}{k}"), WORD) for k in range(4)]
    return loads, wide[0] | (wide[1] << 8) | (wide[2] << 16) | (wide[3] << 24)


# Images and rows


@dataclass(frozen=True, slots=True)
class Images:
    """What the copy of images is specialised to: how far apart pixels are in the source; 0 may be any."""

    step: int

    def key(self) -> str:
        """Return what names the kernel."""
        return f"quads of images {self}"


IMAGE_PARAMETERS = (
    *("tasks", "chunks", "lines", "planes", "quads", "channels", "phases_down", "phases_across", "height", "width"),
    *("down", "across", "top", "left", "source_height", "source_width"),
    *("source_first", "source_image", "source_channel", "source_line", "source_step"),
)


def image_kernel(form: Images) -> loops.Kernel:
    """Return the loops that copy images: [images, groups, quads, phases down, phases across, height, width].

    Pixel (y, x) of phase (i, j) is the source's pixel (y down + i - top, x across + j - left), or the zero point
    outside of it. A last quad that lacks channels repeats one: its filter is zero there.
    """
    phases, height, width = s.Var("phases_down") * s.Var("phases_across"), s.Var("height"), s.Var("width")
    lines, phase = s.Var("lines"), s.Var("phase")
    plane, rest, channels = s.Var("plane"), s.Var("plane_rest"), s.Var("channels")
    first = rest // s.Var("quads") * channels
    image = s.Var("source_first") + s.Var("plane") // s.Var("planes") * s.Var("source_image")
    here = (plane * phases + phase) * height
    border = (s.cast(s.Var("zero_point"), WORD) ^ (s.Var("flip") & 255)) * ONES
    fill = Store("quads_out", s.Var("filled") + s.Var("z"), s.Var("border"))
    clear = loops.vector("z", s.Var("line_count") * width, LANES, fill)
    return loops.build("quads_of_images", _image_parameters(), (loops.parallel(
        "task",
        s.Var("tasks"),
        Let("first_line", index(TASK % s.Var("chunks") * lines)),
        Let("line_count", index(s.minimum(lines, height - s.Var("first_line")))),
        Let("plane", index(TASK // s.Var("chunks"))),
        Let("plane_rest", index(plane % s.Var("planes"))),
        Load("zero_point", "zero", _ZERO),
        Let("border", border),
        *(Let(f"channel{k}", index(image + (first + s.minimum(rest % s.Var("quads") * 4 + k, channels - 1))
                                   * s.Var("source_channel"))) for k in range(4)),
        loops.serial("phase", phases, Let("filled", index((here + s.Var("first_line")) * width)), clear,
                     *_copy_phase(form, here)),
    ),))  # fmt: skip


def _image_parameters() -> tuple[Buffer | Parameter, ...]:
    buffers = Buffer("source", BYTE), Buffer("zero", BYTE), Buffer("quads_out", WORD, writable=True)
    return (*buffers, *map(Parameter, IMAGE_PARAMETERS), Parameter("flip", WORD))


def _copy_phase(form: Images, here: s.Expr) -> list[Statement]:
    """Copy the pixels of a phase that are inside the source, on the task's lines."""
    step = s.Const(form.step) if form.step else s.Var("across") * s.Var("source_step")
    x, line = s.Var("x"), s.Var("line")
    start = s.Var("y_source") + s.Var("line_skipped") * s.Var("down")
    loads, value = quad("source", [s.Var("from") + s.Var(f"channel{k}") + x * step for k in range(4)])
    store = Store("quads_out", s.Var("to") + x, value ^ s.Var("flip"))
    source = (start + line * s.Var("down")) * s.Var("source_line") + s.Var("x_source") * s.Var("source_step")
    first = s.maximum(s.Var("first_line"), s.Var("y_first"))
    last = s.minimum(s.Var("first_line") + s.Var("line_count"), s.Var("y_first") + s.Var("y_count"))
    return [
        *inside("y", s.Var("phase") // s.Var("phases_across"), "down", "top", "height"),
        *inside("x", s.Var("phase") % s.Var("phases_across"), "across", "left", "width"),
        Let("line_first", index(first)),
        Let("line_skipped", index(s.Var("line_first") - s.Var("y_first"))),
        loops.serial(
            "line",
            s.maximum(_ZERO, last - s.Var("line_first")),
            Let("from", index(source)),
            Let("to", index((here + s.Var("line_first") + line) * s.Var("width") + s.Var("x_first"))),
            loops.vector("x", s.Var("x_count"), LANES, *loads, store),
        ),
    ]


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
