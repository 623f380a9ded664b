"""Position encodings against their papers' formulas in NumPy, and what they are for."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

TERMS = 1 << 6


def rotated(x, places, base, dim, interleaved):
    """Each pair of features as a complex number, times that of its angle: [tokens, features]."""
    half = dim // 2
    pairs = [(2 * i, 2 * i + 1) if interleaved else (i, i + half) for i in range(half)]
    y = x.copy()
    for i, (a, b) in enumerate(pairs):
        z = (x[:, a] + 1j * x[:, b]) * np.exp(1j * places * base ** (-2.0 * i / dim))
        y[:, a], y[:, b] = z.real, z.imag
    return y


@settings(max_examples=25, deadline=None)
@given(half=st.integers(1, 4), rest=st.integers(0, 2), interleaved=st.booleans(), base=st.sampled_from([1e4, 500.0]),
       leading=st.sampled_from([(), (2,), (2, 3)]), tokens=st.integers(0, 5), offset=st.sampled_from([0, 7, "tensor"]),
       heads_last=st.booleans(), jit=st.booleans())
def test_rotary_embeddings_turn_pairs(half, rest, interleaved, base, leading, tokens, offset, heads_last, jit):
    dim = 2 * half
    x = np.random.default_rng(0).standard_normal((*leading, tokens, dim + rest))
    start = 3 if offset == "tensor" else offset
    expected = np.array([rotated(each, np.arange(tokens) + start, base, dim, interleaved)
                         for each in x.reshape(int(np.prod(leading)), tokens, dim + rest)]).reshape(x.shape)
    heads_last = heads_last and bool(leading)
    rotary = nn.RotaryEmbedding(dim, base, interleaved, seq_dim=-3 if heads_last else -2)
    turn = lambda a: np.swapaxes(a, -3, -2).copy() if heads_last else a
    call = tl.jit(rotary) if jit and tokens else rotary
    assert_close(call(tl.tensor(turn(x)), tl.tensor(3) if offset == "tensor" else offset), turn(expected), terms=TERMS)


def test_products_of_rotated_queries_and_keys_depend_on_their_distance_alone():
    rng = np.random.default_rng(0)
    q, k = (tl.tensor(rng.standard_normal((1, 8))) for _ in range(2))
    for interleaved in (True, False):
        rotary = nn.RotaryEmbedding(8, interleaved=interleaved)
        near, far = ((rotary(q, offset=3 + n) * rotary(k, offset=n)).sum() for n in (0, 100))
        assert_close(near, far, terms=1 << 20)


def test_layouts_differ_by_the_order_of_features_alone():
    x = tl.tensor(np.random.default_rng(0).standard_normal((5, 6)))
    order = tl.tensor([0, 2, 4, 1, 3, 5])
    pairs, halves = nn.RotaryEmbedding(6), nn.RotaryEmbedding(6, interleaved=False)
    assert_close(tl.take(pairs(x), order, axis=1), halves(tl.take(x, order, axis=1)), terms=TERMS)


def test_positions_of_tokens_may_be_given():
    x = tl.tensor(np.random.default_rng(0).standard_normal((2, 3, 4)))
    rotary = nn.RotaryEmbedding(4)
    places = tl.tensor([[5, 0, 2], [1, 1, 7]])
    expected = tl.stack([tl.concat([rotary(x[i, j:j + 1], int(places[i, j])) for j in range(3)]) for i in range(2)])
    assert_close(rotary(x, positions=places), expected, terms=TERMS)
    assert_same(rotary(x, positions=tl.arange(3)), rotary(x))


def test_decoding_token_by_token_is_the_whole_and_compiles_once():
    x = tl.tensor(np.random.default_rng(0).standard_normal((6, 4)))
    rotary = nn.RotaryEmbedding(4)
    step = tl.jit(lambda x, place: rotary(x, place))
    found = tl.concat([step(x[i:i + 1], tl.tensor(i)) for i in range(6)])
    assert_close(found, rotary(x), terms=TERMS)
    (one,) = step.explain().specialisations
    assert not one.edges


def test_derivatives_turn_back():
    from nn.against_torch import draw
    rotary = nn.RotaryEmbedding(4)
    x, g = tl.tensor(draw(3, 4)), tl.tensor(draw(3, 4, seed=1))
    slope = tl.grad(lambda x: (rotary(x) * g).sum())(x)
    assert_close(rotary(slope), g, terms=TERMS)
    assert_close(tl.vmap(rotary)(tl.stack([x, g])), tl.stack([rotary(x), rotary(g)]), terms=TERMS)


@settings(max_examples=25, deadline=None)
@given(features=st.integers(1, 7), tokens=st.integers(0, 5), form=st.sampled_from(["alone", "batch", "batch first"]),
       base=st.sampled_from([1e4, 10.0]), offset=st.sampled_from([0, 4, "tensor"]))
def test_sinusoids_are_those_of_the_paper(features, tokens, form, base, offset):
    shape = {"alone": (tokens, features), "batch": (tokens, 2, features), "batch first": (2, tokens, features)}[form]
    x = np.random.default_rng(0).standard_normal(shape)
    start = 3 if offset == "tensor" else offset
    places, which = np.arange(start, start + tokens)[:, None], np.arange(features)
    angles = places / base ** (2 * (which // 2) / features)
    table = np.where(which % 2, np.cos(angles), np.sin(angles))
    layer = nn.SinusoidalPositionalEncoding(features, base=base, batch_first=form == "batch first")
    found = layer(tl.tensor(x), tl.tensor(3) if offset == "tensor" else offset)
    assert_close(found, x + (table[:, None] if form == "batch" else table), terms=TERMS)
    assert not layer.state_dict()


def test_sinusoids_are_dropped_out_in_training_only():
    layer = nn.SinusoidalPositionalEncoding(64, dropout=0.5)
    x = tl.ones((32, 64)) * 3
    assert 0.4 < (layer(x).numpy() == 0).mean() < 0.6
    assert not (layer.eval()(x).numpy() == 0).any()


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32])
def test_encodings_hold_the_dtype_and_compute_wide(dtype):
    x = np.random.default_rng(0).standard_normal((300, 8))
    for layer in (nn.RotaryEmbedding(8), nn.SinusoidalPositionalEncoding(8)):
        given_ = tl.tensor(x, dtype=dtype)
        found = layer(given_)
        assert found.dtype == dtype
        if dtype != tl.float32:
            assert_close(found.to(tl.float64), layer(given_.to(tl.float64)), dtype=dtype, terms=4)


X = tl.ones((3, 4))
REFUSED = {
    "odd": (lambda: nn.RotaryEmbedding(3), ArgumentError, """
