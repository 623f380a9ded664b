"""Plans of products of bytes whose lanes are pixels (`int8_direct_loops`): short sums, and few filters in a group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tensorlite.kernels.cpu.conv_geometry import Pair
from tensorlite.kernels.cpu.int8_finish import Finish
from tensorlite.kernels.cpu.int8_images import Layer
from tensorlite.kernels.generated import gemm_loops, int8_direct_loops
from tensorlite.kernels.quant import Filters
from tensorlite.kernels.stage import Array, Stage, pack

_INT32 = np.dtype(np.int32)
_LANES = 16
_FEW_FILTERS = 8  # in a group, for which lanes are pixels
_SHORT = (64, 36)  # sums, in quads, for which lanes are pixels too: of up to four channels, and of more (measured)
_BLOCK = 64  # filters of a task whose lanes are pixels, which lie in one panel
_BAND_QUADS = 1 << 13  # of such a task: they stay in the first cache
_FEWEST_TASKS = 16
_SHARED_ROWS = 8  # of the filters taken at once: so many stay in registers, beside the sums


def stage(layer: Layer, filters: Filters, panels: Pair, finish: Finish, out: tuple[int, Array]) -> Stage:
    """Return the stage of short sums, or of few filters in a group: ``_product``, whose lanes are pixels."""
    (down, across), images, (width, height), line = layer.taps, layer.images, layer.runs, layer.images.line
    lanes = gemm_loops.schedule(_INT32).square
    bordered, narrow = layer.bordered, width < lanes
    if height == 1 and width % lanes == 0 and not bordered:
        line, width, height = lanes, lanes, width // lanes  # what is one line may be many
    some = next((n for n in (1, 2, 4) if n >= filters.m), lanes // 2)
    vectors = min(4, lanes // some)
    form = int8_direct_loops.Form(finish.along_pixels(out[1].dtype), lanes, some, vectors, narrow, height >= vectors)
    if bordered:
        shared = bordered.lines >= vectors and some * bordered.rows[0] <= _SHARED_ROWS
        rows = bordered.rows if shared else None
        form = replace(form, stacked=form.stacked or rows is not None, step=bordered.step, rows=rows)
    terms, block = filters.quads * filters.taps, min(filters.m, _BLOCK)
    blocks = -(-filters.m // block)
    tasks = layer.count * filters.groups * blocks
    near = min(bordered.lines if bordered else height, form.most_pixels // width if narrow else height)
    band = max(1, min(near, _BAND_QUADS // (width * filters.quads), -(-tasks * height // _FEWEST_TASKS)))
    band = min(-(-band // vectors) * vectors, near)
    bands = -(-height // band)
    numbers = pack(
        tasks * bands, bands, band, blocks, block, filters.groups, filters.m, terms, filters.quads, *filters.kernel,
        *down.numbers, *across.numbers, images.base, images.image, images.channel * filters.quads, images.channel,
        line, panels[1], filters.pitch, height, width, layer.first,
        *(number for operand in finish.operands for number in (operand.row, operand.channel)),
        *(bordered.numbers if bordered else ()),
    )  # fmt: skip
    read = (0, 2) if bordered else (images.number,)
    reads = (*read, panels[0], *(operand.number for operand in finish.operands))
    pixels = height * -(-width // lanes) * lanes
    work = 200.0 + layer.count * filters.groups * filters.m * pixels * (terms + 4) / 100
    return Stage(form.key(), lambda: int8_direct_loops.kernel(form), reads, (out[0],), numbers, work)


def suits(filters: Filters, pixels: int, run: int) -> bool:
    """Tell whether filters are so few, or so short, that lanes are rather the ``pixels``, in runs of so many."""
    terms = filters.quads * filters.taps
    if filters.m <= _FEW_FILTERS and pixels >= _LANES:
        return terms <= int8_direct_loops.MOST_TERMS
    return terms <= _SHORT[filters.quads > 1] and run >= _LANES
