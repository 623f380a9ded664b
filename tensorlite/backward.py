"""Walking the tape backwards: `backward`, and the gradients of outputs with respect to given inputs."""

from __future__ import annotations

import heapq
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.derivative import identity
from tensorlite.dispatch import apply
from tensorlite.op import OPS, Op
from tensorlite.ops.filled import zeros_like
from tensorlite.ops.shape import sum_to
from tensorlite.state import state
from tensorlite.tape import Leaf, Node, Output, Step, outputs_of
from tensorlite.tensor import Tensor


class Walk:
    """One walk from some outputs to the leaves, the latest node first, without recursion.

    `wanted` maps nodes whose cotangents are to be captured to their place in the answer; None accumulates into
    the leaves' ``.grad`` instead.
    """

    def __init__(self, retain_graph: bool, create_graph: bool, wanted: dict[Node, int] | None = None) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.wanted = wanted
        self.needed: set[Node] | None = None
        self.captured: dict[Node, Tensor] = {}
        self.pending: dict[Node, Any] = {}
        self.heap: list[tuple[int, Node]] = []

    def run(self, roots: Sequence[tuple[Node, Tensor]]) -> None:
        """Walks from the roots, with their cotangents."""
        if self.wanted is not None:
            self.needed = leading_to(self.wanted, ancestors(node for node, _ in roots))
        before = state.recording, state.walking, state.device, state.autocast
        try:
            state.recording, state.autocast = self.create_graph, None
            state.device = roots[0][1].device if roots else state.device
            for node, cotangent in roots:
                self.add(node, cotangent)
            while self.heap:
                node = state.walking = heapq.heappop(self.heap)[1]
                self.visit(node, self.pending.pop(node))
        finally:
            state.recording, state.walking, state.device, state.autocast = before

    def add(self, node: Node, cotangent: Tensor) -> None:
        """Adds a contribution to a node's cotangent, undoing broadcasting and casts."""
        if cotangent.array.shape != node.shape:
            cotangent = sum_to(cotangent, node.shape)
        if cotangent.array.dtype is not node.dtype and cotangent.array.dtype != node.dtype:
            cotangent = cast_cotangent(cotangent, node.dtype)
        before = self.pending.get(node)
        if before is None:
            heapq.heappush(self.heap, (-node.order, node))
            self.pending[node] = cotangent
        else:
            self.pending[node] = apply(OPS["add"], before, cotangent)

    def add_output(self, node: Node, index: int, cotangent: Tensor) -> None:
        """Adds a contribution to one of several outputs."""
        cotangents = self.pending.get(node)
        if cotangents is None:
            heapq.heappush(self.heap, (-node.order, node))
            cotangents = self.pending[node] = [None] * len(node.attributes["_outputs"])
        before = cotangents[index]
        cotangents[index] = cotangent if before is None else apply(OPS["add"], before, cotangent)

    def visit(self, node: Node, g: Any) -> None:
        """Calls a node's hooks with its whole cotangent, and passes that on."""
        if node.hooks:
            for hook in tuple(node.hooks):
                changed = hook(own(g))
                g = g if changed is None else checked(changed, node, "the hook")
        if self.wanted is not None and node in self.wanted:
            self.captured[node] = g
            if not any(parent in self.needed for parent in node.parents):  # type: ignore[operator]
                return  # what it was computed from is not asked for, and keeps what it saved
        if isinstance(node, Leaf):
            if self.wanted is None:
                accumulate(node, g)
        elif type(node) is Output:
            self.add_output(node.parents[0], node.index, g)  # type: ignore[arg-type]
        else:
            self.propagate(node, g)

    def propagate(self, node: Node, g: Any) -> None:
        """Runs the rules of one node's op and adds what they give to its inputs' cotangents."""
        saved, plan = node.saved, node.plan
        if saved is None:
            raise errors.complaint(
                errors.GradientError, "backward", "the graph was walked before, and what it saved was freed", None,
                "call backward(retain_graph=True) the first time, or compute the loss again")
        inputs = saved[:-1] if plan.save_output else saved  # type: ignore[union-attr]
        values = [Tensor(*x) if type(x) is tuple else x for x in inputs]
        if type(g) is list:
            g = Cotangents(g, node.attributes["_outputs"])
        for step in plan.steps:  # type: ignore[union-attr]
            parent = node.parents[step.index]
            if self.needed is not None and parent not in self.needed:
                continue
            compute = step.rule.compute
            if compute is identity:
                self.add(parent, g)  # type: ignore[arg-type]
            elif compute is None:
                self.add(parent, zeros(parent.shape, parent.dtype))  # type: ignore[union-attr, arg-type]
            else:
                given = cast_cotangent(g, parent.dtype) if step.rule.complex and g.dtype.kind != "c" else g  # type: ignore[union-attr]
                arguments = [_argument(node, step, source, key, given, values) for source, key in step.arguments]
                cotangent = apply(compute, *arguments) if isinstance(compute, Op) else compute(*arguments)
                if cotangent is not None:
                    self.add(parent, cotangent)  # type: ignore[arg-type]
        if not self.retain_graph:
            node.saved = None


