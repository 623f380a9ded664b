"""Attention of several heads with every option, drawn at random, against PyTorch: the layer and the function."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import functional as F

TERMS = 1 << 10

options_of = st.fixed_dictionaries({
    "bias": st.booleans(), "add_bias_kv": st.booleans(), "add_zero_attn": st.booleans(), "batch_first": st.booleans(),
    "kdim": st.sampled_from([None, 8, 5]), "vdim": st.sampled_from([None, 3])})
calls_of = st.fixed_dictionaries({"need_weights": st.booleans(), "average_attn_weights": st.booleans()})
mask_kinds = st.sampled_from([None, "bool", "float", "bool of heads", "float of heads", "causal"])


def twins(**options):
    """Our layer and PyTorch's with the same parameters, biases too, in float64."""
    from nn.against_torch import draw, torch
    ours = nn.MultiheadAttention(8, 2, dtype=tl.float64, **options)
    theirs = torch.nn.MultiheadAttention(8, 2, dtype=torch.float64, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    values = {name: draw(*x.shape, seed=i) / 2 for i, (name, x) in enumerate(ours.state_dict().items())}
    ours.load_state_dict(values)
    theirs.load_state_dict({name: torch.tensor(x) for name, x in values.items()})
    return ours, theirs


def masks_of(kind, padding, batch, queries, keys):
    """Masks that hide no query's first key."""
    rng = np.random.default_rng(3)
    shape = (queries, keys) if kind in ("bool", "float", "causal") else (max(batch or 1, 1) * 2, queries, keys)
    hidden = rng.random(shape) < 0.4
    if kind == "causal":
        hidden = np.triu(np.ones(shape, bool), 1)
    hidden[..., 0] = False
    found = {}
    if kind is not None:
        found["attn_mask"] = np.where(hidden, -np.inf, rng.standard_normal(shape)) if "float" in kind else hidden
    if padding is not None:
        late = np.arange(keys) >= np.arange(max(batch or 1, 1))[:, None] % keys + 1
        late = late if batch else late[0]
        found["key_padding_mask"] = late if padding == "bool" else np.where(late, -np.inf, 0.5)
    return found


def run(library, function, arrays, masks, parameters, call):
    inputs = [library.tensor(a, requires_grad=True) for a in arrays]
    y, weights = function(*inputs, **{name: library.tensor(m) for name, m in masks.items()}, **call)
    loss = (y * y).sum() if weights is None else (y * y).sum() + (weights ** 3).sum()
    loss.backward()
    return [y, weights, *(x.grad for x in inputs), *(p.grad for p in parameters)]


def assert_alike(found, expected):
    for y, z in zip(found, expected, strict=True):
        assert (y is None) == (z is None)
        if z is not None:
            assert_close(y, z.detach().numpy(), terms=TERMS)


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@settings(max_examples=40, deadline=None)
@given(options=options_of, call=calls_of, kind=mask_kinds, padding=st.sampled_from([None, "bool", "float"]),
       batch=st.sampled_from([None, 1, 3]), queries=st.integers(1, 4), keys=st.integers(1, 4))
def test_the_layer_agrees_with_torch(options, call, kind, padding, batch, queries, keys):
    from nn.against_torch import draw, torch
    ours, theirs = twins(**options)

    def shape(tokens, features):
        leading = (tokens,) if batch is None else (batch, tokens) if options["batch_first"] else (tokens, batch)
        return *leading, features

    arrays = (draw(*shape(queries, 8)), draw(*shape(keys, options["kdim"] or 8), seed=1),
              draw(*shape(keys, options["vdim"] or 8), seed=2))
    masks = masks_of(kind, padding, batch, queries, keys)
    if kind == "causal" and queries == keys:
        call = {**call, "is_causal": padding is None and not (options["add_bias_kv"] or options["add_zero_attn"])}
    assert_alike(run(tl, ours, arrays, masks, ours.parameters(), call),
                 run(torch, theirs, arrays, masks, theirs.parameters(), call))


@settings(max_examples=20, deadline=None)
@given(shared=st.sampled_from(["all", "key and value", "none"]), separate=st.booleans(), has_bias=st.booleans(),
       static=st.sampled_from([(), ("static_k",), ("static_k", "static_v")]), zero=st.booleans(),
       call=calls_of, training=st.booleans())
def test_the_function_agrees_with_torch(shared, separate, has_bias, static, zero, call, training):
    from nn.against_torch import draw, torch
    weights = [draw(8, 8, seed=i) / 2 for i in range(3)]
    out, biases = (draw(8, 8, seed=4) / 2, draw(8, seed=5)), draw(24, seed=6)
    arrays = (draw(3, 2, 8), draw(4, 2, 8, seed=1), draw(4, 2, 8, seed=2))
    given = {name: draw(4, 4, 4, seed=9 + i) for i, name in enumerate(static)}

    def function(library, functional):
        make = library.tensor
        own = dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), map(make, weights), strict=True))

        def call_it(query, key, value, **options):
            value = key if shared == "key and value" else value
            query, key, value = (query,) * 3 if shared == "all" else (query, key, value)
            own_static = {n: make(a[:, :query.shape[0] if shared == "all" else None]) for n, a in given.items()}
            return functional(query, key, value, 8, 2, None if separate else make(np.concatenate(weights)),
                              make(biases) if has_bias else None, None, None, zero, 0.0, make(out[0]), make(out[1]),
                              training=training, use_separate_proj_weight=separate,
                              **(own if separate else {}), **own_static, **options)
        return call_it

    found = run(tl, function(tl, F.multi_head_attention_forward), arrays, {}, [], call)
    expected = run(torch, function(torch, torch.nn.functional.multi_head_attention_forward), arrays, {}, [], call)
    assert_alike(found, expected)


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    plain = lambda f: [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
    assert plain(F.multi_head_attention_forward) == plain(torch.nn.functional.multi_head_attention_forward)
    assert plain(nn.MultiheadAttention) == plain(torch.nn.MultiheadAttention)
    assert plain(nn.MultiheadAttention.forward) == plain(torch.nn.MultiheadAttention.forward)


@pytest.mark.parametrize("options", [{}, {"kdim": 96, "vdim": 32}, {"add_bias_kv": True}], ids=str)
def test_parameters_are_drawn_as_in_torch(options):
    from nn.against_torch import torch
    tl.manual_seed(0)
    torch.manual_seed(0)
    ours = nn.MultiheadAttention(64, 4, **options).state_dict()
    for name, wanted in torch.nn.MultiheadAttention(64, 4, **options).state_dict().items():
        found, wanted = ours[name].numpy(), wanted.numpy()
        error = 5 * wanted.std() / found.size**0.5
        assert abs(found.mean() - wanted.mean()) <= 2 * error, name
        assert abs(found.std() - wanted.std()) <= 2 * error, name


def test_a_layer_of_16_bits_takes_masks_of_32():
    layer = nn.MultiheadAttention(8, 2, dtype=tl.bfloat16)
    x = tl.ones((3, 1, 8), dtype=tl.bfloat16)
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    for need_weights in (True, False):
        assert layer(x, x, x, attn_mask=mask, need_weights=need_weights)[0].dtype == tl.bfloat16


@settings(max_examples=15, deadline=None)
@given(options=options_of, call=calls_of, kind=mask_kinds, padding=st.sampled_from([None, "bool", "float"]))
def test_a_compiled_layer_is_the_eager_one(options, call, kind, padding):
    layer = nn.MultiheadAttention(8, 2, dtype=tl.float64, **options)
    rng = np.random.default_rng(0)
    lead = (2, 4) if options["batch_first"] else (4, 2)
    x = [tl.tensor(rng.standard_normal((*lead, n))) for n in (8, options["kdim"] or 8, options["vdim"] or 8)]
    masks = {name: tl.tensor(m) for name, m in masks_of(kind, padding, 2, 4, 4).items()}

    def step(q, k, v, masks):
        y, weights = layer(q, k, v, **masks, **call)
        return y, weights, tl.autograd.grad((y * y).sum(), list(layer.parameters()), allow_unused=True)

    compiled = tl.jit(step)
    (y, weights, slopes), (z, others, expected) = compiled(*x, masks), step(*x, masks)
    for a, b in zip((y, weights, *slopes), (z, others, *expected), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_close(a, b, terms=TERMS)
    assert not compiled.explain().edges


def test_the_layer_maps_over_samples():
    layer = nn.MultiheadAttention(8, 2, batch_first=True, add_zero_attn=True, dtype=tl.float64)
    x = tl.tensor(np.random.default_rng(0).standard_normal((3, 4, 8)))
    found, weights = tl.vmap(lambda x: layer(x, x, x))(x)
    y, expected = layer(x, x, x)
    assert_close(found, y, terms=TERMS)
    assert_close(weights, expected, terms=TERMS)


X = tl.ones((3, 2, 8))
LAYER = nn.MultiheadAttention(8, 2)
EYE = tl.eye(8)


def forward(**options):
    given = {"bias_k": None, "bias_v": None, "add_zero_attn": False, "dropout_p": 0.0, "in_proj_bias": None,
             "in_proj_weight": tl.ones((24, 8)), "num_heads": 2, "embed_dim_to_check": 8, **options}
    return F.multi_head_attention_forward(X, X, X, out_proj_weight=EYE, out_proj_bias=None, **given)


REFUSED = {
    "other features": (lambda: LAYER(X, X[..., :4], X), ShapeError, """
MultiheadAttention: key must have 8 features, and all of them 3 axes or 2
  query  float32[3, 2, 8]
  key    float32[3, 2, 4]
  value  float32[3, 2, 8]
  at HERE"""),
    "more values": (lambda: LAYER(X, X[:2], X), ShapeError, """
MultiheadAttention: there must be one value for each key
  query  float32[3, 2, 8]
  key    float32[2, 2, 8]
  value  float32[3, 2, 8]
  at HERE"""),
    "other samples": (lambda: LAYER(X, X[:, :1], X[:, :1]), ShapeError, """
MultiheadAttention: there are queries of 2 samples, and keys of 1
  query  float32[3, 2, 8]
  key    float32[3, 1, 8]
  at HERE"""),
    "a mask of integers": (lambda: LAYER(X, X, X, attn_mask=tl.ones((3, 3), dtype=tl.int64)), DTypeError, """
MultiheadAttention: attn_mask must be a tensor of bool or float32
  attn_mask  int64[3, 3]
  at HERE"""),
    "a mask of other tokens": (lambda: LAYER(X, X, X, attn_mask=tl.ones((2, 3))), ShapeError, """
MultiheadAttention: attn_mask must be [3, 3] or [4, 3, 3]
  attn_mask  float32[2, 3]
  at HERE"""),
    "padding of other tokens": (lambda: LAYER(X, X, X, tl.ones((3, 2))), ShapeError, """
MultiheadAttention: key_padding_mask must be [2, 3]
  key_padding_mask  float32[3, 2]
  at HERE"""),
    "no causal mask": (lambda: LAYER(X, X, X, is_causal=True), ArgumentError, """
MultiheadAttention: is_causal only says what attn_mask is
  at HERE
  fix: pass the causal attn_mask"""),
    "no weights": (lambda: forward(in_proj_weight=None), ArgumentError, """
multi_head_attention_forward: weights are missing
  at HERE
  fix: pass in_proj_weight, or with use_separate_proj_weight the three of query, key and value"""),
    "one bias": (lambda: forward(bias_k=tl.ones((1, 1, 8))), ArgumentError, """
multi_head_attention_forward: bias_k and bias_v go together
  bias_k  float32[1, 1, 8]
  bias_v  None
  at HERE"""),
    "a bias of what is static": (lambda: forward(bias_k=EYE, bias_v=EYE, static_v=X), ArgumentError, """
multi_head_attention_forward: no bias can be added to static_v
  static_v  float32[3, 2, 8]
  at HERE"""),
    "other static keys": (lambda: forward(static_k=X), ShapeError, """
multi_head_attention_forward: static_k must be [4, S, 4]
  static_k  float32[3, 2, 8]
  at HERE"""),
    "another size": (lambda: forward(embed_dim_to_check=4), ShapeError, """
multi_head_attention_forward: query must have 4 features, as embed_dim_to_check says
  query  float32[3, 2, 8]
  at HERE"""),
    "heads that do not fit": (lambda: forward(num_heads=3), ArgumentError, """
multi_head_attention_forward: 8 features do not go evenly into 3 heads
  at HERE"""),
    "a chance of 2": (lambda: F.scaled_dot_product_attention(X, X, X, dropout_p=2.0), ArgumentError, """
scaled_dot_product_attention: dropout_p must be between 0 and 1, not 2.0
  at HERE"""),
    "no heads": (lambda: F.scaled_dot_product_attention(EYE, EYE, EYE, enable_gqa=True), ShapeError, """
scaled_dot_product_attention: enable_gqa needs an axis of heads before the tokens
  query  float32[8, 8]
  key    float32[8, 8]
  value  float32[8, 8]
  at HERE"""),
    "a mask of groups": (lambda: F.scaled_dot_product_attention(
        tl.ones((4, 3, 2)), *[tl.ones((2, 3, 2))] * 2, tl.ones((2, 3, 3)), enable_gqa=True), ShapeError, """
scaled_dot_product_attention: attn_mask is of 2 heads, query has 4
  query      float32[4, 3, 2]
  attn_mask  float32[2, 3, 3]
  at HERE"""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_told(name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    assert re.sub(r"at test_multihead.py:\d+ in .*", "at HERE", str(caught.value)) == text.strip()


# --- scaled_dot_product_attention -----------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(leading=st.sampled_from([(), (3,), (2, 2), (2, 1, 2)]), queries=st.integers(1, 4), keys=st.integers(1, 4),
       groups=st.sampled_from([None, 1, 2]), scale=st.sampled_from([None, 0.3]),
       kind=st.sampled_from([None, "bool", "float", "is_causal"]), shrunk=st.sets(st.integers(0, 4)))
def test_attention_agrees_with_torch(leading, queries, keys, groups, scale, kind, shrunk):
    from nn.against_torch import compare, draw, torch
    options = {"scale": scale, "is_causal": kind == "is_causal"}
    of_keys = leading
    if groups is not None:
        options["enable_gqa"], leading, of_keys = True, (*leading, 4), (*leading, groups)
    arrays = draw(*leading, queries, 3), draw(*of_keys, keys, 3, seed=1), draw(*of_keys, keys, 2, seed=2)
    masks = []
    if kind in ("bool", "float"):
        full = (*leading, queries, keys)
        shape = [1 if i in shrunk else n for i, n in enumerate(full)]
        mask = np.random.default_rng(4).random(shape) < 0.7
        mask[..., 0] = True
        masks = [mask if kind == "bool" else np.where(mask, 0.5, -np.inf)]
    compare(lambda *x: F.scaled_dot_product_attention(*x, *map(tl.tensor, masks), **options),
            lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, *map(torch.tensor, masks), **options),
            *arrays, terms=TERMS, second=False)


def test_numbers_of_another_dtype_are_added_as_torch_does():
    x = tl.ones((3, 4), dtype=tl.float64)
    assert_same(F.scaled_dot_product_attention(x, x, x, tl.zeros((3, 3))), F.scaled_dot_product_attention(x, x, x))
