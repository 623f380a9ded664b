"""A weight as a direction times a length: ``w = g * v / |v|``, in the form that has both beside the layer's own.

Salimans and Kingma, "Weight normalization", 2016. See `parametrizations.weight_norm` for the other form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.axes import one_axis
from tensorlite.ops.elementwise import sqrt, square
from tensorlite.ops.reduce import accumulator, sum
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["remove_weight_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The norms of the slices across an axis, which is kept; of the whole tensor for -1, as in PyTorch."""
    wide = astype(v, accumulator(v.dtype), copy=False)
    if dim == -1:
        return astype(sqrt(sum(square(wide))), v.dtype, copy=False)
    kept = one_axis("weight_norm", v, dim)
    others = tuple(axis for axis in range(v.ndim) if axis != kept)
    return astype(sqrt(sum(square(wide), axis=others, keepdims=True)), v.dtype, copy=False)


def of_length(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """A weight of the direction of ``v`` and the length ``g``."""
    return v * (g / norm_except(v, dim))


@dataclass(frozen=True)
class _WeightNorm:
    name: str
    dim: int

    def compute(self, module: Module) -> Tensor:
        return of_length(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def assign(self, module: Module, value: Any) -> None:
        raise complaint(ArgumentError, type(module).__name__, f"{self.name} is computed from {self.name}_g and "
                        f"{self.name}_v", None, "set these, or remove_weight_norm() first")


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Makes a parameter the product of a length, ``name_g``, and a direction, ``name_v``, which are trained instead.

    There is one length for each slice across ``dim``, or one for all with None. The weight is computed anew whenever
    it is read. Salimans and Kingma, "Weight normalization", 2016. Raises `ArgumentError` where the module has no such
    parameter.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.weight_norm(tl.nn.Linear(3, 2))
    >>> sorted(layer.state_dict())
    ['bias', 'weight_g', 'weight_v']
    """
    if isinstance(module.__dict__.get("_derived", {}).get(name), _WeightNorm):
        raise complaint(ArgumentError, "weight_norm", f"{name} of {type(module).__name__} is normalised already")
    weight = module._parameters.get(name)
    if weight is None:
        raise complaint(ArgumentError, "weight_norm", f"{type(module).__name__} has no parameter {name!r}")
    recipe = _WeightNorm(name, -1 if dim is None else dim)
    with no_grad():
        length = norm_except(weight, recipe.dim)
    module.derive(name, recipe)
    module.register_parameter(f"{name}_g", Parameter(length))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Makes what `weight_norm` computes a parameter again, of the present value.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.remove_weight_norm(tl.nn.utils.weight_norm(tl.nn.Linear(3, 2)))
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
    if not isinstance(module.__dict__.get("_derived", {}).get(name), _WeightNorm):
        raise complaint(ArgumentError, "remove_weight_norm", f"{name} of {type(module).__name__} is not normalised")
    value = getattr(module, name).detach()
    module.derive(name, None)
    delattr(module, f"{name}_g")
    delattr(module, f"{name}_v")
    module.register_parameter(name, Parameter(value))
    return module
