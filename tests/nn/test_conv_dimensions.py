"""Convolutions of sequences and volumes, and the transposed ones: every option against PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

DIMENSIONS = (1, 2, 3)


def per_axis(axes, least, most):
    """An integer, or one for each axis."""
    return st.integers(least, most) | st.tuples(*[st.integers(least, most)] * axes)


def each(value, axes):
    return value if isinstance(value, tuple) else (value,) * axes


@st.composite
def layers(draw, transposed=False):
    """The shapes of an input and a weight, and options that fit them."""
    axes = draw(st.sampled_from(DIMENSIONS if transposed else (1, 3)))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * axes))
    stride, dilation, padding = (draw(per_axis(axes, *bounds)) for bounds in ((1, 3), (1, 3), (0, 2)))
    groups, inner, outer = (draw(st.integers(1, 2)) for _ in range(3))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, each(dilation, axes), strict=True)]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    shape = [draw(st.integers(1, 2)), groups * inner]
    if not transposed:
        sizes = [draw(st.integers(max(1, n - 2 * p), n + 3)) for n, p in zip(spans, each(padding, axes), strict=True)]
        return [*shape, *sizes], [groups * outer, inner, *kernel], groups * outer, options
    sizes = [draw(st.integers(1, 3)) for _ in range(axes)]
    most = [max(s, d) - 1 for s, d in zip(each(stride, axes), each(dilation, axes), strict=True)]
    options["output_padding"] = extra = tuple(draw(st.integers(0, n)) for n in most)
    geometry = zip(sizes, spans, each(stride, axes), each(padding, axes), extra, strict=True)
    assume(all((n - 1) * s + k - 2 * p + more > 0 for n, k, s, p, more in geometry))
    return [*shape, *sizes], [groups * inner, outer, *kernel], groups * outer, options


def pair_of(shape, transposed=False):
    """Our function and PyTorch's, for inputs of a shape with a batch."""
    from nn.against_torch import torch
    name = f"conv{'_transpose' if transposed else ''}{len(shape) - 2}d"
    return getattr(tl, name), getattr(torch.nn.functional, name)


@settings(max_examples=60, deadline=None)
@given(layer=layers(), bias=st.booleans(), batched=st.booleans())
def test_convolutions_agree_with_torch(layer, bias, batched):
    check(layer, bias, batched, transposed=False)


@settings(max_examples=80, deadline=None)
@given(layer=layers(transposed=True), bias=st.booleans(), batched=st.booleans())
def test_transposed_convolutions_agree_with_torch(layer, bias, batched):
    check(layer, bias, batched, transposed=True)


def check(layer, bias, batched, transposed):
    from nn.against_torch import compare, draw
    shape, weight, filters, options = layer
    ours, theirs = pair_of(shape, transposed)
    arrays = [draw(*(shape if batched else shape[1:])), draw(*weight), *([draw(filters)] if bias else [])]
    compare(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), *arrays, terms=120)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(4,), (3,), (2, 3, 1), (1, 4, 2)])
def test_paddings_by_name_agree_with_torch(padding, kernel):
    from nn.against_torch import compare, draw
    shape = (2, 3, *(7,) * len(kernel))
    ours, theirs = pair_of(shape)
    options = {"padding": padding, "dilation": 2}
    compare(lambda x, w: ours(x, w, **options), lambda x, w: theirs(x, w, **options), draw(*shape),
            draw(4, 3, *kernel), terms=60, second=False)


@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 1, 1), (1, 1, 3), (1, 3, 3), (1, 3, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_kernels_of_points_along_some_axes_agree_with_torch(kernel, transposed):
    from nn.against_torch import compare, draw
    shape = (2, 4, 3, 4, 5)
    ours, theirs = pair_of(shape, transposed)
    compare(lambda *a: ours(*a, groups=2), lambda *a: theirs(*a, groups=2), draw(*shape),
            draw(4, 2, *kernel), draw(4), terms=60)


def test_an_output_beyond_what_kernels_reach_is_zero():
    from nn.against_torch import compare, draw
    for shape in ((1, 1, 2), (1, 1, 2, 2), (1, 1, 2, 2, 2)):
        ours, theirs = pair_of(shape, transposed=True)
        for padding, kernel in itertools.product((0, 1, 2), (1, 2)):
            options = {"dilation": 6, "output_padding": 5, "padding": padding}
            compare(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options),  # noqa: B023  called at once
                    draw(*shape), draw(1, 1, *(kernel,) * (len(shape) - 2)), draw(1), terms=8)


