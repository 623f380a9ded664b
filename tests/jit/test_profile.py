"""Recorded calls give what others give, and a trace with a slice for every kernel on the row of every thread."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.errors import TraceError
from tensorlite.jit.timing import Clock, has_cycles

pytestmark = pytest.mark.skipif(not has_cycles(), reason="the cycle counter may not be read here")


def slices(trace, category):
    """The slices of a kind, in order of time."""
    return sorted((e for e in trace["traceEvents"] if e.get("cat") == category), key=lambda e: e["ts"])


def ends(event):
    return event["ts"] + event["dur"]


def large():
    """A function of several kernels that are worth all threads, and its argument."""
    return tl.jit(lambda x: tl.tanh(tl.tanh(x @ x) @ x).sum(0)), tl.ones((512, 512))


@pytest.fixture
def two_threads():
    before = tl.get_num_threads()
    tl.set_num_threads(2)
    yield
    tl.set_num_threads(before)


def test_the_file_has_a_slice_for_each_kernel_and_thread(tmp_path, two_threads):
    step, x = large()
    step(x)
    with step.profile(tmp_path / "trace.json"):
        step(x)
    trace = json.loads((tmp_path / "trace.json").read_text())
    rows = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    assert sorted(rows.values()) == sorted(
        [f"Python thread {threading.get_native_id()}, thread 0 of the team", "thread 1 of the team"])
    shared = {k.number for k in step.explain().kernels if k.threads is None}
    assert len(shared) >= 2
    for row in rows:
        assert shared <= {e["args"]["number"] for e in slices(trace, "kernel") if e["tid"] == row}
    every = {k.number for k in step.explain().kernels}
    assert {e["args"]["number"] for e in slices(trace, "kernel")} == every


def test_a_kernels_slice_says_what_it_costs_and_where_it_comes_from():
    step, x = large()
    step(x)
    with step.profile() as profile:
        step(x)
    kernels = {k.number: k for k in step.explain().kernels}
    for event in slices(profile.trace, "kernel"):
        kernel = kernels[event["args"]["number"]]
        assert event["name"] == kernel.name
        assert (event["args"]["bytes"], event["args"]["flops"]) == (kernel.bytes, kernel.flops)
        assert event["args"]["line"].startswith("test_profile.py:")
        assert event["ph"] == "X"
        assert event["dur"] >= 0


def test_slices_of_a_row_are_within_their_call_and_do_not_overlap(two_threads):
    step, x = large()
    with step.profile() as profile:
        for _ in range(4):
            step(x)
    calls, programs = slices(profile.trace, "call"), slices(profile.trace, "program")
    assert len(calls) == 4
    assert all(ends(a) <= b["ts"] for a, b in zip(calls, calls[1:]))
    for program in programs:
        assert any(call["ts"] <= program["ts"] and ends(program) <= ends(call) for call in calls)
    for row in {e["tid"] for e in slices(profile.trace, "kernel")}:
        mine = [e for e in slices(profile.trace, "kernel") if e["tid"] == row]
        assert all(ends(a) <= b["ts"] + 1e-3 for a, b in zip(mine, mine[1:]))
        for kernel in mine:
            assert any(p["ts"] <= kernel["ts"] + 1e-3 and ends(kernel) <= ends(p) + 1e-3 for p in programs)


def test_a_call_is_overhead_programs_and_edges():
    step = tl.jit(lambda x: tl.abs(tl.exp(x * 2)) + 1)
    x = tl.asarray(np.ones(600, np.complex64))
    step(x)
    with step.profile() as profile:
        step(x)
    assert [e["name"] for e in slices(profile.trace, "edge")] == [k.name for k in step.explain().edges]
    assert "exp" in {e["name"] for e in slices(profile.trace, "edge")}
    before, after = slices(profile.trace, "overhead")
    assert (before["name"], after["name"]) == ("arguments and guards", "results")
    (call,) = slices(profile.trace, "call")
    parts = [before, after, *slices(profile.trace, "edge"), *slices(profile.trace, "program")]
    assert before["ts"] == call["ts"]
    assert ends(after) == pytest.approx(ends(call))
    assert sum(e["dur"] for e in parts) <= call["dur"]


def test_a_first_call_shows_that_it_compiles_and_its_kernels():
    step, x = large()
    with step.profile() as profile:
        step(x)
        step(x)
    (compiling,) = slices(profile.trace, "compile")
    assert compiling["name"] == "trace and compile"
    assert compiling["dur"] > 1
    count = len(step.explain().kernels)
    assert len(slices(profile.trace, "kernel")) >= 2 * count
    assert min(e["ts"] for e in slices(profile.trace, "kernel")) >= ends(compiling) - 1


def test_a_loops_kernel_is_one_slice_that_says_how_often():
    def loop(x):
        return tl.scan(lambda carry, row: (tl.tanh(carry + row), carry * 2), tl.zeros(8), x)

    step = tl.jit(loop)
    step(tl.ones((5, 8)))
    with step.profile() as profile:
        step(tl.ones((5, 8)))
    inside = [e for e in slices(profile.trace, "kernel") if e["args"].get("times") == 5]
    assert len(inside) == sum(k.times == 5 for k in step.explain().kernels) > 0


def test_recorded_training_has_the_same_losses_and_weights():
    def train(recorded):
        tl.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5), nn.Linear(30, 5))
        opt = optim.Adam(model.parameters(), lr=0.01)

        @tl.jit
        def step(x, y):
            loss = nn.functional.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        rng = np.random.default_rng(0)
        batch = tl.tensor(rng.standard_normal((16, 20), np.float32)), tl.tensor(rng.integers(0, 5, 16))
        losses = []
        for _ in range(3):
            if recorded:
                with step.profile():
                    losses += [step(*batch).item(), step(*batch).item()]
            else:
                losses += [step(*batch).item(), step(*batch).item()]
        return losses, [p.detach().numpy() for p in model.parameters()]

    (losses, weights), (expected, others) = train(True), train(False)
    assert losses == expected
    for p, q in zip(weights, others, strict=True):
        np.testing.assert_array_equal(p, q)


def test_nothing_is_recorded_after_the_end_and_the_function_is_as_before():
    step, x = large()
    step(x)
    kind, frames = type(step), [c.executable.frames for v in step.variants.values() for c in v]
    with step.profile() as profile:
        assert type(step) is not kind
        step(x)
    count = len(profile.trace["traceEvents"])
    step(x)
    assert type(step) is kind
    for compiled, before in zip((c for v in step.variants.values() for c in v), frames, strict=True):
        assert compiled.executable.frames is before
    assert len(profile.trace["traceEvents"]) == count
    assert repr(profile) == f"<profile of {step!r}: 1 calls>"


def test_an_error_passes_through_and_writes_nothing(tmp_path):
    step, x = large()
    step(x)
    with pytest.raises(KeyError), step.profile(tmp_path / "trace.json") as profile:
        step(x)
        raise KeyError
    assert not (tmp_path / "trace.json").exists()
    assert len(slices(profile.trace, "call")) == 1
    profile.save(tmp_path / "later.json")
    assert json.loads((tmp_path / "later.json").read_text()) == profile.trace


def test_threads_that_call_at_once_have_rows_of_their_own():
    step, x = large()
    expected = step(x).numpy()
    found, meet = {}, threading.Barrier(3)

    def work(name):
        meet.wait()
        found[name] = [step(x).numpy() for _ in range(5)]

    with step.profile() as profile:
        workers = [threading.Thread(target=work, args=(k,)) for k in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len({e["tid"] for e in slices(profile.trace, "call")}) == 3
    assert len(slices(profile.trace, "call")) == 15
    for results in found.values():
        for result in results:
            np.testing.assert_array_equal(result, expected)


def test_methods_and_modules_are_recorded():
    model = tl.jit(nn.Linear(4, 3))
    with model.profile() as profile:
        model(tl.ones((2, 4)))
    assert [e["name"] for e in slices(profile.trace, "kernel")] == ["linear add"]
    assert type(model).__name__ == "JittedModule"


def test_a_function_is_recorded_once_at_a_time():
    step = tl.jit(lambda x: x + 1)
    with step.profile():
        with pytest.raises(TraceError) as error:
            step.profile().__enter__()
        first, line, fix = str(error.value).splitlines()
        assert first.startswith("profile: <jit test_a_function_is_recorded_once_at_a_time.<locals>.<lambda>> is being")
        assert first.endswith(" profiled already")
        assert line.startswith("  at test_profile.py:")
        assert fix == "  fix: leave the other `with` block first"
    with step.profile() as profile:
        step(tl.ones(3))
    assert len(slices(profile.trace, "call")) == 1


def test_the_clock_goes_with_pythons():
    clock = Clock()
    clock.settle()
    moment, cycles = clock.read()
    assert clock.nanoseconds(cycles) == pytest.approx(moment, abs=50_000)
    assert 0.05 < clock.period < 20
