"""Samplers and splits: the laws of an order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite.data import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from tensorlite.errors import ArgumentError


def test_sequential_is_in_order():
    assert list(SequentialSampler("abcd")) == [0, 1, 2, 3]


@given(size=st.integers(0, 50), seed=st.integers(0, 2**63))
def test_random_is_a_permutation_and_its_seed_tells_which(size, seed):
    first, second = (list(RandomSampler(range(size), generator=seed)) for _ in range(2))
    assert sorted(first) == list(range(size))
    assert first == second


def test_each_pass_has_its_own_order():
    sampler = RandomSampler(range(100), generator=0)
    assert list(sampler) != list(sampler)


def test_the_global_seed_decides_where_no_generator_does():
    orders = []
    for _ in range(2):
        tl.manual_seed(7)
        sampler = RandomSampler(range(100))
        orders.append([list(sampler), list(sampler)])
    assert orders[0] == orders[1]


def test_more_samples_than_indices_go_round_again():
    order = list(RandomSampler(range(3), num_samples=8, generator=0))
    assert len(order) == 8
    assert sorted(order[:3]) == sorted(order[3:6]) == [0, 1, 2]


def test_replacement_draws_independently():
    order = list(RandomSampler(range(10), replacement=True, num_samples=10_000, generator=0))
    counts = np.bincount(order, minlength=10)
    assert len(order) == 10_000
    assert (abs(counts - 1000) < 5 * 30).all()  # five standard deviations of a binomial count


def test_a_subset_in_random_order():
    assert sorted(SubsetRandomSampler([9, 4, 4], generator=1)) == [4, 4, 9]


def test_weights_are_kept():
    order = list(WeightedRandomSampler([1, 0, 3], 10_000, generator=0))
    counts = np.bincount(order, minlength=3)
    assert counts[1] == 0
    assert abs(counts[2] - 7500) < 5 * 43
    assert sorted(WeightedRandomSampler([1, 0, 3], 2, replacement=False, generator=0)) == [0, 2]


@given(size=st.integers(0, 40), batch_size=st.integers(1, 12), drop_last=st.booleans())
def test_batches_cover_the_order_and_len_counts_them(size, batch_size, drop_last):
    sampler = BatchSampler(SequentialSampler(range(size)), batch_size, drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    kept = size - size % batch_size if drop_last else size
    assert [index for batch in batches for index in batch] == list(range(kept))
    assert all(len(batch) == batch_size for batch in batches[:-1])


@given(size=st.integers(0, 100), cuts=st.lists(st.integers(0, 100), max_size=4), seed=st.integers(0, 100))
def test_a_split_loses_and_doubles_nothing(size, cuts, seed):
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    lengths = [high - low for low, high in pairwise(edges)]
    parts = random_split(range(size), lengths, generator=seed)
    assert [len(part) for part in parts] == lengths
    assert sorted(sample for part in parts for sample in part) == list(range(size))
    assert [part.indices for part in parts] == [part.indices for part in random_split(range(size), lengths, seed)]


def test_fractions_leave_the_rest_to_the_first():
    assert [len(part) for part in random_split(range(10), [1 / 3, 1 / 3, 1 / 3])] == [4, 3, 3]


def test_rows_of_tensors():
    dataset = TensorDataset(tl.asarray([[1.0, 2.0], [3.0, 4.0]]), tl.asarray([5, 6]))
    x, y = dataset[1]
    assert (x.tolist(), y.tolist(), len(dataset)) == ([3.0, 4.0], 6, 2)
    assert Subset(dataset, [1])[0][0].tolist() == [3.0, 4.0]


MISTAKES = {
    "RandomSampler: num_samples is 0, expected a positive integer": lambda: RandomSampler("abc", num_samples=0),
    "BatchSampler: batch_size is 0, expected a positive integer": lambda: BatchSampler([1], 0, False),
    "BatchSampler: batch_size is 2.0, expected a positive integer": lambda: BatchSampler([1], 2.0, False),
    "WeightedRandomSampler: the weights must be finite and not negative, in one dimension, and one of them positive":
        lambda: WeightedRandomSampler([1, -1], 1),
    "WeightedRandomSampler: 3 samples without replacement, but only 2 weights are positive":
        lambda: WeightedRandomSampler([1, 0, 1], 3, replacement=False),
    "random_split: the lengths [1, 2] neither add up to the dataset's 4 samples nor, as fractions, to 1":
        lambda: random_split("abcd", [1, 2]),
    "random_split: the lengths [5, -1] neither add up to the dataset's 4 samples nor, as fractions, to 1":
        lambda: random_split("abcd", [5, -1]),
    "TensorDataset: the tensors need one length along axis 0":
        lambda: TensorDataset(tl.asarray([1, 2]), tl.asarray([1, 2, 3])),
}


@pytest.mark.parametrize(("problem", "make"), MISTAKES.items())
def test_a_mistake_is_named(problem, make):
    with pytest.raises(ArgumentError) as error:
        make()
    assert str(error.value).splitlines()[0] == problem
    assert "at test_sampler.py:" in str(error.value)
