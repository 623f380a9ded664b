"""Digits: the handwritten digits that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.data.dataset import Dataset
from tensorlite.data.missing import MissingPackage
from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor


class Digits(Dataset[tuple[Any, Any]]):
    """The 1797 images of scikit-learn's ``load_digits``, 8x8, 10 classes; nothing is downloaded.

    ``held_out`` of the images, drawn by ``seed``, are kept from training and come with ``train=False``. A sample
    is ``(image, label)``: the image a ``float32[1, 8, 8]`` tensor of 0 to 1, or what ``transform`` makes of the
    ``uint8[8, 8]`` array of 0 to 16; the label an int. ``data`` and ``targets`` hold all of them as NumPy arrays.
    """

    classes: tuple[str, ...] = tuple("0123456789")

    def __init__(self, train: bool = True, held_out: float = 0.2, seed: int = 0,
                 transform: Callable[[np.ndarray], Any] | None = None) -> None:
        if not 0 <= held_out <= 1:
            raise complaint(ArgumentError, "Digits", f"held_out is {held_out!r}, expected a fraction of 0 to 1")
        images, targets = _load()
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(images))
        first = round(held_out * len(images))
        chosen = np.sort(order[first:] if train else order[:first])
        self.train = train
        self.transform = transform
        self.data = images[chosen]
        self.targets = targets[chosen]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = self.data[index]
        sample = Tensor((image / np.float32(16))[None]) if self.transform is None else self.transform(image)
        return sample, int(self.targets[index])

    def __len__(self) -> int:
        return len(self.data)


def _load() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise complaint(MissingPackage, "Digits", "the images come with scikit-learn, which is not installed",
                        fix="pip install 'tensorlite[demo]'") from None
    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
