"""From pictures and arrays to tensors and back, from integers to fractions, and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.data.pillow import is_picture, pillow
from tensorlite.data.transforms.images import planes_of
from tensorlite.data.transforms.transform import Transform
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, dtype_of


def to_tensor(pic: Any) -> Tensor:
    """A picture or an array [height, width, channels] as a tensor [channels, height, width].

    What is of 8 bits or 1 becomes float32 of 0 to 1; other dtypes keep their values. Raises `DTypeError` for anything
    else, tensors included.

    >>> to_tensor(np.array([[0, 255]], np.uint8))
    tensor([[[0., 1.]]])
    """
    if isinstance(pic, Tensor):
        raise complaint(DTypeError, "to_tensor", "takes pictures of Pillow's and arrays, not tensors", {"pic": pic},
                        "use convert_image_dtype")
    planes = planes_of("to_tensor", pic)
    if planes.dtype in (np.uint8, np.bool_) and (planes.dtype == np.uint8 or is_picture(pic)):
        return Tensor(np.ascontiguousarray(planes, np.float32) / np.float32(255))
    return Tensor(np.array(planes, order="C"))


def pil_to_tensor(pic: Any) -> Tensor:
    """A picture as a tensor [channels, height, width] of the same values: uint8 mostly."""
    if not is_picture(pic):
        raise complaint(DTypeError, "pil_to_tensor", f"takes pictures of Pillow's, not {type(pic).__name__}")
    return Tensor(np.array(planes_of("pil_to_tensor", pic), order="C"))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor [channels, height, width] or an array [height, width, channels] as a picture of Pillow's.

    Fractions, which are floating tensors, are multiplied by 255; the mode is what fits the channels and the dtype.
    """
    image = pillow("to_pil_image")
    planes = planes_of("to_pil_image", pic)
    if planes.ndim == 2:
        planes = planes[None]
    if planes.ndim != 3 or planes.shape[0] > 4:
        raise complaint(ShapeError, "to_pil_image", "a picture has 1 to 4 channels and no batch", {"pic": pic})
    if isinstance(pic, Tensor) and planes.dtype.kind == "f" and mode != "F":
        planes = (planes * 255).astype(np.uint8)
    modes = {(1, "uint8"): "L", (1, "int16"): "I;16", (1, "uint16"): "I;16", (1, "int32"): "I", (1, "float32"): "F",
             (2, "uint8"): "LA", (3, "uint8"): "RGB", (4, "uint8"): "RGBA"}
    found = mode or modes.get((planes.shape[0], planes.dtype.name))
    if found is None or len(image.new(found, (1, 1)).getbands()) != planes.shape[0]:
        problem = f"no picture of mode {mode!r}" if mode else "no picture"
        raise complaint(ArgumentError, "to_pil_image",
                        f"{problem} has {planes.shape[0]} channels of {planes.dtype}", {"pic": pic})
    return image.frombytes(found, planes.shape[:0:-1], np.ascontiguousarray(planes.transpose(1, 2, 0)).tobytes())


def convert_image_dtype(image: Tensor, dtype: Any = None) -> Tensor:
    """A tensor in another dtype, with its values scaled: fractions are of 0 to 1, integers of 0 to their largest.

    ``dtype`` is the default floating one, if not given. Raises `DTypeError` where float32 or narrower would have to
    become integers that it cannot tell apart.

    >>> convert_image_dtype(Tensor(np.array([0, 255], np.uint8)))
    tensor([0., 1.])
    """
    target = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    source = image.dtype
    if source == target or source.kind not in "iu" and target.kind not in "iu":
        return astype(image, target, copy=False)
    if target.kind not in "iu":
        return astype(image, target) / float(np.iinfo(source).max)
    if source.kind not in "iu":
        if source.itemsize < 8 and target.itemsize > 2 or target.itemsize == 8:
            raise complaint(DTypeError, "convert_image_dtype", f"{source.name} cannot tell the values of {target.name} "
                            "apart", {"image": image})
        return astype(image * (np.iinfo(target).max + 1 - 1e-3), target)
    shift = np.iinfo(source).max.bit_length() - np.iinfo(target).max.bit_length()
    return astype(image // 2**shift, target) if shift > 0 else astype(image, target) * 2**-shift


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """``(tensor - mean) / std`` for each channel of a floating tensor [..., channels, height, width].

    With ``inplace``, ``tensor`` is bound to the result. Raises `DTypeError` for integers, `ShapeError` for fewer
    dimensions, and `ArgumentError` for a ``std`` of 0.
    """
    if not isinstance(tensor, Tensor):
        raise complaint(DTypeError, "normalize", f"takes tensors, not {type(tensor).__name__}",
                        fix="use ToTensor before")
    if tensor.dtype.kind in "iub":
        raise complaint(DTypeError, "normalize", "takes floating tensors", {"tensor": tensor},
                        "use ToTensor or ConvertImageDtype before")
    if tensor.ndim < 3:
        raise complaint(ShapeError, "normalize", "takes [..., channels, height, width]", {"tensor": tensor})
    channels = tensor.shape[-3]
    moments = [np.atleast_1d(np.asarray(each, tensor.dtype)) for each in (mean, std)]
    for name, given in zip(("mean", "std"), moments):
        if given.ndim != 1 or len(given) not in (1, channels):
            raise complaint(ShapeError, "normalize", f"{name} has {given.size} numbers for {channels} channels",
                            {"tensor": tensor})
    if not moments[1].all():
        raise complaint(ArgumentError, "normalize", f"std is {std}, and one cannot divide by 0 in {tensor.dtype.name}")
    found = (tensor - Tensor(moments[0][:, None, None])) / Tensor(moments[1][:, None, None])
    return tensor.copy_(found) if inplace else found


@dataclass(frozen=True)
class ToTensor(Transform):
    """Makes tensors of pictures and arrays, as `functional.to_tensor` does: of 0 to 1 where they have 8 bits.

    >>> ToTensor()(np.zeros((4, 5, 3), np.uint8)).shape
    (3, 4, 5)
    """

    def __call__(self, img: Any) -> Tensor:
        return to_tensor(img)


@dataclass(frozen=True)
class PILToTensor(Transform):
    """Makes tensors of pictures, and keeps their values."""

    def __call__(self, img: Any) -> Tensor:
        return pil_to_tensor(img)


@dataclass(frozen=True)
class ToPILImage(Transform):
    """Makes pictures of tensors and arrays, as `functional.to_pil_image` does."""

    mode: str | None = None

    def __call__(self, img: Any) -> Any:
        return to_pil_image(img, self.mode)


@dataclass(frozen=True)
class ConvertImageDtype(Transform):
    """Gives tensors another dtype and scales their values, as `functional.convert_image_dtype` does."""

    dtype: Any

    def __call__(self, img: Tensor) -> Tensor:
        return convert_image_dtype(img, self.dtype)


@dataclass(frozen=True)
class Normalize(Transform):
    """Takes ``mean`` from each channel of a tensor and divides it by ``std``.

    >>> import tensorlite as tl
    >>> Normalize([0.5], [0.25])(tl.ones((1, 1, 2)))
    tensor([[[2., 2.]]])
    """

    mean: Sequence[float]
    std: Sequence[float]
    inplace: bool = False

    def __call__(self, img: Tensor) -> Tensor:
        return normalize(img, self.mean, self.std, self.inplace)
