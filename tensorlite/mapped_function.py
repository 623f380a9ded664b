"""Functions with their own derivative inside `vmap`: the derivative that is taken outside of it is theirs too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite import errors
from tensorlite.batch import move_axis, repeat
from tensorlite.batching import Level
from tensorlite.dispatch import apply
from tensorlite.op import OPS
from tensorlite.ops.shape import sum_to
from tensorlite.state import state
from tensorlite.tensor import Tensor

#: A tensor beneath a level, and its batch axis.
Lowered = tuple[Tensor, int | None]


def is_tracked_beneath(level: Level, arguments: Sequence[Any]) -> bool:
    """Whether a derivative by some argument is taken outside of a level."""
    return state.recording and any(isinstance(x, Tensor) and level.lower(x)[0].node is not None for x in arguments)


def apply_mapped(kind: type, function: Any, level: Level, arguments: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Calls a function on a batch, recording beneath that its own backward gives the derivative of the whole batch.

    ``kind`` is `autograd.Function`.
    """
    if any(isinstance(x, Tensor) and level.is_inside(x) for x in arguments):
        raise errors.complaint(
            errors.GradientError, function.__name__, "its derivative is taken both inside and outside of vmap",
            None, "write it in ops of tl")
    lowered = [level.lower(x) if isinstance(x, Tensor) else x for x in arguments]
    call = MappedCall(kind, function, level, lowered, kwargs)
    with level.beneath():
        found = call.whole.apply(*(x[0] if isinstance(x, tuple) else x for x in lowered))
    made = tuple(level.hold(y, axis) for y, axis in zip(found, call.axes, strict=True))
    return made if call.several else made[0]


class MappedCall:
    """One call of a function on a batch, as the function of whole batches that `whole` is."""

    def __init__(self, kind: type, function: Any, level: Level, lowered: Sequence[Lowered | Any],
                 kwargs: dict[str, Any]) -> None:
        self.function, self.level, self.lowered, self.kwargs = function, level, lowered, kwargs
        self.axes: list[int | None] = []
        self.saved: list[int | None] = []
        self.shapes: list[tuple[int, ...]] = []
        self.several = False
        self.inner: Any = None
        self.whole: Any = type(function.__name__, (kind,), {"forward": staticmethod(self.forward),
                                                            "backward": staticmethod(self.backward)})

    def forward(self, context: Any, *arguments: Any) -> tuple[Tensor, ...]:
        """The function on the elements."""
        with self.level.again():
            given = [self.level.hold(x, of[1]) if isinstance(x, Tensor) else x
                     for x, of in zip(arguments, self.lowered, strict=True)]
            self.shapes = [x.shape if isinstance(x, Tensor) else () for x in given]
            self.inner = type(context)(given)
            self.inner.needs_input_grad = context.needs_input_grad
            result = self.function._run(self.inner, given, self.kwargs)
        self.several = isinstance(result, tuple)
        found = [self.level.lower(y) for y in (result if self.several else (result,))]
        saved = [None if x is None else self.level.lower(x) for x in self.inner._tensors]
        self.axes = [axis for _, axis in found]
        self.saved = [None if x is None else x[1] for x in saved]
        context.save_for_backward(*(None if x is None else x[0] for x in saved))
        constants = [self.level.lower(y)[0] for y in (result if self.several else (result,))
                     if self.inner._is_constant(y.array)]
        context.mark_non_differentiable(*constants)
        return tuple(y for y, _ in found)

    def backward(self, context: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        """The function's own backward on the elements."""
        with self.level.again():
            self.inner._tensors = tuple(None if x is None else self.level.hold(x, axis)
                                        for x, axis in zip(context.saved_tensors, self.saved, strict=True))
            found = self.function.backward(self.inner, *map(self.level.hold, cotangents, self.axes))
            found = found if isinstance(found, tuple) else (found,)
            found = tuple(self._fitting(g, shape) for g, shape in zip(found, self.shapes, strict=False))
        return tuple(self._whole(g, of) for g, of in zip(found, self.lowered, strict=False))

    def _fitting(self, g: Tensor | None, shape: tuple[int, ...]) -> Lowered | None:
        """The cotangent of one element of an argument, beneath."""
        return None if g is None else self.level.lower(g if g.shape == shape else sum_to(g, shape))

    def _whole(self, g: Lowered | None, of: Lowered | Any) -> Tensor | None:
        """The cotangent of the argument: of what is the same for all elements, the sum of theirs."""
        if g is None or not isinstance(of, tuple):
            return None
        x, axis = g
        if of[1] is None:
            return x if axis is None else apply(OPS["sum"], x, axis=(axis,), keepdims=False, dtype=None)
        return move_axis(repeat(x, self.level.size), 0, of[1]) if axis is None else move_axis(x, axis, of[1])
