"""The idx format: round trips, its published example bytes, and every kind of damage."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sources import DATA, NO_DATA

from tensorlite.data import read_idx, write_idx
from tensorlite.data.idx import CODES
from tensorlite.errors import DTypeError
from tensorlite.io import FormatError

DTYPES = [np.dtype(name).newbyteorder("=") for name in CODES.values()]


@given(array=hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0)),
       suffix=st.sampled_from(["", ".gz"]))
def test_what_is_written_is_read(tmp_path_factory, array, suffix):
    path = tmp_path_factory.mktemp("idx") / f"x-idx{suffix}"
    write_idx(path, array)
    found = read_idx(path)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "x", np.array([[1, -2, 3]], np.int16))
    assert (tmp_path / "x").read_bytes() == bytes.fromhex("00000b02 00000001 00000003 0001 fffe 0003")


def test_a_gzipped_file_is_the_same_each_time(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, np.arange(9, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_gzipped_file_needs_no_name_to_be_read(tmp_path):
    write_idx(tmp_path / "x.gz", np.arange(9, dtype=np.uint8))
    (tmp_path / "x.gz").rename(tmp_path / "x")
    assert read_idx(tmp_path / "x").tolist() == list(range(9))


WHOLE = bytes.fromhex("00000802 00000002 00000003 010203040506")
WRONG = {
    "empty": (b"", "cut short: expected 4 bytes of magic number, found 0"),
    "magic": (b"\x00\x00\x07\x01\x00\x00\x00\x00",
              "is not idx: expected a magic number 00 00 TT DD with TT in 08, 09, 0b, 0c, 0d, 0e, found 00 00 07 01"),
    "text": (b"<!DOCTYPE html>",
             "is not idx: expected a magic number 00 00 TT DD with TT in 08, 09, 0b, 0c, 0d, 0e, found 3c 21 44 4f"),
    "shape": (WHOLE[:9], "cut short: expected 8 bytes of shape, found 5"),
    "data": (WHOLE[:-2], "cut short: expected 6 bytes of data for uint8[2, 3], found 4"),
    "over-long": (WHOLE + b"!", "over-long: expected 6 bytes of data for uint8[2, 3], found more"),
    "huge": (bytes.fromhex("00000e03 ffffffff ffffffff ffffffff 00"),
             f"cut short: expected {8 * (2**32 - 1) ** 3} bytes of data for "
             "float64[4294967295, 4294967295, 4294967295], found 1"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize(("content", "problem"), WRONG.values(), ids=WRONG)
def test_a_damaged_file_is_named_with_its_damage(tmp_path, content, problem, packed):
    path = tmp_path / ("x.gz" if packed else "x")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(FormatError) as error:
        read_idx(path)
    assert str(error.value) == f"{path}: {problem}"


def test_a_name_in_gz_promises_gzip(tmp_path):
    (tmp_path / "x.gz").write_bytes(b"<html>")
    with pytest.raises(FormatError) as error:
        read_idx(tmp_path / "x.gz")
    assert str(error.value) == f"{tmp_path / 'x.gz'}: is not gzip: expected the bytes 1f 8b first, found 3c 68"


def test_a_gzip_stream_that_ends_early(tmp_path):
    path = tmp_path / "x.gz"
    write_idx(path, np.random.default_rng(0).integers(0, 255, 10_000).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FormatError) as error:
        read_idx(path)
    assert re.fullmatch(re.escape(str(path)) + r": cut short: expected 10000 bytes of data for uint8\[10000\], "
                        r"found \d+ \(the gzip stream ends early\)", str(error.value))


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "x.gz"
    write_idx(path, np.arange(200, dtype=np.int32))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError):
            read_idx(path)


def test_a_gzip_stream_with_a_wrong_checksum(tmp_path):
    path = tmp_path / "x.gz"
    write_idx(path, np.arange(200, dtype=np.int32))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"damaged after its data \(the gzip stream is damaged: CRC check failed"):
        read_idx(path)


@given(data=st.data())
def test_damage_gives_an_array_or_a_format_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / data.draw(st.sampled_from(["x", "x.gz"]))
    write_idx(path, np.arange(20, dtype=np.int16))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_idx(path)
    except FormatError as error:
        assert str(error).startswith(f"{path}: ")


def test_a_dtype_without_a_code_is_refused(tmp_path):
    with pytest.raises(DTypeError, match="write_idx: idx has no code for int64; "
                                         "it has uint8, int8, int16, int32, float32, float64"):
        write_idx(tmp_path / "x", np.arange(3))
    assert list(tmp_path.iterdir()) == []


SHARED = DATA / "fashion-mnist"


@pytest.mark.skipif(not SHARED.exists(), reason=NO_DATA)
def test_the_official_files_are_read():
    labels = read_idx(SHARED / "t10k-labels-idx1-ubyte.gz")
    assert labels.shape == (10_000,)
    assert np.bincount(labels).tolist() == [1000] * 10
    assert read_idx(SHARED / "t10k-images-idx3-ubyte.gz").shape == (10_000, 28, 28)
