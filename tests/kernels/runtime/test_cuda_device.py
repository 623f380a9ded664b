"""The GPU: what is said without one, and the same bodies on a stand-in for CuPy, and on a GPU where there is one."""

from __future__ import annotations

import contextlib
import sys
import types

import numpy as np
import pytest

from tensorlite.kernels import device
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cuda import device as cuda
from tensorlite.kernels.errors import DeviceUnavailable


@pytest.fixture(autouse=True)
def _forget():
    """Nothing is known of CuPy, before and after."""
    for cached in (cuda.cupy, cuda._device):
        cached.cache_clear()
    yield
    for cached in (cuda.cupy, cuda._device):
        cached.cache_clear()


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of the stand-in: one of NumPy's that only the stand-in can compute with."""

    device = types.SimpleNamespace(id=0)

    def __init__(self, held):
        self.held = np.asarray(held)

    def __getattr__(self, name):
        return wrapped(getattr(self.held, name))

    def __getitem__(self, index):
        return Array(self.held[index])

    def __array_ufunc__(self, ufunc, method, *operands, **options):
        return wrapped(getattr(ufunc, method))(*operands, **options)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a GPU's array must be copied to the CPU in so many words")

    def get(self):
        return self.held


def wrapped(value):
    """What NumPy gives, as the stand-in gives it."""
    if callable(value):
        return lambda *operands, **options: wrapped(value(*map(unwrapped, operands), **options))
    return Array(value) if isinstance(value, np.ndarray | np.generic) else value


def unwrapped(value):
    return value.held if isinstance(value, Array) else value


class Cupy(types.ModuleType):
    """A stand-in that computes with NumPy and knows GPUs, of which it counts the uses."""

    def __init__(self, number=1):
        super().__init__("cupy")
        self.__version__ = "0.0"
        self.ndarray = Array
        self.entered = []
        properties = {"name": b"Stand-in"}
        self.cuda = types.SimpleNamespace(
            Device=self.enter,
            runtime=types.SimpleNamespace(
                getDeviceCount=lambda: number,
                memGetInfo=lambda: (6, 8),
                deviceSynchronize=lambda: None,
                getDeviceProperties=lambda index: properties,
                runtimeGetVersion=lambda: 12090,
            ),
        )

    @contextlib.contextmanager
    def enter(self, index):
        self.entered.append(index)
        yield

    def __getattr__(self, name):
        return wrapped(getattr(np, name))

    def asarray(self, array, dtype=None):
        return Array(np.asarray(unwrapped(array), dtype))

    def asnumpy(self, array):
        return array.held

    def get_default_memory_pool(self):
        return types.SimpleNamespace(used_bytes=lambda: 5, free_bytes=lambda: 7)


Array.__module__ = "cupy"


@pytest.fixture
def cupy(monkeypatch):
    """Put a stand-in, or what its making raises, in CuPy's place."""

    def install(number=1):
        module = Cupy(number)
        monkeypatch.setitem(sys.modules, "cupy", module)
        return module

    return install


def message(name="cuda"):
    with pytest.raises(DeviceUnavailable) as caught:
        device.get(name)
    return str(caught.value)


def test_without_cupy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.setattr(sys, "path", [])
    expected = "cuda: CuPy is not installed; pip install 'tensorlite[cuda]'"
    assert message() == message("cuda:3") == cuda.reason() == expected
    assert device.available() == ("cpu",)
    assert cuda.describe() == {"cuda": f"not available: {expected}"}


def test_a_broken_cupy_says_why(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')")
    assert message() == "cuda: CuPy cannot be imported: libcuda.so.1: cannot open shared object file"
    (tmp_path / "cupy.py").write_text("import a_module_that_it_needs")
    assert message() == "cuda: CuPy cannot be imported: No module named 'a_module_that_it_needs'"


def test_without_a_driver_or_a_gpu_it_says_so(cupy):
    module = cupy(0)
    assert message() == "cuda: CuPy finds no GPU (nvidia-smi and CUDA_VISIBLE_DEVICES tell more)"

    def fail():
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")

    module.cuda.runtime.getDeviceCount = fail
    assert message() == (
        "cuda: CuPy finds no NVIDIA driver that it can use: "
        "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    )
    assert device.available() == ("cpu",)


def test_gpus_by_number(cupy):
    cupy(2)
    assert device.available() == ("cpu", "cuda:0", "cuda:1")
    assert device.get("cuda") is device.get("cuda:0") is not device.get("cuda:1")
    assert (device.get("cuda").name, device.get("cuda:1").name) == ("cuda:0", "cuda:1")
    assert message("cuda:2") == "cuda:2: there is no such GPU, cuda:0 to cuda:1"


def test_a_number_too_large_for_one_gpu(cupy):
    cupy(1)
    assert message("cuda:1") == "cuda:1: there is no such GPU, only cuda:0"


def test_a_gpu_runs_the_bodies_through_cupy(cupy):
    module = cupy()
    gpu = device.get("cuda")
    assert gpu.xp is module and gpu.kernel("sum") is None and repr(gpu) == "cuda:0"
    x = gpu.asarray(np.arange(6, dtype=np.float32))
    assert device.of(x) is gpu
    function = s.trace(lambda x, y: s.exp(x) * y)
    result = gpu.elementwise(function, (x, x), np.float32)
    assert type(result) is Array and result.dtype == np.float32
    expected = np.exp(np.arange(6, dtype=np.float32)) * np.arange(6)
    np.testing.assert_allclose(gpu.to_numpy(result), expected, rtol=1e-6)
    np.testing.assert_array_equal(device.CPU.asarray(x), np.arange(6))
    assert type(device.CPU.asarray(x)) is np.ndarray
    less = gpu.elementwise(s.trace(lambda x, y: s.less(x, y)), (x, x), bool)
    assert less.dtype == bool and not less.held.any()
    gpu.synchronize()
    assert gpu.memory() == {"allocated": 5, "cached": 7, "free": 6, "total": 8}
    assert set(module.entered) == {0}
    assert cuda.describe() == {"cuda": "cuda:0 Stand-in (CuPy 0.0, runtime 12090)"}


def test_importing_never_touches_cupy(program):
    done = program(
        """
        import sys
        from tensorlite.kernels import device
        import numpy as np
        device.of(np.zeros(3))
        print("cupy" in sys.modules)
        """
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


GPU = pytest.mark.skipif(cuda.reason() is not None, reason=f"no GPU: {cuda.reason()}")


@GPU
def test_on_a_gpu():
    gpu = device.get("cuda")
    x = np.random.default_rng(0).standard_normal((100, 30)).astype(np.float32)
    there = gpu.asarray(x)
    assert device.of(there) is gpu
    np.testing.assert_array_equal(gpu.to_numpy(there), x)
    function = s.trace(lambda x, y: s.where(s.less(x, y), s.exp(x), s.sqrt(s.abs(y))))
    result = gpu.elementwise(function, (there, there[:1]), np.float32)
    assert device.of(result) is gpu
    np.testing.assert_allclose(gpu.to_numpy(result), s.numpy_function(function)(np, x, x[:1]), rtol=1e-5)
    gpu.synchronize()
    assert gpu.memory()["total"] > 0 and gpu.name in device.available()
