"""Compiled training and functions beside PyTorch, JAX and others: ``tensorlite bench jit [--only W1,chains]``.

Runners alternate in one process a part, on as many cores as threads; first calls and memory are measured in processes
of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import nn
from tensorlite.benchmarks.harness import Row, child, compare, machine, row_of, seconds, size, table, write_json
from tensorlite.benchmarks.workload_runners import RUNNERS, FirstCall, absent, first_call, present, use_cores
from tensorlite.benchmarks.workloads import WORKLOADS, workload

_MODULE = "tensorlite.benchmarks.jit"
_RIVALS = ("torch", "torch.compile", "jax")
_OURS = ("tensorlite",)


def _compare(name: str, runners: dict[str, Callable[[], Any]], options: argparse.Namespace, required: str = "",
             target: float = 0.02) -> Row:
    """Compares runners that have run three times: the second call compiles anew where state has appeared."""
    for runner in runners.values():
        for _ in range(3):
            runner()
    return compare(name, runners, options.threads, options.repeat, target, required)


# --- workloads ----------------------------------------------------------------------------------------------------


def training(options: argparse.Namespace) -> Iterator[Row]:
    """A step of a workload."""
    found = workload(options.of, options.small)
    runners: dict[str, Callable[[], Any]] = {}
    for runner in present((*_OURS, *_RIVALS, *(("tensorlite eager",) if options.eager else ()))):
        step, batch = runner.start(found)
        runners[runner.name] = partial(step, *batch)
    row = _compare(f"{found.name}: {found.title}", runners, options,
                   ">= 1.3x the best rival" if found.name == "W1" else "")
    rivals = [row.ratios[key] for key in _RIVALS if key in row.ratios]
    row.note = f"best rival {min(rivals):.2f}" if rivals else ""
    row.reached = min(rivals) >= 1.3 if found.name == "W1" and rivals else None
    yield row


def first(options: argparse.Namespace) -> Iterator[Row]:
    """The first call of a workload with empty and with filled caches, and its memory, each in a new process."""
    calls: dict[str, list[FirstCall]] = {}
    for runner in present((*_OURS, *_RIVALS)):
        with tempfile.TemporaryDirectory() as folder:
            calls[runner.name] = [first_call(runner.name, options.of, Path(folder), options.threads, options.small)
                                  for _ in ("cold", "warm")]
    for place, cache in enumerate(("nothing cached", "cached")):
        yield row_of(f"{options.of}: first call, {cache}", options.threads,
                     {key: [both[place].first] for key, both in calls.items()})
    yield row_of(f"{options.of}: peak memory of the process", options.threads,
                 {key: [both[1].peak] for key, both in calls.items()}, unit="B")
    yield row_of(f"{options.of}: peak memory beyond what it began with", options.threads,
                 {key: [both[1].peak - both[1].before] for key, both in calls.items()}, unit="B")


def compiling(options: argparse.Namespace) -> Iterator[Row]:
    """What compiling takes with nothing cached, the compiler itself being loaded: first call less a later one."""
    limit = {"W1": 0.25, "W3": 1.5, "W4": 1.0, "one line": 0.040}[options.of]
    if options.of == "one line":
        samples = [_one_line(place) for place in range(options.repeat)]
    else:
        samples = [_compiled(options) for _ in range(min(options.repeat, 3))]
    row = row_of(f"compile, nothing cached: {options.of}", options.threads, {"tensorlite": samples},
                 f"<= {seconds(limit)}")
    row.reached = row.median["tensorlite"] <= limit
    yield row


def _compiled(options: argparse.Namespace) -> float:
    with tempfile.TemporaryDirectory() as folder:
        call = first_call("tensorlite", options.of, Path(folder), options.threads, options.small, loaded=True)
    return call.first - call.later


def _one_line(place: int) -> float:
    """Seconds of the first call of a function that no cache has seen: its constant is new."""
    x, constant = tl.ones((100, 100)), 1.0 + time.time_ns() % 10**9 * 1e-9 + place
    tl.jit(lambda x: x * 3 + 1)(x)
    function = tl.jit(lambda x: tl.exp(-x * x) * constant + tl.sin(x))
    start = time.perf_counter()
    function(x)
    return time.perf_counter() - start


def arena(options: argparse.Namespace) -> Iterator[Row]:
    """The arena of a workload's step beside what is alive at once, which no arena can be smaller than."""
    step, batch = RUNNERS["tensorlite"].start(workload(options.of, options.small))
    step(*batch)
    memory = step.memory()  # type: ignore[attr-defined]
    row = row_of(f"{options.of}: arena", options.threads, {"tensorlite": [memory["arena"]], "bound": [memory["bound"]]},
                 "<= 1.1x the bound", "B")
    row.reached = memory["arena"] <= 1.1 * memory["bound"]
    yield row


