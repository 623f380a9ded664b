"""Tensors and the rest of Python: numbers, sequences, NumPy arrays, DLPack and the array API's namespace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.declare import public
from tensorlite.kernels import device as devices
from tensorlite.kernels.cpu import lending
from tensorlite.ops.creation import asarray, imported, in_dtype
from tensorlite.ops.indexing.index import get_item
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import bfloat16
from tensorlite.traced import require_elements


def numpy(self: Tensor) -> np.ndarray:
    """The elements as a NumPy array that cannot be written to, and shares the tensor's memory where it is on the CPU.

    What writes to it all the same, as a library that does not heed the flag, changes what may have been read before.

    >>> import tensorlite as tl
    >>> tl.tensor([1.0, 2.0]).numpy().copy()
    array([1., 2.], dtype=float32)
    """
    require_elements(self, "numpy")
    if state.elements is not None:
        state.elements(self)
    view = devices.of(self.array).to_numpy(self.array).view()
    view.flags.writeable = False
    return view


def item(self: Tensor) -> Any:
    """The one element as a Python number; raises `ShapeError` where there are more or none."""
    if self.size != 1:
        raise errors.complaint(errors.ShapeError, "item", "only a tensor of one element is a number", {"x": self},
                               "index it, or use x.tolist()")
    require_elements(self, "item")
    return numpy(self).item()


def tolist(self: Tensor) -> Any:
    """The elements as nested Python lists."""
    require_elements(self, "tolist")
    return numpy(self).tolist()


def _bool(self: Tensor) -> bool:
    if self.size != 1:
        raise errors.complaint(errors.ShapeError, "bool", "the truth of several elements or none is ambiguous",
                               {"x": self}, "use x.any() or x.all()")
    require_elements(self, "bool")
    return bool(item(self))


def _number(kind: type) -> Any:
    def convert(self: Tensor) -> Any:
        require_elements(self, kind.__name__)
        number = item(self)
        if isinstance(number, complex) and kind is not complex:
            raise errors.complaint(errors.DTypeError, kind.__name__, "a complex number is no real one", {"x": self},
                                   "use tl.real(x) or tl.abs(x)")
        return kind(number)
    return convert


def _index(self: Tensor) -> int:
    if self.dtype.kind not in "iu" or self.ndim != 0:
        raise errors.complaint(errors.DTypeError, "index", "only a 0-dimensional integer tensor is an index",
                               {"x": self})
    require_elements(self, "index")
    return int(item(self))


def _length(self: Tensor) -> int:
    if self.ndim == 0:
        raise errors.complaint(errors.DTypeError, "len", "a 0-dimensional tensor has no length", {"x": self})
    return self.shape[0]


def _iterate(self: Tensor) -> Iterator[Tensor]:
    if self.ndim == 0:
        raise errors.complaint(errors.DTypeError, "iter", "a 0-dimensional tensor cannot be iterated over", {"x": self})
    return (get_item(self, i) for i in range(self.shape[0]))


def _contains(self: Tensor, value: Any) -> bool:
    return bool((numpy(self) == (value.numpy() if isinstance(value, Tensor) else value)).any())


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    if self.node is not None:
        raise errors.complaint(errors.GradientError, "__array__", "NumPy cannot record derivatives", {"x": self},
                               "use x.detach().numpy()")
    array = numpy(self)
    if dtype is not None and np.dtype(dtype) != array.dtype:
        if copy is False:
            raise ValueError(f"__array__: {array.dtype.name} cannot become {np.dtype(dtype).name} without a copy")
        return array.astype(dtype)
    return array.copy() if copy else array


def _numpy_method(self: Tensor, *, force: bool = False) -> np.ndarray:
    if self.node is not None and not force:
        raise errors.complaint(errors.GradientError, "numpy", "NumPy cannot record derivatives", {"x": self},
                               "use x.detach().numpy()")
    return numpy(self)


_numpy_method.__name__, _numpy_method.__doc__ = "numpy", numpy.__doc__


def _dlpack(self: Tensor, *, stream: Any = None, max_version: tuple[int, int] | None = None,
            dl_device: tuple[Any, int] | None = None, copy: bool | None = None) -> Any:
    """A DLPack capsule of the elements (DLPack 1.0, as the array API asks)."""
    if self.node is not None:
        raise errors.complaint(errors.GradientError, "__dlpack__", "another library cannot record derivatives",
                               {"x": self}, "export x.detach()")
    array = self.array
    if type(array) is not np.ndarray:
        return array.__dlpack__(stream=stream)
    if array.dtype == bfloat16:
        raise errors.complaint(errors.DTypeError, "__dlpack__", "NumPy exports no bfloat16", {"x": self},
                               "cast it first: x.to(tl.float32)")
    lending.borrow(array)
    if not array.flags.writeable and (max_version is None or max_version < (1, 0)):
        array = array.copy()
    return array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def _dlpack_device(self: Tensor) -> tuple[Any, int]:
    return self.array.__dlpack_device__()


def _namespace(self: Tensor, /, *, api_version: str | None = None) -> ModuleType:
    """The module with the array API standard's functions: ``tensorlite`` itself."""
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise errors.complaint(errors.ArgumentError, "__array_namespace__",
                               f"no array API version {api_version!r} here", None, "use '2024.12'")
    return sys.modules["tensorlite"]


@public(method=False)
def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares a NumPy array's memory: later changes of the array are seen by the tensor.

    >>> import numpy, tensorlite as tl
    >>> tl.from_numpy(numpy.ones(2))
    tensor([1., 1.], dtype=float64)
    """
    if not isinstance(array, np.ndarray):
        raise errors.complaint(errors.DTypeError, "from_numpy", f"takes a NumPy array, not {type(array).__name__}",
                               None, "use tl.asarray(...)")
    return asarray(array)


@public(method=False)
def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor of another library's array, without copying where that is possible.

    >>> import numpy, tensorlite as tl
    >>> tl.from_dlpack(numpy.arange(3))
    tensor([0, 1, 2])
    """
    if not hasattr(x, "__dlpack__"):
        raise errors.complaint(errors.DTypeError, "from_dlpack", f"{type(x).__name__} has no __dlpack__ method")
    array = imported("from_dlpack", x, copy)
    lending.borrow(array)
    return Tensor(in_dtype(array, None, None) if isinstance(array, np.ndarray) else array)


TENSOR_MEMBERS: dict[str, Any] = {
    "numpy": _numpy_method, "item": item, "tolist": tolist, "__bool__": _bool, "__int__": _number(int),
    "__float__": _number(float), "__complex__": _number(complex), "__index__": _index, "__len__": _length,
    "__iter__": _iterate, "__contains__": _contains, "__array__": _array, "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device, "__array_namespace__": _namespace,
}
