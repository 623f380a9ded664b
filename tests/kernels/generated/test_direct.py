"""Direct convolutions of few channels a group against float64 bodies: depthwise and grouped, any geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from guarded import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import LAYERS_LAYOUTS as LAYOUTS
from planned import eager, interpreted, laid, numbers, run_guarded
from tolerance import assert_close

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv, direct, stages
from tensorlite.kernels.generated import direct_loops
from tensorlite.kernels.stage import Array

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
PRODUCT = s.Var("product")


def geometry(stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1):
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def planned(name, inputs, shape, **attributes):
    """The plan of an op by direct sums, whether or not they are the fastest."""
    described, output = [*map(stages.described, inputs)], Array.contiguous(inputs[0].dtype, shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "suits", lambda layer: True)
        patch.setattr(direct, "suits_weight", lambda layer: True)
        plan = conv.PLANS[name](described, [output], **attributes)
    assert plan is not None
    assert any("direct" in stage.key for stage in plan.stages)
    assert not any("pad" in stage.key for stage in plan.stages)
    return plan


@st.composite
def layers(draw):
    """Draw shapes of a convolution of several groups, and its attributes; no phase of its transpose lacks taps."""
    groups, channels = draw(st.sampled_from([(2, 1), (3, 1), (7, 1), (2, 2), (3, 3), (3, 4)]))
    filters = draw(st.sampled_from([1, 1, 2, 3, 4, 6]))
    kernel = draw(st.sampled_from([(3, 3), (3, 3), (5, 5), (1, 1), (7, 7), (2, 4), (3, 1), (8, 8)]))
    stride = draw(st.tuples(*[st.integers(1, min(n, 3)) for n in kernel]))
    dilation = tuple(1 if step > 1 else draw(st.integers(1, 3)) for step in stride)
    padding = draw(st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sides = st.sampled_from([1, 2, 3, 7, 8, 14, 16, 17, 28, 33, 57, 90])
    size = [max(draw(sides), n - sum(p)) for n, p in zip(spans, padding, strict=True)]
    counts = [(n + sum(p) - span) // step + 1 for n, p, span, step in zip(size, padding, spans, stride, strict=True)]
    images = draw(st.sampled_from([0, 1, 1, 2, 3]))
    x, weight = (images, channels * groups, *size), (filters * groups, channels, *kernel)
    return x, weight, (images, filters * groups, *counts), geometry(stride, padding, dilation, groups)


@settings(max_examples=150, deadline=None)
@given(layer=layers(), dtype=st.sampled_from([F32, F64]), layouts=st.tuples(LAYOUTS, LAYOUTS), biased=st.booleans())
def test_forward(layer, dtype, layouts, biased):
    x_shape, weight_shape, out, attributes = layer
    x, weight = laid(numbers(x_shape, dtype, 1), layouts[0]), laid(numbers(weight_shape, dtype, 2), layouts[1])
    inputs = [x, weight, numbers(out[1:2], dtype, 3)][: 2 + biased]
    (found,) = run_guarded(planned("conv2d", inputs, out, **attributes), inputs, out, [dtype])
    expected = eager("conv2d", *(i.astype(F64) for i in inputs), **attributes)
    assert_close(found, expected, dtype=dtype, terms=weight[:1].size)


@settings(max_examples=100, deadline=None)
@given(layer=layers(), dtype=st.sampled_from([F32, F32, F64]), layouts=st.tuples(LAYOUTS, LAYOUTS))
def test_transpose_in_the_images(layer, dtype, layouts):
    x_shape, weight_shape, out, attributes = layer
    g, weight = laid(numbers(out, dtype, 1), layouts[0]), laid(numbers(weight_shape, dtype, 2), layouts[1])
    attributes |= {"size": x_shape[2:]}
    (found,) = run_guarded(planned("conv2d_data", (g, weight), x_shape, **attributes), (g, weight), x_shape, [dtype])
    expected = eager("conv2d_data", g.astype(F64), weight.astype(F64), **attributes)
    assert_close(found, expected, dtype=dtype, terms=weight.size)


@settings(max_examples=100, deadline=None)
@given(layer=layers(), dtype=st.sampled_from([F32, F32, F64]), layouts=st.tuples(LAYOUTS, LAYOUTS))
def test_transpose_in_the_weight(layer, dtype, layouts):
    x_shape, weight_shape, out, attributes = layer
    x, g = laid(numbers(x_shape, dtype, 1), layouts[0]), laid(numbers(out, dtype, 2), layouts[1])
    attributes |= {"kernel": weight_shape[2:]}
    plan = planned("conv2d_weight", (x, g), weight_shape, **attributes)
    (found,) = run_guarded(plan, (x, g), weight_shape, [dtype])
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), **attributes)
    assert_close(found, expected, dtype=dtype, terms=max(1, g[:, 0].size))


@pytest.mark.parametrize("case", [(1, 1, 3, 1), (1, 1, 3, 2), (2, 3, 3, 1), (3, 4, 2, 2)])
def test_interpreted(case):
    """What runs natively is the loops' meaning, bit by bit, and it touches nothing that it must not."""
    channels, filters, kernel, stride = case
    x, weight = numbers((2, 2 * channels, 9, 20), seed=1), numbers((2 * filters, channels, kernel, kernel), seed=2)
    attributes = geometry((stride, stride), groups=2)
    shape = eager("conv2d", x, weight, **attributes).shape
    plan, out = planned("conv2d", (x, weight), shape, **attributes), np.zeros(shape, F32)
    stages.run(plan, [x, weight, out])
    assert same_bits(interpreted(plan, (x, weight), shape), out)
    plan = planned("conv2d_weight", (x, out), weight.shape, kernel=(kernel, kernel), **attributes)
    gradient = np.zeros_like(weight)
    stages.run(plan, [x, out, gradient])
    assert same_bits(interpreted(plan, (x, out), weight.shape), gradient)