# --- calls --------------------------------------------------------------------------------------------------------


class Total(nn.Module):
    """Adds what it is given to eight parameters."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.all = nn.ParameterList([nn.Parameter(tl.tensor(array)) for array in arrays])

    def forward(self, *tensors: tl.Tensor) -> tl.Tensor:
        with tl.no_grad():
            return total(*tensors, *self.all)


def total(first: Any, *others: Any) -> Any:
    """The sum of tensors or arrays of any library."""
    for x in others:
        first = first + x
    return first


def overhead(options: argparse.Namespace) -> Iterator[Row]:
    """A call with twenty tensors and eight parameters, four numbers each."""
    arrays = [np.full(4, place, np.float32) for place in range(28)]
    compiled, tensors = tl.jit(Total(arrays[20:])), [tl.tensor(array) for array in arrays[:20]]
    runners = {"tensorlite": lambda: compiled(*tensors), **_rivals(total, arrays)}
    row = _compare("a call with 20 tensors and 8 parameters, its additions included", runners, options,
                   required="<= 10 us")
    row.reached = row.median["tensorlite"] <= 10e-6
    yield row


def inference(options: argparse.Namespace) -> Iterator[Row]:
    """A perceptron asked about one image."""
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    array = np.random.default_rng(0).standard_normal((1, 784), np.float32)
    weights = [np.array(p.detach().numpy()) for p in model.parameters()]
    first, first_bias, second, second_bias = weights
    x = tl.tensor(array)

    @tl.jit
    def infer(x: tl.Tensor) -> tl.Tensor:
        with tl.no_grad():
            return model(x)

    runners: dict[str, Callable[[], Any]] = {
        "tensorlite": lambda: infer(x),
        "numpy": lambda: np.maximum(array @ first.T + first_bias, 0) @ second.T + second_bias}
    arguments = {"torch": (False,), "torch.compile": (True,), "jax": ()}
    for rival in present(_RIVALS):
        runners[rival.name] = _module(rival.module).perceptron(weights, array, *arguments[rival.name])
    if not any("onnxruntime" in line for line in absent()):
        runners["onnxruntime"] = _module("workload_onnx").perceptron(weights, array)
    row = _compare("inference of 784-256-10, batch 1", runners, options, required="<= 10 us")
    row.reached = row.median["tensorlite"] <= 10e-6
    yield row


def _module(name: str) -> Any:
    return import_module(f"tensorlite.benchmarks.{name}")


def _rivals(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """What calls a function of arrays in every other library."""
    arguments = {"torch": (False,), "torch.compile": (True,), "jax": ()}
    return {rival.name: _module(rival.module).runner(function, arrays, *arguments[rival.name])
            for rival in present(_RIVALS)}


# --- bandwidth ----------------------------------------------------------------------------------------------------

#: Chains in the operators of every library, and how many times the array's bytes each must move.
CHAINS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "elementwise chain": (lambda x: (x * 1.5 + 0.5) * x - x * 0.25, 2),
    "chain and sum": (lambda x: ((x * 1.5 + 0.5) * x - 0.25).sum(), 1),
    "chain and sums of rows": (lambda x: ((x * 1.5 + 0.5) * x - 0.25).sum(-1), 1)}


def _copier(array: np.ndarray, threads: int) -> Callable[[], Any]:
    """Copies an array into one that is there already, each thread a part."""
    out, pool = np.empty_like(array), ThreadPoolExecutor(threads)
    np.copyto(out, array)
    parts = list(zip(np.array_split(out, threads), np.array_split(array, threads), strict=True))
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


def chains(options: argparse.Namespace) -> Iterator[Row]:
    """Fused chains of 64 MB beside copying as much."""
    array = np.random.default_rng(0).standard_normal((64 if options.small else 16384, 1024), np.float32)
    x = tl.tensor(array)
    for name, (function, moves) in CHAINS.items():
        compiled = tl.jit(function)
        runners: dict[str, Callable[[], Any]] = {
            "tensorlite": partial(compiled, x), "copy": _copier(array, options.threads), **_rivals(function, [array])}
        row = _compare(f"{name}, {size(array.nbytes)}", runners, options, target=0.05,
                       required=">= 80 % of a copy's bandwidth")
        speed = moves * array.nbytes / row.median["tensorlite"]
        share = speed / (2 * array.nbytes / row.median["copy"])
        row.reached, row.note = share >= 0.8, f"{speed / 1e9:.1f} GB/s, {share:.0%} of a copy's"
        yield row


# --- the command --------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "training": training, "first": first, "compile": compiling, "overhead": overhead, "inference": inference,
    "chains": chains, "arena": arena}
#: What a part measures one by one, each in a process of its own.
_SUBJECTS = {"training": tuple(WORKLOADS), "first": tuple(WORKLOADS), "compile": ("one line", "W1", "W3", "W4"),
             "arena": ("W3", "W4")}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tensorlite bench jit", description=__doc__)
    parser.add_argument("--only", type=_names, default=[], metavar="NAME,...",
                        help=f"parts to measure and workloads to measure them on: {', '.join((*PARTS, *WORKLOADS))}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=15, help="rounds (default: 15)")
    parser.add_argument("--small", action="store_true", help="small workloads and arrays: to see that it runs")
    parser.add_argument("--eager", action="store_true", help="also train without the compiler")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--child", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--of", help=argparse.SUPPRESS)
    return parser


def _names(text: str) -> list[str]:
    for name in (names := text.split(",")):
        if name not in PARTS and name not in WORKLOADS:
            raise argparse.ArgumentTypeError(f"there is {', '.join((*PARTS, *WORKLOADS))}, and no {name!r}")
    return names


def _children(only: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The parts asked for, and of each what it measures; workloads alone are trained."""
    named = [name for name in only if name in WORKLOADS]
    parts = [name for name in PARTS if name in only] or (["training"] if named else list(PARTS))
    for part in parts:
        for subject in _SUBJECTS.get(part, (None,)):
            if not named or subject in named or subject not in WORKLOADS:
                yield part, subject


