"""Optimizer: groups of parameters with their options, and the state kept for each parameter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tensorlite import versions
from tensorlite.backward import clear_grad
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError, complaint
from tensorlite.in_place import check_in_place, rebind
from tensorlite.io.state import describe_mismatch
from tensorlite.modes import run_with
from tensorlite.ops.creation import asarray
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.state import state as thread
from tensorlite.tape import is_leaf
from tensorlite.tensor import Tensor


class Options(dict[str, Any]):
    """One group's parameters and options. While a step is traced ``lr`` is a tensor, so that it may change later."""

    _rate: Tensor | None = None

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._tell(name)

    def update(self, *arguments: Any, **options: Any) -> None:
        """As of every dict."""
        super().update(*arguments, **options)
        self._tell("lr")
        versions.changed()

    def _tell(self, name: str) -> None:
        if name != "lr":
            versions.changed()
        elif self._rate is not None:
            self._rate.array = np.asarray(self["lr"], np.float64)

    @property
    def rate(self) -> Any:
        """The learning rate: a number, or while tracing the tensor that holds it."""
        if thread.interpreter is None or not isinstance(self["lr"], int | float):
            return float(self["lr"]) if isinstance(self["lr"], np.ndarray | np.generic) else self["lr"]
        if self._rate is None:
            self._rate = Tensor(np.asarray(self["lr"], np.float64))
        return self._rate


Group = Options
Params = Iterable[Tensor] | Iterable[Mapping[str, Any]]


