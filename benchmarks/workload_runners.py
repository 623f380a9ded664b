"""Who runs the workloads: tensorlite and its rivals by name, and each one's first call in a process of its own.

``python -m tensorlite.benchmarks.workload_runners RUNNER WORKLOAD`` prints seconds and bytes as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tensorlite as tl
from tensorlite.benchmarks.harness import environment
from tensorlite.benchmarks.workloads import Step, Workload, workload

_MODULE = "tensorlite.benchmarks.workload_runners"


@dataclass(frozen=True)
class Runner:
    """One way to run a workload: the package it needs, and what builds a step and a batch, imported when asked for."""

    name: str
    package: str
    module: str
    build: Callable[[Any, Workload, int], tuple[Step, Any]]
    program: str = ""

    def missing(self) -> str | None:
        """What is not installed and has to be; None where nothing is missing."""
        if find_spec(self.package) is None:
            return self.package
        return self.program if self.program and shutil.which(self.program) is None else None

    def start(self, workload: Workload, seed: int = 0) -> tuple[Step, Any]:
        """The training step of a workload that has not begun, and its batch."""
        return self.build(import_module(f"tensorlite.benchmarks.{self.module}"), workload, seed)


#: The first is the one that others are compared with.
RUNNERS = {runner.name: runner for runner in (
    Runner("tensorlite", "tensorlite", "workloads", lambda _, w, seed: w.build(seed, jit=True)),
    Runner("torch", "torch", "workload_torch", lambda module, w, seed: module.build(w, seed)),
    Runner("torch.compile", "torch", "workload_torch", lambda module, w, seed: module.build(w, seed, compiled=True),
           "g++"),
    Runner("jax", "jax", "workload_jax", lambda module, w, seed: module.build(w, seed)),
    Runner("tensorlite eager", "tensorlite", "workloads", lambda _, w, seed: w.build(seed)))}


def present(names: Sequence[str]) -> list[Runner]:
    """The runners of these names that have what they need."""
    return [RUNNERS[name] for name in names if RUNNERS[name].missing() is None]


def absent() -> list[str]:
    """Says which rivals are missing, and what they need."""
    lacking = {name: runner.missing() for name, runner in RUNNERS.items()}
    lacking["onnxruntime"] = next((name for name in ("onnx", "onnxruntime") if find_spec(name) is None), None)
    return [f"missing: {name} (needs {what})" for name, what in lacking.items() if what]


def caches(folder: Path) -> dict[str, str]:
    """Environment variables that make everybody keep what is compiled in a folder."""
    return {"TENSORLITE_CACHE_DIR": str(folder / "tensorlite"), "TORCHINDUCTOR_CACHE_DIR": str(folder / "torch"),
            "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


def use_cores(threads: int) -> None:
    """Keeps this process on so many cores: some libraries count these, whatever variables say."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


@dataclass(frozen=True)
class FirstCall:
    """What a process of its own came to: seconds of the first and of a later step, bytes before it and at most.

    What steps after the first compile anew, as where state has appeared, counts as the first's.
    """

    first: float
    later: float
    before: int
    peak: int


def first_call(name: str, of: str, folder: Path, threads: int, small: bool = False, loaded: bool = False) -> FirstCall:
    """Runs a workload's first steps in a new process whose caches are in a folder.

    ``loaded`` compiles something else first, so that the compiler's own loading is not measured.
    """
    flags = [flag for flag, given in (("--small", small), ("--loaded", loaded)) if given]
    command = [sys.executable, "-m", _MODULE, name, of, "--threads", str(threads), *flags]
    done = subprocess.run(command, env=environment(threads, **caches(folder)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stderr}")
    return FirstCall(**json.loads(done.stdout.splitlines()[-1]))


def resident(what: str) -> int:
    """Bytes of this process in memory, now (``VmRSS``) or at most (``VmHWM``): `getrusage` counts the parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def _measure(runner: Runner, of: Workload, steps: int) -> Mapping[str, float]:
    step, batch = runner.start(of)
    before = resident("VmRSS")
    samples = []
    for _ in range(steps):
        start = time.perf_counter()
        step(*batch)
        samples.append(time.perf_counter() - start)
    later = statistics.median(samples[steps // 2:])
    return {"first": sum(samples) - (steps - 1) * later, "later": later, "before": before, "peak": resident("VmHWM")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures one runner's first call, and prints it; returns 0."""
    parser = argparse.ArgumentParser(prog=_MODULE, description=__doc__)
    parser.add_argument("runner", choices=RUNNERS)
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="the workload's small form")
    parser.add_argument("--loaded", action="store_true", help="compile something else before, with tensorlite")
    options = parser.parse_args(arguments)
    use_cores(options.threads)
    runner = RUNNERS[options.runner]
    if options.loaded:
        tl.jit(lambda x: x * 3 + 1)(tl.ones(5))
    print(json.dumps(_measure(runner, workload(options.workload, options.small), 6)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
