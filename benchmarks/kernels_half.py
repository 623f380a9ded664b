"""Products of 16-bit floats beside PyTorch's and beside our own of float32: a part of ``bench kernels``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite.benchmarks.harness import Row, compare

#: Rows, inner extent, columns; the letters say which factor is transposed.
PRODUCTS = (*((n, n, n, "") for n in (128, 256, 512, 1000, 1024, 2048)), (512, 512, 512, "a"), (512, 512, 512, "b"),
            (512, 512, 512, "ab"), (32, 784, 256, "b"), (64, 256, 1024, ""), (4096, 64, 64, ""), (1, 1024, 1024, "b"))


def _laid(rows: int, columns: int, turned: bool) -> np.ndarray:
    numbers = np.random.default_rng(rows * columns).standard_normal((rows, columns), np.float32)
    return np.asfortranarray(numbers) if turned else numbers


def half(options: argparse.Namespace) -> Iterator[Row]:
    """Products of bfloat16 and float16, summed in float32; PyTorch's are bfloat16, as its float16 is far slower."""
    for m, k, n, turned in PRODUCTS[:2] if options.small else PRODUCTS:
        factors = _laid(m, k, "a" in turned), _laid(k, n, "b" in turned)
        runners: dict[str, Callable[[], Any]] = {}
        for dtype in (tl.bfloat16, tl.float16, tl.float32):
            a, b = (tl.from_numpy(x.astype(dtype)) for x in factors)
            runners["tensorlite" if dtype == tl.bfloat16 else f"ours in {dtype.name}"] = partial(tl.matmul, a, b)
        if find_spec("torch"):
            torch = import_module("torch")
            u, v = (torch.from_numpy(x).to(torch.bfloat16) for x in factors)
            runners["torch"] = partial(torch.matmul, u, v)
        row = compare(f"{m} x {k} x {n}" + (f", {turned} transposed" if turned else ""), runners, options.threads,
                      options.repeat)
        row.note = f"{2.0 * m * k * n / row.median['tensorlite'] / 1e9:.0f} GFLOP/s in bfloat16"
        row.ratios = {name: ratio for name, ratio in row.ratios.items() if name == "torch"}
        yield row
