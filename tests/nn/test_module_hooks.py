"""Hooks of modules: what they see, what they may change, their order and their removal."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import DTypeError


class Scaled(nn.Module):
    def forward(self, x, factor=1.0):
        return x * factor


def test_forward_hooks_see_and_change_arguments_and_output():
    module, log = Scaled(), []
    first = module.register_forward_pre_hook(lambda m, given: log.append(("before", len(given))))
    module.register_forward_pre_hook(lambda m, given: (given[0] + 1,))
    module.register_forward_hook(lambda m, given, output: log.append(("after", output.item())))
    module.register_forward_hook(lambda m, given, output: output * 10)
    assert module(tl.tensor(1.0)).item() == 20
    assert log == [("before", 1), ("after", 2.0)]
    first.remove()
    first.remove()
    module(tl.tensor(1.0))
    assert log[2:] == [("after", 2.0)]


def test_hooks_with_kwargs_and_prepended_ones():
    module, order = Scaled(), []
    module.register_forward_pre_hook(lambda m, given: order.append("second"))
    module.register_forward_pre_hook(lambda m, given: order.append("first"), prepend=True)
    module.register_forward_pre_hook(lambda m, given, kwargs: (given, {"factor": kwargs["factor"] * 2}),
                                     with_kwargs=True)
    module.register_forward_hook(lambda m, given, kwargs, output: output + kwargs["factor"], with_kwargs=True)
    assert module(tl.tensor(1.0), factor=3.0).item() == 12
    assert order == ["first", "second"]


def test_a_hook_may_be_used_as_a_block():
    module, log = Scaled(), []
    with module.register_forward_hook(lambda m, given, output: log.append(1)):
        module(tl.ones(1))
    module(tl.ones(1))
    assert log == [1]


def observe(nn_, x, weight):
    """What backward hooks of a linear layer see, and the gradients that come out."""
    module = nn_.Linear(2, 2, bias=False)
    module.weight = nn_.Parameter(weight)
    seen = {}
    module.register_full_backward_hook(lambda m, grad_input,
                                       grad_output: seen.update(input=grad_input, output=grad_output))
    module.register_full_backward_hook(lambda m, grad_input, grad_output: (grad_input[0] * 2,))
    module.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 3,))
    y = (x * 1).sum() * 0 + module(x * x)
    (y * y).sum().backward()
    return seen["input"][0], seen["output"][0], x.grad, module.weight.grad


def test_backward_hooks_see_and_change_what_those_of_torch_do():
    from nn.against_torch import torch
    x, weight = np.array([[1.0, -2.0]]), np.array([[1.0, 0.5], [2.0, 1.0]])
    ours = observe(nn, tl.tensor(x, requires_grad=True), tl.tensor(weight))
    theirs = observe(torch.nn, torch.tensor(x, requires_grad=True), torch.tensor(weight))
    for found, wanted in zip(ours, theirs, strict=True):
        assert_close(found, wanted.numpy())


def test_backward_hooks_without_tracked_inputs_get_none():
    module, seen = nn.Linear(2, 1), []
    module.register_full_backward_hook(lambda m, grad_input,
                                       grad_output: seen.append((grad_input, grad_output[0].item())))
    module(tl.ones((1, 2))).sum().backward()
    assert seen == [((None,), 1.0)]
    module.weight.grad = None
    with tl.no_grad():
        module(tl.ones((1, 2)))
    assert len(seen) == 1


def test_backward_hooks_of_several_inputs_and_outputs():
    class Pair(nn.Module):
        def forward(self, x, label, y):
            return x * 2, y * 3

    module, seen = Pair(), []
    module.register_full_backward_hook(lambda m, grad_input, grad_output: seen.append((grad_input, grad_output)))
    x, y = (tl.tensor([v], requires_grad=True) for v in (1.0, 2.0))
    a, b = module(x, "no tensor", y)
    (a + b * 10).sum().backward()
    (grad_x, label, grad_y), (grad_a, grad_b) = seen[0]
    assert (grad_x.item(), label, grad_y.item(), grad_a.item(), grad_b.item()) == (2.0, None, 30.0, 1.0, 10.0)
    assert_same(x.grad, np.array([2.0], np.float32))


def test_derivatives_of_derivatives_pass_through_hooks():
    module = Scaled()
    module.register_full_backward_hook(lambda m, grad_input, grad_output: None)
    x = tl.tensor(3.0, requires_grad=True)
    (first,) = tl.autograd.grad(module(x * x * x), x, create_graph=True)
    (second,) = tl.autograd.grad(first, x)
    assert (first.item(), second.item()) == (27.0, 18.0)


def test_an_output_that_backward_hooks_cannot_watch_is_named():
    class Named(nn.Module):
        def forward(self, x):
            return {"y": x}

    module = Named()
    module.register_full_backward_hook(lambda *_: None)
    with pytest.raises(DTypeError) as caught:
        module(tl.ones(1))
    assert str(caught.value).startswith(
        "Named: backward hooks need a module whose output is a tensor or a tuple of tensors\n")
