"""Distances: cdist, pdist, pairwise_distance, dist, cosine_similarity and their layers, beside PyTorch."""

from __future__ import annotations

import inspect
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl

orders = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, inf])
quick = settings(max_examples=30, deadline=None)
MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@quick
@given(p=orders, stacks=st.sampled_from([((), ()), ((2,), (2,)), ((3, 1), (2,))]), n=st.integers(0, 4),
       m=st.integers(0, 3), k=st.integers(0, 3), mode=st.sampled_from(MODES))
def test_cdist(p, stacks, n, m, k, mode):
    from nn.against_torch import compare, draw, torch
    x1, x2 = draw(*stacks[0], n, k), draw(*stacks[1], m, k, seed=1)
    compare(lambda a, b: tl.cdist(a, b, p, mode), lambda a, b: torch.cdist(a, b, p, mode), x1, x2, terms=1 << 12,
            second=False)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, inf])
def test_equal_rows_have_no_slope_between_them(p):
    from nn.against_torch import compare, draw, torch
    x = draw(3, 4)
    compare(lambda a, b: tl.cdist(a, b, p), lambda a, b: torch.cdist(a, b, p), x, x[:2].copy(), terms=64, second=False)
    twice = np.concatenate([x, x])
    compare(lambda a: tl.nn.functional.pdist(a, p), lambda a: torch.pdist(a, p), twice, terms=64, second=False)
    compare(lambda a: tl.dist(a, tl.asarray(x), p), lambda a: torch.dist(a, torch.tensor(x), p), x.copy(), second=False)


def test_many_rows_are_near_by_products_too():
    from nn.against_torch import compare, draw, torch
    compare(tl.cdist, torch.cdist, draw(30, 5), draw(3, 5), terms=1 << 12, second=False)
    x = tl.asarray(draw(30, 5).astype(np.float32))
    assert (tl.cdist(x, x, compute_mode=MODES[2]).numpy().diagonal() == 0).all()


@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
def test_second_derivatives_of_distances(p):
    """Which PyTorch has none of."""
    random = np.random.default_rng(0)
    a, b = (tl.tensor(random.standard_normal((3, 2)), requires_grad=True) for _ in range(2))
    for function in (lambda a, b: tl.cdist(a, b, p), lambda a, b: tl.cdist(a, b, p, MODES[1]),
                     lambda a, b: tl.nn.functional.pdist(a + b, p)):
        assert tl.autograd.gradgradcheck(function, (a, b))


@quick
@given(p=orders, n=st.integers(2, 5), k=st.integers(1, 3))
def test_pdist(p, n, k):
    from nn.against_torch import compare, draw, torch
    compare(lambda a: tl.nn.functional.pdist(a, p), lambda a: torch.nn.functional.pdist(a, p), draw(n, k),
            terms=1 << 10, second=False)


