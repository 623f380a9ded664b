"""Attention beside PyTorch's: a part of `kernels`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tensorlite.benchmarks.harness import Row, compare
from tensorlite.kernels.cpu.attention import KERNELS

Runners = dict[str, Callable[[], Any]]

BATCH, HEADS = 8, 8
#: Tokens and numbers of a token in a head; each of them causal and not.
SIZES = tuple((tokens, size) for tokens in (128, 512, 1024, 2048) for size in (32, 64))
LEAST = 1.5  # times as fast as PyTorch


def _heads(tokens: int, size: int, seed: int) -> np.ndarray:
    """Numbers [batch, tokens, heads, size], seen as [batch, heads, tokens, size]: so layers have them."""
    numbers = np.random.default_rng(seed).standard_normal((BATCH, tokens, HEADS, size), np.float32)
    return numbers.transpose(0, 2, 1, 3)


def _ours(causal: bool, q: np.ndarray, k: np.ndarray, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The result and its derivative, as ops compute them."""
    attributes = {"causal": causal, "scale": q.shape[-1] ** -0.5}
    out, lse = KERNELS["attention"](q, k, v, **attributes)
    delta = np.einsum("...i,...i->...", g, out)
    return KERNELS["attention_backward"](g, q, k, v, lse, delta, **attributes)[0]


def _runners(tokens: int, size: int, causal: bool) -> Runners:
    arrays = [_heads(tokens, size, seed) for seed in range(4)]
    runners: Runners = {"tensorlite": lambda: _ours(causal, *arrays)}
    if find_spec("torch"):
        torch = import_module("torch")
        *inputs, g = map(torch.from_numpy, arrays)
        tracked = [x.requires_grad_() for x in inputs]
        attend = torch.nn.functional.scaled_dot_product_attention
        runners["torch"] = lambda: torch.autograd.grad(attend(*tracked, is_causal=causal), tracked, g)
    return runners


def attention(options: argparse.Namespace) -> Iterator[Row]:
    """Attention of 8 times 8 heads, forward and backward, float32; PyTorch's is the blockwise one too."""
    for tokens, size in SIZES[:1] if options.small else SIZES:
        for causal in (False, True):
            name = f"{tokens} tokens of {size}{', causal' if causal else ''}"
            row = compare(name, _runners(tokens, size, causal), options.threads, options.repeat)
            products = 2.0 * 7 * BATCH * HEADS * tokens * size * (tokens + 1 if causal else 2 * tokens) / 2
            best = min(row.ratios.values(), default=0.0)
            row.note = f"{products / row.median['tensorlite'] / 1e9:.0f} GFLOP/s"
            row.reached, row.required = (best >= LEAST if row.ratios else None), f">= {LEAST}x"
            yield row


PARTS = {"attention": attention}
#: What the geometric mean of a part's best rivals must be.
MEANS = {"attention": LEAST}
