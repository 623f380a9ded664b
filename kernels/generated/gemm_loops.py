"""The parts that loops of matrix products are made of: the tile, the micro-kernel, panels, and the epilogue.

A task computes a tile of the product, ``band`` rows by as many columns as there are ``lanes``. It goes along k in
blocks of ``depth``: a block of the right operand is packed in a panel, whose rows are whole vectors; then the
micro-kernel takes ``rows`` rows of the left operand at a time, their elements broadcast to all lanes, and adds to the
tile (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008). The epilogue reads the tile.
The order of each sum is that of k, block by block, whatever the tasks are.

Of dtype int32, an element is four bytes of one operand that meet four of the other, and the products are those of
``dot4``: unsigned bytes on the left by signed ones on the right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host
from tensorlite.kernels.loops import Assign, If, Let, Load, Local, Scratch, Statement, Store, Transpose, index
from tensorlite.kernels.scalar.primitive import dot4, to_carrier

DType = np.dtype[Any]
_ZERO, _ONE = s.Const(0), s.Const(1)
_LINE = 64  # bytes of a cache's line
_AHEAD = 2  # lines that are fetched in the time of a row of a panel, of four: even three groups of rows fetch the next


@dataclass(frozen=True, slots=True)
class Schedule:
    """The free choices of a product. Only ``depth`` and ``dtype`` touch the bits of a result.

    ``rows`` by ``lanes`` accumulators fill the registers. ``depth`` by ``lanes`` elements are a panel, and ``band`` by
    ``lanes`` a tile: both stay in the second cache, and a pass along the panel does in the first. ``square`` is the
    size of the blocks that a panel is transposed by.
    """

    dtype: str
    rows: int
    lanes: int
    depth: int
    band: int
    square: int


def schedule(dtype: DType, depth: int = 128, band: int = 240) -> Schedule:
    """Return the measured choices for this machine: 6 by 4 vectors of 512 bits (230-250 GFLOP/s), 6 by 2 of 256."""
    bits = host.vector_bits() if host.is_x86() else 256  # AArch64 has 32 registers of 128 bits
    vectors = 4 if bits == 512 else 2
    lane = bits // 8 // dtype.itemsize
    return Schedule(dtype.name, 6, vectors * lane, depth, band, lane)


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What becomes of the product: a value of ``product`` and the operands ``e0``, ``e1``, ... for each output.

    ``letters`` says of each operand how it runs along the columns: unit steps (u), repeated (b) or strided (s). To the
    values the product is of dtype ``narrow``, if that is not empty; it is not rounded to it, as sums are wider.
    """

    values: tuple[s.Expr, ...]
    outputs: tuple[str, ...]
    operands: tuple[str, ...] = ()
    letters: str = ""
    narrow: str = ""

    @property
    def names(self) -> list[str]:
        """The names of the operands."""
        return [f"e{k}" for k in range(len(self.operands))]

    def text(self) -> str:
        """Return a canonical text: a part of a key."""
        values = [s.text(value) for value in self.values]
        return f"{values} {self.outputs} {self.operands} {self.letters}{self.narrow and f' {self.narrow}'}"

    def results(self, product: DType) -> list[s.Typed]:
        """Return the values, typed, for a product whose sums are of that dtype."""
        seen = np.dtype(self.narrow) if self.narrow else product
        types = {"product": seen, **dict(zip(self.names, map(np.dtype, self.operands), strict=True))}
        wide, found = s.Typed("var", (), product, "product"), []
        for value, output in zip(self.values, self.outputs, strict=True):
            names = s.free_variables(value)
            typed = s.lower(s.cast(value, np.dtype(output)), {name: types[name] for name in names})
            found.append(_put(typed, to_carrier(s.Typed("var", (), seen, "product")), wide))
        return found


def _put(root: s.Typed, old: s.Typed, new: s.Typed) -> s.Typed:
    """Return ``root`` with one node in place of another."""
    built = {old: new}
    for node in s.postorder(root):
        if node not in built:
            built[node] = s.Typed(node.op, tuple(built[arg] for arg in node.args), node.dtype, node.value)
    return built[root]


Reading = Callable[[str, str, s.Expr], list[Statement]]
"""How an operand's element, or what stands for it, gets its name: from a buffer, and a place there."""


def plainly(name: str, buffer: str, place: s.Expr) -> list[Statement]:
    """Read an element as it is."""
    return [Load(name, buffer, place)]


