"""Plans of products of bytes that are summed in int32: matrices, and convolutions of images.

``x`` is uint8 or int8, weights are int8, zero points are numbers of their dtypes. The result is int32 (sums wrap), or
``saturate(round_half_even(sum * scale) + zero_point)`` in uint8 or int8. All of it is exact: equal to integers'
arithmetic, by tiles too, which 3 x 3 filters may be multiplied by (`int8_choice`). Weights may be packed beforehand, by
the plan of ``pack_filters``; the packed array is one of int32, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv, int8_choice, int8_direct, int8_winograd
from tensorlite.kernels.cpu.conv_choice import Choice
from tensorlite.kernels.cpu.conv_geometry import Images, Padding, Pair, Taps, pair
from tensorlite.kernels.cpu.int8_finish import Finish, Operand, Terms, finished, step_of
from tensorlite.kernels.cpu.int8_images import (
    Layer,
    Making,
    Windows,
    bytes_across,
    flip,
    windows,
    windows_across,
)
from tensorlite.kernels.cpu.matmul import band
from tensorlite.kernels.cpu.prepared import Results, Shape
from tensorlite.kernels.generated import gemm_loops, int8_loops, int8_pack_loops
from tensorlite.kernels.generated.conv_parts import MOST_TAPS
from tensorlite.kernels.generated.gemm_loops import Schedule
from tensorlite.kernels.quant import Filters
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_INT8, _INT32 = np.dtype(np.int8), np.dtype(np.int32)
_BYTES = (np.dtype(np.uint8), _INT8)
_QUADS_PER_NANOSECOND = 100.0
_LANES = 16
_ROW_COST = 0.3  # rows, of reading a panel's row for a group of them (measured)
_DEPTH = 1152  # quads of a block: those of 512 channels and 9 taps; sums that stay in registers pay most (measured)
_BAND = 384  # pixels of a tile: whole lines of memory when turned


# Filters


def plan_pack_filters(inputs: Sequence[Array], outputs: Sequence[Array], *, groups: int) -> Plan | None:
    """Plan the packing (`quant`) of a weight, int8[filters, channels / groups, height, width], into int32."""
    (weight,), (out,) = inputs, outputs
    if weight.dtype != _INT8 or out.dtype != _INT32:
        return None
    return Plan((_packing(weight, Filters.of(weight.shape, groups), 0, 1),))


def _packing(weight: Array, filters: Filters, source: int, target: int) -> Stage:
    chunks = filters.pitch // _LANES
    tasks = filters.groups * filters.panels * chunks
    row, channel, down, across = weight.strides
    if filters.across:
        channel, across = across, channel
    form = int8_pack_loops.Filters(1 if row == 1 else 0)
    numbers = pack(
        tasks, chunks, filters.panels, filters.pitch, filters.m, filters.channels, *filters.kernel,
        filters.groups * filters.part, filters.m * row, row, channel, down, across,
    )  # fmt: skip
    work = 200.0 + 2.0 * weight.size * (0.05 if row == 1 else 1.0)
    return Stage(form.key(), lambda: int8_pack_loops.filter_kernel(form), (source,), (target,), numbers, work)


def _filters(making: Making, weight: Array, filters: Filters) -> int:
    """Return the number of the array that holds the panels: that of the weight, if it is packed."""
    if weight.dtype == _INT32:
        return 1
    number = making.array(filters.size)
    making.stages.append(_packing(weight, filters, 1, number))
    return number


def _offsets(making: Making, x: Array, filters: Filters, panels: int, terms: Terms) -> int:
    """Return the number of the array of each filter's offset."""
    number = making.array(filters.groups * filters.m)
    form = int8_loops.Offsets(x.dtype.name, "weight_zero_point" in terms.arrays, "bias" in terms.arrays)
    steps = [step_of(terms.arrays[name][1]) if name in terms.arrays else 0 for name in ("weight_zero_point", "bias")]
    numbers = pack(
        filters.groups, filters.m, filters.panels * filters.pitch, filters.groups * filters.part, filters.terms,
        _raised(x), *steps,
    )  # fmt: skip
    reads = (panels, 2, *terms.number("weight_zero_point"), *terms.number("bias"))
    work = 100.0 + filters.groups * (10.0 + filters.m / 4)
    making.stages.append(
        Stage(form.key(), lambda: int8_loops.offset_kernel(form), reads, (number,), numbers, work)
    )
    return number


