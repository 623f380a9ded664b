"""Walking a tree of modules: what it holds, by dotted names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tensorlite.errors import ArgumentError, complaint

if TYPE_CHECKING:
    from tensorlite.nn.module import Module


def named_modules(root: Module, prefix: str = "", remove_duplicate: bool = True,
                  seen: set[Module] | None = None) -> Iterator[tuple[str, Module]]:
    """A module and all below it, parents first."""
    seen = set() if seen is None else seen
    if root in seen:
        return
    if remove_duplicate:
        seen.add(root)
    yield prefix, root
    for name, child in root._modules.items():
        if child is not None:
            yield from named_modules(child, join(prefix, name), remove_duplicate, seen)


def named_members(root: Module, table: str, prefix: str, recurse: bool,
                  remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
    """The entries of one table (``_parameters`` or ``_buffers``) of a module, and of all below it."""
    seen: set[int] = set()
    modules = named_modules(root, prefix, remove_duplicate) if recurse else iter([(prefix, root)])
    for path, module in modules:
        for name, member in getattr(module, table).items():
            if member is None or id(member) in seen:
                continue
            if remove_duplicate:
                seen.add(id(member))
            yield join(path, name), member


def join(prefix: str, name: str) -> str:
    """A dotted name below a prefix, which may be empty."""
    return f"{prefix}.{name}" if prefix else name


def find(root: Module, target: str, table: str, what: str) -> Any:
    """What a dotted name stands for; raises `ArgumentError` where nothing does."""
    path, _, name = target.rpartition(".")
    module = root
    for part in path.split(".") if path else ():
        child = module._modules.get(part)
        if child is None:
            raise complaint(ArgumentError, f"get_{what}", f"{type(module).__name__} has no module {part!r}",
                            {"target": target})
        module = child
    found = getattr(module, table).get(name)
    if found is None:
        raise complaint(ArgumentError, f"get_{what}", f"{type(module).__name__} has no {what} {name!r}",
                        {"target": target})
    return found
