"""Shows versions, CPU, threads, cache and GPU, and why something is missing."""

from __future__ import annotations

import argparse
import platform
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from textwrap import wrap

import tensorlite
from tensorlite.kernels import cache, device
from tensorlite.kernels.cpu import host, team, tuning
from tensorlite.kernels.cuda import device as cuda

CORE = ("numpy", "llvmlite", "numba", "ml_dtypes", "safetensors", "tqdm", "platformdirs")
OPTIONAL = ("cupy-cuda12x", "scikit-learn", "matplotlib", "torch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options: none."""


def run(options: argparse.Namespace) -> int:
    """Prints what is known of this machine; a device or package that is missing is no failure."""
    for title, rows in sections():
        print(title)
        for name, value in rows.items():
            print(*wrap(value, 120, initial_indent=f"  {name:<16}", subsequent_indent=" " * 18), sep="\n")
    return 0


def sections() -> Iterator[tuple[str, dict[str, str]]]:
    """Gives each section's title and rows."""
    yield "versions", {
        "tensorlite": tensorlite.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: _version(name) for name in CORE},
        **{name: _version(name, "not installed (optional)") for name in OPTIONAL},
    }
    yield "cpu", {**host.describe(), **team.describe(), "tuning": tuning.budget.describe()}
    yield "cache", _cache()
    yield "devices", _devices()


def _version(name: str, absent: str = "missing: reinstall tensorlite") -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return absent


def _cache() -> dict[str, str]:
    objects = cache.default_cache()
    wanted = [str(folder) for folder in cache.default_folders()]
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        objects.put("tensorlite doctor", b"can this folder be written?")
    rows = objects.describe()
    reasons = "; ".join(str(complaint.message) for complaint in complaints)
    return {**rows, "writable": "yes" if [rows["folder"]] == wanted[:1] else f"no: {reasons or 'there is no folder'}"}


def _devices() -> dict[str, str]:
    names = device.available()
    memory = {name: device.get(name).memory() for name in names}
    rows = {name: ", ".join(f"{key} {size / 2**20:.0f} MiB" for key, size in memory[name].items()) for name in names}
    reason = cuda.reason()
    return rows if reason is None else {**rows, "cuda": f"no: {reason.removeprefix('cuda: ')}"}
