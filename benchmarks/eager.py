"""The eager engine beside NumPy and PyTorch: ``tensorlite bench eager [--threads 1 2] [--json FILE] [--quick]``.

All read the same memory: three copies of a 16 MB operand would not fit the caches together.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import nn
from tensorlite.benchmarks.harness import Row, child, compare, machine, row_of, table, write_json
from tensorlite.declare import elementwise
from tensorlite.kernels import scalar as s

_MODULE = "tensorlite.benchmarks.eager"


def _torch(threads: int) -> ModuleType | None:
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def small_ops(torch: ModuleType | None, threads: int) -> Iterator[Row]:
    """Adding 8x8: what a call costs beside its arithmetic."""
    array = np.ones((8, 8), np.float32)
    x, y = tl.tensor(array), tl.tensor(array)
    runners: dict[str, Callable[[], Any]] = {"tensorlite": lambda: x + y, "numpy": lambda: array + array}
    recorded = tl.tensor(array, requires_grad=True)
    recording: dict[str, Callable[[], Any]] = {"tensorlite": lambda: recorded + y}
    if torch:
        u, v = torch.from_numpy(array), torch.from_numpy(array.copy())
        w = u.clone().requires_grad_()
        runners["torch"], recording["torch"] = lambda: u + v, lambda: w + v
    row = compare("add 8x8, not recording", runners, threads, required="<= 2.0 us")
    row.reached = row.median["tensorlite"] <= 2.0e-6
    yield row
    row = compare("add 8x8, recording", recording, threads, required="<= 3.0 us")
    row.reached = row.median["tensorlite"] <= 3.0e-6
    yield row


def _composites(x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """What a NumPy user writes for each function."""
    def softmax() -> Any:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return {"sigmoid": lambda: 1 / (1 + np.exp(-x)), "tanh": lambda: np.tanh(x), "exp": lambda: np.exp(x),
            "gelu": lambda: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
            "softplus": lambda: np.logaddexp(x, 0), "softmax": softmax}


def elementwise_ops(torch: ModuleType | None, threads: int) -> Iterator[Row]:
    """Functions of a million float32 (softmax over rows of a thousand)."""
    array = np.random.default_rng(0).standard_normal((1000, 1000)).astype(np.float32)
    x = tl.from_numpy(array)
    f = nn.functional
    ours: dict[str, Callable[[], Any]] = {
        "sigmoid": lambda: tl.sigmoid(x), "gelu": lambda: f.gelu(x), "tanh": lambda: tl.tanh(x),
        "exp": lambda: tl.exp(x), "softplus": lambda: f.softplus(x), "softmax": lambda: f.softmax(x, -1)}
    numpy = _composites(array)
    theirs: dict[str, Callable[[], Any]] = {}
    if torch:
        g, u = torch.nn.functional, torch.from_numpy(array)
        theirs = {"sigmoid": lambda: torch.sigmoid(u), "gelu": lambda: g.gelu(u), "tanh": lambda: torch.tanh(u),
                  "exp": lambda: torch.exp(u), "softplus": lambda: g.softplus(u), "softmax": lambda: g.softmax(u, -1)}
    for name, runner in ours.items():
        ten_times = name in ("sigmoid", "gelu")
        row = compare(f"{name}, 10^6", {"tensorlite": runner, "numpy": numpy[name], **(
            {"torch": theirs[name]} if torch else {})}, threads,
                      required=">= torch" + (", >= 10x numpy" if ten_times else ""))
        row.reached = (not torch or row.ratios["torch"] >= 1) and (not ten_times or row.ratios["numpy"] >= 10)
        row.note = "(NumPy's gelu is the tanh form)" if name == "gelu" else ""
        yield row


def _numpy_reductions(x: np.ndarray, axis: int | None) -> dict[str, Callable[[], Any]]:
    def logsumexp() -> Any:
        top = x.max(axis, keepdims=True)
        return np.log(np.exp(x - top).sum(axis, keepdims=True)) + top

    def layer_norm() -> Any:
        return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-5)

    return {"sum": lambda: x.sum(axis), "mean": lambda: x.mean(axis), "max": lambda: x.max(axis),
            "var": lambda: x.var(axis), "logsumexp": logsumexp, "layer_norm": layer_norm}


def _our_reductions(x: tl.Tensor, axis: int | None) -> dict[str, Callable[[], Any]]:
    shape = x.shape if axis is None else x.shape[1:]
    both = (0, 1) if axis is None else axis
    return {"sum": lambda: tl.sum(x, axis=axis), "mean": lambda: tl.mean(x, axis=axis),
            "max": lambda: tl.max(x, axis=axis), "var": lambda: tl.var(x, axis=axis),
            "logsumexp": lambda: tl.logsumexp(x, axis=both), "layer_norm": lambda: nn.functional.layer_norm(x, shape)}


def _torch_reductions(torch: Any, x: Any, axis: int | None) -> dict[str, Callable[[], Any]]:
    shape = x.shape if axis is None else x.shape[1:]
    both = (0, 1) if axis is None else axis
    return {"sum": lambda: x.sum(both), "mean": lambda: x.mean(both),
            "max": lambda: x.max() if axis is None else x.amax(axis), "var": lambda: torch.var(x, both),
            "logsumexp": lambda: torch.logsumexp(x, both),
            "layer_norm": lambda: torch.nn.functional.layer_norm(x, shape)}


def reductions(torch: ModuleType | None, threads: int) -> Iterator[Row]:
    """Reductions of 4096x1024 over everything and over the last axis."""
    array = np.random.default_rng(0).standard_normal((4096, 1024)).astype(np.float32)
    x = tl.from_numpy(array)
    for axis, where in ((None, "all axes"), (-1, "last axis")):
        numpy = _numpy_reductions(array, axis)
        theirs = _torch_reductions(torch, torch.from_numpy(array), axis) if torch else {}
        for name, runner in _our_reductions(x, axis).items():
            runners = {"tensorlite": runner, "numpy": numpy[name], **({"torch": theirs[name]} if torch else {})}
            row = compare(f"{name} 4096x1024, {where}", runners, threads, required=">= torch")
            row.reached = not torch or row.ratios["torch"] >= 1
            yield row


def fresh_result(torch: ModuleType | None, threads: int) -> Iterator[Row]:
    """The sum of two 64 MB tensors into a new one."""
    array = np.ones(16 << 20, np.float32)
    x, y = tl.tensor(array), tl.tensor(array)
    runners: dict[str, Callable[[], Any]] = {"tensorlite": lambda: x + y, "numpy": lambda: array + array}
    if torch:
        u, v = torch.from_numpy(array), torch.from_numpy(array.copy())
        runners["torch"] = lambda: u + v
    row = compare("add of two 64 MB tensors", runners, threads, target=0.2, rounds=9, required=">= 3x torch")
    row.reached = not torch or row.ratios["torch"] >= 3
    yield row


def chain(torch: ModuleType | None, threads: int, length: int = 100_000) -> Iterator[Row]:
    """A chain of products of 8x8, and its backward walk, in seconds an op."""
    array = np.ones((8, 8), np.float32)
    y = tl.tensor(array)
    samples: dict[str, dict[str, list[float]]] = {"forward": {}, "backward": {}}

    def run(key: str, leaf: Any, factor: Any) -> None:
        start = time.perf_counter()
        h = leaf
        for _ in range(length):
            h = h * factor
        middle = time.perf_counter()
        h.sum().backward()
        end = time.perf_counter()
        samples["forward"].setdefault(key, []).append((middle - start) / length)
        samples["backward"].setdefault(key, []).append((end - middle) / length)

    for _ in range(5):
        run("tensorlite", tl.tensor(array, requires_grad=True), y)
        if torch:
            run("torch", torch.from_numpy(array).clone().requires_grad_(), torch.from_numpy(array))
    for part, found in samples.items():
        row = row_of(f"chain of {length} ops, {part}, an op", threads, found, "<= 4 us" if part == "backward" else "")
        row.reached = row.median["tensorlite"] <= 4e-6 if part == "backward" else None
        yield row


def import_time(rounds: int = 9) -> Row:
    """Importing tensorlite after NumPy, beside importing NumPy, each round in a new process."""
    program = ("import time; a = time.perf_counter(); import numpy; b = time.perf_counter(); import tensorlite; "
               "c = time.perf_counter(); print(b - a, c - b)")
    samples: dict[str, list[float]] = {"tensorlite": [], "numpy": []}
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
        numpy, ours = map(float, done.stdout.split())
        samples["tensorlite"].append(ours)
        samples["numpy"].append(numpy)
    row = row_of("import, after NumPy's", 1, samples, "<= 80 ms")
    row.reached = row.median["tensorlite"] <= 0.080
    return row


def _first_use() -> float:
    """Seconds of the first call of a new elementwise op on a large tensor, the compiler itself being loaded already."""
    tl.exp(tl.ones((100, 100)))
    op = elementwise(lambda x: s.sin(x) * s.exp(-x * x) + 0.123, name="a_new_op", accepts="real floating", hidden=True)
    x = tl.ones((100, 100))
    start = time.perf_counter()
    op(x)
    return time.perf_counter() - start


def first_use(rounds: int = 5) -> Iterator[Row]:
    """The first use of a new op: compiled, and in the next process loaded from the disk cache."""
    samples: dict[str, list[float]] = {"cold": [], "cached": []}
    program = f"from {_MODULE} import _first_use; print(_first_use())"
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for key in samples:
                done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True,
                                      env={**os.environ, "TENSORLITE_CACHE_DIR": folder})
                samples[key].append(float(done.stdout))
    for key, limit in (("cold", 0.060), ("cached", 0.005)):
        row = row_of(f"first use of a new elementwise op, {key}", 1, {"tensorlite": samples[key]},
                     f"<= {limit * 1e3:.0f} ms")
        row.reached = row.median["tensorlite"] <= limit
        yield row


def measure(threads: int, quick: bool) -> list[Row]:
    """Everything that one process measures with a thread count."""
    torch = _torch(threads)
    rows = [*small_ops(torch, threads), *elementwise_ops(torch, threads), *reductions(torch, threads),
            *fresh_result(torch, threads)]
    if threads == 1:
        rows += chain(torch, threads, 10_000 if quick else 100_000)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the table, and writes JSON where asked; returns 0."""
    parser = argparse.ArgumentParser(prog="tensorlite bench eager", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts (default: 1 2)")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps([asdict(row) for row in measure(options.child, options.quick)]))
        return 0
    rows = [import_time(3 if options.quick else 9), *first_use(2 if options.quick else 5)]
    for threads in options.threads:
        rows += child(_MODULE, ["--child", str(threads), *(["--quick"] if options.quick else [])], threads)
    print("\n".join(f"{key}: {value}" for key, value in machine().items()), "", table(rows), sep="\n")
    if options.json:
        write_json(options.json, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
