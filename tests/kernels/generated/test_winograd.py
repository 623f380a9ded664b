"""Winograd's matrices are exact; its planned convolutions agree with float64 bodies for any layer, tile and threads."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from guarded import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import LAYERS_LAYOUTS as LAYOUTS
from planned import eager, interpreted, laid, numbers, run_guarded
from tolerance import WINOGRAD, assert_close_to_scale

from tensorlite.kernels import interp, loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv, stages, winograd, winograd_error
from tensorlite.kernels.cpu.conv_choice import Choice
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import gemm_loops, winograd_transforms
from tensorlite.kernels.stage import Array
from tensorlite.kernels.winograd import winograd as matrices

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
fractions = st.fractions(min_value=-9, max_value=9, max_denominator=9)


def product(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


@settings(deadline=None)
@given(m=st.integers(1, 9), r=st.integers(1, 6), data=st.data())
def test_the_matrices_are_exact(m, r, data):
    found = matrices(m, r)
    inputs, taps = (data.draw(st.lists(fractions, min_size=n, max_size=n)) for n in (m + r - 1, r))
    products = [a * b for a, b in zip(product(found.filter, taps), product(found.data, inputs), strict=True)]
    assert product(found.output, products) == [sum(inputs[i + j] * taps[j] for j in range(r)) for i in range(m)]


@pytest.mark.parametrize("m,r", [(0, 3), (2, 0), (-1, 3)])
def test_there_are_no_tiles_without_results(m, r):
    with pytest.raises(ValueError, match=f"^winograd: expected positive numbers of results and taps, got {m} and {r}$"):
        matrices(m, r)


@pytest.mark.parametrize("which", ["data", "filter", "output"])
@pytest.mark.parametrize("m,r", [(2, 3), (3, 4), (4, 3), (6, 3), (1, 1), (3, 1)])
def test_a_transform_in_loops_is_the_matrix(m, r, which):
    """Sums and differences shared between points of both signs leave the numbers as they are: small integers, exact."""
    matrix = getattr(matrices(m, r), which)
    scale = np.lcm.reduce([x.denominator for row in matrix for x in row])
    whole = tuple(tuple(x * int(scale) for x in row) for row in matrix)
    values = [f"x{k}" for k in range(len(matrix[0]))]
    statements, names = winograd_transforms.transform(whole, values, "t")
    out = loops.Buffer("out", F32, writable=True)
    loads = [loops.Load(name, "x", s.Const(k)) for k, name in enumerate(values)]
    stores = [loops.Store("out", s.Const(k) + s.Var("once"), s.Var(name)) for k, name in enumerate(names)]
    task = loops.parallel("once", 1, *loads, *statements, *stores)
    kernel = loops.build("transform", (loops.Buffer("x", F32), out), (task,))
    x, found = np.arange(1, len(values) + 1, dtype=F32) ** 2, np.zeros(len(names), F32)
    interp.run(kernel, {"x": x, "out": found})
    assert found.tolist() == product(whole, [Fraction(float(value)) for value in x])


def test_a_transform_takes_points_of_both_signs_together():
    """F(4, 3) of data: 32 operations, not the 52 that the matrix has."""
    statements, _ = winograd_transforms.transform(matrices(4, 3).data, [f"x{k}" for k in range(6)], "t")
    assert sum(len(list(s.postorder(let.value))) > 1 for let in statements) == 10


@st.composite
def layers(draw):
    images, height, width = draw(st.integers(1, 5)), draw(st.integers(1, 21)), draw(st.integers(1, 21))
    border = draw(st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2))
    height, width = (max(n, 3 - sum(p)) for n, p in zip((height, width), border, strict=True))
    channels, filters = (draw(st.sampled_from([16, 17, 32, 33, 64, 80, 130])) for _ in range(2))
    return (images, channels, height, width), filters, border


def attributes(border):
    return {"stride": (1, 1), "padding": border, "dilation": (1, 1), "groups": 1}


def with_tiles(m):
    patch = pytest.MonkeyPatch()
    patch.setattr(conv, "choose", lambda *_: Choice(m))
    return patch


@settings(max_examples=60, deadline=None)
@given(layer=layers(), m=st.sampled_from([2, 4, 6]), layouts=st.tuples(LAYOUTS, LAYOUTS), biased=st.booleans())
def test_forward(layer, m, layouts, biased):
    shape, filters, border = layer
    x = laid(numbers(shape, seed=1), layouts[0])
    weight = laid(numbers((filters, shape[1], 3, 3), seed=2), layouts[1])
    inputs = [x, weight, numbers((filters,), seed=3)][: 2 + biased]
    expected = eager("conv2d", *(i.astype(F64) for i in inputs), **attributes(border))
    patch = with_tiles(m)
    try:
        outputs = [Array.contiguous(F32, expected.shape)]
        plan = conv.PLANS["conv2d"]([*map(stages.described, inputs)], outputs, **attributes(border))
    finally:
        patch.undo()
    assert plan.stages[-1].key.startswith("winograd-")
    (found,) = run_guarded(plan, inputs, expected.shape, [F32])
    assert_close_to_scale(found, expected, WINOGRAD)


@settings(max_examples=60, deadline=None)
@given(layer=layers(), m=st.sampled_from([2, 4, 6]), layouts=st.tuples(LAYOUTS, LAYOUTS))
def test_transpose_in_the_images(layer, m, layouts):
    shape, filters, border = layer
    counts = [n + sum(p) - 2 for n, p in zip(shape[2:], border, strict=True)]
    g = laid(numbers((shape[0], filters, *counts), seed=1), layouts[0])
    weight = laid(numbers((filters, shape[1], 3, 3), seed=2), layouts[1])
    geometry = attributes(border) | {"size": shape[2:]}
    expected = eager("conv2d_data", g.astype(F64), weight.astype(F64), **geometry)
    patch = with_tiles(m)
    try:
        described = [*map(stages.described, (g, weight))]
        plan = conv.PLANS["conv2d_data"](described, [Array.contiguous(F32, shape)], **geometry)
    finally:
        patch.undo()
    assert plan.stages[-1].key.startswith("winograd-")
    (found,) = run_guarded(plan, (g, weight), shape, [F32])
    assert_close_to_scale(found, expected, WINOGRAD)


@settings(max_examples=40, deadline=None)
@given(layer=layers(), m=st.sampled_from([2, 4, 6]), data=st.booleans(), seed=st.integers(0, 99))
def test_what_is_not_finite_stays_where_it_belongs(layer, m, data, seed):
    """NaN and infinities reach the results whose windows see them, and no others of their tile."""
    shape, filters, border = layer
    random = np.random.default_rng(seed)
    counts = [n + sum(p) - 2 for n, p in zip(shape[2:], border, strict=True)]
    weight = numbers((filters, shape[1], 3, 3), seed=2)
    x = numbers((shape[0], filters, *counts) if data else shape, seed=1)
    for place in random.integers(0, x.size, 1 + seed % 4):
        x.flat[place] = (np.nan, np.inf, -np.inf)[random.integers(3)]
    op, geometry, out = "conv2d", attributes(border), (shape[0], filters, *counts)
    if data:
        op, geometry, out = "conv2d_data", geometry | {"size": shape[2:]}, shape
    expected = eager(op, x.astype(F64), weight.astype(F64), **geometry)
    patch = with_tiles(m)
    try:
        plan = conv.PLANS[op]([*map(stages.described, (x, weight))], [Array.contiguous(F32, out)], **geometry)
    finally:
        patch.undo()
    assert plan.stages[-1].key.startswith("winograd-")
    (found,) = run_guarded(plan, (x, weight), out, [F32])
    seen = np.isfinite(expected)
    np.testing.assert_array_equal(found[~seen], expected[~seen].astype(F32))
    assert np.isfinite(found[seen]).all()
    assert_close_to_scale(found[seen], expected[seen], WINOGRAD)


@pytest.mark.parametrize("shape,filters", [((8, 256, 7, 7), 128), ((2, 192, 4, 4), 65), ((3, 32, 30, 30), 16)])
@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_any_number_of_slots_has_the_same_bits(shape, filters, threads, monkeypatch):
    """The plans of teams of other sizes cut tiles and panels otherwise."""
    x, weight = numbers(shape, seed=1), numbers((filters, shape[1], 3, 3), seed=2)
    out = (shape[0], filters, *shape[2:])
    monkeypatch.setattr(conv, "choose", lambda *_: Choice(4))
    found = []
    for slots in (1, threads):
        monkeypatch.setattr(winograd.team, "get_num_threads", lambda slots=slots: slots)
        described = [*map(stages.described, (x, weight))]
        plan = conv.PLANS["conv2d"](described, [Array.contiguous(F32, out)], **attributes(((1, 1), (1, 1))))
        found += run_guarded(plan, (x, weight), out, [F32])
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize("channels", [64, 144])
def test_few_tiles_are_multiplied_by_few_rows_with_the_same_bits(channels, monkeypatch):
    """Four tiles would leave two rows of six empty; filters are transformed before, or by their task."""
    x, weight = numbers((1, channels, 7, 7), seed=1), numbers((80, channels, 3, 3), seed=2)
    out, found, keys = (1, 80, 7, 7), [], []
    monkeypatch.setattr(conv, "choose", lambda *_: Choice(4))
    for rows in (4, 5, 6):
        monkeypatch.setattr(winograd, "_FEW_ROWS", rows)
        described = [*map(stages.described, (x, weight))]
        plan = conv.PLANS["conv2d"](described, [Array.contiguous(F32, out)], **attributes(((1, 1), (1, 1))))
        keys.append(plan.stages[-1].key)
        found += run_guarded(plan, (x, weight), out, [F32])
    usual = gemm_loops.schedule(F32).rows
    assert all(f"rows={rows}," in key for rows, key in zip((4, 5, usual), keys, strict=True))
    assert same_bits(*found[:2]) and same_bits(*found[1:])
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes(((1, 1), (1, 1))))
    assert_close_to_scale(found[0], expected, WINOGRAD)


@pytest.mark.parametrize(("layer", "rows"), [((1, 512, 7), 4), ((1, 512, 14), 4), ((8, 64, 56), 6), ((8, 128, 28), 6)])
def test_rows_are_few_where_tiles_are(layer, rows):
    images, channels, extent = layer
    x, weight = (Array.contiguous(F32, (n, channels, size, size)) for n, size in ((images, extent), (channels, 3)))
    plan = conv.plan_conv2d(x, weight, [x], **attributes(((1, 1), (1, 1))))
    assert plan.stages[-1].key.startswith("winograd-4x4") and f"rows={rows}," in plan.stages[-1].key


def test_epilogues():
    shape = (2, 32, 9, 9)
    x, weight = numbers(shape, seed=1), numbers((70, 32, 3, 3), seed=2)
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes(((1, 1), (1, 1))))
    scale, other = numbers((70, 1, 1), seed=3), numbers(expected.shape, seed=4)
    arrays = (x, weight, scale, other)
    described, total = [*map(stages.described, arrays)], s.Var("product") * s.Var("e0") + s.Var("e1")
    outputs = [Array.contiguous(dtype, expected.shape) for dtype in (F32, bool)]
    patch = with_tiles(4)
    try:
        plan = conv.plan_conv2d(
            *described[:2], outputs, epilogue=[s.maximum(total, 0.0), s.greater(total, 0.0)], operands=described[2:],
            **attributes(((1, 1), (1, 1))),
        )  # fmt: skip
    finally:
        patch.undo()
    found = run_guarded(plan, arrays, expected.shape, [F32, np.dtype(bool)])
    assert_close_to_scale(found[0], np.maximum(expected * scale + other, 0), WINOGRAD)
    assert np.array_equal(found[1], found[0] > 0)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_data", "conv2d_weight"])
@pytest.mark.parametrize("shape,m", [((2, 16, 5, 4), 2), ((1, 17, 3, 6), 4), ((1, 144, 2, 3), 2)])
def test_interpreted(name, shape, m):
    """What runs natively is the kernels' meaning, bit by bit, and it touches nothing that it must not."""
    x, weight = numbers(shape, seed=1), numbers((16, shape[1], 3, 3), seed=2)
    g, geometry = eager("conv2d", x, weight, **attributes(((1, 1), (1, 1)))), attributes(((1, 1), (1, 1)))
    inputs, out, more = {
        "conv2d": ((x, weight), np.zeros(g.shape, F32), {}),
        "conv2d_data": ((g, weight), np.zeros(shape, F32), {"size": shape[2:]}),
        "conv2d_weight": ((x, g), np.zeros(weight.shape, F32), {"kernel": (3, 3)}),
    }[name]
    patch = with_tiles(m)
    patch.setattr(winograd, "suits_weight", lambda x, g: x.shape[1] % 16 == 0)
    try:
        plan = conv.PLANS[name]([*map(stages.described, inputs)], [stages.described(out)], **geometry, **more)
    finally:
        patch.undo()
    assert plan.stages[-1].key.startswith("winograd-") or (name, shape[1]) == ("conv2d_weight", 17)
    stages.run(plan, [*inputs, out])
    assert same_bits(interpreted(plan, inputs, out.shape), out)


