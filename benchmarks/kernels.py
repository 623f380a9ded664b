"""Native kernels beside PyTorch, onnxruntime and NumPy: ``tensorlite bench kernels [--only conv,matmul]``.

Runners alternate in one process for each part and number of threads. What is measured is an op on plain arrays, its
result in fresh memory and its filters as users hold them; every shape that is listed is shown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite.benchmarks import kernels_attention, kernels_int8, kernels_recurrent
from tensorlite.benchmarks.harness import Row, child, compare, machine, table, write_json
from tensorlite.benchmarks.kernels_half import half
from tensorlite.benchmarks.kernels_irregular import irregular
from tensorlite.benchmarks.kernels_networks import chain, networks
from tensorlite.benchmarks.kernels_optim import optimizers
from tensorlite.benchmarks.workload_runners import use_cores
from tensorlite.kernels.cpu.registry import KERNELS

_MODULE = "tensorlite.benchmarks.kernels"
Runners = dict[str, Callable[[], Any]]

#: Channels and extents of the 3 x 3 layers, step 1, of ResNet and VGG; both with one image and with eight.
LAYERS = ((64, 112), (64, 56), (128, 56), (128, 28), (256, 28), (256, 14), (512, 14), (512, 7))
#: Other layers: images, channels, extent, filters, kernel, stride, padding, groups.
OTHERS = {
    "1x1": (8, 256, 14, 1024, 1, 1, 0, 1), "1x1 down": (8, 1024, 14, 256, 1, 1, 0, 1),
    "1x1, large": (8, 64, 56, 256, 1, 1, 0, 1), "3x3 step 2": (8, 128, 56, 128, 3, 2, 1, 1),
    "7x7 step 2": (8, 3, 224, 64, 7, 2, 3, 1), "3x3 first": (8, 3, 224, 64, 3, 1, 1, 1),
    "3x3, 32 groups": (8, 128, 56, 128, 3, 1, 1, 32), "3x3 depthwise": (8, 96, 56, 96, 3, 1, 1, 96),
}
#: Rows, inner extent, columns; the letters say which factor is transposed.
PRODUCTS = (*((n, n, n, "") for n in (64, 96, 127, 128, 192, 255, 256, 384, 512, 768, 1000, 1024, 1536, 2048)),
            (512, 512, 512, "a"), (512, 512, 512, "b"), (512, 512, 512, "ab"), (32, 784, 256, "b"), (64, 256, 1024, ""),
            (4096, 64, 64, ""), (1, 1024, 1024, "b"), (1024, 256, 1024, "b"))  # fmt: skip


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(prod(shape)).standard_normal(shape, np.float32)


def _torch() -> Any:
    return import_module("torch") if find_spec("torch") else None


def _geometry(stride: int = 1, padding: int = 1, groups: int = 1) -> dict[str, Any]:
    return {"stride": (stride, stride), "padding": ((padding, padding),) * 2, "dilation": (1, 1), "groups": groups}


# --- convolutions -------------------------------------------------------------------------------------------------


def _session(x: np.ndarray, weight: np.ndarray, threads: int, stride: int, padding: int, groups: int) -> Any:
    """A network of one convolution in onnxruntime, which packs its filters beforehand."""
    onnx, onnxruntime = import_module("onnx"), import_module("onnxruntime")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], strides=[stride] * 2, pads=[padding] * 4, group=groups)
    extents = [(n + 2 * padding - k) // stride + 1 for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in (("x", x.shape), ("y", [x.shape[0], weight.shape[0], *extents]))]
    graph = onnx.helper.make_graph([node], "conv", ends[:1], ends[1:], [onnx.numpy_helper.from_array(weight, "w")])
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 17)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def _forward(x: np.ndarray, weight: np.ndarray, threads: int, stride: int, padding: int, groups: int) -> Runners:
    """A convolution, NCHW in and out; PyTorch in both layouts."""
    geometry = _geometry(stride, padding, groups)
    runners: Runners = {"tensorlite": lambda: KERNELS["conv2d"](x, weight, **geometry)}
    if torch := _torch():
        u, w = torch.from_numpy(x), torch.from_numpy(weight)
        last = [t.contiguous(memory_format=torch.channels_last) for t in (u, w)]
        conv = torch.nn.functional.conv2d
        runners["torch"] = lambda: conv(u, w, None, stride, padding, 1, groups)
        runners["torch, channels last"] = lambda: conv(*last, None, stride, padding, 1, groups)
    if find_spec("onnxruntime") and find_spec("onnx"):
        runners["onnxruntime"] = _session(x, weight, threads, stride, padding, groups)
    return runners


def _backward(x: np.ndarray, weight: np.ndarray, which: str) -> Runners:
    """The transpose in the images or in the weight, of a layer with step 1 that keeps its extent."""
    g, geometry = _numbers(x.shape[0], weight.shape[0], *x.shape[2:]), _geometry()
    ours = {"data": lambda: KERNELS["conv2d_data"](g, weight, size=x.shape[2:], **geometry),
            "weight": lambda: KERNELS["conv2d_weight"](x, g, kernel=weight.shape[2:], **geometry)}
    runners: Runners = {"tensorlite": ours[which]}
    if torch := _torch():
        tensors = [torch.from_numpy(a) for a in (g, x, weight)]
        last = [t.contiguous(memory_format=torch.channels_last) for t in tensors]
        rest = None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [which == "data", which == "weight", False]
        backward = torch.ops.aten.convolution_backward
        runners |= {"torch": lambda: backward(*tensors, *rest), "torch, channels last": lambda: backward(*last, *rest)}
    return runners


def _judged(row: Row, operations: float, least: float) -> Row:
    """The row with its rate, and whether it is as fast beside its best rival as the slowest layer must be."""
    best = min(row.ratios.values(), default=0.0)
    row.note = f"{operations / row.median['tensorlite'] / 1e9:.0f} GFLOP/s, best rival {best:.2f}"
    row.reached = best >= least if row.ratios else None
    row.required = f">= {least}x"
    return row


def _layers(options: argparse.Namespace, build: Callable[..., Runners], least: float, count: int = 1) -> Iterator[Row]:
    for images in (1, 8):
        for channels, extent in LAYERS[-2:] if options.small else LAYERS:
            x, weight = _numbers(images, channels, extent, extent), _numbers(channels, channels, 3, 3)
            row = compare(f"{images} x {channels} channels, {extent} x {extent}", build(x, weight), options.threads,
                          options.repeat)
            yield _judged(row, 2.0 * x.size * channels * 9 * count, least)


def conv(options: argparse.Namespace) -> Iterator[Row]:
    """3 x 3 convolutions, step 1, of ResNet's and VGG's layers, forward, NCHW in and out."""
    yield from _layers(options, lambda x, weight: _forward(x, weight, options.threads, 1, 1, 1), 1.2)


def conv_graph(options: argparse.Namespace) -> Iterator[Row]:
    """The same layers, three of them with ReLU between in one graph that answers: for three, NCHW in and out."""
    yield from _layers(options, lambda x, weight: chain(x, weight, options.threads), 1.2, 3)


def conv_data(options: argparse.Namespace) -> Iterator[Row]:
    """The same layers, backward to the images."""
    yield from _layers(options, lambda x, weight: _backward(x, weight, "data"), 1.2)


def conv_weight(options: argparse.Namespace) -> Iterator[Row]:
    """The same layers, backward to the weight."""
    yield from _layers(options, lambda x, weight: _backward(x, weight, "weight"), 1.2)


def conv_other(options: argparse.Namespace) -> Iterator[Row]:
    """Layers of other kinds, forward."""
    for name, (images, channels, extent, filters, kernel, stride, padding, groups) in OTHERS.items():
        if options.small:
            images, extent = 1, min(extent, 28)
        x, weight = _numbers(images, channels, extent, extent), _numbers(filters, channels // groups, kernel, kernel)
        counts = (extent + 2 * padding - kernel) // stride + 1
        row = compare(name, _forward(x, weight, options.threads, stride, padding, groups), options.threads,
                      options.repeat)
        yield _judged(row, 2.0 * weight.size * images * counts**2, 0.95)


# --- products -----------------------------------------------------------------------------------------------------


def matmul(options: argparse.Namespace) -> Iterator[Row]:
    """Products of float32 matrices, PyTorch's and NumPy's with as many threads."""
    for m, k, n, turned in PRODUCTS[:2] if options.small else PRODUCTS:
        a = _numbers(k, m).T if "a" in turned else _numbers(m, k)
        b = _numbers(n, k).T if "b" in turned else _numbers(k, n)
        runners: Runners = {"tensorlite": partial(tl.matmul, tl.from_numpy(a), tl.from_numpy(b)),
                            "numpy": partial(np.matmul, a, b)}  # fmt: skip
        if torch := _torch():
            runners["torch"] = partial(torch.matmul, torch.from_numpy(a), torch.from_numpy(b))
        row = compare(f"{m} x {k} x {n}" + (f", {turned} transposed" if turned else ""), runners, options.threads,
                      options.repeat)
        yield _judged(row, 2.0 * m * k * n, 0.85)


# --- the command --------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "conv": conv, "conv_graph": conv_graph, "conv_data": conv_data, "conv_weight": conv_weight,
    "conv_other": conv_other, "matmul": matmul, "half": half, "int8_conv": kernels_int8.conv,
    "int8_tiles": kernels_int8.tiles, "int8_matmul": kernels_int8.matmul, "networks": networks, "irregular": irregular,
    "optimizers": optimizers, **kernels_attention.PARTS, **kernels_recurrent.PARTS}
#: What the geometric mean of a part's best rivals must be.
MEANS = {"conv": 1.8, "conv_graph": 2.2, "conv_data": 1.8, "conv_weight": 1.4, "matmul": 1.0, **kernels_attention.MEANS,
         **kernels_recurrent.MEANS}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tensorlite bench kernels", description=__doc__)
    parser.add_argument("--only", type=_names, default=list(PARTS), metavar="NAME,...", help=", ".join(PARTS))
    parser.add_argument("--threads", type=_counts, default=[1, 2], metavar="N,...", help="default: 1,2")
    parser.add_argument("--repeat", type=int, default=7, help="rounds (default: 7)")
    parser.add_argument("--small", action="store_true", help="few and small shapes: to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--child", choices=PARTS, help=argparse.SUPPRESS)
    return parser


def _names(text: str) -> list[str]:
    for name in (names := text.split(",")):
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"there is {', '.join(PARTS)}, and no {name!r}")
    return names


def _counts(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def mean(part: str, rows: Sequence[Row]) -> str:
    """The geometric mean of how many times longer the best rivals take, and what it must be."""
    best = [min(row.ratios.values()) for row in rows if row.ratios]
    found = f"geometric mean of the best rival / ours: {geometric_mean(best):.2f}" if best else "no rival is installed"
    return found + (f" (must reach {MEANS[part]})" if part in MEANS and best else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the tables, and writes JSON where asked; returns 1 where something failed, else 0."""
    options = _parser().parse_args(arguments)
    if options.child:
        options.threads = options.threads[0]
        use_cores(options.threads)
        print(json.dumps([asdict(row) for row in PARTS[options.child](options)]))
        return 0
    print("\n".join(f"{key}: {value}" for key, value in machine().items()))
    every: list[Row] = []
    failed = 0
    for part in options.only:
        for threads in options.threads:
            passed = ["--child", part, f"--threads={threads}", f"--repeat={options.repeat}"]
            try:
                rows = child(_MODULE, [*passed, *(["--small"] if options.small else [])], threads)
            except subprocess.CalledProcessError:
                print(f"failed: {part}, threads {threads}")
                failed = 1
                continue
            every += rows
            print("", f"{part}: {PARTS[part].__doc__!s}", "", table(rows), "", mean(part, rows), sep="\n")
    if options.json:
        write_json(options.json, every)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
