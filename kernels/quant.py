"""How filters of bytes are packed for integer products: one layout on every machine, and its meaning in NumPy.

Four channels of a tap lie together, as the bytes of an int32; filters lie side by side in panels: [groups, panels,
channels / 4, taps, pitch]. Of filters of one channel, columns of the kernel stand for channels. Then come the sums of
each filter's bytes, [groups, panels, pitch], by which zero points are put right. Zeros stand where there is no filter
or no channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

_PITCHES = (16, 32, 64)


@dataclass(frozen=True)
class Filters:
    """Filters in panels: ``m`` of each of ``groups``, of ``channels`` and a kernel of taps.

    ``across``: the channels are the columns of a kernel, there being one channel.
    """

    groups: int
    m: int
    channels: int
    kernel: tuple[int, int]
    across: bool = False

    @staticmethod
    def of(shape: Sequence[int], groups: int = 1) -> Filters:
        """Return those of a weight [filters, channels / groups, height, width]."""
        filters, channels, height, width = shape
        if channels == 1 and width > 1:
            return Filters(groups, filters // groups, width, (height, 1), across=True)
        return Filters(groups, filters // groups, channels, (height, width))

    @property
    def taps(self) -> int:
        """The number of places of a filter."""
        return prod(self.kernel)

    @property
    def quads(self) -> int:
        """The number of fours of channels."""
        return -(-self.channels // 4)

    @property
    def terms(self) -> int:
        """The number of products of a sum."""
        return self.channels * self.taps

    @property
    def pitch(self) -> int:
        """The number of filters of a panel."""
        return next((n for n in _PITCHES if n >= self.m), _PITCHES[-1])

    @property
    def panels(self) -> int:
        """The number of panels of a group."""
        return -(-self.m // self.pitch)

    @property
    def part(self) -> int:
        """The number of quads of a group."""
        return self.panels * self.quads * self.taps * self.pitch

    @property
    def size(self) -> int:
        """The number of int32 of the packed array: panels, and then sums."""
        return self.groups * (self.part + self.panels * self.pitch)


def pack(xp: Any, weight: Any, groups: int = 1) -> Any:
    """Return a weight, int8[filters, channels / groups, height, width], as one array of int32.

    >>> pack(np, np.ones((1, 2, 1, 1), np.int8))[[0, 1, 16, 17]]
    array([257,   0,   2,   0], dtype=int32)
    """
    of = Filters.of(weight.shape, groups)
    weight = weight.transpose(0, 3, 2, 1) if of.across else weight
    padded = xp.zeros((groups, of.panels * of.pitch, 4 * of.quads, *of.kernel), np.int8)
    padded[:, : of.m, : of.channels] = weight.reshape(groups, of.m, of.channels, *of.kernel)
    laid = padded.reshape(groups, of.panels, of.pitch, of.quads, 4, of.taps).transpose(0, 1, 3, 5, 2, 4)
    totals = padded.sum(axis=(2, 3, 4), dtype=np.int32)
    return xp.concatenate([xp.ascontiguousarray(laid).reshape(-1).view(np.int32), totals.reshape(-1)])


def unpack(packed: Any, shape: Sequence[int], groups: int = 1) -> Any:
    """Return the weight of that shape that was packed.

    >>> weight = np.arange(6, dtype=np.int8).reshape(3, 2, 1, 1)
    >>> bool((unpack(pack(np, weight), weight.shape) == weight).all())
    True
    """
    of = Filters.of(shape, groups)
    quads = packed[: groups * of.part].view(np.int8).reshape(groups, of.panels, of.quads, of.taps, of.pitch, 4)
    every = quads.transpose(0, 1, 4, 2, 5, 3).reshape(groups, of.panels * of.pitch, 4 * of.quads, *of.kernel)
    weight = every[:, : of.m, : of.channels].reshape(groups * of.m, of.channels, *of.kernel)
    return weight.transpose(0, 3, 2, 1) if of.across else weight
