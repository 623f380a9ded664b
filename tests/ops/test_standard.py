"""The namespace is the array API standard 2024.12: its names, signatures, scalars and special cases."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import array_api
from tolerance import assert_close, assert_same

import tensorlite as tl
from docs.coverage.standard import EXTENSIONS, FUNCTIONS, METHODS, STANDARD_DTYPES
from tensorlite.tensor_type import DTYPES, GROUPS, default_dtype, promote, promote_scalar, scalar_kind


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_there_and_documented(name):
    function = getattr(tl, name)
    assert callable(function)
    assert inspect.getdoc(function)
    assert name in tl.__all__


@pytest.mark.parametrize("name", METHODS)
def test_tensor_has(name):
    assert hasattr(tl.Tensor, name)


def test_constants_and_dtypes():
    assert (tl.e, tl.pi, tl.inf, tl.newaxis) == (math.e, math.pi, math.inf, None)
    assert math.isnan(tl.nan)
    for name in STANDARD_DTYPES:
        assert getattr(tl, name) == np.dtype(name)
    assert tl.__array_api_version__ == "2024.12"
    assert tl.zeros(1).__array_namespace__() is tl


#: Parameters that may be given by name and by place where the standard asks for one of both.
LOOSER = {(inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD),
          (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)}


def check_signature(xp, strict, name):
    """Every parameter of the standard's function may be given as the standard says, and no other must be."""
    ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (xp, strict))
    for parameter in theirs.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            kinds = [p.kind for p in ours.values()]
            place = list(theirs).index(parameter.name)
            assert kinds[place] in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            continue
        assert parameter.name in ours
        mine = ours[parameter.name]
        assert mine.kind == parameter.kind or (parameter.kind, mine.kind) in LOOSER
        if parameter.name not in ("device", "copy") and parameter.default is not parameter.empty:
            assert mine.default == parameter.default
    extra = [p for n, p in ours.items() if n not in theirs and p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)]
    assert all(p.default is not p.empty for p in extra)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature(name):
    check_signature(tl, pytest.importorskip("array_api_strict", reason="its signatures are the standard's"), name)


@pytest.mark.parametrize(("extension", "name"), [(e, name) for e, names in EXTENSIONS.items() for name in names])
def test_extension_is_there_and_documented(extension, name):
    strict = pytest.importorskip("array_api_strict", reason="its signatures are the standard's")
    theirs = getattr(strict, extension)
    assert inspect.getdoc(getattr(getattr(tl, extension), name))
    assert set(theirs.__all__) == set(EXTENSIONS[extension])
    check_signature(getattr(tl, extension), theirs, name)


def extension_calls(xp, dtype):
    """Calls of the standard's extensions and their results, of tensors or of arrays of a namespace."""
    real = np.random.default_rng(0).standard_normal((2, 3, 3)) / 4 + np.eye(3) * [1, 2, 3]
    x = xp.asarray(np.asarray(real + (0.25j * real[::-1] if dtype.kind == "c" else 0)).astype(dtype.name))
    h = xp.matmul(x, xp.conj(xp.matrix_transpose(x)))
    linalg, fft = xp.linalg, xp.fft
    yield from (linalg.cholesky(h), linalg.cholesky(h, upper=True), linalg.det(x), linalg.diagonal(x, offset=-1),
                linalg.eigvalsh(h), linalg.eigh(h).eigenvalues, linalg.inv(x), linalg.matrix_power(x, -2),
                linalg.matrix_rank(x), linalg.pinv(x, rtol=0.1), linalg.slogdet(x).sign, linalg.slogdet(x).logabsdet,
                linalg.solve(x, x[0, ...]), linalg.solve(x, x[0, 0, :]), linalg.svdvals(x),
                linalg.svd(x, full_matrices=False).S, linalg.trace(x, offset=1), linalg.cross(x, x[0, ...]),
                linalg.outer(x[0, 0, :], x[0, 1, :]), xp.abs(linalg.qr(x).R), xp.abs(linalg.qr(x, mode="complete").Q))
    for order in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
        yield linalg.matrix_norm(x, ord=order, keepdims=True)
    for order in (0, 1, 2, 3.5, float("inf"), -float("inf")):
        yield linalg.vector_norm(x, axis=(0, 2), ord=order)
    for norm in ("backward", "ortho", "forward"):
        z = x if dtype.kind == "c" else xp.astype(x, xp.complex128 if dtype.itemsize == 8 else xp.complex64)
        yield from (fft.fft(z, n=4, norm=norm), fft.ifft(z, axis=0, norm=norm), fft.fftn(z, axes=(0, 1), norm=norm),
                    fft.ifftn(z, norm=norm), fft.irfft(z, n=5, norm=norm), fft.irfftn(z, norm=norm),
                    fft.hfft(z, norm=norm), fft.rfft(xp.real(z), norm=norm), fft.rfftn(xp.real(z), norm=norm),
                    fft.ihfft(xp.real(z), norm=norm), fft.fftshift(z), fft.ifftshift(z, axes=(1,)))


