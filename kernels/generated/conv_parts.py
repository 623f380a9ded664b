"""What the loops of all convolutions have in common: tasks, taps, runs of pixels, and how results are stored.

Pixels are numbered through; a run is a number of them that lie side by side.
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
    TASK,
    WIDTH,
    Epilogue,
    Schedule,
)
from tensorlite.kernels.loops import Buffer, Let, Parameter, Scratch, Statement, Transpose, index

MOST_TAPS = 128
"""The places of a filter: there is memory for the offsets of so many."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to. ``step`` is "u" where neighbours in the result are neighbours in memory.

    "2" is for those with one element between. Where channels come ``last`` in the result, these are the neighbours.
    Windows are gathered run by run, ``stretch`` pixels at once, whatever lies beyond a run: the next one overwrites
    it. If that is 0, nothing beyond a run is read. The terms of a block of the sum are ordered ``by_taps``, or by
    channels.
    """

    schedule: Schedule
    epilogue: Epilogue
    step: str = "u"
    stretch: int = 0
    last: bool = False
    by_taps: bool = False

    def key(self, name: str) -> str:
        """Return what names the kernel."""
        return f"{name} {self.schedule} {self.step} {self.stretch} {self.last} {self.by_taps} {self.epilogue.text()}"


TAPS = [f"{axis}_{what}" for axis in ("down", "across") for what in ("step", "divided", "by", "phase", "shift")]
"""Where tap i of an axis is: at i step + (i divided % by) phase + (i divided // by) shift."""

PLACES = ("base", "image", "channel", "line", "step")


def build(name: str, form: Form, read: tuple[str, str], numbers: list[str], task: loops.For) -> loops.Kernel:
    """Return a kernel of buffers to ``read``, those of the epilogue, and numbers."""
    dtype = np.dtype(form.schedule.dtype)
    buffers = [*(Buffer(buffer, dtype) for buffer in read), *gemm.outputs(form.epilogue)]
    return loops.build(name, (*buffers, *map(Parameter, numbers)), (task,))


def where(lanes: int, across: str = "n", down: str = "m") -> list[Statement]:
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


def each_tap(*body: Statement) -> loops.For:
    """Run ``body`` for each tap, number ``tap``, which is (``i``, ``j``); it is ``tap_place`` from the first one."""
    place: s.Expr = s.Const(0)
    for axis, number in (("down", s.Var("i")), ("across", s.Var("j"))):
        divided, by = number * s.Var(f"{axis}_divided"), s.Var(f"{axis}_by")
        place = place + number * s.Var(f"{axis}_step")
        place = place + divided % by * s.Var(f"{axis}_phase") + divided // by * s.Var(f"{axis}_shift")
    tap = Let("tap", index(s.Var("i") * s.Var("taps_across") + s.Var("j")))
    across = loops.serial("j", s.Var("taps_across"), tap, Let("tap_place", index(place)), *body)
    return loops.serial("i", s.Var("taps_down"), across)


def segments(
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


def store_windows(
    form: Form, source: str, pitch: int, channel: s.Expr, first: s.Expr, count: s.Expr
) -> list[Statement]:
    """Apply the epilogue to row ``r`` of ``source``: ``count`` pixels from ``first`` on of channel ``channel + r``."""
    channel = s.Var("part") * s.Var("m") + channel + s.Var("r")

    def place(name: str, step: s.Expr) -> s.Expr:
        place = s.Var(f"{name}_base") + s.Var("done_image") * s.Var(f"{name}_image")
        place = place + channel * s.Var(f"{name}_channel") + s.Var("done_line") * s.Var(f"{name}_line")
        return place + s.Var("done_at") * step

    names = form.epilogue.names
    letters = {"u": s.Const(1), "b": s.Const(0), "2": s.Const(2)}
    pairs = list(zip(names, form.epilogue.letters, strict=True))
    steps = [letters.get(letter, s.Var(f"{name}_step")) for name, letter in pairs]
    places = [place(name, step) for name, step in zip(names, steps, strict=True)]
    step = letters.get(form.step, s.Var("out_step"))
    start = s.Var("r") * pitch + s.Var("done_to")
    row = gemm.Row(source, start, s.Var("done_count"), place("out", step), places, steps, step, form.schedule.square)
    store = gemm.store_row(form.schedule, form.epilogue, row)
    return segments("done", first, count, s.Var("run"), s.Var("runs"), *store)


def store_pixels(
    form: Form, source: str, start: s.Expr, channel: s.Expr, width: s.Expr, first: s.Expr, count: s.Expr
) -> list[Statement]:
    """Apply the epilogue to rows of ``source``, from ``start`` on: ``count`` pixels from ``first`` on.

    Of each, ``width`` channels from ``channel`` on lie along memory in the result.
    """
    names, lanes = form.epilogue.names, form.schedule.lanes
    channel, number = s.Var("part") * s.Var("m") + channel, s.Var("done_at") + s.Var("done_pixel")

    def place(name: str) -> s.Expr:
        place = s.Var(f"{name}_base") + s.Var("done_image") * s.Var(f"{name}_image")
        place = place + s.Var("done_line") * s.Var(f"{name}_line") + number * s.Var(f"{name}_step")
        return place + channel * (s.Const(1) if name == "out" else s.Var(f"{name}_channel"))

    steps = [s.Var(f"{name}_channel") for name in names]
    row = gemm.Row(
        source, start + (s.Var("done_to") + s.Var("done_pixel")) * lanes, width, place("out"),
        [place(name) for name in names], steps,
    )  # fmt: skip
    pixels = loops.serial("done_pixel", s.Var("done_count"), *gemm.store_row(form.schedule, form.epilogue, row))
    return segments("done", first, count, s.Var("run"), s.Var("runs"), pixels)


def turn_tile(schedule: Schedule) -> list[Statement]:
    """Turn the tile, so that its columns lie along memory."""
    size = np.dtype(schedule.dtype), schedule.band * schedule.lanes
    return [Scratch("turned", *size), turn(schedule, "tile", s.Const(0), HEIGHT, WIDTH)]


def turn(schedule: Schedule, source: str, start: s.Expr, height: s.Expr, width: s.Expr) -> loops.For:
    """Turn rows of lanes that begin at ``start`` of ``source``: whole squares, beyond the height and width too."""
    high, wide, size = s.Var("high"), s.Var("wide"), schedule.square
    square = Transpose(
        "turned", wide * (size * schedule.band) + high * size, schedule.band, source,
        start + high * (size * schedule.lanes) + wide * size, schedule.lanes, size,
    )  # fmt: skip
    squares = loops.serial("wide", (width + (size - 1)) // size, square)
    return loops.serial("high", (height + (size - 1)) // size, squares, apart=True)
