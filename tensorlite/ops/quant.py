"""Numbers as bytes: quantized products and convolutions, exact in integers, and the way to bytes and back.

A byte ``q`` stands for ``(q - zero_point) * scale`` (Jacob et al., "Quantization and training of neural networks for
efficient integer-arithmetic-only inference", 2018). Products are those of integers, summed in int32, which wraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, looped, merged, move_axis, reshape
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.kernels.quant import Filters, pack, unpack
from tensorlite.op import OPS, Integers, Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.bounds import clip, round
from tensorlite.ops.convolution.conv import read_padding
from tensorlite.ops.convolution.window import Padding, Pair, batched, pair, window_counts
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import divide, multiply, subtract
from tensorlite.ops.join import concat
from tensorlite.ops.shape import _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, float32, int8, int32, uint8

_BYTES = (uint8, int8)
_EXTRAS = ("weight_zero_point", "bias", "scale", "zero_point")
#: What each extra input must be: its dtypes, and whether it may be one number, or one for each output channel.
_KINDS = {"weight_zero_point": ((int8,), True, True), "bias": ((int32,), False, True),
          "scale": ((float32,), True, True), "zero_point": (_BYTES, True, False)}

Shape = tuple[int, ...]


def _check_inputs(x: Any, weight: Any, zero: Any, others: Sequence[Any], extras: Sequence[str], channels: int) -> None:
    """Raises where dtypes, or the shapes of what comes after the weight, are not as they must be."""
    if x.dtype not in _BYTES:
        raise DTypeError(f"takes uint8 or int8, not {x.dtype.name}", "quantize it first: tl.quantize(x, scale, zero)")
    if zero.dtype != x.dtype or zero.shape != ():
        raise DTypeError(f"x_zero_point must be one number of x's dtype, {x.dtype.name}")
    for name, other in zip(extras, others, strict=True):
        dtypes, one, many = _KINDS[name]
        if other.dtype not in dtypes:
            raise DTypeError(f"{name} must be {' or '.join(d.name for d in dtypes)}, not {other.dtype.name}")
        if not (one and other.shape == () or many and other.shape == (channels,)):
            wanted = [*["one number"] * one, *[f"of shape [{channels}], one number for each output channel"] * many]
            raise ShapeError(f"{name} must be {' or '.join(wanted)}")


def _weight_shape(weight: Any, packed: Shape | None, groups: int, wanted: str) -> Shape:
    """The shape of a weight, packed or not."""
    if packed is None:
        if weight.dtype != int8:
            raise DTypeError(f"weight must be int8, not {weight.dtype.name}", "quantize it first, or give packed_shape")
        shape = weight.shape
    else:
        shape = packed
    if len(shape) != wanted.count(",") + 1:
        raise ShapeError(f"weight must be {wanted}, it has {len(shape)} dimensions")
    if packed is not None:
        size = Filters.of(shape if len(shape) == 4 else (*shape[::-1], 1, 1), groups).size
        if weight.dtype != int32 or weight.shape != (size,):
            raise ShapeError(f"a weight of shape {list(shape)} is packed in int32[{size}]",
                             "pack it: tl.pack_quantized_weight(weight)")
    return shape


def _result_dtype(others: Sequence[Any], extras: Sequence[str]) -> np.dtype:
    return others[-1].dtype if "scale" in extras else int32


def _finished(xp: Any, product: Any, extras: dict[str, Any], channels: Shape) -> Any:
    """Sums of integers, exact in float64, with the bias, in int32, or scaled and rounded to bytes."""
    total = product.astype(np.int64).astype(np.int32)
    if "bias" in extras:
        total = total + extras["bias"].reshape(channels)
    if "scale" not in extras:
        return total
    zero = extras["zero_point"]
    scale = extras["scale"].reshape(channels if extras["scale"].ndim else ())
    least, most = (np.float32(int(limit) - int(zero)) for limit in (np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max))
    scaled = total.astype(np.float32) * scale
    within = xp.where(scaled > least, scaled, least)  # the least for NaN
    within = xp.where(within < most, within, most)
    return (xp.rint(within).astype(np.int32) + zero.astype(np.int32)).astype(zero.dtype)


def _less(xp: Any, x: Any, zero: Any, shape: Shape = ()) -> Any:
    """The numbers that bytes stand for, up to their scale, in float64."""
    return x.astype(np.float64) - zero.astype(np.float64).reshape(shape if zero.ndim else ())


def _x_alone(batch: Batch) -> bool:
    return batch.axes[0] is not None and all(axis is None for axis in batch.axes[1:])


# --- products of matrices -----------------------------------------------------------------------------------------


def _check_matmul(x: Any, weight: Any, zero: Any, others: Sequence[Any], extras: Sequence[str],
                  packed_shape: Shape | None) -> Shape:
    shape = _weight_shape(weight, packed_shape, 1, "[in features, out features]")
    _check_inputs(x, weight, zero, others, extras, shape[1])
    if len(x.shape) < 2:
        raise ShapeError("x must be a matrix or a stack of them", "use x.reshape(1, -1)")
    if x.shape[-1] != shape[0]:
        raise ShapeError(f"x has {x.shape[-1]} columns, weight has {shape[0]} rows")
    return shape


def _matmul_type(x: TensorType, weight: TensorType, x_zero_point: TensorType, *others: TensorType,
                 extras: Sequence[str], packed_shape: Shape | None) -> TensorType:
    shape = _check_matmul(x, weight, x_zero_point, others, extras, packed_shape)
    return TensorType(_result_dtype(others, extras), (*x.shape[:-1], shape[1]), x.device)


def _matmul_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Matrices of the batch are a larger stack; what else there is of the batch, one after the other."""
    if not _x_alone(batch):
        return looped(batch, inputs, attributes)
    return batch.apply(move_axis(inputs[0], batch.axes[0], 0), *inputs[1:], **attributes), 0


