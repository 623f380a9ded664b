"""What all transforms are: frozen settings that are called with an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorlite.data import chance
from tensorlite.data.sampler import Randomness, as_generator
from tensorlite.errors import ArgumentError, complaint

#: What counts as one number.
NUMBER = (int, float, np.integer, np.floating)


class Transform:
    """A function of an image, with settings."""

    def __call__(self, img: Any) -> Any:
        raise complaint(ArgumentError, type(self).__name__, "a transform is called with an image",
                        fix="define __call__(self, img)")

    def _set(self, **values: Any) -> None:
        """Puts settings in the form that is worked with."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _refuse(self, problem: str) -> None:
        raise complaint(ArgumentError, type(self).__name__, problem)


@dataclass(frozen=True)
class RandomTransform(Transform):
    """A transform that draws: from ``generator``, or from the default one; within a loader, by the sample's place."""

    generator: Randomness = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        self._set(generator=as_generator(self.generator))

    def _stream(self) -> np.random.Generator:
        return chance.stream(self.generator)

    def _check_probability(self, p: Any) -> None:
        if not isinstance(p, NUMBER) or not 0 <= p <= 1:
            self._refuse(f"p is {p!r}, expected a probability, of 0 to 1")


def interval(op: str, name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """Two numbers in order, within bounds."""
    if not isinstance(value, Sequence) or len(value) != 2 or not low <= value[0] <= value[1] <= high:
        bounds = f" from {low:g}" if low > -np.inf else ""
        bounds += f" to {high:g}" if high < np.inf else ""
        raise complaint(ArgumentError, op, f"{name} is {value!r}, expected a pair of numbers in order{bounds}")
    return float(value[0]), float(value[1])
