"""Connectionist temporal classification: against every alignment written out, PyTorch, differences, and itself."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import functional as F


def log_shares(*shape: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(shape)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def collapsed(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """What an alignment says: repetitions once, then without blanks."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def by_enumeration(log_probs: np.ndarray, labels: tuple[int, ...], blank: int) -> float:
    """The loss from Graves' definition: minus the logarithm of the probability of all alignments."""
    steps, classes = log_probs.shape
    total = sum(np.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
                for path in itertools.product(range(classes), repeat=steps) if collapsed(path, blank) == labels)
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_the_loss_sums_over_all_alignments(count, blank):
    others = [c for c in range(3) if c != blank]
    for seed, steps in itertools.product(range(2), range(1, 6)):
        labels = tuple(int(x) for x in np.random.default_rng([seed, count]).choice(others, count))
        log_probs = log_shares(steps, 3, seed=seed)
        found = F.ctc_loss(tl.tensor(log_probs), tl.tensor(labels, dtype=tl.int64), steps, count, blank, "sum")
        assert_close(found, np.asarray(by_enumeration(log_probs, labels, blank)), terms=100)


@st.composite
def calls(draw: Any) -> tuple[np.ndarray, dict[str, Any], dict[str, Any]]:
    """Scores, what goes with them as arrays or tuples, and options."""
    steps, batch, classes, most = (draw(st.integers(*bounds)) for bounds in ((1, 14), (1, 4), (2, 6), (1, 5)))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    blank = draw(st.integers(0, classes - 1))
    labels = random.choice([c for c in range(classes) if c != blank], (batch, most))
    inputs = random.integers(max(1, steps - 3), steps + 1, batch)
    counts = random.integers(0, most + 1, batch)
    form = draw(st.sampled_from(["padded", "concatenated", "unbatched"]))
    if form == "concatenated":
        labels = np.concatenate([row[:n] for row, n in zip(labels, counts, strict=True)])
    scores = random.standard_normal((steps, batch, classes))
    if form == "unbatched":
        scores, labels, inputs, counts = scores[:, 0], labels[0, :counts[0]], inputs[0], counts[0]
    elif draw(st.booleans()):
        inputs, counts = tuple(inputs.tolist()), tuple(counts.tolist())
    given = {"targets": labels, "input_lengths": inputs, "target_lengths": counts}
    return scores, given, {"blank": blank, "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
                           "zero_infinity": True}


def tensors(library: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, tuple) else library.tensor(value) for key, value in given.items()}


@settings(max_examples=60)
@given(call=calls())
def test_it_agrees_with_torch_down_to_the_scores(call):
    from nn.against_torch import compare, torch
    scores, given, options = call
    compare(lambda x: F.ctc_loss(tl.log_softmax(x, -1), **tensors(tl, given), **options),
            lambda x: torch.nn.functional.ctc_loss(torch.log_softmax(x, -1), **tensors(torch, given), **options),
            scores, terms=200, second=False)  # PyTorch has no second derivative


@settings(max_examples=15)
@given(call=calls())
def test_derivatives_of_both_orders_are_those_of_differences(call):
    scores, given, options = call
    x = tl.tensor(scores[:4], requires_grad=True)
    lengths = np.minimum(given["input_lengths"], len(scores[:4]))
    given = {**given, "input_lengths": lengths}
    function = lambda x: F.ctc_loss(x, **tensors(tl, given), **options)
    assert tl.autograd.gradcheck(function, x)
    assert tl.autograd.gradgradcheck(function, x)


@settings(max_examples=10)
@given(call=calls())
def test_compiled_it_is_the_same(call):
    scores, given, options = call
    given = {key: tl.tensor(np.asarray(value)) for key, value in given.items()}

    def both(x: tl.Tensor, given: dict[str, tl.Tensor]) -> Any:
        return F.ctc_loss(x, **given, **options), tl.grad(lambda x: F.ctc_loss(x, **given, **options).sum())(x)

    x = tl.tensor(scores)
    for found, expected in zip(tl.jit(both)(x, given), both(x, given), strict=True):
        assert_close(found, expected, terms=100)


def test_compiled_it_runs_natively():
    x, labels = tl.tensor(log_shares(50, 4, 9)), tl.tensor(np.arange(20).reshape(4, 5) % 8 + 1)
    step = tl.jit(tl.grad(lambda x: F.ctc_loss(tl.log_softmax(x, 2), labels, (50, 40, 30, 50), (5, 5, 4, 3))))
    step(x)
    assert "0 Python edges" in str(step.explain())


@pytest.mark.parametrize("shape", [(2, 3, 3), (2, 6)], ids=["padded", "concatenated"])
def test_mapped_it_is_the_loop(shape):
    x, labels = tl.tensor(log_shares(2, 9, 3, 5)), tl.tensor(np.arange(np.prod(shape)).reshape(shape) % 4 + 1)
    counts = tl.tensor([[3, 1, 2], [2, 2, 2]])
    loss = lambda x, labels, counts: F.ctc_loss(x, labels, (9, 8, 7), counts)
    for function in (loss, tl.grad(loss)):
        expected = np.stack([function(x[i], labels[i], counts[i]).numpy() for i in range(2)])
        assert_close(tl.vmap(function)(x, labels, counts), expected, terms=100)


