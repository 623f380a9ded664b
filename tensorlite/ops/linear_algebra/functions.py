"""Powers and the exponential of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.kernels.cpu.blas import one_thread
from tensorlite.op import Regular, Sample
from tensorlite.ops.elementwise import where
from tensorlite.ops.filled import full, zeros_like
from tensorlite.ops.join import concat
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.linear_algebra.matrices import adjoint, check_square, identity, over_stacks
from tensorlite.ops.linear_algebra.solve import inv
from tensorlite.ops.shape import _copy
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

__all__ = ["matrix_exp", "matrix_power"]


@public
def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Square matrices multiplied by themselves: ``n`` times, their inverses where ``n`` is negative; ones for 0.

    Raises `LinAlgError` for a negative power of a singular matrix.

    >>> import tensorlite as tl
    >>> tl.linalg.matrix_power(tl.tensor([[1, 1], [0, 1]]), 5)
    tensor([[1, 5],
            [0, 1]])
    """
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise complaint(ShapeError, "matrix_power", "only a square matrix has powers", {"x": x})
    try:
        n = n.__index__()
    except AttributeError:
        raise complaint(ArgumentError, "matrix_power", f"n must be an integer, not {type(n).__name__}",
                        {"x": x}) from None
    if n == 0:
        return where(full((), True, device=x.device), identity(x.shape[-1], x), x)  # recorded, with a derivative of 0
    base, n = (x, n) if n > 0 else (inv(x), -n)
    found = None
    while n:
        if n & 1:
            found = base if found is None else matmul(found, base)
        n >>= 1
        base = matmul(base, base) if n else base
    return _copy(x) if found is x or found is None else found


# --- matrix_exp ---------------------------------------------------------------------------------------------------

#: The numbers of Pade's approximant of degree 13, and the 1-norm up to which it is exact in float64 (Higham 2005).
_PADE = (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
         10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0)
_REACH = 5.371920351148152


def _matrix_exp_type(x: TensorType) -> TensorType:
    check_square(x)
    return x


def _matrix_exp_vjp(g: Tensor, x: Tensor) -> Tensor:
    """The upper right part of ``exp([[A^H, g], [0, A^H]])`` (Mathias 1996)."""
    n, transposed = x.shape[-1], adjoint(x)
    upper, lower = concat([transposed, g], axis=-1), concat([zeros_like(transposed), transposed], axis=-1)
    return _matrix_exp(concat([upper, lower], axis=-2))[..., :n, n:]


@primitive("opaque", type=_matrix_exp_type, batch=over_stacks, vjp={"x": _matrix_exp_vjp},
           samples=[Sample((3, 3)), Sample(Regular((2, 2, 2)))])
def _matrix_exp(xp: Any, x: Any) -> Any:
    """Each matrix halved until the approximant is exact, and its exponential squared as often."""
    check_square(x)
    if not x.size:
        return x.copy()
    norm = xp.abs(x).sum(axis=-2).max(axis=-1)
    halvings = xp.ceil(xp.log2(xp.maximum(norm / _REACH, 1)))
    halvings = xp.where(xp.isfinite(halvings), halvings, 0).astype(int)
    with one_thread():
        found = _pade(xp, xp.ldexp(1.0, -halvings).astype(norm.dtype)[..., None, None] * x)
        for step in range(int(halvings.max())):
            again = (halvings > step)[..., None, None]
            found = xp.where(again, xp.matmul(found, found), found)
    return xp.where(xp.isfinite(norm)[..., None, None], found, np.nan).astype(x.dtype, copy=False)


def _pade(xp: Any, x: Any) -> Any:
    """The approximant ``(V - U)^-1 (V + U)``, of even powers ``V`` and odd powers ``U``."""
    if not xp.isfinite(x).all():
        x = xp.where(xp.isfinite(x).all(axis=(-2, -1), keepdims=True), x, 0)
    b = [x.dtype.type(number) for number in _PADE]
    one = xp.eye(x.shape[-1], dtype=x.dtype)
    x2 = xp.matmul(x, x)
    x4 = xp.matmul(x2, x2)
    x6 = xp.matmul(x4, x2)
    odd = xp.matmul(x6, b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
    even = xp.matmul(x6, b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    odd = xp.matmul(x, odd)
    return xp.linalg.solve(even - odd, even + odd)


@public
def matrix_exp(x: Tensor, /) -> Tensor:
    """The exponentials ``1 + x + x @ x / 2 + ...`` of square matrices, by scaling and squaring (Higham 2005).

    >>> import tensorlite as tl
    >>> tl.linalg.matrix_exp(tl.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _matrix_exp(x)
