"""Losses at their ends: other targets, kinks, empty batches, narrow dtypes, what is not finite; what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError, TensorliteError
from tensorlite.nn import functional as F

random = np.random.default_rng(0)
reductions = st.sampled_from(["mean", "sum", "none"])


def beside_torch(name: str, *arrays: Any, **options: Any) -> None:
    """Holds the values and the derivative by the first array against PyTorch's."""
    from nn.against_torch import torch
    results = []
    for library, functions in ((tl, F), (torch, torch.nn.functional)):
        x, *others = (library.tensor(np.asarray(a)) for a in arrays)
        x.requires_grad = True
        given = {key: library.tensor(value) if isinstance(value, np.ndarray) else value
                 for key, value in options.items()}
        y = getattr(functions, name)(x, *others, **given)
        y.sum().backward()
        results.append((y.detach().numpy(), np.zeros(x.shape) if x.grad is None else x.grad.numpy()))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, terms=100)


# --- targets and kinks --------------------------------------------------------------------------------------------

X = np.array([[0.5, -1.0, 2.0, 0.0], [1.0, 1.0, -3.0, 0.25], [0.0, 0.0, 0.0, 1.0]])
FAR = np.array([[-1e4, 1e4, -90.0, 90.0]])
EDGES = {
    "a target of 0 has no entropy": ("kl_div", X, np.array([[0.0, 1.0, 0.5, 0.0]] * 3)),
    "divergences broadcast": ("kl_div", X, np.array([[0.5], [1.0], [0.2]])),
    "logarithms of 0": ("kl_div", X, np.array([[-np.inf, 0.0, -1.0, -np.inf]] * 3), {"log_target": True}),
    "hinges of other targets": ("hinge_embedding_loss", X, np.array([[1, -1, 0, 2]] * 3)),
    "hinges at the margin": ("hinge_embedding_loss", X, -np.ones((3, 4)), {"margin": 0.5}),
    "hinges broadcast": ("hinge_embedding_loss", X, np.array([1.0, -1, 1, -1])),
    "rankings at the margin": ("margin_ranking_loss", X, X, np.ones((3, 4))),
    "rankings broadcast": ("margin_ranking_loss", X, X[:1], np.array([[1], [-1], [1]])),
    "soft margins of integers": ("soft_margin_loss", X, np.array([[1, -1, 1, -1]] * 3)),
    "soft margins broadcast": ("soft_margin_loss", X, np.array([1.0, -1, 1, -1])),
    "many labels, far away": ("multilabel_soft_margin_loss", FAR, np.array([[1.0, 0.0, 1.0, 0.0]])),
    "cosines of other targets": ("cosine_embedding_loss", X, X[::-1].copy(), np.array([1, 0, -1])),
    "cosines of nothing": ("cosine_embedding_loss", X * 0, X, np.array([1, -1, -1])),
    "cosines at the margin": ("cosine_embedding_loss", X[:1], X[:1], np.array([-1]), {"margin": 1.0}),
    "equal triplets": ("triplet_margin_loss", X, X, X, {"eps": 0.0}),
    "equal triplets of another norm": ("triplet_margin_loss", X, X, X, {"eps": 0.0, "p": 3.0}),
    "triplets broadcast": ("triplet_margin_loss", X, X[:1], X[1:2]),
    "triplets by count": ("triplet_margin_loss", X, X[::-1].copy(), X[:1], {"p": 0.0}),
    "margins that are met": ("multi_margin_loss", X, np.array([2, 0, 3])),
    "one class": ("multi_margin_loss", X[:, :1], np.array([0, 0, 0])),
    "no batch": ("multi_margin_loss", np.zeros((0, 4)), np.zeros(0, np.int64), {"reduction": "sum"}),
    "a target of a batch of one": ("multi_margin_loss", X[0], np.array([1]), {"reduction": "none"}),
    "labels named twice": ("multilabel_margin_loss", X, np.array([[1, 1, -1, 0], [-1, 0, 1, 2], [3, 2, 1, 0]])),
    "smooth at its corner": ("smooth_l1_loss", X, X + 1.0),
    "smooth without a corner": ("smooth_l1_loss", X, X * 1.0, {"beta": 0.0}),
    "huber at its corner": ("huber_loss", X, X + 0.5, {"delta": 0.5}),
    "counts of 0 and 1": ("poisson_nll_loss", X, np.array([[0.0, 1.0, 2.0, 50.0]] * 3), {"full": True}),
    "rates of 0": ("poisson_nll_loss", np.abs(X), np.array([[0.0, 1.0, 0.0, 5.0]] * 3), {
        "log_input": False, "full": True}),
    "counts broadcast": ("poisson_nll_loss", X, np.array([0.0, 1.0, 2.0, 50.0])),
    "nothing is left to count": ("cross_entropy", X, np.array([1, 1, 1]), {"ignore_index": 1}),
    "nothing is left, smoothed": ("cross_entropy", X, np.array([1, 1, 1]), {"ignore_index": 1, "label_smoothing": 0.2}),
    "no classes are left to sum": ("nll_loss", X, np.array([-100] * 3), {"reduction": "sum"}),
    "classes of bytes": ("cross_entropy", X, np.array([1, 3, 0], np.uint8)),
    "an impossible class": ("cross_entropy", np.where(X == 2.0, -np.inf, X), np.array([2, 0, 1]), {
        "reduction": "none"}),
    "shares and smoothing and weights": ("cross_entropy", X, np.full((3, 4), 0.25), {
        "label_smoothing": 0.3, "weight": np.array([0.5, 1.0, 2.0, 0.0])}),
    "weights of 0": ("cross_entropy", X, np.array([3, 3, 0]), {
        "weight": np.array([0.5, 1.0, 2.0, 0.0]), "label_smoothing": 0.1}),
    "no batch of classes": ("cross_entropy", np.zeros((0, 4)), np.zeros(0, np.int64)),
    "no pixels": ("cross_entropy", np.zeros((2, 4, 0)), np.zeros((2, 0), np.int64), {"reduction": "sum"}),
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss", "ignore:Using a target size")
@pytest.mark.parametrize("name", EDGES)
def test_ends_are_those_of_torch(name):
    function, *arrays = EDGES[name]
    options = arrays.pop() if isinstance(arrays[-1], dict) else {}
    beside_torch(function, *arrays, **options)


@pytest.mark.parametrize("var", [np.array([[0.0, 1e-9, 0.5, 2.0]] * 3), np.array([0.0, 1.0, 3.0]),
                                 np.array([[0.0], [1.0], [3.0]]), np.ones((1, 4)), 0.5], ids=str)
def test_variances_of_every_shape_and_below_eps_are_those_of_torch(var):
    for full in (False, True):
        beside_torch("gaussian_nll_loss", X, X[::-1].copy(), var=var, full=full, eps=1e-3)
    if isinstance(var, np.ndarray):
        from nn.against_torch import compare, torch
        compare(lambda v: F.gaussian_nll_loss(tl.tensor(X), tl.tensor(X) * 2, v, eps=1e-3),
                lambda v: torch.nn.functional.gaussian_nll_loss(torch.tensor(X), torch.tensor(X) * 2, v, eps=1e-3),
                var, terms=1000)


# --- losses that PyTorch has not ----------------------------------------------------------------------------------


@settings(max_examples=20)
@given(alpha=st.sampled_from([-1, 0.25, 0.9]), gamma=st.sampled_from([0.0, 1.0, 2.0, 3.5]), reduction=reductions,
       soft=st.booleans())
def test_sigmoid_focal_loss_agrees_with_its_formula_in_torch(alpha, gamma, reduction, soft):
    from nn.against_torch import compare, draw, torch
    target = np.random.default_rng(1).uniform(0, 1, (3, 4))
    target = target if soft else np.round(target)

    def formula(x: Any) -> Any:  # as torchvision.ops.sigmoid_focal_loss
        t = torch.tensor(target)
        p = torch.sigmoid(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none")
        loss = loss * (1 - (p * t + (1 - p) * (1 - t)))**gamma
        loss = loss if alpha < 0 else (alpha * t + (1 - alpha) * (1 - t)) * loss
        return loss if reduction == "none" else getattr(loss, reduction)()

    compare(lambda x: F.sigmoid_focal_loss(x, tl.tensor(target), alpha, gamma, reduction), formula, draw(3, 4),
            terms=50)


@settings(max_examples=20)
@given(gamma=st.sampled_from([0.0, 1.0, 2.0, 3.5]), weighted=st.booleans(), ignore_index=st.sampled_from([-100, 2]),
       reduction=reductions, shape=st.sampled_from([(4, 5), (5,), (2, 5, 3)]))
def test_focal_loss_agrees_with_its_formula_in_torch(gamma, weighted, ignore_index, reduction, shape):
    from nn.against_torch import compare, draw, torch
    weight = np.random.default_rng(1).uniform(0.2, 2, 5) if weighted else None
    target = np.asarray(np.random.default_rng(2).integers(0, 5, {1: (), 2: (4,), 3: (2, 3)}[len(shape)]))

    def formula(x: Any) -> Any:
        t = torch.tensor(target)
        plain = torch.nn.functional.cross_entropy(x, t, reduction="none", ignore_index=ignore_index)
        count = (t != ignore_index) * (1 if weight is None else torch.tensor(weight)[t])
        loss = plain * (1 - torch.exp(-plain))**gamma * count
        return loss if reduction == "none" else loss.sum() / (count.sum() if reduction == "mean" else 1)

    compare(lambda x: F.focal_loss(x, tl.tensor(target), None if weight is None else tl.tensor(weight), gamma=gamma,
                                   ignore_index=ignore_index, reduction=reduction), formula, draw(*shape), terms=100)


def test_a_focal_loss_without_focus_is_the_cross_entropy():
    x, target = tl.tensor(X), tl.tensor([1, 0, 3])
    assert_close(F.focal_loss(x, target, gamma=0.0), F.cross_entropy(x, target), terms=9)
    logits, bits = tl.tensor(X), tl.tensor((X > 0) * 1.0)
    assert_close(F.sigmoid_focal_loss(logits, bits, -1, 0.0, "mean"),
                 F.binary_cross_entropy_with_logits(logits, bits), terms=9)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_sigmoid_focal_losses_of_what_is_certain_have_finite_derivatives(gamma):
    x = tl.tensor([200.0, -200.0, 200.0, -200.0], requires_grad=True)
    F.sigmoid_focal_loss(x, tl.tensor([1.0, 0.0, 0.0, 1.0]), gamma=gamma).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_losses_of_what_is_certain_have_finite_derivatives(gamma):
    x = tl.tensor([[30.0, -30.0], [-30.0, 30.0], [0.0, 0.0]], requires_grad=True)
    F.focal_loss(x, tl.tensor([0, 0, 1]), gamma=gamma, ignore_index=1).backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_dice_is_one_less_the_overlap_of_each_image_and_class():
    p, labels = random.random((2, 3, 4, 5)), random.integers(0, 3, (2, 4, 5))
    hot = (labels[:, None] == np.arange(3)[:, None, None]).astype(float)
    expected = 1 - (2 * (p * hot).sum((2, 3)) + 0.5) / ((p**2).sum((2, 3)) + (hot**2).sum((2, 3)) + 0.5)
    for target in (labels, hot):
        found = F.dice_loss(tl.tensor(p), tl.tensor(target), smooth=0.5, reduction="none")
        assert_close(found, expected, terms=40)
        assert_close(F.dice_loss(tl.tensor(p), tl.tensor(target), smooth=0.5), expected.mean(), terms=40)
    assert F.dice_loss(tl.zeros((1, 1, 3)), tl.zeros((1, 1, 3))).item() == 0
    assert F.dice_loss(tl.tensor(hot), tl.tensor(labels)).item() == 0
    x = tl.tensor(p, requires_grad=True)
    assert tl.autograd.gradgradcheck(lambda x: F.dice_loss(x, tl.tensor(labels), reduction="none"), x)


@settings(max_examples=20)
@given(reduction=reductions, smoothing=st.sampled_from([0.0, 0.3]), ignore_index=st.sampled_from([-100, 2]),
       name=st.sampled_from(["cross_entropy", "nll_loss", "focal_loss", "multi_margin_loss", "of shares"]))
def test_weights_of_classes_have_derivatives(name, reduction, smoothing, ignore_index):
    x, target = tl.tensor(random.standard_normal((6, 4))), tl.tensor([0, 2, 1, 2, 3, 2])
    calls = {
        "cross_entropy": lambda w: F.cross_entropy(x, target, w, ignore_index=ignore_index, reduction=reduction,
                                                   label_smoothing=smoothing),
        "nll_loss": lambda w: F.nll_loss(x, target, w, ignore_index=ignore_index, reduction=reduction),
        "focal_loss": lambda w: F.focal_loss(x, target, w, ignore_index=ignore_index, reduction=reduction),
        "multi_margin_loss": lambda w: F.multi_margin_loss(x, target, weight=w, reduction=reduction),
        "of shares": lambda w: F.cross_entropy(x, tl.softmax(x, 1), w, reduction=reduction, label_smoothing=smoothing),
    }
    weight = tl.tensor(random.uniform(0.5, 2, 4), requires_grad=True)
    assert tl.autograd.gradcheck(calls[name], weight)
    assert tl.autograd.gradgradcheck(calls[name], weight)


# --- dtypes, batches and graphs -----------------------------------------------------------------------------------

S, T = (tl.tensor(random.uniform(0.1, 0.9, (3, 4))) for _ in range(2))
SIGNS, LABELS, LISTS = tl.tensor([1, -1, 1]), tl.tensor([0, 3, 1]), tl.tensor([[0, 2, -1, 1], [3, -1, 0, 0], [1] * 4])

LOSSES: dict[str, Callable[..., tl.Tensor]] = {
    "mse_loss": lambda x: F.mse_loss(x, T.to(x.dtype)),
    "l1_loss": lambda x: F.l1_loss(x, T.to(x.dtype)),
    "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, T.to(x.dtype), beta=0.2),
    "huber_loss": lambda x: F.huber_loss(x, T.to(x.dtype), delta=0.2),
    "poisson_nll_loss": lambda x: F.poisson_nll_loss(x, 3 * T.to(x.dtype), full=True),
    "gaussian_nll_loss": lambda x: F.gaussian_nll_loss(x, T.to(x.dtype), 1 + T.to(x.dtype), full=True),
    "binary_cross_entropy": lambda x: F.binary_cross_entropy(x, T.to(x.dtype)),
    "binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(x, T.to(x.dtype)),
    "kl_div": lambda x: F.kl_div(x, T.to(x.dtype), reduction="batchmean"),
    "soft_margin_loss": lambda x: F.soft_margin_loss(x, SIGNS[:, None]),
    "multilabel_soft_margin_loss": lambda x: F.multilabel_soft_margin_loss(x, (T > 0.5).to(x.dtype)),
    "hinge_embedding_loss": lambda x: F.hinge_embedding_loss(x, SIGNS[:, None]),
    "margin_ranking_loss": lambda x: F.margin_ranking_loss(x, T.to(x.dtype), SIGNS[:, None], 0.1),
    "cosine_embedding_loss": lambda x: F.cosine_embedding_loss(x, T.to(x.dtype), SIGNS),
    "triplet_margin_loss": lambda x: F.triplet_margin_loss(x, T.to(x.dtype), 1 - T.to(x.dtype)),
    "multi_margin_loss": lambda x: F.multi_margin_loss(x, LABELS),
    "multilabel_margin_loss": lambda x: F.multilabel_margin_loss(x, LISTS),
    "cross_entropy": lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1),
    "nll_loss": lambda x: F.nll_loss(x, LABELS),
    "focal_loss": lambda x: F.focal_loss(x, LABELS),
    "sigmoid_focal_loss": lambda x: F.sigmoid_focal_loss(x, T.to(x.dtype)),
    "dice_loss": lambda x: F.dice_loss(x[None], T[None].to(x.dtype)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", LOSSES)
def test_narrow_dtypes_stay_and_are_near(name, dtype):
    x = S.to(getattr(tl, dtype))
    found = LOSSES[name](x)
    assert found.dtype == x.dtype
    assert_close(found, LOSSES[name](S), terms=16)


@pytest.mark.parametrize("name", LOSSES)
def test_mapped_losses_are_those_of_each(name):
    x = tl.stack([S, T, S * T + 0.1])
    for function in (LOSSES[name], tl.grad(lambda x: LOSSES[name](x).sum())):
        assert_close(tl.vmap(function)(x), np.stack([function(row).numpy() for row in x]), terms=16)


@pytest.mark.parametrize("name", LOSSES)
def test_compiled_losses_run_natively(name):
    step = tl.jit(tl.grad(lambda x: LOSSES[name](x).sum()))
    assert_close(step(S), tl.grad(lambda x: LOSSES[name](x).sum())(S), terms=16)
    assert "0 Python edges" in str(step.explain())


# --- what is refused ----------------------------------------------------------------------------------------------

V, M = tl.zeros(3), tl.zeros((2, 3))

REFUSALS: list[tuple[Callable[[], Any], type[TensorliteError], str]] = [
    (lambda: F.smooth_l1_loss(M, V), ShapeError, "smooth_l1_loss: input and target must have one shape"),
    (lambda: F.smooth_l1_loss(V, V, beta=-1), ArgumentError, "smooth_l1_loss: beta must be 0 or more, not -1"),
    (lambda: F.huber_loss(M, V), ShapeError, "huber_loss: input and target must have one shape"),
    (lambda: F.huber_loss(V, V, delta=0), ArgumentError, "huber_loss: delta must be above 0, not 0"),
    (lambda: F.huber_loss(V, V, weight=M), ShapeError, "huber_loss: input and weight must have one shape"),
    (lambda: F.mse_loss(V, V, weight=M), ShapeError, "mse_loss: input and weight must have one shape"),
    (lambda: F.l1_loss(V, M), ShapeError, "l1_loss: input and target must have one shape"),
    (lambda: F.gaussian_nll_loss(V, V, tl.tensor([1.0, -0.5, 2.0])), ArgumentError,
     "gaussian_nll_loss: var must be 0 or more, not -0.5"),
    (lambda: tl.jit(F.gaussian_nll_loss)(V, V, tl.tensor([1.0, -0.5, 2.0])), ArgumentError,
     "gaussian_nll_loss: var must be 0 or more, not -0.5"),
    (lambda: F.gaussian_nll_loss(V, V, -0.5), ArgumentError, "gaussian_nll_loss: var must be 0 or more, not -0.5"),
    (lambda: F.gaussian_nll_loss(M, M, V), ShapeError, "gaussian_nll_loss: var must have the input's shape, that with "
     "one axis of extent 1, or that without the last axis"),
    (lambda: F.poisson_nll_loss(M, tl.zeros(2)), ShapeError,
     "poisson_nll_loss: shapes [2] and [2, 3] do not broadcast"),
    (lambda: F.kl_div(V, V, reduction="max"), ArgumentError,
     "kl_div: reduction must be 'mean', 'sum', 'batchmean' or 'none', not 'max'"),
    (lambda: F.multilabel_soft_margin_loss(tl.tensor(1.0), tl.tensor(1.0)), ShapeError,
     "multilabel_soft_margin_loss: the input needs an axis of classes"),
    (lambda: F.margin_ranking_loss(M, V, V), ShapeError,
     "margin_ranking_loss: all must have the same number of dimensions"),
    (lambda: F.cosine_embedding_loss(M, M, tl.tensor(1)), ShapeError,
     "cosine_embedding_loss: inputs must be [batch, features] with a target of [batch], or [features] with one number"),
    (lambda: F.triplet_margin_loss(M, V, M), ShapeError,
     "triplet_margin_loss: all must have the same number of dimensions"),
    (lambda: F.triplet_margin_loss(M, M, M, margin=0), ArgumentError,
     "triplet_margin_loss: margin must be above 0, not 0"),
    (lambda: F.triplet_margin_with_distance_loss(M, M, V), ShapeError,
     "triplet_margin_with_distance_loss: all must have the same number of dimensions"),
    (lambda: F.multi_margin_loss(M, tl.tensor([0, 3])), IndexingError,
     "multi_margin_loss: target 3 is out of range for 3 classes"),
    (lambda: F.multi_margin_loss(M, tl.tensor([0])), ShapeError,
     "multi_margin_loss: target must have shape [2], the input's without its classes"),
    (lambda: F.multi_margin_loss(M, tl.tensor([0, 1]), p=3), ArgumentError,
     "multi_margin_loss: p must be 1 or 2, not 3"),
    (lambda: F.multi_margin_loss(M, tl.tensor([0, 1]), weight=tl.ones(2)), ShapeError,
     "multi_margin_loss: weight must have shape [3], one number for each class"),
    (lambda: F.multi_margin_loss(tl.zeros((2, 0)), tl.tensor([0, 1])), ShapeError,
     "multi_margin_loss: the input must be [batch, classes] or [classes], with a class at least"),
    (lambda: F.multilabel_margin_loss(V, tl.tensor([0, 5, -1])), IndexingError,
     "multilabel_margin_loss: target 5 is out of range for 3 classes"),
    (lambda: F.multilabel_margin_loss(V, tl.tensor([0, 1])), ShapeError,
     "multilabel_margin_loss: target must have the input's shape: labels, and -1 after the last one"),
    (lambda: F.multilabel_margin_loss(V, V), DTypeError,
     "multilabel_margin_loss: target holds labels, which are integers, not float32"),
    (lambda: F.cross_entropy(M, tl.ones((2, 3)), ignore_index=1), ArgumentError,
     "cross_entropy: a target of probabilities has no index to ignore"),
    (lambda: F.sigmoid_focal_loss(V, M), ShapeError, "sigmoid_focal_loss: input and target must have one shape"),
    (lambda: F.sigmoid_focal_loss(V, V, alpha=1.5), ArgumentError,
     "sigmoid_focal_loss: alpha must be between 0 and 1, or negative for none, not 1.5"),
    (lambda: F.focal_loss(M, tl.tensor([0, 3])), IndexingError, "focal_loss: target 3 is out of range for 3 classes"),
    (lambda: F.focal_loss(M, tl.tensor([0, 1]), gamma=-1), ArgumentError,
     "focal_loss: gamma must be 0 or more, not -1"),
    (lambda: F.dice_loss(M, M), ShapeError,
     "dice_loss: the input must be [batch, classes, ...]: there is no region to sum over"),
    (lambda: F.dice_loss(M[None], M), ShapeError, "dice_loss: input and target must have one shape"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSALS, ids=[text for _, _, text in REFUSALS])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


def test_a_refusal_shows_arguments_line_and_fix():
    with pytest.raises(IndexingError) as caught:
        F.multi_margin_loss(M, tl.tensor([0, 3]))
    _, *lines, fix = str(caught.value).split("\n")
    assert any("test_losses_edges.py" in line for line in lines)
    assert fix == "  fix: use 0 to 2"
    assert math.isnan(F.cross_entropy(M, tl.tensor([-100, -100])).item())
    assert_same(F.cross_entropy(M, tl.tensor([-100, -100]), reduction="none"), np.zeros(2, np.float32))
