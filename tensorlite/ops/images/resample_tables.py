"""Which elements of an axis each result of an interpolation is made of, and their weights.

A table has a column for each result and a row for each of its elements. Coordinates are those of PyTorch's functions:
centres of pixels lie at ``scale * (j + 0.5) - 0.5``, or with ``align_corners`` at ``scale * j``, so that the first and
the last ones meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

Tables: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Stretch:
    """An axis of ``size`` elements that is to have ``count``; ``factor`` is how many times as long users say it is."""

    size: int
    count: int
    factor: float | None = None
    align_corners: bool = False

    @property
    def scale(self) -> float:
        """How far apart results are, in elements."""
        if self.align_corners:
            return (self.size - 1) / (self.count - 1) if self.count > 1 else 0.0
        return 1 / self.factor if self.factor else self.size / self.count

    @property
    def centres(self) -> np.ndarray:
        """Where results lie among the elements."""
        j = np.arange(self.count)
        return self.scale * j if self.align_corners else self.scale * (j + 0.5) - 0.5

    def within(self, places: np.ndarray) -> np.ndarray:
        """The places, those beyond an end at that end."""
        return np.clip(places, 0, self.size - 1).astype(np.int64)


def _linear(stretch: Stretch) -> Tables:
    centres = np.maximum(stretch.centres, 0)
    first = np.minimum(np.floor(centres), stretch.size - 1)
    share = np.clip(centres - first, 0, 1)
    return stretch.within(np.stack([first, first + 1])), np.stack([1 - share, share])


def _near(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic kernel (1981) at a distance of at most 1."""
    return ((a + 2) * t - (a + 3)) * t * t + 1


def _far(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic kernel at a distance from 1 to 2."""
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a


def _cubic(stretch: Stretch) -> Tables:
    first = np.minimum(np.floor(stretch.centres), stretch.size - 1)
    t, a = np.clip(stretch.centres - first, 0, 1), -0.75
    weights = [_far(1 + t, a), _near(t, a), _near(1 - t, a), _far(2 - t, a)]
    return stretch.within(np.stack([first + k for k in (-1, 0, 1, 2)])), np.stack(weights)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _keys(distance: np.ndarray) -> np.ndarray:
    near, far = _near(np.minimum(distance, 1), -0.5), _far(np.clip(distance, 1, 2), -0.5)
    return np.where(distance < 1, near, far)


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(distance < 3, np.sinc(distance) * np.sinc(distance / 3), 0)


def _antialiased(kernel: Callable[[np.ndarray], np.ndarray], radius: int) -> Callable[[Stretch], Tables]:
    """Tables by a kernel that is stretched where the axis shrinks, so that every element counts."""
    def tables(stretch: Stretch) -> Tables:
        wide = max(stretch.scale, 1.0)
        centre = stretch.scale * (np.arange(stretch.count) + 0.5)
        first = np.maximum((centre - radius * wide + 0.5).astype(np.int64), 0)
        end = np.minimum((centre + radius * wide + 0.5).astype(np.int64), stretch.size)
        places = first + np.arange(max(1, (end - first).max(initial=1)))[:, None]
        weights = np.where(places < end, kernel(np.abs(places - centre + 0.5) / wide), 0)
        total = weights.sum(axis=0)
        last = np.maximum(end - 1, first)
        return stretch.within(np.minimum(places, last)), weights / np.where(total == 0, 1, total)
    return tables


_TABLES: dict[tuple[str, bool], Callable[[Stretch], Tables]] = {
    ("linear", False): _linear, ("cubic", False): _cubic,
    ("linear", True): _antialiased(_triangle, 1), ("cubic", True): _antialiased(_keys, 2),
    ("lanczos", True): _antialiased(_lanczos, 3),
}


@lru_cache(256)
def tables(kind: str, antialias: bool, stretch: Stretch, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """The places and weights of an interpolation of one kind, and those of its transpose."""
    places, weights = _TABLES[kind, antialias](stretch)
    return _with_transpose(places, weights, stretch.size, dtype)


@lru_cache(256)
def whole(kind: str, antialias: bool, stretch: Stretch) -> tuple[np.ndarray, np.ndarray, int]:
    """The places and weights of an interpolation of bytes as Pillow has them: integers, and how many bits are behind.

    Weights have 16 bits, as many behind the point as there is room for. Those of one place are one.
    """
    places, weights = _TABLES[kind, antialias](stretch)
    for later in range(len(places) - 1, 0, -1):
        for earlier in range(later):
            same = places[later] == places[earlier]
            weights[earlier] += np.where(same, weights[later], 0)
            weights[later] = np.where(same, 0, weights[later])
    bits = next((n for n in range(22) if int(0.5 + weights.max() * 2 ** (n + 1)) >= 1 << 15), 22)
    rounded = np.sign(weights) * np.floor(np.abs(weights) * 2**bits + 0.5)
    return places, rounded.astype(np.int64), bits


@lru_cache(256)
def picked(stretch: Stretch, exact: bool, dtype: np.dtype) -> tuple[np.ndarray, ...] | None:
    """The tables of the nearest elements and those of their transpose; None where these are the elements in order."""
    places = nearest(stretch, exact, dtype)
    if np.array_equal(places, np.arange(stretch.size)):
        return None
    return averaged(places[None], stretch.size, dtype)


def averaged(places: np.ndarray, size: int, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """The tables that average some elements for each result, and those of the transpose.

    An element that is named twice counts once: each time half.
    """
    times = (places[:, None] == places).sum(axis=1)
    weights = 1 / times
    return _with_transpose(places, weights / weights.sum(axis=0), size, dtype)


def nearest(stretch: Stretch, exact: bool, dtype: np.dtype) -> np.ndarray:
    """The element that each result takes, in the arithmetic of a dtype; ``exact`` takes that nearest to its centre."""
    real = np.dtype(dtype).type
    scale = real(1 / stretch.factor) if stretch.factor else real(stretch.size) / real(stretch.count)
    j = np.arange(stretch.count).astype(dtype)
    return stretch.within(np.floor((j + real(0.5)) * scale if exact else j * scale))


def _with_transpose(places: np.ndarray, weights: np.ndarray, size: int, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    back_places, back_weights = transposed(places, weights, size)
    found = places, weights.astype(dtype), back_places, back_weights.astype(dtype)
    for array in found:
        array.flags.writeable = False
    return found


def transposed(places: np.ndarray, weights: np.ndarray, size: int) -> Tables:
    """The tables of the transposed map, which gives ``size`` results; sums of fewer terms end in weights of 0."""
    terms, count = places.shape
    edges = places.T.reshape(-1) * count + np.repeat(np.arange(count), terms)
    edges, which = np.unique(edges, return_inverse=True)
    sums = np.bincount(which, weights.T.reshape(-1), len(edges))
    source, result = edges // count, edges % count
    held = np.bincount(source, minlength=size)
    first = np.concatenate(([0], np.cumsum(held)[:-1]))
    rank = np.arange(len(edges)) - first[source]
    shape = max(1, int(held.max())), size
    back_places = np.broadcast_to(result[np.minimum(first, len(edges) - 1)], shape).copy()
    back_weights = np.zeros(shape)
    back_places[rank, source], back_weights[rank, source] = result, sums
    return back_places, back_weights
