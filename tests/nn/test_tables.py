"""Embedding and EmbeddingBag, Bilinear, stochastic depth and ParameterDict: beside PyTorch, compiled, and mapped."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.compiled import check_training, whole
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from tensorlite.nn import functional as F

ROWS, FEATURES = 5, 3


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    for name in ("Bilinear", "Buffer", "Embedding", "EmbeddingBag", "ParameterDict"):
        ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (nn, torch.nn))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
    for name in ("embedding", "embedding_bag"):
        ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (F, torch.nn.functional))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
    for name in ("Embedding", "EmbeddingBag"):
        ours, theirs = (inspect.signature(getattr(library, name).from_pretrained).parameters
                        for library in (nn, torch.nn))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@given(st.lists(st.integers(0, ROWS - 1), max_size=6), st.sampled_from([None, 2, -1]), st.booleans(),
       st.sampled_from([None, 0.5, 1.5]), st.sampled_from([1.0, 2.0, 3.5, np.inf]))
@settings(max_examples=30)
def test_embedding_agrees_with_torch(index, padding_idx, by_freq, max_norm, norm_type):
    from nn.against_torch import draw, torch
    places, table = np.array(index, np.int64), draw(ROWS, FEATURES)
    ours, theirs = tl.tensor(table, requires_grad=True), torch.tensor(table, requires_grad=True)
    weight = draw(len(index), FEATURES, seed=1)
    found = F.embedding(tl.tensor(places), ours, padding_idx, max_norm, norm_type, by_freq)
    wanted = torch.nn.functional.embedding(torch.tensor(places), theirs, padding_idx, max_norm, norm_type, by_freq)
    assert_close(found, wanted.detach().numpy(), terms=10)
    (found * tl.tensor(weight)).sum().backward()
    (wanted * torch.tensor(weight)).sum().backward()
    assert_close(ours.grad, theirs.grad.numpy(), terms=10)
    assert_close(ours, theirs.detach().numpy(), terms=10)


@st.composite
def bags(draw):
    """Options of embedding_bag that go together: input, offsets, mode, weights, last offset, padding."""
    mode = draw(st.sampled_from(["sum", "mean", "max"]))
    weighed = mode == "sum" and draw(st.booleans())
    padding = draw(st.sampled_from([None, 0, -2]))
    if draw(st.booleans()):
        shape = draw(st.tuples(st.integers(0, 3), st.integers(1, 4)))
        input = np.array(draw(st.lists(st.integers(0, ROWS - 1), min_size=shape[0] * shape[1],
                                       max_size=shape[0] * shape[1])), np.int64).reshape(shape)
        return input, None, mode, weighed, False, padding
    input = np.array(draw(st.lists(st.integers(0, ROWS - 1), max_size=7)), np.int64)
    last = draw(st.booleans())
    cuts = sorted(draw(st.lists(st.integers(0, len(input)), max_size=3)))
    offsets = np.array([0, *cuts, *([len(input)] if last else [])], np.int64)
    return input, offsets, mode, weighed, last, padding


@given(bags())
@settings(max_examples=40)
def test_bags_agree_with_torch(options):
    from nn.against_torch import compare, draw, torch
    input, offsets, mode, weighed, last, padding = options

    def through(library, function):
        places = library.tensor(input)
        starts = None if offsets is None else library.tensor(offsets)
        return lambda w, *weights: function(places, w, starts, mode=mode, include_last_offset=last,
                                            padding_idx=padding, per_sample_weights=weights[0] if weights else None)
    arrays = [draw(ROWS, FEATURES), *([draw(*input.shape, seed=1)] if weighed else [])]
    compare(through(tl, F.embedding_bag), through(torch, torch.nn.functional.embedding_bag), *arrays, terms=20,
            second=False)
    ours = through(tl, F.embedding_bag)
    tensors = [tl.tensor(a) for a in arrays]
    assert_close(tl.jit(ours)(*tensors), ours(*tensors).numpy(), terms=20)


def test_second_derivatives_of_bags_are_those_of_the_sum_written_out():
    from nn.against_torch import draw
    table, weights = (tl.tensor(draw(*shape), requires_grad=True) for shape in ((ROWS, FEATURES), (2, 2)))
    assert tl.autograd.gradgradcheck(
        lambda w, s: F.embedding_bag(tl.tensor([[0, 1], [1, 4]]), w, mode="sum", per_sample_weights=s),
        (table, weights))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_compile_whatever_their_offsets_are(mode):
    table = tl.tensor(np.random.default_rng(0).standard_normal((ROWS, FEATURES)))
    bag = tl.jit(lambda i, w, o: F.embedding_bag(i, w, o, mode=mode, padding_idx=0))
    for offsets in ([0, 2, 3], [0, 0, 5]):
        given = tl.tensor([0, 1, 3, 3, 4]), table, tl.tensor(offsets)
        assert_close(bag(*given), F.embedding_bag(*given, mode=mode, padding_idx=0).numpy(), terms=20)
    assert len(bag.explain().specialisations) == 1


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"max_norm": 1.0, "norm_type": 1.0, "mode": "sum"},
                                     {"mode": "max"}, {"scale_grad_by_freq": True}])
def test_layers_of_bags_are_shown_and_trained_as_in_torch(options):
    from nn.against_torch import torch
    ours, theirs = nn.EmbeddingBag(6, 2, **options), torch.nn.EmbeddingBag(6, 2, **options)
    assert repr(ours) == repr(theirs)
    if "padding_idx" in options:
        assert_same(ours.weight[1], np.zeros(2, np.float32))
    ours.load_state_dict({"weight": theirs.weight.detach().numpy()})
    input, offsets = np.array([0, 1, 2, 4, 3]), np.array([0, 2])
    found, wanted = ours(tl.tensor(input), tl.tensor(offsets)), theirs(torch.tensor(input), torch.tensor(offsets))
    assert_close(found, wanted.detach().numpy(), terms=10)
    check_training(lambda: nn.EmbeddingBag(6, 2, **options), [(tl.tensor([[0, 1], [1, 3]]),)] * 3)


def test_training_of_tables_with_options_compiles_whole():
    for options in ({"max_norm": 1.0}, {"scale_grad_by_freq": True}, {"padding_idx": 0}):
        check_training(lambda options=options: nn.Embedding(5, 4, **options), [(tl.tensor([[0, 1], [1, 3]]),)] * 3)


def test_pretrained_tables():
    table = tl.ones((4, 2))
    for kind in (nn.Embedding, nn.EmbeddingBag):
        assert not kind.from_pretrained(table).weight.requires_grad
        assert kind.from_pretrained(table, freeze=False, max_norm=1.0).max_norm == 1.0


@given(st.lists(st.integers(1, 3), max_size=2), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.booleans())
@settings(max_examples=20)
def test_bilinear_agrees_with_torch(leading, n, m, outputs, biased):
    from nn.against_torch import compare, draw, torch
    arrays = [draw(*leading, n), draw(*leading, m, seed=1), draw(outputs, n, m), *([draw(outputs)] if biased else [])]
    compare(F.bilinear, torch.nn.functional.bilinear, *arrays, terms=200)


def test_the_bilinear_layer():
    from nn.against_torch import torch
    for options in ({}, {"bias": False}):
        ours, theirs = nn.Bilinear(20, 30, 40, **options), torch.nn.Bilinear(20, 30, 40, **options)
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        values = ours.weight.detach().numpy()
        assert abs(values).max() <= 1 / 20**0.5
        assert_close(values.std(), np.float32(1 / 20**0.5 / 3**0.5), dtype=tl.float16, terms=100)
    check_training(lambda: nn.Bilinear(3, 4, 2), [(tl.ones((2, 3)), tl.ones((2, 4)))] * 2)


def test_drop_path_leaves_samples_out_and_keeps_the_mean():
    x = tl.ones((4000, 3, 1))
    tl.manual_seed(0)
    for layer in (nn.DropPath(0.25), nn.StochasticDepth(0.25, "row")):
        y = layer(x).numpy()[..., 0]
        assert (y == y[:, :1]).all()
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
        assert_close(y.mean(), np.float32(1), dtype=tl.bfloat16, terms=10)
        assert layer.eval()(x) is x
    unscaled = nn.DropPath(0.25, scale_by_keep=False)(x).numpy()
    assert set(np.unique(unscaled)) == {0, 1}
    whole_batches = [np.unique(nn.StochasticDepth(0.5, "batch")(x).numpy()).tolist() for _ in range(40)]
    assert sorted(map(tuple, {tuple(values) for values in whole_batches})) == [(0.0,), (2.0,)]
    assert_same(nn.DropPath(1.0)(x[:2]), np.zeros((2, 3, 1), np.float32))
    dropping = nn.DropPath(0.5)
    step = tl.jit(lambda x: dropping(x))
    assert set(np.unique(step(x).numpy())) == {0, 2}
    assert (step(x).numpy() != step(x).numpy()).any()
    whole(step)
    assert repr(nn.DropPath(0.1)) == "DropPath(drop_prob=0.100)"
    generator = [F.drop_path(x, 0.5, True, generator=tl.Generator().manual_seed(1)) for _ in range(2)]
    assert_same(*generator)


def test_dicts_of_parameters():
    from nn.against_torch import torch
    given = {"b": np.ones((2, 3)), "a": np.zeros(4)}
    ours = nn.ParameterDict({key: tl.tensor(value) for key, value in given.items()})
    theirs = torch.nn.ParameterDict({key: torch.tensor(value) for key, value in given.items()})
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["a", "b"]
    assert list(ours) == list(theirs)
    assert all(isinstance(value, nn.Parameter) for value in ours.values())
    ours["c"] = nn.Parameter(tl.ones(1))
    assert len(ours) == 3
    assert "c" in ours
    assert ours.c is ours["c"]
    assert ours.get("d") is None
    assert list(reversed(ours)) == ["c", "b", "a"]
    assert ours.pop("c").shape == (1,)
    assert list((ours | nn.ParameterDict({"z": tl.ones(1)})).keys()) == ["a", "b", "z"]
    assert ours.setdefault("w", tl.ones(2)) is ours["w"]
    assert ours.popitem()[0] == "w"
    copied = ours.copy()
    assert copied["a"] is ours["a"]
    copied.clear()
    assert (len(copied), len(ours)) == (0, 2)
    del ours["a"]
    assert [name for name, _ in ours.named_parameters()] == ["b"]
    assert list(ours.fromkeys(["x", "y"], tl.ones(1)).keys()) == ["x", "y"]
    with pytest.raises(DTypeError) as caught:
        ours["n"] = 3
    assert str(caught.value).split("\n")[0] == "ParameterDict: takes tensors, not int"


TABLE, BAG = tl.ones((4, 2)), tl.tensor([1, 2, 3])


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.embedding(BAG, TABLE, sparse=True), ArgumentError,
     "embedding: the option sparse is not there: gradients are dense"),
    (lambda: nn.Embedding(3, 2, sparse=True), ArgumentError,
     "Embedding: the option sparse is not there: gradients are dense"),
    (lambda: nn.EmbeddingBag(3, 2, sparse=True), ArgumentError,
     "EmbeddingBag: the option sparse is not there: gradients are dense"),
    (lambda: F.embedding(TABLE, TABLE), DTypeError, "embedding: index must hold integers, not float32"),
    (lambda: F.embedding_bag(BAG, TABLE), ArgumentError,
     "embedding_bag: an input of one axis needs offsets, one of two axes takes none"),
    (lambda: F.embedding_bag(BAG.reshape(1, 3), TABLE, tl.tensor([0])), ArgumentError,
     "embedding_bag: an input of one axis needs offsets, one of two axes takes none"),
    (lambda: F.embedding_bag(BAG.reshape(1, 1, 3), TABLE), ShapeError,
     "embedding_bag: the input has 1 or 2 axes, not 3"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([1])), ArgumentError,
     "embedding_bag: offsets begin with 0, do not fall, and do not exceed the input's length, 3"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([0, 4])), ArgumentError,
     "embedding_bag: offsets begin with 0, do not fall, and do not exceed the input's length, 3"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([[0]])), ShapeError,
     "embedding_bag: offsets are one axis of integers"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([0]), mode="min"), ArgumentError,
     "embedding_bag: mode must be 'sum', 'mean' or 'max', not 'min'"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([0]), per_sample_weights=tl.ones(3)), ArgumentError,
     "embedding_bag: per_sample_weights go with mode='sum', not 'mean'"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([0]), mode="sum", per_sample_weights=tl.ones(2)), ShapeError,
     "embedding_bag: per_sample_weights must have the input's shape"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([0]), mode="max", scale_grad_by_freq=True), ArgumentError,
     "embedding_bag: scale_grad_by_freq does not go with mode='max'"),
    (lambda: F.embedding_bag(BAG, TABLE, tl.tensor([], dtype=tl.int64), include_last_offset=True), ArgumentError,
     "embedding_bag: include_last_offset needs at least one offset"),
    (lambda: F.embedding_bag(BAG + 3, TABLE, tl.tensor([0])), IndexingError,
     "embedding_bag: index 4 is out of range for an axis of 4"),
    (lambda: nn.EmbeddingBag(3, 2, mode="min"), ArgumentError,
     "EmbeddingBag: mode must be 'sum', 'mean' or 'max', not 'min'"),
    (lambda: nn.EmbeddingBag(3, 2, padding_idx=3), ArgumentError,
     "EmbeddingBag: padding_idx 3 is no row of a table of 3"),
    (lambda: F.bilinear(tl.ones((2, 3)), tl.ones((3, 3)), tl.ones((1, 3, 3))), ShapeError,
     "bilinear: the inputs must agree in all axes but the last"),
    (lambda: F.bilinear(tl.ones((2, 3)), tl.ones((2, 3)), tl.ones((1, 3, 2))), ShapeError,
     "bilinear: weight must be [out features, features of input1, features of input2]"),
    (lambda: F.bilinear(tl.ones((2, 3)), tl.ones((2, 3)), tl.ones((1, 3, 3)), tl.ones(2)), ShapeError,
     "bilinear: bias must have shape [1]"),
    (lambda: F.bilinear(tl.ones((2, 3)), tl.ones((2, 3)), tl.ones((1, 3, 3), dtype=tl.float64)), DTypeError,
     "bilinear: all must have one dtype"),
    (lambda: nn.Bilinear(0, 1, 1), ArgumentError, "Bilinear: in1_features must be 1 or more, not 0"),
    (lambda: nn.DropPath(1.5), ArgumentError, "DropPath: drop_prob must be between 0 and 1, not 1.5"),
    (lambda: nn.StochasticDepth(0.5, "rows"), ArgumentError,
     "StochasticDepth: mode must be 'batch' or 'row', not 'rows'"),
    (lambda: F.drop_path(TABLE, -1, True), ArgumentError, "drop_path: drop_prob must be between 0 and 1, not -1"),
    (lambda: F.stochastic_depth(TABLE, 0.5, "all"), ArgumentError,
     "stochastic_depth: mode must be 'batch' or 'row', not 'all'"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
