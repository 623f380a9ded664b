"""Colours: brightness, contrast, saturation, hue, grey, and blur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.data.pillow import is_picture, pillow
from tensorlite.data.transforms.images import channels_of, like, on_planes, planes_of
from tensorlite.data.transforms.transform import NUMBER, RandomTransform, Transform, interval
from tensorlite.data.transforms.warp import _rounded
from tensorlite.errors import ArgumentError, complaint

#: How much red, green and blue count for grey (ITU-R 601-2).
LUMA = (0.2989, 0.587, 0.114)


def _colourful(op: str, img: Any) -> np.ndarray:
    """The planes of an image of one colour or three."""
    planes = planes_of(op, img)
    if planes.ndim < 3 or planes.shape[-3] not in (1, 3):
        problem = "takes images of 1 or 3 channels" + ("" if planes.ndim < 3 else f", this one has {planes.shape[-3]}")
        raise complaint(ArgumentError, op, problem)
    return planes


def _checked(op: str, name: str, factor: float, low: float = 0.0, high: float = np.inf) -> float:
    if not isinstance(factor, NUMBER) or not low <= factor <= high:
        upper = "" if high == np.inf else f" to {high:g}"
        raise complaint(ArgumentError, op, f"{name} is {factor!r}, expected a number from {low:g}{upper}")
    return float(factor)


def _grey(planes: np.ndarray) -> np.ndarray:
    """One plane of grey; of integers, whole."""
    if planes.shape[-3] == 1:
        return planes
    red, green, blue = np.moveaxis(_fractional(planes), -3, 0)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[..., None, :, :].astype(planes.dtype)


def _fractional(planes: np.ndarray) -> np.ndarray:
    """Planes in the dtype in which colours are computed."""
    return planes.astype(np.float64 if planes.dtype == np.float64 else np.float32, copy=False)


def _blended(img: Any, planes: np.ndarray, other: Any, factor: float) -> Any:
    """The image by ``factor`` and another by the rest, within the bounds of the dtype."""
    top = 1.0 if planes.dtype.kind == "f" else float(np.iinfo(planes.dtype).max)
    found = factor * _fractional(planes) + (1 - factor) * _fractional(np.asarray(other))
    return like(img, found.clip(0, top).astype(planes.dtype))


def _enhanced(img: Any, kind: str, factor: float) -> Any:
    """A picture changed by Pillow."""
    return getattr(pillow("adjust", "ImageEnhance"), kind)(img).enhance(factor)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """An image mixed with black: 0 is black, 1 the image, 2 twice as bright."""
    factor = _checked("adjust_brightness", "brightness_factor", brightness_factor)
    if is_picture(img):
        return _enhanced(img, "Brightness", factor)
    return _blended(img, _colourful("adjust_brightness", img), 0.0, factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """An image mixed with its mean grey: 0 is that grey, 1 the image, 2 twice the contrast."""
    factor = _checked("adjust_contrast", "contrast_factor", contrast_factor)
    if is_picture(img):
        return _enhanced(img, "Contrast", factor)
    planes = _colourful("adjust_contrast", img)
    return _blended(img, planes, _grey(planes).mean((-3, -2, -1), keepdims=True, dtype=np.float64), factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """An image mixed with its grey: 0 is grey, 1 the image, 2 twice the saturation."""
    factor = _checked("adjust_saturation", "saturation_factor", saturation_factor)
    if is_picture(img):
        return _enhanced(img, "Color", factor)
    planes = _colourful("adjust_saturation", img)
    return img if planes.shape[-3] == 1 else _blended(img, planes, _grey(planes), factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """An image with its hues turned: by 0.5 or -0.5 to their complements, by 0 not at all."""
    factor = _checked("adjust_hue", "hue_factor", hue_factor, -0.5, 0.5)
    if is_picture(img):
        return img if img.mode in ("L", "1", "I", "F") else _turned(img, factor)
    planes = _colourful("adjust_hue", img)
    if planes.shape[-3] == 1:
        return img
    top = 1.0 if planes.dtype.kind == "f" else float(np.iinfo(planes.dtype).max)
    hue, saturation, value = _hsv(np.moveaxis(planes, -3, 0) / top)
    found = np.moveaxis(_rgb((hue + factor) % 1.0, saturation, value), 0, -3)
    if planes.dtype.kind != "f":
        found = np.floor(found * (top + 1 - 1e-3))
    return like(img, found.astype(planes.dtype))


def _turned(picture: Any, factor: float) -> Any:
    """A picture with its hues turned, in 256 steps."""
    bands = picture.convert("HSV").split()
    hue = (np.asarray(bands[0]).astype(np.int64) + int(factor * 255)) % 256
    turned = pillow("adjust_hue").fromarray(hue.astype(np.uint8))
    return pillow("adjust_hue").merge("HSV", (turned, *bands[1:])).convert(picture.mode)


def _hsv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue, saturation and value, all of 0 to 1 (Smith, "Color gamut transform pairs", 1978)."""
    red, green, blue = rgb
    value, spread = rgb.max(0), np.ptp(rgb, axis=0)
    safe = np.where(spread == 0, 1.0, spread)
    sector = np.where(value == red, (green - blue) / safe,
                      np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe))
    return (sector / 6 % 1.0) * (spread > 0), spread / np.where(value == 0, 1.0, value), value


