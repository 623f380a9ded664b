"""Planned attention against its ops' bodies in float64: any shapes, strides, stacks and masks, the same bits always."""

from __future__ import annotations

from itertools import product

import ml_dtypes
import numpy as np
import pytest
from guarded import Guarded, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import LAYOUTS, interpret, laid, numbers
from planned import compute as planned_run
from tolerance import assert_close

from tensorlite.kernels import attention as rule
from tensorlite.kernels.cpu import attention, prepared, stages, team
from tensorlite.kernels.stage import Array
from tensorlite.op import OPS

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
EXTENTS = st.sampled_from([0, 1, 2, 3, 5, 15, 16, 17, 31, 47, 64, 65, 67, 96, 97, 131, 133, 150, 200])
SIZES = st.sampled_from([0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 80])
STACKS = st.sampled_from([((), (), ()), ((2,), (2,), (2,)), ((2, 3), (2, 3), (2, 3)), ((2, 2, 3), (2, 2, 1), (2, 2, 1)),
                          ((3,), (), (3,)), ((2, 1), (3,), (1,)), ((0, 2), (0, 2), (2,))])  # fmt: skip
MASKS = st.sampled_from(["", "", "causal", "bool", "bool for keys", "float", "float turned", "bool of heads"])
DROPS = st.sampled_from([None, None, 0.1, 0.5, 1.0])
TERMS = 4096


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Few queries are planned too."""
    monkeypatch.setattr(rule, "FEWEST_QUERIES", 0)
    monkeypatch.setattr(attention, "_WORTH", 0.0)
    prepared.forget()
    yield
    prepared.forget()


def mask_of(kind, stack, queries, keys, dtype, seed=5):
    """A mask of a kind; some queries may look nowhere."""
    if kind in ("", "causal"):
        return []
    shape = {"bool for keys": (*stack[:1], *(1,) * (len(stack) - 1), 1, keys), "bool of heads": (*stack, queries, keys),
             "float turned": (keys, queries)}.get(kind, (queries, keys))  # fmt: skip
    allowed = np.random.default_rng(seed).random(shape) < 0.6
    if kind.startswith("bool"):
        return [allowed]
    mask = np.where(allowed, numbers(shape, dtype, seed), -np.inf).astype(dtype)
    return [mask.T if kind == "float turned" else mask]


def stream_of(stack, seed=6):
    """Four random words of each matrix."""
    return np.asarray(np.random.default_rng(seed).integers(0, 1 << 32, (*stack, 4))).astype(np.uint32)


def body(op, inputs, **attributes):
    """What the op's body says in float64, and so its outputs' shapes."""
    wide = [x if x.dtype in (bool, np.uint32) else x.astype(F64) for x in inputs]
    with np.errstate(all="ignore"):
        return OPS[op].body(np, *wide, **attributes)


def run(op, inputs, shapes, attributes):
    """The outputs of a plan by 1, 2 and 4 threads, which must not differ, nor touch anything else."""
    dtype = inputs[0].dtype
    plan = attention.PLANS[op]([stages.described(x) for x in inputs],
                               [Array.contiguous(dtype, shape) for shape in shapes], **attributes)  # fmt: skip
    assert plan is not None
    before, results = [x.copy() for x in inputs], []
    for threads in (1, 2, 4):
        guarded = [Guarded(np.full(shape, 7, dtype)) for shape in shapes]
        stages.run(plan, [*inputs, *(g.array for g in guarded)], threads)
        for one in guarded:
            one.check()
        results.append([one.array.copy() for one in guarded])
    for other in results[1:]:
        assert all(map(same_bits, results[0], other))
    for x, copy in zip(inputs, before, strict=True):
        assert same_bits(x, copy), "an input was overwritten"
    return results[0]


def both(q, k, v, mask=(), causal=False, scale=0.3, p=None, layout="contiguous"):
    """Run attention and its derivative; compare both with the bodies, and return what they gave.

    Of all weights, or of those that are not dropped with a probability ``p``.
    """
    attributes, op = {"causal": causal, "scale": scale}, "attention"
    stack = np.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v, *mask)))
    if p is not None:
        attributes, op = attributes | {"p": p}, "attention_dropout"
        mask = [laid(stream_of(stack), layout), *mask]
    expected = body(op, (q, k, v, *mask), **attributes)
    found = run(op, [q, k, v, *mask], [x.shape for x in expected], attributes)
    for y, z in zip(found, expected, strict=True):
        assert_close(y, z, dtype=q.dtype, terms=TERMS)
    g = numbers(expected[0].shape, q.dtype, seed=9)
    lse, delta = found[1], (g * found[0]).sum(-1)
    inputs = [g, q, k, v, lse, delta, *mask]
    slopes = body(f"{op}_backward", inputs, **attributes)
    result = run(f"{op}_backward", inputs, [x.shape for x in slopes], attributes)
    for y, z in zip(result, slopes, strict=True):
        assert_close(y, z, dtype=q.dtype, terms=TERMS)
    return [*found, *result]


@settings(max_examples=120, deadline=None)
@given(stacks=STACKS, queries=EXTENTS, keys=EXTENTS, e=SIZES, ev=SIZES, kind=MASKS,
       layout=st.tuples(*[st.sampled_from(LAYOUTS)] * 5), double=st.booleans(), p=DROPS)  # fmt: skip
def test_any_shapes_strides_and_masks(stacks, queries, keys, e, ev, kind, layout, double, p):
    dtype = F64 if double else F32
    shapes = (*stacks[0], queries, e), (*stacks[1], keys, e), (*stacks[2], keys, ev)
    q, k, v = (laid(numbers(shape, dtype, seed), way) for seed, (shape, way) in enumerate(zip(shapes, layout)))
    stack = np.broadcast_shapes(*stacks)
    mask = [laid(x, layout[3]) for x in mask_of(kind, stack, queries, keys, dtype)]
    both(q, k, v, mask, kind == "causal", p=p, layout=layout[4])


@pytest.mark.parametrize("kind", ["", "causal", "bool", "float"])
def test_heads_as_layers_lay_them(kind):
    """[batch, tokens, heads, features] seen as [batch, heads, tokens, features]; parts of one array of all three."""
    qkv = numbers((2, 150, 3 * 4 * 16)).reshape(2, 150, 3, 4, 16).transpose(2, 0, 3, 1, 4)
    plan = attention.plan_attention([stages.described(x) for x in qkv],
                                    [Array.contiguous(F32, (2, 4, 150, 16)), Array.contiguous(F32, (2, 4, 150))],
                                    causal=False, scale=1.0)  # fmt: skip
    assert len(plan.stages) == 1 and not plan.scratch, "copied"
    both(*qkv, mask_of(kind, (2, 4), 150, 150, F32), kind == "causal")


@pytest.mark.parametrize(("e", "ev"), [(100, 130), (300, 64), (600, 3), (1, 1100)])
def test_large_heads(e, ev):
    both(numbers((2, 70, e)), numbers((2, 99, e), seed=1), numbers((2, 99, ev), seed=2), scale=0.05)


@pytest.mark.parametrize("p", [None, 0.3])
@pytest.mark.parametrize("kind", ["", "causal", "bool", "float"])
def test_bits_do_not_depend_on_how_the_work_is_cut(kind, p, monkeypatch):
    arrays = [numbers((2, 330, 24), seed=seed) for seed in range(3)]
    mask, found, cut = mask_of(kind, (2,), 330, 330, F32), [], []
    described = attention.plan_attention_backward
    for threads in (1, 2, 3, 16):
        monkeypatch.setattr(team, "get_num_threads", lambda threads=threads: threads)
        found.append([x.tobytes() for x in both(*arrays, mask, kind == "causal", p=p)])
        row, whole = Array.contiguous(F32, (2, 330)), Array.contiguous(F32, (2, 330, 24))
        plan = described([whole] * 4 + [row] * 2, [whole] * 3, causal=False, scale=1.0)
        cut.append(len(plan.stages))
    assert cut == [1, 1, 2, 2]
    assert all(x == found[0] for x in found)


@pytest.mark.parametrize("kind", ["", "causal", "bool", "bool for keys", "float", "float turned"])
@pytest.mark.parametrize(("queries", "keys", "e", "ev", "p"),
                         [(5, 7, 3, 2, None), (17, 20, 18, 17, None), (3, 135, 2, 1, None), (3, 105, 2, 3, 0.4)])
def test_interpreted(queries, keys, e, ev, p, kind):
    """The kernels' meaning is what runs natively, bit by bit, and it is well formed."""
    q, k, v = numbers((2, queries, e)), numbers((2, keys, e), seed=1), numbers((2, keys, ev), seed=2)
    mask = [np.ascontiguousarray(x) for x in mask_of(kind, (2,), queries, keys, F32)]
    attributes, dropout = {"causal": kind == "causal", "scale": 0.4}, ""
    if p is not None:
        attributes, dropout, mask = attributes | {"p": p}, "_dropout", [stream_of((2,)), *mask]
    g, rows = numbers((2, queries, ev), seed=3), numbers((2, queries), seed=4)
    for op, inputs, shapes in (
        (f"attention{dropout}", [q, k, v, *mask], [(2, queries, ev), (2, queries)]),
        (f"attention{dropout}_backward", [g, q, k, v, rows + 5, rows, *mask], [x.shape for x in (q, k, v)]),
    ):
        plan = attention.PLANS[op]([stages.described(x) for x in inputs],
                                   [Array.contiguous(F32, shape) for shape in shapes], **attributes)  # fmt: skip
        outputs = [np.zeros(shape, F32) for shape in shapes]
        interpret(plan, [*inputs, *outputs])
        assert all(map(same_bits, outputs, run(op, inputs, shapes, attributes)))