@pytest.mark.parametrize("filters", [1, 5])
@pytest.mark.parametrize("size", [(7, 6), (11, 40)])
def test_epilogues(filters, size):
    """A scale and another result, of any strides; two outputs of different dtypes."""
    x, weight, attributes = numbers((2, 6, *size), seed=1), numbers((6 * filters, 1, 3, 3), seed=2), geometry(groups=6)
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes)
    scale, other = numbers((6 * filters, 1, 1), seed=3), numbers(expected.shape, seed=4)
    total = PRODUCT * s.Var("e0") + s.Var("e1")
    for operand in (other, laid(other, "turned"), other[:1, :, :1], np.broadcast_to(other[..., :1], other.shape)):
        arrays = (x, weight, scale, operand)
        described = [*map(stages.described, arrays)]
        outputs = [Array.contiguous(dtype, expected.shape) for dtype in (F32, bool)]
        epilogue = [s.maximum(total, 0.0), s.greater(total, 0.0)]
        plan = conv.plan_conv2d(*described[:2], outputs, epilogue=epilogue, operands=described[2:], **attributes)
        found = run_guarded(plan, arrays, expected.shape, [F32, np.dtype(bool)])
        assert_close(found[0], np.maximum(expected * scale + operand, 0), terms=40)
        assert same_bits(found[1], found[0] > 0)


def test_epilogues_of_the_transpose_in_the_weight():
    x, g, weight = numbers((3, 6, 8, 9), seed=1), numbers((3, 6, 8, 9), seed=2), numbers((6, 2, 3, 3), seed=3)
    rate, scale, attributes = numbers((1,), seed=4), numbers((6, 1, 1, 1), seed=5), geometry(groups=3)
    epilogue = [s.Var("e0") - s.Var("e1") * PRODUCT, PRODUCT * s.Var("e2")]
    arrays = (x, g, weight, rate, scale)
    described = [*map(stages.described, arrays)]
    plan = conv.plan_conv2d_weight(*described[:2], [Array.contiguous(F32, weight.shape)] * 2, epilogue=epilogue,
                                   operands=described[2:], **attributes)  # fmt: skip
    assert "direct" in plan.stages[0].key
    found = run_guarded(plan, arrays, weight.shape, [F32, F32])
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), kernel=(3, 3), **attributes)
    assert_close(found[0], weight - rate * expected, terms=216)
    assert_close(found[1], expected * scale, terms=216)


