"""save and load: plain state dicts that others read, and nested checkpoints that come back as they were."""

from __future__ import annotations

import json
import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite.errors import DTypeError
from tensorlite.io import FormatError, load, read_metadata, save
from tensorlite.io import safetensors as own
from tensorlite.tensor_type import DTYPES


def equal(a, b):
    """Whether two nested values are the same, tensors bit by bit."""
    if isinstance(a, tl.Tensor):
        return isinstance(b, tl.Tensor) and a.type == b.type and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def by_name(state):
    """A plain file's tensors in the order of their names: the format keeps none of its own."""
    return dict(sorted(state.items()))


def test_a_state_dict_is_a_plain_file(tmp_path):
    state = {"fc.weight": tl.ones((2, 3)), "fc.bias": tl.zeros(2), "steps": tl.asarray(7)}
    save(state, tmp_path / "x", metadata={"epoch": "3"})
    assert equal(by_name(load(tmp_path / "x")), by_name(state))
    assert read_metadata(tmp_path / "x") == {"epoch": "3"}
    assert set(own.read(tmp_path / "x")[0]) == set(state)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back(tmp_path, dtype):
    state = {"x": tl.asarray(np.array([[0, 1], [1, 0]]).astype(dtype)), "nothing": tl.zeros((0, 3), dtype=dtype),
             "number": tl.asarray(np.ones((), dtype))}
    save(state, tmp_path / "x")
    assert equal(by_name(load(tmp_path / "x")), by_name(state))


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.complex_numbers(),
                   st.sampled_from([tl.arange(3), tl.ones((), dtype=tl.bfloat16), tl.zeros((2, 0)), tl.asarray([1j])]))
KEYS = st.one_of(st.text(max_size=3), st.integers(), st.booleans())


@given(value=st.recursive(LEAVES, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=3))))
def test_any_nest_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("nest") / "x"
    save(value, path)
    assert equal(load(path), value)


def test_names_in_the_file_are_dotted_paths(tmp_path):
    moments = {3: {"step": 1, "moments": [tl.ones(2)]}}
    save({"model": {"0.weight": tl.ones(1)}, "optimizer": {"state": moments}}, tmp_path / "x")
    assert list(own.read(tmp_path / "x")[0]) == ["model.0.weight", "optimizer.state.3.moments.0"]


def test_names_that_meet_are_kept_apart(tmp_path):
    value = {"a": {"b": tl.asarray(1)}, "a.b": tl.asarray(2), "a.b_": tl.asarray(3)}
    save(value, tmp_path / "x")
    assert equal(load(tmp_path / "x"), value)


def test_infinite_and_missing_numbers_come_back(tmp_path):
    save({"best": math.inf, "last": math.nan}, tmp_path / "x")
    found = load(tmp_path / "x")
    assert found["best"] == math.inf
    assert math.isnan(found["last"])


def test_arrays_and_numpy_numbers_come_back_as_tensors_and_numbers(tmp_path):
    save({"array": np.arange(3), "number": np.float32(0.5), "ordered": OrderedDict(a=1)}, tmp_path / "x")
    found = load(tmp_path / "x")
    assert equal(found, {"array": tl.arange(3), "number": 0.5, "ordered": {"a": 1}})


def test_path_and_object_are_told_apart(tmp_path):
    save(str(tmp_path / "x"), {"a": tl.ones(1)})
    assert equal(load(tmp_path / "x"), {"a": tl.ones(1)})


def test_loaded_tensors_are_their_own(tmp_path):
    save({"a": tl.ones(2), "b": tl.ones(2)}, tmp_path / "x")
    first, second = load(tmp_path / "x"), load(tmp_path / "x")
    first["a"] += 1
    assert first["a"].tolist() == [2, 2]
    assert equal(second, {"a": tl.ones(2), "b": tl.ones(2)})


def test_pytorch_reads_a_state_dict(tmp_path):
    library = pytest.importorskip("safetensors.torch", reason="PyTorch is the oracle")
    save({"w": tl.ones((2, 2), dtype=tl.bfloat16), "b": tl.asarray([True, False])}, tmp_path / "x")
    found = library.load_file(tmp_path / "x")
    assert found["w"].float().tolist() == [[1, 1], [1, 1]]
    assert found["b"].tolist() == [True, False]


@pytest.mark.parametrize(("value", "problem"), [
    ({"a": {"b": object()}}, "save: 'a.b' is object; a file holds tensors, numbers, strings, None, and dicts, lists "
                             "and tuples of these"),
    (b"bytes", "save: 'the value' is bytes; a file holds tensors, numbers, strings, None, and dicts, lists and tuples "
               "of these"),
    ({"a": {(1, 2): 3}}, "save: a key of 'a' is tuple; a key is a string, a number or None"),
], ids=["leaf", "root", "key"])
def test_what_a_file_cannot_hold_is_named(tmp_path, value, problem):
    with pytest.raises(DTypeError) as error:
        save(value, tmp_path / "x")
    assert str(error.value).splitlines()[0] == problem
    assert list(tmp_path.iterdir()) == []


SKELETONS = {
    "no json": "{", "no skeleton": "{}", "a list": "[]", "an unknown tensor": {"tensor": "b"},
    "an unknown kind": {"set": []}, "two kinds": {"value": 1, "list": []}, "no pair": {"dict": [1]}, "a value": 3,
    "an odd key": {"dict": [[[], {"value": 1}]]},
}


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_skeleton_that_does_not_fit_is_named(tmp_path, skeleton):
    text = skeleton if isinstance(skeleton, str) else json.dumps({"complex128": [], "skeleton": skeleton})
    own.write(tmp_path / "x", {"a": np.zeros(1)}, {"tensorlite": text})
    with pytest.raises(FormatError) as error:
        load(tmp_path / "x")
    assert str(error.value).startswith(f"{tmp_path / 'x'}: the skeleton in its metadata does not fit: ")


def test_parameters_are_saved_by_value(tmp_path):
    leaf = tl.tensor([1.0, 2.0], requires_grad=True)
    save({"leaf": leaf, "recorded": leaf * 2}, tmp_path / "x")
    assert equal(load(tmp_path / "x"), {"leaf": tl.asarray([1.0, 2.0]), "recorded": tl.asarray([2.0, 4.0])})