def widely(name: str, buffer: str, place: s.Expr) -> list[Statement]:
    """Read an element of 16 bits as a float32."""
    return [Load(f"{name}_narrow", buffer, place), Let(name, s.cast(s.Var(f"{name}_narrow"), np.dtype(np.float32)))]


TASK, HEIGHT, WIDTH, LENGTH, FIRST_ROW, FIRST_COLUMN = map(
    s.Var, ("task", "height", "width", "length", "first_row", "first_column")
)
BLOCK, GROUPS, PANEL_ROW, LANE = map(s.Var, ("block", "groups", "p", "lane"))


def zero(schedule: Schedule) -> s.Typed:
    """Return the sum of nothing."""
    return loops.constant(0.0, schedule.dtype)


def multiplied(schedule: Schedule, left: str, right: str, total: str) -> loops.Value:
    """Return ``total`` plus ``left`` times ``right``."""
    if schedule.dtype == "int32":
        return dot4(total, left, right)
    return s.fma(s.Var(left), s.Var(right), s.Var(total))


def scratch(schedule: Schedule, panel: bool = True, spare: int = 0, packed: DType | None = None) -> list[Statement]:
    """Declare the tile and, if it is used, the panel; it may be written ``spare`` elements beyond its end."""
    dtype = np.dtype(schedule.dtype)
    tile = -(-schedule.band // schedule.rows) * schedule.rows * schedule.lanes
    panels = [Scratch("panel", packed or dtype, schedule.depth * schedule.lanes + spare)] if panel else []
    return [Scratch("tile", dtype, tile), *panels]


@dataclass(frozen=True, slots=True)
class Sums:
    """Where the micro-kernel adds to: rows of lanes from ``start`` on. ``fresh`` ones are stored, not added to."""

    buffer: str = "tile"
    start: s.Expr = _ZERO
    fresh: bool = False


TILE = Sums()


def count_groups(schedule: Schedule) -> Let:
    """Name the number of groups of rows."""
    return Let("groups", index((HEIGHT + (schedule.rows - 1)) // schedule.rows))


def clear_tile(schedule: Schedule) -> list[Statement]:
    """Name the number of groups of rows, and set their sums to zero."""
    return [count_groups(schedule), clear_sums(schedule, TILE)]


def clear_sums(schedule: Schedule, sums: Sums) -> loops.For:
    """Set the sums of all groups of rows to zero."""
    store = Store(sums.buffer, sums.start + s.Var("z_row") * schedule.lanes + s.Var("z_lane"), zero(schedule))
    return loops.serial("z_row", GROUPS * schedule.rows, loops.vector("z_lane", schedule.lanes, schedule.lanes, store))


def blocks(terms: s.Expr, thickness: s.Expr, *body: Statement) -> list[Statement]:
    """Run ``body`` for each block of the sum: ``count`` of ``terms``, from ``start`` on; once if there are none."""
    start = Let("start", index(BLOCK * thickness))
    count = Let("count", index(s.minimum(thickness, terms - s.Var("start"))))
    number = s.maximum(s.Const(1), (terms + (thickness - 1)) // thickness)
    return [Let("blocks", index(number)), loops.serial("block", s.Var("blocks"), start, count, *body)]


def clear_panel(schedule: Schedule, packed: DType | None = None, top: s.Expr = _ZERO) -> If:
    """Set a panel to zero that will not be filled: what lies there must not slow down its lanes' arithmetic."""
    nothing = loops.constant(0, packed or schedule.dtype)
    store = Store("panel", (top + s.Var("y")) * schedule.lanes + s.Var("y_lane"), nothing)
    clear = loops.vector("y_lane", schedule.lanes, schedule.lanes, store)
    return If(s.less(WIDTH, schedule.lanes), (loops.serial("y", LENGTH, clear),))


def pack_rows(
    schedule: Schedule, buffer: str, place: Callable[[s.Expr, s.Expr], s.Expr], reading: Reading = plainly,
    top: s.Expr = _ZERO,
) -> loops.For:  # fmt: skip
    """Fill the panel row by row, from row ``top`` on; ``place(p, lane)`` is where its elements are in ``buffer``."""
    p, lane = s.Var("q"), s.Var("q_lane")
    store = Store("panel", (top + p) * schedule.lanes + lane, s.Var("q_moved"))
    copy = loops.vector("q_lane", WIDTH, schedule.lanes, *reading("q_moved", buffer, place(p, lane)), store)
    return loops.serial("q", LENGTH, copy)


def pack_columns_read(
    schedule: Schedule, buffer: str, place: Callable[[s.Expr, s.Expr], s.Expr], reading: Reading, packed: DType,
    top: s.Expr = _ZERO,
) -> list[Statement]:  # fmt: skip
    """Fill the panel from columns whose elements lie along memory and are not read plainly: by way of some rows.

    In place of columns that do not exist there are copies of the last one, in all of a square; rows are filled up to a
    whole square with zeros.
    """
    size, depth = schedule.square, schedule.depth
    strip, row, p = s.Var("strip"), s.Var("strip_row"), s.Var("strip_p")
    column = s.minimum(strip * size + row, WIDTH - 1)
    copied = [*reading("strip_moved", buffer, place(p, s.Var("strip_column"))),
              Store("strips", row * depth + p, s.Var("strip_moved"))]  # fmt: skip
    beyond = Store("strips", row * depth + LENGTH + s.Var("strip_beyond"), loops.constant(0, packed))
    copy: list[Statement] = [
        Let("strip_column", index(column)),
        loops.vector("strip_p", LENGTH, size, *copied),
        loops.vector("strip_beyond", (size - LENGTH % size) % size, size, beyond),
    ]
    square = s.Var("square")
    turn = Transpose("panel", (top + square * size) * schedule.lanes + strip * size, schedule.lanes, "strips",
                     square * size, depth, size)  # fmt: skip
    rows = loops.serial("strip_row", size, *copy)
    squares = loops.serial("square", (LENGTH + (size - 1)) // size, turn)
    return [Scratch("strips", packed, size * depth), loops.serial("strip", (WIDTH + (size - 1)) // size, rows, squares)]


def pack_columns(
    schedule: Schedule,
    buffer: str,
    place: Callable[[s.Expr, s.Expr], s.Expr],
    stride: s.Expr,
    count: s.Expr = LENGTH,
    top: s.Expr = _ZERO,
) -> loops.For:
    """Fill ``count`` rows of the panel, from row ``top`` on, from columns that lie along memory, ``stride`` apart.

    That is done by squares, and singly for what is left of them.
    """
    size, lanes = schedule.square, schedule.lanes
    strip, square, left = s.Var("strip"), s.Var("square"), s.Var("left")
    first, full = s.Var("strip_first"), s.Var("strip_full")
    p = full + s.Var("single")
    here = (top + square * size) * lanes + first
    turn = Transpose("panel", here, lanes, buffer, place(square * size, first), stride, size)
    load = Load("single_moved", buffer, place(p, first + left))
    store = Store("panel", (top + p) * lanes + first + left, s.Var("single_moved"))
    return loops.serial(
        "strip",
        (WIDTH + (size - 1)) // size,
        Let("strip_first", index(strip * size)),
        Let("strip_width", index(s.minimum(s.Const(size), WIDTH - first))),
        Let("strip_full", index(count // size * (s.Var("strip_width") // size) * size)),
        loops.serial("square", full // size, turn),
        loops.serial("left", s.Var("strip_width"), loops.serial("single", count - full, load, store)),
    )


PAIR = np.dtype(np.uint32)
"""Two elements of 16 bits."""


def packed_dtype(schedule: Schedule, paired: bool) -> DType:
    """Return what a panel is made of."""
    return PAIR if paired else np.dtype(schedule.dtype)


def pack_matrix(schedule: Schedule, lies: str, dtype: DType, top: s.Expr = _ZERO) -> list[Statement]:
    """Fill the panel from a part of the matrix ``b`` that begins at ``b_start``.

    ``lies`` says what of the matrix lies along memory: its "rows", its "columns", or else.
    """
    start, row, step = s.Var("b_start"), s.Var("b_row"), s.Var("b_step")
    across = _ONE if lies == "rows" else step
    plain = dtype == np.dtype(schedule.dtype)
    reading = plainly if plain else widely
    if lies != "columns":
        return [pack_rows(schedule, "b", lambda p, n: start + p * row + n * across, reading, top)]

    def place(p: s.Expr, column: s.Expr) -> s.Expr:
        return start + p + column * step

    if plain:
        return [pack_columns(schedule, "b", place, step, top=top)]
    return pack_columns_read(schedule, "b", place, reading, np.dtype(schedule.dtype), top)


@dataclass(frozen=True, slots=True)
class Left:
    """How the micro-kernel reads the left operand: element (row, p) of a block is at ``row + step`` in ``buffer``.

    ``row`` is given the name to use and a row's number in the tile, ``step`` is given p; they return the statements
    that find the index, and the index.
    """

    buffer: str
    row: Callable[[str, s.Expr], tuple[list[Statement], s.Expr]]
    step: Callable[[s.Expr], tuple[list[Statement], s.Expr]]
    reading: Reading = plainly


@dataclass(frozen=True, slots=True)
class Right:
    """How the micro-kernel reads the right operand: element (p, lane) of a block is at ``step + lane`` in ``buffer``.

    ``extent`` is the number of lanes that exist there. What comes from ``far`` away is fetched while the block before
    it is used: the first rows would wait for it, and memory then for the others.
    """

    buffer: str
    step: Callable[[s.Expr], tuple[list[Statement], s.Expr]]
    extent: s.Expr
    reading: Reading = plainly
    far: bool = False


def panel(schedule: Schedule) -> Right:
    """Return the way to read a panel."""
    return Right("panel", lambda p: ([], p * schedule.lanes), s.Const(schedule.lanes))


def packed_panel(schedule: Schedule) -> Right:
    """Return the way to read a panel of what was packed beforehand, from ``b_start`` on."""
    return Right("b", lambda p: ([], s.Var("b_start") + p * schedule.lanes), s.Const(schedule.lanes), far=True)


def multiply(
    schedule: Schedule, left: Left, right: Right, *finish: Statement, announce: Sequence[Statement] = (),
    sums: Sums = TILE, add: Callable[[str, str, str], loops.Value] | None = None, first: s.Expr | None = None,
    finished: Callable[[int], Sequence[Statement]] | None = None,
) -> loops.For:
    """Add the products of a panel and the rows of the left operand to the tile, or other ``sums``: the micro-kernel.

    Rows beyond the height are the last one again: their sums are in the tile's rows that nobody reads. ``finish`` is
    done for each row ``r`` after the last block: stores among the arithmetic wait less than all at the end. Where
    ``first`` holds, the sums are stored, whatever was there. Where there is one block, ``finished`` may say what
    becomes of the sums ``sum0``, ``sum1``, ... instead, each being a row. ``add`` gives a sum with one product more.
    """
    group, numbers, plus = s.Var("group"), range(schedule.rows), add or partial(multiplied, schedule)
    lane, p = LANE, PANEL_ROW
    starts: list[Statement] = []
    for r in numbers:
        found, place = left.row(f"row_found{r}", s.minimum(group * schedule.rows + r, HEIGHT - 1))
        starts += [*found, Let(f"row{r}", index(place))]
    locals_ = [Local(f"sum{r}", zero(schedule)) for r in numbers]
    found, step = left.step(p)
    sought, where = right.step(p)
    body: list[Statement] = [*found, *sought, *right.reading("right", right.buffer, where + lane)]
    if right.far:
        elements = _LINE // np.dtype(schedule.dtype).itemsize
        _, beyond = right.step(LENGTH)
        places = (beyond + ((group * LENGTH + p) * _AHEAD + n) * elements for n in range(_AHEAD))
        body += [loops.Prefetch(right.buffer, place, later=True) for place in places]
    for r in numbers:
        body += left.reading(f"left{r}", left.buffer, s.Var(f"row{r}") + step)
        body.append(Assign(f"sum{r}", plus(f"left{r}", "right", f"sum{r}")))
    stored: list[Statement] = []
    added: list[Statement] = []
    for r in numbers:
        here, total = sums.start + (group * schedule.rows + r) * schedule.lanes + lane, s.Var(f"sum{r}")
        stored.append(Store(sums.buffer, here, total))
        added += [Load(f"before{r}", sums.buffer, here), Store(sums.buffer, here, s.Var(f"before{r}") + total)]
    if finished is not None:
        added = [statement for r in numbers for statement in finished(r)]
    elif sums.fresh:
        added = stored
    elif first is not None:
        added = [If(first, tuple(stored)), If(s.logical_not(first), tuple(added))]
    lanes = loops.vector("lane", right.extent, schedule.lanes, *locals_, loops.serial("p", LENGTH, *body), *added)
    if announce:
        starts = [If(s.equal(BLOCK, s.Var("blocks") - 1), tuple(announce)), *starts]
    if not finish:
        return loops.serial("group", GROUPS, *starts, lanes, apart=True)
    height = s.minimum(s.Const(schedule.rows), HEIGHT - group * schedule.rows)
    row = loops.serial("row", height, Let("r", index(group * schedule.rows + s.Var("row"))), *finish, apart=True)
    return loops.serial("group", GROUPS, *starts, lanes, If(s.equal(BLOCK, s.Var("blocks") - 1), (row,)))


def dot(
    schedule: Schedule, rows: Sequence[s.Expr], columns: Sequence[s.Expr], k: s.Expr, group: s.Expr,
    reading: Reading = plainly,
) -> list[Statement]:  # fmt: skip
    """Set the tile's places of these rows and of the columns of one group to their dot products.

    ``rows`` and ``columns`` are where they begin in ``a`` and ``b``; they lie along memory, and so do the lanes.
    """
    starts = [Let(f"row{r}", index(place)) for r, place in enumerate(rows)]
    starts += [Let(f"column{c}", index(place)) for c, place in enumerate(columns)]
    pairs = [(r, c) for r in range(len(rows)) for c in range(len(columns))]
    names = [f"sum{r}_{c}" for r, c in pairs]
    body: list[Statement] = []
    for r in range(len(rows)):
        body += reading(f"left{r}", "a", s.Var(f"row{r}") + LANE)
    for c in range(len(columns)):
        body += reading(f"right{c}", "b", s.Var(f"column{c}") + LANE)
    for (r, c), name in zip(pairs, names, strict=True):
        body.append(Assign(name, multiplied(schedule, f"left{r}", f"right{c}", name)))
    merge = tuple(s.Var(name) + s.Var(loops.right(name)) for name in names)
    lanes = schedule.square * (2 if len(rows) == 1 else 1)  # eight sums at least, for that many are under way
    walk = loops.vector("lane", k, lanes, *body)
    return [
        *starts,
        *(Local(name, zero(schedule)) for name in names),
        loops.Reduce(tuple(names), (zero(schedule),) * len(names), merge, lanes, (walk,)),
        *(Store("tile", group * len(columns) + (r * schedule.lanes + c), s.Var(n)) for (r, c), n in zip(pairs, names)),
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a row of the tile, and where it goes: ``count`` elements from ``start`` on in ``source``.

    They go to ``to`` in each output, ``step`` apart. ``operands`` are the places of the epilogue's operands there, and
    ``steps`` the strides along the row of those that are strided. ``lanes`` columns are taken at once, or as many as
    suit the epilogue.
    """

    source: str
    start: s.Expr
    count: s.Expr
    to: s.Expr
    operands: Sequence[s.Expr]
    steps: Sequence[s.Expr]
    step: s.Expr = _ONE
    lanes: int = 0


def store_row(schedule: Schedule, epilogue: Epilogue, row: Row) -> list[Statement]:
    """Apply the epilogue to a part of a row."""
    column = s.Var("column")
    names = epilogue.names
    bases: list[Statement] = [Let("to", index(row.to)), Let("from", index(row.start))]
    bases += [Let(f"{name}_at", index(place)) for name, place in zip(names, row.operands, strict=True)]
    inner: list[Statement] = [Load("product", row.source, s.Var("from") + column)]
    for name, letter, step in zip(names, epilogue.letters, row.steps, strict=True):
        place = s.Var(f"{name}_at")
        if letter == "b":
            bases.append(Load(name, f"{name}_buffer", place))
        else:
            inner.append(Load(name, f"{name}_buffer", place + (column if letter == "u" else column * step)))
    for k, value in enumerate(epilogue.results(np.dtype(schedule.dtype))):
        inner.append(Store(f"out{k}", s.Var("to") + column * row.step, value))
    return [*bases, loops.vector("column", row.count, row.lanes or lanes_of(schedule, epilogue), *inner)]


def lanes_of(schedule: Schedule, epilogue: Epilogue) -> int:
    """Return how many columns the epilogue takes at once: all, if it is short."""
    nodes = sum(len(s.free_variables(value)) + len(s.text(value)) // 12 for value in epilogue.values)
    return schedule.lanes if nodes < 8 else schedule.square


def outputs(epilogue: Epilogue) -> list[loops.Buffer]:
    """Return the buffers of the epilogue's operands, and then of its outputs."""
    read = [loops.Buffer(f"e{k}_buffer", np.dtype(dtype)) for k, dtype in enumerate(epilogue.operands)]
    return [*read, *(loops.Buffer(f"out{k}", np.dtype(d), writable=True) for k, d in enumerate(epilogue.outputs))]