@pytest.mark.parametrize("shape", [(0, 2, 5), (0, 2, 5, 4), (0, 2, 5, 4, 4)])
@pytest.mark.parametrize("transposed", [False, True])
def test_empty_batches_have_results_and_derivatives(shape, transposed):
    from nn.against_torch import compare, draw
    ours, theirs = pair_of(shape, transposed)
    arrays = draw(*shape), draw(2, 2, *(3,) * (len(shape) - 2)), draw(2)
    compare(ours, theirs, *arrays, second=False)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16])
@pytest.mark.parametrize("name", ["conv1d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"])
def test_narrow_dtypes_are_summed_in_float32_and_rounded_once(name, dtype):
    random = np.random.default_rng(0)
    axes = int(name[-2])
    arrays = [random.standard_normal(s).astype(dtype) for s in ((1, 32, *(4,) * axes), (32, 32, *(3,) * axes), (32,))]
    result = getattr(tl, name)(*map(tl.tensor, arrays))
    expected = getattr(tl, name)(*(tl.tensor(a.astype(np.float32)) for a in arrays)).numpy().astype(dtype)
    assert result.dtype == dtype
    if name.startswith("conv_transpose"):  # these are the very sums of float32
        assert_same(result, expected)
    assert_close(result, expected)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
                                  "conv_transpose3d"])
