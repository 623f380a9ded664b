"""Stages of irregular kernels that work on rows: an axis of arrays of up to three other dimensions, laid in any way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tensorlite.kernels.cpu.movement_stages import copy_stage
from tensorlite.kernels.generated.layout import Axis, merge
from tensorlite.kernels.irregular.kernel import Kernel
from tensorlite.kernels.stage import Array, Stage

_OUTER = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows there are, how long, the step from one element of a row to the next in each array, and the place
    of each: two extents, and for each array three strides."""

    count: int
    length: int
    steps: tuple[int, ...]
    extents: tuple[int, int]
    strides: tuple[int, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The parameters that kernels take for them, the count aside."""
        return (self.length, *self.steps, *self.extents, *self.strides)


def rows_of(arrays: tuple[Array, ...], axis: int) -> Rows | None:
    """Return the rows along an axis, whose length is that of the first array; None for more than three dimensions."""
    x = arrays[0]
    others = [d for d in range(x.ndim) if d != axis]
    merged = merge(Axis(x.shape[d], tuple(a.strides[d] for a in arrays)) for d in others)
    if len(merged) > _OUTER:
        return None
    none = Axis(1, (0,) * len(arrays))
    outer = (*(none,) * (_OUTER - len(merged)), *merged)
    strides = tuple(axis.strides[k] for k in range(len(arrays)) for axis in outer)
    steps = tuple(a.strides[axis] for a in arrays)
    return Rows(prod(a.extent for a in outer), x.shape[axis], steps, (outer[1].extent, outer[2].extent), strides)


def in_order(x: Array, out: Array, axis: int, numbers: tuple[int, int]) -> tuple[Rows, Stage | None] | None:
    """Return the rows of ``x`` and ``out``; with a stage that first copies ``x`` where it has too many dimensions.

    ``numbers`` are that of ``x`` and that of the copy, which then stands for it.
    """
    found = rows_of((x, out), axis)
    if found is not None:
        return found, None
    copied = Array.contiguous(x.dtype, x.shape)
    found, copy = rows_of((copied, out), axis), copy_stage(x, copied, *numbers)
    return None if found is None or copy is None else (found, copy)


def contiguous(inputs: Sequence[Array], first: int) -> tuple[list[Stage], tuple[int, ...], tuple[int, ...]] | None:
    """Return stages that copy those of the inputs that are not contiguous, the numbers to read, and the copies' bytes.

    ``first`` is the number of the first copy.
    """
    copies: list[Stage] = []
    reads, room = list(range(len(inputs))), []
    for k, x in enumerate(inputs):
        if x.size and not x.is_contiguous:
            reads[k] = first + len(copies)
            copy = copy_stage(x, Array.contiguous(x.dtype, x.shape), k, reads[k])
            if copy is None:
                return None
            copies.append(copy)
            room.append(x.size * x.dtype.itemsize)
    return copies, tuple(reads), tuple(room)


def builder(function: Callable[..., None], *arrays: str, numbers: int, floats: int = 0) -> Callable[[], Kernel]:
    """Return what builds the kernel of a function: the types of its arrays, so many integers, so many floats."""
    return lambda: Kernel(function, (*(f"{name}*" for name in arrays), *("int64",) * numbers, *("float64",) * floats))


def bits(dtype: Any) -> str:
    """Return the name of signed integers of a dtype's size."""
    return f"int{8 * dtype.itemsize}"
