"""Regions of images, each brought to one size: averages of samples (roi_align), or maxima (roi_pool).

Both weigh or choose along one axis at a time. A sample of `roi_align` is interpolated along rows and along columns, so
that the average over a bin is two small matrix products, of which the first takes all columns and channels at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, merged, parted
from tensorlite.declare import primitive, public
from tensorlite.errors import DTypeError, IndexingError, ShapeError, complaint
from tensorlite.op import Integers, Sample
from tensorlite.ops.bounds import clip
from tensorlite.ops.checks import check_floating
from tensorlite.ops.convolution.window import Pair, pair
from tensorlite.ops.elementwise import abs, ceil, copysign, floor, maximum, where
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.join import concat, stack
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, int64


@dataclass(frozen=True)
class Bins:
    """The weights of a box's bins along one axis: [bins, extent], and the part of the extent that they reach."""

    weights: Any
    reach: slice


def _check(x: Any, images: Any) -> None:
    """Raises what is wrong with arrays or their types."""
    check_floating(x)
    if isinstance(images, TensorType):
        return
    if images.size and not (0 <= images.min() and images.max() < x.shape[0]):
        raise IndexingError(f"a box lies in image {int(images.max() if images.min() >= 0 else images.min())}, "
                            f"there are {x.shape[0]}", "number images from 0")


# --- averages of samples ------------------------------------------------------------------------------------------


def _axis_bins(xp: Any, start: Any, end: Any, extent: int, bins: int, ratio: int, aligned: bool) -> Iterator[Bins]:
    """For each box its bins' weights along an axis, from where it starts and ends in elements."""
    length = end - start if aligned else xp.maximum(end - start, 1)
    step = length / bins
    needed = xp.where(xp.isfinite(step), xp.ceil(step), 0).clip(0).astype(xp.int64)
    counts = xp.full(start.shape, ratio) if ratio > 0 else needed
    for first, each, count in zip(start, step, counts.tolist(), strict=True):
        yield _weigh(xp, first, each, count, extent, bins)


def _weigh(xp: Any, start: Any, step: Any, count: int, extent: int, bins: int) -> Bins:
    """The weights of ``count`` samples in each of a box's bins, which begin at ``start`` and are ``step`` wide."""
    weights = xp.zeros((bins, extent), start.dtype)
    if not count:
        return Bins(weights, slice(0, 0))
    samples = (start + step * xp.arange(bins, dtype=start.dtype)[:, None]
               + (xp.arange(count, dtype=start.dtype) + 0.5) * (step / count))
    inside = (samples >= -1) & (samples <= extent)
    place = xp.where(inside, samples, 0).clip(0, extent - 1)
    low = xp.minimum(place.astype(xp.int64), extent - 1)
    high, share = xp.minimum(low + 1, extent - 1), place - low
    rows = xp.arange(bins)[:, None]
    scale = inside / start.dtype.type(count)
    xp.add.at(weights, (rows, low), (1 - share) * scale)
    xp.add.at(weights, (rows, high), share * scale)
    return Bins(weights, slice(int(low.min()), int(high.max()) + 1))


def _all_bins(xp: Any, boxes: Any, extents: Sequence[int], dtype: np.dtype, size: Pair, scale: float, ratio: int,
              aligned: bool) -> Iterator[tuple[Bins, Bins]]:
    """For each box its bins down and across."""
    corners = boxes.astype(dtype, copy=False) * dtype.type(scale) - dtype.type(0.5 if aligned else 0)
    axes = [_axis_bins(xp, corners[:, i], corners[:, i + 2], extents[1 - i], size[1 - i], ratio, aligned)
            for i in (1, 0)]
    return zip(*axes, strict=True)


def _aligned_type(x: TensorType, boxes: TensorType, images: TensorType, *, size: Pair, **_: Any) -> TensorType:
    _check(x, images)
    return TensorType(x.dtype, (boxes.shape[0], x.shape[1], *size), x.device)


