"""Activations: beside PyTorch over drawn options, at their joints and ends, their layers, errors and defaults."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, TensorliteError
from tensorlite.nn import functional as F


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda x: round(x, 3))


#: Options by function; each is drawn. PyTorch rounds ``1 / alpha`` of celu's derivative to float32.
OPTIONS = {
    "relu": {}, "gelu": {"approximate": st.sampled_from(["none", "tanh"])}, "sigmoid": {}, "tanh": {}, "silu": {},
    "softplus": {"beta": numbers(0.3, 3), "threshold": numbers(1, 20)}, "leaky_relu": {"negative_slope": numbers(0, 1)},
    "elu": {"alpha": numbers(0.1, 3)}, "selu": {}, "celu": {"alpha": st.sampled_from([0.25, 0.5, 1.0, 2.0])},
    "rrelu": {"lower": numbers(0, 0.3), "upper": numbers(0.3, 1)}, "relu6": {}, "hardsigmoid": {}, "hardswish": {},
    "hardtanh": {"min_val": numbers(-4, 0), "max_val": numbers(0.1, 4)}, "hardshrink": {"lambd": numbers(0, 3)},
    "softshrink": {"lambd": numbers(0, 3)}, "tanhshrink": {}, "logsigmoid": {}, "mish": {}, "softsign": {},
    "threshold": {"threshold": numbers(-2, 2), "value": numbers(-9, 9)}, "softmin": {"dim": st.integers(-2, 1)},
    "glu": {"dim": st.integers(-2, 1)},
    "normalize": {"p": st.sampled_from([0.5, 1, 2, 3.0, float("inf")]), "dim": st.integers(-2, 1),
                  "eps": st.sampled_from([1e-12, 1.0])},
}
REBINDING = ["celu", "elu", "hardtanh", "leaky_relu", "relu", "rrelu", "selu", "threshold"]
WITH_OPTION = [*REBINDING, "hardsigmoid", "hardswish", "mish", "relu6", "silu"]
ELEMENTWISE = [name for name in OPTIONS if name not in ("softmin", "glu", "normalize")]
#: What must be given.
GIVEN = {"threshold": (0.5, 2.0), "softmin": (0,)}


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=8)
@given(data=st.data())
def test_activations_agree_with_torch(name, data):
    from nn.against_torch import compare, draw, torch
    options = data.draw(st.fixed_dictionaries(OPTIONS[name]))
    theirs = getattr(torch.nn.functional, name)
    if name == "hardsigmoid":  # PyTorch's has no second derivative, and its first is rounded to float32
        theirs = lambda x: torch.nn.functional.relu6(x + 3) / 6
    compare(lambda x: getattr(F, name)(x, **options), lambda x: theirs(x, **options),
            draw(4, 6, seed=data.draw(st.integers(0, 99))) * 3, terms=8)


@settings(max_examples=15)
@given(shape=st.sampled_from([(3, 4), (3, 4, 2), (5,), (2, 1, 3), (4, 1)]), single=st.booleans())
def test_prelu_agrees_with_torch(shape, single):
    from nn.against_torch import compare, draw, torch
    channels = 1 if single or len(shape) == 1 else shape[1]
    compare(F.prelu, torch.nn.functional.prelu, draw(*shape), np.abs(draw(channels)), terms=8)


#: No number in PyTorch's float32; or a derivative that differs between PyTorch's vectors and their rest.
LEFT_OUT = {**dict.fromkeys(["relu6", "hardtanh", "hardshrink", "softshrink", "relu"], np.isnan),
            "hardsigmoid": lambda x: np.abs(x) < 3,  # rounded to float32
            "gelu": lambda x: np.isinf(x), "mish": lambda x: np.isinf(x), "softsign": lambda x: np.isinf(x),
            "silu": lambda x: np.isinf(x)}
EDGES = np.array([0.0, -0.0, 3.0, -3.0, 1.0, -1.0, 0.5, -0.5, 6.0, -1e4, 1e4, -90.0, 90.0, 20.0, 19.0, np.inf, -np.inf,
                  np.nan])


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=lambda d: d.name)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_joints_and_ends_agree_with_torch(name, dtype):
    from nn.against_torch import to_torch, torch
    edges = EDGES[~LEFT_OUT.get(name, np.zeros_like)(EDGES).astype(bool)].astype(dtype)
    x = tl.tensor(edges, requires_grad=True)
    x_ = to_torch(x).requires_grad_()
    y = getattr(F, name)(x, *GIVEN.get(name, ()))
    y_ = getattr(torch.nn.functional, name)(x_, *GIVEN.get(name, ()))
    y.sum().backward()
    y_.sum().backward()
    assert_close(y, y_.detach().numpy())
    assert_close(x.grad, x_.grad.numpy())


@pytest.mark.parametrize("name", [*OPTIONS, "prelu"])
def test_jit_and_vmap_agree_with_eager(name):
    x = tl.tensor(np.linspace(-4, 4, 24).reshape(4, 6).astype(np.float32))
    given = (tl.tensor(0.3),) if name == "prelu" else GIVEN.get(name, ())
    if name == "normalize":
        given = (2.0, 0)
    function = lambda row: getattr(F, name)(row, *given)
    expected = function(x)
    assert_close(tl.jit(function)(x), expected)
    rows = [function(row) for row in x]
    assert_close(tl.vmap(function)(x), tl.stack(rows))


@pytest.mark.parametrize("name", WITH_OPTION)
def test_inplace_rebinds_the_input(name):
    x = tl.tensor([-1.0, 2.0])
    expected = getattr(F, name)(x, *GIVEN.get(name, ()))
    assert getattr(F, name)(x, *GIVEN.get(name, ()), inplace=True) is x
    assert_same(x, expected)


@pytest.mark.parametrize("name", REBINDING)
def test_the_spelling_with_an_underscore_rebinds_the_input(name):
    x = tl.tensor([-1.0, 2.0])
    expected = getattr(F, name)(x, *GIVEN.get(name, ()))
    assert getattr(F, f"{name}_")(x, *GIVEN.get(name, ())) is x
    assert_same(x, expected)
    plain, rebinding = (list(inspect.signature(getattr(F, n)).parameters) for n in (name, f"{name}_"))
    assert rebinding == [p for p in plain if p != "inplace"]


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16], ids=str)
@pytest.mark.parametrize("name", sorted({*ELEMENTWISE} - {"threshold", "rrelu"}))
def test_few_numbers_of_sixteen_bits_are_computed_as_many(name, dtype):
    """NumPy computes few of them and kernels many, both in float32: ``exp(2 * x)`` of mish is beyond float16."""
    slope = tl.grad(lambda x: getattr(F, name)(x).sum())
    many = tl.astype(tl.linspace(-40.0, 400.0, 1 << 16), dtype)
    few = many[::4001]
    for function in (getattr(F, name), slope):
        assert_close(function(few), function(many)[::4001])


def test_slopes_of_rrelu_are_drawn_evenly():
    tl.manual_seed(0)
    x = tl.tensor(np.full(100_000, -1.0, np.float32), requires_grad=True)
    y = F.rrelu(x, 0.2, 0.6, training=True)
    slopes = -y.detach().numpy()
    assert 0.2 <= slopes.min() < 0.201
    assert 0.599 < slopes.max() <= 0.6
    deviation = 0.4 / (12 * x.size) ** 0.5
    assert abs(slopes.mean() - 0.4) < 5 * deviation
    y.sum().backward()
    assert_same(x.grad, slopes)
    assert_same(F.rrelu(tl.ones(3), training=True), np.ones(3, np.float32))


def test_samples_of_the_gumbel_softmax():
    """The most likely place of each sample has the probabilities of the softmax."""
    tl.manual_seed(0)
    logits = tl.log(tl.tensor([0.1, 0.2, 0.7])) + 5
    for hard in (False, True):
        samples = F.gumbel_softmax(tl.broadcast_to(logits, (40_000, 3)), tau=0.5, hard=hard)
        assert_close(samples.sum(axis=1), np.ones(40_000), dtype=tl.float32)
        share = np.bincount(samples.numpy().argmax(1), minlength=3) / 40_000
        assert np.abs(share - [0.1, 0.2, 0.7]).max() < 5 * (0.25 / 40_000) ** 0.5
    assert_close(np.sort(samples.numpy(), axis=1), np.broadcast_to([0.0, 0, 1], (40_000, 3)), dtype=tl.float32)


@pytest.mark.parametrize("dim", [0, 1, -1, -3])
def test_hard_samples_have_the_soft_ones_derivatives(dim):
    x = tl.tensor(np.linspace(-1, 1, 24).reshape(2, 3, 4), requires_grad=True)
    weight = tl.tensor(np.cos(np.arange(24.0)).reshape(2, 3, 4))
    found = []
    for hard in (False, True):
        tl.manual_seed(1)
        sample = F.gumbel_softmax(x, 0.7, hard, dim=dim)
        assert_close(sample.detach().sum(axis=dim), np.ones(np.delete(x.shape, dim)))
        found.append(tl.autograd.grad((sample * weight).sum(), x)[0])
    assert_close(*found)
    assert F.gumbel_softmax(tl.zeros((2, 0, 3)), dim=0).shape == (2, 0, 3)


@pytest.mark.parametrize("dtype", [tl.int8, tl.int64, tl.uint8], ids=lambda d: d.name)
def test_integers_keep_their_dtype(dtype):
    x = tl.tensor([0, 1, 3, 9], dtype=dtype)
    assert_same(F.relu6(x), np.array([0, 1, 3, 6], dtype))
    assert_same(F.hardtanh(x, 1.7, 5.2), np.array([1, 1, 3, 5], dtype))
    assert_same(F.threshold(x, 1.5, 7.7), np.array([7, 7, 3, 9], dtype))


LAYERS = [
    ("ReLU", ()), ("ReLU", (True,)), ("GELU", ("tanh",)), ("Sigmoid", ()), ("Tanh", ()), ("SiLU", (True,)),
    ("Softplus", (2.0, 3.0)), ("LeakyReLU", (0.3,)), ("LeakyReLU", (0.3, True)), ("ELU", (0.3,)), ("SELU", ()),
    ("CELU", (2.0, True)), ("Hardtanh", ()), ("Hardtanh", (-2, 3, True)), ("ReLU6", (True,)), ("Hardsigmoid", (True,)),
    ("Hardswish", ()), ("Hardshrink", (0.3,)), ("Softshrink", ()), ("Tanhshrink", ()), ("Threshold", (0.1, 20, True)),
    ("LogSigmoid", ()), ("Mish", ()), ("Softsign", ()), ("Softmin", (1,)), ("Softmax", (1,)), ("LogSoftmax", (1,)),
    ("Softmax2d", ()), ("GLU", (2,)), ("PReLU", ()), ("PReLU", (4, 0.1)), ("RReLU", (0.1, 0.2)), ("RReLU", ()),
]


@pytest.mark.parametrize(("name", "arguments"), LAYERS)
def test_layers_are_torchs(name, arguments):
    from nn.against_torch import draw, to_torch, torch
    layer, theirs = getattr(nn, name)(*arguments).eval(), getattr(torch.nn, name)(*arguments).eval()
    assert repr(layer) == repr(theirs)
    assert {k: v.shape for k, v in layer.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    x = tl.tensor(draw(2, 4, 6, 3).astype(np.float32))
    x_ = to_torch(x)
    assert_close(layer(x), theirs(x_).detach().numpy())
    assert_close(x, x_.numpy())


def test_the_identity_takes_any_arguments():
    x = tl.ones(3)
    assert nn.Identity(1, of="no use")(x) is x


#: Deprecated in PyTorch, and left out here; or ours alone.
DIFFERENT = {"Hardtanh": {"min_value", "max_value"}, "gumbel_softmax": {"eps", "generator"},
             "softmin": {"_stacklevel"}, "normalize": {"out"}}
MISSING_AXIS = ("softmin",)


def defaults(function) -> list[tuple[str, object]]:
    signature = inspect.signature(function)
    return [(p.name, p.default) for p in signature.parameters.values()
            if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


@pytest.mark.parametrize("name", [*sorted({name for name, _ in LAYERS}), *OPTIONS, "gumbel_softmax"])
def test_signatures_are_torchs(name):
    from nn.against_torch import torch
    ours, theirs = (getattr(nn, name), getattr(torch.nn, name)) if name[0].isupper() else (
        getattr(F, name), getattr(torch.nn.functional, name))
    try:
        wanted = defaults(theirs.__init__ if name[0].isupper() else theirs)
    except ValueError:  # written in C
        return
    found = defaults(ours.__init__ if name[0].isupper() else ours)
    differs = DIFFERENT.get(name, set())
    if name in ("sigmoid", "tanh"):
        return
    if name in MISSING_AXIS:
        wanted = [(p, inspect.Parameter.empty if p == "dim" else default) for p, default in wanted]
    assert [p for p in found if p[0] not in differs] == [p for p in wanted if p[0] not in differs]


V3, M23 = tl.zeros(3), tl.zeros((2, 3))
ERRORS = {
    "an approximation of gelu": (lambda: F.gelu(tl.ones(1), "erf"), """
