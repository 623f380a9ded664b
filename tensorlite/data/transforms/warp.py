"""Images in another size, turned, moved, scaled and sheared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from tensorlite.data.pillow import is_picture, pillow
from tensorlite.data.transforms.frame import _rectangle, crop
from tensorlite.data.transforms.images import channels_of, filling, like, pair, planes_of, size_of
from tensorlite.data.transforms.transform import NUMBER, RandomTransform, Transform, interval
from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.images.interpolate import interpolate
from tensorlite.tensor import Tensor


class InterpolationMode(Enum):
    """How values between pixels are found; the last three are for pictures of Pillow's only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


#: Pillow's numbers for these.
_RESAMPLING = {"nearest": 0, "nearest-exact": 0, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5, "lanczos": 1}


def _mode(op: str, interpolation: Any, img: Any = None, known: Sequence[str] = tuple(_RESAMPLING)) -> str:
    """The name of an interpolation that is given as an InterpolationMode, its name or Pillow's number."""
    names = {number: name for name, number in reversed(_RESAMPLING.items())}
    found = interpolation.value if isinstance(interpolation, InterpolationMode) else names.get(interpolation,
                                                                                              interpolation)
    if found not in known:
        raise complaint(ArgumentError, op, f"interpolation is {interpolation!r}, expected one of {', '.join(known)}")
    if img is not None and not is_picture(img) and found in ("box", "hamming", "lanczos"):
        raise complaint(ArgumentError, op, f"{found!r} is for pictures of Pillow's only",
                        fix="resize before ToTensor, or take 'bilinear' or 'bicubic'")
    return str(found)


def resize(img: Any, size: Any, interpolation: Any = InterpolationMode.BILINEAR, max_size: int | None = None,
           antialias: bool = True) -> Any:
    """An image in another size: ``(height, width)``, or one number for the shorter side, the other in proportion.

    ``max_size`` then bounds the longer side. With ``antialias``, every pixel counts where an image shrinks; pictures
    of Pillow's always do so. Raises `ArgumentError` for an interpolation that the kind of image does not have.
    """
    mode = _mode("resize", interpolation, img)
    height, width = _resized(size_of("resize", img), size, max_size)
    if (height, width) == size_of("resize", img):
        return img
    if is_picture(img):
        return img.resize((width, height), _RESAMPLING[mode])
    planes = planes_of("resize", img)
    smooth = mode in ("bilinear", "bicubic")
    batch = planes.reshape(-1, 1, *planes.shape[-2:]).astype(np.float64 if planes.dtype == np.float64 else np.float32)
    found = interpolate(Tensor(batch), (height, width), mode=mode, antialias=antialias and smooth,
                        align_corners=False if smooth else None).numpy().reshape(*planes.shape[:-2], height, width)
    return like(img, _rounded(found, planes.dtype))


def _rounded(found: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in the dtype of the image that they come from."""
    if dtype.kind not in "iu":
        return found.astype(dtype)
    bounds = np.iinfo(dtype)
    return np.rint(found).clip(bounds.min, bounds.max).astype(dtype)


def _resized(old: tuple[int, int], size: Any, max_size: int | None) -> tuple[int, int]:
    values = list(size) if isinstance(size, (list, tuple)) else [size]
    pair("resize", "size", size)
    if len(values) == 2:
        if max_size is not None:
            raise complaint(ArgumentError, "resize", f"max_size goes with one number for size, not with {size!r}")
        return int(values[0]), int(values[1])
    short, long = sorted(old)
    new_short, new_long = int(values[0]), int(values[0] * long / short)
    if max_size is not None:
        if max_size <= values[0]:
            raise complaint(ArgumentError, "resize", f"max_size is {max_size}, expected more than the size {values[0]}")
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if old[0] <= old[1] else (new_long, new_short)


def resized_crop(img: Any, top: int, left: int, height: int, width: int, size: Any,
                 interpolation: Any = InterpolationMode.BILINEAR, antialias: bool = True) -> Any:
    """A part of an image, in another size."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def rotate(img: Any, angle: float, interpolation: Any = InterpolationMode.NEAREST, expand: bool = False,
           center: Sequence[float] | None = None, fill: Any = None) -> Any:
    """An image turned by ``angle`` degrees counter-clockwise, about ``center`` (x, y) or its middle.

    With ``expand``, the result is as large as the whole turned image. What is not of the image is ``fill``.
    """
    mode = _mode("rotate", interpolation, img, ("nearest", "bilinear", "bicubic")[:3 if is_picture(img) else 2])
    if is_picture(img):
        colour = _colour("rotate", img, fill)
        return img.rotate(angle, _RESAMPLING[mode], expand, center, fillcolor=colour)
    rows, columns = size_of("rotate", img)
    middle = (columns / 2, rows / 2)
    forward = affine_matrix(middle if center is None else center, -angle, (0, 0), 1.0, (0, 0))
    shape, origin = (rows, columns), np.zeros(2)
    if expand:
        corners = forward @ np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]], float)
        low, high = corners[:2].min(1).round(6), corners[:2].max(1).round(6)
        extents = np.ceil(high) - np.floor(low)
        shape, origin = (int(extents[1]), int(extents[0])), (low + high) / 2 - extents / 2
    return _warp("rotate", img, np.linalg.inv(forward), mode, fill, shape, origin)


