"""How a fold walks its arrays: dimensions merged, rows or columns, chunks, lanes; shape and strides alone decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host
from tensorlite.kernels.generated.fold import Fold, expressions
from tensorlite.kernels.generated.fold_loops import Form, arrays
from tensorlite.kernels.generated.layout import Axis, letters, merge


@dataclass(frozen=True, slots=True)
class Schedule:
    """The free choices of a fold. Those of rows decide the tree, and so the bits; all are the same on every machine.

    Rows of more than ``whole`` elements are cut: chunks have about ``chunk`` elements of a row, or ``rows`` rows
    (``rows_again`` where they must still be in a cache for another pass). Large chunks were slower by a quarter where
    the array came from memory. An accumulator of a row has ``row_bytes`` or ``most_lanes`` (half of them beside
    transcendental functions), those of columns ``column_vectors`` vectors; a sweep has ``columns`` columns at a time.
    Rows of up to ``short`` elements are taken one a lane, and columns fewer than ``few`` are not worth lanes.
    Transcendental operations count ``weight`` others.
    """

    whole: int = 65536
    chunk: int = 16384
    rows: int = 256
    rows_again: int = 64
    row_bytes: int = 256
    most_lanes: int = 128
    column_vectors: int = 16
    columns: int = 1024
    short: int = 16
    few: int = 8
    weight: int = 16


DEFAULT = Schedule()
_LONG = frozenset(s.ATOMS) - frozenset(
    "add subtract multiply divide negative abs square sqrt maximum minimum where less greater equal isfinite isnan "
    "logical_and logical_or logical_not less_equal greater_equal not_equal".split()
)
"""The atoms that take many instructions."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The dimensions of one fold: those kept and those reduced, outermost first; and how they are walked."""

    keep: tuple[Axis, ...]
    reduce: tuple[Axis, ...]
    way: str
    chunk: int

    @property
    def chunks(self) -> int:
        """Into how many chunks the outermost reduced dimension is cut."""
        return -(-self.reduce[0].extent // self.chunk)

    @property
    def size(self) -> int:
        """The number of elements of a row."""
        return prod(axis.extent for axis in self.reduce)

    @property
    def rows(self) -> int:
        """The number of rows: of results."""
        return prod(axis.extent for axis in self.keep)


def arrange(keep: Iterable[Axis], reduce: Iterable[Axis], fold: Fold, schedule: Schedule = DEFAULT) -> Arrangement:
    """Return how to walk the axes of a fold's arrays, kept and reduced, each from the largest stride down."""
    keep, reduce = merge(keep), merge(reduce)
    reduce = reduce or (Axis(1, (0,) * len(arrays(fold))),)
    way = _way(keep, reduce, fold, schedule)
    if not fold.state:
        return Arrangement(keep, reduce, way, reduce[0].extent)
    size = prod(axis.extent for axis in reduce)
    row = schedule.chunk if size > schedule.whole else size
    wanted = {"row": row, "sweep": schedule.rows, "column": schedule.rows_again}[way]
    per_chunk = max(1, wanted // prod(axis.extent for axis in reduce[1:]))
    chunks = -(-reduce[0].extent // per_chunk)
    return Arrangement(keep, reduce, way, -(-reduce[0].extent // chunks))


def _way(keep: Sequence[Axis], reduce: Sequence[Axis], fold: Fold, schedule: Schedule) -> str:
    if not keep or keep[-1].extent < schedule.few:
        return "row"
    if keep[-1].strides[0] != 1:
        return "column" if prod(axis.extent for axis in reduce) <= schedule.short else "row"
    sweeps = len(fold.passes) == 1 and fold.state and set(keep[-1].strides) <= {0, 1}
    return "sweep" if sweeps and reduce[-1].extent > schedule.short else "column"


def form(arrangement: Arrangement, fold: Fold, stage: str = "all", schedule: Schedule = DEFAULT) -> Form:
    """Return what the kernel of ``arrangement`` is specialised to."""
    keep, reduce = arrangement.keep, arrangement.reduce
    row = arrangement.way == "row"
    inner = reduce[-1] if row else keep[-1]
    along = arrangement.chunk if row and len(reduce) == 1 else inner.extent
    runs = letters(inner)
    find = {"row": _row_lanes, "column": _column_lanes, "sweep": _sweep_lanes}[arrangement.way]
    lanes = min(find(fold, runs, schedule), power_of_two(along))
    columns = schedule.columns if arrangement.way == "sweep" else lanes
    return Form(arrangement.way, len(keep) - (not row), len(reduce), runs, lanes, 0 if row else columns, stage)


def operations(exprs: Iterable[s.Expr], schedule: Schedule = DEFAULT) -> int:
    """Return about how many instructions expressions take at an element."""
    return sum(schedule.weight if isinstance(node, s.Call) and node.atom.name in _LONG else 1
               for node in s.postorder(*exprs))  # fmt: skip


def _sweep_lanes(fold: Fold, runs: str, schedule: Schedule) -> int:
    """Return a quarter of the lanes of columns: there are four rows, and the accumulators come and go."""
    return max(16, _column_lanes(fold, runs, schedule) // 4)


def _row_lanes(fold: Fold, runs: str, schedule: Schedule) -> int:
    widest = max((a.dtype.itemsize for step in fold.passes for a in step.accumulators), default=4)
    nodes = s.postorder(*(expr for step in fold.passes for expr in expressions(step)))
    long = any(isinstance(node, s.Call) and node.atom.name in _LONG for node in nodes)
    return min(schedule.row_bytes // widest, schedule.most_lanes) // (2 if long else 1)


def _column_lanes(fold: Fold, runs: str, schedule: Schedule) -> int:
    """Return as many lanes as have their accumulators in registers; they never meet, so bits do not depend on it."""
    if "s" in runs:
        return 16
    live = max(sum(a.dtype.itemsize for a in step.accumulators) for step in fold.passes)
    registers = schedule.column_vectors // (1 if host.vector_bits() == 512 else 2)
    room = registers * host.vector_bits() // 8 // max(live, 8)
    return min(schedule.most_lanes, power_of_two(room // 2 + 1))


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least ``number``, and 4."""
    return max(4, 1 << (number - 1).bit_length())


def numbers(arrangement: Arrangement, form: Form) -> list[int]:
    """Return the values of the kernel's integer parameters, in the order of ``fold_loops.parameters``."""
    outer, columns = arrangement.keep[: form.keep], arrangement.keep[form.keep :]
    tasks = prod(axis.extent for axis in outer) * arrangement.chunks
    values = [axis.extent for axis in (*outer, *arrangement.reduce)]
    if columns:
        blocks = -(-columns[0].extent // form.columns)
        tasks *= blocks
        values += [columns[0].extent, form.columns, blocks]
    for k in range(len(form.letters)):
        values += [axis.strides[k] for axis in (*outer, *arrangement.reduce, *columns)]
    return [tasks, arrangement.chunk, arrangement.chunks, *values]


def of_states(arrangement: Arrangement, states: int) -> Arrangement:
    """Return the arrangement of the second kernel: over the states that the first one left for each chunk."""
    chunks = arrangement.chunks
    if arrangement.way == "row":
        keep = merge([Axis(arrangement.rows, (chunks,) * states)])
        return replace(arrangement, keep=keep, reduce=(Axis(chunks, (1,) * states),), chunk=chunks)
    width = arrangement.keep[-1].extent
    outer = merge([Axis(arrangement.rows // width, (chunks * width,) * states)])
    keep = (*outer, Axis(width, (1,) * states))
    return replace(arrangement, keep=keep, reduce=(Axis(chunks, (width,) * states),), chunk=chunks)
