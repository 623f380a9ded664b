"""Products of looked-up rows become rows of products: the text of graphs, numbers, faults, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit.graph import graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.passes.multiply_tables import multiply_tables
from tensorlite.jit.passes.share_common_subexpressions import share_common_subexpressions
from tensorlite.jit.verify import verify

_RANDOM = np.random.default_rng(7)
TABLE = _RANDOM.standard_normal((3, 16), np.float32)
WEIGHT = _RANDOM.standard_normal((5, 16), np.float32)
GRADIENTS = _RANDOM.standard_normal((4, 2, 5), np.float32)
PLACES = np.array([[0, 2, 0, 2], [2, 2, 0, 0]])  # nothing names row 1


def rewritten(before: str) -> tuple:
    graph = verify(parse(before))
    return graph, verify(eliminate_dead_code(share_common_subexpressions(verify(multiply_tables(graph)))))


def check(before: str, after: str, *arrays: np.ndarray) -> None:
    """Holds the pass against the texts before and after it, and the numbers of both."""
    graph, found = rewritten(before)
    assert graph_text(found) == after
    inputs = [tl.asarray(a) for a in arrays]
    for x, y in zip(graph(*inputs), found(*inputs), strict=True):
        assert_close(y, x, terms=64)


def test_products_of_rows_are_rows_of_products():
    check('''\
def graph(v0: float32[3, 16], v1: int64[2, 4], v2: float32[5, 16], v3: float32[5]):
    v4: float32[2, 4, 16] = take_rows(v0, v1, axis=0)
    v5: float32[4, 2, 16] = permute_dims(v4, axes=(1, 0, 2))
    v6: float32[4, 2, 5] = linear(v5, v2)
    v7: float32[4, 2, 5] = add(v6, v3)
    return v7
''', '''\
def graph(v0: float32[3, 16], v1: int64[2, 4], v2: float32[5, 16], v3: float32[5]):
    v4: int64[4, 2] = permute_dims(v1, axes=(1, 0))
    v5: float32[3, 5] = linear(v0, v2)
    v6: float32[3, 5] = add(v5, v3)
    v7: float32[4, 2, 5] = take_rows(v6, v4, axis=0)
    return v7
''', TABLE, PLACES, WEIGHT, np.arange(5, dtype=np.float32))


BOTH = '''\
def graph(v0: float32[3, 16], v1: int64[2, 4], v2: float32[5, 16], v3: float32[4, 2, 5]):
    v4: float32[2, 4, 16] = take_rows(v0, v1, axis=0)
    v5: float32[4, 2, 16] = permute_dims(v4, axes=(1, 0, 2))
    v6: float32[8, 5] = reshape(v3, shape=(8, 5))
    v7: float32[5, 8] = permute_dims(v6, axes=(1, 0))
    v8: float32[8, 16] = reshape(v5, shape=(8, 16))
    v9: float32[5, 16] = matmul(v7, v8)
    v10: float32[16, 8] = permute_dims(v8, axes=(1, 0))
    v11: float32[16, 5] = matmul(v10, v6)
    return v9, v11
'''


def test_derivatives_in_weights_are_products_with_the_table():
    check(BOTH, '''\
def graph(v0: float32[3, 16], v1: int64[2, 4], v2: float32[5, 16], v3: float32[4, 2, 5]):
    v4: float32[8, 5] = reshape(v3, shape=(8, 5))
    v5: int64[4, 2] = permute_dims(v1, axes=(1, 0))
    v6: int64[8] = reshape(v5, shape=(8,))
    v7: float32[3, 5] = add_rows(v4, v6, axis=0, size=3)
    v8: int32[8, 1] = full(shape=(8, 1), fill_value=1, dtype=dtype("int32"))
    v9: int32[3, 1] = add_rows(v8, v6, axis=0, size=3)
    v10: bool[3, 1] = not_equal(v9, 0)
    v11: float32[3, 16] = where(v10, v0, 0)
    v12: float32[5, 3] = permute_dims(v7, axes=(1, 0))
    v13: float32[5, 16] = matmul(v12, v11)
    v14: float32[16, 3] = permute_dims(v11, axes=(1, 0))
    v15: float32[16, 5] = matmul(v14, v7)
    return v13, v15
''', TABLE, PLACES, WEIGHT, GRADIENTS)


def test_rows_that_nothing_names_take_no_part():
    table = TABLE.copy()
    table[1] = np.nan
    graph, found = rewritten(BOTH)
    inputs = [tl.asarray(a) for a in (table, PLACES, WEIGHT, GRADIENTS)]
    for x, y in zip(graph(*inputs), found(*inputs), strict=True):
        assert np.isfinite(y.numpy()).all()
        assert_close(y, x, terms=64)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_rows_that_nothing_names_have_no_derivative(value):
    weight = WEIGHT.copy()
    weight[0, 0] = value
    derive = tl.grad(lambda table: tl.linear(tl.embedding(tl.asarray(PLACES), table), tl.tensor(weight)).sum())
    eager, jitted = derive(tl.tensor(TABLE)).numpy(), tl.jit(derive)(tl.tensor(TABLE)).numpy()
    np.testing.assert_array_equal(np.isfinite(jitted), np.isfinite(eager))
    assert not eager[1].any() and not jitted[1].any()


def test_derivatives_in_tables_are_products_of_sums():
    before = '''\
def graph(v0: float32[4, 2, 16], v1: int64[2, 4], v2: float32[5, 16]):
    v3: float32[4, 2, 5] = linear(v0, v2)
    v4: float32[2, 4, 5] = permute_dims(v3, axes=(1, 0, 2))
    v5: float32[3, 5] = add_rows(v4, v1, axis=0, size=3)
    return v5
'''
    check(before, '''\
def graph(v0: float32[4, 2, 16], v1: int64[2, 4], v2: float32[5, 16]):
    v3: int64[4, 2] = permute_dims(v1, axes=(1, 0))
    v4: float32[8, 16] = reshape(v0, shape=(8, 16))
    v5: int64[8] = reshape(v3, shape=(8,))
    v6: float32[3, 16] = add_rows(v4, v5, axis=0, size=3)
    v7: float32[3, 5] = linear(v6, v2)
    v8: int32[8, 1] = full(shape=(8, 1), fill_value=1, dtype=dtype("int32"))
    v9: int32[3, 1] = add_rows(v8, v5, axis=0, size=3)
    v10: bool[3, 1] = not_equal(v9, 0)
    v11: float32[3, 5] = where(v10, v7, 0)
    return v11
''', _RANDOM.standard_normal((4, 2, 16), np.float32), PLACES, WEIGHT)


ALONE = {
    "few rows are looked up": "float32[5, 16] int64[8] float32[8, 16]",
    "rows are narrow": "float32[3, 15] int64[8] float32[8, 15]",
}


@pytest.mark.parametrize("case", ALONE)
def test_other_products_are_left_alone(case):
    table, places, rows = ALONE[case].replace(", ", ",").split()
    table, rows = table.replace(",", ", "), rows.replace(",", ", ")
    features = table[-3:-1]
    before = f'''\
def graph(v0: {table}, v1: {places}, v2: float32[5, {features}]):
    v3: {rows} = take_rows(v0, v1, axis=0)
    v4: float32[8, 5] = linear(v3, v2)
    return v4
'''
    assert graph_text(multiply_tables(parse(before))) == before


def _loss(places, table, weight, bias):
    x = tl.permute_dims(tl.embedding(places, table), (1, 0, 2))
    return tl.tanh(tl.nn.functional.linear(x, weight, bias)).sum()


@settings(deadline=None, max_examples=15)
@given(rows=st.integers(1, 9), features=st.integers(14, 19), out=st.integers(1, 7), first=st.integers(1, 6),
       second=st.integers(1, 6), seed=st.integers(0, 9))
def test_losses_and_derivatives_agree_with_eager_ones(rows, features, out, first, second, seed):
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal(shape, np.float32) for shape in ((rows, features), (out, features), (out,))]
    places = tl.asarray(random.integers(0, rows, (first, second)))
    derive = tl.grad(_loss, argnums=(1, 2, 3))
    inputs = [tl.asarray(a) for a in arrays]
    for x, y in zip(derive(places, *inputs), tl.jit(derive)(places, *inputs), strict=True):
        assert_close(y, x, terms=64)


def test_rows_that_a_table_does_not_have_raise_at_the_users_line():
    table, weight = tl.ones((3, 16)), tl.ones((5, 16))

    @tl.jit
    def f(places):
        return tl.nn.functional.linear(tl.embedding(places, table), weight)

    f(tl.zeros((8,), dtype="int64"))
    with pytest.raises(tl.errors.IndexingError) as raised:
        f(tl.asarray([0, 1, 2, 3, 0, 0, 0, 0]))
    assert "test_multiply_tables.py" in str(raised.value) and "embedding" in str(raised.value)
