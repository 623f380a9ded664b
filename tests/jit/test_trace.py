"""A traced function gives what the eager one gives, evaluated as it is and after every prefix of the pipeline."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.jit.graph import graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.pipeline import PASSES
from tensorlite.jit.trace import TraceError, trace, trace_call
from tensorlite.jit.verify import verify

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def prefixes(graph):
    """The graph as traced, then after the first pass, the first two, and so on."""
    yield "trace", verify(graph)
    for each in PASSES:
        graph = verify(each(graph))
        yield each.__name__, graph


def results(function, *arguments):
    """The eager leaves and, by prefix, those of the evaluated graph."""
    traced = trace_call(function, arguments, {})
    inputs = [x for x in arguments if isinstance(x, tl.Tensor)]
    for name, graph in prefixes(traced.graph):
        with tl.no_grad():
            yield name, graph(*inputs, *traced.state)


FUNCTIONS = {
    "elementwise": lambda x: tl.sigmoid(x) * x + tl.exp(-x),
    "views": lambda x: x.T.reshape(2, 6)[:, 1:4].permute(1, 0),
    "reductions": lambda x: (x.sum(0), x.mean(axis=1, keepdims=True), x.max(), tl.logsumexp(x, axis=-1)),
    "matmul": lambda x: x @ x.T,
    "assignment": lambda x: _assigned(x),
    "gradient": tl.grad(lambda x: (tl.tanh(x @ x.T) ** 2).sum()),
    "second": tl.grad(lambda x: tl.grad(lambda z: (z**3).sum())(x).sum()),
    "gather": lambda x: x[tl.tensor([2, 0])] + x[1],
    "constants": lambda x: x * tl.ones(4) + tl.arange(4),
}


def _assigned(x):
    y = x * 2
    y[1] = 0.0
    y += 1
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_prefix_of_the_pipeline_gives_the_eager_answer(name):
    function, x = FUNCTIONS[name], tl.tensor(X)
    expected = function(x)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for step, found in results(function, x):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=f"after {step}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_text_is_parsed_back(name):
    graph = trace(FUNCTIONS[name], tl.tensor(X))
    for _, each in prefixes(graph):
        text = graph_text(each)
        assert graph_text(parse(text)) == text
        verify(parse(text))


def network():
    tl.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Dropout(0.5), nn.Linear(64, 10))
    return model, optim.SGD(model.parameters(), lr=0.1)


def test_training_step_is_one_graph_whose_state_is_captured():
    images, labels = tl.randn(6, 1, 8, 8), tl.tensor([1, 2, 3, 4, 5, 6])

    def step_of(model, opt):
        def step(x, y):
            loss = nn.functional.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss
        return step

    model, opt = network()
    eager = [step_of(model, opt)(images, labels).item() for _ in range(3)]
    model, opt = network()
    traced = trace_call(step_of(model, opt), (images, labels), {})
    verify(traced.graph)
    found = []
    with tl.no_grad():
        for _ in range(3):
            outputs = traced.graph(images, labels, *traced.state)
            found.append(outputs[0].item())
            for tensor, slot, index in traced.changes:
                if slot == "array":
                    tensor.array = outputs[index].array
    np.testing.assert_allclose(found, eager, rtol=1e-6)


def test_trace_leaves_the_world_as_it_was():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    before = w.array

    def step(x):
        (w * x).sum().backward()
        with tl.no_grad():
            w.sub_(w.grad)
        return w

    traced = trace_call(step, (tl.tensor([1.0, 1.0]),), {})
    assert w.array is before
    assert w.grad is None
    assert [(slot, tensor is w) for tensor, slot, _ in traced.changes] == [("array", True), ("grad", True)]


def test_a_tensor_that_escapes_is_named():
    kept = []

    def leak(x):
        kept.append(x * 2)
        return x

    trace(leak, tl.tensor([1.0]))
    with pytest.raises(TraceError, match="a tensor of another trace was kept and is used here"):
        trace(lambda x: x + kept[0], tl.tensor([1.0]))
