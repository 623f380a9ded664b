"""Convolutions of integers: those of PyTorch, which wrap in the dtype of the input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tolerance import assert_same

import tensorlite as tl
from tensorlite.errors import DTypeError, ShapeError

DTYPES = (tl.uint8, tl.int8, tl.int16, tl.int32, tl.int64)


@st.composite
def calls(draw, transposed):
    """The shapes of an input, a weight and a bias, and options that fit them."""
    axes = draw(st.integers(1, 3))
    kernel, sizes = (draw(st.tuples(*[st.integers(1, most)] * axes)) for most in (3, 4))
    stride, dilation = (draw(st.tuples(*[st.integers(1, 2)] * axes)) for _ in range(2))
    padding = draw(st.tuples(*[st.integers(0, 2)] * axes))
    groups, inner, outer = (draw(st.integers(1, 2)) for _ in range(3))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows = zip(sizes, spans, stride, padding, strict=True)
    if transposed:
        options["output_padding"] = tuple(draw(st.integers(0, max(s, d) - 1))
                                          for s, d in zip(stride, dilation, strict=True))
        assume(all((n - 1) * s + k - 2 * p > 0 for n, k, s, p in rows))
        return (2, groups * inner, *sizes), (groups * inner, outer, *kernel), (groups * outer,), options
    assume(all(n + 2 * p >= k for n, k, _, p in rows))
    return (2, groups * inner, *sizes), (groups * outer, inner, *kernel), (groups * outer,), options


def check(call, dtype, transposed):
    """PyTorch takes int64 with every option, whose low bits are those of the narrow sums."""
    from nn.against_torch import torch
    *shapes, options = call
    axes, rng = len(shapes[0]) - 2, np.random.default_rng(0)
    name = f"conv{'_transpose' if transposed else ''}{axes}d"
    limits = np.iinfo(dtype)
    arrays = [rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True) for shape in shapes]
    wide = [torch.tensor(array.astype(np.int64)) for array in arrays]
    expected = getattr(torch.nn.functional, name)(*wide, **options).numpy().astype(dtype)
    found = getattr(tl, name)(*map(tl.tensor, arrays), **options)
    assert found.dtype == dtype
    assert_same(found, expected)
    one = getattr(tl, name)(tl.tensor(arrays[0][0]), *map(tl.tensor, arrays[1:]), **options)
    assert_same(one, expected[0])


@settings(max_examples=30, deadline=None)
@given(call=calls(transposed=False), dtype=st.sampled_from(DTYPES))
def test_convolutions_of_integers_agree_with_torch(call, dtype):
    check(call, dtype, transposed=False)


@settings(max_examples=30, deadline=None)
@given(call=calls(transposed=True), dtype=st.sampled_from(DTYPES))
def test_transposed_convolutions_of_integers_agree_with_torch(call, dtype):
    check(call, dtype, transposed=True)


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
                                  "conv_transpose3d"])
def test_they_are_the_same_compiled_and_mapped(name):
    axes, function = int(name[-2]), getattr(tl, name)
    x = tl.arange(3 * 2 * 4 ** axes, dtype=tl.int32).reshape(3, 1, 2, *(4,) * axes)
    weight = tl.arange(2 * 2 * 2 ** axes, dtype=tl.int32).reshape(2, 2, *(2,) * axes) - 5

    def call(x):
        return function(x, weight, stride=2, padding=1)
    assert_same(tl.jit(call)(x[0]), call(x[0]))
    assert_same(tl.vmap(call)(x), tl.stack([call(row) for row in x]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_those_of_torch(dtype):
    from nn.against_torch import torch
    x, weight = np.arange(40, dtype=dtype).reshape(1, 2, 4, 5), np.arange(24, dtype=dtype).reshape(3, 2, 2, 2)
    expected = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), padding=1)
    assert_same(tl.conv2d(tl.tensor(x), tl.tensor(weight), padding=1), expected.numpy())


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda x, w: tl.conv2d(x, w), ShapeError, "conv2d: weight expects 2 input channels, x has 3"),
    (lambda x, w: tl.conv2d(x, w.to(tl.int8)), DTypeError, "conv2d: x is int64, weight is int8"),
    (lambda x, w: tl.conv_transpose2d(x, w), ShapeError, "conv_transpose2d: weight expects 4 input channels, x has 3"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(tl.ones((1, 3, 4, 4), dtype=tl.int64), tl.ones((4, 2, 2, 2), dtype=tl.int64))
    assert str(caught.value).splitlines()[0] == text
