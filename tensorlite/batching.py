"""Running a function on a whole batch at once: the interpreter of ops inside `vmap`, and what tensors hold there.

Inside, a tensor holds a `Mapped`: another tensor, with the batch axis, which the interpreter beneath computes (eager,
a trace, or an outer `vmap`). The tape of that tensor belongs to derivatives that are taken outside of `vmap`; the tape
of the tensor that holds it, to those that are taken inside, of one element. Neither sees the other.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.batch import Batch, is_drawn, rule_for
from tensorlite.dispatch import apply, explain, type_error
from tensorlite.op import Op
from tensorlite.state import state
from tensorlite.tape import Node, record
from tensorlite.tensor import Tensor, link_view, same_memory
from tensorlite.tensor_type import TensorType


class Mapped:
    """What a tensor holds inside `vmap`: a tensor of the level beneath, and which of its axes is the batch.

    `axis` is None where all elements of the batch are the same. `base` is the `Mapped` whose memory this one shares.
    """

    __slots__ = ("__weakref__", "axis", "base", "level", "shape", "tensor")

    level: Level
    tensor: Tensor
    axis: int | None
    base: Mapped | None
    shape: tuple[int, ...]

    def __init__(self, level: Level, tensor: Tensor, axis: int | None) -> None:
        self.level, self.tensor, self.axis, self.base = level, tensor, axis, None
        shape = tensor.array.shape
        self.shape = shape if axis is None else (*shape[:axis], *shape[axis + 1:])

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.tensor.array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes of one element of the batch."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements of one element of the batch."""
        return int(np.prod(self.shape))

    @property
    def type(self) -> TensorType:
        """The type of one element of the batch."""
        return TensorType(self.dtype, self.shape, self.tensor.device)

    @property
    def note(self) -> str:
        """What the tensor shows beside its type."""
        return "the same for all of vmap's batch" if self.axis is None else f"one of {self.level.size} in vmap"

    def constant(self) -> Any:
        """The same without the tapes beneath."""
        if self.axis is None:
            return self.tensor.detach().array
        made = Mapped(self.level, self.tensor.detach(), self.axis)
        made.base = self if self.base is None else self.base
        return made


def any_of_batch(x: Tensor) -> bool:
    """Whether a condition holds for any of the elements that `vmap` maps over."""
    array = x.array
    while type(array) is Mapped:
        array = array.tensor.array
    return bool(array.any())


