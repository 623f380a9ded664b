"""The loops of pooling over windows of images whose channels lie along memory: channels are lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import pool_loops
from tensorlite.kernels.generated.pool_loops import Windows, wide, window
from tensorlite.kernels.loops import Buffer, Let, Load, Local, Parameter, Statement, Store, index

_VECTORS = 4  # of channels that are combined side by side


def combined(dtype: np.dtype[Any], windows: Windows, maximum: bool) -> loops.Kernel:
    """Return the loops of the maximum, or the average, of each window of each of ``depth`` channels.

    A plane is an image: there is one "channel" to the numbers of ``pool_loops``.
    """
    row, c, channel = s.Var("first") + s.Var("row"), s.Var("c"), s.Var("channel")
    y, x = s.Var("row_at") + s.Var("i") * windows.dilation[0], s.Var("column_at") + s.Var("j") * windows.dilation[1]
    place = s.Var("x_plane") + y * s.Var("x_row") + x * s.Var("x_column")
    load = Load("v", "x", s.Var("from") + channel)
    take = pool_loops.combine("column", s.cast(s.Var("v"), wide(dtype)), maximum)
    total = (
        Local("total", pool_loops.identity(dtype, maximum)),
        loops.serial(
            "j",
            s.Var("column_count"),
            Local("column", pool_loops.identity(dtype, maximum)),
            loops.serial("i", s.Var("row_count"), Let("from", index(place)), load, take),
            pool_loops.combine("total", s.Var("column"), maximum),
        ),
        Store("out", s.Var("to") + channel, pool_loops.result(dtype, windows, maximum)),
    )
    of_row, of_column = pool_loops.count_elements(windows, row, c)
    columns = loops.serial(
        "c",
        s.Var("across"),
        *of_column,
        *_inside("column", windows, 1, c, s.Var("width"), s.Var("left")),
        Let("to", index(window(row, c) * s.Var("depth"))),
        loops.vector("channel", s.Var("depth"), _VECTORS * windows.lanes, *total),
    )
    rows = loops.serial("row", s.Var("rows"), *of_row, *_inside("row", windows, 0, row, s.Var("height"), s.Var("top")),
                        columns)  # fmt: skip
    buffers = (Buffer("x", dtype), Buffer("out", dtype, writable=True))
    numbers = (Parameter("depth"), *(() if maximum else (Parameter("divisor", np.dtype(np.float64)),)))
    return pool_loops.blocks_of_rows("pool_channels", buffers, [rows], numbers)


def _inside(name: str, windows: Windows, axis: int, number: s.Expr, extent: s.Expr, border: s.Expr) -> list[Statement]:
    """Name along an axis where a window's first element is that lies in the image, and how many do."""
    low, count, at = pool_loops.inside(windows, axis, number, extent, border)
    return [Let(f"{name}_low", index(low)), Let(f"{name}_count", index(count - s.Var(f"{name}_low"))),
            Let(f"{name}_at", index(at + s.Var(f"{name}_low") * windows.dilation[axis]))]  # fmt: skip
