"""The loops of pooling over windows of images: [plane, row, column], a plane being a channel of an image.

Where every window lies inside its image, its elements are read in their places ("inside"). Otherwise, or where windows
overlap, a row of windows is combined down its columns first, into scratch memory that has the border, and then across.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import (
    Assign,
    Buffer,
    Let,
    Load,
    Local,
    Parameter,
    Scratch,
    Statement,
    Store,
    Value,
    index,
)

DType = np.dtype[Any]
Pair = tuple[int, int]

SCRATCH = 8192  # elements: columns of windows with their border, as many rows as fit
_UNROLLED = 3  # kernels of more rows or columns are looped over
_INT32, _FLOAT32, _FLOAT64 = np.dtype(np.int32), np.dtype(np.float32), np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class Windows:
    """What kernels are specialised to: the windows, whether all lie inside, and whether columns are neighbours."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    inside: bool
    lanes: int
    unit: bool = True
    divides: str = ""  # averages: "" by one number, else by the elements "with" the border or "without" it

    @property
    def places(self) -> int:
        """The number of elements of a window."""
        return self.kernel[0] * self.kernel[1]


def wide(dtype: DType) -> DType:
    """Return the dtype that numbers are combined in."""
    return _FLOAT32 if dtype.itemsize == 2 else dtype


def unsigned(itemsize: int) -> DType:
    """Return the unsigned integers of that many bytes."""
    return np.dtype(f"u{itemsize}")


NUMBERS = ("planes", "channels", "height", "width", "down", "across", "top", "left", "span", "block", "blocks", "tasks")
"""Extents of the images and, of the windows, how many there are ``down`` and ``across``; the border at the ``top`` and
the ``left``; columns with the border; rows of windows of a task, tasks of a plane, and tasks in all."""
_HEIGHT, _WIDTH, _DOWN, _ACROSS, _TOP, _LEFT, _SPAN, _BLOCK, _BLOCKS = (s.Var(name) for name in NUMBERS[2:11])
_TASK, _PLANE, _FIRST, _ROWS, _ROW = (s.Var(name) for name in ("task", "plane", "first", "rows", "row"))


def strides(name: str) -> list[str]:
    """Return the stride parameters of images that may lie in any way."""
    return [f"{name}_{along}" for along in ("image", "channel", "row", "column")]


