"""Keys: what of a call's arguments a specialisation depends on: structure, types, and the values of what is no tensor."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.nn.parameter import Parameter
from tensorlite.tensor import Tensor

_PLAIN = frozenset({int, bool, str, type(None), bytes, complex})


def key_of(tree: Any, tensors: list[Tensor], parts: list[Any]) -> None:
    """Adds to ``parts`` what must be equal for two calls to share a specialisation, and to ``tensors`` the tensors."""
    kind = type(tree)
    if kind is Tensor or kind is Parameter:
        array = tree.array
        tensors.append(tree)
        parts += (array.dtype, array.shape, tree.node is None)
        if tree.node is not None:
            _key_of_grad(tree, tensors, parts)
    elif kind is tuple or kind is list:
        parts += (kind, len(tree))
        for child in tree:
            key_of(child, tensors, parts)
    elif kind is dict:
        parts += (kind, *tree)
        for child in tree.values():
            key_of(child, tensors, parts)
    elif kind in _PLAIN:
        parts += (kind, tree)
    elif kind is float:
        parts += (kind, tree if tree and tree == tree else repr(tree))
    else:
        _key_of_other(tree, tensors, parts)


def _key_of_grad(tree: Tensor, tensors: list[Tensor], parts: list[Any]) -> None:
    parts.append(tree.grad is None)
    if tree.grad is not None:
        tensors.append(tree.grad)


def pattern_of(tensors: list[Tensor]) -> tuple[int, ...] | None:
    """Which of some tensors are the same; None if none are."""
    first: dict[int, int] = {}
    for number, x in enumerate(tensors):
        first.setdefault(id(x), number)
    return None if len(first) == len(tensors) else tuple(first[id(x)] for x in tensors)


def _key_of_other(tree: Any, tensors: list[Tensor], parts: list[Any]) -> None:
    if isinstance(tree, Tensor):
        tensors.append(tree)
        parts += (type(tree), tree.dtype, tree.shape, tree.node is None)
        if tree.node is not None:
            _key_of_grad(tree, tensors, parts)
    elif isinstance(tree, np.ndarray):
        raise errors.complaint(errors.TraceError, "jit", "an argument is a NumPy array, of which only the values at the "
                               "first call would count", {"argument": tree}, "pass a tensor: tl.asarray(x)")
    elif isinstance(tree, dict):
        parts += (type(tree), *tree)
        for child in tree.values():
            key_of(child, tensors, parts)
    elif isinstance(tree, list | tuple):
        parts += (type(tree), len(tree))
        for child in tree:
            key_of(child, tensors, parts)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        parts.append(type(tree))
        for field in dataclasses.fields(tree):
            key_of(getattr(tree, field.name), tensors, parts)
    else:
        parts += (type(tree), _Same(tree))


class _Same:
    """Anything else, by identity; kept alive by the keys it is in."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing
