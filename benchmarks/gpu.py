"""The CUDA device beside PyTorch on the same GPU: ``python -m tensorlite.benchmarks.gpu [--json FILE]``.

Without a GPU it says what is missing, and the tables that quote it say "unmeasured".
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.benchmarks.harness import Row, compare, machine, table, write_json
from tensorlite.kernels.cuda.device import describe


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def _synchronized(function: Callable[[], Any], wait: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        function()
        wait()
    return run


def op_rows(torch: Any) -> Iterator[Row]:
    """Single ops on large tensors, each followed by a wait for the GPU."""
    wait = tl.device("cuda").wait
    random = np.random.default_rng(0)
    big, square = (random.standard_normal(shape).astype(np.float32) for shape in ((16 << 20,), (4096, 4096)))
    images, weights = (random.standard_normal(shape).astype(np.float32) for shape in ((64, 64, 56, 56), (64, 64, 3, 3)))
    x, m, i, w = (tl.tensor(a, device="cuda") for a in (big, square, images, weights))
    f = nn.functional
    ours: dict[str, Callable[[], Any]] = {
        "add of two 64 MB tensors": lambda: x + x, "gelu of 64 MB": lambda: f.gelu(x), "sum of 64 MB": lambda: x.sum(),
        "matmul 4096": lambda: m @ m, "softmax 4096x4096": lambda: f.softmax(m, -1),
        "conv2d 64x64x56x56, 3x3": lambda: f.conv2d(i, w, padding=1)}
    theirs: dict[str, Callable[[], Any]] = {}
    if torch:
        g = torch.nn.functional
        u, n, j, v = (torch.from_numpy(a).cuda() for a in (big, square, images, weights))
        theirs = dict(zip(ours, (lambda: u + u, lambda: g.gelu(u), lambda: u.sum(), lambda: n @ n,
                                 lambda: g.softmax(n, -1), lambda: g.conv2d(j, v, padding=1)), strict=True))
    for name, runner in ours.items():
        runners = {"tensorlite": _synchronized(runner, wait)}
        if torch:
            runners["torch"] = _synchronized(theirs[name], torch.cuda.synchronize)
        yield compare(name, runners, threads=1)


def training_row(torch: Any) -> Row:
    """A training step of a small convolutional network, batch 128 of 28x28."""
    random = np.random.default_rng(0)
    images, labels = random.standard_normal((128, 1, 28, 28)).astype(np.float32), random.integers(0, 10, 128)

    def step_of(library: Any, network: Any, optimizer: Any, x: Any, y: Any) -> Callable[[], None]:
        def step() -> None:
            loss = library.functional.cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return step

    def layers(library: Any) -> Any:
        return library.Sequential(
            library.Conv2d(1, 32, 3, padding=1), library.ReLU(), library.Conv2d(32, 64, 3, padding=1), library.ReLU(),
            library.MaxPool2d(2), library.Flatten(), library.Linear(64 * 14 * 14, 128), library.ReLU(),
            library.Linear(128, 10))

    network = layers(nn).to("cuda")
    ours = step_of(nn, network, optim.SGD(network.parameters(), lr=0.01, momentum=0.9),
                   tl.tensor(images, device="cuda"), tl.tensor(labels, device="cuda"))
    runners = {"tensorlite": _synchronized(ours, tl.device("cuda").wait)}
    if torch:
        other = layers(torch.nn).cuda()
        theirs = step_of(torch.nn, other, torch.optim.SGD(other.parameters(), lr=0.01, momentum=0.9),
                         torch.from_numpy(images).cuda(), torch.from_numpy(labels).cuda())
        runners["torch"] = _synchronized(theirs, torch.cuda.synchronize)
    return compare("training step W2, eager", runners, threads=1, target=0.2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures on the first GPU, prints the table, and writes JSON where asked; returns 1 where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tensorlite.benchmarks.gpu", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(arguments)
    try:
        tl.device("cuda")
    except tl.errors.DeviceError as problem:
        print(f"unmeasured: {problem.problem}")
        return 1
    torch = _torch()
    rows = [*op_rows(torch), training_row(torch)]
    facts = {"device": describe()["cuda"], **machine()}
    print(*(f"{key}: {value}" for key, value in facts.items()), "", table(rows), sep="\n")
    if options.json:
        write_json(options.json, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