def test_who_may_look_nowhere_gets_zeros_and_gives_none():
    q, k, v = (numbers((70, 8), seed=seed) for seed in range(3))
    allowed = np.ones((70, 70), bool)
    allowed[3], allowed[69] = False, False
    for mask in (allowed, np.where(allowed, F32.type(0), -np.inf)):
        out, lse, dq, dk, dv = both(q, k, v, [mask])
        for row in (3, 69):
            assert not out[row].any() and not dq[row].any() and lse[row] == np.inf
        assert np.isfinite(dk).all() and np.isfinite(dv).all()


def test_numbers_of_a_mask_as_large_as_there_are():
    q, k, v = (numbers((40, 8), seed=seed) for seed in range(3))
    mask = np.where(np.arange(40) < 20, np.finfo(F32).min, 0).astype(F32)[None].repeat(40, 0)
    mask[5] = np.finfo(F32).min
    out, *_ = both(q, k, v, [mask])
    assert_close(out[5], v.mean(0), terms=TERMS)


@pytest.mark.parametrize(("where", "value"), list(product("qkv", [np.nan, np.inf])))
def test_what_is_not_a_number_is_not_lost(where, value):
    arrays = {name: numbers((2, 150, 20), seed=seed) for seed, name in enumerate("qkv")}
    arrays[where][1, 77, 4] = value
    attributes = {"causal": False, "scale": 1.0}
    expected = body("attention", arrays.values(), **attributes)
    out, lse = run("attention", [*arrays.values()], [x.shape for x in expected], attributes)
    assert np.array_equal(np.isnan(out), np.isnan(expected[0])) and np.isnan(lse).any() == np.isnan(expected[1]).any()
    assert not np.isfinite(out[1]).all() and np.isfinite(out[0]).all()
    g = numbers(out.shape, seed=9)
    inputs = [g, *arrays.values(), lse, (g * out).sum(-1)]
    with np.errstate(all="ignore"):
        slopes = body("attention_backward", inputs, **attributes)
    found = run("attention_backward", inputs, [x.shape for x in slopes], attributes)
    for y, z in zip(found, slopes, strict=True):
        assert np.array_equal(np.isfinite(y), np.isfinite(z))


