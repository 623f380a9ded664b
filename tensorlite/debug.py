"""Looking for NaN: every op is checked, and the forward line of the guilty one is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.dispatch import evaluate
from tensorlite.kernels import device as devices
from tensorlite.op import Op
from tensorlite.state import state
from tensorlite.tape import Output
from tensorlite.tensor import Tensor


@contextmanager
def debug_nans() -> Iterator[None]:
    """Raises `NumericsError` at the first op that makes a NaN from numbers that are none, forward or backward.

    For a NaN that appears in `backward`, the error names the line of the forward op whose derivative made it. Use it
    as a block or as a decorator; every op is then followed by a look at its result.

    >>> import tensorlite as tl
    >>> with tl.debug_nans():
    ...     tl.log(tl.tensor(-1.0))
    Traceback (most recent call last):
    tensorlite.errors.NumericsError: log: the result has a NaN at [], its inputs have none...
    """
    before, walked = state.interpreter, state.walking
    if before not in (None, _checked):
        raise errors.complaint(errors.TraceError, "debug_nans", "inside of vmap and traced functions no op has a "
                               "result to look at", None, "put it around the call of what vmap or jit gives")
    state.interpreter = _checked
    try:
        yield
    finally:
        state.interpreter, state.walking = before, walked


def _checked(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
    result = evaluate(op, inputs, attributes)
    line = errors.user_line()
    outputs = result if isinstance(result, tuple) else (result,)
    for output in outputs:
        node = output.node
        if node is not None:
            maker: Any = node.parents[0] if type(node) is Output else node
            maker.line = line
        where = first_nan(output)
        if where is not None and all(first_nan(x) is None for x in inputs if isinstance(x, Tensor)):
            _report(op, inputs, where, line)
    return result


def first_nan(x: Tensor) -> list[int] | None:
    """The index of the first NaN, or None."""
    array = devices.of(x.array).to_numpy(x.array)
    if array.dtype.kind in "biu":
        return None
    found = np.argwhere(array != array)
    return found[0].tolist() if len(found) else None


def _report(op: Op, inputs: Sequence[Any], where: list[int], line: str) -> None:
    arguments = dict(zip(map(op.input_name, range(len(inputs))), inputs, strict=True))
    forward = getattr(state.walking, "line", None)
    if forward is None:
        problem, place = f"the result has a NaN at {where}, its inputs have none", line
    else:
        name = state.walking.plan.op.name
        problem = f"the derivative of {name} has a NaN at {where}, what it was computed from has none"
        place = f"{forward} (the forward op)"
    raise errors.complaint(errors.NumericsError, op.name, problem, arguments,
                           "look at these values there, and keep them inside the op's domain", place)
