"""Whole networks that answer for one image, beside PyTorch and onnxruntime: the same weights, batch norm and all."""

from __future__ import annotations

import argparse
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


def _rivals(name: str, weights: dict[str, np.ndarray], image: np.ndarray, threads: int) -> dict[str, Any]:
    torch = import_module("torch")
    model = getattr(import_module("tensorlite.benchmarks.workload_torch").MODELS, name)()
    model.load_state_dict({key: torch.tensor(array) for key, array in weights.items()}, strict=False)
    model.eval()
    x = torch.from_numpy(image)
    last = x.contiguous(memory_format=torch.channels_last)
    found: dict[str, Any] = {}
    if find_spec("onnxruntime") and find_spec("onnx"):
        found["onnxruntime"] = _session(model, x, threads)
    model = model.to(memory_format=torch.channels_last)

    def channels_last() -> Any:
        with torch.inference_mode():
            return model(last)

    return {**found, "torch, channels last": channels_last}