@pytest.mark.parametrize("size", [(3, 9000), (200, 5), (300, 300)])
def test_several_strips_and_bands(size):
    x, weight, attributes = numbers((1, 2, *size), seed=1), numbers((2, 1, 3, 3), seed=2), geometry(groups=2)
    out = (1, 2, *size)
    (found,) = run_guarded(planned("conv2d", (x, weight), out, **attributes), (x, weight), out, [F32])
    assert_close(found, eager("conv2d", x.astype(F64), weight.astype(F64), **attributes), terms=9)


def test_every_nan_arrives():
    x, weight, attributes = numbers((1, 2, 9, 35), seed=1), numbers((2, 1, 3, 3), seed=2), geometry(groups=2)
    x[0, 0, 4, 17], x[0, 1, 8, 34] = np.nan, np.inf
    (found,) = run_guarded(planned("conv2d", (x, weight), x.shape, **attributes), (x, weight), x.shape, [F32])
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes)
    assert same_bits(np.isnan(found), np.isnan(expected))
    assert same_bits(np.isinf(found), np.isinf(expected))


def layer_of(**changes):
    x, out = Array.contiguous(F32, (1, 4, 56, 56)), ((0, 4 * 3136, 3136, 56, 1),)
    layer = direct.Layer(x, 2, 2, (56, 56), (3, 3), (1, 1), (1, 1), (1, 1), (0, 36, 18, 9, 3, 1), out)
    return replace(layer, **changes)


@pytest.mark.parametrize("kernel", [(1, 1), (1, 4), (2, 1), (3, 3), (7, 7)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (5, 3)])
@pytest.mark.parametrize("size", [(1, 1), (9, 17), (130, 180)])
def test_lines_that_are_loaded_once(kernel, stride, size):
    """One channel a group: as many sums are open as windows share lines, none if steps are long; several bands too."""
    padding = tuple((n // 2, n - 1 - n // 2) for n in kernel)
    x, weight = numbers((2, 3, *size), seed=1), numbers((3, 1, *kernel), seed=2)
    attributes = geometry(stride, padding, groups=3)
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes)
    plan = planned("conv2d", (x, weight), expected.shape, **attributes)
    assert len(plan.stages) == 1
    (found,) = run_guarded(plan, (x, weight), expected.shape, [F32])
    assert_close(found, expected, terms=weight[0].size)


@pytest.mark.parametrize("step", [1, 2])
def test_sums_have_one_order_whether_lines_are_loaded_once_or_not(step, monkeypatch):
    x, weight = numbers((2, 3, 9, 35), seed=1), numbers((3, 1, 3, 3), seed=2)
    attributes = geometry((step, step), groups=3)
    shape = eager("conv2d", x, weight, **attributes).shape
    results, keys = [], set()
    for _ in range(2):
        plan = planned("conv2d", (x, weight), shape, **attributes)
        results += run_guarded(plan, (x, weight), shape, [F32])
        keys.add(plan.stages[0].key)
        monkeypatch.setattr(direct_loops.Taps, "rolls", False)
    assert len(keys) == 2
    assert same_bits(*results)


def test_what_direct_sums_suit():
    """Few channels a group, and lines that fill vectors; any number of filters."""
    assert direct.suits(layer_of())
    assert direct.suits(layer_of(groups=1, m=64))
    assert direct.suits(layer_of(images=Array.contiguous(F32, (1, 8, 56, 56)), groups=8, m=1))
    assert not direct.suits(layer_of(images=Array.contiguous(F32, (1, 64, 56, 56))))
    assert not direct.suits(layer_of(images=Array.contiguous(F32, (1, 32, 7, 7)), m=16, pixels=(7, 7)))


def test_what_is_left_to_products_of_matrices():
    """Windows too large for scratch memory, sums of very many terms, and those of nothing."""
    epilogue = conv.Finish((PRODUCT,), (), (Array.contiguous(F32, (1, 4, 56, 56)),)).epilogue("")

    def found(**changes):
        return direct.stages(layer_of(**changes), F32, epilogue, (), (2,), 3)

    stages_of_two, sizes = found()
    assert len(stages_of_two) == 2
    assert sizes == [2 * 2 * 9 * 2 * 4]
    for changes in ({"kernel": (0, 3)}, {"kernel": (30, 30)}, {"dilation": (9000, 1)}, {"pixels": (0, 3)}):
        assert found(**changes) == ([], [])
