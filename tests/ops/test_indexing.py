"""Reading and assigning by index mean what they mean in NumPy; errors name the axis and its extent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.drawing import LAYOUTS, lay_out
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.tensor_type import DTYPES

SHAPE = (4, 3, 5)
X = np.arange(60.0).reshape(SHAPE)
MASK = np.arange(12).reshape(4, 3) % 5 == 0
ROWS = np.array([True, False, True, False])

INDICES = [
    0, -1, np.int8(2), np.uint64(1), (), (0, 1), (0, 1, 2), (-1, -2, -3), ..., (..., 1), (1, ...), (0, ..., 2), None,
    (None, 1), (..., None), (None, ..., None), (0, None, 1), slice(None), slice(1, 3), slice(None, None, -1),
    slice(10, None), slice(3, 0, -2), slice(-2, None), (slice(1, 1), 0), (slice(None), slice(None, None, 2), 1),
    (slice(None, None, -2), ..., slice(4, None, -3)),
    [0, 2], [], [-1, -4, 1], (slice(None), [0, 2]), ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]),
    ([[0], [1]], [1, 2]), (0, slice(None), [1, 2]), (slice(None), 0, [1, 2]), ([1, 2], 0), (..., [0, 4]),
    ([0, 1], None, [1, 2]), (None, [0, 1]), (slice(None), [], 1), np.array([[0, 1], [2, 3]]), np.array(1),
    np.array([1, 2], np.uint8),
    MASK, ROWS, (MASK, 0), (MASK, [0, 4, 1]), (slice(None), np.array([True, False, True])), X > 30,
    (ROWS, slice(None), [1, 1]), ([True, False, True, False],), True, False, np.True_, (True, 0), (0, False),
    (..., np.array([True, False, True, False, True])), np.zeros(SHAPE, bool), (slice(1, 3), MASK[:3].T[0] * 0 == 0),
]


def ours(index):
    """The index with its arrays as tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    made = tuple(tl.asarray(part) if isinstance(part, np.ndarray) else part for part in parts)
    return made if isinstance(index, tuple) else made[0]


by_index = pytest.mark.parametrize("index", INDICES, ids=lambda i: str(i).replace("\n", "")[:50])


@by_index
def test_read(index):
    assert_same(tl.asarray(X)[ours(index)], X[index])
    assert_same(tl.asarray(X)[index], X[index])  # NumPy's arrays index too


@by_index
@pytest.mark.parametrize("layout", LAYOUTS)
def test_read_strided(index, layout):
    x = lay_out(X, layout)
    assert_same(tl.asarray(x)[ours(index)], x[index])


@by_index
def test_assign(index):
    for value in (7.0, 3, np.random.default_rng(0).random(X[index].shape)):
        expected = X.copy()
        expected[index] = value
        x = tl.tensor(X)
        before = x * 1
        x[ours(index)] = tl.asarray(value) if isinstance(value, np.ndarray) else value
        assert_same(x, expected)
        assert_same(before, X)


@by_index
def test_assign_leaves_other_holders_alone(index):
    x = tl.tensor(X)
    other = x[...]
    del other
    copy = x.clone()
    x[ours(index)] = -1
    assert_same(copy, X)


@by_index
def test_derivative_of_reading(index):
    x = tl.tensor(X, requires_grad=True)
    weights = np.random.default_rng(1).random(X[index].shape)
    (x[ours(index)] * tl.asarray(weights)).sum().backward()
    expected = np.zeros(SHAPE)
    np.add.at(expected, index, weights)
    assert_close(x.grad, expected)


@by_index
def test_derivative_of_assigning(index):
    x = tl.tensor(X, requires_grad=True)
    v = tl.tensor(np.random.default_rng(0).random(X[index].shape), requires_grad=True)
    weights = np.random.default_rng(1).random(SHAPE)
    y = x * 1
    y[ours(index)] = v
    (y * tl.asarray(weights)).sum().backward()
    numbers = np.full(SHAPE, -1)
    numbers[index] = np.arange(v.size).reshape(v.shape)
    assert_same(x.grad, np.where(numbers < 0, weights, 0))
    kept = np.zeros(v.size)
    kept[numbers[numbers >= 0]] = weights[numbers >= 0]
    assert_same(v.grad, kept.reshape(v.shape))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_every_dtype(dtype):
    x = np.arange(12).reshape(3, 4).astype(dtype)
    t = tl.tensor(x)
    for index in (1, (slice(None), 2), ([0, 2],), x.astype(bool)):
        assert_same(t[ours(index)], x[index])
    t[1] = x[1] = dtype.type(1).item()
    t[:, [0, 3]] = tl.ones((3, 1), dtype=dtype)
    x[:, [0, 3]] = 1
    assert_same(t, x)


