"""What a tensor cannot do while a function is traced or mapped: give its elements to Python, which has no one value."""

from __future__ import annotations

import numpy as np

from tensorlite import errors
from tensorlite.tensor import Tensor

_TURN = "use tl.where(condition, a, b), tl.cond(condition, f, g) or tl.while_loop; or decide outside of the function"
_KEEP = "keep computing with the tensor, or return it and ask outside of the function"
_SAYS = {
    "bool": ("a value that is only known when the function runs decides in Python", _TURN),
    "index": ("an index or a size of Python must be known when the function is traced", "pass it as a Python int"),
    "mask": ("how many elements a mask picks is only known when the function runs",
             "use tl.where(mask, x, 0), which keeps the shape"),
    "classes": ("the number of classes is only known when the function runs", "pass num_classes="),
    "asarray": ("a traced tensor is inside of a list", "use tl.stack([...])"),
}
_OTHER = ("the elements are only known when the function runs", _KEEP)


_MAPPED = {
    "bool": ("a value that differs between the elements of vmap's batch decides in Python", _TURN),
    "index": ("an index or a size of Python must be the same for all elements of vmap's batch",
              "index by the tensor itself, as in x[i]"),
    "mask": ("a mask that differs between the elements of vmap's batch picks another number for each",
             _SAYS["mask"][1]),
    "classes": ("the number of classes is only known when the function runs", "pass num_classes="),
    "asarray": ("a tensor of vmap's batch is inside of a list", _SAYS["asarray"][1]),
}
_OTHER_MAPPED = ("the elements differ within vmap's batch", _KEEP)
_TRACKED = ("the tensor has a derivative outside of vmap, which Python would lose", "use x.detach()")


def _what_to_say(x: Tensor, asked: str) -> tuple[str, str]:
    if not hasattr(x.array, "level"):
        return _SAYS.get(asked, _OTHER)
    return _TRACKED if x.array.axis is None else _MAPPED.get(asked, _OTHER_MAPPED)


def is_traced(x: Tensor) -> bool:
    """Whether a tensor stands for elements that are not known yet."""
    return type(x.array) is not np.ndarray and hasattr(x.array, "type")


def require_elements(x: Tensor, asked: str, user: str = "") -> None:
    """Raises `TraceError` where a function that is being traced asks for elements."""
    if is_traced(x):
        problem, fix = _what_to_say(x, asked)
        raise errors.complaint(errors.TraceError, user or asked, problem, {"x": x}, fix)