@settings(max_examples=60, deadline=None)
@given(layer=layers(), channels=st.sampled_from([32, 48, 80]), filters=st.sampled_from([32, 64, 144]),
       layouts=st.tuples(LAYOUTS, LAYOUTS), tiles=st.sampled_from([1, 7, 64]))  # fmt: skip
def test_transpose_in_the_weight(layer, channels, filters, layouts, tiles):
    shape, _, border = layer
    shape = (shape[0], channels, *shape[2:])
    counts = [n + sum(p) - 2 for n, p in zip(shape[2:], border, strict=True)]
    x = laid(numbers(shape, seed=1), layouts[0])
    g = laid(numbers((shape[0], filters, *counts), seed=2), layouts[1])
    out, geometry = (filters, channels, 3, 3), attributes(border) | {"kernel": (3, 3)}
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), **geometry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "suits_weight", lambda x, g: True)
        patch.setattr(winograd, "_TILES_AT_ONCE", tiles)
        plan = conv.PLANS["conv2d_weight"]([*map(stages.described, (x, g))], [Array.contiguous(F32, out)], **geometry)
    assert plan.stages[-1].key.startswith("winograd-3x3 weight")
    (found,) = run_guarded(plan, (x, g), out, [F32])
    assert_close_to_scale(found, expected, WINOGRAD)


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_a_weight_has_the_same_bits_for_any_number_of_slots(slots, monkeypatch):
    x, g, out = numbers((3, 96, 14, 9), seed=1), numbers((3, 80, 14, 9), seed=2), (80, 96, 3, 3)
    found = []
    for number in (1, slots):
        monkeypatch.setattr(winograd.team, "get_num_threads", lambda number=number: number)
        described = [*map(stages.described, (x, g))]
        plan = conv.PLANS["conv2d_weight"](
            described, [Array.contiguous(F32, out)], kernel=(3, 3), **attributes(((1, 1), (1, 1)))
        )
        found += run_guarded(plan, (x, g), out, [F32])
    assert plan.stages[-1].key.startswith("winograd-3x3 weight")
    assert same_bits(*found)


