"""conv2d and linear: every option against PyTorch, and against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

pairs = st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3))


def correlate(x: np.ndarray, weight: np.ndarray, stride: tuple[int, int], padding: tuple[int, int]) -> np.ndarray:
    """conv2d, window by window."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    kh, kw = weight.shape[2:]
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[2:], (kh, kw), stride))
    out = np.zeros((x.shape[0], weight.shape[0], rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = x[:, :, i * stride[0]:i * stride[0] + kh, j * stride[1]:j * stride[1] + kw]
            out[:, :, i, j] = np.einsum("nchw,ochw->no", window, weight)
    return out


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 0)), ((1, 3), (2, 2))])
def test_conv2d_is_the_sum_over_windows(stride, padding):
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((3, 2, 7, 8)), random.standard_normal((4, 2, 3, 2))
    expected = correlate(x, weight, stride, padding)
    assert_close(tl.conv2d(tl.tensor(x), tl.tensor(weight), None, stride, padding), expected, terms=12)


def test_a_large_batch_is_computed_in_blocks_to_the_same_end():
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((70, 3, 16, 16)), random.standard_normal((4, 3, 3, 3))
    whole = tl.conv2d(tl.tensor(x), tl.tensor(weight), padding=1)
    for part in (slice(0, 1), slice(33, 35), slice(69, 70)):
        assert_close(whole[part], correlate(x[part], weight, (1, 1), (1, 1)), terms=27)


@settings(max_examples=40)
@given(groups=st.integers(1, 2), per_group=st.integers(1, 3), filters=st.integers(1, 2), kernel=st.tuples(
    st.integers(1, 3), st.integers(1, 3)), stride=pairs,
    padding=st.integers(0, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2)),
       dilation=pairs, bias=st.booleans(), batch=st.integers(0, 2))
def test_conv2d_agrees_with_torch(groups, per_group, filters, kernel, stride, padding, dilation, bias, batch):
    from nn.against_torch import compare, draw, torch
    arrays = [draw(max(batch, 1), groups * per_group, 8, 7), draw(groups * filters, per_group, *kernel)]
    if bias:
        arrays.append(draw(groups * filters))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    compare(lambda *a: tl.conv2d(*a, **options), lambda *a: torch.nn.functional.conv2d(*a, **options), *arrays,
            terms=60)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(2, 4), (3, 1)])
def test_paddings_by_name_agree_with_torch(padding, kernel):
    from nn.against_torch import compare, draw, torch
    compare(lambda x, w: tl.conv2d(x, w, padding=padding, dilation=2),
            lambda x, w: torch.nn.functional.conv2d(x, w, padding=padding, dilation=2), draw(2, 3, 9, 9),
            draw(4, 3, *kernel), terms=36)


@pytest.mark.parametrize("shape", [(3, 6, 5), (1, 3, 6, 5), (2, 3, 3, 3), (2, 3, 1, 1)])
def test_one_image_and_one_window_agree_with_torch(shape):
    from nn.against_torch import compare, draw, torch
    kernel = (1, 1) if shape[-1] == 1 else (3, 3)
    compare(tl.conv2d, torch.nn.functional.conv2d, draw(*shape), draw(4, 3, *kernel), draw(4), terms=36)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4)])
def test_linear_agrees_with_torch(shape):
    from nn.against_torch import compare, draw, torch
    compare(tl.linear, torch.nn.functional.linear, draw(*shape), draw(3, 4), draw(3), terms=20)
    compare(tl.linear, torch.nn.functional.linear, draw(*shape), draw(3, 4), terms=20)


def test_linear_is_the_product_with_the_transposed_weight():
    random = np.random.default_rng(0)
    x, weight, bias = (random.standard_normal(s) for s in ((2, 5, 4), (3, 4), (3,)))
    assert_close(tl.linear(*map(tl.tensor, (x, weight, bias))), x @ weight.T + bias, terms=4)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32])
