"""Which names of a namespace of PyTorch are public, and so want a line on the page."""

from __future__ import annotations

import inspect
from typing import Any

#: The rule, as the page says it.
RULE = """\
A name of PyTorch is listed if it can be called, does not begin with an underscore, has a docstring and is not marked as
deprecated; in namespaces other than `torch` and `torch.Tensor` it is also defined below that namespace, or built in,
which leaves out helpers for typing and what one file imports from another. Of `torch` itself the functions are listed,
of `torch.Tensor` methods, in-place methods and attributes."""


def public_names(namespace: Any) -> list[str]:
    """The public names of a module or class of PyTorch, in order."""
    return [name for name in sorted(dir(namespace)) if not name.startswith("_") and _is_public(namespace, name)]


def _is_public(namespace: Any, name: str) -> bool:
    if inspect.isclass(namespace):
        return bool(getattr(inspect.getattr_static(namespace, name), "__doc__", None))
    value = getattr(namespace, name)
    if not callable(value) or inspect.ismodule(value) or not value.__doc__ or _is_deprecated(value):
        return False
    home = str(getattr(inspect.unwrap(value), "__module__", None))
    if namespace.__name__ == "torch":
        return not inspect.isclass(value)
    if inspect.isbuiltin(value):
        return home == "torch" or home.startswith("torch._C._")
    return f"{home}.".startswith(f"{namespace.__name__}.")


def _is_deprecated(value: Any) -> bool:
    """Whether a name is kept for old programs only: marked so, or by the words of `torch.nn.init`."""
    return hasattr(value, "__deprecated__") or "method is now deprecated in favor of" in str(value.__doc__)
