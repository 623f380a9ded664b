"""One function at every stage of the jit: traced, after each pass, read back from its text, and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit.graph import Graph, graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.pipeline import PASSES
from tensorlite.jit.trace import trace_call
from tensorlite.jit.verify import verify
from tensorlite.tree import flatten

Function = Callable[..., Any]


def leaves(tree: Any) -> list[tl.Tensor]:
    """The tensors of a nested container."""
    return [x for x in flatten(tree)[0] if isinstance(x, tl.Tensor)]


def graphs(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """A graph as it was traced, and after every prefix of the pipeline, each verified."""
    yield "trace", verify(graph)
    for each in PASSES:
        graph = verify(each(graph))
        yield each.__name__, graph


def check_text(graph: Graph) -> None:
    """A graph's text is read back as the same graph."""
    text = graph_text(graph)
    constants = dict(_named(graph))
    assert graph_text(verify(parse(text, constants))) == text


def _named(graph: Graph) -> Iterator[tuple[str, Any]]:
    """Constants by the digest that stands for them in the text."""
    lines = [line for line in graph_text(graph).splitlines() if ' = constant("' in line]
    for line in lines:
        number = int(line.split(":")[0].strip()[1:])
        yield line.split('"')[1], list(graph.constants.values())[number - len(graph.inputs)]


def check_stages(function: Function, arguments: Sequence[tl.Tensor], terms: int = 1, dtype: Any = None,
                 names: Sequence[str] | None = None) -> None:
    """Asserts that a function of tensors gives the eager answer at every stage; the first that does not is named.

    The graph as traced means the eager call to the bit; passes may round in other places, by what ``terms`` and
    ``dtype`` allow (see `assert_close`). ``names`` are those of the results.
    """
    expected = leaves(function(*arguments))
    traced = trace_call(function, arguments, {})
    inputs = [*leaves(list(arguments)), *traced.state]
    graph = traced.graph
    with tl.no_grad():
        for stage, graph in graphs(traced.graph):
            check_text(graph)
            _compare(stage, graph(*inputs), expected, 1 if stage == "trace" else terms, dtype, names)
    _compare("native code", leaves(tl.jit(function)(*arguments)), expected, terms, dtype, names)


def _compare(stage: str, found: Sequence[tl.Tensor], expected: Sequence[tl.Tensor], terms: int, dtype: Any,
             names: Sequence[str] | None) -> None:
    for number, y in enumerate(expected):
        x = found[number]
        where = f"{names[number] if names else f'result {number}'} is wrong after {stage}"
        assert x.type == y.type, f"{where}: {x.type}, expected {y.type}"
        try:
            assert_close(x, y, terms=terms, dtype=dtype or y.dtype)
        except AssertionError as problem:
            raise AssertionError(f"{where}: {problem}") from None
