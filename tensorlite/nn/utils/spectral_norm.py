"""A weight over its largest singular value, in the form that has the weight beside the layer's own parameters.

Miyato et al., "Spectral normalization for generative adversarial networks", 2018. See `parametrizations.spectral_norm`
for the other form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.axes import one_axis
from tensorlite.ops.bounds import clip
from tensorlite.ops.elementwise import sqrt, square
from tensorlite.ops.filled import empty
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.manipulation import moveaxis
from tensorlite.ops.reduce import sum
from tensorlite.ops.shape import permute_dims, reshape
from tensorlite.tensor import Tensor

__all__ = ["remove_spectral_norm", "spectral_norm"]

M = TypeVar("M", bound=Module)


def default_axis(module: Module) -> int:
    """The axis of a layer's weight that its outputs lie along."""
    return 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight as a matrix whose rows are its slices across an axis."""
    axis = one_axis("spectral_norm", weight, dim)
    rows = moveaxis(weight, axis, 0)
    return reshape(rows, (rows.shape[0], -1))


def unit(x: Tensor, eps: float) -> Tensor:
    """A vector over its length, or over ``eps`` where that is more."""
    return x / clip(sqrt(sum(square(x))), min=eps)


def random_unit(size: int, like: Tensor, eps: float) -> Tensor:
    """A vector of length 1 of any direction."""
    return unit(empty((size,), dtype=like.dtype, device=like.device).normal_(), eps)


def largest_singular_value(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``u @ matrix @ v``, of the singular vectors."""
    return sum(u.detach() * matmul(matrix, v.detach()))


@dataclass(frozen=True)
class _SpectralNorm:
    name: str
    dim: int
    n_power_iterations: int
    eps: float

    def compute(self, module: Module) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        return weight / largest_singular_value(as_matrix(weight, self.dim), u, v)

    def assign(self, module: Module, value: Any) -> None:
        raise complaint(ArgumentError, type(module).__name__, f"{self.name} is computed from {self.name}_orig", None,
                        "set that, or remove_spectral_norm() first")

    def __call__(self, module: Module, arguments: tuple[Any, ...]) -> None:
        """Before a call in training: moves the vectors towards the singular ones."""
        if not module.training:
            return
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        with no_grad():
            matrix = as_matrix(weight.detach(), self.dim)
            for _ in range(self.n_power_iterations):
                v.copy_(unit(matmul(permute_dims(matrix, (1, 0)), u), self.eps))
                u.copy_(unit(matmul(matrix, v), self.eps))


def spectral_norm(module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> M:
    """Makes a parameter what ``name_orig``, which is trained instead, is over its largest singular value.

    That is estimated by ``n_power_iterations`` of the power method for each call in training, from where the last call
    left the vectors ``name_u`` and ``name_v``, which are buffers. Miyato et al., 2018. The axis ``dim`` makes the
    rows; by default the one of the outputs. Raises `ArgumentError` where the module has no such parameter.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.spectral_norm(tl.nn.Linear(3, 2))
    >>> sorted(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if isinstance(module.__dict__.get("_derived", {}).get(name), _SpectralNorm):
        raise complaint(ArgumentError, "spectral_norm", f"{name} of {type(module).__name__} is normalised already")
    if n_power_iterations <= 0:
        raise complaint(ArgumentError, "spectral_norm",
                        f"n_power_iterations is 1 or more, not {n_power_iterations}")
    weight = module._parameters.get(name)
    if weight is None:
        raise complaint(ArgumentError, "spectral_norm", f"{type(module).__name__} has no parameter {name!r}")
    recipe = _SpectralNorm(name, default_axis(module) if dim is None else dim, n_power_iterations, eps)
    height, width = as_matrix(weight.detach(), recipe.dim).shape
    module.derive(name, recipe)
    module.register_parameter(f"{name}_orig", weight)
    module.register_buffer(f"{name}_u", random_unit(height, weight, eps))
    module.register_buffer(f"{name}_v", random_unit(width, weight, eps))
    module.register_forward_pre_hook(recipe)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Makes what `spectral_norm` computes a parameter again, of the present value.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.remove_spectral_norm(tl.nn.utils.spectral_norm(tl.nn.Linear(3, 2)))
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
    recipe = module.__dict__.get("_derived", {}).get(name)
    if not isinstance(recipe, _SpectralNorm):
        raise complaint(ArgumentError, "remove_spectral_norm", f"{name} of {type(module).__name__} is not normalised")
    value = getattr(module, name).detach()
    module.derive(name, None)
    for part in ("orig", "u", "v"):
        delattr(module, f"{name}_{part}")
    for hook in [hook for hook in module._forward_pre_hooks if hook.func.function == recipe]:  # type: ignore[attr-defined]
        module._forward_pre_hooks.remove(hook)
    module.register_parameter(name, Parameter(value))
    return module
