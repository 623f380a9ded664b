"""Modules that hold others: in a row, in a list, or by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any, Self, overload

from tensorlite import versions
from tensorlite.errors import DTypeError, IndexingError, complaint
from tensorlite.nn.module import Module, indented
from tensorlite.nn.parameter import Parameter
from tensorlite.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _place(container: Any, index: Any) -> int:
    """A place counted from the front; raises `IndexingError` where there is none."""
    place, size = index.__index__(), len(container)
    if not -size <= place < size:
        raise complaint(IndexingError, type(container).__name__, f"index {place} is out of range for {size} entries")
    return place % size


class _Row(Module):
    """What Sequential and ModuleList share: modules in order, under their numbers (or other names)."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def __contains__(self, module: object) -> bool:
        return any(module is held for held in self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._of(list(self._modules.items())[index])
        return next(islice(self._modules.values(), _place(self, index), None))

    def _of(self, items: list[tuple[str, Any]]) -> Self:
        """A container like this one of some of its entries."""
        return type(self)([module for _, module in items])  # type: ignore[call-arg]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[_place(self, index)], module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [names[_place(self, index)]]:
            del self._modules[name]
            versions.changed()
        self._fill(list(self._modules.values()))

    def _fill(self, modules: list[Any]) -> None:
        """Holds these modules, numbered anew."""
        self._modules.clear()
        versions.changed()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Self:
        """Adds a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Adds a module before a place."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._fill(modules)
        return self

    def pop(self, index: int = -1) -> Any:
        """Takes a module out and returns it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_Row):
    """Modules that are called one after the other, given one by one or in an ordered dict.

    >>> import tensorlite as tl
    >>> from tensorlite import nn
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> model(tl.zeros((5, 4))).shape
    (5, 2)
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, held in modules[0].items():
                self.register_module(name, held)
        else:
            for number, module in enumerate(modules):
                self.register_module(str(number), module)  # type: ignore[arg-type]

    def _of(self, items: list[tuple[str, Any]]) -> Self:
        return type(self)(OrderedDict(items))

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [names[_place(self, index)]]:
            del self._modules[name]
            versions.changed()
        left = list(self._modules.values())
        if all(name.isdecimal() for name in names):
            self._fill(left)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input


class ModuleList(_Row):
    """A list of modules, which count as parts of the module that holds it."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        lines = []
        start = 0
        for text, equal in groupby(map(repr, self)):
            count = len(list(equal))
            place = f"({start}): " if count == 1 else f"({start}-{start + count - 1}): {count} x "
            lines.append(indented(place + text))
            start += count
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{type(self).__name__}()"


class ModuleDict(Module):
    """A dict of modules, which count as parts of the module that holds it."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]
        versions.changed()

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Takes all modules out."""
        self._modules.clear()
        versions.changed()

    def pop(self, key: str) -> Any:
        """Takes a module out and returns it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names and modules."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds modules, or replaces those of the same names."""
        for key, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[key] = module


class ParameterList(Module):
    """A list of parameters, which count as those of the module that holds it; tensors become parameters."""

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(list(self._parameters.values()))  # type: ignore[arg-type]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return self._parameters[str(_place(self, index))]

    def __setitem__(self, index: int, value: Tensor) -> None:
        self.register_parameter(str(_place(self, index)), _as_parameter("ParameterList", value))

    def append(self, value: Tensor) -> Self:
        """Adds a parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter("ParameterList", value))
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Adds parameters at the end."""
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return _shown(self)


class ParameterDict(Module):
    """A dict of parameters, which count as those of the module that holds it; tensors become parameters.

    >>> import tensorlite as tl
    >>> scales = tl.nn.ParameterDict({"left": tl.ones(2)})
    >>> scales["right"] = tl.zeros(2)
    >>> list(scales.state_dict())
    ['left', 'right']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self.update({} if parameters is None else parameters)

    def __getitem__(self, key: str) -> Any:
        return self._parameters[key]

    def __setitem__(self, key: str, value: Tensor) -> None:
        self.register_parameter(key, _as_parameter("ParameterDict", value))
        versions.changed()

    def __delitem__(self, key: str) -> None:
        del self._parameters[key]
        versions.changed()

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._parameters))

    def __contains__(self, key: object) -> bool:
        return key in self._parameters

    def __or__(self, other: ParameterDict) -> ParameterDict:
        return self.copy().__ior__(other)

    def __ror__(self, other: ParameterDict) -> ParameterDict:
        return other.copy().__ior__(self)

    def __ior__(self, other: ParameterDict) -> Self:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def setdefault(self, key: str, default: Tensor | None = None) -> Any:
        """The parameter of a name, which is added where it is not there."""
        if key not in self and default is not None:
            self[key] = default
        return self.get(key)

    def clear(self) -> None:
        """Takes all parameters out."""
        self._parameters.clear()
        versions.changed()

    def pop(self, key: str) -> Any:
        """Takes a parameter out and returns it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Takes the last parameter out and returns it with its name."""
        key = next(reversed(self))
        return key, self.pop(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, or the default."""
        return self._parameters.get(key, default)

    def fromkeys(self, keys: Iterable[str], default: Tensor | None = None) -> ParameterDict:
        """A dict of parameters that all start from the default."""
        return ParameterDict(dict.fromkeys(keys, default))

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._parameters.keys()

    def values(self) -> Iterable[Any]:
        """The parameters."""
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names and parameters."""
        return self._parameters.items()

    def update(self, parameters: Any) -> None:
        """Adds parameters, or replaces those of the same names; those of a plain dict in the order of their names."""
        ordered = isinstance(parameters, OrderedDict | ParameterDict) or not isinstance(parameters, Mapping)
        pairs = parameters.items() if hasattr(parameters, "items") else parameters
        for key, value in pairs if ordered else sorted(pairs):
            self[key] = value

    def extra_repr(self) -> str:
        return _shown(self)


def _shown(container: Module) -> str:
    """The parameters of a container by their names and types."""
    return "\n".join(f"({name}): Parameter containing: [{value.type}]"
                     for name, value in container._parameters.items() if value is not None)


def _as_parameter(container: str, value: Tensor) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if not isinstance(value, Tensor):
        raise complaint(DTypeError, container, f"takes tensors, not {type(value).__name__}")
    return Parameter(value)
