"""Where an image begins and ends: flips, crops, borders, and parts that are erased."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.data.transforms.images import channels_of, filling, like, on_planes, pair, planes_of, size_of
from tensorlite.data.transforms.transform import RandomTransform, Transform, interval
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.tensor import Tensor

#: How numpy calls the ways to go on beyond a border.
_PADS = {"constant": "constant", "edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}


@on_planes
def hflip(planes: np.ndarray) -> np.ndarray:
    """An image with left and right exchanged."""
    return planes[..., ::-1]


@on_planes
def vflip(planes: np.ndarray) -> np.ndarray:
    """An image with top and bottom exchanged."""
    return planes[..., ::-1, :]


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """An image with borders: one width for all, ``(left and right, top and bottom)`` or ``(left, top, right, bottom)``.

    Borders are ``fill``, or by ``padding_mode`` the ``"edge"``, or the image reflected (``"reflect"``, the edge not
    again; ``"symmetric"``, the edge again). Negative widths take away.
    """
    widths = _widths(padding)
    if padding_mode not in _PADS:
        problem = f"padding_mode is {padding_mode!r}, expected one of {', '.join(_PADS)}"
        raise complaint(ArgumentError, "pad", problem)
    planes = planes_of("pad", img)
    left, top, right, bottom = (max(width, 0) for width in widths)
    cut = [max(-width, 0) for width in widths]
    planes = planes[..., cut[1]:max(planes.shape[-2] - cut[3], 0), cut[0]:max(planes.shape[-1] - cut[2], 0)]
    borders = [(0, 0)] * (planes.ndim - 2) + [(top, bottom), (left, right)]
    if padding_mode != "constant":
        return like(img, np.pad(planes, borders, _PADS[padding_mode]))  # type: ignore[call-overload]
    values = filling("pad", fill, channels_of("pad", img)).astype(planes.dtype)
    shape = (*planes.shape[:-2], planes.shape[-2] + top + bottom, planes.shape[-1] + left + right)
    framed = np.broadcast_to(values if planes.ndim > 2 else values[0], shape).copy()
    framed[..., top:top + planes.shape[-2], left:left + planes.shape[-1]] = planes
    return like(img, framed)


def _widths(padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom."""
    values = [padding] if isinstance(padding, numbers.Integral) else padding
    if not isinstance(values, Sequence) or len(values) not in (1, 2, 4) or \
            any(not isinstance(each, numbers.Integral) for each in values):
        problem = f"padding is {padding!r}, expected an integer, or 2 or 4 of them"
        raise complaint(ArgumentError, "pad", problem)
    left, top, right, bottom = (int(each) for each in (*values, *values, *values, *values)[:4])
    return left, top, right, bottom


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of an image that begins at ``top`` and ``left``; what is outside of the image is 0."""
    planes = planes_of("crop", img)
    rows, columns = planes.shape[-2:]
    inside = (slice(max(top, 0), max(top + height, 0)), slice(max(left, 0), max(left + width, 0)))
    if 0 <= top <= rows - height and 0 <= left <= columns - width:
        return like(img, planes[..., *inside])
    found = np.zeros((*planes.shape[:-2], height, width), planes.dtype)
    part = planes[..., *inside]
    above, before = max(-top, 0), max(-left, 0)
    found[..., above:above + part.shape[-2], before:before + part.shape[-1]] = part
    return like(img, found)


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of an image; where that is larger than the image, with a border of 0."""
    height, width = pair("center_crop", "output_size", output_size)
    rows, columns = size_of("center_crop", img)
    across, down = max(width - columns, 0), max(height - rows, 0)
    if across or down:
        img = pad(img, (across // 2, down // 2, (across + 1) // 2, (down + 1) // 2))
        rows, columns = rows + down, columns + across
    return crop(img, round((rows - height) / 2), round((columns - width) / 2), height, width)


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """A tensor with ``v`` in the rectangle that begins at row ``i`` and column ``j``."""
    planes = planes_of("erase", img).copy()
    planes[..., i:i + h, j:j + w] = v.numpy() if isinstance(v, Tensor) else v
    erased = like(img, planes)
    return img.copy_(erased) if inplace and isinstance(img, Tensor) else erased


@dataclass(frozen=True)
class RandomHorizontalFlip(RandomTransform):
    """Exchanges left and right with a probability of ``p``."""

    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_probability(self.p)

    def __call__(self, img: Any) -> Any:
        return hflip(img) if self._stream().random() < self.p else img


@dataclass(frozen=True)
class RandomVerticalFlip(RandomTransform):
    """Exchanges top and bottom with a probability of ``p``."""

    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_probability(self.p)

    def __call__(self, img: Any) -> Any:
        return vflip(img) if self._stream().random() < self.p else img


@dataclass(frozen=True)
class Pad(Transform):
    """Adds borders, as `functional.pad` does."""

    padding: int | Sequence[int]
    fill: Any = 0
    padding_mode: str = "constant"

    def __post_init__(self) -> None:
        _widths(self.padding)
        if self.padding_mode not in _PADS:
            self._refuse(f"padding_mode is {self.padding_mode!r}, expected one of {', '.join(_PADS)}")

    def __call__(self, img: Any) -> Any:
        return pad(img, self.padding, self.fill, self.padding_mode)


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Takes the middle, as `functional.center_crop` does.

    >>> CenterCrop(2)(np.arange(16).reshape(4, 4))
    array([[ 5,  6],
           [ 9, 10]])
    """

    size: int | Sequence[int]

    def __post_init__(self) -> None:
        self._set(size=pair("CenterCrop", "size", self.size))

    def __call__(self, img: Any) -> Any:
        return center_crop(img, self.size)


@dataclass(frozen=True)
class RandomCrop(RandomTransform):
    """Takes a part of a given size from anywhere, each place as likely.

    ``padding`` adds borders before, as `Pad` does, and ``pad_if_needed`` adds as much as it takes for the image to
    have the size, on both sides. Raises `ArgumentError` for images that are smaller than that.
    """

    size: int | Sequence[int]
    padding: int | Sequence[int] | None = None
    pad_if_needed: bool = False
    fill: Any = 0
    padding_mode: str = "constant"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(size=pair("RandomCrop", "size", self.size))
        Pad(0 if self.padding is None else self.padding, self.fill, self.padding_mode)

    def __call__(self, img: Any) -> Any:
        height, width = self.size  # type: ignore[misc]
        if self.padding is not None:
            img = pad(img, self.padding, self.fill, self.padding_mode)
        rows, columns = size_of("RandomCrop", img)
        if self.pad_if_needed:
            down, across = max(height - rows, 0), max(width - columns, 0)
            if down or across:
                img = pad(img, (across, down), self.fill, self.padding_mode)
            rows, columns = rows + 2 * down, columns + 2 * across
        if rows < height or columns < width:
            self._refuse(f"{height}x{width} does not fit into an image of {rows}x{columns}")
        source = self._stream()
        top, left = source.integers(0, rows - height + 1), source.integers(0, columns - width + 1)
        return crop(img, int(top), int(left), height, width)


@dataclass(frozen=True)
class RandomErasing(RandomTransform):
    """Erases a rectangle of a tensor, with a probability of ``p`` (Zhong et al., "Random erasing data augmentation").

    The rectangle has a share of the area within ``scale``, height by width within ``ratio``, and is anywhere. It
    becomes ``value``: a number, one a channel, or ``"random"`` for normal numbers. An image into which ten drawn
    rectangles did not fit stays as it is. With ``inplace``, the tensor is bound to the result.
    """

    p: float = 0.5
    scale: Sequence[float] = (0.02, 0.33)
    ratio: Sequence[float] = (0.3, 3.3)
    value: float | Sequence[float] | str = 0
    inplace: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_probability(self.p)
        interval("RandomErasing", "scale", self.scale, 0, 1)
        if interval("RandomErasing", "ratio", self.ratio, 0)[0] == 0:
            self._refuse(f"ratio is {self.ratio!r}, expected positive numbers")
        if isinstance(self.value, str) and self.value != "random":
            self._refuse(f"value is {self.value!r}, expected numbers or 'random'")

    def __call__(self, img: Any) -> Any:
        if not isinstance(img, Tensor):
            raise complaint(DTypeError, "RandomErasing", f"takes tensors, not {type(img).__name__}",
                            fix="use ToTensor before")
        source = self._stream()
        if source.random() >= self.p:
            return img
        *_, channels, rows, columns = (1, *img.shape)
        for _ in range(10):
            height, width = _rectangle(source, rows * columns, self.scale, self.ratio)
            if 0 < height < rows and 0 < width < columns:
                break
        else:
            return img
        top, left = source.integers(0, rows - height + 1), source.integers(0, columns - width + 1)
        value = (source.standard_normal((channels, height, width)) if isinstance(self.value, str)
                 else filling("RandomErasing", self.value, channels))
        return erase(img, int(top), int(left), height, width, value, self.inplace)


def _rectangle(source: np.random.Generator, area: float, scale: Sequence[float],
               ratio: Sequence[float]) -> tuple[int, int]:
    """Two sides of a drawn share of an area, whose ratio is drawn evenly in its logarithm."""
    (smallest, largest), (narrow, wide) = scale, ratio
    target = area * source.uniform(smallest, largest)
    drawn = math.exp(source.uniform(math.log(narrow), math.log(wide)))
    return round(math.sqrt(target * drawn)), round(math.sqrt(target / drawn))
