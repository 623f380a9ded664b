"""Nested containers of tensors: lists, tuples, named tuples, dicts and dataclasses, flattened and rebuilt."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Callable[[Iterator[Any]], Any]]:
    """Splits a nested container into its leaves, in a fixed order, and the function that rebuilds it.

    >>> leaves, rebuild = flatten({"a": 1, "b": (2, None)})
    >>> leaves
    [1, 2, None]
    >>> rebuild(iter([4, 5, 6]))
    {'a': 4, 'b': (5, 6)}
    """
    children, build = _open(tree)
    if build is None:
        return [tree], next
    leaves: list[Any] = []
    parts = []
    for child in children:
        below, rebuild = flatten(child)
        leaves += below
        parts.append(rebuild)
    return leaves, lambda values: build([part(values) for part in parts])


def branches(tree: Any) -> dict[Any, Any] | None:
    """A container's children by key, number or field; None for a leaf.

    >>> branches(["a", "b"])
    {0: 'a', 1: 'b'}
    """
    children, build = _open(tree)
    if build is None:
        return None
    if isinstance(tree, dict):
        return dict(tree)
    named = getattr(tree, "_fields", None) if isinstance(tree, list | tuple) else [
        f.name for f in dataclasses.fields(tree) if f.init]
    return dict(zip(named or range(len(children)), children, strict=True))


def _open(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any] | None]:
    """A container's children and its constructor, which is None for a leaf."""
    if isinstance(tree, dict):
        return list(tree.values()), lambda values: _refilled(tree, values)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(tree), lambda values: type(tree)(*values)
    if isinstance(tree, list | tuple):
        return list(tree), type(tree)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [f.name for f in dataclasses.fields(tree) if f.init]
        return [getattr(tree, n) for n in names], lambda values: dataclasses.replace(
            tree, **dict(zip(names, values, strict=True)))
    return [], None


def _refilled(tree: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    """A dict of the same kind, whatever that kind's constructor takes."""
    made = copy.copy(tree)
    made.update(zip(tree, values, strict=True))
    return made


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Applies a function to every leaf of one or several containers of the same structure.

    >>> tree_map(lambda x, y: x + y, {"a": 1}, {"a": 10})
    {'a': 11}
    """
    leaves, rebuild = flatten(tree)
    columns = [flatten(other)[0] for other in others]
    return rebuild(iter([function(*row) for row in zip(leaves, *columns, strict=True)]))
