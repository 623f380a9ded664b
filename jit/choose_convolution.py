"""Choose convolution: which algorithm each convolution of 3 x 3 filters is computed by becomes part of the graph.

    before:  v3 = conv2d(v0, v1, stride=(1, 1), ...)
    after:   v3 = conv2d(v0, v1, stride=(1, 1), ..., tile=4)

A ``tile`` of m stands for Winograd's F(m x m, 3 x 3), 0 for sums over windows. What is fastest, of what is exact
enough, depends on the machine and on how images lie: this comes after `layout`, as the first step of `lower`. Requires
a fused graph; ensures the same values but for their rounding, which the choice bounds (`kernels.cpu.conv_choice`).
Convolutions with a tile are left as they are. Tests: tests/jit/test_choose_convolution.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.passes.fuse import FUSED
from tensorlite.kernels.cpu.planned import conv
from tensorlite.kernels.stage import Array

_TILED = frozenset({"conv2d", "conv2d_data"})


def choose_convolution(graph: Graph, last: Set[Value], is_kept: Callable[[Value], bool]) -> Graph:
    """Gives convolutions their tiles: the channels of ``last`` come last, other forms of filters may be kept."""
    def lies(x: Value) -> Array:
        return (Array.channels_last if x in last else Array.contiguous)(x.dtype, x.shape)

    def chosen(equation: Equation, outer: Mapping[Value, Value]) -> Equation:
        if equation.op.name not in _TILED or "tile" in equation.attributes or not equation.outputs[0].size:
            return equation
        x, weight, *_ = (outer.get(value, value) for value in equation.values)
        geometry = {name: equation.attributes[name] for name in ("stride", "padding", "dilation", "groups")}
        if equation.op.name == "conv2d":
            geometry["kept"] = is_kept(weight)
        choice = conv.choose_tile(equation.op.name, lies(x), lies(weight), lies(result_of(equation, outer)), **geometry)
        return _with(equation, tile=choice) if choice.why else equation

    def result_of(equation: Equation, outer: Mapping[Value, Value]) -> Value:
        return outer.get(equation.outputs[0], equation.outputs[0])

    def with_choices(equation: Equation) -> Equation:
        if equation.op is not FUSED:
            return chosen(equation, {})
        body: Graph = equation.attributes["body"]
        if not any(each.op.name in _TILED for each in body.equations):
            return equation
        outer = dict(zip(body.inputs, equation.values, strict=True))
        shape = equation.outputs[0].shape
        outer |= {y: equation.outputs[0] for each in body.equations for y in each.outputs if y.shape == shape}
        return _with(equation, body=body.with_equations([chosen(each, outer) for each in body.equations]))

    return graph.with_equations([with_choices(equation) for equation in graph.equations])


def _with(equation: Equation, **attributes: Any) -> Equation:
    return Equation(equation.op, equation.inputs, {**equation.attributes, **attributes}, equation.outputs,
                    equation.line, equation.name)
