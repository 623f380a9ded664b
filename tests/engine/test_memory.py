"""What the tape holds, for how long, and that nothing needs the garbage collector to go."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.backward import Walk
from tensorlite.tape import Node


@pytest.fixture(autouse=True)
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(*values: float) -> tl.Tensor:
    return tl.tensor(list(values), dtype=tl.float32, requires_grad=True)


def array_of(x: tl.Tensor) -> weakref.ref:
    return weakref.ref(x.array)


def test_values_that_no_derivative_needs_are_not_kept():
    x = leaf(1, 2)
    h = x + 1
    kept = array_of(h)
    y = h + 2
    del h
    assert kept() is None
    y.sum().backward()


def test_saved_values_live_until_the_walk():
    x = leaf(1, 2)
    h = x + 1
    kept = array_of(h)
    y = (h * h).sum()
    del h
    assert kept() is not None
    y.backward()
    assert kept() is None


def test_retained_values_live_with_the_graph():
    x = leaf(1, 2)
    h = x + 1
    kept = array_of(h)
    y = (h * h).sum()
    del h
    y.backward(retain_graph=True)
    assert kept() is not None
    del y
    assert kept() is None


def test_an_unwalked_graph_goes_with_its_last_tensor():
    x = leaf(1, 2)
    h = tl.exp(x)
    node, kept = weakref.ref(h.node), array_of(h)
    y = tl.tanh(h * x).sum()
    del h
    assert node() is not None
    del y
    assert node() is None
    assert kept() is None


def test_only_what_is_tracked_is_saved():
    """The derivative by the weight needs the input, and none by the input is asked for."""
    x, w = tl.tensor([1.0, 2.0]), leaf(3, 4)
    kept = array_of(w)
    y = x * w
    assert len(y.node.saved) == 1
    assert y.node.saved[0][0] is x.array
    del w
    assert kept() is None


def test_outputs_are_saved_rather_than_inputs_where_they_serve():
    x = leaf(1, 2)
    h = x * 1
    kept = array_of(h)
    y = tl.exp(h)
    del h
    assert kept() is None
    assert y.node.saved[0] is y.array


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "exp", "sqrt"])
def test_activations_free_their_input(activation):
    h = leaf(1, 2) * 1
    kept = array_of(h)
    y = getattr(tl, activation)(h)
    del h
    assert kept() is None
    y.sum().backward()


def test_shapes_are_saved_rather_than_values():
    for function in (lambda h: h.sum(), lambda h: h.reshape(1, 2), lambda h: h.mean(), lambda h: h[..., :1] + 0,
                     lambda h: tl.broadcast_to(h, (3, 2)) + 0):
        h = leaf(1, 2) * 1
        kept = array_of(h)
        y = function(h) + 1
        del h
        assert kept() is None
        y.sum().backward()


def training_step(parameters, x, target):
    hidden = tl.relu(x @ parameters[0] + parameters[1])
    loss = ((hidden @ parameters[2] - target) ** 2).mean()
    loss.backward()
    with tl.no_grad():
        for p in parameters:
            p -= 0.1 * p.grad
            p.grad = None
    return loss.item()


def test_training_steps_leave_no_cycles():
    random = np.random.default_rng(0)
    parameters = [tl.tensor(random.standard_normal(s), dtype=tl.float32, requires_grad=True)
                  for s in [(4, 8), (8,), (8, 1)]]
    x, target = (tl.tensor(random.standard_normal(s), dtype=tl.float32) for s in [(16, 4), (16, 1)])
    losses = [training_step(parameters, x, target) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert gc.collect() == 0


def count(kind: type) -> int:
    return sum(type(o) is kind for o in gc.get_objects())


def test_nodes_do_not_pile_up_over_steps():
    w, x = leaf(1, 2), tl.tensor([3.0, 4.0])
    before = count(Node), count(tl.Tensor), count(Walk)
    for _ in range(5):
        (w * x).sum().backward()
        w.grad = None
        tl.autograd.grad(tl.exp(w).sum(), w, create_graph=True)
        with tl.no_grad():
            w += 1
    assert (count(Node), count(tl.Tensor), count(Walk)) == before


def test_accumulating_in_a_running_total_keeps_graphs_unless_detached():
    w = leaf(1, 2)
    total, nodes = tl.tensor(0.0), count(Node)
    for _ in range(5):
        total = total + (w * w).sum().detach()
    assert count(Node) == nodes


def test_an_error_frees_the_graph():
    w = leaf(1, 2)
    def fail():
        h = tl.exp(w)
        kept.append(array_of(h))
        return h + tl.tensor([1.0, 2.0, 3.0])
    kept = []
    try:
        fail()
    except tl.errors.ShapeError:
        pass
    assert kept[0]() is None
    assert gc.collect() == 0


MISTAKES = {
    "shapes": lambda x: x + tl.tensor([1.0, 2.0, 3.0]), "dtype": lambda x: tl.bitwise_and(x, x),
    "axis": lambda x: x.sum(axis=4), "index": lambda x: x[5], "assignment": lambda x: x.detach().__setitem__(9, 1.0),
    "matmul": lambda x: x @ tl.tensor([1.0, 2.0, 3.0]), "reshape": lambda x: x.reshape(7),
    "no tensor": lambda x: tl.sum([1]), "no scalar": lambda x: (x * 2).backward(), "leaf": lambda x: x.add_(1),
    "concat": lambda x: tl.concat([x, tl.tensor([[1.0]])]),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_errors_leave_no_cycles(mistake):
    x = leaf(1, 2)
    try:
        mistake(x)
    except tl.errors.TensorliteError:
        assert gc.collect() == 0
    else:
        pytest.fail("nothing was raised")


def test_second_derivatives_leave_no_cycles_in_the_tape():
    x = leaf(1, 2)
    for function in (lambda: (tl.exp(x) * x).sum(), lambda: tl.var(x), lambda: tl.logsumexp(x), lambda: (x @ x),
                     lambda: tl.cumulative_prod(x, axis=0).sum(), lambda: tl.concat([x, x * 2]).sum()):
        (g,) = tl.autograd.grad(function(), x, create_graph=True)
        tl.autograd.grad((g * g * x).sum(), x)
        del g
    assert gc.collect() == 0


def test_hooks_and_retained_gradients_leave_no_cycles():
    h = leaf(1) * 2
    h.retain_grad()
    handle = h.register_hook(lambda g: None)
    h.sum().backward()
    del h, handle
    assert gc.collect() == 0
