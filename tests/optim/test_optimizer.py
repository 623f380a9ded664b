"""Optimizer: groups, closures, gradients, text, and what goes wrong."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError


def leaf(*values):
    return tl.tensor(list(values) or [1.0], requires_grad=True)


def test_groups_have_options_of_their_own():
    a, b, c = leaf(), leaf(), leaf()
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    for p in (a, b, c):
        (p * 2).sum().backward()
    optimizer.step()
    assert [round(p.item(), 6) for p in (a, b, c)] == [0.8, 0.0, 1.0]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5, 0.0]


def test_parameters_without_gradients_are_left_alone():
    a, b = leaf(), leaf()
    (a * 2).sum().backward()
    optimizer = optim.Adam([a, b], lr=0.1)
    optimizer.step()
    assert b.item() == 1
    assert b not in optimizer.state
    optimizer.zero_grad(set_to_none=False)
    assert_same(a.grad, np.zeros(1, np.float32))
    optimizer.zero_grad()
    assert a.grad is None


def test_a_closure_computes_the_loss_with_recording():
    p = leaf(3.0)
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss
    with tl.no_grad():
        assert optimizer.step(closure).item() == 9
    assert p.item() == 1.5


def test_steps_keep_parameters_leaves_and_record_nothing():
    model = nn.Linear(2, 1)
    optimizer = optim.AdamW(model.parameters())
    weight = model.weight
    model(tl.ones((1, 2))).sum().backward()
    optimizer.step()
    assert model.weight is weight
    assert weight.is_leaf
    assert weight.requires_grad
    assert not any(value.requires_grad for kept in optimizer.state.values() for value in kept.values())


def test_saved_states_do_not_move():
    p = leaf()
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    p.grad = tl.ones(1)
    optimizer.step()
    state = optimizer.state_dict()
    before = state["state"][0]["momentum_buffer"].item()
    other = optim.SGD([leaf()], lr=0.1, momentum=0.9)
    other.load_state_dict(state)
    optimizer.step()
    other.param_groups[0]["params"][0].grad = tl.ones(1)
    other.step()
    assert state["state"][0]["momentum_buffer"].item() == before


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_keep_the_state_with_the_parameters(duplicate):
    p = leaf()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = tl.ones(1)
    optimizer.step()
    other = duplicate(optimizer)
    (q,) = other.param_groups[0]["params"]
    assert_same(other.state[q]["exp_avg"], optimizer.state[p]["exp_avg"])
    other.step()
    assert optimizer.state[p]["step"].item() == 1


def test_the_first_buffer_is_not_the_gradient_itself():
    p = leaf()
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    p.grad = gradient = tl.ones(1)
    optimizer.step()
    optimizer.step()
    assert gradient.item() == 1
    assert optimizer.state[p]["momentum_buffer"].item() == 1.5


def test_the_text_names_every_option():
    assert repr(optim.SGD([leaf()], lr=0.5)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n    fused: None\n"
        "    lr: 0.5\n    maximize: False\n    momentum: 0\n    nesterov: False\n    weight_decay: 0\n)")


def test_hooks_are_called_around_a_step_and_change_its_arguments():
    p, calls = leaf(), []
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        p.grad = tl.ones(1)
        return "loss"
    before = optimizer.register_step_pre_hook(lambda o, arguments, kwargs: calls.append(("before", o, arguments)))
    change = optimizer.register_step_pre_hook(lambda o, arguments, kwargs: ((), {"closure": closure}))
    after = optimizer.register_step_post_hook(lambda o, arguments, kwargs: calls.append(("after", o, kwargs)))
    assert optimizer.step() == "loss"
    assert calls == [("before", optimizer, ()), ("after", optimizer, {"closure": closure})]
    for handle in (before, change, after):
        handle.remove()
    assert optimizer.step() is None
    assert p.item() == 0.0


def test_hooks_run_in_compiled_steps_from_when_they_are_registered():
    p = leaf(4.0)
    optimizer = optim.SGD([p], lr=1.0)

    def halve(optimizer, arguments, kwargs):
        with tl.no_grad():
            p.mul_(0.5)

    @tl.jit
    def step():
        p.grad = tl.ones(1)
        optimizer.step()
    step()
    handle = optimizer.register_step_post_hook(halve)
    step()
    step()
    assert p.item() == 0.0
    handle.remove()
    step()
    assert p.item() == -1.0


def test_hooks_see_state_dicts_and_change_them():
    optimizer, calls = optim.SGD([leaf()], lr=0.5), []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    optimizer.register_state_dict_post_hook(lambda o, state: calls.append(sorted(state)), prepend=True)
    optimizer.register_load_state_dict_pre_hook(lambda o, state: calls.append(state.pop("note")))
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {
        **state, "param_groups": [{**group, "lr": 0.25} for group in state["param_groups"]]})
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append("loaded"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert calls == ["saving", ["param_groups", "state"], 1, "loaded"]
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_a_hook_that_returns_something_else_is_named():
    optimizer = optim.SGD([leaf()])
    optimizer.register_step_pre_hook(lambda o, arguments, kwargs: 1)
    with pytest.raises(DTypeError, match=r"step_pre_hook: a hook returns None or \(arguments, kwargs\)"):
        optimizer.step()


def test_parameters_may_have_names():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.5)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == [model.weight, model.bias]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    optimizer.add_param_group({"params": [("more", leaf())]})
    plain = optim.SGD(model.parameters())
    plain.load_state_dict(optim.SGD(model.named_parameters(), lr=0.5).state_dict())
    assert plain.param_groups[0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_rate_may_be_a_tensor_and_a_compiled_step_sees_it_change(shape):
    p, lr = leaf(8.0), tl.ones(shape)
    optimizer = optim.SGD([p], lr=lr)

    def step():
        p.grad = tl.ones(1)
        optimizer.step()
    step()
    compiled = tl.jit(step)
    compiled()
    lr.fill_(2.0)
    compiled()
    assert p.item() == 4.0
    assert sum(map(len, compiled.variants.values())) == 1
    optimizer.param_groups[0]["lr"] = 0.5
    compiled()
    assert p.item() == 3.5


@pytest.mark.parametrize("flags", [{"foreach": True}, {"fused": True}, {"capturable": True}, {"foreach": False}])
def test_a_choice_of_implementation_changes_nothing(flags):
    def run(**flags):
        p = leaf(1.0, 2.0)
        optimizer = optim.Adam([p], lr=0.1, **flags)
        p.grad = tl.tensor([1.0, -3.0])
        optimizer.step()
        return p
    assert_same(run(**flags), run())


@pytest.mark.parametrize("name", ["Adafactor", "LAMB", "LARS", "LBFGS", "Muon"])
def test_complex_parameters_are_refused(name):
    with pytest.raises(DTypeError, match=f"{name}: parameters must be real"):
        getattr(optim, name)([tl.ones((2, 2), dtype=tl.complex64)])


class Descent(optim.Optimizer):
    """An optimizer of a user's, which reads its options as they are."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def update(self, p, g, state, group):
        p.copy_(p - g * group["lr"])