def _rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Red, green and blue: each falls by the saturation as far as the hue is from it."""
    channels = []
    for start in (5, 3, 1):
        place = (start + 6 * hue) % 6
        channels.append(value * (1 - saturation * np.minimum(place, 4 - place).clip(0, 1)))
    return np.stack(channels)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """An image in grey, in 1 channel or in 3 equal ones."""
    if num_output_channels not in (1, 3):
        problem = f"num_output_channels is {num_output_channels!r}, expected 1 or 3"
        raise complaint(ArgumentError, "to_grayscale", problem)
    if is_picture(img):
        grey = img.convert("L")
        return grey if num_output_channels == 1 else pillow("to_grayscale").merge("RGB", (grey, grey, grey))
    grey = _grey(_colourful("to_grayscale", img))
    return like(img, np.repeat(grey, num_output_channels, axis=-3))


rgb_to_grayscale = to_grayscale


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """An image blurred by a Gaussian of odd ``kernel_size`` (along x, or x and y) and ``sigma``; borders reflect.

    Without ``sigma`` it is ``0.15 * kernel_size + 0.35``.
    """
    sizes = _kernel("gaussian_blur", kernel_size)
    sigmas = [0.15 * size + 0.35 for size in sizes] if sigma is None else _sigmas("gaussian_blur", sigma)
    return _blur(img, sizes, sigmas)


@on_planes
def _blur(planes: np.ndarray, sizes: Sequence[int], sigmas: Sequence[float]) -> np.ndarray:
    found = planes.astype(np.float64)
    for axis, size, sigma in ((-1, sizes[0], sigmas[0]), (-2, sizes[1], sigmas[1])):
        if size // 2 >= planes.shape[axis]:
            problem = f"a kernel of {size} needs a side of more than {size // 2}, this one is {planes.shape[axis]}"
            raise complaint(ArgumentError, "gaussian_blur", problem)
        weights = np.exp(-0.5 * (np.arange(size) - size // 2) ** 2 / sigma**2)
        borders = [(0, 0)] * planes.ndim
        borders[axis] = (size // 2, size // 2)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(found, borders, "reflect"), size, axis)
        found = windows @ (weights / weights.sum())
    return _rounded(found, planes.dtype)


def _kernel(op: str, kernel_size: Any) -> tuple[int, int]:
    values = list(kernel_size) if isinstance(kernel_size, Sequence) else [kernel_size]
    if len(values) not in (1, 2) or any(not isinstance(each, int) or each < 1 or each % 2 == 0 for each in values):
        problem = f"kernel_size is {kernel_size!r}, expected a positive odd integer or a pair of them"
        raise complaint(ArgumentError, op, problem)
    return values[0], values[-1]


def _sigmas(op: str, sigma: Any) -> tuple[float, float]:
    values = list(sigma) if isinstance(sigma, Sequence) else [sigma]
    if len(values) not in (1, 2) or any(not isinstance(each, NUMBER) or not each > 0 for each in values):
        raise complaint(ArgumentError, op, f"sigma is {sigma!r}, expected a positive number or a pair of them")
    return float(values[0]), float(values[-1])


@dataclass(frozen=True)
class ColorJitter(RandomTransform):
    """Changes brightness, contrast, saturation and hue, in an order that is drawn.

    A number ``x`` stands for factors from ``max(0, 1 - x)`` to ``1 + x``, and for turns of the hue from ``-x`` to
    ``x``, at most 0.5; a pair for those from one to the other.
    """

    brightness: float | Sequence[float] = 0
    contrast: float | Sequence[float] = 0
    saturation: float | Sequence[float] = 0
    hue: float | Sequence[float] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, centre, low, high in (("brightness", 1.0, 0.0, np.inf), ("contrast", 1.0, 0.0, np.inf),
                                        ("saturation", 1.0, 0.0, np.inf), ("hue", 0.0, -0.5, 0.5)):
            value = getattr(self, name)
            if isinstance(value, NUMBER):
                if value < 0:
                    self._refuse(f"{name} is {value!r}, expected a number of at least 0, or a pair")
                value = (max(centre - value, low) if centre else centre - value, centre + value)
            found = interval("ColorJitter", name, value, low, high)
            self._set(**{name: None if found == (centre, centre) else found})

    def __call__(self, img: Any) -> Any:
        source = self._stream()
        steps = ((self.brightness, adjust_brightness), (self.contrast, adjust_contrast),
                 (self.saturation, adjust_saturation), (self.hue, adjust_hue))
        for place in source.permutation(len(steps)):
            bounds, adjust = steps[place]
            if bounds is not None:
                img = adjust(img, source.uniform(*bounds))  # type: ignore[misc]
        return img


@dataclass(frozen=True)
class Grayscale(Transform):
    """Makes images grey, in 1 channel or in 3 equal ones."""

    num_output_channels: int = 1

    def __call__(self, img: Any) -> Any:
        return to_grayscale(img, self.num_output_channels)


@dataclass(frozen=True)
class RandomGrayscale(RandomTransform):
    """Makes images grey with a probability of ``p``; they keep their number of channels."""

    p: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_probability(self.p)

    def __call__(self, img: Any) -> Any:
        if self._stream().random() >= self.p:
            return img
        return to_grayscale(img, channels_of("RandomGrayscale", img))


@dataclass(frozen=True)
class GaussianBlur(RandomTransform):
    """Blurs images, as `functional.gaussian_blur` does, by a ``sigma`` that is drawn from an interval, or by one."""

    kernel_size: int | Sequence[int]
    sigma: float | Sequence[float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(kernel_size=_kernel("GaussianBlur", self.kernel_size))
        low, high = _sigmas("GaussianBlur", self.sigma)
        self._set(sigma=interval("GaussianBlur", "sigma", (low, high)))

    def __call__(self, img: Any) -> Any:
        low, high = self.sigma  # type: ignore[misc]
        return gaussian_blur(img, self.kernel_size, self._stream().uniform(low, high))
