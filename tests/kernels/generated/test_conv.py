"""Planned convolutions and their transposes against float64 bodies: any geometry, strides, groups and epilogues."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from guarded import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import LAYERS_LAYOUTS as LAYOUTS
from planned import eager, interpreted, laid, numbers, run_guarded
from tolerance import assert_close

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv, conv_geometry, conv_windows, stages
from tensorlite.kernels.cpu.conv_choice import Choice
from tensorlite.kernels.generated import gemm_loops
from tensorlite.kernels.stage import Array

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
PRODUCT = s.Var("product")


@contextmanager
def only(way, hot=2 << 20, near=8 << 20):
    """Make all convolutions have filters as rows, or pixels, or direct sums where they are few; and none tiles.

    Images are copied by shares of ``hot`` bytes; up to ``near`` bytes of them are read steps apart where they are.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv_geometry, "_HOT", hot)
        patch.setattr(conv_geometry, "_NEAR", near)
        patch.setattr(conv.direct, "suits", lambda layer: way == "direct")
        patch.setattr(conv, "choose", lambda *_: Choice(0))
        patch.setattr(conv.winograd, "suits_weight", lambda x, g: False)
        patch.setattr(conv_windows, "_suits_pixels", lambda *_: way == "pixels")
        yield


WAYS = ["filters", "pixels", "direct"]
HOT = [1, 1000, 2 << 20]  # one image is a share, few are, all are
every_way = pytest.mark.parametrize("way", WAYS)


