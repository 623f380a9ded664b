"""Collation: structures stay, leaves are stacked."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.data import default_collate, default_convert
from tensorlite.errors import DTypeError, ShapeError

Pair = namedtuple("Pair", "x y")


@pytest.mark.parametrize(("samples", "dtype"), [
    ([1, 2], "int64"), ([1.0, 2.0], "float64"), ([True, False], "bool"), ([1j, 2j], "complex128"),
    ([np.float32(1), np.float32(2)], "float32"), ([np.zeros(3, np.int8)] * 2, "int8"),
], ids=str)
def test_numbers_and_arrays_become_tensors(samples, dtype):
    batch = default_collate(samples)
    assert isinstance(batch, tl.Tensor)
    assert batch.dtype == dtype
    assert np.array_equal(batch.numpy(), np.stack([np.asarray(sample) for sample in samples]))


def test_tensors_are_stacked():
    batch = default_collate([tl.asarray([1.0, 2.0]), tl.asarray([3.0, 4.0])])
    assert batch.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_gradients_flow_through_a_batch():
    leaf = tl.tensor([1.0, 2.0], requires_grad=True)
    default_collate([leaf, leaf * 2]).sum().backward()
    assert leaf.grad.tolist() == [3.0, 3.0]


def test_structures_keep_their_kind():
    batch = default_collate([{"a": (1, "x"), "b": [Pair(1, 2.0)]}, {"a": (2, "y"), "b": [Pair(3, 4.0)]}])
    assert batch["a"][0].tolist() == [1, 2]
    assert batch["a"][1] == ["x", "y"]
    assert type(batch["a"]) is tuple
    assert type(batch["b"]) is list
    assert type(batch["b"][0]) is Pair
    assert batch["b"][0].y.tolist() == [2.0, 4.0]
    assert type(default_collate([OrderedDict(a=1)])) is OrderedDict


def test_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    samples = [{"a": 1, "b": (2.5, True, b"c"), "d": np.arange(3)},
               {"a": 2, "b": (3.5, False, b"e"), "d": np.ones(3, int)}]
    ours, theirs = default_collate(samples), torch.utils.data.default_collate(samples)
    assert ours["b"][2] == list(theirs["b"][2])
    for own, other in zip([ours["a"], *ours["b"][:2], ours["d"]], [theirs["a"], *theirs["b"][:2], theirs["d"]]):
        assert np.array_equal(own.numpy(), other.numpy())
        assert own.numpy().dtype == other.numpy().dtype


def test_converting_changes_arrays_only():
    sample = default_convert({"a": np.arange(2), "b": ["text", 3, np.float32(1)]})
    assert sample["a"].tolist() == [0, 1]
    assert sample["b"][:2] == ["text", 3]
    assert sample["b"][2].dtype == np.float32


MISTAKES = {
    "shapes": ([np.zeros(2), np.zeros(2), np.zeros((1, 3))], ShapeError,
               "default_collate: samples 0 and 2 of a batch have different shapes: [2] and [1, 3]"),
    "lengths": ([(1, 2), (1,)], ShapeError,
                "default_collate: samples 0 and 1 of a batch have different lengths: 2 and 1"),
    "keys": ([{"a": 1}, {"b": 1}], ShapeError,
             "default_collate: samples 0 and 1 of a batch have different keys: ['a'] and ['b']"),
    "kind": ([None], DTypeError, "default_collate: cannot batch NoneType; it batches tensors, arrays, numbers, "
             "strings, and dicts, tuples and lists of these"),
}


@pytest.mark.parametrize(("samples", "kind", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(samples, kind, problem):
    with pytest.raises(kind) as error:
        default_collate(samples)
    assert str(error.value).splitlines()[0] == problem
    assert "fix: give the loader a collate_fn" in str(error.value)
