"""Launching folds: from axes and a fold to a function of addresses that runs one kernel, or two where rows are long."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tensorlite.kernels.generated import arrange, launch
from tensorlite.kernels.generated.arrange import Arrangement
from tensorlite.kernels.generated.fold import Fold
from tensorlite.kernels.generated.fold_loops import kernel, over_states

Launcher: TypeAlias = Callable[..., None]
"""Takes the addresses of operands, givens and outputs, in the order of the fold."""


def launcher(key: str, fold: Fold, found: Arrangement, numbers: tuple[float, ...] = ()) -> Launcher:
    """Return the launcher of ``fold`` as arranged. ``key`` says all about the fold; ``numbers`` are the fold's."""
    arrays = len(fold.operands) + len(fold.outputs)
    threads = launch.threads_for(found.size * found.rows * (0.04 * arrays + 0.1 * len(fold.passes)))
    floats = (float(found.size), *numbers)
    if found.chunks == 1:
        return _single(key, fold, found, "all", floats, threads)
    return _double(key, fold, found, floats, threads)


def _single(
    key: str, fold: Fold, found: Arrangement, stage: str, floats: tuple[float, ...], threads: int | None
) -> Launcher:
    form = arrange.form(found, fold, stage)
    entry = launch.compile(lambda: kernel(fold, form), f"fold {key} {form}")
    values = arrange.numbers(found, form)
    tail = struct.pack(f"{len(values)}q{len(floats)}d", *values, *floats)
    written = len(fold.state) if stage == "part" else len(fold.outputs)
    pack, run = struct.Struct(f"{len(fold.operands) + len(fold.givens) + written}q").pack, launch.run

    def go(*addresses: int) -> None:
        run(entry, pack(*addresses) + tail, threads)

    return go


def _double(key: str, fold: Fold, found: Arrangement, floats: tuple[float, ...], threads: int | None) -> Launcher:
    """Return a launcher of the kernel over chunks and of that over their states, which live in memory of the call."""
    states = found.rows * found.chunks
    first = _single(key, fold, found, "part", floats, threads)
    few = launch.threads_for(states * len(fold.state))
    rest = arrange.of_states(found, len(fold.state))
    second = _single(key, over_states(fold), rest, "rest", floats, few)
    sizes = [-(-a.dtype.itemsize * states // 64) * 64 for a in fold.state]
    offsets = [sum(sizes[:k]) for k in range(len(sizes))]
    inputs = len(fold.operands) + len(fold.givens)

    def go(*addresses: int) -> None:
        memory = np.empty(sum(sizes), np.uint8)
        start = launch.address(memory)
        places = [start + offset for offset in offsets]
        first(*addresses[:inputs], *places)
        second(*places, *addresses[inputs:])

    return go
