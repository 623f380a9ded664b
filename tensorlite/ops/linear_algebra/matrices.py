"""What the ops on matrices have in common: what they take, how they fail, how they batch, and small helpers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, move_axis, padded
from tensorlite.errors import DTypeError, LinAlgError, ShapeError
from tensorlite.kernels.cpu.blas import one_thread
from tensorlite.ops.elementwise import conj, equal, logical_and, where
from tensorlite.ops.linear_algebra.linalg import swap_last
from tensorlite.ops.manipulation import expand_dims
from tensorlite.ops.ranges import eye
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import bool_, complex64, complex128, float32, float64

#: What LAPACK computes in.
LAPACK_DTYPES = (float32, float64, complex64, complex128)


# --- checks, of arrays and types alike ----------------------------------------------------------------------------


def check_matrices(**matrices: Any) -> None:
    """Raises what is wrong with the first input that is no stack of matrices that LAPACK takes."""
    for name, x in matrices.items():
        if x.dtype not in LAPACK_DTYPES:
            whose = f" for {name}" if len(matrices) > 1 else ""
            raise DTypeError(f"takes float32, float64, complex64 and complex128{whose}, not {x.dtype.name}",
                             "cast it first: x.to(tl.float32)")
        if len(x.shape) < 2:
            raise ShapeError(f"a matrix has two axes, {name} has {len(x.shape)}")


def check_square(x: Any, name: str = "x") -> None:
    """Raises what is wrong where an input is no stack of square matrices that LAPACK takes."""
    check_matrices(**{name: x})
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name} must be square, not {x.shape[-2]} x {x.shape[-1]}")


# --- calling LAPACK -----------------------------------------------------------------------------------------------


def call(function: Callable[..., Any], *arrays: Any, problem: str, fix: str | None = None,
         probe: Callable[..., Any] | None = None) -> Any:
    """Calls one of NumPy's functions on stacks of matrices, bits not depending on how many threads BLAS has.

    Raises `LinAlgError` with the ``problem``, and of which matrix of a stack it is one: the first on which ``probe``
    fails, else the function itself.
    """
    try:
        with one_thread():
            return function(*arrays)
    except np.linalg.LinAlgError:
        raise LinAlgError(problem + _which(probe or function, arrays[0]), fix) from None


def _which(function: Callable[..., Any], stack: Any) -> str:
    """Names the first matrix of a stack for which a function fails."""
    for place in np.ndindex(*stack.shape[:-2]):
        try:
            function(stack[place])
        except np.linalg.LinAlgError:
            return f": matrix {', '.join(map(str, place))} of the stack" if place else ""
    return ""


def over_stacks(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """The rule of ops of one or several stacks of matrices that broadcast: the batch is one more axis in front."""
    ndim = max(x.ndim - (axis is not None) for x, axis in zip(inputs, batch.axes, strict=True))
    found = batch.apply(*(x if axis is None else padded(move_axis(x, axis, 0), ndim)
                          for x, axis in zip(inputs, batch.axes, strict=True)), **attributes)
    return found, (0 if isinstance(found, Tensor) else (0,) * len(found))


# --- in Tensor ops ------------------------------------------------------------------------------------------------


def adjoint(x: Tensor) -> Tensor:
    """The conjugate transpose."""
    return conj(swap_last(x)) if x.dtype.kind == "c" else swap_last(x)


def hermitian_part(x: Tensor) -> Tensor:
    """``(x + x^H) / 2``."""
    return (x + adjoint(x)) * 0.5


def by_column(x: Tensor) -> Tensor:
    """One number for each column of matrices."""
    return expand_dims(x, -2)


def by_row(x: Tensor) -> Tensor:
    """One number for each row of matrices."""
    return expand_dims(x, -1)


def identity(n: int, like: Tensor) -> Tensor:
    """The unit matrix in the dtype and on the device of a tensor."""
    return eye(n, dtype=like.dtype, device=like.device)


def diagonal_mask(n: int, like: Tensor) -> Tensor:
    """Where the diagonal of an ``n x n`` matrix is."""
    return eye(n, dtype=bool_, device=like.device)


def ratio(x: Tensor, y: Tensor) -> Tensor:
    """``x / y`` where 0 / 0 is 0: what nothing asks for moves nothing, though it could not be moved."""
    return x / where(logical_and(equal(y, 0), equal(x, 0)), 1, y)


def within_gaps(x: Tensor, gaps: Tensor, diagonal: Tensor) -> Tensor:
    """``x / gaps`` off the diagonal, and given numbers on it."""
    on = diagonal_mask(x.shape[-1], x)
    return where(on, by_column(diagonal), ratio(x, where(on, 1, gaps)))
