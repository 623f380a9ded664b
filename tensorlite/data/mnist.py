"""MNIST and Fashion-MNIST from their original idx files, which can be downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tensorlite.data.dataset import Dataset
from tensorlite.data.downloads import download, has_checksum
from tensorlite.data.idx import read_idx
from tensorlite.data.missing import DatasetMissing
from tensorlite.errors import complaint
from tensorlite.io.files import FormatError
from tensorlite.tensor import Tensor


class MNIST(Dataset[tuple[Any, Any]]):
    """Handwritten digits: 60 000 images to train on and 10 000 to test, 28x28, 10 classes.

    The files are looked for in ``root/MNIST/raw``, where ``download=True`` puts them as torchvision does, and in
    ``root`` itself, gzipped or not. A sample is ``(image, label)``: the image a ``float32[1, 28, 28]`` tensor of
    0 to 1, or what ``transform`` makes of the ``uint8[28, 28]`` array; the label an int, or what
    ``target_transform`` makes of it. ``data`` and ``targets`` hold all of them as NumPy arrays.
    """

    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    #: The md5 of each official file.
    checksums: dict[str, str] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes: tuple[str, ...] = tuple("0123456789")

    def __init__(self, root: str | os.PathLike[str], train: bool = True,
                 transform: Callable[[np.ndarray], Any] | None = None,
                 target_transform: Callable[[int], Any] | None = None, download: bool = False) -> None:
        self.root = Path(root)
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        if download:
            self.download()
        split = "train" if train else "t10k"
        images, labels = self._find(f"{split}-images-idx3-ubyte"), self._find(f"{split}-labels-idx1-ubyte")
        self.data = _checked(images, 3)
        self.targets = _checked(labels, 1).astype(np.int64)
        if len(self.data) != len(self.targets):
            raise FormatError(labels, f"has {len(self.targets)} labels for the {len(self.data)} images of {images}")
        if self.targets.size and self.targets.max() >= len(self.classes):
            raise FormatError(labels, f"has the label {self.targets.max()}, expected 0 to {len(self.classes) - 1}")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.data[index], int(self.targets[index])
        return ((self.transform or to_tensor)(image),
                label if self.target_transform is None else self.target_transform(label))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> Path:
        """Where downloaded files lie."""
        return self.root / type(self).__name__ / "raw"

    def download(self) -> None:
        """Fetches what is missing from the official addresses, with checksums and a progress bar."""
        for name, md5 in self.checksums.items():
            if not any(has_checksum(folder / name, md5) for folder in (self.raw_folder, self.root)):
                download([mirror + name for mirror in self.mirrors], self.raw_folder / name, md5)

    def _find(self, name: str) -> Path:
        candidates = [folder / file for folder in (self.raw_folder, self.root) for file in (f"{name}.gz", name)]
        for path in candidates:
            if path.is_file():
                return path
        problem = f"{name}.gz is neither in {self.raw_folder} nor in {self.root}"
        raise complaint(DatasetMissing, type(self).__name__, problem, fix="pass download=True, or another root")


class FashionMNIST(MNIST):
    """Images of clothing in MNIST's form: 60 000 to train on and 10 000 to test, 28x28, 10 classes.

    Files and samples are as in `MNIST`, in ``root/FashionMNIST/raw`` or in ``root`` itself.
    Han Xiao, Kashif Rasul, Roland Vollgraf, https://arxiv.org/abs/1708.07747.
    """

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    checksums = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def to_tensor(image: np.ndarray) -> Tensor:
    """Makes a ``float32[1, height, width]`` tensor of 0 to 1 from a ``uint8[height, width]`` image.

    >>> to_tensor(np.array([[0, 255]], np.uint8))
    tensor([[[0., 1.]]])
    """
    return Tensor((image.astype(np.float32) / np.float32(255))[None])


def _checked(path: Path, ndim: int) -> np.ndarray:
    array = read_idx(path)
    if array.dtype != np.uint8 or array.ndim != ndim:
        raise FormatError(path, f"holds {array.dtype}{list(array.shape)}, expected uint8 in {ndim} dimensions")
    return array