_U8, _I8, _I32, _SCALE = (0, 255, "uint8"), (-128, 127, "int8"), (-999, 999, "int32"), (1, 3, "float32")


@primitive("contract", type=_matmul_type, batch=_matmul_batch, samples=[
    Sample(Integers((3, 5), *_U8), Integers((5, 4), *_I8), Integers((), *_U8), extras=(), packed_shape=None),
    Sample(Integers((2, 3, 7), *_I8), Integers((7, 6), *_I8), Integers((), *_I8), Integers((6,), *_I8),
           Integers((6,), *_I32), Integers((6,), *_SCALE), Integers((), *_U8), extras=_EXTRAS, packed_shape=None),
    Sample(Integers((0, 3), *_U8), Integers((3, 2), *_I8), Integers((), *_U8), extras=(), packed_shape=None),
    Sample(Integers((2, 0), *_U8), Integers((0, 3), *_I8), Integers((), *_U8), Integers((3,), *_I32),
           extras=("bias",), packed_shape=None)])
def _quantized_matmul(xp: Any, x: Any, weight: Any, x_zero_point: Any, *others: Any, extras: Sequence[str],
                      packed_shape: Shape | None) -> Any:
    shape = _check_matmul(x, weight, x_zero_point, others, extras, packed_shape)
    if packed_shape is not None:
        weight = unpack(weight, (*shape[::-1], 1, 1)).reshape(shape[::-1]).T
    named = dict(zip(extras, others, strict=True))
    zero = named.get("weight_zero_point", np.int8(0))
    product = xp.matmul(_less(xp, x, x_zero_point), _less(xp, weight, zero, (1, -1)))
    return _finished(xp, product, named, (-1,))


