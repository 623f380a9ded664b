"""Recurrent layers and cells: outputs, states and gradients against PyTorch, eager and traced, and names and errors."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError
from tensorlite.jit.pipeline import PASSES
from tensorlite.jit.trace import trace_call
from tensorlite.jit.verify import verify

LAYERS, CELLS = ("RNN", "LSTM", "GRU"), ("RNNCell", "LSTMCell", "GRUCell")
OPTIONS = {
    "plain": {}, "no bias": {"bias": False}, "deep": {"num_layers": 3}, "both ways": {"bidirectional": True},
    "deep both ways": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "batch first": {"batch_first": True},
}
TERMS = 1 << 12


def pair(name, *sizes, **options):
    """The same layer here and in PyTorch, in float64, with the same parameters."""
    from nn.against_torch import torch
    theirs = getattr(torch.nn, name)(*sizes, dtype=torch.float64, **options)
    ours = getattr(nn, name)(*sizes, dtype=tl.float64, **options)
    names = [key for key, _ in theirs.named_parameters()]
    assert list(ours.state_dict()) == names
    ours.load_state_dict({key: value.detach().numpy() for key, value in theirs.named_parameters()})
    return ours, theirs


def flat(result):
    return [x for part in result for x in flat(part)] if isinstance(result, tuple) else [result]


def weighed(outputs):
    return sum((y * y + y).sum() for y in flat(outputs))


def compare(ours, theirs, x, state=None):
    from nn.against_torch import torch
    a = tl.tensor(x, requires_grad=True)
    b = torch.tensor(x, requires_grad=True)
    given = () if state is None else (tuple(map(tl.tensor, state)) if len(state) > 1 else tl.tensor(state[0]),)
    wanted = () if state is None else (tuple(map(torch.tensor, state)) if len(state) > 1 else torch.tensor(state[0]),)
    found, expected = ours(a, *given), theirs(b, *wanted)
    for y, z in zip(flat(found), flat(expected), strict=True):
        assert_close(y, z.detach().numpy(), terms=TERMS)
    weighed(found).backward()
    weighed(expected).backward()
    assert_close(a.grad, b.grad.numpy(), terms=TERMS)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad, q.grad.numpy(), terms=TERMS)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_agree_with_torch(name, options):
    from nn.against_torch import draw
    ours, theirs = pair(name, 3, 4, **OPTIONS[options])
    compare(ours, theirs, draw(5, 2, 3))
    compare(ours, theirs, draw(5, 3))


@pytest.mark.parametrize("name", LAYERS)
def test_first_states_agree_with_torch(name):
    from nn.against_torch import draw
    ours, theirs = pair(name, 3, 4, num_layers=2, bidirectional=True)
    count = 2 if name == "LSTM" else 1
    compare(ours, theirs, draw(5, 2, 3), [draw(4, 2, 4, seed=i) for i in range(count)])
    compare(ours, theirs, draw(5, 3), [draw(4, 4, seed=i) for i in range(count)])


def test_relu_agrees_with_torch():
    from nn.against_torch import draw
    compare(*pair("RNN", 3, 4, nonlinearity="relu"), draw(5, 2, 3))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_cells_agree_with_torch(name, bias):
    from nn.against_torch import draw
    ours, theirs = pair(name, 3, 4, bias=bias)
    compare(ours, theirs, draw(2, 3))
    compare(ours, theirs, draw(2, 3), [draw(2, 4, seed=i) for i in range(2 if name == "LSTMCell" else 1)])


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_what_they_print_agrees_with_torch(name):
    ours, theirs = pair(name, 3, 4, bias=False)
    assert repr(ours) == repr(theirs)


def test_what_layers_with_options_print_agrees_with_torch():
    ours, theirs = pair("LSTM", 3, 4, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_parameters_are_drawn_evenly_below_one_over_the_root_of_the_size(name):
    tl.manual_seed(0)
    values = np.concatenate([p.detach().numpy().ravel() for p in getattr(nn, name)(64, 64).parameters()])
    assert np.abs(values).max() <= 1 / 8
    assert np.abs(values).max() > 0.99 / 8
    assert abs(values.mean()) < 1e-2


def test_dropout_is_between_layers_in_training_only():
    layer = nn.GRU(3, 4, num_layers=2, dropout=1.0)
    x = tl.ones((5, 2, 3))
    quiet = nn.GRU(3, 4, num_layers=2)
    quiet.load_state_dict(layer.state_dict())
    assert not np.array_equal(layer(x)[0].detach().numpy(), quiet(x)[0].detach().numpy())
    assert_same(layer.eval()(x)[0], quiet(x)[0])
    single = nn.GRU(3, 4, dropout=1.0)
    assert_same(single(x)[0], single.eval()(x)[0])


def step_of(layer):
    def step(x):
        found = layer(x)
        loss = weighed(found)
        return (*flat(found), *tl.autograd.grad(loss, list(layer.parameters())))
    return step


def named(graph, name):
    return [equation for equation in graph.equations if equation.op.name == name]


@pytest.mark.parametrize("name", LAYERS)
def test_a_traced_step_gives_the_eager_answer_after_every_pass(name):
    layer = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, dtype=tl.float64)
    x = tl.tensor(np.random.default_rng(0).standard_normal((6, 2, 3)))
    expected = step_of(layer)(x)
    traced = trace_call(step_of(layer), (x,), {})
    graph = verify(traced.graph)
    assert [len(named(graph, name)) for name in ("recurrent", "recurrent_backward", "scan")] == [4, 4, 0]
    for each in (lambda graph: graph, *PASSES):
        graph = verify(each(graph))
        for y, z in zip(graph(x, *traced.state), expected, strict=False):
            assert_close(y, z, terms=TERMS)


def test_an_lstm_over_64_steps_is_one_op():
    graph = trace_call(nn.LSTM(8, 16), (tl.zeros((64, 2, 8)),), {}).graph
    (equation,) = named(graph, "recurrent")
    assert equation.outputs[0].shape == (64, 2, 16)
    assert len(named(graph, "linear")) == 1
    assert len(graph.equations) < 20


def test_an_lstm_with_projections_is_one_scan():
    graph = trace_call(nn.LSTM(8, 16, proj_size=4), (tl.zeros((64, 2, 8)),), {}).graph
    (equation,) = named(graph, "scan")
    assert equation.attributes["length"] == 64
    assert [e.op.name for e in equation.attributes["body"].equations].count("linear") == 2
    assert len(named(graph, "linear")) == 1
    assert len(graph.equations) < 20


def test_dropout_draws_the_same_in_a_trace():
    layer = nn.LSTM(3, 4, num_layers=2, dropout=0.5)
    x = tl.ones((5, 2, 3))
    tl.manual_seed(1)
    expected, _ = layer(x)
    tl.manual_seed(1)
    traced = trace_call(layer, (x,), {})
    assert_close(traced.graph(x, *traced.state)[0], expected)


@pytest.mark.parametrize(("kind", "call", "problem"), [
    (ShapeError, lambda: nn.LSTM(3, 4)(tl.zeros((5, 2, 4))), "LSTM: the input must be [length, batch, input_size]"),
    (ShapeError, lambda: nn.GRU(3, 4)(tl.zeros((5, 2, 3)), tl.zeros((1, 3, 4))), "GRU: h_0 must have shape [1, 2, 4]"),
    (ShapeError, lambda: nn.LSTMCell(3, 4)(tl.zeros((2, 3)), (tl.zeros((2, 4)), tl.zeros((2, 5)))),
     "LSTMCell: c_0 must have shape [2, 4]"),
    (ShapeError, lambda: nn.RNNCell(3, 4)(tl.zeros((2, 2, 3))), "RNNCell: the input must be [input_size]"),
    (ArgumentError, lambda: nn.RNN(3, 4, nonlinearity="sin"), "RNN: no nonlinearity is called 'sin'"),
    (ArgumentError, lambda: nn.LSTM(3, 0), "LSTM: hidden_size must be positive"),
    (ArgumentError, lambda: nn.LSTM(3, 4, dropout=2), "LSTM: num_layers must be positive, and dropout a probability"),
])
def test_what_does_not_fit_is_told(kind, call, problem):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(problem)
