"""What draws ask of their parameters: checked where elements are known, which in traced functions they are not."""

from __future__ import annotations

from typing import Any

from tensorlite import errors
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import logical_and
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, scalar_kind
from tensorlite.traced import is_traced


def holds(condition: Any) -> bool:
    """Whether a condition holds everywhere; yes where that cannot be known yet."""
    if not isinstance(condition, Tensor):
        return bool(condition)
    return is_traced(condition) or bool(condition.array.all())


def require(op: str, condition: Any, problem: str, **arguments: Any) -> None:
    """Raises `ArgumentError` where a condition on parameters does not hold somewhere."""
    if not holds(condition):
        raise errors.complaint(errors.ArgumentError, op, problem, arguments)


def require_not_negative(op: str, **parameter: Any) -> None:
    """Raises `ArgumentError` for what is below 0, or NaN, somewhere."""
    (name, value), = parameter.items()
    require(op, known(value) >= 0, f"{name} must not be negative", **parameter)


def require_positive(op: str, **parameter: Any) -> None:
    """Raises `ArgumentError` for what is not above 0 somewhere."""
    (name, value), = parameter.items()
    require(op, known(value) > 0, f"{name} must be above 0", **parameter)


def require_share(op: str, **parameter: Any) -> None:
    """Raises `ArgumentError` for what is no probability somewhere."""
    (name, value), = parameter.items()
    value = known(value)
    inside = logical_and(value >= 0, value <= 1) if isinstance(value, Tensor) else 0 <= value <= 1
    require(op, inside, f"{name} must be between 0 and 1", **parameter)


def known(value: Any) -> Any:
    """A tensor without its tape, also of a list or an array; a number as it is."""
    if scalar_kind(value) is not None:
        return value
    return value.detach() if isinstance(value, Tensor) else asarray(value)


def require_floating(op: str, **parameter: Any) -> None:
    """Raises `DTypeError` for a tensor that holds no real floating numbers."""
    (name, x), = parameter.items()
    if x.dtype not in DIFFERENTIABLE or x.dtype.kind == "c":
        raise errors.complaint(errors.DTypeError, op, f"{name} must hold real floating numbers, not {x.dtype.name}",
                               parameter, f"cast it: {name}.to(tl.float32)")
