"""Tensors among the rest of Python: numbers, NumPy arrays, DLPack and the array API's namespace."""

from __future__ import annotations

import array
import collections
import gc
import math
import operator
import weakref

import ml_dtypes
import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.tensor_type import DTYPES

#: What NumPy exports by DLPack.
EXPORTED = [dtype for dtype in DTYPES if dtype != tl.bfloat16]
by_dtype = pytest.mark.parametrize("dtype", EXPORTED, ids=lambda d: d.name)

LAYOUTS = {
    "contiguous": lambda a: a, "transposed": lambda a: a.T, "reversed": lambda a: a[::-1],
    "stepped": lambda a: a[:, ::2], "0-d": lambda a: a[1, 1], "empty": lambda a: a[:0],
    "repeated": lambda a: np.broadcast_to(a[0], (4, 6)),
}


def described(value) -> str:
    """A name that is the same in every process, as `repr` is not of objects that show their address."""
    return type(value).__name__ if " at 0x" in repr(value) else repr(value)



def numbers(dtype=tl.float32) -> np.ndarray:
    return (np.arange(24) % 2 if dtype == tl.bool else np.arange(24)).reshape(4, 6).astype(dtype)


# --- NumPy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_arrays_become_tensors_and_arrays_again(dtype, layout):
    a = np.asarray(layout(numbers(dtype)))
    for x in (tl.asarray(a), tl.tensor(a), tl.from_numpy(a)):
        assert (x.shape, x.dtype) == (a.shape, a.dtype)
        for b in (x.numpy(), np.asarray(x), np.array(x)):
            assert_same(b, a)


def test_asarray_shares_and_tensor_copies():
    a = np.zeros(3)
    shared, copied, asked = tl.asarray(a), tl.tensor(a), tl.asarray(a, copy=True)
    a[0] = 5
    assert shared.tolist() == [5.0, 0.0, 0.0]
    assert copied.tolist() == asked.tolist() == [0.0, 0.0, 0.0]
    assert tl.asarray(shared) is shared
    assert tl.asarray(shared, copy=True) is not shared


def test_numpy_views_are_read_only():
    x = tl.tensor([1.0, 2.0])
    for view in (x.numpy(), np.asarray(x)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 5
    own = np.array(x)
    own[0] = 5
    assert x.tolist() == [1.0, 2.0]


def test_array_protocol_options():
    x = tl.tensor([1.0, 2.0])
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(x, copy=False), np.asarray(x))
    assert not np.shares_memory(np.asarray(x, copy=True), np.asarray(x))
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, dtype=np.int32, copy=False)


def test_read_only_arrays_are_taken_and_never_written_to():
    a = np.arange(3.0)
    a.flags.writeable = False
    x = tl.asarray(a)
    x[0] = 7
    x += 1
    assert a.tolist() == [0.0, 1.0, 2.0]
    assert x.tolist() == [8.0, 2.0, 3.0]


def test_memory_lives_as_long_as_any_holder():
    a = np.arange(1000.0)
    gone = weakref.ref(a)
    x = tl.asarray(a)
    del a
    assert gone() is not None
    view = x.numpy()
    del x
    gc.collect()
    assert view[999] == 999.0
    del view
    assert gone() is None


def test_numpy_functions_take_tensors():
    x = tl.tensor([[3.0, 1.0], [2.0, 4.0]])
    assert np.sort(x, axis=None).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.linalg.det(x) == pytest.approx(10.0)
    assert math.isclose(math.sqrt(tl.tensor(2.0)), 2**0.5)


SCALARS = [np.float64(2), np.float32(2), np.int64(2), np.uint8(2), np.array(2.0), np.array([2, 3])]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: f"{s.dtype}{list(s.shape)}")
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "lt", "eq", "floordiv", "mod"])
def test_numpy_on_the_left_leaves_the_operation_to_the_tensor(name, scalar):
    x, function = tl.tensor([4.0, 9.0]), getattr(operator, name)
    result = function(scalar, x)
    assert isinstance(result, tl.Tensor)
    expected = function(scalar.astype(np.float64), x.numpy().astype(np.float64))
    np.testing.assert_allclose(result.numpy().astype(expected.dtype), expected)


def test_byte_orders_and_subclasses():
    assert tl.asarray(np.arange(3, dtype=">i4")).dtype == tl.int32
    assert tl.asarray(np.arange(3, dtype=">f8")).tolist() == [0.0, 1.0, 2.0]
    assert type(tl.asarray(np.zeros(3).view(np.recarray)).array) is np.ndarray
    with pytest.raises(DTypeError, match=f"no tensor has dtype {np.dtype(np.longdouble)}"):
        tl.asarray(np.zeros(3, np.longdouble))
    assert tl.asarray(np.zeros(3, np.longdouble), dtype=tl.float64).dtype == tl.float64
    assert tl.asarray(np.zeros(3, ml_dtypes.bfloat16)).dtype is tl.bfloat16