def test_epilogues_of_the_weight():
    """A step of an optimizer in the epilogue, as after a convolution's backward; two outputs."""
    shape, out = (2, 32, 9, 9), (64, 32, 3, 3)
    x, g, weight, rate = numbers(shape, seed=1), numbers((2, 64, 9, 9), seed=2), numbers(out, seed=3), numbers(())
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), kernel=(3, 3), **attributes(((1, 1), (1, 1))))
    epilogue = [s.Var("e0") - s.Var("product") * s.Var("e1"), s.Var("product") * 2.0]
    described = [*map(stages.described, (x, g, weight, rate))]
    outputs = [Array.contiguous(F32, out)] * 2
    plan = conv.plan_conv2d_weight(
        *described[:2], outputs, epilogue=epilogue, operands=described[2:], **attributes(((1, 1), (1, 1)))
    )
    assert plan.stages[-1].key.startswith("winograd-3x3 weight")
    found = run_guarded(plan, (x, g, weight, rate), out, [F32, F32])
    assert_close_to_scale(found[0], weight - expected * rate, WINOGRAD)
    assert_close_to_scale(found[1], expected * 2, WINOGRAD)


@pytest.mark.parametrize("tile", [0, 2, 4, 6])
def test_a_tile_may_be_asked_for(tile):
    x, weight, bias = numbers((2, 16, 9, 7), seed=1), numbers((32, 16, 3, 3), seed=2), numbers((32,), seed=3)
    found = conv.conv2d(x, weight, bias, padding=1, tile=tile)
    expected = eager("conv2d", *(a.astype(F64) for a in (x, weight, bias)), **attributes(((1, 1), (1, 1))))
    assert_close_to_scale(found, expected, WINOGRAD)


