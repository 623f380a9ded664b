"""Tensors are values: in-place spellings rebind, and neither other tensors nor the tape ever see a change."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError


def numbers(*shape: int, dtype=tl.float32) -> tl.Tensor:
    return tl.tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape), dtype=dtype)


def leaf(*values: float) -> tl.Tensor:
    return tl.tensor(list(values), dtype=tl.float64, requires_grad=True)


# --- names and aliases --------------------------------------------------------------------------------------------


def test_names_of_one_tensor_see_its_new_value():
    x = numbers(3)
    y = x
    y += 1
    y[0] = 9
    assert y is x
    assert x.tolist() == [9.0, 2.0, 3.0]


def test_copies_of_every_kind_keep_theirs():
    x = numbers(3)
    others = [x.clone(), tl.tensor(x), tl.asarray(x, copy=True), x + 0, x.to(tl.float64), x.to(tl.float32, copy=True)]
    x += 1
    x[0] = 100
    for other in others:
        assert other.tolist() == [0.0, 1.0, 2.0]


def test_views_keep_the_value_that_they_had():
    x = numbers(2, 3)
    views = [x[0], x.reshape(6), x.T, x[..., None], x.detach(), tl.broadcast_to(x, (2, 2, 3)), x[:, ::-1], x.view(6)]
    before = [v.tolist() for v in views]
    x[0] = 50
    x *= 3
    x[x > 100] = -1
    x.zero_()
    assert [v.tolist() for v in views] == before


def test_numpy_arrays_keep_the_value_that_they_saw():
    x = numbers(3)
    seen = [x.numpy(), np.asarray(x), np.from_dlpack(x)]
    x[0] = 50
    x += 1
    for array in seen:
        assert array.tolist() == [0.0, 1.0, 2.0]


def test_iterating_gives_views_that_keep_their_value():
    x = numbers(3)
    rows = list(x)
    x += 1
    assert [row.item() for row in rows] == [0.0, 1.0, 2.0]


# --- in-place through a view --------------------------------------------------------------------------------------

VIEWS = {
    "index": lambda x: x[0], "slice": lambda x: x[:1], "reshape": lambda x: x.reshape(-1), "view": lambda x: x.view(6),
    "transpose": lambda x: x.T, "permute": lambda x: x.permute(1, 0), "detach": lambda x: x.detach(),
    "flatten": lambda x: x.flatten(), "unsqueeze": lambda x: x.unsqueeze(0), "expand": lambda x: x.expand(4, 2, 3),
    "of a view": lambda x: x.T[1], "squeeze": lambda x: tl.squeeze(x[None], axis=0), "flip": lambda x: x[::-1],
    "step": lambda x: x[:, ::2], "other dtype": lambda x: x.view(tl.int32),
}

SPELLINGS = {
    "+=": lambda v: v.__iadd__(1), "add_": lambda v: v.add_(1), "zero_": lambda v: v.zero_(),
    "setitem": lambda v: v.__setitem__(0, 1), "copy_": lambda v: v.copy_(v + 1), "fill_": lambda v: v.fill_(3),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_changing_a_view_whose_base_is_in_use_is_refused(view, spelling):
    x = numbers(2, 3)
    v = view(x)
    before = v.tolist()
    with pytest.raises(GradientError, match="is a view of another one that is still in use"):
        spelling(v)
    assert v.tolist() == before
    assert_same(x, numbers(2, 3))


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_changing_a_view_whose_base_is_gone_just_works(view, spelling):
    x = numbers(2, 3)
    kept, v = x.clone(), view(x)
    del x
    fresh = view(kept).clone()
    spelling(v)
    spelling(fresh)
    assert_same(v, fresh)


RECORDED = {name: view for name, view in VIEWS.items() if name not in ("other dtype", "detach")}


@pytest.mark.parametrize("view", RECORDED.values(), ids=RECORDED)
def test_an_intermediate_result_may_be_changed_through_its_view(view):
    """The architecture's ``h = attend(x).reshape(...); h += x``."""
    x = leaf(1, 2, 3, 4, 5, 6)
    h = view((x * 2).reshape(2, 3))
    h += 1
    h *= h
    h.sum().backward()
    expected = tl.tensor(x.detach(), requires_grad=True)
    (view((expected * 2).reshape(2, 3)) + 1).square().sum().backward()
    assert_same(x.grad, expected.grad)


def test_views_of_views_wait_for_every_tensor_in_between():
    x = numbers(6)
    middle = x.reshape(2, 3)
    v = middle[0]
    del x
    with pytest.raises(GradientError):
        v += 1
    del middle
    v += 1
    assert v.tolist() == [1.0, 2.0, 3.0]