@pytest.mark.parametrize("name", ["float32", "float64", "complex64", "complex128"])
def test_extensions_give_what_the_strict_namespace_gives(name):
    strict = pytest.importorskip("array_api_strict", reason="it is the standard's own implementation")
    dtype = np.dtype(name)
    for ours, theirs in zip(extension_calls(tl, dtype), extension_calls(strict, dtype), strict=True):
        expected = np.asarray(theirs)
        assert ours.dtype == expected.dtype
        assert_close(ours, expected, terms=1024)


# --- drawn by hypothesis ------------------------------------------------------------------------------------------

STRATEGIES = array_api.make_strategies_namespace(tl, api_version="2024.12")


@given(st.data())
@settings(max_examples=50)
def test_hypothesis_draws_our_tensors(data):
    dtype = data.draw(STRATEGIES.scalar_dtypes())
    x = data.draw(STRATEGIES.arrays(dtype, STRATEGIES.array_shapes(min_dims=0, min_side=0)))
    index = data.draw(STRATEGIES.indices(x.shape, allow_newaxis=True))
    assert (type(x), x.dtype) == (tl.Tensor, dtype)
    assert_same(x[index], x.numpy()[index])


# --- Python scalars -----------------------------------------------------------------------------------------------

BINARY = {
    "add": "numeric", "subtract": "numeric", "multiply": "numeric", "divide": "floating", "pow": "numeric",
    "floor_divide": "real", "remainder": "real", "maximum": "real", "minimum": "real", "atan2": "real floating",
    "copysign": "real floating", "hypot": "real floating", "logaddexp": "real floating", "nextafter": "real floating",
    "less": "real", "less_equal": "real", "greater": "real", "greater_equal": "real", "equal": "any",
    "not_equal": "any",
    "bitwise_and": "integer or bool", "bitwise_or": "integer or bool", "bitwise_xor": "integer or bool",
    "bitwise_left_shift": "integer", "bitwise_right_shift": "integer", "logical_and": "bool", "logical_or": "bool",
    "logical_xor": "bool",
}


@pytest.mark.parametrize("name", BINARY)
def test_binary_function_of_a_tensor_and_a_number(name):
    function = getattr(tl, name)
    for dtype in GROUPS[BINARY[name]]:
        for number in (True, 2, 1.5, 1j):
            kind = scalar_kind(number)
            if promote_scalar(dtype, kind) != dtype or (kind == "bool") != (dtype == tl.bool):
                continue
            x = tl.ones((2,), dtype=dtype)
            same = tl.asarray(number, dtype=dtype)
            for numbers, tensors in (((x, number), (x, same)), ((number, x), (same, x))):
                result, expected = function(*numbers), function(*tensors)
                assert result.dtype == expected.dtype
                assert result.tolist() == expected.tolist()


def test_where_of_numbers():
    condition = tl.tensor([True, False])
    assert tl.where(condition, tl.tensor([1, 2], dtype=tl.int8), 3).dtype == tl.int8
    assert tl.where(condition, 0.5, tl.tensor([1.0, 2.0], dtype=tl.float64)).tolist() == [0.5, 2.0]
    assert tl.where(condition, 1, 0).tolist() == [1, 0]


# --- special cases ------------------------------------------------------------------------------------------------

UNARY = """
abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor isfinite isinf isnan log log10 log1p log2 negative
positive reciprocal round sign signbit sin sinh sqrt square tan tanh trunc
""".split()

NUMPYS = {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
          "atanh": "arctanh", "atan2": "arctan2", "pow": "power", "bitwise_invert": "invert",
          "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift"}

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.5, np.inf, -np.inf, np.nan])
by_size = pytest.mark.parametrize("times", [1, 4000], ids=["small", "large"])
by_float = pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=lambda d: d.name)


def same_signs(ours: np.ndarray, numpys: np.ndarray) -> None:
    """Asserts that zeros and infinities have the same sign."""
    known = ~np.isnan(numpys) if numpys.dtype.kind == "f" else np.zeros(numpys.shape, bool)
    np.testing.assert_array_equal(np.signbit(ours[known]), np.signbit(numpys[known]))


@by_size
@by_float
@pytest.mark.parametrize("name", UNARY)
def test_special_cases_of_one_number(name, dtype, times):
    x = np.tile(SPECIAL, times).astype(dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, NUMPYS.get(name, name))(x)
    result = getattr(tl, name)(tl.asarray(x))
    assert_close(result, expected)
    same_signs(result.numpy(), expected)


FLOATING_BINARY = [name for name, group in BINARY.items() if group in ("numeric", "floating", "real", "real floating")]


