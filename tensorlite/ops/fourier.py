"""Fourier transforms, as NumPy's pocketfft computes them, of the array API's `fft` extension.

Three ops: of complex numbers, from real ones to half of their spectrum, and back. Each is linear, and its derivative is
its adjoint, one of the three with the scaling of the other direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import functional, primitive
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import conj
from tensorlite.ops.indexing.index import _slice, _unslice
from tensorlite.ops.join import along
from tensorlite.ops.manipulation import _roll
from tensorlite.ops.shape import astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import (
    DEFAULT_FLOAT,
    FLOATS,
    TensorType,
    complex64,
    complex128,
    complex_dtype,
    dtype_of,
    float32,
    float64,
    real_dtype,
)

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn",
           "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"]

Axes = int | Sequence[int] | None

#: The same scaling in the other direction: what a transform does not divide by, its inverse does.
_OTHER = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


# --- ops ----------------------------------------------------------------------------------------------------------


def _check(x: Any, real_only: bool = False) -> None:
    wanted = (float32, float64) if real_only else (float32, float64, complex64, complex128)
    if x.dtype not in wanted:
        names = ", ".join(dtype.name for dtype in wanted[:-1])
        raise DTypeError(f"takes {names} and {wanted[-1].name}, not {x.dtype.name}",
                         "use tl.fft.fft" if x.dtype.kind == "c" else "cast it first: x.to(tl.float32)")


def _fft_type(x: TensorType, *, axes: tuple[int, ...], inverse: bool, norm: str) -> TensorType:
    _check(x)
    return retype(x, dtype=complex_dtype(x.dtype))


@primitive("opaque", type=_fft_type, samples=[
    Sample((3, 4), axes=(1,), inverse=False, norm="backward"),
    Sample((2, 3, 2), axes=(0, 1), inverse=True, norm="ortho")],
           vjp={"x": lambda g, axes, inverse, norm: _fft(g, axes=axes, inverse=not inverse, norm=_OTHER[norm])})
def _fft(xp: Any, x: Any, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
    _check(x)
    if not x.size:
        return x.astype(complex_dtype(x.dtype))
    for axis in axes:
        x = (xp.fft.ifft if inverse else xp.fft.fft)(x, axis=axis, norm=norm)
    return x


def _half(n: int) -> int:
    """How many numbers tell the spectrum of ``n`` real ones."""
    return n // 2 + 1


def _changed(x: TensorType, axis: int, n: int, dtype: np.dtype) -> TensorType:
    return retype(x, (*x.shape[:axis], n, *x.shape[axis + 1:]), dtype)


def _weights(like: Tensor, axis: int, n: int, inner: float) -> Tensor:
    """1 for the numbers of half a spectrum that stand for themselves alone, ``inner`` for those that stand for two."""
    found = np.full(_half(n), inner, real_dtype(like.dtype))
    found[0] = 1
    if n % 2 == 0:
        found[-1] = 1
    return asarray(found.reshape(-1, *(1,) * (like.ndim - axis - 1)), device=like.device)


def _rfft_type(x: TensorType, *, axis: int, norm: str) -> TensorType:
    _check(x, real_only=True)
    return _changed(x, axis, _half(x.shape[axis]), complex_dtype(x.dtype))


def _rfft_vjp(g: Tensor, x_shape: tuple[int, ...], axis: int, norm: str) -> Tensor:
    n = x_shape[axis]
    return _irfft(g * _weights(g, axis, n, 0.5), axis=axis, n=n, norm=_OTHER[norm])


@primitive("opaque", type=_rfft_type, vjp={"x": _rfft_vjp},
           samples=[Sample((3, 4), axis=1, norm="backward"), Sample((5, 2), axis=0, norm="forward")])
def _rfft(xp: Any, x: Any, *, axis: int, norm: str) -> Any:
    _check(x, real_only=True)
    return xp.fft.rfft(x, axis=axis, norm=norm)


def _irfft_type(x: TensorType, *, axis: int, n: int, norm: str) -> TensorType:
    _check(x)
    return _changed(x, axis, n, real_dtype(x.dtype))


@primitive("opaque", type=_irfft_type, vjp={"x": lambda g, axis, n, norm: _rfft(
    g, axis=axis, norm=_OTHER[norm]) * _weights(g, axis, n, 2.0)},
           samples=[Sample((3, 3), axis=1, n=4, norm="backward"), Sample((3, 2), axis=0, n=5, norm="ortho")])
def _irfft(xp: Any, x: Any, *, axis: int, n: int, norm: str) -> Any:
    """``x`` has as many numbers along the axis as tell the spectrum of ``n``."""
    _check(x)
    return xp.fft.irfft(x, n, axis=axis, norm=norm)


# --- reading arguments --------------------------------------------------------------------------------------------


def _norm(op: str, norm: str | None, other: bool = False) -> str:
    norm = "backward" if norm is None else norm
    if norm not in _OTHER:
        raise complaint(ArgumentError, op, f"norm is 'backward', 'ortho' or 'forward', not {norm!r}")
    return _OTHER[norm] if other else norm


def _floating(x: Tensor) -> Tensor:
    """Integers as the default float, as in PyTorch; the ops refuse what they do not take."""
    return astype(x, DEFAULT_FLOAT) if x.dtype.kind in "biu" else x


def _real(op: str, x: Tensor) -> Tensor:
    if x.dtype.kind == "c":
        raise complaint(DTypeError, op, f"takes real numbers, not {x.dtype.name}", {"x": x}, "use tl.fft.fft")
    return _floating(x)


def _length(op: str, x: Tensor, n: int | None, extent: int) -> int:
    """A number of points to transform."""
    n = extent if n is None else n
    if n < 1:
        raise complaint(ShapeError, op, f"{n} points have no transform", {"x": x}, "there must be 1 or more")
    return n


def _resized(x: Tensor, axis: int, n: int) -> Tensor:
    """The first ``n`` elements along an axis, zeros after those that there are."""
    extent = x.shape[axis]
    if n == extent:
        return x
    if n < extent:
        return _slice(x, spec=along(axis, slice(0, n)))
    return _unslice(x, spec=along(axis, slice(0, extent)), shape=(*x.shape[:axis], n, *x.shape[axis + 1:]))


def _lengths(op: str, x: Tensor, s: Sequence[int] | None, axes: Axes) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """The axes of a transform, counted from the front, and the points along each, None for those that there are."""
    if axes is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise complaint(ShapeError, op, f"s names {count} lengths for {x.ndim} axes", {"x": x, "s": s})
        chosen = tuple(range(x.ndim - count, x.ndim))
    else:
        chosen = tuple(one_axis(op, x, a) for a in (axes if isinstance(axes, Sequence) else (axes,)))
    if len(set(chosen)) < len(chosen):
        raise complaint(ArgumentError, op, "an axis is given twice", {"x": x, "axes": axes})
    if s is not None and len(s) != len(chosen):
        raise complaint(ArgumentError, op, f"s names {len(s)} lengths for {len(chosen)} axes",
                        {"x": x, "s": s, "axes": axes})
    return chosen, tuple(None if n == -1 else n for n in s) if s is not None else (None,) * len(chosen)


def _complex(op: str, x: Tensor, s: Sequence[int] | None, axes: Axes, norm: str | None, inverse: bool) -> Tensor:
    scaling = _norm(op, norm)
    chosen, lengths = _lengths(op, x, s, axes)
    x = _floating(x)
    for axis, n in zip(chosen, lengths, strict=True):
        x = _resized(x, axis, _length(op, x, n, x.shape[axis]))
    return _fft(x, axes=chosen, inverse=inverse, norm=scaling)


def _to_half(op: str, x: Tensor, s: Sequence[int] | None, axes: Axes, scaling: str, inverse: bool = False) -> Tensor:
    """Real numbers to half of their spectrum along the last axis, and to a whole one along the others."""
    chosen, lengths = _some(op, x, *_lengths(op, x, s, axes))
    x = _real(op, x)
    for axis, n in zip(chosen, lengths, strict=True):
        x = _resized(x, axis, _length(op, x, n, x.shape[axis]))
    x = _rfft(x, axis=chosen[-1], norm=scaling)
    return _fft(x, axes=chosen[:-1], inverse=inverse, norm=scaling) if len(chosen) > 1 else x


def _from_half(op: str, x: Tensor, s: Sequence[int] | None, axes: Axes, scaling: str, inverse: bool = True) -> Tensor:
    """Half of a spectrum along the last axis, a whole one along the others, to real numbers."""
    chosen, lengths = _some(op, x, *_lengths(op, x, s, axes))
    x, last = _floating(x), chosen[-1]
    for axis, n in zip(chosen[:-1], lengths, strict=False):
        x = _resized(x, axis, _length(op, x, n, x.shape[axis]))
    n = _length(op, x, lengths[-1], 2 * (x.shape[last] - 1))
    x = _resized(x, last, _half(n))
    x = _fft(x, axes=chosen[:-1], inverse=inverse, norm=scaling) if len(chosen) > 1 else x
    return _irfft(x, axis=last, n=n, norm=scaling)


def _some(op: str, x: Tensor, axes: tuple[int, ...], lengths: tuple[int | None, ...]) -> tuple[Any, Any]:
    if not axes:
        raise complaint(ShapeError, op, "there is no axis to transform", {"x": x})
    return axes, lengths


def _one(n: int | None) -> tuple[int] | None:
    return None if n is None else (n,)


# --- along one axis -----------------------------------------------------------------------------------------------


@functional
def fft(x: Tensor, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The discrete Fourier transform ``sum(x[j] * exp(-2 pi i j k / n))`` along an axis.

    ``n`` cuts the axis off or fills it with zeros first. ``norm`` says what divides by n: "backward" the inverse only,
    "forward" this one, "ortho" both, by its root. Real numbers are taken as complex ones.

    >>> import tensorlite as tl
    >>> tl.fft.fft(tl.tensor([1.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _complex("fft", x, _one(n), axis, norm, inverse=False)


@functional
def ifft(x: Tensor, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of `fft`, with the same options.

    >>> import tensorlite as tl
    >>> tl.fft.ifft(tl.tensor([3.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _complex("ifft", x, _one(n), axis, norm, inverse=True)


@functional
def rfft(x: Tensor, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The first ``n // 2 + 1`` numbers of the `fft` of real numbers: the others are their conjugates.

    >>> import tensorlite as tl
    >>> tl.fft.rfft(tl.tensor([1.0, 1.0, 1.0, 1.0]))
    tensor([4.+0.j, 0.+0.j, 0.+0.j], dtype=complex64)
    """
    return _to_half("rfft", x, _one(n), axis, _norm("rfft", norm))