def test_a_base_with_a_new_value_no_longer_minds():
    x = numbers(3)
    v = x[:2]
    x += 1
    v += 10
    assert v.tolist() == [10.0, 11.0]
    assert x.tolist() == [1.0, 2.0, 3.0]


def test_copies_by_movement_are_no_views():
    x = numbers(2, 3)
    for copy in (x.T.reshape(6), tl.concat([x]), tl.roll(x, 1), x[[0, 1]], x[x > 1], tl.repeat(x, 2)):
        copy += 1
    assert_same(x, numbers(2, 3))


# --- augmented assignment of items --------------------------------------------------------------------------------


def test_augmented_assignment_of_items_goes_back_into_the_base():
    x, n = numbers(3, 4), np.arange(12, dtype=np.float32).reshape(3, 4)
    for a in (x, n):
        a[0] += 1
        a[:, 1] *= 2
        a[1, 2] -= a[0, 0]
        a[1:] /= 2
        a[...] += a
        a[-1, ::2] **= 2
        a[0:2, 0:2] -= 5
    assert_same(x, n)


def test_augmented_assignment_by_mask_and_by_integers():
    x, n = numbers(3, 4), np.arange(12, dtype=np.float32).reshape(3, 4)
    x[x > 5] *= 10
    n[n > 5] *= 10
    x[[0, 2]] += 1
    n[[0, 2]] += 1
    assert_same(x, n)


def test_augmented_assignment_of_items_is_recorded():
    p = leaf(1, 2, 3)
    x = p * 2
    x[0] += p[1] * p[2]
    (x * x).sum().backward()
    assert p.grad.tolist() == [32.0, 64.0, 56.0]


def test_augmented_assignment_to_views_kept_in_containers_is_refused():
    class Box:
        pass

    x = numbers(2, 3)
    views, box = {"row": x[0]}, Box()
    box.row = x[0]
    with pytest.raises(GradientError):
        views["row"] += 1
    with pytest.raises(GradientError):
        box.row += 1
    with pytest.raises(GradientError):
        x[0][1] += 1
    with pytest.raises(GradientError):
        x.T[0] += 1
    assert_same(x, numbers(2, 3))


# --- leaves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_leaves_are_replaced_only_without_recording(spelling):
    w = leaf(1, 2)
    with pytest.raises(GradientError, match="a leaf that requires gradients cannot be replaced"):
        spelling(w)
    assert w.tolist() == [1.0, 2.0]
    with tl.no_grad():
        spelling(w)
    assert w.requires_grad
    assert w.is_leaf


def test_constants_become_tracked_by_what_is_added():
    x, w = tl.tensor([1.0, 2.0], dtype=tl.float64), leaf(3, 4)
    x += w
    x[0] = w[1]
    assert x.requires_grad
    x.sum().backward()
    assert w.grad.tolist() == [0.0, 2.0]


# --- what the tape saved ------------------------------------------------------------------------------------------


def test_saved_inputs_do_not_change_under_the_tape():
    w, x = leaf(1, 2), tl.tensor([3.0, 4.0], dtype=tl.float64)
    y = (w * x).sum()
    x[0] = 1000
    x += 5
    y.backward()
    assert w.grad.tolist() == [3.0, 4.0]


def test_saved_leaves_do_not_change_under_the_tape():
    w = leaf(1, 2)
    y = (w * w * w).sum()
    with tl.no_grad():
        w += 100
        w[0] = -1
    y.backward()
    assert w.grad.tolist() == [3.0, 12.0]


def test_saved_outputs_do_not_change_under_the_tape():
    w = leaf(1, 2)
    y = tl.exp(w)
    expected = y.detach().numpy().copy()
    loss = y.sum()
    y[0] = 0
    y *= 0
    loss.backward()
    assert_same(w.grad, expected)


def test_intermediate_values_are_replaced_for_what_follows_only():
    w = leaf(1, 2)
    h = w * 2
    before = h * h
    h += 1
    h[0] = 7
    after = h * h
    (before + after).sum().backward()
    assert w.grad.tolist() == [8.0, 8.0 * 2 + 4 * 5]


def test_values_saved_through_a_view_do_not_change():
    w, x = leaf(1, 2), numbers(2, 2, dtype=tl.float64)
    y = (w * x[1]).sum()
    x[1] = 100
    y.backward()
    assert w.grad.tolist() == [2.0, 3.0]


# --- assignment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 1000, 1 << 18])
@pytest.mark.parametrize("make", [numbers, lambda size: numbers(size) + 1, lambda size: numbers(2, size)[1],
                                  lambda size: numbers(size).reshape(-1, 2).reshape(-1)],
                         ids=["made", "computed", "row", "reshaped"])
