"""Methods that PyTorch names where the array API has none: ``view``, ``permute``, ``to``, ``clone`` and their kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite import tensor_type as types
from tensorlite.batch import unchanged
from tensorlite.context import find
from tensorlite.declare import IN_PLACE, METHODS, PUBLIC, primitive
from tensorlite.kernels import device as devices
from tensorlite.ops import bits, scaled  # noqa: F401  (they declare functions that are named here)
from tensorlite.ops import shape as shapes
from tensorlite.ops.axes import one_axis
from tensorlite.tensor import Tensor, link_view
from tensorlite.tensor_type import TensorType, dtype_of
from tensorlite.traced import is_traced, require_elements

#: The same elementwise function by the name that PyTorch gives it.
ALIASES = {
    "mul": "multiply", "sub": "subtract", "div": "divide", "true_divide": "divide", "neg": "negative",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "bitwise_not": "bitwise_invert", "fix": "trunc", "sgn": "sign",
}


def _several(arguments: tuple[Any, ...]) -> Any:
    """Arguments given one by one or as one sequence."""
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], Sequence) else arguments


def view(self: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, or seen as another dtype of the same width."""
    if len(shape) == 1 and not isinstance(shape[0], int | Sequence):
        return _seen_as(self, dtype_of(shape[0]))
    return PUBLIC["reshape"](self, _several(shape))


def _seen_as(self: Tensor, dtype: np.dtype) -> Tensor:
    """The same bits read as numbers of another dtype, which has no derivative."""
    if dtype == self.dtype:
        return PUBLIC["reshape"](self, self.shape)
    if dtype.itemsize != self.dtype.itemsize:
        raise errors.complaint(errors.DTypeError, "view", f"{dtype.name} is not as wide as {self.dtype.name}",
                               {"x": self}, f"cast it: x.to(tl.{dtype.name})")
    require_elements(self, "view")
    made = Tensor(self.array.view(dtype))
    link_view(made, self)
    return made


def reshape(self: Tensor, *shape: Any, **options: Any) -> Tensor:
    """The same elements in another shape, given as one sequence or as several integers."""
    return PUBLIC["reshape"](self, _several(shape), **options) if shape else PUBLIC["reshape"](self, **options)


def permute(self: Tensor, *axes: Any) -> Tensor:
    """The tensor with its axes in another order."""
    return PUBLIC["permute_dims"](self, _several(axes))


def transpose(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """The tensor with two axes exchanged."""
    order = list(range(self.ndim))
    i, j = one_axis("transpose", self, dim0), one_axis("transpose", self, dim1)
    order[i], order[j] = order[j], order[i]
    return PUBLIC["permute_dims"](self, order)


def _transposed(self: Tensor) -> Tensor:
    """The transpose of a matrix."""
    if self.ndim > 2:
        raise errors.complaint(errors.ShapeError, "T", "only a matrix has one transpose", {"x": self},
                               "use x.mT for stacks of matrices")
    return PUBLIC["permute_dims"](self, tuple(reversed(range(self.ndim))))


def _matrix_transposed(self: Tensor) -> Tensor:
    """The tensor with its last two axes exchanged."""
    if self.ndim < 2:
        raise errors.complaint(errors.ShapeError, "mT", "a matrix has two axes", {"x": self})
    return transpose(self, -1, -2)


def unsqueeze(self: Tensor, dim: int) -> Tensor:
    """The tensor with an axis of extent 1 inserted."""
    axis = one_axis("unsqueeze", self, dim, self.ndim + 1)
    return PUBLIC["reshape"](self, (*self.shape[:axis], 1, *self.shape[axis:]))


def expand(self: Tensor, *sizes: Any) -> Tensor:
    """The tensor broadcast to larger extents; -1 keeps one."""
    wanted = tuple(_several(sizes))
    lead = len(wanted) - self.ndim
    return PUBLIC["broadcast_to"](self, tuple(
        self.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted)))


@primitive("opaque", batch=unchanged, type=lambda x, *, device: TensorType(x.dtype, x.shape, device),
           vjp={"x": lambda g: g})
def _to_device(xp: Any, x: Any, *, device: str) -> Any:
    return devices.get(device).asarray(devices.of(x).to_numpy(x))