@functional
def irfft(x: Tensor, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of `rfft`: ``n`` real numbers, by default ``2 * (m - 1)`` of ``m`` complex ones.

    >>> import tensorlite as tl
    >>> tl.fft.irfft(tl.tensor([4.0 + 0j, 0, 0]))
    tensor([1., 1., 1., 1.])
    """
    return _from_half("irfft", x, _one(n), axis, _norm("irfft", norm))


@functional
def hfft(x: Tensor, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The real `fft` of ``n`` numbers of which half are given, the others being their conjugates.

    >>> import tensorlite as tl
    >>> tl.fft.hfft(tl.tensor([1.0 + 0j, 0, 0]))
    tensor([1., 1., 1., 1.])
    """
    return _from_half("hfft", conj(x), _one(n), axis, _norm("hfft", norm, other=True))


@functional
def ihfft(x: Tensor, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of `hfft`: half of the `ifft` of real numbers.

    >>> import tensorlite as tl
    >>> tl.fft.ihfft(tl.tensor([4.0, 0.0, 0.0, 0.0]))
    tensor([1.-0.j, 1.-0.j, 1.-0.j], dtype=complex64)
    """
    return conj(_to_half("ihfft", x, _one(n), axis, _norm("ihfft", norm, other=True)))


# --- along several axes -------------------------------------------------------------------------------------------


@functional
def fftn(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = "backward") -> Tensor:
    """The `fft` along several axes: all of them, or the last where ``s`` names a number of points for each.

    >>> import tensorlite as tl
    >>> tl.fft.fftn(tl.ones((2, 2)))
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _complex("fftn", x, s, axes, norm, inverse=False)


@functional
def ifftn(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = "backward") -> Tensor:
    """The inverse of `fftn`, with the same options.

    >>> import tensorlite as tl
    >>> tl.fft.ifftn(tl.ones((2, 2)))
    tensor([[1.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _complex("ifftn", x, s, axes, norm, inverse=True)


@functional
def rfftn(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = "backward") -> Tensor:
    """The `rfft` along the last of several axes, and the `fft` along the others.

    >>> import tensorlite as tl
    >>> tl.fft.rfftn(tl.ones((2, 4))).shape
    (2, 3)
    """
    return _to_half("rfftn", x, s, axes, _norm("rfftn", norm))


@functional
def irfftn(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = "backward") -> Tensor:
    """The inverse of `rfftn`; ``s`` names the numbers of points of the result.

    >>> import tensorlite as tl
    >>> tl.fft.irfftn(tl.fft.rfftn(tl.ones((2, 5))), s=(2, 5)).shape
    (2, 5)
    """
    return _from_half("irfftn", x, s, axes, _norm("irfftn", norm))


@functional
def hfftn(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = "backward") -> Tensor:
    """The `hfft` along the last of several axes, and the `fft` along the others.

    >>> import tensorlite as tl
    >>> tl.fft.hfftn(tl.ones((2, 3))).shape
    (2, 4)
    """
    return _from_half("hfftn", conj(x), s, axes, _norm("hfftn", norm, other=True))


@functional
def ihfftn(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = "backward") -> Tensor:
    """The inverse of `hfftn`.

    >>> import tensorlite as tl
    >>> tl.fft.ihfftn(tl.ones((2, 4))).shape
    (2, 3)
    """
    return conj(_to_half("ihfftn", x, s, axes, _norm("ihfftn", norm, other=True)))


_PAIRS = {"fft2": fftn, "ifft2": ifftn, "rfft2": rfftn, "irfft2": irfftn, "hfft2": hfftn, "ihfft2": ihfftn}


def _of_pair(name: str) -> Any:
    """The transform along two axes, by default the last."""
    several = _PAIRS[name]

    def transform(x: Tensor, /, s: Sequence[int] | None = None, axes: Axes = (-2, -1),
                  norm: str | None = "backward") -> Tensor:
        return several(x, s, axes, norm)
    transform.__name__ = transform.__qualname__ = name
    transform.__code__ = transform.__code__.replace(co_name=name)  # errors know functions by their code
    transform.__doc__ = f"The `{several.__name__}` along two axes, by default the last."
    return functional(transform)


fft2, ifft2, rfft2, irfft2, hfft2, ihfft2 = map(_of_pair, _PAIRS)


# --- frequencies --------------------------------------------------------------------------------------------------


def _frequencies(op: str, count: Any, n: int, d: float, dtype: Any, device: str | None) -> Tensor:
    if n < 1:
        raise complaint(ArgumentError, op, f"{n} points have no frequencies", None, "there must be 1 or more")
    wanted = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    if wanted not in FLOATS:
        raise complaint(DTypeError, op, f"frequencies are real and floating, not {wanted.name}")
    return asarray((count(n) / (n * d)).astype(wanted), device=device)


@functional
def fftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The frequencies that the numbers of an `fft` of ``n`` points, ``d`` apart, belong to.

    >>> import tensorlite as tl
    >>> tl.fft.fftfreq(4)
    tensor([ 0.  ,  0.25, -0.5 , -0.25])
    """
    return _frequencies("fftfreq", lambda n: (np.arange(n) + n // 2) % n - n // 2, n, d, dtype, device)


@functional
def rfftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """The frequencies that the numbers of an `rfft` of ``n`` points, ``d`` apart, belong to.

    >>> import tensorlite as tl
    >>> tl.fft.rfftfreq(4)
    tensor([0.  , 0.25, 0.5 ])
    """
    return _frequencies("rfftfreq", lambda n: np.arange(_half(n)), n, d, dtype, device)


def _shifted(op: str, x: Tensor, axes: Axes, sign: int) -> Tensor:
    chosen, _ = _lengths(op, x, None, axes)
    middle = (x.shape[a] // 2 if sign > 0 else -(x.shape[a] // 2) for a in chosen)
    return _roll(x, shift=tuple(middle), axis=chosen)


@functional
def fftshift(x: Tensor, /, axes: Axes = None) -> Tensor:
    """The elements moved along axes, all by default, so that frequency 0 is in the middle.

    >>> import tensorlite as tl
    >>> tl.fft.fftshift(tl.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return _shifted("fftshift", x, axes, 1)


@functional
def ifftshift(x: Tensor, /, axes: Axes = None) -> Tensor:
    """The inverse of `fftshift`.

    >>> import tensorlite as tl
    >>> tl.fft.ifftshift(tl.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return _shifted("ifftshift", x, axes, -1)
