"""Attention: against PyTorch with every kind of mask, its derivatives, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import functional as F
from tensorlite.ops.attention.dot_product import attention_weights

SHAPES = {"plain": ((4, 3), (5, 3), (5, 2)), "heads": ((2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 4)),
          "batch": ((3, 5, 4), (3, 5, 4), (3, 5, 4)), "one": ((1, 1), (1, 1), (1, 1))}
HIDDEN = np.random.default_rng(7).random((6, 6)) < 0.4
HIDDEN[1] = True


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}], ids=str)
def test_attention_and_its_derivatives_agree_with_torch(shapes, options):
    from nn.against_torch import compare, draw, torch
    compare(lambda *x: F.scaled_dot_product_attention(*x, **options),
            lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, **options),
            *(draw(*shape, seed=place) for place, shape in enumerate(shapes)), terms=64, second=False)


def test_second_derivatives_agree_with_those_of_torchs_formula():
    from nn.against_torch import compare, draw, torch

    def formula(q, k, v):
        allowed = torch.ones(4, 5, dtype=torch.bool).tril()
        scores = (q @ k.mT / 3**0.5).masked_fill(~allowed, -torch.inf)
        return scores.softmax(-1) @ v

    compare(lambda *x: F.scaled_dot_product_attention(*x, is_causal=True), formula, draw(4, 3), draw(5, 3), draw(5, 2),
            terms=64)


@pytest.mark.parametrize("kind", ["bool", "float", "one for each head"])
def test_masks_agree_with_torch_and_rows_of_nothing_are_zero(kind):
    from nn.against_torch import compare, draw, torch
    allowed = ~HIDDEN[:4]
    mask = np.where(allowed, draw(4, 6), -np.inf) if kind == "float" else allowed
    if kind == "one for each head":
        mask = np.stack([mask, ~mask, np.ones_like(mask)])
    ours = lambda *x: F.scaled_dot_product_attention(*x, tl.tensor(mask))
    arrays = draw(2, 3, 4, 8), draw(2, 3, 6, 8), draw(2, 3, 6, 5)
    compare(ours, lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, torch.tensor(mask)), *arrays,
            terms=64, second=False)
    if kind != "one for each head":
        assert_same(ours(*map(tl.tensor, arrays))[..., 1, :], np.zeros((2, 3, 5)))


def test_numbers_of_a_mask_have_derivatives_as_in_torch():
    from nn.against_torch import compare, draw, torch
    arrays = draw(4, 3), draw(5, 3), draw(5, 2), draw(4, 5)
    compare(F.scaled_dot_product_attention, torch.nn.functional.scaled_dot_product_attention, *arrays, terms=64,
            second=False)


def test_heads_of_keys_serve_groups_of_queries():
    from nn.against_torch import compare, draw, torch
    compare(lambda *x: F.scaled_dot_product_attention(*x, enable_gqa=True),
            lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, enable_gqa=True),
            draw(2, 6, 4, 3), draw(2, 2, 5, 3), draw(2, 3, 5, 3)[:, :2], terms=64, second=False)


#: What kernels of their own compute, tails in every dimension, forms as layers have them.
LARGE = {
    "plain": ((2, 3, 150, 20), (2, 3, 70, 20), (2, 3, 70, 12), {}),
    "causal": ((2, 3, 70, 16), (2, 3, 150, 16), (2, 3, 150, 16), {"is_causal": True}),
    "causal, fewer keys": ((2, 150, 33), (2, 70, 33), (2, 70, 65), {"is_causal": True}),
    "scaled": ((2, 100, 40), (2, 100, 40), (2, 100, 80), {"scale": 0.3}),
    "grouped": ((2, 6, 90, 16), (2, 2, 50, 16), (2, 2, 50, 24), {"enable_gqa": True}),
    "grouped, causal": ((2, 6, 90, 16), (2, 3, 90, 16), (2, 3, 90, 24), {"enable_gqa": True, "is_causal": True}),
}


def large_mask(kind, shape, keys):
    """A mask for queries of a shape, of bools, numbers, one for each head, or of paddings."""
    *stack, queries, _ = shape
    shape = {"padding": (stack[0], *(1,) * (len(stack) - 1), 1, keys), "heads": (*stack, queries, keys)}.get(
        kind, (queries, keys))
    allowed = np.random.default_rng(3).random(shape) < 0.7
    return np.where(allowed, np.random.default_rng(4).standard_normal(shape), -np.inf) if kind == "float" else allowed


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", LARGE)
def test_large_attention_agrees_with_torch(name, jit):
    from nn.against_torch import compare, draw, torch
    *shapes, options = LARGE[name]
    ours = lambda *x: F.scaled_dot_product_attention(*x, **options)
    compare(tl.jit(ours) if jit else ours, lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, **options),
            *(draw(*shape, seed=place) for place, shape in enumerate(shapes)), terms=256, second=False)


@pytest.mark.parametrize("kind", ["bool", "float", "heads", "padding"])
@pytest.mark.parametrize("name", ["plain", "grouped"])
def test_large_masked_attention_agrees_with_torch(name, kind):
    from nn.against_torch import compare, draw, torch
    *shapes, options = LARGE[name]
    mask = large_mask(kind, shapes[0], shapes[1][-2])
    mask[..., 0] = mask[..., 0] | True if mask.dtype == bool else 0.0  # PyTorch's of a row of nothing are NaN in some
    theirs = lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, torch.tensor(mask), **options)
    compare(lambda *x: F.scaled_dot_product_attention(*x, tl.tensor(mask), **options), theirs,
            *(draw(*shape, seed=place) for place, shape in enumerate(shapes)), terms=256, second=False)


def test_second_derivatives_of_large_attention_agree_with_those_of_torchs_formula():
    from nn.against_torch import compare, draw, torch

    def formula(q, k, v):
        allowed = torch.ones(90, 90, dtype=torch.bool).tril()
        return (q @ k.mT / 16**0.5).masked_fill(~allowed, -torch.inf).softmax(-1) @ v

    compare(lambda *x: F.scaled_dot_product_attention(*x, is_causal=True), formula, draw(2, 90, 16), draw(2, 90, 16),
            draw(2, 90, 16), terms=256)


def test_a_large_mask_of_numbers_has_derivatives_however_it_broadcasts():
    from nn.against_torch import compare, draw, torch
    for shape in ((3, 60, 70), (60, 70), (70,), (3, 1, 70)):
        compare(F.scaled_dot_product_attention, torch.nn.functional.scaled_dot_product_attention, draw(3, 60, 16),
                draw(3, 70, 16), draw(3, 70, 8), draw(*shape), terms=256, second=False)


def test_a_scale_that_is_learned_has_its_derivative():
    from nn.against_torch import compare, draw, torch
    compare(lambda q, k, v, scale: F.scaled_dot_product_attention(q, k, v, scale=scale),
            lambda q, k, v, scale: torch.nn.functional.scaled_dot_product_attention(q * scale, k, v, scale=1.0),
            draw(2, 60, 16), draw(2, 60, 16), draw(2, 60, 16), np.array(0.3), terms=256, second=False)


def test_a_mask_that_is_tracked_outside_of_vmap_has_its_derivative():
    rng = np.random.default_rng(0)
    q, k, v, mask = (tl.tensor(rng.standard_normal(s)) for s in ((3, 50, 8), (3, 50, 8), (3, 50, 8), (50, 50)))

    def mapped(mask):
        return (tl.vmap(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask))(q, k, v)**2).sum()

    direct = tl.grad(lambda mask: (F.scaled_dot_product_attention(q, k, v, mask)**2).sum())(mask)
    assert float(tl.abs(direct).sum().item()) > 0
    assert_close(tl.grad(mapped)(mask), direct, terms=256)


def test_transforms_of_large_attention_are_those_of_its_formula():
    rng = np.random.default_rng(0)
    arrays = [tl.tensor(rng.standard_normal((2, 60, 8))) for _ in range(3)]
    attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    formula = lambda q, k, v: tl.matmul(attention_weights(q, k, is_causal=True), v)
    assert_close(tl.vmap(attend)(*arrays), attend(*arrays), terms=256)
    loss = lambda f: lambda *x: (f(*x)**2).sum()
    expected = tl.grad(loss(formula), (0, 1, 2))(*arrays)
    for f in (attend, tl.vmap(attend)):
        for found, wanted in zip(tl.grad(loss(f), (0, 1, 2))(*arrays), expected, strict=True):
            assert_close(found, wanted, terms=256)


def test_heads_in_their_places_are_not_copied():
    """[batch, tokens, heads, features], seen as layers see it: one stage forward, one backward, no copies."""
    x = tl.ones((2, 64, 3, 4, 16))

    @tl.jit
    def attend(x):
        q, k, v = (x[:, :, part].permute_dims((0, 2, 1, 3)) for part in range(3))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    attend(x)
    assert [step.form for step in attend.explain().steps] == ["attention"]


def test_memory_is_far_below_that_of_all_scores():
    batch, heads, tokens, features = 1, 2, 2048, 16
    rng = np.random.default_rng(0)
    x = [tl.tensor(rng.standard_normal((batch, heads, tokens, features), np.float32), requires_grad=True)
         for _ in range(3)]

    @tl.jit
    def step(q, k, v):
        return tl.autograd.grad((F.scaled_dot_product_attention(q, k, v, is_causal=True)**2).sum(), (q, k, v))

    step(*x)
    assert step.memory()["arena"] < batch * heads * tokens * tokens * 4 / 32


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32])
def test_attention_holds_the_dtype(dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 6, 4)) for _ in range(3)]
    q, k, v = (tl.tensor(x, dtype=dtype) for x in arrays)
    found = F.scaled_dot_product_attention(q, k, v, tl.tensor(~HIDDEN))
    assert found.dtype == dtype
    exact = F.scaled_dot_product_attention(*(x.to(tl.float64) for x in (q, k, v)), tl.tensor(~HIDDEN))
    assert_close(found.to(tl.float64), exact, dtype=dtype, terms=16)


def test_dropout_drops_weights_at_random_and_scales_the_others_up():
    tl.manual_seed(0)
    x = tl.zeros((200, 4))
    eye = F.scaled_dot_product_attention(x, x, tl.eye(200), dropout_p=0.25).numpy()
    assert_close(np.unique(eye), np.array([0, 1 / 150], np.float32))
    assert abs((eye == 0).mean() - 0.25) < 5 * (0.25 * 0.75 / eye.size)**0.5
    tl.manual_seed(0)
    assert_same(F.scaled_dot_product_attention(x, x, tl.eye(200), dropout_p=0.25), eye)


def test_nothing_to_look_at_and_nobody_looking():
    assert_same(F.scaled_dot_product_attention(tl.ones((2, 3)), tl.ones((0, 3)), tl.ones((0, 4))), tl.zeros((2, 4)))
    assert F.scaled_dot_product_attention(tl.ones((0, 3)), tl.ones((2, 3)), tl.ones((2, 4))).shape == (0, 4)


@pytest.mark.parametrize(("change", "error", "text"), [
    ({"key": tl.ones((5, 2))}, ShapeError, "query has 3 features a token, key has 2"),
    ({"value": tl.ones((4, 2))}, ShapeError, "key has 5 tokens, value has 4"),
    ({"query": tl.ones(3)}, ShapeError, "query must be [..., tokens, features]"),
    ({"value": tl.ones((5, 2), dtype=tl.float64)}, DTypeError, "query, key and value must be floating, and of one"),
    ({"key": np.ones((5, 3))}, DTypeError, "key must be a tensor, not ndarray"),
    ({"attn_mask": tl.ones((4, 5), dtype=tl.int64)}, DTypeError, "attn_mask must be a tensor of bool or float32"),
    ({"attn_mask": tl.ones((3, 5))}, ShapeError, "attn_mask [3, 5] does not broadcast to [..., 4, 5]"),
    ({"query": tl.ones((3, 4, 3)), "key": tl.ones((2, 5, 3))}, ShapeError,
     "stacks [3] and [2] and [] do not broadcast"),
    ({"attn_mask": tl.ones((4, 5)), "is_causal": True}, ArgumentError, "is_causal is a mask already"),
    ({"query": tl.ones((3, 4, 3)), "key": tl.ones((2, 5, 3)), "value": tl.ones((2, 5, 3)), "enable_gqa": True},
     ShapeError, "query has 3 heads, which 2 do not serve evenly")])
def test_what_does_not_go_together_is_refused(change, error, text):
    arguments = {"query": tl.ones((4, 3)), "key": tl.ones((5, 3)), "value": tl.ones((5, 2)), **change}
    with pytest.raises(error) as caught:
        F.scaled_dot_product_attention(**arguments)
    assert str(caught.value).startswith(f"scaled_dot_product_attention: {text}")


def twins(**options):
    """Our layer and PyTorch's with the same parameters, in float64."""
    from nn.against_torch import torch
    ours = nn.MultiheadAttention(8, 2, dtype=tl.float64, **options)
    theirs = torch.nn.MultiheadAttention(8, 2, dtype=torch.float64, **options)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    theirs.load_state_dict({name: torch.tensor(x.numpy()) for name, x in ours.state_dict().items()})
    return ours, theirs


