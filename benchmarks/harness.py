"""Measuring functions side by side: rounds alternate, medians and minima are kept, every result names its command."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Runner = Callable[[], Any]

#: Seconds before each sample: the threads of the runner before may still spin on a core (OpenBLAS' for 26 ms, in which
#: PyTorch was ten times slower). One call then warms up.
_SETTLE = 0.04

#: OpenBLAS and OpenMP read these; each measuring process gets its thread count through them.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TENSORLITE_NUM_THREADS")


@dataclass
class Row:
    """One measure: seconds by runner (median and minimum) or bytes, and what must be reached."""

    name: str
    threads: int
    median: dict[str, float]
    minimum: dict[str, float]
    required: str = ""
    reached: bool | None = None
    note: str = ""
    ratios: dict[str, float] = field(default_factory=dict)
    unit: str = "s"


def time_once(runner: Runner, repeats: int) -> float:
    """Seconds of one call, over ``repeats`` of them."""
    start = time.perf_counter()
    for _ in range(repeats):
        runner()
    return (time.perf_counter() - start) / repeats


def repeats_for(runner: Runner, target: float) -> int:
    """How many calls take about ``target`` seconds."""
    repeats = 1
    while True:
        elapsed = time_once(runner, repeats) * repeats
        if elapsed >= target / 4 or repeats >= 1 << 20:
            return max(1, round(repeats * target / max(elapsed, 1e-9)))
        repeats *= 4


def compare(name: str, runners: Mapping[str, Runner], threads: int, rounds: int = 15, target: float = 0.02,
            required: str = "") -> Row:
    """Measures runners in alternating rounds, the garbage collector off; the first one is ours."""
    counts = {}
    for key, runner in runners.items():
        runner()
        counts[key] = repeats_for(runner, target)
    samples: dict[str, list[float]] = {key: [] for key in runners}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for key, runner in runners.items():
                time.sleep(_SETTLE)
                runner()
                samples[key].append(time_once(runner, counts[key]))
    finally:
        if enabled:
            gc.enable()
    return row_of(name, threads, samples, required)


def row_of(name: str, threads: int, samples: Mapping[str, Sequence[float]], required: str = "",
           unit: str = "s") -> Row:
    """A row of samples; ratios say how many times longer each rival's median is than the first runner's."""
    median = {key: statistics.median(values) for key, values in samples.items()}
    ours = next(iter(median.values()))
    ratios = {key: value / ours for key, value in list(median.items())[1:]}
    return Row(name, threads, median, {key: min(values) for key, values in samples.items()}, required, ratios=ratios,
               unit=unit)


def environment(threads: int, **variables: str) -> dict[str, str]:
    """The environment of a process that measures with a thread count, OpenBLAS left to choose its own kernels."""
    kept = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    return {**kept, **dict.fromkeys(_THREAD_VARIABLES, str(threads)), **variables}


def child(module: str, arguments: Sequence[str], threads: int) -> list[Row]:
    """Runs a module in a process of its own with a thread count, and reads the rows that it prints as JSON."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment(threads), stdout=subprocess.PIPE, text=True, check=True)
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def seconds(value: float) -> str:
    """A time for people: three digits and a unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def size(value: float) -> str:
    """A count of bytes for people: three digits and a unit."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} B"


def _cell(row: Row, key: str) -> str:
    """A runner's median, and its minimum where that is another number."""
    text = {"s": seconds, "B": size}[row.unit]
    median, least = row.median[key], row.minimum[key]
    return text(median) if median == least else f"{text(median)} ({text(least)})"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: medians, minima in brackets, ratios of the medians."""
    names = list(dict.fromkeys(key for row in rows for key in row.median))
    lines = ["| measure | threads | " + " | ".join(names) + " | rival / ours | must reach | |",
             "| --- | --- |" + " --- |" * (len(names) + 3)]
    for row in rows:
        cells = [_cell(row, name) if name in row.median else "" for name in names]
        ratios = ", ".join(f"{key} {value:.2f}" for key, value in row.ratios.items())
        verdict = {True: "yes", False: "**no**", None: ""}[row.reached]
        lines.append(f"| {row.name} | {row.threads} | " + " | ".join(cells)
                     + f" | {ratios} | {row.required} | {verdict}{' ' + row.note if row.note else ''} |")
    return "\n".join(lines)


#: Asks the OpenBLAS inside NumPy for what it found the processor to be.
_CORE = """
import ctypes, numpy
paths = [line.split()[-1] for line in open("/proc/self/maps") if "openblas" in line]
library = ctypes.CDLL(paths[0]) if paths else None
names = ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename")
found = next((getattr(library, name) for name in names if hasattr(library, name)), None)
if found is not None:
    found.restype = ctypes.c_char_p
    print(found().decode())
"""


def blas() -> str:
    """Which kernels NumPy's OpenBLAS runs in a measuring process."""
    done = subprocess.run([sys.executable, "-c", _CORE], env=environment(1), capture_output=True, text=True)
    return f"OpenBLAS for {done.stdout.strip() or 'an unknown processor'}"


def machine() -> dict[str, str]:
    """What was measured on, without the machine's name."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    versions = {}
    for package in ("numpy", "llvmlite", "torch", "jax", "onnxruntime", "cupy-cuda12x"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {"processor": f"{model}, {os.cpu_count()} cores", "python": platform.python_version(), "blas": blas(),
            **versions}


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Keeps rows and machine as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
