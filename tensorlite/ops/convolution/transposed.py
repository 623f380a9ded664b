"""Transposed convolutions, each by the one of images, which is the derivative of `conv2d` in its images.

Each element of the input adds a whole kernel to the output (Zeiler et al., "Deconvolutional networks", 2010). Those of
a sequence are images of height 1. Those of a volume give an image for each of their taps in depth, and these are
added up where they lie in the output.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from tensorlite.declare import public
from tensorlite.dispatch import apply
from tensorlite.errors import ArgumentError, ShapeError
from tensorlite.op import OPS
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.convolution.complex_conv import by_parts, is_complex
from tensorlite.ops.convolution.conv import _conv2d_data, check_filters
from tensorlite.ops.convolution.dimensions import (
    Geometry,
    checked,
    depth_second,
    join_axes,
    named,
    part_axis,
    placed,
)
from tensorlite.ops.convolution.integer_conv import is_integer, transposed
from tensorlite.ops.convolution.window import AXES, SUBJECTS, batched, integers, span
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.join import along
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _check(x: Any, weight: Any, bias: Any | None, geometry: Geometry) -> None:
    """Raises what is wrong with arrays or their types."""
    names, groups = AXES[len(geometry.stride)], geometry.groups
    check_alike(x, weight=weight, **({} if bias is None else {"bias": bias}))
    if not is_integer(x):
        check_floating(x)
    if len(weight.shape) != len(names) + 2:
        raise ShapeError(f"weight must be [in channels, out channels / groups, {', '.join(names)}], "
                         f"it has {len(weight.shape)} dimensions")
    check_filters(weight)
    channels, out_channels = x.shape[1], weight.shape[1] * groups
    if groups < 1 or channels % groups:
        raise ShapeError(f"groups={groups} must divide x's {channels} channels")
    if weight.shape[0] != channels:
        raise ShapeError(f"weight expects {weight.shape[0]} input channels, x has {channels}")
    if bias is not None and bias.shape != (out_channels,):
        raise ShapeError(f"bias must have shape [{out_channels}], one number for each of the output's channels")
    if 0 in x.shape[2:]:
        raise ShapeError(f"takes {SUBJECTS[len(names)]} with elements, x's {names[x.shape[2:].index(0)]} is 0")


def _size(x: Any, weight: Any, geometry: Geometry, extra: tuple[int, ...]) -> tuple[int, ...]:
    """The size of the output; raises where there is none, or the input's would not follow from it."""
    stride, dilation = geometry.stride, geometry.dilation
    reach = _reach(x.shape[2:], weight.shape[2:], geometry)
    for name, more, step, spread in zip(AXES[len(stride)], extra, stride, dilation, strict=True):
        if more >= step and more >= spread:
            raise ArgumentError("output_padding must be less than the stride or the dilation, "
                                f"along the {name} it is {more}, they are {step} and {spread}")
    size = tuple(n - sum(p) + more for n, p, more in zip(reach, geometry.padding, extra, strict=True))
    for name, n, whole, widths in zip(AXES[len(stride)], size, reach, geometry.padding, strict=True):
        if n < 1:
            raise ShapeError(f"of the output's {name}, {whole}, padding takes away {sum(widths)}",
                             "use less padding, or a larger kernel or dilation")
    return size


def _reach(size: tuple[int, ...], kernel: tuple[int, ...], geometry: Geometry) -> tuple[int, ...]:
    """The extents that all kernels together cover."""
    return tuple((n - 1) * s + span(k, d) for n, k, s, d in zip(size, kernel, geometry.stride, geometry.dilation,
                                                              strict=True))


def _images(x: Tensor, weight: Tensor, geometry: Geometry, size: tuple[int, ...]) -> Tensor:
    reach = _reach(x.shape[2:], weight.shape[2:], geometry)
    after = [whole - p[0] - n for whole, p, n in zip(reach, geometry.padding, size, strict=True)]
    attributes = geometry.attributes
    if all(-n < step for n, step in zip(after, geometry.stride, strict=True)):
        borders = tuple((p[0], max(n, 0)) for p, n in zip(geometry.padding, after, strict=True))
        return _conv2d_data(x, weight, size=size, **{**attributes, "padding": borders})
    y = _conv2d_data(x, weight, size=reach, **{**attributes, "padding": ((0, 0), (0, 0))})
    for axis, (p, n) in enumerate(zip(geometry.padding, size, strict=True)):
        y = placed(y, 2 + axis, -p[0], 1, n)
    return y


def _sequences(x: Tensor, weight: Tensor, geometry: Geometry, size: tuple[int, ...]) -> Tensor:
    image, filters = (part_axis(part, 2, 1, part.shape[2]) for part in (x, weight))
    return join_axes(_images(image, filters, geometry.with_height(), (1, *size)), 2)


def _volumes(x: Tensor, weight: Tensor, geometry: Geometry, size: tuple[int, ...]) -> Tensor:
    axis = geometry.point_axes(weight.shape[2:])
    if axis is None or size[axis:axis + 2] != x.shape[2 + axis:4 + axis]:
        return _by_depth(x, weight, geometry, size)
    flat = (*size[:axis], size[axis] * size[axis + 1], *size[axis + 2:])
    joined = _images(join_axes(x, 2 + axis), join_axes(weight, 2 + axis), geometry.without(axis), flat)
    return part_axis(joined, 2 + axis, *size[axis:axis + 2])


