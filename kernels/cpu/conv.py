"""Plans of convolutions and of their transposes in the images, by the algorithm that suits a layer.

``plan_conv2d`` and ``plan_conv2d_data`` take epilogues like those of ``matmul.plan``: a scalar expression for each
output, of ``product`` and of operands ``e0``, ``e1``, ... that broadcast to the result; and so does
``conv_weight.plan_conv2d_weight``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv_points, depthwise, direct, prepared, winograd
from tensorlite.kernels.cpu.conv_choice import Choice, choose
from tensorlite.kernels.cpu.conv_finish import Finish, finish_of, places_of
from tensorlite.kernels.cpu.conv_geometry import (
    Images,
    Padding,
    Pair,
    Phase,
    Source,
    Taps,
    is_near,
    pair,
    phases_of,
    source_of,
    window_source,
)
from tensorlite.kernels.cpu.conv_weight import plan_conv2d_weight
from tensorlite.kernels.cpu.conv_windows import Windows, by_shares, turns_filters
from tensorlite.kernels.cpu.prepared import Shape
from tensorlite.kernels.cpu.widened import wide, widened
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated.conv_parts import MOST_TAPS
from tensorlite.kernels.stage import Array, Plan, Stage


@widened
def plan_conv2d(
    x: Array,
    weight: Array,
    outputs: Sequence[Array],
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    epilogue: Sequence[s.Expr] | None = None,
    operands: Sequence[Array] = (),
    tile: int | None = None,
    kept: bool = False,
) -> Plan | None:
    """Plan windows of ``x`` times filters: [images, channels, height, width]; None where it has no native form.

    ``tile`` is the extent of Winograd's tiles, 0 for none; without it, `choose_tile` says it. Where what is made of
    filters is ``kept``, it costs nothing.
    """
    finish, kernel = finish_of((x, weight), outputs, epilogue, operands), pair(weight.shape[2:])
    if finish is None or prod(kernel) > MOST_TAPS:
        return None
    if conv_points.takes(x, weight, finish, padding, groups) and not tile:
        return conv_points.plan(x, weight, finish, stride, kept)
    if depthwise.takes(x, weight, finish, groups) and not tile:
        return depthwise.plan(x, weight, finish, stride, padding, dilation)
    counts, filters = pair(outputs[0].shape[2:]), weight.shape[0] // groups
    steps = pair(weight.strides[2:])
    geometry: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "kept": kept,
    }  # fmt: skip
    choice = _choice("conv2d", tile, x, weight, finish.outputs[0], geometry)
    layer = _tiled_layer(x, weight, finish.outputs[0], **geometry)
    if choice and layer is not None and winograd.takes(layer, x.dtype, choice):
        return choice.noted(_winograd(layer, x, choice, finish))
    if tile:
        return None
    places = places_of(finish, (1, 1), (0, 0))
    sums = direct.Layer(
        x, groups, filters, counts, kernel, stride, dilation, (padding[0][0], padding[1][0]),
        (0, filters * weight.strides[0], weight.strides[0], weight.strides[1], *steps), places,
    )  # fmt: skip
    stages, scratch = _direct(sums, finish)
    if stages:
        return Plan(tuple(stages), tuple(scratch))
    number = finish.count
    turns = turns_filters(finish, filters, sums.terms, x.shape[0] * prod(counts), x.dtype)
    how = {"rows": turns or x.is_channels_last, "near": is_near(x)}

    def windows_of(share: Array, first: int) -> tuple[Source, list[Windows]]:
        source, taps = window_source(share, number, kernel, counts, stride, padding, dilation, steps, first, **how)
        lying = (0, filters * weight.strides[0], weight.strides[0], weight.strides[1])
        one = Windows(
            groups, filters, weight.shape[1], share.shape[0], counts, source.images, taps, lying, places, kept
        )
        return source, [one]

    return choice.noted(by_shares(x, windows_of, finish))


def _direct(layer: direct.Layer, finish: Finish, more: int = 0) -> tuple[list[Stage], list[int]]:
    """Plan a layer of few channels a group by direct sums, if that is faster; ``more`` scratch arrays there are."""
    if finish.last or not direct.suits(layer):
        return [], []
    dtype, scratch, letters = layer.images.dtype, finish.count + more, finish.letters(layer.places[1:])
    return direct.stages(layer, dtype, finish.epilogue(letters), finish.reads, finish.writes, scratch)


def _winograd(layer: winograd.Layer, x: Array, m: int, finish: Finish) -> Plan:
    """Plan filters of 3 x 3 taps, one step apart, by tiles of ``m`` by ``m`` results."""
    counts, source = layer.out, Source(Images(0, 0, x.strides[0], 1, (0, 0), 0))
    if not layer.last[0]:
        source = source_of(x, 0, finish.count, (0, 0), pair(x.shape[2:]), whole=True)
        images = source.images
        lying = Array(x.dtype, x.shape, (images.image, images.channel, images.line, 1))
        layer = replace(layer, images=lying, base=images.base, number=images.number)
    places = places_of(finish, (1, 1), (0, 0))
    letters = finish.letters(places).replace("2", "s")
    flat = all(place[3] == counts[1] * place[4] for place in places)
    runs = (prod(counts), 1) if flat else counts[::-1]
    stages, scratch = winograd.stages(
        layer, m, finish.epilogue(letters[1:]), "us"[letters[0] == "s"], list(places), x.dtype,
        finish.count + len(source.scratch), finish.reads, finish.writes, runs,
    )  # fmt: skip
    return Plan((*source.stages, *stages), (*source.scratch, *scratch))


# The transpose in the images


@widened
def plan_conv2d_data(
    g: Array,
    weight: Array,
    outputs: Sequence[Array],
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    epilogue: Sequence[s.Expr] | None = None,
    operands: Sequence[Array] = (),
    tile: int | None = None,
) -> Plan | None:
    """Plan the transpose of `conv2d` in its images, whose size is that of the outputs; each phase is a convolution."""
    finish, kernel = finish_of((g, weight), outputs, epilogue, operands), pair(weight.shape[2:])
    if finish is None or prod(kernel) > MOST_TAPS:
        return None
    size, filters = pair(outputs[0].shape[2:]), weight.shape[0] // groups
    geometry: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    choice = _choice("conv2d_data", tile, g, weight, finish.outputs[0], geometry)
    layer = _tiled_layer_of_data(g, weight, finish.outputs[0], **geometry)
    if choice and layer is not None and winograd.takes(layer, g.dtype, choice):
        return choice.noted(_winograd(layer, g, choice, finish))
    down, across = (phases_of(size[i], kernel[i], stride[i], padding[i][0], dilation[i]) for i in (0, 1))
    parts = [(y, x, places_of(finish, stride, (y.start, x.start))) for y in down for x in across]
    directly = [_direct(_phase(g, weight, groups, y, x, places), finish, k) for k, (y, x, places) in enumerate(parts)]
    if all(stages for stages, _ in directly):
        sizes = [sum(size) for _, size in directly]  # one for each, if it has none
        return Plan(tuple(stage for stages, _ in directly for stage in stages), tuple(sizes) if any(sizes) else ())
    top, left = (-min((p.windows[0] for p in axis if p.taps), default=0) for axis in (down, across))
    bottom, right = (max((p.windows[1] for p in axis if p.taps), default=0) for axis in (down, across))
    span = bottom + top + 1, right + left + 1

    def windows_of(share: Array, first: int) -> tuple[Source, list[Windows]]:
        source = source_of(share, 0, finish.count, (top, left), span, first=first)
        every = []
        for y, x, places in parts:
            images = source.images
            images = replace(images, base=images.base + (y.window + top) * images.line + x.window + left)
            taps = (
                Taps(y.taps, -y.back * images.line, weight=y.step * weight.strides[2]),
                Taps(x.taps, -x.back, weight=x.step * weight.strides[3]),
            )
            base = y.first * weight.strides[2] + x.first * weight.strides[3]
            lying = (base, filters * weight.strides[0], weight.strides[1], weight.strides[0])
            pixels = y.pixels, x.pixels
            every.append(Windows(groups, weight.shape[1], filters, share.shape[0], pixels, images, taps, lying, places))
        return source, every

    return choice.noted(by_shares(g, windows_of, finish))


def _phase(
    g: Array, weight: Array, groups: int, y: Phase, x: Phase, places: tuple[tuple[int, ...], ...]
) -> direct.Layer:
    """Return the convolution that some pixels of the images are: the taps that reach them, the last one first."""
    row, channel, line, step = weight.strides
    last = (y.first + (y.taps - 1) * y.step) * line + (x.first + (x.taps - 1) * x.step) * step
    filters = (last, weight.shape[0] // groups * row, channel, row, -y.step * line, -x.step * step)
    return direct.Layer(
        g, groups, weight.shape[1], (y.pixels, x.pixels), (y.taps, x.taps), (1, 1), (y.back, x.back),
        (-y.windows[0], -x.windows[0]), filters, places,
    )  # fmt: skip


# Tiles


def _tiled_layer(
    x: Array, weight: Array, output: Array, *, stride: Pair, padding: Padding, dilation: Pair, groups: int,
    kept: bool = False,
) -> winograd.Layer | None:  # fmt: skip
    """Return a convolution as tiles see it; None where its geometry is not theirs."""
    if groups != 1 or not winograd.takes_geometry(pair(weight.shape[2:]), stride, dilation):
        return None
    row, channel, *steps = weight.strides
    lying = (0, row, channel, steps[0], steps[1])
    last = x.is_channels_last, output.is_channels_last
    border, counts = (padding[0][0], padding[1][0]), pair(output.shape[2:])
    return winograd.Layer(x, 0, 0, border, weight.shape[0], counts, lying, kept, last)


def _tiled_layer_of_data(
    g: Array, weight: Array, output: Array, *, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> winograd.Layer | None:
    """Return the transpose in the images as tiles see it: filters turned by half, borders that complete theirs."""
    if groups != 1 or not winograd.takes_geometry(pair(weight.shape[2:]), stride, dilation):
        return None
    row, channel, *steps = (weight.strides[axis] for axis in (1, 0, 2, 3))
    end = winograd.R - 1
    lying = (end * sum(steps), row, channel, -steps[0], -steps[1])
    border, size = (end - padding[0][0], end - padding[1][0]), pair(output.shape[2:])
    last = g.is_channels_last, output.is_channels_last
    return winograd.Layer(g, 0, 0, border, weight.shape[1], size, lying, last=last)


def _choice(
    op: str, tile: int | None, x: Array, weight: Array, output: Array, geometry: dict[str, Any]
) -> Choice:  # fmt: skip
    """Return the tile that is asked for, or else the one to take."""
    if tile is None:
        return choose_tile(op, x, weight, output, **geometry)
    return tile if isinstance(tile, Choice) else Choice(tile)


def choose_tile(op: str, x: Array, weight: Array, output: Array, **geometry: Any) -> Choice:
    """Return which tiles are best for ``conv2d`` or ``conv2d_data``, 0 for none, and why, as arrays lie."""
    layers, planner = _TILED[op]
    layer = layers(wide(x), wide(weight), output, **geometry)
    if layer is None:
        return Choice(0)
    return choose(op, layer, (wide(x), wide(weight), output), planner, geometry)


_TILED: dict[str, tuple[Callable[..., winograd.Layer | None], Callable[..., Plan | None]]] = {
    "conv2d": (_tiled_layer, plan_conv2d),
    "conv2d_data": (_tiled_layer_of_data, plan_conv2d_data),
}


# Arrays


def result_shape(
    x: Shape, weight: Shape, bias: Shape | None = None, *, stride: Shape, padding: Any, dilation: Shape, groups: int,
    tile: int | None = None,
) -> Shape | None:
    """Return the shape of a convolution's result for those of its arrays; None where they do not fit."""
    fits = len(x) == len(weight) == 4 and x[1] == weight[1] * groups and weight[0] % groups == 0
    if not fits or bias not in (None, weight[:1]) or 0 in weight:
        return None
    spans = [(weight[2 + i] - 1) * dilation[i] + 1 for i in (0, 1)]
    counts = [(x[2 + i] + sum(padding[i]) - spans[i]) // stride[i] + 1 for i in (0, 1)]
    return (x[0], weight[0], *counts) if min(counts) > 0 else None


def conv2d(
    x: npt.NDArray[Any], weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None, *, stride: int = 1,
    padding: int = 0, dilation: int = 1, groups: int = 1, tile: int | None = None,
) -> npt.NDArray[Any]:  # fmt: skip
    """Return the cross-correlation of images and filters: float32 or float64 arrays.

    x: [images, channels, height, width]; weight: [filters, channels / groups, height, width]; bias: [filters]. A
    ``tile`` of 2, 4 or 6 results asks for Winograd's F(tile x tile, 3 x 3), 0 for windows; else the faster is taken.
    Raises ``KernelError`` where shapes or dtypes have no such form.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    arrays = (x, weight) if bias is None else (x, weight, bias)
    geometry: dict[str, Any] = {name: (n, n) for name, n in (("stride", stride), ("dilation", dilation))}
    geometry |= {"padding": ((padding, padding),) * 2, "groups": groups, "tile": tile}
    found = prepared.kernel(_plan_conv2d, prepared.alike(result_shape), lambda _: 0.0)(*arrays, **geometry)
    if found is NotImplemented:
        types = " and ".join(f"{a.dtype.name}[{', '.join(map(str, a.shape))}]" for a in arrays)
        raise KernelError(f"conv2d: there is no native form for {types}, groups {groups}, tile {tile}")
    return np.asarray(found)


# The ops


def _plan_conv2d(inputs: Sequence[Array], outputs: Sequence[Array], **geometry: Any) -> Plan | None:
    """Plan the op ``conv2d``, with a bias or without."""
    x, weight, *bias = inputs
    along = [Array(b.dtype, (*b.shape, 1, 1), (*b.strides, 0, 0)) for b in bias]
    epilogue = [s.Var("product") + s.Var("e0")] if bias else None
    return plan_conv2d(x, weight, outputs, epilogue=epilogue, operands=along, **geometry)


def _plan_data(inputs: Sequence[Array], outputs: Sequence[Array], *, size: Pair, **geometry: Any) -> Plan | None:
    """Plan the op ``conv2d_data``."""
    assert outputs[0].shape[2:] == size
    return plan_conv2d_data(inputs[0], inputs[1], outputs, **geometry)


def _plan_weight(inputs: Sequence[Array], outputs: Sequence[Array], *, kernel: Pair, **geometry: Any) -> Plan | None:
    """Plan the op ``conv2d_weight``."""
    assert outputs[0].shape[2:] == kernel
    return plan_conv2d_weight(inputs[0], inputs[1], outputs, **geometry)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "conv2d": _plan_conv2d,
    "conv2d_data": _plan_data,
    "conv2d_weight": _plan_weight,
}
"""The planning functions of this family, by op."""