def test_an_input_too_short_is_impossible_and_moves_nothing():
    x, labels = tl.tensor(log_shares(3, 2, 4), requires_grad=True), tl.tensor([[1, 1], [2, 3]])
    loss = F.ctc_loss(x, labels, (2, 3), (2, 2), reduction="none")  # 1 1 needs a blank between
    assert np.isinf(loss.detach().numpy()).tolist() == [True, False]
    loss.sum().backward()
    assert not x.grad[:, 0].any()
    assert np.isfinite(x.grad.numpy()).all()
    assert F.ctc_loss(x, labels, (2, 3), (2, 2), reduction="none", zero_infinity=True)[0].item() == 0


def test_nothing_is_said_of_nothing():
    x = tl.tensor(log_shares(3, 2, 4))
    found = F.ctc_loss(x, tl.tensor([[1], [1]]), (0, 0), (0, 1), reduction="none")
    assert found.tolist() == [0, np.inf]
    assert_close(F.ctc_loss(x, tl.zeros((2, 0), dtype=tl.int64), (3, 2), (0, 0), reduction="none"),
                 np.array([-x[:3, 0, 0].sum().item(), -x[:2, 1, 0].sum().item()]), terms=3)


def test_impossible_classes_stay_impossible():
    log_probs = log_shares(4, 1, 3)
    log_probs[:, :, 2] = -np.inf
    x = tl.tensor(log_probs, requires_grad=True)
    loss = F.ctc_loss(x, tl.tensor([[1]]), (4,), (1,))
    loss.backward()
    assert_close(loss, np.asarray(by_enumeration(log_probs[:, 0], (1,), 0)), terms=100)
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_sums_are_wide_enough(dtype):
    x = tl.tensor(log_shares(60, 2, 5)).to(getattr(tl, dtype))
    arguments = (tl.tensor([[1, 2, 3], [4, 4, 0]], dtype=tl.int32), (60, 55), (3, 2))
    found = F.ctc_loss(x, *arguments, reduction="none")
    assert found.dtype == x.dtype
    assert_close(found, F.ctc_loss(x.to(tl.float64), *arguments, reduction="none"), terms=60)


def test_it_is_a_module_too():
    x, rest = tl.tensor(log_shares(4, 1, 3)), (tl.tensor([[2, 2]]), (2,), (2,))
    module = nn.CTCLoss(blank=1, reduction="sum", zero_infinity=True)
    assert_close(module(x, *rest), F.ctc_loss(x, *rest, 1, "sum", True))
    assert module(x, *rest).item() == 0


X = tl.zeros((5, 2, 4))
LABELS = tl.tensor([[1, 2, 2], [3, 1, 1]])


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.ctc_loss(X, LABELS, (5, 6), (3, 2)), ArgumentError,
     "ctc_loss: input_lengths must be between 0 and 5, not 6"),
    (lambda: F.ctc_loss(X, LABELS, (5, 5), (4, 2)), ArgumentError,
     "ctc_loss: target_lengths must be between 0 and 3, not 4"),
    (lambda: F.ctc_loss(X, LABELS, (5, 5), (-1, 2)), ArgumentError,
     "ctc_loss: target_lengths must be between 0 and 3, not -1"),
    (lambda: F.ctc_loss(X, LABELS + 1, (5, 5), (3, 2)), ArgumentError,
     "ctc_loss: targets must be between 0 and 3, not 4"),
    (lambda: tl.jit(F.ctc_loss)(X, LABELS + 1, tl.tensor([5, 5]), tl.tensor([3, 2])), ArgumentError,
     "ctc_loss: targets must be between 0 and 3, not 4"),
    (lambda: F.ctc_loss(X, LABELS, (5, 5, 5), (3, 2)), ShapeError,
     "ctc_loss: input_lengths must have shape [2], one number for each sequence"),
    (lambda: F.ctc_loss(X, LABELS, (5.0, 5.0), (3, 2)), DTypeError,
     "ctc_loss: input_lengths must be integers, not float64"),
    (lambda: F.ctc_loss(X, LABELS, (5, 5), (3, 2), blank=4), ArgumentError,
     "ctc_loss: blank must be a class, 0 to 3, not 4"),
    (lambda: F.ctc_loss(X, LABELS.float(), (5, 5), (3, 2)), DTypeError,
     "ctc_loss: targets hold classes, which are integers, not float32"),
    (lambda: F.ctc_loss(X, LABELS[:1], (5, 5), (3, 2)), ShapeError,
     "ctc_loss: targets must be [2, labels] or [sum(target_lengths)]"),
    (lambda: F.ctc_loss(X, LABELS[0], (5, 5), (1, 1)), ArgumentError,
     "ctc_loss: the sum of target_lengths must be 3, not 2"),
    (lambda: F.ctc_loss(X[0, 0], LABELS, (5, 5), (3, 2)), ShapeError,
     "ctc_loss: log_probs must be [steps, batch, classes] or [steps, classes]"),
    (lambda: F.ctc_loss(X.to(tl.int64), LABELS, (5, 5), (3, 2)), DTypeError,
     "ctc_loss: log_probs must be real floating"),
    (lambda: F.ctc_loss(X, LABELS, (5, 5), (3, 2), reduction="max"), ArgumentError,
     "ctc_loss: reduction must be 'mean', 'sum' or 'none', not 'max'"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
