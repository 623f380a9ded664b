"""Arrays in safetensors files, by the library of that name: whole files or none, and errors that name the file.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as library

from tensorlite import tensor_type as t
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.io.files import FormatError, atomic_write

#: The dtypes that the format has; complex128 is none of them.
DTYPES = tuple(dtype for dtype in t.DTYPES if dtype != t.complex128)
METADATA = "__metadata__"
_PICKLES = (b"PK\x03\x04", b"\x80\x02")


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray],
          metadata: Mapping[str, str] | None = None) -> None:
    """Writes arrays by name, with metadata of strings, as a whole or not at all."""
    ready = {name: _native(name, array) for name, array in arrays.items()}
    with atomic_write(path) as file:
        file.write(library.save(ready, dict(metadata) if metadata else None))


def _native(name: str, array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    dtype = np.dtype(array.dtype.type)
    if dtype not in DTYPES:
        raise complaint(DTypeError, "save", f"safetensors has no dtype for '{name}', which is {array.dtype}")
    if name == METADATA:
        raise complaint(ArgumentError, "save", f"safetensors keeps the name '{METADATA}' for itself")
    return array.astype(dtype, copy=False)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads a file's arrays by name and its metadata; the library checks the whole layout first."""
    with _opened(path) as file:
        return {name: _array(path, name, file) for name in file.keys()}, dict(file.metadata() or {})


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads the strings that a file carries beside its arrays, and nothing else.

    >>> import tensorlite as tl, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> tl.save({"weight": tl.zeros(3)}, path, metadata={"made by": "an example"})
    >>> tl.io.read_metadata(path)
    {'made by': 'an example'}
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    with Path(path).open("rb") as file:
        first = file.read(8)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        if first.startswith(_PICKLES):  # a sound file may begin so too: 80 02 is a header of 640 bytes
            raise FormatError(path, "is not safetensors but looks like a pickle of PyTorch, which could run any code",
                              "convert it where it was made, with safetensors.torch.save_file") from None
        words = str(error).removeprefix("Error while deserializing header: ")
        raise FormatError(path, f"damaged, cut short, or not safetensors: {words}") from None


def _array(path: str | os.PathLike[str], name: str, file: Any) -> np.ndarray:
    try:
        array = file.get_tensor(name)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        dtype = file.get_slice(name).get_dtype()
        raise FormatError(path, f"tensor '{name}' has dtype {dtype}, which no tensor has here: {error}") from None
    return np.asarray(array != 0) if array.dtype == np.bool_ else array