@pytest.mark.parametrize("dtype", [tl.int8, tl.uint8, tl.int32, tl.uint64], ids=lambda d: d.name)
def test_every_integer_dtype_indexes(dtype):
    assert tl.arange(5)[tl.tensor([3, 1], dtype=dtype)].tolist() == [3, 1]
    assert tl.arange(5)[tl.tensor(3, dtype=dtype)].item() == 3


def test_tensors_of_one_element_are_integers():
    assert tl.arange(5)[tl.tensor(2):].tolist() == [2, 3, 4]
    assert tl.zeros((2, 3))[tl.tensor(1), tl.tensor(2)].shape == ()


@pytest.mark.parametrize(("value", "shape"), [(5, ()), ([1.0, 2.0, 3.0, 4.0, 5.0], (5,)), ([[2.0]], (1, 1)),
                                              ([[1.0] * 5] * 3, (3, 5)), ([[[1.0]]], (1, 1, 1))])
def test_assigned_values_broadcast(value, shape):
    x, expected = tl.tensor(X), X.copy()
    x[1] = value
    expected[1] = np.asarray(value)
    assert_same(x, expected)
    v = tl.ones(shape, dtype=tl.float64).requires_grad_()
    y = tl.tensor(X)
    y[1] = v
    y.sum().backward()
    assert v.grad.shape == shape
    assert v.grad.sum().item() == 15


def test_assignment_casts_within_the_kind():
    x = tl.zeros(3)
    x[0] = tl.tensor(1, dtype=tl.int8)
    x[1] = tl.tensor(0.1, dtype=tl.float64)
    x[2] = True
    assert_same(x, np.array([1, 0.1, 1], np.float32))


@st.composite
def programs(draw):
    """A shape and an index that suits it."""
    shape = draw(st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple))
    parts = []
    for extent in shape[:draw(st.integers(0, len(shape)))]:
        choices = [st.slices(extent)]
        if extent:
            choices += [st.integers(-extent, extent - 1),
                        st.lists(st.integers(-extent, extent - 1), min_size=2, max_size=2).map(np.array)]
        parts.append(draw(st.one_of(choices)))
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return shape, tuple(parts)


@given(programs())
def test_drawn_indices(program):
    shape, index = program
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    assert_same(tl.asarray(x)[ours(index)], x[index])
    t = tl.tensor(x)
    t[ours(index)] = -1
    x[index] = -1
    assert_same(t, x)


# --- errors -------------------------------------------------------------------------------------------------------

def message_of(action) -> tuple[str, str]:
    """The class and the text of the error that an action raises, its line replaced by HERE."""
    with pytest.raises(tl.errors.TensorliteError) as caught:
        action()
    lines = str(caught.value).splitlines()
    return type(caught.value).__name__, "\n".join("  at HERE" if line.startswith("  at ") else line for line in lines)


def assign(x, index, value):
    x[index] = value


X3 = tl.zeros(3)
X23 = tl.zeros((2, 3))

