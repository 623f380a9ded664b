"""Chance for samples: numbers that depend on a seed and a sample's place in a pass, and not on who loads it.

A loader says which sample of which pass is loaded; what transforms draw meanwhile is keyed by that, so that a seed
gives the same pictures with any number of workers, with and without a thread that reads ahead. Outside of a loader,
numbers come from a Generator, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from tensorlite.data.sampler import Randomness, as_generator, numpy_generator

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a loader's pass a sample is: the pass's seed, the batch's number, the number in the batch."""

    seed: int
    batch: int
    number: int
    streams: dict[int, np.random.Generator] = field(default_factory=dict)

    def stream(self, own: int) -> np.random.Generator:
        """The numbers of this sample for those who share a seed of their own, begun where they were left."""
        if own not in self.streams:
            bits = np.random.Philox(key=np.array([self.seed & _MASK, own & _MASK], np.uint64),
                                    counter=np.array([0, 0, self.number, self.batch], np.uint64))
            self.streams[own] = np.random.Generator(bits)
        return self.streams[own]


_place: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def at(place: Place) -> Iterator[None]:
    """While this lasts, numbers are drawn for one sample of a pass."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def stream(randomness: Randomness = None) -> np.random.Generator:
    """Where a transform draws its next numbers from.

    Within a loader, a generator's own seed counts, and that it has moved on does not.
    """
    generator, place = as_generator(randomness), _place.get()
    if place is None:
        return numpy_generator(generator)
    return place.stream(0 if generator is None else 2 * generator.initial_seed() + 1)