def _aligned_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Images of the batch are more images."""
    x, boxes, images = batch.all_in_front(inputs)
    found = batch.apply(merged(x), merged(boxes), merged(_numbered(batch, images, x.shape[1])), **attributes)
    return parted(found, 0, batch.size, boxes.shape[1]), 0


def _numbered(batch: Batch, images: Tensor, each: int) -> Tensor:
    """The numbers of images, of which each element of the batch has as many, in all of them together."""
    return images + _reshape(arange(batch.size) * each, shape=(batch.size, 1))


def _aligned_vjp(g: Tensor, boxes: Tensor, images: Tensor, x_shape: tuple[int, ...], size: Pair, scale: float,
                 ratio: int, aligned: bool) -> Tensor:
    return _roi_align_spread(g, boxes, images, shape=x_shape, size=size, scale=scale, ratio=ratio, aligned=aligned)


_OPTIONS: dict[str, Any] = {"size": (2, 3), "scale": 0.7, "ratio": 2, "aligned": True}
_BOXES = Integers((4, 4), -1, 7)  # whole corners: there is no derivative in them


@primitive("contract", type=_aligned_type, batch=_aligned_batch, vjp={"x": _aligned_vjp}, samples=[
    Sample((2, 3, 5, 4), _BOXES, Integers((4,), 0, 2), **_OPTIONS),
    Sample((1, 2, 3, 3), Integers((0, 4), 0, 1), Integers((0,), 0, 1), **_OPTIONS),
    Sample((2, 1, 4, 5), _BOXES, Integers((4,), 0, 2), size=(1, 2), scale=1.3, ratio=-1, aligned=False)])
def _roi_align(xp: Any, x: Any, boxes: Any, images: Any, *, size: Pair, scale: float, ratio: int, aligned: bool) -> Any:
    """The averages over bins of boxes of what lies at samples in images, interpolated between elements."""
    _check(x, images)
    wide, (channels, *extents) = accumulator(x.dtype), x.shape[1:]
    last = xp.ascontiguousarray(x.transpose(0, 2, 3, 1)).astype(wide, copy=False)
    out = xp.empty((boxes.shape[0], *size, channels), wide)
    bins = _all_bins(xp, boxes, extents, wide, size, scale, ratio, aligned)
    for place, (image, (down, across)) in enumerate(zip(images.tolist(), bins, strict=True)):
        part = last[image, down.reach, across.reach]
        rows = down.weights[:, down.reach] @ part.reshape(part.shape[0], part.shape[1] * channels)
        out[place] = across.weights[:, across.reach] @ rows.reshape(size[0], part.shape[1], channels)
    return xp.ascontiguousarray(out.transpose(0, 3, 1, 2)).astype(x.dtype, copy=False)


def _spread_type(g_: TensorType, boxes: TensorType, images: TensorType, *, shape: tuple[int, ...],
                 **_: Any) -> TensorType:
    return TensorType(g_.dtype, shape, g_.device)


def _spread_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    g, boxes, images = batch.all_in_front(inputs)
    count, *rest = attributes["shape"]
    found = batch.apply(merged(g), merged(boxes), merged(_numbered(batch, images, count)),
                        **{**attributes, "shape": (batch.size * count, *rest)})
    return parted(found, 0, batch.size, count), 0


def _spread_vjp(g: Tensor, boxes: Tensor, images: Tensor, size: Pair, scale: float, ratio: int,
                aligned: bool) -> Tensor:
    return _roi_align(g, boxes, images, size=size, scale=scale, ratio=ratio, aligned=aligned)


@primitive("contract", type=_spread_type, batch=_spread_batch, vjp={"g_": _spread_vjp}, samples=[
    Sample((4, 3, 2, 3), _BOXES, Integers((4,), 0, 2), shape=(2, 3, 5, 4), **_OPTIONS)])
def _roi_align_spread(xp: Any, g_: Any, boxes: Any, images: Any, *, shape: tuple[int, ...], size: Pair, scale: float,
                      ratio: int, aligned: bool) -> Any:
    """The transpose of `roi_align` in its images: each bin's number goes back to where its samples lay."""
    wide, (count, channels, *extents) = accumulator(g_.dtype), shape
    last = xp.ascontiguousarray(g_.transpose(0, 2, 3, 1)).astype(wide, copy=False)
    out = xp.zeros((count, *extents, channels), wide)
    bins = _all_bins(xp, boxes, extents, wide, size, scale, ratio, aligned)
    for image, (down, across), part in zip(images.tolist(), bins, last, strict=True):
        rows = across.weights[:, across.reach].T @ part
        found = down.weights[:, down.reach].T @ rows.reshape(size[0], rows.shape[1] * channels)
        out[image, down.reach, across.reach] += found.reshape(found.shape[0], rows.shape[1], channels)
    return xp.ascontiguousarray(out.transpose(0, 3, 1, 2)).astype(g_.dtype, copy=False)


