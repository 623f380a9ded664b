"""Every draw has the distribution that it says: against SciPy's, by Kolmogorov and Smirnov's distance or chi-square."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.kernels import device
from tensorlite.random.discrete import drawn_half_sines

SIZE = 20000
#: What 20000 numbers exceed with a probability of 1e-5: ``sqrt(log(2 / 1e-5) / 2 / SIZE)``.
DISTANCE = math.sqrt(math.log(2 / 1e-5) / 2 / SIZE)
r = tl.random


@pytest.fixture(autouse=True)
def seeded():
    tl.manual_seed(11)


def stats():
    return pytest.importorskip("scipy.stats", reason="SciPy has the distribution functions")


def distance(x: np.ndarray, cdf) -> float:
    """The largest difference between an empirical distribution function and a continuous one."""
    n, expected = x.size, cdf(np.sort(x.astype(np.float64).reshape(-1)))
    return max(np.max(np.arange(1, n + 1) / n - expected), np.max(expected - np.arange(n) / n))


CONTINUOUS = {
    "uniform": (lambda **o: r.uniform(-1.0, 3.0, **o), lambda s: s.uniform(-1, 4)),
    "standard_normal": (lambda **o: r.standard_normal(**o), lambda s: s.norm()),
    "standard_exponential": (lambda **o: r.standard_exponential(**o), lambda s: s.expon()),
    "exponential": (lambda **o: r.exponential(2.5, **o), lambda s: s.expon(scale=2.5)),
    "gamma of 0.05": (lambda **o: r.gamma(0.05, 1.0, **o), lambda s: s.gamma(0.05)),
    "gamma of 1": (lambda **o: r.gamma(1.0, 2.0, **o), lambda s: s.gamma(1, scale=2)),
    "gamma of 300": (lambda **o: r.standard_gamma(300.0, **o), lambda s: s.gamma(300)),
    "beta": (lambda **o: r.beta(0.5, 2.0, **o), lambda s: s.beta(0.5, 2)),
    "chisquare": (lambda **o: r.chisquare(3.0, **o), lambda s: s.chi2(3)),
    "noncentral_chisquare": (lambda **o: r.noncentral_chisquare(3.0, 2.0, **o), lambda s: s.ncx2(3, 2)),
    "f": (lambda **o: r.f(3.0, 8.0, **o), lambda s: s.f(3, 8)),
    "standard_t": (lambda **o: r.standard_t(2.5, **o), lambda s: s.t(2.5)),
    "standard_cauchy": (lambda **o: r.standard_cauchy(**o), lambda s: s.cauchy()),
    "laplace": (lambda **o: r.laplace(1.0, 2.0, **o), lambda s: s.laplace(1, 2)),
    "logistic": (lambda **o: r.logistic(1.0, 2.0, **o), lambda s: s.logistic(1, 2)),
    "gumbel": (lambda **o: r.gumbel(1.0, 2.0, **o), lambda s: s.gumbel_r(1, 2)),
    "lognormal": (lambda **o: r.lognormal(0.5, 0.7, **o), lambda s: s.lognorm(0.7, scale=math.exp(0.5))),
    "rayleigh": (lambda **o: r.rayleigh(2.0, **o), lambda s: s.rayleigh(scale=2)),
    "weibull": (lambda **o: r.weibull(1.5, **o), lambda s: s.weibull_min(1.5)),
    "pareto": (lambda **o: r.pareto(3.0, **o), lambda s: s.lomax(3)),
    "power": (lambda **o: r.power(3.0, **o), lambda s: s.powerlaw(3)),
    "triangular": (lambda **o: r.triangular(-1.0, 0.5, 4.0, **o), lambda s: s.triang(0.3, -1, 5)),
    "wald": (lambda **o: r.wald(2.0, 3.0, **o), lambda s: s.invgauss(2 / 3, scale=3)),
    "vonmises of 0": (lambda **o: r.vonmises(0.0, 0.0, **o), lambda s: s.uniform(-math.pi, 2 * math.pi)),
    "vonmises of 0.3": (lambda **o: r.vonmises(0.0, 0.3, **o), lambda s: s.vonmises(0.3)),
    "vonmises of 500": (lambda **o: r.vonmises(0.5, 500.0, **o), lambda s: s.vonmises(500, loc=0.5)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", [tl.float32, tl.float64], ids=lambda d: d.name)
def test_real_numbers_have_their_distribution(name, dtype):
    draw, expected = CONTINUOUS[name]
    x = draw(size=(SIZE // 4, 4), dtype=dtype)
    assert x.dtype == dtype
    assert x.shape == (SIZE // 4, 4)
    assert np.isfinite(x.numpy()).all()
    assert distance(x.numpy(), expected(stats()).cdf) < DISTANCE


IN_PLACE = {
    "uniform_": (lambda x: x.uniform_(-1, 2), lambda s: s.uniform(-1, 3)),
    "normal_": (lambda x: x.normal_(1, 2), lambda s: s.norm(1, 2)),
    "exponential_": (lambda x: x.exponential_(2.0), lambda s: s.expon(scale=0.5)),
    "cauchy_": (lambda x: x.cauchy_(1.0, 2.0), lambda s: s.cauchy(1, 2)),
    "log_normal_": (lambda x: x.log_normal_(0.1, 0.4), lambda s: s.lognorm(0.4, scale=math.exp(0.1))),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_tensors_are_filled_in_place(name):
    fill, expected = IN_PLACE[name]
    x = tl.zeros((SIZE,), dtype=tl.float64)
    assert fill(x) is x
    assert distance(x.numpy(), expected(stats()).cdf) < DISTANCE
    assert fill(tl.zeros((3,), dtype=tl.bfloat16)).dtype == tl.bfloat16


COUNTS = {
    "poisson of 0.2": (lambda: tl.poisson(tl.full((SIZE,), 0.2)), lambda s: s.poisson(0.2)),
    "poisson of 9.5": (lambda: tl.poisson(tl.full((SIZE,), 9.5)), lambda s: s.poisson(9.5)),
    "poisson of 10.5": (lambda: tl.poisson(tl.full((SIZE,), 10.5)), lambda s: s.poisson(10.5)),
    "poisson of 900": (lambda: r.poisson(900.0, SIZE), lambda s: s.poisson(900)),
    "binomial of 4": (lambda: tl.binomial(tl.full((SIZE,), 4.0), tl.tensor(0.3)), lambda s: s.binom(4, 0.3)),
    "binomial of 40": (lambda: r.binomial(40, 0.4, SIZE), lambda s: s.binom(40, 0.4)),
    "binomial of 900": (lambda: r.binomial(900, 0.97, SIZE), lambda s: s.binom(900, 0.97)),
    "negative_binomial": (lambda: r.negative_binomial(2.5, 0.3, SIZE), lambda s: s.nbinom(2.5, 0.3)),
    "geometric": (lambda: r.geometric(0.2, SIZE), lambda s: s.geom(0.2)),
    "geometric_": (lambda: tl.zeros(SIZE).geometric_(0.2), lambda s: s.geom(0.2)),
    "bernoulli": (lambda: tl.bernoulli(tl.full((SIZE,), 0.3)), lambda s: s.bernoulli(0.3)),
    "bernoulli_": (lambda: tl.zeros(SIZE).bernoulli_(0.3), lambda s: s.bernoulli(0.3)),
    "integers": (lambda: r.integers(2, 5, (SIZE,), endpoint=True), lambda s: s.randint(2, 6)),
    "random_": (lambda: tl.zeros(SIZE).random_(2, 6), lambda s: s.randint(2, 6)),
    "randint_like": (lambda: tl.randint_like(tl.zeros(SIZE), 2, 6), lambda s: s.randint(2, 6)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_have_their_distribution(name):
    draw, make = COUNTS[name]
    x, expected = draw().numpy().astype(np.int64), make(stats())
    chances = expected.pmf(np.arange(x.max() + 50)) * x.size
    seen = np.bincount(x, minlength=chances.size)
    often = chances >= 10
    left, left_seen = chances[~often].sum(), seen[~often].sum()
    square = ((seen - chances)[often] ** 2 / chances[often]).sum()
    if left > 1:
        square += (left_seen - left) ** 2 / left
    else:
        assert left_seen <= 12
    assert square < stats().chi2(max(often.sum() - 1 + (left > 1), 1)).isf(1e-5)


def test_classes_are_drawn_by_weight():
    weights = tl.tensor([[1.0, 0.0, 3.0, 4.0], [0.0, 5.0, 0.0, 0.0]])
    drawn = tl.multinomial(weights, SIZE, replacement=True).numpy()
    assert set(drawn[1]) == {1}
    seen = np.bincount(drawn[0], minlength=4) / SIZE
    assert seen[1] == 0
    assert np.abs(seen - np.array([1, 0, 3, 4]) / 8).max() < 4 * 0.5 / math.sqrt(SIZE)
    assert np.abs(r.multinomial(4, [0.25, 0.75], SIZE // 4).numpy().mean(0) - [1, 3]).max() < 4 / math.sqrt(SIZE / 4)


def test_classes_without_replacement_are_those_of_one_after_the_other():
    weights = np.array([1.0, 2.0, 0.0, 5.0])
    drawn = tl.multinomial(tl.tensor(np.tile(weights, (SIZE, 1))), 2).numpy()
    for i in (0, 1, 3):
        for j in {0, 1, 3} - {i}:
            chance = weights[i] / 8 * weights[j] / (8 - weights[i])
            assert abs(((drawn[:, 0] == i) & (drawn[:, 1] == j)).mean() - chance) < 4 * 0.5 / math.sqrt(SIZE)
    assert not (drawn == 2).any()


def test_choices_and_permutations():
    assert sorted(r.permutation(9).tolist()) == list(range(9))
    rows = r.permutation(tl.tensor([[1, 2], [3, 4], [5, 6]]), axis=0).tolist()
    assert sorted(rows) == [[1, 2], [3, 4], [5, 6]]
    assert r.choice(tl.tensor([[1, 2, 3]]), (2, 2), axis=1).shape == (1, 2, 2)
    assert r.choice(4, p=[0.0, 0.0, 1.0, 0.0]).item() == 2
    assert sorted(r.choice(3, 3, replace=False, p=[0.2, 0.3, 0.5]).tolist()) == [0, 1, 2]
    assert set(r.choice(3, SIZE).tolist()) == {0, 1, 2}


def test_shares_have_a_sum_of_one():
    x = r.dirichlet(tl.tensor([1.0, 2.0, 5.0], dtype=tl.float64), SIZE)
    assert_close(x.sum(axis=1), np.ones(SIZE), terms=3)
    assert distance(x[:, 1].numpy(), stats().beta(2, 6).cdf) < DISTANCE


REJECTING = {
    "gamma": lambda: r.gamma(tl.tensor([0.3, 1.0, 7.0, 40.0] * 100)),
    "wide gamma": lambda: r.gamma(tl.tensor([0.3, 1.0, 7.0, 40.0], dtype=tl.float64)),
    "poisson": lambda: tl.poisson(tl.tensor([0.3, 1.0, 17.0, 40.0] * 100)),
    "binomial": lambda: tl.binomial(tl.tensor([3.0, 40.0, 900.0] * 100), tl.tensor(0.4)),
    "vonmises": lambda: drawn_half_sines(tl.tensor([0.0, 1.0, 40.0] * 100), None),  # of which asin rounds its own way
}


@pytest.mark.parametrize("name", REJECTING)
def test_rejecting_draws_are_the_same_compiled_and_with_any_number_of_threads(name):
    draw, drawn = REJECTING[name], []
    before = tl.get_num_threads()
    for run, threads in ((draw, 1), (draw, before), (draw, 4), (tl.jit(draw), before)):
        tl.manual_seed(3)
        tl.set_num_threads(threads)
        try:
            drawn.append([run(), run()])
        finally:
            tl.set_num_threads(before)
    for others in drawn[1:]:
        for x, y in zip(drawn[0], others, strict=True):
            assert_same(x, y)
    assert drawn[0][0].tolist() != drawn[0][1].tolist()


@pytest.mark.parametrize("name", ["gamma", "poisson", "binomial", "vonmises"])
def test_the_kernels_are_the_python_functions_that_define_them(name):
    from tensorlite.op import OPS
    op = OPS[{"gamma": "standard_gamma", "vonmises": "von_mises"}.get(name, name)]
    state = np.array([5, 2**40], np.uint64)
    for dtype in (np.float32, np.float64):
        first = np.array([0.0, 0.4, 3.0, 12.0, 80.0, 1000.0, np.nan], dtype)
        arrays = [first, np.full_like(first, 0.3)][:len(op.inputs) - 1]
        kernel = device.CPU.kernel(op.name)
        with np.errstate(all="ignore"):
            assert_same(kernel(state, *arrays), op.body(np, state, *arrays))
            strided = [np.repeat(a, 2)[::2] for a in arrays]
            assert_same(kernel(state, *strided), op.body(np, state, *arrays))


@pytest.mark.parametrize("name", REJECTING)
def test_the_elements_of_a_batch_draw_others(name):
    rows = tl.vmap(lambda _: REJECTING[name]())(tl.zeros(3)).numpy()
    assert rows.shape[0] == 3
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[1], rows[2])
    mapped = tl.vmap(r.gamma)(tl.tensor([[0.5, 100.0], [200.0, 0.5]])).numpy()
    assert mapped[0, 1] > mapped[0, 0]
    assert mapped[1, 0] > mapped[1, 1]


def test_derivatives_go_back_to_parameters():
    scale = tl.tensor([1.0, 2.0], requires_grad=True)
    x = r.exponential(scale)
    x.sum().backward()
    assert_close(scale.grad, x / scale)
    mean, std = (tl.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    x = tl.normal(mean, std)
    x.sum().backward()
    assert_close(mean.grad, np.ones(2))
    assert_close(std.grad, (x - mean) / std)
    assert tl.normal(tl.zeros(2, dtype=tl.float64), 1.0).dtype == tl.float64


def test_extremes_stay_what_they_are():
    assert r.gamma(tl.tensor([0.0, 1e-6, np.inf])).tolist()[::2] == [0.0, np.inf]
    assert (r.gamma(1e-6, size=1000) > 0).all()
    assert tl.poisson(tl.tensor([0.0])).tolist() == [0.0]
    assert tl.binomial(tl.tensor([7.0, 7.0, 0.0]), tl.tensor([0.0, 1.0, 0.5])).tolist() == [0.0, 7.0, 0.0]
    big = tl.poisson(tl.full((2000,), 1e12, dtype=tl.float64)).numpy()
    assert abs(big.mean() - 1e12) < 5e6 / math.sqrt(2000)
    assert abs(big.std() / 1e6 - 1) < 0.1
    for dtype in (tl.float16, tl.bfloat16):
        assert tl.poisson(tl.full((3,), 4.0, dtype=dtype)).dtype == dtype
        assert r.gamma(tl.full((3,), 4.0, dtype=dtype)).dtype == dtype
    assert tl.poisson(tl.zeros((0, 3))).shape == (0, 3)
    assert tl.zeros(4, dtype=tl.bool).random_().dtype == tl.bool
    assert tl.zeros(100, dtype=tl.uint8).random_().max().item() > 128


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.poisson(tl.tensor([-1.0])), ArgumentError, "poisson: x must not be negative"),
    (lambda: tl.poisson(tl.tensor([1])), DTypeError, "poisson: x must hold real floating numbers, not int64"),
    (lambda: tl.binomial(tl.tensor([3.0]), tl.tensor([1.5])), ArgumentError,
     "binomial: prob must be between 0 and 1"),
    (lambda: tl.binomial(tl.tensor([3.0]), tl.tensor([0.5], dtype=tl.float64)), DTypeError,
     "binomial: count and prob must have one dtype"),
    (lambda: tl.bernoulli(tl.tensor([1.5])), ArgumentError, "bernoulli: x must be between 0 and 1"),
    (lambda: tl.bernoulli(tl.tensor([1])), DTypeError, "bernoulli: x must hold real floating numbers, not int64"),
    (lambda: tl.normal(0.0, -1.0, (2,)), ArgumentError, "normal: std must not be negative"),
    (lambda: tl.multinomial(tl.ones(3), 4), ArgumentError,
     "multinomial: 4 of 3 classes cannot be drawn without replacement"),
    (lambda: tl.multinomial(tl.tensor([1.0, 0.0]), 2), ArgumentError,
     "multinomial: a row has fewer than 2 weights above 0, too few without replacement"),
    (lambda: tl.multinomial(tl.ones(3), 0), ArgumentError, "multinomial: num_samples must be at least 1"),
    (lambda: tl.multinomial(tl.tensor([-1.0, 2.0]), 1), ArgumentError,
     "multinomial: weights must be finite and not negative"),
    (lambda: tl.multinomial(tl.zeros(2), 1), ArgumentError,
     "multinomial: the weights of a row must have a sum above 0"),
    (lambda: tl.multinomial(tl.ones((1, 1, 1)), 1), ShapeError,
     "multinomial: x must have one axis of classes, or rows of them"),
    (lambda: tl.zeros(2).uniform_(2, 1), ArgumentError, "uniform_: the range [2, 1) ends before it begins"),
    (lambda: tl.zeros(2).exponential_(0.0), ArgumentError, "exponential_: lambd must be above 0"),
    (lambda: tl.zeros(2).geometric_(0.0), ArgumentError, "geometric_: p must be above 0"),
    (lambda: tl.zeros(2).random_(5, 5), ArgumentError, "random_: the range [5, 5) is empty"),
    (lambda: r.gamma(-1.0), ArgumentError, "gamma: shape must not be negative"),
    (lambda: r.gamma([1.0, 2.0], size=3), ShapeError, "gamma: parameters do not broadcast to size"),
    (lambda: r.exponential(size=2, dtype=tl.int32), DTypeError, "exponential: draws real floating numbers, not int32"),
    (lambda: r.choice(3, 4, replace=False), ArgumentError, "choice: 4 of 3 cannot be chosen without replacement"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).splitlines()[0] == text
