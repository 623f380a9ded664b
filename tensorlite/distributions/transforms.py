"""Transforms of random numbers, with the logarithms of their slopes, by the names of `torch.distributions`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.distributions.distribution import sum_rightmost
from tensorlite.tensor import Tensor

__all__ = ["AbsTransform", "AffineTransform", "ComposeTransform", "CumulativeDistributionTransform", "ExpTransform",
           "IndependentTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform", "PowerTransform",
           "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform",
           "TanhTransform", "Transform", "identity_transform"]

Shape = tuple[int, ...]


class Transform:
    """A function of random numbers: called it transforms, and `inv` is the way back.

    ``domain`` and ``codomain`` say what goes in and comes out, ``sign`` whether a function of one number rises.

    >>> import tensorlite as tl
    >>> square = tl.distributions.transforms.PowerTransform(2.0)
    >>> square(tl.tensor(3.0)), square.inv(tl.tensor(9.0))
    (tensor(9.), tensor(3.))
    """

    bijective = False
    domain: Constraint = constraints.real
    codomain: Constraint = constraints.real
    sign: Any = 1

    def __call__(self, x: Tensor) -> Tensor:
        raise errors.InternalError(f"{type(self).__name__} says no way forward")

    def _inverse(self, y: Tensor) -> Tensor:
        raise errors.InternalError(f"{type(self).__name__} says no way back")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The logarithm of the slope's absolute value, where ``x`` becomes ``y``."""
        raise errors.complaint(errors.ArgumentError, type(self).__name__, "keeps no volume: it has no slope")

    @property
    def inv(self) -> Transform:
        """The transform back."""
        return _Inverse(self)

    def forward_shape(self, shape: Shape) -> Shape:
        """The shape that comes out."""
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        """The shape that goes in."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """The way back of a transform."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return self.transform.bijective

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return self.transform.codomain

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return self.transform.domain

    @property
    def sign(self) -> Any:
        return self.transform.sign

    @property
    def inv(self) -> Transform:
        return self.transform

    def __call__(self, x: Tensor) -> Tensor:
        return self.transform._inverse(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.transform(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self.transform.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Shape) -> Shape:
        return self.transform.inverse_shape(shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.transform.forward_shape(shape)

    def __repr__(self) -> str:
        return f"{self.transform!r}.inv"


# --- of one number ------------------------------------------------------------------------------------------------


class ExpTransform(Transform):
    """``exp(x)``."""

    bijective = True
    codomain = constraints.positive

    def __call__(self, x: Tensor) -> Tensor:
        return tl.exp(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """``x ** exponent`` of positive numbers."""

    bijective = True
    domain = codomain = constraints.positive

    def __init__(self, exponent: Any) -> None:
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        return tl.sign(self.exponent) if isinstance(self.exponent, Tensor) else math.copysign(1.0, self.exponent)

    def __call__(self, x: Tensor) -> Tensor:
        return tl.pow(x, self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.pow(y, 1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return tl.log(tl.abs(self.exponent * y / x))

    def forward_shape(self, shape: Shape) -> Shape:
        return tl.broadcast_shapes(shape, getattr(self.exponent, "shape", ()))

    inverse_shape = forward_shape


class SigmoidTransform(Transform):
    """The logistic function; the way back stays finite at 0 and 1."""

    bijective = True
    codomain = constraints.unit_interval

    def __call__(self, x: Tensor) -> Tensor:
        info = tl.finfo(x.dtype)
        return tl.clip(tl.sigmoid(x), float(info.smallest_normal), 1 - float(info.eps))

    def _inverse(self, y: Tensor) -> Tensor:
        info = tl.finfo(y.dtype)
        y = tl.clip(y, float(info.smallest_normal), 1 - float(info.eps))
        return tl.log(y) - tl.log1p(-y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -tl.softplus(-x) - tl.softplus(x)


class TanhTransform(Transform):
    """The hyperbolic tangent."""

    bijective = True
    codomain = constraints.interval(-1.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        return tl.tanh(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * (math.log(2) - x - tl.softplus(-2 * x))


class SoftplusTransform(Transform):
    """``log(1 + exp(x))``."""

    bijective = True
    codomain = constraints.positive

    def __call__(self, x: Tensor) -> Tensor:
        return tl.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.log(-tl.expm1(-y)) + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -tl.softplus(-x)


class AbsTransform(Transform):
    """``abs(x)``, of which the way back is the positive one."""

    codomain = constraints.nonnegative

    def __call__(self, x: Tensor) -> Tensor:
        return tl.abs(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """``loc + scale * x``; the last ``event_dim`` axes are one event."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0) -> None:
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, self.event_dim)

    codomain = domain

    @property
    def sign(self) -> Any:
        return tl.sign(self.scale) if isinstance(self.scale, Tensor) else math.copysign(1.0, self.scale)

    def __call__(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        scale = self.scale if isinstance(self.scale, Tensor) else tl.full((), self.scale, dtype=x.dtype)
        slope = tl.log(tl.abs(scale))
        shape = tl.broadcast_shapes(x.shape, slope.shape)
        return sum_rightmost(tl.broadcast_to(slope, shape), self.event_dim)

    def forward_shape(self, shape: Shape) -> Shape:
        return tl.broadcast_shapes(shape, getattr(self.loc, "shape", ()), getattr(self.scale, "shape", ()))

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """A distribution's `cdf`, which makes its numbers even ones."""

    bijective = True
    codomain = constraints.unit_interval

    def __init__(self, distribution: Any) -> None:
        self.distribution = distribution

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return self.distribution.support or constraints.real

    def __call__(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


# --- of vectors and matrices --------------------------------------------------------------------------------------


class SoftmaxTransform(Transform):
    """The softmax of the last axis; the logarithm is one of its ways back."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def __call__(self, x: Tensor) -> Tensor:
        return tl.softmax(x, axis=-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return tl.log(y)


class StickBreakingTransform(Transform):
    """Vectors as shares of one more: each breaks its part, a sigmoid, off what is left of a stick."""

    bijective = True
    domain, codomain = constraints.real_vector, constraints.simplex

    def _offset(self, x: Tensor) -> Tensor:
        """What makes zeros even shares: minus the logarithm of how many are still to come."""
        return tl.log(tl.arange(x.shape[-1], 0, -1, dtype=x.dtype))

    def __call__(self, x: Tensor) -> Tensor:
        part = tl.sigmoid(x - self._offset(x))
        left = tl.cumulative_prod(1 - part, axis=-1, include_initial=True)
        return tl.concat([part, tl.ones_like(part[..., :1])], axis=-1) * left

    def _inverse(self, y: Tensor) -> Tensor:
        first = y[..., :-1]
        left = tl.clip(1 - tl.cumulative_sum(first, axis=-1), float(tl.finfo(y.dtype).smallest_normal))
        return tl.log(first) - tl.log(left) + self._offset(first)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        moved = x - self._offset(x)
        return (-moved - tl.softplus(-moved) + tl.log(y[..., :-1])).sum(axis=-1)

    def forward_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], shape[-1] - 1)


def _matrix_of(x: Tensor, diagonal: Tensor) -> Tensor:
    """The part of matrices below the diagonal, and a diagonal."""
    return tl.tril(x, -1) + diagonal[..., None] * tl.eye(x.shape[-1], dtype=x.dtype)


class LowerCholeskyTransform(Transform):
    """Square matrices as lower triangular ones with a positive diagonal, the exponential of theirs."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def __call__(self, x: Tensor) -> Tensor:
        return _matrix_of(x, tl.exp(tl.diagonal(x, dim1=-2, dim2=-1)))

    def _inverse(self, y: Tensor) -> Tensor:
        return _matrix_of(y, tl.log(tl.diagonal(y, dim1=-2, dim2=-1)))


class PositiveDefiniteTransform(Transform):
    """Square matrices as positive definite ones, by their Cholesky factors."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def __call__(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(tl.linalg.cholesky(y))


# --- of transforms ------------------------------------------------------------------------------------------------


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


identity_transform = ComposeTransform([])


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
