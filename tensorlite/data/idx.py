"""The idx format of MNIST and its kin: a short big-endian header, then one array; gzipped or not.

Format: http://yann.lecun.com/exdb/mnist, "The IDX file format".
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from io import BufferedReader

import numpy as np

from tensorlite.errors import DTypeError, complaint
from tensorlite.io.files import FormatError, atomic_write

#: The third byte of the magic number: what the elements are.
CODES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 1 << 22


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads the array of an idx file, gzipped or not, in native byte order.

    Raises `FormatError`, which names the file, what was expected and what was found, for anything else.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "labels-idx1-ubyte.gz")
    >>> write_idx(path, np.array([7, 2, 1], np.uint8))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    with open(path, "rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read(path, unpacked)
        if os.fspath(path).endswith(".gz"):
            raise FormatError(path, f"is not gzip: expected the bytes 1f 8b first, found {_show(start)}")
        return _read(path, file)


def _read(path: str | os.PathLike[str], file: BufferedReader | gzip.GzipFile) -> np.ndarray:
    magic = _exactly(path, file, 4, "magic number")
    if magic[:2] != b"\0\0" or magic[2] not in CODES:
        raise FormatError(path, f"is not idx: expected a magic number 00 00 TT DD with TT in "
                                f"{', '.join(f'{code:02x}' for code in CODES)}, found {_show(magic)}")
    shape = struct.unpack(f">{magic[3]}I", _exactly(path, file, 4 * magic[3], "shape"))
    dtype = np.dtype(CODES[magic[2]])
    raw = _at_most(path, file, math.prod(shape) * dtype.itemsize, f"{dtype.name}{list(shape)}")
    return np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _exactly(path: str | os.PathLike[str], file: BufferedReader | gzip.GzipFile, length: int, what: str) -> bytes:
    found, problem = _gather(file, length)
    if len(found) < length:
        raise FormatError(path, f"cut short: expected {length} bytes of {what}, found {len(found)}{problem}")
    return bytes(found)


def _at_most(path: str | os.PathLike[str], file: BufferedReader | gzip.GzipFile, length: int, what: str) -> bytearray:
    found, problem = _gather(file, length + 1)
    if len(found) < length:
        raise FormatError(path, f"cut short: expected {length} bytes of data for {what}, found {len(found)}{problem}")
    if len(found) > length:
        raise FormatError(path, f"over-long: expected {length} bytes of data for {what}, found more")
    if problem:
        raise FormatError(path, f"damaged after its data{problem}")
    return found


def _gather(file: BufferedReader | gzip.GzipFile, length: int) -> tuple[bytearray, str]:
    """Reads up to ``length`` bytes, never trusting a header for more than a chunk, and says what stopped it early."""
    found = bytearray()
    try:
        while len(found) < length and (chunk := file.read1(min(CHUNK, length - len(found)))):
            found += chunk
    except EOFError:
        return found, " (the gzip stream ends early)"
    except (OSError, zlib.error) as error:
        return found, f" (the gzip stream is damaged: {error})"
    return found, ""


def _show(raw: bytes) -> str:
    return raw.hex(" ") or "nothing"


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Writes an array as an idx file, gzipped if the name ends in ``.gz``; whole or not at all."""
    array = np.asarray(array, order="C")
    codes = {np.dtype(dtype).newbyteorder("="): code for code, dtype in CODES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        problem = f"idx has no code for {array.dtype}; it has {', '.join(map(str, codes))}"
        raise complaint(DTypeError, "write_idx", problem)
    header = bytes((0, 0, code, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.astype(CODES[code]).tobytes()
    with atomic_write(path) as file:
        file.write(gzip.compress(content, mtime=0) if os.fspath(path).endswith(".gz") else content)
