"""Safetensors files: round trips, files of other programs, and every kind of damage."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import numpy as library

from tensorlite.errors import ArgumentError, DTypeError
from tensorlite.io import FormatError, read_metadata
from tensorlite.io import safetensors as own

DTYPES = list(own.DTYPES)
NUMPY_DTYPES = [dtype for dtype in DTYPES if dtype != ml_dtypes.bfloat16]


def some_array(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2 if dtype == np.bool_ else 100, shape).astype(dtype)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 5)], ids=str)
def test_what_is_written_is_read(tmp_path, dtype, shape):
    arrays = {"second": some_array(dtype, shape), "first": some_array(np.dtype("uint8"), (3,))}
    own.write(tmp_path / "x.safetensors", arrays, {"note": "Grüße"})
    found, metadata = own.read(tmp_path / "x.safetensors")
    assert_same(found, arrays)
    assert metadata == {"note": "Grüße"} == read_metadata(tmp_path / "x.safetensors")


@given(arrays=st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name != own.METADATA),
    hnp.arrays(st.sampled_from(NUMPY_DTYPES), hnp.array_shapes(min_dims=0, min_side=0)), max_size=4))
def test_any_names_and_arrays_round_trip(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("safetensors") / "x"
    own.write(path, arrays)
    assert_same(own.read(path)[0], arrays)


def test_strided_and_big_endian_arrays_are_stored_by_value(tmp_path):
    grid = np.arange(12.0).reshape(3, 4)
    own.write(tmp_path / "x", {"turned": grid.T, "sliced": grid[:, ::2], "big": grid.astype(">f8")})
    assert_same(own.read(tmp_path / "x")[0], {"turned": grid.T.copy(), "sliced": grid[:, ::2].copy(), "big": grid})


def test_files_that_the_library_wrote_are_read(tmp_path):
    arrays = {str(dtype): some_array(dtype, (2, 3)) for dtype in DTYPES}
    library.save_file(arrays, tmp_path / "theirs", {"k": "v"})
    found, metadata = own.read(tmp_path / "theirs")
    assert_same(found, arrays)
    assert metadata == {"k": "v"}


def test_bfloat16_agrees_with_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    library = pytest.importorskip("safetensors.torch", reason="PyTorch is the oracle")
    values = torch.linspace(-3, 3, 7).to(torch.bfloat16)
    library.save_file({"x": values}, tmp_path / "theirs")
    found = own.read(tmp_path / "theirs")[0]["x"]
    assert found.dtype == ml_dtypes.bfloat16
    assert found.astype(np.float32).tolist() == values.float().tolist()
    own.write(tmp_path / "ours", {"x": found})
    assert torch.equal(library.load_file(tmp_path / "ours")["x"], values)


SHARED = Path(__file__).parents[3] / "shared/data/models/resnet20_cifar10.safetensors"


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_a_published_model_is_read():
    arrays, _ = own.read(SHARED)
    assert arrays["layer1.0.conv1.weight"].shape == (16, 16, 3, 3)
    assert all(np.isfinite(array).all() for array in arrays.values())


def file_of(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(begin: int, end: int, dtype: object = "U8", shape: object = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


WORDS = "damaged, cut short, or not safetensors: "
DAMAGED = {
    "empty": (b"", WORDS),
    "page": (b"<!DOCTYPE html><html>", WORDS),
    "pickle": (b"PK\x03\x04\x00\x00\x08\x08" + bytes(40), "is not safetensors but looks like a pickle of PyTorch, "
               "which could run any code\n  fix: convert it where it was made, with safetensors.torch.save_file"),
}


@pytest.mark.parametrize(("content", "problem"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_safetensors_file(tmp_path, content, problem):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FormatError) as error:
        own.read(tmp_path / "x")
    assert str(error.value).startswith(f"{tmp_path / 'x'}: {problem}")


#: Header, data and perhaps a false length; the library's own words follow ours.
BAD_HEADERS = {
    "over-large header": ({}, b"", 100_000_001),
    "header cut short": (b"{}", b"", 1000),
    "not json": (b"{nope}",),
    "not utf-8": (b'{"\xff": 1}',),
    "not an object": ([1],),
    "twice": (b'{"a": 1, "a": 2}',),
    "metadata": ({"__metadata__": {"a": 1}},),
    "no shape": ({"a": {"dtype": "U8", "data_offsets": [0, 0]}},),
    "dtype of another kind": ({"a": entry(0, 1, ["U8"])}, b"1"),
    "negative shape": ({"a": entry(0, 1, shape=[-1])}, b"1"),
    "shape of truths": ({"a": entry(0, 1, shape=[True])}, b"1"),
    "offsets": ({"a": entry(2, 1, shape=[1])}, b"123"),
    "three offsets": ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2]}}, b"1"),
    "too few bytes": ({"a": entry(0, 4, "F32", [2])}, b"1234"),
    "huge shape": ({"a": entry(0, 4, "F32", [2**62, 2**62])}, b"1234"),
    "overlap": ({"a": entry(0, 4), "b": entry(2, 6)}, b"123456"),
    "hole": ({"a": entry(0, 4), "b": entry(6, 8)}, b"12345678"),
    "data cut short": ({"a": entry(0, 4)}, b"12"),
    "over-long": ({"a": entry(0, 4)}, b"123456"),
    "deeply nested": (b'{"a":' + b"[" * 1_000_000,),
}


@pytest.mark.parametrize("parts", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_a_damaged_file_is_named_with_its_damage(tmp_path, parts):
    path = file_of(tmp_path / "x", *parts)
    with pytest.raises(FormatError) as error:
        own.read(path)
    told = str(error.value)
    assert told.startswith(f"{path}: {WORDS}")
    assert len(told) > len(f"{path}: {WORDS}"), "the library says what is wrong"


def test_a_dtype_that_no_tensor_has_is_named(tmp_path):
    path = file_of(tmp_path / "x", {"a": entry(0, 1, "F8_E4M3")}, b"1")
    with pytest.raises(FormatError, match="tensor 'a' has dtype F8_E4M3, which no tensor has here"):
        own.read(path)


def test_every_truncation_is_refused(tmp_path):
    own.write(tmp_path / "whole", {"a": np.arange(5), "b": np.ones((2, 2), np.float32)}, {"k": "v"})
    content = (tmp_path / "whole").read_bytes()
    for length in range(len(content)):
        (tmp_path / "part").write_bytes(content[:length])
        with pytest.raises(FormatError, match=re.escape(str(tmp_path / "part"))):
            own.read(tmp_path / "part")


@given(data=st.data())
def test_damage_gives_an_array_or_a_format_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "x"
    own.write(path, {"a": np.arange(5), "b": np.ones((2, 2), np.float32)}, {"k": "v"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        arrays, _ = own.read(path)
    except FormatError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert sum(array.nbytes for array in arrays.values()) == 56


def test_a_header_that_begins_like_a_pickle_is_read(tmp_path):
    own.write(tmp_path / "x", {"a": np.arange(3)}, {"filler": ""})
    length = int.from_bytes((tmp_path / "x").read_bytes()[:8], "little")
    own.write(tmp_path / "x", {"a": np.arange(3)}, {"filler": "." * (640 - length)})
    assert (tmp_path / "x").read_bytes()[:2] == b"\x80\x02"
    assert own.read(tmp_path / "x")[0]["a"].tolist() == [0, 1, 2]


def test_bytes_of_a_bool_that_are_neither_0_nor_1_read_as_true(tmp_path):
    path = file_of(tmp_path / "x", {"a": entry(0, 3, "BOOL")}, b"\x00\x01\x07")
    assert own.read(path)[0]["a"].tobytes() == b"\x00\x01\x01"


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([None]), np.zeros(1, np.longdouble)], ids=str)
def test_a_dtype_without_a_name_is_refused(tmp_path, array):
    with pytest.raises(DTypeError, match="save: safetensors has no dtype for 'odd', which is "):
        own.write(tmp_path / "x", {"odd": array})
    assert os.listdir(tmp_path) == []


def test_the_reserved_name_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="save: safetensors keeps the name '__metadata__' for itself"):
        own.write(tmp_path / "x", {own.METADATA: np.zeros(1)})


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        own.read(tmp_path / "nothing")
