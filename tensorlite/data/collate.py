"""Collation: a list of samples becomes one batch of the same structure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.ops.join import stack
from tensorlite.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks samples along a new first axis: tensors, arrays and numbers into a Tensor, structures part by part.

    Strings and bytes become a list; dicts, tuples, named tuples and lists keep their kind, and what else there is to a
    mapping (what a defaultdict gives for nothing) is the first sample's. Python numbers become int64, float64 or bool,
    as in PyTorch. Raises `ShapeError` for samples that differ in shape, length or keys, and `DTypeError` for what
    cannot be batched.

    >>> default_collate([{"image": np.zeros(2), "name": "a"}, {"image": np.ones(2), "name": "b"}])["name"]
    ['a', 'b']
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack_tensors(batch)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if _is_numeric(first):
        return Tensor(_stack(batch))
    if isinstance(first, Mapping):
        _same("keys", [sorted(sample, key=repr) for sample in batch])
        return _like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        _same("lengths", [len(sample) for sample in batch])
        return _like(first, [default_collate(parts) for parts in zip(*batch)])
    kind = f"an array of {first.dtype}" if isinstance(first, np.ndarray) else type(first).__name__
    raise complaint(DTypeError, "default_collate", f"cannot batch {kind}; it batches tensors, arrays, "
                    "numbers, strings, and dicts, tuples and lists of these", fix="give the loader a collate_fn")


def default_convert(sample: Any) -> Any:
    """Turns the arrays of one sample into tensors: what a loader does that makes no batches."""
    if isinstance(sample, (np.ndarray, np.generic)) and _is_numeric(sample):
        return Tensor(np.array(sample))
    if isinstance(sample, Mapping):
        return _like(sample, {key: default_convert(value) for key, value in sample.items()})
    if isinstance(sample, Sequence) and not isinstance(sample, (str, bytes)):
        return _like(sample, [default_convert(part) for part in sample])
    return sample


def _is_numeric(sample: Any) -> bool:
    """Whether a sample is a number, or an array of a dtype that tensors have."""
    if isinstance(sample, (np.ndarray, np.generic)):
        return sample.dtype.kind not in "OSUMm" and sample.dtype.names is None
    return isinstance(sample, (bool, int, float, complex))


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
    try:
        if isinstance(original, MutableMapping):
            made = copy.copy(original)
            made.update(content)
            return made
        return kind._make(content) if hasattr(kind, "_make") else kind(content)
    except TypeError:  # a subclass with a constructor of its own, or a range
        return dict(content) if isinstance(original, Mapping) else list(content)