class Level:
    """One `vmap` around the ops that run now. `interpreter` is what is beneath, None for eager.

    `start` is the order of the first node that belongs to derivatives taken inside.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.interpreter: Callable[..., Any] | None = None
        self.start = Node(None, (), (), {}, (), np.dtype(bool)).order
        self._tracks = False
        self._met: Callable[[Any], Any] | None = None
        self._outside: dict[int, tuple[weakref.ref[Tensor], Any, Any]] = {}

    # --- entering and leaving ---

    @contextmanager
    def running(self) -> Iterator[None]:
        """Maps the ops that run in the block over the batch."""
        before = state.interpreter, state.met
        self.interpreter, self._met = before
        state.interpreter, state.met = self, self.about_to_rebind
        try:
            yield
        finally:
            state.interpreter, state.met = before

    @contextmanager
    def beneath(self) -> Iterator[None]:
        """Runs ops of the block on whole batches."""
        state.interpreter = self.interpreter
        try:
            yield
        finally:
            state.interpreter = self

    @contextmanager
    def again(self) -> Iterator[None]:
        """Maps ops over the batch once more, from what is beneath, also where the function has returned."""
        before, self.interpreter = self.interpreter, state.interpreter
        state.interpreter = self
        try:
            yield
        finally:
            self.interpreter, state.interpreter = before, self.interpreter

    def about_to_rebind(self, x: Tensor) -> None:
        """Remembers what a tensor that is not of the batch holds: only one made inside may be given such a value."""
        if not self.owns(x):
            self._outside.setdefault(id(x), (weakref.ref(x), x.array, x.node))
            if self._met is not None:
                self._met(x)

    def restore(self) -> list[Tensor]:
        """Gives tensors of the outside back what they held before they were given a value for each element."""
        wrong = []
        for ref, array, node in self._outside.values():
            x = ref()
            if x is None or not self.owns(x):
                continue
            if x.array.axis is None:
                x.array, x.node = x.array.tensor.array, x.array.tensor.node
            else:
                x.array, x.node = array, node
                wrong.append(x)
        return wrong

    def check_outside(self) -> None:
        """Raises `TraceError` where a tensor that outlives the call was given one value for each element."""
        if not self._outside:
            return
        if any((x := ref()) is not None and self.owns(x) for ref, _, _ in self._outside.values()):
            del x
            gc.collect()
        wrong = self.restore()
        if wrong:
            raise errors.complaint(
                errors.TraceError, "vmap", "a tensor from outside of the function would hold a value for each element",
                {"tensor": wrong[0]}, "return the value instead, and combine the batch's values outside")

    # --- tensors ---

    def owns(self, x: Tensor) -> bool:
        """Whether a tensor holds what this level computed."""
        return type(x.array) is Mapped and x.array.level is self

    @property
    def trace(self) -> Any:
        """The trace that is beneath, None where there is none."""
        if isinstance(self.interpreter, Level):
            return self.interpreter.trace
        return getattr(self.interpreter, "__self__", None)

    @property
    def tracks(self) -> bool:
        """Whether derivatives are taken outside of what was computed here."""
        return self._tracks or getattr(self.interpreter, "tracks", False)

    def is_inside(self, x: Tensor) -> bool:
        """Whether the tape of a tensor belongs to derivatives that are taken inside."""
        return x.node is not None and (self.owns(x) or x.node.order >= self.start)

    def is_tracked_outside(self, x: Tensor) -> bool:
        """Whether derivatives of a tensor are taken outside."""
        return self.lower(x)[0].node is not None

    def hold(self, x: Tensor, axis: int | None) -> Tensor:
        """A tensor of this level of one from beneath."""
        if x.node is not None:
            self._tracks = True
        elif axis is None:
            return x
        return Tensor(Mapped(self, x, axis))

    def argument(self, x: Any, axis: int | None) -> Any:
        """What the function gets for an argument: a tensor of its own, which it may rebind."""
        return self.hold(Tensor(x.array, x.node), axis) if isinstance(x, Tensor) else x

    def lift(self, x: Tensor) -> Tensor:
        """The tensor with no tape but that of this level."""
        return x if x.node is None or self.is_inside(x) else self.hold(x, None)

    def lower(self, x: Tensor) -> tuple[Tensor, int | None]:
        """The tensor beneath, and its batch axis."""
        if self.owns(x):
            return x.array.tensor, x.array.axis
        return (Tensor(x.array) if self.is_inside(x) else x), None

    # --- ops ---

    def __call__(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
        """The interpreter: one op on a whole batch."""
        inputs = [Tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
        pairs = [self.lower(x) if isinstance(x, Tensor) else (x, None) for x in inputs]
        batch = Batch(op, self.size, tuple(axis for _, axis in pairs))
        given = [x for x, _ in pairs]
        with self.beneath():
            if all(axis is None for axis in batch.axes) and not is_drawn(op):
                found, axes = apply(op, *given, **attributes), None
            else:
                try:
                    found, axes = rule_for(batch)(batch, given, attributes)
                except errors.TensorliteError as error:
                    raise self._told(op, inputs, attributes, error) from None
        if isinstance(found, tuple):
            axes = axes if isinstance(axes, tuple) else (axes,) * len(found)
            made: Any = tuple(self.hold(y, axis) for y, axis in zip(found, axes, strict=True))
        else:
            made = self.hold(found, axes)
        if state.recording and any(isinstance(x, Tensor) and self.is_inside(x) for x in inputs):
            lifted = [self.lift(x) if isinstance(x, Tensor) else x for x in inputs]
            out = tuple(y.array for y in made) if isinstance(made, tuple) else made.array
            made = record(op, lifted, attributes, out)
        if op.kind == "movement" and axes is not None:
            self._link(made, inputs[0])
        return made

    def _told(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any],
              error: errors.TensorliteError) -> Exception:
        """What is wrong in terms of one element of the batch, where the types say it."""
        problem = type_error(op, inputs, attributes)
        return error if problem is None else explain(op, inputs, attributes, problem)

    def _link(self, view: Tensor, x: Tensor) -> None:
        """Remembers that a view shares memory with a tensor of this level."""
        if not (self.owns(view) and self.owns(x)):
            return
        arrays = view.array.tensor.array, x.array.tensor.array
        if all(type(a) is np.ndarray or type(a) is Mapped for a in arrays) and same_memory(*arrays):
            view.array.base = x.array if x.array.base is None else x.array.base
            link_view(view, x)
