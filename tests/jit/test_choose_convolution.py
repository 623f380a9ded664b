"""The choice of an algorithm is a rewrite of the graph: seen in its text, obeyed by kernels, of the same values."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import WINOGRAD, assert_close_to_scale

import tensorlite as tl
from tensorlite.jit.choose_convolution import choose_convolution
from tensorlite.jit.graph import Graph
from tensorlite.jit.parse import parse
from tensorlite.jit.pipeline import compile_graph
from tensorlite.jit.verify import verify
from tensorlite.kernels.cpu.conv_choice import Choice
from tensorlite.kernels.cpu.planned import conv

GEOMETRY = "stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1"
IMAGE = "float32[1, 32, 8, 8]"
HEAD = f"def graph(v0: {IMAGE}, v1: float32[32, 32, 3, 3]):\n"
ONE = f"{HEAD}    v2: {IMAGE} = conv2d(v0, v1, {GEOMETRY})\n    return v2\n"
DATA = f"{HEAD}    v2: {IMAGE} = conv2d_data(v0, v1, size=(8, 8), {GEOMETRY})\n    return v2\n"
FUSED = (f"def body0(v0: {IMAGE}, v1: float32[32, 32, 3, 3]):\n    v2: {IMAGE} = conv2d(v0, v1, {GEOMETRY})\n"
         f"    v3: {IMAGE} = relu(v2)\n    return v3\n\n"
         f"{HEAD}    v2: {IMAGE} = fused(v0, v1, body=body0)\n    return v2\n")
POINTS = (f"def graph(v0: {IMAGE}, v1: float32[32, 32, 1, 1]):\n    v2: {IMAGE} = conv2d(v0, v1, "
          f"{GEOMETRY.replace('((1, 1), (1, 1))', '((0, 0), (0, 0))')})\n    return v2\n")


def chosen(text: str, kept: bool = False) -> Graph:
    graph = verify(parse(text))
    return verify(choose_convolution(graph, frozenset(), lambda value: kept))


@pytest.fixture
def choices(monkeypatch):
    """Chooses tiles of 6; what was asked."""
    asked = []

    def choose(op, x, weight, output, **geometry):
        asked.append((op, x, weight, output, geometry))
        return Choice(6, "measured: so")

    monkeypatch.setattr(conv, "choose_tile", choose)
    return asked


@pytest.mark.parametrize("text", [ONE, DATA, FUSED])
def test_the_choice_is_an_attribute_and_keeps_the_values(text, choices):
    before, after = parse(text), chosen(text)
    assert str(after) == str(before).replace("groups=1", "groups=1, tile=6")
    assert chosen(str(after)) is not None and len(choices) == 1  # a graph with tiles is left as it is
    random = np.random.default_rng(0)
    inputs = [random.standard_normal(x.shape).astype(np.float32) for x in after.inputs]
    wanted, found = (graph(*map(tl.asarray, inputs))[0].numpy() for graph in (before, after))
    assert_close_to_scale(found, wanted, WINOGRAD)


def test_kernels_obey_the_graph(choices):
    executable = compile_graph(parse(FUSED), {})
    forms = {step.stage.key.partition(" ")[0] for step in executable.lowered.steps}
    assert "winograd-6x6" in forms and executable.lowered.steps[-1].stage.note == "measured: so"


@pytest.mark.parametrize("kept", [False, True])
def test_it_is_asked_of_how_arrays_lie(kept, choices):
    graph = parse(FUSED)
    choose_convolution(graph, {graph.outputs[0]}, lambda value: kept and value is graph.inputs[1])
    ((op, x, weight, output, geometry),) = choices
    assert op == "conv2d" and geometry["kept"] is kept
    assert x.is_contiguous and weight.shape == (32, 32, 3, 3) and output.is_channels_last


def test_other_convolutions_have_no_choice():
    assert str(chosen(POINTS)) == str(parse(POINTS))
