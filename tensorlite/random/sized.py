"""How NumPy's draws are sized: parameters that are numbers, lists or tensors, which broadcast to ``size``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import log
from tensorlite.ops.filled import full
from tensorlite.ops.shape import _reshape, astype, broadcast_to
from tensorlite.random.basic import randn
from tensorlite.random.discrete import drawn_gamma
from tensorlite.random.generator import Generator
from tensorlite.random.units import floating, inside, shape_of
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, float32, float64, promote, scalar_kind


@dataclass(frozen=True)
class Sized:
    """One draw: its shape, the dtype of its result, its stream, and its parameters, numbers or tensors."""

    shape: tuple[int, ...]
    dtype: np.dtype
    generator: Generator | None
    values: tuple[Any, ...]

    @property
    def wide(self) -> np.dtype:
        """The dtype to compute in."""
        return self.dtype if self.dtype == float64 else float32

    def inside(self) -> Tensor:
        """Even numbers of (0, 1)."""
        return _reshape(inside(math.prod(self.shape), self.wide, self.generator), shape=self.shape)

    def normal(self) -> Tensor:
        """Normal numbers."""
        return randn(self.shape, dtype=self.wide, generator=self.generator)

    def exponential(self) -> Tensor:
        """Exponential numbers of scale 1."""
        return -log(self.inside())

    def gamma(self, concentration: Any) -> Tensor:
        """Gamma numbers of scale 1."""
        return drawn_gamma(self.spread(concentration), self.generator)

    def spread(self, value: Any) -> Tensor:
        """A parameter in the shape of the draw, in the dtype to compute in."""
        if not isinstance(value, Tensor):
            return full(self.shape, value, dtype=self.wide)
        return broadcast_to(astype(value, self.wide, copy=False), self.shape)

    def finish(self, x: Tensor) -> Tensor:
        """The result, in its dtype."""
        return astype(x, self.dtype, copy=False)


def sized(op: str, size: Any, generator: Generator | None, dtype: Any, **parameters: Any) -> Sized:
    """A draw of parameters that broadcast to ``size``, or to each other without it; raises `ShapeError` else."""
    values = tuple(v if isinstance(v, Tensor) or scalar_kind(v) is not None else asarray(v)
                   for v in parameters.values())
    tensors = [v for v in values if isinstance(v, Tensor)]
    if dtype is None:
        found = [t.dtype for t in tensors if t.dtype in DIFFERENTIABLE]
        dtype = found[0] if found else None
        for other in found[1:]:
            dtype = promote(dtype, other)
    shapes = [t.shape for t in tensors]
    shape = None if size is None else shape_of(op, (size,))
    try:
        together = np.broadcast_shapes(*shapes, *([] if shape is None else [shape]))
    except ValueError:
        together = None
    if together is None or shape is not None and together != shape:
        raise errors.complaint(errors.ShapeError, op, "parameters do not broadcast to size" if shape is not None
                               else "parameters do not broadcast", {**parameters, "size": size})
    return Sized(together, floating(op, dtype), generator, values)
