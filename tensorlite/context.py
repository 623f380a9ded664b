"""Where new tensors go, and how many threads compute."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from tensorlite import errors
from tensorlite.kernels import device as devices
from tensorlite.kernels.cpu import team
from tensorlite.state import state


def find(name: str, op: str) -> Any:
    """The device of a name; raises `DeviceError` that says what is missing."""
    try:
        return devices.get(name)
    except devices.DeviceUnavailable as problem:
        raise errors.complaint(errors.DeviceError, op, str(problem)) from None


class device:
    """A block whose new tensors are made on a device, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises `DeviceError` where the device is not there, and says what to install.

    >>> import tensorlite as tl
    >>> with tl.device("cpu"):
    ...     tl.zeros(2).device
    'cpu'
    """

    def __init__(self, name: str) -> None:
        self.name: str = find(name, "device").name
        self._before: list[str] = []

    def __enter__(self) -> device:
        self._before.append(state.device)
        state.device = self.name
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        state.device = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Runs a function with the device as the place of new tensors."""
        def placed(*arguments: Any, **kwargs: Any) -> Any:
            with device(self.name):
                return function(*arguments, **kwargs)
        return placed

    def wait(self) -> None:
        """Waits until everything asked of the device is done."""
        devices.get(self.name).synchronize()

    def __repr__(self) -> str:
        return f"device({self.name!r})"


def devices_available() -> tuple[str, ...]:
    """The names of the devices that are there.

    >>> import tensorlite as tl
    >>> "cpu" in tl.devices_available()
    True
    """
    return devices.available()


def set_num_threads(number: int) -> None:
    """Sets how many threads compute large ops on the CPU; results do not depend on it.

    >>> import tensorlite as tl
    >>> before = tl.get_num_threads()
    >>> tl.set_num_threads(1); tl.get_num_threads()
    1
    >>> tl.set_num_threads(before)
    """
    if not isinstance(number, int) or number < 1:
        raise errors.complaint(errors.ArgumentError, "set_num_threads", "takes a positive integer", {"number": number})
    team.set_num_threads(number)


def get_num_threads() -> int:
    """How many threads compute large ops on the CPU.

    >>> import tensorlite as tl
    >>> tl.get_num_threads() >= 1
    True
    """
    return team.get_num_threads()