def test_compiled_steps_of_a_users_optimizer_see_its_options():
    p = leaf(8.0)
    optimizer = Descent([p], 1.0)

    @tl.jit
    def step():
        p.grad = tl.ones(1)
        optimizer.step()
    step()
    optimizer.param_groups[0]["lr"] = 2.0
    step()
    assert p.item() == 5.0


class Still(optim.Optimizer):
    pass


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: optim.SGD(leaf()), DTypeError, "SGD: params must be an iterable of tensors or dicts, not one tensor"),
    (lambda: optim.SGD([]), ArgumentError, "SGD: there are no parameters"),
    (lambda: optim.SGD([1.0]), DTypeError, "SGD: optimizes tensors, not float"),
    (lambda: optim.SGD([leaf() * 2]), GradientError, "SGD: only leaves can be optimized"),
    (lambda: optim.SGD([leaf()] * 2), ArgumentError, "SGD: a parameter is given twice"),
    (lambda: optim.SGD([{"params": {leaf()}}]), DTypeError, "SGD: parameters need an order, which a set has not"),
    (lambda: optim.SGD([leaf()]).add_param_group([leaf()]), DTypeError,
     "SGD: a group is a dict with 'params', not list"),
    (lambda: optim.SGD([leaf()], lr=-1.0), ArgumentError, "SGD: lr must not be negative, it is -1.0"),
    (lambda: optim.SGD([leaf()], lr=float("nan")), ArgumentError, "SGD: lr must not be negative, it is nan"),
    (lambda: optim.SGD([leaf()], momentum=-1), ArgumentError, "SGD: momentum must not be negative, it is -1"),
    (lambda: optim.SGD([leaf()], weight_decay=-1), ArgumentError, "SGD: weight_decay must not be negative, it is -1"),
    (lambda: optim.SGD([leaf()], nesterov=True), ArgumentError, "SGD: nesterov needs a momentum and no dampening"),
    (lambda: optim.SGD([{"params": [leaf()], "lr": -2}]), ArgumentError, "SGD: lr must not be negative, it is -2"),
    (lambda: optim.Adam([leaf()], betas=(1.0, 0.9)), ArgumentError, "Adam: betas[0] must be in [0, 1), it is 1.0"),
    (lambda: optim.AdamW([leaf()], betas=(0.9, -1)), ArgumentError, "AdamW: betas[1] must be in [0, 1), it is -1"),
    (lambda: optim.Adam([leaf()], eps=-1), ArgumentError, "Adam: eps must not be negative, it is -1"),
    (lambda: optim.Adam([leaf()], differentiable=True), ArgumentError,
     "Adam: differentiable=True is not there: steps are not recorded"),
    (lambda: optim.SGD([leaf()], fused=True, foreach=True), ArgumentError,
     "SGD: fused and foreach cannot both be True"),
    (lambda: optim.SGD([leaf()], lr=tl.ones(2)), ArgumentError,
     "SGD: lr must be a number, or a tensor of one element"),
    (lambda: optim.SGD([("a", leaf()), leaf()]), ArgumentError, "SGD: some parameters have names and others have not"),
    (lambda: optim.SGD([("a", leaf())]).add_param_group({"params": [leaf()]}), ArgumentError,
     "SGD: either all groups have names of parameters or none has"),
    (lambda: optim.Rprop([leaf()], etas=(0.5, 1.0)), ArgumentError,
     "Rprop: etas must be below and above 1, they are 0.5 and 1.0"),
    (lambda: optim.Adadelta([leaf()], rho=1.5), ArgumentError, "Adadelta: rho must be in [0, 1], it is 1.5"),
    (lambda: optim.NAdam([leaf()], momentum_decay=-1), ArgumentError,
     "NAdam: momentum_decay must not be negative, it is -1"),
    (lambda: optim.Adagrad([leaf()], initial_accumulator_value=-1), ArgumentError,
     "Adagrad: initial_accumulator_value must not be negative, it is -1"),
    (lambda: optim.Adafactor([leaf()], d=0.5), ArgumentError, "Adafactor: d must be at least 1, it is 0.5"),
    (lambda: optim.Adafactor([leaf()], beta2_decay=0.1), ArgumentError,
     "Adafactor: beta2_decay must not be positive, it is 0.1"),
    (lambda: optim.Adafactor([leaf()], eps=(-1, 0.1)), ArgumentError,
     "Adafactor: eps[0] must not be negative, it is -1"),
    (lambda: optim.Muon([leaf()]), ShapeError, "Muon: parameters must be matrices"),
    (lambda: optim.Muon([tl.ones((2, 2))], adjust_lr_fn="none"), ArgumentError,
     "Muon: adjust_lr_fn must be 'original', 'match_rms_adamw' or None, not 'none'"),
    (lambda: optim.Muon([tl.ones((2, 2))], ns_steps=100), ArgumentError, "Muon: ns_steps must be below 100, it is 100"),
    (lambda: optim.Muon([tl.ones((2, 2))], ns_coefficients=(1, 2)), ArgumentError,
     "Muon: ns_coefficients must be three numbers"),
    (lambda: optim.LARS([leaf()], nesterov=True), ArgumentError, "LARS: nesterov needs a momentum"),
    (lambda: optim.LARS([leaf()], trust_coefficient=-1), ArgumentError,
     "LARS: trust_coefficient must be positive, it is -1"),
    (lambda: optim.Lion([leaf()], betas=(0.9, 1.0)), ArgumentError, "Lion: betas[1] must be in [0, 1), it is 1.0"),
    (lambda: optim.LAMB([leaf()], eps=-1), ArgumentError, "LAMB: eps must not be negative, it is -1"),
    (lambda: optim.SGD([leaf()]).load_state_dict({"state": {}, "param_groups": []}), ArgumentError,
     "SGD: the state dict has 0 groups, the optimizer 1"),
    (lambda: optim.SGD([leaf()]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}), ArgumentError,
     "SGD: group 0 has 2 parameters in the state dict, 1 in the optimizer"),
])
def test_what_goes_wrong_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


