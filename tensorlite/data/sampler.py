"""Samplers: in which order a loader asks for samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.random import Generator, default_generator

T = TypeVar("T", covariant=True)
#: Where random numbers come from: a generator, a seed for a fresh one, or the default generator.
Randomness: TypeAlias = Generator | int | None


def as_generator(randomness: Randomness) -> Generator | None:
    """A generator for a seed; anything else as it is."""
    return Generator().manual_seed(randomness) if isinstance(randomness, int) else randomness


class Sampler(ABC, Generic[T]):
    """An order of indices, or of lists of indices: subclasses define ``__iter__``, and ``__len__`` where they know it.

    >>> class Backwards(Sampler):
    ...     def __init__(self, data_source): self.data_source = data_source
    ...     def __iter__(self): return reversed(range(len(self.data_source)))
    >>> list(Backwards("abc"))
    [2, 1, 0]
    """

    @abstractmethod
    def __iter__(self) -> Iterator[T]:
        """Goes through the order once more."""


class SequentialSampler(Sampler[int]):
    """Every index in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in a fresh random order each time; with ``replacement``, ``num_samples`` independent draws.

    >>> sorted(RandomSampler("abc", generator=0))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized, replacement: bool = False, num_samples: int | None = None,
                 generator: Randomness = None) -> None:
        if not isinstance(replacement, bool):
            raise complaint(DTypeError, "RandomSampler", f"replacement is {replacement!r}, expected True or False")
        if num_samples is not None:
            _check_positive("RandomSampler", num_samples=num_samples)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = as_generator(generator)

    @property
    def num_samples(self) -> int:
        """How many indices a pass has: as many as were asked for, else as many as the data source has now."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, source = len(self.data_source), numpy_generator(self.generator)
        if self.replacement and size:
            return iter(source.integers(0, size, self.num_samples).tolist())
        rounds = -(-self.num_samples // size) if size else 0
        order = [index for _ in range(rounds) for index in source.permutation(size).tolist()]
        return iter(order[:self.num_samples])

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in a fresh random order each time."""

    def __init__(self, indices: Sequence[int], generator: Randomness = None) -> None:
        self.indices = indices
        self.generator = as_generator(generator)

    def __iter__(self) -> Iterator[int]:
        order = numpy_generator(self.generator).permutation(len(self.indices)).tolist()
        return iter([self.indices[place] for place in order])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """``num_samples`` draws of indices, each index in proportion to its weight.

    >>> list(WeightedRandomSampler([0.0, 1.0], 3, generator=0))
    [1, 1, 1]
    """

    def __init__(self, weights: Sequence[float] | Any, num_samples: int, replacement: bool = True,
                 generator: Randomness = None) -> None:
        _check_positive("WeightedRandomSampler", num_samples=num_samples)
        _check_bool("WeightedRandomSampler", replacement=replacement)
        weights = np.asarray(weights, np.float64)
        if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise complaint(ArgumentError, "WeightedRandomSampler", "the weights must be finite and not negative, "
                            "in one dimension, and one of them positive", {"weights": weights})
        drawable = np.count_nonzero(weights)
        if not replacement and num_samples > drawable:
            raise complaint(ArgumentError, "WeightedRandomSampler", f"{num_samples} samples without replacement, "
                            f"but only {drawable} weights are positive")
        self.weights = weights
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = as_generator(generator)

    def __iter__(self) -> Iterator[int]:
        chances, source = self.weights / self.weights.sum(), numpy_generator(self.generator)
        return iter(source.choice(len(chances), self.num_samples, self.replacement, chances).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices of another sampler; the last may be shorter, unless ``drop_last``.

    >>> list(BatchSampler(SequentialSampler("abcde"), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_positive("BatchSampler", batch_size=batch_size)
        _check_bool("BatchSampler", drop_last=drop_last)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole + bool(rest and not self.drop_last)


def _check_positive(op: str, **given: Any) -> None:
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise complaint(ArgumentError, op, f"{name} is {value!r}, expected a positive integer")


def _check_bool(op: str, **given: Any) -> None:
    for name, value in given.items():
        if not isinstance(value, bool):
            raise complaint(ArgumentError, op, f"{name} is {value!r}, expected True or False")


def draw_seed(generator: Generator | None) -> int:
    """Draws 63 random bits, by which another generator is seeded."""
    high, low = (generator or default_generator).bits(2).tolist()
    return high >> 1 << 32 | low


def numpy_generator(randomness: Randomness) -> np.random.Generator:
    """A NumPy generator seeded by one draw, so that an order costs one draw whatever its length."""
    return np.random.Generator(np.random.Philox(draw_seed(as_generator(randomness))))
