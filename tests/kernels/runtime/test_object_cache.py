"""The disk cache: it keeps what it is given, and whatever happens to its folder, it works on and warns once."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tensorlite.kernels import cache
from tensorlite.kernels.cache import ObjectCache
from tensorlite.kernels.errors import CacheWarning


@pytest.fixture(autouse=True)
def not_yet_warned(monkeypatch):
    monkeypatch.setattr(cache, "_warned", False)


def works(store: ObjectCache, count: int = 40) -> None:
    for index in range(count):
        store.put(f"key {index}", b"payload %d" % index)
    assert [store.get(f"key {index}") for index in range(count)] == [b"payload %d" % index for index in range(count)]
    assert store.get("another") is None


def caught_once(action) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    assert [warning.category for warning in caught] == [CacheWarning]
    return str(caught[0].message)


def test_it_keeps_what_it_is_given(tmp_path):
    store = ObjectCache((tmp_path / "new" / "folder",))
    works(store)
    assert ObjectCache((tmp_path / "new" / "folder",)).get("key 3") == b"payload 3"
    store.put("key 3", b"")
    assert store.get("key 3") == b""
    assert not list(tmp_path.rglob("*.new"))


def test_an_entry_is_addressed_by_its_whole_key(tmp_path):
    store = ObjectCache((tmp_path,))
    store.put("a\n" * 10_000 + "x", b"x")
    store.put("a\n" * 10_000 + "é", b"y")
    assert (store.get("a\n" * 10_000 + "x"), store.get("a\n" * 10_000 + "é")) == (b"x", b"y")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"X" + content[1:],
        lambda content: content + b"more",
    ],
)
def test_a_damaged_entry_does_not_count(tmp_path, damage):
    store = ObjectCache((tmp_path,))
    store.put("key", b"payload")
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    message = caught_once(lambda: store.get("key") or store.get("key"))
    assert message.startswith(f"tensorlite's disk cache: the entry {entry} is damaged and does not count (")
    assert store.get("key") is None and not entry.exists()
    works(store)


def test_a_folder_that_cannot_be_written_gives_way_to_the_next(tmp_path):
    (tmp_path / "file").write_text("no folder can be made below a file")
    store = ObjectCache((tmp_path / "file" / "cache", tmp_path / "second"))
    message = caught_once(lambda: works(store))
    assert message == (
        f"tensorlite's disk cache: cannot write to {tmp_path / 'file' / 'cache'} (Not a directory); going on with "
        f"{tmp_path / 'second'} (set TENSORLITE_CACHE_DIR to a folder of yours to choose another; this is said once)"
    )
    assert len(list((tmp_path / "second").iterdir())) == 40


def test_a_read_only_folder_is_still_read(program):
    done = program(
        """
        import os, tempfile, warnings
        from pathlib import Path
        from tensorlite.kernels.cache import ObjectCache
        folder = Path(tempfile.mkdtemp())
        ObjectCache((folder,)).put("old", b"entry")
        folder.chmod(0o555)
        if os.geteuid() == 0:  # whom permissions do not bind
            os.seteuid(65534)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = ObjectCache((folder,))
            store.put("new", b"more")
            store.put("newer", b"more")
        print(len(caught), "Permission denied" in str(caught[0].message), store.get("old"), store.get("new"))
        if os.getuid() == 0:
            os.seteuid(0)
        for entry in folder.iterdir(): entry.unlink()
        folder.rmdir()
        """
    )
    assert (done.stdout, done.stderr) == ("1 True b'entry' b'more'\n", "")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_refuses_writes_is_still_read(tmp_path, monkeypatch, code):
    ObjectCache((tmp_path,)).put("old", b"entry")

    def refuse(path, content):
        path.open("wb").close()  # what a full disk leaves behind
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    store = ObjectCache((tmp_path,))
    message = caught_once(lambda: works(store))
    assert f"cannot write to {tmp_path} ({os.strerror(code)}); going on with memory" in message
    assert store.get("old") == b"entry"
    assert len(list(tmp_path.iterdir())) == 1
    assert store.describe()["folder"] == "none (memory only)"


def test_a_write_that_stops_half_way_leaves_nothing(program, tmp_path):
    """A limit on the size of files makes the system itself refuse the rest of a write."""
    done = program(
        f"""
        import resource, signal, warnings
        from pathlib import Path
        from tensorlite.kernels.cache import ObjectCache
        folder = Path({str(tmp_path)!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = ObjectCache((folder,))
            store.put("small", b"s" * 100)
            store.put("large", b"l" * 100_000)
            store.put("larger", b"l" * 200_000)
        right = store.get("small") == b"s" * 100 and store.get("large") == b"l" * 100_000
        print(len(caught), right, len(list(folder.iterdir())))
        """
    )
    assert (done.stdout, done.stderr) == ("1 True 1\n", "")


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    store = ObjectCache((tmp_path / "cache",))
    works(store)
    shutil.rmtree(tmp_path / "cache")
    assert store.get("key 1") is None
    works(store)


def test_memory_alone_works_too():
    works(ObjectCache(()))


def test_it_stays_within_its_bound_and_keeps_what_was_used_last(tmp_path):
    store = ObjectCache((tmp_path,), bound=100_000)
    for index in range(300):
        store.put(f"key {index}", bytes(1000))
        (entry,) = tmp_path.glob(cache._digest(f"key {index}"))
        os.utime(entry, (index, index))
    assert store.get("key 210") == bytes(1000)  # renews its time
    store.shrink()
    kept = [index for index in range(300) if store.get(f"key {index}") is not None]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= store.bound
    assert 210 in kept
    assert [index for index in kept if index != 210] == list(range(min(set(kept) - {210}), 300)) or min(kept) == 210


def test_puts_shrink_it_by_themselves(tmp_path):
    store = ObjectCache((tmp_path,), bound=20_000)
    for index in range(400):
        store.put(f"key {index}", bytes(1000))
    assert len(list(tmp_path.iterdir())) < 100


def test_what_dead_processes_left_is_deleted(tmp_path):
    old, young = tmp_path / "a.1.0.new", tmp_path / "b.2.0.new"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert ObjectCache((tmp_path,)).describe()["size"].startswith("0.0 MiB in 0 entries")
    assert not old.exists() and young.exists()


def test_many_processes_write_the_same_keys(tmp_path):
    text = f"""
from pathlib import Path
from tensorlite.kernels.cache import ObjectCache
store = ObjectCache((Path({str(tmp_path)!r}),), bound=200_000)
for turn in range(30):
    for index in range(10):
        found = store.get(f"key {{index}}")
        assert found is None or found == bytes([index]) * 10_000
        store.put(f"key {{index}}", bytes([index]) * 10_000)
"""
    writers = [subprocess.Popen([sys.executable, "-W", "error", "-c", text]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(list(tmp_path.iterdir())) == 10


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TENSORLITE_CACHE_DIR", str(tmp_path / "mine"))
    assert cache.default_folders()[0] == tmp_path / "mine"
    monkeypatch.delenv("TENSORLITE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.default_folders()[0] == tmp_path / "xdg" / "tensorlite" / "objects"


def test_without_a_home_temporary_files_do(program, tmp_path):
    done = program(
        """
        import os, pwd
        os.environ.pop("HOME", None)
        pwd.getpwuid = lambda _: (_ for _ in ()).throw(KeyError("no such user"))
        from tensorlite.kernels import cache
        store = cache.default_cache()
        store.put("key", b"payload")
        print(store.folder, store.get("key"))
        """,
        TMPDIR=str(tmp_path),
        XDG_CACHE_HOME="",
        TENSORLITE_CACHE_DIR="",
    )
    assert done.stdout == f"{tmp_path}/tensorlite-{os.getuid()} b'payload'\n"
    assert done.stderr.count("CacheWarning") == 1
    assert f"going on with {tmp_path}/tensorlite-{os.getuid()} (set TENSORLITE_CACHE_DIR" in done.stderr


def test_a_temporary_folder_of_somebody_else_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = cache._private_temporary_folder()
    assert folder is not None and folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert cache._private_temporary_folder() is None
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert cache._private_temporary_folder() is None
