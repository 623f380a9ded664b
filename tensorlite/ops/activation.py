"""What activations share: ``inplace=True``, and the spellings such as ``relu_``, which rebind their input."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tensorlite.tensor import Tensor


def kept(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result, to which ``inplace`` rebinds the input."""
    return input.copy_(result) if inplace else result


def rebinding(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The spelling of an activation that always rebinds its input: ``relu_`` of ``relu``.

    >>> import tensorlite as tl
    >>> from tensorlite.nn import functional as F
    >>> x = tl.tensor([-1.0, 2.0])
    >>> F.relu_(x) is x
    True
    >>> x
    tensor([0., 2.])
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def face(*arguments: Any, **options: Any) -> Tensor:
        return function(*arguments, **options, inplace=True)
    face.__name__ = face.__qualname__ = f"{function.__name__}_"
    face.__doc__ = f"Rebinds ``input`` to what `{function.__name__}` gives, and returns it."
    parameters = [p for p in signature.parameters.values() if p.name != "inplace"]
    face.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return face
