"""Parts of datasets: chosen samples, and splits at random."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

from tensorlite.data.dataset import Dataset, gather
from tensorlite.data.sampler import Randomness, numpy_generator
from tensorlite.errors import ArgumentError, complaint

T = TypeVar("T", covariant=True)


class Subset(Dataset[T]):
    """The samples of a dataset at chosen indices.

    A subclass with a ``__getitem__`` of its own needs a ``__getitems__`` too, which is what loaders call.

    >>> list(Subset("abcd", [2, 0]))
    ['c', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        kind = type(self)
        if kind.__getitem__ is not Subset.__getitem__ and kind.__getitems__ is Subset.__getitems__:
            problem = f"{kind.__name__} defines __getitem__ and not __getitems__, which is what loaders call"
            fix = "def __getitems__(self, indices): return [self[index] for index in indices]"
            raise complaint(ArgumentError, "Subset", problem, fix=fix)
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[each] for each in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> Sequence[Any]:
        return gather(self.dataset, [self.indices[index] for index in indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Randomness = None) -> list[Subset[Any]]:
    """Splits a dataset at random into subsets of given lengths, or of given fractions that add up to 1.

    What rounding leaves over goes to the first subsets, one each; a fraction that is left with no sample is warned
    of. ``generator`` is a Generator or a seed.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25], generator=0)]
    [8, 2]
    """
    counts = _counts(len(dataset), lengths)
    order = numpy_generator(generator).permutation(len(dataset)).tolist()
    ends = [sum(counts[:number + 1]) for number in range(len(counts))]
    return [Subset(dataset, order[end - count:end]) for count, end in zip(counts, ends)]


def _counts(size: int, lengths: Sequence[int | float]) -> list[int]:
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9 and all(0 <= part <= 1 for part in lengths):
        counts = [math.floor(size * part) for part in lengths]
        for number in range(size - sum(counts)):
            counts[number % len(counts)] += 1
        for number, part in enumerate(lengths):
            if counts[number] == 0 and isinstance(part, float):
                problem = f"part {number} of {list(lengths)} has none of {size} samples"
                warnings.warn(f"random_split: {problem}", stacklevel=3)
        return counts
    if sum(lengths) != size or any(part < 0 or int(part) != part for part in lengths):
        problem = f"the lengths {list(lengths)} neither add up to the dataset's {size} samples nor, as fractions, to 1"
        raise complaint(ArgumentError, "random_split", problem)
    return [int(part) for part in lengths]
