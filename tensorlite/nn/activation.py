"""What layers of activations share."""

from __future__ import annotations

from tensorlite.nn.module import Module


class InPlace(Module):
    """An activation whose one option is to rebind its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


def and_in_place(options: str, inplace: bool) -> str:
    """How a layer's options are shown, with ``inplace`` where it is asked for."""
    return f"{options}, inplace=True" if inplace else options
