"""`checkpoint`: what a function computes on the way is computed again for its derivative, rather than kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.backward import Walk, zeros
from tensorlite.derivative import Rule
from tensorlite.modes import run_with
from tensorlite.op import Op
from tensorlite.ops.elementwise import greater, where
from tensorlite.ops.filled import zeros_like
from tensorlite.ops.shape import reshape
from tensorlite.random import default_generator
from tensorlite.state import state
from tensorlite.tape import Node, Output, Plan, Step
from tensorlite.tensor import Tensor
from tensorlite.tree import flatten


def checkpoint(function: Callable[..., Any], *, preserve_rng_state: bool = True) -> Callable[..., Any]:
    """Makes a function whose derivative computes it again, as `jax.checkpoint`; layers may be given, too.

    Of what it computes, only the results are kept until the derivative is taken (Chen et al., "Training deep nets with
    sublinear memory cost", 2016): memory for time. The second time, the default generator draws the same numbers
    (unless ``preserve_rng_state`` is false) and no state changes, such as running statistics. The function must compute
    the same from the same arguments; raises `GradientError` where it does not.

    >>> import tensorlite as tl
    >>> tl.grad(tl.checkpoint(lambda x: tl.sin(x) ** 2))(tl.tensor(0.0))
    tensor(0.)
    """
    @functools.wraps(function, updated=())
    def wrapped(*arguments: Any, **kwargs: Any) -> Any:
        if not state.recording:
            return function(*arguments, **kwargs)
        start = _now()
        generator = default_generator.state.array if preserve_rng_state else None
        call = _Call(function, arguments, kwargs, generator)
        result = function(*arguments, **kwargs)
        leaves, rebuild = flatten(result)
        made = [y for y in leaves if isinstance(y, Tensor) and y.node is not None and y.node.order >= start]
        if not made:
            return result
        node = call.record(made, _boundary((y.node for y in made), start))
        found = {id(y): Tensor(y.array, Output(node, i, y.array)) for i, y in enumerate(made)}
        return rebuild(iter([found.get(id(y), y) for y in leaves]))
    return wrapped


def _now() -> int:
    """The order of a node that is made now."""
    return Node(None, (), (), {}, (), np.dtype(bool)).order


def _boundary(roots: Iterable[Node], start: int) -> list[Node]:
    """The nodes before ``start`` that later ones are computed from, the earliest first."""
    stack, seen, found = list(roots), set(), set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.order < start:
            found.add(node)
        else:
            stack += [parent for parent in node.parents if parent is not None]
    return sorted(found, key=lambda node: node.order)


class _Call:
    """One call: what computes it again, and the cotangents of what it depends on, which are found together."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any], kwargs: dict[str, Any],
                 generator: Any) -> None:
        leaves, self.rebuild = flatten((arguments, kwargs))
        self.leaves = [(x.array, x.node) if isinstance(x, Tensor) else x for x in leaves]
        self.function, self.generator, self.casts = function, generator, state.autocast
        self.boundary: list[Node] = []
        self.shapes: list[tuple[int, ...]] = []
        self.found: tuple[Any, dict[int, Any]] = (None, {})

    def record(self, made: Sequence[Tensor], boundary: list[Node]) -> Node:
        """The node that stands for all of the call."""
        self.boundary, self.shapes = boundary, [y.shape for y in made]
        op = Op(name="checkpoint", kind="opaque", body=self.function, inputs=("arguments",), variadic=True)
        rule = Rule(lambda g, index, call: call.cotangent(g, index), ("g", "index", "call"))
        sources = (("g", None), ("index", None), ("saved", 0))
        plan = Plan(op, (), False, tuple(Step(i, rule, sources) for i in range(len(boundary))))
        node = Node(plan, boundary, [self], {}, (), made[0].dtype)
        node.attributes = {"_outputs": tuple((y.shape, y.dtype) for y in made)}
        return node

    def cotangent(self, g: tuple[Tensor, ...], index: int) -> Tensor | None:
        """One of the cotangents, all of which the first one asked for computes."""
        if self.found[0] is not g:
            self.found = g, self.compute(g)
        found = self.found[1].pop(index, None)
        if not self.found[1]:
            self.found = None, {}
        return found

    def compute(self, g: tuple[Tensor, ...]) -> dict[int, Tensor]:
        """The cotangents of the boundary by number."""
        start = _now()
        with _unchanged(self.generator):
            result = run_with(True, self.again, g[0])
        made = [y for y in flatten(result)[0] if isinstance(y, Tensor) and y.node is not None and y.node.order >= start]
        if [y.shape for y in made] != self.shapes:
            raise errors.complaint(
                errors.GradientError, "checkpoint", "the function computed something else the second time",
                {"first": self.shapes, "second": [y.shape for y in made]},
                "let it depend on nothing that changes between the call and its derivative")
        walk = Walk(state.recording, state.recording, {node: i for i, node in enumerate(self.boundary)})
        walk.run([(y.node, cotangent) for y, cotangent in zip(made, g, strict=True)])
        return {i: walk.captured[node] if node in walk.captured else zeros(node.shape, node.dtype)
                for i, node in enumerate(self.boundary)}

    def again(self, cotangent: Tensor) -> Any:
        """What the function gives for the same arguments."""
        arguments, kwargs = self.rebuild(self.given(cotangent))
        before, state.autocast = state.autocast, self.casts
        try:
            return self.function(*arguments, **kwargs)
        finally:
            state.autocast = before

    def given(self, cotangent: Tensor) -> Iterator[Any]:
        """The arguments once more; in a trace they depend on the cotangent, so that they are not used before it."""
        for x in self.leaves:
            if type(x) is not tuple:
                yield x
            elif state.interpreter is None or not cotangent.size:
                yield Tensor(*x)
            else:
                x = Tensor(*x)
                never = greater(reshape(cotangent, (-1,))[0].detach(), float("inf"))
                yield where(never, zeros_like(x), x)


@contextmanager
def _unchanged(generator: Any) -> Iterator[None]:
    """Draws the numbers of before in the block, after which tensors that it rebound hold again what they held."""
    kept: dict[int, tuple[Tensor, Any, Any]] = {}
    outer, now = state.met, default_generator.state.array

    def met(x: Tensor) -> None:
        kept.setdefault(id(x), (x, x.array, x.node))
        if outer is not None:
            outer(x)

    state.met = met
    if generator is not None:
        default_generator.state.array = generator
    try:
        yield
    finally:
        state.met = outer
        if generator is not None:
            default_generator.state.array = now
        for x, array, node in kept.values():
            x.array, x.node = array, node