def test_complex_numbers_are_convolved_as_in_torch(name, batched):
    from nn.against_torch import torch
    random, axes = np.random.default_rng(0), int(name[-2])
    shapes = ((2, 4, *(5,) * axes), (4, 2, *(3,) * axes), (4,))
    arrays = [random.standard_normal(s) + 1j * random.standard_normal(s) for s in shapes]
    arrays[0] = arrays[0] if batched else arrays[0][0]
    options = {"stride": 2, "padding": 1, "groups": 2}
    ours = [tl.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    found = getattr(tl, name)(*ours, **options)
    expected = getattr(torch.nn.functional, name)(*theirs, **options)
    assert_close(found, expected.detach().numpy(), terms=200)
    tl.abs(found).sum().backward()
    expected.abs().sum().backward()
    for x, z in zip(ours, theirs, strict=True):
        assert_close(x.grad, z.grad.resolve_conj().numpy(), terms=2000)


CALLS = [(name, shape, weight, options) for name, shape, weight, options in (
    ("conv1d", (2, 4, 7), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ("conv3d", (2, 4, 5, 4, 6), (6, 2, 3, 2, 3), {"stride": (1, 2, 1), "padding": 1, "groups": 2}),
    ("conv3d", (2, 4, 3, 4, 5), (6, 4, 3, 1, 1), {"padding": (1, 0, 0)}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "output_padding": 1, "groups": 2}),
    ("conv_transpose2d", (2, 4, 3, 4), (4, 3, 3, 2), {"stride": (2, 1), "padding": 1, "output_padding": (1, 0)}),
    ("conv_transpose3d", (2, 4, 2, 3, 2), (4, 3, 3, 3, 2), {"stride": 2, "padding": 1, "groups": 2}))]


def given_arrays(shape, weight, options, seed=0):
    random = np.random.default_rng(seed)
    filters = weight[1] * options.get("groups", 1)
    return [tl.tensor(random.standard_normal(s)) for s in (shape, weight, (filters,))]


def function_of(name, options, weight):
    if name.startswith("conv_transpose"):
        return lambda x, w, b: getattr(tl, name)(x, w, b, **options)
    return lambda x, w, b: getattr(tl, name)(x, w, tl.concat([b] * 9)[:weight[0]], **options)


@pytest.mark.parametrize(("name", "shape", "weight", "options"), CALLS)
def test_derivatives_agree_with_differences(name, shape, weight, options):
    inputs = [x.requires_grad_() for x in given_arrays(shape, weight, options)]
    assert tl.autograd.gradcheck(function_of(name, options, weight), inputs)


@pytest.mark.parametrize(("name", "shape", "weight", "options"), CALLS)
def test_compiled_they_give_the_same(name, shape, weight, options):
    function, arrays = function_of(name, options, weight), given_arrays(shape, weight, options)
    assert_close(tl.jit(function)(*arrays), function(*arrays), terms=60)
    slope = tl.grad(lambda *a: (function(*a) ** 2).sum(), argnums=(0, 1, 2))
    for found, expected in zip(tl.jit(slope)(*arrays), slope(*arrays), strict=True):
        assert_close(found, expected, terms=400)


@pytest.mark.parametrize("mapped", [(0, None, None), (None, 0, None), (0, 0, 0)])
@pytest.mark.parametrize(("name", "shape", "weight", "options"), CALLS)
def test_they_map_over_batches(name, shape, weight, options, mapped):
    function = function_of(name, options, weight)
    several = [given_arrays(shape, weight, options, seed) for seed in range(3)]
    inputs = [tl.stack(parts) if place == 0 else parts[0] for parts, place in zip(zip(*several), mapped, strict=True)]
    expected = [function(*(x[i] if place == 0 else x for x, place in zip(inputs, mapped, strict=True)))
                for i in range(3)]
    assert_close(tl.vmap(function, in_axes=mapped)(*inputs), tl.stack(expected), terms=60)


def zeros(*shape):
    return tl.zeros(shape)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.conv1d(zeros(2, 3, 8), zeros(4, 2, 3)), ShapeError, "conv1d: weight expects 2 input channels, x has 3"),
    (lambda: tl.conv1d(zeros(2, 3, 8), zeros(4, 3, 3, 3)), ShapeError,
     "conv1d: weight must be [out channels, in channels / groups, length], it has 4 dimensions"),
    (lambda: tl.conv1d(zeros(2, 3, 8), zeros(4, 3), padding="same"), ShapeError,
     "conv1d: weight must be [out channels, in channels / groups, length], it has 2 dimensions"),
    (lambda: tl.conv1d(zeros(2, 3, 8), zeros(4, 3, 3), zeros(3)), ShapeError,
     "conv1d: bias must have shape [4], one number for each of weight's filters"),
    (lambda: tl.conv1d(zeros(2, 3, 8), zeros(4, 3, 3), groups=2), ShapeError,
     "conv1d: groups=2 must divide x's 3 channels and weight's 4"),
    (lambda: tl.conv1d(zeros(3, 2), zeros(4, 3, 5), padding=1), ShapeError,
     "conv1d: the kernel covers 5 of the length, which with padding is 4"),
    (lambda: tl.conv1d(zeros(8), zeros(4, 3, 5)), ShapeError,
     "conv1d: takes sequences [batch, channels, length] or [channels, length], x has 1 dimensions"),
    (lambda: tl.conv1d(zeros(3, 8), zeros(4, 3, 5), stride=(1, 1)), DTypeError,
     "conv1d: stride must be an integer, not (1, 1)"),
    (lambda: tl.conv1d(zeros(3, 8), zeros(4, 3, 5), padding=-1), ArgumentError,
     "conv1d: padding must be at least 0, not -1"),
    (lambda: tl.conv1d(zeros(3, 8), zeros(4, 3, 5), padding="same", stride=2), ArgumentError,
     "conv1d: padding='same' needs stride 1, not (2,)"),
    (lambda: tl.conv1d(zeros(3, 8), tl.zeros((4, 3, 5), dtype=tl.float64)), DTypeError,
     "conv1d: x is float32, weight is float64"),
    (lambda: tl.conv1d(zeros(3, 8), zeros(4, 3, 0)), ShapeError,
     "conv1d: weight's length is 0, and so there is nothing to weigh"),
    (lambda: tl.conv2d(zeros(3, 8, 8), zeros(0, 3, 2, 2)), ShapeError,
     "conv2d: weight's first axis is 0, and so there is nothing to weigh"),
    (lambda: tl.conv_transpose3d(zeros(3, 8, 8, 8), zeros(3, 3, 2, 0, 2)), ShapeError,
     "conv_transpose3d: weight's height is 0, and so there is nothing to weigh"),
    (lambda: tl.conv3d(tl.zeros((3, 8, 8, 8), dtype=tl.complex64), zeros(3, 3, 2, 1, 2)), DTypeError,
     "conv3d: x is complex64, weight is float32"),
    (lambda: tl.conv1d(zeros(3, 8), np.zeros((4, 3, 5), np.float32)), DTypeError,
     "conv1d: weight must be a tensor, not ndarray"),
    (lambda: tl.conv1d([1.0], zeros(4, 3, 5)), DTypeError, "conv1d: takes a tensor, not list"),
    (lambda: tl.conv3d(zeros(3, 8, 8), zeros(4, 3, 5, 5, 5)), ShapeError,
     "conv3d: takes volumes [batch, channels, depth, height, width] or [channels, depth, height, width], "
     "x has 3 dimensions"),
    (lambda: tl.conv3d(zeros(3, 2, 8, 8), zeros(4, 3, 5, 5, 5)), ShapeError,
     "conv3d: the kernel covers 5 of the depth, which with padding is 2"),
    (lambda: tl.conv3d(zeros(3, 8, 2, 8), zeros(4, 3, 5, 5, 5)), ShapeError,
     "conv3d: the kernel covers 5 of the height, which with padding is 2"),
    (lambda: tl.conv3d(zeros(3, 8, 8, 8), zeros(4, 3, 5, 5, 5), dilation=(1, 2)), DTypeError,
     "conv3d: dilation must be an integer or three, not (1, 2)"),
    (lambda: tl.conv3d(zeros(3, 8, 8, 8), zeros(4, 3, 5, 5, 5), padding="full"), ArgumentError,
     "conv3d: padding must be integers, 'valid' or 'same', not 'full'"),
    (lambda: tl.conv_transpose1d(zeros(2, 4, 5), zeros(3, 4, 3)), ShapeError,
     "conv_transpose1d: weight expects 3 input channels, x has 4"),
    (lambda: tl.conv_transpose1d(zeros(2, 4, 5), zeros(4, 3)), ShapeError,
     "conv_transpose1d: weight must be [in channels, out channels / groups, length], it has 2 dimensions"),
    (lambda: tl.conv_transpose1d(zeros(2, 3, 5), zeros(3, 3, 3), groups=2), ShapeError,
     "conv_transpose1d: groups=2 must divide x's 3 channels"),
    (lambda: tl.conv_transpose1d(zeros(2, 4, 5), zeros(4, 3, 3), zeros(3), groups=2), ShapeError,
     "conv_transpose1d: bias must have shape [6], one number for each of the output's channels"),
    (lambda: tl.conv_transpose1d(zeros(2, 4, 0), zeros(4, 3, 3)), ShapeError,
     "conv_transpose1d: takes sequences with elements, x's length is 0"),
    (lambda: tl.conv_transpose1d(zeros(2, 4, 1), zeros(4, 3, 3), padding=2), ShapeError,
     "conv_transpose1d: of the output's length, 3, padding takes away 4"),
    (lambda: tl.conv_transpose2d(zeros(4, 5), zeros(4, 3, 3, 3)), ShapeError,
     "conv_transpose2d: takes images [batch, channels, height, width] or [channels, height, width], "
     "x has 2 dimensions"),
    (lambda: tl.conv_transpose2d(zeros(4, 5, 5), zeros(4, 3, 3, 3), stride=2, output_padding=(2, 0)), ArgumentError,
     "conv_transpose2d: output_padding must be less than the stride or the dilation, along the height it is 2, "
     "they are 2 and 1"),
    (lambda: tl.conv_transpose2d(zeros(4, 5, 5), zeros(4, 3, 3, 3), output_padding=-1), ArgumentError,
     "conv_transpose2d: output_padding must be at least 0, not -1"),
    (lambda: tl.conv_transpose2d(zeros(4, 5, 5), zeros(4, 3, 3, 3), padding="same"), DTypeError,
     "conv_transpose2d: padding must be an integer or two, not 'same'"),
    (lambda: tl.conv_transpose3d(zeros(4, 5, 5, 5), zeros(4, 3, 3, 3, 3), dilation=0), ArgumentError,
     "conv_transpose3d: dilation must be at least 1, not 0"),
    (lambda: tl.conv_transpose3d(*[tl.zeros((4, 4, 2, 2, 2), dtype=tl.bool)] * 2), DTypeError,
     "conv_transpose3d: takes real floating dtypes, not bool"),
    (lambda: nn.Conv3d(3, 4, 3, groups=2), ArgumentError,
     "Conv3d: groups=2 must divide in_channels=3 and out_channels=4"),
    (lambda: nn.Conv1d(3, 4, (3, 3)), DTypeError, "Conv1d: kernel_size must be an integer, not (3, 3)"),
    (lambda: nn.Conv1d(3, 4, 3, padding="wide"), ArgumentError,
     "Conv1d: padding must be integers, 'valid' or 'same', not 'wide'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), ArgumentError,
     "ConvTranspose2d: padding must be integers, not 'same'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ArgumentError,
     "ConvTranspose2d: padding_mode must be 'zeros', not 'reflect'"),
    (lambda: nn.Conv1d(3, 4, 3, padding=4, padding_mode="reflect")(zeros(3, 4)), ShapeError,
     "conv1d: a border of 4 made by 'reflect' needs a length of at least 5, it is 4"),
    (lambda: nn.Conv3d(3, 4, 3, padding=3, padding_mode="circular")(zeros(3, 4, 2, 5)), ShapeError,
     "conv3d: a border of 3 made by 'circular' needs a height of at least 3, it is 2"),
    (lambda: nn.Conv1d(3, 4, 3, padding=1, padding_mode="replicate")(zeros(3, 0)), ShapeError,
     "conv1d: a border of 1 made by 'replicate' needs a length of at least 1, it is 0"),
    (lambda: nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular")(zeros(3)), ShapeError,
     "conv1d: takes sequences [batch, channels, length] or [channels, length], x has 1 dimensions"),
    (lambda: nn.ConvTranspose1d(3, 4, 3, stride=2)(zeros(1, 3, 5), [14]), ShapeError,
     "ConvTranspose1d: the output's length can be 11 to 12, not 14"),
    (lambda: nn.ConvTranspose1d(3, 4, 3, stride=2)(zeros(1, 3, 5), [1, 12]), ShapeError,
     "ConvTranspose1d: output_size must have 1 or 3 elements, it has 2"),
])
def test_what_does_not_fit_is_named(call, error, text):
    for run in (call, tl.jit(call)):
        with pytest.raises(error) as caught:
            run()
        assert str(caught.value).split("\n")[0] == text


