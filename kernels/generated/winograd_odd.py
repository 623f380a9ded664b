"""What pixels that are not finite add to the results of a block of tiles: NaN and infinities, where they belong.

Winograd's transforms mix the pixels of a tile, and so these were taken as zeros. Where a pixel has a NaN in some
channel, all results that see it are NaN; else what its infinities add is added.
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.gemm_loops import WIDTH, Schedule
from tensorlite.kernels.generated.winograd_tiles import Source
from tensorlite.kernels.loops import Assign, If, Let, Load, Local, Store, index

_FLOAT32 = np.dtype(np.float32)
_ZERO, _NAN = (loops.constant(x, _FLOAT32) for x in (0.0, float("nan")))


def add_odd(schedule: Schedule, source: Source, m: int, r: int) -> If:
    """Add to ``results`` of a panel what was left out, if anything was; a tile has ``m`` rows of results."""
    top, odd = s.Var("top_line") - source.var("top"), source.var("odd")
    lines = s.maximum(s.Const(0), s.minimum(source.var("height"), top + s.Var("rows") * m + (r - 1)) - s.Var("odd_top"))
    pixel = (s.Var("odd_top") + s.Var("odd_line_here")) * source.var("width") + s.Var("odd_column")
    pixel = pixel * (s.Var("depth") if source.last else 1)
    image = (s.Var("first_image") + s.Var("odd_image")) * source.var("image")
    columns = loops.serial(
        "odd_column",
        source.var("width"),
        Let("odd_at", index(source.var("base") + image + pixel)),
        Local("odd_sum", _ZERO),
        Local("odd_nans", _ZERO),
        loops.serial(
            "odd_channel",
            s.Var("depth"),
            Load("odd_pixel", source.name, s.Var("odd_at") + s.Var("odd_channel") * source.var("channel")),
            Assign("odd_sum", s.fma(s.Var("odd_pixel"), s.Const(0.0), s.Var("odd_sum"))),
            Assign("odd_nans", s.where(s.equal(s.Var("odd_pixel"), s.Var("odd_pixel")), s.Var("odd_nans"), 1)),
        ),
        If(s.not_equal(s.Var("odd_sum"), s.Var("odd_sum")), (_taps(schedule, source, r),)),
    )
    lines_here = loops.serial("odd_line_here", s.Var("odd_lines"), columns)
    every = loops.serial("odd_image", s.Var("block_images"), lines_here, apart=True)
    first = s.minimum(source.var("height"), s.maximum(s.Const(0), top))
    return If(
        s.not_equal(odd, odd), (Let("odd_top", index(first)), Let("odd_lines", index(lines)), every)
    )


def _taps(schedule: Schedule, source: Source, r: int) -> loops.For:
    """Go through the results that see a pixel."""
    line = s.Var("odd_top") + s.Var("odd_line_here") + source.var("top") - s.Var("odd_i") - s.Var("top_line")
    column = s.Var("odd_column") + source.var("left") - s.Var("odd_j")
    y, x, each = s.Var("odd_y"), s.Var("odd_x"), s.Var("pixels_each")
    inside = s.greater_equal(y, 0) & s.less(y * s.Var("width_out"), each)
    inside = inside & s.greater_equal(x, 0) & s.less(x, s.Var("width_out"))
    place = (s.Var("odd_image") * each + y * s.Var("width_out") + x) * schedule.lanes
    result = s.Var("odd_to") + s.Var("odd_lane")
    lost = loops.vector("odd_lane", schedule.lanes, schedule.square, Store("results", result, _NAN))
    return loops.serial(
        "odd_i",
        r,
        loops.serial(
            "odd_j",
            r,
            Let("odd_y", index(line)),
            Let("odd_x", index(column)),
            If(
                inside,
                (
                    Let("odd_to", index(s.Var("results_at") + place)),
                    If(s.greater(s.Var("odd_nans"), 0), (lost,)),
                    If(s.equal(s.Var("odd_nans"), 0), (_infinities(source),)),
                ),
            ),
        ),
    )


def _infinities(source: Source) -> loops.For:
    """Add what the infinite channels of a pixel add to a result."""
    value, number = s.Var("odd_value"), s.Var("odd_filter")
    tap = s.Var("w_base") + s.Var("odd_i") * s.Var("w_down") + s.Var("odd_j") * s.Var("w_across")
    tap = tap + (s.Var("first_column") + number) * s.Var("w_row") + s.Var("odd_term") * s.Var("w_channel")
    result = s.Var("odd_to") + number
    add = loops.serial(  # one by one: that is little code for what happens hardly ever
        "odd_filter",
        WIDTH,
        Load("odd_weight", "w", tap),
        Load("odd_old", "results", result),
        Store("results", result, s.fma(value, s.Var("odd_weight"), s.Var("odd_old"))),
    )
    return loops.serial(
        "odd_term",
        s.Var("depth"),
        Load("odd_value", source.name, s.Var("odd_at") + s.Var("odd_term") * source.var("channel")),
        If(s.not_equal(value * 0, 0), (add,)),
    )
