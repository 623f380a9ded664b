"""Datasets made of others, and streams: the same samples as PyTorch gives, however they are loaded."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite import data
from tensorlite.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    WorkerError,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)
from tensorlite.errors import ArgumentError, DTypeError

lengths = st.lists(st.integers(0, 5), min_size=1, max_size=4)


def others():
    """PyTorch's datasets and loaders."""
    return pytest.importorskip("torch.utils.data", reason="PyTorch is the oracle")


class Letters(Dataset):
    """Text at an index, and how often it was asked for a whole batch."""

    def __init__(self, text):
        self.text, self.batches = text, 0

    def __getitem__(self, index):
        return self.text[index]

    def __len__(self):
        return len(self.text)


class Batches(Letters):
    def __getitems__(self, indices):
        self.batches += 1
        return [self.text[index] for index in indices]


def stream_of(kind):
    """A stream of numbers, each worker's share every n-th of them, of one library's IterableDataset."""
    class Count(kind.IterableDataset):
        def __init__(self, sizes, shared=True):
            self.sizes, self.shared = sizes, shared

        def __iter__(self):
            info = kind.get_worker_info()
            number, count = (0, 1) if info is None else (info.id, info.num_workers)
            first, step = (number, count) if self.shared else (100 * number, 1)
            stop = self.sizes[number % len(self.sizes)] + (0 if self.shared else first)
            return iter(range(first, stop, step))

        def __len__(self):
            return self.sizes[0]

    return Count


Count = stream_of(data)


@given(sizes=lengths, draw=st.data())
def test_concatenation_is_one_list(sizes, draw):
    parts = [list(range(10 * number, 10 * number + size)) for number, size in enumerate(sizes)]
    whole, joined = [*itertools.chain(*parts)], ConcatDataset(parts)
    assert [list(joined), len(joined), joined.cumulative_sizes] == [whole, len(whole), [*itertools.accumulate(sizes)]]
    index = draw.draw(st.integers(-len(whole) - 2, len(whole) + 1))
    if -len(whole) <= index < len(whole):
        assert joined[index] == whole[index]
    else:
        with pytest.raises(IndexError, match=f"ConcatDataset: there is no sample {index} among {len(whole)}"):
            joined[index]


@given(size=st.integers(1, 6), indices=st.lists(st.integers(0, 5), max_size=6), named=st.booleans())
def test_stacks_and_subsets_are_pytorchs(size, indices, named):
    indices = [index % size for index in indices]
    columns = {"a": list(range(size)), "b": Batches("abcdef"[:size])}
    found = []
    for library in (data, others()):
        stack = library.StackDataset(**columns) if named else library.StackDataset(*columns.values())
        part = library.Subset(stack, indices)
        found.append([len(stack), len(part), list(part), part.__getitems__(list(range(len(indices)))),
                      stack.__getitems__(indices)])
    assert found[0] == found[1]


def test_datasets_add_up():
    both = Letters("ab") + Letters("c") + Letters("d")
    assert type(both) is ConcatDataset
    assert list(both) == list("abcd")
    streams = Count([2]) + Count([3])
    assert type(streams) is ChainDataset
    assert (list(streams), len(streams)) == ([0, 1, 0, 1, 2], 5)


