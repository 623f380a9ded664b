"""The loops of sparse linear maps along an axis: each result is a sum of a few elements, weighed.

Arrays are seen as [outer, along, inner]. ``places`` and ``weights`` are tables [terms, along]. Where elements lie along
the last axis ("across"), the results of a line are lanes, which gather; else lanes are what lies behind the axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import Assign, Buffer, Let, Load, Local, Parameter, Statement, Store, index

DType = np.dtype[Any]

_VECTOR_BYTES = 64
_UNROLLED = 4
_TASK, _SIZE, _COUNT, _INNER, _TERM = (s.Var(name) for name in ("task", "size", "count", "inner", "term"))


@dataclass(frozen=True, slots=True)
class Resampling:
    """What kernels are specialised to: dtypes, how many terms a sum has (0: any number), and which way lanes lie."""

    dtype: DType
    place: DType
    weight: DType
    wide: DType
    terms: int
    across: bool

    def key(self) -> str:
        """Return what names the kernel."""
        names = (x.name for x in (self.dtype, self.place, self.weight, self.wide))
        return f"resample {' '.join(names)} {self.terms} {self.across}"


def few(terms: int) -> int:
    """Return the number of terms, if loops are written for it, or 0."""
    return terms if terms <= _UNROLLED else 0


def resampled(form: Resampling) -> loops.Kernel:
    """Return the loops; a task is a line of results: of an ``outer`` one, or of all ``inner`` ones at a place."""
    body = _across(form) if form.across else _along(form)
    buffers = (Buffer("x", form.dtype), Buffer("places", form.place), Buffer("weights", form.weight))
    numbers = ("tasks", "size", "count", "inner", "terms")
    task = loops.parallel("task", s.Var("tasks"), *body)
    return loops.build("resample", (*buffers, Buffer("out", form.dtype, writable=True), *map(Parameter, numbers)),
                       (task,))  # fmt: skip


def _across(form: Resampling) -> list[Statement]:
    j = s.Var("j")
    sums = _sum(form, j, lambda place: _TASK * _SIZE + place)
    line = (*sums, Store("out", _TASK * _COUNT + j, s.cast(s.Var("total"), form.dtype)))
    return [loops.vector("j", _COUNT, _lanes(form), *line)]


def _along(form: Resampling) -> list[Statement]:
    i, row = s.Var("i"), s.Var("row")
    named = [Let("row", index(_TASK % _COUNT)), Let("base", index(_TASK // _COUNT * _SIZE))]
    sums = _sum(form, row, lambda place: (s.Var("base") + place) * _INNER + i)
    line = (*sums, Store("out", _TASK * _INNER + i, s.cast(s.Var("total"), form.dtype)))
    return [*named, loops.vector("i", _INNER, _lanes(form), *line)]


def _sum(form: Resampling, result: s.Expr, at: Any) -> list[Statement]:
    """Add up the terms of a result of the table."""
    entry = _TERM * _COUNT + result
    weighed = s.cast(s.Var("v"), form.wide) * s.cast(s.Var("w"), form.wide)
    term = (
        Load("p", "places", entry),
        Load("w", "weights", entry),
        Let("place", s.cast(s.Var("p"), loops.INDEX)),
        Load("v", "x", at(s.Var("place"))),
        Assign("total", s.Var("total") + weighed),
    )
    walk = loops.unroll("term", form.terms, *term) if form.terms else loops.serial("term", s.Var("terms"), *term)
    return [Local("total", loops.constant(0, form.wide)), walk]


def _lanes(form: Resampling) -> int:
    return _VECTOR_BYTES // form.wide.itemsize * (1 if form.across else 2)