def _raised(x: Array) -> int:
    """Return what is added to x to make it unsigned."""
    return 128 if x.dtype == _INT8 else 0


# Products


def _schedule(filters: Filters, pixels: int) -> Schedule:
    """Return the schedule with as many rows and lanes as there is use for."""
    schedule = gemm_loops.schedule(_INT32, _DEPTH, _BAND)
    if pixels == 1:
        return replace(schedule, rows=1, lanes=min(filters.pitch, 4 * schedule.square), band=1)
    few = next((n for n in (1, 2) if filters.m <= n * schedule.square < schedule.lanes), 0)
    if few:
        return replace(schedule, rows=8, lanes=few * schedule.square)
    rows = min((schedule.rows, schedule.rows - 1), key=lambda rows: -(-pixels // rows) * (rows + _ROW_COST))
    return replace(schedule, rows=rows)


def _product(layer: Layer, filters: Filters, panels: Pair, finish: Finish, out: tuple[int, Array]) -> Stage:
    """Return the stage that multiplies by ``panels``: an array, and how far apart groups are in it."""
    n, (down, across), images = layer.count * layer.pixels, layer.taps, layer.images
    schedule = _schedule(filters, n)
    columns = -(-filters.m // schedule.lanes)
    rows = band(n, columns * filters.groups, 0.0, schedule)
    bands = -(-n // rows)
    thickness = max(1, min(schedule.depth // max(filters.taps, 1), filters.quads))
    whole = filters.quads <= thickness and filters.m % schedule.lanes == 0
    form = int8_loops.Form(schedule, finish.epilogue(out[1].dtype), layer.turned, whole)
    numbers = pack(
        columns * bands * filters.groups, columns, bands, rows, filters.m, n, filters.quads,
        thickness, *filters.kernel, *down.numbers, *across.numbers,
        images.base, images.image, images.channel * filters.quads, images.channel, images.line, layer.step,
        *layer.runs, panels[1], filters.pitch, filters.groups * filters.m, layer.pixels,
        layer.first,
        *(number for operand in finish.operands for number in (operand.row, operand.channel)),
    )  # fmt: skip
    reads = (images.number, panels[0], *(operand.number for operand in finish.operands))
    work = 200.0 + filters.groups * filters.m * n * (filters.quads * filters.taps + 16) / _QUADS_PER_NANOSECOND
    return Stage(form.key(), lambda: int8_loops.product_kernel(form), reads, (out[0],), numbers, work)


def _sums(making: Making, layer: Layer, filters: Filters) -> Operand:
    """Add the product with filters of ones: the sums of x under each window, one a pixel; of groups, one a filter."""
    single = replace(filters, m=1 if filters.groups == 1 else filters.m)
    ones, channels = making.array(single.part), single.groups * single.m
    numbers = pack(single.panels * single.quads, single.quads, single.taps * single.pitch, -single.channels % 4)
    making.stages.append(
        Stage("filters of ones", int8_loops.ones_kernel, (), (ones,), numbers, 200.0 + single.part / 8)
    )
    out = Array.contiguous(_INT32, (layer.count * layer.pixels, channels))
    sums = making.array(out.size)
    rows = replace(layer, turned=False)
    making.stages.append(_product(rows, single, (ones, 0), Finish(s.Var("product")), (sums, out)))
    return Operand(sums, _INT32, channels, 1 if channels > 1 else 0)


def _multiply(making: Making, layers: Iterable[Layer], filters: Filters, inputs: Sequence[Array],
              out: tuple[int, Array], extras: Sequence[str], direct: bool = False) -> Plan:  # fmt: skip
    """Add the stages from pixels in quads to results, layer by layer; the plan is complete then."""
    terms = Terms.of(inputs, extras)
    panels = _filters(making, inputs[1], filters)
    offsets = _offsets(making, inputs[0], filters, panels, terms)
    for layer in layers:
        sums = _sums(making, layer, filters) if "weight_zero_point" in terms.arrays else None
        finish = finished(offsets, sums, terms, out[1], begun=direct)
        build = int8_direct.stage if direct else _product
        making.stages.append(build(layer, filters, (panels, filters.part), finish, out))
    return making.plan()


def _takes(inputs: Sequence[Array], out: Array) -> bool:
    """Tell whether the arrays have the dtypes that there are loops for."""
    x, weight, zero, *others = inputs
    plain = (out.is_contiguous or not out.size) and all(array.ndim < 2 for array in (zero, *others))
    return x.dtype in _BYTES and weight.dtype in (_INT8, _INT32) and zero.dtype == x.dtype and plain


# Matrices


def plan_matmul(inputs: Sequence[Array], outputs: Sequence[Array], *, extras: Sequence[str] = (),
                packed_shape: Pair | None = None) -> Plan | None:  # fmt: skip
    """Plan ``x @ weight`` of bytes: x[..., m, k] and weight[k, n], or the latter packed, its ``packed_shape`` given.

    The inputs are x, the weight, x's zero point and what ``extras`` names: ``weight_zero_point``, ``bias``, ``scale``
    and ``zero_point``, each one number or n.
    """
    (x, weight, *_), (out,) = inputs, outputs
    if not _takes(inputs, out):
        return None
    k, n = packed_shape or pair(weight.shape)
    if packed_shape is None:
        weight = Array(weight.dtype, (n, k, 1, 1), (*weight.strides[::-1], 0, 0))
    filters, making = Filters(1, n, k, (1, 1)), Making(len(inputs) + 1)
    if out.size == 0:
        return Plan(())
    rows = out.size // n
    source = _rows(making, x)
    if source is None:
        return None
    number, row = source
    images = Images(number, 0, 0, 1, (0, 0), 0)
    layer = Layer(images, row, (Taps(1), Taps(1)), 1, rows, (rows, 1), turned=False)
    return _multiply(making, [layer], filters, (x, weight, *inputs[2:]), (len(inputs), out), extras)


def _rows(making: Making, x: Array) -> tuple[int, int] | None:
    """Return the array in which x's rows are quads, and their stride: x itself if it is such, else a copy."""
    k = x.shape[-1]
    dimensions = _merged(x.shape[:-1], x.strides[:-1])
    if len(dimensions) > 2:
        return None
    (stack, stack_step), (rows, row_step) = ((1, 0), (1, 0), *dimensions)[-2:]
    if x.dtype == np.uint8 and k % 4 == 0 and x.strides[-1] == 1 and stack == 1 and row_step % 4 == 0:
        return 0, row_step // 4
    number, quads = making.array(stack * rows * -(-k // 4)), -(-k // 4)
    form = int8_pack_loops.Rows(1 if x.strides[-1] == 1 else 0)
    numbers = pack(stack * rows, rows, k, stack_step, row_step, x.strides[-1], flip(x))
    work = 200.0 + x.size * (0.05 if form.step else 1.0)
    making.stages.append(Stage(form.key(), lambda: int8_pack_loops.row_kernel(form), (0,), (number,), numbers, work))
    return number, quads


def _merged(shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Return extents and strides of fewer dimensions through which the same elements come in the same order."""
    found: list[tuple[int, int]] = []
    for extent, stride in zip(shape, strides, strict=True):
        if extent == 1:
            continue
        if found and found[-1][1] == extent * stride:
            found[-1] = (found[-1][0] * extent, stride)
        else:
            found.append((extent, stride))
    return found


# Convolutions


def plan_conv2d(inputs: Sequence[Array], outputs: Sequence[Array], *, stride: Pair, padding: Padding, dilation: Pair,
                groups: int, extras: Sequence[str] = (), packed_shape: Shape | None = None,
                tile: int | None = None, kept: bool = False) -> Plan | None:  # fmt: skip
    """Plan windows of ``x`` times filters of bytes, as `plan_matmul`; the border is x's zero point.

    x: [images, channels, height, width]; weight: [filters, channels / groups, height, width], or that packed, its
    ``packed_shape`` given; what ``extras`` names is one number, or one for each filter. A ``tile`` of 2 asks for
    Winograd's F(2x2, 3x3), 0 for windows; else what takes less time is taken. What is made of filters may be ``kept``.
    """
    (x, weight, *_), (out,) = inputs, outputs
    filters = Filters.of(packed_shape or weight.shape, groups)
    if not _takes(inputs, out) or filters.taps > MOST_TAPS:
        return None
    if out.size == 0:
        return Plan(())
    making, counts = Making(len(inputs) + 1), pair(out.shape[2:])
    window = Windows(filters, counts, stride, padding, dilation)
    direct = int8_direct.suits(filters, prod(counts), window.run)
    if tile and not int8_winograd.takes(window, "weight_zero_point" in extras):
        return None
    choice = Choice(tile or 0)
    if tile is None and not direct:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "extras": extras,
                   "packed_shape": packed_shape}  # fmt: skip
        choice = int8_choice.choose(window, inputs, out, plan_conv2d, kept, options)
    if choice:
        return choice.noted(_tiled(making, window, inputs, (len(inputs), out), extras))
    near = bytes_across(x, window) if filters.across and direct and "weight_zero_point" not in extras else None
    layers: Iterable[Layer]
    if near is not None:
        layers = [near]
    elif filters.across:
        images, taps = windows_across(making, x, window)
        layers = [Layer(images, 1, taps, x.shape[0], prod(counts), images.runs(counts), turned=True)]
    else:
        layers = windows(making, x, window, whole="weight_zero_point" in extras, sorted_=direct)
    return choice.noted(_multiply(making, layers, filters, inputs, (len(inputs), out), extras, direct))


def _tiled(making: Making, window: Windows, inputs: Sequence[Array], out: tuple[int, Array],
           extras: Sequence[str]) -> Plan:  # fmt: skip
    """Add the stages of a layer by tiles, whose sums are those of products of bytes; the plan is complete then."""
    x, filters, terms = inputs[0], window.filters, Terms.of(inputs, extras)
    panels = _filters(making, inputs[1], filters)
    finish = finished(_offsets(making, x, filters, panels, terms), None, terms, out[1], begun=False)
    pairs = int8_winograd.filter_stage(making, filters, panels, terms)
    for layer in windows(making, x, int8_winograd.tiled(window), whole=False, sorted_=True):
        making.stages.append(int8_winograd.stage(making, layer, window, pairs, finish, out))
    return making.plan()


# What results look like: None where the op's body has something to say


def _results(shape_of: Callable[..., Shape | None]) -> Results:
    """Return how an op's result lies: of the dtype of the last zero point, if sums are scaled."""

    def results(*arrays: Any, **attributes: Any) -> list[Array] | None:
        shape = shape_of(*(array.shape for array in arrays), **attributes)
        dtype = arrays[-1].dtype if "scale" in attributes.get("extras", ()) else _INT32
        return None if shape is None else [Array.contiguous(dtype, shape)]

    return results


def _fits(zero: Shape, others: Sequence[Shape], extras: Sequence[str], m: int) -> bool:
    shapes = {"x": zero, **dict(zip(extras, others, strict=True))}
    numbers = all(shapes.get(name, ()) == () for name in ("x", "zero_point"))
    return numbers and all(shape in ((), (m,)) for shape in shapes.values()) and shapes.get("bias", (m,)) == (m,)


def _matmul_shape(x: Shape, weight: Shape, zero: Shape, *others: Shape, extras: Sequence[str] = (),
                  packed_shape: Shape | None = None) -> Shape | None:  # fmt: skip
    if packed_shape is not None and weight != (Filters.of((*packed_shape[::-1], 1, 1)).size,):
        return None
    found = weight if packed_shape is None else packed_shape
    fits = len(found) == 2 and len(x) > 1 and x[-1] == found[0] and _fits(zero, others, extras, found[1])
    return (*x[:-1], found[1]) if fits else None


def _conv_shape(x: Shape, weight: Shape, zero: Shape, *others: Shape, groups: int, extras: Sequence[str] = (),
                packed_shape: Shape | None = None, **geometry: Any) -> Shape | None:  # fmt: skip
    if packed_shape is not None and weight != (Filters.of(packed_shape, groups).size,):
        return None
    found = weight if packed_shape is None else packed_shape
    fits = len(found) == 4 and _fits(zero, others, extras, found[0])
    return conv.result_shape(x, found, groups=groups, **geometry) if fits else None


def _packed_shape(weight: Shape, *, groups: int) -> Shape | None:
    fits = len(weight) == 4 and groups > 0 and weight[0] % groups == 0
    return (Filters.of(weight, groups).size,) if fits else None


RESULTS: dict[str, Results] = {
    "quantized_matmul": _results(_matmul_shape),
    "quantized_conv2d": _results(_conv_shape),
    "pack_filters": _results(_packed_shape),
}
"""How ops' results lie, for their arrays."""

PLANS: dict[str, Callable[..., Plan | None]] = {
    "quantized_matmul": plan_matmul,
    "quantized_conv2d": plan_conv2d,
    "pack_filters": plan_pack_filters,
}
"""The planning functions of this family, by op."""
