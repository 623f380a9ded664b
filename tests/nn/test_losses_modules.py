"""Losses as modules: signatures and defaults beside PyTorch's, what they keep, and that they call the functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError
from tensorlite.nn import functional as F

MODULES = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss", "SmoothL1Loss",
    "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]
FUNCTIONS = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy", "ctc_loss",
    "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "poisson_nll_loss",
    "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]
DEPRECATED = {"size_average", "reduce"}


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters in order, and their defaults."""
    return {name: p.default for name, p in inspect.signature(function).parameters.items() if name not in DEPRECATED}


def positional(function: Callable[..., Any]) -> list[str]:
    """The parameters that may be given by position."""
    return [name for name, p in inspect.signature(function).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]


def before_deprecated(function: Callable[..., Any]) -> list[str]:
    """The parameters that PyTorch takes by position before the first deprecated one; ours takes others by name."""
    names = positional(function)
    return names[:min((names.index(name) for name in DEPRECATED if name in names), default=len(names))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_parameters_and_defaults_of_torch(name):
    from nn.against_torch import torch
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    assert list(parameters(ours).items()) == list(parameters(theirs).items())
    assert positional(ours) == before_deprecated(theirs)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "NLLLoss2d"])  # PyTorch's takes anything
def test_modules_have_the_parameters_and_defaults_of_torch(name):
    from nn.against_torch import torch
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    assert list(parameters(ours).items()) == list(parameters(theirs).items())
    assert positional(ours) == before_deprecated(theirs)
    assert list(parameters(ours.forward)) == list(parameters(theirs.forward))


@pytest.mark.filterwarnings("ignore:.*NLLLoss2d")  # PyTorch's is deprecated
@pytest.mark.parametrize("name", MODULES)
def test_modules_keep_what_those_of_torch_keep(name):
    from nn.against_torch import torch
    ours = getattr(nn, name)()
    theirs = getattr(torch.nn, name)()
    kept = {key: value for key, value in vars(theirs).items()
            if not key.startswith("_") and key not in ("training", "distance_function")}
    assert {key: getattr(ours, key) for key in kept} == kept
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)


WEIGHT = tl.tensor([0.5, 1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "FocalLoss",
                                  "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss"])
def test_weights_are_buffers(name):
    module = getattr(nn, name)(weight=WEIGHT)
    assert list(module.state_dict()) == ["weight"]
    assert [key for key, _ in module.named_parameters()] == []
    assert module.to(tl.float64).weight.dtype == tl.float64


X, Y, Z = (tl.tensor(np.random.default_rng(k).uniform(0.1, 0.9, (3, 4))) for k in range(3))
LABELS, SIGNS = tl.tensor([0, 3, 1]), tl.tensor([1, -1, 1])

