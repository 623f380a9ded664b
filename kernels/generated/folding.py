"""Planning and launching folds as arranged: one kernel, or two where rows are long."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tensorlite.kernels.generated import arrange, launch
from tensorlite.kernels.generated.arrange import Arrangement
from tensorlite.kernels.generated.fold import Fold
from tensorlite.kernels.generated.fold_loops import kernel, over_states
from tensorlite.kernels.stage import Plan, Stage, pack

Launcher: TypeAlias = Callable[..., None]
"""Takes the addresses of operands, givens and outputs, in the order of the fold."""


_LINE = 64  # bytes: where scratch arrays begin


def plan(
    key: str, fold: Fold, found: Arrangement, numbers: tuple[float, ...] = (), reads: Sequence[int] | None = None,
    writes: Sequence[int] | None = None, scratch: int | None = None,
) -> Plan:  # fmt: skip
    """Return the stages of ``fold`` as arranged. ``key`` says all about the fold; ``numbers`` are the fold's.

    It reads operands and givens and writes outputs, which are numbered in this order unless they are told; chunks
    leave their states in scratch arrays, numbered from ``scratch`` on.
    """
    arrays, inputs = len(fold.operands) + len(fold.outputs), len(fold.operands) + len(fold.givens)
    reads = range(inputs) if reads is None else reads
    writes = range(inputs, inputs + len(fold.outputs)) if writes is None else writes
    work = found.size * found.rows * (0.04 * arrays + 0.1 * len(fold.passes))
    floats = (float(found.size), *numbers)
    if found.chunks == 1:
        return Plan((_stage(key, fold, found, "all", floats, reads, writes, work),))
    first = inputs + len(fold.outputs) if scratch is None else scratch
    count, states = found.rows * found.chunks, range(first, first + len(fold.state))
    rest = arrange.of_states(found, len(fold.state))
    part = _stage(key, fold, found, "part", floats, reads, states, work)
    merged = _stage(key, over_states(fold), rest, "rest", floats, states, writes, float(count * len(fold.state)))
    return Plan((part, merged), tuple(a.dtype.itemsize * count for a in fold.state))


def _stage(
    key: str, fold: Fold, found: Arrangement, part: str, floats: tuple[float, ...], reads: Sequence[int],
    writes: Sequence[int], work: float,
) -> Stage:  # fmt: skip
    form = arrange.form(found, fold, part)
    numbers = pack(*arrange.numbers(found, form), *floats)
    return Stage(f"fold {key} {form}", lambda: kernel(fold, form), tuple(reads), tuple(writes), numbers, work)


def launcher(key: str, fold: Fold, found: Arrangement, numbers: tuple[float, ...] = ()) -> Launcher:
    """Return what runs that plan in memory of its own."""
    planned = plan(key, fold, found, numbers)
    launches = [_launch(stage) for stage in planned.stages]
    if len(launches) == 1:
        return launches[0]
    sizes = [-(-size // _LINE) * _LINE for size in planned.scratch]
    offsets = [sum(sizes[:k]) for k in range(len(sizes))]
    inputs = len(fold.operands) + len(fold.givens)
    first, second = launches

    def go(*addresses: int) -> None:
        memory = np.empty(sum(sizes), np.uint8)
        start = launch.address(memory)
        places = [start + offset for offset in offsets]
        first(*addresses[:inputs], *places)
        second(*places, *addresses[inputs:])

    return go


def _launch(stage: Stage) -> Launcher:
    """Return what runs a stage, given the addresses that it reads and writes."""
    entry, tail, threads = launch.compile(stage.build, stage.key), stage.numbers, launch.threads_for(stage.work)
    pack_addresses, run = struct.Struct(f"{len(stage.reads) + len(stage.writes)}q").pack, launch.run

    def go(*addresses: int) -> None:
        run(entry, pack_addresses(*addresses) + tail, threads)

    return go
