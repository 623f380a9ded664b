"""Tensors are copied and pickled: leaves stay leaves, recorded ones are refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite.errors import GradientError
from tensorlite.tensor_type import DTYPES

COPIES = {
    "copy": copy.copy, "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": lambda x, protocol=protocol: pickle.loads(pickle.dumps(x, protocol))
       for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
}
by_copy = pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@by_copy
def test_values_are_kept(make, dtype):
    for array in (np.array([[0, 1], [1, 1]]), np.array(1), np.zeros((0, 3)), np.arange(6).reshape(2, 3).T % 2):
        x = tl.tensor(array.astype(dtype))
        y = make(x)
        assert type(y) is tl.Tensor
        assert_same(y, x)
        assert y.dtype is x.dtype
        assert not y.requires_grad


@by_copy
def test_leaves_stay_leaves_of_their_own(make):
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    y = make(x)
    assert y.is_leaf
    assert y.requires_grad
    (y * y).sum().backward()
    assert y.grad.tolist() == [2.0, 4.0]
    assert x.grad is None
    with tl.no_grad():
        y += 1
    assert x.tolist() == [1.0, 2.0]


@by_copy
def test_views_are_copied_as_values(make):
    x = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    y = make(x.T)
    y += 1
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert y.tolist() == [[2.0, 4.0], [3.0, 5.0]]


@by_copy
def test_recorded_tensors_are_refused(make):
    with pytest.raises(GradientError, match="a recorded tensor cannot be copied with its tape"):
        make(tl.tensor([1.0], requires_grad=True) * 2)


def test_deep_copies_have_gradients_of_their_own_and_keep_sharing():
    x = tl.tensor([1.0], requires_grad=True)
    (x * 3).sum().backward()
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert first.grad.tolist() == [3.0]
    first.grad.zero_()
    assert x.grad.tolist() == [3.0]
    assert not np.shares_memory(first.array, x.array)


def test_subclasses_keep_their_attributes():
    class Named(tl.Tensor):
        pass

    x = Named(np.ones(2))
    x.name = ["weight"]
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    assert type(shallow) is type(deep) is Named
    assert shallow.name is x.name
    assert deep.name == ["weight"]
    assert deep.name is not x.name


def test_dtypes_and_types_are_pickled():
    for dtype in DTYPES:
        assert pickle.loads(pickle.dumps(dtype)) == dtype
    kind = tl.zeros((2, 3)).type
    assert pickle.loads(pickle.dumps(kind)) == kind


def test_large_tensors_leave_the_pool_by_pickle():
    x = tl.zeros((1 << 18,)) + 3
    y = pickle.loads(pickle.dumps(x))
    assert_same(x, y)
