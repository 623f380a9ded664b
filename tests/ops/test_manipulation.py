"""Moving elements about is what NumPy does, for every dtype and layout."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import LAYOUTS, lay_out, seeded, values
from tolerance import assert_same

import tensorlite as tl
from tensorlite.ops import aliases
from tensorlite.tensor_type import DTYPES, promote

#: What is done, by each library.
MOVES = {
    "reshape": (lambda x: tl.reshape(x, (4, -1)), lambda x: np.reshape(x, (4, -1))),
    "reshape to itself": (lambda x: tl.reshape(x, (2, 3, 4)), lambda x: x),
    "permute_dims": (lambda x: tl.permute_dims(x, (2, 0, 1)), lambda x: np.transpose(x, (2, 0, 1))),
    "permute_dims from the end": (lambda x: tl.permute_dims(x, (-1, -3, -2)), lambda x: np.transpose(x, (2, 0, 1))),
    "moveaxis": (lambda x: tl.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    "moveaxis of several": (lambda x: tl.moveaxis(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0))),
    "swapaxes": (lambda x: tl.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    "expand_dims": (lambda x: tl.expand_dims(x, axis=1), lambda x: np.expand_dims(x, 1)),
    "expand_dims at the end": (lambda x: tl.expand_dims(x, axis=-1), lambda x: np.expand_dims(x, -1)),
    "squeeze": (lambda x: tl.squeeze(tl.reshape(x, (1, 24, 1)), (0, -1)), lambda x: np.reshape(x, 24)),
    "squeeze one": (lambda x: tl.squeeze(tl.reshape(x, (1, 24, 1)), 0), lambda x: np.reshape(x, (24, 1))),
    "flip": (tl.flip, np.flip),
    "flip one": (lambda x: tl.flip(x, axis=-2), lambda x: np.flip(x, -2)),
    "flip two": (lambda x: tl.flip(x, axis=(0, 2)), lambda x: np.flip(x, (0, 2))),
    "roll": (lambda x: tl.roll(x, 5), lambda x: np.roll(x, 5)),
    "roll one": (lambda x: tl.roll(x, -1, axis=1), lambda x: np.roll(x, -1, 1)),
    "roll two": (lambda x: tl.roll(x, (1, 2), axis=(0, -1)), lambda x: np.roll(x, (1, 2), (0, -1))),
    "roll two alike": (lambda x: tl.roll(x, 1, axis=(0, 1)), lambda x: np.roll(x, 1, (0, 1))),
    "roll one twice": (lambda x: tl.roll(x, (1, 1), axis=(2, 2)), lambda x: np.roll(x, 2, 2)),
    "repeat": (lambda x: tl.repeat(x, 2), lambda x: np.repeat(x, 2)),
    "repeat none": (lambda x: tl.repeat(x, 0, axis=1), lambda x: np.repeat(x, 0, 1)),
    "repeat along": (lambda x: tl.repeat(x, 3, axis=-1), lambda x: np.repeat(x, 3, -1)),
    "repeat each": (lambda x: tl.repeat(x, tl.tensor([2, 0, 1]), axis=1), lambda x: np.repeat(x, [2, 0, 1], 1)),
    "repeat by one": (lambda x: tl.repeat(x, tl.tensor([2]), axis=1), lambda x: np.repeat(x, [2], 1)),
    "tile": (lambda x: tl.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    "tile fewer": (lambda x: tl.tile(x, (2,)), lambda x: np.tile(x, (2,))),
    "tile more": (lambda x: tl.tile(x, (2, 1, 1, 2)), lambda x: np.tile(x, (2, 1, 1, 2))),
    "tile none": (lambda x: tl.tile(x, (0, 1, 1)), lambda x: np.tile(x, (0, 1, 1))),
    "broadcast_to": (lambda x: tl.broadcast_to(x, (5, 2, 3, 4)), lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    "concat": (lambda x: tl.concat([x, x[:, :1]], axis=1), lambda x: np.concatenate([x, x[:, :1]], 1)),
    "concat flat": (lambda x: tl.concat((x, x[0]), axis=None), lambda x: np.concatenate((x, x[0]), None)),
    "stack": (lambda x: tl.stack([x, x], axis=-1), lambda x: np.stack([x, x], -1)),
    "stack first": (lambda x: tl.stack((x,)), lambda x: x[None]),
    "diff": (lambda x: tl.diff(tl.astype(x, tl.float64)), lambda x: np.diff(x.astype(float))),
    "matrix_transpose": (tl.matrix_transpose, lambda x: np.swapaxes(x, -1, -2)),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "c"] + [tl.complex64], ids=lambda d: d.name)
def test_move(move, dtype):
    ours, numpys = MOVES[move]
    x = values(seeded(move, dtype.name), (2, 3, 4), dtype)
    if move == "diff" and dtype.kind == "c":
        return
    assert_same(ours(tl.asarray(x)), numpys(x))


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_move_of_strided_input(move, layout):
    ours, numpys = MOVES[move]
    x = lay_out(values(seeded(move), (2, 3, 4), tl.float64), layout)
    assert_same(ours(tl.asarray(x)), numpys(x))


#: What can be done to tensors without axes.
MOVES_OF_0D = {
    "flip": (tl.flip, np.flip),
    "roll": (lambda x: tl.roll(x, 3), lambda x: np.roll(x, 3)),
    "expand_dims": (lambda x: tl.expand_dims(x, axis=0), lambda x: np.expand_dims(x, 0)),
    "squeeze": (lambda x: tl.squeeze(x, ()), lambda x: np.squeeze(x, ())),
    "reshape": (lambda x: tl.reshape(x, (1, 1)), lambda x: np.reshape(x, (1, 1))),
    "permute_dims": (lambda x: tl.permute_dims(x, ()), np.transpose),
    "repeat": (lambda x: tl.repeat(x, 3), lambda x: np.repeat(x, 3)),
    "tile": (lambda x: tl.tile(x, ()), lambda x: np.tile(x, ())),
    "tile more": (lambda x: tl.tile(x, (2, 2)), lambda x: np.tile(x, (2, 2))),
    "stack": (lambda x: tl.stack([x, x]), lambda x: np.stack([x, x])),
    "concat": (lambda x: tl.concat([x, x], axis=None), lambda x: np.concatenate([x, x], None)),
    "broadcast_to": (lambda x: tl.broadcast_to(x, (2, 2)), lambda x: np.broadcast_to(x, (2, 2))),
}


@pytest.mark.parametrize("move", MOVES_OF_0D)
def test_move_of_0d(move):
    ours, numpys = MOVES_OF_0D[move]
    assert_same(ours(tl.asarray(np.asarray(2.5))), numpys(np.asarray(2.5)))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3, 2)], ids=str)
def test_move_of_nothing(shape):
    x = np.zeros(shape)
    t = tl.asarray(x)
    assert_same(tl.flip(t), np.flip(x))
    assert_same(tl.roll(t, 3), np.roll(x, 3))
    assert_same(tl.roll(t, 1, axis=0), np.roll(x, 1, 0))
    assert_same(tl.repeat(t, 2, axis=0), np.repeat(x, 2, 0))
    assert_same(tl.concat([t, t], axis=-1), np.concatenate([x, x], -1))
    assert_same(tl.tile(t, (2,)), np.tile(x, (2,)))
    assert_same(tl.reshape(t, (0, 7)), np.reshape(x, (0, 7)))
    assert len(tl.unstack(t, axis=0)) == shape[0]


def test_unstack_split_and_chunk():
    x = np.arange(24.0).reshape(2, 3, 4)
    t = tl.asarray(x)
    for axis in range(-3, 3):
        for part, expected in zip(tl.unstack(t, axis=axis), np.moveaxis(x, axis, 0), strict=True):
            assert_same(part, expected)
        for part, expected in zip(tl.split(t, 2, axis), np.split(x, range(2, x.shape[axis], 2), axis), strict=True):
            assert_same(part, expected)
    assert [p.shape for p in tl.split(t, [1, 0, 3], dim=2)] == [(2, 3, 1), (2, 3, 0), (2, 3, 3)]
    assert [p.shape[0] for p in tl.chunk(tl.arange(7), 3)] == [3, 3, 1]
    assert [p.shape[0] for p in tl.chunk(tl.arange(2), 3)] == [1, 1]


@pytest.mark.parametrize("a", DTYPES, ids=lambda d: d.name)
def test_joined_dtypes_promote(a):
    for b in DTYPES:
        x, y = tl.ones((2,), dtype=a), tl.ones((2,), dtype=b)
        assert tl.concat([x, y]).dtype == tl.stack([x, y]).dtype == promote(a, b)


def test_broadcast_arrays():
    shapes = [(3, 1), (4,), (), (2, 1, 1)]
    arrays = [np.full(shape, i) for i, shape in enumerate(shapes)]
    for x, y in zip(tl.broadcast_arrays(*map(tl.asarray, arrays)), np.broadcast_arrays(*arrays), strict=True):
        assert_same(x, y)


def test_reshape_with_copy():
    x = tl.arange(6)
    copied = tl.reshape(x, (2, 3), copy=True)
    assert not np.shares_memory(copied.array, x.array)
    assert tl.reshape(x, (2, 3), copy=False).shape == (2, 3)


@pytest.mark.parametrize(("alias", "name"), list(aliases.ALIASES.items()))
def test_pytorchs_name_is_the_same_function(alias, name):
    assert getattr(tl, alias) is getattr(tl, name)
    assert alias in tl.__all__


def test_pytorchs_names_take_its_arguments():
    x = tl.asarray(np.arange(6.0).reshape(2, 3))
    assert tl.cat([x, x], dim=1).shape == (2, 6)
    assert x.cumsum(dim=1)[1].tolist() == [3, 7, 12]
    assert x.amax(dim=(0, 1), keepdim=True).tolist() == [[5]]
    assert tl.transpose(x, 0, 1).shape == x.transpose(0, 1).shape == tl.permute(x, (1, 0)).shape == (3, 2)
    assert [part.shape for part in x.split([1, 2], dim=1)] == [(2, 1), (2, 2)]
    assert x.clone().clamp_(min=1, max=2).tolist() == [[1, 1, 2], [2, 2, 2]]


def test_results_are_values_of_their_own():
    """No function hands its argument back where that one could later be rebound in place."""
    x = tl.tensor([1.0, 2.0])
    for result in (tl.clip(x), tl.squeeze(x), tl.flip(x, axis=()), tl.tile(x, ()), tl.reshape(x, (2,)),
                   tl.broadcast_to(x, (2,)), tl.diff(x, n=0), tl.astype(x, tl.float32), tl.round(x), tl.real(x)):
        assert result is not x


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_diff(n, axis):
    x = values(seeded(n, axis), (4, 3), tl.float64)
    more = values(seeded(n), (1, 3) if axis == 0 else (4, 1), tl.float64)
    t, m = tl.asarray(x), tl.asarray(more)
    assert_same(tl.diff(t, axis=axis, n=n), np.diff(x, n, axis))
    assert_same(tl.diff(t, axis=axis, n=n, prepend=m), np.diff(x, n, axis, prepend=more))
    assert_same(tl.diff(t, axis=axis, n=n, append=m), np.diff(x, n, axis, append=more))
    assert_same(tl.diff(t, axis=axis, n=n, prepend=m, append=m), np.diff(x, n, axis, prepend=more, append=more))


@pytest.mark.parametrize("repetitions", ["a", (2, 1.5), None])
def test_what_is_no_integer_repeats_nothing(repetitions):
    with pytest.raises(tl.errors.DTypeError) as error:
        tl.tile(tl.zeros(3), repetitions)
    told = f"tile: repetitions are integers, not {repetitions!r}\n  x  float32[3]\n  at test_manipulation.py:"
    assert str(error.value).startswith(told)
