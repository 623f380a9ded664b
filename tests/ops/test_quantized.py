"""Quantized products and convolutions, eagerly and compiled; numbers to bytes and back; what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError

SIZES = {"small": 6, "large": 64}
by_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)


def draw(seed, shape, dtype):
    limits = np.iinfo(dtype)
    return tl.asarray(np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype, endpoint=True))


def exact(x, zero=0):
    return x.numpy().astype(np.int64) - zero


def rounded(sums, scale, zero, dtype):
    limits = np.iinfo(dtype)
    found = np.rint(sums.astype(np.int32).astype(np.float32) * np.float32(scale)).astype(np.int64) + zero
    return np.clip(found, limits.min, limits.max).astype(dtype)


@by_size
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_matmul_is_integers_arithmetic(size, dtype):
    x, weight = draw(1, (2, size, 3 * size), dtype), draw(2, (3 * size, 2 * size), np.int8)
    bias = tl.asarray(np.arange(2 * size, dtype=np.int32))
    packed = tl.pack_quantized_weight(weight)
    expected = exact(x, 7) @ exact(weight) + bias.numpy()
    for multiply in (tl.quantized_matmul, tl.jit(tl.quantized_matmul)):
        found = multiply(x, weight, bias, x_zero_point=7)
        assert found.dtype == tl.int32
        np.testing.assert_array_equal(found.numpy(), expected)
        found = multiply(x, packed, bias, x_zero_point=7, packed_shape=weight.shape, scale=1e-3, zero_point=11)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), rounded(expected, 1e-3, 11, dtype))


@by_size
def test_conv2d_is_integers_arithmetic(size):
    x, weight = draw(1, (2, 6, size, size), np.uint8), draw(2, (8, 3, 3, 3), np.int8)
    zeros = draw(3, (8,), np.int8)
    geometry = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    filters = tl.asarray((exact(weight) - exact(zeros).reshape(-1, 1, 1, 1)).astype(np.float64))
    wide = tl.nn.functional.conv2d(tl.asarray(exact(x, 130).astype(np.float64)), filters, **geometry)
    packed = tl.pack_quantized_weight(weight, groups=2)
    for convolve in (tl.quantized_conv2d, tl.jit(tl.quantized_conv2d)):
        found = convolve(x, weight, **geometry, x_zero_point=130, weight_zero_point=zeros)
        np.testing.assert_array_equal(found.numpy(), wide.numpy())
        scale = tl.asarray(np.linspace(1e-4, 1e-2, 8).astype(np.float32))
        found = convolve(x, packed, **geometry, x_zero_point=130, weight_zero_point=zeros, packed_shape=weight.shape,
                         scale=scale, zero_point=tl.asarray(np.asarray(-3, np.int8)))
        expected = rounded(wide.numpy(), scale.numpy().reshape(-1, 1, 1), -3, np.int8)
        np.testing.assert_array_equal(found.numpy(), expected)
    one = tl.quantized_conv2d(x[0], weight, **geometry, x_zero_point=130, weight_zero_point=zeros)
    np.testing.assert_array_equal(one.numpy(), wide.numpy()[0])


def test_the_border_stands_for_zeros():
    x, weight = tl.full((1, 1, 2, 2), 9, dtype=tl.uint8), tl.ones((1, 1, 3, 3), dtype=tl.int8)
    assert not tl.quantized_conv2d(x, weight, padding=1, x_zero_point=9).numpy().any()
    assert tl.quantized_conv2d(x, weight, padding="same", x_zero_point=8).numpy().tolist() == [[[[4, 4], [4, 4]]]]


def test_nothing_to_multiply():
    empty, weight = tl.zeros((2, 0), dtype=tl.uint8), tl.zeros((0, 3), dtype=tl.int8)
    bias = tl.asarray(np.array([1, 2, 3], np.int32))
    assert tl.quantized_matmul(empty, weight, bias).numpy().tolist() == [[1, 2, 3]] * 2
    assert tl.quantized_matmul(tl.zeros((0, 4), dtype=tl.int8), tl.zeros((4, 3), dtype=tl.int8)).shape == (0, 3)
    images = tl.zeros((0, 3, 5, 5), dtype=tl.uint8)
    assert tl.quantized_conv2d(images, tl.zeros((2, 3, 3, 3), dtype=tl.int8)).shape == (0, 2, 3, 3)


def test_quantize_rounds_half_to_even_and_saturates():
    x = tl.tensor([-1e9, -0.75, -0.25, 0.25, 0.75, 1.25, 1e9])
    for quantize in (tl.quantize, tl.jit(tl.quantize)):
        assert quantize(x, 0.5, 10).numpy().tolist() == [0, 8, 10, 10, 12, 12, 255]
        found = quantize(x, 0.5, tl.asarray(np.asarray(-10, np.int8)))
        assert found.dtype == tl.int8 and found.numpy().tolist() == [-128, -12, -10, -10, -8, -8, 127]
    assert tl.quantize(x, 0.5, dtype=tl.int8).dtype == tl.int8
    assert tl.quantize(tl.tensor([3, -3]), 2.0, 100).numpy().tolist() == [102, 98]


def test_quantize_and_dequantize_along_an_axis_are_inverse():
    scale = tl.tensor([0.5, 2.0, 0.25])
    zeros = tl.asarray(np.array([0, 5, -7], np.int8))
    q = draw(4, (2, 3, 4), np.int8)
    for there, back in ((tl.quantize, tl.dequantize), (tl.jit(tl.quantize), tl.jit(tl.dequantize))):
        real = back(q, scale, zeros, axis=1)
        assert real.dtype == tl.float32
        expected = exact(q, zeros.numpy().reshape(3, 1).astype(np.int64)) * scale.numpy().reshape(3, 1)
        np.testing.assert_array_equal(real.numpy(), expected.astype(np.float32))
        np.testing.assert_array_equal(there(real, scale, zeros, axis=-2).numpy(), q.numpy())


def test_a_batch_of_products_is_mapped():
    x, weight = draw(1, (3, 4, 5), np.uint8), draw(2, (5, 2), np.int8)
    found = tl.vmap(lambda rows: tl.quantized_matmul(rows, weight, x_zero_point=3))(x)
    np.testing.assert_array_equal(found.numpy(), exact(x, 3) @ exact(weight))


U8, I8, I32 = (lambda *shape, dtype=dtype: tl.zeros(shape, dtype=dtype) for dtype in (tl.uint8, tl.int8, tl.int32))

COMPLAINTS = [
    (lambda: tl.quantized_matmul(tl.zeros((2, 3)), I8(3, 4)), DTypeError,
     "quantized_matmul: takes uint8 or int8, not float32"),
    (lambda: tl.quantized_matmul(U8(2, 3), tl.zeros((3, 4))), DTypeError,
     "quantized_matmul: weight must be int8, not float32"),
    (lambda: tl.quantized_conv2d(U8(1, 1, 3, 3), I8(1, 1, 2, 2), 7), DTypeError,
     "quantized_conv2d: bias must be a tensor, not int"),
    (lambda: tl.quantized_matmul(U8(2, 3), 7), DTypeError, "quantized_matmul: weight must be a tensor, not int"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(4, 5)), ShapeError,
     "quantized_matmul: x has 3 columns, weight has 4 rows"),
    (lambda: tl.quantized_matmul(U8(3), I8(3, 5)), ShapeError,
     "quantized_matmul: x must be a matrix or a stack of them"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3)), ShapeError,
     "quantized_matmul: weight must be [in features, out features], it has 1 dimensions"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3, 4), I32(3)), ShapeError,
     "quantized_matmul: bias must be of shape [4], one number for each output channel"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3, 4), tl.zeros(4)), DTypeError,
     "quantized_matmul: bias must be int32, not float32"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3, 4), scale=tl.ones(3)), ShapeError,
     "quantized_matmul: scale must be one number or of shape [4], one number for each output channel"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3, 4), x_zero_point=300), ArgumentError,
     "quantized_matmul: x_zero_point=300 is no uint8"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3, 4), x_zero_point=1.5), DTypeError,
     "quantized_matmul: x_zero_point must be an integer or a tensor, not 1.5"),
    (lambda: tl.quantized_matmul(U8(2, 3), I8(3, 4), x_zero_point=I8()), DTypeError,
     "quantized_matmul: x_zero_point must be one number of x's dtype, uint8"),
    (lambda: tl.quantized_matmul(U8(2, 3), I32(7), packed_shape=(3, 4)), ShapeError,
     "quantized_matmul: a weight of shape [3, 4] is packed in int32[32]"),
    (lambda: tl.quantized_conv2d(U8(1, 3, 5, 5), I8(4, 2, 3, 3)), ShapeError,
     "quantized_conv2d: weight expects 2 input channels, x has 3"),
    (lambda: tl.quantized_conv2d(U8(1, 3, 5, 5), I8(4, 3, 3, 3), groups=2), ShapeError,
     "quantized_conv2d: groups=2 must divide x's 3 channels and weight's 4"),
    (lambda: tl.quantized_conv2d(U8(1, 3, 2, 2), I8(4, 3, 3, 3)), ShapeError,
     "quantized_conv2d: the kernel covers 3 of the height, which with padding is 2"),
    (lambda: tl.quantized_conv2d(U8(1, 3, 2, 2), I8(4, 3, 3)), ShapeError,
     "quantized_conv2d: weight must be [out channels, in channels / groups, height, width], it has 3 dimensions"),
    (lambda: tl.pack_quantized_weight(I32(4, 4)), DTypeError, "pack_quantized_weight: weight must be int8, not int32"),
    (lambda: tl.pack_quantized_weight(I8(4)), ShapeError,
     "pack_quantized_weight: weight must be a matrix or filters, it has 1 dimensions"),
    (lambda: tl.pack_quantized_weight(I8(4, 3, 2, 2), groups=3), ShapeError,
     "pack_quantized_weight: groups=3 must divide weight's 4 filters"),
    (lambda: tl.quantize(tl.ones(3), 0.5, dtype=tl.int32), DTypeError, "quantize: gives uint8 or int8, not int32"),
    (lambda: tl.quantize(tl.ones((2, 3)), tl.ones(3)), ShapeError,
     "quantize: scale must be one number, or one for each place of an axis that is named"),
    (lambda: tl.quantize(tl.ones((2, 3)), tl.ones(3), axis=0), ShapeError,
     "quantize: scale must have 2 numbers, as x has along axis 0"),
    (lambda: tl.dequantize(tl.ones(3), 0.5), DTypeError, "dequantize: takes integers of at most 32 bits, not float32"),
]


@pytest.mark.parametrize(("call", "error", "said"), COMPLAINTS, ids=[said[:60] for *_, said in COMPLAINTS])
def test_what_is_refused_is_said_alike_eagerly_and_compiled(call, error, said):
    for run in (call, tl.jit(call)):
        with pytest.raises(error) as caught:
            run()
        assert str(caught.value).splitlines()[0] == said


def test_there_is_no_derivative():
    scale = tl.tensor(0.5, requires_grad=True)
    found = tl.quantized_matmul(U8(2, 3), I8(3, 4), scale=scale)
    assert not found.requires_grad
    with pytest.raises(GradientError):
        found.sum().backward()
