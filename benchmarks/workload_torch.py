"""The workloads in PyTorch: the same source with another import, the same weights, the same batch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tensorlite.benchmarks import workload_models
from tensorlite.benchmarks.workloads import Workload


def _models() -> ModuleType:
    """The file `workload_models` read as PyTorch code."""
    path = Path(str(workload_models.__file__))
    module = ModuleType("workload_models_in_torch")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where torch.compile looks for it
    exec(compile(path.read_text().replace("tensorlite", "torch"), str(path), "exec"), vars(module))
    return module


MODELS = _models()


def model_of(workload: Workload, seed: int = 0) -> Any:
    """The network with the weights that `Workload.model` has."""
    model = getattr(MODELS, workload.network)(**workload.sizes)
    model.load_state_dict({name: torch.tensor(x) for name, x in workload.weights(seed).items()})
    return model


def build(workload: Workload, seed: int = 0, *, compiled: bool = False,
          model: Any = None) -> tuple[Callable[[Any, Any], Any], Any]:
    """The training step and its batch; ``compiled`` with `torch.compile`, which splits it at ``backward``."""
    model = model_of(workload, seed) if model is None else model
    opt = getattr(torch.optim, workload.optimizer)(model.parameters(), **workload.options)
    x, y = (torch.tensor(part) for part in workload.batch(seed))

    def step(x: Any, y: Any) -> Any:
        loss = torch.nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.detach()
    return torch.compile(step) if compiled else step, (x, y)


def runner(function: Callable[..., Any], arrays: Sequence[np.ndarray], compiled: bool) -> Callable[[], Any]:
    """Calls a function of tensors that needs no derivatives."""
    tensors = [torch.from_numpy(x) for x in arrays]
    function = torch.compile(function) if compiled else function

    def call() -> Any:
        with torch.inference_mode():
            return function(*tensors)
    return call


def perceptron(weights: Sequence[np.ndarray], x: np.ndarray, compiled: bool) -> Callable[[], Any]:
    """Inference of two affine maps with ReLU between them."""
    first, first_bias, second, second_bias = (torch.from_numpy(array) for array in weights)
    linear, relu = torch.nn.functional.linear, torch.nn.functional.relu
    return runner(lambda x: linear(relu(linear(x, first, first_bias)), second, second_bias), [x], compiled)
