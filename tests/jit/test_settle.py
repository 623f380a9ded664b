"""What depends on unchanged state alone is computed once; and always anew when that state changed, however it did."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit import settle
from tensorlite.jit.executable import Executable
from tensorlite.kernels.cpu import lending

RANDOM = np.random.default_rng(3)


def draw(*shape: int) -> tl.Tensor:
    return tl.tensor(RANDOM.standard_normal(shape, np.float32))


@pytest.fixture(autouse=True)
def everything_is_worth_it(monkeypatch):
    monkeypatch.setattr(settle, "_WORTH", 0.0)


@pytest.fixture
def preparations(monkeypatch) -> list[int]:
    """The bytes that each preparation that runs makes."""
    made: list[int] = []
    run = Executable.run

    def noted(self: Executable, inputs: Any, outputs: Any) -> bool:
        if outputs and all(x.dtype == np.uint8 for x in outputs):
            made.append(sum(x.nbytes for x in outputs))
        return run(self, inputs, outputs)

    monkeypatch.setattr(Executable, "run", noted)
    return made


def test_what_depends_on_state_alone_is_computed_once(preparations):
    weight = draw(40, 30)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    x = draw(5, 40)
    for _ in range(3):
        assert_close(f(x), x @ tl.exp(weight), terms=40)
    assert preparations == [40 * 30 * 4]
    (one,) = f.explain().specialisations
    assert [kernel.name for kernel in one.kernels] == ["matmul"]
    assert f.memory()["constants"] == 40 * 30 * 4
    assert "1 kernel, 4.8 kB: run when the state that they read changes" in str(f.explain())


def _rebound(weight: tl.Tensor) -> None:
    weight.copy_(weight * 2)


def _in_place(weight: tl.Tensor) -> None:
    weight += 1


def _by_item(weight: tl.Tensor) -> None:
    weight[0, 0] = weight[0, 0] + 0.25


def _by_a_jitted_function(weight: tl.Tensor) -> None:
    @tl.jit
    def update():
        weight.copy_(weight * 0.5)
    update()
    update()


CHANGES = [_rebound, _in_place, _by_item, _by_a_jitted_function]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_state_is_seen(change, preparations):
    weight, x = draw(6, 6), draw(3, 6)
    f = tl.jit(lambda x: x @ tl.tanh(weight))
    for _ in range(3):
        before = f(x).numpy().copy()
        change(weight)
        assert_close(f(x), x @ tl.tanh(weight), terms=6)
        assert not np.array_equal(before, f(x).numpy())
    assert len(preparations) == 4


def test_memory_that_numpy_writes_to_is_read_at_every_call():
    array = np.ones((4, 4), np.float32)
    weight, x = tl.from_numpy(array), draw(2, 4)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    for n in (1.0, 2.0, 3.0):
        array[:] = n
        assert_close(f(x), x @ tl.exp(weight), terms=4)


def test_memory_of_a_view_that_numpy_writes_to_is_read_at_every_call():
    array = np.ones((8, 4), np.float32)
    weight, x = tl.asarray(array[::2].copy()[:]), draw(2, 4)
    shared = tl.asarray(array[:4])
    f = tl.jit(lambda x: x @ tl.exp(shared) @ tl.exp(weight))
    for n in (1.0, 0.5):
        array[1] = n
        assert_close(f(x), x @ tl.exp(shared) @ tl.exp(weight), terms=16)


@pytest.mark.parametrize("kind", ["memmap", "record", "matrix"])
def test_memory_of_other_kinds_of_arrays_is_read_at_every_call(kind, tmp_path):
    if kind == "memmap":
        array = np.memmap(tmp_path / "w", np.float32, "w+", shape=(4, 4))
    elif kind == "record":
        array = np.ones((4, 4), [("a", "f4")]).view(np.recarray)["a"]
    else:
        array = np.ones((4, 4), np.float32).view(np.matrix)
    weight, x = tl.asarray(array), draw(2, 4)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    for n in (1.0, 2.0):
        array[:] = n
        assert_close(f(x), x @ tl.exp(weight), terms=4)


def test_arrays_that_have_nothing_to_do_with_state_leave_it_be(preparations):
    weight = draw(4, 4)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    f(draw(2, 4))
    for n in range(3):
        x = tl.asarray(np.full((4, 2), n, np.float32).T)
        np.from_dlpack(f(x))
    assert len(preparations) == 1


def test_exported_memory_is_read_at_every_call():
    torch = pytest.importorskip("torch")
    weight, x = draw(4, 4), draw(2, 4)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    f(x)
    other = torch.from_dlpack(weight)
    for n in (1.0, 2.0):
        other.fill_(n)
        assert_close(f(x), x @ tl.exp(weight), terms=4)
    other.fill_(3.0)
    del other
    assert_close(f(x), x @ tl.exp(weight), terms=4)


def test_what_is_lent_is_known_as_long_as_it_lives():
    array, own = np.ones(3), tl.ones((300, 300)).array
    tl.asarray(array)
    assert lending.is_lent(array) and lending.is_lent(array[1:]) and lending.is_lent(memoryview(b"12"))
    assert not lending.is_lent(own) and not lending.is_lent(own[1:]) and not lending.is_lent(tl.tensor(array).array)
    count = len(lending._lent)
    del array
    assert len(lending._lent) == count - 1


def test_training_and_asking_take_turns():
    tl.manual_seed(0)
    model = tl.nn.Sequential(tl.nn.Conv2d(2, 3, 3, padding=1), tl.nn.BatchNorm2d(3), tl.nn.Flatten(),
                             tl.nn.Linear(48, 2))
    optimizer = tl.optim.SGD(model.parameters(), lr=0.01)
    x = draw(4, 2, 4, 4)

    @tl.jit
    def train(x):
        optimizer.zero_grad()
        loss = (model(x)**2).sum()
        loss.backward()
        optimizer.step()
        return loss

    ask = tl.jit(lambda x: model(x))
    for _ in range(3):
        model.train()
        train(x)
        arrays = [p.array for p in model.parameters()]
        train(x)
        del arrays
        held = [id(p.array) for p in model.parameters()]
        train(x)
        assert held == [id(p.array) for p in model.parameters()]
        model.eval()
        with tl.no_grad():
            assert_close(ask(x), model(x), terms=64)
            assert_close(ask(x), model(x), terms=64)


def test_loops_branches_and_joins_take_what_was_prepared():
    weight, bias, flag = draw(4, 4), draw(4), tl.tensor(True)

    def f(x):
        w = tl.exp(weight) @ tl.tanh(weight)
        h, ys = tl.scan(lambda h, x: (tl.tanh(h @ w + x), h @ w), tl.exp(bias), x)
        h = tl.cond(flag, lambda h: h @ w, lambda h: h - tl.exp(bias), h)
        h = tl.while_loop(lambda h: h.sum() > 10.0, lambda h: h * tl.sigmoid(bias), h)
        joined = tl.concat([tl.exp(bias), h, bias * 2])
        return joined, ys, tl.exp(bias)

    jitted, x = tl.jit(f), draw(7, 4)
    for _ in range(2):
        for found, expected in zip(jitted(x), f(x), strict=True):
            assert_close(found, expected, terms=64)
        weight.copy_(weight * 0.5)


def test_arguments_that_do_not_lie_in_order():
    weight = draw(4, 4)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    x = tl.asarray(np.asfortranarray(RANDOM.standard_normal((3, 4)).astype(np.float32)))
    for _ in range(2):
        assert_close(f(x), x @ tl.exp(weight), terms=4)


def test_state_of_calls_that_are_differentiated_is_not_kept(preparations):
    weight = draw(4, 4)
    weight.requires_grad = True
    f = tl.jit(lambda x: (x @ tl.exp(weight)).sum())
    x = draw(3, 4)
    for _ in range(3):
        loss = f(x)
        loss.backward()
    assert preparations == []
    assert_close(weight.grad, 3 * tl.grad(lambda w: (x @ tl.exp(w)).sum())(weight), terms=16)


def test_threads_that_ask_at_once_while_state_changes():
    weight, x = draw(64, 64), draw(8, 64)
    f = tl.jit(lambda x: x @ tl.exp(weight))
    f(x)
    wrong: list[float] = []

    def ask() -> None:
        for _ in range(50):
            y, w = f(x).numpy(), weight.numpy()
            reference = x.numpy() @ np.exp(w)
            if weight.numpy().base is w.base:  # nobody changed it meanwhile
                wrong.append(float(np.abs(y - reference).max() / np.abs(reference).max()))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 150 and max(wrong) < 1e-5