def test_an_error_shows_arguments_line_and_fix():
    with pytest.raises(ShapeError) as caught:
        tl.conv_transpose1d(zeros(4, 1), zeros(4, 3, 3), padding=2)
    lines = str(caught.value).split("\n")
    shown = [line.split(maxsplit=1) for line in lines[1:3]]
    assert shown == [["x", "float32[1, 4, 1]"], ["weight", "float32[4, 3, 3]"]]
    assert any(line.startswith("  at test_conv_dimensions.py:") for line in lines)
    assert lines[-1] == "  fix: use less padding, or a larger kernel or dilation"


LAYERS = [("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2, "groups": 2}, (2, 4, 7)),
          ("Conv2d", (4, 6, (3, 2)), {"padding": 1, "stride": 2, "bias": False}, (2, 4, 7, 6)),
          ("Conv3d", (4, 6, (3, 1, 2)), {"padding": (1, 0, 0), "stride": 2, "groups": 2}, (2, 4, 7, 6, 5)),
          ("ConvTranspose1d", (4, 6, 3, 2, 1, 1, 2, False, 3), {}, (2, 4, 7)),
          ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "output_padding": (1, 0)}, (2, 4, 3, 4)),
          ("ConvTranspose3d", (4, 6, (1, 2, 3)), {"stride": 2, "dilation": 2, "groups": 2}, (2, 4, 2, 3, 4))]


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), LAYERS)
def test_layers_are_those_of_torch(name, arguments, options, shape):
    from nn.against_torch import draw, torch
    ours, theirs = (getattr(library, name)(*arguments, **options) for library in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    fan_in = np.prod(ours.weight.shape[1:])
    for parameter in ours.parameters():
        assert 0.5 / fan_in**0.5 < np.abs(parameter.detach().numpy()).max() <= 1 / fan_in**0.5
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = draw(*shape).astype(np.float32)
    expected = theirs(torch.tensor(x)).detach().numpy()
    for run in (ours, tl.jit(ours)):
        assert_close(run(tl.tensor(x)), expected, terms=100)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5, 4), (3, 5, 4), (2, 3, 3, 2, 4)])
