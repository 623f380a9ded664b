"""Winograd's tiles of bytes: equal to integers' arithmetic, whatever shapes, zero points, threads and machines."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import interpret, laid, layouts
from quantized import BYTES, EXTRAS, I8, I32, U8, check, convolution, draw, finished, less, packed, planned, terms

import tensorlite as tl
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host, int8, int8_choice, stages, team, tuning
from tensorlite.kernels.cpu.int8_images import Windows
from tensorlite.kernels.generated import int8_winograd_parts as parts
from tensorlite.kernels.llvm import target
from tensorlite.kernels.quant import Filters
from tensorlite.kernels.stage import Array

SQUARE = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def expected_of(x, weight, zero, given, **geometry):
    weights = less(weight, given.get("weight_zero_point", 0), (-1, 1, 1, 1))
    return finished(convolution(less(x, zero), weights, **geometry), given, (-1, 1, 1))


@st.composite
def layers(draw_):
    """Shapes of images and filters, and their geometry: tiles, whole and in part, in one task and in several."""
    padding = tuple(draw_(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2))
    size = [max(1, 3 - sum(p)) + draw_(st.sampled_from([0, 1, 2, 5, 9, 20, 33])) for p in padding]
    channels = draw_(st.sampled_from([2, 3, 4, 5, 8, 17, 70]))
    images, filters = draw_(st.sampled_from([1, 2, 3, 7])), draw_(st.sampled_from([1, 2, 9, 16, 33, 70, 130]))
    return (images, channels, *size), (filters, channels, 3, 3), SQUARE | {"padding": padding}


@settings(max_examples=60)
@given(layer=layers(), dtype=BYTES, result=BYTES, left=layouts, right=layouts, extras=EXTRAS, many=st.booleans(),
       seed=st.integers(0, 99))  # fmt: skip
def test_tiles(layer, dtype, result, left, right, extras, many, seed):
    shape, filters, geometry = layer
    random = np.random.default_rng(seed)
    x, weight = laid(draw(random, shape, dtype), left), laid(draw(random, filters, I8), right)
    zero, given = draw(random, (), dtype), terms(random, extras, filters[0], result, many)
    expected = expected_of(x, weight, zero, given, **geometry)
    inputs = [x, weight, zero, *given.values()]
    check(int8.plan_conv2d, inputs, expected, extras=extras, tile=2, **geometry)
    inputs[1] = packed(weight)
    check(int8.plan_conv2d, inputs, expected, extras=extras, packed_shape=filters, tile=2, **geometry)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("pixel", "tap", "zeros"), [
    (255, -128, (0, 127)), (255, -128, (255, 127)), (0, 127, (255, -128)), (255, 127, (0, -128)), (0, -128, (0, -128)),
])  # fmt: skip
def test_extremes_of_as_many_channels_as_there_may_be(weighted, pixel, tap, zeros):
    """Sums of 4 times the result come within 1 in 2000 of 2**31; with a channel more, tiles are refused."""
    channels = parts.most_channels(255 if weighted else 128)
    x, weight = np.full((1, channels, 4, 5), pixel, U8), np.full((2, channels, 3, 3), tap, I8)
    x[0, ::7, 1, 1:] = 255 - pixel
    x[0, :, 3, 4], weight[1, :, 1] = 255 - pixel, -1 - tap
    zero, given = np.asarray(zeros[0], U8), {"weight_zero_point": np.asarray(zeros[1], I8)} if weighted else {}
    expected = expected_of(x, weight, zero, given, **SQUARE)
    check(int8.plan_conv2d, [x, weight, zero, *given.values()], expected, extras=tuple(given), tile=2, **SQUARE)
    more = [Array.contiguous(a.dtype, (a.shape[0], channels + 1, *a.shape[2:])) for a in (x, weight)]
    rest = [stages.described(a) for a in (zero, *given.values())]
    out = [stages.described(expected)]
    assert int8.plan_conv2d([*more, *rest], out, extras=tuple(given), tile=2, **SQUARE) is None
    plan = int8.plan_conv2d([*more, *rest], out, extras=tuple(given), **SQUARE)
    assert plan is not None and not any("winograd" in stage.key for stage in plan.stages)


def run_statements(statements, given):
    found = dict(given)
    for statement in statements:
        names = s.free_variables(statement.value)
        found[statement.name] = s.evaluate_typed(s.lower(statement.value, dict.fromkeys(names, I32)), found)
    return found


@pytest.mark.parametrize(("matrix", "limits"), [(parts.DATA, (0, 255)), (parts.FILTER, (-128, 127)),
                                                (parts.FILTER, (-255, 255))])  # fmt: skip
def test_transforms_of_extremes_fit_16_bits(matrix, limits):
    """Every sum is largest for some extremes: those of its signs; and halves of a word do not disturb each other."""
    numbers = np.array([[int(x) for x in row] for row in matrix])
    names = [[f"v{i}_{j}" for j in range(len(matrix[0]))] for i in range(len(matrix[0]))]
    statements, found = parts.transform(matrix, names, "t")
    for row, column in itertools.product(numbers, numbers):
        high = np.where(np.outer(row, column) > 0, limits[1], limits[0])
        low = sum(limits) - high
        words = {name: np.int32(low[i, j] + high[i, j] * 65536) for i, line in enumerate(names)
                 for j, name in enumerate(line)}  # fmt: skip
        values = run_statements(statements, words)
        for k, half in enumerate((low, high)):
            expected = numbers @ half @ numbers.T
            assert np.abs(expected).max() <= max(parts.largest(max(map(abs, limits)))) < 2**15
            halves = [[((int(values[name]) + 0x8000) ^ 0x8000) >> 16 * k & 0xFFFF for name in line] for line in found]
            np.testing.assert_array_equal(np.array(halves, np.uint16).view(np.int16), expected)


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_however_tiles_and_panels_are_shared_out(threads, monkeypatch):
    monkeypatch.setattr(team, "get_num_threads", lambda: threads)
    random = np.random.default_rng(threads)
    for shape, filters in (((1, 20, 7, 7), 300), ((5, 70, 30, 13), 70), ((2, 260, 15, 14), 130)):
        x, weight = draw(random, shape, I8), draw(random, (filters, shape[1], 3, 3), I8)
        zero, given = draw(random, (), I8), terms(random, ("bias", "scale", "zero_point"), filters, I8, True)
        expected = expected_of(x, weight, zero, given, **SQUARE)
        check(int8.plan_conv2d, [x, weight, zero, *given.values()], expected, extras=tuple(given), tile=2, **SQUARE)


@pytest.mark.parametrize("changes", [{"stride": (1, 2)}, {"dilation": (2, 1)}, {"groups": 2}, {"kernel": (3, 2)},
                                     {"width": 400}, {"channels": 0}, {"channels": 1}])  # fmt: skip
def test_other_layers_have_no_tiles(changes):
    geometry = SQUARE | {name: x for name, x in changes.items() if name in SQUARE}
    kernel, width = changes.get("kernel", (3, 3)), changes.get("width", 9)
    channels = changes.get("channels", 20)
    x, weight = np.zeros((1, channels, 9, width), U8), np.zeros((32, channels // geometry["groups"], *kernel), I8)
    out = convolution(less(x, 0), less(weight, 0), **geometry).astype(I32)
    described = [stages.described(a) for a in (x, weight, np.asarray(0, U8))]
    assert int8.plan_conv2d(described, [stages.described(out)], tile=2, **geometry) is None
    assert int8.plan_conv2d(described, [stages.described(out)], **geometry) is not None


@pytest.mark.parametrize("extras", [("weight_zero_point", "scale", "zero_point"), ("bias",)])
def test_the_loops_mean_what_the_kernels_do(extras):
    random = np.random.default_rng(5)
    x, weight, zero = draw(random, (2, 6, 5, 4), I8), draw(random, (18, 6, 3, 3), I8), draw(random, (), I8)
    given, geometry = terms(random, extras, 18, U8, True), SQUARE | {"padding": ((1, 0), (1, 2))}
    expected = expected_of(x, weight, zero, given, **geometry)
    inputs = [x, weight, zero, *(np.array(a) for a in given.values())]
    plan = planned(int8.plan_conv2d, inputs, expected, extras=extras, tile=2, **geometry)
    found = np.zeros_like(expected)
    interpret(plan, [x.view(np.uint8), weight.view(np.uint8), *inputs[2:], found])
    np.testing.assert_array_equal(found, expected)


# The choice


def last_stage(channels=64, extent=28, **facts):
    x, weight = Array.contiguous(U8, (1, channels, extent, extent)), Array.contiguous(I8, (channels, channels, 3, 3))
    out = Array.contiguous(I32, x.shape)
    plan = int8.plan_conv2d([x, weight, Array.contiguous(U8, ())], [out], **SQUARE, **facts)
    assert plan is not None
    return plan.stages[-1]


@pytest.mark.parametrize("dots", [frozenset(), frozenset((4, 8, 16))])
def test_tiles_are_taken_where_there_is_no_instruction_for_products_of_bytes(monkeypatch, dots):
    monkeypatch.setattr(target, "host", lambda: target.Target("some", dots=dots))
    for channels, extent in ((64, 56), (128, 28), (256, 14), (512, 7)):
        stage = last_stage(channels, extent)
        assert stage.key.startswith("winograd") is not dots
        assert stage.note.startswith(f"by the model of the machine: {'windows' if dots else '2x2 tiles in 16 bits'} ")
    assert not last_stage(512, 1).key.startswith("winograd")  # one pixel has few tiles for so many filters
    assert last_stage(4, 28).note == ""  # short sums are taken another way


@pytest.mark.parametrize("kept", [False, True])
def test_what_was_measured_is_taken(monkeypatch, kept):
    asked = []
    monkeypatch.setattr(tuning, "times", lambda *question: asked.append(question) or {"0": 5e-6, "2": 4e-6})
    stage = last_stage(32, 8, kept=kept)
    assert stage.key.startswith("winograd") and stage.note == "measured: 2x2 tiles in 16 bits 4 us, windows 5 us"
    ((_what, plans, _inputs, _output, counted),) = asked
    assert counted == (frozenset((0,)) if kept else frozenset())
    assert [plans[name]().stages[-1].key.startswith("winograd") for name in "02"] == [False, True]
    monkeypatch.setattr(tuning, "times", lambda *question: {"0": 3e-6, "2": 4e-6})
    assert last_stage(32, 8).note == "measured: windows 3 us, 2x2 tiles in 16 bits 4 us"


def test_filters_that_are_kept_cost_nothing():
    window = Windows(Filters(1, 512, 512, (3, 3)), (7, 7), (1, 1), ((1, 1), (1, 1)), (1, 1))
    plain, kept = (int8_choice.modelled(window, 1, kept) for kept in (False, True))
    assert plain[0] == kept[0] and plain[2] > kept[2] > 0


def test_graphs_transform_constant_filters_once(monkeypatch):
    """A compiled function gives what integers' arithmetic does, and its filters are a part that is settled."""
    monkeypatch.setattr(int8_choice, "COSTS", int8_choice.Costs(quads_at_once=1.0, quads=1.0))
    random = np.random.default_rng(3)
    x, weight = draw(random, (2, 32, 12, 12), U8), draw(random, (64, 32, 3, 3), I8)
    expected = expected_of(x, weight, 7, {}, **SQUARE)
    w = tl.tensor(weight)
    step = tl.jit(lambda x: tl.quantized_conv2d(x, w, x_zero_point=7, padding=1))
    for _ in range(3):
        np.testing.assert_array_equal(step(tl.tensor(x)).numpy(), expected)
    explained = str(step.explain(kernels=True))
    assert "2x2 tiles in 16 bits" in explained and "prepared  3 kernels" in explained


MASKS = ["-avx512vnni,-avxvnni", "-avx512f", "-avx512f,-avxvnni", "-avx2"]


@pytest.mark.skipif(not host.is_x86(), reason="features of x86")
@pytest.mark.parametrize("mask", MASKS)
def test_other_machines_get_the_same_bits(mask):
    """AVX-512 without products of bytes, AVX2 with them where there are any and without, and SSE alone."""
    here = Path(__file__)
    environment = os.environ | {"TENSORLITE_CPU_FEATURES": mask}
    chosen = "extremes or shared"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(here), "-k", chosen]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=here.parents[3])
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
