"""MNIST and Fashion-MNIST: where files are found, how they are downloaded, and what is said when they are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from data.served import address, serving
from sources import DATA, NO_DATA

from tensorlite.data import MNIST, DownloadError, FashionMNIST, write_idx
from tensorlite.io import FormatError

NAMES = tuple(MNIST.checksums)


def write_files(folder: Path, suffix: str = ".gz") -> None:
    """Writes a tiny dataset under the official names: 6 images to train on, 4 to test."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 6), ("t10k", 4)):
        images = np.arange(count * 784).reshape(count, 28, 28).astype(np.uint8)
        write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8))


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A local server of the tiny files, and FashionMNIST told of it and of their checksums."""
    folder = tmp_path / "served"
    write_files(folder)
    monkeypatch.setattr(FashionMNIST, "checksums",
                        {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in NAMES})
    with serving(folder) as server:
        monkeypatch.setattr(FashionMNIST, "mirrors", (address(server),))
        yield server


def test_it_downloads_once_and_shows_a_bar(served, tmp_path, capsys):
    dataset = FashionMNIST(tmp_path / "root", download=True)
    assert len(dataset) == 6
    assert sorted(path.name for path in (tmp_path / "root/FashionMNIST/raw").iterdir()) == sorted(NAMES)
    assert "train-images-idx3-ubyte.gz: 100%" in capsys.readouterr().err
    assert len(FashionMNIST(tmp_path / "root", train=False, download=True)) == 4
    assert len(served.requests) == 4


def test_files_in_the_root_are_not_downloaded_again(served, tmp_path):
    write_files(tmp_path / "root")
    FashionMNIST(tmp_path / "root", download=True)
    assert served.requests == []


def test_a_damaged_file_is_downloaded_again(served, tmp_path):
    raw = tmp_path / "FashionMNIST/raw"
    write_files(raw)
    (raw / NAMES[0]).write_bytes((raw / NAMES[0]).read_bytes()[:-9])
    assert len(FashionMNIST(tmp_path, download=True)) == 6
    assert served.requests == [f"/{NAMES[0]}"]


FAULTS = {"half": "the connection ended after {half} of {size} bytes", 404: "the server answered 404 Not Found",
          503: "the server answered 503 Service Unavailable"}


@pytest.mark.parametrize(("fault", "cause"), FAULTS.items(), ids=map(str, FAULTS))
def test_a_failure_names_address_and_cause_and_leaves_nothing(served, tmp_path, fault, cause):
    served.faults[NAMES[0]] = fault
    size = (tmp_path / "served" / NAMES[0]).stat().st_size
    raw = tmp_path / "root/FashionMNIST/raw"
    with pytest.raises(DownloadError) as error:
        FashionMNIST(tmp_path / "root", download=True)
    expected = (f"download: no address gave {NAMES[0]}\n    {address(served)}{NAMES[0]}: "
                + cause.format(half=size // 2, size=size))
    assert str(error.value).startswith(expected + "\n")
    assert str(error.value).endswith(f"fix: check the connection, or put {NAMES[0]} into {raw} yourself")
    assert list(raw.iterdir()) == []


def test_a_wrong_checksum_is_refused(served, tmp_path, monkeypatch):
    right = FashionMNIST.checksums[NAMES[0]]
    monkeypatch.setitem(FashionMNIST.checksums, NAMES[0], "0" * 32)
    with pytest.raises(DownloadError, match=f"its md5 is {right}, expected {'0' * 32}"):
        FashionMNIST(tmp_path / "root", download=True)


def test_the_next_mirror_is_tried(served, tmp_path, monkeypatch):
    monkeypatch.setattr(FashionMNIST, "mirrors", ("http://127.0.0.1:9/", *FashionMNIST.mirrors))
    assert len(FashionMNIST(tmp_path / "root", download=True)) == 6


def test_every_address_that_failed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(FashionMNIST, "mirrors", ("http://127.0.0.1:9/", "no address at all/"))
    with pytest.raises(DownloadError) as error:
        FashionMNIST(tmp_path, download=True)
    assert f"http://127.0.0.1:9/{NAMES[0]}: [Errno 111] Connection refused" in str(error.value)
    assert f"no address at all/{NAMES[0]}: unknown url type" in str(error.value)


@pytest.mark.parametrize("suffix", [".gz", ""], ids=["gzipped", "plain"])
@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
def test_files_are_found(tmp_path, folder, suffix):
    write_files(tmp_path / folder, suffix)
    assert [len(MNIST(tmp_path, train=train)) for train in (True, False)] == [6, 4]


def test_a_sample_is_an_image_of_0_to_1_and_a_label(tmp_path):
    write_files(tmp_path)
    dataset = MNIST(tmp_path)
    image, label = dataset[1]
    assert (image.dtype, image.shape, label, type(label)) == (np.float32, (1, 28, 28), 1, int)
    assert np.array_equal(image.numpy()[0], dataset.data[1] / np.float32(255))
    assert (dataset.data.dtype, dataset.targets.dtype) == (np.uint8, np.int64)


def test_transforms_are_applied(tmp_path):
    write_files(tmp_path)
    dataset = MNIST(tmp_path, transform=lambda image: image.max(), target_transform=lambda label: f"class {label}")
    assert dataset[2] == (dataset.data[2].max(), "class 2")


def test_missing_files_are_named_with_the_places(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        FashionMNIST(tmp_path, train=False)
    lines = str(error.value).splitlines()
    assert lines[0] == (f"FashionMNIST: t10k-images-idx3-ubyte.gz is neither in {tmp_path}/FashionMNIST/raw "
                        f"nor in {tmp_path}")
    assert lines[-1] == "  fix: pass download=True, or another root"


WRONG = {
    "labels for images": ("train-images-idx3-ubyte", np.zeros(6, np.uint8),
                          "holds uint8[6], expected uint8 in 3 dimensions"),
    "fewer labels": ("train-labels-idx1-ubyte", np.zeros(5, np.uint8), "has 5 labels for the 6 images of "),
    "a label too high": ("train-labels-idx1-ubyte", np.full(6, 10, np.uint8), "has the label 10, expected 0 to 9"),
    "another dtype": ("train-labels-idx1-ubyte", np.zeros(6, np.int32),
                      "holds int32[6], expected uint8 in 1 dimensions"),
}


@pytest.mark.parametrize(("name", "content", "problem"), WRONG.values(), ids=WRONG)
def test_files_that_do_not_fit_are_named(tmp_path, name, content, problem):
    write_files(tmp_path)
    write_idx(tmp_path / f"{name}.gz", content)
    with pytest.raises(FormatError) as error:
        MNIST(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / name}.gz: {problem}")


SHARED = DATA / "fashion-mnist"


@pytest.mark.skipif(not SHARED.exists(), reason=NO_DATA)
def test_the_official_checksums_are_those_of_the_official_files():
    found = {name: hashlib.md5((SHARED / name).read_bytes()).hexdigest() for name in NAMES}
    assert found == FashionMNIST.checksums