def test_output_sizes_choose_the_output_padding_as_in_torch(shape):
    from nn.against_torch import draw, torch
    batched = len(shape) > 3 or shape == (2, 3, 5)
    axes = len(shape) - (2 if batched else 1)
    name = f"ConvTranspose{axes}d"
    ours, theirs = (getattr(library, name)(3, 2, 3, stride=2, padding=1) for library in (nn, torch.nn))
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = draw(*shape).astype(np.float32)
    size = [2 * n for n in shape[-axes:]]
    for wanted in (size, [*shape[:-axes], *size]):
        expected = theirs(torch.tensor(x), output_size=wanted).detach().numpy()
        assert_close(ours(tl.tensor(x), output_size=wanted), expected, terms=100)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(("axes", "padding", "batched"), [
    (1, 2, True), (1, 3, False), (2, (3, 1), True), (2, "same", True), (3, (1, 0, 2), False), (3, "valid", True)])
def test_borders_of_what_is_inside_agree_with_torch(mode, axes, padding, batched):
    from nn.against_torch import compare, draw, torch
    options = {"padding": padding, "padding_mode": mode, "dilation": 1 if axes == 3 else 2}
    ours = getattr(nn, f"Conv{axes}d")(2, 3, 2, dtype=tl.float64, **options)
    theirs = getattr(torch.nn, f"Conv{axes}d")(2, 3, 2, dtype=torch.float64, **options)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    shape = (2, *(4, 5, 6)[:axes])
    x = draw(*((2, *shape) if batched else shape))
    compare(ours, theirs, x, terms=60)
    assert_close(tl.jit(ours)(tl.tensor(x)), ours(tl.tensor(x)), terms=60)
