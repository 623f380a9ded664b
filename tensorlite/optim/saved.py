"""The state of optimizers as dicts in PyTorch's layout, and what is taken from such dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorlite.errors import ArgumentError, complaint
from tensorlite.io.state import describe_mismatch
from tensorlite.ops.creation import asarray
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.optim.options import Options
from tensorlite.tensor import Tensor

if TYPE_CHECKING:
    from tensorlite.optim.optimizer import Optimizer

#: What is kept as it is, whatever the dtype of the parameter.
_EXACT = ("step", "master_param", "mu_product", "eta", "mu")


def saved(state: Mapping[Tensor, Mapping[str, Any]], groups: Sequence[Options]) -> dict[str, Any]:
    """State and groups, where parameters are the numbers of their order."""
    numbers: dict[int, int] = {}
    for group in groups:
        for p in group["params"]:
            numbers.setdefault(id(p), len(numbers))
    return {"state": {numbers[id(p)]: {key: _detached(value) for key, value in kept.items()}
                      for p, kept in state.items() if id(p) in numbers},
            "param_groups": [{**{key: value for key, value in group.items() if key != "params"},
                              "params": [numbers[id(p)] for p in group["params"]]} for group in groups]}


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return [_detached(each) for each in value] if isinstance(value, list) else value


def taken(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> tuple[dict[Tensor, Any], list[dict[str, Any]]]:
    """The state by parameter and the options by group of a state dict that fits, or `ArgumentError`."""
    groups = [{key: value for key, value in group.items() if key != "params"} for group in state_dict["param_groups"]]
    params = _by_number(optimizer, state_dict["param_groups"])
    for options, own in zip(groups, optimizer.param_groups, strict=True):
        given = Options({**own, **options})
        given.adjustable = own.adjustable
        optimizer._check_group(given)
    kept = {int(key): value for key, value in state_dict["state"].items()}
    state = {params[key]: _read(optimizer, params[key], values) for key, values in kept.items() if key in params}
    _check_shapes(optimizer, {params[key]: key for key in kept if key in params}, state)
    for p, values in state.items():
        for key, value in values.items():
            held = optimizer.state[p].get(key)
            if isinstance(held, Tensor) and isinstance(value, Tensor) and held.type == value.type:
                held.array = value.array  # compiled steps know the tensor
                values[key] = held
    return state, groups


def _by_number(optimizer: Optimizer, groups: Sequence[Mapping[str, Any]]) -> dict[int, Tensor]:
    """The optimizer's parameters by the numbers that a state dict gives them."""
    name, own = type(optimizer).__name__, optimizer.param_groups
    if len(groups) != len(own):
        raise complaint(ArgumentError, name, f"the state dict has {len(groups)} groups, the optimizer {len(own)}")
    params: dict[int, Tensor] = {}
    for number, (group, mine) in enumerate(zip(groups, own, strict=True)):
        if len(group["params"]) != len(mine["params"]):
            raise complaint(ArgumentError, name, f"group {number} has {len(group['params'])} parameters in the state "
                            f"dict, {len(mine['params'])} in the optimizer")
        params.update(zip(group["params"], mine["params"], strict=True))
    return params


def _check_shapes(optimizer: Optimizer, numbers: Mapping[Tensor, int],
                  state: Mapping[Tensor, Mapping[str, Any]]) -> None:
    misshapen = [(f"{numbers[p]}.{key}", wanted, value.shape) for p, values in state.items()
                 for key, value in values.items() if isinstance(value, Tensor) and value.ndim
                 for wanted in [optimizer.shape_of(p, key)] if wanted is not None and wanted != value.shape]
    if misshapen:
        raise complaint(ArgumentError, type(optimizer).__name__,
                        f"the state dict does not fit\n{describe_mismatch((), (), misshapen)}")


def _read(optimizer: Optimizer, p: Tensor, values: Mapping[str, Any]) -> dict[str, Any]:
    """One parameter's state with tensors of its own, in its dtype, or in that of its copy.

    PyTorch has None for a buffer that does not exist yet, and older versions a plain number of steps.
    """
    wide = optimizer.master_weights or "master_param" in values
    dtype = accumulator(p.dtype) if wide else p.dtype
    state: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        if key in _EXACT and isinstance(value, int | float):
            value = np.asarray(value, np.float32)
        state[key] = _own(value, None if key in _EXACT else dtype)
    if optimizer.master_weights and dtype != p.dtype and "master_param" not in state:
        state["master_param"] = astype(p.detach(), dtype)
    return state


def _own(value: Any, dtype: Any) -> Any:
    if isinstance(value, list):
        return [_own(each, dtype) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        value = asarray(value)
    if not isinstance(value, Tensor):
        return value
    return Tensor(value.array) if dtype is None else astype(value.detach(), dtype)
