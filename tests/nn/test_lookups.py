"""gather, scatter, index_select, one_hot and embedding: against PyTorch, and against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError


def places(shape: tuple[int, ...], size: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, size, shape)


def test_gather_and_scatter_add_are_what_their_loops_say():
    x, index, source = np.arange(12.0).reshape(3, 4), places((2, 5), 4), np.arange(10.0).reshape(2, 5) + 1
    added = x.copy()
    for i in range(2):
        for j in range(5):
            added[i, index[i, j]] += source[i, j]
    expected = np.array([[x[i, index[i, j]] for j in range(5)] for i in range(2)])
    assert_same(tl.gather(tl.tensor(x), 1, tl.tensor(index)), expected)
    assert_same(tl.scatter_add(tl.tensor(x), 1, tl.tensor(index), tl.tensor(source)), added)


@given(axis=st.integers(-3, 2), extents=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4)))
def test_gather_and_scatter_add_agree_with_torch(axis, extents):
    from nn.against_torch import compare, draw, torch
    index = places(extents, (2, 3, 4)[axis])
    i, i_ = tl.tensor(index), torch.tensor(index)
    compare(lambda x: tl.gather(x, axis, i), lambda x: torch.gather(x, axis, i_), draw(2, 3, 4), terms=24)
    compare(lambda x, s: tl.scatter_add(x, axis, i, s), lambda x, s: torch.scatter_add(x, axis, i_, s), draw(2, 3, 4),
            draw(*extents), terms=24)


def test_scatter_agrees_with_torch():
    from nn.against_torch import compare, draw, torch
    index = np.stack([np.random.default_rng(i).permutation(5)[:3] for i in range(4)])
    i, i_ = tl.tensor(index), torch.tensor(index)
    compare(lambda x, s: tl.scatter(x, 1, i, s), lambda x, s: torch.scatter(x, 1, i_, s), draw(4, 5), draw(4, 3))
    compare(lambda x: tl.scatter(x, 1, i, 2.5), lambda x: torch.scatter(x, 1, i_, 2.5), draw(4, 5))


def test_a_larger_source_is_read_as_far_as_the_index_goes():
    source = tl.tensor(np.arange(8.0).reshape(2, 4), requires_grad=True)
    tl.scatter_add(tl.zeros((1, 3), dtype=tl.float64), 1, tl.tensor([[0, 0, 2]]), source).sum().backward()
    assert_same(source.grad, np.array([[1.0, 1, 1, 0], [0, 0, 0, 0]]))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_index_select_agrees_with_torch(axis):
    from nn.against_torch import compare, draw, torch
    index = np.array([2, 0, 2, 1])
    compare(lambda x: tl.index_select(x, axis, tl.tensor(index)),
            lambda x: torch.index_select(x, axis, torch.tensor(index)),
            draw(3, 4, 5), terms=4)


def test_in_place_spellings_rebind():
    x = tl.zeros(3)
    assert x.scatter_add_(0, tl.tensor([0, 2, 2]), tl.ones(3)) is x
    assert_same(x, np.array([1, 0, 2], np.float32))
    assert_same(x.scatter_(0, tl.tensor([1]), 5), np.array([1, 5, 2], np.float32))


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding_agrees_with_torch(padding_idx):
    from nn.against_torch import compare, draw, torch
    index = np.random.default_rng(0).integers(0, 5, (3, 4))
    compare(lambda w: tl.embedding(tl.tensor(index), w, padding_idx),
            lambda w: torch.nn.functional.embedding(torch.tensor(index), w, padding_idx), draw(5, 6), terms=12)


def test_rows_used_many_times_add_up():
    index = np.random.default_rng(0).integers(0, 7, 5000)
    weight = tl.tensor(np.zeros((7, 3)), requires_grad=True)
    tl.embedding(tl.tensor(index), weight).sum().backward()
    assert_same(weight.grad, np.repeat(np.bincount(index, minlength=7).astype(float)[:, None], 3, 1))


def test_the_embedding_layer():
    layer = nn.Embedding(10, 3, padding_idx=-1)
    assert repr(layer) == "Embedding(10, 3, padding_idx=9)"
    assert_same(layer.weight[9], np.zeros(3, np.float32))
    layer(tl.tensor([9, 1, 1])).sum().backward()
    assert_same(layer.weight.grad.numpy().sum(1), np.array([0, 6, 0, 0, 0, 0, 0, 0, 0, 0], np.float32))
    frozen = nn.Embedding.from_pretrained(tl.ones((4, 2)))
    assert (frozen.num_embeddings, frozen.embedding_dim, frozen.weight.requires_grad) == (4, 2, False)


def test_one_hot():
    assert_same(tl.one_hot(tl.tensor([[1], [3]]), 5), np.eye(5, dtype=np.int64)[[[1], [3]]])
    assert tl.one_hot(tl.tensor([0, 4])).shape == (2, 5)
    assert_close(nn.functional.one_hot(tl.tensor(2), num_classes=3), np.array([0, 0, 1]))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda x: tl.gather(x, 1, tl.tensor([[0, 4]])), IndexingError, "gather: index 4 is out of range for an axis of 4"),
    (lambda x: tl.gather(x, 1, tl.tensor([[0, -1]])), IndexingError,
     "gather: index -1 is out of range for an axis of 4"),
    (lambda x: tl.gather(x, 1, tl.tensor([0])), ShapeError, "gather: index has 1 dimensions, x has 2"),
    (lambda x: tl.gather(x, 1, tl.zeros((4, 1), dtype=tl.int64)), ShapeError,
     "gather: index must not be larger than x along any axis but 1"),
    (lambda x: tl.gather(x, 1, tl.zeros((1, 1))), DTypeError, "gather: index must hold integers, not float32"),
    (lambda x: tl.scatter_add(x, 1, tl.tensor([[0, 1]]), tl.ones((1, 1))), ShapeError,
     "scatter_add: index must not be larger than the source along any axis"),
    (lambda x: tl.scatter_add(x, 1, tl.tensor([[0]]), tl.ones((1, 1), dtype=tl.complex64)), DTypeError,
     "scatter_add: x cannot hold complex64 values"),
    (lambda x: tl.scatter(x, 1, tl.tensor([[0]]), "1"), DTypeError,
     "scatter: the source must be a tensor or a number, not str"),
    (lambda x: tl.index_select(x, 0, tl.tensor([[0]])), ShapeError, "index_select: index must have one axis"),
    (lambda x: tl.index_select(x, 0, tl.tensor([3])), IndexingError,
     "index_select: index 3 is out of range for an axis of 3"),
    (lambda x: tl.embedding(tl.tensor([3]), x), IndexingError, "embedding: index 3 is out of range for an axis of 3"),
    (lambda x: tl.embedding(tl.tensor([0]), x, padding_idx=3), ArgumentError,
     "embedding: padding_idx 3 is no row of the table"),
    (lambda x: tl.one_hot(tl.tensor([5]), 5), IndexingError, "one_hot: index 5 is out of range for an axis of 5"),
    (lambda x: tl.one_hot(tl.zeros(0, dtype=tl.int64)), ArgumentError,
     "one_hot: cannot count the classes of no elements"),
    (lambda x: nn.Embedding(3, 2, 3), ArgumentError, "Embedding: padding_idx 3 is no row of a table of 3"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(tl.zeros((3, 4)))
    assert str(caught.value).split("\n")[0] == text