@st.composite
def cases(draw):
    """Draw shapes of a convolution and its attributes."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    attributes = {
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "padding": draw(st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2)),
        "dilation": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "groups": groups,
    }
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, attributes["dilation"], strict=True)]
    sides = st.sampled_from([1, 2, 3, 5, 8, 9, 12, 20, 70])
    size = [max(draw(sides), n - sum(p)) for n, p in zip(spans, attributes["padding"], strict=True)]
    counts = [(n + sum(p) - span) // step + 1 for n, p, span, step in
              zip(size, attributes["padding"], spans, attributes["stride"], strict=True)]  # fmt: skip
    images, channels = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    filters = draw(st.sampled_from([1, 2, 7, 17]))
    x = (images, channels * groups, *size)
    weight, out = (filters * groups, channels, *kernel), (images, filters * groups, *counts)
    return x, weight, out, attributes


@settings(max_examples=100, deadline=None)
@given(case=cases(), dtype=st.sampled_from([F32, F64]), layouts=st.tuples(LAYOUTS, LAYOUTS), biased=st.booleans(),
       way=st.sampled_from(WAYS), hot=st.sampled_from(HOT), near=st.sampled_from([0, 8 << 20]))  # fmt: skip
def test_forward(case, dtype, layouts, biased, way, hot, near):
    x_shape, weight_shape, out, attributes = case
    x, weight = laid(numbers(x_shape, dtype, 1), layouts[0]), laid(numbers(weight_shape, dtype, 2), layouts[1])
    inputs = [x, weight, numbers(out[1:2], dtype, 3)][: 2 + biased]
    with only(way, hot, near):
        plan = conv.PLANS["conv2d"]([*map(stages.described, inputs)], [Array.contiguous(dtype, out)], **attributes)
    (found,) = run_guarded(plan, inputs, out, [dtype])
    assert_close(found, eager("conv2d", *(i.astype(F64) for i in inputs), **attributes), dtype=dtype,
                 terms=weight[:1].size)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(case=cases(), dtype=st.sampled_from([F32, F64]), layouts=st.tuples(LAYOUTS, LAYOUTS),
       way=st.sampled_from(WAYS), hot=st.sampled_from(HOT))  # fmt: skip
def test_transpose_in_the_images(case, dtype, layouts, way, hot):
    x_shape, weight_shape, out, attributes = case
    g, weight = laid(numbers(out, dtype, 1), layouts[0]), laid(numbers(weight_shape, dtype, 2), layouts[1])
    attributes |= {"size": x_shape[2:]}
    with only(way, hot):
        plan = conv.PLANS["conv2d_data"](
            [*map(stages.described, (g, weight))], [Array.contiguous(dtype, x_shape)], **attributes
        )
    (found,) = run_guarded(plan, (g, weight), x_shape, [dtype])
    expected = eager("conv2d_data", g.astype(F64), weight.astype(F64), **attributes)
    assert_close(found, expected, dtype=dtype, terms=weight.size)


@settings(max_examples=100, deadline=None)
@given(case=cases(), dtype=st.sampled_from([F32, F64]), layout=LAYOUTS)
def test_transpose_in_the_weight(case, dtype, layout):
    x_shape, weight_shape, out, attributes = case
    x, g = laid(numbers(x_shape, dtype, 1), layout), numbers(out, dtype, 2)
    attributes |= {"kernel": weight_shape[2:]}
    plan = conv.PLANS["conv2d_weight"](
        [*map(stages.described, (x, g))], [Array.contiguous(dtype, weight_shape)], **attributes
    )
    (found,) = run_guarded(plan, (x, g), weight_shape, [dtype])
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), **attributes)
    assert_close(found, expected, dtype=dtype, terms=max(1, g[:, 0].size))


def geometry(stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1):
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@every_way
@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
def test_epilogues_of_windows(stride, way):
    """A bias and another result of the same shape, as after a convolution in a residual network; two outputs."""
    attributes = geometry(stride)
    x, weight = numbers((2, 3, 7, 6), seed=1), numbers((70, 3, 3, 3), seed=2)
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes)
    scale, other = numbers((70, 1, 1), seed=3), numbers(expected.shape, seed=4)
    total = PRODUCT * s.Var("e0") + s.Var("e1")
    for operand in (other, laid(other, "turned"), other[:1, :, :1], np.broadcast_to(other[..., :1], other.shape)):
        arrays = (x, weight, scale, operand)
        described = [*map(stages.described, arrays)]
        outputs = [Array.contiguous(dtype, expected.shape) for dtype in (F32, bool)]
        epilogue = [s.maximum(total, 0.0), s.greater(total, 0.0)]
        with only(way):
            plan = conv.plan_conv2d(
                *described[:2], outputs, epilogue=epilogue, operands=described[2:], **attributes
            )
        found = run_guarded(plan, arrays, expected.shape, [F32, np.dtype(bool)])
        assert_close(found[0], np.maximum(expected * scale + operand, 0), terms=40)
        assert same_bits(found[1], found[0] > 0)


@every_way
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_epilogues_of_the_transpose_in_the_images(stride, way):
    x_shape, weight = (2, 5, 9, 7), numbers((4, 5, 3, 3), seed=2)
    attributes = geometry(stride)
    out = eager("conv2d", np.zeros(x_shape), weight.astype(F64), **attributes).shape
    g, x, shift = numbers(out, seed=1), numbers(x_shape, seed=3), numbers((5, 1, 1), seed=4)
    epilogue = [s.where(s.greater(s.Var("e0"), 0.0), PRODUCT, 0.0) + s.Var("e1")]
    described = [*map(stages.described, (g, weight, x, shift))]
    with only(way):
        plan = conv.plan_conv2d_data(*described[:2], [Array.contiguous(F32, x_shape)], epilogue=epilogue,
                                     operands=described[2:], **attributes)  # fmt: skip
    (found,) = run_guarded(plan, (g, weight, x, shift), x_shape, [F32])
    expected = eager("conv2d_data", g.astype(F64), weight.astype(F64), size=x_shape[2:], **attributes)
    assert_close(found, np.where(x > 0, expected, 0) + shift, terms=40)


def test_epilogues_of_the_transpose_in_the_weight():
    x, g, weight = numbers((3, 4, 8, 9), seed=1), numbers((3, 6, 8, 9), seed=2), numbers((6, 4, 3, 3), seed=3)
    rate, scale = numbers((1,), seed=4), numbers((6, 1, 1, 1), seed=5)
    epilogue = [s.Var("e0") - s.Var("e1") * PRODUCT, PRODUCT * s.Var("e2")]
    arrays = (x, g, weight, rate, scale)
    described = [*map(stages.described, arrays)]
    plan = conv.plan_conv2d_weight(*described[:2], [Array.contiguous(F32, weight.shape)] * 2, epilogue=epilogue,
                                   operands=described[2:], **geometry())  # fmt: skip
    found = run_guarded(plan, arrays, weight.shape, [F32, F32])
    expected = eager("conv2d_weight", x.astype(F64), g.astype(F64), kernel=(3, 3), **geometry())
    assert_close(found[0], weight - rate * expected, terms=216)
    assert_close(found[1], expected * scale, terms=216)
    turned = stages.described(laid(weight, "turned"))
    assert conv.plan_conv2d_weight(*described[:2], [Array.contiguous(F32, weight.shape)], epilogue=epilogue[:1],
                                   operands=[turned, described[3]], **geometry()) is None  # fmt: skip


@every_way
@pytest.mark.parametrize("name", ["conv2d", "conv2d_data", "conv2d_weight"])
def test_interpreted(name, way):
    """What runs natively is the kernels' meaning, bit by bit, and it touches nothing that it must not."""
    x, weight, attributes = numbers((2, 2, 5, 6), seed=1), numbers((7, 2, 3, 2), seed=2), geometry((2, 1))
    g = eager("conv2d", x, weight, **attributes)
    inputs, shape, more = {
        "conv2d": ((x, weight), g.shape, {}),
        "conv2d_data": ((g, weight), x.shape, {"size": (5, 6)}),
        "conv2d_weight": ((x, g), weight.shape, {"kernel": (3, 2)}),
    }[name]
    out = np.zeros(shape, F32)
    with only(way):
        plan = conv.PLANS[name]([*map(stages.described, inputs)], [stages.described(out)], **attributes, **more)
    stages.run(plan, [*inputs, out])
    assert same_bits(interpreted(plan, inputs, shape), out)


