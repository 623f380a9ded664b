"""Plans run on guarded outputs by 1, 2 and 4 threads: bits are the same, inputs as they were; loops are interpreted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from guarded import Guarded
from hypothesis import strategies as st

from tensorlite.kernels import interp, loops
from tensorlite.kernels.cpu import stages
from tensorlite.kernels.stage import Array, Plan
from tensorlite.kernels.verify import verify
from tensorlite.op import OPS

LAYOUTS = ("contiguous", "turned", "stepped", "reversed")
Planner = Callable[..., Plan | None]


def laid(x: np.ndarray, layout: str) -> np.ndarray:
    """The same elements in memory of another layout."""
    x = np.asarray(x)
    if layout == "turned":
        return x.T.copy().T
    step = {"contiguous": 1, "stepped": 2, "reversed": -1}[layout]
    roomy = np.zeros([n * abs(step) for n in x.shape], x.dtype)
    view = roomy[(..., *(slice(None, None, step),) * x.ndim)]
    view[...] = x
    return view


layouts = st.sampled_from(LAYOUTS)
extents = st.sampled_from([0, 1, 1, 2, 3, 5, 7, 16, 17, 33, 67])


def eager(op: str, *inputs: np.ndarray, **attributes: Any) -> np.ndarray:
    """What the op's own body says."""
    with np.errstate(all="ignore"):
        return np.asarray(OPS[op].body(np, *inputs, **attributes))


def run(plan: Plan, inputs: Sequence[np.ndarray], like: np.ndarray) -> tuple[np.ndarray, bool]:
    """The output of a plan, which has the shape and dtype of ``like``, and whether an index was out of range."""
    copies = [x.copy() for x in inputs]
    results = []
    for threads in (1, 2, 4):
        out = Guarded(np.full(like.shape, 1).astype(like.dtype))
        fault = stages.run(plan, [*inputs, out.array], threads)
        out.check()
        results.append((out.array, fault))
    for x, copy in zip(inputs, copies, strict=True):
        assert x.tobytes() == copy.tobytes(), "an input was overwritten"
    first, fault = results[0]
    for other, other_fault in results[1:]:
        assert fault == other_fault
        assert fault or first.tobytes() == other.tobytes(), "bits depend on the number of threads"
    return first, fault


def planned(planner: Planner, inputs: Sequence[np.ndarray], like: np.ndarray, **attributes: Any) -> Plan | None:
    """What a planner makes of inputs and one contiguous output."""
    return planner([stages.described(x) for x in inputs], [Array.contiguous(like.dtype, like.shape)], **attributes)


def compute(
    table: dict[str, Planner], op: str, *inputs: np.ndarray, **attributes: Any
) -> tuple[np.ndarray, np.ndarray]:
    """What the plan of an op computes, and what eager does."""
    expected = eager(op, *inputs, **attributes)
    plan = planned(table[op], inputs, expected, **attributes)
    assert plan is not None, f"{op} has no native form for {[stages.described(x) for x in inputs]} {attributes}"
    actual, fault = run(plan, inputs, expected)
    assert not fault
    return actual, expected


def assert_equal(actual: np.ndarray, expected: np.ndarray) -> None:
    """Raise unless numbers are equal; NaN is equal to NaN, and zeros are equal whatever their sign."""
    assert actual.dtype == expected.dtype
    wide = np.float64 if actual.dtype.kind in "fV" else actual.dtype
    np.testing.assert_array_equal(actual.astype(wide), expected.astype(wide))


def interpret(plan: Plan, arrays: Sequence[np.ndarray], threads: int = 2) -> None:
    """Interpret the stages of a plan, as ``stages.run`` runs them; arrays are contiguous."""
    everything = [*(x.reshape(-1) for x in arrays), *(np.zeros(max(size, 1), np.uint8) for size in plan.scratch)]
    for stage in plan.stages:
        kernel = verify(stage.build())
        names = list(kernel.buffers)
        places = dict(zip(names, (*stage.reads, *stage.writes), strict=True))
        arguments: dict[str, Any] = {name: everything[k].view(kernel.buffers[name].dtype) for name, k in places.items()}
        numbers = [p for p in kernel.parameters if isinstance(p, loops.Parameter)]
        for k, parameter in enumerate(numbers):
            slot = stage.numbers[8 * k : 8 * k + parameter.dtype.itemsize]
            arguments[parameter.name] = np.frombuffer(slot, parameter.dtype)[0]
        interp.run(kernel, arguments, threads)