gelu: approximate must be 'none' or 'tanh', not 'erf'
  at HERE"""),
    "an approximation of GELU": (lambda: nn.GELU("erf"), """
GELU: approximate must be 'none' or 'tanh', not 'erf'
  at HERE"""),
    "celu of no slope": (lambda: F.celu(V3, 0.0), """
celu: alpha cannot be 0
  input  float32[3]
  at HERE"""),
    "softshrink outwards": (lambda: F.softshrink(V3, -1), """
softshrink: lambd must be 0 or more, not -1
  input  float32[3]
  at HERE"""),
    "Softshrink outwards": (lambda: nn.Softshrink(-1.0), """
Softshrink: lambd must be 0 or more, not -1.0
  at HERE"""),
    "hardtanh upside down": (lambda: F.hardtanh(V3, 2, 1), """
hardtanh: min_val must not exceed max_val, but 2 > 1
  input  float32[3]
  at HERE"""),
    "Hardtanh of one value": (lambda: nn.Hardtanh(1, 1), """
Hardtanh: max_val must exceed min_val, but 1 <= 1
  at HERE"""),
    "hardtanh of bools": (lambda: F.hardtanh(V3 == 0), """
hardtanh: takes real dtypes, not bool
  input  bool[3]
  at HERE
  fix: cast it first: x.to(...)"""),
    "hardtanh of unsigned integers": (lambda: F.hardtanh(V3.to(tl.uint8)), """
