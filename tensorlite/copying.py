"""Copying and pickling tensors: constants and leaves stay what they are, recorded ones belong to their tape."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.kernels import device as devices
from tensorlite.ops.creation import in_dtype, require_grad
from tensorlite.tape import is_leaf
from tensorlite.tensor import Tensor


def _state(self: Tensor) -> dict[str, Any]:
    """What a subclass added to the slots of `Tensor`."""
    return dict(getattr(self, "__dict__", {}))


def _made(cls: type[Tensor], array: Any, requires_grad: bool, state: dict[str, Any]) -> Tensor:
    made = cls.__new__(cls)
    Tensor.__init__(made, array)
    if state:
        made.__dict__.update(state)
    return require_grad(made, requires_grad)


def _unpickled(cls: type[Tensor], array: np.ndarray, device: str, requires_grad: bool, state: dict[str, Any]) -> Tensor:
    return _made(cls, devices.get(device).asarray(in_dtype(array, None, None)), requires_grad, state)


def _checked(self: Tensor, caller: str) -> bool:
    """Whether the tensor requires gradients; raises `GradientError` if it was recorded."""
    if not is_leaf(self):
        raise errors.complaint(errors.GradientError, caller, "a recorded tensor cannot be copied with its tape",
                               {"x": self},
                               "copy x.detach(), or use x.clone(), which is recorded")
    return self.node is not None


def _copy(self: Tensor) -> Tensor:
    """Another tensor of the same value."""
    made = _made(type(self), self.array, _checked(self, "copy"), _state(self))
    made.gradient = self.gradient
    return made


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A tensor with elements, gradient and tape of its own."""
    made = _made(type(self), self.array.copy(), _checked(self, "deepcopy"), {})
    memo[id(self)] = made
    made.gradient = copy.deepcopy(self.gradient, memo)
    if _state(self):
        made.__dict__.update(copy.deepcopy(_state(self), memo))
    return made


def _reduce(self: Tensor, protocol: object) -> tuple[Any, ...]:
    requires_grad = _checked(self, "pickle")
    array = np.asarray(devices.of(self.array).to_numpy(self.array))
    return _unpickled, (type(self), array, self.device, requires_grad, _state(self))


TENSOR_MEMBERS: dict[str, Any] = {"__copy__": _copy, "__deepcopy__": _deepcopy, "__reduce_ex__": _reduce}