# --- Python -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "dtype", "shape"), [
    (1, tl.int64, ()), (True, tl.bool, ()), (1.5, tl.float32, ()), (1j, tl.complex64, ()), ([], tl.float32, (0,)),
    ([[]], tl.float32, (1, 0)), ([1, 2], tl.int64, (2,)), ((1, 2.5), tl.float32, (2,)), ([True, False], tl.bool, (2,)),
    ([[1, 2], [3, 4]], tl.int64, (2, 2)), (range(3), tl.int64, (3,)), (2**63, tl.uint64, ()), (-2**63, tl.int64, ()),
    ([1, 1j], tl.complex64, (2,)), (memoryview(b"ab"), tl.uint8, (2,)), (bytearray(b"ab"), tl.uint8, (2,)),
    (array.array("f", [1, 2]), tl.float32, (2,)), (array.array("d", [1, 2]), tl.float64, (2,)),
    (collections.deque([1, 2]), tl.int64, (2,)), (np.float64(1.5), tl.float64, ()),
    ([np.float64(1.5)], tl.float64, (1,)), ([np.zeros(2), np.ones(2)], tl.float64, (2, 2)),
], ids=described)
def test_python_data(data, dtype, shape):
    for make in (tl.tensor, tl.asarray):
        x = make(data)
        assert (x.dtype, x.shape) == (dtype, shape)


def test_lists_of_tensors_and_mixtures():
    x = tl.tensor([1.0, 2.0], dtype=tl.float64)
    assert_same(tl.tensor([x, x * 2]), np.array([[1.0, 2.0], [2.0, 4.0]]))
    assert tl.tensor([x[0], 5]).tolist() == [1.0, 5.0]
    assert tl.tensor([[x[0], x[1]], (3, 4.5)]).shape == (2, 2)


@pytest.mark.parametrize("data", ["a", b"ab", None, [None], [1.0, None], ["a"], {}, {1, 2}, object(),
                                  (x for x in [1]), 2**70, [2**70], [b"a"], [1, "2"]], ids=lambda d: type(d).__name__)
def test_what_is_no_number_is_refused(data):
    for options in ({}, {"dtype": tl.float32}):
        with pytest.raises((DTypeError, ArgumentError)):
            tl.tensor(data, **options)


def test_overflow_is_silent_for_floats_and_refused_for_integers():
    assert tl.tensor(1e300).item() == math.inf
    assert tl.tensor([-1e300], dtype=tl.float16).tolist() == [-math.inf]
    assert tl.tensor(np.array([1e300]), dtype=tl.float32).tolist() == [math.inf]
    with pytest.raises(ArgumentError, match="out of bounds for int8"):
        tl.tensor([1, 300], dtype=tl.int8)
    with pytest.raises(ArgumentError, match="cannot convert float NaN to integer"):
        tl.tensor([math.nan], dtype=tl.int32)


def test_numbers_out_of_tensors():
    assert tl.tensor(3).item() == 3
    assert type(tl.tensor(3).item()) is int
    assert type(tl.tensor([[2.5]]).item()) is float
    assert type(tl.tensor(True).item()) is bool
    assert tl.tensor(1 + 2j).item() == 1 + 2j
    assert (int(tl.tensor(3.7)), float(tl.tensor(3)), complex(tl.tensor(2.0))) == (3, 3.0, 2 + 0j)
    assert (bool(tl.tensor([0.0])), bool(tl.tensor(-1))) == (False, True)
    assert [10, 20, 30][tl.tensor(1)] == 20
    assert list(range(tl.tensor(3))) == [0, 1, 2]
    assert "x" * tl.tensor(3) == "xxx"
    assert f"{tl.tensor(3.14159):.2f}" == "3.14"
    assert round(float(tl.tensor(2.5))) == 2
    with pytest.raises(ShapeError):
        float(tl.tensor([1.0, 2.0]))


def test_lists_out_of_tensors():
    assert tl.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert tl.tensor(2.5).tolist() == 2.5
    assert tl.zeros((0, 3)).tolist() == []
    assert type(tl.tensor([1.5], dtype=tl.bfloat16).tolist()[0]) is float
    assert tl.tensor([1.0], requires_grad=True).tolist() == [1.0]


def test_sequences():
    x = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1.0, 2.0], [3.0, 4.0]]
    first, second = x
    assert second.tolist() == [3.0, 4.0]
    assert 3.0 in x
    assert 9.0 not in x
    assert tl.tensor(4.0) in x
    assert [row.sum().item() for row in reversed(x)] == [7.0, 3.0]
    assert first.tolist() == [1.0, 2.0]


