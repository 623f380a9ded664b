"""Making tensors: from Python data and arrays, filled, and ranges."""

from __future__ import annotations

import array as arrays
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.context import find
from tensorlite.declare import public
from tensorlite.dispatch import quietly
from tensorlite.kernels.cpu.lending import borrow
from tensorlite.ops.shape import astype
from tensorlite.state import state
from tensorlite.tape import Leaf
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import (
    DEFAULT_COMPLEX,
    DEFAULT_FLOAT,
    DIFFERENTIABLE,
    GROUPS,
    complex128,
    dtype_of,
    float64,
)
from tensorlite.traced import is_traced, require_elements


def place(array: Any, device: str | None) -> Any:
    """Puts a NumPy array on a device, by default the current one."""
    return find(device or state.device, "asarray").asarray(array)


def from_python(data: Any, dtype: np.dtype | None) -> np.ndarray:
    """A NumPy array of nested Python numbers (or tensors); Python floats become float32."""
    plain = _plain(data)
    array = _read(plain, None)
    if array.dtype not in GROUPS["any"]:
        raise errors.complaint(errors.DTypeError, "asarray", "a tensor is made of numbers", {"obj": data},
                               "give numbers, nested lists of numbers, or an array")
    if dtype is not None:  # NumPy checks the range of integers where it makes them of Python's
        return _read(plain if dtype.kind in "iu" or array.dtype.kind == "c" else array, dtype)
    if array.dtype in _DEFAULTS and not isinstance(_first(data), np.ndarray | np.generic | Tensor):
        return quietly(array.astype, _DEFAULTS[array.dtype])
    return array


def _read(data: Any, dtype: np.dtype | None) -> np.ndarray:
    try:
        return quietly(np.asarray, data, dtype)
    except (ValueError, TypeError, OverflowError) as problem:
        raise errors.complaint(errors.ArgumentError, "asarray", str(problem), {"obj": type(data).__name__}) from None


_DEFAULTS = {float64: DEFAULT_FLOAT, complex128: DEFAULT_COMPLEX}


def _first(data: Any) -> Any:
    """The first of nested numbers."""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return data


def _plain(data: Any) -> Any:
    """Nested sequences with every tensor in them as an array."""
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    if isinstance(data, Tensor):
        require_elements(data, "asarray")
        return data.array
    return data


def in_dtype(array: np.ndarray, wanted: np.dtype | None, copy: bool | None) -> np.ndarray:
    """An array in one of the tensors' dtypes: the very objects that fast paths know."""
    native = array.dtype.newbyteorder("=")
    if native not in GROUPS["any"] and (wanted is None or native.kind not in "fc"):
        raise errors.complaint(errors.DTypeError, "asarray", f"no tensor has dtype {native}", {"obj": array})
    wanted = wanted or dtype_of(native)
    if native.kind == "c" and wanted.kind != "c":
        raise errors.complaint(errors.DTypeError, "asarray", f"complex numbers do not become {wanted.name}",
                               {"obj": array}, "take their real part or modulus first")
    if copy is False and array.dtype != wanted:
        problem = f"{native.name} cannot become {wanted.name} without a copy"
        raise errors.complaint(errors.ArgumentError, "asarray", problem, {"obj": array}, "leave copy=False out")
    array = quietly(_astype, array, wanted, bool(copy))
    return array if array.dtype is wanted else array.view(wanted)


def _astype(array: np.ndarray, dtype: np.dtype, copy: bool) -> np.ndarray:
    return array.astype(dtype, copy=copy)


def imported(op: str, x: Any, copy: bool | None = None) -> Any:
    """The array of another library's ``__dlpack__``, of the device that it lives on."""
    if getattr(x, "__dlpack_device__", lambda: (1, 0))()[0] != 1:
        return find("cuda", op).xp.from_dlpack(x)
    try:
        return np.from_dlpack(x, copy=copy)
    except errors.TensorliteError:
        raise
    except (BufferError, RuntimeError, TypeError, ValueError) as problem:
        raise errors.complaint(errors.ArgumentError, op, str(problem), {"x": type(x).__name__},
                               "convert it there first") from None


@public(method=False)
def asarray(obj: Any, /, *, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor of numbers, nested sequences, an array, or anything with ``__dlpack__`` or ``__array__``.

    Arrays keep their dtype and share their memory unless ``copy`` is true; Python floats become float32. Raises
    `DTypeError` for what is no number, `ArgumentError` where ``copy=False`` cannot be kept.

    >>> import tensorlite as tl
    >>> tl.asarray([[1, 2], [3, 4]], dtype=tl.float64).type
    TensorType(dtype=dtype('float64'), shape=(2, 2), device='cpu')
    """
    wanted = None if dtype is None else dtype_of(dtype)
    if isinstance(obj, Tensor):
        return _of_tensor(obj, wanted or obj.dtype, device or obj.device, copy)
    if isinstance(obj, np.ndarray | np.generic | memoryview | bytearray | arrays.array):
        array = _shared(in_dtype(np.asarray(obj), wanted, copy), copy)
    elif hasattr(obj, "__dlpack__"):
        array = imported("asarray", obj, copy)
        array = _shared(in_dtype(array, wanted, copy and None), copy) if isinstance(array, np.ndarray) else array
    elif hasattr(obj, "__array__"):
        array = _shared(in_dtype(np.asarray(obj), wanted, copy), copy)
    elif copy is False:
        raise errors.complaint(errors.ArgumentError, "asarray", "Python data cannot become a tensor without a copy",
                               {"obj": obj}, "leave copy=False out")
    else:
        array = from_python(obj, wanted)
    return Tensor(place(array, device))


def _shared(array: np.ndarray, copy: bool | None) -> np.ndarray:
    """An array whose memory others may write to, unless it is a copy."""
    if not copy:
        borrow(array)
    return array


def _of_tensor(x: Tensor, dtype: np.dtype, device: str, copy: bool | None) -> Tensor:
    if copy is False and (dtype != x.dtype or device != x.device):
        problem = f"{x.type} cannot become {dtype.name} on {device} without a copy"
        raise errors.complaint(errors.ArgumentError, "asarray", problem, {"obj": x}, "leave copy=False out")
    moved = x if device == x.device else Tensor(place(x.array, device))
    return astype(moved, dtype, copy=bool(copy))


@public(method=False)
def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor of numbers, nested sequences or an array, which it copies.

    Python floats become float32, integers int64. Raises `GradientError` for ``requires_grad`` of integers.

    >>> import tensorlite as tl
    >>> tl.tensor([[1.0, 2.0]], requires_grad=True)
    tensor([[1., 2.]], requires_grad=True)
    """
    source = data.array if isinstance(data, Tensor) and not is_traced(data) else data
    made = Tensor(asarray(source, dtype=dtype, device=device, copy=None if isinstance(data, list) else True).array)
    return require_grad(made) if requires_grad else made


def require_grad(x: Tensor, requires_grad: bool = True) -> Tensor:
    """Makes a tensor a leaf whose gradient `backward` fills, or a constant."""
    if not requires_grad:
        x.node = None
    elif x.dtype not in DIFFERENTIABLE:
        raise errors.complaint(errors.GradientError, "requires_grad", "only floating tensors have gradients", {"x": x},
                               "cast it first: x.to(tl.float32)")
    elif x.node is None:
        x.node = Leaf(x)
    return x
