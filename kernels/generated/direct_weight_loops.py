"""The loops of the transpose of a direct convolution in its weight: pixels are lanes, places of a filter in registers.

A task has one channel of the images, and the filters of its group. What windows see is copied as in `direct_loops`; the
lanes of each band's sums are added by a fixed tree, bands and images one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import direct_loops as direct
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.direct_loops import TERMS, Taps
from tensorlite.kernels.generated.gemm_loops import TASK, Epilogue
from tensorlite.kernels.loops import (
    Assign,
    Buffer,
    Let,
    Load,
    Local,
    Parameter,
    Reduce,
    Scratch,
    Statement,
    Store,
    index,
)


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to: as that of `direct_loops`, with the lines of a filter that are taken at once.

    ``step`` is "u" where neighbours in the cotangents are neighbours in memory.
    """

    dtype: str
    lanes: int
    taps: Taps
    apart: int
    step: str
    epilogue: Epilogue

    def key(self) -> str:
        """Return what names the kernel."""
        what = f"{self.dtype} {self.lanes} {self.taps} {self.apart} {self.step}"
        return f"conv2d_weight direct {what} {self.epilogue.text()}"

    @property
    def zero(self) -> s.Typed:
        """The sum of nothing."""
        return loops.constant(0.0, self.dtype)


PARAMETERS = (
    *("tasks", "m", "inputs", "images", "bands", "band", "depth", "passes", "terms"),
    *("height", "width", "source_height", "source_width"),
    *("x_image", "x_part", "x_channel", "x_line", "x_step"),
    *("g_image", "g_channel", "g_line", "g_step"),
    *("down", "across", "top", "left", "phases", "lines", "pitch"),
)
"""Tasks, filters of a group, channels of a filter, images; bands and their lines; 1; how often some lines of a filter
are taken, and its places. Extents of the cotangents and of images; their strides; how windows lie: `direct_loops`."""

_LINE_SIZE, _HIGH, _COLUMN = (s.Var(name) for name in ("line_size", "high", "g_column"))


def kernel(form: Form) -> loops.Kernel:
    """Return the loops: buffers x, g, then those of the epilogue."""
    dtype = np.dtype(form.dtype)
    names = [f"{name}_{what}" for name in form.epilogue.names for what in ("row", "step")]
    buffers = [Buffer("x", dtype), Buffer("g", dtype), *gemm.outputs(form.epilogue)]
    return loops.build("conv2d_weight", (*buffers, *map(Parameter, (*PARAMETERS, *names))), (_tasks(form),))


def _tasks(form: Form) -> loops.For:
    inputs, m = s.Var("inputs"), s.Var("m")
    first = s.Var("part") // inputs * m
    clear_seen = Store("seen", s.Var("z"), form.zero)
    clear_sums = Store("sums", s.Var("y"), form.zero)
    band = loops.serial(
        "number",
        s.Var("bands"),
        Let("first_line", index(s.Var("number") * s.Var("band"))),
        Let("high", index(s.minimum(s.Var("band"), s.Var("height") - s.Var("first_line")))),
        *direct.look(form),
        loops.serial(
            "f",
            m,
            Let("filter", index(s.Var("first_filter") + s.Var("f"))),
            loops.serial("pass", s.Var("passes"), *_sum(form)),
        ),
    )
    return loops.parallel(
        "task",
        s.Var("tasks"),
        Scratch("seen", np.dtype(form.dtype), direct.SEEN),
        Scratch("sums", np.dtype(form.dtype), TERMS),
        Let("part", index(TASK)),
        Let("first_filter", index(first)),
        Let("first_column", index(0)),
        Let("line_size", index(s.Var("phases") * s.Var("pitch"))),
        Let("channel_size", index(s.Var("lines") * _LINE_SIZE)),
        loops.vector("z", s.Var("channel_size") + form.lanes, form.lanes, clear_seen),
        loops.vector("y", m * s.Var("terms"), form.lanes, clear_sums),
        loops.serial("image", s.Var("images"), band),
        _store(form),
    )


def _sum(form: Form) -> list[Statement]:
    """Add the products of a band's cotangents and what some lines of the filter see of it."""
    taps = form.taps
    names = [f"sum{t}" for t in taps.numbers]
    zero, line = form.zero, s.Var("line")
    start = (line * s.Var("down") + s.Var("pass") * (taps.down * taps.dilation)) * _LINE_SIZE
    cotangent = s.Var("image") * s.Var("g_image") + s.Var("filter") * s.Var("g_channel")
    cotangent = cotangent + (s.Var("first_line") + line) * s.Var("g_line")
    step = s.Const(1) if form.step == "u" else s.Var("g_step")
    body: list[Statement] = [Load("cotangent", "g", s.Var("g_from") + _COLUMN * step)]
    for (i, (phase, column)), name in zip(product(range(taps.down), taps.across), names, strict=True):
        place = i * taps.dilation * _LINE_SIZE + phase * s.Var("pitch") + column + _COLUMN
        body.append(Load(f"pixel_of_{name}", "seen", s.Var("seen_from") + place))
        body.append(Assign(name, s.fma(s.Var("cotangent"), s.Var(f"pixel_of_{name}"), s.Var(name))))
    columns = loops.vector("g_column", s.Var("width"), form.lanes, *body)
    lines = loops.serial("line", _HIGH, Let("g_from", index(cotangent)), Let("seen_from", index(start)), columns)
    merge = tuple(s.Var(name) + s.Var(loops.right(name)) for name in names)
    first = s.Var("f") * s.Var("terms") + s.Var("pass") * len(names)
    return [
        *(Load(f"{name}_before", "sums", first + t) for t, name in enumerate(names)),
        *(Local(name, s.Var(f"{name}_before")) for name in names),
        Reduce(tuple(names), (zero,) * len(names), merge, form.lanes, (lines,)),
        *(Store("sums", first + t, s.Var(name)) for t, name in enumerate(names)),
    ]


def _store(form: Form) -> loops.For:
    """Apply the epilogue to the sums: a filter's channels lie one after the other, and its filters too."""
    terms, filter_ = s.Var("terms"), s.Var("first_filter") + s.Var("stored")
    channel, letters = s.Var("part") % s.Var("inputs") * terms, {"u": s.Const(1), "b": s.Const(0)}
    steps = [s.Var(f"{name}_step") for name in form.epilogue.names]
    places = [filter_ * s.Var(f"{name}_row") + channel * letters[letter]
              for name, letter in zip(form.epilogue.names, form.epilogue.letters, strict=True)]  # fmt: skip
    to = filter_ * s.Var("inputs") * terms + channel
    row = gemm.Row("sums", s.Var("stored") * terms, terms, to, places, steps)
    schedule = gemm.Schedule(form.dtype, 1, form.lanes, 1, 1, form.lanes)
    return loops.serial("stored", s.Var("m"), *gemm.store_row(schedule, form.epilogue, row))
