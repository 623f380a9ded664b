"""`autocast`: products in 16 bits, and what loses accuracy there in float32, while parameters stay what they are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from tensorlite import errors
from tensorlite.dispatch import apply
from tensorlite.op import OPS
from tensorlite.state import state
from tensorlite.tape import Leaf
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import bfloat16, dtype_of, float16, float32

F = TypeVar("F", bound=Callable[..., Any])

_NARROW = frozenset({np.dtype(bfloat16), np.dtype(float16)})
_CAST = {"narrow": _NARROW | {np.dtype(float32)}, "wide": _NARROW}
_DEVICES = {"cpu": bfloat16, "cuda": float16}


class Casts:
    """What one region casts to, and the parameters that it has cast already."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._known: dict[Any, tuple[Any, Tensor]] = {}

    def operands(self, precision: str, inputs: Sequence[Any],
                 attributes: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What an op is given, as it takes it: `op.Op.autocast` says which of the two precisions that is.

        A sum's dtype, which was read from what it was given, becomes wide with it.
        """
        dtype = self.dtype if precision == "narrow" else float32
        taken = _CAST[precision]
        cast = [self.cast(x, dtype) if isinstance(x, Tensor) and x.dtype in taken and x.dtype != dtype else x
                for x in inputs]
        if precision == "wide" and attributes.get("dtype") in _NARROW:
            attributes = {**attributes, "dtype": np.dtype(float32)}
        return cast, attributes

    def cast(self, x: Tensor, dtype: np.dtype) -> Tensor:
        """A tensor in another dtype; parameters are cast once, as long as they hold the same value."""
        if type(x.node) is not Leaf or state.interpreter is not None:
            return apply(OPS["cast"], x, dtype=dtype)
        key = id(x.node), dtype, state.recording
        array, found = self._known.get(key, (None, x))
        if array is not x.array:
            found = apply(OPS["cast"], x, dtype=dtype)
            self._known[key] = x.array, found
        return found


class autocast:
    """Runs ops in mixed precision, for a ``with`` block or a decorated function, as `torch.autocast`.

    ``dtype`` is "bfloat16" or "float16", or the device ("cpu" takes bfloat16, "cuda" float16) and then the dtype.
    Matrix products, convolutions and attention take their float32 inputs in it; softmax, norms, losses, sums and
    powers take theirs in float32; all others run in what they are given. Parameters, their gradients and optimizers
    stay in float32, which makes them the master weights (Micikevicius et al., "Mixed precision training", 2018). Take
    derivatives outside of the block: they have the dtypes of the values that they are of, anywhere. For float16, scale
    the loss with `GradScaler`. Nothing else than 16-bit dtypes is taken: raises `DTypeError`.

    >>> import tensorlite as tl
    >>> x, w = tl.ones((2, 3)), tl.ones((3, 4))
    >>> with tl.autocast("bfloat16"):
    ...     y = x @ w
    ...     p = tl.softmax(y, axis=1)
    >>> y.dtype.name, p.dtype.name
    ('bfloat16', 'float32')
    """

    def __init__(self, device_type: Any = "bfloat16", dtype: Any = None, enabled: bool = True) -> None:
        if device_type in _DEVICES:
            wanted = _DEVICES[device_type] if dtype is None else dtype_of(dtype)
        else:
            wanted = dtype_of(device_type if dtype is None else dtype)
        if np.dtype(wanted) not in _NARROW:
            raise errors.complaint(errors.DTypeError, "autocast", "takes bfloat16 or float16, not "
                                   f"{np.dtype(wanted).name}", None, 'tl.autocast("bfloat16")')
        self.dtype, self.enabled = np.dtype(wanted), enabled
        self._before: list[Casts | None] = []

    def __enter__(self) -> autocast:
        before = state.autocast
        self._before.append(before)
        same = before is not None and before.dtype == self.dtype
        state.autocast = None if not self.enabled else before if same else Casts(self.dtype)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        state.autocast = self._before.pop()

    def __call__(self, function: F) -> F:
        """The function, run in mixed precision."""
        @functools.wraps(function)
        def wrapped(*arguments: Any, **kwargs: Any) -> Any:
            with autocast(self.dtype, enabled=self.enabled):
                return function(*arguments, **kwargs)
        return wrapped  # type: ignore[return-value]
