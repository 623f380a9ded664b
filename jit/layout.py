"""Layout: which images of a graph have their channels last in memory, pixel by pixel.

That is how convolutions read and write fastest: 1 x 1 filters are a product of matrices as they lie, and tiles need not
be turned. To users images are [images, channels, height, width] all the same. Nothing is copied for it: the first
convolution reads images as they come and writes them in the new order, and so does all that follows, with what is done
in between element by element or window by window; the last one, or an average over all pixels, ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.space import REDUCTIONS, is_relabel, is_scalar
from tensorlite.kernels.stage import Array

_POOLS = frozenset({"max_pool2d", "avg_pool2d"})
_PIXELS = (2, 3)  # axes
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_FEW = 16  # filters, or terms of a sum: for fewer, vectors of channels are not full
_MANY = 512  # pixels of all images: for fewer, filters that must be brought in order at each call take too long


@dataclass(frozen=True)
class _Step:
    """What an equation does with images: ``tied`` ones are all in the same order, ``free`` ones are read in any.

    ``makes`` are those of the tied ones that are its outputs.
    """

    tied: frozenset[Value]
    free: frozenset[Value] = frozenset()
    makes: frozenset[Value] = frozenset()
    is_convolution: bool = False


def channels_last(graph: Graph, is_kept: Callable[[Value], bool]) -> frozenset[Value]:
    """Return the values whose channels come last; ``is_kept`` says of filters whether their other forms are kept."""
    steps = [_step(equation, is_kept) for equation in graph.equations]
    fixed = {*graph.inputs, *graph.constants, *graph.outputs}
    for equation, step in zip(graph.equations, steps, strict=True):
        fixed |= {*equation.values, *equation.outputs} - step.tied - step.free
    together = _together(step.tied for step in steps)
    can = {x for x, others in together.items() if not others & fixed}
    found: set[Value] = set()
    for step in steps:
        if step.is_convolution:
            found.update(*(together[x] for x in step.free & can))
    for step in steps:
        if step.is_convolution and step.free & found:
            found.update(*(together[y] for y in step.makes & can))
    return frozenset(found)


def _together(sets: Iterable[frozenset[Value]]) -> dict[Value, set[Value]]:
    """For each value all those that it is tied to, by way of others too."""
    found: dict[Value, set[Value]] = {}
    for tied in sets:
        merged = set(tied).union(*(found[x] for x in tied if x in found))
        found.update(dict.fromkeys(merged, merged))
    return found


def _step(equation: Equation, is_kept: Callable[[Value], bool]) -> _Step:
    """What an equation does with images: nothing with any that may lie in another order, if it is not known here."""
    body = equation.graphs["body"].equations if equation.op.name == "fused" else (equation,)
    shape, unknown = equation.outputs[0].shape, _Step(frozenset())
    if any(y.type.device != "cpu" or not y.size for y in equation.outputs):
        return unknown
    images = frozenset(x for x in equation.values if x.ndim == 4 and prod(x.shape[2:]) > 1)
    if any(e.op.name in REDUCTIONS for e in body):
        rows = all(len(y.shape) < 3 or prod(y.shape[2:]) == 1 for y in equation.outputs)
        averages = all(e.op.name not in REDUCTIONS or e.attributes["axis"] == _PIXELS for e in body)
        return _Step(frozenset(), images) if rows and averages else unknown
    if len(shape) != 4 or any(y.shape != shape for y in equation.outputs):
        return unknown
    makes = frozenset(equation.outputs)
    differs = Array.channels_last(equation.outputs[0].dtype, shape).is_channels_last
    if body[0].op.name in _POOLS:
        return _Step(makes | images, frozenset(), makes) if differs else _Step(frozenset(), images)
    if not differs:
        return unknown
    like = frozenset(x for x in images if x.shape == shape)
    contractions = [e for e in body if e.op.kind == "contract"]
    if not contractions:
        elementwise = all(is_scalar(e) or is_relabel(e) for e in body)
        return _Step(makes | like, frozenset(), makes) if elementwise else unknown
    known = dict(zip(equation.graphs["body"].inputs, equation.values, strict=True)) if len(body) > 1 else {}
    convolution = contractions[0]
    x, weight = (known.get(x, x) for x in list(convolution.values)[:2])
    if convolution.op.name == "conv2d" and 1 < convolution.attributes["groups"] == x.shape[1] == weight.shape[0]:
        return _Step(makes | like | {x}, frozenset(), makes) if x.dtype in _FLOATS else unknown
    if not _suits(convolution, x, weight, is_kept):
        return unknown
    return _Step(makes | (like - {x}), frozenset({x}), makes, True)


def _suits(convolution: Equation, x: Value, weight: Value, is_kept: Callable[[Value], bool]) -> bool:
    """Whether the kernels of a convolution gain by it."""
    if convolution.op.name != "conv2d" or convolution.attributes["groups"] != 1 or x.dtype not in _FLOATS:
        return False
    images, filters, *pixels = convolution.outputs[0].shape
    enough = min(filters, prod(weight.shape[1:])) >= _FEW
    return enough and (is_kept(weight) or images * prod(pixels) >= _MANY)
