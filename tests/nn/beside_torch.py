"""What tests of functions and layers beside PyTorch's share: signatures, compiled and mapped runs, first lines."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import tensorlite as tl


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """The names and defaults of a function's parameters."""
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values() if p.name != "self"]


def first_line(call: Callable[[], Any], error: type[Exception]) -> str:
    """The first line of what a call raises."""
    with pytest.raises(error) as caught:
        call()
    return str(caught.value).split("\n")[0]


def check_compiled(function: Callable[..., tl.Tensor], *arrays: np.ndarray, terms: int = 1) -> None:
    """Holds a compiled function, and its compiled derivative where inputs are floating, against what runs eagerly."""
    inputs = [tl.tensor(a) for a in arrays]
    assert_close(tl.jit(function)(*inputs), function(*inputs), terms=terms)
    places = tuple(i for i, a in enumerate(arrays) if a.dtype.kind == "f")
    slope = tl.grad(lambda *x: (function(*x) ** 2).sum(), argnums=places)
    for found, expected in zip(tl.jit(slope)(*inputs), slope(*inputs), strict=True):
        assert_close(found, expected, terms=terms * terms)


def check_mapped(function: Callable[..., tl.Tensor], *arrays: np.ndarray, terms: int = 1) -> None:
    """Holds a function mapped over the first axis of its inputs against a loop."""
    expected = [function(*map(tl.tensor, parts)) for parts in zip(*arrays, strict=True)]
    assert_close(tl.vmap(function)(*map(tl.tensor, arrays)), tl.stack(expected), terms=terms)
