"""Functions of ours that kernels may call by name: who has one says so here, and whoever loads a kernel asks."""

from __future__ import annotations

from collections.abc import Callable

PROVIDERS: dict[str, Callable[[], int]] = {}


def provide(name: str, address: Callable[[], int]) -> None:
    """Make the external symbol ``name`` available; ``address`` is asked once, when the first kernel needs it."""
    PROVIDERS[name] = address
