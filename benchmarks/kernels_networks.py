"""Whole networks that answer for one image, beside PyTorch and onnxruntime: the same weights, batch norm and all."""

from __future__ import annotations

import argparse
import copy
import io
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite.benchmarks import workload_models
from tensorlite.benchmarks.harness import Row, compare

#: How many times longer onnxruntime must take.
NETWORKS = {"resnet18": 1.6, "resnet50": 1.3}


def _weights(model: Any) -> dict[str, np.ndarray]:
    """Weights for which what goes through the layers stays of one size."""
    random = np.random.default_rng(0)
    found = {}
    for name, x in model.state_dict().items():
        if x.ndim > 1:
            found[name] = random.standard_normal(x.shape, np.float32) * np.float32((x.size / x.shape[0]) ** -0.5)
        else:
            found[name] = x.numpy()
    return found


def _session(model: Any, x: Any, threads: int) -> Any:
    """A PyTorch network in onnxruntime, which folds batch norm into convolutions and packs its filters."""
    torch, onnxruntime = import_module("torch"), import_module("onnxruntime")
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x.numpy()})


def networks(options: argparse.Namespace) -> Iterator[Row]:
    """ResNet-18 and ResNet-50, one image of 224 x 224, inference."""
    extent = 64 if options.small else 224
    image = np.random.default_rng(1).standard_normal((1, 3, extent, extent), np.float32)
    for name, least in list(NETWORKS.items())[:1 if options.small else None]:
        model = getattr(workload_models, name)()
        weights = _weights(model)
        model.load_state_dict({key: tl.tensor(array) for key, array in weights.items()})
        model.eval()
        jitted, x = tl.jit(model), tl.tensor(image)

        def ours(jitted: Any = jitted, x: tl.Tensor = x) -> Any:
            with tl.no_grad():
                return jitted(x)

        runners: dict[str, Any] = {"tensorlite": ours}
        if find_spec("torch"):
            runners |= _rivals(name, weights, image, options.threads)
        row = compare(name, runners, options.threads, options.repeat, target=0.2)
        row.required, ratio = f">= {least}x onnxruntime", row.ratios.get("onnxruntime")
        row.reached = None if ratio is None else ratio >= least
        yield row


def chain(x: np.ndarray, weight: np.ndarray, threads: int) -> dict[str, Any]:
    """Three equal 3 x 3 layers with ReLU after each, whose weights are state."""
    array = weight * np.float32((weight.size / len(weight)) ** -0.5)
    ours, images = _three(tl.nn, array.shape), tl.tensor(x)
    with tl.no_grad():
        for layer in list(ours)[::2]:
            layer.weight.copy_(tl.tensor(array))
    jitted = tl.jit(ours)

    def run() -> Any:
        with tl.no_grad():
            return jitted(images)

    found: dict[str, Any] = {"tensorlite": run}
    if find_spec("torch"):
        torch = import_module("torch")
        model = _three(torch.nn, array.shape)
        with torch.no_grad():
            for layer in list(model)[::2]:
                layer.weight.copy_(torch.from_numpy(array))
        found |= _in_torch(model, torch.from_numpy(x), threads)
    return found


def _three(nn: Any, shape: tuple[int, ...]) -> Any:
    layers = [(nn.Conv2d(shape[1], shape[0], 3, padding=1, bias=False), nn.ReLU()) for _ in range(3)]
    return nn.Sequential(*(layer for pair in layers for layer in pair)).eval()


def _rivals(name: str, weights: dict[str, np.ndarray], image: np.ndarray, threads: int) -> dict[str, Any]:
    torch = import_module("torch")
    model = getattr(import_module("tensorlite.benchmarks.workload_torch").MODELS, name)()
    model.load_state_dict({key: torch.tensor(array) for key, array in weights.items()}, strict=False)
    model.eval()
    return _in_torch(model, torch.from_numpy(image), threads)


def _in_torch(model: Any, x: Any, threads: int) -> dict[str, Any]:
    """A PyTorch network in onnxruntime and in PyTorch, both layouts."""
    torch = import_module("torch")
    found: dict[str, Any] = {}
    if find_spec("onnxruntime") and find_spec("onnx"):
        found["onnxruntime"] = _session(model, x, threads)
    last, same = x.contiguous(memory_format=torch.channels_last), copy.deepcopy(model)
    same = same.to(memory_format=torch.channels_last)

    def runner(model: Any, x: Any) -> Any:
        def run() -> Any:
            with torch.inference_mode():
                return model(x)
        return run

    return {**found, "torch": runner(model, x), "torch, channels last": runner(same, last)}
