"""Parameters and buffers whose shape is not known yet: what lazy modules hold until they meet their first input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tensorlite.errors import ShapeError, complaint
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.creation import require_grad
from tensorlite.ops.filled import empty
from tensorlite.tensor import Tensor

__all__ = ["UninitializedBuffer", "UninitializedParameter"]

_HELD: Any = Tensor.__dict__["array"]  # where tensors hold arrays: here an empty one, of the dtype and device to come


class Uninitialized(Tensor):
    """A tensor that has a dtype and a device alone: whoever asks for its shape or elements is told so."""

    __slots__ = ()

    @property
    def array(self) -> Any:
        """The elements, which there are none of: raises `ShapeError`."""
        raise complaint(ShapeError, type(self).__name__, "the shape is not known yet", None,
                        "call the module with an input first, or load its state")

    @array.setter
    def array(self, value: Any) -> None:
        _HELD.__set__(self, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents, which are not known: raises `ShapeError`."""
        shape: tuple[int, ...] = self.array
        return shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype that the elements will have."""
        return _held(self).dtype

    @property
    def device(self) -> str:
        """The device that the elements will be on."""
        return _held(self).device

    @property
    def type(self) -> Any:
        """None: there is no type without a shape."""
        return None

    def detach(self) -> Self:
        """The same: there is nothing to detach."""
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Says whether it will require gradients. Leaves are made of tensors with a shape, and so of the empty one."""
        kind, self.__class__ = self.__class__, _plain(self)
        try:
            require_grad(self, requires_grad)
        finally:
            self.__class__ = kind
        return self

    def materialize(self, shape: Sequence[int], device: str | None = None, dtype: Any = None) -> None:
        """Makes it a parameter, or a tensor, of a shape, its elements not set."""
        made = empty(tuple(shape), dtype=self.dtype if dtype is None else dtype,
                     device=self.device if device is None else device)
        _HELD.__set__(self, made.array)
        if self.node is not None:
            self.node.shape, self.node.dtype = made.shape, made.dtype
        self.__class__ = _plain(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return self.__class__, (self.node is not None, self.device, self.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        kind, arguments = self.__reduce_ex__(0)
        memo[id(self)] = made = kind(*arguments)
        return made


def _plain(x: Tensor) -> Any:
    """The class of what has a shape."""
    return Parameter if isinstance(x, Parameter) else Tensor


def _held(x: Tensor) -> Tensor:
    """An empty tensor of the dtype and device to come."""
    return Tensor(_HELD.__get__(x))


class UninitializedParameter(Uninitialized, Parameter):
    """A parameter whose shape is not known yet; `materialize` gives it one.

    >>> import tensorlite as tl
    >>> weight = tl.nn.UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> type(weight).__name__, weight.shape
    ('Parameter', (2, 3))
    """

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: str | None = None, dtype: Any = None) -> None:
        Tensor.__init__(self, empty((0,), dtype=dtype, device=device).array)
        self.requires_grad_(requires_grad)

    def to(self, *arguments: Any, **options: Any) -> Tensor:
        """An empty tensor of another dtype or on another device: what `Module.to` puts in its place."""
        return _held(self).to(*arguments, **options)


class UninitializedBuffer(Uninitialized):
    """A buffer whose shape is not known yet; `materialize` gives it one."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = False, device: str | None = None, dtype: Any = None) -> None:
        Tensor.__init__(self, empty((0,), dtype=dtype, device=device).array)
        self.requires_grad_(requires_grad)

    def to(self, *arguments: Any, **options: Any) -> UninitializedBuffer:
        """Another one for another dtype or device."""
        changed = _held(self).to(*arguments, **options)
        return UninitializedBuffer(device=changed.device, dtype=changed.dtype)
