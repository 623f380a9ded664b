"""softmax and the losses: every option against PyTorch, extremes, and against formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError

reductions = st.sampled_from(["mean", "sum", "none"])
SHAPES = [(4, 5), (5,), (2, 5, 3), (2, 5, 2, 3)]
random = np.random.default_rng(0)
WEIGHT = random.random(5)
PAIRWISE = ["mse_loss", "l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"]


def targets(shape: tuple[int, ...], ignored: int | None = None) -> np.ndarray:
    """Class indices for scores of a shape, one of them ignored."""
    where = np.asarray(np.random.default_rng(1).integers(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ()))
    if ignored is not None and where.ndim:
        where.flat[0] = ignored
    return where


def both(array: np.ndarray | None):
    """The same numbers for both libraries."""
    from nn.against_torch import torch
    return (None, None) if array is None else (tl.tensor(array), torch.tensor(array))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_is_the_share_of_exponentials(axis):
    x = random.standard_normal((3, 4, 5)) * 10
    assert_close(tl.softmax(tl.tensor(x), axis=axis), softmax(x, axis), terms=5)
    assert_close(tl.log_softmax(tl.tensor(x), axis=axis), np.log(softmax(x, axis)), terms=1000)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_agrees_with_torch(name):
    from nn.against_torch import compare, draw, torch
    for axis in (0, 1, 2):
        compare(lambda x: getattr(tl, name)(x, axis), lambda x: getattr(torch, name)(x, axis), draw(3, 4, 5), terms=25)  # noqa: B023


def test_softmax_of_huge_numbers_and_in_another_dtype():
    assert_same(tl.softmax(tl.tensor([1e30, 1e30, -1e30]), axis=0), np.array([0.5, 0.5, 0], np.float32))
    assert tl.softmax(tl.zeros(3, dtype=tl.float16), axis=0, dtype=tl.float64).dtype == tl.float64
    assert_same(tl.tensor([[0.0]]).softmax(dim=-1), np.ones((1, 1), np.float32))
    assert tl.softmax(tl.zeros((0, 3)), axis=1).shape == (0, 3)


@settings(max_examples=60)
@given(shape=st.sampled_from(SHAPES), weighted=st.booleans(), ignore_index=st.sampled_from([-100, 2]),
       reduction=reductions,
       label_smoothing=st.sampled_from([0.0, 0.3, 1.0]))
def test_cross_entropy_of_classes_agrees_with_torch(shape, weighted, ignore_index, reduction, label_smoothing):
    from nn.against_torch import compare, draw, torch
    weight, weight_ = both(WEIGHT if weighted else None)
    target, target_ = both(targets(shape, ignore_index))
    options = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
    compare(lambda x: tl.cross_entropy(x, target, weight, **options),
            lambda x: torch.nn.functional.cross_entropy(x, target_, weight_, **options), draw(*shape), terms=25)


@settings(max_examples=30)
@given(shape=st.sampled_from(SHAPES), weighted=st.booleans(), reduction=reductions,
       label_smoothing=st.sampled_from([0.0, 0.3]))
def test_cross_entropy_of_probabilities_agrees_with_torch(shape, weighted, reduction, label_smoothing):
    from nn.against_torch import compare, draw, torch
    weight, weight_ = both(WEIGHT if weighted else None)
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    shares = softmax(draw(*shape, seed=3), 0 if len(shape) == 1 else 1)
    compare(lambda x, p: tl.cross_entropy(x, p, weight, **options),
            lambda x, p: torch.nn.functional.cross_entropy(x, p, weight_, **options), draw(*shape), shares, terms=25)


@given(shape=st.sampled_from(SHAPES), weighted=st.booleans(), ignore_index=st.sampled_from([-100, 2]),
       reduction=reductions)
def test_nll_loss_agrees_with_torch(shape, weighted, ignore_index, reduction):
    from nn.against_torch import compare, draw, torch
    weight, weight_ = both(WEIGHT if weighted else None)
    target, target_ = both(targets(shape, ignore_index))
    options = {"ignore_index": ignore_index, "reduction": reduction}
    compare(lambda x: tl.nll_loss(x, target, weight, **options),
            lambda x: torch.nn.functional.nll_loss(x, target_, weight_, **options), draw(*shape), terms=5)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_errors_of_numbers_agree_with_torch(name, reduction):
    from nn.against_torch import compare, draw, torch
    theirs = getattr(torch.nn.functional, name)
    x, y, weight = draw(3, 4), draw(3, 4, seed=5), np.random.default_rng(2).random((3, 4))
    compare(lambda a, b: getattr(tl, name)(a, b, reduction=reduction), lambda a, b: theirs(a, b, reduction=reduction),
            x, y, terms=12)
    w, w_ = both(weight)
    compare(lambda a, b: getattr(tl, name)(a, b, reduction=reduction, weight=w),
            lambda a, b: theirs(a, b, reduction=reduction, weight=w_), x, y, terms=12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropies_agree_with_torch(reduction, weighted):
    from nn.against_torch import compare, draw, torch
    shares, target = np.random.default_rng(3).random((2, 3, 4))
    weight, weight_ = both(np.random.default_rng(2).random((3, 4)) if weighted else None)
    y, y_ = both(target)
    compare(lambda p: tl.binary_cross_entropy(p, y, weight, reduction=reduction),
            lambda p: torch.nn.functional.binary_cross_entropy(p, y_, weight_, reduction=reduction), shares, terms=12,
            second=False)  # PyTorch's own is off by 1e-12 / (p * (1 - p)); the laws of elementwise ops hold ours
    for positive in (None, np.array([0.5, 1.0, 2.0, 3.0])):
        more, more_ = both(positive)
        compare(lambda x: tl.binary_cross_entropy_with_logits(x, y, weight, reduction=reduction, pos_weight=more),  # noqa: B023
                lambda x: torch.nn.functional.binary_cross_entropy_with_logits(
                    x, y_, weight_, reduction=reduction, pos_weight=more_), draw(3, 4), terms=12)  # noqa: B023


def test_binary_cross_entropies_at_their_ends_agree_with_torch():
    from nn.against_torch import to_torch, torch
    p, y = tl.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True), tl.tensor([0.0, 1.0, 1.0, 0.0])
    x = tl.tensor([-1e4, 1e4, -1e4, 1e4], requires_grad=True)
    for leaf, name in ((p, "binary_cross_entropy"), (x, "binary_cross_entropy_with_logits")):
        leaf_ = to_torch(leaf).requires_grad_()
        loss, loss_ = (getattr(library, name)(a, b, reduction="sum") for library, a, b in (
            (tl, leaf, y), (torch.nn.functional, leaf_, to_torch(y))))
        loss.backward()
        loss_.backward()
        assert_close(loss, loss_.detach().numpy())
        assert_close(leaf.grad, leaf_.grad.numpy())


def test_cross_entropy_is_minus_the_logarithm_of_the_share():
    x, target = random.standard_normal((6, 5)), targets((6, 5))
    shares = softmax(x, 1)[np.arange(6), target]
    assert_close(tl.cross_entropy(tl.tensor(x), tl.tensor(target)), -np.log(shares).mean(), terms=30)
    weighed = -(WEIGHT[target] * np.log(shares)).sum() / WEIGHT[target].sum()
    assert_close(tl.cross_entropy(tl.tensor(x), tl.tensor(target), tl.tensor(WEIGHT)), weighed, terms=30)


def test_a_mean_of_nothing_is_nan_and_extremes_stay_finite():
    assert np.isnan(tl.cross_entropy(tl.zeros((2, 3)), tl.tensor([-100, -100])).item())
    assert tl.cross_entropy(tl.tensor([[1e4, -1e4]]), tl.tensor([1])).item() == 2e4


@pytest.mark.parametrize("name", PAIRWISE)
def test_losses_are_modules_too(name):
    module = {"mse_loss": nn.MSELoss, "l1_loss": nn.L1Loss, "binary_cross_entropy": nn.BCELoss,
              "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss}[name]
    x, y = tl.tensor([0.2, 0.7]), tl.tensor([0.0, 1.0])
    for reduction in ("mean", "sum", "none"):
        assert_same(module(reduction=reduction)(x, y), getattr(tl, name)(x, y, reduction=reduction))


def test_losses_of_classes_are_modules_whose_weights_are_buffers():
    x, y, weight = tl.tensor([[0.2, 0.7], [0.1, 0.4]]), tl.tensor([0, 1]), tl.tensor([1.0, 3.0])
    loss = nn.CrossEntropyLoss(weight, ignore_index=1, label_smoothing=0.1, reduction="sum")
    assert list(loss.state_dict()) == ["weight"]
    assert_same(loss(x, y), tl.cross_entropy(x, y, weight, ignore_index=1, label_smoothing=0.1, reduction="sum"))
    assert_same(nn.NLLLoss(weight, ignore_index=1)(x, y), tl.nll_loss(x, y, weight, ignore_index=1))
    positive = nn.BCEWithLogitsLoss(pos_weight=weight)
    assert_same(positive(x, x), tl.binary_cross_entropy_with_logits(x, x, pos_weight=weight))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda x: tl.cross_entropy(x, tl.tensor([0, 3])), IndexingError,
     "cross_entropy: target 3 is out of range for 3 classes"),
    (lambda x: tl.cross_entropy(x, tl.tensor([0, -1])), IndexingError,
     "cross_entropy: target -1 is out of range for 3 classes"),
    (lambda x: tl.cross_entropy(x, tl.tensor([0, 1, 2])), ShapeError,
     "cross_entropy: target must have shape [2], the input's without its classes"),
    (lambda x: tl.cross_entropy(x, tl.tensor([True, False])), DTypeError,
     "cross_entropy: target holds class indices, which are integers, not bool"),
    (lambda x: tl.cross_entropy(x, tl.zeros((2, 4))), ShapeError,
     "cross_entropy: a target of probabilities must have the input's shape"),
    (lambda x: tl.cross_entropy(x, tl.tensor([0, 1]), tl.ones(4)), ShapeError,
     "cross_entropy: weight must have shape [3], one number for each class"),
    (lambda x: tl.cross_entropy(x, tl.tensor([0, 1]), reduction="max"), ArgumentError,
     "cross_entropy: reduction must be 'mean', 'sum' or 'none', not 'max'"),
    (lambda x: tl.cross_entropy(x, tl.tensor([0, 1]), label_smoothing=1.5), ArgumentError,
     "cross_entropy: label_smoothing must be between 0 and 1, not 1.5"),
    (lambda x: tl.mse_loss(x, tl.zeros((3, 2))), ShapeError, "mse_loss: input and target must have one shape"),
    (lambda x: tl.binary_cross_entropy(x, tl.zeros(3)), ShapeError,
     "binary_cross_entropy: input and target must have one shape"),
    (lambda x: nn.MSELoss(reduction="max"), ArgumentError,
     "MSELoss: reduction must be 'mean', 'sum' or 'none', not 'max'"),
    (lambda x: nn.Softmax(), ArgumentError, "Softmax: the axis is missing"),
    (lambda x: tl.softmax(x.to(tl.int64), axis=0), DTypeError, "softmax: takes real floating dtypes, not int64"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(tl.zeros((2, 3)))
    assert str(caught.value).split("\n")[0] == text
