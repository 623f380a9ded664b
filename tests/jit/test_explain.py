"""What a jitted function says of itself: kernels and edges by name and line, costs, memory, times that add up."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.errors import TraceError
from tensorlite.jit.costs import bytes_moved, flops
from tensorlite.jit.measure import Measured
from tensorlite.jit.roofline import Machine, machine
from tensorlite.jit.timing import has_cycles
from tensorlite.op import OPS, Elementwise, Integers

timed = pytest.mark.skipif(not has_cycles(), reason="the cycle counter may not be read here")


@tl.jit
def chain(x, w):
    y = tl.tanh(x @ w)
    return y * 2 + 1


def called(function, *arguments):
    """A function compiled for these arguments."""
    jitted = tl.jit(function)
    jitted(*arguments)
    return jitted


def with_edge():
    """A function with an op in its middle that only Python runs: complex numbers have no native kernels."""
    return called(lambda x: tl.abs(tl.exp(x * 2)) + 1, tl.asarray(np.linspace(0, 1, 600).astype(np.complex64)))


class Training:
    """A small network and its step, which changes parameters and moments."""

    def __init__(self):
        tl.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
        opt = optim.AdamW(self.model.parameters(), lr=0.01)

        @tl.jit
        def step(x, y):
            loss = nn.functional.cross_entropy(self.model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        self.step = step
        rng = np.random.default_rng(0)
        self.batch = (tl.tensor(rng.standard_normal((16, 20), np.float32)), tl.tensor(rng.integers(0, 5, 16)))

    def run(self, times):
        return [self.step(*self.batch).item() for _ in range(times)]


# --- what is there ------------------------------------------------------------------------------------------------


def test_kernels_are_named_by_their_ops_and_know_the_users_line():
    chain(tl.ones((6, 4)), tl.ones((4, 8)))
    (kernel,) = chain.explain().kernels
    assert kernel.name == "matmul tanh multiply add"
    assert [line.partition(":")[0] for line in kernel.lines] == ["test_explain.py"] * 2
    assert all(line.endswith("in chain") for line in kernel.lines)
    assert kernel.results == ("float32[6, 8]",)
    assert kernel.flops == 2 * 6 * 8 * 4 + 3 * 6 * 8
    assert kernel.bytes == 4 * (6 * 4 + 4 * 8 + 6 * 8)


def test_each_kernel_has_its_loops_llvm_and_assembly():
    (kernel,) = called(lambda x: tl.exp(x) + 1, tl.ones((64, 64))).explain().kernels
    assert kernel.loops.startswith("kernel ")
    assert "parallel" in kernel.loops
    assert "define void @" in kernel.llvm
    assert re.search(r"^kernel:", kernel.assembly, re.MULTILINE)
    assert "exp(v0)" in kernel.equation


def test_the_graph_is_shown_as_traced_and_after_each_pass_that_changed_it():
    step = called(lambda x: tl.exp(x * 1) + 0 * 2, tl.ones((64, 64)))
    told = step.explain()
    assert "multiply" in str(told.graph)
    names = [each.name for each in told.passes]
    assert {"simplify", "fuse"} < set(names)
    assert not told.passes[names.index("fuse")].graph.equations[0].inputs[1:]
    text = str(step.explain(graphs=True))
    assert "as traced\ndef graph(v0: float32[64, 64]):" in text
    assert "after simplify" in text
    assert text.count("def graph") == 1 + sum(each.changed for each in told.passes)


def test_a_python_edge_is_named_with_its_line():
    told = with_edge().explain()
    edge = next(edge for edge in told.edges if edge.name == "exp")
    assert repr(edge) == f"<edge {edge.number}: exp>"
    assert edge.form == "Python"
    assert (edge.loops, edge.llvm, edge.assembly) == ("", "", "")
    lines = [line for line in str(told).splitlines() if line.startswith("  edge ")]
    assert len(lines) == len(told.edges)
    (line,) = [line for line in lines if "exp -> complex64[600]" in line]
    assert "test_explain.py:" in line
    assert f"{len(told.edges)} Python edges" in str(told)


def test_equal_kernels_are_one_line_of_the_table():
    def layers(x, a, b, c):
        return tl.relu(tl.relu(tl.relu(x @ a) @ b) @ c)

    step = called(layers, *(tl.ones((32, 32)) for _ in range(4)))
    told = step.explain()
    assert len(told.kernels) == 3
    lines = [line for line in str(told).splitlines() if "matmul relu" in line]
    assert len(lines) == 1
    assert lines[0].split()[1] == "3"
    assert "3 kernels (1 distinct)" in str(told)


def test_many_different_kernels_are_counted_together_at_the_end():
    def many(*xs):
        return [tl.exp(x) for x in xs]

    step = called(many, *(tl.ones((2, n)) for n in range(3, 40)))
    text = str(step.explain())
    assert re.search(r"and 13 more(, [\d.]+% of the time)?: explain\(kernels=True\) shows all", text)
    assert str(step.explain(kernels=True)).count("<kernel ") == 37


def test_a_loop_says_how_often_its_kernels_run():
    def loop(x):
        return tl.scan(lambda carry, row: (tl.tanh(carry + row), carry * 2), tl.zeros(8), x)

    told = called(loop, tl.ones((5, 8))).explain()
    inside = [kernel for kernel in told.kernels if kernel.times == 5]
    assert inside
    kernel = next(kernel for kernel in inside if "tanh" in kernel.name)
    assert kernel.flops % 5 == 0
    assert kernel.flops >= 5 * 8 * 2
    assert ", 5 times: " in str(called(loop, tl.ones((5, 8))).explain(kernels=True))


def test_every_specialisation_is_shown_the_newest_kind_of_arguments_first():
    step = called(lambda x: tl.exp(x), tl.ones(3))
    step(tl.ones(4))
    told = step.explain()
    assert [each.signature for each in told.specialisations] == ["(float32[4]) -> float32[4]",
                                                                 "(float32[3]) -> float32[3]"]
    assert [each.signature for each in step.explain(tl.ones(3)).specialisations] == ["(float32[3]) -> float32[3]"]
    assert "2 specialisations" in str(told).splitlines()[0]


def test_a_notebook_gets_folded_parts():
    step = called(lambda x: (x < 1) & (x > 0), tl.ones((64, 64)))
    html = step.explain()._repr_html_()
    assert html.count("<details") == html.count("</details>") >= 4
    assert "graph as traced" in html
    assert "kernels" in html
    assert "&lt;" in html
    assert "x < " not in html


def test_methods_and_modules_explain_themselves():
    model = tl.jit(nn.Linear(4, 3))
    model(tl.ones((2, 4)))
    assert [k.name for k in model.explain().kernels] == ["linear add"]

    class Scaled:
        @tl.jit
        def forward(self, x):
            return tl.exp(x) * 2

    scaled = Scaled()
    scaled.forward(tl.ones(300))
    assert [k.name for k in scaled.forward.explain().kernels] == ["exp multiply"]


# --- times --------------------------------------------------------------------------------------------------------


@timed
@pytest.mark.parametrize("make", [lambda: Training(), with_edge], ids=["training", "edge"])
def test_the_times_of_kernels_and_edges_are_within_the_calls(make):
    made = make()
    if isinstance(made, Training):
        made.run(3)
        made = made.step
    measured = made.explain().measured
    assert measured.reason == ""
    assert len(measured.seconds) == len(made.explain().steps)
    assert all(seconds >= 0 for seconds in measured.seconds)
    assert 0 < sum(measured.seconds) <= measured.call


@timed
def test_times_grow_with_the_work():
    small, large = (called(lambda x: tl.exp(x) * 2, tl.ones((n, 1024))) for n in (8, 2048))
    times = [step.explain().kernels[0].seconds for step in (small, large)]
    assert times[1] > 10 * times[0]


def test_measuring_changes_nothing():
    plain, explained = Training(), Training()
    expected = plain.run(6)
    got = explained.run(3)
    str(explained.step.explain())
    explained.step.explain(*explained.batch).measured  # noqa: B018
    assert got + explained.run(3) == expected
    for p, q in zip(plain.model.parameters(), explained.model.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


@timed
def test_a_while_loop_is_measured_with_arguments_only():
    def loop(x):
        return tl.while_loop(lambda x: (x < 10).all(), lambda x: x + x, x)

    step = called(loop, tl.ones(4))
    assert step.explain().measured == Measured(
        reason="how long a while_loop runs depends on the arguments: explain(x, y) measures with them")
    assert "not measured: how long a while_loop runs" in str(step.explain())
    assert step.explain(tl.ones(4)).measured.call > 0


def test_where_cycles_may_not_be_read_all_else_is_told(monkeypatch):
    for module in ("measure", "timing", "profile"):
        monkeypatch.setattr(f"tensorlite.jit.{module}.has_cycles", lambda: False)
    step = called(lambda x: tl.exp(x) + 1, tl.ones((64, 64)))
    text = str(step.explain())
    assert "time      not measured: this machine's cycle counter may not be read" in text
    assert "machine" not in text.replace("this machine", "")
    assert "0  1  exp add  elementwise  float32[64, 64]" in text
    with step.profile() as profile:
        step(tl.ones((64, 64)))
    names = {event.get("cat") for event in profile.trace["traceEvents"]}
    assert "program" in names
    assert "kernel" not in names


def test_gradients_that_are_accumulated_where_they_are_count_as_in_place():
    w = tl.tensor(np.ones((4, 4), np.float32), requires_grad=True)

    @tl.jit
    def accumulate(x):
        (x @ w).sum().backward()

    for _ in range(3):
        accumulate(tl.ones((4, 4)))
    assert ["float32[4, 4]"] in [each.in_place[0] for each in accumulate.explain().specialisations]


def test_the_machine_copies_and_multiplies():
    found = machine()
    assert found is machine()
    assert found.bandwidth > 1e8
    assert found.peak["float32"] > found.peak["float64"] > 1e8


def test_the_roofline_is_the_slower_of_moving_and_computing():
    model = Machine(1, 10.0, 40.0, 8, {"float32": 100.0, "float64": 50.0})
    assert model.seconds(100, 100) == 10
    assert model.seconds(100, 2000) == 20
    assert model.seconds(100, 2000, "float64") == 40
    assert model.seconds(8, 0) == 0.2


@timed
def test_the_roofline_of_a_kernel_in_a_loop_is_that_of_every_time():
    def loop(x):
        return tl.scan(lambda carry, row: (tl.tanh(carry + row), None), tl.zeros(8), x)[0]

    short, long = (next(k for k in called(loop, tl.ones((n, 8))).explain().kernels if k.times == n) for n in (5, 10))
    assert long.roofline == pytest.approx(2 * short.roofline)
    assert long.flops == 2 * short.flops


# --- memory -------------------------------------------------------------------------------------------------------


def test_memory_is_known():
    training = Training()
    training.run(2)
    found = training.step.memory()
    parameters = sum(p.size * 4 for p in training.model.parameters())
    assert found["arena"] >= found["bound"] > 0
    assert found["state"] >= 3 * parameters
    assert found["results"] >= 4
    told = training.step.explain()
    assert told.memory == found
    inside, _ = told.specialisations[0].in_place
    assert inside.count("float32[30, 20]") == 3


def test_memory_is_that_of_the_specialisation_that_needs_most():
    step = called(lambda x: (x @ x) @ x, tl.ones((64, 64)))
    step(tl.ones((16, 16)))
    assert step.memory() == {"arena": 16384, "bound": 16384, "constants": 0, "state": 0, "results": 16384}


# --- costs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, function, arguments, expected", [
    ("matmul", lambda x, y: x @ y, [(5, 2, 3), (3, 4)], 2 * 5 * 2 * 4 * 3),
    ("linear", lambda x, w, b: tl.linear(x, w, b), [(2, 3), (4, 3), (4,)], 2 * 2 * 4 * 3 + 2 * 4),
    ("conv2d", lambda x, w: tl.conv2d(x, w), [(2, 3, 8, 8), (4, 3, 3, 3)], 2 * 2 * 4 * 36 * 27),
    ("multiply", lambda x: x * 2, [(7,)], 7),
    ("sum", lambda x: x.sum(1), [(7, 3)], 21),
    ("reshape", lambda x: x.reshape(-1), [(7, 3)], 0)])
def test_operations_are_counted(name, function, arguments, expected):
    graph = tl.trace(function, *map(tl.ones, arguments))
    assert sum(flops(e) for e in graph.equations if e.op.name == name) == expected


def test_a_convolutions_derivatives_cost_what_it_does():
    def both(x, w):
        return tl.vjp(tl.conv2d, x, w)[1](tl.ones((2, 4, 6, 6)))

    graph = tl.trace(both, tl.ones((2, 3, 8, 8)), tl.ones((4, 3, 3, 3)))
    costs = {e.op.name: flops(e) for e in graph.equations}
    assert costs["conv2d"] == costs["conv2d_data"] == costs["conv2d_weight"] == 2 * 2 * 4 * 36 * 27


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.samples], ids=lambda op: op.name)
def test_every_ops_operations_and_bytes_can_be_counted(op):
    sample = op.samples[0]
    inputs = [tl.zeros(x.shape, dtype=np.dtype(x.dtype)) if isinstance(x, Integers) else tl.ones(x)
              for x in sample.inputs]
    try:
        graph = tl.trace(lambda *xs: tl.dispatch.apply(op, *xs, **sample.attributes), *inputs)
    except TraceError:
        return  # its result is only known when it runs
    (equation,) = graph.equations
    assert flops(equation) >= 0
    if isinstance(op, Elementwise):
        assert flops(equation) % max(equation.outputs[0].size, 1) == 0


def test_a_table_that_is_looked_up_in_counts_as_what_is_taken():
    step = called(lambda table, at: tl.embedding(at, table), tl.ones((5000, 16)), tl.zeros(8, dtype=tl.int64))
    assert max(bytes_moved(k.step) for k in step.explain().steps) < 4 * 5000 * 16


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["explain", "memory"])
def test_before_the_first_call_there_is_nothing_to_say(asked):
    def fresh(x):
        return x

    with pytest.raises(TraceError) as error:
        getattr(tl.jit(fresh), asked)()
    first, line, fix = str(error.value).splitlines()
    assert first == (f"{asked}: <jit test_before_the_first_call_there_is_nothing_to_say.<locals>.fresh> has not been "
                     "called")
    assert line.startswith("  at test_explain.py:")
    assert fix == "  fix: call it first"


def test_a_first_call_that_makes_state_is_no_specialisation_yet():
    kept = []

    @tl.jit
    def lazy(x):
        if not kept:
            kept.append(tl.zeros(3))
            kept[0].add_(x)
        return x + kept[0]

    lazy(tl.ones(3))
    if lazy.variants:
        pytest.skip("such a call is kept now")
    with pytest.raises(TraceError) as error:
        lazy.explain()
    assert str(error.value).splitlines()[0].endswith(
        "lazy> is compiled at its second call: the first one made tensors that are kept")
    assert error.value.fix == "call it once more"


def test_arguments_that_were_never_given_are_named():
    step = called(lambda x: x + 1, tl.ones(3))
    with pytest.raises(TraceError) as error:
        step.explain(tl.ones(4), 2)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("has not been called with such arguments")
    assert lines[1:3] == ["  argument 1  float32[4]", "  argument 2  2"]
    assert lines[-1] == "  fix: call it with them first"