hardtanh: uint8 cannot hold the bound -1
  input  uint8[3]
  at HERE
  fix: cast it first: x.to(tl.int32)"""),
    "halves of three": (lambda: F.glu(V3), """
glu: axis 0 has 3 elements, which do not halve
  input  float32[3]
  at HERE
  fix: the extent must be even"""),
    "halves of a number": (lambda: F.glu(tl.tensor(1.0)), """
glu: a number has no halves
  input  float32[]
  at HERE
  fix: give a tensor with an axis"""),
    "slopes for other channels": (lambda: F.prelu(M23, tl.ones(2)), """
prelu: weight has 2 slopes, input 3 channels
  input   float32[2, 3]
  weight  float32[2]
  at HERE
  fix: give one slope, or one for each extent of axis 1"""),
    "slopes of two axes": (lambda: F.prelu(M23, tl.ones((1, 1))), """
prelu: weight has one axis or none
  input   float32[2, 3]
  weight  float32[1, 1]
  at HERE"""),
    "slopes upside down": (lambda: F.rrelu(V3, 0.5, 0.2), """
rrelu: lower must not exceed upper, but 0.5 > 0.2
  input  float32[3]
  at HERE"""),
    "Softmax2d of a matrix": (lambda: nn.Softmax2d()(M23), """
Softmax2d: expects 3 or 4 axes, not 2
  input  float32[2, 3]
  at HERE"""),
    "Softmin without an axis": (lambda: nn.Softmin(), """
Softmin: the axis is missing
  at HERE
  fix: nn.Softmin(dim=-1)"""),
    "gumbel_softmax of integers": (lambda: F.gumbel_softmax(tl.arange(3)), """
gumbel_softmax: takes real floating dtypes, not int64
  logits  int64[3]
  at HERE
  fix: cast them first: logits.to(tl.float32)"""),
    "normalize of integers": (lambda: F.normalize(tl.ones((2, 2), dtype=tl.int64)), """
normalize: takes floating dtypes, not int64
  x  int64[2, 2]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_word_for_word(case):
    call, text = ERRORS[case]
    with pytest.raises(TensorliteError) as caught:
        call()
    lines = str(caught.value).splitlines()
    assert sum(line.startswith("  at test_activations.py:") for line in lines) == 1
    assert ["  at HERE" if line.startswith("  at ") else line for line in lines] == text.strip().splitlines()


def test_an_error_of_options_is_an_argument_error():
    with pytest.raises(ArgumentError):
        F.celu(V3, 0.0)
