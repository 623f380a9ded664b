"""Text as characters: windows, numbers and back, and the plays."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from data.served import address, serving
from hypothesis import given
from hypothesis import strategies as st
from sources import DATA, NO_DATA

from tensorlite.data import CharacterText, DataLoader, TinyShakespeare
from tensorlite.errors import ArgumentError

TEXT = "To be, or not to be.\n" * 10


@given(text=st.text(min_size=2, max_size=30), data=st.data())
def test_windows_are_of_the_text_and_the_next_character(text, data):
    block = data.draw(st.integers(1, len(text) - 1))
    windows = CharacterText(text, block)
    assert windows.decode(windows.encode(text)) == text
    assert len(windows) == len(text) - block
    assert windows.vocab_size == len({*text})
    for index, (x, y) in enumerate(windows):
        assert (x.dtype, x.shape) == (np.int64, (block,))
        assert windows.decode(x) == text[index:index + block]
        assert windows.decode(y) == text[index + 1:index + block + 1]
    assert windows.decode(windows[-1][1].tolist()) == text[-block:]
    with pytest.raises(IndexError):
        windows[len(windows)]


def test_a_loader_makes_batches_of_them():
    x, y = next(iter(DataLoader(CharacterText("abcdef", 2), batch_size=3)))
    assert (x.tolist(), y.tolist()) == ([[0, 1], [1, 2], [2, 3]], [[1, 2], [2, 3], [3, 4]])


@pytest.mark.parametrize("folder", [".", "tinyshakespeare"])
def test_the_plays_are_split_and_share_their_characters(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "input.txt").write_text(TEXT + "Z")
    train, test = TinyShakespeare(tmp_path, block_size=4), TinyShakespeare(tmp_path, train=False, block_size=4)
    assert train.decode(train.data) + test.decode(test.data) == TEXT + "Z"
    assert len(test.data) == 21
    assert train.vocabulary == test.vocabulary == "".join(sorted({*TEXT, "Z"}))


def test_the_plays_are_downloaded_once(tmp_path, monkeypatch):
    served, root = tmp_path / "served", tmp_path / "root"
    served.mkdir()
    (served / "input.txt").write_text(TEXT)
    monkeypatch.setattr(TinyShakespeare, "checksum", hashlib.md5(TEXT.encode()).hexdigest())
    with serving(served) as server:
        monkeypatch.setattr(TinyShakespeare, "mirrors", (address(server),))
        for _ in range(2):
            assert len(TinyShakespeare(root, block_size=9, download=True)) == 180
        assert server.requests == ["/input.txt"]
    assert (root / "tinyshakespeare/input.txt").exists()


MISTAKES = {
    "CharacterText: a text of 3 characters has no window of 3 and one more": lambda: CharacterText("abc", 3),
    "CharacterText: block_size is 0, expected a positive integer": lambda: CharacterText("abc", 0),
    "CharacterText: block_size is 2.0, expected a positive integer": lambda: CharacterText("abc", 2.0),
    "encode: 'z' is not in the vocabulary of 3 characters": lambda: CharacterText("abc", 1).encode("abz"),
    "encode: 'a' is not in the vocabulary of 0 characters": lambda: CharacterText("ab", 1, ""),
    "TinyShakespeare: held_out is 1, expected a fraction between 0 and 1": lambda: TinyShakespeare(".", held_out=1),
}


@pytest.mark.parametrize(("problem", "make"), MISTAKES.items())
def test_a_mistake_is_named(problem, make):
    with pytest.raises(ArgumentError) as error:
        make()
    assert str(error.value).splitlines()[0] == problem


def test_a_missing_file_is_named_with_the_places(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        TinyShakespeare(tmp_path)
    assert str(error.value).splitlines()[0] == (f"TinyShakespeare: input.txt is neither in {tmp_path}/tinyshakespeare "
                                                f"nor in {tmp_path}")


@pytest.mark.skipif(not (DATA / "tinyshakespeare").is_dir(), reason=NO_DATA)
def test_the_official_text_has_its_checksum():
    train = TinyShakespeare(DATA)
    content = (DATA / "tinyshakespeare/input.txt").read_bytes()
    assert hashlib.md5(content).hexdigest() == TinyShakespeare.checksum
    assert (train.vocab_size, len(content), train.decode(train.data[:14])) == (65, 1_115_394, "First Citizen:")
