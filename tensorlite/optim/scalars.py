"""Numbers of a step that are state: counts of steps and what follows from them; while a step is traced, tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.in_place import check_in_place, rebind
from tensorlite.ops.elementwise import where
from tensorlite.ops.filled import full
from tensorlite.ops.shape import astype, reshape
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float32, float64


def scalar(value: float, device: str) -> Tensor:
    """A number as state begins with it: in float32, as PyTorch has it."""
    return full((), value, dtype=float32, device=device)


def value(x: Tensor) -> Any:
    """The number that a tensor holds; while tracing the tensor, in float64."""
    return x.array.item() if thread.interpreter is None else astype(x, float64)


def assign(x: Tensor, new: Any) -> None:
    """Makes a tensor of one element hold another number."""
    if thread.interpreter is None and thread.met is None and not isinstance(new, Tensor):
        if type(x.array) is np.ndarray:
            x.array = np.full(x.array.shape, new, x.array.dtype)
            return
    check_in_place("step", x)
    made = new if isinstance(new, Tensor) else full((), new, dtype=x.dtype, device=x.device)
    rebind("step", x, reshape(astype(made, x.dtype, copy=False), x.shape))


def count(state: dict[str, Any]) -> Any:
    """Counts one more step, and gives the number of steps."""
    step = state["step"]
    assign(step, value(step) + 1)
    return value(step)


def choose(condition: Any, x: Any, y: Any) -> Any:
    """One of two numbers."""
    return where(condition, x, y) if isinstance(condition, Tensor) else x if condition else y


def larger(x: Any, y: Any) -> Any:
    """The larger one of two numbers."""
    return choose(x > y, x, y)


def smaller(x: Any, y: Any) -> Any:
    """The smaller one of two numbers."""
    return choose(x < y, x, y)
