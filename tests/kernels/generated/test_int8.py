"""Products and convolutions of bytes: equal to integers' arithmetic, whatever shapes, strides, threads and machines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import interpret, laid, layouts
from quantized import BYTES, EXTRAS, F32, I8, I32, U8, check, convolution, draw, finished, less, packed, planned, terms

from tensorlite.kernels import quant
from tensorlite.kernels.cpu import host, int8, int8_images
from tensorlite.kernels.stage import Array

EXTENTS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 33, 64, 65, 67, 130])


@settings(max_examples=150)
@given(m=EXTENTS, k=st.one_of(st.just(0), EXTENTS, st.just(1100)), n=EXTENTS, dtype=BYTES, result=BYTES, left=layouts,
       right=layouts, extras=EXTRAS, many=st.booleans(), stack=st.sampled_from([(), (3,), (2, 1)]),
       seed=st.integers(0, 99))  # fmt: skip
def test_matrices(m, k, n, dtype, result, left, right, extras, many, stack, seed):
    random = np.random.default_rng(seed)
    x, weight = laid(draw(random, (*stack, m, k), dtype), left), laid(draw(random, (k, n), I8), right)
    zero, given = draw(random, (), dtype), terms(random, extras, n, result, many)
    sums = less(x, zero) @ less(weight, given.get("weight_zero_point", 0))
    expected = finished(sums, given, (-1,))
    inputs = [x, weight, zero, *given.values()]
    check(int8.plan_matmul, inputs, expected, extras=extras)
    inputs[1] = packed(np.ascontiguousarray(weight.T)[:, :, np.newaxis, np.newaxis])
    check(int8.plan_matmul, inputs, expected, extras=extras, packed_shape=(k, n))


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def layers(draw_):
    """Shapes of images and filters that fit, and their geometry."""
    kernel, stride, dilation = draw_(st.tuples(st.integers(1, 5), st.integers(1, 5))), draw_(PAIRS), draw_(PAIRS)
    padding = tuple(draw_(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2))
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    size = [max(1, n - sum(p)) + draw_(st.sampled_from([0, 1, 4, 9, 20])) for n, p in zip(span, padding)]
    groups = draw_(st.sampled_from([1, 1, 2, 5]))
    channels, filters = draw_(st.sampled_from([1, 2, 3, 4, 5, 8, 17])), draw_(st.sampled_from([1, 2, 4, 9, 16, 33, 70]))
    images = draw_(st.sampled_from([1, 2, 3]))
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (images, channels * groups, *size), (filters * groups, channels, *kernel), geometry


@settings(max_examples=150)
@given(layer=layers(), dtype=BYTES, result=BYTES, left=layouts, right=layouts, extras=EXTRAS, many=st.booleans(),
       seed=st.integers(0, 99))  # fmt: skip
def test_convolutions(layer, dtype, result, left, right, extras, many, seed):
    shape, filters, geometry = layer
    random = np.random.default_rng(seed)
    x, weight = laid(draw(random, shape, dtype), left), laid(draw(random, filters, I8), right)
    zero, given = draw(random, (), dtype), terms(random, extras, filters[0], result, many)
    sums = convolution(less(x, zero), less(weight, given.get("weight_zero_point", 0), (-1, 1, 1, 1)), **geometry)
    expected = finished(sums, given, (-1, 1, 1))
    inputs = [x, weight, zero, *given.values()]
    check(int8.plan_conv2d, inputs, expected, extras=extras, **geometry)
    inputs[1] = packed(weight, geometry["groups"])
    check(int8.plan_conv2d, inputs, expected, extras=extras, packed_shape=filters, **geometry)


SQUARE = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize("channels", [64, 100, 256])
def test_layers_of_one_block_and_of_several(channels):
    random = np.random.default_rng(channels)
    x, weight = draw(random, (2, channels, 15, 14), U8), draw(random, (128, channels, 3, 3), I8)
    given = terms(random, ("scale", "zero_point"), 128, U8, True)
    expected = finished(convolution(less(x, 77), less(weight, 0), **SQUARE), given, (-1, 1, 1))
    inputs = [x, weight, np.asarray(77, U8), *given.values()]
    check(int8.plan_conv2d, inputs, expected, extras=tuple(given), tile=0, **SQUARE)


@pytest.mark.parametrize("size", [(5, 37), (7, 16), (16, 10), (1, 3)])
@pytest.mark.parametrize(("channels", "filters", "groups", "kernel"), [(3, 70, 1, 3), (20, 33, 1, 1), (6, 22, 2, 2)])
@pytest.mark.parametrize("extras", [("bias", "scale", "zero_point"), ("weight_zero_point",)])
def test_short_sums_have_pixels_for_lanes(size, channels, filters, groups, kernel, extras):
    random = np.random.default_rng(filters)
    x, weight = draw(random, (3, channels, *size), I8), draw(random, (filters, channels // groups, kernel, kernel), I8)
    geometry, zero = SQUARE | {"groups": groups, "padding": ((kernel // 2,) * 2,) * 2}, draw(random, (), I8)
    given = terms(random, extras, filters, U8, True)
    sums = convolution(less(x, zero), less(weight, given.get("weight_zero_point", 0), (-1, 1, 1, 1)), **geometry)
    inputs, expected = [x, weight, zero, *given.values()], finished(sums, given, (-1, 1, 1))
    check(int8.plan_conv2d, inputs, expected, extras=extras, **geometry)


PLANES = [  # size, kernel, filters of each plane; and geometry
    ((9, 7), (3, 3), 1, {}), ((2, 14), (3, 3), 1, {}), ((10, 16), (3, 3), 1, {}), ((11, 37), (3, 3), 1, {}),
    ((12, 40), (3, 3), 1, {"stride": (2, 2)}), ((13, 20), (5, 5), 2, {"stride": (1, 3)}), ((4, 60), (1, 7), 3, {}),
    ((30, 18), (9, 3), 1, {}), ((20, 33), (3, 3), 1, {"dilation": (3, 1)}), ((9, 33), (3, 3), 5, {"dilation": (1, 2)}),
    ((5, 1500), (3, 3), 1, {}), ((4, 3000), (3, 3), 1, {}), ((9, 17), (2, 4), 70, {}),
    ((3, 3), (3, 3), 1, {"padding": ((9, 2), (4, 8))}),
]  # fmt: skip


@pytest.mark.parametrize(("size", "kernel", "filters", "changes"), PLANES)
@pytest.mark.parametrize("dtype", [U8, I8])
@pytest.mark.parametrize("extras", [("bias", "scale", "zero_point"), ()])
def test_filters_of_one_channel_read_bytes(size, kernel, filters, changes, dtype, extras):
    random = np.random.default_rng(filters)
    x, weight = draw(random, (2, 3, *size), dtype), draw(random, (3 * filters, 1, *kernel), I8)
    geometry, zero = SQUARE | {"groups": 3} | changes, draw(random, (), dtype)
    given = terms(random, extras, 3 * filters, I8, True)
    expected = finished(convolution(less(x, zero), less(weight, 0), **geometry), given, (-1, 1, 1))
    check(int8.plan_conv2d, [x, weight, zero, *given.values()], expected, extras=extras, **geometry)


@pytest.mark.parametrize("groups", [1, 16])
def test_images_are_taken_in_blocks(groups, monkeypatch):
    random = np.random.default_rng(groups)
    x, weight = draw(random, (5, 32, 9, 8), I8), draw(random, (64, 32 // groups, 3, 3), I8)
    geometry, zero = SQUARE | {"groups": groups, "stride": (2, 1)}, draw(random, (), I8)
    for extras in (("bias",), ("weight_zero_point",)):
        given = terms(random, extras, 64, U8, True)
        sums = convolution(less(x, zero), less(weight, given.get("weight_zero_point", 0), (-1, 1, 1, 1)), **geometry)
        inputs, expected = [x, weight, zero, *given.values()], finished(sums, given, (-1, 1, 1))
        for size in (1, 20_000):
            monkeypatch.setattr(int8_images, "_NEAR_BYTES", size)
            check(int8.plan_conv2d, inputs, expected, extras=extras, **geometry)


def test_sums_do_not_saturate_and_wrap_at_32_bits():
    k = 2**31 // (255 * 127) + 100
    x, weight = np.full((2, k), 255, U8), np.full((k, 3), 127, I8)
    expected = (x.astype(np.int64) @ weight.astype(np.int64)).astype(I32)
    assert expected[0, 0] < 0
    check(int8.plan_matmul, [x, weight, np.asarray(0, U8)], expected)


def test_halves_are_rounded_to_even_and_nothing_leaves_the_bytes():
    x = np.array([[0], [1], [2], [3], [5], [200]], U8)
    weight = np.array([[1, -1, 127]], I8)
    zero, scale, out_zero = np.asarray(0, U8), np.asarray(0.5, F32), np.asarray(3, U8)
    expected = np.array([[3, 3, 3], [3, 3, 67], [4, 2, 130], [5, 1, 193], [5, 1, 255], [103, 0, 255]], U8)
    extras = ("scale", "zero_point")
    check(int8.plan_matmul, [x, weight, zero, scale, out_zero], expected, extras=extras)
    nan = np.asarray(np.nan, F32)
    check(int8.plan_matmul, [x, weight, zero, nan, out_zero], np.zeros_like(expected), extras=extras)


@pytest.mark.parametrize("scale", [1e-30, 0.25, 3e5, 3e38, np.inf, -np.inf, np.nan, -0.5])
@pytest.mark.parametrize(("dtype", "zero"), [(U8, 0), (U8, 1), (U8, 255), (I8, -128), (I8, -3), (I8, 127)])
@pytest.mark.parametrize("direct", [False, True])
def test_results_saturate_whatever_the_scale(scale, dtype, zero, direct):
    random, limits = np.random.default_rng(2), np.iinfo(dtype)
    x, weight = draw(random, (1, 4 if direct else 300, 3, 16), U8), draw(random, (20, 4 if direct else 300, 1, 1), I8)
    weight[0] = 0
    given = {"scale": np.asarray(scale, F32), "zero_point": np.asarray(zero, dtype)}
    geometry = SQUARE | {"padding": ((0, 0), (0, 0))}
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = convolution(less(x, 9), less(weight, 0), **geometry).astype(F32) * np.float32(scale)
    rounded = np.nan_to_num(np.rint(scaled).astype(np.float64), nan=-np.inf)
    expected = np.clip(rounded + zero, limits.min, limits.max).astype(dtype)
    check(int8.plan_conv2d, [x, weight, np.asarray(9, U8), *given.values()], expected, extras=tuple(given), **geometry)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 4, 4)])
def test_without_images_or_filters_there_is_nothing_to_do(shape):
    weight = np.zeros((0 if shape[0] else 2, 3, 3, 3), I8)
    expected = np.zeros((shape[0], weight.shape[0], 4, 4), I32)
    check(int8.plan_conv2d, [np.zeros(shape, U8), weight, np.asarray(0, U8)], expected, **SQUARE)


def test_a_packed_weight_is_unpacked_as_it_was():
    for shape, groups in (((70, 5, 3, 2), 1), ((6, 4, 1, 1), 3), ((0, 4, 1, 1), 1), ((5, 0, 2, 2), 1)):
        weight = draw(np.random.default_rng(1), shape, I8)
        np.testing.assert_array_equal(quant.unpack(packed(weight, groups), shape, groups), weight)


@pytest.mark.parametrize("extras", [("weight_zero_point",), ("bias", "scale", "zero_point")])
def test_the_loops_mean_what_the_kernels_do(extras):
    random = np.random.default_rng(5)
    x, weight, zero = draw(random, (1, 6, 5, 4), I8), draw(random, (4, 3, 3, 2), I8), draw(random, (), I8)
    given = terms(random, extras, 4, U8, True)
    geometry = {"stride": (2, 1), "padding": ((1, 0), (1, 2)), "dilation": (1, 1), "groups": 2}
    sums = convolution(less(x, zero), less(weight, given.get("weight_zero_point", 0), (-1, 1, 1, 1)), **geometry)
    expected = finished(sums, given, (-1, 1, 1))
    inputs = [x, weight, zero, *(np.array(a) for a in given.values())]
    plan, found = planned(int8.plan_conv2d, inputs, expected, extras=extras, **geometry), np.zeros_like(expected)
    as_bytes = [a.view(np.uint8) if a.dtype == I8 and k < 2 else a for k, a in enumerate(inputs)]
    interpret(plan, [*as_bytes, found])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [(5, 6), (4, 18)])
def test_the_loops_that_read_bytes_mean_what_the_kernels_do(size):
    random = np.random.default_rng(6)
    x, weight, zero = draw(random, (1, 2, *size), I8), draw(random, (4, 1, 3, 3), I8), draw(random, (), I8)
    given, geometry = terms(random, ("scale", "zero_point"), 4, U8, True), SQUARE | {"groups": 2}
    expected = finished(convolution(less(x, zero), less(weight, 0), **geometry), given, (-1, 1, 1))
    inputs = [x, weight, zero, *(np.array(a) for a in given.values())]
    plan = planned(int8.plan_conv2d, inputs, expected, extras=tuple(given), **geometry)
    found, as_bytes = np.zeros_like(expected), [a.view(np.uint8) if k < 3 else a for k, a in enumerate(inputs)]
    interpret(plan, [*as_bytes, found])
    np.testing.assert_array_equal(found, expected)


def test_what_has_no_native_form_is_left_alone():
    def described(*dtypes):
        return [Array.contiguous(dtype, shape) for dtype, shape in zip(dtypes, ((2, 4), (4, 3), ()))]

    out = [Array.contiguous(I32, (2, 3))]
    assert int8.plan_matmul(described(F32, I8, F32), out) is None
    assert int8.plan_matmul(described(U8, U8, U8), out) is None
    assert int8.plan_matmul(described(U8, I8, I8), out) is None
    scattered = [Array(U8, (2, 2, 2, 4), (1, 2, 4, 8)), *described(U8, I8, U8)[1:]]
    assert int8.plan_matmul(scattered, [Array.contiguous(I32, (2, 2, 2, 3))]) is None


MASKS = ["-avx512vnni,-avxvnni", "-avx512f", "-avx512f,-avxvnni", "-avx2"]


@pytest.mark.skipif(not host.is_x86(), reason="features of x86")
@pytest.mark.parametrize("mask", MASKS)
def test_machines_without_the_instruction_get_the_same_bits(mask):
    """AVX-512 without it, AVX2 with it where there is one and without, and SSE alone."""
    here = Path(__file__)
    environment = os.environ | {"TENSORLITE_CPU_FEATURES": mask}
    chosen = "layers_of_one_block or short_sums or read_bytes or taken_in_blocks or saturate or halves or unpacked"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(here), "-k", chosen]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=here.parents[3])
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
