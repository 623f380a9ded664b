"""Pooling to a given size: an axis is cut into as many windows of nearly equal extent as the output is to have.

Window ``i`` of ``n`` goes from ``floor(i * size / n)`` to ``ceil((i + 1) * size / n)``. Where these are all alike, they
are ordinary windows. Else they overlap or differ by one element, and are written with as many places each, the last one
twice where a window is short: averages are weighed sums of these, and for maxima they are laid side by side first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tensorlite.declare import functional, public
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.kernels import device as devices
from tensorlite.ops.convolution.window import batched
from tensorlite.ops.images.resample import mapped
from tensorlite.ops.images.resample_tables import averaged
from tensorlite.ops.indexing.scatter import _gather, _take_rows
from tensorlite.ops.indexing.search import _argmax
from tensorlite.ops.pools.average_ops import _avg_pool2d, average_geometry
from tensorlite.ops.pools.maximum import Found, images_maxima, volumes_places
from tensorlite.ops.pools.windows import Windows, check_elements, columns_of, require_floating, rows_of, slices_of
from tensorlite.ops.reduce import _mean, _sum, accumulator
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.tensor import Tensor

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
           "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
           "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices"]

Wanted = int | None | tuple[int | None, ...]


@dataclass(frozen=True)
class Cut:
    """An axis of ``size`` elements, cut into ``count`` windows."""

    size: int
    count: int

    @property
    def is_even(self) -> bool:
        """Whether all windows are alike and none overlap."""
        return self.size % self.count == 0

    @property
    def starts(self) -> np.ndarray:
        """Where windows begin."""
        return np.arange(self.count) * self.size // self.count

    @property
    def extents(self) -> np.ndarray:
        """How many elements windows have."""
        return -(-np.arange(1, self.count + 1) * self.size // self.count) - self.starts

    @property
    def widest(self) -> int:
        """The extent of the widest window."""
        return self.size // self.count if self.is_even else int(self.extents.max())

    @property
    def places(self) -> np.ndarray:
        """The places of the elements of all windows, [windows, widest]; a short one's last place is there twice."""
        return self.starts[:, None] + np.minimum(np.arange(self.widest), self.extents[:, None] - 1)


