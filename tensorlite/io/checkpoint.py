"""save and load: tensors, state dicts and whole checkpoints in one safetensors file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tensorlite.io import safetensors
from tensorlite.io.files import FormatError
from tensorlite.io.tree import flatten, is_flat, unflatten
from tensorlite.tensor import Tensor

#: The metadata's key under which the skeleton of a nested value stands.
SKELETON = "tensorlite"


def save(obj: Any, path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None) -> None:
    """Saves tensors to a safetensors file, which appears whole or not at all.

    A dict of tensors by name becomes a plain file that other programs read. Anything nested (dicts, lists and
    tuples of tensors, numbers, strings and None, such as a checkpoint with an optimizer's state) is stored under
    dotted names, its skeleton as JSON in the metadata. ``save(path, obj)`` is understood too.

    >>> import tensorlite as tl, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
    >>> tl.save({"epoch": 3, "model": {"weight": tl.ones(2)}}, path)
    >>> tl.load(path)
    {'epoch': 3, 'model': {'weight': tensor([1., 1.])}}
    """
    if isinstance(obj, (str, os.PathLike)):
        obj, path = path, obj
    strings = dict(metadata or {})
    tensors, skeleton = (dict(obj), None) if is_flat(obj) else flatten(obj)
    pairs = [name for name, tensor in tensors.items() if tensor.dtype == np.complex128]
    if skeleton is not None:
        strings[SKELETON] = json.dumps({"complex128": pairs, "skeleton": skeleton})
    safetensors.write(path, {name: _as_stored(tensor) for name, tensor in tensors.items()}, strings)


def load(path: str | os.PathLike[str]) -> Any:
    """Loads what `save` saved, or any safetensors file as a dict of tensors by name.

    A file that is damaged, cut short or over-long raises `FormatError`, which names the file and what is wrong.
    """
    arrays, metadata = safetensors.read(path)
    if SKELETON not in metadata:
        return {name: Tensor(array) for name, array in arrays.items()}
    try:
        description = json.loads(metadata[SKELETON])
        arrays |= {name: _as_complex(arrays[name]) for name in description["complex128"]}
        return unflatten(description["skeleton"], {name: Tensor(array) for name, array in arrays.items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(path, f"the skeleton in its metadata does not fit: {type(error).__name__}: {error}") from None


def _as_stored(tensor: Tensor | np.ndarray) -> np.ndarray:
    """The array to store: complex128, which the format lacks, as pairs of float64."""
    array = np.asarray(tensor.detach().numpy() if isinstance(tensor, Tensor) else tensor, order="C")
    return array.reshape(-1).view(np.float64).reshape(*array.shape, 2) if array.dtype == np.complex128 else array


def _as_complex(pairs: np.ndarray) -> np.ndarray:
    return pairs.reshape(-1).view(np.complex128).reshape(pairs.shape[:-1])
