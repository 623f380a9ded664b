"""Methods and attributes of tensors that PyTorch has and nobody else: ``new_zeros``, ``H``, ``type_as`` and kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite.declare import METHODS, PUBLIC, public
from tensorlite.errors import ShapeError, complaint
from tensorlite.ops import shape as shapes
from tensorlite.ops import torch_names
from tensorlite.ops.filled import empty, full, ones, zeros
from tensorlite.ops.linear_algebra.matrices import adjoint as _adjoint
from tensorlite.ops.manipulation import tile
from tensorlite.ops.reduce import sum
from tensorlite.tensor import Tensor


def _new(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method that makes a tensor of the dtype and device of another, where none is asked for."""
    def method(self: Tensor, *arguments: Any, dtype: Any = None, device: str | None = None,
               requires_grad: bool = False, **options: Any) -> Tensor:
        made = make(*arguments, dtype=dtype or self.dtype, device=device or self.device, **options)
        return made.requires_grad_() if requires_grad else made
    method.__doc__ = f"What `tl.{make.__name__}` makes, by default of the tensor's dtype and on its device."
    return method


@public
def adjoint(x: Tensor, /) -> Tensor:
    """The tensor with its last two axes exchanged, and conjugated.

    >>> import tensorlite as tl
    >>> tl.adjoint(tl.tensor([[1j, 2.0]]))
    tensor([[0.-1.j],
            [2.-0.j]], dtype=complex64)
    """
    if x.ndim < 2:
        raise complaint(ShapeError, "adjoint", "a matrix has two axes", {"x": x})
    return _adjoint(x)


def _conjugate_transposed(self: Tensor) -> Tensor:
    """The conjugate transpose of a matrix."""
    if self.ndim not in (0, 2):
        raise complaint(ShapeError, "H", "only a matrix has one transpose", {"x": self},
                        "use x.mH for stacks of matrices")
    return _adjoint(self) if self.ndim else self


def type_as(self: Tensor, tensor: Tensor) -> Tensor:
    """The tensor in the dtype of another."""
    return shapes.astype(self, tensor.dtype, copy=False)


def repeat(self: Tensor, *sizes: Any) -> Tensor:
    """The whole tensor repeated along each axis, as PyTorch's method does; `repeat_interleave` repeats elements.

    Raises `ShapeError` for fewer counts than axes.

    >>> import tensorlite as tl
    >>> tl.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    counts = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if len(counts) < self.ndim:
        raise complaint(ShapeError, "repeat", f"{len(counts)} counts are too few for {self.ndim} axes", {"x": self},
                        "give a count for each axis; x.repeat_interleave repeats the elements")
    return tile(self, tuple(counts))


def _tile(self: Tensor, *repetitions: Any) -> Tensor:
    """The whole tensor repeated along each axis; counts are given one by one or as one sequence."""
    return tile(self, repetitions[0] if len(repetitions) == 1 else repetitions)


def where(self: Tensor, condition: Tensor, y: Any) -> Tensor:
    """The tensor's elements where the condition is true, else those of ``y``.

    >>> import tensorlite as tl
    >>> x = tl.tensor([-1.0, 2.0])
    >>> x.where(x > 0, 0.0)
    tensor([0., 2.])
    """
    return PUBLIC["where"](condition, self, y)


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the axes that broadcasting from a shape would add or stretch: what undoes it.

    Raises `ShapeError` where the shape does not broadcast to the tensor's.

    >>> import tensorlite as tl
    >>> tl.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    wanted = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    lead = self.ndim - len(wanted)
    if lead < 0 or any(n not in (1, m) for n, m in zip(wanted, self.shape[max(lead, 0):], strict=False)):
        raise complaint(ShapeError, "sum_to_size", f"{list(wanted)} does not broadcast to {list(self.shape)}",
                        {"x": self})
    stretched = [lead + i for i, n in enumerate(wanted) if n == 1 and self.shape[lead + i] != 1]
    return shapes.reshape(sum(self, (*range(lead), *stretched), dtype=self.dtype), wanted)


def _same(x: Tensor, /) -> Tensor:
    """The tensor itself: conjugation and negation are computed where they are asked for, and leave nothing to do."""
    return x


TENSOR_MEMBERS: dict[str, Any] = {
    **{f"new_{make.__name__}": _new(make) for make in (zeros, ones, empty, full)},
    "new_tensor": _new(PUBLIC["tensor"]), "type_as": type_as, "repeat": repeat, "tile": _tile, "where": where,
    "sum_to_size": sum_to_size, "H": property(_conjugate_transposed), "mH": property(adjoint),
    "nbytes": property(lambda self: self.size * self.dtype.itemsize, doc="The bytes of all elements."),
    "itemsize": property(lambda self: self.dtype.itemsize, doc="The bytes of one element."),
    "is_cpu": property(lambda self: self.device == "cpu", doc="Whether the tensor is on the CPU."),
    "is_cuda": property(lambda self: self.device.startswith("cuda"), doc="Whether the tensor is on a GPU."),
    "is_sparse": property(lambda self: False, doc="Whether only some elements are kept: never."),
    "is_quantized": property(lambda self: False, doc="Whether elements carry a scale and a zero point: never."),
    "ndimension": lambda self: self.ndim, "nelement": lambda self: self.size,
}
for _name in ("resolve_conj", "resolve_neg"):
    PUBLIC[_name] = METHODS[_name] = _same
PUBLIC.update(clone=torch_names.clone, t=torch_names.TENSOR_MEMBERS["t"])
