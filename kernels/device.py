"""Devices: where arrays live and what computes on them.

A device is known by its name, ``cpu``, ``cuda`` (the first GPU) or ``cuda:1``, and by its arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.device import CPU, NATIVE_SIZE
from tensorlite.kernels.cuda import device as cuda
from tensorlite.kernels.errors import DeviceUnavailable

__all__ = ["CPU", "NATIVE_SIZE", "Device", "DeviceUnavailable", "available", "get", "of"]


class Device(Protocol):
    """A place for arrays; ``xp`` is the module that spells NumPy's functions for them."""

    @property
    def name(self) -> str:
        """The full name: ``cpu``, ``cuda:0``."""

    @property
    def xp(self) -> Any:
        """NumPy, or the module that looks like it."""

    def elementwise(self, function: s.Function, arrays: Sequence[Any], dtype: npt.DTypeLike) -> Any:
        """Compute a scalar function on broadcastable arrays into a fresh array of ``dtype``."""

    def kernel(self, name: str) -> Callable[..., Any] | None:
        """Return the device's kernel for an op, or None; it returns ``NotImplemented`` for what it does not take."""

    def asarray(self, array: Any) -> Any:
        """Bring an array here; copies only from another device."""

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        """Return an array of this device as a NumPy array; a view where the memory can be shared."""

    def synchronize(self) -> None:
        """Wait until everything asked of the device is done."""

    def memory(self) -> dict[str, int]:
        """Return bytes ``allocated`` to arrays, ``cached`` for later, and more where known."""


def of(array: Any) -> Device:
    """Return the device that an array lives on."""
    if isinstance(array, (np.ndarray, np.generic)):
        return CPU
    if cuda.is_array(array):
        return cuda.of(array)
    raise TypeError(f"device.of: expected an array of a known device, got {type(array).__name__}")


def get(name: str | Device) -> Device:
    """Return the device of that name; raises `DeviceUnavailable`, which says what is missing.

    >>> get("cpu").name
    'cpu'
    """
    if not isinstance(name, str):
        return name
    if name == "cpu":
        return CPU
    kind, _, index = name.partition(":")
    if kind == "cuda" and (index.isdecimal() or name == "cuda"):
        return cuda.get(int(index or 0))
    raise DeviceUnavailable(f"{name}: no such device; expected 'cpu', 'cuda' or 'cuda:1'")


def available() -> tuple[str, ...]:
    """Return the names of the devices that can be used here."""
    return ("cpu", *(f"cuda:{index}" for index in range(cuda.count())))