CALLS = {
    "smooth": (nn.SmoothL1Loss(beta=0.5), F.smooth_l1_loss, (X, Y), {"beta": 0.5}),
    "huber": (nn.HuberLoss("sum", 0.5), F.huber_loss, (X, Y), {"reduction": "sum", "delta": 0.5}),
    "poisson": (nn.PoissonNLLLoss(False, True, eps=0.1), F.poisson_nll_loss, (X, Y), {
        "log_input": False, "full": True, "eps": 0.1}),
    "gaussian": (nn.GaussianNLLLoss(full=True, eps=0.5), F.gaussian_nll_loss, (X, Y, Z), {"full": True, "eps": 0.5}),
    "divergence": (nn.KLDivLoss(reduction="batchmean", log_target=True), F.kl_div, (X, Y), {
        "reduction": "batchmean", "log_target": True}),
    "soft margin": (nn.SoftMarginLoss(reduction="none"), F.soft_margin_loss, (X, Y), {"reduction": "none"}),
    "labels": (nn.MultiLabelSoftMarginLoss(WEIGHT), F.multilabel_soft_margin_loss, (X, Y), {"weight": WEIGHT}),
    "hinge": (nn.HingeEmbeddingLoss(0.7), F.hinge_embedding_loss, (X[:, 0], SIGNS), {"margin": 0.7}),
    "ranking": (nn.MarginRankingLoss(0.7), F.margin_ranking_loss, (X[0], Y[0], Z[0]), {"margin": 0.7}),
    "cosine": (nn.CosineEmbeddingLoss(0.7), F.cosine_embedding_loss, (X, Y, SIGNS), {"margin": 0.7}),
    "triplet": (nn.TripletMarginLoss(0.7, 1.0, 0.1, True), F.triplet_margin_loss, (X, Y, Z), {
        "margin": 0.7, "p": 1.0, "eps": 0.1, "swap": True}),
    "distance": (nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(axis=-1), swap=True),
                 F.triplet_margin_loss, (X, Y, Z), {"p": 1, "eps": 0.0, "swap": True}),
    "margin": (nn.MultiMarginLoss(2, 0.7, WEIGHT), F.multi_margin_loss, (X, LABELS), {
        "p": 2, "margin": 0.7, "weight": WEIGHT}),
    "label margin": (nn.MultiLabelMarginLoss(reduction="sum"), F.multilabel_margin_loss, (
        X, tl.tensor([[0, 2, -1, 1]] * 3)), {"reduction": "sum"}),
    "focal": (nn.FocalLoss(WEIGHT, gamma=1.5, ignore_index=1), F.focal_loss, (X, LABELS), {
        "weight": WEIGHT, "gamma": 1.5, "ignore_index": 1}),
    "sigmoid focal": (nn.SigmoidFocalLoss(0.3, 1.5, reduction="sum"), F.sigmoid_focal_loss, (X, Y), {
        "alpha": 0.3, "gamma": 1.5, "reduction": "sum"}),
    "dice": (nn.DiceLoss(smooth=0.5, reduction="none"), F.dice_loss, (X[None], Y[None]), {
        "smooth": 0.5, "reduction": "none"}),
    "images": (nn.NLLLoss2d(ignore_index=2), F.nll_loss, (X[None, :, :, None], tl.tensor([[[0], [1], [2], [1]]])), {
        "ignore_index": 2}),
}


@pytest.mark.parametrize("name", CALLS)
def test_modules_call_the_functions(name):
    module, function, arguments, options = CALLS[name]
    assert_same(module(*arguments), function(*arguments, **options))


def test_a_module_may_be_the_distance():
    class Distance(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x, y):
            return tl.square(self.linear(x) - self.linear(y)).sum(axis=-1)

    loss = nn.TripletMarginWithDistanceLoss(distance_function=Distance())
    assert list(loss.state_dict()) == ["distance_function.linear.weight", "distance_function.linear.bias"]
    assert loss(X.float(), Y.float(), Z.float()).shape == ()


@pytest.mark.parametrize("name", [*MODULES, "DiceLoss", "FocalLoss", "SigmoidFocalLoss"])
def test_another_reduction_is_refused_at_once(name):
    with pytest.raises(ArgumentError) as caught:
        getattr(nn, name)(reduction="max")
    batchmean = "'batchmean', " if name == "KLDivLoss" else ""
    expected = f"{name}: reduction must be 'mean', 'sum', {batchmean}'none', not 'max'"
    assert str(caught.value).split("\n")[0] == expected.replace(", 'none'", " or 'none'")


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: nn.MultiMarginLoss(p=3), ArgumentError, "MultiMarginLoss: p must be 1 or 2, not 3"),
    (lambda: nn.MultiMarginLoss(weight=X), ShapeError, "MultiMarginLoss: weight must have one axis, of classes"),
    (lambda: nn.TripletMarginLoss(margin=0), ArgumentError, "TripletMarginLoss: margin must be above 0, not 0"),
    (lambda: nn.TripletMarginWithDistanceLoss(margin=-1), ArgumentError,
     "TripletMarginWithDistanceLoss: margin must be above 0, not -1"),
    (lambda: nn.FocalLoss(gamma=-1), ArgumentError, "FocalLoss: gamma must be 0 or more, not -1"),
])
def test_other_options_are_refused_at_once(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
