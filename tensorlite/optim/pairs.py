"""Steps of complex parameters, which move as pairs of real numbers; their state is complex, as in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorlite.ops.complex_parts import view_as_complex, view_as_real
from tensorlite.optim.rule import replace
from tensorlite.tensor import Tensor

if TYPE_CHECKING:
    from tensorlite.optim.optimizer import Optimizer
    from tensorlite.optim.options import Group


def pairs_of(x: Tensor) -> Tensor:
    """Real and imaginary parts, along one more axis, as a value of its own."""
    return view_as_real(x).clone()


def numbers_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state of pairs as complex numbers; counts and the like stay as they are."""
    return {key: view_as_complex(value).clone() if isinstance(value, Tensor) and value.shape[-1:] == (2,) else value
            for key, value in state.items()}


def step_by_pairs(optimizer: Optimizer, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
    """Makes a complex parameter's step on pairs, and puts what became of them in place."""
    pairs = {key: pairs_of(value) if isinstance(value, Tensor) and value.dtype.kind == "c" else value
             for key, value in state.items()}
    moved = pairs_of(p.detach())
    optimizer.update(moved, pairs_of(g), pairs, group)
    replace(p, view_as_complex(moved))
    for key, value in numbers_of(pairs).items():
        held = state.get(key)
        if isinstance(held, Tensor) and held.dtype.kind == "c":
            replace(held, value)  # compiled steps know the tensor
        else:
            state[key] = value
