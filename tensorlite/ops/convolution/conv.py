"""Convolution of images, and its two transposes, which are each other's derivatives.

Each is a matrix product over the columns of all windows (im2col; Chellapilla et al., "High performance convolutional
neural networks for document processing", 2006), block by block of images, so that the columns need
little memory, always the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, merged, move_axis, repeat, reshape
from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import ArgumentError, ShapeError, TensorliteError, complaint
from tensorlite.op import OPS, Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.convolution.complex_conv import by_parts, is_complex
from tensorlite.ops.convolution.integer_conv import convolved, is_integer
from tensorlite.ops.convolution.window import (
    AXES,
    Extents,
    Padding,
    Pair,
    Scratch,
    batched,
    blocks,
    columns,
    empty,
    integers,
    pair,
    span,
    uncover,
    views,
    window_counts,
)
from tensorlite.ops.reduce import _sum, accumulator
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

__all__ = ["conv2d"]

_ONE = (1, 1)
_NONE = ((0, 0), (0, 0))


def check_filters(weight: Any) -> None:
    """Raises `ShapeError` where a weight has no filters, or they cover nothing."""
    if 0 not in weight.shape:
        return
    names = ("first axis", None, *AXES[len(weight.shape) - 2])
    for name, extent in zip(names, weight.shape, strict=True):
        if name and not extent:
            raise ShapeError(f"weight's {name} is 0, and so there is nothing to weigh", "use at least one")


def check_windows(x: Any, weight: Any, bias: tuple[Any, ...], stride: Extents, padding: tuple[Pair, ...],
                  dilation: tuple[int, ...], groups: int, of_integers: bool = False) -> Extents:
    """The number of windows along each axis; raises what is wrong with arrays or their types."""
    check_alike(x, weight=weight, **({"bias": bias[0]} if bias else {}))
    if not of_integers:
        check_floating(x)
    if len(weight.shape) != len(stride) + 2:
        raise ShapeError(f"weight must be [out channels, in channels / groups, {', '.join(AXES[len(stride)])}], "
                         f"it has {len(weight.shape)} dimensions")
    check_filters(weight)
    channels, out_channels = x.shape[1], weight.shape[0]
    if groups < 1 or channels % groups or out_channels % groups:
        raise ShapeError(f"groups={groups} must divide x's {channels} channels and weight's {out_channels}")
    if weight.shape[1] * groups != channels:
        raise ShapeError(f"weight expects {weight.shape[1] * groups} input channels, x has {channels}")
    if bias and bias[0].shape != (out_channels,):
        raise ShapeError(f"bias must have shape [{out_channels}], one number for each of weight's filters")
    return window_counts(x.shape[2:], weight.shape[2:], stride, dilation, padding)


def _conv2d_type(x: TensorType, weight: TensorType, *bias: TensorType, tile: int | None = None,
                 **geometry: Any) -> TensorType:
    counts = check_windows(x, weight, bias, **geometry)
    return TensorType(x.dtype, (x.shape[0], weight.shape[0], *counts), x.device)


def _x_vjp(g: Tensor, weight: Tensor, x_shape: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair,
           groups: int) -> Tensor:
    return _conv2d_data(g, weight, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups)


def _weight_vjp(g: Tensor, x: Tensor, weight_shape: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair,
                groups: int) -> Tensor:
    return _conv2d_weight(x, g, kernel=weight_shape[2:], stride=stride, padding=padding, dilation=dilation,
                          groups=groups)


def _geometry(stride: Pair = _ONE, padding: Padding = _NONE, dilation: Pair = _ONE, groups: int = 1) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def _conv2d_meaning(x: Tensor, weight: Tensor, *bias: Tensor, **geometry: Any) -> Tensor | None:
    if not bias:
        return None
    return apply(OPS["add"], _conv2d(x, weight, **geometry), _reshape(bias[0], shape=(bias[0].size, 1, 1)))


def _conv2d_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Images of the batch are more images; filters of the batch are more channels, in groups of their own."""
    (x, weight, *bias), (place, own, *of_bias) = inputs, batch.axes
    if own is None and of_bias in ([], [None]):
        return _unmerged(batch, batch.apply(merged(move_axis(x, place, 0)), weight, *bias, **attributes), 0), 0
    if own is not None:
        out, axis = _grouped(batch, (x, weight), (place, own), attributes), 1
    elif place is not None:
        out, axis = _unmerged(batch, batch.apply(merged(move_axis(x, place, 0)), weight, **attributes), 0), 0
    else:
        out, axis = reshape(y := batch.apply(x, weight, **attributes), (1, *y.shape)), 0
    for b, its in zip(bias, of_bias, strict=True):
        spread = move_axis(b, its, 0)
        shape = (1 if its is None else batch.size, 1) if axis == 0 else (1, 1 if its is None else batch.size)
        out = apply(OPS["add"], out, reshape(spread, (*shape, spread.shape[-1], 1, 1)))
    return out, axis


