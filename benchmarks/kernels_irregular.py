"""What the command ``tensorlite bench kernels`` measures of irregular kernels: sorting, choosing, sets, boxes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite.benchmarks.harness import Row, compare
from tensorlite.op import OPS

Runners = dict[str, Callable[[], Any]]

SHAPES = ((1_000_000,), (1024, 1024))
CHOSEN = (10, 100)
BOXES = (2000, 10_000)


def irregular(options: argparse.Namespace) -> Iterator[Row]:
    """Sorting, positions in order, the largest, the different ones, of float32; suppression of boxes."""
    cases = {**_orders(options.small), **_boxes(options.small)}
    for name, runners in cases.items():
        row = compare(name, runners, options.threads, options.repeat)
        row.note = f"best rival {min(row.ratios.values(), default=0.0):.2f}"
        yield row


def _orders(small: bool) -> dict[str, Runners]:
    """Ours, NumPy's and PyTorch's; all stable but for the values of sorts, where it makes no difference."""
    torch = import_module("torch") if find_spec("torch") else None
    cases: dict[str, Runners] = {}
    for shape in ((1000,), (10, 100)) if small else SHAPES:
        x = np.random.default_rng(prod(shape)).standard_normal(shape, np.float32)
        ours, title = tl.from_numpy(x), " x ".join(map(str, shape))
        theirs = None if torch is None else torch.from_numpy(x)
        cases[f"sort {title}"] = {"tensorlite": partial(tl.sort, ours), "numpy": partial(np.sort, x)}
        for name, sorting in (("argsort", tl.argsort), ("argsort, compiled,", tl.jit(lambda x: tl.argsort(x)))):
            cases[f"{name} {title}"] = {"tensorlite": partial(sorting, ours),
                                        "numpy": partial(np.argsort, x, kind="stable")}  # fmt: skip
            if torch is not None:
                cases[f"{name} {title}"]["torch"] = partial(torch.argsort, theirs, stable=True)
        for k in CHOSEN:
            cases[f"topk {k} of {title}"] = {"tensorlite": partial(tl.topk, ours, k),
                                             "numpy": partial(np.argpartition, x, -k)}  # fmt: skip
        cases[f"unique {title}"] = {"tensorlite": partial(tl.unique_inverse, ours),
                                    "numpy": partial(np.unique, x, return_inverse=True)}  # fmt: skip
        if torch is not None:
            cases[f"sort {title}"]["torch"] = partial(torch.sort, theirs)
            for k in CHOSEN:
                cases[f"topk {k} of {title}"]["torch"] = partial(torch.topk, theirs, k)
            cases[f"unique {title}"]["torch"] = partial(torch.unique, theirs, return_inverse=True)
    return cases


def _boxes(small: bool) -> dict[str, Runners]:
    """Ours, and the definition by NumPy, which compares a box with all later ones at a time."""
    cases: dict[str, Runners] = {}
    for n in (50,) if small else BOXES:
        random = np.random.default_rng(n)
        corners = random.uniform(0, 10 * n**0.5, (n, 2))
        boxes = np.concatenate([corners, corners + random.uniform(5, 40, (n, 2))], 1).astype(np.float32)
        scores = random.random(n, np.float32)
        order, groups = np.argsort(-scores, kind="stable"), np.zeros(n, np.int64)
        cases[f"nms of {n} boxes"] = {
            "tensorlite": partial(tl.nms, tl.from_numpy(boxes), tl.from_numpy(scores), 0.5),
            "numpy": partial(OPS["unsuppressed"].body, np, boxes, order, groups, threshold=0.5)}  # fmt: skip
    return cases