@by_size
@by_float
@pytest.mark.parametrize("name", FLOATING_BINARY)
def test_special_cases_of_two_numbers(name, dtype, times):
    pairs = np.array(list(itertools.product(SPECIAL, SPECIAL))).astype(dtype)
    x1, x2 = (np.tile(column, times) for column in pairs.T)
    with np.errstate(all="ignore"):
        expected = getattr(np, NUMPYS.get(name, name))(x1, x2)
    result = getattr(tl, name)(tl.asarray(x1), tl.asarray(x2))
    assert_close(result, expected)
    if name not in ("maximum", "minimum"):  # which of 0.0 and -0.0 they choose is open
        same_signs(result.numpy(), expected)


@pytest.mark.parametrize("dtype", sorted(GROUPS["integer"], key=str), ids=lambda d: d.name)
def test_special_cases_of_integers(dtype):
    info = np.iinfo(dtype)
    numbers = np.array([0, 1, 2, 7, info.max, info.min, info.min + 1], dtype)
    x1, x2 = np.array(list(itertools.product(numbers, numbers)), dtype).T
    for name in ("add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum"):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(x1, x2)
        assert_close(getattr(tl, name)(tl.asarray(x1), tl.asarray(x2)), expected)
    for name in ("abs", "negative", "positive", "square", "sign", "floor", "ceil", "trunc", "round"):
        assert_close(getattr(tl, name)(tl.asarray(numbers)), getattr(np, name)(numbers))


# --- what the standard asks about dtypes --------------------------------------------------------------------------

KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "fV",
    "complex floating": "c", "numeric": "iufcV",
}


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_isdtype(dtype):
    for kind, letters in KINDS.items():
        assert tl.isdtype(dtype, kind) is (dtype.kind in letters)
    assert tl.isdtype(dtype, dtype)
    assert tl.isdtype(dtype, ("bool", "numeric"))
    assert not tl.isdtype(dtype, ())
    assert tl.isdtype(dtype, (tl.int8, dtype))
    assert tl.isdtype(dtype, tl.float32) is (dtype == tl.float32)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_result_type_and_can_cast(dtype):
    for other in DTYPES:
        meeting = promote(dtype, other)
        assert tl.result_type(dtype, other) == tl.result_type(tl.zeros(1, dtype=dtype), other) == meeting
        assert tl.can_cast(dtype, other) is (meeting == other)
        assert tl.can_cast(tl.zeros(1, dtype=dtype), other) is (meeting == other)
    for number in (True, 1, 1.0, 1j):
        expected = promote_scalar(dtype, scalar_kind(number))
        assert tl.result_type(dtype, number) == tl.result_type(number, dtype) == expected
    assert tl.result_type(dtype) == dtype
    assert tl.result_type(1.5, tl.int8) == default_dtype("float")


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind in "fcV"], ids=lambda d: d.name)
def test_finfo(dtype):
    info = tl.finfo(dtype)
    parts = dtype if dtype.kind != "c" else np.dtype(f"float{dtype.itemsize * 4}")
    assert (info.dtype, info.bits) == (parts, parts.itemsize * 8)
    assert all(type(x) is float for x in (info.eps, info.max, info.min, info.smallest_normal))
    one = parts.type(1)
    assert float(one + parts.type(info.eps)) == 1 + info.eps
    assert float(one + parts.type(info.eps / 2)) == 1
    assert -info.min == info.max == float(parts.type(info.max)) < math.inf
    with np.errstate(over="ignore"):
        assert float(np.nextafter(parts.type(info.max), parts.type(math.inf))) == math.inf
    assert tl.finfo(tl.zeros(1, dtype=dtype)) == info


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind in "iu"], ids=lambda d: d.name)
def test_iinfo(dtype):
    info = tl.iinfo(dtype)
    bits = dtype.itemsize * 8
    low, high = (0, 2**bits - 1) if dtype.kind == "u" else (-2**(bits - 1), 2**(bits - 1) - 1)
    assert (info.bits, info.min, info.max, info.dtype) == (bits, low, high, dtype)
    assert tl.iinfo(tl.zeros(1, dtype=dtype)) == info


def test_namespace_info():
    info = tl.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_device() == "cpu"
    assert "cpu" in info.devices()
    assert info.default_dtypes(device="cpu") == {
        "real floating": tl.float32, "complex floating": tl.complex64, "integral": tl.int64, "indexing": tl.int64}
    assert list(info.dtypes()) == STANDARD_DTYPES
    for kind in KINDS:
        assert all(tl.isdtype(dtype, kind) for dtype in info.dtypes(kind=kind).values())
    assert list(info.dtypes(kind=("bool", "complex floating"))) == ["bool", "complex64", "complex128"]
    assert tl.zeros(tuple([1] * info.capabilities()["max dimensions"])).ndim == 64