def affine(img: Any, angle: float, translate: Sequence[float], scale: float, shear: Any,
           interpolation: Any = InterpolationMode.NEAREST, fill: Any = None,
           center: Sequence[float] | None = None) -> Any:
    """An image turned by ``angle`` degrees clockwise, sheared, scaled, and moved by ``translate`` (right, down).

    ``shear`` is in degrees: a number along x, or a pair along x and y, or a list of one for both. All but moving is
    about ``center`` (x, y) or the middle.
    """
    mode = _mode("affine", interpolation, img, ("nearest", "bilinear", "bicubic")[:3 if is_picture(img) else 2])
    if scale <= 0:
        raise complaint(ArgumentError, "affine", f"scale is {scale!r}, expected a positive number")
    shears = [float(each) for each in shear] if isinstance(shear, Sequence) else [float(shear), 0.0]
    if len(translate) != 2 or len(shears) not in (1, 2):
        problem = f"translate is {translate!r} and shear {shear!r}, expected pairs"
        raise complaint(ArgumentError, "affine", problem)
    rows, columns = size_of("affine", img)
    middle = (columns / 2, rows / 2) if center is None else center
    backward = np.linalg.inv(affine_matrix(middle, angle, translate, scale, (shears[0], shears[-1])))
    if is_picture(img):
        return img.transform((columns, rows), pillow("affine").Transform.AFFINE, backward[:2].ravel().tolist(),
                             _RESAMPLING[mode], fillcolor=_colour("affine", img, fill))
    return _warp("affine", img, backward, mode, fill, (rows, columns), np.zeros(2))


