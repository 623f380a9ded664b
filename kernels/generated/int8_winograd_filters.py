"""The loops that transform filters of bytes for tiles (`int8_winograd_loops`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.gemm_loops import TASK
from tensorlite.kernels.generated.int8_winograd_parts import FILTER, PRODUCTS, TAPS, WORD, apart, transform
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Statement, Store, index

_INT8 = np.dtype(np.int8)
_EXISTS = (1, 1 << 16)  # what adds a number to the lower half of a word, and to the upper one


@dataclass(frozen=True, slots=True)
class Form:
    """What the loops are specialised to: filters of a panel, and of vectors; ``weighted``: filters have zero points."""

    lanes: int
    square: int
    weighted: bool

    def key(self) -> str:
        """Return what names the kernel."""
        return f"winograd of bytes, filters {self}"


GAP = 16
"""Words between planes, a cache line: what belongs to one quad must not fall on one set of a cache."""

PARAMETERS = ("tasks", "blocks", "block", "quads", "channels", "m", "pitch", "weight_step")


def kernel(form: Form) -> loops.Kernel:
    """Return the loops from panels of quads (`quant`) to panels of pairs: [panels, products, quads, 2, lanes].

    A product's pairs are a plane, which ends with some words that nobody uses. A task is a block of a panel's quads.
    Channels 0 and 2 of a quad are a pair, and channels 1 and 3. Zero points are subtracted from filters that have them.
    """
    quads, pitch, lane, panel, quad = map(s.Var, ("quads", "pitch", "lane", "panel", "quad"))
    taps = TAPS * TAPS
    first = panel * form.lanes
    source = first // pitch * (quads * taps * pitch) + quad * (taps * pitch) + first % pitch
    loads: list[Statement] = [Load(f"w{tap}", "filters", s.Var("from") + tap * pitch + lane) for tap in range(taps)]
    if form.weighted:
        number = s.minimum(first + lane, s.Var("m") - 1)
        loads += [Load("zero", "weight_zero", number * s.Var("weight_step"))]
    pairs = [statement for half in (0, 1) for statement in _pair(form, half)]
    task = loops.parallel(
        "task",
        s.Var("tasks"),
        Let("panel", index(TASK // s.Var("blocks"))),
        Let("first_quad", index(TASK % s.Var("blocks") * s.Var("block"))),
        Let("plane", index(quads * (2 * form.lanes) + GAP)),
        loops.serial(
            "quad_here",
            s.minimum(s.Var("block"), quads - s.Var("first_quad")),
            Let("quad", index(s.Var("first_quad") + s.Var("quad_here"))),
            Let("from", index(source)),
            Let("to", index(panel * PRODUCTS * s.Var("plane") + quad * (2 * form.lanes))),
            *(_existing() if form.weighted else ()),
            loops.vector("lane", s.Const(form.lanes), form.square, *loads, *pairs),
        ),
    )
    zero = (Buffer("weight_zero", _INT8),) if form.weighted else ()
    out = Buffer("pairs", WORD, writable=True)
    return loops.build("winograd_filters_of_bytes", (Buffer("filters", WORD), *zero, out, *map(Parameter, PARAMETERS)),
                       (task,))  # fmt: skip


def _existing() -> list[Statement]:
    """Name what zero points of filters are multiplied by: the last quad may lack channels, and zeros stand there."""
    there = s.Var("channels") - s.Var("quad") * 4
    halves = [[s.where(s.Var("there") > 2 * k + half, s.cast(one, WORD), s.cast(0, WORD))
               for k, one in enumerate(_EXISTS)] for half in (0, 1)]  # fmt: skip
    return [Let("there", index(there)), *(Let(f"exist{half}", a + b) for half, (a, b) in enumerate(halves))]


def _pair(form: Form, half: int) -> list[Statement]:
    """Transform the taps of bytes ``half`` and ``half + 2`` of each quad, and store them."""
    names = [[f"g{half}_{i}_{j}" for j in range(TAPS)] for i in range(TAPS)]
    body: list[Statement] = []
    for number, name in enumerate(name for row in names for name in row):
        word = s.Var(f"w{number}")
        pair = (word << (24 - 8 * half) >> 24) + (word << (8 - 8 * half) >> 24 << 16)
        body.append(Let(name, pair - s.cast(s.Var("zero"), WORD) * s.Var(f"exist{half}") if form.weighted else pair))
    statements, found = transform(FILTER, names, f"u{half}")
    body += statements
    for number, name in enumerate(name for row in found for name in row):
        plane = s.Var("plane") * number
        body.append(Store("pairs", s.Var("to") + plane + half * form.lanes + s.Var("lane"), apart(s.Var(name))))
    return body