def test_a_dataset_that_gives_whole_batches_is_asked_for_them():
    dataset = Batches("abcde")
    assert list(DataLoader(dataset, batch_size=2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert dataset.batches == 3
    part = Subset(dataset, [4, 0, 2])
    assert list(DataLoader(part, batch_size=2)) == [["e", "a"], ["c"]]
    assert dataset.batches == 5
    stack = StackDataset(dataset, part.indices + [1, 3])
    assert [batch[1].tolist() for batch in DataLoader(stack, batch_size=4)] == [[4, 0, 2, 1], [3]]
    assert dataset.batches == 7
    assert list(DataLoader(dataset, batch_size=None)) == list("abcde")
    assert dataset.batches == 7


WAYS = [{}, {"prefetch_factor": 0}, {"num_workers": 1}, {"num_workers": 2}, {"num_workers": 3, "prefetch_factor": 4}]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # PyTorch's, where there are fewer cores
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("batch_size", "drop_last"), [(None, False), (1, False), (3, False), (3, True)])
def test_streams_come_in_pytorchs_order(way, batch_size, drop_last):
    """Workers take turns, also when some have less than others."""
    expected = {"num_workers": way.get("num_workers", 0)}
    if expected["num_workers"]:
        expected["prefetch_factor"] = way.get("prefetch_factor", 2)
    for sizes, shared in (([11], True), ([7, 1, 4], False), ([0], True)):
        options = {"batch_size": batch_size, "drop_last": drop_last}
        ours = DataLoader(Count(sizes, shared), **options, **way)
        theirs = others().DataLoader(stream_of(others())(sizes, shared), **options, **expected)
        found = [np.asarray(batch).tolist() for batch in ours]
        assert found == [np.asarray(batch).tolist() for batch in theirs]
        assert len(ours) == len(theirs)


def test_a_stream_begins_anew_at_each_pass_of_workers_that_stay():
    loader = DataLoader(Count([6]), batch_size=2, num_workers=2, persistent_workers=True)
    passes = [[batch.tolist() for batch in loader] for _ in range(3)]
    assert passes == [[[0, 2], [1, 3], [4], [5]]] * 3
    next(iter(loader))  # left in the middle
    assert [batch.tolist() for batch in loader] == passes[0]


def test_worker_init_fn_may_give_each_worker_its_part():
    class Range(IterableDataset):
        start, stop = 0, 6

        def __iter__(self):
            return iter(range(self.start, self.stop))

    def choose(number):
        dataset = get_worker_info().dataset
        dataset.start, dataset.stop = 3 * number, 3 * number + 3

    loader = DataLoader(Range(), batch_size=None, num_workers=2, worker_init_fn=choose)
    assert list(loader) == [0, 3, 1, 4, 2, 5]


def test_a_stream_without_end_can_be_left():
    class Endless(IterableDataset):
        def __iter__(self):
            return itertools.count()

    for way in WAYS:
        loader = DataLoader(Endless(), batch_size=2, **way)
        assert next(iter(loader)).tolist() == [0, 1]
    with pytest.raises(TypeError):
        len(loader)


def test_a_stream_that_fails_says_where():
    class Broken(IterableDataset):
        def __iter__(self):
            yield from range(3)
            raise KeyError("lost")

    with pytest.raises(KeyError) as error:
        list(DataLoader(Broken(), batch_size=2))
    assert error.value.__notes__ == ["while loading batch 1"]
    with pytest.raises(WorkerError, match=r"DataLoader: worker 0 failed on sample 6; its traceback"):
        list(DataLoader(Broken(), batch_size=None, num_workers=2))


def test_a_split_of_fractions_may_leave_nothing_and_says_so():
    with pytest.warns(UserWarning, match=r"random_split: part 1 of \[0.9, 0.1\] has none of 1 samples"):
        assert [len(part) for part in random_split("a", [0.9, 0.1])] == [1, 0]


class Silent(Dataset):
    pass


class SilentStream(IterableDataset):
    pass


class Other(Subset):
    def __getitem__(self, index):
        return 0


MISTAKES = {
    "Silent: a dataset gives a sample by its index": lambda: Silent()[0],
    "SilentStream: an IterableDataset goes through its samples": lambda: list(SilentStream()),
    "ConcatDataset: there are no datasets to concatenate": lambda: ConcatDataset([]),
    "ConcatDataset: an IterableDataset has no indices": lambda: ConcatDataset([Count([1])]),
    "ChainDataset: a Letters is no IterableDataset": lambda: list(ChainDataset([Letters("a")])),
    "StackDataset: takes datasets by position or by name, got neither": StackDataset,
    "StackDataset: takes datasets by position or by name, got both": lambda: StackDataset("a", b="b"),
    "StackDataset: the datasets have different lengths: [1, 2]": lambda: StackDataset("a", "bc"),
    "Subset: Other defines __getitem__ and not __getitems__, which is what loaders call": lambda: Other("ab", [0]),
    "DataLoader: an IterableDataset comes in its own order, and excludes shuffle":
        lambda: DataLoader(Count([1]), shuffle=True),
    "DataLoader: an IterableDataset comes in its own order, and excludes sampler":
        lambda: DataLoader(Count([1]), sampler=[0]),
    "DataLoader: an IterableDataset comes in its own order, and excludes batch_sampler":
        lambda: DataLoader(Count([1]), batch_sampler=[[0]]),
    "WeightedRandomSampler: num_samples is 0, expected a positive integer": lambda: data.WeightedRandomSampler([1], 0),
    "WeightedRandomSampler: replacement is 1, expected True or False": lambda: data.WeightedRandomSampler([1], 1, 1),
    "BatchSampler: drop_last is None, expected True or False": lambda: data.BatchSampler([0], 1, None),
    "BatchSampler: batch_size is True, expected a positive integer": lambda: data.BatchSampler([0], True, False),
    "RandomSampler: num_samples is 2.0, expected a positive integer":
        lambda: data.RandomSampler("ab", num_samples=2.0),
}


@pytest.mark.parametrize(("problem", "make"), MISTAKES.items())
def test_a_mistake_is_named(problem, make):
    with pytest.raises(ArgumentError) as error:
        make()
    assert str(error.value).splitlines()[0] == problem


def test_a_replacement_that_is_no_bool_is_a_type_error():
    with pytest.raises(DTypeError, match="RandomSampler: replacement is 3, expected True or False"):
        data.RandomSampler("ab", 3)


def test_a_random_sampler_sees_a_dataset_grow():
    letters = list("ab")
    sampler = data.RandomSampler(letters)
    letters.append("c")
    assert (len(sampler), sorted(sampler)) == (3, [0, 1, 2])


leaves = st.sampled_from([1, True, 2.5, "text", b"bytes", np.float32(3), np.int8(4), np.str_("np"), np.arange(3),
                          np.ones((2, 1), np.float16)])
structures = st.recursive(leaves, lambda inner: st.one_of(
    st.lists(inner, min_size=1, max_size=3), st.lists(inner, min_size=1, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from("abc"), inner, min_size=1)), max_leaves=6)


def same(ours, theirs):
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, (list, tuple)):
        return isinstance(ours, (list, tuple)) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if not hasattr(theirs, "numpy"):
        return ours == theirs
    return ours.numpy().dtype == theirs.numpy().dtype and np.array_equal(ours.numpy(), theirs.numpy())


