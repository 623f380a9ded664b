"""L-BFGS: beside PyTorch over its options, its state, and what goes wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import Tolerance, assert_close

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.errors import ArgumentError, TraceError

#: Products of vectors are rounded in another order, and what follows from them goes through hundreds of steps.
FOLLOWED = Tolerance(1e-6, 1e-7)


def descend(library, steps, wrap=lambda closure: closure, state=None, start=(1.2, -0.7, 0.3, 1.5), **options):
    """Parameters and loss step after step in a curved valley (Rosenbrock), whose two halves are two parameters."""
    parameters = [library.tensor(np.array(part), requires_grad=True) for part in (start[:2], start[2:])]
    optimizer = library.optim.LBFGS(parameters, **options)
    if state is not None:
        optimizer.load_state_dict(state)

    def closure():
        optimizer.zero_grad()
        a, b = parameters
        loss = 10 * (b - a * a).square().sum() + (1 - a).square().sum()
        loss.backward()
        return loss
    closure, found = wrap(closure), []
    for _ in range(steps):
        loss = optimizer.step(closure)
        found.append([float(loss.item()), *(x for p in parameters for x in p.tolist())])
    return np.array(found), optimizer


@settings(max_examples=25)
@given(lr=st.sampled_from([0.02, 0.5, 1]), max_iter=st.sampled_from([1, 4, 20]),
       history_size=st.sampled_from([1, 3, 100]), max_eval=st.sampled_from([None, 7]),
       line_search_fn=st.sampled_from(["strong_wolfe", None]),
       tolerance_change=st.sampled_from([1e-9, 1e-3]))
def test_it_goes_the_way_of_torch(**options):
    from nn.against_torch import torch
    if options["line_search_fn"] is None:
        options["lr"] = 0.02  # else it may leave the valley, and every rounding counts
    steps = 4 if options["max_iter"] == 20 else 12
    ours, mine = descend(tl, steps, **options)
    theirs, other = descend(torch, steps, **options)
    assert_close(ours, theirs, tolerance=FOLLOWED)
    left, right = mine.state_dict(), other.state_dict()
    assert left["param_groups"] == right["param_groups"]
    assert left["state"][0].keys() == right["state"][0].keys()
    assert left["state"][0]["n_iter"] == right["state"][0]["n_iter"]
    assert left["state"][0]["func_evals"] == right["state"][0]["func_evals"]


def to_torch(value):
    from nn.against_torch import to_torch as one
    if isinstance(value, dict):
        return {key: to_torch(each) for key, each in value.items()}
    if isinstance(value, list):
        return [to_torch(each) for each in value]
    return one(value) if isinstance(value, tl.Tensor) else value


def from_torch(value):
    if isinstance(value, dict):
        return {key: from_torch(each) for key, each in value.items()}
    if isinstance(value, list):
        return [from_torch(each) for each in value]
    return value.numpy() if hasattr(value, "numpy") else value


@pytest.mark.parametrize("line_search_fn", ["strong_wolfe", None])
def test_state_goes_to_torch_and_back(line_search_fn):
    from nn.against_torch import torch
    options = {"lr": 0.5 if line_search_fn else 0.02, "max_iter": 2, "line_search_fn": line_search_fn}
    whole, _ = descend(tl, 8, **options)
    for first, second, carry in ((tl, torch, to_torch), (torch, tl, from_torch), (tl, tl, lambda state: state)):
        half, optimizer = descend(first, 4, **options)
        found, _ = descend(second, 4, state=carry(optimizer.state_dict()), start=tuple(half[-1, 1:]), **options)
        assert_close(found, whole[4:], tolerance=FOLLOWED)


def test_the_closure_may_be_compiled():
    options = {"max_iter": 5, "line_search_fn": "strong_wolfe"}
    assert_close(descend(tl, 6, tl.jit, **options)[0], descend(tl, 6, **options)[0], tolerance=FOLLOWED)


def test_parameters_without_gradients_stay():
    p, q = (tl.tensor([3.0, 1.0], requires_grad=True) for _ in range(2))
    optimizer = optim.LBFGS([q, p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss
    optimizer.step(closure)
    assert q.tolist() == [3.0, 1.0]
    assert max(map(abs, p.tolist())) < 1e-5


def test_it_stops_where_the_gradient_is_zero():
    p = nn.Parameter(tl.zeros(2))
    optimizer = optim.LBFGS([p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss
    assert optimizer.step(closure).item() == 0
    assert optimizer.state[p] == {"func_evals": 1, "n_iter": 0}


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda p: optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(tl.ones(1))]}]), ArgumentError,
     "LBFGS: there can be one group of parameters only"),
    (lambda p: optim.LBFGS([p], line_search_fn="armijo"), ArgumentError,
     "LBFGS: line_search_fn must be 'strong_wolfe' or None, not 'armijo'"),
    (lambda p: optim.LBFGS([p], history_size=0), ArgumentError, "LBFGS: history_size must be at least 1, it is 0"),
    (lambda p: optim.LBFGS([p], lr=-1), ArgumentError, "LBFGS: lr must not be negative, it is -1"),
    (lambda p: optim.LBFGS([p]).step(), ArgumentError,
     "LBFGS: step needs a closure that computes the loss and its gradients"),
    (lambda p: tl.jit(lambda: optim.LBFGS([p]).step(lambda: (p * p).sum()))(), TraceError,
     "LBFGS: how many steps are made is decided in Python"),
])
def test_what_goes_wrong_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(nn.Parameter(tl.ones(1)))
    assert str(caught.value).split("\n")[0] == text
