"""Samplers: in which order a loader asks for samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from tensorlite.errors import ArgumentError, complaint
from tensorlite.random import Generator, default_generator

T = TypeVar("T", covariant=True)
#: Where random numbers come from: a generator, a seed for a fresh one, or the default generator.
Randomness: TypeAlias = Generator | int | None


def as_generator(randomness: Randomness) -> Generator | None:
    """A generator for a seed; anything else as it is."""
    return Generator().manual_seed(randomness) if isinstance(randomness, int) else randomness


class Sampler(ABC, Generic[T]):
    """An order of indices, or of lists of indices."""

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
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            problem = f"num_samples is {num_samples!r}, expected a positive integer"
            raise complaint(ArgumentError, "RandomSampler", problem)
        self.data_source = data_source
        self.replacement = replacement
        self.num_samples = len(data_source) if num_samples is None else num_samples
        self.generator = as_generator(generator)

    def __iter__(self) -> Iterator[int]:
        size, source = len(self.data_source), numpy_generator(self.generator)
        if self.replacement:
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
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise complaint(ArgumentError, "BatchSampler", f"batch_size is {batch_size!r}, expected a positive integer")
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


def draw_seed(generator: Generator | None) -> int:
    """Draws 63 random bits, by which another generator is seeded."""
    high, low = (generator or default_generator).bits(2).tolist()
    return high >> 1 << 32 | low


def numpy_generator(randomness: Randomness) -> np.random.Generator:
    """A NumPy generator seeded by one draw, so that an order costs one draw whatever its length."""
    return np.random.Generator(np.random.Philox(draw_seed(as_generator(randomness))))
