"""The loops that read and write at places which integers name, along one axis of an array or several.

A place that an axis does not have raises a flag; it is read as place 0, and nothing is written there. Where places
coincide, writes follow each other in the order of the index whatever the number of threads: these share the dimensions
that the index does not name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.rows import Rows
from tensorlite.kernels.loops import INDEX, Buffer, Flag, Let, Load, Parameter, Statement, Store, index

DType = np.dtype[Any]

_I, _COUNT = s.Var("i"), s.Var("count")
_VECTOR_BYTES = 64


@dataclass(frozen=True, slots=True)
class Places:
    """The arrays of places, by dtype: one for each axis that they name.

    ``from_end``: negative ones count from the end. ``ignoring``: there is a number that names nothing, and is no fault.
    """

    dtypes: tuple[DType, ...]
    from_end: bool = False
    ignoring: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return [f"at{k}_" for k in range(len(self.dtypes))]

    @property
    def buffers(self) -> list[Buffer]:
        """The arrays as buffers."""
        return [Buffer(name, dtype) for name, dtype in zip(self.names, self.dtypes, strict=True)]

    @property
    def parameters(self) -> list[Parameter]:
        """The extents of the axes, their strides, and the number that is ignored."""
        numbers = [f"{what}{k}" for k in range(len(self.dtypes)) for what in ("size", "along")]
        return [Parameter(name) for name in (*numbers, *(["ignored"] if self.ignoring else []))]

    def read(self, k: int, place: s.Expr) -> list[Statement]:
        """Load a place, and name what it says: ``safe`` within the axis, ``outside`` if it was not."""
        raw, at, size = s.Var(f"raw{k}"), s.Var(f"counted{k}"), s.Var(f"size{k}")
        first = s.cast(s.Var(f"loaded{k}"), INDEX)
        counted = _counted(raw, size, self.dtypes[k]) if self.from_end else raw
        outside = s.logical_or(s.less(at, 0), s.greater_equal(at, size))
        named: list[Statement] = [Load(f"loaded{k}", f"at{k}_", place), Let(raw.name, first), Let(at.name, counted)]
        if self.ignoring:
            skipped = s.equal(raw, s.Var("ignored"))
            named += [Let(f"skipped{k}", skipped), Let(f"beyond{k}", outside)]
            named += [Flag("fault", s.logical_and(s.Var(f"beyond{k}"), s.logical_not(s.Var(f"skipped{k}"))))]
            named += [Let(f"outside{k}", s.logical_or(s.Var(f"beyond{k}"), s.Var(f"skipped{k}")))]
        else:
            named += [Let(f"outside{k}", outside), Flag("fault", s.Var(f"outside{k}"))]
        return [*named, Let(f"safe{k}", s.where(s.Var(f"outside{k}"), 0, at))]

    @property
    def offset(self) -> s.Expr:
        """How far into the array the places lead."""
        terms = [s.Var(f"safe{k}") * s.Var(f"along{k}") for k in range(len(self.dtypes))]
        return reduce(lambda a, b: a + b, terms)

    @property
    def is_outside(self) -> s.Expr:
        """Whether one of the places is none."""
        flags: list[s.Expr] = [s.Var(f"outside{k}") for k in range(len(self.dtypes))]
        return reduce(s.logical_or, flags)


def _counted(place: s.Expr, size: s.Expr, dtype: DType) -> s.Expr:
    """Return a place counted from the front. Unsigned ones beyond int64 look negative, and are no places."""
    return place if dtype.kind == "u" else s.where(s.less(place, 0), place + size, place)


def lanes(dtype: DType, rows: Rows) -> int:
    """Return a vector of the dtype, or two where memory is contiguous."""
    return _VECTOR_BYTES // dtype.itemsize * (1 if "s" in rows.runs else 2)


def _split(rows: Rows, places: Places, offsets: dict[str, s.Expr]) -> tuple[list[Statement], list[Statement]]:
    """Return the reads of places that are the same for all columns, and the others."""
    before: list[Statement] = []
    within: list[Statement] = []
    for k, name in enumerate(places.names):
        read = places.read(k, rows.place(name, _I) + offsets.get(name, s.Const(0)))
        (before if rows.run(name) == "b" else within).extend(read)
    return before, within


def read(dtype: DType, target: DType, places: Places, rows: Rows) -> loops.Kernel:
    """Return the loops of ``out[...] = x[..., at, ...]``; 0 where a place is ignored."""
    before, within = _split(rows, places, {})
    value = s.cast(s.Var("v"), target)
    if places.ignoring:
        within.append(Let("kept", s.where(places.is_outside, 0, s.Var("v"))))
        value = s.cast(s.Var("kept"), target)
    load = Load("v", "x", rows.place("x", _I) + places.offset)
    if places.ignoring:
        within.insert(-1, load)
    else:
        within.append(load)
    store = Store("out", rows.place("out", _I), value)
    columns = (*before, loops.vector("i", _COUNT, lanes(target, rows), *within, store))
    buffers = (Buffer("x", dtype), *places.buffers, Buffer("out", target, writable=True), _fault())
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, *places.parameters)
    return loops.build("read_at", parameters, (rows.loop(columns),))


def _fault() -> Buffer:
    return Buffer("fault", INDEX, writable=True)


#: What becomes of a number and another one that is written to its place.
JOINS: dict[str, Callable[[s.Expr, s.Expr], s.Expr]] = {
    "": lambda old, new: new,
    "add": lambda old, new: old + new,
    "prod": lambda old, new: old * new,
    "amax": s.maximum,
    "amin": s.minimum,
}


def write(
    dtype: DType, target: DType, places: Places, rows: Rows, turns: int, join: str, by_vectors: bool
) -> loops.Kernel:
    """Return the loops of ``out[..., at, ...] = x[...]``, or of a ``join`` of both, in the index' order.

    ``rows`` walks the dimensions that the index does not name; the ``turns`` dimensions that it has are serial loops.
    """
    sources = ("x", *places.names)
    offsets = {name: _turn(name, turns) for name in sources}
    before, within = _split(rows, places, offsets)
    old, new = s.Var("old"), s.cast(s.Var("v"), target)
    place = rows.place("out", _I) + places.offset
    add: list[Statement] = [
        *within,
        Load("v", "x", rows.place("x", _I) + offsets["x"]),
        Load("old", "out", place),
        Let("new", JOINS[join](old, new)),
        Store("out", place, s.where(places.is_outside, old, s.Var("new"))),
    ]
    columns = loops.vector("i", _COUNT, lanes(target, rows), *add) if by_vectors else loops.serial("i", _COUNT, *add)
    nest: tuple[Statement, ...] = (*before, columns)
    for turn in reversed(range(turns)):
        nest = (loops.serial(f"turn{turn}", s.Var(f"turns{turn}"), *nest),)
    buffers = (Buffer("x", dtype), *places.buffers, Buffer("out", target, writable=True), _fault())
    own = [Parameter(f"turns{d}") for d in range(turns)]
    strides = [Parameter(f"{name}_turn{d}") for name in sources for d in range(turns)]
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, *places.parameters, *own, *strides)
    return loops.build("write_at", parameters, (rows.loop(nest),))


def _turn(name: str, turns: int) -> s.Expr:
    offset: s.Expr = s.Const(0)
    for d in range(turns):
        offset = offset + s.Var(f"turn{d}") * s.Var(f"{name}_turn{d}")
    return offset


def one_hot(dtype: DType, place: DType, rows: Rows) -> loops.Kernel:
    """Return the loops of ``out[..., c] = at[...] == c``; ``rows`` has the classes as its columns."""
    at, classes = s.Var("at"), s.Var("classes")
    row = (
        Load("loaded", "at_", rows.place("at_", s.Const(0))),
        Let("at", s.cast(s.Var("loaded"), INDEX)),
        Flag("fault", s.logical_or(s.less(at, 0), s.greater_equal(at, classes))),
    )
    column = Let("column", index(s.Var("start") + _I))
    store = Store("out", rows.place("out", _I), s.cast(s.equal(at, s.Var("column")), dtype))
    columns = loops.vector("i", _COUNT, _VECTOR_BYTES // dtype.itemsize, column, store)
    buffers = (Buffer("at_", place), Buffer("out", dtype, writable=True), _fault())
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, Parameter("classes"))
    return loops.build("one_hot", parameters, (rows.loop((*row, columns)),))


def known_classes(dtype: DType, rows: Rows) -> loops.Kernel:
    """Return the loops that copy classes, and look whether each is one or is ignored."""
    at, classes = s.Var("at"), s.Var("classes")
    outside = s.logical_or(s.less(at, 0), s.greater_equal(at, classes))
    body = (
        Load("loaded", "x", rows.place("x", _I)),
        Let("at", s.cast(s.Var("loaded"), INDEX)),
        Flag("fault", s.logical_and(outside, s.not_equal(at, s.Var("ignored")))),
        Store("out", rows.place("out", _I), s.Var("loaded")),
    )
    buffers = (Buffer("x", dtype), Buffer("out", dtype, writable=True), _fault())
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, *map(Parameter, ("classes", "ignored")))
    columns = loops.vector("i", _COUNT, _VECTOR_BYTES // INDEX.itemsize, *body)
    return loops.build("known_classes", parameters, (rows.loop((columns,)),))


def from_the_front(dtype: DType, rows: Rows) -> loops.Kernel:
    """Return the loops that count places below 0 from the end of an axis."""
    at, extent = s.Var("at"), s.Var("extent")
    raw = s.cast(s.Var("loaded"), INDEX)
    body = (
        Load("loaded", "x", rows.place("x", _I)),
        Let("raw", raw),
        Let("at", _counted(s.Var("raw"), extent, dtype)),
        Flag("fault", s.logical_or(s.less(at, 0), s.greater_equal(at, extent))),
        Store("out", rows.place("out", _I), s.cast(at, dtype)),
    )
    buffers = (Buffer("x", dtype), Buffer("out", dtype, writable=True), _fault())
    parameters: tuple[Buffer | Parameter, ...] = (*buffers, *rows.parameters, Parameter("extent"))
    columns = loops.vector("i", _COUNT, _VECTOR_BYTES // INDEX.itemsize, *body)
    return loops.build("from_the_front", parameters, (rows.loop((columns,)),))
