"""The loops that carry numbers of windows back to the images that the windows slid over, plane by plane.

They go through the windows from the last to the first: so each element takes in what it gets in the order of the places
within a window, which is the order of the ops' bodies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.pool_loops import (
    NUMBERS,
    SCRATCH,
    Windows,
    at,
    blocks_of_rows,
    count_elements,
    divisor,
    unsigned,
    wide,
    window,
)
from tensorlite.kernels.loops import Buffer, If, Let, Load, Parameter, Scratch, Statement, Store, index

DType = np.dtype[Any]

_HEIGHT, _WIDTH, _DOWN, _ACROSS, _TOP, _LEFT, _SPAN = (s.Var(name) for name in NUMBERS[2:9])
_PLANE, _FIRST, _ROW, _ROWS, _C = (s.Var(name) for name in ("plane", "first", "row", "rows", "c"))
_LANES = 16


def scattered(dtype: DType, target: DType, place: DType, windows: Windows) -> loops.Kernel:
    """Return the loops that add each window's number, as ``target``, where ``winner`` says; a task is a plane."""
    row, column = _DOWN - 1 - s.Var("below"), _ACROSS - 1 - s.Var("before")
    here = _PLANE * _HEIGHT * _WIDTH + s.Var("y") * _WIDTH + s.Var("z")
    add = (
        Load("g", "g_", at("g_", row, column, False)),
        Load("old", "out", here),
        Store("out", here, s.Var("old") + s.cast(s.Var("g"), target)),
    )
    one = (*_place(windows, row, column), If(_is_inside(windows), add))
    walk = loops.serial("below", _DOWN, loops.serial("before", _ACROSS, *one))
    buffers = (Buffer("g_", dtype), Buffer("winner", place), Buffer("out", target, writable=True))
    return blocks_of_rows("unpool", buffers, [_clear(target), walk])


def gathered(dtype: DType, place: DType, windows: Windows) -> loops.Kernel:
    """Return the loops that read each window's element where ``winner`` says."""
    row = _FIRST + _ROW
    found = (
        Load("v", "x", at("x", s.Var("y"), s.Var("z"), False)),
        Store("out", window(row, _C), s.Var("v")),
    )
    one = (
        *_place(windows, row, _C),
        Store("out", window(row, _C), loops.constant(0, dtype)),
        If(_is_inside(windows), found),
    )
    walk = loops.serial("row", _ROWS, loops.serial("c", _ACROSS, *one))
    buffers = (Buffer("x", dtype), Buffer("winner", place), Buffer("out", dtype, writable=True))
    return blocks_of_rows("pick", buffers, [walk])


def _clear(dtype: DType) -> loops.For:
    size = _HEIGHT * _WIDTH
    return loops.vector("f", size, _LANES, Store("out", _PLANE * size + s.Var("f"), loops.constant(0, dtype)))