class Optimizer:
    """The base of all optimizers, which give an ``update`` of one parameter.

    `param_groups` is a list of dicts, the parameters under ``params`` beside the group's options; `state` holds what is
    kept for each parameter; `defaults` the options of groups that do not say otherwise.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise complaint(DTypeError, type(self).__name__,
                            "params must be an iterable of tensors or dicts, not one tensor", None,
                            "put it in a list")
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        given = list(params)
        if not given:
            raise complaint(ArgumentError, type(self).__name__, "there are no parameters")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)  # type: ignore[arg-type]

    def check(self, group: Group) -> None:
        """Raises `ArgumentError` where an option of a group makes no sense."""

    def begin(self) -> None:
        """Is called before and after the parameters of each step."""

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        """Makes one parameter's step, given its gradient, its state and its group."""
        raise complaint(ArgumentError, type(self).__name__, "the optimizer has no update method", None,
                        "define update(self, p, g, state, group)")

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Adds parameters, with options of their own."""
        name = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise complaint(DTypeError, name, f"a group is a dict with 'params', not {type(param_group).__name__}")
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if isinstance(param_group["params"], set | frozenset):
            raise complaint(DTypeError, name, "parameters need an order, which a set has not", None, "pass a list")
        held = {id(p) for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise complaint(DTypeError, name, f"optimizes tensors, not {type(p).__name__}")
            if not is_leaf(p):
                raise complaint(GradientError, name, "only leaves can be optimized", {"p": p})
            if id(p) in held:
                raise complaint(ArgumentError, name, "a parameter is given twice", {"p": p})
            held.add(id(p))
        group = Options({**self.defaults, **param_group, "params": params})
        self.check(group)
        self.param_groups.append(group)
        versions.changed()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients, or makes them zero."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_grad(p, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every parameter that has a gradient; a closure computes the loss first, which is returned."""
        loss = None
        if closure is not None:
            loss = run_with(True, closure)
        if thread.read is not None:
            thread.read(self)
        run_with(False, self._step_all)
        return loss

    def _step_all(self) -> None:
        self.begin()
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    self._step_one(p, grad, group)
        self.begin()

    def _step_one(self, p: Tensor, g: Tensor, group: Group) -> None:
        if g.shape != p.shape:
            raise complaint(ShapeError, type(self).__name__, "a gradient has another shape than its parameter",
                            {"p": p, "grad": g})
        self.update(p, g.detach() if g.node is not None else g, self.state[p], group)

    # --- state ---

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, parameters as their numbers: PyTorch's layout."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            groups.append({**{key: value for key, value in group.items() if key != "params"},
                           "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)]: {key: value.detach() if isinstance(value, Tensor) else value for key,
                                  value in kept.items()}
                 for p, kept in self.state.items() if id(p) in numbers}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the state and the options of a dict that `state_dict` gave, or PyTorch's; its values may be arrays.

        Raises `ArgumentError` where groups, parameters or shapes do not fit, and changes nothing then.
        """
        groups, kept = state_dict["param_groups"], {int(key): value for key, value in state_dict["state"].items()}
        name = type(self).__name__
        if len(groups) != len(self.param_groups):
            raise complaint(ArgumentError, name,
                            f"the state dict has {len(groups)} groups, the optimizer {len(self.param_groups)}")
        params: dict[int, Tensor] = {}
        for number, (group, own) in enumerate(zip(groups, self.param_groups, strict=True)):
            if len(group["params"]) != len(own["params"]):
                raise complaint(ArgumentError, name,
                                f"group {number} has {len(group['params'])} parameters in the state dict, "
                                f"{len(own['params'])} in the optimizer")
            params.update(zip(group["params"], own["params"], strict=True))
        state = {params[key]: _read_state(params[key], values) for key, values in kept.items() if key in params}
        misshapen = [(f"{key}.{entry}", params[key].shape, value.shape) for key in kept if key in params
                     for entry, value in state[params[key]].items()
                     if isinstance(value, Tensor) and value.ndim and value.shape != params[key].shape]
        if misshapen:
            raise complaint(ArgumentError, name, f"the state dict does not fit\n{describe_mismatch((), (), misshapen)}")
        for p, values in state.items():
            for key, value in values.items():
                held = self.state[p].get(key)
                if isinstance(held, Tensor) and isinstance(value, Tensor) and held.type == value.type:
                    held.array = value.array  # compiled steps know the tensor
                    values[key] = held
        self.state = defaultdict(dict, state)
        for group, own in zip(groups, self.param_groups, strict=True):
            own.update({key: value for key, value in group.items() if key != "params"})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _read_state(p: Tensor, values: Mapping[str, Any]) -> dict[str, Any]:
    """One parameter's state with tensors of its own, cast to the parameter's dtype but for the count of steps.

    PyTorch has None for a buffer that does not exist yet, and older versions a plain number of steps.
    """
    state: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        if key == "step" and isinstance(value, int | float):
            value = np.asarray(value, np.float32)
        if isinstance(value, np.ndarray | np.generic):
            value = asarray(value)
        if isinstance(value, Tensor):
            value = Tensor(value.array) if key == "step" else astype(value.detach(), p.dtype)
        state[key] = value
    return state


def untraced(create: Callable[[], Any]) -> Any:
    """What is created now even if a step is being traced: state that begins, rather than what a step computes."""
    before, thread.interpreter = thread.interpreter, None
    try:
        return create()
    finally:
        thread.interpreter = before


def rate_of(group: Group, dtype: np.dtype) -> Any:
    """The group's learning rate, for arithmetic in ``dtype``."""
    rate = group.rate
    return astype(rate, dtype, copy=False) if isinstance(rate, Tensor) else rate


def replace(p: Tensor, value: Tensor) -> None:
    """Makes a parameter, or a tensor of the state, hold its next value."""
    check_in_place("step", p)
    rebind("step", p, value)


def widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float32 where they are narrower, so that options such as 0.999 keep their value."""
    wide = accumulator(tensors[0].dtype)
    return tensors if tensors[0].dtype == wide else tuple(astype(x, wide) for x in tensors)


def check_at_least_zero(name: str, group: Group, *options: str) -> None:
    """Raises `ArgumentError` for an option that is negative or no number."""
    for option in options:
        if not group[option] >= 0.0:
            raise complaint(ArgumentError, name, f"{option} must not be negative, it is {group[option]}")
