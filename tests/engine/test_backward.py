"""Walking the tape: what backward fills, keeps, frees and refuses."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.autograd import grad
from tensorlite.errors import GradientError


def leaf(*values: float, dtype=tl.float64) -> tl.Tensor:
    return tl.tensor(list(values), dtype=dtype, requires_grad=True)


def test_gradients_accumulate_over_walks_and_uses():
    x = leaf(1, 2)
    (x * x + 3 * x).sum().backward()
    assert_same(x.grad, tl.tensor([5.0, 7.0], dtype=tl.float64))
    (2 * x).sum().backward()
    assert_same(x.grad, tl.tensor([7.0, 9.0], dtype=tl.float64))


def test_each_leaf_owns_its_gradient():
    """Even where the same cotangent reaches both: clipping one in place must not clip the other."""
    x, y = leaf(1, 2), leaf(3, 4)
    (x + y).sum().backward()
    x.grad.mul_(0.5)
    assert x.grad.tolist() == [0.5, 0.5]
    assert y.grad.tolist() == [1.0, 1.0]


def test_the_given_gradient_stays_the_users():
    x, weight = leaf(1, 2), tl.tensor([1.0, 10.0], dtype=tl.float64)
    (x + 0).backward(weight)
    x.grad.mul_(3)
    assert weight.tolist() == [1.0, 10.0]
    assert x.grad.tolist() == [3.0, 30.0]


def test_answers_of_grad_are_tensors_of_their_own():
    x, y = leaf(1, 2), leaf(3, 4)
    first, second, again = grad((x + y).sum(), (x, y, x))
    first.zero_()
    assert second.tolist() == again.tolist() == [1.0, 1.0]
    assert x.grad is None


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_tensor_of_one_element_needs_no_gradient(shape):
    x = tl.tensor(np.full(shape, 3.0), requires_grad=True)
    (x * x).backward()
    assert_same(x.grad, np.full(shape, 6.0))


def test_an_empty_sum_has_an_empty_gradient():
    x = tl.tensor(np.ones((0, 3)), requires_grad=True)
    x.sum().backward()
    assert_same(x.grad, np.zeros((0, 3)))


def test_a_leaf_can_be_walked_from():
    x = leaf(2)
    x.backward()
    assert x.grad.tolist() == [1.0]


def test_a_graph_is_walked_once_unless_it_is_retained():
    x = leaf(1, 2)
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(GradientError, match="walked before"):
        loss.backward()


def test_two_losses_over_one_trunk():
    x = leaf(1, 2)
    trunk = x * x
    trunk.sum().backward(retain_graph=True)
    (trunk * 3).sum().backward()
    assert x.grad.tolist() == [8.0, 16.0]
    with pytest.raises(GradientError, match="walked before"):
        (trunk * 5).sum().backward()


def test_what_needs_nothing_saved_can_be_walked_through_a_leaf_again():
    x = leaf(1, 2)
    for _ in range(3):
        (x + 1).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_inputs_names_the_only_leaves_to_fill():
    x, y = leaf(1), leaf(2)
    (x * y).backward(inputs=[x])
    assert x.grad.tolist() == [2.0]
    assert y.grad is None
    (x * y).backward(inputs=y)
    assert y.grad.tolist() == [1.0]
    assert x.grad.tolist() == [2.0]


def test_grad_of_what_lies_between():
    x = leaf(1, 2)
    h = x * x
    y = (h * h).sum()
    (between,) = grad(y, h, retain_graph=True)
    assert between.tolist() == [2.0, 8.0]
    (first,) = grad(y, x)
    assert first.tolist() == [4.0, 32.0]


def test_grad_of_an_output_by_itself():
    y = (leaf(1, 2) * 3).sum()
    assert grad(y, y)[0].item() == 1.0


def test_grad_sums_over_outputs_with_their_weights():
    x = leaf(1, 2)
    weights = [tl.tensor([1.0, 0.0], dtype=tl.float64), tl.tensor([0.0, 1.0], dtype=tl.float64)]
    assert grad([x * x, 5 * x], x, weights)[0].tolist() == [2.0, 5.0]


def test_unused_inputs_are_none_where_allowed():
    x, y = leaf(1), leaf(2)
    found = grad(x * 2, (x, y), allow_unused=True)
    assert found[0].tolist() == [2.0]
    assert found[1] is None


def test_create_graph_gives_derivatives_of_any_order():
    x = tl.tensor(2.0, dtype=tl.float64, requires_grad=True)
    y = x**5
    for factor, power in [(5, 4), (20, 3), (60, 2), (120, 1)]:
        (y,) = grad(y, x, create_graph=True)
        assert_close(y, np.asarray(factor * 2.0**power))


def test_a_gradient_penalty_reaches_the_parameters():
    w, x = leaf(1, -2), leaf(3, 5)
    (g,) = grad((w * x * x).sum(), x, create_graph=True)
    (g * g).sum().backward()
    assert_close(w.grad, 8 * w.detach().numpy() * x.detach().numpy() ** 2)


def test_gradients_of_a_recorded_walk_accumulate_into_grad_and_are_recorded():
    x = leaf(3)
    (x * x * x).backward(create_graph=True)
    assert x.grad.requires_grad
    first, x.grad = x.grad, None
    first.backward()
    assert x.grad.tolist() == [18.0]


def test_diamonds_are_walked_once_each():
    x = leaf(1.5)
    calls = []
    h = x * 2
    h.register_hook(lambda g: calls.append(g.item()))
    for _ in range(20):
        h = h + h
    h.backward()
    assert len(calls) == 1
    assert x.grad.tolist() == [2.0**21]


STEPS = {"add": lambda h, x: h + x, "scale": lambda h, x: h * 1.0000001, "tanh": lambda h, x: tl.tanh(h),
         "negative": lambda h, x: -h}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_chain_of_a_hundred_thousand_ops(step):
    x = tl.tensor([0.5, -0.25], dtype=tl.float64, requires_grad=True)
    h = x
    for _ in range(100_000):
        h = step(h, x)
    h.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    del h


def test_a_deep_chain_gives_recorded_gradients_and_is_dropped_unwalked():
    x = tl.tensor(0.5, dtype=tl.float64, requires_grad=True)
    h = x
    for _ in range(20_000):
        h = h * 1.00001
    (g,) = grad(h, x, create_graph=True)
    assert_close(g, np.asarray(1.00001**20_000), terms=20_000)
    for _ in range(100_000):
        h = h + x
    del h, g


def test_wide_graphs_of_many_leaves():
    leaves = [tl.tensor(float(i), requires_grad=True) for i in range(200)]
    tl.stack(leaves).sum().backward()
    assert all(x.grad.item() == 1.0 for x in leaves)
    tl.concat([tl.reshape(x, (1,)) for x in leaves[:70]]).sum().backward()
    assert [x.grad.item() for x in leaves] == [2.0] * 70 + [1.0] * 130


def test_which_of_many_inputs_are_tracked_is_told_apart():
    """One plan for each set of tracked inputs, however many they are and whether they are complex."""
    for dtype in (tl.float32, tl.complex64):
        constants = [tl.tensor([1.0], dtype=dtype) for _ in range(66)]
        for tracked in [(0,), (61,), (62,), (63,), (5, 62), (65,), (0, 64)]:
            inputs = list(constants)
            for i in tracked:
                inputs[i] = tl.tensor([2.0], dtype=dtype, requires_grad=True)
            tl.abs(tl.concat(inputs)).sum().backward()
            assert [i for i, x in enumerate(inputs) if x.grad is not None] == list(tracked)


def test_integers_and_comparisons_end_the_tape():
    x = leaf(1.5, -2.5)
    for y in (x > 0, x == x, tl.isnan(x), x.to(tl.int64), tl.argmax(x), tl.logical_not(x)):
        assert not y.requires_grad
        assert y.is_leaf


def test_steps_have_zero_gradients_as_in_pytorch():
    x = leaf(1.5, -2.5)
    steps = tl.floor(x) + tl.ceil(x) + tl.sign(x) + tl.trunc(x) + tl.round(x)
    steps.backward(tl.full((2,), tl.inf, dtype=tl.float64))
    assert x.grad.tolist() == [0.0, 0.0]


def test_gradients_have_the_dtype_of_their_leaves():
    for dtype in (tl.float16, tl.bfloat16, tl.float32, tl.float64, tl.complex64):
        x = tl.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        y = x * tl.tensor([1.0, 3.0], dtype=tl.float64)
        tl.abs(y).sum().backward()
        assert x.grad.dtype == dtype


def test_a_real_leaf_among_complex_numbers_gets_the_real_part():
    x = leaf(1, 2)
    tl.imag(x * (2 + 3j)).sum().backward()
    assert_same(x.grad, tl.tensor([3.0, 3.0], dtype=tl.float64))
    x.grad = None
    tl.real(tl.tensor([1j, 2.0], dtype=tl.complex128) * x).sum().backward()
    assert_same(x.grad, tl.tensor([0.0, 2.0], dtype=tl.float64))


def test_complex_gradients_follow_the_convention_of_pytorch():
    """The gradient of a real loss is its derivative by the real part plus i times that by the imaginary part."""
    z = tl.tensor([1 + 2j], dtype=tl.complex128, requires_grad=True)
    (tl.abs(z) ** 2).sum().backward()
    assert_close(z.grad, np.array([2 + 4j]))


def test_broadcast_inputs_get_summed_gradients():
    x = tl.tensor(np.ones((3, 1)), requires_grad=True)
    y = tl.tensor(np.ones(4), requires_grad=True)
    z = tl.tensor(2.0, dtype=tl.float64, requires_grad=True)
    (x * y * z).sum().backward()
    assert_same(x.grad, np.full((3, 1), 8.0))
    assert_same(y.grad, np.full(4, 6.0))
    assert_same(z.grad, np.asarray(12.0))


def test_sums_over_broadcast_axes_are_kept_in_single_precision():
    bias = tl.tensor([0.0], dtype=tl.bfloat16, requires_grad=True)
    rows = tl.tensor(np.ones((1000, 1)), dtype=tl.bfloat16)
    (rows * bias).sum().backward()
    assert bias.grad.item() == 1000


def test_arrays_of_the_users_are_kept_as_they_were():
    x, factor = leaf(1, 1), np.array([5.0, 6.0])
    y = (x * factor).sum()
    factor[:] = 0
    y.backward()
    assert x.grad.tolist() == [5.0, 6.0]


def test_requires_grad_can_be_set_and_taken_back():
    x = tl.tensor([1.0])
    assert not x.requires_grad
    x.requires_grad = True
    assert x.requires_grad
    assert x.is_leaf
    assert x.requires_grad_(False) is x
    assert not (x * 2).requires_grad
    x.requires_grad_()
    y = x * 2
    assert y.requires_grad
    assert not y.is_leaf
    y.requires_grad = True  # it does already
    assert y.grad_fn == "multiply"
    assert x.grad_fn is None


def test_detach_ends_the_tape_and_shares_the_value():
    x = leaf(1, 2)
    y = x.detach()
    assert not y.requires_grad
    (x * y).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
    h = x * 2
    assert h.detach_() is h
    assert not h.requires_grad


def test_a_walk_that_fails_leaves_recording_on():
    x = leaf(1)
    y = x * 2

    def fail(g):
        raise ZeroDivisionError

    y.register_hook(fail)
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert tl.is_grad_enabled()
    assert (x * 2).requires_grad