@pytest.mark.parametrize("tile,more", [(3, {}), (4, {"stride": 2}), (4, {"dilation": 2}), (4, {"groups": 2})])
def test_a_tile_that_there_is_not(tile, more):
    x, weight = numbers((2, 32, 9, 9)), numbers((32, 32 // more.get("groups", 1), 3, 3))
    with pytest.raises(KernelError) as raised:
        conv.conv2d(x, weight, tile=tile, **more)
    groups = more.get("groups", 1)
    assert str(raised.value) == (
        f"conv2d: there is no native form for float32[2, 32, 9, 9] and float32[32, {32 // groups}, 3, 3], "
        f"groups {groups}, tile {tile}"
    )


def test_arrays_that_do_not_fit():
    with pytest.raises(KernelError, match=r"^conv2d: there is no native form for float32\[1, 2, 3, 3\] and "):
        conv.conv2d(numbers((1, 2, 3, 3)), numbers((1, 3, 3, 3)))


def test_errors_are_measured_once_and_remembered(monkeypatch):
    found = winograd_error.error(4, 3, 100)
    assert winograd_error.error(2, 3, 100) < found < WINOGRAD
    winograd_error.error.cache_clear()
    monkeypatch.setattr(winograd_error, "_measure", lambda *_: 1.0)
    assert winograd_error.error(4, 3, 120) == found  # from the disk, for the next power of two
    winograd_error.error.cache_clear()
