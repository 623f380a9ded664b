"""Parametrizations that are ready: weights of given length, of a largest singular value of 1, or orthogonal."""

from __future__ import annotations

from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.module import Module
from tensorlite.nn.utils.orthogonal import orthogonal
from tensorlite.nn.utils.parametrize import register_parametrization
from tensorlite.nn.utils.spectral_norm import as_matrix, default_axis, largest_singular_value, random_unit, unit
from tensorlite.nn.utils.weight_norm import norm_except, of_length
from tensorlite.ops.axes import one_axis
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.shape import permute_dims
from tensorlite.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _tensor(op: str, module: Module, name: str) -> Tensor:
    found = getattr(module, name, None)
    if not isinstance(found, Tensor):
        raise complaint(ArgumentError, op, f"{type(module).__name__} has no parameter or buffer {name!r}")
    return found


class _WeightNorm(Module):
    """A direction times a length."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return of_length(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The length and the direction of a weight."""
        return norm_except(weight, self.dim), weight


class _OlderKeys:
    """Reads ``weight_g`` and ``weight_v``, as the older form of `weight_norm` has them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        older = [f"{prefix}{self.name}_{part}" for part in "gv"]
        if all(key in state_dict for key in older):
            for number, key in enumerate(older):
                state_dict[f"{prefix}parametrizations.{self.name}.original{number}"] = state_dict.pop(key)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Makes a tensor ``g * v / |v|``; a length ``g`` (``original0``) and a direction ``v`` (``original1``) are trained.

    There is one length for each slice across ``dim``, or one for all with None. State dicts of the older form can be
    loaded. Salimans and Kingma, "Weight normalization", 2016.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.parametrizations.weight_norm(tl.nn.Linear(3, 2))
    >>> layer.parametrizations.weight.original0.shape
    (2, 1)
    """
    _tensor("weight_norm", module, name)
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module.register_load_state_dict_pre_hook(_OlderKeys(name))
    return module


class _SpectralNorm(Module):
    """A weight over its largest singular value, which the power method estimates."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.eps = one_axis("spectral_norm", weight, dim), eps
        if n_power_iterations <= 0:
            raise complaint(ArgumentError, "spectral_norm",
                            f"n_power_iterations is 1 or more, not {n_power_iterations}")
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(name, random_unit(size, weight, eps))
            self._iterate(matrix, 15)

    @no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        matrix = matrix.detach()
        for _ in range(times):
            self._u.copy_(unit(matmul(matrix, self._v), self.eps))
            self._v.copy_(unit(matmul(permute_dims(matrix, (1, 0)), self._u), self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        return weight / largest_singular_value(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """The weight itself, whose singular values may be smaller."""
        return value


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> Module:
    """Makes a tensor what it is over its largest singular value; a vector, what it is over its length.

    That value is estimated by ``n_power_iterations`` of the power method whenever the tensor is read in training, from
    where the last time left the singular vectors, which are buffers. Miyato et al., "Spectral normalization for
    generative adversarial networks", 2018. The axis ``dim`` makes the rows; by default the one of the outputs.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.parametrizations.spectral_norm(tl.nn.Linear(3, 2))
    >>> list(layer.state_dict())
    ['bias', 'parametrizations.weight.original', 'parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight = _tensor("spectral_norm", module, name)
    axis = default_axis(module) if dim is None else dim
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, axis, eps))
    return module