READ_ERRORS = {
    "beyond": (lambda: X3[5], "index 5 is out of bounds for axis 0 of extent 3", "5", "use -3 to 2"),
    "below": (lambda: X3[-4], "index -4 is out of bounds for axis 0 of extent 3", "-4", "use -3 to 2"),
    "second axis": (lambda: X23[..., 3], "index 3 is out of bounds for axis 1 of extent 3", "(Ellipsis, 3)",
                    "use -3 to 2"),
    "behind None": (lambda: X23[None, 2], "index 2 is out of bounds for axis 0 of extent 2", "(None, 2)",
                    "use -2 to 1"),
    "in a list": (lambda: X23[:, [0, 7]], "index 7 is out of bounds for axis 1 of extent 3",
                  "(slice(None, None, None), [0, 7])", "use -3 to 2"),
    "in a tensor": (lambda: X3[tl.tensor([0, -9])], "index -9 is out of bounds for axis 0 of extent 3", "int64[2]",
                    "use -3 to 2"),
    "empty axis": (lambda: X3[:0][0], "index 0 is out of bounds for axis 0 of extent 0", "0", "the axis is empty"),
    "too many": (lambda: X3[0, 0], "2 indices for 1 axis", "(0, 0)", None),
    "too many of several": (lambda: X23[0, 0, 0], "3 indices for 2 axes", "(0, 0, 0)", None),
    "no axis": (lambda: X3[0][0], "a 0-dimensional tensor has no axis to index", "0",
                "use x[()] or x[...] for the whole tensor"),
    "two ellipses": (lambda: X3[..., ...], "an index has one ... at most", "(Ellipsis, Ellipsis)", None),
    "float": (lambda: X3[1.5], "an index is made of integers, slices, None, ... and tensors, not float", "1.5", None),
    "text": (lambda: X3["a"], "an index is made of integers, slices, None, ... and tensors, not str", "'a'", None),
    "float slice": (lambda: X3[0.5:], "a slice is made of integers and None, not float", "slice(0.5, None, None)",
                    None),
    "no step": (lambda: X3[::0], "a slice's step cannot be 0", "slice(None, None, 0)", None),
    "float tensor": (lambda: X3[X3], "a tensor that indexes must be integer or bool, not float32", "float32[3]",
                     "cast it first: x.to(tl.int64)"),
    "mask": (lambda: X23[[True, False, True]], "a mask of shape [3] does not fit axes of extents [2]",
             "[True, False, True]", None),
    "large mask": (lambda: X3[X23 > 0], "a mask of shape [2, 3] does not fit axes of extents [3]", "bool[2, 3]", None),
    "no broadcast": (lambda: X23[[0, 1, 1], [0, 1]], "index tensors of shapes [3] and [2] do not broadcast",
                     "([0, 1, 1], [0, 1])", None),
}


@pytest.mark.parametrize("case", READ_ERRORS)
def test_error_of_reading(case):
    action, problem, index, fix = READ_ERRORS[case]
    kind, text = message_of(action)
    assert kind == "IndexingError"
    lines = text.splitlines()
    assert lines[0] == f"getitem: {problem}"
    assert lines[2:] == [f"  index  {index}", "  at HERE", *([f"  fix: {fix}"] if fix else [])]


def test_whole_text_of_an_error():
    assert message_of(lambda: X23[0, 3])[1] == (
        "getitem: index 3 is out of bounds for axis 1 of extent 3\n"
        "  x      float32[2, 3]\n"
        "  index  (0, 3)\n"
        "  at HERE\n"
        "  fix: use -3 to 2")


ASSIGN_ERRORS = {
    "beyond": (lambda: assign(tl.zeros(3), 5, 1.0), "IndexingError", "index 5 is out of bounds for axis 0 of extent 3"),
    "in a list": (lambda: assign(tl.zeros(3), [0, 9], 1.0), "IndexingError",
                  "index 9 is out of bounds for axis 0 of extent 3"),
    "mask": (lambda: assign(tl.zeros(3), tl.tensor([True]), 1.0), "IndexingError",
             "a mask of shape [1] does not fit axes of extents [3]"),
    "too long": (lambda: assign(tl.zeros(3), slice(0, 2), [1, 2, 3]), "ShapeError",
                 "a value of shape [3] does not broadcast to the shape [2] that the index names"),
    "into an element": (lambda: assign(tl.zeros(3), 0, [1.0, 2.0]), "ShapeError",
                        "a value of shape [2] does not broadcast to the shape [] that the index names"),
    "into a list": (lambda: assign(tl.zeros(3), [0, 1], tl.zeros(3)), "ShapeError",
                    "a value of shape [3] does not broadcast to the shape [2] that the index names"),
    "too many axes": (lambda: assign(tl.zeros(3), slice(None), tl.zeros((2, 3))), "ShapeError",
                      "a value of shape [2, 3] does not broadcast to the shape [3] that the index names"),
    "complex": (lambda: assign(tl.zeros(3), 0, 1j), "DTypeError", "x cannot hold complex64 values"),
    "float into integers": (lambda: assign(tl.arange(3), 0, 1.5), "DTypeError", "x cannot hold float32 values"),
}


@pytest.mark.parametrize("case", ASSIGN_ERRORS)
def test_error_of_assigning(case):
    action, expected, problem = ASSIGN_ERRORS[case]
    kind, text = message_of(action)
    assert (kind, text.splitlines()[0]) == (expected, f"setitem: {problem}")


def test_nothing_is_half_done():
    x = tl.zeros(3)
    for index, value in ((5, 1.0), ([0, 9], 1.0), (slice(0, 2), [1.0, 2.0, 3.0])):
        with pytest.raises(tl.errors.TensorliteError):
            x[index] = value
    assert x.tolist() == [0, 0, 0]
