"""Parametrizations: a parameter of a module computed by other modules from what is trained instead.

``module.parametrizations.weight.original`` is what is trained, and ``module.weight`` what the modules in
``module.parametrizations.weight`` make of it, whenever it is read. Lezcano Casado, "Trivializations for gradient-based
optimization on manifolds", 2019.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.containers import ModuleDict, ModuleList
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.state import state
from tensorlite.tensor import Tensor

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]


class _Cache(threading.local):
    """What was computed within `cached`, and the trace that it is part of."""

    depth = 0
    trace: Any = None
    values: dict[tuple[int, str], Tensor]


_cache = _Cache()


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Within it each parametrized tensor is computed once, however often it is read.

    Changes to what it is computed from are not seen before the end.

    >>> import tensorlite as tl
    >>> from tensorlite.nn.utils import parametrize
    >>> layer = tl.nn.utils.parametrizations.weight_norm(tl.nn.Linear(2, 2))
    >>> with parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    if not _cache.depth:
        _cache.values, _cache.trace = {}, state.interpreter
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.values, _cache.trace = {}, None


@dataclass(frozen=True)
class _Parametrized:
    name: str

    def compute(self, module: Module) -> Tensor:
        made = module.parametrizations[self.name]
        if not _cache.depth or _cache.trace is not state.interpreter:
            return made()
        key = (id(module), self.name)
        if key not in _cache.values:
            _cache.values[key] = made()
        return _cache.values[key]

    def assign(self, module: Module, value: Any) -> None:
        module.parametrizations[self.name].right_inverse(value)


def _parts(op: str, made: Any) -> tuple[Tensor, ...]:
    """What a right inverse gave, one tensor or several."""
    parts = (made,) if isinstance(made, Tensor) else tuple(made) if isinstance(made, Sequence) else (made,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise complaint(ArgumentError, op, "right_inverse returns a tensor or a sequence of them, not "
                            f"{type(part).__name__}")
    return parts


def _check_made(op: str, what: str, made: Any, wanted: Tensor) -> None:
    """Raises `ArgumentError` where a parametrization gives something of another type than it stands for."""
    if not isinstance(made, Tensor):
        raise complaint(ArgumentError, op, f"{what} must return a tensor, not {type(made).__name__}")
    for kind in ("dtype", "shape"):
        if getattr(made, kind) != getattr(wanted, kind):
            raise complaint(ArgumentError, op, f"{what} may not change the {kind} of the tensor",
                            {"before": wanted, "after": made}, "pass unsafe=True, if that is meant")


class ParametrizationList(ModuleList):
    """The modules that compute a tensor, one after the other, and the ``original`` that the first is given.

    Where the right inverse gives several tensors, they are ``original0``, ``original1`` ...
    """

    original: Any

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise complaint(ArgumentError, "ParametrizationList", "at least one module computes a tensor")
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            made: Any = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    made = module.right_inverse(made)
        parts = _parts("register_parametrization", made)
        self.is_tensor = isinstance(made, Tensor)
        if self.is_tensor:
            self._keep(original, made)
        else:
            self.ntensors = len(parts)
            for number, part in enumerate(parts):
                _register(self, f"original{number}", part.detach() if part.node is not None else part,
                          original if isinstance(original, Parameter) and part.dtype.kind not in "biu" else None)
        if not unsafe:
            _check_made("register_parametrization", "a parametrization", self(), original)

    def _keep(self, original: Tensor, made: Tensor) -> None:
        """Keeps the tensor itself, so that an optimizer need not be told, with the value that the inverse gave."""
        if made.dtype != original.dtype:
            raise complaint(ArgumentError, "register_parametrization", "right_inverse may not change the dtype of one "
                            "tensor", {"before": original, "after": made})
        _set(original, made)
        _register(self, "original", original, None)

    def originals(self) -> tuple[Tensor, ...]:
        """What the tensor is computed from."""
        if self.is_tensor:
            return (self.original,)
        return tuple(getattr(self, f"original{number}") for number in range(self.ntensors))

    @no_grad()
    def right_inverse(self, value: Tensor) -> None:
        """Sets what the tensor is computed from, so that it gets a value: what assigning to the tensor does."""
        made: Any = value
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise complaint(ArgumentError, type(module).__name__, "the parametrization has no right_inverse, so "
                                "that the tensor cannot be assigned to", None, "define right_inverse(self, value)")
            made = module.right_inverse(made)
        parts, originals = _parts("right_inverse", made), self.originals()
        if len(parts) != len(originals):
            raise complaint(ArgumentError, "right_inverse", f"must give {len(originals)} tensors, not {len(parts)}")
        for original, part in zip(originals, parts, strict=True):
            if part.dtype != original.dtype:
                raise complaint(ArgumentError, "right_inverse", "may not change the dtype of what is trained",
                                {"original": original, "given": part})
            _set(original, part)

    def forward(self) -> Tensor:
        first, *others = self
        x = first(*self.originals())
        for module in others:
            x = module(x)
        return x


def _set(tensor: Tensor, value: Tensor) -> None:
    """Makes a tensor, the leaf that it is, hold a value that may have another shape."""
    if value is tensor:
        return
    if state.met is not None:
        state.met(tensor)
    tensor.array = value.array
    tensor.bases = ()
    if tensor.node is not None:
        tensor.node.shape = value.shape


def _register(module: Module, name: str, tensor: Tensor, like: Tensor | None) -> None:
    """Adds a parameter or a buffer; ``like`` a parameter makes it one, trained if that is."""
    if like is not None:
        tensor = Parameter(tensor, requires_grad=like.node is not None)
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module, or any if none is named, is parametrized.

    >>> import tensorlite as tl
    >>> tl.nn.utils.parametrize.is_parametrized(tl.nn.Linear(2, 2))
    False
    """
    held = module._modules.get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *,
                             unsafe: bool = False) -> Module:
    """Makes a parameter or a buffer of a module what another module computes from it; returns the module.

    A second parametrization is given what the first one makes. Where it has a method ``right_inverse``, that says what
    to start from, and makes the tensor assignable. Unless ``unsafe``, neither may change shape or dtype. Raises
    `ArgumentError` where they do, and where the module has no such tensor.

    >>> import tensorlite as tl
    >>> class Symmetric(tl.nn.Module):
    ...     def forward(self, x):
    ...         return tl.triu(x) + tl.triu(x, k=1).mT
    >>> layer = tl.nn.Linear(3, 3)
    >>> _ = tl.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all())
    True
    >>> list(layer.state_dict())
    ['bias', 'parametrizations.weight.original']
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held = module.parametrizations[tensor_name]
        if not unsafe:
            _check_further(getattr(module, tensor_name), parametrization)
        held.append(parametrization)
        held.unsafe = held.unsafe or unsafe
        return module
    original: Tensor | None = module._parameters.get(tensor_name)
    if original is None:
        original = module._buffers.get(tensor_name)
    if original is None:
        raise complaint(ArgumentError, "register_parametrization",
                        f"{type(module).__name__} has no parameter, buffer or parametrized tensor {tensor_name!r}")
    made = ParametrizationList([parametrization], original, unsafe=unsafe)
    module.derive(tensor_name, _Parametrized(tensor_name))
    if "parametrizations" not in module._modules:
        module.register_module("parametrizations", ModuleDict())
    module.parametrizations[tensor_name] = made
    return module


def _check_further(before: Tensor, parametrization: Any) -> None:
    with no_grad():
        after = parametrization(before)
        _check_made("register_parametrization", "a parametrization", after, before)
        if hasattr(parametrization, "right_inverse"):
            _check_made("register_parametrization", "right_inverse", parametrization.right_inverse(after), before)


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes a parametrized tensor a parameter or a buffer again, of the present value, or of the original's.

    The tensor that was trained stays the same object where there is one. Raises `ArgumentError` where the tensor is
    not parametrized, and for the original of several.

    >>> import tensorlite as tl
    >>> layer = tl.nn.utils.parametrizations.weight_norm(tl.nn.Linear(2, 2))
    >>> list(tl.nn.utils.parametrize.remove_parametrizations(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise complaint(ArgumentError, "remove_parametrizations",
                        f"{tensor_name} of {type(module).__name__} is not parametrized")
    held = module.parametrizations[tensor_name]
    if not held.is_tensor and not leave_parametrized:
        raise complaint(ArgumentError, "remove_parametrizations", f"{tensor_name} is computed from several tensors, "
                        "none of which it could be", None, "leave it parametrized")
    tensor = held.original if held.is_tensor else None
    if leave_parametrized:
        value = getattr(module, tensor_name)
        if tensor is None:
            tensor = Parameter(value.detach()) if value.node is not None else value
        else:
            _check_kept(tensor, value)
            _set(tensor, value)
    module.derive(tensor_name, None)
    del module.parametrizations[tensor_name]
    if not len(module.parametrizations):
        del module.parametrizations
    _register(module, tensor_name, tensor, None)  # type: ignore[arg-type]
    return module


def _check_kept(tensor: Tensor, value: Tensor) -> None:
    if tensor.dtype != value.dtype:
        raise complaint(DTypeError, "remove_parametrizations", "the tensor that is trained cannot hold what is made of "
                        "it", {"original": tensor, "made": value}, "pass leave_parametrized=False")


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class of a module, which parametrizations do not change here."""
    return type(module)


def transfer_parametrizations_and_params(from_module: Module, to_module: Module,
                                         tensor_name: str | None = None) -> Module:
    """Gives a module the parametrizations of another one, and the parameters that they parametrize; returns it."""
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        held = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            _register(to_module, name, getattr(from_module, name).detach(),
                      next((x for x in held.originals() if isinstance(x, Parameter)), None))
        for parametrization in held:
            register_parametrization(to_module, name, parametrization, unsafe=held.unsafe)
        for target, source in zip(to_module.parametrizations[name].originals(), held.originals(), strict=True):
            _set(target, source.detach())
    return to_module
