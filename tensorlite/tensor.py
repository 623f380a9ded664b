"""Tensor: a bare holder of an array and of the tape's node that made it.

Operators and methods are bound onto it in `methods`, so that this file depends on nothing above it.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tensorlite.kernels import device as devices
from tensorlite.state import state
from tensorlite.tensor_type import TensorType


class Tensor:
    """An n-dimensional array with a tape: a value, whose in-place spellings rebind it to a new value.

    `array` is the raw array of its device, or while tracing a value of the graph. `node` is what the tape recorded, or
    None for a constant; `gradient` is what ``.grad`` gives, without telling a trace of it.

    >>> import tensorlite as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "array", "bases", "gradient", "node")
    __array_priority__ = 1000

    array: Any
    node: Any
    gradient: Tensor | None
    bases: tuple[weakref.ref[Tensor], ...]

    def __init__(self, array: Any, node: Any = None) -> None:
        self.array = array
        self.node = node
        self.gradient = None
        self.bases = ()

    @property
    def grad(self) -> Tensor | None:
        """What `backward` has added up for a leaf that requires gradients; of the tensor's shape and dtype."""
        if state.grad is not None:
            state.grad(self, "read")
        return self.gradient

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if state.grad is not None:
            state.grad(self, "forgotten")
        self.gradient = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the axes."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array.size

    @property
    def device(self) -> str:
        """The name of the device that holds the elements, as ``"cpu"`` or ``"cuda:0"``."""
        array = self.array
        if type(array) is np.ndarray:
            return "cpu"
        return array.type.device if hasattr(array, "type") else devices.of(array).name

    @property
    def type(self) -> TensorType:
        """The dtype, shape and device."""
        return TensorType(self.dtype, self.shape, self.device)


def same_memory(view: Any, array: Any) -> bool:
    """Whether a movement op gave a view of its input rather than a copy."""
    return view is array or owner(view) is owner(array)


def owner(array: Any) -> Any:
    """The array whose memory an array shares."""
    while type(array.base) is type(array):
        array = array.base
    return array


def link_view(view: Tensor, base: Tensor) -> None:
    """Remembers, without keeping it alive, the tensor whose memory ``view`` shares."""
    view.bases = (*(ref for ref in base.bases if ref() is not None), weakref.ref(base))


def visible_base(tensor: Tensor) -> Tensor | None:
    """A tensor that is still alive and whose memory ``tensor`` is a view of."""
    for ref in reversed(tensor.bases):
        base = ref()
        if base is not None and base is not tensor and same_memory(tensor.array, base.array):
            return base
    return None
