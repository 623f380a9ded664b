"""Interpolation of sequences, images and volumes to another size, one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.kernels import device as devices
from tensorlite.ops.bounds import clip
from tensorlite.ops.convolution.window import AXES
from tensorlite.ops.images.resample import mapped
from tensorlite.ops.images.resample_tables import Stretch, nearest, picked, tables, whole
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.pools.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tensorlite.ops.pools.windows import check_elements, require_floating
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

Size = int | Sequence[int]
Factor = float | Sequence[float]

#: What each mode does along an axis, and for how many axes it is there.
_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
_KINDS = {**dict.fromkeys(_LINEAR, "linear"), "bicubic": "cubic", "lanczos": "lanczos"}
_DIMENSIONS = {**{mode: (axes,) for mode, axes in _LINEAR.items()}, "bicubic": (2,), "lanczos": (2,),
               **dict.fromkeys(("nearest", "nearest-exact", "area"), (1, 2, 3))}
_ANTIALIASED = ("bilinear", "bicubic", "lanczos")
_AREAS = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


# --- what is asked for --------------------------------------------------------------------------------------------


def _check_mode(op: str, x: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in _DIMENSIONS:
        modes = ", ".join(map(repr, _DIMENSIONS))
        raise complaint(ArgumentError, op, f"mode must be one of {modes}, not {mode!r}")
    if align_corners is not None and mode not in _KINDS:
        raise complaint(ArgumentError, op, f"align_corners is an option of {', '.join(map(repr, _KINDS))}, "
                        f"not of {mode!r}")
    if x.ndim - 2 not in _DIMENSIONS[mode]:
        wanted = " or ".join(f"[batch, channels, {', '.join(AXES[axes])}]" for axes in _DIMENSIONS[mode])
        raise complaint(ShapeError, op, f"mode {mode!r} takes {wanted}, input has {x.ndim} dimensions", {"input": x})
    if antialias and mode not in _ANTIALIASED:
        raise complaint(ArgumentError, op, f"antialias is an option of {', '.join(map(repr, _ANTIALIASED))}, "
                        f"not of {mode!r}")
    if mode == "lanczos" and (align_corners or not antialias):
        raise complaint(ArgumentError, op, "mode 'lanczos' is there with antialias=True and without align_corners")


def _each(op: str, name: str, value: Any, x: Tensor) -> tuple[Any, ...]:
    """One number for each axis."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * (x.ndim - 2)
    if len(values) != x.ndim - 2:
        raise complaint(ShapeError, op, f"{name} has {len(values)} numbers for {x.ndim - 2} axes",
                        {"input": x, name: value})
    return values


def _read_sizes(op: str, x: Tensor, size: Any, factor: Any, recompute: bool) -> tuple[list[int], list[float | None]]:
    """How many elements each axis is to have, and by which factor users say so."""
    if (size is None) == (factor is None):
        how_many = "neither was" if size is None else "both were"
        raise complaint(ArgumentError, op, f"either size or scale_factor must be given, {how_many}")
    if recompute and size is not None:
        raise complaint(ArgumentError, op, "recompute_scale_factor has no meaning beside size")
    if size is None:
        factors = [float(f) for f in _each(op, "scale_factor", factor, x)]
        return [int(n * f) for n, f in zip(x.shape[2:], factors, strict=True)], [*factors]
    counts = _each(op, "size", size, x)
    if not all(hasattr(n, "__index__") for n in counts):
        raise complaint(DTypeError, op, f"size must be integers, not {size!r}")
    return [n.__index__() for n in counts], [None] * len(counts)


def _stretches(op: str, x: Tensor, size: Any, factor: Any, recompute: bool, align_corners: bool,
               least: int) -> list[Stretch]:
    """How each axis is stretched, to ``least`` elements at least."""
    check_elements(op, x)
    counts, factors = _read_sizes(op, x, size, factor, recompute)
    for name, n, count in zip(AXES[x.ndim - 2], x.shape[2:], counts, strict=True):
        if count < least:
            raise complaint(ShapeError, op, f"sizes must be at least {least}: the {name} is {n} and is to be {count}",
                            {"input": x})
    return [Stretch(n, count, None if recompute else f, align_corners)
            for n, count, f in zip(x.shape[2:], counts, factors, strict=True)]


# --- doing it -----------------------------------------------------------------------------------------------------


def _in_order(stretches: list[Stretch]) -> list[int]:
    """The axes, that first which leaves the fewest elements; of equals the last one."""
    return sorted(range(len(stretches)), key=lambda k: (stretches[k].count / stretches[k].size, -k))


def _of_bytes(x: Tensor, stretches: list[Stretch], kind: str, antialias: bool) -> Tensor:
    """Weighed sums of bytes in integers, rounded after each axis, the last one first: as PyTorch and Pillow do."""
    for k in (1, 0):
        if stretches[k].size != stretches[k].count:
            places, weights, bits = whole(kind, antialias, stretches[k])
            total: Any = 1 << (bits - 1)
            for place, weight in zip(places, weights, strict=True):
                term = astype(_take_rows(x, _on(x, place), axis=2 + k), np.dtype(np.int64))
                total = term * _on(x, weight.reshape((-1,) + (1,) * (1 - k))) + total
            x = astype(clip(total >> bits, 0, 255), x.dtype)
    return x


