"""The loops of short sums and of few filters in a group: the pixels of a line are lanes, filters are broadcast.

Results of a filter lie along memory, as the lanes do, so that nothing is turned; and what a filter's sums start from
and are scaled by is one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import conv_parts as parts
from tensorlite.kernels.generated import gemm_loops as gemm
from tensorlite.kernels.generated.gemm_loops import LANE, TASK, Epilogue
from tensorlite.kernels.generated.int8_border_loops import BUFFERS, PARAMETERS, bordered
from tensorlite.kernels.generated.int8_pack_loops import WORD, by_pieces
from tensorlite.kernels.loops import (
    INDEX,
    Assign,
    Buffer,
    Let,
    Load,
    Local,
    Parameter,
    Scratch,
    Statement,
    Store,
    index,
)
from tensorlite.kernels.scalar.primitive import dot4

MOST_TERMS = 256
"""The length of a sum, in quads: there is memory for the offsets of so many."""

_RESULTS = 4096  # of narrow lines
_LINE = 64  # bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What the loops are specialised to: the epilogue, and how much is taken at once: some filters by some vectors.

    The epilogue's letters say how operands run along pixels, or that they are the same for all filters too ("c"). Its
    ``e0`` is what sums start from. ``narrow``: a run has fewer pixels than a vector has lanes. ``step``: x is bytes of
    a plane, neighbours make quads, and pixels are so far apart; x is quads if it is 0. ``stacked``:
    the vectors are one below the other; else they follow each other. ``rows``: of such bytes, what is read for one line
    is used for the others; how many rows a filter has, and how far apart the lines and the rows are.
    """

    epilogue: Epilogue
    lanes: int
    filters: int
    vectors: int
    narrow: bool
    stacked: bool
    step: int = 0
    rows: tuple[int, int, int] | None = None

    def key(self) -> str:
        """Return what names the kernel."""
        taken = f"{self.lanes} {self.filters} {self.vectors} {self.narrow} {self.stacked} {self.step} {self.rows}"
        return f"direct product {taken} {self.epilogue.text()}"

    @property
    def operands(self) -> list[tuple[str, str]]:
        """The names and letters of the epilogue's operands."""
        return list(zip(self.epilogue.names, self.epilogue.letters, strict=True))

    @property
    def most_pixels(self) -> int:
        """How many pixels of a task there may be, if these are ``narrow``."""
        return _RESULTS // self.filters - (self.vectors + 1) * self.lanes

    @property
    def result(self) -> np.dtype[Any]:
        """The dtype of the results."""
        return np.dtype(self.epilogue.outputs[0])


def parameters(form: Form) -> list[str]:
    """Return the names of the numbers of ``kernel``, in order."""
    names = ["tasks", "bands", "band", "blocks", "block", "parts", "m", "terms", "depth", "taps_down", "taps_across"]
    names += [*parts.TAPS, "x_base", "x_image", "x_part", "x_channel", "x_line", "w_part", "w_pitch", "height", "width"]
    names += ["out_first"]
    return names + [f"{name}_{what}" for name in form.epilogue.names for what in ("row", "channel")]


