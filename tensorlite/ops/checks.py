"""What several ops ask of the dtypes of their inputs, arrays or types alike."""

from __future__ import annotations

from typing import Any

from tensorlite.errors import DTypeError
from tensorlite.tensor_type import GROUPS


def check_floating(x: Any) -> None:
    """Raises `DTypeError` where the dtype is not a real floating one."""
    if x.dtype not in GROUPS["real floating"]:
        raise DTypeError(f"takes real floating dtypes, not {x.dtype.name}", "cast it first: x.to(tl.float32)")


def check_alike(x: Any, **others: Any) -> None:
    """Raises `DTypeError` where another input has another dtype than ``x``."""
    for name, other in others.items():
        if other.dtype != x.dtype:
            raise DTypeError(f"x is {x.dtype.name}, {name} is {other.dtype.name}",
                             f"cast one: x.to(tl.{other.dtype.name})")
