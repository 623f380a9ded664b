"""Recurrent layers beside PyTorch's, eager and compiled: a part of `kernels`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite.benchmarks.harness import Row, compare

Runner = Callable[[], Any]

KINDS = ("LSTM", "GRU", "RNN")
#: Steps, sequences, features of the input and of the state.
SIZES = ((32, 1, 64, 64), (100, 8, 80, 128), (64, 32, 128, 256), (128, 1, 256, 512), (64, 64, 512, 512))
LEAST = 1.0  # times as fast as PyTorch


def _runners(library: Any, layer: Any, x: Any) -> dict[str, Runner]:
    """A layer's answer, and a step of training without the optimizer's."""
    def answer(x: Any) -> Any:
        with library.no_grad():
            return layer(x)[0]

    def train(x: Any) -> Any:
        layer.zero_grad()
        layer(x)[0].sum().backward()

    return {"forward": lambda: answer(x), "training": lambda: train(x)} if library is not tl else {
        "forward": lambda: answer(x), "training": lambda: train(x),
        "forward, jit": _called(tl.jit(answer), x), "training, jit": _called(tl.jit(train), x)}


def _called(function: Callable[[Any], Any], x: Any) -> Runner:
    return lambda: function(x)


def recurrent(options: argparse.Namespace) -> Iterator[Row]:
    """Layers over time, float32, one direction: the answer, and forward and backward."""
    for kind in KINDS[:1] if options.small else KINDS:
        for steps, batch, inputs, size in SIZES[:1] if options.small else SIZES:
            array = np.random.default_rng(0).standard_normal((steps, batch, inputs), np.float32)
            layer = getattr(tl.nn, kind)(inputs, size)
            ours, theirs = _runners(tl, layer, tl.tensor(array)), {}
            if find_spec("torch"):
                torch = import_module("torch")
                twin = getattr(torch.nn, kind)(inputs, size)
                twin.load_state_dict({key: torch.tensor(x.numpy()) for key, x in layer.state_dict().items()})
                theirs = _runners(torch, twin, torch.from_numpy(array))
            for what, runner in ours.items():
                rival = theirs.get(what.removesuffix(", jit"))
                row = compare(f"{kind} {steps} x {batch}, {inputs} to {size}, {what}",
                              {"tensorlite": runner, **({"torch": rival} if rival else {})}, options.threads,
                              options.repeat)
                best = min(row.ratios.values(), default=0.0)
                row.reached, row.required = (best >= LEAST if row.ratios else None), f">= {LEAST:g}x"
                yield row


PARTS = {"recurrent": recurrent}
#: What the geometric mean of a part's best rivals must be.
MEANS = {"recurrent": 1.5}
