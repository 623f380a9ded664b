"""Measuring: the time of each kernel of a compiled call, on a private frame with copies of all that a call changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tensorlite.errors import TensorliteError
from tensorlite.jit.compiled import Compiled
from tensorlite.jit.executable import Fault
from tensorlite.jit.graph import Equation
from tensorlite.jit.placing import Placed
from tensorlite.jit.timing import Clock, NotedFrame, Part, busy, has_cycles

_SECONDS = 0.3  # to measure for
_LEAST_RUNS, _MOST_RUNS = 4, 50


@dataclass(frozen=True)
class Measured:
    """The fastest of some calls: its seconds, and those of its kernels by number; or why there is none."""

    call: float = 0.0
    seconds: tuple[float, ...] = ()
    runs: int = 0
    reason: str = ""


def measure(compiled: Compiled, placed: Sequence[Placed], arguments: Sequence[Any] = ()) -> Measured:
    """Times a compiled call whose steps are placed so, with these arrays or with made-up ones."""
    if not has_cycles():
        return Measured(reason="this machine's cycle counter may not be read")
    if arguments:
        return _measure(compiled, placed, arguments)
    if any(map(_has_while, compiled.traced.graph.equations)):
        return Measured(reason="how long a while_loop runs depends on the arguments: explain(x, y) measures with them")
    try:
        return _measure(compiled, placed, arguments)
    except (Fault, TensorliteError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        return Measured(reason=f"made-up arguments fail ({type(error).__name__}): explain(x, y) measures with them")


def _has_while(equation: Equation) -> bool:
    return equation.op.name == "while_loop" or any(_has_while(e) for g in equation.graphs.values() for e in g.equations)


def _measure(compiled: Compiled, placed: Sequence[Placed], arguments: Sequence[Any]) -> Measured:
    """Runs calls on copies, and shares the time of the fastest among its kernels."""
    executable, parts, best = compiled.executable, list[Part](), None
    frame = NotedFrame(executable, parts.append)
    given = [np.array(array, order="C") for array in _given(compiled, arguments)]
    inputs = [array.copy() for array in given]
    outputs = [np.empty(*shape) for shape in compiled.shapes]
    complete = executable.complete(inputs)
    assert complete is not None
    for result, source in executable.over.items():
        outputs[result] = inputs[source]
    until, runs = time.perf_counter() + _SECONDS, 0
    while runs < _LEAST_RUNS or (runs < _MOST_RUNS and time.perf_counter() < until):
        for source in executable.over.values():
            np.copyto(inputs[source], given[source])
        parts.clear()
        start = time.perf_counter()
        frame.run(complete, outputs)
        seconds = time.perf_counter() - start
        runs += 1
        if runs > 1 and (best is None or seconds < best[0]):
            best = seconds, list(parts)
    assert best is not None
    return Measured(best[0], tuple(_shares(placed, best[1])), runs)


def _given(compiled: Compiled, arguments: Sequence[Any]) -> Iterator[Any]:
    """Arrays for the graph's inputs: real ones where there are, else numbers in [0, 1) and indices 0."""
    known = [*(arguments or [None] * compiled.arguments), *(x.array for x in compiled.traced.state)]
    rng = np.random.default_rng(0)
    for value, array in zip(compiled.traced.graph.inputs, known, strict=True):
        if isinstance(array, np.ndarray) and (array.shape, array.dtype) == (value.shape, value.dtype):
            yield array
        elif value.dtype.kind in "biu":
            yield np.zeros(value.shape, value.dtype)
        else:
            yield rng.random(value.shape, np.float32).astype(value.dtype)


def _shares(placed: Sequence[Placed], parts: Sequence[Part]) -> list[float]:
    """Seconds by step: what runs in a phase shares the time that this takes by its work."""
    times = [0.0] * len(placed)
    period = _clock().period * 1e-9
    phases: dict[tuple[int, int], list[int]] = {}
    for number, each in enumerate(placed):
        phases.setdefault((each.segment, each.phase), []).append(number)
    for part in parts:
        for numbers in (found for (segment, _), found in phases.items() if segment == part.segment):
            if part.cycles is None:
                times[numbers[0]] = (part.end - part.start) * 1e-9
                continue
            cycles = part.cycles[:, [placed[k].record for k in numbers]]
            spent = busy(cycles)
            taken = _span(cycles) if all(placed[k].times == 1 for k in numbers) else int(spent.sum(1).max())
            for k, own in zip(numbers, spent.sum(0), strict=True):
                times[k] = taken * period * int(own) / max(int(spent.sum()), 1)
    return times


def _span(cycles: Any) -> int:
    """Cycles from the first start to the last end; within a loop only their sum is known, of the slowest thread."""
    ran = cycles[:, :, 0] > 0
    return int(cycles[:, :, 1].max() - cycles[:, :, 0].min(where=ran, initial=1 << 62)) if ran.any() else 0


@cache
def _clock() -> Clock:
    """The clock of this process."""
    return Clock()
