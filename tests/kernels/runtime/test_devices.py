"""Devices: found by name and by array; the CPU's kernels say what NumPy says, and leave to it what they do not take."""

from __future__ import annotations

import inspect

import ml_dtypes
import numpy as np
import pytest

from tensorlite.kernels import device, errors
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cuda import device as cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
CPU = device.CPU
LARGE = device.NATIVE_SIZE


def numbers(shape, dtype, seed=0):
    chooser = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "c":
        return (chooser.standard_normal(shape) + 1j * chooser.standard_normal(shape)).astype(dtype)
    return (chooser.standard_normal(shape) * 3).astype(dtype)


def test_devices_by_name_and_array():
    assert device.get("cpu") is CPU is device.get(CPU)
    assert device.of(np.zeros(3)) is CPU is device.of(np.float32(1)) is device.of(np.zeros(3).view(np.recarray))
    assert device.available()[0] == "cpu" and (CPU.name, CPU.xp, repr(CPU)) == ("cpu", np, "cpu")


@pytest.mark.parametrize("name", ["tpu", "cpu:1", "cuda:", "cuda:x", "cuda:-1", "", "CPU"])
def test_a_name_that_is_none(name):
    with pytest.raises(errors.DeviceUnavailable) as caught:
        device.get(name)
    assert str(caught.value) == f"{name}: no such device; expected 'cpu', 'cuda' or 'cuda:1'"


def test_an_array_of_no_known_device():
    with pytest.raises(TypeError) as caught:
        device.of([1, 2])
    assert str(caught.value) == "device.of: expected an array of a known device, got list"


def test_every_device_does_what_the_protocol_says():
    wanted = {name for name, member in vars(device.Device).items() if inspect.isfunction(member) and name[0] != "_"}
    for kind in (type(CPU), cuda.CudaDevice):
        for name in wanted:
            expected = [p.name for p in inspect.signature(getattr(device.Device, name)).parameters.values()]
            assert [p.name for p in inspect.signature(getattr(kind, name)).parameters.values()] == expected


FUNCTIONS = [
    s.trace(lambda x: s.exp(-s.abs(x))),
    s.trace(lambda x, y: x * y + 1),
    s.trace(lambda x, y: s.where(s.less(x, y), x, 2 * y)),
    s.trace(lambda x, y: s.maximum(x, y)),
]


REAL = ["float32", "float64", "float16", BFLOAT16]


@pytest.mark.parametrize(
    ("function", "dtype"), [*((f, dtype) for f in FUNCTIONS for dtype in REAL), (FUNCTIONS[1], "complex64")]
)
@pytest.mark.parametrize("size", [1, 3, LARGE // 8, LARGE // 4])
def test_elementwise_on_both_sides_of_the_threshold(function, dtype, size):
    x, y = numbers((size, 8), dtype), numbers((8,), dtype, 1)
    arrays = (x, y)[: len(function.parameters)]
    result = CPU.elementwise(function, arrays, x.dtype)
    expected = s.numpy_function(function)(np, *arrays)
    assert (type(result), result.dtype, result.shape) == (np.ndarray, x.dtype, (size, 8))
    epsilon = {2: 1e-2, 4: 1e-5}.get(x.itemsize, 1e-5 if x.dtype.kind == "c" else 1e-13)
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    np.testing.assert_allclose(result.astype(wide), expected.astype(wide), rtol=epsilon, atol=epsilon)


def test_elementwise_of_other_dtypes():
    x = np.arange(2 * LARGE).reshape(2, -1)
    less = s.trace(lambda x, y: s.less(x, y))
    assert np.array_equal(CPU.elementwise(less, (x, x[::-1]), np.dtype(bool)), x < x[::-1])
    either = s.trace(lambda c, x, y: s.where(c, x, y))
    assert np.array_equal(CPU.elementwise(either, (x % 2 == 0, x, x[:1]), x.dtype), np.where(x % 2 == 0, x, x[:1]))
    magnitude = s.trace(lambda x: s.abs(x))
    z = numbers((LARGE,), np.complex64)
    result = CPU.elementwise(magnitude, (z,), np.float32)
    assert result.dtype == np.float32 and np.allclose(result, abs(z))


def test_elementwise_of_scalars_and_of_nothing():
    total = s.trace(lambda x, y: x + y)
    zero = CPU.elementwise(total, (np.array(1.0), np.float64(2)), np.float64)
    assert type(zero) is np.ndarray and zero.shape == () and zero == 3
    assert CPU.elementwise(total, (np.zeros((0, 3)), np.zeros(3)), np.float64).shape == (0, 3)
    with pytest.raises(ValueError, match="broadcast"):
        CPU.elementwise(total, (np.zeros(LARGE), np.zeros(LARGE + 1)), np.float64)


def test_what_has_no_native_form_is_numpys_in_the_pool():
    x = numbers((1 << 20,), np.complex64)
    total = s.trace(lambda x, y: x + y)
    result = CPU.elementwise(total, (x, x), np.complex64)
    assert np.array_equal(result, x + x)
    assert result.base is not None


def test_kernels_are_found_by_the_names_of_ops():
    assert CPU.kernel("no such op") is None
    x = numbers((300, 400), np.float32)
    for name, arguments, attributes, expected in (
        ("sort", (x,), {"axis": 1, "descending": False, "stable": True}, np.sort(x, 1)),
        ("argsort", (x,), {"axis": 0, "descending": False, "stable": True}, np.argsort(x, 0, kind="stable")),
        ("take_rows", (x, np.arange(299, -1, -1)), {"axis": 0}, x[::-1]),
    ):
        kernel = CPU.kernel(name)
        assert kernel is not None
        np.testing.assert_array_equal(kernel(*arguments, **attributes), expected)


def test_transfers_and_memory():
    x = np.arange(3)
    assert CPU.asarray(x) is x is CPU.to_numpy(x)
    assert CPU.asarray([1, 2]).dtype == np.int64
    CPU.synchronize()
    assert set(CPU.memory()) == {"allocated", "cached", "peak", "bound"}
