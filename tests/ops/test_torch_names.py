"""Names and options that PyTorch has beside the standard's, side by side with it; their laws and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.against_torch import compare, draw, torch
from nn.beside_torch import check_compiled, check_mapped, first_line
from tolerance import assert_close

import tensorlite as tl

X, Y, SIGNAL = draw(3, 4), draw(3, 4, seed=1), draw(2, 40)
INTEGERS, DIVISORS = np.random.default_rng(0).integers(-20, 20, (3, 4)), np.array([[1, -2, 3, -4]])
COMPLEX = X + 1j * Y
FACTOR = np.linalg.cholesky(X @ X.T)

#: Calls of either library, on its tensors of the arrays.
CALLS = {
    "views of complex numbers": (lambda t, c: t.view_as_real(c), COMPLEX),
    "svd without vectors": (lambda t, x: tuple(t.svd(x, compute_uv=False)), X),
    "svd of all columns": (lambda t, x: t.svd(x, some=False)[2].abs(), X),
    "pinverse with a cutoff": (lambda t, x: t.pinverse(x, 0.5), X),
    "logspace": (lambda t: t.logspace(-1, 2, 7, base=2.0),),
    "unravel_index": (lambda t, i: t.unravel_index(i, (2, 3, 4)), np.arange(24)),
    "gcd": (lambda t, i, j: (t.gcd(i, j), t.lcm(i, j), i.clone().gcd_(j * 0 + 6)), INTEGERS, DIVISORS + INTEGERS * 0),
    "ldexp": (lambda t, x, i: t.ldexp(x, i), X, INTEGERS),
    "isposinf": (lambda t, x, i: (t.isposinf(1 / x), t.isneginf(1 / x), t.isposinf(i), t.isreal(x)), X * 0, INTEGERS),
    "isreal": (lambda t, c: t.isreal(c), COMPLEX * [0, 1, 1, 1]),
    "H": (lambda t, c: (c.H * 1, c[None].mH * 1, t.adjoint(c) * 1), COMPLEX),
    "repeat": (lambda t, x: (x.repeat(2, 1, 2), x.repeat((2, 3)), x.tile(2, 1)), X),
    "where": (lambda t, x: x.where(x > 0, 0.0), X),
    "new tensors": (lambda t, i, x: (i.new_zeros(2, 3), x.new_ones((2,)), x.new_full((2, 2), 3.0), x.new_tensor([1, 2]),
                                     i.new_zeros((2,), dtype=t.float64)), INTEGERS, X),
    "type_as": (lambda t, i, x: i.type_as(x), INTEGERS, X),
    "extents one by one": (lambda t: (t.zeros(2, 3), t.ones(2, 3, dtype=t.int64), t.zeros(size=(2,)),
                                      t.full(size=(2,), fill_value=1.0)),),
    "ranges": (lambda t: (t.linspace(0, 1, steps=3), t.arange(0, end=3), t.as_tensor([1.0, 2.0], dtype=t.float64)),),
    "dtypes of sums": (lambda t, i, x: (t.mean(i, dtype=t.float64), t.sum(x, 0, True, dtype=t.float32),
                                        t.nanmean(x, dtype=t.float32)), INTEGERS, X),
    "nonzero": (lambda t, i: (t.nonzero(i, as_tuple=False), *t.nonzero(i, as_tuple=True)), DIVISORS - 1),
    "argsort by place": (lambda t, x: x.argsort(1, True), X),
    "differences by place": (lambda t, x: (t.diff(x, 2), t.diff(x, 1, 0), t.diff(x, n=1, dim=0, prepend=x)), X),
    "PyTorch's names of options": (lambda t, x: (t.tensordot(x, x, dims=([0], [0])), t.permute(x, dims=(1, 0)),
                                                 t.triu(x, diagonal=1), x.tril(diagonal=-1)), X),
    "take of all elements": (lambda t, x, i: (t.take(x, i), x.take(i)), X, np.array([[0, -1], [5, 11]])),
    "the same by other names": (
        lambda t, x, c: (t.ger(x[0], x[1]), t.conj_physical(c).resolve_conj(), t.t(x), t.clone(x), t.detach(x)),
        X, COMPLEX),
    "activations of the main namespace": (
        lambda t, x: (t.selu(x), t.celu(x), t.prelu(x, x[0, :1]), x.hardshrink(0.3), t.hardshrink(x),
                      t.threshold(x, 0.1, 2.0), t.relu_(x.clone()), t.selu_(x.clone())), X),
    "distances of the main namespace": (
        lambda t, x, y: (t.cosine_similarity(x, y), t.pairwise_distance(x, y), t.pdist(x)), X, Y),
    "in place": (lambda t, x: (x.clone().cumsum_(0), x.clone().cumprod_(1), x.clone().tril_(-1), x.clone().triu_(1),
                               x.clone().clamp_min_(0.1), x.clone().clamp_max_(0.1)), X),
    "fill_diagonal_": (lambda t: (t.zeros(7, 3).fill_diagonal_(9.0, wrap=True), t.zeros(7, 3).fill_diagonal_(9.0),
                                  t.zeros(3, 7).fill_diagonal_(2.0), t.zeros(3, 3, 3).fill_diagonal_(9.0)),),
    "histogram of nothing": (lambda t, x: tuple(t.histogram(x[:0], 2)), X),
    "istft of a whole spectrum": (lambda t, c: t.istft(c, 4, onesided=False), COMPLEX.T.copy()),
    "istft with complex windows": (lambda t, c: t.istft(c, 4, window=c[:, 0] + 2, return_complex=True),
                                   COMPLEX.T.copy()),
    "gradient by default": (lambda t, x: t.gradient(x, spacing=None, dim=None), X),
    "linalg.diagonal of chosen axes": (lambda t, x: t.linalg.diagonal(x[None] * 1, offset=1, dim1=0, dim2=2), X),
    "tensorsolve by elements": (lambda t, x: t.linalg.tensorsolve(x.reshape(3, 2, 6), t.ones(2, 3).double()),
                                draw(6, 6)),
    "pinv of a lower triangle": (lambda t, c: t.linalg.pinv(c[:, :3] * 1, hermitian=True), COMPLEX),
    "integers through linear": (lambda t, i: t.nn.functional.linear(i, i + 1, i[0, :3]), INTEGERS),
    "differences of bools": (lambda t, x: (t.diff(x > 0), t.diff(x > 0, 2, 0)), X),
    "numbers about a tensor": (lambda t, x, c: (
        x.nbytes, x.itemsize, x.is_cpu, x.is_cuda, x.is_sparse, x.is_quantized, x.ndimension(), x.nelement(),
        t.numel(x), t.is_tensor(x), t.is_tensor(1), t.is_complex(c), t.is_floating_point(x), x.is_signed(),
        t.is_nonzero(x[0, 0])), X, COMPLEX),
}


def parts(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_gives_what_pytorch_gives(name):
    call, *arrays = CALLS[name]
    expected = parts(call(torch, *map(torch.tensor, arrays)))
    for found, wanted in zip(parts(call(tl, *map(tl.tensor, arrays))), expected, strict=True):
        if not isinstance(wanted, torch.Tensor):
            assert found == wanted and type(found) is type(wanted)
            continue
        assert str(wanted.dtype) == f"torch.{found.dtype.name}"
        assert_close(found, wanted.numpy(), terms=1 << 8)


@pytest.mark.parametrize("name", [name for name in tl.special.__all__ if name != "polygamma"])  # theirs is inexact
def test_special_functions_go_by_pytorchs_names(name):
    x = np.array([[0.0, 0.3, 0.9], [-0.1, tl.nan, 0.5]])
    more = (x,) if name in ("gammainc", "gammaincc", "xlog1py", "xlogy") else ()

    def call(t):
        tensors = [t.tensor(v) if isinstance(v, np.ndarray) else v for v in (*more, x)]
        options = {"multigammaln": {"p": 1}, "softmax": {"dim": 0}, "log_softmax": {"dim": 1}, "logsumexp": {"dim": 0}}
        return getattr(t.special, name)(*tensors, **options.get(name, {}))
    assert_close(call(tl), call(torch).numpy(), terms=64)


#: Functions of floats with derivatives.
SMOOTH = {
    "mvlgamma": (lambda t, x: t.mvlgamma(x * x + 3, 3), X),
    "complex": (lambda t, x, y: t.view_as_real(t.complex(x, y) ** 2), X, Y),
    "polar": (lambda t, x, y: t.view_as_real(t.polar(x, y)), np.abs(X) + 1, Y),
    "view_as_complex": (lambda t, x: t.view_as_real(t.view_as_complex(x) ** 2), draw(2, 3, 2)),
    "svd": (lambda t, x: t.svd(x)[1], X),
    "cholesky_solve": (lambda t, x, f: t.cholesky_solve(x, t.tril(f)), X, FACTOR),
    "cholesky_solve upper": (lambda t, x, f: t.cholesky_solve(x, t.triu(f), True), X, FACTOR.T.copy()),
    "cholesky_inverse": (lambda t, f: t.cholesky_inverse(t.tril(f)), FACTOR),
    "sum_to_size": (lambda t, x: x.sum_to_size(1, 4) * x.sum_to_size((3, 1)), X),
    "householder_product": (lambda t, x, tau: t.linalg.householder_product(x, tau), draw(2, 5, 3), draw(2, 3)),
    "where": (lambda t, x: x.where(x > 0, 0.0) ** 2, X),
    "entr": (lambda t, x: t.special.entr(x), np.array([0.1, 1.0, 3.0])),
    "xlog1py": (lambda t, x, y: t.special.xlog1py(x, y), np.array([0.0, 1.0, -3.0]), np.array([-0.5, 2.0, 1.0])),
    **{name: (lambda t, x, name=name: getattr(t.special, name)(x), np.array([-9.0, -1.5, -0.3, 0.2, 2.0, 8.1, 11.0]))
       for name in ("i0", "i0e", "i1", "i1e", "log_ndtr", "erfcx")},
    "ndtri": (lambda t, x: t.special.ndtri(x), np.array([1e-9, 0.1, 0.5, 0.6, 0.99])),
    "frexp": (lambda t, x: t.frexp(x)[0] * 3, X),
    "ndtr": (lambda t, x: t.special.ndtr(x), np.array([-9.0, -1.0, 0.0, 2.0])),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_follows_pytorch_in_derivatives(name):
    call, *arrays = SMOOTH[name]
    # PyTorch's trigamma is good to 1e-10 only, and its svd has no second derivative here
    compare(lambda *x: call(tl, *x), lambda *x: call(torch, *x), *arrays, terms=1 << 10,
            second=name not in ("svd", "mvlgamma"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("count", [40, 5000])
def test_frexp_takes_every_number_apart(dtype, count):
    """Numbers of all exponents, subnormals too, and what is no number, put together again."""
    bits = np.random.default_rng(3).integers(0, 2**64, count, dtype=np.uint64)
    kind = tl.float64 if dtype == "float64" else getattr(tl, dtype)
    x = tl.asarray(bits.astype(f"uint{8 * kind.itemsize}").view(kind))
    for function in (tl.frexp, tl.jit(tl.frexp)):
        mantissa, exponent = function(x)
        assert mantissa.dtype == kind and exponent.dtype == tl.int32
        with np.errstate(invalid="ignore"):  # NumPy warns of some NaN
            expected = np.frexp(x.numpy().astype(np.float64))
            np.testing.assert_array_equal(mantissa.numpy().astype(np.float64), expected[0])
        np.testing.assert_array_equal(exponent.numpy(), np.where(np.isfinite(expected[0]), expected[1], 0))


def test_frexp_refuses_integers():
    with pytest.raises(tl.errors.DTypeError, match="frexp: takes real floating dtypes, not int64"):
        tl.frexp(tl.arange(3))


@pytest.mark.parametrize("name", ["mvlgamma", "cholesky_solve", "sum_to_size", "householder_product", "where"])
def test_compiled_it_gives_the_same(name):
    call, *arrays = SMOOTH[name]
    check_compiled(lambda *x: call(tl, *x), *arrays, terms=1 << 10)


@pytest.mark.parametrize(("function", "arrays"), [
    (tl.gcd, (INTEGERS, INTEGERS[::-1].copy())), (tl.orgqr, (draw(2, 5, 3), draw(2, 3))),
    (lambda x: tl.mvlgamma(x * x + 3, 2), (X,)), (lambda x: tl.gradient(x)[0], (X,)),
    (lambda x: tl.stft(x, 8, return_complex=False), (SIGNAL,))], ids=["gcd", "orgqr", "mvlgamma", "gradient", "stft"])
def test_mapped_it_is_the_loop(function, arrays):
    check_mapped(function, *arrays, terms=1 << 8)


def test_weights_of_covariances_may_be_known_or_not():
    weights = tl.tensor(np.abs(Y))
    expected = tl.cov(tl.tensor(X), aweights=weights[0])
    assert_close(tl.jit(lambda x: tl.cov(x, aweights=weights[0]))(tl.tensor(X)), expected)
    assert_close(tl.jit(lambda x, w: tl.cov(x, aweights=w))(tl.tensor(X), weights[0]), expected)
    assert_close(tl.vmap(lambda w: tl.cov(tl.tensor(X), aweights=w))(weights)[0], expected)


@given(alpha=st.sampled_from([1, 2, -3, 0.5]), whole=st.booleans(), method=st.booleans())
@settings(max_examples=20, deadline=None)
def test_sums_are_scaled(alpha, whole, method):
    arrays = (INTEGERS, DIVISORS) if whole else (X, Y)
    if whole and isinstance(alpha, float):
        assert first_line(lambda: tl.add(*map(tl.tensor, arrays), alpha=alpha), tl.errors.DTypeError) == (
            "add: integers are not scaled by 0.5")
        return
    for name in ("add", "sub"):
        def call(t, *x, name=name):
            return getattr(x[0], name)(x[1], alpha=alpha) if method else getattr(t, name)(*x, alpha=alpha)
        expected = call(torch, *map(torch.tensor, arrays))
        found = call(tl, *map(tl.tensor, arrays))
        assert str(expected.dtype) == f"torch.{found.dtype.name}"
        assert_close(found, expected.numpy())


@given(mode=st.sampled_from([None, "trunc", "floor"]), whole=st.booleans(), number=st.booleans())
@settings(max_examples=20, deadline=None)
def test_quotients_are_rounded(mode, whole, number):
    x, y = (INTEGERS, DIVISORS) if whole else (X, Y)
    theirs = torch.div(torch.tensor(x), 3 if number else torch.tensor(y), rounding_mode=mode)
    found = tl.div(tl.tensor(x), 3 if number else tl.tensor(y), rounding_mode=mode)
    assert str(theirs.dtype) == f"torch.{found.dtype.name}"
    assert_close(found, theirs.numpy())


@given(decimals=st.integers(-2, 3))
@settings(max_examples=6, deadline=None)
def test_round_keeps_decimals(decimals):
    expected = torch.tensor(X * 100).round(decimals=decimals)
    assert_close(tl.round(tl.tensor(X * 100), decimals=decimals), expected.numpy())


@given(dim=st.sampled_from([None, 0, 1, -1, (0, 1), (1, 0)]), order=st.sampled_from([1, 2]),
       spacing=st.sampled_from(["number", "numbers", "coordinates"]))
@settings(max_examples=25, deadline=None)
def test_gradient(dim, order, spacing):
    axes = (0, 1) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    steps = {"number": 0.7, "numbers": [0.7 + abs(a) for a in axes],
             "coordinates": [np.cumsum(np.arange(1.0, 1 + X.shape[a])) for a in axes]}[spacing]

    def call(t, x):
        given = [t.tensor(s) if isinstance(s, np.ndarray) else s for s in steps] if spacing != "number" else steps
        options = {} if dim is None else {"dim": dim}
        return t.stack([g.sum(1) for g in t.gradient(x, spacing=given, edge_order=order, **options)])
    compare(lambda x: call(tl, x), lambda x: call(torch, x), X, terms=16)


WINDOWS = ("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window")


@given(name=st.sampled_from(WINDOWS), length=st.integers(0, 12), periodic=st.booleans())
@settings(max_examples=30, deadline=None)
def test_windows(name, length, periodic):
    found = getattr(tl, name)(length, periodic, dtype=tl.float64)
    assert_close(found, getattr(torch, name)(length, periodic, dtype=torch.float64).numpy(), terms=16)


@pytest.mark.filterwarnings("ignore")
@given(hop=st.sampled_from([None, 3, 4]), size=st.sampled_from([None, 12]), window=st.booleans(), center=st.booleans(),
       pad_mode=st.sampled_from(["reflect", "constant"]), normalized=st.booleans(),
       onesided=st.sampled_from([None, True, False]), batch=st.booleans())
@settings(max_examples=25, deadline=None)
def test_spectra_over_time(hop, size, window, center, pad_mode, normalized, onesided, batch):
    def call(t, x, **more):
        options = {"hop_length": hop, "win_length": size, "center": center, "normalized": normalized,
                   "onesided": onesided}
        if window:
            options["window"] = t.hamming_window(size or 16, dtype=t.float64)
        spectrum = t.stft(x if batch else x[0], 16, pad_mode=pad_mode, return_complex=True, **options)
        if center and more:
            return t.istft(spectrum, 16, length=30, **options)
        return t.view_as_real(spectrum)
    for more in ({}, {"back": True}):
        compare(lambda x, m=more: call(tl, x, **m), lambda x, m=more: call(torch, x, **m), SIGNAL, terms=64,
                second=False)


def test_the_inverse_of_a_spectrum_is_the_signal():
    x, window = tl.tensor(SIGNAL), tl.hann_window(16, dtype=tl.float64)
    spectrum = tl.stft(x, 16, window=window, return_complex=True)
    assert_close(tl.istft(spectrum, 16, window=window), SIGNAL, terms=64)
    both = tl.complex(x, -x)
    spectrum = tl.stft(both, 16, window=window)
    assert_close(tl.istft(spectrum, 16, window=window, return_complex=True), both.numpy(), terms=64)


def test_data_is_the_value_without_its_tape():
    x = tl.ones(2, requires_grad=True)
    assert not x.data.requires_grad
    x.data = tl.tensor([3.0, 4.0])
    assert x.is_leaf and x.requires_grad and x.tolist() == [3.0, 4.0]
    (x * x).sum().backward()
    assert x.grad.tolist() == [6.0, 8.0]
    with pytest.raises(tl.errors.GradientError):
        x.data.add_(1)


def test_data_is_state_of_compiled_functions():
    x = tl.zeros(2)

    @tl.jit
    def step(y):
        x.data = x.data + y
        return x * 2

    assert [step(tl.ones(2)).tolist() for _ in range(3)] == [[2.0, 2.0], [4.0, 4.0], [6.0, 6.0]]
    assert x.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("make", [tl.zeros, tl.ones, tl.rand, tl.randn, tl.hann_window, tl.arange, tl.eye],
                         ids=lambda f: f.__name__)
def test_what_is_made_may_require_gradients(make):
    x = make(3, requires_grad=True, dtype=tl.float32)
    assert x.is_leaf and x.requires_grad and not make(3).requires_grad
    assert tl.zeros_like(x, requires_grad=True).requires_grad


def test_numpy_by_force_forgets_the_tape():
    x = tl.tensor([1.0], requires_grad=True)
    assert (x * 2).numpy(force=True).tolist() == [2.0]
    with pytest.raises(tl.errors.GradientError):
        x.numpy()


def test_retains_grad():
    x = tl.ones(2, requires_grad=True)
    y = x * 2
    assert (x.retains_grad, y.retains_grad) == (False, False)
    y.retain_grad()
    assert y.retains_grad


REFUSALS = {
    "div: rounding": (lambda: tl.div(tl.ones(2), 2, rounding_mode="up"), "ArgumentError",
                      "divide: rounding_mode is None, 'trunc' or 'floor', not 'up'"),
    "data of another shape": (lambda: setattr(tl.ones(2), "data", tl.ones(3)), "ShapeError",
                              "data: a tensor keeps its shape, dtype and device"),
    "repeat": (lambda: tl.ones(2, 3).repeat(2), "ShapeError", "repeat: 1 counts are too few for 2 axes"),
    "sum_to_size": (lambda: tl.ones(2, 3).sum_to_size(2, 2), "ShapeError",
                    "sum_to_size: [2, 2] does not broadcast to [2, 3]"),
    "gcd": (lambda: tl.gcd(tl.ones(2), tl.ones(2)), "DTypeError", "gcd: takes integer dtypes, not float32"),
    "mvlgamma": (lambda: tl.mvlgamma(tl.ones(2), 0), "ArgumentError", "mvlgamma: p must be 1 or more, not 0"),
    "complex": (lambda: tl.complex(tl.ones(2, dtype=tl.int64), tl.ones(2, dtype=tl.int64)), "DTypeError",
                "complex: takes real floating dtypes, not int64"),
    "view_as_real": (lambda: tl.view_as_real(tl.ones(2)), "DTypeError",
                     "view_as_real: takes complex dtypes, not float32"),
    "view_as_complex": (lambda: tl.view_as_complex(tl.ones(3)), "ShapeError",
                        "view_as_complex: the last axis must hold pairs"),
    "is_nonzero": (lambda: tl.is_nonzero(tl.ones(2)), "ArgumentError", "is_nonzero: takes one element, not 2"),
    "isposinf": (lambda: tl.isposinf(tl.ones(2, dtype=tl.complex64)), "DTypeError",
                 "isposinf: complex numbers have no sign"),
    "put": (lambda: tl.put(tl.ones(2), tl.tensor([0]), tl.ones(2)), "ShapeError",
            "put: 1 positions do not take 2 elements"),
    "no shift": (lambda: tl.roll(tl.ones(2), []), "ArgumentError", "roll: there is no shift"),
    "negative weights": (lambda: tl.cov(tl.ones(2), aweights=tl.tensor([1.0, -1.0])), "ArgumentError",
                         "cov: aweights cannot be negative"),
    "mean in integers": (lambda: tl.mean(tl.ones(2), dtype=tl.int64), "DTypeError",
                         "mean: dtype must be floating or complex, not int64"),
    "the trace of a tensor": (lambda: tl.trace(tl.ones(2, 2)), "DTypeError", "trace: takes a function, not a tensor"),
    "gradient order": (lambda: tl.gradient(tl.ones(3), edge_order=3), "ArgumentError",
                       "gradient: edge_order is 1 or 2, not 3"),
    "gradient points": (lambda: tl.gradient(tl.ones(1)), "ShapeError",
                        "gradient: takes at least 2 points along each axis"),
    "gradient spacings": (lambda: tl.gradient(tl.ones(3), spacing=[1.0, 2.0]), "ArgumentError",
                          "gradient: there are 2 spacings for 1 axes"),
    "window": (lambda: tl.hann_window(-1), "ArgumentError", "hann_window: window_length must be 0 or more, not -1"),
    "window of integers": (lambda: tl.hann_window(3, dtype=tl.int64), "DTypeError",
                           "hann_window: takes real floating dtypes, not int64"),
    "stft of what": (lambda: tl.stft(tl.ones(16), 8), "ArgumentError",
                     "stft: return_complex must be given for real signals"),
    "stft too short": (lambda: tl.stft(tl.ones(4), 8, center=False, return_complex=True), "ArgumentError",
                       "stft: the signal is shorter than a frame of n_fft = 8"),
    "istft": (lambda: tl.istft(tl.ones(5, 3), 8), "DTypeError", "istft: takes complex dtypes, not float32"),
    "istft of zeros": (lambda: tl.istft(tl.ones(5, 3, dtype=tl.complex64), 8, window=tl.zeros(8)), "ArgumentError",
                       "istft: the windows, squared and added up, leave a place at 0"),
    "householder_product": (lambda: tl.linalg.householder_product(tl.ones(2, 3), tl.ones(3)), "ShapeError",
                            "householder_product: x must have at least as many rows as columns"),
    "unravel_index": (lambda: tl.unravel_index(tl.ones(2), (2, 2)), "DTypeError",
                      "unravel_index: takes integers, not float32"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses(name):
    call, error, words = REFUSALS[name]
    assert first_line(call, getattr(tl.errors, error)) == words


@pytest.mark.parametrize(("shape", "count"), [((0, 0), 0), ((3, 0), 0), ((3, 2), 0), ((2, 4, 3), 0)])
def test_no_reflection_stays_on_the_tape(shape, count):
    x, tau = tl.ones(shape, requires_grad=True), tl.ones((*shape[:-2], count), requires_grad=True)
    found = tl.linalg.householder_product(x, tau)
    assert found.detach().numpy().tolist() == np.broadcast_to(np.eye(*shape[-2:]), shape).tolist()
    for part, rate in zip((x, tau), tl.autograd.grad(found.sum(), (x, tau)), strict=True):
        assert rate.shape == part.shape
        assert not rate.numpy().any()
