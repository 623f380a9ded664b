"""The options of a group of parameters, of which those that change from step to step are state of a compiled step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tensorlite import versions
from tensorlite.ops.shape import astype, reshape
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float64

#: What schedulers note in a group for themselves: no step reads it.
_NOTED = frozenset({"initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum"})
_MISSING: Any = object()


class Options(dict[str, Any]):
    """One group's parameters and options.

    Those that are ``adjustable`` are numbers, or tuples of numbers, of which a step asks nothing but whether they are
    zero: while it is traced they are tensors, so that a compiled step sees another number without being compiled again.
    """

    adjustable: tuple[str, ...] = ()
    _held: dict[str, tuple[Tensor, ...]]

    def __new__(cls, *_: Any, **__: Any) -> Options:
        made = super().__new__(cls)
        made._held = {}
        return made

    def __setitem__(self, name: str, value: Any) -> None:
        before = self._seen(name) if name in self else _MISSING
        super().__setitem__(name, value)
        if name in _NOTED:
            return
        if name not in self.adjustable or self._seen(name) != before:
            versions.changed()
        if name in self._held:
            self._tell(name)

    def update(self, *arguments: Any, **options: Any) -> None:
        """As of every dict."""
        for name, value in dict(*arguments, **options).items():
            self[name] = value

    def number(self, name: str) -> Any:
        """An option as a number or a tuple of numbers; while tracing, as tensors in float64 that hold them."""
        value = self[name]
        if thread.interpreter is None:
            return tuple(map(_plain, value)) if isinstance(value, tuple | list) else _plain(value)
        if isinstance(value, Tensor):
            return reshape(astype(value, float64, copy=False), ())
        if name not in self.adjustable:
            return value
        if name not in self._held:
            self._held[name] = tuple(Tensor(np.asarray(each, np.float64)) for each in _flat(value))
        return self._held[name] if isinstance(value, tuple | list) else self._held[name][0]

    def seen(self) -> Iterator[tuple[str, Any]]:
        """What a step may have asked of the options while it was traced."""
        return ((name, self._seen(name)) for name in self if name not in _NOTED)

    def _seen(self, name: str) -> Any:
        """An option; of one that is adjustable whether it is zero, and for the rate not even that."""
        value = self[name]
        if name not in self.adjustable or isinstance(value, Tensor):
            return value
        if isinstance(value, tuple | list):
            return tuple(map(bool, value))
        return "number" if name == "lr" else bool(value)

    def _tell(self, name: str) -> None:
        """Lets the tensors that compiled steps know hold the number of now."""
        values = _flat(self[name])
        if any(isinstance(value, Tensor) for value in values) or len(values) != len(self._held[name]):
            del self._held[name]
            versions.changed()
            return
        for held, value in zip(self._held[name], values, strict=True):
            held.array = np.asarray(value, np.float64)


def _flat(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _plain(value: Any) -> Any:
    """A number of Python's."""
    if isinstance(value, Tensor):
        return value.item()
    return float(value) if isinstance(value, np.ndarray | np.generic) else value


Group = Options