@every_way
@pytest.mark.parametrize("shape", [(2, 70, 9, 33), (1, 3, 70, 70), (5, 130, 4, 4)])
def test_large(shape, way):
    """Several panels, bands and blocks."""
    with only(way):
        check_all(shape)


def check_all(shape):
    x, weight = numbers(shape, seed=1), numbers((140, shape[1], 3, 3), seed=2)
    out, attributes = (shape[0], 140, *shape[2:]), geometry()
    plan = conv.plan_conv2d(*map(stages.described, (x, weight)), [Array.contiguous(F32, out)], **attributes)
    (found,) = run_guarded(plan, (x, weight), out, [F32])
    assert_close(found, eager("conv2d", x.astype(F64), weight.astype(F64), **attributes), terms=weight[0].size)
    plan = conv.plan_conv2d_data(*map(stages.described, (found, weight)), [Array.contiguous(F32, shape)], **attributes)
    (data,) = run_guarded(plan, (found, weight), shape, [F32])
    expected = eager("conv2d_data", found.astype(F64), weight.astype(F64), size=shape[2:], **attributes)
    scale = float(np.abs(found).max())
    assert_close(data / scale, expected / scale, terms=140 * 9)
    plan = conv.plan_conv2d_weight(*map(stages.described, (x, found)), [Array.contiguous(F32, weight.shape)],
                                   **attributes)  # fmt: skip
    (gradient,) = run_guarded(plan, (x, found), weight.shape, [F32])
    expected = eager("conv2d_weight", x.astype(F64), found.astype(F64), kernel=(3, 3), **attributes)
    assert_close(gradient / scale, expected / scale, terms=found[:, 0].size)


def test_images_are_copied_share_by_share():
    """The same scratch memory again and again, and the same bits as if all were copied at once."""
    x, weight, attributes = numbers((5, 3, 9, 9), seed=1), numbers((17, 3, 3, 3), seed=2), geometry((2, 2))
    shape = eager("conv2d", x, weight, **attributes).shape
    described = [*map(stages.described, (x, weight))]
    for way in ("filters", "pixels"):
        found, plans = [], []
        for hot in (1, 2 << 20):
            with only(way, hot):
                plans.append(conv.plan_conv2d(*described, [Array.contiguous(F32, shape)], **attributes))
            found += run_guarded(plans[-1], (x, weight), shape, [F32])
        assert same_bits(*found)
        assert len(plans[0].stages) - len(plans[1].stages) == 2 * 4
        assert plans[0].scratch[0] < plans[1].scratch[0]