def blocks_of_rows(
    name: str, buffers: tuple[Buffer, ...], body: list[Statement], numbers: tuple[Parameter, ...] = ()
) -> loops.Kernel:
    """Return the kernel of tasks that are blocks of rows of windows: ``rows`` from ``first`` on, of one ``plane``."""
    read = [stride for buffer in buffers if not buffer.writable for stride in strides(buffer.name)]
    head = (
        Let("plane", index(_TASK // _BLOCKS)),
        Let("first", index(_TASK % _BLOCKS * _BLOCK)),
        Let("rows", index(s.minimum(_BLOCK, _DOWN - _FIRST))),
        *(base for buffer in buffers if not buffer.writable for base in _base(buffer.name)),
    )
    loop = loops.parallel("task", s.Var("tasks"), *head, *body)
    return loops.build(name, (*buffers, *(Parameter(n) for n in (*NUMBERS, *read)), *numbers), (loop,))


def _base(name: str) -> list[Statement]:
    channels = s.Var("channels")
    image, channel = (s.Var(stride) for stride in strides(name)[:2])
    return [Let(f"{name}_plane", index(_PLANE // channels * image + _PLANE % channels * channel))]


def at(name: str, row: s.Expr, column: s.Expr, unit: bool) -> s.Expr:
    """Return the index of an element of images."""
    along = column if unit else column * s.Var(f"{name}_column")
    return s.Var(f"{name}_plane") + row * s.Var(f"{name}_row") + along


def window(row: s.Expr, column: s.Expr) -> s.Expr:
    """Return the index of a window in arrays that lie without gaps."""
    return (_PLANE * _DOWN + row) * _ACROSS + column


def _repeat(name: str, extent: int, *body: Statement) -> loops.For:
    return loops.unroll(name, extent, *body) if extent <= _UNROLLED else loops.serial(name, extent, *body)


# Combining: maxima and averages


def combined(dtype: DType, windows: Windows, maximum: bool) -> loops.Kernel:
    """Return the loops of the maximum, or the average, of each window."""
    store = Store("out", window(_FIRST + _ROW, s.Var("c")), result(dtype, windows, maximum))
    body = _inside(dtype, windows, maximum, store) if windows.inside else _across(dtype, windows, maximum, store)
    buffers = (Buffer("x", dtype), Buffer("out", dtype, writable=True))
    return blocks_of_rows("pool", buffers, body, () if maximum else (Parameter("divisor", _FLOAT64),))


def combine(name: str, new: s.Expr, maximum: bool) -> Assign:
    """Return the statement that takes one more number in."""
    old = s.Var(name)
    return Assign(name, s.maximum(old, new) if maximum else old + new)


def identity(dtype: DType, maximum: bool) -> Value:
    """Return what nothing is combined to."""
    return loops.constant(-np.inf if maximum else 0.0, wide(dtype))


def result(dtype: DType, windows: Windows, maximum: bool) -> s.Expr:
    """Return what is stored of the ``total`` of a window."""
    total = s.Var("total")
    return s.cast(total if maximum else total / divisor(windows, wide(dtype)), dtype)


def divisor(windows: Windows, dtype: DType) -> s.Expr:
    """Return what a window's sum is divided by."""
    return s.cast(s.Var("elements") if windows.divides else s.Var("divisor"), dtype)


def count_elements(windows: Windows, row: s.Expr, column: s.Expr) -> tuple[list[Statement], list[Statement]]:
    """Name the elements of a window: what is said of its row, and then of its column."""
    if not windows.divides:
        return [], []

    def held(place: s.Expr, axis: int, border: s.Expr, extent: s.Expr) -> s.Expr:
        start = place * windows.stride[axis] - border
        end = s.minimum(start + windows.kernel[axis], extent + border)
        return end - start if windows.divides == "with" else s.minimum(end, extent) - s.maximum(start, 0)

    rows = [Let("held_down", index(held(row, 0, _TOP, _HEIGHT)))]
    columns = [Let("held_across", index(held(column, 1, _LEFT, _WIDTH)))]
    number = s.cast(s.Var("held_down"), _INT32) * s.cast(s.Var("held_across"), _INT32)
    return [*rows], [*columns, Let("elements", number)]


def _inside(dtype: DType, windows: Windows, maximum: bool, store: Store) -> list[Statement]:
    i, j, c = s.Var("i"), s.Var("j"), s.Var("c")
    row = (_FIRST + _ROW) * windows.stride[0] + i * windows.dilation[0]
    load = Load("v", "x", at("x", row, c * windows.stride[1] + j * windows.dilation[1], windows.unit))
    take = combine("column", s.cast(s.Var("v"), wide(dtype)), maximum)
    column = (
        Local("column", identity(dtype, maximum)),
        _repeat("i", windows.kernel[0], load, take),
        combine("total", s.Var("column"), maximum),
    )
    of_row, of_column = count_elements(windows, _FIRST + _ROW, c)
    total = (Local("total", identity(dtype, maximum)), _repeat("j", windows.kernel[1], *column), *of_column)
    return [loops.serial("row", _ROWS, *of_row, loops.vector("c", _ACROSS, windows.lanes, *total, store))]


def _across(dtype: DType, windows: Windows, maximum: bool, store: Store) -> list[Statement]:
    c, j = s.Var("c"), s.Var("j")
    fill = loops.vector("f", _ROWS * _SPAN, windows.lanes, Store("scratch", s.Var("f"), identity(dtype, maximum)))
    load = Load("w", "scratch", _ROW * _SPAN + c * windows.stride[1] + j * windows.dilation[1])
    total = (
        Local("total", identity(dtype, maximum)),
        _repeat("j", windows.kernel[1], load, combine("total", s.Var("w"), maximum)),
    )
    of_row, of_column = count_elements(windows, _FIRST + _ROW, c)
    across = loops.vector("c", _ACROSS, windows.lanes, *total, *of_column, store)
    return [
        Scratch("scratch", wide(dtype), SCRATCH),
        fill,
        loops.serial("line", _ROWS, *_down(dtype, windows, maximum)),
        loops.serial("row", _ROWS, *of_row, across),
    ]


def inside(
    windows: Windows, axis: int, number: s.Expr, extent: s.Expr, border: s.Expr
) -> tuple[s.Expr, s.Expr, s.Expr]:
    """Return along an axis from which place of a window on, and up to which, it lies in the image; and its start."""
    start, step = number * windows.stride[axis], windows.dilation[axis]
    end = s.minimum(windows.kernel[axis], s.maximum(extent + border - start + (step - 1), 0) // step)
    return s.maximum(border - start + (step - 1), 0) // step, end, start - border


def _rows_inside(windows: Windows, row: s.Expr) -> list[Statement]:
    """Name the rows of a window that lie in the image: ``count`` of them, from row ``low`` of the window on."""
    low, end, _ = inside(windows, 0, row, _HEIGHT, _TOP)
    count = s.maximum(s.Var("end") - s.Var("low"), 0)
    return [Let("low", index(low)), Let("end", index(end)), Let("count", index(count))]


def _down(dtype: DType, windows: Windows, maximum: bool) -> list[Statement]:
    """Combine the columns of row ``line`` of windows into scratch memory."""
    line, k, i = s.Var("line"), s.Var("k"), s.Var("i")
    row = (_FIRST + line) * windows.stride[0] + (s.Var("low") + i) * windows.dilation[0] - _TOP
    load = Load("v", "x", at("x", row, k, windows.unit))
    take = combine("column", s.cast(s.Var("v"), wide(dtype)), maximum)
    columns = s.minimum(_WIDTH, _SPAN - _LEFT)
    body = (
        Local("column", identity(dtype, maximum)),
        loops.serial("i", s.Var("count"), load, take),
        Store("scratch", line * _SPAN + _LEFT + k, s.Var("column")),
    )
    return [*_rows_inside(windows, _FIRST + line), loops.vector("k", columns, windows.lanes, *body)]


# Winners: where in its window a maximum lies


def winner(dtype: DType, place: DType, windows: Windows) -> loops.Kernel:
    """Return the loops that find the first element equal to the maximum, or the last NaN beside a NaN."""
    c, top = s.Var("c"), s.Var("highest")
    last = loops.constant(windows.places - 1, place)
    lost = s.logical_and(s.not_equal(top, top), s.greater(s.Var("nan"), 0))
    found = s.where(lost, s.Var("nan") - 1, s.Var("first_equal"))
    body = (
        Load("highest", "top_", at("top_", _FIRST + _ROW, c, windows.unit)),
        Local("first_equal", last),
        Local("nan", loops.constant(0, place)),
        *_compare(place, windows),
        Store("out", window(_FIRST + _ROW, c), found),
    )
    rows = loops.serial("row", _ROWS, *_bordered(dtype, windows), loops.vector("c", _ACROSS, windows.lanes, *body))
    scratch = () if windows.inside else (Scratch("scratch", dtype, SCRATCH),)
    buffers = (Buffer("x", dtype), Buffer("top_", dtype), Buffer("out", place, writable=True))
    return blocks_of_rows("winner", buffers, [*scratch, rows])


def _bordered(dtype: DType, windows: Windows) -> list[Statement]:
    """Copy the rows of the image that a row of windows has to scratch memory, where NaN is around them."""
    if windows.inside:
        return []
    k, i = s.Var("k"), s.Var("i")
    fill = Store("scratch", s.Var("f"), loops.constant(np.nan, dtype))
    row = (_FIRST + _ROW) * windows.stride[0] + (s.Var("low") + i) * windows.dilation[0] - _TOP
    load = Load("moved", "x", at("x", row, k, windows.unit))
    store = Store("scratch", (s.Var("low") + i) * _SPAN + _LEFT + k, s.Var("moved"))
    copy = loops.vector("k", s.minimum(_WIDTH, _SPAN - _LEFT), windows.lanes, load, store)
    return [
        loops.vector("f", _SPAN * windows.kernel[0], windows.lanes, fill),
        *_rows_inside(windows, _FIRST + _ROW),
        loops.serial("i", s.Var("count"), copy),
    ]


def _compare(place: DType, windows: Windows) -> list[Statement]:
    """Look at a window's elements, the last one first. The last one need not be looked at but for NaN."""
    down, across = s.Var("from_below"), s.Var("from_right")
    i, j = windows.kernel[0] - 1 - down, windows.kernel[1] - 1 - across
    number, v = s.Var("number"), s.Var("v")
    is_nan: s.Expr = s.not_equal(v, v)
    named: list[Statement] = [Let("number", index(i * windows.kernel[1] + j)), Let("place", s.cast(number, place))]
    if windows.inside:
        row = (_FIRST + _ROW) * windows.stride[0] + i * windows.dilation[0]
        column = s.Var("c") * windows.stride[1] + j * windows.dilation[1]
        named.append(Load("v", "x", at("x", row, column, windows.unit)))
    else:
        column = s.Var("c") * windows.stride[1] + j * windows.dilation[1]
        named += [Load("v", "scratch", i * _SPAN + column), Let("z", index(column - _LEFT)), Let("in_row", index(i))]
        real = s.logical_and(s.greater_equal(s.Var("z"), 0), s.less(s.Var("z"), _WIDTH))
        low, end = s.Var("low"), s.Var("end")
        row_is_real = s.logical_and(s.greater_equal(s.Var("in_row"), low), s.less(s.Var("in_row"), end))
        is_nan = s.logical_and(is_nan, s.logical_and(real, row_is_real))
    equal = Assign("first_equal", s.where(s.equal(v, s.Var("highest")), s.Var("place"), s.Var("first_equal")))
    nan = Assign("nan", s.maximum(s.Var("nan"), s.where(is_nan, s.Var("place") + 1, 0)))
    return [_repeat("from_below", windows.kernel[0], _repeat("from_right", windows.kernel[1], *named, equal, nan))]

