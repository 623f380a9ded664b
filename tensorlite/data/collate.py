"""Collation: a list of samples becomes one batch of the same structure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.ops.join import stack
from tensorlite.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks samples along a new first axis: tensors, arrays and numbers into a Tensor, structures part by part.

    Strings and bytes become a list; dicts, tuples, named tuples and lists keep their kind. Python numbers become
    int64, float64 or bool, as in PyTorch.

    >>> default_collate([{"image": np.zeros(2), "name": "a"}, {"image": np.ones(2), "name": "b"}])["name"]
    ['a', 'b']
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack_tensors(batch)
    if isinstance(first, (np.ndarray, np.generic, bool, int, float, complex)):
        return Tensor(_stack(batch))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        _same("keys", [list(sample) for sample in batch])
        return _like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, (tuple, list)):
        _same("lengths", [len(sample) for sample in batch])
        return _like(first, [default_collate(parts) for parts in zip(*batch)])
    raise complaint(DTypeError, "default_collate", f"cannot batch {type(first).__name__}; it batches tensors, arrays, "
                    "numbers, strings, and dicts, tuples and lists of these", fix="give the loader a collate_fn")


def default_convert(sample: Any) -> Any:
    """Turns the arrays of one sample into tensors: what a loader does that makes no batches."""
    if isinstance(sample, (np.ndarray, np.generic)):
        return Tensor(np.array(sample))
    if isinstance(sample, Mapping):
        return _like(sample, {key: default_convert(value) for key, value in sample.items()})
    if isinstance(sample, (tuple, list)):
        return _like(sample, [default_convert(part) for part in sample])
    return sample


def _stack_tensors(batch: Sequence[Tensor]) -> Tensor:
    if any(tensor.requires_grad or tensor.device != "cpu" for tensor in batch):
        return stack(batch)
    return Tensor(_stack([tensor.array for tensor in batch]))


def _stack(batch: Sequence[Any]) -> np.ndarray:
    try:
        return np.stack([np.asarray(sample) for sample in batch])
    except ValueError:
        _same("shapes", [list(np.shape(sample)) for sample in batch])
        raise


def _same(what: str, found: list[Any]) -> None:
    other = next((number for number, value in enumerate(found) if value != found[0]), None)
    if other is not None:
        problem = f"samples 0 and {other} of a batch have different {what}: {found[0]} and {found[other]}"
        fix = "give the loader a collate_fn that makes them equal"
        raise complaint(ShapeError, "default_collate", problem, fix=fix)


def _like(original: Any, content: Any) -> Any:
    """A structure of the same kind as the original's with other content."""
    kind = type(original)
    make: Callable[[Any], Any] = kind._make if hasattr(kind, "_make") else kind
    try:
        return make(content)
    except TypeError:  # a subclass with a constructor of its own
        return dict(content) if isinstance(original, Mapping) else list(content)
