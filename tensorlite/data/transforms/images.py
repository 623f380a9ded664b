"""What an image may be: a picture of Pillow's, an array, or a tensor; and its planes, on which most functions work.

Planes are an array [..., channels, height, width]. A tensor holds such already; an array is [height, width] or
[height, width, channels], as files and Pillow have it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from tensorlite.data.pillow import is_picture, pillow
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.tensor import Tensor


def planes_of(op: str, image: Any) -> np.ndarray:
    """The planes of any image."""
    if isinstance(image, Tensor):
        if image.ndim < 2:
            raise complaint(ShapeError, op, "an image has a height and a width", {"image": image})
        return image.numpy()
    if is_picture(image):
        array = np.asarray(image.convert("L") if image.mode == "1" else image)
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise complaint(DTypeError, op, f"takes pictures of Pillow's, arrays and tensors, not {type(image).__name__}")
    if array.ndim not in (2, 3):
        problem = f"an array is [height, width] or [height, width, channels], this one has {array.ndim} dimensions"
        raise complaint(ShapeError, op, problem, {"image": array})
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def like(image: Any, planes: np.ndarray) -> Any:
    """Planes as the kind of image that they were made from; a picture keeps its mode."""
    if isinstance(image, Tensor):
        return Tensor(np.ascontiguousarray(planes))
    array = np.ascontiguousarray(planes[0] if planes.shape[0] == 1 else planes.transpose(1, 2, 0))
    if not is_picture(image):
        return array[..., None] if image.ndim == 3 and array.ndim == 2 else array
    mode = "L" if image.mode == "1" else image.mode
    picture = pillow("transforms").frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())
    if mode == "P":
        picture.putpalette(image.getpalette("RGB"))
    return picture.convert("1") if image.mode == "1" else picture


def on_planes(function: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """Makes a function of planes one of any image."""
    @wraps(function)
    def applied(img: Any, *arguments: Any, **options: Any) -> Any:
        return like(img, function(planes_of(function.__name__, img), *arguments, **options))

    return applied


def size_of(op: str, image: Any) -> tuple[int, int]:
    """The height and the width of an image."""
    if is_picture(image):
        return image.height, image.width
    height, width = planes_of(op, image).shape[-2:]
    return height, width


def channels_of(op: str, image: Any) -> int:
    """How many channels an image has."""
    if is_picture(image):
        return len(image.getbands())
    planes = planes_of(op, image)
    return planes.shape[-3] if planes.ndim > 2 else 1


def pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """A height and a width, given as both or as one number for a square."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(values) not in (1, 2) or any(not isinstance(each, (int, np.integer)) or each < 1 for each in values):
        problem = f"{name} is {value!r}, expected a positive integer or a pair of them"
        raise complaint(ArgumentError, op, problem)
    return int(values[0]), int(values[-1])


def filling(op: str, fill: Any, channels: int) -> np.ndarray:
    """What stands where there is no image, for each channel: float64[channels, 1, 1]."""
    values = np.atleast_1d(np.asarray(0 if fill is None else fill, np.float64))
    if values.ndim != 1 or len(values) not in (1, channels):
        problem = f"fill is {fill!r}, expected one number or {channels}, one a channel"
        raise complaint(ArgumentError, op, problem)
    return np.broadcast_to(values, channels)[:, None, None]
