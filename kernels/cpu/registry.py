"""The CPU's native kernels by the names of ops: each has its op's signature, and answers ``NotImplemented`` at will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite.kernels.cpu import index, sort
from tensorlite.kernels.generated.elementwise import run as elementwise

__all__ = ["KERNELS", "elementwise"]

KERNELS: dict[str, Callable[..., Any]] = {**index.KERNELS, **sort.KERNELS}