CALLS = {
    "itself": ({}, 1, {}), "itself, batch first": ({"batch_first": True}, 1, {}), "no bias": ({"bias": False}, 3, {}),
    "others": ({"batch_first": True}, 3, {}), "no weights": ({}, 3, {"need_weights": False}),
    "weights of heads": ({}, 3, {"average_attn_weights": False}),
}


@pytest.mark.parametrize(("options", "distinct", "call"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("masked", ["no mask", "bools", "numbers", "padding", "both"])
def test_multihead_attention_agrees_with_torch(options, distinct, call, masked):
    from nn.against_torch import draw, to_torch
    ours, theirs = twins(**options)
    arrays = [draw(4, 4, 8, seed=place) for place in range(distinct)]
    hidden = HIDDEN[2:, 2:] & ~np.eye(4, dtype=bool)
    masks = {"no mask": {}, "bools": {"attn_mask": hidden}, "numbers": {"attn_mask": np.where(hidden, -1.5, 0.5)},
             "padding": {"key_padding_mask": hidden},
             "both": {"attn_mask": hidden, "key_padding_mask": np.tile([False, False, False, True], (4, 1))}}[masked]
    results = []
    for layer, make in ((ours, tl.tensor), (theirs, to_torch)):
        xs = [make(a).requires_grad_() for a in arrays]
        y, weights = layer(*(xs * 3)[:3], **{key: make(mask) for key, mask in masks.items()}, **call)
        (y * make(draw(4, 4, 8, seed=9))).sum().backward()
        results.append([y, weights, *(x.grad for x in xs), *(p.grad for p in layer.parameters())])
    for found, expected in zip(*results, strict=True):
        assert (found is None) == (expected is None)
        if expected is not None:
            assert_close(found, expected.detach().numpy(), terms=64)


def test_multihead_attention_without_a_batch_and_with_a_mask_for_each_head():
    from nn.against_torch import draw, to_torch
    ours, theirs = twins()
    x = draw(5, 8)
    for found, expected in zip(ours(*[tl.tensor(x)] * 3), theirs(*[to_torch(x)] * 3), strict=True):
        assert_close(found, expected.detach().numpy(), terms=64)
    masks, xs = draw(6, 5, 5), draw(5, 3, 8)
    for found, expected in zip(ours(*[tl.tensor(xs)] * 3, attn_mask=tl.tensor(masks)),
                               theirs(*[to_torch(xs)] * 3, attn_mask=to_torch(masks)), strict=True):
        assert_close(found, expected.detach().numpy(), terms=64)


def test_multihead_attention_drops_weights_only_in_training():
    tl.manual_seed(3)
    layer = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = tl.ones((4, 1, 8))
    assert (layer(x, x, x)[1].detach().numpy() == 0).any()
    layer.eval()
    assert_close(layer(x, x, x)[1], np.full((1, 4, 4), 0.25, np.float32))


@pytest.mark.parametrize("options", [{"num_heads": 3}, {"num_heads": 0}, {"embed_dim": 0}])
def test_features_that_do_not_go_into_heads_are_refused(options):
    with pytest.raises(ArgumentError, match="features do not go evenly into"):
        nn.MultiheadAttention(**{"embed_dim": 8, "num_heads": 2, **options})


def test_inputs_of_other_sizes_are_refused():
    with pytest.raises(ShapeError, match="key must have 8 features"):
        nn.MultiheadAttention(8, 2)(tl.ones((4, 1, 8)), tl.ones((4, 1, 6)), tl.ones((4, 1, 8)))
    with pytest.raises(ArgumentError, match="is_causal"):
        nn.MultiheadAttention(8, 2)(*[tl.ones((4, 1, 8))] * 3, is_causal=True)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"mask": "bool"}, {"mask": "float"}, {"dropout_p": 0.5}],
                         ids=str)