def test_narrow_dtypes_are_summed_in_float32(dtype):
    random = np.random.default_rng(0)
    x, weight = (random.standard_normal(s).astype(dtype) for s in ((2, 64, 6, 6), (3, 64, 3, 3)))
    result = tl.conv2d(tl.tensor(x), tl.tensor(weight))
    assert result.dtype == dtype
    assert_close(result, correlate(x.astype(np.float64), weight.astype(np.float64), (1, 1), (0, 0)), dtype=dtype,
                 terms=576)
    product = tl.linear(tl.tensor(x[:, :, 0, 0]), tl.tensor(weight[:, :, 0, 0]))
    assert product.dtype == dtype
    assert_close(product, x[:, :, 0, 0].astype(np.float64) @ weight[:, :, 0, 0].astype(np.float64).T, dtype=dtype,
                 terms=64)


def conv(x=(8, 3, 32, 32), weight=(16, 3, 3, 3), bias=None, dtype=tl.float32, **options):
    return tl.conv2d(tl.zeros(x), tl.zeros(weight, dtype=dtype), None if bias is None else tl.zeros(bias), **options)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: conv(weight=(16, 4, 3, 3)), ShapeError, "conv2d: weight expects 4 input channels, x has 3"),
    (lambda: conv(weight=(16, 3, 3)), ShapeError,
     "conv2d: weight must be [out channels, in channels / groups, height, width], it has 3 dimensions"),
    (lambda: conv(bias=(3,)), ShapeError, "conv2d: bias must have shape [16], one number for each of weight's filters"),
    (lambda: conv(groups=2), ShapeError, "conv2d: groups=2 must divide x's 3 channels and weight's 16"),
    (lambda: conv(x=(1, 3, 2, 9)), ShapeError, "conv2d: the kernel covers 3 of the height, which with padding is 2"),
    (lambda: conv(x=(1, 3, 9, 9), dilation=(1, 5)), ShapeError,
     "conv2d: the kernel covers 11 of the width, which with padding is 9"),
    (lambda: conv(x=(3, 3)), ShapeError,
     "conv2d: takes images [batch, channels, height, width] or [channels, height, width], x has 2 dimensions"),
    (lambda: conv(dtype=tl.float64), DTypeError, "conv2d: x is float32, weight is float64"),
    (lambda: tl.conv2d(tl.zeros((1, 1, 3, 3), dtype=tl.bool), tl.zeros((1, 1, 3, 3), dtype=tl.bool)), DTypeError,
     "conv2d: takes real floating dtypes, not bool"),
    (lambda: conv(stride=0), ArgumentError, "conv2d: stride must be at least 1, not 0"),
    (lambda: conv(stride=(1, 2, 3)), DTypeError, "conv2d: stride must be an integer or two, not (1, 2, 3)"),
    (lambda: conv(padding=-1), ArgumentError, "conv2d: padding must be at least 0, not -1"),
    (lambda: conv(padding="full"), ArgumentError, "conv2d: padding must be integers, 'valid' or 'same', not 'full'"),
    (lambda: conv(padding="same", stride=2), ArgumentError, "conv2d: padding='same' needs stride 1, not (2, 2)"),
    (lambda: tl.linear(tl.zeros((2, 3)), tl.zeros((4, 5))), ShapeError, "linear: weight expects 5 features, x has 3"),
    (lambda: tl.linear(tl.zeros((2, 3)), tl.zeros((4, 3)), tl.zeros(1)), ShapeError,
     "linear: bias must have shape [4], one number for each of weight's rows"),
    (lambda: tl.linear(tl.zeros((2, 3)), tl.zeros(3)), ShapeError,
     "linear: weight must be [out features, in features], and x have at least one axis"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ArgumentError,
     "Conv2d: groups=2 must divide in_channels=3 and out_channels=4"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ArgumentError,
     "Conv2d: padding_mode must be 'zeros' or 'reflect' or 'replicate' or 'circular', not 'mirror'"),
    (lambda: nn.Conv2d(3, 4, 3, padding="wide"), ArgumentError,
     "Conv2d: padding must be integers, 'valid' or 'same', not 'wide'"),
    (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), ArgumentError,
     "Conv2d: padding='same' needs stride 1, not (2, 2)"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


def test_an_error_shows_arguments_line_and_fix():
    with pytest.raises(ShapeError) as caught:
        conv(weight=(16, 4, 3, 3))
    lines = str(caught.value).split("\n")
    assert lines[1:3] == ["  x         float32[8, 3, 32, 32]", "  weight    float32[16, 4, 3, 3]"]
    assert any(line.startswith("  at test_conv.py:") for line in lines)
