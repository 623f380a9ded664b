"""Compiled objects on disk, addressed by the digest of everything that they depend on.

An entry is a file of its own: a magic number, the checksum of the payload, the payload. It is written under another
name and renamed, so that readers and writers in many processes never meet a half; it is checked when loaded, and one
that is damaged is deleted and counts as absent. The folder is ``TENSORLITE_CACHE_DIR``, else the user's cache folder,
else a private temporary one, else nothing but memory. The cache warns once per process when it cannot work as it
should, and never fails.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import stat
import tempfile
import time
import warnings
from pathlib import Path

from tensorlite.kernels.errors import CacheWarning

_MAGIC = b"TLCACHE1"
_HEADER = len(_MAGIC) + hashlib.sha256().digest_size
_BOUND = 256 << 20
_MEMORY_ENTRIES = 4096
_TOUCH_AFTER = 3600.0  # seconds: a hit renews an entry's time at most this often
_ORPHAN_AFTER = 3600.0  # seconds: an unfinished file this old belongs to a process that died
_serial = itertools.count()
_warned = False


class ObjectCache:
    """A bounded map from text keys to bytes, kept in the first of ``folders`` that takes it, else in memory."""

    def __init__(self, folders: tuple[Path, ...], bound: int = _BOUND) -> None:
        self.bound = bound
        self._folders = folders
        self._place = 0  # of the folder in use; one past the last means memory. Only ever grows.
        self._memory: dict[str, bytes] = {}

    @property
    def folder(self) -> Path | None:
        """The folder that new entries go to, or None where nothing but memory works."""
        return self._folders[self._place] if self._place < len(self._folders) else None

    def get(self, key: str) -> bytes | None:
        """Return what was put under ``key``, or None."""
        name = _digest(key)
        if name in self._memory:
            return self._memory[name]
        found = (self._read(folder / name) for folder in self._folders[: self._place + 1])
        return next((payload for payload in found if payload is not None), None)

    def put(self, key: str, payload: bytes) -> None:
        """Keep ``payload`` under ``key``; of several writers of one key the last wins."""
        name = _digest(key)
        place = self._place
        for folder in self._folders[place:]:
            try:
                _write(folder, name, payload)
            except OSError as error:
                place += 1
                self._place = max(self._place, place)
                _warn(f"cannot write to {folder} ({error.strerror or error}); going on with {self.folder or 'memory'}")
                continue
            if name.startswith("0"):  # one put in sixteen
                self.shrink()
            return
        if len(self._memory) < _MEMORY_ENTRIES:
            self._memory[name] = payload

    def shrink(self) -> None:
        """Delete the entries used longest ago until three quarters of the bound remain, if the bound is passed."""
        entries = [(status.st_mtime, status.st_size, path) for path, status in self._entries()]
        total = sum(size for _, size, _ in entries)
        if total <= self.bound:
            return
        for _, size, path in sorted(entries):
            if total <= self.bound * 3 // 4:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size

    def describe(self) -> dict[str, str]:
        """Return the facts that ``tensorlite doctor`` shows, in words."""
        sizes = [status.st_size for _, status in self._entries()]
        return {
            "folder": str(self.folder or "none (memory only)"),
            "size": f"{sum(sizes) / 2**20:.1f} MiB in {len(sizes)} entries, at most {self.bound / 2**20:.0f} MiB",
        }

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        """The entries of the folder in use; files that dead processes left unfinished are deleted on the way."""
        found: list[tuple[Path, os.stat_result]] = []
        if self.folder is None:
            return found
        with contextlib.suppress(OSError), os.scandir(self.folder) as files:
            for file in files:
                with contextlib.suppress(OSError):
                    status = file.stat(follow_symlinks=False)
                    if not file.name.endswith(".new"):
                        found.append((Path(file.path), status))
                    elif time.time() - status.st_mtime > _ORPHAN_AFTER:
                        os.unlink(file.path)
        return found

    def _read(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
        except OSError:
            return None
        payload = content[_HEADER:]
        if content[:_HEADER] != _MAGIC + hashlib.sha256(payload).digest():
            with contextlib.suppress(OSError):
                path.unlink()
            _warn(f"the entry {path} is damaged and does not count")
            return None
        _touch(path)
        return payload


@functools.cache
def default_cache() -> ObjectCache:
    """Return the cache of this process, in the folders that its environment names."""
    return ObjectCache(default_folders())


def default_folders() -> tuple[Path, ...]:
    """Return the folders to try, best first: the one named or the user's, then a temporary one."""
    try:
        home = _home_folder()
    except (RuntimeError, OSError) as error:  # no home, or a relative name while the current folder is gone
        home = None
        reason = str(error)
    temporary = _private_temporary_folder()
    if home is None:
        _warn(f"the user has no cache folder ({reason}); going on with {temporary or 'memory'}")
    return tuple(folder for folder in (home, temporary) if folder is not None)


def _home_folder() -> Path:
    import platformdirs

    named = os.environ.get("TENSORLITE_CACHE_DIR")
    folder = Path(named or platformdirs.user_cache_dir("tensorlite", appauthor=False))
    if not named and not folder.is_absolute():  # without a home some versions leave "~" in the path
        raise RuntimeError(f"{folder} is not absolute")
    return folder.absolute() if named else folder / "objects"


def _private_temporary_folder() -> Path | None:
    """A folder among the temporary files that nobody else may write to: what lies in it is executed."""
    with contextlib.suppress(OSError):
        user = os.getuid() if hasattr(os, "getuid") else 0
        folder = Path(tempfile.gettempdir()) / f"tensorlite-{user}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o022:
            return folder
    return None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _write(folder: Path, name: str, payload: bytes) -> None:
    unfinished = folder / f"{name}.{os.getpid()}.{next(_serial)}.new"
    content = _MAGIC + hashlib.sha256(payload).digest() + payload
    try:
        try:
            unfinished.write_bytes(content)
        except FileNotFoundError:  # the folder is new, or somebody deleted it
            folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content)
        unfinished.replace(folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _touch(path: Path) -> None:
    """Renew an entry's time, by which the oldest are chosen for deletion."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _TOUCH_AFTER:
            os.utime(path)


def _warn(what: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        advice = "set TENSORLITE_CACHE_DIR to a folder of yours to choose another"
        warnings.warn(f"tensorlite's disk cache: {what} ({advice}; this is said once)", CacheWarning, stacklevel=2)