def _by_depth(x: Tensor, weight: Tensor, geometry: Geometry, size: tuple[int, ...]) -> Tensor:
    """The images of all depths and taps at once, then the sum over taps where each lies in depth."""
    batch, channels, depth = x.shape[:3]
    kernel = weight.shape[2]
    images = _reshape(depth_second(x), shape=(batch * depth, channels, *x.shape[3:]))
    filters = _reshape(weight, shape=(channels, weight.shape[1] * kernel, *weight.shape[3:]))
    found = _images(images, filters, geometry.without(0), size[1:])
    taps = _reshape(found, shape=(batch, depth, found.shape[1] // kernel, kernel, *size[1:]))
    parts = [placed(_slice(taps, spec=along(3, k)), 1, k * geometry.dilation[0] - geometry.padding[0][0],
                    geometry.stride[0], size[0]) for k in range(kernel)]
    return depth_second(reduce(lambda y, part: apply(OPS["add"], y, part), parts))


_BY_AXES = {1: _sequences, 2: _images, 3: _volumes}


def _transposed(op: str, axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
                output_padding: Any, groups: int, dilation: Any) -> Tensor:
    """The transposed convolution along so many axes, of one sample or a batch."""
    if is_complex(input):
        return by_parts(op, lambda x, w, b: _transposed(op, axes, x, w, b, stride, padding, output_padding, groups,
                                                        dilation), input, weight, bias)
    strides, dilations = integers(op, "stride", stride, axes), integers(op, "dilation", dilation, axes)
    extra = integers(op, "output_padding", output_padding, axes, least=0)
    borders = tuple((n, n) for n in integers(op, "padding", padding, axes, least=0))
    geometry = Geometry(strides, borders, dilations, groups)

    def of_batch(x: Tensor) -> Tensor:
        def check() -> tuple[int, ...]:
            _check(x, weight, bias, geometry)
            return _size(x, weight, geometry, extra)
        arguments = named(x, weight, bias) | geometry.attributes | {"output_padding": extra}
        size, wide = checked(op, arguments, check), accumulator(x.dtype)
        if is_integer(x):
            return transposed(x, weight, () if bias is None else (bias,), size, *geometry.attributes.values())
        y = _BY_AXES[axes](astype(x, wide, copy=False), astype(weight, wide, copy=False), geometry, size)
        if bias is not None:
            biases = _reshape(bias, shape=(bias.size, *(1,) * axes))
            y = apply(OPS["add"], y, astype(biases, wide, copy=False))
        return astype(y, x.dtype, copy=False)
    return batched(op, of_batch, input, axes)


@public(method=False, autocast="narrow")
def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int] = 1,
                     padding: int | tuple[int] = 0, output_padding: int | tuple[int] = 0, groups: int = 1,
                     dilation: int | tuple[int] = 1) -> Tensor:
    """The transpose of `conv1d`: each element of sequences adds a kernel, scaled by it, to the output.

    input: [batch, channels, length] or [channels, length]; weight: [channels, out channels / groups, kernel length];
    bias: [out channels]. The output is ``(length - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 +
    output_padding`` long. Raises `ShapeError` and `DTypeError` where these do not fit, `ArgumentError` where
    ``output_padding`` is less than neither stride nor dilation.

    >>> import tensorlite as tl
    >>> tl.conv_transpose1d(tl.tensor([[1.0, 2.0]]), tl.tensor([[[1.0, 1.0, 1.0]]]), stride=2)
    tensor([[1., 1., 3., 2., 2.]])
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public(method=False, autocast="narrow")
def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int] = 1,
                     padding: int | tuple[int, int] = 0, output_padding: int | tuple[int, int] = 0, groups: int = 1,
                     dilation: int | tuple[int, int] = 1) -> Tensor:
    """The transpose of `conv2d`: each element of images adds a kernel, scaled by it, to the output.

    input: [batch, channels, height, width] or [channels, height, width]; weight: [channels, out channels / groups,
    kernel height, kernel width]; bias: [out channels]. The output is ``(height - 1) * stride - 2 * padding +
    dilation * (kernel - 1) + 1 + output_padding`` high, and so wide. Raises `ShapeError` and `DTypeError` where these
    do not fit, `ArgumentError` where ``output_padding`` is less than neither stride nor dilation.

    >>> import tensorlite as tl
    >>> tl.conv_transpose2d(tl.tensor([[[1.0, 2.0]]]), tl.ones((1, 1, 2, 2)))
    tensor([[[1., 3., 2.],
             [1., 3., 2.]]])
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public(method=False, autocast="narrow")
def conv_transpose3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int, int] = 1,
                     padding: int | tuple[int, int, int] = 0, output_padding: int | tuple[int, int, int] = 0,
                     groups: int = 1, dilation: int | tuple[int, int, int] = 1) -> Tensor:
    """The transpose of `conv3d`: each element of volumes adds a kernel, scaled by it, to the output.

    input: [batch, channels, depth, height, width] or [channels, depth, height, width]; weight: [channels, out channels
    / groups, kernel depth, kernel height, kernel width]; bias: [out channels]. The output is ``(depth - 1) * stride -
    2 * padding + dilation * (kernel - 1) + 1 + output_padding`` deep, and so high and wide. Raises `ShapeError` and
    `DTypeError` where these do not fit, `ArgumentError` where ``output_padding`` is less than neither stride nor
    dilation.

    >>> import tensorlite as tl
    >>> tl.conv_transpose3d(tl.ones((1, 1, 1, 2)), tl.ones((1, 1, 1, 1, 2)))
    tensor([[[[1., 2., 1.]]]])
    """
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
