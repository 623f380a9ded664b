"""Convolutions and pools of images whose channels come last, in, out or both, against float64 bodies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import eager, interpreted, numbers, run_guarded
from tolerance import WINOGRAD, assert_close, assert_close_to_scale

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv, pool_stages, stages
from tensorlite.kernels.stage import Array

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
AXES = (0, 2, 3, 1)
LAST = st.sampled_from([(True, True), (True, True), (True, False), (False, True)])
"""Of the images and of the results."""


def turned(x):
    """The same images, channels last."""
    return np.ascontiguousarray(x.transpose(AXES)).transpose(0, 3, 1, 2)


def lying(shape, last, dtype=F32):
    return (Array.channels_last if last else Array.contiguous)(dtype, shape)


def computed(plan, inputs, shape, last, dtype=F32):
    """The results of a plan by 1, 2 and 4 threads, guard zones intact."""
    memory = tuple(shape[a] for a in AXES) if last else shape
    (found,) = run_guarded(plan, inputs, memory, [dtype])
    return found.transpose(0, 3, 1, 2) if last else found


def close(found, expected, terms):
    """Hold results against exact ones: to the tolerance of sums, or to that of tiles, which is one of the largest."""
    if found.dtype == F64:
        assert_close(found, expected, terms=terms)
    elif found.size:
        assert_close_to_scale(found, expected, WINOGRAD)
    assert found.shape == expected.shape


@st.composite
def layers(draw):
    """Draw shapes of images, filters and results, and attributes."""
    kernel = draw(st.sampled_from([(1, 1), (1, 1), (3, 3), (3, 3), (2, 3), (4, 1)]))
    attributes = {
        "stride": draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (3, 1)])),
        "padding": draw(st.sampled_from([((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 2), (3, 1))])),
        "dilation": draw(st.sampled_from([(1, 1), (1, 1), (2, 1)])),
        "groups": draw(st.sampled_from([1, 1, 1, 2])),
    }
    groups = attributes["groups"]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, attributes["dilation"], strict=True)]
    size = [max(draw(st.sampled_from([1, 2, 5, 8, 13])), n - sum(p))
            for n, p in zip(spans, attributes["padding"], strict=True)]  # fmt: skip
    counts = [(n + sum(p) - span) // step + 1 for n, p, span, step in
              zip(size, attributes["padding"], spans, attributes["stride"], strict=True)]  # fmt: skip
    images, channels = draw(st.integers(0, 3)), draw(st.sampled_from([1, 3, 16, 17, 40]))
    filters = draw(st.sampled_from([1, 5, 16, 33, 70]))
    x = (images, channels * groups, *size)
    return x, (filters * groups, channels, *kernel), (images, filters * groups, *counts), attributes


@settings(max_examples=150, deadline=None)
@given(case=layers(), dtype=st.sampled_from([F32, F64]), last=LAST, kept=st.booleans(), biased=st.booleans())
def test_forward(case, dtype, last, kept, biased):
    x_shape, weight_shape, out, attributes = case
    x, weight = numbers(x_shape, dtype, 1), numbers(weight_shape, dtype, 2)
    inputs = [turned(x) if last[0] else x, weight, numbers(out[1:2], dtype, 3)][: 2 + biased]
    described = [lying(x_shape, last[0], dtype), *map(stages.described, inputs[1:])]
    plan = conv.PLANS["conv2d"](described, [lying(out, last[1], dtype)], kept=kept, **attributes)
    found = computed(plan, inputs, out, last[1], dtype)
    expected = eager("conv2d", *(i.astype(F64) for i in (x, *inputs[1:])), **attributes)
    close(found, expected, weight[:1].size)


@settings(max_examples=60, deadline=None)
@given(case=layers(), last=LAST, tile=st.sampled_from([None, 0, 2]))
def test_transpose_in_the_images(case, last, tile):
    x_shape, weight_shape, out, attributes = case
    g, weight = numbers(out, F32, 1), numbers(weight_shape, F32, 2)
    plan = conv.plan_conv2d_data(lying(out, last[0]), stages.described(weight), [lying(x_shape, last[1])], tile=tile,
                                 **attributes)  # fmt: skip
    found = computed(plan, [turned(g) if last[0] else g, weight], x_shape, last[1])
    expected = eager("conv2d_data", g.astype(F64), weight.astype(F64), size=x_shape[2:], **attributes)
    close(found, expected, weight[:, 0].size)


@settings(max_examples=100, deadline=None)
@given(case=layers(), dtype=st.sampled_from([F32, F64]), last=LAST)
def test_transpose_in_the_weight(case, dtype, last):
    x_shape, weight_shape, out, attributes = case
    x, g = numbers(x_shape, dtype, 1), numbers(out, dtype, 2)
    plan = conv.PLANS["conv2d_weight"]([lying(x_shape, last[0], dtype), lying(out, last[1], dtype)],
                                       [Array.contiguous(dtype, weight_shape)], kernel=weight_shape[2:],
                                       **attributes)  # fmt: skip
    if plan is None:
        return
    found = computed(plan, [turned(x) if last[0] else x, turned(g) if last[1] else g], weight_shape, False, dtype)
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), kernel=weight_shape[2:], **attributes)
    close(found, expected, g[:, 0].size)


@settings(max_examples=100, deadline=None)
@given(channels=st.sampled_from([2, 3, 16, 33, 70, 257, 300]), size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
       kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)), stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
       dilation=st.sampled_from([(1, 1), (2, 3)]), images=st.integers(1, 2), dtype=st.sampled_from([F32, F64]),
       padding=st.sampled_from([((0, 0), (0, 0)), ((1, 1), (1, 1)), ((2, 0), (3, 5))]),
       biased=st.booleans())  # fmt: skip
def test_depthwise(channels, size, kernel, stride, dilation, images, dtype, padding, biased):
    attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": channels}
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [max(n, span - sum(p)) for n, span, p in zip(size, spans, padding, strict=True)]
    counts = [(n + sum(p) - span) // step + 1 for n, p, span, step in zip(size, padding, spans, stride, strict=True)]
    x, weight = numbers((images, channels, *size), dtype, 1), numbers((channels, 1, *kernel), dtype, 2)
    out = (images, channels, *counts)
    inputs = [turned(x), weight, numbers((channels,), dtype, 3)][: 2 + biased]
    described = [lying(x.shape, True, dtype), *map(stages.described, inputs[1:])]
    plan = conv.PLANS["conv2d"](described, [lying(out, True, dtype)], **attributes)
    found = computed(plan, inputs, out, True, dtype)
    expected = eager("conv2d", *(i.astype(F64) for i in (x, *inputs[1:])), **attributes)
    assert_close(found, expected, dtype=dtype, terms=kernel[0] * kernel[1])


@pytest.mark.parametrize("operand", ["first", "last", "channel", "image", "one"])
@pytest.mark.parametrize("tile", [0, 2, 4, 6])
def test_an_epilogue_reads_operands_of_any_order(tile, operand):
    shape, out = (2, 17, 9, 7), (2, 70, 9, 7)
    x, weight = numbers(shape, seed=1), numbers((70, 17, 3, 3), seed=2)
    extents = {"channel": (1, 70, 1, 1), "image": (2, 1, 1, 1), "one": (1, 1, 1, 1)}
    e = numbers(extents.get(operand, out), seed=3)
    epilogue = [s.maximum(s.Var("product") * s.Var("e0") + s.Var("e1"), s.Const(0.0))]
    operands = [lying(out, True) if operand == "last" else stages.described(e)] * 2
    geometry = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    plan = conv.plan_conv2d(lying(shape, True), stages.described(weight), [lying(out, True)], epilogue=epilogue,
                            operands=operands, tile=tile, **geometry)  # fmt: skip
    lies = turned(e) if operand == "last" else e
    found = computed(plan, [turned(x), weight, lies, lies], out, True)
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **geometry)
    close(found, np.maximum(expected * e + e, 0), weight[0].size)


@pytest.mark.parametrize("tile", [0, 2, 4])
@pytest.mark.parametrize("last", [(True, True), (True, False), (False, True)])
def test_what_is_not_finite_reaches_the_results_that_see_it(last, tile):
    x, weight = numbers((2, 16, 11, 9), seed=1), numbers((16, 16, 3, 3), seed=2)
    x[0, 3, 0, 0], x[1, 5, 4, 4], x[1, 0, 10, 8] = np.nan, np.inf, -np.inf
    geometry = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    plan = conv.plan_conv2d(lying(x.shape, last[0]), stages.described(weight), [lying(x.shape, last[1])], tile=tile,
                            **geometry)  # fmt: skip
    found = computed(plan, [turned(x) if last[0] else x, weight], x.shape, last[1])
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **geometry)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])


@pytest.mark.parametrize(("kernel", "tile", "kept", "groups"), [
    (3, 0, False, 1), (3, 0, True, 1), (3, 2, True, 1), (1, 0, True, 1), (3, 0, True, 16),
])  # fmt: skip
def test_loops_mean_what_native_kernels_do(kernel, tile, kept, groups):
    shape, filters = (1, 16, 4, 7), 16 if groups > 1 else 18
    x, weight = numbers(shape, seed=1), numbers((filters, shape[1] // groups, kernel, kernel), seed=2)
    border = kernel // 2
    geometry = {"stride": (1, 1), "padding": ((border, border),) * 2, "dilation": (1, 1), "groups": groups}
    out = (shape[0], filters, *shape[2:])
    plan = conv.plan_conv2d(lying(shape, True), stages.described(weight), [lying(out, True)], tile=tile,
                            kept=kept, **geometry)  # fmt: skip
    native = computed(plan, [turned(x), weight], out, True)
    memory = interpreted(plan, [turned(x).transpose(AXES), weight], tuple(out[a] for a in AXES))
    close(memory.transpose(0, 3, 1, 2), native, weight[0].size)


@settings(max_examples=60, deadline=None)
@given(shape=st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 17, 70]), st.integers(4, 9), st.integers(4, 9)),
       kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
       ceil=st.booleans(), dtype=st.sampled_from([F32, F64]), maximum=st.booleans(), inner=st.booleans(),
       border=st.booleans())  # fmt: skip
def test_pools(shape, kernel, stride, ceil, dtype, maximum, inner, border):
    padding = tuple(k // 2 for k in kernel) if border else (0, 0)
    attributes = {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil}
    attributes |= {"dilation": (1, 1)} if maximum else {"include_pad": inner, "divisor": None}
    op = "max_pool2d" if maximum else "avg_pool2d"
    x = numbers(shape, dtype, 1)
    x[..., 2, 3] = np.nan if inner else np.inf
    expected = eager(op, x, **attributes)
    inputs = [lying(shape, True, dtype)]
    plan = pool_stages.PLANS[op](inputs, [lying(expected.shape, True, dtype)], **attributes)
    found = computed(plan, [turned(x)], expected.shape, True, dtype)
    assert_close(found, expected, dtype=dtype, terms=kernel[0] * kernel[1])


def test_layers_of_points_are_products_of_matrices_as_they_lie():
    def kinds(stride, padding):
        plan = conv.plan_conv2d(lying((1, 64, 16, 16), True), Array.contiguous(F32, (32, 64, 1, 1)),
                                [lying((1, 32, 16 // stride + 2 * padding, 16 // stride + 2 * padding), True)],
                                stride=(stride,) * 2, padding=((padding, padding),) * 2, dilation=(1, 1), groups=1,
                                kept=True)  # fmt: skip
        return [stage.key.split()[0] for stage in plan.stages]

    assert kinds(1, 0) == ["pack", "matmul"]
    assert kinds(2, 0) == ["copy", "pack", "matmul"]
    assert "matmul" not in kinds(1, 1)
