"""Files from the network: checked, with a progress bar, and in place only once they are whole."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from tensorlite.errors import TensorliteError, complaint
from tensorlite.io.files import atomic_write

CHUNK = 1 << 16
#: Seconds without a byte after which a server counts as silent.
TIMEOUT = 30.0


class DownloadError(TensorliteError, OSError):
    """A file that none of its addresses gave."""


def download(addresses: Sequence[str], path: str | os.PathLike[str], md5: str) -> None:
    """Fetches a file from the first address that gives it with the right checksum.

    Shows a progress bar; a failure leaves no part of a file behind and names every address with its cause.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for address in addresses:
        try:
            return _fetch(address, target, md5)
        except (OSError, HTTPException, ValueError) as error:
            failures.append(f"{address}: {_cause(error)}")
    fix = f"check the connection, or put {target.name} into {target.parent} yourself"
    problem = f"no address gave {target.name}" + "".join(f"\n    {failure}" for failure in failures)
    raise complaint(DownloadError, "download", problem, fix=fix)


def has_checksum(path: str | os.PathLike[str], md5: str) -> bool:
    """Whether a file is there and whole."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest() == md5
    except FileNotFoundError:
        return False


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _fetch(address: str, target: Path, md5: str) -> None:
    request = urllib.request.Request(address, headers={"User-Agent": "tensorlite"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, atomic_write(target) as file:
        digest = _copy(response, file, target.name)
        if digest != md5:
            raise ValueError(f"its md5 is {digest}, expected {md5}")


def _copy(response: Any, file: IO[bytes], name: str) -> str:
    from tqdm import tqdm

    expected = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
    digest, found = _md5(), 0
    with tqdm(total=expected, desc=name, unit="B", unit_scale=True, unit_divisor=1024) as progress:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            progress.update(len(chunk))
            found += len(chunk)
    if expected is not None and found != expected:
        raise ValueError(f"the connection ended after {found} of {expected} bytes")
    return digest.hexdigest()


def _cause(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