def _place(windows: Windows, row: s.Expr, column: s.Expr) -> list[Statement]:
    """Name the row ``y`` and the column ``z`` of the image where the winner of a window lies."""
    number, down = s.Var("number"), s.Var("in_window")
    y = row * windows.stride[0] + down * windows.dilation[0] - _TOP
    z = column * windows.stride[1] + (number - down * windows.kernel[1]) * windows.dilation[1] - _LEFT
    return [
        Load("won", "winner", at("winner", row, column, False)),
        Let("number", s.cast(s.Var("won"), np.int64)),
        Let("in_window", index(number // windows.kernel[1])),
        Let("y", index(y)),
        Let("z", index(z)),
    ]


def _is_inside(windows: Windows) -> s.Expr:
    y, z = s.Var("y"), s.Var("z")
    real = s.less(s.Var("number"), windows.places)
    for condition in (s.greater_equal(y, 0), s.less(y, _HEIGHT), s.greater_equal(z, 0), s.less(z, _WIDTH)):
        real = s.logical_and(real, condition)
    return real


def in_pairs(dtype: DType, place: DType, windows: Windows) -> loops.Kernel:
    """Return the loops of ``scattered`` for windows two columns wide that fill the image."""
    narrow, i, won = unsigned(dtype.itemsize), s.Var("i"), s.Var("won")
    one: list[Statement] = [
        Load("g", "g_", at("g_", _FIRST + _ROW, _C, windows.unit)),
        Load("won", "winner", at("winner", _FIRST + _ROW, _C, windows.unit)),
    ]
    for k in range(2):
        one += [Let(f"number{k}", s.cast(i * 2 + k, place))]
        one += [Let(f"half{k}", s.where(s.equal(won, s.Var(f"number{k}")), s.Var("g"), 0))]
    return _fill_pairs((Buffer("g_", narrow), Buffer("winner", place)), windows, dtype, one)


def spread_in_pairs(dtype: DType, windows: Windows) -> loops.Kernel:
    """Return the loops of ``spread`` for windows two columns wide that fill the image."""
    narrow = unsigned(dtype.itemsize)
    share = s.cast(s.cast(s.Var("g"), wide(dtype)) / divisor(windows, wide(dtype)), dtype)
    halves = [Let(f"half{k}", s.bitcast(s.Var("share"), narrow)) for k in range(2)]
    load = Load("g", "g_", at("g_", _FIRST + _ROW, _C, windows.unit))
    one: list[Statement] = [load, Let("share", share), *halves]
    return _fill_pairs((Buffer("g_", dtype),), windows, dtype, one, (Parameter("divisor", np.dtype(np.float64)),))


def _fill_pairs(
    buffers: tuple[Buffer, ...],
    windows: Windows,
    dtype: DType,
    one: list[Statement],
    numbers: tuple[Parameter, ...] = (),
) -> loops.Kernel:
    """Return the loops that store ``half0`` and ``half1`` side by side, as one integer of twice the width."""
    pair, i, row = unsigned(2 * dtype.itemsize), s.Var("i"), _FIRST + _ROW
    joined = s.cast(s.Var("half0"), pair) | (s.cast(s.Var("half1"), pair) << (8 * dtype.itemsize))
    here = (_PLANE * _HEIGHT + row * windows.stride[0] + i) * _ACROSS + _C
    columns = loops.vector("c", _ACROSS, windows.lanes, *one, Store("out", here, joined))
    walk = loops.serial("row", _ROWS, loops.unroll("i", windows.kernel[0], columns))
    return blocks_of_rows("unpool_pairs", (*buffers, Buffer("out", pair, writable=True)), [walk], numbers)


# Averages


def spread(dtype: DType, windows: Windows) -> loops.Kernel:
    """Return the loops that give each window's elements their share of its number; a task is a plane.

    A row of windows is spread across first, into scratch memory that has the border, and then down.
    """
    row = _DOWN - 1 - s.Var("below")
    of_row, of_column = count_elements(windows, row, _C)
    share = s.cast(s.Var("g"), wide(dtype)) / divisor(windows, wide(dtype))
    here = _C * windows.stride[1] + s.Var("j")
    clear = Store("scratch", s.Var("e"), loops.constant(0, wide(dtype)))
    across = (
        Load("g", "g_", at("g_", row, _C, windows.unit)),
        *of_column,
        Let("share", share),
        Load("sum", "scratch", here),
        Store("scratch", here, s.Var("sum") + s.Var("share")),
    )
    walk = loops.serial(
        "below",
        _DOWN,
        loops.vector("e", _SPAN, _LANES, clear),
        *of_row,
        loops.serial("j", windows.kernel[1], loops.vector("c", _ACROSS, _LANES, *across)),
        loops.serial("i", windows.kernel[0], *_add_row(row * windows.stride[0] + s.Var("i") - _TOP)),
    )
    buffers = (Buffer("g_", dtype), Buffer("out", wide(dtype), writable=True))
    body: list[Statement] = [Scratch("scratch", wide(dtype), SCRATCH), _clear(wide(dtype)), walk]
    return blocks_of_rows("spread", buffers, body, (Parameter("divisor", np.dtype(np.float64)),))


def _add_row(row: s.Expr) -> list[Statement]:
    """Add the columns of scratch memory to that row of the image, if there is one."""
    y, k = s.Var("y"), s.Var("k")
    place = (_PLANE * _HEIGHT + y) * _WIDTH + k
    add = (
        Load("given", "scratch", _LEFT + k),
        Load("old", "out", place),
        Store("out", place, s.Var("old") + s.Var("given")),
    )
    columns = loops.vector("k", s.minimum(_WIDTH, _SPAN - _LEFT), _LANES, *add)
    inside = s.logical_and(s.greater_equal(y, 0), s.less(y, _HEIGHT))
    return [Let("y", index(row)), If(inside, (columns,))]