def test_what_is_not_a_number_is_not_lost_where_weights_are_dropped():
    """A NaN of a query is in its result, one of a key in those of all queries; one of a value where it is looked at."""
    for place, name in enumerate("qkv"):
        arrays = [numbers((2, 150, 20), seed=seed) for seed in range(3)]
        arrays[place][1, 77, 4] = np.nan
        attributes, stream = {"causal": False, "scale": 1.0, "p": 0.5}, stream_of((2,))
        out, _ = run("attention_dropout", [*arrays, stream], [(2, 150, 20), (2, 150)], attributes)
        rows = {"q": np.arange(150) == 77, "k": np.ones(150, bool), "v": np.ones(150, bool)}[name]
        assert np.isnan(out[1]).any(-1)[rows].all() and not np.isnan(out[1]).any(-1)[~rows].any()
        assert np.isfinite(out[0]).all()


@settings(max_examples=40, deadline=None)
@given(stack=st.sampled_from([(), (2,), (2, 3), (0, 2)]), queries=EXTENTS, keys=EXTENTS,
       p=st.sampled_from([0.1, 0.5, 0.999, 1.0]))  # fmt: skip
def test_which_weights_are_kept(stack, queries, keys, p):
    found, expected = planned_run(attention.PLANS, "attention_kept", stream_of(stack), queries=queries, keys=keys, p=p)
    assert same_bits(found, expected)


