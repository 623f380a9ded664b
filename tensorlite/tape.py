"""The tape: what each recorded op saves for its derivative.

A rule's parameter names are the list of what is saved: ``g`` is the cotangent, ``y`` the output, an input's name its
value, ``x_shape`` only the shape of the tracked input ``x``, ``index`` the place of one of several like inputs, and an
attribute's name its value.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.derivative import Rule, rule_for
from tensorlite.op import Op
from tensorlite.tensor import Tensor

_order = itertools.count()


class Node:
    """One recorded value: the op that made it, the nodes of its inputs, and what the derivative needs.

    `order` grows with time, so that walking nodes from the last to the first is a topological order. `shape` and
    `dtype` are the value's own, which its cotangent must have.
    """

    __slots__ = ("__weakref__", "attributes", "dtype", "hooks", "line", "order", "parents", "plan", "saved", "shape")

    plan: Plan | None
    parents: Sequence[Node | None]
    saved: Sequence[Any] | None
    attributes: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype
    order: int
    hooks: list[Callable[..., Any]] | None
    line: str

    def __init__(self, plan: Plan | None, parents: Sequence[Node | None], saved: Sequence[Any] | None,
                 attributes: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.plan = plan
        self.parents = parents
        self.saved = saved
        self.attributes = attributes
        self.shape = shape
        self.dtype = dtype
        self.order = next(_order)
        self.hooks = None


class Leaf(Node):
    """The node of a tensor that the user asked gradients of."""

    __slots__ = ("post_hooks", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(None, (), (), {}, tensor.shape, tensor.dtype)
        self.tensor = weakref.ref(tensor)
        self.post_hooks: list[Callable[..., Any]] = []


class Argument(Leaf):
    """The node of an argument of a function that is being differentiated: a leaf that the function may rebind."""

    __slots__ = ()


class Output(Node):
    """One of several outputs of an op: its only parent is the op's node."""

    __slots__ = ("index",)

    def __init__(self, parent: Node, index: int, array: Any) -> None:
        super().__init__(None, (parent,), (), {}, array.shape, array.dtype)
        self.index = index


@dataclass(frozen=True, slots=True)
class Step:
    """The rule of one tracked input, and from where each of its arguments comes."""

    index: int
    rule: Rule
    arguments: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the tape does for an op when a given set of its inputs is tracked."""

    op: Op
    save: tuple[int, ...]
    save_output: bool
    steps: tuple[Step, ...]


def is_leaf(tensor: Tensor) -> bool:
    """Whether no recorded op made the tensor."""
    return tensor.node is None or isinstance(tensor.node, Leaf)


def make_plan(op: Op, tracked: Sequence[bool], complex: bool) -> Plan:
    """Reads from the rules' parameters what must be saved."""
    names = [op.input_name(index) for index in range(len(tracked))]
    rules: list[tuple[int, Rule]] = []
    for index, (name, is_tracked) in enumerate(zip(names, tracked, strict=True)):
        rule = rule_for(op, name, complex) if is_tracked else None
        if rule is not None:
            rules.append((index, rule))
    wanted = {name for _, rule in rules for name in rule.parameters}
    save = tuple(index for index, name in enumerate(names) if name in wanted)
    steps = tuple(Step(index, rule, tuple(_source(op, names, name, save, index) for name in rule.parameters))
                  for index, rule in rules)
    return Plan(op, save, "y" in wanted and "y" not in op.inputs, steps)


def _source(op: Op, names: list[str], name: str, save: tuple[int, ...], index: int) -> tuple[str, Any]:
    if name in op.inputs:
        places = tuple(place for place, i in enumerate(save) if names[i] == name)
        return ("several", places) if op.variadic and name == op.inputs[-1] else ("saved", places[0])
    if name.removesuffix("_shape") in op.inputs:
        own = op.variadic and index >= len(op.inputs)
        return "shape", index if own else op.inputs.index(name.removesuffix("_shape"))
    if name in op.attributes:
        return "attribute", name
    if name == "index" and op.variadic:
        return "index", None
    if name in ("g", "y"):
        return name, None
    raise TypeError(f"the derivative of {op.name} asks for {name!r}, which is no input and no attribute")


def record(op: Op, inputs: Sequence[Any], attributes: dict[str, Any], out: Any) -> Any:
    """Wraps an op's result in tensors that remember how it was made."""
    parents = []
    key, bit = 0, 2  # the lowest bit says that a tracked input or the result is complex
    for x in inputs:
        node = x.node if isinstance(x, Tensor) else None
        parents.append(node)
        if node is not None:
            key |= bit if node.dtype.kind != "c" else bit | 1
        bit <<= 1
    key |= bit if type(out) is tuple or out.dtype.kind != "c" else bit | 1
    plan = op.plans.get(key)
    if plan is None:
        plan = op.plans[key] = make_plan(op, [node is not None for node in parents], bool(key & 1))
    if type(out) is tuple:
        return _record_outputs(plan, parents, inputs, attributes, out)
    if not plan.steps or out.dtype.kind in "biu":
        return Tensor(out)
    saved = [(x.array, x.node) if isinstance(x := inputs[i], Tensor) else _kept(x) for i in plan.save]
    if plan.save_output:
        saved.append(out)
    return Tensor(out, Node(plan, parents, saved, attributes, out.shape, out.dtype))


def _kept(operand: Any) -> Any:
    """A number as it is, and an array of the user's, who may write into it later, as a copy."""
    return operand.copy() if isinstance(operand, np.ndarray) else operand


def _record_outputs(plan: Plan, parents: Sequence[Node | None], inputs: Sequence[Any], attributes: dict[str, Any],
                    out: tuple[Any, ...]) -> tuple[Tensor, ...]:
    if not plan.steps:
        return tuple(map(Tensor, out))
    saved: list[Any] = [(x.array, x.node) if isinstance(x := inputs[i], Tensor) else _kept(x) for i in plan.save]
    if plan.save_output:
        saved.append(out)
    node = Node(plan, parents, saved, attributes, (), out[0].dtype)
    node.attributes = {**attributes, "_outputs": tuple((array.shape, array.dtype) for array in out)}
    return outputs_of(node, out)


def outputs_of(node: Node, out: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The outputs of an op's node as tensors; integers are constants."""
    return tuple(Tensor(array) if array.dtype.kind in "biu" else Tensor(array, Output(node, index, array))
                 for index, array in enumerate(out))