def kernel(form: Form) -> loops.Kernel:
    """Return the loops, of buffers x and filters in quads and those of the epilogue.

    A task is some of the ``height`` runs of ``width`` pixels of an image, and a block of a group's filters, which lies
    in one panel. Of pixels at the end of a run, and of filters at the end of a block, some may be computed twice.
    """
    c, across = s.Var("c"), s.Const(1) if form.narrow else (s.Var("width") + (form.lanes - 1)) // form.lanes
    number = c * s.Var("taps") + s.Var("tap")
    table = Store("x_table", number, index(c * s.Var("x_channel") + s.Var("tap_place")))
    shared, value = _shared(form)
    several = s.Var("lines") if form.stacked else s.Var("lines") * s.Var("across")
    pixels = loops.serial("chunk", s.Var("chunks"), *_places(form), *_sums(form, value))
    if form.stacked:
        columns = loops.serial("column", s.Var("across"), *_columns(form), *_sums(form, value))
        pixels = loops.serial("chunk", s.Var("chunks"), *_lines(form), columns)
    few = [*_starts(form), pixels]
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        *_where(form),
        Scratch("x_table", INDEX, MOST_TERMS),
        Let("taps", index(s.Var("taps_down") * s.Var("taps_across"))),
        parts.each_tap(loops.serial("c", s.Var("depth"), table)),
        *shared,
        Let("across", index(across)),
        Let("chunks", index((several + (form.vectors - 1)) // form.vectors)),
        *((Scratch("results", form.result, _RESULTS),) if form.narrow else ()),
        *(bordered(form.vectors if form.rows else 1) if form.step else ()),
        loops.serial("few", (s.Var("count") + (form.filters - 1)) // form.filters, *few, *_copied(form)),
    )
    read = BUFFERS if form.step else (Buffer("x", WORD),)
    numbers = (*map(Parameter, parameters(form)), *(PARAMETERS if form.step else ()))
    return loops.build("direct", (*read, Buffer("filters", WORD), *gemm.outputs(form.epilogue), *numbers), (task,))


def _shared(form: Form) -> tuple[list[Statement], s.Expr]:
    """Return what is found once a task, of operands that are the same for all filters, and the value made of that."""
    value = form.epilogue.values[0]
    same = {name for name, letter in form.operands if letter == "c"}
    alone = [node for node in s.postorder(value) if set(s.free_variables(node)) & same
             and set(s.free_variables(node)) <= same]  # fmt: skip
    inner = {arg for node in alone for arg in node.args}
    named = {node: s.Var(f"shared{k}") for k, node in enumerate(node for node in alone if node not in inner)}
    loads = [Load(name, f"{name}_buffer", s.Const(0)) for name in sorted(same)]
    return [*loads, *(Let(var.name, node) for node, var in named.items())], s.substitute(value, dict(named))


def _where(form: Form) -> list[Statement]:
    """Name the task's image, group, filters and lines, and where they begin."""
    rest, place, own, pitch = s.Var("task_rest"), s.Var("task_place"), s.Var("own"), s.Var("w_pitch")
    x_start = s.Var("x_base") + s.Var("image") * s.Var("x_image") + s.Var("part") * s.Var("x_part")
    panel = s.Var("part") * s.Var("w_part") + own // pitch * (s.Var("terms") * pitch) + own % pitch
    first_plane = s.Var("image") * (s.Var("parts") * s.Var("m")) + s.Var("first_filter")
    return [
        Let("first_line", index(TASK % s.Var("bands") * s.Var("band"))),
        Let("lines", index(s.minimum(s.Var("band"), s.Var("height") - s.Var("first_line")))),
        Let("task_rest", index(TASK // s.Var("bands"))),
        Let("own", index(rest % s.Var("blocks") * s.Var("block"))),
        Let("count", index(s.minimum(s.Var("block"), s.Var("m") - own))),
        Let("task_place", index(rest // s.Var("blocks"))),
        Let("part", index(place % s.Var("parts"))),
        Let("image", index(place // s.Var("parts"))),
        Let("x_start", index(s.Const(0) if form.step else x_start + s.Var("first_line") * s.Var("x_line"))),
        Let("w_start", index(panel)),
        Let("first_filter", index(s.Var("part") * s.Var("m") + own)),
        Let("plane", index(s.Var("height") * s.Var("width"))),
        Let("first_pixel", index(s.Var("image") * s.Var("plane") + s.Var("first_line") * s.Var("width"))),
        Let("start", index(s.Var("out_first") + first_plane * s.Var("plane") + s.Var("first_line") * s.Var("width"))),
    ]


def _starts(form: Form) -> list[Statement]:
    """Name some filters, and load what their sums start from."""
    found: list[Statement] = []
    for r in range(form.filters):
        number = s.minimum(s.Var("few") * form.filters + r, s.Var("count") - 1)
        found += [
            Let(f"number{r}", index(number)),
            Let(f"w{r}", index(s.Var("w_start") + s.Var(f"number{r}"))),
            Let(f"filter{r}", index(s.Var("first_filter") + s.Var(f"number{r}"))),
            Let(f"start{r}", index(s.Var("start") + s.Var(f"number{r}") * s.Var("plane"))),
            Load(f"begun{r}", "e0_buffer", s.Var(f"filter{r}") * s.Var("e0_channel")),
        ]
    return found


def _places(form: Form) -> list[Statement]:
    """Name where the vectors of a chunk are, each in a line: after the last vector of one comes the next one's first.

    After the last line that comes again. The last vector of a line ends with it.
    """
    across, width = s.Var("across"), s.Var("width")
    number = s.Var("chunk") * form.vectors
    found: list[Statement] = [Let("y0", index(number // across)), Let("k0", index(number % across))]
    for u in range(form.vectors):
        y, k = s.Var(f"y{u}"), s.Var(f"k{u}")
        place = s.Var("x_start") + s.Var(f"line{u}") * s.Var("x_line")
        at = s.Const(0) if form.narrow else s.minimum(k * form.lanes, width - form.lanes)
        found += [
            Let(f"line{u}", index(s.minimum(y, s.Var("lines") - 1))),
            Let(f"at{u}", index(at)),
            Let(f"from{u}", index(place + s.Var(f"at{u}") * (form.step or 1))),
            Let(f"pixel{u}", index(s.Var(f"line{u}") * width + s.Var(f"at{u}"))),
            Let(f"ends{u}", index(s.maximum(s.Const(0), k + 2 - across))),
            Let(f"y{u + 1}", index(y + s.Var(f"ends{u}"))),
            Let(f"k{u + 1}", index(k + 1 - s.Var(f"ends{u}") * across)),
        ]
    return found


def _lines(form: Form) -> list[Statement]:
    """Name where the lines of a chunk are.

    At the end lines come twice, or, where there are fewer than vectors, some that do not exist.
    """
    last = s.Var("lines") - 1
    first = s.minimum(s.Var("chunk") * form.vectors, s.Var("lines") - form.vectors)
    found: list[Statement] = [Let("top_line", index(s.maximum(s.Const(0), first)))]
    for u in range(form.vectors):
        line, seen = s.Var("top_line") + u, s.Var(f"line{u}")
        found += [
            Let(seen.name, index(s.minimum(line, last))),
            Let(f"line_from{u}", index(s.Var("x_start") + seen * s.Var("x_line"))),
            Let(f"line_pixel{u}", index((line if form.narrow else seen) * s.Var("width"))),
        ]
    return found


def _columns(form: Form) -> list[Statement]:
    """Name where the vectors are in these lines, one below the other. The last ones end with the lines."""
    at = s.minimum(s.Var("column") * form.lanes, s.Var("width") - form.lanes)
    found: list[Statement] = [Let("at", index(s.Const(0) if form.narrow else at))]
    for u in range(form.vectors):
        found += [
            Let(f"from{u}", index(s.Var(f"line_from{u}") + s.Var("at") * (form.step or 1))),
            Let(f"pixel{u}", index(s.Var(f"line_pixel{u}") + s.Var("at"))),
        ]
    return found


def _sums(form: Form, value: s.Expr) -> list[Statement]:
    """Return the sums of some filters at some pixels, and what becomes of them."""
    numbers = [(r, u) for r in range(form.filters) for u in range(form.vectors)]
    locals_ = [Local(f"sum{r}_{u}", s.Var(f"begun{r}")) for r, u in numbers]
    done = numbers if form.narrow else numbers[::-1]  # of vectors that fall together, the first is right
    finish = [statement for r, u in done for statement in _finished(form, value, r, u)]
    sums = _shared_rows(form) if form.rows else _terms(form)
    soon = [(r, u) for r, u in numbers if not form.narrow and u * form.lanes * form.result.itemsize % _LINE == 0]
    return [
        *(loops.Prefetch("out0", s.Var(f"start{r}") + s.Var(f"pixel{u}")) for r, u in soon),
        loops.vector("lane", s.Const(form.lanes), form.lanes, *locals_, sums, *finish),
    ]


def _terms(form: Form) -> loops.For:
    """Add the products, term by term."""
    p = s.Var("p")
    body: list[Statement] = [Load("x_tap", "x_table", p)]
    for u in range(form.vectors):
        at = s.Var(f"from{u}") + s.Var("x_tap") + LANE * (form.step or 1)
        body.append(Load(f"seen{u}", "x", at, WORD if form.step else None))
    for r in range(form.filters):
        body.append(Load(f"four{r}", "filters", s.Var(f"w{r}") + p * s.Var("w_pitch")))
        body += [Assign(f"sum{r}_{u}", dot4(f"sum{r}_{u}", f"seen{u}", f"four{r}")) for u in range(form.vectors)]
    return loops.serial("p", s.Var("terms"), *body)


def _shared_rows(form: Form) -> loops.For:
    """Add the products row by row: what is read there meets a row of the filter for each line that sees it."""
    assert form.rows is not None
    taps, down, dilation = form.rows
    body: list[Statement] = []
    for r in range(form.filters):
        for i in range(taps):
            place = s.Var(f"w{r}") + (s.Var("quad") * taps + i) * s.Var("w_pitch")
            body.append(Load(f"four{r}_{i}", "filters", place))
    meets: dict[int, list[tuple[int, int]]] = {}
    for u, i in product(range(form.vectors), range(taps)):
        meets.setdefault(u * down + i * dilation, []).append((u, i))
    for row in sorted(meets):
        at = s.Var("from0") + row * s.Var("row_pitch") + s.Var("quad") * 4 + LANE * form.step
        body.append(Load(f"seen{row}", "x", at, WORD))
        for (u, i), r in product(meets[row], range(form.filters)):
            body.append(Assign(f"sum{r}_{u}", dot4(f"sum{r}_{u}", f"seen{row}", f"four{r}_{i}")))
    return loops.serial("quad", s.Var("depth"), *body)


def _finished(form: Form, value: s.Expr, r: int, u: int) -> list[Statement]:
    """Return what makes results of the sums of filter ``r`` and vector ``u`` of some."""
    found: list[Statement] = []
    named: dict[s.Expr, s.Expr] = {s.Var("product"): s.Var(f"sum{r}_{u}")}
    pixel = s.Var("first_pixel") + s.Var(f"pixel{u}") + LANE
    for name, letter in form.operands[1:]:
        if letter == "c":
            continue
        at, operand = s.Var(f"filter{r}") * s.Var(f"{name}_channel"), s.Var(f"{name}_{r}_{u}")
        at = {"b": at, "u": at + pixel}.get(letter, at + pixel * s.Var(f"{name}_row"))
        named[s.Var(name)] = operand
        found.append(Load(operand.name, f"{name}_buffer", at))
    result = s.cast(s.substitute(value, named), form.result)
    at = s.Var(f"pixel{u}") + LANE
    if form.narrow:  # what is beyond the end of a line gives way to the next line
        return [*found, Store("results", at + r * (_RESULTS // form.filters), result)]
    return [*found, Store("out0", s.Var(f"start{r}") + at, result)]


def _copied(form: Form) -> list[Statement]:
    """Return the copy of narrow lines' results, which follow each other without gaps."""
    if not form.narrow:
        return []
    r, place = s.Var("done_r"), s.Var("few") * form.filters + s.Var("done_r")

    def copied(at: s.Expr, name: str) -> list[Statement]:
        load = Load(f"{name}_moved", "results", r * (_RESULTS // form.filters) + at)
        return [load, Store("out0", s.Var("done_start") + at, s.Var(f"{name}_moved"))]

    return [
        loops.serial(
            "done_r",
            s.minimum(s.Const(form.filters), s.Var("count") - s.Var("few") * form.filters),
            Let("done_start", index(s.Var("start") + place * s.Var("plane"))),
            *by_pieces("done", s.Var("lines") * s.Var("width"), (32, 8), copied),
        )
    ]
