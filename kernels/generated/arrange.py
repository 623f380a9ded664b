"""How a reduction walks an array: dimensions merged, rows or columns, chunks; decided by shape and strides alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from tensorlite.kernels.cpu import host
from tensorlite.kernels.generated.reduce_loops import Form
from tensorlite.kernels.generated.reducers import Reducer

Axis = tuple[int, int]  # extent, and stride in elements


@dataclass(frozen=True, slots=True)
class Schedule:
    """The free choices of a reduction. Those of rows decide the tree, and so the bits; all are the same on every machine.

    Chunks have about ``chunk`` elements of a row, or ``rows`` of a column. The accumulators of a row have ``row_bytes``, those of
    a panel of columns ``column_vectors`` vectors. Rows of up to ``short`` elements are reduced one a lane, and columns fewer
    than ``few`` are not worth lanes.
    """

    chunk: int = 16384
    rows: int = 512
    row_bytes: int = 256
    column_vectors: int = 16
    short: int = 16
    few: int = 8


DEFAULT = Schedule()


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The dimensions of one reduction: those kept and those reduced, outermost in memory first; and how they are walked."""

    keep: tuple[Axis, ...]
    reduce: tuple[Axis, ...]
    way: str
    chunk: int

    @property
    def chunks(self) -> int:
        """Into how many chunks the outermost reduced dimension is cut."""
        return -(-self.reduce[0][0] // self.chunk)

    @property
    def size(self) -> int:
        """The number of elements that make one result."""
        return prod(extent for extent, _ in self.reduce)

    @property
    def kept(self) -> int:
        """The number of results."""
        return prod(extent for extent, _ in self.keep)


def arrange(keep: Iterable[Axis], reduce: Iterable[Axis], schedule: Schedule = DEFAULT) -> Arrangement:
    """Return how to reduce ``reduce`` and keep ``keep``, both ordered from the largest stride to the smallest.

    >>> arrange([(4, 30)], [(5, 6), (6, 1)]).reduce
    ((30, 1),)
    """
    keep, reduce = merge(keep), merge(reduce) or ((1, 0),)
    way = _way(keep, reduce, schedule)
    wanted = schedule.rows if way == "column" else schedule.chunk
    per_chunk = max(1, wanted // prod(extent for extent, _ in reduce[1:]))
    chunks = -(-reduce[0][0] // per_chunk)
    return Arrangement(keep, reduce, way, -(-reduce[0][0] // chunks))


def merge(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """Join neighbouring dimensions that are one in memory, and drop those of one element."""
    merged: list[Axis] = []
    for extent, stride in axes:
        if extent == 1:
            continue
        if merged and merged[-1][1] == stride * extent:
            merged[-1] = (merged[-1][0] * extent, stride)
        else:
            merged.append((extent, stride))
    return tuple(merged)


def _way(keep: tuple[Axis, ...], reduce: tuple[Axis, ...], schedule: Schedule) -> str:
    if not keep or keep[-1][0] < schedule.few:
        return "row"
    neighbours = keep[-1][1] == 1
    short = prod(extent for extent, _ in reduce) <= schedule.short
    return "column" if neighbours or short else "row"


def form(arrangement: Arrangement, reducer: Reducer, stage: str, schedule: Schedule = DEFAULT) -> Form:
    """Return what the kernel of ``arrangement`` is specialised to."""
    keep, reduce = arrangement.keep, arrangement.reduce
    if arrangement.way == "row":
        widest = max(a.dtype.itemsize for step in reducer.passes for a in step.accumulators)
        along = arrangement.chunk if len(reduce) == 1 else reduce[-1][0]
        lanes = min(schedule.row_bytes // widest, power_of_two(along))
        return Form("row", len(keep), len(reduce), reduce[-1][1] == 1, lanes, stage)
    unit = keep[-1][1] == 1
    live = sum(a.dtype.itemsize for a in reducer.state)
    bytes_ = schedule.column_vectors * host.vector_bits() // 8 // (1 if host.vector_bits() == 512 else 2)
    lanes = min(power_of_two(bytes_ // live // 2 + 1) if unit else 16, power_of_two(keep[-1][0]))
    return Form("column", len(keep) - 1, len(reduce), unit, lanes, stage)


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least ``number`` and 4."""
    return max(4, 1 << (number - 1).bit_length())


def numbers(arrangement: Arrangement, form: Form) -> list[int]:
    """Return the values of the kernel's integer parameters, in the order of ``reduce_loops.numbers``."""
    outer = arrangement.keep[: form.keep]
    columns = arrangement.keep[form.keep :]
    tasks = prod(extent for extent, _ in outer) * arrangement.chunks
    panel: list[int] = []
    if columns:
        width, step = columns[0]
        blocks = -(-width // form.lanes)
        tasks *= blocks
        panel = [width, form.lanes, blocks, step]
    flat = [*(axis[0] for axis in outer), *(axis[1] for axis in outer)]
    flat += [*(axis[0] for axis in arrangement.reduce), *(axis[1] for axis in arrangement.reduce)]
    return [tasks, arrangement.chunk, arrangement.chunks, *flat, *panel]


def of_states(arrangement: Arrangement) -> Arrangement:
    """Return the arrangement of the second kernel: over the states that the first one left, one for each chunk."""
    chunks = arrangement.chunks
    if arrangement.way == "row":
        keep = ((arrangement.kept, chunks),) if arrangement.kept > 1 else ()
        return Arrangement(keep, ((chunks, 1),), "row", chunks)
    width = arrangement.keep[-1][0]
    outer = arrangement.kept // width
    keep = (*(((outer, chunks * width),) if outer > 1 else ()), (width, 1))
    return replace(arrangement, keep=keep, reduce=((chunks, width),), chunk=chunks)
