"""The parts that loops of attention are made of: panels of queries, the micro-kernel, masks, and weights.

Queries are lanes: a panel holds as many of them, turned, as the micro-kernel has lanes, and scores lie with a row for
each key. So keys and values are read where they lie, element by element; the largest score and the sum of a query's
weights are taken down a column; and a tile of weights is itself the right operand of what they weigh. The micro-kernel
is that of `gemm_loops`: some rows by whole vectors, which fill the registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.attention import PER_BLOCK
from tensorlite.kernels.generated import philox_parts
from tensorlite.kernels.loops import Assign, If, Let, Load, Local, Scratch, Statement, Store, Transpose, index

Expr = s.Expr
ZERO = s.Const(0)
_DRAWN = 16  # queries whose bits are computed at once: two vectors of AVX-512 for each word (as `random_stages`)
_U32, _U64 = np.dtype(np.uint32), np.dtype(np.uint64)


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is specialised to; extents and strides are numbers.

    ``lanes`` queries are a panel, of at most ``features`` and ``values`` numbers a token, and at most ``keys`` keys a
    block. ``rows`` rows of a product are computed at once where keys are its rows, ``turned_rows`` where features are.
    ``mask`` is empty or a mask's dtype, which lies "along" the keys, is the "same" for all queries, or is "strided".
    ``drops`` says that weights are dropped at random.
    """

    dtype: str
    lanes: int
    square: int
    rows: int
    turned_rows: int
    keys: int
    features: int
    values: int
    stack: int
    mask: str = ""
    lies: str = ""
    drops: bool = False

    @property
    def tile(self) -> int:
        """How many rows of lanes a block's scores are written to at most, groups of rows being whole."""
        return self.keys + max(self.rows, PER_BLOCK)

    @property
    def streams(self) -> list[str]:
        """The name of what random bits are made of, if there are any."""
        return ["stream"] if self.drops else []

    def number(self, value: float) -> s.Typed:
        """Return a number of the kernel's dtype."""
        return loops.constant(value, self.dtype)

    def array(self, name: str, rows: int, dtype: str = "") -> Scratch:
        """Return a scratch array of rows of lanes."""
        return Scratch(name, np.dtype(dtype or self.dtype), rows * self.lanes)

    def tall(self, extent: int) -> int:
        """Return how many rows a turned product of so many features writes at most."""
        return -(-extent // self.turned_rows) * self.turned_rows


FIRST, WIDTH, START, COUNT, LENGTH, MATRIX = map(s.Var, ("first", "width", "start", "count", "length", "matrix"))
"""The first query of a panel and how many it has, those of a block of keys, all keys, and which matrix it is."""


# --- where things are


def places(form: Form, operands: Sequence[str]) -> list[Statement]:
    """Name where the matrices of number ``matrix`` begin in arrays that have strides along the stack."""
    statements: list[Statement] = []
    number: Expr = MATRIX
    for d in range(form.stack - 1, 0, -1):
        rest, extent = s.Var(f"rest{d}"), s.Var(f"stack{d}")
        statements += [Let(f"rest{d}", index(number)), Let(f"at{d}", index(rest % extent))]
        number = rest // extent
    statements.append(Let("at0", index(number)))
    for name in operands:
        place: Expr = ZERO
        for d in range(form.stack):
            place = place + s.Var(f"at{d}") * s.Var(f"{name}_stack{d}")
        statements.append(Let(f"{name}_base", index(place)))
    return statements


def stack_numbers(form: Form, operands: Sequence[str]) -> list[str]:
    """Return the names of the numbers that ``places`` reads."""
    extents = [f"stack{d}" for d in range(1, form.stack)]
    return extents + [f"{name}_stack{d}" for name in operands for d in range(form.stack)]


# --- panels


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an array that lie along memory: how many, of which length, where the first begins, how far apart."""

    buffer: str
    start: Expr
    stride: Expr
    count: Expr
    length: Expr


def turn(stem: str, form: Form, rows: Rows, panel: str, back: bool = False) -> list[Statement]:
    """Copy rows to columns of a panel of lanes, by squares, and singly what is left of them; or ``back`` to rows."""
    size, strip, square, far, left = form.square, *(s.Var(f"{stem}_{x}") for x in ("strip", "square", "far", "left"))
    full = s.Var(f"{stem}_full")

    def ends(row: Expr, place: Expr) -> tuple[Expr, Expr]:
        outside, inside = rows.start + row * rows.stride + place, place * form.lanes + row
        return (inside, outside) if back else (outside, inside)

    (source, target) = (panel, rows.buffer) if back else (rows.buffer, panel)
    strides = (s.Const(form.lanes), rows.stride) if back else (rows.stride, s.Const(form.lanes))
    start, to = ends(strip * size, square * size)
    whole = Transpose(target, to, strides[1], source, start, strides[0], size)
    here, there = ends(strip * size + left, full * size + far)
    moved = f"{stem}_moved"
    single = loops.serial(
        f"{stem}_far", rows.length - full * size, Load(moved, source, here), Store(target, there, s.Var(moved))
    )
    width = s.Var(f"{stem}_width")
    return [
        loops.serial(
            f"{stem}_strip",
            (rows.count + (size - 1)) // size,
            Let(f"{stem}_width", index(s.minimum(s.Const(size), rows.count - strip * size))),
            Let(f"{stem}_full", index(rows.length // size * (width // size))),
            loops.serial(f"{stem}_square", full, whole),
            loops.serial(f"{stem}_left", width, single),
            apart=True,
        )
    ]


def fill(stem: str, form: Form, array: str, rows: Expr, value: s.Typed) -> loops.For:
    """Set rows of lanes to one value."""
    lane = s.Var(f"{stem}_lane")
    store = Store(array, s.Var(f"{stem}_row") * form.lanes + lane, value)
    return loops.serial(f"{stem}_row", rows, loops.vector(f"{stem}_lane", form.lanes, form.lanes, store))


def cleared(stem: str, form: Form, array: str, rows: Expr) -> If:
    """Clear a panel that will not be filled: what lies there must not slow down its lanes' arithmetic."""
    return If(s.less(WIDTH, form.lanes), (fill(stem, form, array, rows, form.number(0.0)),))


def scale(stem: str, form: Form, array: str, rows: Expr, by: Expr) -> loops.For:
    """Multiply rows of lanes by one number, or by one for each lane."""
    place, old = s.Var(f"{stem}_row") * form.lanes + s.Var(f"{stem}_lane"), f"{stem}_old"
    body: list[Statement] = [Load(old, array, place), Store(array, place, s.Var(old) * by)]
    return loops.serial(f"{stem}_row", rows, loops.vector(f"{stem}_lane", form.lanes, form.lanes, *body))


# --- the micro-kernel


@dataclass(frozen=True, slots=True)
class Product:
    """``sums[row, lane] = sum over p of left[row, p] * right[p, lane]``, for ``height`` rows and ``depth`` terms.

    ``rows`` by ``lanes`` sums are in registers at once. ``left`` is where a row begins, and the stride along it;
    ``right`` is where rows of lanes begin, and their stride.
    """

    stem: str
    rows: int
    lanes: int
    height: Expr
    depth: Expr
    left: tuple[str, Callable[[Expr], Expr], Expr]
    right: tuple[str, Expr, Expr]
    extent: Expr | None = None

    def name(self, what: str) -> str:
        """Return a name of this product's own."""
        return f"{self.stem}_{what}"

    def var(self, what: str) -> Expr:
        """Return a variable of this product's own."""
        return s.Var(self.name(what))

    @property
    def lane(self) -> Expr:
        """The lane."""
        return self.var("lane")

    def row(self, r: int) -> Expr:
        """Return the number of a row of the group, which may be beyond the last one."""
        return self.var("group") * self.rows + r

    def known(self, r: int) -> Expr:
        """Return the number of a row of the group, or of the last one: that which is computed."""
        return s.minimum(self.row(r), self.height - 1)

    def sum(self, r: int) -> Expr:
        """Return the sum of a row of the group."""
        return self.var(f"sum{r}")


def multiply(dtype: str, product: Product, finish: Sequence[Statement]) -> loops.For:
    """Compute a product, some rows at a time; ``finish`` stores their sums. Rows beyond the last are that one again."""
    (left, place, step), (right, start, stride) = product.left, product.right
    numbers, p = range(product.rows), product.var("p")
    zero = loops.constant(0.0, dtype)
    starts = [Let(product.name(f"start{r}"), index(place(product.known(r)))) for r in numbers]
    body: list[Statement] = [Load(product.name("right"), right, start + p * stride + product.lane)]
    for r in numbers:
        name, total = product.name(f"left{r}"), product.name(f"sum{r}")
        body.append(Load(name, left, product.var(f"start{r}") + p * step))
        body.append(Assign(total, s.fma(s.Var(name), product.var("right"), s.Var(total))))
    sums = [Local(product.name(f"sum{r}"), zero) for r in numbers]
    extent = s.Const(product.lanes) if product.extent is None else product.extent
    along = loops.serial(product.name("p"), product.depth, *body)
    lanes = loops.vector(product.name("lane"), extent, product.lanes, *sums, along, *finish)
    groups = (product.height + (product.rows - 1)) // product.rows
    return loops.serial(product.name("group"), groups, *starts, lanes)


def scores(form: Form, finish: Callable[[Product], Sequence[Statement]]) -> loops.For:
    """Compute scores: a row for each key of the block, a lane for each query of the panel."""
    left = ("k", lambda row: s.Var("k_base") + (START + row) * s.Var("k_row"), s.Const(1))
    product = Product("score", form.rows, form.lanes, COUNT, s.Var("e"), left, ("queries", ZERO, s.Const(form.lanes)))
    return multiply(form.dtype, product, finish(product))


# --- masks


def masked(form: Form, product: Product) -> list[Statement]:
    """Apply the mask to the scores in registers, or let no query look at later keys."""
    if form.mask:
        return [x for r in range(form.rows) for x in _masked_row(form, product, r)]
    statements: list[Statement] = [Load("number", "ramp", product.lane)]
    for r in range(form.rows):
        later = s.cast(START + product.row(r) - FIRST, np.dtype(form.dtype))
        statements.append(Assign(f"score_sum{r}", _unless(s.less(s.Var("number"), later), product.sum(r))))
    return [If(s.greater(s.Var("crossing"), 0), tuple(statements))]


def _unless(condition: Expr, value: Expr) -> Expr:
    return s.where(condition, s.Const(-np.inf), value)


def _masked_row(form: Form, product: Product, r: int) -> list[Statement]:
    name, row = f"mask{r}", product.known(r)
    if form.lies == "same":
        load = Load(name, "mask", s.Var("mask_base") + (START + row) * s.Var("mask_step"))
    else:
        load = Load(name, "looks", row * form.lanes + product.lane)
    mask, value = s.Var(name), product.sum(r)
    if form.mask == "bool":
        return [load, Assign(f"score_sum{r}", s.where(mask, value, s.Const(-np.inf)))]
    return [load, Assign(f"score_sum{r}", _unless(s.equal(mask, s.Const(-np.inf)), value + mask))]


def take_mask(form: Form) -> list[Statement]:
    """Turn the part of the mask that belongs to a panel and a block, so that its lanes lie along memory."""
    if not form.mask or form.lies == "same":
        return []
    base = s.Var("mask_base") + FIRST * s.Var("mask_row") + START * s.Var("mask_step")
    none = loops.constant(0, form.mask)
    clear = If(s.less(WIDTH, form.lanes), (fill("unseen", form, "looks", COUNT, none),))
    if form.lies == "along":
        return [clear, *turn("look", form, Rows("mask", base, s.Var("mask_row"), WIDTH, COUNT), "looks")]
    row, lane = s.Var("look_row"), s.Var("look_lane")
    load = Load("look", "mask", base + lane * s.Var("mask_row") + row * s.Var("mask_step"))
    copy: list[Statement] = [load, Store("looks", row * form.lanes + lane, s.Var("look"))]
    return [clear, loops.serial("look_row", COUNT, loops.vector("look_lane", WIDTH, form.lanes, *copy))]


def mask_scratch(form: Form) -> list[Statement]:
    """Declare what ``take_mask`` and ``masked`` need, and number the lanes."""
    if form.mask:
        return [form.array("looks", form.keys, form.mask)] if form.lies != "same" else []
    store = Store("ramp", s.Var("ramp_lane"), s.cast(s.Var("ramp_lane"), np.dtype(form.dtype)))
    return [form.array("ramp", 1), loops.vector("ramp_lane", form.lanes, form.lanes, store)]


def late_buffers(form: Form) -> list[loops.Buffer]:
    """Return the buffers of the stream and of the mask, those that there are."""
    streams = [loops.Buffer(name, np.dtype(np.uint32)) for name in form.streams]
    return streams + ([loops.Buffer("mask", np.dtype(form.mask))] if form.mask else [])


# --- dropout


def drop_numbers(form: Form) -> list[str]:
    """Return the name of the number that says how many weights are dropped, in parts of 65536."""
    return ["dropped"] if form.drops else []


def factors(form: Form) -> list[loops.Parameter]:
    """Return the numbers that scores and kept weights are multiplied by."""
    return [loops.Parameter(name, np.dtype(np.float64)) for name in ("scale", *(["share"] if form.drops else []))]


def take_stream(form: Form) -> list[Statement]:
    """Name the words of the matrix's stream, and from which number of 16 bits on weights are kept."""
    if not form.drops:
        return []
    statements: list[Statement] = [Let("fewest", s.cast(s.Var("dropped"), _U32))]
    for k in range(4):
        statements.append(Load(f"word{k}", "stream", s.Var("stream_base") + s.Var("stream_row") * k))
        statements.append(Let(f"drawn{k}", s.cast(s.Var(f"word{k}"), _U64)))
    return statements


def drop(form: Form, becomes: Callable[[Expr], s.Expr]) -> list[Statement]:
    """Say what dropped weights of the tile become; bits are those of `kernels.attention.kept`."""
    if not form.drops:
        return []
    group, lane = s.Var("drop_group"), s.Var("drop_lane")
    counter = s.Var("drop_keys"), s.Var("drop_query"), s.Var("drawn2"), s.Var("drawn3")
    mix, words = philox_parts.words("drop_word", counter, (s.Var("drawn0"), s.Var("drawn1")))
    changes: list[Statement] = [Let(f"drop_bits{k}", s.cast(word, _U32)) for k, word in enumerate(words)]
    for k in range(PER_BLOCK):
        place, weight = (group * PER_BLOCK + k) * form.lanes + lane, s.Var(f"drop_weight{k}")
        bits = s.Var(f"drop_bits{k // 2}")
        dropped = s.less(bits >> 16 if k % 2 else bits & 0xFFFF, s.Var("fewest"))
        changes.append(Load(weight.name, "tile", place))
        changes.append(Store("tile", place, s.where(dropped, becomes(weight), weight)))
    query = Let("drop_row", index(FIRST + lane)), Let("drop_query", s.cast(s.Var("drop_row"), _U64))
    block = Let("drop_block", index(START // PER_BLOCK + group)), Let("drop_keys", s.cast(s.Var("drop_block"), _U64))
    lanes = loops.vector("drop_lane", form.lanes, min(form.lanes, _DRAWN), *query, *mix, *changes)
    return [loops.serial("drop_group", (COUNT + (PER_BLOCK - 1)) // PER_BLOCK, *block, lanes)]


def visible(limit: Expr) -> Expr:
    """Return how many keys the panel's queries see of ``limit``: those up to the last query's where it is causal."""
    return limit - s.Var("causal") * s.maximum(ZERO, limit - (FIRST + WIDTH))


def blocks(start: Expr, stop: Expr, *body: Statement) -> list[Statement]:
    """Run ``body`` for each block of keys, which are ``count`` from ``start`` on."""
    thickness = s.Var("thickness")
    return [
        Let("stop", index(stop)),
        loops.serial(
            "block",
            (s.maximum(ZERO, s.Var("stop") - start) + (thickness - 1)) // thickness,
            Let("start", index(start + s.Var("block") * thickness)),
            Let("count", index(s.minimum(thickness, s.Var("stop") - START))),
            Let("crossing", index(s.Var("causal") * (START + COUNT - 1 - FIRST))),
            *body,
        ),
    ]

