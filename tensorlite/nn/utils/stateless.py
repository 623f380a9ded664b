"""Modules as functions of their parameters: what is called has other tensors in their places, for one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.nn.module import Module
from tensorlite.nn.names import join
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.state import Slot
from tensorlite.ops.join import stack
from tensorlite.state import state
from tensorlite.tensor import Tensor

__all__ = ["functional_call", "stack_module_state"]


def _slots(module: Module) -> dict[str, list[Slot]]:
    """Where each parameter and buffer lies, by each of its names; tied ones in all their places."""
    places: dict[str, Slot] = {}
    for path, held in module.named_modules(remove_duplicate=False):
        for table in (held._parameters, held._buffers):
            places.update((join(path, name), Slot(table, name)) for name, x in table.items() if x is not None)
    same: dict[int, list[Slot]] = {}
    for slot in places.values():
        same.setdefault(id(slot.tensor), []).append(slot)
    return {name: [slot, *(other for other in same[id(slot.tensor)] if other != slot)]
            for name, slot in places.items()}


def _merged(dicts: Any) -> MutableMapping[str, Tensor]:
    if isinstance(dicts, Mapping):
        return dicts  # type: ignore[return-value]
    if not isinstance(dicts, Sequence) or not all(isinstance(each, Mapping) for each in dicts):
        raise complaint(DTypeError, "functional_call", f"takes a dict of tensors or several, not "
                        f"{type(dicts).__name__}")
    merged: dict[str, Tensor] = {}
    for each in dicts:
        for name in each:
            if name in merged:
                raise complaint(ArgumentError, "functional_call", f"{name} is given twice")
        merged.update(each)
    return merged


def _check_ties(given: Mapping[str, Tensor], slots: Mapping[str, list[Slot]]) -> None:
    """Raises `ArgumentError` where two names of one parameter are given different tensors."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, x in given.items():
        if name in slots:
            known, tensor = first.setdefault(id(slots[name][0].tensor), (name, x))
            if tensor is not x:
                raise complaint(ArgumentError, "functional_call", f"{known} and {name} are the same parameter, and are "
                                "given different tensors", None, "give one of them, or pass tie_weights=False")


def _check_names(given: Mapping[str, Tensor], slots: Mapping[str, list[Slot]], tied: bool) -> None:
    filled = {id(slots[name][0].tensor) for name in given if name in slots} if tied else set()
    missing = [name for name in slots if name not in given and id(slots[name][0].tensor) not in filled]
    unexpected = [name for name in given if name not in slots]
    if missing or unexpected:
        text = "; ".join(f"{what}: {', '.join(names)}" for what, names in (
            ("missing", missing), ("unexpected", unexpected)) if names)
        raise complaint(ArgumentError, "functional_call", f"the tensors do not fit the module ({text})", None,
                        "pass strict=False")


@contextmanager
def _in_place_of(module: Module, given: MutableMapping[str, Tensor], tied: bool, strict: bool) -> Iterator[None]:
    """Puts tensors in the places of parameters and buffers; after that, what the module left there is in the dict."""
    slots = _slots(module)
    if tied:
        _check_ties(given, slots)
    if strict:
        _check_names(given, slots, tied)
    if state.read is not None:
        state.read(module)  # what a trace notes of the module is what it holds outside
    before: list[tuple[Slot, Tensor]] = []
    try:
        for name, x in given.items():
            for slot in slots.get(name, [])[:None if tied else 1]:
                before.append((slot, slot.tensor))
                slot.table[slot.name] = x
        yield
        for name, x in list(given.items()):
            if name in slots and slots[name][0].table.get(slots[name][0].name) is not x:
                given[name] = slots[name][0].tensor
    finally:
        for slot, tensor in reversed(before):
            slot.table[slot.name] = tensor


def functional_call(module: Module, parameters_and_buffers: Any, args: Any = None,
                    kwargs: Mapping[str, Any] | None = None, *, tie_weights: bool = True,
                    strict: bool = False) -> Any:
    """Calls a module with other tensors in the places of its parameters and buffers, which stay as they are.

    ``parameters_and_buffers``: a dict of tensors by the names that `named_parameters` and `named_buffers` give, or
    several that have no name in common. What a name stands for under another one, as tied weights do, is replaced
    there too, unless ``tie_weights`` is off. With ``strict`` every name must be given, and no other; without, names
    that the module does not have are not looked at. Buffers that the module changes are changed in the dict. Raises
    `ArgumentError` for names that do not fit.

    >>> import tensorlite as tl
    >>> layer = tl.nn.Linear(2, 1)
    >>> tl.functional_call(layer, {"weight": tl.ones((1, 2)), "bias": tl.zeros(1)}, tl.tensor([1.0, 2.0]))
    tensor([3.])
    """
    if not isinstance(module, Module):
        raise complaint(DTypeError, "functional_call", f"takes a Module, not {type(module).__name__}")
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _in_place_of(module, _merged(parameters_and_buffers), tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of equal models, each stacked along a first axis, for `vmap` over models.

    The stacked parameters are leaves of their own, which require gradients where the models' do. Raises
    `ArgumentError` for no models, for models of different classes, and where some train and others do not.

    >>> import tensorlite as tl
    >>> models = [tl.nn.Linear(2, 1) for _ in range(3)]
    >>> parameters, buffers = tl.stack_module_state(models)
    >>> tl.vmap(lambda p, x: tl.functional_call(models[0], p, x), in_axes=(0, None))(parameters, tl.ones(2)).shape
    (3, 1)
    """
    models = list(models)
    problem = None
    if not models:
        problem = "takes at least one model"
    elif len({model.training for model in models}) > 1:
        problem = "all models must train, or none"
    elif len({type(model) for model in models}) > 1:
        problem = "the models must be of one class"
    if problem:
        raise complaint(ArgumentError, "stack_module_state", problem)
    parameters = {name: _stacked(name, [dict(model.named_parameters())[name] for model in models])
                  for name, _ in models[0].named_parameters()}
    buffers = {name: stack([dict(model.named_buffers())[name] for model in models])
               for name, _ in models[0].named_buffers()}
    return parameters, buffers


def _stacked(name: str, tensors: Sequence[Tensor]) -> Tensor:
    tracked = {x.node is not None for x in tensors}
    if len(tracked) > 1:
        raise complaint(ArgumentError, "stack_module_state", f"{name} requires gradients in some models, not in all")
    return Parameter(stack([x.detach() for x in tensors]), requires_grad=tracked.pop())
