"""Parameter and Buffer: tensors that a module owns, to be changed by an optimizer or only by the module itself."""

from __future__ import annotations

import numpy as np

from tensorlite.errors import DTypeError, complaint
from tensorlite.ops.creation import place, require_grad
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that becomes part of the module it is assigned to, and requires gradients unless told otherwise.

    >>> import tensorlite as tl
    >>> tl.nn.Parameter(tl.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is not None and not isinstance(data, Tensor):
            raise complaint(DTypeError, "Parameter", f"takes a tensor, not {type(data).__name__}", None,
                            "make it one: tl.asarray(...)")
        super().__init__(place(np.empty(0, DEFAULT_FLOAT), None) if data is None else data.array)
        require_grad(self, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{Tensor.__repr__(self)}"


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module it is assigned to; `state_dict` holds it if it is persistent.

    >>> import tensorlite as tl
    >>> class Counting(tl.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.count = tl.nn.Buffer(tl.tensor(0))
    >>> list(Counting().state_dict())
    ['count']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is not None and not isinstance(data, Tensor):
            raise complaint(DTypeError, "Buffer", f"takes a tensor, not {type(data).__name__}", None,
                            "make it one: tl.asarray(...)")
        super().__init__(place(np.empty(0, DEFAULT_FLOAT), None) if data is None else data.array)
        self.persistent = persistent
