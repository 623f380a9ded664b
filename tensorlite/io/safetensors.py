"""The safetensors format: a JSON header that names, types and places raw little-endian arrays.

Format: https://github.com/huggingface/safetensors#format. The library of that name is not used: its NumPy side
reads no bfloat16, and what its writer takes changed between versions; the tests hold this file against it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from tensorlite import tensor_type as t
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.io.files import FormatError, atomic_write

#: The format's name of every dtype that it has; complex128 has none.
NAMES: dict[np.dtype, str] = {
    t.bool_: "BOOL", t.int8: "I8", t.int16: "I16", t.int32: "I32", t.int64: "I64",
    t.uint8: "U8", t.uint16: "U16", t.uint32: "U32", t.uint64: "U64",
    t.float16: "F16", t.bfloat16: "BF16", t.float32: "F32", t.float64: "F64", t.complex64: "C64",
}
DTYPES = {name: dtype for dtype, name in NAMES.items()}
#: The format's own limit, which keeps a reader from trusting a huge number.
LONGEST_HEADER = 100_000_000
METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class Entry:
    """One array of a file: its dtype and shape, and where its bytes lie after the header."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray],
          metadata: Mapping[str, str] | None = None) -> None:
    """Writes arrays by name, with metadata of strings, as a whole or not at all.

    The header lists the arrays in the order given; the bytes lie by falling alignment, as the format advises.
    """
    ready = {name: _little_endian(name, array) for name, array in arrays.items()}
    layout = sorted(ready, key=lambda name: (-ready[name].dtype.itemsize, name))
    begins, position = {}, 0
    for name in layout:
        begins[name] = position
        position += ready[name].nbytes
    with atomic_write(path) as file:
        file.write(_header(ready, begins, metadata))
        for name in layout:
            file.write(ready[name].reshape(-1).view(np.uint8).data)


def _little_endian(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array, order="C")
    native = array.dtype.newbyteorder("=")
    if native not in NAMES:
        raise complaint(DTypeError, "save", f"safetensors has no dtype for '{name}', which is {array.dtype}")
    if name == METADATA:
        raise complaint(ArgumentError, "save", f"safetensors keeps the name '{METADATA}' for itself")
    return array.astype(native.newbyteorder("<"), copy=False)


def _header(arrays: Mapping[str, np.ndarray], begins: Mapping[str, int], metadata: Mapping[str, str] | None) -> bytes:
    header: dict[str, Any] = {} if not metadata else {METADATA: dict(metadata)}
    for name, array in arrays.items():
        header[name] = {"dtype": NAMES[array.dtype.newbyteorder("=")], "shape": list(array.shape),
                        "data_offsets": [begins[name], begins[name] + array.nbytes]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        problem = f"a safetensors header holds at most {LONGEST_HEADER} bytes, this one needs {len(text)}"
        raise complaint(ArgumentError, "save", problem)
    return len(text).to_bytes(8, "little") + text


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads a file's arrays by name, in the header's order, and its metadata. Checks everything first."""
    with open(path, "rb") as file:
        header, size = _read_header(path, file)
        metadata, entries = _entries(path, header)
        start = file.tell()
        _check_layout(path, entries, size - start)
        return {entry.name: _read_array(path, file, entry, start) for entry in entries}, metadata


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads the strings that a file carries beside its arrays, and nothing else.

    >>> import tensorlite as tl, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> tl.save({"weight": tl.zeros(3)}, path, metadata={"made by": "an example"})
    >>> tl.io.read_metadata(path)
    {'made by': 'an example'}
    """
    with open(path, "rb") as file:
        header, _ = _read_header(path, file)
    return _entries(path, header)[0]


def _read_header(path: str | os.PathLike[str], file: BinaryIO) -> tuple[dict[str, Any], int]:
    size = os.fstat(file.fileno()).st_size
    first = file.read(8)
    if len(first) < 8:
        raise FormatError(path, f"cut short: a safetensors file begins with 8 bytes, this one has {len(first)}")
    length = int.from_bytes(first, "little")
    if length > LONGEST_HEADER and first.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise FormatError(path, "is not safetensors but looks like a pickle of PyTorch, which could run any code",
                          "convert it where it was made, with safetensors.torch.save_file")
    if length > LONGEST_HEADER:
        raise FormatError(path, f"its first 8 bytes ask for a header of {length} bytes, at most {LONGEST_HEADER} are "
                                "allowed: damaged, or not safetensors")
    if length > size - 8:
        raise FormatError(path, f"cut short: expected a header of {length} bytes, found {size - 8}")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"its header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise FormatError(path, f"its header is not a JSON object but {type(header).__name__}")
    return header, size


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' stands there twice")
    return found


def _entries(path: str | os.PathLike[str], header: Mapping[str, Any]) -> tuple[dict[str, str], list[Entry]]:
    metadata = header.get(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError(path, "its metadata is not an object of strings")
    return metadata, [_entry(path, name, value) for name, value in header.items() if name != METADATA]


def _entry(path: str | os.PathLike[str], name: str, value: Any) -> Entry:
    fields = ("dtype", "shape", "data_offsets")
    if not isinstance(value, dict) or any(field not in value for field in fields):
        raise FormatError(path, f"tensor '{name}' lacks dtype, shape or data_offsets")
    dtype_name, shape, offsets = (value[field] for field in fields)
    if not isinstance(dtype_name, str) or dtype_name not in DTYPES:
        raise FormatError(path, f"tensor '{name}' has dtype {dtype_name!r}; known are {', '.join(DTYPES)}")
    if not _are_counts(shape):
        raise FormatError(path, f"tensor '{name}' has the shape {shape!r}")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(path, f"tensor '{name}' has the data_offsets {offsets!r}")
    dtype, (begin, end) = DTYPES[dtype_name], offsets
    expected = math.prod(shape) * dtype.itemsize
    if expected != end - begin:
        raise FormatError(path, f"tensor '{name}', {dtype.name}{shape}, needs {expected} bytes, "
                                f"its data_offsets give {end - begin}")
    return Entry(name, dtype, tuple(shape), begin, end)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _check_layout(path: str | os.PathLike[str], entries: list[Entry], available: int) -> None:
    position, before = 0, "the header"
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin < position:
            raise FormatError(path, f"tensors '{before}' and '{entry.name}' overlap: the second begins at byte "
                                    f"{entry.begin}, the first ends at {position}")
        if entry.begin > position:
            raise FormatError(path, f"bytes {position} to {entry.begin}, before tensor '{entry.name}', "
                                    "belong to no tensor")
        position, before = entry.end, entry.name
    if position != available:
        state = "cut short" if available < position else "over-long"
        raise FormatError(path, f"{state}: expected {position} bytes of data, found {available}")


def _read_array(path: str | os.PathLike[str], file: BinaryIO, entry: Entry, start: int) -> np.ndarray:
    raw = np.empty(entry.end - entry.begin, np.uint8)
    file.seek(start + entry.begin)
    if file.readinto(raw.data) != raw.size:  # type: ignore[attr-defined]
        raise FormatError(path, f"was cut short while tensor '{entry.name}' was read")
    if entry.dtype == t.bool_:
        return (raw != 0).reshape(entry.shape)
    return raw.view(entry.dtype.newbyteorder("<")).reshape(entry.shape).astype(entry.dtype, copy=False)
