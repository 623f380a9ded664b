"""The statements that copy some lines of an image's plane of bytes between borders, for products that read bytes."""

from __future__ import annotations

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.int8_pack_loops import BYTE, by_pieces
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Scratch, Statement, Store, index

MOST_BYTES = 1 << 13
"""As many bytes may lie between borders: they stay in the first cache."""

BEYOND = 64
"""So many bytes more may be read: whole vectors are."""

_ZERO = s.Const(0)
_FILLED = 64

BUFFERS = (Buffer("source", BYTE), Buffer("zero", BYTE))
PARAMETERS = (
    *map(Parameter, ("source_image", "source_part", "source_line", "source_height", "source_width", "top", "left")),
    *map(Parameter, ("rows_step", "rows_span", "row_pitch")),
    Parameter("flip", BYTE),
)


def bordered(fewest: int) -> list[Statement]:
    """Fill ``x``, rows of ``row_pitch`` bytes, with what ``lines`` lines of windows see, from ``first_line`` on.

    Where these are fewer than ``fewest``, lines that do not exist see something too.
    """
    first, pitch, left = s.Var("row_first"), s.Var("row_pitch"), s.Var("left")
    seen, top = s.Var("row_seen"), s.Var("top")
    rows = (s.maximum(s.Var("lines"), s.Const(fewest)) - 1) * s.Var("rows_step") + s.Var("rows_span")
    source = s.Var("image") * s.Var("source_image") + s.Var("part") * s.Var("source_part")
    source = source + (s.Var("row_start") + first - top) * s.Var("source_line")
    whole = (s.Var("rows") * pitch + (BEYOND + _FILLED - 1)) // _FILLED * _FILLED

    def copied(at: s.Expr, name: str) -> list[Statement]:
        value = s.Var(f"{name}_byte") ^ s.Var("flip")
        load = Load(f"{name}_byte", "source", s.Var(f"{name}_from") + at)
        return [load, Store("x", s.Var(f"{name}_to") + at, value)]

    def each(copy: list[Statement], name: str) -> loops.For:
        row = s.Var(f"{name}_row")
        start = Let(f"{name}_from", index(s.Var("row_source") + row * s.Var("source_line")))
        to = Let(f"{name}_to", index(s.Var("row_place") + row * pitch))
        return loops.serial(row.name, s.maximum(_ZERO, seen - first), start, to, *copy)

    return [
        Scratch("x", BYTE, MOST_BYTES + BEYOND + _FILLED),
        Load("zero_point", "zero", _ZERO),
        Let("border", s.Var("zero_point") ^ s.Var("flip")),
        Let("rows", index(rows)),
        Let("row_start", index(s.Var("first_line") * s.Var("rows_step"))),
        Let("row_first", index(s.minimum(s.Var("rows"), s.maximum(_ZERO, top - s.Var("row_start"))))),
        Let("row_seen", index(s.minimum(s.Var("rows"), s.Var("source_height") + top - s.Var("row_start")))),
        Let("row_source", index(source)),
        Let("row_count", index(s.maximum(_ZERO, s.minimum(s.Var("source_width"), pitch - left)))),
        loops.vector("z", whole, _FILLED, Store("x", s.Var("z"), s.Var("border"))),
        Let("row_place", index(first * pitch + left)),
        *by_pieces("x", s.Var("row_count"), (32, 16, 4), copied, each),
    ]