# --- maxima -------------------------------------------------------------------------------------------------------


def _bounds(start: Tensor, end: Tensor, extent: int, bins: int) -> Tensor:
    """Where each box's bins begin and end along an axis, within its extent: [boxes, bins, 2]."""
    first, last = (_reshape(copysign(floor(abs(side) + 0.5), side), shape=(side.size, 1)) for side in (start, end))
    step = maximum(last - first + 1, 1) / bins
    number = arange(bins, dtype=start.dtype, device=start.device)
    sides = stack([floor(number * step) + first, ceil((number + 1) * step) + first], axis=-1)
    return astype(clip(where(sides == sides, sides, 0), 0, extent), int64)


def _highest(xp: Any, x: Any, bounds: Any) -> tuple[Any, Any]:
    """The maxima of the last axis between bounds, and where the first of each is: -1 where there is nothing between."""
    values = xp.zeros((*x.shape[:-1], len(bounds)), x.dtype)
    places = xp.full(values.shape, -1, xp.int64)
    for i, (begin, end) in enumerate(bounds):
        if begin < end:
            part = x[..., begin:end]
            place = part.argmax(-1)
            values[..., i] = xp.take_along_axis(part, place[..., None], -1)[..., 0]
            places[..., i] = place + begin
    return values, places


def _places_type(x: TensorType, images: TensorType, down: TensorType, across: TensorType) -> TensorType:
    _check(x, images)
    return TensorType(np.dtype(np.int64), (down.shape[0], x.shape[1], down.shape[1], across.shape[1]), x.device)


