"""Modules whose parameters are not drawn, as they will be loaded anyway."""

from __future__ import annotations

from typing import Any, TypeVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import init
from tensorlite.nn.module import Module

__all__ = ["skip_init"]

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """A module of a class whose parameters hold any numbers: the functions of `nn.init` are not run.

    >>> import tensorlite as tl
    >>> tl.nn.utils.skip_init(tl.nn.Linear, 3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not isinstance(module_cls, type) or not issubclass(module_cls, Module):
        raise complaint(ArgumentError, "skip_init", f"takes a class of modules, not {module_cls!r}")
    with init.skipped():
        return module_cls(*args, **kwargs)
