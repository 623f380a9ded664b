"""What is spelled out and what fuses with what: texts before and after, equal numbers, and graphs of any form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from goldens import check_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from laws.stages import leaves
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn
from tensorlite.jit.graph import Graph, graph_text
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.passes.fuse import fuse
from tensorlite.jit.passes.spell_out import spell_out
from tensorlite.jit.pipeline import PASSES
from tensorlite.jit.trace import trace_call
from tensorlite.jit.verify import verify
from tensorlite.nn import functional as F

RANDOM = np.random.default_rng(0)


def random(*shape: int) -> tl.Tensor:
    return tl.tensor(RANDOM.standard_normal(shape), dtype=tl.float32)


X, W, B, G = random(4, 6), random(5, 6), random(5), random(6)
LABELS = tl.tensor([0, 2, 5, 1])
IMAGE, FILTERS = random(2, 3, 6, 6), random(4, 3, 3, 3)


def before_fuse(function: Any, *arguments: tl.Tensor) -> tuple[Graph, list[tl.Tensor]]:
    """The graph as `fuse` gets it, and its inputs."""
    traced = trace_call(function, arguments, {})
    graph = traced.graph
    for each in PASSES[:-1]:
        graph = verify(each(graph))
    return graph, [*arguments, *traced.state]


def check(name: str, rewrite: Any, graph: Graph, inputs: list[tl.Tensor]) -> Graph:
    """Holds the texts before and after against the golden file, and the numbers of both against each other."""
    found = verify(rewrite(graph))
    check_golden(name, f"{graph_text(graph)}\n--- after {rewrite.__name__} ---\n\n{graph_text(found)}")
    with tl.no_grad():
        for x, y in zip(found(*inputs), graph(*inputs), strict=True):
            assert x.type == y.type
            assert_close(x, y, terms=16)
    return found


SPELLED = {
    "softmax": (lambda x: tl.softmax(x, axis=1), X),
    "log_softmax": (lambda x: tl.log_softmax(x, axis=0), X),
    "logsumexp": (lambda x: tl.logsumexp(x, axis=1), X),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6,), w, b), X, G, G),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS), X),
    "linear_with_bias": (F.linear, X, W, B),
    "var": (lambda x: x.var(axis=1), X),
    "empty": (lambda x: tl.softmax(x, axis=1), tl.zeros((0, 3))),
}


@pytest.mark.parametrize("name", SPELLED)
def test_meanings_are_spelled_out(name):
    function, *arguments = SPELLED[name]
    traced = trace_call(function, arguments, {})
    found = check(f"spell_out-{name}", spell_out, traced.graph, [*arguments, *traced.state])
    assert graph_text(spell_out(found)) == graph_text(found)


def twice_used(x):
    y = tl.exp(x)
    return y * 2, y.sum(axis=1), y


def crossing(x):
    """Two chains that each wait for a product of the other's."""
    y = tl.exp(x)
    z = y @ y.T
    return (y * (z.sum() + 1)), tl.sin(z) + 1


def adam(p, g, mean, square):
    mean = 0.9 * mean + 0.1 * g
    square = 0.999 * square + 0.001 * g * g
    return p - 0.01 * mean / (tl.sqrt(square) + 1e-8), mean, square


#: By name: how many equations are left, the function, its arguments.
FUSED = {
    "chain": (1, lambda x: tl.sigmoid(tl.exp(x) * 2 + 1), X),
    "tree": (1, lambda x, g: (x * g + tl.sin(x)) / (tl.cos(x) + 2), X, G),
    "outputs": (1, twice_used, X),
    "into a reduction": (1, lambda x: (tl.exp(x) * x).sum(axis=1), X),
    "out of a reduction": (1, lambda x: tl.log(x.sum(axis=1) + 10) * 2, X),
    "reductions side by side": (1, lambda x: (lambda y: (y.sum(axis=1), y.max(axis=1), (y * y).mean(axis=1)))(-x), X),
    "softmax": (1, lambda x: tl.softmax(x, axis=1), X),
    "softmax with a mask and a scale": (1, lambda x: tl.softmax(tl.where(x > 0, x * 0.5, -1e9), axis=1), X),
    "layer norm": (1, lambda x, w, b: F.layer_norm(x, (6,), w, b), X, G, G),
    "cross-entropy": (None, lambda x: tl.value_and_grad(lambda x: F.cross_entropy(x, LABELS))(x), X),
    "softmax backward": (1, lambda x, g: tl.vjp(lambda x: tl.softmax(x, axis=1), x)[1](g)[0], X, X),
    "linear with bias and activation": (1, lambda x, w, b: tl.gelu(F.linear(x, w, b)), X, W, B),
    "linear with a residual": (1, lambda x, w, b, r: F.linear(x, w, b) * 0.5 + r, X, W, B, random(4, 5)),
    "convolution with bias and relu": (None, lambda x, w, b: tl.relu(F.conv2d(x, w, b)), IMAGE, FILTERS, random(4)),
    "optimizer": (1, adam, X, X, X, X * X),
    "views": (None, lambda x: tl.exp(x).reshape(2, 2, 6).sum(axis=0) + x.T.reshape(2, 12)[:, :6], X),
    "crossing": (None, crossing, X),
    "other axes": (2, lambda x: tl.exp(x - x.sum(axis=0)).sum(axis=1), X),
    "integers beside": (1, lambda x: tl.where(tl.arange(6) < 3, x, 0).sum(axis=1), X),
    "half precision": (1, lambda x: tl.softmax(x, axis=1) * 2, X.to(tl.bfloat16)),
}


