"""Steps of optimizers, eagerly, over all parameters of a network, beside PyTorch's own fused kernels."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite.benchmarks.harness import Row, compare

Shapes = Sequence[tuple[int, ...]]

#: Parameters of a network of many small layers, and of a few large ones.
NETWORKS: dict[str, Shapes] = {
    "62 parameters, 0.74 M": [*[(64, 64, 3, 3)] * 20, *[(64,)] * 42],
    "4 parameters, 4.2 M": [(1024, 1024)] * 4,
}
OPTIMIZERS: dict[str, dict[str, float]] = {"SGD": {"lr": 1e-3, "momentum": 0.9}, "AdamW": {"lr": 1e-3}}


def optimizers(options: argparse.Namespace) -> Iterator[Row]:
    """A step of an optimizer, gradients given; PyTorch's default takes several tensors at once."""
    for network, shapes in NETWORKS.items():
        shapes = shapes[:2] if options.small else shapes
        for name, facts in OPTIMIZERS.items():
            runners = {"tensorlite": _step(tl, tl.asarray, name, facts, shapes)}
            if find_spec("torch"):
                torch = import_module("torch")
                torch.set_num_threads(options.threads)
                runners["torch"] = _step(torch, torch.from_numpy, name, facts, shapes)
                runners["torch, fused"] = _step(torch, torch.from_numpy, name, {**facts, "fused": True}, shapes)
            yield compare(f"{name}, {network}", runners, options.threads, options.repeat)


def _step(library: Any, tensor: Any, name: str, facts: dict[str, Any], shapes: Shapes) -> Any:
    random = np.random.default_rng(0)
    params = []
    for shape in shapes:
        p = library.nn.Parameter(tensor(random.standard_normal(shape, np.float32)))
        p.grad = tensor(random.standard_normal(shape, np.float32))
        params.append(p)
    return getattr(library.optim, name)(params, **facts).step
