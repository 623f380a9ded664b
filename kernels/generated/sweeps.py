"""Sweeps: several values of each element of arrays that lie alike, stored where others are read if that is wanted."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import program, team
from tensorlite.kernels.generated import launch
from tensorlite.kernels.generated.elementwise import numbers
from tensorlite.kernels.generated.elementwise_loops import DEFAULT, Body, Layout, kernel_of
from tensorlite.kernels.generated.layout import Axis

Array = npt.NDArray[Any]
_MANY = 1000  # lengths


class Sweep:
    """A body over arrays of one dtype: ``arrays`` names operands of all elements, ``scalars`` those that are numbers.

    ``values`` are named in order, each by operands and values before it; ``results`` names those that are stored.

    >>> values = (("z", s.Var("x") - s.Var("y") * s.Var("rate")),)
    >>> sweep = Sweep(np.dtype(np.float32), ("x", "y"), ("rate",), values, ("z",))
    >>> x, y = np.ones(3, np.float32), np.arange(3, dtype=np.float32)
    >>> sweep((x, y), np.array([0.5], np.float32), (x,))
    >>> x
    array([1. , 0.5, 0. ], dtype=float32)
    """

    def __init__(self, dtype: np.dtype[Any], arrays: Sequence[str], scalars: Sequence[str],
                 values: Sequence[tuple[str, s.Expr]], results: Sequence[str]) -> None:  # fmt: skip
        renamed: dict[s.Expr, s.Expr] = {s.Var(name): s.Var(f"x{k}") for k, name in enumerate((*arrays, *scalars))}
        named: list[tuple[str, s.Expr]] = []
        for k, (name, value) in enumerate(values):
            named.append((f"t{k}", s.substitute(value, renamed)))
            renamed[s.Var(name)] = s.Var(f"t{k}")
        places = {name: named[k][0] for k, (name, _) in enumerate(values)}
        body = Body((dtype,) * (len(arrays) + len(scalars)), tuple((s.Var(places[r]), dtype) for r in results),
                    tuple(named))  # fmt: skip
        self._layout = Layout(1, "u" * len(arrays) + "b" * len(scalars) + "u" * len(results))
        self._pack = struct.Struct(f"{len(self._layout.inner)}q").pack
        self._offsets = tuple(k * dtype.itemsize for k in range(len(scalars)))
        nodes = sum(len(s.postorder(value)) for _, value in named)
        self._nanoseconds = 0.02 * dtype.itemsize * len(self._layout.inner) + 0.05 * nodes
        self._tails: dict[int, tuple[bytes, int | None]] = {}
        self._frames: dict[tuple[int, ...], program.Frame] = {}
        self._arrays = len(arrays)
        self._entry = launch.compile(lambda: kernel_of(body, self._layout), f"elementwise {body.text} {self._layout}")

    def __call__(self, arrays: Sequence[Array], scalars: Array, outs: Sequence[Array]) -> None:
        """Compute and store: contiguous arrays of one length, ``scalars`` in order, and arrays for the results."""
        size = outs[0].size
        if not size:
            return
        tail, threads = self._tails.get(size) or self._tail(size)
        address, start = launch.address, launch.address(scalars)
        places = (*map(address, arrays), *(start + offset for offset in self._offsets), *map(address, outs))
        launch.run(self._entry, self._pack(*places) + tail, threads)

    def many(self, sizes: tuple[int, ...], arrays: Sequence[Array]) -> bool:
        """Compute and store for many tuples of arrays, of these sizes, in one native call.

        ``arrays`` begins with the numbers; then come, tuple after tuple, the operands and the results. Returns False,
        and does nothing, where one of them does not lie in order.

        >>> double = Sweep(np.dtype(np.float32), ("x",), ("rate",), (("y", s.Var("x") * s.Var("rate")),), ("y",))
        >>> x, y = np.ones(2, np.float32), np.ones(3, np.float32)
        >>> double.many((2, 3), [np.array([2], np.float32), x, x, y, y]), x, y
        (True, array([2., 2.], dtype=float32), array([2., 2., 2.], dtype=float32))
        """
        frame = self._frames.pop(sizes, None) or self._frame(sizes)  # of which there is one call at a time
        done = frame.run_on(arrays, launch.threads_for(sum(sizes) * self._nanoseconds))
        if len(self._frames) < _MANY:
            self._frames[sizes] = frame
        return done

    def _frame(self, sizes: tuple[int, ...]) -> program.Frame:
        """A program of one kernel for each tuple: large ones are for all threads, small ones for one in turn."""
        scalars = [(0, offset) for offset in self._offsets]
        results = len(self._layout.inner) - self._arrays - len(scalars)
        steps: list[program.Step] = []
        busy = [0.0] * team.get_num_threads()
        for number, size in enumerate(sizes):
            first = 1 + number * (self._arrays + results)
            places = [(first + k, 0) for k in range(self._arrays + results)]
            addresses = (*places[: self._arrays], *scalars, *places[self._arrays :])
            nanoseconds, thread = size * self._nanoseconds, program.ALL
            if nanoseconds < launch.PARALLEL_NANOSECONDS:
                thread = busy.index(min(busy))
                busy[thread] += nanoseconds
            if size:
                block = program.block(len(addresses), self._tail(size)[0])
                steps.append(program.Step(self._entry, block, addresses, thread))
        return program.Frame(steps, 1 + len(sizes) * (self._arrays + results))

    def _tail(self, size: int) -> tuple[bytes, int | None]:
        """What follows the addresses in the argument block, and the threads that the work is worth."""
        if len(self._tails) >= _MANY:
            self._tails.clear()
        strides = tuple(0 if letter == "b" else 1 for letter in self._layout.inner)
        values = numbers([Axis(size, strides)], self._layout, DEFAULT)
        self._tails[size] = struct.pack(f"{len(values)}q", *values), launch.threads_for(size * self._nanoseconds)
        return self._tails[size]