def _unmerged(batch: Batch, x: Tensor, axis: int) -> Tensor:
    """An axis as two, the batch and the rest."""
    return reshape(x, (*x.shape[:axis], batch.size, x.shape[axis] // batch.size, *x.shape[axis + 1:]))


def _grouped(batch: Batch, inputs: Sequence[Any], places: Sequence[int | None], attributes: Attributes) -> Tensor:
    """A convolution of which each element of the batch is a group of channels: the batch is axis 1 of the result."""
    x, y = (repeat(x, batch.size) if place is None else move_axis(x, place, 0)
            for x, place in zip(inputs, places, strict=True))
    is_weight = batch.op.name != "conv2d_weight"
    left = merged(move_axis(x, 0, 1), 1)
    right = merged(y) if is_weight else merged(move_axis(y, 0, 1), 1)
    found = batch.apply(left, right, **{**attributes, "groups": attributes["groups"] * batch.size})
    return _unmerged(batch, found, 1 if is_weight else 0)


def _data_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    if batch.axes[1] is None:
        g = merged(move_axis(inputs[0], batch.axes[0], 0))
        return _unmerged(batch, batch.apply(g, inputs[1], **attributes), 0), 0
    return _grouped(batch, inputs, batch.axes, attributes), 1


def _weight_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    return _grouped(batch, inputs, batch.axes, attributes), 0


@primitive("contract", autocast="narrow", type=_conv2d_type, meaning=_conv2d_meaning, batch=_conv2d_batch, samples=[
    Sample((2, 3, 6, 5), (4, 3, 3, 3), **_geometry()),
    Sample((2, 2, 5, 6), (2, 2, 3, 2), (2,), **_geometry((2, 1), ((1, 0), (1, 2)))),
    Sample((1, 4, 7, 7), (6, 2, 2, 3), (6,), **_geometry(dilation=(2, 2), groups=2)),
    Sample((2, 3, 2, 4), (2, 3, 1, 1), **_geometry()), Sample((0, 1, 3, 3), (1, 1, 2, 2), **_geometry())],
           vjp={"x": _x_vjp, "weight": _weight_vjp,
                "bias": lambda g: _sum(g, axis=(0, 2, 3), keepdims=False, dtype=None)})
def _conv2d(xp: Any, x: Any, weight: Any, *bias: Any, stride: Pair, padding: Padding, dilation: Pair,
            groups: int, tile: int | None = None) -> Any:
    """Filters times columns of windows; a compiler says by ``tile`` which of its algorithms computes the same."""
    counts = check_windows(x, weight, bias, stride, padding, dilation, groups)
    images, filters, kernel = x.shape[0], weight.shape[0], weight.shape[2:]
    wide = accumulator(x.dtype)
    matrix = weight.astype(wide, copy=False).reshape(groups, filters // groups, -1)
    if kernel == stride == _ONE and padding == _NONE and groups == 1 and x.dtype == wide:
        out = xp.matmul(matrix, x.reshape(images, x.shape[1], counts[0] * counts[1])).reshape(images, filters, *counts)
        return _add_bias(out, bias)
    out, scratch = empty(xp, (images, filters, *counts), x.dtype), Scratch(xp, wide)
    for block, cells in columns(xp, x, kernel, stride, dilation, padding, counts, wide):
        product = scratch.take(groups, filters // groups, cells.shape[1])
        xp.matmul(matrix, cells.reshape(groups, matrix.shape[2], cells.shape[1]), out=product)
        product = product.reshape(filters, block.stop - block.start, *counts).transpose(1, 0, 2, 3)
        out[block] = _add_bias(product, bias)
    return out


def _add_bias(product: Any, bias: tuple[Any, ...]) -> Any:
    if bias:
        product += bias[0].astype(product.dtype, copy=False).reshape(-1, 1, 1)
    return product


def _data_type(g_: TensorType, weight: TensorType, *, size: Pair, groups: int, **_: Any) -> TensorType:
    return TensorType(g_.dtype, (g_.shape[0], weight.shape[1] * groups, *size), g_.device)


def _data_g_vjp(g: Tensor, weight: Tensor, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Tensor:
    return _conv2d(g, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _data_weight_vjp(g: Tensor, g_: Tensor, weight_shape: tuple[int, ...], stride: Pair, padding: Padding,
                     dilation: Pair, groups: int) -> Tensor:
    return _conv2d_weight(g, g_, kernel=weight_shape[2:], stride=stride, padding=padding, dilation=dilation,
                          groups=groups)


@primitive("contract", autocast="narrow", type=_data_type, batch=_data_batch, vjp={
    "g_": _data_g_vjp, "weight": _data_weight_vjp}, samples=[
    Sample((2, 4, 4, 3), (4, 3, 3, 3), size=(6, 5), **_geometry()),
    Sample((2, 2, 2, 8), (2, 2, 3, 2), size=(5, 6), **_geometry((2, 1), ((1, 0), (1, 2)))),
    Sample((1, 6, 5, 3), (6, 2, 2, 3), size=(7, 7), **_geometry(dilation=(2, 2), groups=2)),
    Sample((0, 1, 2, 2), (1, 1, 2, 2), size=(3, 3), **_geometry())])
def _conv2d_data(xp: Any, g_: Any, weight: Any, *, size: Pair, stride: Pair, padding: Padding, dilation: Pair,
                 groups: int, tile: int | None = None) -> Any:
    """The transpose of `conv2d` in its images: every window's products are added back where it lay."""
    images, filters, *counts = g_.shape
    channels, kernel = weight.shape[1] * groups, weight.shape[2:]
    wide = accumulator(g_.dtype)
    matrix = weight.astype(wide, copy=False).reshape(groups, filters // groups, -1).transpose(0, 2, 1)
    height, width = (size[i] + sum(padding[i]) for i in (0, 1))
    out, scratch, sums = empty(xp, (images, channels, *size), g_.dtype), Scratch(xp, wide), Scratch(xp, wide)
    for block in blocks(images, channels * kernel[0] * kernel[1] * counts[0] * counts[1] * wide.itemsize):
        count = block.stop - block.start
        cells = scratch.take(groups, matrix.shape[1], count * counts[0] * counts[1])
        xp.matmul(matrix, _filters_first(g_[block], groups, wide), out=cells)
        cells = cells.reshape(channels, -1, count, *counts)
        total = sums.take(channels, count, height, width)
        total[...] = 0
        for place, view in enumerate(views(total, kernel, stride, dilation, tuple(counts))):
            view += cells[:, place]
        out[block] = uncover(total, padding, size).transpose(1, 0, 2, 3)
    return out


def _filters_first(g: Any, groups: int, dtype: np.dtype) -> Any:
    """Cotangents of images as one matrix for each group: [groups, filters / groups, images * windows]."""
    return g.transpose(1, 0, 2, 3).astype(dtype, copy=False).reshape(groups, g.shape[1] // groups, -1)


def _weight_type(x: TensorType, g_: TensorType, *, kernel: Pair, groups: int, **_: Any) -> TensorType:
    return TensorType(x.dtype, (g_.shape[1], x.shape[1] // groups, *kernel), x.device)


def _weight_x_vjp(g: Tensor, g_: Tensor, x_shape: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair,
                  groups: int) -> Tensor:
    return _conv2d_data(g_, g, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups)


def _weight_g_vjp(g: Tensor, x: Tensor, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Tensor:
    return _conv2d(x, g, stride=stride, padding=padding, dilation=dilation, groups=groups)


@primitive("contract", type=_weight_type, batch=_weight_batch, vjp={
    "x": _weight_x_vjp, "g_": _weight_g_vjp}, samples=[
    Sample((2, 3, 6, 5), (2, 4, 4, 3), kernel=(3, 3), **_geometry()),
    Sample((2, 2, 5, 6), (2, 2, 2, 8), kernel=(3, 2), **_geometry((2, 1), ((1, 0), (1, 2)))),
    Sample((1, 4, 7, 7), (1, 6, 5, 3), kernel=(2, 3), **_geometry(dilation=(2, 2), groups=2)),
    Sample((0, 1, 3, 3), (0, 1, 2, 2), kernel=(2, 2), **_geometry())])
def _conv2d_weight(xp: Any, x: Any, g_: Any, *, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair,
                   groups: int) -> Any:
    """The transpose of `conv2d` in its weight: cotangents times columns, summed over all images."""
    filters, counts = g_.shape[1], g_.shape[2:]
    wide = accumulator(x.dtype)
    total = xp.zeros((groups, filters // groups, x.shape[1] // groups * kernel[0] * kernel[1]), wide)
    for block, cells in columns(xp, x, kernel, stride, dilation, padding, counts, wide):
        cells = cells.reshape(groups, total.shape[2], cells.shape[1])
        total += xp.matmul(_filters_first(g_[block], groups, wide), cells.transpose(0, 2, 1))
    return total.reshape(filters, x.shape[1] // groups, *kernel).astype(x.dtype, copy=False)


def read_padding(op: str, padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...],
                 dilation: tuple[int, ...]) -> tuple[Pair, ...]:
    """Padding as users write it (integers, ``"valid"`` or ``"same"``) as widths before and after each axis."""
    if padding == "valid":
        return ((0, 0),) * len(stride)
    if padding == "same":
        if any(step != 1 for step in stride):
            raise complaint(ArgumentError, op, f"padding='same' needs stride 1, not {stride}")
        totals = (span(k, d) - 1 for k, d in zip(kernel, dilation))  # a weight of other dimensions is refused later
        return tuple((n // 2, n - n // 2) for n in totals)
    if isinstance(padding, str):
        raise complaint(ArgumentError, op, f"padding must be integers, 'valid' or 'same', not {padding!r}")
    return tuple((n, n) for n in integers(op, "padding", padding, len(stride), least=0))


def of_integers(op: str, input: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...],
                padding: tuple[Pair, ...], dilation: tuple[int, ...], groups: int) -> Tensor:
    """The convolution of integers along any number of axes, of one sample or a batch."""
    biases = () if bias is None else (bias,)

    def of_batch(x: Tensor) -> Tensor:
        try:
            counts = check_windows(x, weight, biases, stride, padding, dilation, groups, of_integers=True)
        except TensorliteError as problem:
            arguments = {"x": x, "weight": weight, **({} if bias is None else {"bias": bias})}
            raise complaint(type(problem), op, problem.problem, arguments, problem.fix) from None
        return convolved(x, weight, biases, counts, stride, padding, dilation, groups)
    return batched(op, of_batch, input, len(stride))


@public(method=False)
def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int] = 1,
           padding: int | tuple[int, int] | str = 0, dilation: int | tuple[int, int] = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of images with filters: ``y[n, o] = bias[o] + sum_c correlate(input[n, c], weight[o, c])``.

    input: [batch, channels, height, width] or [channels, height, width]; weight: [out channels, channels / groups,
    kernel height, kernel width]; bias: [out channels]. ``padding`` is zeros on each side, or ``"same"`` for an output
    of the input's size, or ``"valid"`` for none. Integers are summed in their dtype, in which they wrap. Raises
    `ShapeError` and `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> tl.conv2d(tl.ones((1, 1, 3, 3)), tl.ones((1, 1, 2, 2)))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    if is_complex(input):
        return by_parts("conv2d", lambda x, w, b: conv2d(x, w, b, stride, padding, dilation, groups), input, weight,
                        bias)
    strides, dilations = pair("conv2d", "stride", stride), pair("conv2d", "dilation", dilation)
    borders = read_padding("conv2d", padding, weight.shape[2:], strides, dilations)
    if is_integer(input):
        return of_integers("conv2d", input, weight, bias, strides, borders, dilations, groups)
    others = (weight,) if bias is None else (weight, bias)
    return batched("conv2d", lambda x: _conv2d(x, *others, stride=strides, padding=borders, dilation=dilations,
                                               groups=groups), input)
