"""The loops of depthwise convolutions of images whose channels lie along memory: channels are lanes."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.loops import Assign, Buffer, If, Let, Load, Local, Parameter, Scratch, Statement, Store, index

PANEL = 256
"""The channels that a row of sums has; filters are turned to [panels, taps, channels] beforehand."""

PIXELS = 4
"""The pixels of a line that are summed at once where all their windows are inside: a weight is read for all."""

_PADDED = ("kernel", "stride", "border", "extent")
NUMBERS = ("tasks", "bands", "band", "depth", "height_out", "x_base", "x_image", "x_line", "x_step",
           "groups", "left", "middle",
           *(f"{axis}_{what}" for axis in ("down", "across") for what in _PADDED))  # fmt: skip


def parameters(form: parts.Form) -> list[str]:
    """Return the names of the numbers, in order."""
    return [*NUMBERS, *(f"{name}_{what}" for name in ("out", *form.epilogue.names) for what in parts.PLACES)]


def kernel(form: parts.Form, dilation: tuple[int, int]) -> loops.Kernel:
    """Return the loops: buffers x and the turned filters, then those of the epilogue."""
    dtype, task = np.dtype(form.schedule.dtype), s.Var("task")
    first = Let("first_line", index(task % s.Var("bands") * s.Var("band")))
    body = loops.parallel(
        "task",
        s.Var("tasks"),
        Scratch("sums", dtype, PIXELS * PANEL),
        first,
        Let("lines", index(s.minimum(s.Var("band"), s.Var("height_out") - s.Var("first_line")))),
        Let("image", index(task // s.Var("bands"))),
        loops.serial("panel", (s.Var("depth") + (PANEL - 1)) // PANEL, *_panel(form, dilation)),
    )
    buffers = [Buffer("x", dtype), Buffer("turned_w", dtype), *gemm.outputs(form.epilogue)]
    return loops.build("depthwise", (*buffers, *map(Parameter, parameters(form))), (body,))


def _panel(form: parts.Form, dilation: tuple[int, int]) -> list[Statement]:
    """Go through a panel's pixels: several at once where their windows are inside the image, and else one by one."""
    line, group = s.Var("first_line") + s.Var("line"), s.Var("group")
    before, until = (s.minimum(s.maximum(n - s.Var("left"), s.Const(0)), s.Var("middle")) for n in (group, group + 1))
    groups = loops.serial(
        "group",
        s.Var("groups"),
        Let("column_out", index(group + before * (PIXELS - 1))),
        Let("pixels", index((until - before) * (PIXELS - 1) + 1)),
        *_inside("across", s.Var("column_out"), dilation[1]),
        If(s.greater(s.Var("pixels"), 1), tuple(_sum(form, dilation, PIXELS))),
        If(s.equal(s.Var("pixels"), 1), tuple(_sum(form, dilation, 1))),
        loops.serial("r", s.Var("pixels"), *_store(form)),
    )
    return [
        Let("first_channel", index(s.Var("panel") * PANEL)),
        Let("width", index(s.minimum(s.Const(PANEL), s.Var("depth") - s.Var("first_channel")))),
        loops.serial("line", s.Var("lines"), *_inside("down", line, dilation[0]), groups),
    ]


def _inside(axis: str, number: s.Expr, step: int) -> list[Statement]:
    """Name along an axis the first tap of a window that is inside the image, how many are, and the pixel it sees."""
    start = number * s.Var(f"{axis}_stride") - s.Var(f"{axis}_border")
    before, ahead = (s.maximum(s.Const(0), n - start + (step - 1)) for n in (s.Const(0), s.Var(f"{axis}_extent")))
    low, end = before // step, s.minimum(s.Var(f"{axis}_kernel"), ahead // step)
    return [
        Let(f"{axis}_low", index(low)),
        Let(f"{axis}_count", index(end - s.Var(f"{axis}_low"))),
        Let(f"{axis}_at", index(start + s.Var(f"{axis}_low") * step)),
    ]


def _sum(form: parts.Form, dilation: tuple[int, int], pixels: int) -> list[Statement]:
    """Add the taps of the windows of some pixels, for all channels of the panel."""
    names = ("i", "j", "channel", "x_row", "w_row", "x_tap", "weight")
    name = {what: f"{what}_of_{pixels}" for what in names}
    i, j, channel, x_row, w_row, x_tap, weight = (s.Var(name[what]) for what in names)
    base = s.Var("x_base") + s.Var("image") * s.Var("x_image") + s.Var("first_channel")
    x_line = base + (s.Var("down_at") + i * dilation[0]) * s.Var("x_line") + s.Var("across_at") * s.Var("x_step")
    tap = (s.Var("down_low") + i) * s.Var("across_kernel") + s.Var("across_low")
    taps, apart = s.Var("down_kernel") * s.Var("across_kernel"), s.Var("across_stride") * s.Var("x_step")
    totals = [f"total{k}_of_{pixels}" for k in range(pixels)]
    one: list[Statement] = [
        Let(name["x_tap"], index(x_row + j * dilation[1] * s.Var("x_step"))),
        Load(name["weight"], "turned_w", w_row + j * PANEL + channel),
    ]
    for k, total in enumerate(totals):
        one.append(Load(f"pixel{k}_of_{pixels}", "x", x_tap + k * apart + channel))
        one.append(Assign(total, s.fma(s.Var(f"pixel{k}_of_{pixels}"), weight, s.Var(total))))
    rows = loops.serial(
        name["i"],
        s.Var("down_count"),
        Let(name["x_row"], index(x_line)),
        Let(name["w_row"], index((s.Var("panel") * taps + tap) * PANEL)),
        loops.serial(name["j"], s.Var("across_count"), *one),
    )
    stores = [Store("sums", k * PANEL + channel, s.Var(total)) for k, total in enumerate(totals)]
    lanes = (2 if pixels > 1 else 4) * form.schedule.square
    locals_ = (Local(total, gemm.zero(form.schedule)) for total in totals)
    return [loops.vector(name["channel"], s.Var("width"), lanes, *locals_, rows, *stores)]


def _store(form: parts.Form) -> list[Statement]:
    """Apply the epilogue to the sums of pixel ``r`` of those that were summed."""
    line, column = s.Var("first_line") + s.Var("line"), s.Var("column_out") + s.Var("r")

    def place(name: str) -> s.Expr:
        place = s.Var(f"{name}_base") + s.Var("image") * s.Var(f"{name}_image") + line * s.Var(f"{name}_line")
        place = place + column * s.Var(f"{name}_step")
        return place + s.Var("first_channel") * (s.Const(1) if name == "out" else s.Var(f"{name}_channel"))

    names = form.epilogue.names
    row = gemm.Row("sums", s.Var("r") * PANEL, s.Var("width"), place("out"), [place(name) for name in names],
                   [s.Var(f"{name}_channel") for name in names])  # fmt: skip
    return gemm.store_row(form.schedule, form.epilogue, row)
