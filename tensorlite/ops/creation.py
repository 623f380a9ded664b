"""Making tensors: from Python data and arrays, filled, and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.context import find
from tensorlite.declare import public
from tensorlite.ops.shape import astype
from tensorlite.state import state
from tensorlite.tape import Leaf
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_COMPLEX, DEFAULT_FLOAT, DIFFERENTIABLE, GROUPS, dtype_of


def place(array: Any, device: str | None) -> Any:
    """Puts a NumPy array on a device, by default the current one."""
    return find(device or state.device, "asarray").asarray(array)


def from_python(data: Any, dtype: np.dtype | None) -> np.ndarray:
    """A NumPy array of nested Python numbers (or tensors); Python floats become float32."""
    if isinstance(data, list | tuple):
        data = _plain(data)
    try:
        array = np.asarray(data, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as problem:
        raise errors.complaint(errors.ArgumentError, "asarray", str(problem), {"obj": type(data).__name__}) from None
    if dtype is None and array.dtype == np.float64:
        return array.astype(DEFAULT_FLOAT)
    if dtype is None and array.dtype == np.complex128:
        return array.astype(DEFAULT_COMPLEX)
    return array


def _plain(data: Any) -> Any:
    """Nested sequences with every tensor in them as an array."""
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    return data.array if isinstance(data, Tensor) else data


@public(method=False)
def asarray(obj: Any, /, *, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor of numbers, nested sequences, an array, or anything with ``__dlpack__`` or ``__array__``.

    Arrays keep their dtype and share their memory unless ``copy`` is true; Python floats become float32.

    >>> import tensorlite as tl
    >>> tl.asarray([[1, 2], [3, 4]], dtype=tl.float64).type
    TensorType(dtype=dtype('float64'), shape=(2, 2), device='cpu')
    """
    wanted = None if dtype is None else dtype_of(dtype)
    if isinstance(obj, Tensor):
        moved = obj if device is None or device == obj.device else Tensor(place(obj.array, device))
        return astype(moved, wanted or moved.dtype, copy=bool(copy))
    if isinstance(obj, np.ndarray | np.generic):
        array = np.asarray(obj)
        if wanted is None and array.dtype not in GROUPS["any"]:
            raise errors.complaint(errors.DTypeError, "asarray", f"no tensor has dtype {array.dtype}", {"obj": array})
        wanted = wanted or dtype_of(array.dtype)
        array = array.astype(wanted, copy=bool(copy))
        array = array if array.dtype is wanted else array.view(wanted)  # equal, but not the one that fast paths know
    elif hasattr(obj, "__dlpack__"):
        array = np.from_dlpack(obj, copy=copy)
        array = array if wanted is None else array.astype(wanted, copy=False)
    elif hasattr(obj, "__array__"):
        return asarray(np.asarray(obj), dtype=dtype, device=device, copy=copy)
    elif copy is False:
        raise errors.complaint(errors.ArgumentError, "asarray", "Python data cannot become a tensor without a copy",
                               {"obj": obj}, "leave copy=False out")
    else:
        array = from_python(obj, wanted)
    return Tensor(place(array, device))


@public(method=False)
def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor of numbers, nested sequences or an array, which it copies.

    Python floats become float32, integers int64. Raises `GradientError` for ``requires_grad`` of integers.

    >>> import tensorlite as tl
    >>> tl.tensor([[1.0, 2.0]], requires_grad=True)
    tensor([[1., 2.]], requires_grad=True)
    """
    source = data.array if isinstance(data, Tensor) else data
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
