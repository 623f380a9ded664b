"""A perceptron in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime


def perceptron(weights: Sequence[np.ndarray], x: np.ndarray) -> Callable[[], Any]:
    """Inference of two affine maps with ReLU between them, on one thread: two are no faster for one image."""
    names = ["first", "first_bias", "second", "second_bias"]
    nodes = [onnx.helper.make_node("Gemm", ["x", "first", "first_bias"], ["h"], transB=1),
             onnx.helper.make_node("Relu", ["h"], ["r"]),
             onnx.helper.make_node("Gemm", ["r", "second", "second_bias"], ["y"], transB=1)]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [len(x), size])
            for name, size in (("x", x.shape[1]), ("y", len(weights[2])))]
    graph = onnx.helper.make_graph(nodes, "perceptron", ends[:1], ends[1:],
                                   [onnx.numpy_helper.from_array(w, name) for w, name in zip(weights, names)])
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 17)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]
