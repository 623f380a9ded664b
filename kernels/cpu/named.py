"""What arrays of places name: one place along an axis for each element, whole slices, classes, advanced indices.

All are seen along the dimensions of what is read or written, the named array with stride 0 where places name an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels.cpu.movement_stages import sliced
from tensorlite.kernels.stage import Array

Strides = tuple[int, ...]

ARRAY = "array"
"""Stands in a spec for an array of places, beside slices, None and Ellipsis."""


@dataclass(frozen=True, slots=True)
class Named:
    """An array and the places that others name in it.

    ``shape`` is that of what is read or written; ``strides`` are the array's along it, ``places`` those of the arrays
    of places. ``sizes`` and ``along`` are the extents and the strides of the named axes; ``start`` is the place of the
    first element.
    """

    shape: tuple[int, ...]
    strides: Strides
    places: tuple[Strides, ...]
    sizes: tuple[int, ...]
    along: tuple[int, ...]
    start: int = 0

    @property
    def extents(self) -> list[int]:
        """The numbers that kernels take for the named axes."""
        return [number for pair in zip(self.sizes, self.along, strict=True) for number in pair]


def along_axis(x: Array, at: Array, axis: int, shape: tuple[int, ...]) -> Named:
    """One place for each element of ``shape``, which may be smaller than ``x`` off the axis."""
    strides = (*x.strides[:axis], 0, *x.strides[axis + 1 :])
    return Named(shape, strides, (at.strides,), (x.shape[axis],), (x.strides[axis],))


def whole_rows(x: Array, at: Array, axis: int) -> Named:
    """One place for each slice across an axis; the shape of ``at`` takes the axis's place."""
    before, after = slice(axis), slice(axis + 1, None)
    shape = (*x.shape[before], *at.shape, *x.shape[after])
    strides = (*x.strides[before], *(0,) * at.ndim, *x.strides[after])
    places = (*(0,) * axis, *at.strides, *(0,) * (x.ndim - axis - 1))
    return Named(shape, strides, (places,), (x.shape[axis],), (x.strides[axis],))


def of_classes(x: Array, at: Array, axis: int) -> Named:
    """One place along an axis for each element of what lacks that axis."""
    strides = (*x.strides[:axis], *x.strides[axis + 1 :])
    return Named(at.shape, strides, (at.strides,), (x.shape[axis],), (x.strides[axis],))


def of_a_list(x: Array, at: Array) -> Named:
    """One place in a list for each element of ``at``."""
    return Named(at.shape, (0,) * at.ndim, (at.strides,), x.shape, x.strides)


def advanced(x: Array, indices: Sequence[Array], spec: Sequence[Any]) -> Named | None:
    """What a spec with arrays names; None beside bools.

    The arrays' common dimensions take the place of the named axes, or come first where these are apart; integers count
    as arrays in that, as in NumPy.
    """
    if any(isinstance(part, str) and part != ARRAY for part in spec) or not indices:
        return None
    parts = list(spec) if Ellipsis in spec else [*spec, Ellipsis]
    ellipsis = parts.index(Ellipsis)
    missing = x.ndim - sum(part is not None and part is not Ellipsis for part in parts)
    parts[ellipsis : ellipsis + 1] = [slice(None)] * missing
    view, start = sliced(x, tuple(slice(None) if part == ARRAY else part for part in parts))
    try:
        common = np.broadcast_shapes(*(at.shape for at in indices))
    except ValueError:
        return None
    pointed = [k for k, part in enumerate(parts) if isinstance(part, str | int)]
    together = pointed == list(range(pointed[0], pointed[-1] + 1))
    seen = [k for k, part in enumerate(parts) if not isinstance(part, int)]  # what the dimensions of the view stand for
    kept = [(d, k) for d, k in enumerate(seen) if parts[k] != ARRAY]
    before = [d for d, k in kept if together and k < pointed[0]]
    after = [d for d, _ in kept if d not in before]
    shape = (*(view.shape[d] for d in before), *common, *(view.shape[d] for d in after))
    strides = (*(view.strides[d] for d in before), *(0,) * len(common), *(view.strides[d] for d in after))
    places = tuple((*(0,) * len(before), *broadcast(at, common), *(0,) * len(after)) for at in indices)
    axes = [sum(other is not None for other in parts[:k]) for k, part in enumerate(parts) if part == ARRAY]
    return Named(shape, strides, places, tuple(x.shape[a] for a in axes), tuple(x.strides[a] for a in axes), start)


def broadcast(x: Array, shape: tuple[int, ...]) -> Strides:
    """Return the strides of an array broadcast to a shape."""
    own = [0 if n == 1 else stride for n, stride in zip(x.shape, x.strides, strict=True)]
    return (*(0,) * (len(shape) - x.ndim), *own)
