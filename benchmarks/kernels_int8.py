"""Convolutions and products of bytes beside onnxruntime's and our own in float32, for ``tensorlite bench kernels``.

Weights are packed beforehand, as onnxruntime does when it loads a network; images are uint8, weights int8 with a scale
for each channel, and results of convolutions are rounded to uint8 again.
"""

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
from tensorlite.kernels.cpu.registry import KERNELS

#: Channels and extents of the 3 x 3 layers, step 1, of ResNet and VGG; with one image and with eight.
LAYERS = ((64, 112), (64, 56), (128, 56), (128, 28), (256, 28), (256, 14), (512, 14), (512, 7))
#: Other layers: images, channels, extent, filters, kernel, stride, padding, groups.
OTHERS = {
    "1x1": (8, 256, 14, 1024, 1, 1, 0, 1), "1x1 down": (8, 1024, 14, 256, 1, 1, 0, 1),
    "1x1, large": (8, 64, 56, 256, 1, 1, 0, 1), "3x3 step 2": (8, 128, 56, 128, 3, 2, 1, 1),
    "7x7 step 2": (8, 3, 224, 64, 7, 2, 3, 1), "3x3 first": (8, 3, 224, 64, 3, 1, 1, 1),
    "3x3, 32 groups": (8, 128, 56, 128, 3, 1, 1, 32), "3x3 depthwise": (8, 96, 56, 96, 3, 1, 1, 96),
}
PRODUCTS = (64, 128, 256, 512, 1024, 2048)

_X_SCALE, _Y_SCALE, _ZERO, _OUT_ZERO = 0.02, 0.5, 128, 100
Runners = dict[str, Callable[[], Any]]


