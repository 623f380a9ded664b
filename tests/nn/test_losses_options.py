"""Every loss with every option beside PyTorch: values, first and second derivatives; and compiled as eager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite.nn import functional as F

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Case:
    """A loss: from a generator and a shape, what it is differentiated by and what is given besides; its options."""

    inputs: Callable[[np.random.Generator, tuple[int, ...]], Arrays]
    given: Callable[[np.random.Generator, tuple[int, ...]], dict[str, np.ndarray]] = lambda random, shape: {}
    options: dict[str, st.SearchStrategy[Any]] | None = None
    shapes: tuple[tuple[int, ...], ...] = ((3, 4), (5,), (), (2, 3, 2))
    reductions: tuple[str, ...] = ("mean", "sum", "none")


def numbers(count: int) -> Callable[..., Arrays]:
    """Several arrays of normal numbers."""
    return lambda random, shape: tuple(np.asarray(random.standard_normal(shape)) for _ in range(count))


def positive(count: int) -> Callable[..., Arrays]:
    """Normal numbers, and others above 0."""
    return lambda random, shape: (np.asarray(random.standard_normal(shape)),
                                  *(np.asarray(random.uniform(0.2, 3, shape)) for _ in range(count - 1)))


def signs(random: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {"target": np.asarray(random.choice([-1.0, 1.0], shape))}


def bits(random: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {"target": np.asarray(random.choice([0.0, 1.0], shape))}


def labels(random: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {"target": np.asarray(random.integers(0, shape[-1], shape[:-1]))}


def lists(random: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {"target": np.asarray(random.integers(-1, shape[-1], shape))}



ROWS = ((3, 4), (5,), (1, 3))
margins = st.sampled_from([0.5, 1.0, 2.0])

CASES = {
    "mse_loss": Case(numbers(2), options={"weight": st.sampled_from([None, "elements"])}),
    "l1_loss": Case(numbers(2), options={"weight": st.sampled_from([None, "elements"])}),
    "smooth_l1_loss": Case(numbers(2), options={"beta": st.sampled_from([0.0, 0.3, 1.0, 2.5])}),
    "huber_loss": Case(numbers(2), options={"delta": st.sampled_from([0.3, 1.0, 2.5]),
                                            "weight": st.sampled_from([None, "elements"])}),
    "poisson_nll_loss": Case(lambda random, shape: positive(3)(random, shape)[1:], options={
        "log_input": st.booleans(), "full": st.booleans(), "eps": st.sampled_from([1e-8, 0.1])}),
    "gaussian_nll_loss": Case(positive(3), options={"full": st.booleans(), "eps": st.sampled_from([1e-6, 1.0])}),
    "kl_div": Case(positive(2), options={"log_target": st.booleans()}, reductions=("mean", "sum", "batchmean", "none")),
    "soft_margin_loss": Case(numbers(1), signs),
    "multilabel_soft_margin_loss": Case(numbers(1), bits, {"weight": st.sampled_from([None, "classes"])}, shapes=(
        (3, 4), (5,), (2, 3, 2))),
    "hinge_embedding_loss": Case(numbers(1), signs, {"margin": margins}),
    "margin_ranking_loss": Case(numbers(2), signs, {"margin": st.sampled_from([-0.5, 0.0, 1.0])}),
    "cosine_embedding_loss": Case(numbers(2), lambda random, shape: signs(random, shape[:-1]), {
        "margin": st.sampled_from([-0.5, 0.0, 0.3])}, shapes=ROWS),
    "triplet_margin_loss": Case(numbers(3), options={
        "margin": margins, "p": st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, float("inf")]), "swap": st.booleans(),
        "eps": st.sampled_from([1e-6, 0.1])}, shapes=(*ROWS, (2, 3, 2))),
    "triplet_margin_with_distance_loss": Case(numbers(3), options={"margin": margins, "swap": st.booleans()},
                                              shapes=(*ROWS, (2, 3, 2))),
    "multi_margin_loss": Case(numbers(1), labels, {
        "p": st.sampled_from([1, 2]), "margin": margins, "weight": st.sampled_from([None, "classes"])}, shapes=ROWS),
    "multilabel_margin_loss": Case(numbers(1), lists, shapes=ROWS),
}

#: What PyTorch has no second derivatives of.
FIRST_ONLY = {"multi_margin_loss", "multilabel_margin_loss"}


def drawn(data: st.DataObject, name: str) -> tuple[Arrays, dict[str, np.ndarray], dict[str, Any]]:
    """Arrays to differentiate by, others, and options."""
    case = CASES[name]
    shape = data.draw(st.sampled_from(case.shapes))
    random = np.random.default_rng(data.draw(st.integers(0, 9)))
    options = {key: data.draw(choice) for key, choice in (case.options or {}).items()}
    given = case.given(random, shape)
    if (weight := options.pop("weight", None)) is not None:
        given["weight"] = np.asarray(random.uniform(0.2, 2, shape if weight == "elements" else shape[-1:]))
    return case.inputs(random, shape), given, {**options, "reduction": data.draw(st.sampled_from(case.reductions))}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")  # of kl_div, whose mean ours is too
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=20)
@given(data=st.data())
def test_losses_agree_with_torch(name, data):
    from nn.against_torch import compare, torch
    arrays, given, options = drawn(data, name)
    ours = {key: tl.tensor(array) for key, array in given.items()}
    theirs = {key: torch.tensor(array) for key, array in given.items()}
    compare(lambda *x: getattr(F, name)(*x, **ours, **options),
            lambda *x: getattr(torch.nn.functional, name)(*x, **theirs, **options), *arrays, terms=36,
            second=name not in FIRST_ONLY)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=3)
@given(data=st.data())
def test_compiled_losses_and_their_derivatives_are_those_of_eager(name, data):
    arrays, given, options = drawn(data, name)
    others = {key: tl.tensor(array) for key, array in given.items()}

    def both(*x: tl.Tensor) -> Any:
        return tl.vjp(lambda *x: getattr(F, name)(*x, **others, **options), *x)[0], tl.grad(
            lambda *x: getattr(F, name)(*x, **others, **options).sum(), argnums=tuple(range(len(x))))(*x)

    inputs = [tl.tensor(a) for a in arrays]
    (y, slopes), (z, expected) = tl.jit(both)(*inputs), both(*inputs)
    assert_close(y, z, terms=36)
    for found, wanted in zip(slopes, expected, strict=True):
        assert_close(found, wanted, terms=36)
