"""The passes over loops and branches: what they change in the text of a graph, and that numbers stay."""

from __future__ import annotations

import numpy as np
from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit.graph import graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.passes.trim_control_flow import trim_control_flow
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
    return v7, v1, v8, v9, v10, v0

def graph(v0: float32[2], v1: float32[3, 2]):
    v2, v3, v4, v5, v6, v7 = scan(v0, v0, v0, v1, v1, v0, v0, body=body0, carries=3, slices=2, length=3, reverse=False,\
 kept=False)  # v2: float32[2], v3: float32[2], v4: float32[2], v5: float32[3, 2], v6: float32[3, 2], v7: float32[3, 2]
    return v2, v5
''', '''\
def body0(v0: float32[2], v1: float32[2], v2: float32[2], v3: float32[2]):
    v4: float32[2] = add(v0, v1)
    v5: float32[2] = multiply(v2, v3)
    return v4, v1, v5

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
