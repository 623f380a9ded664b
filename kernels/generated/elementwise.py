"""Elementwise kernels: a scalar function over arrays of any strides, broadcast against each other.

The arrays' dimensions are merged and ordered by the result's memory; the innermost one is a vector loop, in which each
operand is contiguous, repeated or strided. A task is a block of rows by a chunk of columns.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import launch
from tensorlite.kernels.generated.layout import Axis, axes_of, letters, merge
from tensorlite.kernels.loops import Buffer, Let, Load, Parameter, Store, index

DType = np.dtype[Any]
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The free choices of an elementwise kernel. Results do not depend on them.

    A task covers about ``task`` elements. Columns of strided operands are taken ``tile`` at a time, so that their cache
    lines are still there for the next row. Results of ``streaming`` bytes go past the caches: on Zen 5 that was up to
    a third slower for results of 4 to 16 MB, and made no difference from 32 MB on; other machines save reading them.
    """

    task: int = 8192
    tile: int = 64
    streaming: int = 64 << 20
    vector_bytes: int = 64
    simple: int = 12  # expressions of fewer nodes take two vectors at a time


@dataclass(frozen=True, slots=True)
class Layout:
    """What a kernel is specialised to: the number of dimensions and, for each array, the result last, its letter."""

    rank: int
    inner: str
    streaming: bool = False


DEFAULT = Schedule()
_PARAMETERS = ("n", "chunk", "chunks", "rows", "block", "tasks")


def kernel(
    function: s.Function, dtypes: Sequence[DType], dtype: DType, layout: Layout, schedule: Schedule = DEFAULT
) -> loops.Kernel:
    """Return the loops that compute ``function`` of operands of ``dtypes`` into a result of ``dtype``.

    Raises ``scalar.NoLowering`` where the function has no native form.
    """
    renamed: dict[s.Expr, s.Expr] = {s.Var(name): s.Var(f"x{k}") for k, name in enumerate(function.parameters)}
    types = {f"x{k}": np.dtype(operand) for k, operand in enumerate(dtypes)}
    value = s.lower(s.cast(s.substitute(function.body, renamed), dtype), types)
    body = _Body(layout, _lanes(value, types, layout, schedule), len(dtypes))
    buffers = [Buffer(f"a{k}", np.dtype(operand), exclusive=False) for k, operand in enumerate(dtypes)]
    result = Buffer("out", np.dtype(dtype), writable=True, exclusive=False, alignment=64 if layout.streaming else 0)
    integers = [Parameter(name) for name in (*_PARAMETERS, *body.extents, *body.all_strides())]
    return loops.build("elementwise", (*buffers, result, *integers), (body.task(value),))


def _lanes(value: s.Typed, types: dict[str, DType], layout: Layout, schedule: Schedule) -> int:
    """Return the width: that of a vector of the widest dtype that occurs, twice where the expression is short."""
    nodes = s.postorder(value)
    widest = max(
        node.dtype.itemsize for node in (*nodes, *(s.Typed("var", (), dtype, "x") for dtype in types.values()))
    )
    lanes = schedule.vector_bytes // widest
    return lanes if len(nodes) >= schedule.simple or "s" in layout.inner else 2 * lanes


