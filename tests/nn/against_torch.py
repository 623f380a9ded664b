"""Values, first and second derivatives beside PyTorch's, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import tensorlite as tl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")
torch.set_num_threads(1)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers of a shape."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def to_torch(x: Any) -> Any:
    """A tensor or an array as PyTorch's."""
    return torch.tensor(np.array(x.detach().numpy() if isinstance(x, tl.Tensor) else x))


def _weighed(library: Any, outputs: Any, arrays: list[np.ndarray]) -> Any:
    """The sum of the products of tensors and arrays, without those that nothing was recorded for."""
    terms = [(y * library.tensor(a)).sum() for y,
             a in zip(outputs, arrays, strict=True) if y is not None and y.requires_grad]
    return sum(terms[1:], terms[0]) if terms else None


def _derivatives(library: Any, function: Callable[..., Any], arrays: tuple[np.ndarray, ...],
                 second: bool) -> tuple[Any, list[Any], list[Any]]:
    """The value, the first derivatives, and those of a random combination of the first."""
    inputs = [library.tensor(a, requires_grad=True) for a in arrays]
    y = function(*inputs)
    weight = library.tensor(draw(*y.shape, seed=1), requires_grad=True)
    first = library.autograd.grad(y, inputs, weight, create_graph=True)
    if not second:
        return y, first, []
    combined = _weighed(library, first, [draw(*a.shape, seed=2) for a in arrays])
    if combined is None:
        return y, first, []
    return y, first, list(library.autograd.grad(combined, [*inputs, weight], allow_unused=True))


def _elements(x: Any) -> np.ndarray:
    return (x.detach() + 0).numpy()


def compare(ours: Callable[..., tl.Tensor], theirs: Callable[..., Any], *arrays: np.ndarray, terms: int = 1,
            second: bool = True) -> None:
    """Holds a function of float64 arrays, its derivative and (if wanted) its second derivative against PyTorch's."""
    y, first, second = _derivatives(tl, ours, arrays, second)
    z, expected, expected_second = _derivatives(torch, theirs, arrays, second)
    assert_close(y, _elements(z), terms=terms)
    for found, wanted in zip(first, expected, strict=True):
        assert_close(found, _elements(wanted), terms=terms)
    shapes = [*(a.shape for a in arrays), y.shape]
    for place, shape in enumerate(shapes):
        found, wanted = (parts[place] if parts else None for parts in (second, expected_second))
        found = np.zeros(shape) if found is None else found
        wanted = np.zeros(shape) if wanted is None else _elements(wanted)
        assert_close(found, wanted, terms=terms * terms)
