"""Switching recording on and off, for a block or a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from tensorlite.state import state

F = TypeVar("F", bound=Callable[..., Any])


class set_grad_enabled:
    """Sets whether ops are recorded, for a ``with`` block, a decorated function, or from now on.

    >>> import tensorlite as tl
    >>> x = tl.tensor(1.0, requires_grad=True)
    >>> with tl.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.mode, self.before = mode, state.recording
        state.recording = mode

    def __call__(self, function: F) -> F:
        state.recording = self.before
        return _decorate(function, self.mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        state.recording = self.before


class _Mode:
    """A reentrant block in which ops are recorded, or not."""

    mode: bool

    def __init__(self) -> None:
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(state.recording)
        state.recording = self.mode

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        state.recording = self.before.pop()

    def __call__(self, function: F) -> F:
        return _decorate(function, self.mode)

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        if function is None:
            return made
        return _decorate(function, cls.mode)


def _decorate(function: F, mode: bool) -> F:
    if inspect.isgeneratorfunction(function):
        return _decorate_generator(function, mode)  # type: ignore[return-value]

    @functools.wraps(function)
    def wrapped(*arguments: Any, **kwargs: Any) -> Any:
        return run_with(mode, function, *arguments, **kwargs)
    return wrapped  # type: ignore[return-value]


def run_with(mode: bool, function: Callable[..., Any], *arguments: Any, **kwargs: Any) -> Any:
    """Calls a function while ops are recorded, or not; an interrupt at any moment leaves the mode as it was."""
    before = state.recording
    state.recording = mode
    try:
        return function(*arguments, **kwargs)
    finally:
        state.recording = before


def _decorate_generator(function: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    """The mode holds while the generator runs, and not for its caller between two items."""
    @functools.wraps(function)
    def wrapped(*arguments: Any, **kwargs: Any) -> Any:
        generator = function(*arguments, **kwargs)
        step, given = generator.send, None
        while True:
            try:
                item = run_with(mode, step, given)
            except StopIteration as stop:
                return stop.value
            try:
                step, given = generator.send, (yield item)
            except GeneratorExit:
                run_with(mode, generator.close)
                raise
            except BaseException as error:
                step, given = generator.throw, error
    return wrapped


class no_grad(_Mode):
    """Stops recording: for evaluation, and for updates of parameters. Use it as a block or as a decorator.

    >>> import tensorlite as tl
    >>> x = tl.tensor(1.0, requires_grad=True)
    >>> with tl.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    mode = False


class enable_grad(_Mode):
    """Records again inside `no_grad`. Use it as a block or as a decorator.

    >>> import tensorlite as tl
    >>> x = tl.tensor(1.0, requires_grad=True)
    >>> with tl.no_grad(), tl.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    mode = True


def inference_mode(mode: Any = True) -> Any:
    """What PyTorch calls inference: `no_grad`, and with ``mode=False`` `enable_grad`, as a block or as a decorator.

    Tensors are values, so that none made here is of another kind than those made elsewhere.

    >>> import tensorlite as tl
    >>> x = tl.tensor(1.0, requires_grad=True)
    >>> with tl.inference_mode():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    if callable(mode):
        return _decorate(mode, no_grad.mode)
    return no_grad() if mode else enable_grad()


def is_grad_enabled() -> bool:
    """Whether ops on this thread are recorded.

    >>> import tensorlite as tl
    >>> tl.is_grad_enabled()
    True
    """
    return state.recording
