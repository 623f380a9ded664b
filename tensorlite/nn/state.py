"""Reading a module's state from a dict, whole or not at all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
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


EXTRA = "_extra_state"  # the last part of the key of what `get_extra_state` gives


class Loading(OrderedDict[str, Any]):
    """A copy of a state dict, which hooks may change, and what was found in it: nothing is filled before all fits."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__(state)
        self.wanted: dict[str, Slot] = {}
        self.extra: dict[str, Module] = {}


def own_slots(module: Module, prefix: str = "") -> Iterator[tuple[str, Slot]]:
    """The entries of a module's state dict but those of its modules, in order."""
    for table in (module._parameters, module._buffers):
        for name, value in table.items():
            if value is not None and name not in module._non_persistent_buffers_set:
                yield prefix + name, Slot(table, name)


def find_own(module: Module, state: Loading, prefix: str, missing: list[str]) -> None:
    """Notes what a module wants of a state dict, but not what its modules want."""
    for key, slot in own_slots(module, prefix):
        state.wanted[key] = slot
        if key not in state:
            missing.append(key)
    if has_extra_state(module, "set_extra_state"):
        state.extra[prefix + EXTRA] = module
        if prefix + EXTRA not in state:
            missing.append(prefix + EXTRA)


def has_extra_state(module: Module, name: str) -> bool:
    """Whether a module's class defines ``get_extra_state`` or ``set_extra_state`` of its own."""
    return not getattr(getattr(type(module), name), "is_absent", False)


def save(module: Module, found: dict[str, Any], prefix: str, keep_vars: bool) -> None:
    """Adds a module's own entries to a state dict."""
    for key, slot in own_slots(module, prefix):
        found[key] = slot.tensor if keep_vars else slot.tensor.detach()
    if has_extra_state(module, "get_extra_state"):
        found[prefix + EXTRA] = module.get_extra_state()


def _walk(module: Module, state: Loading, prefix: str, strict: bool, lists: tuple[list[str], ...]) -> None:
    module._load_from_state_dict(state, prefix, {}, strict, *lists)
    for name, child in module._modules.items():
        if child is not None:
            _walk(child, state, f"{prefix}{name}.", strict, lists)


def load(module: Module, state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Puts values in their slots, after all of them were found to fit."""
    if not isinstance(state, Mapping):
        raise complaint(DTypeError, "load_state_dict", f"takes a dict of tensors, not {type(state).__name__}")
    found = Loading(state)
    keys, messages = IncompatibleKeys([], []), list[str]()
    _walk(module, found, "", strict, (keys.missing_keys, keys.unexpected_keys, messages))
    keys.unexpected_keys.extend(key for key in found if key not in found.wanted and key not in found.extra)
    values = {key: value if isinstance(value, Tensor) else asarray(value) for key, value in found.items()
              if key in found.wanted}
    fits = not strict or keys == ([], [])
    if not fits:
        _call_hooks(module, keys)
    _check_fit(module, found, values, keys if strict else IncompatibleKeys([], []), messages)
    with no_grad():
        for key, value in values.items():
            _fill(found.wanted[key], value, assign)
    for key, owner in found.extra.items():
        if key in found:
            owner.set_extra_state(found[key])
    if fits:
        _call_hooks(module, keys)
    return keys


def _call_hooks(module: Module, keys: IncompatibleKeys) -> None:
    """Calls what was registered for after the loading, of modules before those that hold them."""
    for child in module.children():
        _call_hooks(child, keys)
    for hook in tuple(module._load_state_dict_post_hooks):
        if hook(module, keys) is not None:
            raise complaint(DTypeError, "load_state_dict", "a hook that runs after loading returns None", None,
                            "change the lists of keys that it is given instead")


def _check_fit(module: Module, found: Loading, values: Mapping[str, Tensor], keys: IncompatibleKeys,
               messages: Sequence[str]) -> None:
    misshapen = [(key, found.wanted[key].tensor.shape, value.shape) for key, value in values.items()
                 if not isinstance(found.wanted[key].tensor, Uninitialized)
                 and value.shape != found.wanted[key].tensor.shape]
    text = "\n".join(filter(None, (describe_mismatch(*keys, misshapen), *messages)))
    if text:
        fix = "pass strict=False to leave missing and unexpected keys out" if keys != ([], []) and not misshapen \
            else None
        raise complaint(ArgumentError, "load_state_dict",
                        f"the state dict does not fit {type(module).__name__}\n{text}", None, fix)
    for key, value in values.items():
        dtype = found.wanted[key].tensor.dtype
        if not can_hold(dtype, value.dtype):
            raise complaint(DTypeError, "load_state_dict", f"{key} is {dtype.name} and cannot hold {value.dtype.name} "
                            "values", {key: value})


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
