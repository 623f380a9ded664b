"""Tuning: which of several plans for the same is fastest, found by running them once and remembered on disk.

A process may spend ``TENSORLITE_TUNE`` seconds on it, by default none: then what another process has measured holds,
and where nothing was measured the caller's model of the machine. The answer is the same from then on.
"""

from __future__ import annotations

import json
import os
import struct
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tensorlite.kernels.cache import default_cache
from tensorlite.kernels.cpu import host, native, team
from tensorlite.kernels.generated import launch
from tensorlite.kernels.stage import Array, Plan

_LEAST, _SECONDS = 3, 0.02
"""Each plan runs so often at least, and for so long; the fastest run counts."""


@dataclass
class Budget:
    """The seconds that this process may spend, and has spent."""

    seconds: float
    spent: float = 0.0
    measured: int = 0
    known: dict[str, dict[str, float]] = field(default_factory=dict)

    def describe(self) -> str:
        """Return what ``tensorlite doctor`` shows."""
        return (f"TENSORLITE_TUNE={self.seconds:g}: {self.spent:.2f} of {self.seconds:g} s spent in this process, "
                f"{self.measured} choices measured")  # fmt: skip


def _from_environment() -> float:
    text = os.environ.get("TENSORLITE_TUNE", "").strip() or "0"
    try:
        seconds = float(text)
        if 0 <= seconds < float("inf"):
            return seconds
    except ValueError:
        pass
    warnings.warn(f"TENSORLITE_TUNE={text!r} is not a number of seconds: nothing is measured", stacklevel=2)
    return 0.0


budget = Budget(_from_environment())


def times(what: str, plans: Mapping[str, Callable[[], Plan | None]], inputs: Sequence[Array], output: Array,
          counted: frozenset[int] = frozenset()) -> dict[str, float] | None:  # fmt: skip
    """Return the seconds that each of some plans takes, by name, or None where that is not known.

    ``what`` is all that they depend on besides the machine and its threads. Stages that read ``counted`` inputs, or
    what these make of them, are timed; without any, all are. Arrays are made for it, contiguous, of normal numbers or
    small integers.
    """
    key = f"tuning {host.identity()} threads {team.get_num_threads()} {native.sources_stamp()} {sorted(plans)} {what}"
    if key not in budget.known:
        found = _remembered(key, plans) or _measure(plans, inputs, output, counted)
        if found is None:
            return None
        budget.known[key] = found
        default_cache().put(key, json.dumps(found).encode())
    return budget.known[key]


def _remembered(key: str, plans: Mapping[str, object]) -> dict[str, float] | None:
    known = default_cache().get(key)
    try:
        found = json.loads(known) if known is not None else None
    except ValueError:
        return None
    if not isinstance(found, dict) or found.keys() != plans.keys():
        return None
    return found if all(isinstance(x, float) for x in found.values()) else None


def _measure(
    plans: Mapping[str, Callable[[], Plan | None]], inputs: Sequence[Array], output: Array, counted: frozenset[int]
) -> dict[str, float] | None:
    """Time all plans; None where the budget does not last for that."""
    if budget.spent >= budget.seconds:
        return None
    start = time.perf_counter()
    random = np.random.default_rng(0)
    arrays = [_drawn(random, x) for x in inputs]
    arrays.append(np.empty(output.shape, output.dtype))
    found: dict[str, float] = {}
    for name, make in plans.items():
        if budget.spent + (time.perf_counter() - start) >= budget.seconds:
            break
        plan = make()
        if plan is not None:
            found[name] = _fastest(plan, arrays, counted)
    budget.spent += time.perf_counter() - start
    if found.keys() != plans.keys():
        return None
    budget.measured += 1
    return found


def _drawn(random: np.random.Generator, x: Array) -> np.ndarray:
    """Return normal numbers, or small integers."""
    if x.dtype.kind in "iu":
        return np.asarray(random.integers(0, 128, x.shape), x.dtype)
    return np.asarray(random.standard_normal(x.shape, np.float32), x.dtype)


def _fastest(plan: Plan, arrays: Sequence[np.ndarray], counted: frozenset[int]) -> float:
    """Return the seconds that the fastest of some runs took, of all stages or of those that certain arrays reach."""
    everything = [*arrays, *(np.zeros(max(size, 1), np.uint8) for size in plan.scratch)]
    places = [launch.address(array) for array in everything]
    calls, reached = [], set(counted)
    for stage in plan.stages:
        addresses = [places[k] for k in (*stage.reads, *stage.writes)]
        block = struct.pack(f"{len(addresses)}q", *addresses) + stage.numbers
        calls.append((launch.compile(stage.build, stage.key), block, launch.threads_for(stage.work)))
        launch.run(*calls[-1])
        if counted and not reached.intersection(stage.reads):
            calls.pop()
        else:
            reached.update(stage.writes)
    best, runs, until = float("inf"), 0, time.perf_counter() + _SECONDS
    while runs < _LEAST or time.perf_counter() < until:
        start = time.perf_counter()
        for call in calls:
            launch.run(*call)
        best = min(best, time.perf_counter() - start)
        runs += 1
    return best
