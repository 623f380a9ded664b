"""The workloads that speed and laws are measured on: W1 to W5, each a model, an optimizer and a batch.

>>> from tensorlite.benchmarks.workloads import workload
>>> step, batch = workload("W1", small=True).build(seed=0)
>>> first = step(*batch).item()
>>> step(*batch).item() < first
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.benchmarks import workload_models

Step = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Workload:
    """What is trained: a class of `workload_models`, an optimizer by its name, and the shape of a batch.

    ``shape`` is that of the images, or of the tokens below ``classes`` that a model reads and foretells.
    """

    name: str
    title: str
    network: str
    sizes: Mapping[str, Any]
    optimizer: str
    options: Mapping[str, Any]
    shape: tuple[int, ...]
    classes: int
    tokens: bool = False

    def model(self, seed: int) -> nn.Module:
        """The network with the weights of a seed."""
        tl.manual_seed(seed)
        return getattr(workload_models, self.network)(**self.sizes)

    def weights(self, seed: int) -> dict[str, np.ndarray]:
        """The state dict of `model` as arrays, from which rivals begin too."""
        return {name: np.array(x.numpy()) for name, x in self.model(seed).state_dict().items()}

    def batch(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Images or tokens, and one class for each image or token."""
        rng = np.random.default_rng([seed, *self.shape])
        if self.tokens:
            return rng.integers(0, self.classes, self.shape), rng.integers(0, self.classes, np.prod(self.shape))
        return rng.standard_normal(self.shape, np.float32), rng.integers(0, self.classes, self.shape[0])

    def start(self, seed: int = 0, *, jit: bool = False) -> Training:
        """A training that has not begun."""
        model = self.model(seed)
        opt = getattr(optim, self.optimizer)(model.parameters(), **self.options)
        x, y = (tl.tensor(part) for part in self.batch(seed))
        step = training_step(model, opt)
        return Training(model, opt, tl.jit(step) if jit else step, (x, y))

    def build(self, seed: int = 0, *, jit: bool = False) -> tuple[Step, tuple[tl.Tensor, tl.Tensor]]:
        """The step of a training that has not begun, and its batch: ``step(*batch)`` trains and gives the loss."""
        training = self.start(seed, jit=jit)
        return training.step, training.batch


@dataclass
class Training:
    """A model on its way, for those who look into it: ``step(*batch)`` goes on by one."""

    model: nn.Module
    optimizer: optim.Optimizer
    step: Step = field(repr=False)
    batch: tuple[tl.Tensor, tl.Tensor] = field(repr=False)


def training_step(model: nn.Module, opt: optim.Optimizer) -> Step:
    """The step that every workload takes, and anybody writes."""
    def step(x: tl.Tensor, y: tl.Tensor) -> tl.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss
    return step


#: W3 learns slowly: at a rate of 0.01 roundings alone move its losses by 1e-3 within 20 steps, here by 4e-5.
WORKLOADS = {w.name: w for w in (
    Workload("W1", "MLP 784-256-256-10, batch 64, Adam", "MLP", {"inputs": 784, "hidden": 256, "classes": 10},
             "Adam", {"lr": 1e-3}, (64, 784), 10),
    Workload("W2", "conv net 1-32-64, 28x28, batch 128, SGD with momentum", "ConvNet",
             {"size": 28, "channels": (32, 64), "hidden": 128, "classes": 10},
             "SGD", {"lr": 0.01, "momentum": 0.9}, (128, 1, 28, 28), 10),
    Workload("W3", "ResNet-18 in its CIFAR form, batch 32, SGD with momentum", "ResNet",
             {"widths": (64, 128, 256, 512), "blocks": (2, 2, 2, 2), "classes": 10},
             "SGD", {"lr": 2e-4, "momentum": 0.9}, (32, 3, 32, 32), 10),
    Workload("W4", "GPT of 4 layers, d 256, 8 heads, T 128, batch 8, AdamW", "GPT",
             {"layers": 4, "dim": 256, "heads": 8, "context": 128, "vocabulary": 96},
             "AdamW", {"lr": 3e-4}, (8, 128), 96, tokens=True),
    Workload("W5", "char-LSTM 256, T 64, batch 32, Adam", "CharLSTM",
             {"vocabulary": 96, "embedding": 256, "hidden": 256}, "Adam", {"lr": 1e-3}, (32, 64), 96, tokens=True))}

#: The same in small, for tests: twenty steps take a second or so in eager mode.
_SMALL: dict[str, dict[str, Any]] = {
    "W1": {"sizes": {"inputs": 20, "hidden": 16, "classes": 10}, "shape": (8, 20)},
    "W2": {"sizes": {"size": 8, "channels": (4, 6), "hidden": 12, "classes": 10}, "shape": (8, 1, 8, 8)},
    "W3": {"sizes": {"widths": (4, 8), "blocks": (1, 1), "classes": 10}, "shape": (8, 3, 8, 8),
           "options": {"lr": 0.01, "momentum": 0.9}},
    "W4": {"sizes": {"layers": 2, "dim": 16, "heads": 2, "context": 8, "vocabulary": 12}, "shape": (2, 8),
           "classes": 12},
    "W5": {"sizes": {"vocabulary": 12, "embedding": 8, "hidden": 10}, "shape": (4, 6), "classes": 12}}


def workload(name: str, small: bool = False) -> Workload:
    """The workload of a name, W1 to W5, or its small form."""
    return replace(WORKLOADS[name], **_SMALL[name]) if small else WORKLOADS[name]