@settings(max_examples=60)
@given(sample=structures, size=st.integers(1, 3))
def test_structures_are_collated_as_pytorch_does(sample, size):
    assert same(default_collate([sample] * size), others().default_collate([sample] * size))
    assert same(default_convert(sample), others().default_convert(sample))


def test_mappings_and_sequences_of_any_kind_are_collated():
    empty = collections.defaultdict(lambda: "nothing", a=1)
    batch = default_collate([empty, {"a": 2}])
    assert (batch["a"].tolist(), batch["b"]) == ([1, 2], "nothing")
    assert empty["a"] == 1
    assert [part.tolist() for part in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]
    assert [part.tolist() for part in default_collate([collections.UserList([1, 2])] * 2)] == [[1, 1], [2, 2]]
    assert default_collate([{"a": 1, "b": 2}, {"b": 3, "a": 4}])["a"].tolist() == [1, 4]


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array(["2020"], "datetime64[D]")], ids=str)
def test_arrays_without_numbers_are_refused_and_not_converted(array):
    with pytest.raises(DTypeError, match="default_collate: cannot batch an array of "):
        default_collate([array])
    assert default_convert(array) is array


def test_a_dataset_of_tensors_takes_slices_and_lists():
    rows = data.TensorDataset(tl.arange(6).reshape(3, 2))
    assert [rows[1:][0].tolist(), Subset(rows, [0, 2, 1])[[1, 2]][0].tolist()] == [[[2, 3], [4, 5]], [[4, 5], [2, 3]]]
