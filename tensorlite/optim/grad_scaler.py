"""Scaling of losses, so that gradients in float16 neither vanish nor overflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.modes import no_grad
from tensorlite.ops.elementwise import equal, isfinite, logical_and, logical_not, logical_or, where
from tensorlite.ops.shape import astype
from tensorlite.optim.optimizer import Optimizer
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float32, int32
from tensorlite.tree import tree_map

_OPTIONS = ("growth_factor", "backoff_factor", "growth_interval")


class GradScaler:
    """Scales losses up before their derivatives and gradients down after, as `torch.amp.GradScaler`.

    A step whose gradients hold an infinity or NaN is left out, and the scale shrinks by ``backoff_factor``; after
    ``growth_interval`` steps without any it grows by ``growth_factor`` (Micikevicius et al., "Mixed precision
    training", 2018). The scale is state that compiled steps see: put `scale`, `step` and `update` into one function.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer, scaler = tl.optim.SGD([w], lr=0.5), tl.GradScaler(init_scale=8.0)
    >>> scaler.scale((w * w).sum()).backward()
    >>> w.grad
    tensor([16.])
    >>> _ = scaler.step(optimizer); scaler.update()
    >>> w.detach(), scaler.get_scale()
    (tensor([0.]), 8.0)
    """

    def __init__(self, device: str = "cpu", init_scale: float = 2.0**16, growth_factor: float = 2.0,
                 backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True) -> None:
        self._check(growth_factor, backoff_factor, growth_interval)
        self._enabled = enabled
        self._scale = Tensor(np.asarray(init_scale, np.float32))
        self._options = {name: Tensor(np.asarray(value, np.float32)) for name, value in zip(
            _OPTIONS, (growth_factor, backoff_factor, growth_interval), strict=True)}
        self._growth_tracker = Tensor(np.asarray(0, np.int32))
        self._found: WeakKeyDictionary[Optimizer, Tensor] = WeakKeyDictionary()
        self._stepped: WeakKeyDictionary[Optimizer, bool] = WeakKeyDictionary()

    @staticmethod
    def _check(growth_factor: float, backoff_factor: float, growth_interval: int) -> None:
        for name, value, fits, range_ in (
                ("growth_factor", growth_factor, growth_factor > 1, "above 1"),
                ("backoff_factor", backoff_factor, 0 < backoff_factor < 1, "between 0 and 1"),
                ("growth_interval", growth_interval, growth_interval >= 1, "at least 1")):
            if not fits:
                raise complaint(ArgumentError, "GradScaler", f"{name} must be {range_}, it is {value}")

    def is_enabled(self) -> bool:
        """Whether anything is scaled at all."""
        return self._enabled

    def get_scale(self) -> float:
        """The scale, a power of two as long as nobody sets another."""
        return self._scale.item() if self._enabled else 1.0

    def scale(self, outputs: Any) -> Any:
        """The loss, or a container of losses, times the scale."""
        return tree_map(lambda loss: loss * astype(self._scale, loss.dtype), outputs) if self._enabled else outputs

    @no_grad()
    def unscale_(self, optimizer: Optimizer) -> None:
        """Divides the gradients of an optimizer's parameters by the scale, as before clipping them."""
        if not self._enabled:
            return
        if optimizer in self._found:
            raise complaint(ArgumentError, "unscale_", "it was called for this optimizer since the last update", None,
                            "call scaler.update() at the end of each step")
        found, inverse = None, 1.0 / self._scale
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.grad = astype(astype(p.grad, float32) * inverse, p.grad.dtype)
                wrong = logical_not(isfinite(p.grad).all())
                found = wrong if found is None else logical_or(found, wrong)
        if found is None:
            raise complaint(ArgumentError, "GradScaler", "no parameter of the optimizer has a gradient", None,
                            "call scaler.scale(loss).backward() first")
        self._found[optimizer] = found

    def step(self, optimizer: Optimizer, *arguments: Any, **kwargs: Any) -> Any:
        """Lets the optimizer make its step, if all gradients are finite; they are unscaled first where they are not.

        Returns what the optimizer's step returns, None where it was left out.
        """
        if not self._enabled:
            return optimizer.step(*arguments, **kwargs)
        if arguments or "closure" in kwargs:
            raise complaint(ArgumentError, "GradScaler", "a closure computes gradients that nobody unscales", None,
                            "compute the loss and its gradients before the step")
        if self._stepped.get(optimizer):
            raise complaint(ArgumentError, "GradScaler", "step was called for this optimizer since the last update",
                            None, "call scaler.update() at the end of each step")
        if optimizer not in self._found:
            self.unscale_(optimizer)
        self._stepped[optimizer] = True
        found = self._found[optimizer]
        if thread.met is None:
            return None if found.item() else optimizer.step(**kwargs)
        return _step_where(logical_not(found), lambda: optimizer.step(**kwargs))

    @no_grad()
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Ends the step of all optimizers: moves the scale on, or sets it."""
        if not self._enabled:
            return
        if new_scale is not None:
            given = new_scale if isinstance(new_scale, Tensor) else Tensor(np.asarray(new_scale, np.float32))
            _set(self._scale, given.detach())
        elif not self._found:
            raise complaint(ArgumentError, "GradScaler", "no optimizer was stepped since the last update", None,
                            "call scaler.step(optimizer) before scaler.update()")
        else:
            self._move(list(self._found.values()))
        self._found.clear()
        self._stepped.clear()

    def _move(self, found: list[Tensor]) -> None:
        wrong = found[0]
        for other in found[1:]:
            wrong = logical_or(wrong, other)
        good = self._growth_tracker + 1
        full = equal(astype(good, float32), self._options["growth_interval"])
        grown = self._scale * self._options["growth_factor"]
        kept = where(logical_and(full, isfinite(grown)), grown, self._scale)
        _set(self._scale, where(wrong, self._scale * self._options["backoff_factor"], kept))
        _set(self._growth_tracker, astype(where(logical_or(wrong, full), 0, good), int32))

    # --- options and state ---

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._options["growth_factor"].item()

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets by what the scale grows."""
        self._set_option("growth_factor", new_factor)

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks."""
        return self._options["backoff_factor"].item()

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets by what the scale shrinks."""
        self._set_option("backoff_factor", new_factor)

    def get_growth_interval(self) -> int:
        """After how many steps without an infinity the scale grows."""
        return int(self._options["growth_interval"].item())

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets after how many steps without an infinity the scale grows."""
        self._set_option("growth_interval", new_interval)

    def _set_option(self, name: str, value: float) -> None:
        self._check(*({**{key: x.item() for key, x in self._options.items()}, name: value}[key] for key in _OPTIONS))
        _set(self._options[name], Tensor(np.asarray(value, np.float32)))

    def state_dict(self) -> dict[str, Any]:
        """The scale, the options and the count of good steps, in PyTorch's layout; empty where it is disabled."""
        if not self._enabled:
            return {}
        return {"scale": self.get_scale(), "growth_factor": self.get_growth_factor(),
                "backoff_factor": self.get_backoff_factor(), "growth_interval": self.get_growth_interval(),
                "_growth_tracker": int(self._growth_tracker.item())}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes a state that `state_dict` gave, or PyTorch's."""
        if not self._enabled:
            return
        if not isinstance(state_dict, Mapping):
            raise complaint(DTypeError, "load_state_dict", f"takes a dict, not {type(state_dict).__name__}")
        if not state_dict:
            raise complaint(ArgumentError, "load_state_dict", "the state is that of a scaler that was disabled", None,
                            "save it with enabled=True")
        self._check(*(state_dict[name] for name in _OPTIONS))
        for name in _OPTIONS:
            _set(self._options[name], Tensor(np.asarray(state_dict[name], np.float32)))
        _set(self._scale, Tensor(np.asarray(state_dict["scale"], np.float32)))
        _set(self._growth_tracker, Tensor(np.asarray(state_dict["_growth_tracker"], np.int32)))


def _set(x: Tensor, value: Tensor) -> None:
    """Makes a tensor of the state hold another value."""
    if thread.met is not None:
        thread.met(x)
    x.array = value.array


def _step_where(good: Tensor, step: Callable[[], Any]) -> Any:
    """A step whose changes are kept where a condition holds, which in a trace is only known when it runs."""
    before: dict[int, tuple[Tensor, Tensor]] = {}
    outer = thread.met

    def met(x: Tensor) -> None:
        if outer is not None:
            outer(x)
        before.setdefault(id(x), (x, Tensor(x.array)))

    thread.met = met
    try:
        result = step()
    finally:
        thread.met = outer
    with no_grad():
        for x, held in before.values():
            x.array = where(good, Tensor(x.array), held).array
    return result
