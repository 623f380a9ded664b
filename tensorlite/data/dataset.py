"""Datasets: what gives a sample by its index, what gives samples one after another, and datasets made of others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """A map from indices to samples: subclasses define ``__getitem__`` and, for most uses, ``__len__``.

    A subclass may define ``__getitems__`` too, which a loader calls with the indices of a whole batch and which gives
    a list of samples. Datasets are concatenated by ``+``.
    """

    def __getitem__(self, index: Any) -> T:
        """Gives the sample at an index."""
        raise complaint(ArgumentError, type(self).__name__, "a dataset gives a sample by its index",
                        fix="define __getitem__, or make it an IterableDataset and define __iter__")

    def __add__(self, other: Any) -> ConcatDataset[T]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples that come one after another, such as the lines of a file or of a socket: subclasses define ``__iter__``.

    A loader with workers gives each a copy of its own: ``__iter__`` then asks `get_worker_info` which part is its.

    >>> import tensorlite as tl
    >>> class Count(IterableDataset):
    ...     def __init__(self, stop): self.stop = stop
    ...     def __iter__(self):
    ...         info = tl.data.get_worker_info()
    ...         first, step = (0, 1) if info is None else (info.id, info.num_workers)
    ...         return iter(range(first, self.stop, step))
    >>> [batch.tolist() for batch in tl.data.DataLoader(Count(5), batch_size=2, num_workers=2)]
    [[0, 2], [1, 3], [4]]
    """

    def __iter__(self) -> Iterator[T]:
        raise complaint(ArgumentError, type(self).__name__, "an IterableDataset goes through its samples",
                        fix="define __iter__")

    def __add__(self, other: Any) -> ChainDataset[T]:  # type: ignore[override]  # what streams add up to
        return ChainDataset([self, other])


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

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class ConcatDataset(Dataset[T]):
    """The samples of several datasets, one dataset after the other.

    >>> dataset = ConcatDataset(["ab", "cde"])
    >>> dataset[3], dataset[-5], len(dataset), dataset.cumulative_sizes
    ('d', 'a', 5, [2, 5])
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise complaint(ArgumentError, "ConcatDataset", "there are no datasets to concatenate")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise complaint(ArgumentError, "ConcatDataset", "an IterableDataset has no indices", fix="use ChainDataset")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> T:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise complaint(OutOfRange, "ConcatDataset", f"there is no sample {index} among {len(self)}")
        number = bisect_right(self.cumulative_sizes, place)
        before = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class OutOfRange(ArgumentError, IndexError):
    """An index that a dataset does not have; a `ValueError` too, as in PyTorch."""


class ChainDataset(IterableDataset[T]):
    """The samples of several streams, one stream after the other.

    The streams may come from a generator, and are then asked for as they are needed.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T]:
        for dataset in self._streams():
            yield from dataset

    def __len__(self) -> int:
        return sum(map(len, self._streams()))

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                problem = f"a {type(dataset).__name__} is no IterableDataset"
                raise complaint(ArgumentError, "ChainDataset", problem, fix="use ConcatDataset")
            yield dataset


class StackDataset(Dataset[Any]):
    """Samples put together from several datasets of one length: tuples of them, or dicts where they have names.

    >>> StackDataset("ab", [1, 2])[1], StackDataset(letter="ab", number=[1, 2])[0]
    (('b', 2), {'letter': 'a', 'number': 1})
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            found = "both" if args else "neither"
            raise complaint(ArgumentError, "StackDataset", f"takes datasets by position or by name, got {found}")
        self.datasets: tuple[Any, ...] | dict[str, Any] = args or kwargs
        lengths = [len(dataset) for dataset in self._parts]
        if len(set(lengths)) > 1:
            raise complaint(ArgumentError, "StackDataset", f"the datasets have different lengths: {lengths}")

    @property
    def _parts(self) -> tuple[Any, ...]:
        return tuple(self.datasets.values()) if isinstance(self.datasets, dict) else self.datasets

    def _joined(self, parts: Sequence[Any]) -> Any:
        return dict(zip(self.datasets, parts)) if isinstance(self.datasets, dict) else tuple(parts)

    def __getitem__(self, index: Any) -> Any:
        return self._joined([dataset[index] for dataset in self._parts])

    def __getitems__(self, indices: list[int]) -> list[Any]:
        columns = [gather(dataset, indices) for dataset in self._parts]
        for column in columns:
            if len(column) != len(indices):
                problem = f"__getitems__ of a dataset gave {len(column)} samples for {len(indices)} indices"
                raise complaint(ArgumentError, "StackDataset", problem)
        return [self._joined(parts) for parts in zip(*columns)]

    def __len__(self) -> int:
        return len(self._parts[0])


def gather(dataset: Any, indices: list[Any]) -> Sequence[Any]:
    """The samples at some indices, all at once where the dataset can."""
    together = getattr(dataset, "__getitems__", None)
    return together(indices) if callable(together) else [dataset[index] for index in indices]
