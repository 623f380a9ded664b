"""What transforms of random numbers share: a way forward, a way back, and the logarithm of the slope."""

from __future__ import annotations

from typing import Any

from tensorlite import errors
from tensorlite.distributions import constraints
from tensorlite.distributions.constraints import Constraint
from tensorlite.tensor import Tensor

__all__ = ["Transform"]

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
