"""GradScaler: as PyTorch's, eagerly and in one compiled step."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError

#: The steps whose gradients overflow.
BAD = (3, 4, 7)
INPUTS = [np.array([1.0, 2.0], np.float32) * (np.inf if k in BAD else 1.0) for k in range(12)]


def train(library, name, scaler, compiled=False):
    """The weights and the scale after each step."""
    w = library.tensor([1.0, -1.0], requires_grad=True)
    optimizer = getattr(library.optim, name)([w], lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))

    def step(x):
        optimizer.zero_grad()
        loss = ((w * x) ** 2).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    run, found = tl.jit(step) if compiled else step, []
    for x in INPUTS:
        run(library.tensor(x))
        found.append((w.detach().numpy().copy(), scaler.get_scale()))
    return found


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_it_follows_torch(name, compiled):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")
    options = {"init_scale": 4.0, "growth_interval": 2}
    ours = train(tl, name, tl.GradScaler(**options), compiled)
    theirs = train(torch, name, torch.amp.GradScaler("cpu", **options))
    for (w, scale), (expected, expected_scale) in zip(ours, theirs, strict=True):
        assert_close(w, expected, terms=16)
        assert scale == expected_scale


def test_a_step_with_an_infinity_changes_nothing():
    w = tl.tensor([1.0], requires_grad=True)
    optimizer, scaler = tl.optim.Adam([w]), tl.amp.GradScaler(init_scale=4.0)
    scaler.scale((w * 2).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    before, state = w.detach().numpy().copy(), optimizer.state_dict()["state"][0]
    scaler.scale((w * float("inf")).sum()).backward()
    assert scaler.step(optimizer) is None
    scaler.update()
    assert_same(w.detach(), before)
    assert_same(optimizer.state_dict()["state"][0]["step"], state["step"])
    assert scaler.get_scale() == 2.0


def test_gradients_may_be_clipped_between():
    w = tl.tensor([3.0, 4.0], requires_grad=True)
    optimizer, scaler = tl.optim.SGD([w], lr=1.0), tl.GradScaler(init_scale=2.0**10)
    scaler.scale((w * w).sum() / 2).backward()
    scaler.unscale_(optimizer)
    assert_close(tl.nn.utils.clip_grad_norm_([w], 1.0), np.float32(5.0))
    scaler.step(optimizer)
    scaler.update()
    assert_close(w.detach(), np.array([3.0 - 0.6, 4.0 - 0.8], np.float32), terms=4)


def test_a_disabled_one_does_nothing():
    w = tl.tensor([1.0], requires_grad=True)
    scaler, optimizer = tl.GradScaler(enabled=False), tl.optim.SGD([w], lr=1.0)
    loss = (w * 2).sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.step(optimizer)
    scaler.update()
    assert_same(w.detach(), np.array([-1.0], np.float32))
    assert scaler.state_dict() == {}
    assert scaler.get_scale() == 1.0
    assert not scaler.is_enabled()


def test_state_is_saved_and_taken():
    scaler, other = tl.GradScaler(init_scale=8.0, growth_interval=5), tl.GradScaler()
    scaler.set_growth_factor(4.0)
    scaler.set_backoff_factor(0.25)
    scaler.set_growth_interval(3)
    scaler.update(16.0)
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == {"scale": 16.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 3,
                                  "_growth_tracker": 0}
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")
    theirs = torch.amp.GradScaler("cpu", init_scale=8.0)
    theirs.scale(torch.ones(1))
    other.load_state_dict(theirs.state_dict())
    assert other.state_dict() == theirs.state_dict()


def _stepped_twice():
    w = tl.tensor([1.0], requires_grad=True)
    scaler, optimizer = tl.GradScaler(), tl.optim.SGD([w])
    scaler.scale(w.sum()).backward()
    scaler.step(optimizer)
    scaler.step(optimizer)


def _unscaled_twice():
    w = tl.tensor([1.0], requires_grad=True)
    scaler, optimizer = tl.GradScaler(), tl.optim.SGD([w])
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


@pytest.mark.parametrize(("call", "text"), [
    (lambda: tl.GradScaler(growth_factor=1.0), "GradScaler: growth_factor must be above 1, it is 1.0"),
    (lambda: tl.GradScaler(backoff_factor=1.0), "GradScaler: backoff_factor must be between 0 and 1, it is 1.0"),
    (lambda: tl.GradScaler().set_growth_interval(0), "GradScaler: growth_interval must be at least 1, it is 0"),
    (lambda: tl.GradScaler().update(), "GradScaler: no optimizer was stepped since the last update"),
    (lambda: tl.GradScaler().step(tl.optim.SGD([tl.tensor([1.0], requires_grad=True)])),
     "GradScaler: no parameter of the optimizer has a gradient"),
    (_stepped_twice, "GradScaler: step was called for this optimizer since the last update"),
    (_unscaled_twice, "unscale_: it was called for this optimizer since the last update"),
    (lambda: tl.GradScaler().load_state_dict({}), "load_state_dict: the state is that of a scaler that was disabled"),
])
def test_misuse_is_named(call, text):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
