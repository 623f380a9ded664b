"""Plans run on guarded outputs by 1, 2 and 4 threads: bits are the same, inputs as they were; loops are interpreted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from guarded import Guarded, same_bits
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


# Of images and filters

LAYERS_LAYOUTS = st.sampled_from(["contiguous", "contiguous", "turned", "stepped", "reversed"])


def numbers(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(dtype)


def run_guarded(plan, inputs, shape, dtypes):
    """Run a plan with 1, 2 and 4 threads, its outputs between guard zones; return them: they must not differ."""
    results = []
    for threads in (1, 2, 4):
        guarded = [Guarded(np.full(shape, 7, dtype)) for dtype in dtypes]
        stages.run(plan, [*inputs, *(g.array for g in guarded)], threads)
        for one in guarded:
            one.check()
        results.append([one.array.copy() for one in guarded])
    for other in results[1:]:
        assert all(map(same_bits, results[0], other))
    return results[0]


def interpreted(plan, inputs, shape):
    """What a plan's loops mean, by the interpreter: its one output, of float32."""
    memory = [np.ascontiguousarray(x).ravel().astype(np.float32) for x in (*inputs, np.zeros(shape))]
    memory += [np.full(size // 4, np.nan, np.float32) for size in plan.scratch]
    for stage in plan.stages:
        kernel, touched = verify(stage.build()), (*stage.reads, *stage.writes)
        names = [p.name for p in kernel.parameters]
        values = dict(zip(names[len(touched) :], np.frombuffer(stage.numbers, np.int64).tolist(), strict=True))
        interp.run(kernel, dict(zip(names, [memory[k] for k in touched], strict=False)) | values, threads=2)
    return memory[len(inputs)].reshape(shape)
