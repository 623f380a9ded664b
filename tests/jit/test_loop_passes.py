"""The passes over loops and branches: what they change in the text of a graph, and that numbers stay."""

from __future__ import annotations

import numpy as np
from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit.graph import graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.passes.hoist_products import hoist_products
from tensorlite.jit.passes.keep_products import keep_products
from tensorlite.jit.passes.trim_control_flow import trim_control_flow
from tensorlite.jit.pipeline import optimize
from tensorlite.jit.trace import trace
from tensorlite.jit.verify import verify


def check(rewrite, before, after, *arrays):
    """Holds a pass against the texts before and after it, and the numbers of both."""
    graph = verify(parse(before))
    found = verify(rewrite(graph))
    assert graph_text(found) == after
    inputs = [tl.tensor(a) for a in arrays]
    for x, y in zip(graph(*inputs), found(*inputs), strict=True):
        assert_close(y, x, terms=64)


def test_scans_lose_what_nobody_needs():
    check(trim_control_flow, '''\
def body0(v0: float32[2], v1: float32[2], v2: float32[2], v3: float32[2], v4: float32[2], v5: float32[2],\
 v6: float32[2]):
    v7: float32[2] = add(v0, v1)
    v8: float32[2] = multiply(v2, v4)
    v9: float32[2] = multiply(v3, v5)
    v10: float32[2] = exp(v6)
    v11: float32[2] = negative(v1)
    return v7, v11, v8, v9, v10, v0

def graph(v0: float32[2], v1: float32[3, 2]):
    v2, v3, v4, v5, v6, v7 = scan(v0, v0, v0, v1, v1, v0, v0, body=body0, carries=3, slices=2, length=3, reverse=False,\
 kept=False)  # v2: float32[2], v3: float32[2], v4: float32[2], v5: float32[3, 2], v6: float32[3, 2], v7: float32[3, 2]
    return v2, v5
''', '''\
def body0(v0: float32[2], v1: float32[2], v2: float32[2], v3: float32[2]):
    v4: float32[2] = add(v0, v1)
    v5: float32[2] = multiply(v2, v3)
    v6: float32[2] = negative(v1)
    return v4, v6, v5

def graph(v0: float32[2], v1: float32[3, 2]):
    v2, v3, v4 = scan(v0, v0, v1, v0, body=body0, carries=2, slices=1, length=3, reverse=False, kept=False)\
  # v2: float32[2], v3: float32[2], v4: float32[3, 2]
    return v2, v4
''', np.float32([1, 2]), np.float32([[1, 2], [3, 4], [5, 6]]))


def test_while_loops_lose_what_neither_condition_nor_result_needs():
    check(trim_control_flow, '''\
def cond0(v0: int64[()], v1: float32[2], v2: float32[2], v3: float32[2]):
    v4: bool[()] = less(v0, 5)
    return v4

def body1(v0: int64[()], v1: float32[2], v2: float32[2], v3: float32[2]):
    v4: int64[()] = add(v0, 1)
    v5: float32[2] = multiply(v1, 2)
    v6: float32[2] = multiply(v2, v3)
    return v4, v5, v6

def graph(v0: int64[()], v1: float32[2]):
    v2, v3, v4 = while_loop(v0, v1, v1, v1, cond=cond0, body=body1, carries=3)\
  # v2: int64[()], v3: float32[2], v4: float32[2]
    return v3
''', '''\
def cond0(v0: int64[()], v1: float32[2]):
    v2: bool[()] = less(v0, 5)
    return v2

def body1(v0: int64[()], v1: float32[2]):
    v2: int64[()] = add(v0, 1)
    v3: float32[2] = multiply(v1, 2)
    return v2, v3

def graph(v0: int64[()], v1: float32[2]):
    v2, v3 = while_loop(v0, v1, cond=cond0, body=body1, carries=2)  # v2: int64[()], v3: float32[2]
    return v3
''', np.int64(1), np.float32([1, 2]))


