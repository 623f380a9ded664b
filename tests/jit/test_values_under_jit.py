"""Under jit tensors change where they are told to, and values never do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn, optim

X = tl.tensor([1.0, 2.0])


def fresh(requires_grad: bool = False) -> tl.Tensor:
    return tl.tensor([1.0, 2.0], requires_grad=requires_grad)


def test_arguments_changed_in_place():
    def change(a, b):
        a.mul_(2)
        a[0] = b
        return a.sum()
    x = fresh()
    jitted = tl.jit(change)
    for expected in ([9.0, 4.0], [9.0, 8.0]):
        assert jitted(x, tl.tensor(9.0)).item() == sum(expected)
        assert x.tolist() == expected


def test_an_argument_given_twice_is_one_tensor():
    def change(a, b):
        a.add_(1)
        return b * 1
    jitted = tl.jit(change)
    assert jitted(x := fresh(), x).tolist() == [2.0, 3.0]
    assert jitted(fresh(), fresh()).tolist() == [1.0, 2.0]
    assert jitted(x, x).tolist() == [3.0, 4.0]


IN_PLACE: dict[str, Callable[[tl.Tensor], tl.Tensor]] = {
    "a product": lambda h: h.mul_(3).sum(), "a product and more": lambda h: (h.exp_() * 0.1 + h.mul_(0.25)).sum(),
    "nothing returned of it": lambda h: h.add_(1).detach().sum(), "an item": lambda h: _with_item(h).sum(),
}


def _with_item(h: tl.Tensor) -> tl.Tensor:
    h[0] = h[1] * h[1]
    return h


@pytest.mark.parametrize("change", IN_PLACE.values(), ids=IN_PLACE)
@pytest.mark.parametrize("make", [lambda x: x * 0.5, lambda x: tl.exp(x * 0.2)], ids=["linear", "exp"])
@pytest.mark.parametrize("how", ["argument", "captured"])
def test_what_requires_a_derivative_and_is_no_leaf_changes_in_place(change, make, how):
    """Values, and the derivative through the results and through what the tensor is afterwards, twice over."""
    found = []
    for wrap in (lambda f: f, tl.jit):
        x = fresh(requires_grad=True)
        h = make(x)
        step = wrap(change) if how == "argument" else wrap(lambda h=h: change(h))
        given = (h,) if how == "argument" else ()
        results = [step(*given), step(*given)]
        (results[0] + results[1] + (h * h).sum()).backward()
        found.append([*(float(r) for r in results), *h.tolist(), *x.grad.tolist()])
    assert_close(*(np.array(values, np.float32) for values in found[::-1]))


def test_a_leaf_stays_refused_after_a_tensor_that_is_none():
    step = tl.jit(lambda h: h.mul_(3).sum())
    step(fresh(requires_grad=True) * 1)
    with pytest.raises(tl.errors.GradientError, match="a leaf that requires gradients cannot be replaced"):
        step(fresh(requires_grad=True))


def test_a_constant_takes_on_the_history_of_what_is_added():
    x, total = fresh(requires_grad=True), tl.zeros(2)
    step = tl.jit(lambda x: total.add_(x * x).sum())
    step(x)
    step(x)
    total.sum().backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_a_change_that_is_not_recorded_leaves_no_wrong_derivative():
    def step(x):
        y = x * 2
        with tl.no_grad():
            y.mul_(3)
        return (y * y).sum()
    loss = tl.jit(step)(fresh(requires_grad=True))
    with pytest.raises(tl.errors.GradientError, match="the function changes a tensor that requires gradients"):
        loss.backward()


def changing() -> tuple[tl.Tensor, Callable[[], Any]]:
    w = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    step = tl.jit(lambda: w.sub_(1.0) * 1)
    step()
    return w, step


HOLDERS: dict[str, Callable[[tl.Tensor], Any]] = {
    "detached": lambda w: w.detach(), "row": lambda w: w[0], "transposed": lambda w: w.T,
    "flat": lambda w: w.reshape(4),
    "array": lambda w: w.numpy(), "np.asarray": lambda w: np.asarray(w), "memoryview": lambda w: memoryview(w.numpy()),
    "row of an array": lambda w: w.numpy()[1], "dlpack": lambda w: np.from_dlpack(w), "clone": lambda w: w.clone(),
    "result": lambda w: tl.jit(lambda: (w, w[0]))(), "state dict": lambda w: {"w": w.detach()}["w"],
}


@pytest.mark.parametrize("what", HOLDERS)
def test_what_is_held_never_changes(what):
    """Memory is reused from step to step, but not while anybody else can see it."""
    w, step = changing()
    held = HOLDERS[what](w)
    read = lambda: [np.asarray(x.numpy() if isinstance(x, tl.Tensor) else x).tolist()
                    for x in (held if isinstance(held, tuple) else [held])]
    before = read()
    results = [step() for _ in range(3)]
    values = [y.tolist() for y in results]
    assert read() == before
    for _ in range(3):
        step()
    assert [y.tolist() for y in results] == values
    assert w.tolist() == [[-6.0, -5.0], [-4.0, -3.0]]


#: By what is done: what a step makes of its state, which must all be read before it is overwritten.
THEMSELVES = {
    "transposed": lambda u: u.T + 1, "product": lambda u: (u @ u) / 1000, "rolled": lambda u: tl.roll(u, 1),
    "flipped": lambda u: tl.flip(u, axis=1), "running sums": lambda u: tl.cumulative_sum(u, axis=0) % 5,
    "less the largest": lambda u: u - u.max(1, keepdims=True), "reversed": lambda u: u[::-1],
    "sorted": lambda u: tl.sort(u, axis=1), "joined": lambda u: tl.concat([u[1:], u[:1]]),
    "less the mean": lambda u: u - u.mean(0), "with its column": lambda u: u[:, :1] + u,
    "gathered": lambda u: u[tl.arange(120)[::-1]], "with its row": lambda u: tl.where(u > 3, u[0], u),
}


@pytest.mark.parametrize("what", THEMSELVES)
def test_state_computed_of_itself(what):
    start = tl.tensor(np.arange(120.0 * 120).reshape(120, 120) % 7)
    states = []
    for wrap in (lambda f: f, tl.jit):
        u = start.clone()
        step = wrap(lambda u=u: (u.copy_(THEMSELVES[what](u)), u.detach())[1])
        for _ in range(3):
            old = u.detach()
            before = old.tolist()
            made = step()
            assert old.tolist() == before
            assert made.tolist() == u.tolist()
        states.append(u)
    assert_close(states[1], states[0], terms=120)


def test_states_that_change_places():
    found = []
    for wrap in (lambda f: f, tl.jit):
        states = [tl.full((200, 200), float(k)) for k in range(3)]

        def rotate(states=states):
            old = [s.detach() for s in states]
            for k in range(3):
                states[k].copy_(old[(k + 1) % 3])
            return old[0], old[1].T
        rotate = wrap(rotate)
        found.append([[x[0, 0].item() for x in (*rotate(), *states)] for _ in range(4)])
    assert found[0] == found[1]


def test_gradients_that_are_held_never_change():
    p = nn.Parameter(tl.tensor([1.0, 2.0]))
    opt = optim.SGD([p], lr=0.1)

    @tl.jit
    def step(x):
        loss = (p * x).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss
    losses, held, expected = [], [], []
    for number in range(4):
        losses.append(step(X * number))
        held += [p.grad, p.grad.numpy(), p.detach()]
        expected += [p.grad.tolist(), p.grad.tolist(), p.tolist()]
    assert [np.asarray(x).tolist() for x in held] == expected
    assert len({y.item() for y in losses}) == 4


def test_arrays_that_others_own_are_not_written():
    array = np.array([1.0, 2.0], np.float32)
    array.flags.writeable = True
    w = tl.from_numpy(array)
    step = tl.jit(lambda: w.sub_(1.0))
    for _ in range(3):
        step()
    assert array.tolist() == [1.0, 2.0]
    assert w.tolist() == [-2.0, -1.0]


def test_results_do_not_share_memory():
    jitted = tl.jit(lambda a: (lambda y: (y, y, a, a[:1]))(a + 1))
    x = fresh()
    first, second, third, fourth = jitted(x)
    first.add_(1)
    third.add_(5)
    assert (second.tolist(), x.tolist(), fourth.tolist()) == ([2.0, 3.0], [1.0, 2.0], [1.0])
    x.add_(7)
    assert third.tolist() == [6.0, 7.0]


COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
REFUSING = ("add", "multiply", "maximum", "floor_divide", "bitwise_and")


@pytest.mark.parametrize("value", [-1, 300, 2**70])
@pytest.mark.parametrize("count", [3, 100_000])
@pytest.mark.parametrize("name", COMPARISONS)
def test_integers_that_the_dtype_cannot_hold_are_compared(name, value, count):
    x = tl.asarray(np.arange(count) % 7).to(tl.uint8)
    for function in (lambda x: getattr(tl, name)(x, value), lambda x: getattr(tl, name)(value, x)):
        expected = function(x)
        assert expected.tolist() == [bool(function(np.int64(0)) if value < 2**63 else expected[0])] * count
        assert tl.jit(function)(x).tolist() == expected.tolist()


@pytest.mark.parametrize("value", [-1, 300])
@pytest.mark.parametrize("name", REFUSING)
def test_integers_that_the_dtype_cannot_hold_are_refused_elsewhere(name, value):
    x = tl.tensor([1, 2, 3], dtype=tl.uint8)
    said = []
    for wrap in (lambda f: f, tl.jit):
        with pytest.raises(tl.errors.ArgumentError, match=f"Python integer {value} out of bounds for uint8") as caught:
            wrap(lambda x: getattr(tl, name)(x, value))(x)
        said.append(str(caught.value).splitlines()[:-1])
    assert said[0] == said[1]


@pytest.mark.parametrize("scale", [lambda z: z * 1, lambda z: 1.0 * z, lambda z: z / 1],
                         ids=["x * 1", "1 * x", "x / 1"])
def test_infinite_complex_numbers_times_one_are_as_they_are_eagerly(scale):
    """The product with 1 + 0j has infinity times 0 in it."""
    z = tl.tensor([complex(np.inf, 0.3), complex(1.0, 2.0), complex(0.5, -np.inf)])
    assert_same(tl.jit(scale)(z), scale(z))