def to(self: Tensor, *arguments: Any, dtype: Any = None, device: str | None = None, copy: bool = False) -> Tensor:
    """The tensor in another dtype, on another device, or as another tensor is; itself where nothing changes.

    >>> import tensorlite as tl
    >>> tl.tensor([1, 2]).to(tl.float64).dtype
    dtype('float64')
    """
    for argument in arguments:
        if isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
        elif isinstance(argument, str) and argument.split(":")[0] in ("cpu", "cuda"):
            device = argument
        else:
            dtype = argument
    result = self
    if device is not None and find(device, "to").name != self.device:
        result = _to_device(result, device=find(device, "to").name)
    if dtype is not None:
        result = shapes.astype(result, dtype_of(dtype), copy=False)
    return clone(self) if copy and result is self else result


def _caster(dtype: np.dtype) -> Callable[[Tensor], Tensor]:
    def cast(self: Tensor) -> Tensor:
        return shapes.astype(self, dtype, copy=False)
    cast.__doc__ = f"Casts to {dtype.name}."
    return cast


def clone(self: Tensor) -> Tensor:
    """A copy, recorded as its source is."""
    return shapes._copy(self)


def contiguous(self: Tensor) -> Tensor:
    """The tensor itself if its elements lie in order, else a copy in order."""
    return self if is_contiguous(self) else clone(self)


def is_contiguous(self: Tensor) -> bool:
    """Whether the elements lie in memory in the order of their indices."""
    return is_traced(self) or bool(self.array.flags.c_contiguous)


def numel(self: Tensor) -> int:
    """The number of elements."""
    return self.size


def dim(self: Tensor) -> int:
    """The number of axes."""
    return self.ndim


def element_size(self: Tensor) -> int:
    """The bytes of one element."""
    return self.dtype.itemsize


def is_floating_point(self: Tensor) -> bool:
    """Whether the dtype is a real floating one."""
    return self.dtype in types.FLOATS


def _copied(self: Tensor, source: Any) -> Tensor:
    source = source if isinstance(source, Tensor) else PUBLIC["asarray"](source)
    try:
        fits = np.broadcast_shapes(source.shape, self.shape) == self.shape
    except ValueError:
        fits = False
    if not fits:
        raise errors.complaint(errors.ShapeError, "copy_",
                               f"{list(source.shape)} does not broadcast to {list(self.shape)}",
                               {"x": self, "source": source})
    return shapes.astype(PUBLIC["broadcast_to"](source, self.shape), self.dtype)


def _filled(self: Tensor, value: Any) -> Tensor:
    return _copied(self, PUBLIC["asarray"](value, dtype=self.dtype))


def _zeroed(self: Tensor) -> Tensor:
    return shapes._zeros_like(self)


_copied.__name__, _filled.__name__, _zeroed.__name__ = "copy", "fill", "zero"
IN_PLACE.update(copy=_copied, fill=_filled, zero=_zeroed)

TENSOR_MEMBERS: dict[str, Any] = {
    **{alias: METHODS[name] for alias, name in ALIASES.items()},
    "view": view, "reshape": reshape, "permute": permute, "transpose": transpose, "unsqueeze": unsqueeze,
    "expand": expand, "to": to, "clone": clone, "contiguous": contiguous,
    "is_contiguous": is_contiguous, "numel": numel, "dim": dim, "element_size": element_size,
    "is_floating_point": is_floating_point, "T": property(_transposed), "mT": property(_matrix_transposed),
    "real": property(METHODS["real"]), "imag": property(METHODS["imag"]),
    "t": _transposed, "to_device": lambda self, device, /, *, stream=None: to(self, device=device),
    "cpu": lambda self: to(self, device="cpu"), "cuda": lambda self, index=0: to(self, device=f"cuda:{index}"),
    **{name: _caster(dtype) for name, dtype in {
        "float": types.float32, "double": types.float64, "half": types.float16, "bfloat16": types.bfloat16,
        "int": types.int32, "long": types.int64, "short": types.int16, "char": types.int8, "byte": types.uint8,
        "bool": types.bool_}.items()},
}
for _alias, _name in ALIASES.items():
    IN_PLACE[_alias] = METHODS[_name]