def _places_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Images of the batch are more images."""
    x, images, down, across = batch.all_in_front(inputs)
    found = batch.apply(merged(x), merged(_numbered(batch, images, x.shape[1])), merged(down), merged(across))
    return parted(found, 0, batch.size, images.shape[1]), 0


@primitive("opaque", type=_places_type, batch=_places_batch, samples=[
    Sample((2, 3, 5, 4), Integers((4,), 0, 2), Integers((4, 2, 2), 0, 6), Integers((4, 3, 2), 0, 5)),
    Sample((1, 2, 3, 3), Integers((0,), 0, 1), Integers((0, 1, 2), 0, 4), Integers((0, 2, 2), 0, 4))])
def _roi_places(xp: Any, x: Any, images: Any, down: Any, across: Any) -> Any:
    """Where in its image, row by row, the maximum of each bin is: the first one; -1 for a bin of nothing.

    ``down`` and ``across`` hold where bins begin and end: [boxes, bins, 2].
    """
    _check(x, images)
    out = xp.empty((down.shape[0], x.shape[1], down.shape[1], across.shape[1]), xp.int64)
    rows_of, columns_of, width = down.tolist(), across.tolist(), x.shape[3]
    for place, image in enumerate(images.tolist()):
        values, columns = _highest(xp, x[image], columns_of[place])
        _, rows = _highest(xp, values.swapaxes(-1, -2), rows_of[place])
        rows = rows.swapaxes(-1, -2)
        columns = xp.take_along_axis(columns, rows.clip(0), 1)
        out[place] = xp.where((rows < 0) | (columns < 0), -1, rows * width + columns)
    return out


# --- what users call ----------------------------------------------------------------------------------------------


def _regions(op: str, input: Tensor, boxes: Any) -> tuple[Tensor, Tensor]:
    """The corners of all boxes [k, 4], and the number of the image that each lies in."""
    if not isinstance(input, Tensor) or input.ndim != 4:
        raise complaint(ShapeError, op, "takes images [batch, channels, height, width]", {"input": input})
    if 0 in input.shape[2:]:
        raise complaint(ShapeError, op, "images without elements have no regions", {"input": input})
    if isinstance(boxes, Tensor):
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise complaint(ShapeError, op, "boxes must be [k, 5], the number of an image and four corners, or a "
                            "list of boxes [n, 4] for each image", {"input": input, "boxes": boxes})
        corners, images = boxes[:, 1:], astype(boxes[:, 0].detach(), int64, copy=False)
    else:
        corners, images = _listed(op, input, boxes)
    if corners.dtype != input.dtype:
        raise complaint(DTypeError, op, f"the input is {input.dtype.name}, boxes are {corners.dtype.name}",
                        {"input": input, "boxes": boxes}, f"cast one: boxes.to(tl.{input.dtype.name})")
    return corners, images


def _listed(op: str, input: Tensor, boxes: Any) -> tuple[Tensor, Tensor]:
    """The boxes of all images, one after the other, and the number of the image that each lies in."""
    if not isinstance(boxes, list | tuple) or not all(isinstance(part, Tensor) for part in boxes):
        raise complaint(DTypeError, op, f"boxes must be a tensor or a list of tensors, not {type(boxes).__name__}",
                        {"input": input})
    if len(boxes) != input.shape[0] or any(part.ndim != 2 or part.shape[1] != 4 for part in boxes):
        raise complaint(ShapeError, op, f"a list of boxes must have boxes [n, 4] for each of {input.shape[0]} images",
                        {"input": input, **{f"boxes[{i}]": part for i, part in enumerate(boxes)}})
    if not boxes:
        return full((0, 4), 0, dtype=input.dtype, device=input.device), full((0,), 0, dtype=int64, device=input.device)
    numbers = [full((part.shape[0],), i, dtype=int64, device=input.device) for i, part in enumerate(boxes)]
    return concat(boxes), concat(numbers)


@public(method=False)
def roi_align(input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int | Pair, spatial_scale: float = 1.0,
              sampling_ratio: int = -1, aligned: bool = False) -> Tensor:
    """Regions of images brought to one size: each bin the average of samples that are interpolated between elements.

    input: [batch, channels, height, width]; boxes: [k, 5], the number of an image and x1, y1, x2, y2, or a list of
    boxes [n, 4] for each image; the result: [k, channels, *output_size]. ``spatial_scale`` is the input's size over
    that of the image that boxes are measured in. A bin has ``sampling_ratio`` by ``sampling_ratio`` samples, or as many
    as it has elements, rounded up, where that is not positive. ``aligned`` moves boxes by half an element, so that they
    lie where elements are areas and not points; else they are at least one element wide and high. Samples further than
    one element outside count as 0. There is no derivative in the boxes. He et al., "Mask R-CNN", 2017. Raises
    `ShapeError`, `DTypeError`, and `IndexingError` for a box in an image that there is not.

    >>> import tensorlite as tl
    >>> x = tl.arange(16.0).reshape(1, 1, 4, 4)
    >>> tl.roi_align(x, tl.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]]), 2, sampling_ratio=2, aligned=True)
    tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]])
    """
    corners, images = _regions("roi_align", input, boxes)
    return _roi_align(input, corners, images, size=pair("roi_align", "output_size", output_size),
                      scale=float(spatial_scale), ratio=int(sampling_ratio), aligned=bool(aligned))


@public(method=False)
def roi_pool(input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int | Pair,
             spatial_scale: float = 1.0) -> Tensor:
    """Regions of images brought to one size: each bin the maximum of its elements, or 0 where it has none.

    Input, boxes and scale are as for `roi_align`; boxes are rounded to whole elements, the last one included. The first
    of equal maxima carries the derivative; NaN counts as larger than any number. Girshick, "Fast R-CNN", 2015. Raises
    as `roi_align` does.

    >>> import tensorlite as tl
    >>> x = tl.arange(16.0).reshape(1, 1, 4, 4)
    >>> tl.roi_pool(x, tl.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]]), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    corners, images = _regions("roi_pool", input, boxes)
    _, channels, height, width = input.shape
    sides = astype(corners.detach(), accumulator(input.dtype), copy=False) * float(spatial_scale)
    bins = pair("roi_pool", "output_size", output_size)
    down, across = (_bounds(sides[:, i], sides[:, i + 2], (width, height)[i], bins[1 - i]) for i in (1, 0))
    places = _roi_places(input.detach(), images, down, across)
    maps = _reshape(images, shape=(images.size, 1, 1, 1)) * channels + _reshape(
        arange(channels, device=input.device), shape=(channels, 1, 1))
    elements = _take_rows(_reshape(input, shape=(input.size,)), maps * (height * width) + maximum(places, 0), axis=0)
    return where(places < 0, 0, elements)
