"""Sampling images and volumes at places between their elements: grid_sample, and the grids of affine maps.

Jaderberg et al., "Spatial transformer networks", 2015. A sample is a weighed sum of the elements around its place, its
taps: along each axis two, one, or four (Keys, "Cubic convolution interpolation for digital image processing", 1981).
Each axis has its own weights and positions; one op takes all taps of all samples together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from typing import Any

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.bounds import round
from tensorlite.ops.elementwise import abs, floor, logical_and, where
from tensorlite.ops.images.taps import _weigh_taps
from tensorlite.ops.join import concat, stack
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.ranges import linspace
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _broadcast_to, _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, int64

__all__ = ["affine_grid", "grid_sample"]

SHARPNESS = -0.75  # Keys' a, as in PyTorch and OpenCV; -0.5 would be exact for quadratics


@dataclass(frozen=True)
class Taps:
    """One tap of every sample along one axis: its position, inside, and its weight, 0 where it would lie outside."""

    position: Tensor
    weight: Tensor


# --- along one axis -----------------------------------------------------------------------------------------------


def _unnormalized(x: Tensor, size: int, align_corners: bool) -> Tensor:
    """From [-1, 1] to positions: of the outermost elements' centres, or of their outer edges."""
    return (x + 1) * ((size - 1) / 2) if align_corners else ((x + 1) * size - 1) * 0.5


def _clipped(x: Tensor, size: int) -> Tensor:
    """The nearest position inside; the derivative is 0 from the outermost elements on, and NaN becomes 0."""
    return where(x > 0, where(x < size - 1, x, size - 1), 0)


def _mirrored(x: Tensor, size: int, align_corners: bool) -> Tensor:
    """The position inside that mirrors lead to, which stand at the outermost elements' centres or outer edges."""
    low, extent = (0.0, size - 1) if align_corners else (-0.5, size)
    if extent == 0:
        return x * 0
    away = abs(x - low)
    turns = floor(away.detach() / extent)
    rest = away - turns * extent
    is_even = turns == floor(turns * 0.5) * 2
    return _clipped(where(is_even, rest + low, (extent + low) - rest), size)


_BORDERS: dict[str, Callable[[Tensor, int, bool], Tensor]] = {
    "zeros": lambda x, size, align_corners: x,
    "border": lambda x, size, align_corners: _clipped(x, size),
    "reflection": _mirrored,
}


def _is_inside(x: Tensor, size: int) -> Tensor:
    return logical_and(x >= 0, x <= size - 1)


def _inside(x: Tensor, weight: Tensor, size: int) -> Taps:
    """A tap at whole positions, weighed 0 where these lie outside, but NaN where they are nowhere."""
    within = _is_inside(x, size)
    return Taps(astype(where(within, x, 0), int64), where(within, weight, weight * 0))


def _linear(x: Tensor, size: int, padding_mode: str, align_corners: bool) -> list[Taps]:
    x = _BORDERS[padding_mode](x, size, align_corners)
    first = floor(x.detach())
    return [_inside(first, first + 1 - x, size), _inside(first + 1, x - first, size)]


def _nearest(x: Tensor, size: int, padding_mode: str, align_corners: bool) -> list[Taps]:
    """One tap; the derivative in the grid is 0, which it is only where the grid is part of the weight."""
    place = round(_BORDERS[padding_mode](x, size, align_corners))
    weight = where(_is_inside(place, size), place - place.detach() + 1, 0)
    return [_inside(place.detach(), weight, size)]


def _cubic(x: Tensor, size: int, padding_mode: str, align_corners: bool) -> list[Taps]:
    """Four taps, of which each is mirrored or clipped by itself."""
    first = floor(x.detach())
    weights = _cubic_weights(x - first)
    return [_inside(_BORDERS[padding_mode](first + (k - 1), size, align_corners), weight, size)
            for k, weight in enumerate(weights)]