def affine_matrix(center: Sequence[float], angle: float, translate: Sequence[float], scale: float,
                  shear: Sequence[float]) -> np.ndarray:
    """Where points (x, y, 1) go, y downwards: first to the centre, sheared along x, then y, scaled, turned, moved."""
    turn, across, down = (math.radians(each) for each in (angle, *shear))
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    linear = scale * turned @ [[1, 0], [-math.tan(down), 1]] @ [[1, -math.tan(across)], [0, 1]]
    moved = np.asarray(center, float) + np.asarray(translate, float) - linear @ np.asarray(center, float)
    return np.block([[linear, moved[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])


def _colour(op: str, picture: Any, fill: Any) -> Any:
    """What Pillow takes for a fill."""
    values = filling(op, fill, channels_of(op, picture)).ravel().tolist()
    whole = values if picture.mode == "F" else [int(value) for value in values]
    return whole[0] if len(whole) == 1 else tuple(whole)


def _warp(op: str, img: Any, backward: np.ndarray, mode: str, fill: Any, shape: tuple[int, int],
          origin: np.ndarray) -> Any:
    """Takes each pixel from where a matrix says, by centres of pixels; ``origin`` is where the result begins."""
    planes = planes_of(op, img)
    rows, columns = planes.shape[-2:]
    y, x = np.mgrid[:shape[0], :shape[1]] + 0.5
    places = backward @ [(x + origin[0]).ravel(), (y + origin[1]).ravel(), np.ones(x.size)]
    values = planes.reshape(-1, rows * columns).astype(np.float64)
    found, share = np.zeros((len(values), x.size)), np.zeros(x.size)
    for weight, column, row in _neighbours(places[0] - 0.5, places[1] - 0.5, mode):
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        weight = np.where(inside, weight, 0.0)
        found += weight * values[:, np.where(inside, row * columns + column, 0)]
        share += weight
    if fill is not None:  # at the border, the image counts by the square of its share, as in torchvision
        channels = planes.shape[-3] if planes.ndim > 2 else 1
        filled = np.tile(filling(op, fill, channels)[:, 0], (len(values) // channels, 1))
        found = found * share + (1 - share) * filled
    return like(img, _rounded(found, planes.dtype).reshape(*planes.shape[:-2], *shape))


def _neighbours(x: np.ndarray, y: np.ndarray, mode: str) -> list[tuple[Any, np.ndarray, np.ndarray]]:
    """The pixels that count at points, each with a weight, its column and its row."""
    if mode == "nearest":
        return [(1.0, np.rint(x.round(6)).astype(int), np.rint(y.round(6)).astype(int))]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = x - left, y - top
    return [((across if i else 1 - across) * (down if j else 1 - down), left + i, top + j)
            for i in (0, 1) for j in (0, 1)]


@dataclass(frozen=True)
class Resize(Transform):
    """Gives images another size, as `functional.resize` does.

    >>> Resize(2)(np.zeros((4, 6), np.uint8)).shape
    (2, 3)
    """

    size: int | Sequence[int]
    interpolation: Any = InterpolationMode.BILINEAR
    max_size: int | None = None
    antialias: bool = True

    def __post_init__(self) -> None:
        _resized((1, 1), self.size, self.max_size)
        _mode("Resize", self.interpolation)

    def __call__(self, img: Any) -> Any:
        return resize(img, self.size, self.interpolation, self.max_size, self.antialias)


@dataclass(frozen=True)
class RandomResizedCrop(RandomTransform):
    """Takes a part of the image and gives it another size (Szegedy et al., "Going deeper with convolutions", 2015).

    The part has a share of the area within ``scale``, width by height within ``ratio``, and is anywhere. Where ten
    drawn parts did not fit, it is the middle, as much as ``ratio`` allows.
    """

    size: int | Sequence[int]
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: Any = InterpolationMode.BILINEAR
    antialias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(size=pair("RandomResizedCrop", "size", self.size))
        interval("RandomResizedCrop", "scale", self.scale, 0)
        if interval("RandomResizedCrop", "ratio", self.ratio, 0)[0] == 0:
            self._refuse(f"ratio is {self.ratio!r}, expected positive numbers")
        _mode("RandomResizedCrop", self.interpolation)

    def __call__(self, img: Any) -> Any:
        top, left, height, width = self._part(*size_of("RandomResizedCrop", img))
        return resized_crop(img, top, left, height, width, self.size, self.interpolation, self.antialias)

    def _part(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        source = self._stream()
        for _ in range(10):
            width, height = _rectangle(source, rows * columns, self.scale, self.ratio)
            if 0 < width <= columns and 0 < height <= rows:
                top, left = source.integers(0, rows - height + 1), source.integers(0, columns - width + 1)
                return int(top), int(left), height, width
        ratio = min(max(columns / rows, self.ratio[0]), self.ratio[1])
        height, width = min(rows, round(columns / ratio)), min(columns, round(rows * ratio))
        return (rows - height) // 2, (columns - width) // 2, height, width


def _degrees(op: str, degrees: Any) -> tuple[float, float]:
    """From which to which angle, given as both or as one number for both directions."""
    if isinstance(degrees, NUMBER):
        if degrees < 0:
            raise complaint(ArgumentError, op, f"degrees is {degrees!r}, expected a number of at least 0, or a pair")
        return -float(degrees), float(degrees)
    return interval(op, "degrees", degrees)


@dataclass(frozen=True)
class RandomRotation(RandomTransform):
    """Turns images by an angle within ``degrees``, as `functional.rotate` does; one number goes in both directions."""

    degrees: float | Sequence[float]
    interpolation: Any = InterpolationMode.NEAREST
    expand: bool = False
    center: Sequence[float] | None = None
    fill: Any = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(degrees=_degrees("RandomRotation", self.degrees))
        _mode("RandomRotation", self.interpolation, known=("nearest", "bilinear", "bicubic"))

    def __call__(self, img: Any) -> Any:
        low, high = self.degrees  # type: ignore[misc]
        return rotate(img, self._stream().uniform(low, high), self.interpolation, self.expand, self.center, self.fill)


@dataclass(frozen=True)
class RandomAffine(RandomTransform):
    """Turns, moves, scales and shears images, as `functional.affine` does.

    Angles are within ``degrees``; ``translate`` says which share of width and height an image moves at most;
    ``scale`` is an interval; ``shear`` one number of degrees for both directions along x, an interval, or an interval
    along x and one along y.
    """

    degrees: float | Sequence[float]
    translate: Sequence[float] | None = None
    scale: Sequence[float] | None = None
    shear: float | Sequence[float] | None = None
    interpolation: Any = InterpolationMode.NEAREST
    fill: Any = 0
    center: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(degrees=_degrees("RandomAffine", self.degrees))
        if self.translate is not None and (len(self.translate) != 2 or not all(0 <= t <= 1 for t in self.translate)):
            self._refuse(f"translate is {self.translate!r}, expected two shares, of 0 to 1")
        if self.scale is not None and interval("RandomAffine", "scale", self.scale, 0)[0] == 0:
            self._refuse(f"scale is {self.scale!r}, expected positive numbers")
        if isinstance(self.shear, Sequence) and len(self.shear) == 4:
            for part in (self.shear[:2], self.shear[2:]):
                interval("RandomAffine", "shear", part)
        elif self.shear is not None:
            self._set(shear=_degrees("RandomAffine", self.shear))
        _mode("RandomAffine", self.interpolation, known=("nearest", "bilinear", "bicubic"))

    def __call__(self, img: Any) -> Any:
        source, (rows, columns) = self._stream(), size_of("RandomAffine", img)
        low, high = self.degrees  # type: ignore[misc]
        angle = source.uniform(low, high)
        shares = (0.0, 0.0) if self.translate is None else self.translate
        moved = [round(source.uniform(-share * side, share * side)) for share, side in zip(shares, (columns, rows))]
        smallest, largest = self.scale or (1.0, 1.0)
        shears = (*(self.shear or ()), 0.0, 0.0, 0.0, 0.0)[:4]  # type: ignore[misc]
        shear = [source.uniform(*shears[:2]), source.uniform(*shears[2:])]
        size = source.uniform(smallest, largest)
        return affine(img, angle, moved, size, shear, self.interpolation, self.fill, self.center)
