"""The loops of the transform of filters for Winograd convolutions, into panels of the products that they are for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.gemm_loops import Schedule
from tensorlite.kernels.generated.winograd_tiles import GAP
from tensorlite.kernels.generated.winograd_transforms import Lanes, in_vectors, transform_square
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Scratch, Statement, Store, Transpose, index
from tensorlite.kernels.winograd import winograd


@dataclass(frozen=True, slots=True)
class Filters:
    """How filters lie: "columns" if those of a result's channel are one run in memory, "near" if those of the results'
    channels are, else "any". ``sign`` is that of the step from a tap to the next; of "any" filters it may be any.
    """

    schedule: Schedule
    m: int
    r: int
    how: str
    sign: int

    @property
    def channels(self) -> int:
        """How many channels are turned at once."""
        return self.schedule.square if self.how == "columns" else 1

    def key(self) -> str:
        """Return what names the kernel."""
        return f"winograd-{self.m}x{self.m} filters {self}"


FILTER_NUMBERS = ("depth", "filters", "w_base", "w_row", "w_channel", "w_down", "w_across")


def filter_kernel(form: Filters) -> loops.Kernel:
    """Return the loops of the filters' transform: [panels, products, channels, lanes], a panel being of results.

    A product's filters are a plane, which ends with some elements that nobody uses.
    """
    dtype, task, pieces = np.dtype(form.schedule.dtype), s.Var("task"), s.Var("pieces")
    lanes, products = form.schedule.lanes, (form.m + form.r - 1) ** 2
    plane = s.Var("depth") * lanes + GAP
    place = s.Var("panel") * products * s.Var("filters_plane") + s.Var("first_channel") * lanes
    every = loops.parallel(
        "task",
        s.Var("tasks"),
        Scratch("turned_filters", dtype, turned_size(form)),
        Let("panel", index(task // pieces)),
        Let("first_channel", index(task % pieces * form.channels)),
        Let("filters_plane", index(plane)),
        Let("filters_to", index(place)),
        Let("width", index(s.minimum(s.Const(lanes), s.Var("filters") - s.Var("panel") * lanes))),
        *transform_filters(form, "u"),
    )
    buffers = (Buffer("w", dtype), Buffer("u", dtype, writable=True))
    return loops.build("winograd_filters", (*buffers, *map(Parameter, ("tasks", "pieces", *FILTER_NUMBERS))), (every,))


def turned_size(form: Filters) -> int:
    """Return how many elements the scratch array has in which filters are turned."""
    taps, square = form.r * form.r, form.schedule.square
    columns = {"columns": taps * square, "near": _columns(form) + _columns(form) - taps, "any": 1}[form.how]
    return columns * form.schedule.lanes


def _columns(form: Filters) -> int:
    """Return how many columns whole squares have that hold a filter's taps."""
    return -(-form.r * form.r // form.schedule.square) * form.schedule.square


def _first_lane(form: Filters) -> s.Expr:
    return s.Const(0) if form.how == "any" else s.Var("filter_lane_first")


def transform_filters(form: Filters, to: str) -> list[Statement]:
    """Transform some channels of a panel, from ``first_channel`` on, to ``filters_to`` in buffer ``to``."""
    lanes, taps, size = form.schedule.lanes, form.r * form.r, form.m + form.r - 1
    channel, first_lane = s.Var("filter_channel"), _first_lane(form)
    row = s.Const(taps) if form.how == "near" else s.Var("w_row")
    at = s.Var("w_base") + s.Var("panel") * lanes * row + s.Var("first_channel") * s.Var("w_channel")

    def load(name: str, i: int, j: s.Expr, lane: s.Expr) -> list[Statement]:
        lane = first_lane + lane
        if form.how == "any":
            place = s.Var("filters_at") + i * s.Var("w_down") + j * s.Var("w_across") + lane * row
            return [Load(name, "w", place)]
        tap = j + i * form.r if form.sign > 0 else (taps - 1 - i * form.r) - j
        first = channel * taps if form.how == "columns" else s.Const(_columns(form) - taps)
        return [Load(name, "turned_filters", (first + tap) * lanes + lane)]

    def store(i: s.Expr, j: int, value: s.Expr, lane: s.Expr) -> list[Statement]:
        place = s.Var("filters_to") + (i * size + j) * s.Var("filters_plane") + channel * lanes + first_lane + lane
        return [Store(to, place, value)]

    turn = {"columns": _turn_columns, "near": _turn_near, "any": lambda form: []}[form.how](form)
    square, matrix = form.schedule.square, winograd(form.m, form.r).filter
    if form.how == "any":
        each = transform_square(matrix, "u", Lanes("filter_lane", s.Var("width"), square, lanes), load, store)
    else:  # as many filters as make whole vectors
        vectors = Lanes("filter_lane", square, square, square)
        each = [in_vectors("filter_lane", s.Var("width"), square,
                           *transform_square(matrix, "u", vectors, load, store))]  # fmt: skip
    low = at if form.sign > 0 or form.how == "any" else at - (taps - 1)
    return [Let("filters_at", index(low)), *turn, loops.serial("filter_channel", form.channels, *each, apart=True)]


def _turn_columns(form: Filters) -> list[Statement]:
    """Turn the filters of some channels: [channels, taps, lanes]."""
    size, lanes, across, down = form.schedule.square, form.schedule.lanes, s.Var("turn_tap"), s.Var("turn_filter")
    square = Transpose(
        "turned_filters", across * (size * lanes) + down * size, lanes, "w",
        s.Var("filters_at") + down * size * s.Var("w_row") + across * size, s.Var("w_row"), size,
    )  # fmt: skip
    squares = loops.serial("turn_tap", form.r * form.r, square)
    return [loops.serial("turn_filter", s.Var("width") // size, squares, apart=True)]


def _turn_near(form: Filters) -> list[Statement]:
    """Turn the filters of a channel: [taps, lanes], after some rows that hold what lies before them."""
    size, lanes, taps = form.schedule.square, form.schedule.lanes, form.r * form.r
    columns, across, down = _columns(form), s.Var("turn_tap"), s.Var("turn_filter")
    first = s.Var("filters_at") + down * (size * taps)
    begin = s.maximum(s.Const(0), first - (columns - taps))  # only the first filters have nothing before them
    lead = (columns - taps) - (s.Var("turn_first") - s.Var("turn_begin"))
    square = Transpose(
        "turned_filters", (s.Var("turn_lead") + across * size) * lanes + down * size, lanes, "w",
        s.Var("turn_begin") + across * size, s.Const(taps), size,
    )  # fmt: skip
    return [
        loops.serial(
            "turn_filter",
            s.Var("width") // size,
            Let("turn_first", index(first)),
            Let("turn_begin", index(begin)),
            Let("turn_lead", index(lead)),
            loops.serial("turn_tap", columns // size, square),
            apart=True,
        )
    ]
