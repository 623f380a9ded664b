"""Files are written whole or not at all, and what is wrong with one is said by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tensorlite.errors import TensorliteError


class FormatError(TensorliteError, ValueError):
    """A file whose bytes are not what its format asks for."""

    def __init__(self, path: str | os.PathLike[str], problem: str, fix: str | None = None) -> None:
        text = f"{os.fspath(path)}: {problem}"
        super().__init__(text if fix is None else f"{text}\n  fix: {fix}", fix, complete=True)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a new file that takes the place of ``path`` once it is complete and on disk.

    Until then, and if the block raises or the process dies, ``path`` stays as it was.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name[:200]}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
