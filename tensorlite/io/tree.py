"""Nested values as flat tensors and a JSON skeleton, and back: checkpoints need no pickle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tensorlite.errors import DTypeError, complaint
from tensorlite.tensor import Tensor

Skeleton = dict[str, Any]
PLAIN = (str, bool, int, float, type(None))


def is_flat(value: object) -> bool:
    """Whether a value is a dict of tensors by name, which a safetensors file is by itself."""
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(leaf, (Tensor, np.ndarray)) and leaf.dtype != np.complex128
        for key, leaf in value.items())


def flatten(value: object) -> tuple[dict[str, Tensor | np.ndarray], Skeleton]:
    """Takes a nest of dicts, lists and tuples apart: tensors by dotted names, and a JSON skeleton of the rest.

    >>> flatten({"step": 3, "moments": [np.zeros(2)]})[1]
    {'dict': [['step', {'value': 3}], ['moments', {'list': [{'tensor': 'moments.0'}]}]]}
    """
    tensors: dict[str, Tensor | np.ndarray] = {}
    return tensors, _flatten(value, "", tensors)


def _flatten(value: Any, name: str, tensors: dict[str, Tensor | np.ndarray]) -> Skeleton:
    if isinstance(value, (Tensor, np.ndarray)):
        unique = name or "value"
        while unique in tensors:
            unique += "_"
        tensors[unique] = value
        return {"tensor": unique}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PLAIN):
        return {"value": value}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    prefix = f"{name}." if name else ""
    if isinstance(value, Mapping):
        return {"dict": [[_key(key, name), _flatten(child, f"{prefix}{key}", tensors)] for key, child in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_flatten(child, f"{prefix}{index}", tensors) for index, child in enumerate(value)]}
    problem = f"'{name or 'the value'}' is {type(value).__name__}; a file holds tensors, numbers, strings, None, and "
    raise complaint(DTypeError, "save", problem + "dicts, lists and tuples of these")


def _key(key: object, name: str) -> object:
    if isinstance(key, PLAIN):
        return key
    problem = f"a key of '{name or 'the value'}' is {type(key).__name__}; a key is a string, a number or None"
    raise complaint(DTypeError, "save", problem)


def unflatten(skeleton: Skeleton, tensors: Mapping[str, Any]) -> Any:
    """Puts together what `flatten` took apart.

    >>> unflatten({"tuple": [{"value": 1}, {"tensor": "x"}]}, {"x": "a tensor"})
    (1, 'a tensor')
    """
    (kind, content), = skeleton.items()
    builders: dict[str, Callable[[Any], Any]] = {
        "tensor": lambda name: tensors[name],
        "value": lambda plain: plain,
        "complex": lambda parts: complex(*parts),
        "dict": lambda items: {key: unflatten(child, tensors) for key, child in items},
        "list": lambda children: [unflatten(child, tensors) for child in children],
        "tuple": lambda children: tuple(unflatten(child, tensors) for child in children),
    }
    return builders[kind](content)