@pytest.mark.parametrize("name", FUSED)
def test_what_fuses(name):
    left, function, *arguments = FUSED[name]
    found = check(f"fuse-{name.replace(' ', '_')}", fuse, *before_fuse(function, *arguments))
    if left is not None:
        assert len([e for e in found.equations if e.op.kind != "movement"]) == left


def test_every_pass_is_stable():
    """What comes out of the pipeline goes through it unchanged."""
    for _, function, *arguments in FUSED.values():
        graph, _ = before_fuse(function, *arguments)
        once = graph_text(fuse(graph))
        for each in PASSES[:-1]:
            graph = each(graph)
        assert graph_text(fuse(graph)) == once


def test_updates_of_many_parameters_are_few_kernels():
    model = nn.Sequential(*[nn.Linear(6, 6) for _ in range(5)])
    opt = tl.optim.Adam(model.parameters())

    def step(x):
        loss = model(x).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
    traced = trace_call(step, (X,), {})
    graph = traced.graph
    for each in PASSES:
        graph = verify(each(graph))
    assert len([e for e in graph.equations if e.op.kind != "movement"]) <= 5 + 4 + 5 + 10 + 4 + 3  # betas are state


# --- any graph ------------------------------------------------------------------------------------------------------

UNARY = (tl.exp, tl.sin, tl.relu, abs, lambda x: -x, lambda x: x * 2, lambda x: x.reshape(x.shape),
         lambda x: tl.broadcast_to(x, x.shape), lambda x: (x > 0).to(x.dtype))
REDUCING = (tl.sum, tl.mean, tl.max, tl.min)
BINARY = (tl.add, tl.subtract, tl.multiply, tl.maximum)


@st.composite
def meshes(draw):
    """Functions of three tensors whose values share one space in many ways, rows and columns of it included."""
    shape = draw(st.sampled_from([(3, 4), (3, 3), (2, 3, 4), (1, 5), (4, 1), (7,), (40, 300)]))
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
                          min_size=3, max_size=14))
    returned = draw(st.lists(st.integers(0, 99), min_size=1, max_size=4))
    return shape, steps, returned


def mesh(shape, steps, returned):
    def function(*given):
        values = list(given)
        for kind, which, first, second in steps:
            x, y = values[first % len(values)], values[second % len(values)]
            if kind == 0:
                values.append(UNARY[which % len(UNARY)](x))
            elif kind == 1 and x.ndim:
                values.append(REDUCING[which % 4](x, axis=which % x.ndim, keepdims=bool(which % 3)))
            elif kind == 2 and x.ndim == 2 and x.shape[0] < 10:
                values.append((x @ x.T) @ x if which % 2 else x.T.T)
            else:
                try:
                    values.append(BINARY[which % 4](x, y))
                except tl.errors.ShapeError:
                    continue
            values[-1] = tl.clip(values[-1], -3.0, 3.0)
        return [values[k % len(values)] for k in returned]
    return function


@given(meshes())
@settings(max_examples=120)
def test_graphs_of_any_form_keep_their_numbers(case):
    shape, steps, _ = case
    random = np.random.default_rng(len(steps))
    inputs = [tl.tensor(random.uniform(-1, 1, size), dtype=tl.float32) for size in (shape, shape[-1:], shape)]
    function = mesh(*case)
    graph, given_ = before_fuse(function, *inputs)
    fused = verify(fuse(graph))
    expected = leaves(function(*inputs))
    with tl.no_grad():
        for x, y in zip(fused(*given_), expected, strict=True):
            assert_close(x, y, terms=512)
    for x, y in zip(leaves(tl.jit(function)(*inputs)), expected, strict=True):
        assert_close(x, y, terms=512)


def test_a_long_chain_is_one_kernel_and_a_wide_one_is_cut():
    def long(x):
        for k in range(300):
            x = x * 0.99 + 0.01 * k
        return x
    graph, _ = before_fuse(long, X)
    assert len(fuse(graph).equations) <= 4
    assert_close(tl.jit(long)(X), long(X), terms=300)
    wide = [random(4, 6) for _ in range(60)]
    total = lambda *xs: sum(tl.sin(x) for x in xs)
    graph, _ = before_fuse(total, *wide)
    assert 1 < len(fuse(graph).equations) <= 6
    assert_close(tl.jit(total)(*wide), total(*wide), terms=60)


def test_what_all_its_readers_compute_anew_is_computed_nowhere_else():
    x, y = random(2, 3, 4), random(2, 3, 4)
    loss = lambda x, y: F.cross_entropy(x, y, label_smoothing=0.5)
    graph, _ = before_fuse(loss, x, y)
    fused = verify(fuse(graph))
    assert eliminate_dead_code(fused).equations == fused.equations
    assert_close(tl.jit(loss)(x, y), loss(x, y), terms=24)
