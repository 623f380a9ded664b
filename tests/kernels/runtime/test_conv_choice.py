"""The algorithm of a layer: as measured, else as a model of the machine says; never tiles that are not exact enough."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from planned import eager, numbers, run_guarded
from tolerance import WINOGRAD, assert_close_to_scale

import tensorlite as tl
from tensorlite.kernels.cpu import conv, conv_choice, stages, tuning, winograd
from tensorlite.kernels.stage import Array

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
SAME = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def last_stage(images: int, channels: int, extent: int, dtype: Any = F32, data: bool = False, **facts: Any) -> Any:
    x = Array.contiguous(dtype, (images, channels, extent, extent))
    weight = Array.contiguous(dtype, (channels, channels, 3, 3))
    plan = (conv.plan_conv2d_data if data else conv.plan_conv2d)(x, weight, [x], **SAME, **facts)
    return plan.stages[-1]


def form(stage: Any) -> str:
    return stage.key.partition(" ")[0]


@pytest.mark.parametrize("data", [False, True])
def test_layers_of_residual_networks_are_taken_by_tiles(data):
    for channels, extent in ((64, 56), (128, 28), (256, 14), (512, 7)):
        stage = last_stage(8, channels, extent, data=data)
        assert form(stage) == "winograd-4x4"
        assert stage.note.startswith("by the model of the machine: 4x4 tiles ")


@pytest.mark.parametrize("layer", [(8, 3, 224, F32), (8, 64, 56, F64), (0, 64, 56, F32)])
def test_other_layers_are_not(layer):
    assert not form(last_stage(*layer)).startswith("winograd")


def test_a_tile_that_rounds_too_much_is_not_taken(monkeypatch):
    """Then the next smaller one is, and then windows; and the plan says so."""
    errors = {2: 1e-6, 4: 2e-4, 6: 3e-4}
    monkeypatch.setattr(winograd, "error", lambda m, r, terms: errors[m])
    too_much = "4x4 tiles are not exact enough: 2.0e-04 > 0.0001, 6x6 tiles are not exact enough: 3.0e-04 > 0.0001"
    stage = last_stage(8, 64, 56)
    assert form(stage) == "winograd-2x2" and stage.note.endswith(f"; {too_much}")
    errors[2] = 1.1e-4
    stage = last_stage(8, 64, 56)
    assert not form(stage).startswith("winograd")
    assert stage.note == f"2x2 tiles are not exact enough: 1.1e-04 > 0.0001, {too_much}"
    step = tl.jit(lambda x, w: tl.conv2d(x, w, padding=1))
    step(tl.ones((1, 32, 8, 8)), tl.ones((32, 32, 3, 3)))
    assert too_much in str(step.explain(kernels=True))


@pytest.mark.parametrize("error,suits", [(1.1e-4, False), (0.9e-4, True)])
def test_the_weight_is_guarded_too(monkeypatch, error, suits):
    x = Array.contiguous(F32, (8, 64, 56, 56))
    monkeypatch.setattr(winograd, "error", lambda m, r, terms: error)
    assert winograd.suits_weight(x, x) is suits


@pytest.mark.parametrize("data", [False, True])
def test_what_was_measured_is_taken(monkeypatch, data):
    asked: list[tuple[Any, ...]] = []

    def times(*question: Any) -> dict[str, float]:
        asked.append(question)
        return {"0": 5e-6, "2": 4e-6, "4": 3e-6, "6": 2e-6}

    monkeypatch.setattr(tuning, "times", times)
    stage = last_stage(1, 32, 8, data=data)
    assert form(stage) == "winograd-6x6"
    assert stage.note == "measured: 6x6 tiles 2 us, 4x4 tiles 3 us, 2x2 tiles 4 us, windows 5 us"
    ((what, plans, inputs, output, counted),) = asked
    assert what.startswith("conv2d_data [" if data else "conv2d [") and list(plans) == ["0", "2", "4", "6"]
    assert [form(plan().stages[-1]) for plan in plans.values()][1:] == [f"winograd-{m}x{m}" for m in (2, 4, 6)]
    assert [x.shape for x in inputs] == [(1, 32, 8, 8), (32, 32, 3, 3)] and output.shape == (1, 32, 8, 8)
    assert counted == frozenset()


def test_filters_that_are_kept_are_not_timed(monkeypatch):
    asked: list[Any] = []
    monkeypatch.setattr(tuning, "times", lambda *question: asked.append(question[-1]))
    last_stage(1, 32, 8, kept=True)
    assert asked == [frozenset((0,))]


def test_layers_are_tuned_for_real(monkeypatch):
    monkeypatch.setattr(tuning, "default_cache", lambda: SimpleNamespace(get=lambda _: None, put=lambda *_: None))
    monkeypatch.setattr(tuning, "budget", tuning.Budget(60.0))
    x, weight = numbers((2, 32, 9, 9), seed=1), numbers((32, 32, 3, 3), seed=2)
    described = [*map(stages.described, (x, weight))]
    plan = conv.plan_conv2d(*described, [described[0]], **SAME)
    assert plan.stages[-1].note.startswith("measured: ") and tuning.budget.measured == 1
    (found,) = run_guarded(plan, (x, weight), x.shape, [F32])
    assert_close_to_scale(found, eager("conv2d", x.astype(F64), weight.astype(F64), **SAME), WINOGRAD)


def test_an_explicit_tile_is_not_chosen():
    assert conv_choice.Choice(4).noted(plan := conv.plan_conv2d(
        *[Array.contiguous(F32, s) for s in ((1, 32, 8, 8), (32, 32, 3, 3))], [Array.contiguous(F32, (1, 32, 8, 8))],
        tile=4, **SAME)) is plan  # fmt: skip
    assert plan.stages[-1].note == ""
