"""Determinants: det, slogdet, logdet, and the cofactors that are their derivative."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import primitive, public
from tensorlite.op import Regular, Sample
from tensorlite.ops.complex_numbers import imag
from tensorlite.ops.elementwise import conj, log
from tensorlite.ops.linear_algebra.linalg import _matmul, swap_last
from tensorlite.ops.linear_algebra.matrices import adjoint, by_row, call, check_square, over_stacks
from tensorlite.ops.linear_algebra.results import SlogdetResult
from tensorlite.ops.linear_algebra.solve import inv
from tensorlite.ops.reduce import _sum
from tensorlite.ops.shape import retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, real_dtype

__all__ = ["det", "logdet", "slogdet"]

_SAMPLES = (Sample(Regular((3, 3))), Sample(Regular((2, 2, 2))), Sample(Regular((0, 0))))


# --- det ----------------------------------------------------------------------------------------------------------


def _det_type(x: TensorType) -> TensorType:
    check_square(x)
    return retype(x, x.shape[:-2])


@primitive("opaque", type=_det_type, batch=over_stacks, samples=_SAMPLES,
           vjp={"x": lambda g, x: by_row(by_row(g)) * conj(_cofactors(x))})
def _det(xp: Any, x: Any) -> Any:
    check_square(x)
    return call(xp.linalg.det, x, problem="the determinant could not be computed")


def _cofactors_type(x: TensorType) -> TensorType:
    check_square(x)
    return x


def _cofactors_vjp(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """From ``C = det(A) A^-T``: ``conj(C) sum(g * A^-H) - A^-H g^T conj(C)``."""
    inverse, cofactors = adjoint(inv(x)), conj(y)
    share = _sum(g * inverse, axis=(g.ndim - 2, g.ndim - 1), keepdims=True, dtype=None)
    return cofactors * share - _matmul(_matmul(inverse, swap_last(g)), cofactors)


@primitive("opaque", type=_cofactors_type, batch=over_stacks, samples=_SAMPLES[:2], vjp={"x": _cofactors_vjp})
def _cofactors(xp: Any, x: Any) -> Any:
    """The derivative of the determinant by each element, of singular matrices too.

    ``A = U S V^H`` has the cofactors ``det(U) det(V^H) conj(U) P V^T``, where ``P`` holds the products of all singular
    values but one: nothing is divided by.
    """
    check_square(x)
    u, s, vh = call(xp.linalg.svd, x, problem="the singular values do not converge")
    before, after = xp.ones_like(s), xp.ones_like(s)
    xp.cumprod(s[..., :-1], axis=-1, out=before[..., 1:])
    after[..., :-1] = xp.cumprod(s[..., :0:-1], axis=-1)[..., ::-1]
    phase = xp.linalg.det(u) * xp.linalg.det(vh)
    return (phase[..., None, None] * xp.matmul(u.conj() * (before * after)[..., None, :], vh.conj())).astype(x.dtype)


@public
def det(x: Tensor, /) -> Tensor:
    """The determinants of square matrices; 1 of an empty one.

    The first derivative, the cofactors, is exact for singular matrices too; the second needs the inverse.

    >>> import tensorlite as tl
    >>> tl.linalg.det(tl.tensor([[2.0, 1.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return _det(x)


# --- slogdet ------------------------------------------------------------------------------------------------------


def _slogdet_type(x: TensorType) -> tuple[TensorType, TensorType]:
    check_square(x)
    return retype(x, x.shape[:-2]), retype(x, x.shape[:-2], real_dtype(x.dtype))


def _slogdet_vjp(g: tuple[Tensor, Tensor], x: Tensor, y: tuple[Tensor, Tensor]) -> Tensor:
    """``A^-H`` times the cotangent of ``log(det)``: the real part moves the logarithm, the imaginary one the sign."""
    slope = g[1]
    if x.dtype.kind == "c":
        slope = slope - 1j * imag(conj(g[0]) * y[0])
    return by_row(by_row(slope)) * adjoint(inv(x))


@primitive("opaque", type=_slogdet_type, batch=over_stacks, samples=_SAMPLES, vjp={"x": _slogdet_vjp})
def _slogdet(xp: Any, x: Any) -> Any:
    check_square(x)
    sign, logarithm = call(xp.linalg.slogdet, x, problem="the determinant could not be computed")
    return xp.asarray(sign), xp.asarray(logarithm)


@public
def slogdet(x: Tensor, /) -> SlogdetResult:
    """The signs of determinants (of complex ones, the phases) and the logarithms of their absolute values.

    The result has the fields ``sign`` and ``logabsdet``; of a singular matrix they are 0 and -inf.

    >>> import tensorlite as tl
    >>> tl.linalg.slogdet(tl.tensor([[-1.0, 0.0], [0.0, 1.0]]))
    SlogdetResult(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    return SlogdetResult(*_slogdet(x))


@public
def logdet(x: Tensor, /) -> Tensor:
    """The logarithms of determinants: NaN of a negative one, -inf of a singular matrix.

    >>> import tensorlite as tl
    >>> tl.logdet(tl.eye(3))
    tensor(0.)
    """
    sign, logarithm = _slogdet(x)
    return log(sign) + logarithm
