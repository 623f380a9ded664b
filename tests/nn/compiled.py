"""Training of a layer, eager and compiled: the same losses, parameters and buffers, and one program without edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn


def whole(jitted: Any) -> Any:
    """Asserts that a function was compiled once, and that Python runs none of its ops; returns its explanation."""
    found = jitted.explain()
    assert len(found.specialisations) == 1
    assert not found.edges
    return found


def training_step(layer: nn.Module, learning_rate: float = 0.1) -> Callable[..., tl.Tensor]:
    """A step of gradient descent on the mean of the squares of what a layer gives."""
    optimizer = tl.optim.SGD(layer.parameters(), lr=learning_rate)

    def step(*inputs: tl.Tensor) -> tl.Tensor:
        optimizer.zero_grad()
        loss = ((layer(*inputs) - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss
    return step


def check_training(make: Callable[[], nn.Module], batches: Sequence[Sequence[tl.Tensor]], terms: int = 1000) -> None:
    """Trains one of two equal layers eagerly and the other compiled."""
    eager, compiled = make(), make()
    compiled.load_state_dict(eager.state_dict())
    first, second = training_step(eager), tl.jit(training_step(compiled))
    for inputs in batches:
        assert_close(second(*inputs), first(*inputs).detach().numpy(), terms=terms)
    for key, value in eager.state_dict().items():
        assert_close(compiled.state_dict()[key], value.numpy(), terms=terms)
    whole(second)
