"""Pooling: every option against PyTorch, ties, NaN and infinities, and against windows written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

kernels = st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.none() | st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4))


def half(kernel, share):
    """A padding of at most half a kernel."""
    sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return tuple(size // 2 if share else 0 for size in sizes)


def windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 1), (2, 3)])
def test_pools_are_maxima_and_means_of_windows(kernel, stride):
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    assert_same(tl.max_pool2d(tl.tensor(x), kernel, stride), windows(x, kernel, stride).max((-1, -2)))
    assert_close(tl.avg_pool2d(tl.tensor(x), kernel, stride), windows(x, kernel, stride).mean((-1, -2)), terms=9)


@settings(max_examples=40)
@given(kernel=kernels, stride=strides, padded=st.booleans(), dilation=st.integers(1, 2), ceil_mode=st.booleans())
def test_max_pool2d_agrees_with_torch(kernel, stride, padded, dilation, ceil_mode):
    from nn.against_torch import compare, draw, torch
    options = {"stride": stride, "padding": half(kernel, padded), "dilation": dilation, "ceil_mode": ceil_mode}
    x = draw(2, 2, 9, 10)
    compare(lambda a: tl.max_pool2d(a, kernel, **options),
            lambda a: torch.nn.functional.max_pool2d(a, kernel, **options), x)
    x[0, 0, 3:5, 2:4] = np.nan
    x = np.round(x)
    found = tl.max_pool2d(tl.tensor(x), kernel, return_indices=True, **options)
    expected = torch.nn.functional.max_pool2d(torch.tensor(x), kernel, return_indices=True, **options)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs.numpy())


@settings(max_examples=40)
@given(kernel=kernels, stride=strides, padded=st.booleans(), ceil_mode=st.booleans(), count_include_pad=st.booleans(),
       divisor_override=st.none() | st.integers(1, 5))
def test_avg_pool2d_agrees_with_torch(kernel, stride, padded, ceil_mode, count_include_pad, divisor_override):
    from nn.against_torch import compare, draw, torch
    options = {"stride": stride, "padding": half(kernel, padded), "ceil_mode": ceil_mode,
               "count_include_pad": count_include_pad, "divisor_override": divisor_override}
    compare(lambda a: tl.avg_pool2d(a, kernel, **options),
            lambda a: torch.nn.functional.avg_pool2d(a, kernel, **options),
            draw(2, 2, 9, 10), terms=16)


@given(rows=st.none() | st.integers(1, 9), columns=st.none() | st.integers(1, 10))
def test_adaptive_avg_pool2d_agrees_with_torch(rows, columns):
    from nn.against_torch import compare, draw, torch
    assume(rows is not None or columns is not None)
    compare(lambda a: tl.adaptive_avg_pool2d(a, (rows, columns)),
            lambda a: torch.nn.functional.adaptive_avg_pool2d(a, (rows, columns)), draw(2, 3, 8, 10), terms=80)


def test_one_size_serves_both_axes_and_one_image_is_enough():
    x = tl.tensor(np.random.default_rng(0).standard_normal((3, 8, 8)))
    assert tl.adaptive_avg_pool2d(x, 2).shape == (3, 2, 2)
    assert tl.max_pool2d(x, (2, 4)).shape == (3, 4, 2)
    values, places = tl.max_pool2d(x, 2, return_indices=True)
    assert_same(values, np.take_along_axis(x.numpy().reshape(3, 64), places.numpy().reshape(3, 16), 1).reshape(3, 4, 4))


def gradient(x: np.ndarray, **options) -> np.ndarray:
    leaf = tl.tensor(x, requires_grad=True)
    tl.max_pool2d(leaf, 2, **options).sum().backward()
    return leaf.grad.numpy()


def test_the_first_of_equal_elements_carries_the_derivative():
    assert_same(gradient(np.zeros((1, 1, 2, 4))), np.array([[[[1.0, 0, 1, 0], [0, 0, 0, 0]]]]))
    assert_same(gradient(np.full((1, 1, 2, 2), -np.inf), padding=1), np.ones((1, 1, 2, 2)))


def test_nan_passes_through_and_carries_the_derivative():
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 0] = np.nan
    assert_same(tl.max_pool2d(tl.tensor(x), 2), np.array([[[[np.nan, 0.0]]]]))
    assert_same(gradient(x), np.array([[[[0.0, 0, 1, 0], [1, 0, 0, 0]]]]))


@pytest.mark.parametrize("stride", [1, 2])
def test_an_infinite_cotangent_goes_to_its_maximum_alone(stride):
    leaf = tl.tensor(np.arange(4.0).reshape(1, 1, 2, 2), requires_grad=True)
    tl.max_pool2d(leaf, 2, stride).backward(tl.tensor([[[[np.inf]]]], dtype=tl.float64))
    assert_same(leaf.grad, np.array([[[[0.0, 0.0], [0.0, np.inf]]]]))


def test_a_kernel_of_more_than_256_places_finds_its_maximum():
    x = np.zeros((1, 1, 20, 20))
    x[0, 0, 18, 17] = 1.0
    _, place = tl.max_pool2d(tl.tensor(x), 20, return_indices=True)
    assert place.item() == 18 * 20 + 17


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32])
def test_narrow_dtypes_are_kept_and_averaged_in_float32(dtype):
    x = np.random.default_rng(0).standard_normal((1, 2, 32, 32)).astype(dtype)
    result = tl.avg_pool2d(tl.tensor(x), 16)
    assert result.dtype == tl.max_pool2d(tl.tensor(x), 16).dtype == dtype
    assert_close(result, windows(x.astype(np.float64), 16, 16).mean((-1, -2)), dtype=dtype)


@pytest.mark.parametrize("dtype", [tl.uint8, tl.int8, tl.int64])
def test_maxima_of_integers_are_exact_and_never_in_the_border(dtype):
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = np.full((1, 1, 3, 3), least, dtype)
    x[0, 0, 2, 1:] = most - 1, most
    found, places = tl.max_pool2d(tl.tensor(x), 2, 2, padding=1, return_indices=True)
    assert_same(found, np.array([[[[least, least], [least, most]]]], dtype))
    assert_same(places, np.array([[[[0, 1], [3, 8]]]]))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda x: tl.max_pool2d(x, 5), ShapeError,
     "max_pool2d: the kernel covers 5 of the height, which with padding is 4"),
    (lambda x: tl.max_pool2d(x, 2, padding=2), ArgumentError,
     "max_pool2d: padding (2, 2) is more than half of the kernel (2, 2)"),
    (lambda x: tl.max_pool2d(x, 0), ArgumentError, "max_pool2d: kernel_size must be at least 1, not 0"),
    (lambda x: tl.max_pool2d(x.to(tl.bool), 2), DTypeError, "max_pool2d: takes real dtypes, not bool"),
    (lambda x: tl.avg_pool2d(x.to(tl.int32), 2), DTypeError, "avg_pool2d: takes real floating dtypes, not int32"),
    (lambda x: tl.avg_pool2d(x, 2, divisor_override=0), ArgumentError, "avg_pool2d: divisor_override must not be zero"),
    (lambda x: tl.avg_pool2d(x, (1, 2, 3)), DTypeError,
     "avg_pool2d: kernel_size must be an integer or two, not (1, 2, 3)"),
    (lambda x: tl.max_pool2d(x[0, 0], 2), ShapeError,
     "max_pool2d: takes images [batch, channels, height, width] or [channels, height, width], x has 2 dimensions"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(tl.zeros((1, 1, 4, 6)))
    assert str(caught.value).split("\n")[0] == text
