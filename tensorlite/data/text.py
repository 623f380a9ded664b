"""Text as characters: windows of it, and what follows each of their characters."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tensorlite.data.dataset import Dataset
from tensorlite.data.downloads import download, has_checksum
from tensorlite.data.missing import DatasetMissing
from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor


class CharacterText(Dataset[tuple[Tensor, Tensor]]):
    """The windows of ``block_size`` characters of a text, each with the same window one character on.

    A sample is ``(x, y)``, both ``int64[block_size]``: ``y[i]`` is the character after ``x[i]``, and there is one
    sample for each place where a window begins. Characters are numbered in the order of ``vocabulary``, which is by
    default all that occur, sorted; ``encode`` and ``decode`` go both ways, and ``data`` holds the whole text. Raises
    `ArgumentError` for characters that the vocabulary does not have, and for a text that has no whole window.

    >>> text = CharacterText("hello", block_size=3)
    >>> text.vocabulary, len(text), [part.tolist() for part in text[0]]
    ('ehlo', 2, [[1, 0, 2], [0, 2, 2]])
    >>> text.decode(text.encode("hole"))
    'hole'
    """

    def __init__(self, text: str, block_size: int, vocabulary: str | None = None) -> None:
        if not isinstance(block_size, int) or block_size < 1:
            problem = f"block_size is {block_size!r}, expected a positive integer"
            raise complaint(ArgumentError, type(self).__name__, problem)
        if len(text) <= block_size:
            problem = f"a text of {len(text)} characters has no window of {block_size} and one more"
            raise complaint(ArgumentError, type(self).__name__, problem, fix="take a smaller block_size")
        self.vocabulary = "".join(sorted(set(text))) if vocabulary is None else vocabulary
        self.block_size = block_size
        self.data = self.encode(text).numpy()

    @property
    def vocab_size(self) -> int:
        """How many characters there are."""
        return len(self.vocabulary)

    def encode(self, text: str) -> Tensor:
        """The numbers of characters: int64[len(text)]."""
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        known = np.frombuffer(self.vocabulary.encode("utf-32-le"), np.uint32)
        order = np.argsort(known, kind="stable")
        places = np.searchsorted(known, points, sorter=order).clip(max=len(known) - 1)
        numbers = order[places] if len(known) else places
        wrong = np.flatnonzero(known[numbers] != points) if len(known) else np.arange(len(points))
        if wrong.size:
            problem = f"{text[wrong[0]]!r} is not in the vocabulary of {len(known)} characters"
            raise complaint(ArgumentError, "encode", problem)
        return Tensor(numbers.astype(np.int64))

    def decode(self, numbers: Tensor | Iterable[int]) -> str:
        """The text of numbers."""
        return "".join(self.vocabulary[number] for number in
                       (numbers.tolist() if isinstance(numbers, Tensor) else numbers))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start = range(len(self))[index]
        window = self.data[start:start + self.block_size + 1]
        return Tensor(window[:-1]), Tensor(window[1:])

    def __len__(self) -> int:
        return len(self.data) - self.block_size


class TinyShakespeare(CharacterText):
    """1.1 million characters of Shakespeare's plays: windows as in `CharacterText`, of 65 characters.

    ``train=False`` gives the last tenth of the text, or what share ``held_out`` says, and ``train=True`` what is
    before. ``input.txt`` is looked for in ``root/tinyshakespeare``, where ``download=True`` puts it, and in ``root``.
    Andrej Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015.
    """

    mirrors: tuple[str, ...] = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)
    checksum: str = "6fb458f1232090904fb40fe944165e91"

    def __init__(self, root: str | os.PathLike[str], train: bool = True, block_size: int = 128, held_out: float = 0.1,
                 download: bool = False) -> None:
        if not 0 < held_out < 1:
            problem = f"held_out is {held_out!r}, expected a fraction between 0 and 1"
            raise complaint(ArgumentError, "TinyShakespeare", problem)
        self.root = Path(root)
        self.train = train
        if download:
            self.download()
        text = self._find().read_text(encoding="utf-8")
        end = round((1 - held_out) * len(text))
        super().__init__(text[:end] if train else text[end:], block_size, "".join(sorted(set(text))))

    @property
    def _places(self) -> tuple[Path, Path]:
        return self.root / "tinyshakespeare" / "input.txt", self.root / "input.txt"

    def download(self) -> None:
        """Fetches the text from its author's repository, unless it is there."""
        if not any(has_checksum(path, self.checksum) for path in self._places):
            download([mirror + "input.txt" for mirror in self.mirrors], self._places[0], self.checksum)

    def _find(self) -> Path:
        for path in self._places:
            if path.is_file():
                return path
        problem = f"input.txt is neither in {self.root / 'tinyshakespeare'} nor in {self.root}"
        raise complaint(DatasetMissing, "TinyShakespeare", problem, fix="pass download=True, or another root")