def test_branches_lose_what_nobody_needs():
    check(trim_control_flow, '''\
def true0(v0: float32[2], v1: float32[2]):
    v2: float32[2] = exp(v0)
    v3: float32[2] = exp(v1)
    return v2, v3

def false1(v0: float32[2], v1: float32[2]):
    v2: float32[2] = negative(v0)
    return v2, v1

def graph(v0: bool[()], v1: float32[2], v2: float32[2]):
    v3, v4 = cond(v0, v1, v2, true=true0, false=false1)  # v3: float32[2], v4: float32[2]
    return v4
''', '''\
def true0(v0: float32[2]):
    v1: float32[2] = exp(v0)
    return v1

def false1(v0: float32[2]):
    return v0

def graph(v0: bool[()], v1: float32[2], v2: float32[2]):
    v3: float32[2] = cond(v0, v2, true=true0, false=false1)
    return v3
''', np.bool_(True), np.float32([1, 2]), np.float32([3, 4]))


RNN = '''\
def body0(v0: float32[2, 3], v1: float32[2, 3], v2: float32[3, 3]):
    v3: float32[2, 3] = matmul(v0, v2)
    v4: float32[2, 3] = add(v1, v3)
    v5: float32[2, 3] = tanh(v4)
    return v5, v0

'''
RANDOM = np.random.default_rng(0)
ARRAYS = [RANDOM.standard_normal(shape).astype(np.float32) for shape in ((2, 3), (4, 2, 3), (3, 3))]


def test_a_later_loop_takes_the_products_of_an_earlier_one():
    check(lambda graph: trim_control_flow(keep_products(graph)), RNN + '''\
def body1(v0: float32[2, 3], v1: float32[2, 3], v2: float32[2, 3], v3: float32[3, 3]):
    v4: float32[2, 3] = matmul(v1, v3)
    v5: float32[2, 3] = add(v2, v4)
    v6: float32[2, 3] = tanh(v5)
    v7: float32[2, 3] = multiply(v0, v6)
    return v7

def graph(v0: float32[2, 3], v1: float32[4, 2, 3], v2: float32[3, 3]):
    v3, v4 = scan(v0, v1, v2, body=body0, carries=1, slices=1, length=4, reverse=False, kept=False)\
  # v3: float32[2, 3], v4: float32[4, 2, 3]
    v5: float32[2, 3] = scan(v3, v4, v1, v2, body=body1, carries=1, slices=2, length=4, reverse=True, kept=False)
    return v5
''', RNN.replace("return v5, v0", "return v5, v5") + '''\
def body1(v0: float32[2, 3], v1: float32[2, 3]):
    v2: float32[2, 3] = multiply(v0, v1)
    return v2

def graph(v0: float32[2, 3], v1: float32[4, 2, 3], v2: float32[3, 3]):
    v3, v4 = scan(v0, v1, v2, body=body0, carries=1, slices=1, length=4, reverse=False, kept=False)\
  # v3: float32[2, 3], v4: float32[4, 2, 3]
    v5: float32[2, 3] = scan(v3, v4, body=body1, carries=1, slices=1, length=4, reverse=True, kept=False)
    return v5
''', *ARRAYS)


def test_loops_over_other_rows_share_nothing():
    graph = parse(RNN + '''\
def graph(v0: float32[2, 3], v1: float32[4, 2, 3], v2: float32[3, 3]):
    v3, v4 = scan(v0, v1, v2, body=body0, carries=1, slices=1, length=4, reverse=False, kept=False)\
  # v3: float32[2, 3], v4: float32[4, 2, 3]
    v5, v6 = scan(v3, v4, v2, body=body0, carries=1, slices=1, length=4, reverse=True, kept=False)\
  # v5: float32[2, 3], v6: float32[4, 2, 3]
    return v5, v6
''')
    assert graph_text(keep_products(graph)) == graph_text(graph)