def test_loops_of_which_weights_are_kept_are_interpreted():
    stream, out = stream_of((2,)), np.zeros((2, 3, 21), bool)
    interpret(attention.plan_kept([stages.described(stream)], [stages.described(out)], queries=3, keys=21, p=0.4),
              [stream, out])  # fmt: skip
    assert np.array_equal(out, rule.kept(np, stream, 3, 21, 0.4))


def test_weights_are_kept_in_their_share_and_apart_from_each_other():
    """Shares of all, of rows, of columns and of pairs of neighbours are within five deviations."""
    for p in (0.1, 0.5, 0.9):
        kept = rule.kept(np, stream_of((4,)), 256, 256, p).astype(F64)
        both_ways = [kept[:, 1:] * kept[:, :-1], kept[..., 1:] * kept[..., :-1], kept[1:] * kept[:-1]]
        share, deviation = 1 - p, (p * (1 - p)) ** 0.5
        assert abs(kept.mean() - share) < 5 * deviation / kept.size**0.5
        for axis in (1, 2):
            assert abs(kept.mean(axis) - share).max() < 5 * deviation / 16
        for pairs in both_ways:
            assert abs(pairs.mean() - share**2) < 10 * deviation / pairs.size**0.5


def test_large_scores_do_not_overflow():
    """Scores of a thousand and more: weights are 1 and 0, whatever the scores' last places are."""
    q, v = numbers((64, 64)), numbers((64, 16), seed=1)
    attributes = {"causal": False, "scale": 100.0}
    out, lse = run("attention", [q, q, v], [(64, 16), (64,)], attributes)
    assert_close(out, v, terms=TERMS)
    assert_close(lse, 100 * (q * q).sum(-1), terms=TERMS)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_weights_of_16_bits_are_dropped_in_32(dtype):
    q, k, v = (numbers((2, 70, 20), dtype, seed) for seed in range(3))
    attributes, stream = {"causal": True, "scale": 0.3, "p": 0.2}, stream_of((2,))
    out, lse = attention.KERNELS["attention_dropout"](q, k, v, stream, **attributes)
    expected = body("attention_dropout", (q, k, v, stream), **attributes)
    assert out.dtype == dtype and lse.dtype == F32
    assert_close(out, expected[0], dtype=dtype)
    g, delta = numbers(out.shape, dtype, 9), numbers(lse.shape)
    slopes = attention.KERNELS["attention_dropout_backward"](g, q, k, v, lse, delta, stream, **attributes)
    expected = body("attention_dropout_backward", (g, q, k, v, lse, delta, stream), **attributes)
    for found, wanted in zip(slopes, expected, strict=True):
        assert_close(found, wanted, dtype=dtype)