def _bytes(dtype: Any, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(prod(shape)).integers(limits.min, limits.max, shape, dtype, endpoint=True)


def _session(nodes: list[Any], constants: dict[str, np.ndarray], x: np.ndarray, result: tuple[Any, tuple[int, ...]],
             threads: int) -> Runners:
    """A network in onnxruntime from ``x`` to ``y``; nothing where it is not installed."""
    if not (find_spec("onnxruntime") and find_spec("onnx")):
        return {}
    onnx, onnxruntime = import_module("onnx"), import_module("onnxruntime")
    types = {"uint8": onnx.TensorProto.UINT8, "int32": onnx.TensorProto.INT32}
    ends = [onnx.helper.make_tensor_value_info(name, types[np.dtype(dtype).name], shape)
            for name, dtype, shape in (("x", x.dtype, x.shape), ("y", *result))]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "int8", ends[:1], ends[1:], [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 17)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return {"onnxruntime": lambda: session.run(None, {"x": x})}


def _quantized(x: np.ndarray, weight: np.ndarray, scales: np.ndarray, geometry: dict[str, Any]) -> Callable[..., Any]:
    """Our convolution between bytes, of a packed weight; it takes a ``tile``."""
    packed = KERNELS["pack_filters"](weight, groups=geometry["groups"])
    bias, zero, out_zero = np.zeros(len(weight), np.int32), np.asarray(_ZERO, np.uint8), np.asarray(_OUT_ZERO, np.uint8)
    multipliers = np.asarray(scales * (_X_SCALE / _Y_SCALE), np.float32)
    extras = {"extras": ("bias", "scale", "zero_point"), "packed_shape": weight.shape}
    return partial(KERNELS["quantized_conv2d"], x, packed, zero, bias, multipliers, out_zero, **extras, **geometry)


def _convolution(x: np.ndarray, weight: np.ndarray, threads: int, stride: int, padding: int, groups: int) -> Runners:
    """A convolution between bytes; ``QuantizeLinear`` and ``DequantizeLinear`` round it in onnxruntime."""
    filters = weight.shape[0]
    scales = np.asarray(np.random.default_rng(0).uniform(1e-3, 2e-3, filters), np.float32)
    geometry = {"stride": (stride, stride), "padding": ((padding, padding),) * 2, "dilation": (1, 1), "groups": groups}
    zero, out_zero = np.asarray(_ZERO, np.uint8), np.asarray(_OUT_ZERO, np.uint8)
    single = x.astype(np.float32), weight.astype(np.float32)
    counts = [(n + 2 * padding - k) // stride + 1 for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
    constants = {"sx": np.float32(_X_SCALE), "zx": zero, "w": weight, "sw": scales, "zw": np.zeros(filters, np.int8),
                 "sy": np.float32(_Y_SCALE), "zy": out_zero}
    nodes = [("DequantizeLinear", "x sx zx", "xf", {}), ("DequantizeLinear", "w sw zw", "wf", {"axis": 0}),
             ("Conv", "xf wf", "yf", {"strides": [stride] * 2, "pads": [padding] * 4, "group": groups}),
             ("QuantizeLinear", "yf sy zy", "y", {})]
    return {
        "tensorlite": _quantized(x, weight, scales, geometry),
        "float32, windows": lambda: KERNELS["conv2d"](*single, **geometry, tile=0),
        "float32": lambda: KERNELS["conv2d"](*single, **geometry),
        **_session(nodes, {k: np.asarray(v) for k, v in constants.items()}, x,
                   (np.uint8, (x.shape[0], filters, *counts)), threads),
    }


def _judged(row: Row, operations: float, own: str) -> Row:
    """The row with its rate, and whether it is three times as fast as ours in float32 and as fast as onnxruntime."""
    rival = row.ratios.get("onnxruntime")
    beside = "" if rival is None else f", onnxruntime {rival:.2f}"
    row.note = f"{operations / row.median['tensorlite'] / 1e9:.0f} GOP/s, {own} {row.ratios[own]:.2f}{beside}"
    row.reached = row.ratios[own] >= 3.0 and (rival is None or rival >= 1.0)
    row.required = f">= 3x {own}, >= 1x onnxruntime"
    return row


def conv(options: argparse.Namespace) -> Iterator[Row]:
    """Convolutions of uint8 images and int8 filters, rounded to uint8, NCHW in and out."""
    for images in (1, 8):
        for channels, extent in LAYERS[-2:] if options.small else LAYERS:
            x, weight = _bytes(np.uint8, images, channels, extent, extent), _bytes(np.int8, channels, channels, 3, 3)
            row = compare(f"{images} x {channels} channels, {extent} x {extent}",
                          _convolution(x, weight, options.threads, 1, 1, 1), options.threads, options.repeat)
            yield _judged(row, 2.0 * x.size * channels * 9, "float32, windows")
    for name, (images, channels, extent, filters, kernel, stride, padding, groups) in OTHERS.items():
        if options.small:
            images, extent = 1, min(extent, 28)
        x, weight = _bytes(np.uint8, images, channels, extent, extent), _bytes(
            np.int8, filters, channels // groups, kernel, kernel)
        counts = (extent + 2 * padding - kernel) // stride + 1
        row = compare(name, _convolution(x, weight, options.threads, stride, padding, groups), options.threads,
                      options.repeat)
        yield _judged(row, 2.0 * weight.size * images * counts**2, "float32, windows")


def tiles(options: argparse.Namespace) -> Iterator[Row]:
    """Convolutions of bytes by windows, and by tiles that transform their filters in each call; what is chosen, first.

    ``TENSORLITE_CPU_FEATURES=-avx512vnni,-avxvnni`` and ``-avx512f,-avxvnni`` show machines without products of bytes.
    """
    geometry = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    for images in (1, 8):
        for channels, extent in LAYERS[-2:] if options.small else LAYERS:
            x, weight = _bytes(np.uint8, images, channels, extent, extent), _bytes(np.int8, channels, channels, 3, 3)
            ours = _quantized(x, weight, np.full(channels, 1e-3, np.float32), geometry)
            runners: Runners = {"chosen": ours, "windows": partial(ours, tile=0), "tiles": partial(ours, tile=2)}
            row = compare(f"{images} x {channels} channels, {extent} x {extent}", runners, options.threads,
                          options.repeat)
            row.note = f"tiles {row.median['windows'] / row.median['tiles']:.2f} of windows"
            row.required, row.reached = ">= 0.95 of both", min(row.ratios.values()) >= 0.95
            yield row


def matmul(options: argparse.Namespace) -> Iterator[Row]:
    """Products of square matrices, uint8 by int8, in int32: onnxruntime's ``MatMulInteger``."""
    for n in PRODUCTS[:2] if options.small else PRODUCTS:
        x, weight, zero = _bytes(np.uint8, n, n), _bytes(np.int8, n, n), np.asarray(_ZERO, np.uint8)
        packed = KERNELS["pack_filters"](np.ascontiguousarray(weight.T)[:, :, None, None], groups=1)
        single = [tl.from_numpy(a.astype(np.float32)) for a in (x, weight)]
        ours = partial(KERNELS["quantized_matmul"], x, packed, zero, extras=(), packed_shape=(n, n))
        runners: Runners = {
            "tensorlite": ours,
            "float32": partial(tl.matmul, *single),
            **_session([("MatMulInteger", "x w zx", "y", {})], {"w": weight, "zx": zero}, x, (np.int32, (n, n)),
                       options.threads),
        }
        row = compare(f"{n} x {n} x {n}", runners, options.threads, options.repeat)
        yield _judged(row, 2.0 * n**3, "float32")
