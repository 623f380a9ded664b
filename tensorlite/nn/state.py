"""Reading a module's state from a dict, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.io.state import describe_mismatch
from tensorlite.modes import no_grad
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.uninitialized import Uninitialized
from tensorlite.ops.creation import asarray
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import can_hold

if TYPE_CHECKING:
    from tensorlite.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it found too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Slot(NamedTuple):
    """Where one entry of a state dict lives: a module's table of parameters or buffers, and the name there."""

    table: dict[str, Any]
    name: str

    @property
    def tensor(self) -> Tensor:
        """What lies there now."""
        return self.table[self.name]


def slots(module: Module, prefix: str = "") -> Iterator[tuple[str, Slot]]:
    """Every entry of a module's state dict, in order; a tensor that two names share comes twice."""
    for table in (module._parameters, module._buffers):
        for name, value in table.items():
            if value is not None and name not in module._non_persistent_buffers_set:
                yield prefix + name, Slot(table, name)
    for name, child in module._modules.items():
        if child is not None:
            yield from slots(child, f"{prefix}{name}.")


def load(module: Module, state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Puts values in their slots, after all of them were found to fit."""
    if not isinstance(state, Mapping):
        raise complaint(DTypeError, "load_state_dict", f"takes a dict of tensors, not {type(state).__name__}")
    wanted = dict(slots(module))
    values = {key: value if isinstance(value, Tensor) else asarray(value) for key,
              value in state.items() if key in wanted}
    missing = [key for key in wanted if key not in values]
    unexpected = [key for key in state if key not in wanted]
    misshapen = [(key, wanted[key].tensor.shape, value.shape) for key, value in values.items()
                 if not isinstance(wanted[key].tensor, Uninitialized) and value.shape != wanted[key].tensor.shape]
    text = describe_mismatch(missing if strict else (), unexpected if strict else (), misshapen)
    if text:
        fix = "pass strict=False to leave missing and unexpected keys out" if not misshapen else None
        raise complaint(ArgumentError, "load_state_dict",
                        f"the state dict does not fit {type(module).__name__}\n{text}", None, fix)
    for key, value in values.items():
        if not can_hold(wanted[key].tensor.dtype, value.dtype):
            raise complaint(DTypeError, "load_state_dict", f"{key} is {wanted[key].tensor.dtype.name} and cannot hold "
                            f"{value.dtype.name} values", {key: value})
    with no_grad():
        for key, value in values.items():
            _fill(wanted[key], value, assign)
    return IncompatibleKeys(missing, unexpected)


def _fill(slot: Slot, value: Tensor, assign: bool) -> None:
    old = slot.tensor
    if isinstance(value, Uninitialized):
        return
    if isinstance(old, Uninitialized):
        old.materialize(value.shape)
    if not assign:
        old.copy_(value)
    elif isinstance(old, Parameter):
        slot.table[slot.name] = Parameter(value, requires_grad=old.node is not None)
    else:
        slot.table[slot.name] = value
