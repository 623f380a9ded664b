"""Stages: what a graph's native program is made of, and what each kernel family plans for given types.

A stage is one call of a native SPMD kernel by every thread of the team. Its argument block holds the addresses of
arrays, then numbers. A family's planning function knows only how its arrays lie, never where they are: it returns a
`Plan`, or None where it has no native form, and the caller gives addresses, memory for scratch arrays and barriers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels.irregular import kernel as irregular

DType: TypeAlias = np.dtype[Any]
Build: TypeAlias = Callable[[], "loops.Kernel | irregular.Kernel"]
"""Makes a kernel, in the loop language or as a Python function."""


@dataclass(frozen=True, slots=True)
class Array:
    """How an array lies in memory, from its first element on: strides are in elements, and may be 0 or negative.

    >>> Array.contiguous(np.float32, (2, 3))
    Array(dtype=dtype('float32'), shape=(2, 3), strides=(3, 1))
    """

    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @staticmethod
    def contiguous(dtype: Any, shape: tuple[int, ...]) -> Array:
        """Return the array of that shape whose last dimension lies along memory, without gaps."""
        strides = tuple(prod(shape[d + 1 :]) for d in range(len(shape)))
        return Array(np.dtype(dtype), tuple(shape), strides)

    @staticmethod
    def channels_last(dtype: Any, shape: tuple[int, ...]) -> Array:
        """Return the array of images, [images, channels, height, width], whose channels lie along memory, without gaps.

        >>> Array.channels_last(np.float32, (1, 2, 3, 4))
        Array(dtype=dtype('float32'), shape=(1, 2, 3, 4), strides=(24, 1, 8, 2))
        """
        images, channels, height, width = shape
        strides = (channels * height * width, 1, width * channels, channels)
        return Array(np.dtype(dtype), (images, channels, height, width), strides)

    def without(self, axis: int) -> Array:
        """Return the elements at place 0 of an axis.

        >>> Array.contiguous(np.float32, (2, 3)).without(1)
        Array(dtype=dtype('float32'), shape=(2,), strides=(3,))
        """
        return Array(self.dtype, *(part[:axis] + part[axis + 1 :] for part in (self.shape, self.strides)))

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie one after the other, in the order of the indices."""
        return self._lies_as(Array.contiguous(self.dtype, self.shape))

    @property
    def is_channels_last(self) -> bool:
        """Whether these are images whose channels lie along memory, without gaps, and not as well the other way."""
        return self.ndim == 4 and self._lies_as(Array.channels_last(self.dtype, self.shape)) and not self.is_contiguous

    def _lies_as(self, other: Array) -> bool:
        return all(n == 1 or a == b for n, a, b in zip(self.shape, self.strides, other.strides, strict=True))


@dataclass(frozen=True, slots=True)
class Stage:
    """One call of a kernel. ``key`` says all that ``build`` depends on; equal keys are compiled once.

    ``reads`` and ``writes`` number the arrays whose addresses open the argument block, in this order: those of the
    plan's caller first, then the plan's scratch arrays. ``numbers`` is the rest of the block (`pack`). ``work`` is
    about how many nanoseconds one thread takes. A ``note`` says why it is this kernel and no other. One that
    ``repeats`` stores some results more than once: their memory must be no operand's.
    """

    key: str
    build: Build
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    numbers: bytes
    work: float
    note: str = ""
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in order, and the sizes in bytes of the scratch arrays that they need. Threads meet between stages that
    touch the same arrays; stages of a plan need not say so.

    ``fault`` numbers a scratch array of one int64 that must be 0 at first. If it is not at the end, an index was out of
    range: the results mean nothing, and the op's own body says what is wrong.
    """

    stages: tuple[Stage, ...]
    scratch: tuple[int, ...] = ()
    fault: int | None = None


def pack(*numbers: int | float) -> bytes:
    """Return numbers as an argument block has them: eight bytes each, integers as int64 and floats as float64."""
    return b"".join(struct.pack("<q" if isinstance(x, int) else "<d", x) for x in numbers)
