"""CIFAR-10, from its official binary files, which can be downloaded, or from batches of images as PNG."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tensorlite.data.dataset import Dataset
from tensorlite.data.downloads import download, has_checksum
from tensorlite.data.missing import DatasetMissing
from tensorlite.data.pillow import pillow
from tensorlite.errors import complaint
from tensorlite.io.files import FormatError, atomic_write
from tensorlite.tensor import Tensor

#: Bytes of a record of the binary files: a label, then 32x32 values of red, of green and of blue.
RECORD = 1 + 3 * 32 * 32
ARCHIVE, FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
#: Images of a batch as PNG, and the number of the batch that holds the test images.
BATCH, TEST_BATCH = 1000, 50


class CIFAR10(Dataset[tuple[Any, Any]]):
    """Photographs of 32x32 in 10 classes: 50 000 to train on and 10 000 to test.

    The official binary files (``data_batch_1.bin`` to ``data_batch_5.bin``, ``test_batch.bin``) are looked for in
    ``root/cifar-10-batches-bin``, where ``download=True`` puts them, and in ``root``. Else, the batches of ConvNetJS
    are read from there by Pillow: ``cifar10_batch_0.png`` to ``49``, and ``50`` with the first 1000 test images, each
    row of pixels an image, with their labels in ``cifar10_labels.js``; as many as there are.

    A sample is ``(image, label)``: the image a ``float32[3, 32, 32]`` tensor of 0 to 1, or what ``transform`` makes of
    the ``uint8[32, 32, 3]`` array; the label an int, or what ``target_transform`` makes of it. ``data`` and
    ``targets`` hold all of them as NumPy arrays. Raises `FileNotFoundError` where the files are missing and
    `FormatError` where they are damaged. Alex Krizhevsky, "Learning multiple layers of features from tiny images",
    2009.
    """

    mirrors: tuple[str, ...] = ("https://www.cs.toronto.edu/~kriz/",)
    #: The md5 of the official archive.
    checksum: str = "c32a1d4ab5d03f1284b67883e8d87530"
    classes: tuple[str, ...] = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
                                "truck")

    def __init__(self, root: str | os.PathLike[str], train: bool = True,
                 transform: Callable[[np.ndarray], Any] | None = None,
                 target_transform: Callable[[int], Any] | None = None, download: bool = False) -> None:
        self.root = Path(root)
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        if download:
            self.download()
        self.data, self.targets = self._read()

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.data[index], int(self.targets[index])
        sample = to_tensor(image) if self.transform is None else self.transform(image)
        return sample, label if self.target_transform is None else self.target_transform(label)

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetches the official archive, unless its files are there, with a checksum and a progress bar."""
        if all(self._find(_names(train)) for train in (True, False)):
            return
        archive = self.root / ARCHIVE
        if not has_checksum(archive, self.checksum):
            download([mirror + ARCHIVE for mirror in self.mirrors], archive, self.checksum)
        (self.root / FOLDER).mkdir(exist_ok=True)
        with tarfile.open(archive) as members:
            for name in (*_names(True), *_names(False)):
                content = members.extractfile(f"{FOLDER}/{name}")
                assert content is not None, "the archive has its checksum"
                with atomic_write(self.root / FOLDER / name) as file:
                    file.write(content.read())

    def _find(self, names: tuple[str, ...]) -> list[Path]:
        """Where files lie that are all in one folder, or nothing."""
        for folder in (self.root / FOLDER, self.root):
            paths = [folder / name for name in names]
            if all(path.is_file() for path in paths):
                return paths
        return []

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        names = _names(self.train)
        if paths := self._find(names):
            images, labels = zip(*map(_read_binary, paths))
            return np.concatenate(images), np.concatenate(labels)
        numbers = range(TEST_BATCH) if self.train else [TEST_BATCH]
        found = [number for number in numbers if _picture(self.root, number).is_file()]
        if found:
            labels = _read_labels(self.root / "cifar10_labels.js")
            wanted = np.concatenate([np.arange(BATCH * number, BATCH * (number + 1)) for number in found])
            return np.concatenate([_read_picture(_picture(self.root, number)) for number in found]), labels[wanted]
        problem = (f"{names[0]} is neither in {self.root / FOLDER} nor in {self.root}, and neither is "
                   f"{_picture(self.root, numbers[0]).name}")
        raise complaint(DatasetMissing, "CIFAR10", problem, fix="pass download=True, or another root")


def is_cifar10(root: Path) -> bool:
    """Whether a folder holds test images of CIFAR-10, in either form."""
    return any(path.exists() for path in (root / FOLDER, root / _names(False)[0], _picture(root, TEST_BATCH)))


def to_tensor(image: np.ndarray) -> Tensor:
    """Makes a ``float32[3, height, width]`` tensor of 0 to 1 from a ``uint8[height, width, 3]`` image."""
    return Tensor(np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / np.float32(255))


def _names(train: bool) -> tuple[str, ...]:
    return tuple(f"data_batch_{number}.bin" for number in range(1, 6)) if train else ("test_batch.bin",)


def _picture(folder: Path, number: int) -> Path:
    return folder / f"cifar10_batch_{number}.png"


def _read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % RECORD:
        raise FormatError(path, f"holds {content.size} bytes, expected a multiple of {RECORD}")
    records = content.reshape(-1, RECORD)
    labels = _checked_labels(path, records[:, 0].astype(np.int64))
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _read_labels(path: Path) -> np.ndarray:
    if not path.is_file():
        raise complaint(DatasetMissing, "CIFAR10", f"{path} is missing, which has the labels of the pictures beside it")
    text = path.read_text()
    if re.fullmatch(r"\s*var\s+labels\s*=\s*\[[\d,\s]*\]\s*;?\s*", text) is None:
        raise FormatError(path, "is no list of labels: expected 'var labels=[6, 9, ...];'")
    labels = np.array(re.findall(r"\d+", text), np.int64)
    if len(labels) < BATCH * (TEST_BATCH + 1):
        raise FormatError(path, f"has {len(labels)} labels, expected {BATCH * (TEST_BATCH + 1)}")
    return _checked_labels(path, labels)


def _checked_labels(path: Path, labels: np.ndarray) -> np.ndarray:
    if labels.max() > 9:
        raise FormatError(path, f"has the label {labels.max()}, expected 0 to 9")
    return labels


def _read_picture(path: Path) -> np.ndarray:
    try:
        with pillow("CIFAR10").open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise FormatError(path, f"is no picture: {error}") from None
    if pixels.shape != (BATCH, 1024, 3):
        raise FormatError(path, f"is {pixels.shape[1]}x{pixels.shape[0]} pixels, expected 1024x{BATCH}")
    return pixels.reshape(BATCH, 32, 32, 3)
