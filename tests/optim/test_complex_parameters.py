"""Complex parameters move as pairs of real numbers: as PyTorch moves them, compiled or not, from a saved state on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optim.test_trajectories import GROWTH, OPTIONS, STEPS
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import optim

NAMES = sorted(set(OPTIONS) - {"Adafactor"})
START = np.random.default_rng(7).standard_normal((2, 3, 2)).view(np.complex128)[..., 0]


def loss_of(library, p, step):
    away = p - (1 + 1j)
    return (library.abs(away) * library.abs(away) * (1 + step % 3)).sum()


def begin(library, name, options):
    p = library.tensor(START, requires_grad=True)
    return p, getattr(library.optim, name)([p], **options)


def walk(library, p, optimizer, steps):
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(library, p, step).backward()
        optimizer.step()
    return p.detach().numpy()


@pytest.mark.parametrize("name", NAMES)
def test_they_go_the_way_of_torch(name):
    from nn.against_torch import torch

    @settings(max_examples=6)
    @given(st.fixed_dictionaries(OPTIONS[name]))
    def check(options):
        if options.get("nesterov") and (not options["momentum"] or options["dampening"]):
            options["nesterov"] = False
        found, wanted = (walk(library, *begin(library, name, options), STEPS // 5) for library in (tl, torch))
        assert_close(found, wanted, terms=STEPS * GROWTH.get(name, 1000))
    check()


@pytest.mark.parametrize("name", [*NAMES, "Lion"])
def test_a_compiled_step_is_the_eager_one(name):
    options = {"momentum": 0.9} if name == "SGD" else {}
    (p, optimizer), (q, compiled) = begin(tl, name, options), begin(tl, name, options)

    @tl.jit
    def step():
        compiled.zero_grad()
        loss_of(tl, q, 1).backward()
        compiled.step()
    for _ in range(4):
        optimizer.zero_grad()
        loss_of(tl, p, 1).backward()
        optimizer.step()
        step()
        assert_close(q, p, dtype=np.float32)  # as which counts and products of options are kept


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_state_goes_on(name):
    p, optimizer = begin(tl, name, {})
    walk(tl, p, optimizer, 3)
    q = tl.tensor(p.detach().numpy(), requires_grad=True)
    other = getattr(optim, name)([q])
    saved = optimizer.state_dict()
    assert all(value.dtype == np.complex128 for kept in saved["state"].values() for value in kept.values()
               if isinstance(value, tl.Tensor) and value.shape == p.shape)
    other.load_state_dict(saved)
    assert_same(walk(tl, q, other, 2), walk(tl, p, optimizer, 2))
