"""Attention that drops weights at random: against its formula with the same weights dropped, compiled and mapped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ShapeError
from tensorlite.kernels.attention import kept
from tensorlite.nn import functional as F
from tensorlite.ops.attention.dot_product import attention_weights

P = 0.3
HIDDEN = np.random.default_rng(7).random((48, 52)) < 0.4
HIDDEN[1] = True
MASKS = {"all": {}, "causal": {"is_causal": True}, "bools": {"attn_mask": ~HIDDEN},
         "numbers": {"attn_mask": np.where(HIDDEN, -np.inf, np.arange(52) / 50)}, "scale": {"scale": 0.2}}


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def heads(queries=48, keys=52, stack=(2, 3), dtype=np.float64):
    """A query, a key and a value."""
    shapes = (queries, 8), (keys, 8), (keys, 5)
    return [draw(*stack, *shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def options_of(name):
    return {key: tl.tensor(x) if isinstance(x, np.ndarray) else x for key, x in MASKS[name].items()}


def attend(q, k, v, p=P, **options):
    tl.manual_seed(5)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=p, **options)


def formula(q, k, v, p=P, attn_mask=None, is_causal=False, scale=None):
    """The same, of weights in memory: the same draw says which are kept."""
    tl.manual_seed(5)
    stack = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    stream = tl.randint(0, 1 << 32, (*stack, 4), dtype=tl.uint32).numpy()
    weights = attention_weights(q, k, attn_mask, is_causal, scale)
    return tl.where(tl.tensor(kept(np, stream, q.shape[-2], k.shape[-2], p)), weights / (1 - p), 0) @ v


def slopes(function, arrays, order, **options):
    """First or second derivatives of a sum of squares, of a function of tensors."""
    def first(*x):
        return tl.grad(lambda *x: (function(*x, **options)**2).sum(), (0, 1, 2))(*x)
    if order == 1:
        return first(*arrays)
    return tl.grad(lambda *x: sum((y**2).sum() for y in first(*x)), (0, 1, 2))(*arrays)


@pytest.mark.parametrize("name", MASKS)
def test_it_is_its_formula_with_its_derivatives(name):
    arrays, options = [tl.tensor(x) for x in heads()], options_of(name)
    assert_close(attend(*arrays, **options), formula(*arrays, **options), terms=64)
    for order in (1, 2):
        found, expected = (slopes(f, arrays, order, **options) for f in (attend, formula))
        for ours, wanted in zip(found, expected, strict=True):
            assert_close(ours, wanted, terms=4096)


def test_a_mask_of_numbers_has_its_derivative():
    arrays, mask = [tl.tensor(x) for x in heads()], tl.tensor(draw(3, 48, 52))
    found, expected = (tl.grad(lambda m, f=f: (f(*arrays, attn_mask=m)**2).sum())(mask) for f in (attend, formula))
    assert_close(found, expected, terms=256)


@pytest.mark.parametrize("name", ["all", "causal", "bools"])
def test_compiled_it_drops_the_same_weights(name):
    arrays, options = [tl.tensor(x) for x in heads(dtype=np.float32)], options_of(name)

    def step(q, k, v):
        return attend(q, k, v, **options), *slopes(attend, (q, k, v), 1, **options)

    compiled = tl.jit(step)
    for found, expected in zip(compiled(*arrays), step(*arrays), strict=True):
        assert_close(found, expected, terms=256)
    assert "0 Python edges" in str(compiled.explain())


def test_compiled_each_call_draws_anew_and_as_eager_does():
    q, k, v = (tl.tensor(x) for x in heads(dtype=np.float32))
    runs = []
    for function in (F.scaled_dot_product_attention, tl.jit(F.scaled_dot_product_attention)):
        tl.manual_seed(1)
        runs.append([function(q, k, v, dropout_p=0.5).numpy() for _ in range(3)])
    for found, expected in zip(*runs, strict=True):
        assert_close(found, expected, terms=64)
    assert not np.array_equal(runs[0][0], runs[0][1])


def test_a_generator_of_its_own_is_drawn_from():
    arrays = [tl.tensor(x) for x in heads()]
    before = tl.get_rng_state().numpy()
    first, again = (F.scaled_dot_product_attention(*arrays, dropout_p=0.5, generator=tl.Generator().manual_seed(3))
                    for _ in range(2))
    assert_same(first, again)
    assert_same(tl.get_rng_state(), before)


def test_memory_is_far_below_that_of_all_weights():
    x = [tl.tensor(draw(1, 2, 2048, 16, seed=seed, dtype=np.float32), requires_grad=True) for seed in range(3)]

    @tl.jit
    def step(q, k, v):
        return tl.autograd.grad((F.scaled_dot_product_attention(q, k, v, dropout_p=0.1)**2).sum(), (q, k, v))

    step(*x)
    assert step.memory()["arena"] < 2 * 2048 * 2048 * 4 / 32


def test_the_mean_of_many_draws_is_attention_without():
    tl.manual_seed(0)
    count = 4000
    q, k, v = (tl.tensor(x) for x in heads(40, 6, (), np.float32))
    expected = F.scaled_dot_product_attention(q, k, v)
    spread = [tl.broadcast_to(x, (count, *x.shape)) for x in (q, k, v)]
    found = F.scaled_dot_product_attention(*spread, dropout_p=0.25).numpy()
    assert (np.abs(found.mean(0) - expected.numpy()) < 5.5 * found.std(0) / math.sqrt(count)).all()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_dropped_and_everything(p):
    arrays = [tl.tensor(x) for x in heads()]
    expected = F.scaled_dot_product_attention(*arrays) if p == 0 else tl.zeros((2, 3, 48, 5), dtype=tl.float64)
    assert_same(attend(*arrays, p=p), expected)
    if p == 1:
        assert not any(x.numpy().any() for x in slopes(attend, arrays, 1, p=p))


@pytest.mark.parametrize("stack", [(4,), (4, 2)])
def test_each_element_of_a_batch_drops_its_own(stack):
    """Mapped, it is what it is of the whole; and elements that are alike drop different weights."""
    arrays = [tl.tensor(x) for x in heads(stack=stack)]
    assert_close(tl.vmap(attend)(*arrays), attend(*arrays), terms=64)
    mapped = slopes(lambda *x: tl.vmap(attend)(*x), arrays, 1)
    for found, expected in zip(mapped, slopes(attend, arrays, 1), strict=True):
        assert_close(found, expected, terms=256)
    same = [x[0] for x in arrays]
    rows = tl.vmap(lambda _: F.scaled_dot_product_attention(*same, dropout_p=0.5))(tl.ones(3)).numpy()
    assert not np.array_equal(rows[0], rows[1]) and not np.array_equal(rows[1], rows[2])


def test_mapped_over_cotangents_the_same_weights_are_dropped():
    q, k, v = (tl.tensor(x) for x in heads(stack=()))
    q.requires_grad = v.requires_grad = True
    out = attend(q, k, v)
    g = tl.tensor(draw(4, *out.shape, seed=9))
    found = tl.vmap(lambda g: tl.autograd.grad(out, (q, v), g, retain_graph=True))(g)
    for place in range(4):
        expected = tl.autograd.grad(out, (q, v), g[place], retain_graph=True)
        for ours, wanted in zip(found, expected, strict=True):
            assert_close(ours[place], wanted, terms=256)


def test_heads_that_share_keys_drop_their_own():
    x = [tl.zeros((4, 48, 8)), tl.zeros((2, 48, 8)), tl.broadcast_to(tl.eye(48), (2, 48, 48))]
    out = F.scaled_dot_product_attention(*x, dropout_p=0.5, enable_gqa=True).numpy()
    assert out.shape == (4, 48, 48) and len({head.tobytes() for head in out}) == 4
    assert_close(np.unique(out), np.array([0, 1 / 24], np.float32))


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16])
def test_it_holds_narrow_dtypes(dtype):
    arrays = [tl.tensor(x, dtype=dtype) for x in heads()]
    exact = formula(*(x.to(tl.float64) for x in arrays))
    found = attend(*arrays)
    assert found.dtype == dtype
    assert_close(found.to(tl.float64), exact, dtype=dtype, terms=64)


def test_stacks_that_do_not_go_together_are_refused():
    with pytest.raises(ShapeError) as caught:
        F.scaled_dot_product_attention(tl.ones((3, 48, 4)), tl.ones((2, 5, 4)), tl.ones((2, 5, 4)), dropout_p=0.1)
    assert str(caught.value).startswith("scaled_dot_product_attention: stacks [3] and [2] and [2] do not broadcast")


def test_a_layer_in_training_has_no_python_between_kernels():
    tl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    x = tl.tensor(draw(2, 48, 32, dtype=np.float32))

    @tl.jit
    def step(x):
        layer.zero_grad()
        (layer(x)**2).mean().backward()

    step(x)
    text = str(step.explain())
    assert "0 Python edges" in text and "attention_dropout_backward" in text