def test_compiled_attention_and_its_derivatives_are_those_of_eager(options):
    options = dict(options)
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((2, 3, 6, 4), np.float32) for _ in range(3)]
    if mask := options.pop("mask", None):
        options["attn_mask"] = tl.tensor(~HIDDEN if mask == "bool" else np.where(HIDDEN, -np.inf, 0.5).astype("f4"))

    def function(q, k, v):
        y = F.scaled_dot_product_attention(q, k, v, **options)
        return y, tl.autograd.grad((y * y).sum(), (q, k, v))

    results = []
    for run in (function, tl.jit(function)):
        tl.manual_seed(4)
        y, slopes = run(*(tl.tensor(x, requires_grad=True) for x in arrays))
        results.append([y, *slopes])
    for expected, found in zip(*results, strict=True):
        assert_close(found, expected, terms=64)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32])
def test_masks_of_no_keys(dtype):
    def ones(*shape):
        return tl.ones(shape).astype(dtype)

    def attend(q, k, v):
        return tl.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=ones(2, 100, 0))

    given = ones(2, 100, 64), ones(2, 0, 64), ones(2, 0, 64)
    derive = tl.grad(lambda *x: attend(*x).astype(tl.float32).sum(), argnums=(0, 1, 2))
    for found in (attend(*given), tl.jit(attend)(*given), *derive(*given), *tl.jit(derive)(*given)):
        assert found.dtype == dtype and not found.numpy().astype(np.float32).any()