def _on(x: Tensor, array: np.ndarray) -> Tensor:
    return Tensor(devices.get(x.device).asarray(array))


def _smooth(op: str, x: Tensor, stretches: list[Stretch], kind: str, antialias: bool) -> Tensor:
    """Weighed sums; in the dtype that sums are kept in from the first axis to the last."""
    if x.dtype == np.uint8 and len(stretches) == 2:
        return _of_bytes(x, stretches, kind, antialias)
    require_floating(op, x)
    wide = astype(x, accumulator(x.dtype), copy=False)
    if all(stretch.size == stretch.count for stretch in stretches):
        return x
    for k in _in_order(stretches):
        wide = mapped(wide, 2 + k, tables(kind, antialias, stretches[k], wide.dtype))
    return astype(wide, x.dtype, copy=False)


def _nearest(x: Tensor, stretches: list[Stretch], exact: bool) -> Tensor:
    """Single elements; bytes are taken, floats are sums of one, whose derivatives are sums, too."""
    for k in _in_order(stretches):
        if x.dtype.kind == "u":
            places = nearest(stretches[k], exact, np.dtype(np.float32))
            x = _take_rows(x, _on(x, places), axis=2 + k)
        else:
            found = picked(stretches[k], exact, accumulator(x.dtype))
            x = x if found is None else mapped(x, 2 + k, found)
    return x


def _interpolated(op: str, input: Tensor, size: Any, factor: Any, mode: str, align_corners: bool | None,
                  recompute: bool, antialias: bool) -> Tensor:
    _check_mode(op, input, mode, align_corners, antialias)
    stretches = _stretches(op, input, size, factor, recompute, bool(align_corners), int(mode != "area"))
    if mode == "area":
        return _AREAS[input.ndim - 2](input, tuple(stretch.count for stretch in stretches))
    if mode in _KINDS:
        return _smooth(op, input, stretches, _KINDS[mode], antialias)
    if input.dtype != np.uint8:
        require_floating(op, input)
    return _nearest(input, stretches, mode == "nearest-exact")


@functional
def interpolate(input: Tensor, size: Size | None = None, scale_factor: Factor | None = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Tensor:
    """Sequences, images or volumes in another size.

    input: [batch, channels, length], [..., height, width] or [..., depth, height, width]. ``size`` says what that is
    to be, or ``scale_factor`` how many times as much as now. Modes: ``"nearest"``, ``"nearest-exact"`` (by centres of
    pixels) and ``"area"`` (averages) for all of these; ``"linear"``, ``"bilinear"`` and ``"trilinear"`` for one each;
    ``"bicubic"`` (Keys, 1981) and ``"lanczos"`` (with ``antialias``) for images. ``align_corners`` has the centres of
    the outermost pixels stay where they are. ``recompute_scale_factor`` takes the factor from the sizes, which are
    whole, instead of that given. ``antialias`` lets every element count where images shrink, as Pillow does. Images
    of uint8 stay such. Raises `ShapeError`, `DTypeError` and `ArgumentError` where these do not fit.

    >>> import tensorlite as tl
    >>> interpolate(tl.tensor([[[0.0, 2.0]]]), scale_factor=2, mode="linear")
    tensor([[[0. , 0.5, 1.5, 2. ]]])
    """
    return _interpolated("interpolate", input, size, scale_factor, mode, align_corners, bool(recompute_scale_factor),
                         antialias)


@functional
def upsample(input: Tensor, size: Size | None = None, scale_factor: Factor | None = None, mode: str = "nearest",
             align_corners: bool | None = None) -> Tensor:
    """`interpolate` by its older name.

    >>> import tensorlite as tl
    >>> upsample(tl.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return _interpolated("upsample", input, size, scale_factor, mode, align_corners, False, False)


@functional
def upsample_nearest(input: Tensor, size: Size | None = None, scale_factor: Factor | None = None) -> Tensor:
    """`interpolate` by the nearest elements.

    >>> import tensorlite as tl
    >>> upsample_nearest(tl.tensor([[[1.0, 2.0]]]), size=3)
    tensor([[[1., 1., 2.]]])
    """
    return _interpolated("upsample_nearest", input, size, scale_factor, "nearest", None, False, False)


@functional
def upsample_bilinear(input: Tensor, size: Size | None = None, scale_factor: Factor | None = None) -> Tensor:
    """`interpolate` of images, bilinear with their corners aligned.

    >>> import tensorlite as tl
    >>> upsample_bilinear(tl.tensor([[[[0.0, 2.0]]]]), size=(1, 3))
    tensor([[[[0., 1., 2.]]]])
    """
    return _interpolated("upsample_bilinear", input, size, scale_factor, "bilinear", True, False, False)
