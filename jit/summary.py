"""Summaries of models: what each layer gives, how many parameters it has, and what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.jit.costs import flops
from tensorlite.jit.graph import Equation
from tensorlite.jit.report import si, size
from tensorlite.jit.trace import Trace, trace_call
from tensorlite.modes import no_grad
from tensorlite.nn.module import Module
from tensorlite.ops.filled import zeros
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tree import flatten

_HEADS = ("layer", "output", "parameters", "FLOPs")


@dataclass
class Layer:
    """One call of a module: its parameters and floating-point operations, with those of all that is inside it."""

    name: str
    kind: str
    depth: int
    parameters: int
    output: str = ""
    flops: int = 0


@dataclass(frozen=True)
class Summary:
    """What `summary` found; printed, it is a table.

    ``parameters``, ``trainable`` and ``buffers`` count numbers, shared ones once; ``bytes`` is what all of these take.
    """

    layers: tuple[Layer, ...]
    parameters: int
    trainable: int
    buffers: int
    bytes: int
    flops: int
    depth: int | None = field(default=None, repr=False)

    def __str__(self) -> str:
        shown = [layer for layer in self.layers if self.depth is None or layer.depth <= self.depth]
        rows = [(f"{'  ' * layer.depth}{layer.name}{' ' if layer.name else ''}({layer.kind})", layer.output,
                 f"{layer.parameters:,}" if layer.parameters else "", f"{layer.flops:,}" if layer.flops else "")
                for layer in shown]
        widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
                 for a, b, c, d in (_HEADS, *rows)]
        rule = "-" * max(map(len, lines))
        fixed = self.parameters - self.trainable
        return "\n".join([
            lines[0], rule, *lines[1:], rule,
            f"{self.parameters:,} parameters{f', {fixed:,} of them fixed' if fixed else ''}"
            f"{f', {self.buffers:,} numbers in buffers' if self.buffers else ''}; {size(self.bytes)}",
            f"{si(self.flops)}FLOP a call, a multiplication and an addition counted as two",
        ])


def summary(model: Module, *inputs: Any, depth: int | None = None, **kwargs: Any) -> Summary:
    """What each layer of a model gives for some inputs, its parameters, and the operations of a call.

    ``inputs`` are what the model is called with: tensors, or shapes (tuples of integers) of float32 ones. The call is
    traced, and nothing is computed; the model stays as it is. ``depth`` is how many levels of modules are shown. Raises
    `ArgumentError` where there are no inputs, and `TraceError` for a model whose Python needs numbers of its tensors.

    >>> import tensorlite as tl
    >>> print(tl.summary(tl.nn.Sequential(tl.nn.Linear(3, 8), tl.nn.ReLU(), tl.nn.Linear(8, 2)), (5, 3)))
    layer         output         parameters  FLOPs
    ----------------------------------------------
    (Sequential)  float32[5, 2]          50    530
      0 (Linear)  float32[5, 8]          32    280
      1 (ReLU)    float32[5, 8]                 80
      2 (Linear)  float32[5, 2]          18    170
    ----------------------------------------------
    50 parameters; 200 B
    530 FLOP a call, a multiplication and an addition counted as two
    """
    if not isinstance(model, Module):
        raise errors.complaint(errors.DTypeError, "summary", f"takes a module, not {type(model).__name__}")
    if not inputs and not kwargs:
        raise errors.complaint(errors.ArgumentError, "summary", "what is the model called with?", None,
                               "tl.summary(model, x), or a shape: tl.summary(model, (1, 3, 224, 224))")
    arguments = [zeros(x) if _is_shape(x) else x for x in inputs]
    watch = _Watch(model)
    try:
        with no_grad():
            traced = trace_call(model, arguments, kwargs)
    finally:
        watch.stop()
    tensors, held = {id(p): p for p in model.parameters()}.values(), {id(b): b for b in model.buffers()}.values()
    return Summary(
        tuple(watch.layers), sum(p.size for p in tensors), sum(p.size for p in tensors if p.requires_grad),
        sum(b.size for b in held), sum(x.size * np.dtype(x.dtype).itemsize for x in (*tensors, *held)),
        sum(map(flops, traced.graph.equations)), depth)


def _is_shape(x: Any) -> bool:
    return isinstance(x, list | tuple) and bool(x) and all(isinstance(n, int) for n in x)


class _Watch:
    """Hooks on all modules that note, in the order of their calls, what was traced within each."""

    def __init__(self, model: Module) -> None:
        self.layers: list[Layer] = []
        self._open: list[tuple[Layer, int]] = []
        self._names = {id(module): name for name, module in model.named_modules()}
        self._handles: list[Any] = []
        for module in model.modules():
            self._handles += [module.register_forward_pre_hook(self._enter, prepend=True),
                              module.register_forward_hook(self._leave)]

    def stop(self) -> None:
        """Takes the hooks out again."""
        for handle in self._handles:
            handle.remove()

    def _enter(self, module: Module, arguments: tuple[Any, ...]) -> None:
        count = sum(p.size for p in module.parameters())
        name = self._names[id(module)].rpartition(".")[2]
        layer = Layer(name, type(module).__name__, len(self._open), count)
        self.layers.append(layer)
        self._open.append((layer, len(_equations())))

    def _leave(self, module: Module, arguments: tuple[Any, ...], output: Any) -> None:
        layer, start = self._open.pop()
        layer.flops = sum(map(flops, _equations()[start:]))
        found = [str(x.type) for x in flatten(output)[0] if isinstance(x, Tensor)]
        layer.output = ", ".join(found[:2]) + (", ..." if len(found) > 2 else "")


def _equations() -> Sequence[Equation]:
    """What has been traced so far."""
    trace: Trace = state.interpreter.__self__  # type: ignore[union-attr]
    return trace.equations
