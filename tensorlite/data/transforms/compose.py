"""Transforms made of others: one after the other, some of them, one of them, in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.data.transforms.transform import RandomTransform, Transform


def _listed(name: str, transforms: Sequence[Any], more: str = "") -> str:
    lines = "".join(f"\n    {line}" for each in transforms for line in repr(each).splitlines())
    return f"{name}({more}{lines}\n)"


@dataclass(frozen=True, repr=False)
class Compose(Transform):
    """One transform after the other.

    >>> Compose([Lambda(lambda x: x + 1), Lambda(lambda x: x * 10)])(2)
    30
    """

    transforms: Sequence[Callable[[Any], Any]]

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _listed("Compose", self.transforms)


@dataclass(frozen=True, repr=False)
class Lambda(Transform):
    """Any function as a transform.

    >>> Lambda(abs)
    Lambda(abs)
    """

    lambd: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not callable(self.lambd):
            self._refuse(f"lambd is {self.lambd!r}, expected a function")

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.lambd, '__qualname__', type(self.lambd).__name__)})"


class _Listing(RandomTransform):
    """What transforms that choose among others share."""

    transforms: Sequence[Callable[[Any], Any]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.transforms, str) or not isinstance(self.transforms, Sequence):
            self._refuse(f"takes a list of transforms, not {self.transforms!r}")

    def __repr__(self) -> str:
        p = getattr(self, "p", None)
        return _listed(type(self).__name__, self.transforms, "" if p is None else f"\n    p={p}")


@dataclass(frozen=True, repr=False)
class RandomApply(_Listing):
    """All of its transforms one after the other, or none: all with a probability of ``p``.

    >>> RandomApply([Lambda(lambda x: x + 1)], p=1.0)(2)
    3
    """

    transforms: Sequence[Callable[[Any], Any]]
    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_probability(self.p)

    def __call__(self, img: Any) -> Any:
        return Compose(self.transforms)(img) if self._stream().random() < self.p else img


@dataclass(frozen=True, repr=False)
class RandomChoice(_Listing):
    """One of its transforms, each as likely as ``p`` says in proportion, or all equally."""

    transforms: Sequence[Callable[[Any], Any]]
    p: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.p is not None and len(self.p) != len(self.transforms):
            self._refuse(f"p has {len(self.p)} probabilities for {len(self.transforms)} transforms")
        if not len(self.transforms) or self.p is not None and (min(self.p) < 0 or not sum(self.p) > 0):
            self._refuse("there is nothing to choose")

    def __call__(self, img: Any) -> Any:
        chances = None if self.p is None else np.asarray(self.p, np.float64) / sum(self.p)
        return self.transforms[self._stream().choice(len(self.transforms), p=chances)](img)


@dataclass(frozen=True, repr=False)
class RandomOrder(_Listing):
    """All of its transforms, in an order that is drawn."""

    transforms: Sequence[Callable[[Any], Any]]

    def __call__(self, img: Any) -> Any:
        order = self._stream().permutation(len(self.transforms))
        return Compose([self.transforms[place] for place in order])(img)