RotaryEmbedding: features are turned in pairs: dim must be even
  dim  3
  at HERE"""),
    "base": (lambda: nn.RotaryEmbedding(4, base=0), ArgumentError, """
RotaryEmbedding: base must be positive
  base  0
  at HERE"""),
    "narrow": (lambda: nn.RotaryEmbedding(6)(X), ShapeError, """
RotaryEmbedding: the input must be [..., tokens, features] with at least 6 features
  input  float32[3, 4]
  at HERE"""),
    "integers": (lambda: nn.RotaryEmbedding(4)(tl.ones((3, 4), dtype=tl.int64)), DTypeError, """
RotaryEmbedding: the input must be a floating tensor
  input  int64[3, 4]
  at HERE"""),
    "axis": (lambda: nn.RotaryEmbedding(4, seq_dim=-1)(X), ArgumentError, """
RotaryEmbedding: the axis of features cannot be that of tokens
  input    float32[3, 4]
  seq_dim  -1
  at HERE"""),
    "positions": (lambda: nn.RotaryEmbedding(4)(X, positions=tl.arange(2)), ShapeError, """
RotaryEmbedding: there must be a position for each of 3 tokens
  input      float32[3, 4]
  positions  int64[2]
  at HERE"""),
    "size": (lambda: nn.SinusoidalPositionalEncoding(0), ArgumentError, """
SinusoidalPositionalEncoding: d_model and base must be positive
  d_model  0
  base     10000.0
  at HERE"""),
    "features": (lambda: nn.SinusoidalPositionalEncoding(2)(X), ShapeError, """
SinusoidalPositionalEncoding: the input must have 2 features and 2 or 3 axes
  input  float32[3, 4]
  at HERE"""),
    "no features": (lambda: nn.SinusoidalPositionalEncoding(6)(X), ShapeError, """
SinusoidalPositionalEncoding: the input must be [tokens, N, 6], or [N, tokens, 6] with batch_first, or [tokens, 6]
  input  float32[3, 4]
  at HERE"""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_is_told(name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    assert re.sub(r"at test_position.py:\d+ in .*", "at HERE", str(caught.value)) == text.strip()
