"""Hooks of modules: called before and after `forward`, and when a module's output and input have their cotangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorlite import versions
from tensorlite.autograd import Handle
from tensorlite.custom import Context, Function
from tensorlite.errors import DTypeError, complaint
from tensorlite.modes import is_grad_enabled
from tensorlite.tensor import Tensor

if TYPE_CHECKING:
    from tensorlite.nn.module import Module

Arguments = tuple[Any, ...]
Keywords = dict[str, Any]


@dataclass(frozen=True, eq=False)
class PreHook:
    """Calls a function before `forward`, with the keyword arguments or without, and gives those to go on with."""

    function: Callable[..., Any]
    with_kwargs: bool

    def __call__(self, module: Module, arguments: Arguments, kwargs: Keywords) -> tuple[Arguments, Keywords]:
        if not self.with_kwargs:
            changed = self.function(module, arguments)
            return arguments if changed is None else as_tuple(changed), kwargs
        changed = self.function(module, arguments, kwargs)
        if changed is None:
            return arguments, kwargs
        if not isinstance(changed, tuple) or len(changed) != 2:
            raise complaint(DTypeError, "forward_pre_hook", "a hook with kwargs returns None or (arguments, kwargs)")
        return changed


@dataclass(frozen=True, eq=False)
class ForwardHook:
    """Calls a function after `forward`, with the keyword arguments or without, and gives the output to go on with."""

    function: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False

    def __call__(self, module: Module, arguments: Arguments, kwargs: Keywords, output: Any) -> Any:
        given = (arguments, kwargs) if self.with_kwargs else (arguments,)
        changed = self.function(module, *given, output)
        return output if changed is None else changed


def as_tuple(value: Any) -> tuple[Any, ...]:
    """What a hook returned, one value or several, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def register(hooks: list[Callable[..., Any]], hook: Callable[..., Any], prepend: bool) -> Handle:
    """Adds a hook, first or last, and returns what removes it."""
    versions.changed()
    handle = Handle(hooks, hook)
    if prepend:
        hooks.insert(0, hooks.pop())
    return handle


def call_with_hooks(module: Module, arguments: Arguments, kwargs: Keywords) -> Any:
    """Calls a module that has hooks."""
    for hook in tuple(module._forward_pre_hooks):
        arguments, kwargs = hook(module, arguments, kwargs)
    observer = None
    if (module._backward_hooks or module._backward_pre_hooks) and is_grad_enabled():
        observer = _Observer(module, arguments)
        arguments = observer.inputs()
    waiting = list(module._forward_hooks)
    try:
        output = module.forward(*arguments, **kwargs)
        while waiting:
            output = waiting.pop(0)(module, arguments, kwargs, output)
    except Exception:
        for hook in waiting:
            if hook.func.always_call:  # type: ignore[attr-defined]
                hook(module, arguments, kwargs, None)
        raise
    return output if observer is None else observer.outputs(output)


class _Observer:
    """Sees the cotangents of one call's output, then those of its inputs, and calls the module's backward hooks."""

    def __init__(self, module: Module, arguments: tuple[Any, ...]) -> None:
        self.module, self.arguments = module, arguments
        self.tracked = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and x.node is not None]
        self.grad_output: tuple[Any, ...] = ()

    def inputs(self) -> tuple[Any, ...]:
        """The arguments, those that require gradients watched."""
        arguments = list(self.arguments)
        if self.tracked:
            watched = _Watched.apply(self.saw_input, *(arguments[i] for i in self.tracked))
            for i, x in zip(self.tracked, watched, strict=True):
                arguments[i] = x
        return tuple(arguments)

    def outputs(self, output: Any) -> Any:
        """The output, its tensors watched."""
        parts = output if isinstance(output, tuple) else (output,)
        if not all(isinstance(y, Tensor) for y in parts):
            raise complaint(DTypeError, type(self.module).__name__,
                            "backward hooks need a module whose output is a tensor or a tuple of tensors")
        tracked = [i for i, y in enumerate(parts) if y.node is not None]
        if not tracked:
            return output
        watched = list(parts)
        self.places, self.count = tracked, len(parts)
        for i, y in zip(tracked, _Watched.apply(self.saw_output, *(parts[i] for i in tracked)), strict=True):
            watched[i] = y
        return tuple(watched) if isinstance(output, tuple) else watched[0]

    def saw_output(self, cotangents: Sequence[Any]) -> Sequence[Any]:
        """Calls the pre-hooks; where no input is tracked, the hooks too."""
        self.grad_output = _spread(cotangents, self.places, self.count)
        for hook in tuple(self.module._backward_pre_hooks):
            changed = hook(self.module, self.grad_output)
            self.grad_output = self.grad_output if changed is None else as_tuple(changed)
        if not self.tracked:
            self.saw_input(())
        return [self.grad_output[i] for i in self.places]

    def saw_input(self, cotangents: Sequence[Any]) -> Sequence[Any]:
        """Calls the hooks with both cotangents; what one returns replaces the inputs'."""
        grad_input = _spread(cotangents, self.tracked, len(self.arguments))
        for hook in tuple(self.module._backward_hooks):
            changed = hook(self.module, grad_input, self.grad_output)
            grad_input = grad_input if changed is None else as_tuple(changed)
        return [grad_input[i] for i in self.tracked]


def _spread(values: Sequence[Any], places: Sequence[int], count: int) -> tuple[Any, ...]:
    """Values at their places among None."""
    found = dict(zip(places, values, strict=True))
    return tuple(found.get(i) for i in range(count))


class _Watched(Function):
    """The identity, whose derivative shows the cotangents to a function, and passes on what that returns."""

    @staticmethod
    def forward(context: Context, seen: Callable[..., Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        context.seen = seen  # type: ignore[attr-defined]
        return tensors

    @staticmethod
    def backward(context: Context, *cotangents: Tensor) -> tuple[Any, ...]:
        return None, *context.seen(cotangents)  # type: ignore[attr-defined]
