"""CIFAR-10: its binary files, the batches as pictures, how it is downloaded, and what is said of damage."""

from __future__ import annotations

import hashlib
import io
import tarfile

import numpy as np
import pytest
from data.served import address, serving
from sources import DATA, NO_DATA

from tensorlite.data import CIFAR10
from tensorlite.io import FormatError

FOLDER = "cifar-10-batches-bin"
NAMES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]


def records(count: int, seed: int) -> np.ndarray:
    """A few records of the binary format."""
    chance = np.random.default_rng(seed)
    made = chance.integers(0, 256, (count, 3073)).astype(np.uint8)
    made[:, 0] %= 10
    return made


def write_files(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        records(3, number).tofile(folder / name)


def write_pictures(folder, numbers=(0, 2, 50)):
    image = pytest.importorskip("PIL.Image", reason="the demo extra brings pillow")
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (1000, 1024, 3)).astype(np.uint8)
        image.fromarray(pixels).save(folder / f"cifar10_batch_{number}.png", compress_level=0)
    labels = np.arange(51_000) // 1000 % 10
    (folder / "cifar10_labels.js").write_text(f"var labels={labels.tolist()};")


@pytest.mark.parametrize("folder", [".", FOLDER])
def test_binary_files_are_found_and_read(tmp_path, folder):
    write_files(tmp_path / folder)
    train, test = CIFAR10(tmp_path), CIFAR10(tmp_path, train=False)
    assert (len(train), len(test), train.data.shape, test.targets.dtype) == (15, 3, (15, 32, 32, 3), np.int64)
    raw = records(3, 5)
    assert np.array_equal(test.data.transpose(0, 3, 1, 2).reshape(3, -1), raw[:, 1:])
    assert test.targets.tolist() == raw[:, 0].tolist()
    image, label = test[1]
    assert (image.dtype, image.shape, label, type(label)) == (np.float32, (3, 32, 32), int(raw[1, 0]), int)
    assert np.array_equal(image.numpy(), test.data[1].transpose(2, 0, 1) / np.float32(255))


def test_pictures_are_read_where_there_are_no_binary_files(tmp_path):
    write_pictures(tmp_path)
    train, test = CIFAR10(tmp_path), CIFAR10(tmp_path, train=False)
    assert (len(train), len(test)) == (2000, 1000)
    assert np.bincount(train.targets).tolist() == [1000, 0, 1000]  # of batches 0 and 2
    assert np.bincount(test.targets).tolist() == [1000]  # of batch 50
    pixels = np.random.default_rng(2).integers(0, 256, (1000, 1024, 3)).astype(np.uint8)
    assert np.array_equal(train.data[1007], pixels[7].reshape(32, 32, 3))
    write_files(tmp_path)
    assert len(CIFAR10(tmp_path)) == 15


def test_transforms_are_applied(tmp_path):
    write_files(tmp_path)
    dataset = CIFAR10(tmp_path, transform=np.max, target_transform=lambda label: f"class {label}")
    assert dataset[2] == (dataset.data[2].max(), f"class {dataset.targets[2]}")


def test_it_downloads_the_archive_once_and_takes_the_files_out(tmp_path, monkeypatch, capsys):
    served, root = tmp_path / "served", tmp_path / "root"
    write_files(served / FOLDER)
    with tarfile.open(served / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in NAMES:
            archive.add(served / FOLDER / name, f"{FOLDER}/{name}")
        evil = tarfile.TarInfo("../evil")
        archive.addfile(evil, io.BytesIO())
    monkeypatch.setattr(CIFAR10, "checksum",
                        hashlib.md5((served / "cifar-10-binary.tar.gz").read_bytes()).hexdigest())
    with serving(served) as server:
        monkeypatch.setattr(CIFAR10, "mirrors", (address(server),))
        assert len(CIFAR10(root, download=True)) == 15
        assert len(CIFAR10(root, train=False, download=True)) == 3
        assert server.requests == ["/cifar-10-binary.tar.gz"]
    assert "cifar-10-binary.tar.gz: 100%" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "served"]


def test_missing_files_are_named_with_the_places(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        CIFAR10(tmp_path)
    lines = str(error.value).splitlines()
    assert lines[0] == (f"CIFAR10: data_batch_1.bin is neither in {tmp_path}/{FOLDER} nor in {tmp_path}, and neither "
                        "is cifar10_batch_0.png")
    assert lines[-1] == "  fix: pass download=True, or another root"


DAMAGE = {
    "cut": ("test_batch.bin", b"x" * 3072, "holds 3072 bytes, expected a multiple of 3073"),
    "empty": ("test_batch.bin", b"", "holds 0 bytes, expected a multiple of 3073"),
    "label": ("test_batch.bin", bytes([10]) * 3073, "has the label 10, expected 0 to 9"),
    "picture": ("cifar10_batch_50.png", b"no picture", "is no picture: cannot identify image file "),
    "labels": ("cifar10_labels.js", b"alert(1)", "is no list of labels: expected 'var labels=[6, 9, ...];'"),
    "few labels": ("cifar10_labels.js", b"var labels=[1, 2];", "has 2 labels, expected 51000"),
}


@pytest.mark.parametrize(("name", "content", "problem"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named(tmp_path, name, content, problem):
    if name != "test_batch.bin":
        write_pictures(tmp_path, [50])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError) as error:
        CIFAR10(tmp_path, train=False)
    assert str(error.value).startswith(f"{tmp_path / name}: {problem}")


def test_a_picture_of_another_size_is_named(tmp_path):
    write_pictures(tmp_path, [50])
    image = pytest.importorskip("PIL.Image", reason="the demo extra brings pillow")
    image.new("RGB", (3, 4)).save(tmp_path / "cifar10_batch_50.png")
    with pytest.raises(FormatError, match=r"cifar10_batch_50\.png: is 3x4 pixels, expected 1024x1000"):
        CIFAR10(tmp_path, train=False)


@pytest.mark.skipif(not (DATA / "cifar10").is_dir(), reason=NO_DATA)
def test_the_pictures_hold_the_official_test_images():
    """A hundred of them are there as numbers too, from elsewhere."""
    pytest.importorskip("PIL", reason="the demo extra brings pillow")
    test = CIFAR10(DATA / "cifar10", train=False)
    rows = np.loadtxt(DATA / "cifar10/cifar10_test_100.csv", np.uint8, delimiter=",")
    assert test.targets[:100].tolist() == rows[:, 0].tolist()
    assert np.array_equal(test.data[:100].reshape(100, -1), rows[:, 1:])
    assert len(CIFAR10(DATA / "cifar10")) == 4000
