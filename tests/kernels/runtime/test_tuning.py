"""Plans are timed within a budget, once; the answer is on disk from then on, and a damaged one does not count."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tensorlite.kernels.cpu import int8, matmul, tuning
from tensorlite.kernels.stage import Array, Plan, Stage

A = Array.contiguous(np.float32, (64, 64))
TURNED = Array(A.dtype, A.shape, (1, 64))
PLANS = {"product": lambda: matmul.plan(A, A, [A]), "turned": lambda: matmul.plan(A, TURNED, [A])}


@pytest.fixture
def store(monkeypatch) -> dict[str, bytes]:
    """What is on disk."""
    kept: dict[str, bytes] = {}

    class Cache:
        get, put = staticmethod(kept.get), staticmethod(kept.__setitem__)

    monkeypatch.setattr(tuning, "default_cache", Cache)
    return kept


def with_budget(monkeypatch, seconds: float) -> tuning.Budget:
    monkeypatch.setattr(tuning, "budget", tuning.Budget(seconds))
    return tuning.budget


def test_without_a_budget_nothing_is_measured(monkeypatch, store):
    budget = with_budget(monkeypatch, 0.0)
    assert tuning.times("a", PLANS, [A, A], A) is None
    assert budget.measured == 0 and not store


def test_what_was_measured_holds_from_then_on(monkeypatch, store):
    budget = with_budget(monkeypatch, 60.0)
    found = tuning.times("a", PLANS, [A, A], A)
    assert found is not None and found.keys() == PLANS.keys() and all(0 < x < 1 for x in found.values())
    assert budget.measured == 1 and 0 < budget.spent < 60
    assert tuning.times("a", PLANS, [A, A], A) is found
    with_budget(monkeypatch, 0.0)  # another process
    assert tuning.times("a", PLANS, [A, A], A) == found
    assert tuning.times("b", PLANS, [A, A], A) is None


def test_what_is_made_of_counted_inputs_counts_too(monkeypatch, store):
    """A copy that is multiplied then: both are timed; and nothing of what is made of the other input."""
    with_budget(monkeypatch, 60.0)
    ran = []
    monkeypatch.setattr(tuning.launch, "compile", lambda build, key: key)
    monkeypatch.setattr(tuning.launch, "run", lambda key, *_: ran.append(key))
    stages = [Stage(name, lambda: None, reads, writes, b"", 1.0) for name, reads, writes in (
        ("turn", (1,), (3,)), ("copy", (0,), (4,)), ("multiply", (4, 3), (2,)))]  # fmt: skip
    plan = Plan(tuple(stages), (64, 64))
    assert tuning.times("a", {"only": lambda: plan}, [A, A], A, frozenset((0,)))
    assert ran[:3] == ["turn", "copy", "multiply"] and set(ran[3:]) == {"copy", "multiply"}
    assert ran[3:5] == ["copy", "multiply"]


@pytest.mark.filterwarnings("error")
def test_plans_of_bytes_are_timed(monkeypatch, store):
    with_budget(monkeypatch, 60.0)
    x, weight, zero, out = (Array.contiguous(*facts) for facts in (
        ("uint8", (5, 8)), ("int8", (8, 3)), ("uint8", ()), ("int32", (5, 3))))  # fmt: skip
    plans = {"product": lambda: int8.plan_matmul([x, weight, zero], [out])}
    assert tuning.times("a", plans, [x, weight, zero], out)


def test_a_budget_that_does_not_last_leaves_no_half_answer(monkeypatch, store):
    budget = with_budget(monkeypatch, 1e-9)
    assert tuning.times("a", PLANS, [A, A], A) is None
    assert not store and budget.spent > 0
    assert tuning.times("a", PLANS, [A, A], A) is None


def test_plans_that_do_not_exist_are_no_candidates_with_times(monkeypatch, store):
    with_budget(monkeypatch, 60.0)
    assert tuning.times("a", PLANS | {"none": lambda: None}, [A, A], A) is None


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"product": 1.0}', b'{"product": "a", "turned": 1.0}'])
def test_damaged_answers_do_not_count(monkeypatch, store, damage):
    with_budget(monkeypatch, 60.0)
    found = tuning.times("a", PLANS, [A, A], A)
    (key,) = store
    store[key] = damage
    with_budget(monkeypatch, 0.0)
    assert tuning.times("a", PLANS, [A, A], A) is None
    with_budget(monkeypatch, 60.0)
    again = tuning.times("a", PLANS, [A, A], A)
    assert again is not None and again.keys() == found.keys()


def test_stages_that_read_no_counted_input_are_not_timed(monkeypatch, store):
    with_budget(monkeypatch, 60.0)
    assert tuning.times("a", {"product": PLANS["product"]}, [A, A], A, frozenset({7})) is not None


@pytest.mark.parametrize("text,seconds", [("2.5", 2.5), ("", 0.0), ("0", 0.0)])
def test_the_environment_says_how_much(monkeypatch, text, seconds):
    monkeypatch.setenv("TENSORLITE_TUNE", text)
    assert tuning._from_environment() == seconds


@pytest.mark.parametrize("text", ["much", "-1", "inf", "nan"])
def test_no_number_of_seconds_is_said_so(monkeypatch, text):
    monkeypatch.setenv("TENSORLITE_TUNE", text)
    with pytest.warns(UserWarning, match=f"^TENSORLITE_TUNE='{text}' is not a number of seconds: nothing is measured$"):
        assert tuning._from_environment() == 0.0


def test_doctor_shows_the_budget():
    done = subprocess.run([sys.executable, "-m", "tensorlite", "doctor"], env=os.environ | {"TENSORLITE_TUNE": "3"},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert "TENSORLITE_TUNE=3: 0.00 of 3 s spent in this process, 0 choices measured" in done.stdout


def test_without_a_budget_no_arrays_are_made(monkeypatch, store):
    with_budget(monkeypatch, 0.0)
    monkeypatch.setattr(np.random, "default_rng", lambda *_: pytest.fail("numbers were drawn"))
    assert tuning.times("a", PLANS, [A, A], A) is None