def test_assignment_writes_into_the_buffer_of_a_tensor_alone(make, size):
    x = make(size)
    address = x.array.ctypes.data
    for i in range(10):
        x[i] = -1
    assert x.array.ctypes.data == address


HOLDERS = {
    "slice": lambda x: x[1:], "numpy": lambda x: x.numpy(), "detach": lambda x: x.detach(), "array": lambda x: x.array,
    "buffer": lambda x: memoryview(x.numpy()), "dlpack": lambda x: np.from_dlpack(x), "rows": lambda x: list(x),
    "tape": lambda x: leaf(*[1.0] * 1000) * x,
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_assignment_makes_a_new_buffer_where_others_see_the_old(hold):
    x = numbers(1000, dtype=tl.float64)
    address, held = x.array.ctypes.data, hold(x)
    x[3] = -1
    assert x.array.ctypes.data != address
    del held
    address = x.array.ctypes.data
    x[4] = -1
    assert x.array.ctypes.data == address


def test_assignment_from_itself():
    x = numbers(5)
    x[1:] = x[:-1]
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0]
    x[:] = x[::-1]
    assert x.tolist() == [3.0, 2.0, 1.0, 0.0, 0.0]
    x += x
    x -= x[0]
    assert x.tolist() == [0.0, -2.0, -4.0, -6.0, -6.0]


def test_assignment_is_differentiable_by_value_and_by_what_remains():
    x, v = leaf(1, 2, 3), leaf(10)
    y = x * 1
    y[1] = v[0] * 2
    y[2:] = v
    (y * y).sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]
    assert v.grad.tolist() == [2 * 20 * 2 + 2 * 10]


def test_assigned_values_broadcast_and_take_the_dtype():
    x = numbers(2, 3)
    x[0] = tl.tensor([[7, 8, 9]])
    x[:, 0] = True
    x[1, 1:] = np.array([0.5, 1.5])
    assert x.tolist() == [[1.0, 8.0, 9.0], [1.0, 0.5, 1.5]]
    v = tl.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    x[0] = v
    x.sum().backward()
    assert v.grad.tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize("value", [1.5, 1j, tl.tensor(1.5), np.float32(2.5), [0.5, 0.5, 0.5], float("nan")], ids=repr)
def test_integers_take_no_fractions(value):
    x = tl.tensor([1, 2, 3])
    with pytest.raises(DTypeError, match=r"^setitem: x cannot hold"):
        x[:] = value
    with pytest.raises(DTypeError, match=r"^\+=: the result is"):
        x += tl.asarray(value)
    assert x.tolist() == [1, 2, 3]


def test_numbers_too_large_are_refused():
    x = tl.tensor([1, 2], dtype=tl.int8)
    with pytest.raises(ArgumentError, match="out of bounds for int8"):
        x[0] = 300
    with pytest.raises(ArgumentError, match="out of bounds for int8"):
        x += 300
    assert x.tolist() == [1, 2]


def test_in_place_results_must_fit():
    x = numbers(3)
    for call in (lambda: x.add_(numbers(2, 3)), lambda: x.__iadd__(numbers(2, 3)), lambda: x.copy_(numbers(4))):
        with pytest.raises(ShapeError):
            call()
    assert x.tolist() == [0.0, 1.0, 2.0]


def test_in_place_spellings_keep_the_dtype():
    x = numbers(3)
    x += tl.tensor([1.0, 2.0, 3.0], dtype=tl.float64)
    assert x.dtype == tl.float32
    x.copy_(tl.tensor([1, 2, 3]))
    assert x.dtype == tl.float32
    x[0] = 5
    assert x.dtype == tl.float32


def test_a_failed_assignment_changes_nothing():
    x = numbers(2, 3)
    for index, value in [((0, 9), 1.0), (0, numbers(4)), (5, 1.0), ("a", 1.0), (slice(0, 1), [[1.0, 2.0]])]:
        with pytest.raises((ShapeError, IndexError)):
            x[index] = value
        assert_same(x, numbers(2, 3))


def test_broadcast_views_are_written_to_as_values():
    y = numbers(3).expand(2, 3)
    y[0] = 9
    assert y.tolist() == [[9.0, 9.0, 9.0], [0.0, 1.0, 2.0]]


def test_tensors_of_shared_arrays_do_not_write_into_them():
    array = np.arange(3.0)
    x, y = tl.from_numpy(array), tl.from_numpy(array[1:])
    x[0] = 5
    y += 1
    x += 1
    assert array.tolist() == [0.0, 1.0, 2.0]


def test_gradients_are_values_too():
    w = leaf(1, 2)
    (w * 3).sum().backward()
    seen = w.grad
    (w * 3).sum().backward()
    assert seen.tolist() == [3.0, 3.0]
    w.grad.zero_()
    assert w.grad.tolist() == [0.0, 0.0]
