"""The registries of constraints, and transforms of parts and of correlations, beside PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.against_torch import compare, draw, torch
from tolerance import assert_close

import tensorlite as tl
from tensorlite import distributions as d
from tensorlite.distributions import constraints as c
from tensorlite.distributions import transforms as t

TERMS = 1 << 10

#: Constraints by name, in either library, and the shape of what is transformed to them.
CONSTRAINTS = {
    "real": (lambda m: m.real, (4,)), "real_vector": (lambda m: m.real_vector, (2, 3)),
    "positive": (lambda m: m.positive, (4,)), "nonnegative": (lambda m: m.nonnegative, (4,)),
    "greater_than": (lambda m: m.greater_than(2.5), (4,)), "greater_than_eq": (lambda m: m.greater_than_eq(-1), (4,)),
    "less_than": (lambda m: m.less_than(0.5), (4,)), "unit_interval": (lambda m: m.unit_interval, (4,)),
    "interval": (lambda m: m.interval(-2.0, 3.0), (4,)),
    "half_open_interval": (lambda m: m.half_open_interval(1.0, 3.0), (4,)), "simplex": (lambda m: m.simplex, (2, 3)),
    "corr_cholesky": (lambda m: m.corr_cholesky, (2, 6)), "lower_cholesky": (lambda m: m.lower_cholesky, (3, 3)),
    "positive_definite": (lambda m: m.positive_definite, (2, 3, 3)),
    "positive_semidefinite": (lambda m: m.positive_semidefinite, (3, 3)),
    "independent": (lambda m: m.independent(m.positive, 1), (2, 3)),
    "stack": (lambda m: m.stack([m.positive, m.interval(0.0, 2.0)], 0), (2, 3)),
    "cat": (lambda m: m.cat([m.positive, m.interval(0.0, 2.0)], -1, [1, 2]), (2, 3)),
}


#: What is reached in many ways only.
MANY_WAYS = ("lower_cholesky", "positive_definite", "positive_semidefinite")


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_registries_know_the_transforms_of_torch(name, registry):
    make, shape = CONSTRAINTS[name]
    if registry == "biject_to" and name in MANY_WAYS:
        with pytest.raises(tl.errors.ArgumentError, match="biject_to: there is no transform to what is a"):
            d.biject_to(make(c))
        return
    ours = getattr(d, registry)(make(c))
    theirs = getattr(torch.distributions, registry)(make(torch.distributions.constraints))
    x = draw(*shape)
    compare(ours, theirs, x, terms=TERMS)
    y = ours(tl.tensor(x))
    assert bool(make(c).check(y).all())
    assert_close(ours(ours.inv(y)), y, terms=TERMS)
    if registry == "biject_to" and ours.bijective:
        assert_close(ours.inv(y), x, terms=TERMS * 10)
        # 0 * x: PyTorch's of a constant slope is no function of x
        compare(lambda x: ours.log_abs_det_jacobian(x, ours(x)) + 0 * x.sum(),
                lambda x: theirs.log_abs_det_jacobian(x, theirs(x)) + 0 * x.sum(), x, terms=TERMS)


def test_supports_of_distributions_are_known():
    for name, family in (("Gamma", (1.0, 2.0)), ("Beta", (1.0, 2.0)), ("Uniform", (1.0, 3.0)), ("Normal", (0.0, 1.0))):
        support = getattr(d, name)(*family).support
        theirs = getattr(torch.distributions, name)(*family).support
        x = draw(5)
        assert_close(d.biject_to(support)(tl.tensor(x)), torch.distributions.biject_to(theirs)(torch.tensor(x)),
                     dtype=np.float32)


def test_a_registry_takes_more():
    table = d.ConstraintRegistry("table")
    table.register(c.positive, lambda constraint: t.SoftplusTransform())
    table.register(c.greater_than, lambda constraint: t.AffineTransform(constraint.arguments[0], 1.0))
    assert isinstance(table(c.positive), t.SoftplusTransform)
    assert table(c.greater_than(3.0))(tl.tensor(1.0)).item() == 4
    mine = c.greater_than(4.0)
    table.register(mine, lambda constraint: t.ExpTransform())
    assert isinstance(table(mine), t.ExpTransform)
    assert isinstance(table(c.greater_than(4.0)), t.AffineTransform)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 2), st.booleans(), st.booleans())
def test_side_by_side_it_is_the_way_of_torch(lengths, dim, stacked, of_vectors):
    shape = [2, 3, 4]
    shape[dim] = len(lengths) if stacked else sum(lengths)
    axis = dim - 3 if dim == 1 else dim

    def make(m):
        both = m.ComposeTransform([m.TanhTransform(), m.ExpTransform()])
        kinds = [m.ExpTransform(), m.AffineTransform(1.0, -2.0), both]
        parts = kinds[:len(lengths)]
        if of_vectors and not stacked and dim < 2:
            parts = [m.IndependentTransform(part, 1) for part in parts]
        return m.StackTransform(parts, axis) if stacked else m.CatTransform(parts, axis, lengths)
    ours, theirs, x = make(t), make(torch.distributions.transforms), draw(*shape)
    compare(ours, theirs, x, terms=TERMS)
    compare(lambda x: ours.log_abs_det_jacobian(x, ours(x)) + 0 * x.sum(),
            lambda x: theirs.log_abs_det_jacobian(x, theirs(x)) + 0 * x.sum(), x, terms=TERMS)
    y = ours(tl.tensor(x))
    assert_close(ours.inv(y), x, terms=TERMS)
    assert_close(tl.jit(ours)(tl.tensor(x)), y, terms=TERMS)
    assert bool(ours.codomain.check(y).all())
    assert ours.bijective


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_factors_of_correlations(side):
    """What comes out is a factor of a matrix with ones on its diagonal, and the slope is the determinant's."""
    transform = t.CorrCholeskyTransform()
    x = tl.tensor(draw(2, side * (side - 1) // 2))
    y = transform(x)
    assert y.shape == transform.forward_shape(x.shape) == (2, side, side)
    assert transform.inverse_shape(y.shape) == x.shape
    assert bool(c.corr_cholesky.check(y).all())
    assert_close(tl.diagonal(y @ y.mT, dim1=-2, dim2=-1), np.ones((2, side)), terms=TERMS)
    if side == 1:
        return
    rows, columns = np.tril_indices(side, -1)
    below = lambda v: tl.take(transform(v).reshape(-1), tl.asarray(rows * side + columns), axis=0)
    slope = tl.linalg.slogdet(tl.jacobian(below)(x[0]))[1]
    assert_close(transform.log_abs_det_jacobian(x[0], y[0]), slope, terms=TERMS)
    mapped = tl.vmap(transform)(x)
    assert_close(mapped, y, terms=TERMS)


def test_logistic_normals_are_those_of_torch():
    loc, scale = draw(2, 3), np.abs(draw(2, 3, seed=1)) + 0.5
    value = torch.softmax(torch.tensor(draw(2, 4)), -1).numpy()

    def density(m):
        return lambda loc, scale, value: m.LogisticNormal(loc, scale, validate_args=False).log_prob(value)
    compare(density(d), density(torch.distributions), loc, scale, value, terms=TERMS)
    made = d.LogisticNormal(tl.tensor(loc), tl.tensor(scale))
    assert made.batch_shape == (2,) and made.event_shape == (4,)
    drawn = made.rsample((3,))
    assert drawn.shape == (3, 2, 4)
    assert_close(drawn.sum(axis=-1), np.ones((3, 2)), terms=TERMS)


WRONG = {
    "no transform": (lambda: d.biject_to(c.boolean), tl.errors.ArgumentError,
                     "biject_to: there is no transform to what is 0 or 1"),
    "no constraint": (lambda: d.transform_to(3), tl.errors.DTypeError, "transform_to: takes a constraint, not int"),
    "nothing to register": (lambda: d.biject_to.register(3, math.exp), tl.errors.DTypeError,
                            "biject_to: takes a constraint or a function that makes constraints, not int"),
    "no part of a matrix": (lambda: t.CorrCholeskyTransform()(tl.ones(2)), tl.errors.ShapeError,
                            "CorrCholeskyTransform: vectors hold what is below a diagonal: 1, 3, 6 or 10 numbers, "
                            "not shape [2]"),
    "no square": (lambda: t.CorrCholeskyTransform().inverse_shape((2, 3)), tl.errors.ShapeError,
                  "CorrCholeskyTransform: events are square, not [2, 3]"),
    "too few lengths": (lambda: t.CatTransform([t.ExpTransform()], 0, [1, 2]), tl.errors.ArgumentError,
                        "CatTransform: 1 transforms have 2 lengths"),
    "another extent": (lambda: t.CatTransform([t.ExpTransform()])(tl.ones(3)), tl.errors.ShapeError,
                       "constraints.cat: parts of [1] make up another extent"),
    "single numbers": (lambda: d.LogisticNormal(0.0, 1.0), tl.errors.ShapeError,
                       "LogisticNormal: loc and scale are numbers, where events are vectors"),
}


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(call, kind, said):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).splitlines()[0] == said