class _Body:
    """Writes the loops of one layout; operand k is buffer ``a{k}``, the result is ``out``."""

    def __init__(self, layout: Layout, lanes: int, operands: int) -> None:
        self.layout, self.lanes = layout, lanes
        self.names = [*(f"a{k}" for k in range(operands)), "out"]
        self.outer = layout.rank - 1
        self.extents = [f"extent{axis}" for axis in range(1, self.outer)]

    def strides(self, name: str) -> list[str]:
        """Return the stride parameters of an array, outermost first; the innermost only where it is strided."""
        inner = [f"{name}_step"] if self.letter(name) == "s" else []
        return [*(f"{name}_stride{axis}" for axis in range(self.outer)), *inner]

    def all_strides(self) -> list[str]:
        return [stride for name in self.names for stride in self.strides(name)]

    def letter(self, name: str) -> str:
        return self.layout.inner[self.names.index(name)]

    def task(self, value: s.Typed) -> loops.For:
        task, chunk, chunks, n, rows, block = map(s.Var, ("task", "chunk", "chunks", "n", "rows", "block"))
        start, first = s.Var("start"), s.Var("first")
        head = (Let("start", index(task % chunks * chunk)), Let("count", index(s.minimum(chunk, n - start))))
        if not self.outer:
            return loops.parallel("task", s.Var("tasks"), *head, *self.columns(value))
        here = Let("first", index(task // chunks * block))
        row = loops.serial("r", s.minimum(block, rows - first), *self.coordinates(), *self.columns(value))
        return loops.parallel("task", s.Var("tasks"), *head, here, row)

    def coordinates(self) -> list[loops.Statement]:
        """Return statements that name the coordinates of row ``first + r``, outermost last to be found."""
        statements: list[loops.Statement] = []
        rest: s.Expr = s.Var("first") + s.Var("r")
        for axis in range(self.outer - 1, 0, -1):
            extent = s.Var(f"extent{axis}")
            statements += [Let(f"row{axis}", index(rest)), Let(f"at{axis}", index(s.Var(f"row{axis}") % extent))]
            rest = s.Var(f"row{axis}") // extent
        return [*statements, Let("at0", index(rest))]

    def columns(self, value: s.Typed) -> list[loops.Statement]:
        bases = [Let(f"{name}_base", index(self.base(name))) for name in self.names]
        loads = {name: Load(f"x{k}", name, self.place(name)) for k, name in enumerate(self.names[:-1])}
        uniform = [load for name, load in loads.items() if self.letter(name) == "b"]
        varying = [load for name, load in loads.items() if self.letter(name) != "b"]
        store = Store("out", self.place("out"), value, streaming=self.layout.streaming)
        return [*bases, *uniform, loops.vector("i", s.Var("count"), self.lanes, *varying, store)]

    def base(self, name: str) -> s.Expr:
        """Return the index of an array's element in the first column of this row and chunk."""
        start = s.Var("start")
        total = {"u": start, "b": s.Const(0), "s": start * s.Var(f"{name}_step")}[self.letter(name)]
        for axis in range(self.outer):
            total = total + s.Var(f"at{axis}") * s.Var(f"{name}_stride{axis}")
        return total

    def place(self, name: str) -> s.Expr:
        base, i = s.Var(f"{name}_base"), s.Var("i")
        return {"u": base + i, "b": base, "s": base + i * s.Var(f"{name}_step")}[self.letter(name)]


# Launching

_Plan = Callable[[Sequence[Array], Array], Any]
_plans: dict[Any, _Plan] = {}
_MANY_PLANS = 10_000


def run(function: s.Function, arrays: Sequence[Array], out: Array) -> Any:
    """Compute ``function`` of ``arrays``, broadcast to the shape of ``out``, into ``out``, and return it.

    ``out`` may be one of the arrays; otherwise it overlaps none. ``NotImplemented`` says that there is no native form.

    >>> x = np.arange(4, dtype=np.float32)
    >>> run(s.trace(lambda x, y: x * y + 1), (x, x), np.empty_like(x))
    array([ 1.,  2.,  5., 10.], dtype=float32)
    """
    if len(arrays) == 1:
        (x,) = arrays
        key: Any = (function, x.dtype, x.shape, x.strides, out.dtype, out.shape, out.strides)
    elif len(arrays) == 2:
        x, y = arrays
        key = (function, x.dtype, x.shape, x.strides, y.dtype, y.shape, y.strides, out.dtype, out.shape, out.strides)
    else:
        key = (function, out.dtype, out.shape, out.strides, *((a.dtype, a.shape, a.strides) for a in arrays))
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MANY_PLANS:
            _plans.clear()
        plan = _plans[key] = _plan(function, tuple(arrays), out)
    return plan(arrays, out)


def _plan(function: s.Function, arrays: tuple[Array, ...], out: Array) -> _Plan:
    if out.size == 0:
        return lambda arrays, out: out
    axes = axes_of((*arrays, out), out.shape)
    if axes is None or any(axis.strides[-1] == 0 and axis.extent > 1 for axis in axes):
        return _refuse
    axes.sort(key=lambda axis: -abs(axis.strides[-1]))
    merged = merge(axes) or (Axis(1, (1,) * (len(arrays) + 1)),)
    dtypes = tuple(array.dtype for array in arrays)
    layout = Layout(len(merged), letters(merged[-1]))
    try:
        entry = _compile(function, dtypes, out.dtype, layout)
    except s.NoLowering:
        return _refuse
    values = numbers(merged, DEFAULT)
    threads = launch.threads_for(out.size * _nanoseconds(function, dtypes, out.dtype, layout))
    launcher = _launcher(entry, values, arrays, threads)
    if not _streams(merged, out):
        return launcher
    past = _compile(function, dtypes, out.dtype, replace(layout, streaming=True))
    streaming = _launcher(past, values, arrays, threads)
    return lambda arrays, out: (launcher if launch.address(out) % 64 else streaming)(arrays, out)


def _refuse(arrays: Sequence[Array], out: Array) -> Any:
    return NotImplemented


def _compile(function: s.Function, dtypes: tuple[DType, ...], dtype: DType, layout: Layout) -> int:
    names = " ".join((*function.parameters, *(operand.name for operand in dtypes), dtype.name))
    key = f"elementwise {names} {layout} {DEFAULT} {s.text(function.body)}"
    return launch.compile(lambda: kernel(function, dtypes, dtype, layout), key)


def numbers(axes: Sequence[Axis], schedule: Schedule) -> list[int]:
    """Return the values of the kernel's number parameters, in order."""
    *outer, inner = axes
    n, rows, strided = inner.extent, prod(axis.extent for axis in outer), "s" in letters(inner)
    chunk = min(n, schedule.tile if strided and rows > 1 else schedule.task)
    chunks = -(-n // chunk)
    block = max(1, min(rows, schedule.task // chunk))
    strides = []
    for k, letter in enumerate(letters(inner)):
        strides += [axis.strides[k] for axis in outer] + ([inner.strides[k]] if letter == "s" else [])
    return [n, chunk, chunks, rows, block, chunks * -(-rows // block), *(axis.extent for axis in outer[1:]), *strides]


def _nanoseconds(function: s.Function, dtypes: tuple[DType, ...], dtype: DType, layout: Layout) -> float:
    """Return about how long one element takes a thread."""
    moved = dtype.itemsize + sum(operand.itemsize for operand in dtypes)
    return 0.02 * moved + 0.05 * len(s.postorder(function.body)) + (1.0 if "s" in layout.inner else 0.0)


def _streams(axes: Sequence[Axis], out: Array) -> bool:
    """Tell whether the result is large, and its rows are multiples of 64 bytes one after the other."""
    *outer, inner = axes
    aligned = all(axis.strides[-1] * out.itemsize % 64 == 0 for axis in outer)
    return out.nbytes >= DEFAULT.streaming and inner.strides[-1] == 1 and aligned


def _launcher(entry: int, values: list[int], arrays: tuple[Array, ...], threads: int | None) -> _Plan:
    tail = struct.pack(f"{len(values)}q", *values)
    pack, address, run = struct.Struct(f"{len(arrays) + 1}q").pack, launch.address, launch.run

    def one(arrays: Sequence[Array], out: Array) -> Array:
        run(entry, pack(address(arrays[0]), address(out)) + tail, threads)
        return out

    def two(arrays: Sequence[Array], out: Array) -> Array:
        x, y = arrays
        run(entry, pack(address(x), address(y), address(out)) + tail, threads)
        return out

    def many(arrays: Sequence[Array], out: Array) -> Array:
        run(entry, pack(*map(address, arrays), address(out)) + tail, threads)
        return out

    def any_scalars(arrays: Sequence[Array], out: Array) -> Array:
        return many([np.asarray(array) for array in arrays], out)

    if not all(array.ndim for array in arrays):  # NumPy's scalars look like arrays without dimensions
        return any_scalars
    return {1: one, 2: two}.get(len(arrays), many)
