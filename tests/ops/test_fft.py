"""`tl.fft`: values and derivatives beside PyTorch's, with every option, and the laws of transforms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import DTypeError

NORMS = ("backward", "ortho", "forward", None)
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn")
REAL_ONLY = ("rfft", "ihfft", "rfftn", "ihfftn", "rfft2", "ihfft2")

norms = st.sampled_from(NORMS)
by_dtype = pytest.mark.parametrize("dtype", [tl.float32, tl.float64, tl.complex64, tl.complex128],
                                   ids=lambda d: d.name)


def parts(library, x):
    """Complex numbers as real ones, one more axis in front."""
    return library.stack([library.real(x), library.imag(x)]) if "complex" in str(x.dtype) else x


def check(name: str, shape: tuple[int, ...], *arguments, **options) -> None:
    """A transform of real and of complex numbers, and its derivatives, are PyTorch's."""
    from nn.against_torch import compare, draw, torch

    def of(library, *arrays):
        x = arrays[0] if len(arrays) == 1 else arrays[0] + 1j * arrays[1]
        return parts(library, getattr(library.fft, name)(x, *arguments, **options))
    arrays = [draw(*shape), draw(*shape, seed=1)]
    for chosen in (arrays[:1], arrays)[:1 if name in REAL_ONLY else 2]:
        compare(lambda *x: of(tl, *x), lambda *x: of(torch, *x), *chosen, terms=256)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(ONE), axis=st.integers(-2, 1), n=st.none() | st.integers(1, 7), norm=norms)
def test_transforms_along_one_axis(name, axis, n, norm):
    check(name, (5, 4), n, axis, norm)
    check(name, (5, 4), n, dim=axis, norm=norm)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(SEVERAL), axes=st.sampled_from([None, (0,), (-1, 0), (0, 2, 1)]),
       extents=st.none() | st.lists(st.integers(1, 5) | st.just(-1), min_size=3, max_size=3), norm=norms)
def test_transforms_along_several_axes(name, axes, extents, norm):
    s = None if extents is None else tuple(extents[:3 if axes is None else len(axes)])
    check(name, (3, 4, 2), s, axes, norm)


@settings(max_examples=12, deadline=None)
@given(name=st.sampled_from(["fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2"]),
       s=st.none() | st.tuples(st.integers(1, 5), st.integers(1, 5)), norm=norms)
def test_transforms_along_two_axes(name, s, norm):
    check(name, (2, 3, 4), s, norm=norm)
    check(name, (2, 3, 4), s, dim=(0, 1), norm=norm)


def test_errors_name_the_transform_along_two_axes():
    for name in ("fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2"):
        with pytest.raises(DTypeError, match=f"^{name}: takes"):
            getattr(tl.fft, name)(tl.zeros((2, 2), dtype=tl.float16))


@by_dtype
def test_inverses_and_precision(dtype):
    random = np.random.default_rng(0)
    x = random.standard_normal((3, 7, 6)) + (1j * random.standard_normal((3, 7, 6)) if dtype.kind == "c" else 0)
    x = tl.asarray(x.astype(dtype))
    for norm in NORMS:
        there = tl.fft.fftn(x, norm=norm)
        assert there.dtype == tl.result_type(dtype, tl.complex64)
        assert_close(tl.fft.ifftn(there, norm=norm), x.numpy().astype(there.dtype), terms=128)
        if dtype.kind == "f":
            for n in (6, 5):
                half = tl.fft.rfft(x[..., :n], norm=norm)
                assert half.dtype == there.dtype
                assert tl.fft.irfft(half, n, norm=norm).dtype == dtype
                assert_close(tl.fft.irfft(half, n, norm=norm), x[..., :n].numpy(), terms=64)
                assert_close(half, tl.fft.fft(x[..., :n], norm=norm)[..., :n // 2 + 1].numpy(), terms=64)
                assert_close(tl.fft.hfft(tl.fft.ihfft(x[..., :n], norm=norm), n, norm=norm), x[..., :n].numpy(),
                             terms=64)


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_integers_are_the_default_float(name):
    x = tl.tensor([[1, 2, 3], [4, 5, 7]])
    assert_same(getattr(tl.fft, name)(x), getattr(tl.fft, name)(x.to(tl.float32)).numpy())


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_compiled_and_mapped(name):
    x = tl.asarray(np.random.default_rng(0).standard_normal((3, 4, 5)))
    function = getattr(tl.fft, name)

    def slope(x):
        return tl.grad(lambda x: tl.abs(function(x)).sum())(x)
    assert_close(tl.jit(function)(x), function(x), terms=16)
    assert_close(tl.jit(slope)(x), slope(x), terms=64)
    for f in (function, slope):
        assert_close(tl.vmap(f, in_axes=1, out_axes=-1)(x), np.stack([f(x[:, i]).numpy() for i in range(4)], -1),
                     terms=64)


def test_convolution_is_a_product_of_spectra():
    a, b = (tl.asarray(np.random.default_rng(i).standard_normal(8)) for i in range(2))
    product = tl.fft.irfft(tl.fft.rfft(a, 15) * tl.fft.rfft(b, 15), 15)
    assert_close(product, np.convolve(a.numpy(), b.numpy()), terms=64)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("d", [1.0, 0.25])
def test_frequencies_and_shifts(n, d):
    for name in ("fftfreq", "rfftfreq"):
        expected = getattr(np.fft, name)(n, d)
        assert_close(getattr(tl.fft, name)(n, d=d), expected.astype(np.float32))
        assert_same(getattr(tl.fft, name)(n, d=d, dtype=tl.float64), expected)
    x = np.arange(3.0 * n).reshape(3, n)
    for axes in (None, 0, -1, (1, 0)):
        for name in ("fftshift", "ifftshift"):
            assert_same(getattr(tl.fft, name)(tl.tensor(x), axes=axes), getattr(np.fft, name)(x, axes))
        assert_same(tl.fft.ifftshift(tl.fft.fftshift(tl.tensor(x), axes), dim=axes), x)


def test_nothing_beside_the_axis():
    assert tl.fft.fft(tl.zeros((0, 4))).shape == (0, 4)
    assert tl.fft.rfftn(tl.zeros((0, 4)), axes=(1,)).shape == (0, 3)
    assert tl.fft.irfft(tl.zeros((0, 3), dtype=tl.complex64)).shape == (0, 4)