def test_a_sum_of_products_is_one_product():
    body = '''\
def body0(v0: float32[3, 3], v1: float32[2, 3], v2: float32[2, 3]):
    v3: float32[2, 3] = exp(v2)
    v4: float32[3, 2] = permute_dims(v1, axes=(1, 0))
    v5: float32[3, 3] = matmul(v4, v3)
    v6: float32[3, 3] = permute_dims(v5, axes=(1, 0))
    v7: float32[3, 3] = add(v0, v6)
    return v7

'''
    check(lambda graph: trim_control_flow(hoist_products(graph)), body + '''\
def graph(v0: float32[3, 3], v1: float32[4, 2, 3]):
    v2: float32[3, 3] = scan(v0, v1, v1, body=body0, carries=1, slices=2, length=4, reverse=False, kept=False)
    return v2
''', '''\
def body0(v0: float32[2, 3]):
    v1: float32[2, 3] = exp(v0)
    return v1

def graph(v0: float32[3, 3], v1: float32[4, 2, 3]):
    v2: float32[4, 2, 3] = scan(v1, body=body0, carries=0, slices=1, length=4, reverse=False, kept=False)
    v3: float32[8, 3] = reshape(v1, shape=(8, 3))
    v4: float32[8, 3] = reshape(v2, shape=(8, 3))
    v5: float32[3, 8] = permute_dims(v3, axes=(1, 0))
    v6: float32[3, 3] = matmul(v5, v4)
    v7: float32[3, 3] = permute_dims(v6, axes=(1, 0))
    v8: float32[3, 3] = add(v0, v7)
    return v8
''', ARRAYS[2], ARRAYS[1])


def test_a_sum_that_the_loop_looks_at_stays():
    graph = parse('''\
def body0(v0: float32[3, 3], v1: float32[2, 3]):
    v2: float32[3, 2] = permute_dims(v1, axes=(1, 0))
    v3: float32[3, 3] = matmul(v2, v1)
    v4: float32[3, 3] = add(v0, v3)
    return v4, v0

def graph(v0: float32[3, 3], v1: float32[4, 2, 3]):
    v2, v3 = scan(v0, v1, body=body0, carries=1, slices=1, length=4, reverse=False, kept=False)\
  # v2: float32[3, 3], v3: float32[4, 3, 3]
    return v2, v3
''')
    assert graph_text(hoist_products(graph)) == graph_text(graph)


def test_an_lstm_with_projections_takes_two_products_a_step_each_way():
    layer = tl.nn.LSTM(4, 8, proj_size=4)

    def step(x):
        return tl.autograd.grad((layer(x)[0] ** 2).sum(), list(layer.parameters()))

    graph = optimize(trace(step, tl.zeros((6, 2, 4))), verify)
    bodies = [e.attributes["body"] for e in graph.equations if e.op.name == "scan"]
    assert [graph_text(body).count("linear(") for body in bodies] == [2, 2]
    assert ["matmul(" in graph_text(body) for body in bodies] == [False, False]


def test_a_carry_that_no_step_changes_is_an_operand():
    check(trim_control_flow, '''\
def body0(v0: float32[3, 3], v1: float32[2, 3], v2: float32[2, 3]):
    v3: float32[2, 3] = matmul(v2, v0)
    v4: float32[2, 3] = add(v1, v3)
    return v0, v4, v1

def graph(v0: float32[3, 3], v1: float32[4, 2, 3], v2: float32[2, 3]):
    v3, v4, v5 = scan(v0, v2, v1, body=body0, carries=2, slices=1, length=4, reverse=False, kept=False)\
  # v3: float32[3, 3], v4: float32[2, 3], v5: float32[4, 2, 3]
    v6: float32[2, 3] = matmul(v4, v3)
    return v6, v3, v5
''', '''\
def body0(v0: float32[2, 3], v1: float32[2, 3], v2: float32[3, 3]):
    v3: float32[2, 3] = matmul(v1, v2)
    v4: float32[2, 3] = add(v0, v3)
    return v4, v0

def graph(v0: float32[3, 3], v1: float32[4, 2, 3], v2: float32[2, 3]):
    v3, v4 = scan(v2, v1, v0, body=body0, carries=1, slices=1, length=4, reverse=False, kept=False)\
  # v3: float32[2, 3], v4: float32[4, 2, 3]
    v5: float32[2, 3] = matmul(v3, v0)
    return v5, v0, v4
''', ARRAYS[2], ARRAYS[1], ARRAYS[0])
