"""Functions with their own derivative, as users of PyTorch write them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from tensorlite import errors
from tensorlite.backward import own, zeros
from tensorlite.batching import Level
from tensorlite.derivative import Rule
from tensorlite.mapped_function import apply_mapped, is_tracked_beneath
from tensorlite.modes import run_with
from tensorlite.op import Op
from tensorlite.state import state
from tensorlite.tape import Node, Output, Plan, Step
from tensorlite.tensor import Tensor
from tensorlite.transforms import vjp


class Context:
    """What a custom function's forward leaves for its backward; other attributes may be set on it freely."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.needs_input_grad = tuple(isinstance(x, Tensor) and x.node is not None for x in arguments)
        self._shapes = tuple(x.shape if isinstance(x, Tensor) else () for x in arguments)
        self._dtypes = tuple(x.dtype if isinstance(x, Tensor) else None for x in arguments)
        self._tensors: tuple[Any, ...] = ()
        self._forward: tuple[Any, ...] | None = None
        self._constants: tuple[Any, ...] = ()
        self._cotangents: tuple[Any, dict[int, Any]] = (None, {})

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors as they are now."""
        self._tensors = tuple(None if x is None else own(x) for x in tensors)

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors for `jvp`, where it needs others than `backward` does."""
        self._forward = tuple(None if x is None else own(x) for x in tensors)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Makes outputs constants, as integer ones are; their cotangents are zeros."""
        self._constants = tuple(y.array for y in outputs)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors that were saved, in order."""
        return tuple(x.tensor() if isinstance(x, _Own) else x for x in self._tensors)

    def _is_constant(self, array: Any) -> bool:
        return array.dtype.kind in "biu" or any(array is constant for constant in self._constants)

    def _record(self, node: Node, arguments: Sequence[Any], made: Sequence[Tensor]) -> None:
        """Points to the node's own outputs without keeping them alive, or every node would be part of a cycle."""
        owned = {id(y.array): _Own(node, i, y) for i, y in enumerate(made)}
        for x in arguments:
            owned.pop(id(getattr(x, "array", None)), None)
        def pointed(tensors: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(None if x is None else owned.get(id(x.array), x) for x in tensors)

        self._tensors = pointed(self._tensors)
        self._forward = None if self._forward is None else pointed(self._forward)

    def _cotangent(self, function: type[Function], g: tuple[Tensor, ...], index: int) -> Tensor | None:
        """One argument's cotangent; those of all arguments come from one call of the function's backward."""
        if self._cotangents[0] is not g:
            forward = state.linearizing and function.jvp is not Function.jvp
            given = self._transposed(function, g) if forward else function.backward(self, *map(own, g))
            given = given if isinstance(given, tuple) else (given,)
            if len(given) != len(self._shapes):
                raise errors.complaint(errors.GradientError, function.__name__,
                                       f"backward returned {len(given)} cotangents for {len(self._shapes)} arguments")
            self._cotangents = g, {i: x for i, x in enumerate(given) if self.needs_input_grad[i]}
        found = self._cotangents[1].pop(index)
        if not self._cotangents[1]:
            self._cotangents = None, {}
        if found is not None and not (isinstance(found, Tensor) and _reduces_to(found.shape, self._shapes[index])):
            raise errors.complaint(
                errors.GradientError, function.__name__,
                f"backward must return a gradient of shape {list(self._shapes[index])} for argument {index}",
                {"returned": found})
        return found


    def _transposed(self, function: type[Function], g: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        """The cotangents that make `jvp` the derivative forward: its transpose, as it is linear in the tangents."""
        tracked = [i for i, needed in enumerate(self.needs_input_grad) if needed]
        before, self._tensors = self._tensors, self._tensors if self._forward is None else self._forward

        def move(*tangents: Tensor) -> tuple[Tensor, ...]:
            found = dict(zip(tracked, tangents, strict=True))
            moved = function.jvp(self, *(found.get(i) for i in range(len(self._shapes))))
            return moved if isinstance(moved, tuple) else (moved,)

        try:
            still = (zeros(self._shapes[i], self._dtypes[i]) for i in tracked)  # type: ignore[arg-type]
            pulled = iter(vjp(move, *still)[1](tuple(g)))
        finally:
            self._tensors = before
        return tuple(next(pulled) if needed else None for needed in self.needs_input_grad)


class _Own:
    """An output that its own function saved."""

    def __init__(self, node: Node, index: int, made: Tensor) -> None:
        self._array, self._index = made.array, index
        self._node, self._output = weakref.ref(node), None if made.node is None else weakref.ref(made.node)

    def tensor(self) -> Tensor:
        parent = self._node()
        if self._output is None or parent is None:
            return Tensor(self._array)
        return Tensor(self._array, self._output() or Output(parent, self._index, self._array))


def _reduces_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether summing over broadcast axes brings a shape to the wanted one."""
    return len(shape) >= len(wanted) and all(n in (1, m) for n, m in zip(wanted[::-1], shape[::-1]))


class Function:
    """A function with its own derivative, as PyTorch's `torch.autograd.Function`.

    Subclasses give ``forward(context, *arguments)`` and ``backward(context, *cotangents)``, both static; ``backward``
    returns one cotangent (or None) an argument. It is recorded itself where higher derivatives are asked for. With
    ``setup_context(context, arguments, result)``, `forward` takes the arguments alone. What `tl.jvp` and its like give
    follows from ``backward``, or from ``jvp(context, *tangents)`` where there is one.

    >>> import tensorlite as tl
    >>> class Double(tl.autograd.Function):
    ...     @staticmethod
    ...     def forward(context, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(context, g):
    ...         return g * 2
    >>> x = tl.tensor(3.0, requires_grad=True)
    >>> Double.apply(x).backward()
    >>> x.grad
    tensor(2.)
    """

    @staticmethod
    def forward(context: Context, *arguments: Any, **kwargs: Any) -> Any:
        """Computes the value."""
        raise TypeError("a Function needs a static method forward(context, *arguments)")

    @staticmethod
    def setup_context(context: Context, arguments: tuple[Any, ...], result: Any) -> None:
        """Saves what `backward` needs, apart from `forward`."""

    @staticmethod
    def backward(context: Context, *cotangents: Tensor) -> Any:
        """Computes the arguments' cotangents."""
        raise TypeError("a Function needs a static method backward(context, *cotangents)")

    @staticmethod
    def jvp(context: Context, *tangents: Tensor | None) -> Any:
        """Computes the tangents of the outputs; where it is not given, they follow from `backward`."""
        raise TypeError("a Function without jvp has its tangents from backward")

    @classmethod
    def apply(cls, *arguments: Any, **kwargs: Any) -> Any:
        """Calls `forward`, recording that `backward` gives its derivative."""
        for name, value in kwargs.items():
            if isinstance(value, Tensor) and value.node is not None:
                raise errors.complaint(errors.GradientError, cls.__name__,
                                       "only arguments by position have derivatives", {name: value},
                                       "pass it by position")
        level = state.interpreter
        if isinstance(level, Level) and is_tracked_beneath(level, arguments):
            return apply_mapped(Function, cls, level, arguments, kwargs)
        context = Context(arguments)
        result = run_with(False, cls._run, context, arguments, kwargs)
        outputs = result if isinstance(result, tuple) else (result,)
        for y in outputs:
            if not isinstance(y, Tensor):
                raise errors.complaint(errors.DTypeError, cls.__name__,
                                       f"forward must return a tensor or a tuple of tensors, not {type(y).__name__}")
        if not state.recording or not any(context.needs_input_grad):
            return result
        arrays = [y.array for y in outputs]
        nodes = [x.node if isinstance(x, Tensor) else None for x in arguments]
        node = Node(_custom_plan(cls, context.needs_input_grad), nodes, [context], {}, (), arrays[0].dtype)
        node.attributes = {"_outputs": tuple((a.shape, a.dtype) for a in arrays)}
        made = tuple(Tensor(array) if context._is_constant(array) else Tensor(array, Output(node, i, array))
                     for i, array in enumerate(arrays))
        context._record(node, arguments, made)
        return made if isinstance(result, tuple) else made[0]

    @classmethod
    def _run(cls, context: Context, arguments: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if cls.setup_context is Function.setup_context:
            return cls.forward(context, *arguments, **kwargs)
        result = cls.forward(*arguments, **kwargs)
        cls.setup_context(context, arguments, result)
        return result


def _custom_plan(function: type[Function], tracked: Sequence[bool]) -> Plan:
    """A plan whose only saved value is the context."""
    def cotangent(g: tuple[Tensor, ...], index: int, context: Context) -> Any:
        return context._cotangent(function, g, index)

    op = Op(name=function.__name__, kind="opaque", body=function.forward, inputs=("arguments",), variadic=True)
    rule = Rule(cotangent, ("g", "index", "context"))
    arguments = (("g", None), ("index", None), ("saved", 0))
    return Plan(op, (), False, tuple(Step(i, rule, arguments) for i, is_tracked in enumerate(tracked) if is_tracked))