def _cubic_weights(t: Tensor) -> tuple[Tensor, ...]:
    """The weights of the elements at -1, 0, 1 and 2, for a place ``t`` of [0, 1) (Keys' equation 4)."""
    a = SHARPNESS

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return far(t + 1), near(t), near(1 - t), far(2 - t)


_TAPS = {"bilinear": _linear, "nearest": _nearest, "bicubic": _cubic}


# --- all axes -----------------------------------------------------------------------------------------------------


@functional
def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Tensor:
    """Images or volumes sampled at the places that a grid names, where -1 and 1 are their sides.

    input: [batch, channels, height, width], grid: [batch, rows, columns, 2], whose last axis holds x and y; the result:
    [batch, channels, rows, columns]. For volumes there is a depth before the height, and the last axis of the grid
    holds x, y and z. ``mode`` is ``"bilinear"`` (in volumes trilinear), ``"nearest"`` or ``"bicubic"`` (of images
    only). Beyond the sides are zeros, or for ``padding_mode="border"`` the outermost elements, or for
    ``"reflection"`` what is inside, mirrored. The sides are the outermost elements' centres with ``align_corners``,
    else their outer edges. A place that is NaN gives NaN where beyond the sides are zeros. Raises `ShapeError` and
    `DTypeError` where input and grid do not fit.

    >>> import tensorlite as tl
    >>> grid_sample(tl.tensor([[[[1.0, 2.0]]]]), tl.tensor([[[[0.0, 0.0], [0.5, 0.0]]]]))
    tensor([[[[1.5, 2. ]]]])
    """
    for name, value, known in (("mode", mode, _TAPS), ("padding_mode", padding_mode, _BORDERS)):
        if value not in known:
            raise complaint(ArgumentError, "grid_sample", f"{name} must be {' or '.join(map(repr, known))}, "
                            f"not {value!r}")
    _check_sampled(input, grid, mode)
    size, axes = input.shape[2:], input.ndim - 2
    wide = accumulator(input.dtype)
    places = astype(grid, wide, copy=False)
    taps = [_TAPS[mode](_unnormalized(places[..., axes - 1 - a], n, bool(align_corners)), n, padding_mode,
                        bool(align_corners)) for a, n in enumerate(size)]
    found = _weighed(astype(input, wide, copy=False), list(product(*taps)))
    return astype(_reshape(found, shape=(*input.shape[:2], *grid.shape[1:-1])), input.dtype, copy=False)


def _weighed(x: Tensor, corners: list[tuple[Taps, ...]]) -> Tensor:
    """The sum of the products of elements and weights over all combinations of the axes' taps."""
    batch, channels, *size = x.shape
    row = _reshape(x, shape=(batch, channels, prod(size)))
    places = stack([reduce(lambda flat, each: flat * each[0] + each[1].position, zip(size, corner, strict=True), 0)
                    for corner in corners], axis=1)
    weights = stack([reduce(lambda y, each: y * each.weight, corner[1:], corner[0].weight) for corner in corners],
                    axis=1)
    shape = (batch, len(corners), prod(places.shape[2:]))
    return _weigh_taps(row, _reshape(places, shape=shape), _reshape(weights, shape=shape))


