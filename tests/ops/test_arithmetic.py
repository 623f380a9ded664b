"""Arithmetic and special functions beside PyTorch: values and two derivatives over drawn operands, dtypes, errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import DIFFERENCES, assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import TensorliteError

#: Operands drawn from intervals; a shape is drawn for each, which broadcast.
REAL, POSITIVE, UNIT, OPEN = (-3.0, 3.0), (0.2, 4.0), (0.0, 1.0), (-0.95, 0.95)
FUNCTIONS = {
    "erf": [REAL], "erfc": [REAL], "erfinv": [OPEN], "lgamma": [REAL], "rsqrt": [POSITIVE],
    "sinc": [REAL], "logit": [(0.05, 0.95)], "frac": [REAL], "deg2rad": [REAL], "rad2deg": [REAL], "exp2": [REAL],
    "nan_to_num": [REAL], "xlogy": [REAL, POSITIVE], "fmod": [REAL, (0.3, 2.0)], "fmax": [REAL, REAL],
    "fmin": [REAL, REAL], "logaddexp": [REAL, REAL], "logaddexp2": [REAL, REAL], "float_power": [POSITIVE, REAL],
    "lerp": [REAL, REAL, UNIT], "addcmul": [REAL, REAL, REAL], "addcdiv": [REAL, REAL, POSITIVE],
}
SHAPES = st.sampled_from([(3, 4), (3, 1), (4,), (), (1, 1)])


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=6)
@given(data=st.data())
def test_values_and_derivatives_are_torchs(name, data):
    from nn.against_torch import compare, torch
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrays = [np.asarray(random.uniform(*interval, data.draw(SHAPES))) for interval in FUNCTIONS[name]]
    options = {"value": data.draw(st.sampled_from([1, 0.5, -2]))} if name.startswith("addc") else {}
    compare(lambda *x: getattr(tl, name)(*x, **options), lambda *x: getattr(torch, name)(*x, **options), *arrays,
            terms=64, second=name != "lgamma")


@settings(max_examples=12)
@given(n=st.integers(0, 6), seed=st.integers(0, 99))
def test_polygamma_is_torchs(n, seed):
    """PyTorch's is good to ten digits for n = 1; how good ours is, the tests of approximations say."""
    from nn.against_torch import torch
    x = np.random.default_rng(seed).uniform(-3, 5, (3, 4))
    assert_close(tl.polygamma(n, tl.tensor(x)), torch.polygamma(n, torch.tensor(x)).numpy(), tolerance=DIFFERENCES)
    assert_same(tl.tensor(x).polygamma(n), tl.polygamma(n, tl.tensor(x)))


@settings(max_examples=12)
@given(eps=st.floats(0, 0.5), seed=st.integers(0, 99))
def test_logit_within_bounds_is_torchs(eps, seed):
    from nn.against_torch import compare, torch
    x = np.random.default_rng(seed).uniform(-0.2, 1.2, (3, 4))
    if eps == 0:
        x = np.clip(x, 0.1, 0.9)
    compare(lambda x: tl.logit(x, eps), lambda x: torch.logit(x, eps), x, terms=8)
    compare(lambda x: tl.logit(x, eps=eps), lambda x: torch.logit(x, eps=eps), x, second=False, terms=8)


def test_the_third_derivative_of_lgamma():
    x = tl.tensor(np.linspace(0.3, 4, 9), requires_grad=True)
    y = tl.lgamma(x)
    for order in range(4):
        y, = tl.autograd.grad(y.sum(), x, create_graph=True)
        assert_close(y.detach(), tl.polygamma(order, x.detach()))


def test_sinc_has_all_derivatives_at_zero():
    x = tl.tensor([0.0, 1e-9, -1e-5], dtype=tl.float64, requires_grad=True)
    y, = tl.autograd.grad(tl.sinc(x).sum(), x, create_graph=True)
    assert_close(y.detach(), -np.pi**2 / 3 * x.detach())
    z, = tl.autograd.grad(y.sum(), x)
    assert_close(z[:2], np.full(2, -np.pi**2 / 3))
    tl.autograd.gradgradcheck(tl.sinc, (x,))


