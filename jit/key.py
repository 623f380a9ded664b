"""Keys: what of a call's arguments a specialisation depends on: structure, types, and values of what is no tensor."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.nn.parameter import Parameter
from tensorlite.tape import Leaf
from tensorlite.tensor import Tensor

_PLAIN = frozenset({int, bool, str, type(None), bytes, complex})


def key_of(tree: Any, tensors: list[Tensor], parts: list[Any]) -> None:
    """Adds to ``parts`` what must be equal for two calls to share a specialisation, and to ``tensors`` the tensors."""
    kind = type(tree)
    if kind is tuple or kind is list:
        parts.append(kind)
        parts.append(len(tree))
        for child in tree:
            if type(child) is Tensor and child.node is None:  # most of what there is
                array = child.array
                tensors.append(child)
                parts.append(array.dtype)
                parts.append(array.shape)
            else:
                key_of(child, tensors, parts)
    elif kind is Tensor or kind is Parameter:
        _key_of_tensor(tree, tensors, parts)
    elif kind is dict:
        parts += (kind, *tree)
        key_of(tuple(tree.values()), tensors, parts)
    elif kind in _PLAIN:
        parts += (kind, tree)
    elif kind is float:
        parts += (kind, tree if tree and tree == tree else repr(tree))
    else:
        _key_of_other(tree, tensors, parts)


def _key_of_tensor(x: Tensor, tensors: list[Tensor], parts: list[Any]) -> None:
    tensors.append(x)
    parts += (type(x), x.dtype, x.shape, None if x.node is None else type(x.node) is Leaf)
    if x.node is not None:
        parts.append(x.gradient is None)
        if x.gradient is not None:
            tensors.append(x.gradient)


def pattern_of(tensors: list[Tensor]) -> tuple[int, ...] | None:
    """Which of some tensors are the same; None if none are."""
    if len(set(map(id, tensors))) == len(tensors):
        return None
    first: dict[int, int] = {}
    for number, x in enumerate(tensors):
        first.setdefault(id(x), number)
    return tuple(first[id(x)] for x in tensors)


def _key_of_other(tree: Any, tensors: list[Tensor], parts: list[Any]) -> None:
    if isinstance(tree, Tensor):
        _key_of_tensor(tree, tensors, parts)
    elif isinstance(tree, np.ndarray):
        raise errors.complaint(errors.TraceError, "jit", "an argument is a NumPy array, of which only the values at "
                               "the first call would count", {"argument": tree}, "pass a tensor: tl.asarray(x)")
    elif isinstance(tree, dict):
        parts += (type(tree), *tree)
        key_of(tuple(tree.values()), tensors, parts)
    elif isinstance(tree, list | tuple):
        parts.append(type(tree))
        key_of(tuple(tree), tensors, parts)
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