def test_a_misshapen_state_changes_nothing():
    optimizer = optim.SGD([leaf(1.0, 2.0)], lr=0.1, momentum=0.9)
    with pytest.raises(ArgumentError) as caught:
        optimizer.load_state_dict({"state": {0: {"momentum_buffer": np.zeros(3, np.float32)}},
                                   "param_groups": [{"params": [0], "lr": 9.0}]})
    assert str(caught.value).split("\n")[:3] == [
        "SGD: the state dict does not fit", "misshapen:",
        "  0.momentum_buffer: the model has [2], the state dict has [3]"]
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert not optimizer.state


def test_a_gradient_of_another_shape_is_named():
    p = leaf(1.0, 2.0)
    p.grad = tl.ones(3)
    with pytest.raises(ShapeError, match="SGD: a gradient has another shape than its parameter"):
        optim.SGD([p], lr=0.1).step()


def test_a_parameter_that_is_a_view_in_use_is_refused():
    base = tl.zeros((2, 2))
    view = base[0]
    view.requires_grad_()
    view.grad = tl.ones(2)
    with pytest.raises(GradientError, match="step: the tensor is a view of another one that is still in use"):
        optim.SGD([view], lr=0.1).step()


def test_an_optimizer_without_update_says_so():
    p = leaf()
    p.grad = tl.ones(1)
    with pytest.raises(ArgumentError, match="Still: the optimizer has no update method"):
        Still([p], {}).step()