ENDS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e-30, 1e30]


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=lambda d: d.name)
@pytest.mark.parametrize("name", ["frac", "deg2rad", "rad2deg", "nan_to_num", "logit"])
def test_ends_are_torchs(name, dtype):
    from nn.against_torch import torch
    x = np.array(ENDS, dtype)
    assert_close(getattr(tl, name)(tl.tensor(x)), getattr(torch, name)(torch.tensor(x)).numpy())


@pytest.mark.parametrize("name", ["heaviside", "fmod", "fmax", "fmin", "xlogy", "float_power"])
def test_ends_of_pairs_are_torchs(name):
    from nn.against_torch import torch
    x, y = (grid.reshape(-1) for grid in np.meshgrid(ENDS, ENDS))
    assert_close(getattr(tl, name)(tl.tensor(x), tl.tensor(y)),
                 getattr(torch, name)(torch.tensor(x), torch.tensor(y)).numpy())


@pytest.mark.parametrize("options", [{}, {"nan": 2.0}, {"posinf": 7.0}, {"neginf": -7.0, "nan": -1.0}])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "int32"])
def test_nan_to_num_is_torchs(dtype, options):
    from nn.against_torch import torch
    numbers = [1, 2, 3] if dtype == "int32" else [np.nan, np.inf, -np.inf, 1.5]
    theirs = torch.nan_to_num(torch.tensor(numbers, dtype=getattr(torch, dtype)), **options)
    ours = tl.nan_to_num(tl.tensor(numbers, dtype=dtype), **options)
    assert ours.dtype.name == dtype
    if dtype == "bfloat16":
        ours, theirs = ours.to(tl.float32), theirs.to(torch.float32)
    assert_same(ours, theirs.numpy())


