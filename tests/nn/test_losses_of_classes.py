"""Losses of class indices beside PyTorch: shapes, ignored targets, weights; derivatives, batches, compilation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import IndexingError
from tensorlite.nn import functional as F

SHAPES = ((3, 4), (5,), (1, 2), (2, 3, 2), (70, 3), (4, 20), (40, 33), (2, 17, 3, 5), (2, 3, 1), (6, 1))


@st.composite
def classified(draw) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Scores, targets of which some are ignored, and options."""
    shape = draw(st.sampled_from(SHAPES))
    axis = 0 if len(shape) == 1 else 1
    random, ignore = np.random.default_rng(draw(st.integers(0, 99))), draw(st.sampled_from([-100, 0, 2]))
    target = np.asarray(random.integers(0, shape[axis], (*shape[:axis], *shape[axis + 1:])))
    target = np.where(random.random(target.shape) < 0.2, ignore, target)
    options: dict[str, Any] = {"ignore_index": ignore, "reduction": draw(st.sampled_from(["mean", "sum", "none"]))}
    if draw(st.booleans()):
        options["weight"] = random.uniform(0.2, 2, shape[axis])
    return random.normal(0, 2, shape), target, options


def of(library: Any, options: dict[str, Any]) -> dict[str, Any]:
    return {key: library.tensor(value) if isinstance(value, np.ndarray) else value for key, value in options.items()}


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@settings(max_examples=40)
@given(drawn=classified())
def test_losses_of_classes_agree_with_torch(name, drawn):
    from nn.against_torch import compare, torch
    x, target, options = drawn
    if (target == options["ignore_index"]).all():
        options["reduction"] = "sum"  # the mean of nothing is NaN
    ours, theirs = of(tl, options), of(torch, options)
    compare(lambda x: getattr(F, name)(x, tl.tensor(target), **ours),
            lambda x: getattr(torch.nn.functional, name)(x, torch.tensor(target), **theirs), x, terms=100)


@settings(max_examples=15)
@given(drawn=classified(), dtype=st.sampled_from([tl.float32, tl.float64, tl.float16]))
def test_compiled_cross_entropy_and_its_derivative_are_those_of_eager(drawn, dtype):
    x, target, options = drawn
    scores, classes, options = tl.tensor(x).to(dtype), tl.tensor(target), of(tl, options)
    if "weight" in options:
        options["weight"] = options["weight"].to(dtype)

    def both(x: tl.Tensor) -> Any:
        return F.cross_entropy(x, classes, **options), tl.grad(
            lambda x: F.cross_entropy(x, classes, **options).sum())(x)

    for found, expected in zip(tl.jit(both)(scores), both(scores), strict=True):
        assert found.dtype == expected.dtype
        assert_close(found, expected, terms=36)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_batch_of_losses_is_one_loss_after_another(reduction):
    random = np.random.default_rng(0)
    x, target = tl.tensor(random.normal(size=(3, 6, 20))), tl.tensor(random.integers(0, 20, (3, 6)))

    def loss(x: tl.Tensor, target: tl.Tensor) -> tl.Tensor:
        return F.cross_entropy(x, target, ignore_index=3, reduction=reduction)

    def slope(x: tl.Tensor, target: tl.Tensor) -> tl.Tensor:
        return tl.grad(lambda x: loss(x, target).sum())(x)

    for function in (loss, slope):
        for axes, classes in (((0, 0), target), ((0, None), target[0])):
            found = tl.vmap(function, in_axes=axes)(x, classes)
            rows = [function(x[k], classes[k] if axes[1] == 0 else classes) for k in range(3)]
            assert_close(found, tl.stack(rows), terms=36)


@pytest.mark.parametrize("shape", [(4, 3), (2, 40), (2, 3, 4)], ids=str)
def test_derivatives_agree_with_differences(shape):
    random = np.random.default_rng(1)
    x = tl.tensor(random.normal(size=shape), requires_grad=True)
    target = tl.tensor(random.integers(0, shape[1], (shape[0], *shape[2:])))
    tl.autograd.gradcheck(lambda x: F.cross_entropy(x, target, ignore_index=1), (x,))
    tl.autograd.gradgradcheck(lambda x: F.cross_entropy(x, target, ignore_index=1, reduction="none"), (x,))


def test_far_scores_lose_nothing():
    x = tl.tensor([[1e8, 1e8 - 64, -1e8]], dtype=tl.float32, requires_grad=True)
    loss = F.cross_entropy(x, tl.tensor([1]))
    loss.backward()
    assert_same(loss.detach(), tl.tensor(64.0))
    assert_same(x.grad, tl.tensor([[1.0, -1.0, 0.0]]))
    near = tl.tensor([[4096.25, 4096.0]], dtype=tl.float32, requires_grad=True)
    F.cross_entropy(near, tl.tensor([0])).backward()
    assert_close(near.grad, tl.tensor([[-0.43782350, 0.43782350]]), terms=1)


@pytest.mark.parametrize("rows", [2, 200])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("prepare", [lambda f: f, tl.jit], ids=["eager", "compiled"])
def test_a_target_that_names_no_class_is_named(prepare, name, reduction, rows):
    target = tl.tensor([*[0] * (rows - 1), 3])

    def loss(x: tl.Tensor) -> tl.Tensor:
        return getattr(F, name)(x, target, reduction=reduction)

    with pytest.raises(IndexingError) as caught:
        prepare(loss)(tl.zeros((rows, 3)))
    text = str(caught.value).split("\n")
    assert "target 3 is out of range for 3 classes" in text[0]
    assert any("use 0 to 2, or ignore_index=-100" in line for line in text)
