"""The loops of sums over paths through a chain of states, one time step after the other; sequences are tasks.

In a step a path stays, or goes on by one state or two. States are the lanes: those of a step need only the step before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Statement, Store, index

DType = np.dtype[Any]

_T, _N = s.Var("t"), s.Var("n")
_STEPS, _BATCH, _STATES = s.Var("steps"), s.Var("batch"), s.Var("states")
_NUMBERS = (Parameter("steps"), Parameter("batch"), Parameter("states"))
_VECTOR_BYTES = 64


def paths(dtype: DType) -> loops.Kernel:
    """Return the loops of ``y[t+1, i] = x[t, i] + log(exp(y[t, i]) + exp(y[t, i-1]) + exp(y[t, i-2] + skip[i-2]))``.

    The first row is given.
    """
    start = Let("from_", index(_N * _STATES))
    given = loops.vector("i0", _STATES, _lanes(dtype), Load("given", "first", s.Var("from_") + s.Var("i0")),
                         Store("out", s.Var("from_") + s.Var("i0"), s.Var("given")))  # fmt: skip
    rows = (Let("row", index((_T * _BATCH + _N) * _STATES)), Let("next_", index(s.Var("row") + _BATCH * _STATES)))
    step: tuple[Statement, ...] = (*rows, *_by_reach(dtype, (0, 1, 2), _sum_of_paths))
    buffers = (*(Buffer(name, dtype) for name in ("x", "skip", "first")), Buffer("out", dtype, writable=True))
    body = loops.parallel("n", _BATCH, start, given, loops.serial("t", _STEPS, *step))
    return loops.build("paths", (*buffers, *_NUMBERS), (body,))


def _lanes(dtype: DType) -> int:
    return _VECTOR_BYTES // dtype.itemsize


def _by_reach(
    dtype: DType, starts: tuple[Any, Any, Any], body: Callable[[int, s.Expr], Iterator[Statement]]
) -> Iterator[loops.For]:
    """The loops over the states of one edge, of two and of three; the first two are one state each, if it is there."""
    extents = (s.minimum(_STATES, 1), s.minimum(s.maximum(_STATES - 1, 0), 1), s.maximum(_STATES - 2, 0))
    for reach, start, extent in zip((1, 2, 3), starts, extents, strict=True):
        place = s.Var(f"place{reach}")
        statements = (Let(place.name, index(start + s.Var(f"i{reach}"))), *body(reach, place))
        yield (loops.serial(f"i{reach}", extent, *statements) if reach < 3
               else loops.vector(f"i{reach}", extent, _lanes(dtype), *statements))  # fmt: skip


def _sum_of_paths(reach: int, place: s.Expr) -> Iterator[Statement]:
    """One state's paths, which come along so many edges."""
    parts: list[s.Expr] = []
    for k in range(reach):
        before = s.Var(f"before{reach}{k}")
        yield Load(before.name, "out", s.Var("row") + place - k)
        parts.append(before)
    if reach == 3:
        yield Load("skipped", "skip", _N * (_STATES - 2) + place - 2)
        parts[2] = parts[2] + s.Var("skipped")
    top, base = s.Var(f"top{reach}"), s.Var(f"base{reach}")
    yield Load(f"term{reach}", "x", s.Var("row") + place)
    yield Let(top.name, reduce(s.maximum, parts))
    yield Let(base.name, s.where(s.isinf(top), 0, top))
    total = sum((s.exp(part - base) for part in parts[1:]), s.exp(parts[0] - base))
    yield Store("out", s.Var("next_") + place, base + s.log(total) + s.Var(f"term{reach}"))


def flow(dtype: DType, back: bool) -> loops.Kernel:
    """Return the loops of ``y[t+1, i] = x[t+1, i] + w0[t, i] y[t, i] + w1[t, i-1] y[t, i-1] + w2[t, i-2] y[t, i-2]``.

    Weights are numbered by where their edges start. ``back`` runs from the last row to the first along the same edges.
    """
    last = index(((_STEPS - 1) * _BATCH if back else 0) * _STATES + _N * _STATES)
    given = loops.vector("i0", _STATES, _lanes(dtype), Load("given", "x", s.Var("last") + s.Var("i0")),
                         Store("out", s.Var("last") + s.Var("i0"), s.Var("given")))  # fmt: skip
    edge = Let("edge", index((_STEPS - 2 - _T if back else _T) * _BATCH + _N))
    early, late = s.Var("edge") * _STATES, (s.Var("edge") + _BATCH) * _STATES
    rows = (edge, Let("here", index(early if back else late)), Let("there", index(late if back else early)))
    starts = (_STATES - 1, _STATES - 2, 0) if back else (0, 1, 2)
    steps = loops.serial("t", _STEPS - 1, *rows, *_by_reach(dtype, starts, partial(_sum_of_edges, back=back)))
    buffers = (*(Buffer(name, dtype) for name in ("x", "w0", "w1", "w2")), Buffer("out", dtype, writable=True))
    body = loops.parallel("n", _BATCH, Let("last", last), given, steps)
    return loops.build("flow", (*buffers, *_NUMBERS), (body,))


def _sum_of_edges(reach: int, place: s.Expr, back: bool) -> Iterator[Statement]:
    """One state's sum over as many edges as there are from it, or to it."""
    yield Load(f"x{reach}", "x", s.Var("here") + place)
    total: s.Expr = s.Var(f"x{reach}")
    for k in range(reach):
        weight, other = s.Var(f"weight{reach}{k}"), s.Var(f"other{reach}{k}")
        yield Load(weight.name, f"w{k}", s.Var("edge") * (_STATES - k) + (place if back else place - k))
        yield Load(other.name, "out", s.Var("there") + (place + k if back else place - k))
        total = total + weight * other
    yield Store("out", s.Var("here") + place, total)
