"""Datasets: what has a length and gives a sample by its index."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from tensorlite.data.sampler import Randomness, numpy_generator
from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor

T = TypeVar("T", covariant=True)


class Dataset(ABC, Generic[T]):
    """A map from indices to samples: subclasses define ``__getitem__`` and, for most uses, ``__len__``."""

    @abstractmethod
    def __getitem__(self, index: int) -> T:
        """Gives the sample at an index."""


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples that are the rows of tensors of one length.

    >>> import tensorlite as tl
    >>> dataset = TensorDataset(tl.asarray([[1.0], [2.0]]), tl.asarray([0, 1]))
    >>> dataset[1]
    (tensor([2.]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if len({tensor.shape[0] if tensor.shape else None for tensor in tensors} | {None}) != 2:
            given = {f"tensor {number}": tensor for number, tensor in enumerate(tensors)}
            raise complaint(ArgumentError, "TensorDataset", "the tensors need one length along axis 0", given)
        self.tensors = tensors

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset[T]):
    """The samples of a dataset at chosen indices.

    >>> list(Subset("abcd", [2, 0]))
    ['c', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> T:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Randomness = None) -> list[Subset[Any]]:
    """Splits a dataset at random into subsets of given lengths, or of given fractions that add up to 1.

    What rounding leaves over goes to the first subsets, one each. ``generator`` is a Generator or a seed.

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
        return counts
    if sum(lengths) != size or any(part < 0 or int(part) != part for part in lengths):
        problem = f"the lengths {list(lengths)} neither add up to the dataset's {size} samples nor, as fractions, to 1"
        raise complaint(ArgumentError, "random_split", problem)
    return [int(part) for part in lengths]