def _number(op: str, name: str, value: Any, dtype: np.dtype) -> Tensor:
    """A number or numbers as users write them, as a tensor of that dtype."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise complaint(DTypeError, op, f"{name} must be an integer or a tensor, not {value!r}")
    limits = np.iinfo(dtype)
    if not limits.min <= value <= limits.max:
        raise complaint(ArgumentError, op, f"{name}={value} is no {dtype.name}")
    return asarray(np.asarray(value, dtype))


def _inputs(op: str, x: Any, weight: Any, x_zero_point: Any, weight_zero_point: Any, bias: Any, scale: Any,
            zero_point: Any) -> tuple[Tensor, tuple[Tensor, ...], tuple[str, ...]]:
    """The zero point of x, what else an op is given, and the names of that."""
    if not isinstance(x, Tensor):
        raise complaint(DTypeError, op, f"takes a tensor, not {type(x).__name__}", None, "make it one: tl.asarray(...)")
    byte = x.dtype if x.dtype in _BYTES else uint8
    if not isinstance(weight, Tensor):
        raise complaint(DTypeError, op, f"weight must be a tensor, not {type(weight).__name__}", {"weight": weight},
                        "make it one: tl.asarray(..., dtype=tl.int8)")
    given: dict[str, Tensor] = {}
    if weight_zero_point is not None:
        given["weight_zero_point"] = _number(op, "weight_zero_point", weight_zero_point, int8)
    if bias is not None:
        if not isinstance(bias, Tensor):
            raise complaint(DTypeError, op, f"bias must be a tensor, not {type(bias).__name__}", {"bias": bias},
                            "give other options by name, as x_zero_point=7")
        given["bias"] = bias
    if scale is not None:
        given["scale"] = scale if isinstance(scale, Tensor) else asarray(np.asarray(scale, np.float32))
        given["zero_point"] = _number(op, "zero_point", zero_point, byte)
    return _number(op, "x_zero_point", x_zero_point, byte), tuple(given.values()), tuple(given)


@public(method=False)
def quantized_matmul(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, x_zero_point: Tensor | int = 0,
                     weight_zero_point: Tensor | int | None = None, scale: Tensor | float | None = None,
                     zero_point: Tensor | int = 0, packed_shape: Shape | None = None) -> Tensor:
    """``(x - x_zero_point) @ (weight - weight_zero_point) + bias`` of bytes, exactly, in int32.

    x: uint8 or int8 [..., m, k]; weight: int8 [k, n]; bias: int32 [n]; zero points are numbers of x's and weight's
    dtype, the weight's also one for each of n columns. With ``scale``, float32 [n] or one number, the result is
    ``saturate(round_half_even(sum * scale) + zero_point)`` in zero_point's dtype (x's, if it is a Python number).
    A weight from `pack_quantized_weight` is given with the shape that it had. There is no derivative. Raises
    `ShapeError` and `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> x, weight = tl.tensor([[130, 127]], dtype=tl.uint8), tl.tensor([[3], [100]], dtype=tl.int8)
    >>> tl.quantized_matmul(x, weight, x_zero_point=128)
    tensor([[-94]], dtype=int32)
    >>> tl.quantized_matmul(x, weight, x_zero_point=128, scale=0.5, zero_point=50)
    tensor([[3]], dtype=uint8)
    """
    zero, others, extras = _inputs("quantized_matmul", x, weight, x_zero_point, weight_zero_point, bias, scale,
                                   zero_point)
    packed_shape = None if packed_shape is None else tuple(packed_shape)
    return _quantized_matmul(x, weight, zero, *others, extras=extras, packed_shape=packed_shape)


# --- convolutions -------------------------------------------------------------------------------------------------


def _check_conv(x: Any, weight: Any, zero: Any, others: Sequence[Any], extras: Sequence[str],
                packed_shape: Shape | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
                ) -> tuple[Shape, Pair]:
    if groups < 1:
        raise ShapeError(f"groups={groups} must be at least 1")
    shape = _weight_shape(weight, packed_shape, groups, "[out channels, in channels / groups, height, width]")
    channels, out_channels = x.shape[1], shape[0]
    if channels % groups or out_channels % groups:
        raise ShapeError(f"groups={groups} must divide x's {channels} channels and weight's {out_channels}")
    if shape[1] * groups != channels:
        raise ShapeError(f"weight expects {shape[1] * groups} input channels, x has {channels}")
    _check_inputs(x, weight, zero, others, extras, out_channels)
    return shape, window_counts(x.shape[2:], (shape[2], shape[3]), stride, dilation, padding)


def _conv_type(x: TensorType, weight: TensorType, x_zero_point: TensorType, *others: TensorType,
               extras: Sequence[str], packed_shape: Shape | None, **geometry: Any) -> TensorType:
    shape, counts = _check_conv(x, weight, x_zero_point, others, extras, packed_shape, **geometry)
    return TensorType(_result_dtype(others, extras), (x.shape[0], shape[0], *counts), x.device)


def _geometry(stride: Pair = (1, 1), padding: Padding = ((0, 0), (0, 0)), dilation: Pair = (1, 1), groups: int = 1
              ) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "packed_shape": None}


def _conv_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Images of the batch are more images; what else there is of the batch, one after the other."""
    if not _x_alone(batch):
        return looped(batch, inputs, attributes)
    images = batch.apply(merged(move_axis(inputs[0], batch.axes[0], 0)), *inputs[1:], **attributes)
    return reshape(images, (batch.size, images.shape[0] // batch.size, *images.shape[1:])), 0


@primitive("contract", type=_conv_type, batch=_conv_batch, samples=[
    Sample(Integers((2, 3, 6, 5), *_U8), Integers((4, 3, 3, 3), *_I8), Integers((), *_U8), extras=(), **_geometry()),
    Sample(Integers((2, 2, 5, 6), *_I8), Integers((2, 2, 3, 2), *_I8), Integers((), *_I8), Integers((), *_I8),
           Integers((2,), *_I32), extras=("weight_zero_point", "bias"), **_geometry((2, 1), ((1, 0), (1, 2)))),
    Sample(Integers((1, 4, 7, 7), *_U8), Integers((6, 2, 2, 3), *_I8), Integers((), *_U8), Integers((6,), *_I32),
           Integers((), *_SCALE), Integers((), *_I8), extras=("bias", "scale", "zero_point"),
           **_geometry(dilation=(2, 2), groups=2)),
    Sample(Integers((0, 1, 3, 3), *_U8), Integers((1, 1, 2, 2), *_I8), Integers((), *_U8), extras=(), **_geometry())])
def _quantized_conv2d(xp: Any, x: Any, weight: Any, x_zero_point: Any, *others: Any, extras: Sequence[str],
                      packed_shape: Shape | None, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Any:
    geometry: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    shape, _ = _check_conv(x, weight, x_zero_point, others, extras, packed_shape, **geometry)
    if packed_shape is not None:
        weight = unpack(weight, shape, groups)
    named = dict(zip(extras, others, strict=True))
    filters = _less(xp, weight, named.get("weight_zero_point", np.int8(0)), (-1, 1, 1, 1))
    product = OPS["conv2d"].body(xp, _less(xp, x, x_zero_point), filters, **geometry)
    return _finished(xp, product, named, (-1, 1, 1))


@public(method=False)
def quantized_conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int] = 1,
                     padding: int | tuple[int, int] | str = 0, dilation: int | tuple[int, int] = 1, groups: int = 1,
                     *, x_zero_point: Tensor | int = 0, weight_zero_point: Tensor | int | None = None,
                     scale: Tensor | float | None = None, zero_point: Tensor | int = 0,
                     packed_shape: Shape | None = None) -> Tensor:
    """The `conv2d` of bytes less their zero points, exactly, in int32; the border stands for zeros.

    input: uint8 or int8 [batch, channels, height, width] or [channels, height, width]; weight: int8 [out channels,
    channels / groups, kernel height, kernel width]; bias: int32 [out channels]. Zero points, ``scale`` and
    ``packed_shape`` are those of `quantized_matmul`, one for each output channel. There is no derivative. Raises
    `ShapeError` and `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> image = tl.full((1, 1, 3, 3), 12, dtype=tl.uint8)
    >>> tl.quantized_conv2d(image, tl.ones((1, 1, 2, 2), dtype=tl.int8), x_zero_point=10, padding=1, stride=2)
    tensor([[[[2, 4],
              [4, 8]]]], dtype=int32)
    """
    zero, others, extras = _inputs("quantized_conv2d", input, weight, x_zero_point, weight_zero_point, bias, scale,
                                   zero_point)
    strides = pair("quantized_conv2d", "stride", stride)
    dilations = pair("quantized_conv2d", "dilation", dilation)
    packed_shape = None if packed_shape is None else tuple(packed_shape)
    shape = weight.shape if packed_shape is None else packed_shape
    borders = read_padding("quantized_conv2d", padding, shape[2:], strides, dilations)
    return batched("quantized_conv2d", lambda x: _quantized_conv2d(
        x, weight, zero, *others, extras=extras, packed_shape=packed_shape, stride=strides, padding=borders,
        dilation=dilations, groups=groups), input)


# --- packed weights -----------------------------------------------------------------------------------------------


def _pack_type(weight: TensorType, *, groups: int) -> TensorType:
    _check_pack(weight, groups)
    return TensorType(int32, (Filters.of(weight.shape, groups).size,), weight.device)


def _check_pack(weight: Any, groups: int) -> None:
    if weight.dtype != int8:
        raise DTypeError(f"weight must be int8, not {weight.dtype.name}")
    if len(weight.shape) != 4:
        raise ShapeError(f"weight must be a matrix or filters, it has {len(weight.shape)} dimensions")
    if groups < 1 or weight.shape[0] % groups:
        raise ShapeError(f"groups={groups} must divide weight's {weight.shape[0]} filters")


def _pack_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Weights of the batch are more groups: all panels come first, and then all sums."""
    weights, groups = move_axis(inputs[0], batch.axes[0], 0), attributes["groups"]
    packed = batch.apply(merged(weights), groups=groups * batch.size)
    end = batch.size * groups * Filters.of(weights.shape[1:], groups).part
    return concat([reshape(x, (batch.size, x.size // batch.size)) for x in (packed[:end], packed[end:])], axis=1), 0


@primitive("contract", type=_pack_type, batch=_pack_batch, samples=[
    Sample(Integers((5, 3, 2, 2), *_I8), groups=1), Sample(Integers((6, 4, 1, 1), *_I8), groups=2),
    Sample(Integers((0, 4, 3, 3), *_I8), groups=1), Sample(Integers((70, 1, 3, 3), *_I8), groups=1)])
def _pack_filters(xp: Any, weight: Any, *, groups: int) -> Any:
    _check_pack(weight, groups)
    return pack(xp, weight, groups)


@public(method=False)
def pack_quantized_weight(weight: Tensor, groups: int = 1) -> Tensor:
    """A weight as the loops of `quantized_matmul` and `quantized_conv2d` read it, in one tensor of int32.

    weight: int8 [k, n], or [out channels, channels / groups, kernel height, kernel width]. What is used again and
    again is worth packing once: it is given with ``packed_shape=weight.shape``. It is the same on every machine.
    Raises `ShapeError` and `DTypeError` for other weights.

    >>> import tensorlite as tl
    >>> weight = tl.tensor([[1, 2], [3, 4]], dtype=tl.int8)
    >>> packed = tl.pack_quantized_weight(weight)
    >>> tl.quantized_matmul(tl.ones((1, 2), dtype=tl.uint8), packed, packed_shape=(2, 2))
    tensor([[4, 6]], dtype=int32)
    """
    if weight.ndim == 2:
        weight = _reshape(_permute_dims(weight, axes=(1, 0)), shape=(*weight.shape[::-1], 1, 1))
    return _pack_filters(weight, groups=groups)


# --- to bytes and back --------------------------------------------------------------------------------------------


def _along(op: str, x: Tensor, name: str, value: Any, axis: int | None) -> Tensor:
    """One number, or one for each place of an axis, ready to broadcast against x."""
    found = value if isinstance(value, Tensor) else asarray(np.asarray(value, np.float32))
    if found.ndim == 0:
        return found
    if axis is None or found.ndim > 1:
        raise complaint(ShapeError, op, f"{name} must be one number, or one for each place of an axis that is named",
                        {"x": x, name: value}, "say which: axis=1")
    place = one_axis(op, x, axis)
    if found.shape != (x.shape[place],):
        raise complaint(ShapeError, op, f"{name} must have {x.shape[place]} numbers, as x has along axis {place}",
                        {"x": x, name: value})
    return _reshape(found, shape=(found.size, *(1,) * (x.ndim - place - 1)))


@public(method=False)
def quantize(x: Tensor, scale: Tensor | float, zero_point: Tensor | int = 0, *, axis: int | None = None,
             dtype: Any = None) -> Tensor:
    """``saturate(round_half_even(x / scale) + zero_point)`` in bytes: ONNX's ``QuantizeLinear``.

    ``scale`` and ``zero_point`` are one number, or one for each place of ``axis``. The result has zero_point's dtype,
    or ``dtype``, uint8 if that is not said. Raises `ShapeError` and `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> tl.quantize(tl.tensor([-1.0, 0.25, 0.75, 300.0]), 0.5, 10)
    tensor([  8,  10,  12, 255], dtype=uint8)
    """
    wanted = _byte_dtype(zero_point, dtype)
    limits, zero = np.iinfo(wanted), _along("quantize", x, "zero_point", zero_point, axis)
    if x.dtype.kind in "biu":
        x = astype(x, float32)
    rounded = round(divide(x, astype(_along("quantize", x, "scale", scale, axis), x.dtype, copy=False)))
    return astype(clip(rounded + astype(zero, x.dtype, copy=False), limits.min, limits.max), wanted)


def _byte_dtype(zero_point: Any, dtype: Any) -> np.dtype:
    wanted = np.dtype(dtype) if dtype is not None else zero_point.dtype if isinstance(zero_point, Tensor) else uint8
    if wanted not in _BYTES:
        raise complaint(DTypeError, "quantize", f"gives uint8 or int8, not {wanted.name}")
    return wanted


@public(method=False)
def dequantize(x: Tensor, scale: Tensor | float, zero_point: Tensor | int = 0, *, axis: int | None = None) -> Tensor:
    """``(x - zero_point) * scale`` in scale's dtype: ONNX's ``DequantizeLinear``.

    x: integers of at most 32 bits; ``scale`` and ``zero_point`` are one number, or one for each place of ``axis``.
    Raises `ShapeError` and `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> tl.dequantize(tl.tensor([8, 10, 255], dtype=tl.uint8), 0.5, 10)
    tensor([ -1. ,   0. , 122.5])
    """
    if x.dtype.kind not in "iu" or x.dtype.itemsize > 4:
        raise complaint(DTypeError, "dequantize", f"takes integers of at most 32 bits, not {x.dtype.name}", {"x": x})
    scale, zero = _along("dequantize", x, "scale", scale, axis), _along("dequantize", x, "zero_point", zero_point, axis)
    exact = subtract(astype(x, np.dtype(np.int64)), astype(zero, np.dtype(np.int64)))
    return multiply(astype(exact, scale.dtype), scale)