@lru_cache(256)
def _averages(cut: Cut, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """The tables of the windows' averages."""
    return averaged(cut.places.T, cut.size, dtype)


@lru_cache(256)
def _side_by_side(cut: Cut, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """The tables that lay the windows side by side."""
    return averaged(cut.places.reshape(1, -1), cut.size, dtype)


def _cuts(op: str, axes: int, x: Tensor, output_size: Any) -> tuple[Cut, ...]:
    """How each axis is cut; None keeps an extent."""
    wanted = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * axes
    if len(wanted) != axes or not all(n is None or hasattr(n, "__index__") for n in wanted):
        counts = {1: "an integer", 2: "an integer or two", 3: "an integer or three"}[axes]
        raise complaint(DTypeError, op, f"output_size must be {counts}, or None, not {output_size!r}")
    if any(n is not None and n < 0 for n in wanted):
        raise complaint(ArgumentError, op, f"output_size must be at least 0, not {output_size!r}")
    return tuple(Cut(n, n if w is None else w.__index__()) for n, w in zip(x.shape[2:], wanted, strict=True))


def _nothing(x: Tensor, cuts: tuple[Cut, ...]) -> Tensor:
    """No windows."""
    some = _sum(x, axis=tuple(range(2, x.ndim)), keepdims=True, dtype=x.dtype)
    return _broadcast_to(some, shape=(*x.shape[:2], *(cut.count for cut in cuts)))


# --- averages -----------------------------------------------------------------------------------------------------


def _images_averages(x: Tensor, cuts: tuple[Cut, Cut]) -> Tensor:
    if all(cut.count == 1 for cut in cuts):
        return _mean(x, axis=(2, 3), keepdims=True)
    if all(cut.is_even for cut in cuts):
        kernel = (cuts[0].widest, cuts[1].widest)
        return x if kernel == (1, 1) else _avg_pool2d(x, **average_geometry(kernel, kernel))
    wide = astype(x, accumulator(x.dtype), copy=False)
    for axis, cut in enumerate(cuts, 2):
        if cut.size != cut.count:
            wide = mapped(wide, axis, _averages(cut, wide.dtype))
    return astype(wide, x.dtype, copy=False)


def _sequences_averages(x: Tensor, cuts: tuple[Cut]) -> Tensor:
    y = _images_averages(rows_of(x), (Cut(1, 1), *cuts))
    return _reshape(y, shape=(*x.shape[:2], y.shape[3]))


def _volumes_averages(x: Tensor, cuts: tuple[Cut, Cut, Cut]) -> Tensor:
    wide = astype(x, accumulator(x.dtype), copy=False)
    flat = _images_averages(slices_of(wide), cuts[1:])
    columns = columns_of(flat, x.shape[2])
    y = _images_averages(columns, (cuts[0], Cut(columns.shape[3], columns.shape[3])))
    return astype(_reshape(y, shape=(*y.shape[:3], *flat.shape[2:])), x.dtype, copy=False)


_AVERAGES: dict[int, Any] = {1: _sequences_averages, 2: _images_averages, 3: _volumes_averages}


def _averaged(op: str, axes: int, input: Tensor, output_size: Any) -> Tensor:
    def compute(x: Tensor) -> Tensor:
        require_floating(op, x)
        check_elements(op, x)
        cuts = _cuts(op, axes, x, output_size)
        return _AVERAGES[axes](x, cuts) if all(cut.count for cut in cuts) else _nothing(x, cuts)
    return batched(op, compute, input, axes)


@public(method=False)
def adaptive_avg_pool1d(input: Tensor, output_size: Wanted) -> Tensor:
    """Averages of sequences over as many windows of nearly equal size as the output is to have.

    >>> import tensorlite as tl
    >>> tl.adaptive_avg_pool1d(tl.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[1.5, 4. ]])
    """
    return _averaged("adaptive_avg_pool1d", 1, input, output_size)


@public(method=False)
def adaptive_avg_pool2d(input: Tensor, output_size: int | None | tuple[int | None, int | None]) -> Tensor:
    """Averages over as many windows of nearly equal size as the output is to have; None keeps an extent.

    >>> import tensorlite as tl
    >>> tl.adaptive_avg_pool2d(tl.reshape(tl.arange(12.0), (1, 3, 4)), (1, 2))
    tensor([[[4.5, 6.5]]])
    """
    return _averaged("adaptive_avg_pool2d", 2, input, output_size)


@functional
def adaptive_avg_pool3d(input: Tensor, output_size: Wanted) -> Tensor:
    """Averages of volumes over as many windows of nearly equal size as the output is to have.

    >>> import tensorlite as tl
    >>> adaptive_avg_pool3d(tl.reshape(tl.arange(8.0), (1, 2, 2, 2)), (None, 1, 1))
    tensor([[[[1.5]],
    <BLANKLINE>
             [[5.5]]]])
    """
    return _averaged("adaptive_avg_pool3d", 3, input, output_size)


# --- maxima -------------------------------------------------------------------------------------------------------


def _images_maxima(x: Tensor, cuts: tuple[Cut, Cut], located: bool) -> Found:
    if not located and all(cut.count == 1 for cut in cuts):
        return _largest(x), None
    laid = x
    for axis, cut in enumerate(cuts, 2):
        if not cut.is_even:
            laid = mapped(laid, axis, _side_by_side(cut, accumulator(x.dtype)))
    kernel = (cuts[0].widest, cuts[1].widest)
    y, places = images_maxima(laid, Windows(kernel, kernel, (0, 0), (1, 1)), False, located)
    if places is None or all(cut.is_even for cut in cuts):
        return y, places
    rows, columns = (np.arange(cut.size) if cut.is_even else cut.places.reshape(-1) for cut in cuts)
    original = (rows[:, None] * x.shape[3] + columns).reshape(-1)
    return y, _take_rows(Tensor(devices.get(x.device).asarray(original)), places, axis=0)


def _largest(x: Tensor) -> Tensor:
    """The first of the largest elements of each image."""
    flat = _reshape(x, shape=(*x.shape[:2], x.shape[2] * x.shape[3]))
    found = _gather(flat, _argmax(flat.detach(), axis=2, keepdims=True), axis=2)
    return _reshape(found, shape=(*x.shape[:2], 1, 1))


def _sequences_maxima(x: Tensor, cuts: tuple[Cut], located: bool) -> Found:
    y, places = _images_maxima(rows_of(x), (Cut(1, 1), *cuts), located)
    shape = (*x.shape[:2], y.shape[3])
    return _reshape(y, shape=shape), None if places is None else _reshape(places, shape=shape)


def _volumes_maxima(x: Tensor, cuts: tuple[Cut, Cut, Cut], located: bool) -> Found:
    flat, inside = _images_maxima(slices_of(x), cuts[1:], located)
    columns = columns_of(flat, x.shape[2])
    y, deep = _images_maxima(columns, (cuts[0], Cut(columns.shape[3], columns.shape[3])), located)
    shape = (*y.shape[:3], *flat.shape[2:])
    if inside is None or deep is None:
        return _reshape(y, shape=shape), None
    return _reshape(y, shape=shape), _reshape(volumes_places(inside, deep, x.shape), shape=shape)


_MAXIMA: dict[int, Any] = {1: _sequences_maxima, 2: _images_maxima, 3: _volumes_maxima}


def _pooled(op: str, axes: int, input: Tensor, output_size: Any, located: bool) -> Any:
    def compute(x: Tensor) -> Any:
        require_floating(op, x)
        check_elements(op, x)
        cuts = _cuts(op, axes, x, output_size)
        if not all(cut.count for cut in cuts):
            y = _nothing(x, cuts)
            return (y, astype(y.detach(), np.dtype(np.int64))) if located else y
        found = _MAXIMA[axes](x, cuts, bool(located))
        return found if located else found[0]
    return batched(op, compute, input, axes)


@functional
def adaptive_max_pool1d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """Maxima of sequences over as many windows of nearly equal size as the output is to have.

    With ``return_indices`` also where in its sequence each lies: int64.

    >>> import tensorlite as tl
    >>> adaptive_max_pool1d(tl.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[2., 6.]])
    """
    return _pooled("adaptive_max_pool1d", 1, input, output_size, return_indices)


@functional
def adaptive_max_pool2d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """Maxima of images over as many windows of nearly equal size as the output is to have; None keeps an extent.

    With ``return_indices`` also where in its image each lies, counted row by row: int64.

    >>> import tensorlite as tl
    >>> adaptive_max_pool2d(tl.reshape(tl.arange(12.0), (1, 3, 4)), (1, 2))
    tensor([[[ 9., 11.]]])
    """
    return _pooled("adaptive_max_pool2d", 2, input, output_size, return_indices)


@functional
def adaptive_max_pool3d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """Maxima of volumes over as many windows of nearly equal size as the output is to have; None keeps an extent.

    With ``return_indices`` also where in its volume each lies, counted slice by slice: int64.

    >>> import tensorlite as tl
    >>> adaptive_max_pool3d(tl.reshape(tl.arange(8.0), (1, 2, 2, 2)), 1)
    tensor([[[[7.]]]])
    """
    return _pooled("adaptive_max_pool3d", 3, input, output_size, return_indices)


@functional
def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Wanted,
                                     return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of `adaptive_max_pool1d` and where each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> adaptive_max_pool1d_with_indices(tl.tensor([[1.0, 2.0, 6.0]]), 2)
    (tensor([[2., 6.]]), tensor([[1, 2]]))
    """
    return _pooled("adaptive_max_pool1d_with_indices", 1, input, output_size, True)


@functional
def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Wanted,
                                     return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of `adaptive_max_pool2d` and where each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> adaptive_max_pool2d_with_indices(tl.tensor([[[1.0, 3.0], [2.0, 0.0]]]), 1)
    (tensor([[[3.]]]), tensor([[[1]]]))
    """
    return _pooled("adaptive_max_pool2d_with_indices", 2, input, output_size, True)


@functional
def adaptive_max_pool3d_with_indices(input: Tensor, output_size: Wanted,
                                     return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of `adaptive_max_pool3d` and where each lies, whatever ``return_indices`` is.

    >>> import tensorlite as tl
    >>> adaptive_max_pool3d_with_indices(tl.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 1)
    (tensor([[[[3.]]]]), tensor([[[[1]]]]))
    """
    return _pooled("adaptive_max_pool3d_with_indices", 3, input, output_size, True)