def ancestors(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots were computed from, themselves included, the earliest first."""
    found = set(roots)
    stack = list(found)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in found:
                found.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda node: node.order)


def leading_to(wanted: Iterable[Node], nodes: Sequence[Node]) -> set[Node]:
    """The nodes, given the earliest first, that some wanted node has a part in."""
    needed = set(wanted)
    for node in nodes:
        if node not in needed and any(parent in needed for parent in node.parents):
            needed.add(node)
    return needed


def _argument(node: Node, step: Step, source: str, key: Any, g: Any, values: list[Any]) -> Any:
    if source == "g":
        return g
    if source == "saved":
        return values[key]
    if source == "attribute":
        return node.attributes[key]
    if source == "shape":
        return node.parents[key].shape
    if source == "y":
        out = node.saved[-1]  # type: ignore[index]
        if type(out) is not tuple:
            return Tensor(out, node)
        return outputs_of(node, out) if state.recording else tuple(map(Tensor, out))
    if source == "several":
        return tuple(values[place] for place in key)
    return step.index


class Cotangents(tuple[Tensor, ...]):
    """Those of an op's outputs: zeros for the ones in ``missing``, which nothing depends on."""

    missing: frozenset[int]

    def __new__(cls, given: Sequence[Tensor | None], types: Sequence[tuple[tuple[int, ...], np.dtype]]) -> Cotangents:
        made = super().__new__(cls, (zeros(*of) if x is None else x for x, of in zip(given, types, strict=True)))
        made.missing = frozenset(place for place, x in enumerate(given) if x is None)
        return made


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
    """A constant of zeros on the current device."""
    if state.interpreter is None and state.device == "cpu":
        return Tensor(np.zeros(shape, dtype))  # of small arrays in a tenth of the time
    return apply(OPS["full"], shape=shape, fill_value=0, dtype=dtype)


def cast_cotangent(cotangent: Tensor, dtype: np.dtype) -> Tensor:
    """Brings a cotangent to its value's dtype; of a complex one for a real value, the real part counts."""
    if cotangent.dtype.kind == "c" and dtype.kind != "c":
        cotangent = apply(OPS["real"], cotangent)
    return apply(OPS["cast"], cotangent, dtype=dtype)


def own(g: Tensor) -> Tensor:
    """The same cotangent in a holder of its own: in-place spellings on it change no other's."""
    return Tensor(g.array, g.node)


def checked(g: Any, node: Node, source: str) -> Tensor:
    """A cotangent that user code gave, if it is a tensor of the value's shape."""
    if not isinstance(g, Tensor) or g.shape != node.shape:
        raise errors.complaint(
            errors.GradientError, "backward", f"{source} must return a gradient of shape {list(node.shape)}",
            {"returned": g})
    return g


class Keep:
    """The hook of `retain_grad`: fills a tensor's ``.grad`` without keeping the tensor alive."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = weakref.ref(tensor)

    def __call__(self, g: Tensor) -> None:
        tensor = self.tensor()
        if tensor is not None:
            add_to_grad(tensor, g)


def add_to_grad(tensor: Tensor, g: Tensor) -> None:
    """Adds to a ``.grad``, which other threads' walks may do at the same time."""
    with _adding:
        before = tensor.grad
        tensor.grad = own(g) if before is None else apply(OPS["add"], before, g)


def clear_grad(leaf: Tensor, set_to_none: bool) -> None:
    """Forgets a gradient, or makes it zero."""
    if set_to_none:
        leaf.grad = None
    elif (grad := leaf.grad) is not None:
        leaf.grad = zeros_like(grad.detach())


def _forget_other_threads() -> None:
    """In a forked child the lock may be held by a thread that does not exist there."""
    global _adding
    _adding = threading.RLock()


_adding = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def accumulate(leaf: Leaf, g: Tensor) -> None:
    """Adds a cotangent to a leaf's ``.grad``."""
    tensor = leaf.tensor()
    if tensor is None:
        return
    add_to_grad(tensor, g)
    for hook in tuple(leaf.post_hooks):
        hook(tensor)


def seed(output: Tensor, cotangent: Tensor | None, caller: str) -> tuple[Node, Tensor]:
    """The node that a walk starts from, and its cotangent: one, where the output is a scalar."""
    if output.node is None and getattr(state.interpreter, "is_tracked_outside", lambda _: False)(output):
        raise errors.complaint(
            errors.GradientError, caller, "what the output depends on requires gradients outside of vmap",
            {"output": output}, "call tl.grad inside, of a function of what the gradient is by; or walk outside")
    if output.node is None:
        raise errors.complaint(
            errors.GradientError, caller, "the output does not depend on anything that requires gradients",
            {"output": output},
            "create a leaf with requires_grad=True, and do not leave no_grad() around the computation")
    if cotangent is None:
        if output.size != 1:
            raise errors.complaint(
                errors.GradientError, caller, "only a tensor of one element has a gradient by itself",
                {"output": output}, "reduce it first, as in loss.sum(), or pass gradient=")
        before, state.device = state.device, output.device
        try:
            return output.node, apply(OPS["full"], shape=output.shape, fill_value=1, dtype=output.dtype)
        finally:
            state.device = before
    if not isinstance(cotangent, Tensor):
        raise errors.complaint(errors.DTypeError, caller, f"a gradient is a tensor, not {type(cotangent).__name__}",
                               {"output": output, "gradient": cotangent}, "make it one: tl.asarray(...)")
    if cotangent.shape != output.shape:
        raise errors.complaint(errors.ShapeError, caller, "the gradient's shape is not the output's",
                               {"output": output, "gradient": cotangent})
    return output.node, cotangent


def check_count(caller: str, cotangents: Sequence[Any], outputs: Sequence[Tensor]) -> None:
    """Raises `ArgumentError` where there is not one cotangent for each output."""
    if len(cotangents) != len(outputs):
        given = f"{len(cotangents)} cotangent{' was' if len(cotangents) == 1 else 's were'}"
        raise errors.complaint(errors.ArgumentError, caller, f"{given} given for {len(outputs)} outputs")


def backward(output: Tensor, gradient: Tensor | None = None, retain_graph: bool | None = None,
             create_graph: bool = False, inputs: Sequence[Tensor] | Tensor | None = None) -> None:
    """Adds the derivative of a tensor to the ``.grad`` of the leaves that it was computed from.

    ``gradient`` weighs the output's elements; a tensor of one element needs none. ``create_graph`` records the walk
    itself, for higher derivatives; ``retain_graph`` keeps what the tape saved, for a second walk. ``inputs`` names
    the only leaves to fill. Raises `GradientError` for an output that was not recorded, is no scalar, or was walked
    before.

    >>> import tensorlite as tl
    >>> w = tl.tensor(3.0, requires_grad=True)
    >>> (w * w).backward()
    >>> w.grad.item()
    6.0
    """
    retain = create_graph if retain_graph is None else retain_graph
    root = seed(output, gradient, "backward")
    if inputs is None:
        Walk(retain, create_graph).run([root])
        return
    leaves = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for leaf, g in zip(leaves, capture([root], leaves, retain, create_graph, "backward"), strict=True):
        if g is not None:
            add_to_grad(leaf, g)


def capture(roots: Sequence[tuple[Node, Tensor]], inputs: Sequence[Tensor], retain: bool, create_graph: bool,
            caller: str) -> list[Tensor | None]:
    """The cotangents of inputs, None where the outputs do not depend on one."""
    for x in inputs:
        if x.node is None:
            raise errors.complaint(errors.GradientError, caller, "an input does not require gradients", {"input": x},
                                   "create it with requires_grad=True")
    walk = Walk(retain, create_graph, {x.node: i for i, x in enumerate(inputs)})
    walk.run(roots)
    found = [walk.captured.get(x.node) for x in inputs]
    return [None if g is None else own(g) for g in found]


def gradients(outputs: Tensor | Sequence[Tensor], inputs: Tensor | Sequence[Tensor],
              grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
              allow_unused: bool = False) -> tuple[Tensor | None, ...]:
    """The derivatives of outputs with respect to inputs, leaving every ``.grad`` alone: PyTorch's ``autograd.grad``.

    >>> import tensorlite as tl
    >>> x = tl.tensor(2.0, requires_grad=True)
    >>> (first,) = tl.autograd.grad(x**3, x, create_graph=True)
    >>> tl.autograd.grad(first, x)[0].item()
    12.0
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    weights = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs or [None] * len(outputs))
    check_count("grad", weights, outputs)
    roots = [seed(output, weight, "grad") for output, weight in zip(outputs, weights, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    found = capture(roots, inputs, retain, create_graph, "grad")
    for x, g in zip(inputs, found, strict=True):
        if g is None and not allow_unused:
            raise errors.complaint(errors.GradientError, "grad", "an input was not used to compute the outputs",
                                   {"input": x}, "pass allow_unused=True to get None for it")
    return tuple(found)