def test_tensors_are_keys_by_identity():
    x, y = tl.tensor([1.0]), tl.tensor([1.0])
    assert {x: 1, y: 2}[x] == 1
    assert hash(x) == hash(x)
    assert (x == y).tolist() == [True]
    x += 1
    assert {x: 3}[x] == 3


@pytest.mark.parametrize("other", [None, "a", [1.0], object(), (1,)], ids=described)
def test_comparison_with_what_is_no_number(other):
    x = tl.tensor([1.0])
    assert (x == other) is False
    assert (x != other) is True
    for function in (operator.add, operator.lt, operator.matmul):
        with pytest.raises(TypeError):
            function(x, other)


# --- DLPack -------------------------------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_dlpack_with_numpy(dtype, layout):
    a = np.asarray(layout(numbers(dtype)))
    x = tl.from_dlpack(a)
    assert_same(x, a)
    assert_same(np.from_dlpack(x), a)
    assert_same(tl.from_dlpack(x), a)
    assert_same(tl.asarray(np.from_dlpack(x)), a)


def test_dlpack_shares_memory_unless_asked_to_copy():
    a = np.zeros(3)
    x = tl.from_dlpack(a)
    a[0] = 5
    assert x.tolist() == [5.0, 0.0, 0.0]
    assert np.shares_memory(np.from_dlpack(x), a)
    copied = tl.from_dlpack(a, copy=True)
    a[1] = 7
    assert copied.tolist() == [5.0, 0.0, 0.0]
    assert not np.shares_memory(np.from_dlpack(x, copy=True), a)


def test_dlpack_devices():
    x = tl.tensor([1.0])
    assert x.__dlpack_device__() == (1, 0)
    assert_same(np.from_dlpack(x, device="cpu"), x)
    assert tl.from_dlpack(np.ones(1), device="cpu").device == "cpu"


def test_dlpack_capsules_keep_their_memory():
    x = tl.tensor(np.arange(1000.0))
    capsule = x.__dlpack__(max_version=(1, 0))
    gone = weakref.ref(x.array)
    del x
    gc.collect()
    assert gone() is not None
    del capsule
    assert gone() is None


def test_bfloat16_has_no_dlpack_in_numpy():
    with pytest.raises(DTypeError, match="exports no bfloat16"):
        np.from_dlpack(tl.tensor([1.0], dtype=tl.bfloat16))


def test_what_other_libraries_refuse_is_told():
    class Refuses:
        def __dlpack__(self, **options):
            raise BufferError("not today")

        def __dlpack_device__(self):
            return (1, 0)

    for call in (tl.from_dlpack, tl.asarray):
        with pytest.raises(ArgumentError, match="not today"):
            call(Refuses())



@pytest.fixture
def torch_module():
    return pytest.importorskip("torch", reason="PyTorch is the other side of DLPack")


@by_dtype
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "reversed"])
def test_dlpack_with_pytorch(torch_module, dtype, layout):
    a = np.array(LAYOUTS[layout](numbers(dtype)))
    there = torch_module.from_dlpack(tl.tensor(a))
    assert str(there.dtype) == f"torch.{dtype.name}"
    assert there.tolist() == a.tolist()
    assert_same(tl.from_dlpack(there), a)
    assert_same(tl.asarray(there), a)


def test_pytorch_shares_memory_both_ways(torch_module):
    there = torch_module.zeros(3)
    here = tl.from_dlpack(there)
    there[0] = 5
    assert here.tolist() == [5.0, 0.0, 0.0]
    here[1] = 1  # a new value: the memory is PyTorch's
    assert there.tolist() == [5.0, 0.0, 0.0]
    with pytest.raises(ArgumentError, match="require gradient"):
        tl.from_dlpack(torch_module.zeros(3, requires_grad=True))


# --- the array API ------------------------------------------------------------------------------------------------


def test_the_namespace_is_the_module():
    x = tl.tensor([1.0])
    assert x.__array_namespace__() is tl
    assert x.__array_namespace__(api_version="2024.12") is tl
    assert tl.__array_api_version__ == "2024.12"


def test_code_written_for_the_standard():
    def standardise(x):
        xp = x.__array_namespace__()
        return (x - xp.mean(x, axis=0)) / xp.std(x, axis=0)

    a = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_allclose(standardise(tl.asarray(a)).numpy(), (a - a.mean(0)) / a.std(0))
    assert tl.asarray(a).to_device("cpu").device == "cpu"
    assert tl.asarray(a).mT.shape == (3, 5)
