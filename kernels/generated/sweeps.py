"""Sweeps: several values of each element of arrays that lie alike, stored where others are read if that is wanted."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
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

    def _tail(self, size: int) -> tuple[bytes, int | None]:
        """What follows the addresses in the argument block, and the threads that the work is worth."""
        if len(self._tails) >= _MANY:
            self._tails.clear()
        strides = tuple(0 if letter == "b" else 1 for letter in self._layout.inner)
        values = numbers([Axis(size, strides)], self._layout, DEFAULT)
        self._tails[size] = struct.pack(f"{len(values)}q", *values), launch.threads_for(size * self._nanoseconds)
        return self._tails[size]