@pytest.mark.parametrize(("n", "k"), [(0, 2), (1, 2), (3, 0)])
def test_pdist_of_nothing(n, k):
    """Whose derivative makes PyTorch crash."""
    x = tl.tensor(np.zeros((n, k), np.float32), requires_grad=True)
    for p in (0.0, 1.0, 2.0, inf):
        y = tl.nn.functional.pdist(x, p)
        assert_close(y, np.zeros(n * (n - 1) // 2, np.float32))
        y.sum().backward()
        assert x.grad.shape == (n, k)


@quick
@given(p=st.sampled_from([1.0, 1.5, 2.0, 3.0, inf]), eps=st.sampled_from([1e-6, 0.0, 0.1]), keepdim=st.booleans(),
       shapes=st.sampled_from([((3, 4), (3, 4)), ((4,), (3, 4)), ((2, 3, 4), (3, 1)), ((4,), (4,))]))
def test_pairwise_distance(p, eps, keepdim, shapes):
    from nn.against_torch import compare, draw, torch
    x1, x2 = draw(*shapes[0]), draw(*shapes[1], seed=1)
    for ours, theirs in ((tl.nn.functional.pairwise_distance, torch.nn.functional.pairwise_distance),
                         (tl.nn.PairwiseDistance(p, eps, keepdim), torch.nn.PairwiseDistance(p, eps, keepdim))):
        options = {} if isinstance(ours, tl.nn.Module) else {"p": p, "eps": eps, "keepdim": keepdim}
        compare(lambda a, b, f=ours, o=options: f(a, b, **o), lambda a, b, f=theirs, o=options: f(a, b, **o), x1, x2,
                terms=1 << 10)


@quick
@given(dim=st.integers(-3, 2), eps=st.sampled_from([1e-8, 0.5]), small=st.booleans(),
       shapes=st.sampled_from([((2, 3, 4), (2, 3, 4)), ((3, 4), (2, 3, 4)), ((2, 3, 4), (1, 3, 1))]))
def test_cosine_similarity(dim, eps, small, shapes):
    from nn.against_torch import compare, draw, torch
    x1, x2 = draw(*shapes[0]) * (0.01 if small else 1), draw(*shapes[1], seed=1)
    compare(lambda a, b: tl.nn.functional.cosine_similarity(a, b, dim, eps),
            lambda a, b: torch.nn.functional.cosine_similarity(a, b, dim, eps), x1, x2, terms=1 << 18)
    compare(tl.nn.CosineSimilarity(dim, eps), torch.nn.CosineSimilarity(dim, eps), x1, x2, terms=1 << 18)
    x1[:1] = 0
    compare(lambda a, b: tl.nn.functional.cosine_similarity(a, b, dim, eps),
            lambda a, b: torch.nn.functional.cosine_similarity(a, b, dim, eps), x1, x2, terms=1 << 18, second=False)


@quick
@given(dim=st.integers(-2, 1), eps=st.sampled_from([1e-12, 2.0]), p=st.sampled_from([1.0, 2.0, 3.0, inf]))
def test_normalize(dim, eps, p):
    from nn.against_torch import compare, draw, torch
    compare(lambda a: tl.nn.functional.normalize(a, p, dim, eps),
            lambda a: torch.nn.functional.normalize(a, p, dim, eps), draw(3, 4), terms=1 << 10)
    assert (tl.nn.functional.normalize(tl.zeros((2, 2)), p, dim, eps) == 0).all()


@pytest.mark.parametrize("name", ["PairwiseDistance", "CosineSimilarity"])
def test_layers_are_pytorchs(name):
    from nn.against_torch import torch
    ours, theirs = (getattr(library.nn, name) for library in (tl, torch))
    wanted = {n: p.default for n, p in inspect.signature(theirs).parameters.items()}
    assert {n: p.default for n, p in inspect.signature(ours).parameters.items()} == wanted
    assert repr(ours()) == repr(theirs())


@pytest.mark.parametrize("name", ["pairwise_distance", "cosine_similarity", "pdist", "normalize"])
def test_defaults_are_pytorchs(name):
    """Of PyTorch's, which are compiled, as its documentation says them."""
    wanted = {"pairwise_distance": {"p": 2.0, "eps": 1e-6, "keepdim": False},
              "cosine_similarity": {"dim": 1, "eps": 1e-8}, "pdist": {"p": 2.0},
              "normalize": {"p": 2.0, "dim": 1, "eps": 1e-12}}
    parameters = inspect.signature(getattr(tl.nn.functional, name)).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == wanted[name]


def test_compiled_and_mapped():
    x = tl.asarray(np.random.default_rng(0).standard_normal((3, 4, 2)))
    functions = (lambda a: tl.cdist(a, a), lambda a: tl.nn.functional.pdist(a, 3.0),
                 lambda a: tl.nn.functional.cosine_similarity(a, a[0], -1))
    for f in functions:
        def slope(x, f=f):
            return tl.grad(lambda x: (f(x) ** 2).sum())(x)
        assert_close(tl.jit(f)(x[0]), f(x[0]), terms=16)
        assert_close(tl.jit(slope)(x[0]), slope(x[0]), terms=64)
        assert_close(tl.vmap(f)(x), np.stack([f(row).numpy() for row in x]), terms=16)
