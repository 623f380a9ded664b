"""The loops of filters of which there are few in a group: the pixels of a line are lanes, a filter is broadcast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import TASK, Epilogue
from tensorlite.kernels.generated.int8_pack_loops import WORD
from tensorlite.kernels.loops import (
    INDEX,
    Assign,
    Buffer,
    Let,
    Load,
    Local,
    Parameter,
    Scratch,
    Statement,
    Store,
    index,
)
from tensorlite.kernels.scalar.primitive import dot4

MOST_TERMS = 256
"""The length of a sum, in quads: there is memory for the offsets of so many."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the loops are specialised to: the epilogue, and how many pixels are taken at once.

    The epilogue's letters say how operands run along pixels.
    """

    epilogue: Epilogue
    lanes: int

    def key(self) -> str:
        """Return what names the kernel."""
        return f"direct product {self.lanes} {self.epilogue.text()}"


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    names = ["tasks", "filters_in_all", "m", "terms", "depth", "taps_down", "taps_across", *parts.TAPS]
    names += ["x_base", "x_image", "x_part", "x_channel", "x_line", "w_part", "w_pitch", "height", "width", "out_first"]
    return names + [f"{name}_{what}" for name in form.epilogue.names for what in ("row", "channel")]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops, of buffers x and filters in quads and those of the epilogue: a task is a plane of results."""
    filter_, pitch, c, p = s.Var("filter"), s.Var("w_pitch"), s.Var("c"), s.Var("p")
    number = c * s.Var("taps") + s.Var("tap")
    table = Store("x_table", number, index(c * s.Var("x_channel") + s.Var("tap_place")))
    own, part = filter_ % s.Var("m"), filter_ // s.Var("m")
    w_start = part * s.Var("w_part") + own // pitch * (s.Var("terms") * pitch) + own % pitch
    image = TASK // s.Var("filters_in_all")
    x_start = s.Var("x_base") + image * s.Var("x_image") + part * s.Var("x_part")
    sums = loops.serial(
        "p",
        s.Var("terms"),
        Load("x_tap", "x_table", p),
        Load("four", "filters", s.Var("w_start") + p * pitch),
        Load("seen", "x", s.Var("from") + s.Var("x_tap") + gemm.LANE),
        Assign("sum", dot4("sum", "seen", "four")),
    )
    before, inner = _finished(form)
    pixels = loops.vector(
        "lane", s.Var("width"), form.lanes, Local("sum", loops.constant(0, WORD)), sums, *inner, single=True
    )
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Scratch("x_table", INDEX, MOST_TERMS),
        Let("taps", index(s.Var("taps_down") * s.Var("taps_across"))),
        parts.each_tap(loops.serial("c", s.Var("depth"), table)),
        Let("filter", index(TASK % s.Var("filters_in_all"))),
        Let("w_start", index(w_start)),
        Let("x_start", index(x_start)),
        *before,
        loops.serial(
            "y",
            s.Var("height"),
            Let("from", index(s.Var("x_start") + s.Var("y") * s.Var("x_line"))),
            Let("to", index(s.Var("out_first") + (TASK * s.Var("height") + s.Var("y")) * s.Var("width"))),
            Let("first_pixel", index((image * s.Var("height") + s.Var("y")) * s.Var("width"))),
            pixels,
        ),
    )
    buffers = [Buffer("x", WORD), Buffer("filters", WORD), *gemm.outputs(form.epilogue)]
    return loops.build("direct", (*buffers, *map(Parameter, parameters(form))), (task,))


def _finished(form: Form) -> tuple[list[Statement], list[Statement]]:
    """Return what is loaded for a filter, and what makes a result of a sum and is done for each pixel."""
    before: list[Statement] = []
    inner: list[Statement] = [Let("product", s.Var("sum"))]
    for name, letter in zip(form.epilogue.names, form.epilogue.letters, strict=True):
        at = s.Var("filter") * s.Var(f"{name}_channel")
        if letter == "b":
            before.append(Load(name, f"{name}_buffer", at))
        else:
            pixel = s.Var("first_pixel") + gemm.LANE
            at = at + (pixel if letter == "u" else pixel * s.Var(f"{name}_row"))
            inner.append(Load(name, f"{name}_buffer", at))
    value = s.cast(form.epilogue.values[0], np.dtype(form.epilogue.outputs[0]))
    inner.append(Store("out0", s.Var("to") + gemm.LANE, value))
    return before, inner
