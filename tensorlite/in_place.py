"""In-place spellings: they rebind a tensor to a new value, and refuse where others would expect to see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.dispatch import quietly
from tensorlite.kernels.cpu.allocator import owns_alone
from tensorlite.ops import creation, elementwise, shape
from tensorlite.ops.indexing import index
from tensorlite.state import state
from tensorlite.tape import Leaf
from tensorlite.tensor import Tensor, visible_base
from tensorlite.tensor_type import can_hold, promote_scalar, scalar_kind
from tensorlite.traced import is_traced


def in_place(name: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The in-place spelling of a function: rebinds the tensor to the result."""
    def method(self: Tensor, *arguments: Any, **kwargs: Any) -> Tensor:
        check_in_place(name, self)
        return rebind(name, self, function(self, *arguments, **kwargs))
    method.__doc__ = f"Rebinds the tensor to what `{function.__name__}` gives, and returns it."
    return method


def check_in_place(name: str, x: Tensor) -> None:
    """Raises `GradientError` where an in-place spelling would mean something else than in PyTorch or NumPy."""
    if state.met is not None:
        state.met(x)
    if state.recording and type(x.node) is Leaf:
        raise errors.complaint(
            errors.GradientError, name, "a leaf that requires gradients cannot be replaced while ops are recorded",
            {"x": x}, "update it inside `with tl.no_grad():`, or write y = ... for a new tensor")
    base = visible_base(x)
    if base is not None:
        raise errors.complaint(
            errors.GradientError, name,
            "the tensor is a view of another one that is still in use, and would not change it",
            {"view": x, "base": base}, f"index the base itself, as in base[i] += v, or make a new tensor: {_new(name)}")


def _new(name: str) -> str:
    """The spelling that makes a new tensor."""
    if name.endswith("="):
        return f"v = v {name[:-1]} ..."
    return f"v = v.{name[:-1]}(...)" if hasattr(Tensor, name[:-1]) else "v = v.clone()"


def rebind(name: str, x: Tensor, result: Tensor) -> Tensor:
    """Makes ``x`` hold another value of the same shape and dtype."""
    if result.shape != x.shape:
        raise errors.complaint(errors.ShapeError, name,
                               f"the result has shape {list(result.shape)}, which x cannot hold",
                               {"x": x}, "use the function that makes a new tensor")
    if result.dtype != x.dtype:
        if not can_hold(x.dtype, result.dtype):
            raise errors.complaint(errors.DTypeError, name, f"the result is {result.dtype.name}, which x cannot hold",
                                   {"x": x}, f"cast x first: x.to(tl.{result.dtype.name})")
        result = shape.astype(result, x.dtype)
    x.array = result.array
    x.bases = ()
    if state.recording:
        x.node = result.node
    return x


def set_item(self: Tensor, where: Any, value: Any) -> None:
    """Assigns ``x[where] = value``: ``x`` becomes a new value, in its old buffer where nobody else holds that."""
    check_in_place("setitem", self)
    if isinstance(where, Tensor) and where.dtype == np.bool_ and is_traced(where):
        value = _checked(self, value)
        if _fits_mask(self, where, value):
            rebind("setitem", self, _masked(self, where, value))
            return
    try:
        spec, indices = index.split_index(where, self)
    except errors.IndexingError as error:
        raise errors.complaint(errors.IndexingError, "setitem", error.problem, {"x": self, "index": where},
                               error.fix) from None
    value = _checked(self, value)
    if not _assign_alone(self, value, spec, indices):
        rebind("setitem", self, index.set_item_at(self, value, indices, spec))


def _fits_mask(x: Tensor, mask: Tensor, value: Tensor) -> bool:
    """Whether every element that a mask picks, which is only known later, gets the same value."""
    rest = x.shape[mask.ndim:]
    padded = (1,) * (len(rest) - value.ndim) + value.shape
    first = len(padded) - len(rest)
    return mask.shape == x.shape[:mask.ndim] and set(padded[:first]) <= {1} and all(
        n in (1, extent) for n, extent in zip(padded[first:], rest, strict=True))


def _masked(x: Tensor, mask: Tensor, value: Tensor) -> Tensor:
    """The tensor with one value where a mask says so."""
    rest = x.ndim - mask.ndim
    one = shape.reshape(shape.astype(value, x.dtype), value.shape[max(value.ndim - rest, 0):])
    return elementwise.where(shape.reshape(mask, mask.shape + (1,) * rest), one, x)


def _checked(x: Tensor, value: Any) -> Tensor:
    """What is assigned as a tensor of a dtype that ``x`` can hold."""
    if not isinstance(value, Tensor):
        value = _as_value(x, value)
    if not can_hold(x.dtype, value.dtype):
        raise errors.complaint(errors.DTypeError, "setitem", f"x cannot hold {value.dtype.name} values",
                               {"x": x, "value": value}, f"cast them first: value.to(tl.{x.dtype.name})")
    return value


def _as_value(x: Tensor, value: Any) -> Tensor:
    """What is assigned as a tensor: a number has the dtype of ``x`` if that can hold its kind."""
    name = scalar_kind(value)
    if name is None or promote_scalar(x.dtype, name) != x.dtype:
        return creation.asarray(value)
    try:
        return Tensor(quietly(np.asarray, value, x.dtype))
    except OverflowError as problem:
        raise errors.complaint(errors.ArgumentError, "setitem", str(problem), {"x": x, "value": value}) from None


def _assign_alone(x: Tensor, value: Tensor, spec: Sequence[Any], indices: Sequence[Tensor]) -> bool:
    """Writes into the buffer itself, where nothing is recorded or traced and nobody else can see it."""
    recorded = state.recording and (x.node is not None or value.node is not None)
    if recorded or state.interpreter is not None or type(x.array) is not np.ndarray or not owns_alone(x.array):
        return False
    if type(value.array) is not np.ndarray:
        return False
    try:
        quietly(x.array.__setitem__, index.join_index(spec, [i.array for i in indices]), value.array)
    except (IndexError, ValueError, TypeError, OverflowError):
        return False
    return True
