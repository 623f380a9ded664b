"""Transforms made of transforms: one after another, side by side, of more axes, of another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import sum_rightmost
from tensorlite.distributions.transform import Shape, Transform
from tensorlite.tensor import Tensor

__all__ = ["CatTransform", "ComposeTransform", "IndependentTransform", "ReshapeTransform", "StackTransform",
           "identity_transform"]


class ComposeTransform(Transform):
    """One transform after another."""

    def __init__(self, parts: Sequence[Transform]) -> None:
        self.parts = list(parts)

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(part.bijective for part in self.parts)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        if not self.parts:
            return constraints.real
        event_dim = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            event_dim = max(event_dim + part.domain.event_dim - part.codomain.event_dim, part.domain.event_dim)
        first = self.parts[0].domain
        return constraints.independent(first, event_dim - first.event_dim)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        if not self.parts:
            return constraints.real
        event_dim = self.parts[0].domain.event_dim
        for part in self.parts:
            event_dim = max(event_dim + part.codomain.event_dim - part.domain.event_dim, part.codomain.event_dim)
        last = self.parts[-1].codomain
        return constraints.independent(last, event_dim - last.event_dim)

    @property
    def sign(self) -> Any:
        return math.prod((part.sign for part in self.parts), start=1)

    @property
    def inv(self) -> Transform:
        return ComposeTransform([part.inv for part in reversed(self.parts)])

    def __call__(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        event_dim, found = self.domain.event_dim, tl.zeros_like(sum_rightmost(x.detach(), self.domain.event_dim))
        for number, part in enumerate(self.parts):
            after = y if number == len(self.parts) - 1 else part(x)
            found = found + sum_rightmost(part.log_abs_det_jacobian(x, after), event_dim - part.domain.event_dim)
            event_dim += part.codomain.event_dim - part.domain.event_dim
            x = after
        return found

    def forward_shape(self, shape: Shape) -> Shape:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts})"


identity_transform: ComposeTransform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform of which more of the last axes are one event: their slopes are summed."""

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int) -> None:
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return self.base_transform.bijective

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    def __call__(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_rightmost(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Shape) -> Shape:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.base_transform.inverse_shape(shape)


class ReshapeTransform(Transform):
    """Events of one shape as those of another."""

    bijective = True

    def __init__(self, in_shape: Sequence[int], out_shape: Sequence[int]) -> None:
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise errors.complaint(errors.ShapeError, "ReshapeTransform", "shapes hold different numbers of elements",
                                   {"in_shape": self.in_shape, "out_shape": self.out_shape})

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, len(self.in_shape))

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, len(self.out_shape))

    def __call__(self, x: Tensor) -> Tensor:
        return tl.reshape(x, self.forward_shape(x.shape))

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.reshape(y, self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return tl.zeros(x.shape[:x.ndim - len(self.in_shape)], dtype=x.dtype)

    def forward_shape(self, shape: Shape) -> Shape:
        return self._exchanged(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self._exchanged(shape, self.out_shape, self.in_shape)

    def _exchanged(self, shape: Shape, old: Shape, new: Shape) -> Shape:
        first = len(shape) - len(old)
        if first < 0 or shape[first:] != old:
            raise errors.complaint(errors.ShapeError, "ReshapeTransform", f"events must have shape {list(old)}, not "
                                   f"{list(shape[max(first, 0):])}")
        return shape[:first] + new


class _SideBySide(Transform):
    """Several transforms, each of a part of the numbers along an axis."""

    transforms: list[Transform]
    dim: int

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(part.bijective for part in self.transforms)

    def parts(self, x: Tensor) -> list[Tensor]:
        """What each of the transforms is given."""
        raise errors.InternalError(f"{type(self).__name__} says no parts")

    def joined(self, parts: list[Tensor]) -> Tensor:
        """The parts as one tensor."""
        raise errors.InternalError(f"{type(self).__name__} joins no parts")

    def __call__(self, x: Tensor) -> Tensor:
        return self.joined([part(own) for part, own in zip(self.transforms, self.parts(x), strict=True)])

    def _inverse(self, y: Tensor) -> Tensor:
        return self.joined([part.inv(own) for part, own in zip(self.transforms, self.parts(y), strict=True)])

    def slopes(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """The logarithms of each part's slope."""
        return [part.log_abs_det_jacobian(a, b)
                for part, a, b in zip(self.transforms, self.parts(x), self.parts(y), strict=True)]


class CatTransform(_SideBySide):
    """Transforms of the parts of an axis, of these ``lengths``: 1 each by default.

    >>> import tensorlite as tl
    >>> of = tl.distributions.transforms
    >>> of.CatTransform([of.ExpTransform(), of.AffineTransform(1.0, 2.0)], lengths=[1, 2])(tl.tensor([0.0, 1.0, 2.0]))
    tensor([1., 3., 5.])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        self.transforms, self.dim = list(tseq), dim
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise errors.complaint(errors.ArgumentError, "CatTransform",
                                   f"{len(self.transforms)} transforms have {len(self.lengths)} lengths")
        self.length = sum(self.lengths)
        self.event_dim = max((part.domain.event_dim for part in self.transforms), default=0)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.cat([part.domain for part in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.cat([part.codomain for part in self.transforms], self.dim, self.lengths)

    def parts(self, x: Tensor) -> list[Tensor]:
        return constraints.parts_of(x, self.dim, self.lengths)

    def joined(self, parts: list[Tensor]) -> Tensor:
        return tl.concat(parts, axis=self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        parts = [sum_rightmost(slope, self.event_dim - part.domain.event_dim)
                 for slope, part in zip(self.slopes(x, y), self.transforms, strict=True)]
        axis = (self.dim - x.ndim if self.dim >= 0 else self.dim) + self.event_dim
        return tl.concat(parts, axis=axis) if axis < 0 else sum(parts[1:], parts[0])


class StackTransform(_SideBySide):
    """Transforms of the slices across an axis, one each.

    >>> import tensorlite as tl
    >>> of = tl.distributions.transforms
    >>> of.StackTransform([of.ExpTransform(), of.AffineTransform(1.0, 2.0)])(tl.tensor([[0.0, 0.0], [1.0, 2.0]]))
    tensor([[1., 1.],
            [3., 5.]])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0) -> None:
        self.transforms, self.dim = list(tseq), dim

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.stack([part.domain for part in self.transforms], self.dim)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.stack([part.codomain for part in self.transforms], self.dim)

    def parts(self, x: Tensor) -> list[Tensor]:
        return list(tl.unstack(x, axis=self.dim))

    def joined(self, parts: list[Tensor]) -> Tensor:
        return tl.stack(parts, axis=self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.joined(self.slopes(x, y))
