"""Attributes of modules that are computed from parameters, such as a weight from its direction and its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tensorlite.tensor import Tensor

if TYPE_CHECKING:
    from tensorlite.nn.module import Module


class Derived(Protocol):
    """What stands in the place of a parameter or a buffer of a module.

    It is state of the module and nothing else, so that a copied module has its own: it finds parameters by name.
    """

    def compute(self, module: Module) -> Tensor:
        """The attribute's value."""

    def assign(self, module: Module, value: Any) -> None:
        """What assigning to the attribute does."""