def _measured(options: argparse.Namespace) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows of each part, and what failed."""
    passed = [f"--threads={options.threads}", f"--repeat={options.repeat}",
              *(f"--{flag}" for flag in ("small", "eager") if getattr(options, flag))]
    rows: dict[str, list[Row]] = {}
    failed: list[str] = []
    for part, subject in _children(options.only):
        try:
            arguments = ["--child", part, *passed, *([f"--of={subject}"] if subject else [])]
            rows.setdefault(part, []).extend(child(_MODULE, arguments, options.threads))
        except subprocess.CalledProcessError:
            failed.append(f"failed: {part} {subject or ''}".rstrip())
    return rows, failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the table, and writes JSON where asked; returns 1 where something failed, else 0."""
    options = _parser().parse_args(arguments)
    if options.child:
        use_cores(options.threads)
        print(json.dumps([asdict(row) for row in PARTS[options.child](options)]))
        return 0
    rows, failed = _measured(options)
    facts = [f"{key}: {value}" for key, value in machine().items()]
    print("\n".join((*facts, *absent(), *failed)))
    for part, found in rows.items():
        print("", f"{part}: {PARTS[part].__doc__!s}", "", table(found), sep="\n")
    if options.json:
        write_json(options.json, [row for found in rows.values() for row in found])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