@pytest.mark.parametrize(("kernel", "padding", "near", "kinds", "pixels"), [
    (3, 1, 8 << 20, ["pad images", "conv2d flat", "conv2d pixels"], 11 * 13),  # between zeros, in order
    (3, 0, 8 << 20, ["conv2d flat", "conv2d pixels"], 0),  # where they are
    (3, 0, 0, ["pad images", "conv2d flat", "conv2d pixels"], 9 * 11),  # far away: a copy is faster than to wait
    (1, 0, 8 << 20, ["conv2d flat", "conv2d pixels"], 0),
    (1, 0, 0, ["pad images", "conv2d flat", "conv2d pixels"], 5 * 6),  # the pixels alone that a window sees
])  # fmt: skip
def test_pixels_that_are_rows_are_read_steps_apart(kernel, padding, near, kinds, pixels):
    x, weight = numbers((2, 5, 9, 11), seed=1), numbers((17, 5, kernel, kernel), seed=2)
    attributes = geometry((2, 2), ((padding, padding),) * 2)
    expected = eager("conv2d", x.astype(F64), weight.astype(F64), **attributes)
    with only("pixels", near=near):
        plan = conv.plan_conv2d(*map(stages.described, (x, weight)), [Array.contiguous(F32, expected.shape)],
                                **attributes)  # fmt: skip
    assert [stage.key[:len(kind)] for stage, kind in zip(plan.stages, kinds, strict=True)] == kinds
    beyond = 8 * gemm_loops.schedule(F32).square
    assert plan.scratch[:-1] == (((2 * 5 * pixels + beyond) * 4,) if pixels else ())
    (found,) = run_guarded(plan, (x, weight), expected.shape, [F32])
    assert_close(found, expected, terms=weight[0].size)


def test_lines_longer_than_what_is_copied_at_once():
    x, weight, attributes = numbers((1, 2, 3, 5000), seed=1), numbers((3, 2, 3, 3), seed=2), geometry((2, 2))
    for way in ("filters", "pixels"):
        with only(way):
            plan = conv.plan_conv2d(*map(stages.described, (x, weight)), [Array.contiguous(F32, (1, 3, 2, 2500))],
                                    **attributes)  # fmt: skip
        (found,) = run_guarded(plan, (x, weight), (1, 3, 2, 2500), [F32])
        assert_close(found, eager("conv2d", x.astype(F64), weight.astype(F64), **attributes), terms=18)


def test_long_lines_of_few_filters():
    x, weight = numbers((1, 2, 3, 300), seed=1), numbers((1, 2, 3, 3), seed=2)
    plan = conv.plan_conv2d(*map(stages.described, (x, weight)), [Array.contiguous(F32, (1, 1, 3, 300))], **geometry())
    (found,) = run_guarded(plan, (x, weight), (1, 1, 3, 300), [F32])
    assert_close(found, eager("conv2d", x.astype(F64), weight.astype(F64), **geometry()), terms=18)


def test_what_has_no_plan():
    x, weight = Array.contiguous(F32, (1, 1, 20, 20)), Array.contiguous(F32, (1, 1, 12, 12))
    assert conv.plan_conv2d(x, weight, [Array.contiguous(F32, (1, 1, 11, 11))], **geometry()) is None
    whole = Array.contiguous(np.int64, (1, 1, 3, 3))
    assert conv.plan_conv2d(whole, whole, [whole], **geometry()) is None
    wide = Array.contiguous(F32, (1, 1, 1, 300))
    one = Array.contiguous(F32, (1, 1, 1, 1))
    none = ((0, 0), (0, 0))
    assert conv.plan_conv2d_weight(wide, wide, [one], **geometry(padding=none)) is None
    assert conv.plan_conv2d(wide, one, [wide], **geometry(padding=none)) is not None
