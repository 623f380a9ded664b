"""The loops that copy images between zeros, so that every window lies inside, their pixels sorted by phase.

A window's steps are then steps of 1 in a phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.gemm_loops import TASK
from tensorlite.kernels.loops import Buffer, If, Let, Load, Parameter, Prefetch, Statement, Store, index


@dataclass(frozen=True, slots=True)
class Pad:
    """What a kernel that pads is specialised to: how far apart a phase's pixels are in the source; 0 may be any."""

    dtype: str
    step: int

    def key(self) -> str:
        """Return what names the kernel."""
        return f"pad images {self}"

PARAMETERS = (
    *("tasks", "first", "channels", "phases_down", "phases_across", "height", "width", "down", "across", "top", "left"),
    *("source_height", "source_width", "source_image", "source_channel", "source_line", "source_step"),
)


_PIXELS_AT_ONCE = 4096
"""Of some lines: they stay in the first cache."""


def kernel(form: Pad) -> loops.Kernel:
    """Return the loops that copy images, from ``first`` on: [images, channels, phases down, across, height, width].

    Pixel (y, x) of phase (i, j) is the source's pixel (y down + i - top, x across + j - left), or zero outside of it.
    """
    dtype, phase = np.dtype(form.dtype), s.Var("phase")
    height, width = s.Var("height"), s.Var("width")
    area, phases = height * width, s.Var("phases_down") * s.Var("phases_across")
    image, channel = s.Var("first") + TASK // s.Var("channels"), TASK % s.Var("channels")
    base = image * s.Var("source_image") + channel * s.Var("source_channel")
    step = s.Const(form.step) if form.step else s.Var("across") * s.Var("source_step")
    zero = loops.constant(0.0, dtype)
    clear = loops.vector("z", phases * area, 64, Store("padded", TASK * (phases * area) + s.Var("z"), zero))
    source = "source", s.Var("phase_source"), s.Var("down") * s.Var("source_line"), step
    target, extents = ("padded", s.Var("phase_to"), width), (s.Var("y_count"), s.Var("x_count"))
    lines = copy_lines(source, target, extents, 16, s.Var("at_once"), fetched=True)
    at_once = s.maximum(s.Const(1), _PIXELS_AT_ONCE // s.maximum(s.Const(1), s.Var("x_count")))
    at = s.Var("source_base") + s.Var("y_source") * s.Var("source_line") + s.Var("x_source") * s.Var("source_step")
    place = (TASK * phases + phase) * area + s.Var("y_first") * width + s.Var("x_first")
    each = [
        *inside("y", phase // s.Var("phases_across"), "down", "top", "height"),
        *inside("x", phase % s.Var("phases_across"), "across", "left", "width"),
        Let("phase_source", index(at)),
        Let("phase_to", index(place)),
        Let("at_once", index(at_once)),
        *lines,
    ]
    task = loops.parallel(
        "task", s.Var("tasks"), Let("source_base", index(base)), clear, loops.serial("phase", phases, *each)
    )
    buffers = (Buffer("source", dtype), Buffer("padded", dtype, writable=True))
    return loops.build("pad", (*buffers, *map(Parameter, PARAMETERS)), (task,))


def copy_lines(
    source: tuple[str, s.Expr, s.Expr, s.Expr], target: tuple[str, s.Expr, s.Expr], extents: tuple[s.Expr, s.Expr],
    lanes: int, at_once: s.Expr, fetched: bool = False,
) -> list[Statement]:  # fmt: skip
    """Copy lines of pixels by whole vectors, the last one ending where the line ends, or by a part of a vector.

    ``source`` is a buffer, where the first pixel is, and how far apart lines and pixels are; ``target`` a buffer, where
    to, and how far apart lines are; ``extents`` are the number of lines and that of pixels of each. A vector of each of
    the lines ``at_once`` is copied before the next one of each, so that loops are long. As memory is not read in order
    then, the lines after these may be ``fetched`` meanwhile.
    """
    (buffer, start, apart, step), (copied, to, pitch), (lines, count) = source, target, extents
    some, at = s.Var("some_lines"), s.Var("piece_at") + s.Var("piece_x")

    def moved(name: str, at: s.Expr) -> tuple[Let, list[Statement]]:
        line = Let(f"{name}_at_line", index(s.Var("some_first") + s.Var(f"{name}_line")))
        load = Load(f"{name}_moved", buffer, start + s.Var(line.name) * apart + at * step)
        return line, [load, Store(copied, to + s.Var(line.name) * pitch + at, s.Var(load.name))]

    line, whole = moved("piece", at)
    after = start + (s.Var(line.name) + at_once) * apart + s.Var("piece_at") * step
    fetch = [Prefetch(buffer, after, later=True)] if fetched else []
    pieces = loops.serial(
        "piece",
        (count + (lanes - 1)) // lanes,
        Let("piece_at", index(s.minimum(s.Var("piece") * lanes, count - lanes))),
        loops.serial("piece_line", some, line, *fetch, loops.vector("piece_x", s.Const(lanes), lanes, *whole)),
    )
    line, few = moved("few", s.Var("few"))
    part = loops.serial("few_line", some, line, loops.vector("few", count, lanes, *few, single=True))
    every = loops.serial(
        "some",
        (lines + (at_once - 1)) // at_once,
        Let("some_first", index(s.Var("some") * at_once)),
        Let("some_lines", index(s.minimum(at_once, lines - s.Var("some_first")))),
        If(s.greater_equal(count, lanes), (pieces,)),
        If(s.less(count, lanes), (part,)),
    )
    return [every]


def inside(name: str, phase: s.Expr, stride: str, border: str, extent: str) -> list[Statement]:
    """Name along one axis a phase's first place that is inside the source, where in it, and how many places are."""
    step, shift, first = s.Var(stride), s.Var(f"{name}_shift"), s.Var(f"{name}_first")
    last = s.minimum(s.Var(extent), (s.maximum(s.Const(0), s.Var(f"source_{extent}") + shift) + (step - 1)) // step)
    return [
        Let(f"{name}_shift", index(s.Var(border) - phase)),  # of the phase's first pixel: where the source begins
        Let(f"{name}_first", index((s.maximum(s.Const(0), shift) + (step - 1)) // step)),
        Let(f"{name}_source", index(first * step - shift)),
        Let(f"{name}_count", index(s.maximum(s.Const(0), last - first))),
    ]