@pytest.mark.parametrize("kind", ["", "bool", "float"])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_numbers_of_16_bits_are_computed_in_32(dtype, kind):
    q, k, v = (numbers((2, 70, 20), dtype, seed) for seed in range(3))
    mask = mask_of(kind, (2,), 70, 70, dtype)
    attributes = {"causal": False, "scale": 0.3}
    out, lse = attention.KERNELS["attention"](q, k, v, *mask, **attributes)
    g, delta = numbers(out.shape, dtype, 9), numbers(lse.shape)
    slopes = attention.KERNELS["attention_backward"](g, q, k, v, lse, delta, *mask, **attributes)
    assert {x.dtype for x in (out, *slopes)} == {np.dtype(dtype)} and lse.dtype == F32
    assert_close(lse, body("attention", (q, k, v, *mask), **attributes)[1], terms=TERMS)
    assert_close(out, body("attention", (q, k, v, *mask), **attributes)[0], dtype=dtype)
    expected = body("attention_backward", (g, q, k, v, lse, delta, *mask), **attributes)
    for found, wanted in zip(slopes, expected, strict=True):
        assert_close(found, wanted, dtype=dtype)


@pytest.mark.parametrize("change", ["few", "mixed", "integers"])
def test_what_has_no_native_form_is_left_alone(change, monkeypatch):
    dtype = {"integers": np.int64}.get(change, np.float32)
    q, k, v = (numbers((64, 8)).astype(dtype) for _ in range(3))
    if change == "mixed":
        v = v.astype(F64)
    if change == "few":
        monkeypatch.setattr(rule, "FEWEST_QUERIES", 65)
    assert attention.KERNELS["attention"](q, k, v, causal=False, scale=1.0) is NotImplemented


@pytest.mark.parametrize("shapes", [((64, 8), (64, 7), (64, 8)), ((64, 8), (64, 8), (63, 8)),
                                    ((64, 8), (64, 8), (64, 8), (64, 63)), ((64, 8), (64, 8), (64, 8), (2, 64))])
def test_what_does_not_fit_is_left_to_the_body(shapes):
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    assert attention.KERNELS["attention"](*arrays, causal=False, scale=1.0) is NotImplemented


@pytest.mark.parametrize("kind", ["", "causal", "bool", "float"])
def test_kernels_of_ops_give_what_plans_do(kind):
    q, k, v = (numbers((3, 80, 16), seed=seed) for seed in range(3))
    mask = mask_of(kind, (3,), 80, 80, F32)
    attributes = {"causal": kind == "causal", "scale": 0.3}
    expected = both(q, k, v, mask, **attributes)
    for _ in range(2):  # planned, then from what was kept
        out, lse = attention.KERNELS["attention"](q, k, v, *mask, **attributes)
        g = numbers(out.shape, seed=9)
        slopes = attention.KERNELS["attention_backward"](g, q, k, v, lse, (g * out).sum(-1), *mask, **attributes)
        assert all(map(same_bits, (out, lse, *slopes), expected))


def test_kernels_are_few():
    """Extents and strides are numbers: one kernel for each kind of mask, and each power of 2 of head sizes."""
    keys = set()
    for tokens, e, heads in product((3, 64, 200), (33, 48, 64), (1, 5)):
        array, row = Array.contiguous(F32, (2, heads, tokens, e)), Array.contiguous(F32, (2, heads, tokens))
        for causal in (False, True):
            plan = attention.plan_attention([array] * 3, [array, row], causal=causal, scale=1.0)
            keys |= {stage.key for stage in plan.stages}
    assert len(keys) == 1