def test_what_is_replaced_has_no_derivative():
    x = tl.tensor([np.nan, np.inf, -np.inf, 1.5], requires_grad=True)
    tl.nan_to_num(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("dtype", [tl.int8, tl.int64, tl.uint8, tl.int32], ids=lambda d: d.name)
def test_integers(dtype):
    least = np.iinfo(dtype).min
    x, y = np.array([7, 5, 0, 3, least], dtype), np.array([3, 5, 2, 7, 3], dtype)
    if least:
        x, y = np.concatenate([x, -x[:4], x]), np.concatenate([y, y[:4], -y])
    assert_same(tl.fmod(tl.tensor(x), tl.tensor(y)), np.fmod(x, y))
    assert_same(tl.fmax(tl.tensor(x), tl.tensor(y)), np.maximum(x, y))
    assert_same(tl.addcmul(tl.tensor(x), tl.tensor(x), tl.tensor(y), value=2), x + 2 * x * y)
    assert_same(tl.heaviside(tl.tensor(x), 1), np.heaviside(x, 1).astype(dtype))
    assert tl.float_power(tl.tensor(y), 2).dtype == tl.float64
    assert tl.lgamma(tl.tensor(y)).dtype == tl.float32


def test_a_blend_meets_both_ends():
    x, end = tl.tensor([1e8, 0.1, -3.0]), tl.tensor([1.0, 0.7, 1e8])
    assert_same(tl.lerp(x, end, 0.0), x)
    assert_same(tl.lerp(x, end, 1.0), end)
    assert_same(x.lerp(end, weight=1.0), end)
    z = tl.lerp(tl.tensor([1 + 1j]), tl.tensor([2 - 1j]), 0.25)
    assert_close(z, np.array([1.25 + 0.5j], np.complex64))


def test_powers_in_float64():
    assert tl.float_power(2, tl.tensor([3])).dtype == tl.float64
    assert tl.float_power(tl.tensor([1j]), 2).tolist() == [-1]
    assert tl.float_power(tl.tensor([2.0]), 0.5).tolist() == [2**0.5]


TWO, THREE = tl.tensor(2.0), tl.tensor(3.0)
IN_PLACE = {"lerp": (2.0, 0.5), "addcmul": (TWO, THREE), "addcdiv": (TWO, THREE),
            "frac": (), "fmod": (2.0,), "heaviside": (0.5,), "nan_to_num": (), "deg2rad": (), "rad2deg": (),
            "erfinv": (), "lgamma": (), "digamma": (), "sinc": (), "xlogy": (2.0,), "logit": (), "fmax": (0.3,)}


@pytest.mark.parametrize("name", IN_PLACE)
def test_functions_methods_in_place_methods_jit_and_vmap_agree(name):
    x, rest = tl.tensor([[0.25, 0.75], [0.5, 0.125]]), IN_PLACE[name]
    expected = getattr(tl, name)(x, *rest)
    assert_same(getattr(x, name)(*rest), expected)
    assert_close(tl.jit(lambda x: getattr(tl, name)(x, *rest))(x), expected)
    assert_close(tl.vmap(lambda row: getattr(tl, name)(row, *rest))(x), expected)
    assert getattr(x, f"{name}_")(*rest) is x
    assert_same(x, expected)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_polygamma_under_jit_and_vmap(n):
    x = tl.tensor(np.linspace(0.3, 5, 6).reshape(2, 3))
    expected = tl.polygamma(n, x)
    assert_close(tl.jit(lambda x: tl.polygamma(n, x))(x), expected)
    assert_close(tl.vmap(lambda row: tl.polygamma(n, row))(x), expected)
    tl.autograd.gradgradcheck(lambda x: tl.polygamma(n, x), (tl.tensor(x.numpy(), requires_grad=True),))


@pytest.mark.parametrize(("name", "signature"), [
    ("addcmul", "(x, /, tensor1, tensor2, *, value=1)"), ("addcdiv", "(x, /, tensor1, tensor2, *, value=1)"),
    ("lerp", "(x, /, end, weight)"), ("logit", "(x, /, eps=None)"), ("heaviside", "(x, /, values)"),
    ("nan_to_num", "(x, /, nan=0.0, posinf=None, neginf=None)"), ("polygamma", "(n, x, /)"),
])
def test_signatures(name, signature):
    found = inspect.signature(getattr(tl, name))
    bare = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    assert str(inspect.Signature(bare)) == signature


X, I3 = tl.zeros(3), tl.arange(3)
ERRORS = {
    "an order below 0": (lambda: tl.polygamma(-1, X), """
polygamma: n must be between 0 and 100, not -1
  x  float32[3]
  at HERE"""),
    "an order beyond floats": (lambda: tl.polygamma(101, X), """
polygamma: n must be between 0 and 100, not 101
  x  float32[3]
  at HERE"""),
    "the order last": (lambda: tl.polygamma(1.5, X), """
polygamma: n must be an integer, not float
  n  1.5
  x  float32[3]
  at HERE
  fix: the order comes first: tl.polygamma(1, x)"""),
    "addcdiv of integers": (lambda: tl.addcdiv(X, I3, I3 + 1), """
addcdiv: takes floating dtypes, not integers on both sides of the division
  tensor1  int64[3]
  tensor2  int64[3]
  at HERE
  fix: cast one first: tensor1.to(tl.float32)"""),
    "an angle that is complex": (lambda: tl.deg2rad(tl.tensor([1j])), """
deg2rad: takes real dtypes, not complex64
  x  complex64[1]
  at HERE
  fix: use tl.abs(x) or tl.real(x)"""),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_word_for_word(case):
    call, text = ERRORS[case]
    with pytest.raises(TensorliteError) as caught:
        call()
    lines = str(caught.value).splitlines()
    assert sum(line.startswith("  at test_arithmetic.py:") for line in lines) == 1
    assert ["  at HERE" if line.startswith("  at ") else line for line in lines] == text.strip().splitlines()


@pytest.mark.parametrize("name", ["absolute", "arccos", "arcsin", "arctan", "arctanh", "fix", "neg", "sgn"])
def test_torchs_other_names_of_one_number(name):
    from nn.against_torch import torch
    x = np.array([0.25, -0.5, 0.75])
    assert_close(getattr(tl, name)(tl.tensor(x)), getattr(torch, name)(torch.tensor(x)).numpy())
    assert_close(getattr(tl.tensor(x), name)(), getattr(tl, name)(tl.tensor(x)))


@pytest.mark.parametrize("name", ["arctan2", "div", "eq", "ge", "gt", "le", "lt", "mul", "ne", "sub", "true_divide"])
def test_torchs_other_names_of_two_numbers(name):
    from nn.against_torch import torch
    x, y = np.array([0.25, -0.5, 0.75]), np.array([0.25, 2.0, -1.0])
    assert_close(getattr(tl, name)(tl.tensor(x), tl.tensor(y)),
                 getattr(torch, name)(torch.tensor(x), torch.tensor(y)).numpy())
    assert_same(getattr(tl.tensor(x), name)(tl.tensor(y)), getattr(tl, name)(tl.tensor(x), tl.tensor(y)))