def _check_sampled(x: Tensor, grid: Tensor, mode: str) -> None:
    shown = {"input": x, "grid": grid}
    if x.ndim not in (4, 5):
        raise complaint(ShapeError, "grid_sample", "takes images [batch, channels, height, width] or volumes [batch, "
                        f"channels, depth, height, width], the input has {x.ndim} dimensions", shown)
    if grid.ndim != x.ndim:
        raise complaint(ShapeError, "grid_sample", f"input and grid must have as many dimensions, they have {x.ndim} "
                        f"and {grid.ndim}", shown)
    if grid.shape[-1] != x.ndim - 2:
        raise complaint(ShapeError, "grid_sample", f"the last axis of the grid holds {x.ndim - 2} coordinates, not "
                        f"{grid.shape[-1]}", shown)
    if grid.shape[0] != x.shape[0]:
        raise complaint(ShapeError, "grid_sample", f"there must be a grid for each of {x.shape[0]} inputs, "
                        f"there are {grid.shape[0]}", shown)
    if 0 in x.shape[2:]:
        raise complaint(ShapeError, "grid_sample", "an input without elements cannot be sampled", shown)
    if mode == "bicubic" and x.ndim == 5:
        raise complaint(ArgumentError, "grid_sample", "mode='bicubic' is for images", shown, "use mode='bilinear'")
    if x.dtype not in FLOATS or grid.dtype != x.dtype:
        raise complaint(DTypeError, "grid_sample", "input and grid must have one real floating dtype", shown,
                        "cast them first: x.to(tl.float32)")


# --- grids --------------------------------------------------------------------------------------------------------


@functional
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grids for `grid_sample` that affine maps make: where each element of the output comes from.

    theta: [batch, 2, 3] for images and [batch, 3, 4] for volumes, the map and after it the shift; size: that of the
    output, ``(batch, channels, height, width)`` or ``(batch, channels, depth, height, width)``. The result: [batch,
    height, width, 2] or [batch, depth, height, width, 3]. ``align_corners`` as for `grid_sample`. Raises `ShapeError`
    where theta and size do not fit, `DTypeError` where theta is not floating.

    >>> import tensorlite as tl
    >>> affine_grid(tl.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-0.5,  0. ],
              [ 1.5,  0. ]]]])
    """
    extents = _check_affine(theta, size)
    wide = accumulator(theta.dtype)
    maps = astype(theta, wide, copy=False)
    shape = (*extents, 1)
    base = [_broadcast_to(_reshape(_centres(n, bool(align_corners), theta), shape=tuple(
        n if b == a else 1 for b in range(len(shape)))), shape=shape) for a, n in enumerate(extents)]
    ones = _broadcast_to(linspace(1.0, 1.0, 1, dtype=wide, device=theta.device), shape=shape)
    points = _reshape(concat([*reversed(base), ones], axis=-1), shape=(prod(extents), len(shape)))
    found = matmul(points, _permute_dims(maps, axes=(0, 2, 1)))
    return astype(_reshape(found, shape=(theta.shape[0], *extents, len(extents))), theta.dtype, copy=False)


def _centres(size: int, align_corners: bool, like: Tensor) -> Tensor:
    """The places of ``size`` elements in [-1, 1]: 0 for a single one."""
    end = 0.0 if size == 1 else 1.0 if align_corners else (size - 1) / size
    return linspace(-end, end, size, dtype=accumulator(like.dtype), device=like.device)


def _check_affine(theta: Tensor, size: Any) -> tuple[int, ...]:
    """The extents of the output."""
    if not isinstance(size, Sequence) or not all(hasattr(n, "__index__") for n in size):
        raise complaint(DTypeError, "affine_grid", f"size must be a sequence of integers, not {size!r}")
    sizes = tuple(n.__index__() for n in size)
    if theta.dtype not in FLOATS:
        raise complaint(DTypeError, "affine_grid", "theta must be real floating", {"theta": theta},
                        "cast it first: theta.to(tl.float32)")
    if len(sizes) not in (4, 5):
        raise complaint(ShapeError, "affine_grid", "size must be (batch, channels, height, width) or (batch, channels, "
                        f"depth, height, width), not {sizes}", {"theta": theta})
    axes = len(sizes) - 2
    if min(sizes) < 1:
        raise complaint(ShapeError, "affine_grid", f"the output must have elements, not the size {sizes}",
                        {"theta": theta})
    if theta.shape != (sizes[0], axes, axes + 1):
        raise complaint(ShapeError, "affine_grid", f"theta must be [{sizes[0]}, {axes}, {axes + 1}] for the size "
                        f"{sizes}", {"theta": theta})
    return sizes[2:]
